"""A trainer_state.json becomes one run: a start, steps in the order of training, and an end with the results."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.core.errors import UsageError
from observability.core.time import instant_from_text
from tests.support.imported_items import FIXTURES, read_items, records_of

FOLDER = FIXTURES / "transformers"
END = datetime(2026, 11, 1, 12, tzinfo=UTC)


def test_the_log_becomes_steps_between_start_and_end():
    state = json.loads((FOLDER / "trainer_state.json").read_text())
    items = read_items("transformers", FOLDER / "trainer_state.json", at=END)
    (start,) = records_of(items, "run", event="start")
    (end,) = records_of(items, "run", event="end")
    steps = records_of(items, "step")
    assert start["params"]["num_train_epochs"] == 2
    assert [step["step"] for step in steps] == [entry["step"] for entry in state["log_history"][:-1]]
    assert steps[0]["metrics"]["loss"] == state["log_history"][0]["loss"]
    assert any("eval_loss" in step["metrics"] for step in steps)
    assert (end["status"], end["metrics"]["train_loss"]) == ("finished", state["log_history"][-1]["train_loss"])
    took = instant_from_text(end["at"], "end") - instant_from_text(start["at"], "start")
    assert took == timedelta(seconds=state["log_history"][-1]["train_runtime"])
    assert instant_from_text(end["at"], "end") == END
    assert start["at"] < steps[0]["at"] <= steps[-1]["at"] == end["at"]


def test_checkpoints_of_one_folder_are_one_run():
    assert len(list(FOLDER.rglob("trainer_state.json"))) == 3
    assert len(records_of(read_items("transformers", FOLDER), "run", event="start")) == 1


def test_a_single_checkpoint_is_imported_as_an_unfinished_run():
    (checkpoint,) = FOLDER.glob("checkpoint-4")
    items = read_items("transformers", checkpoint, at=END)
    whole = read_items("transformers", FOLDER, at=END)
    assert records_of(items, "run", event="end") == []
    assert records_of(items, "run", event="start")[0]["run"] == records_of(whole, "run", event="start")[0]["run"]


def test_without_a_time_the_run_ends_when_the_file_was_written(tmp_path: Path):
    path = tmp_path / "trainer_state.json"
    path.write_text((FOLDER / "trainer_state.json").read_text())
    os.utime(path, (END.timestamp(), END.timestamp()))
    (end,) = records_of(read_items("transformers", path), "run", event="end")
    assert instant_from_text(end["at"], "end") == END
    (known,) = records_of(read_items("transformers", path, known_start=lambda run: END - timedelta(days=9)), "run", event="start")
    assert instant_from_text(known["at"], "start") == END - timedelta(days=9)


@pytest.mark.parametrize("content", ["", "[]", '{"log_history": 1, "global_step": 2}', '{"a": 1}'])
def test_a_file_that_is_no_trainer_state_raises_one_clear_error(tmp_path: Path, content: str):
    path = tmp_path / "trainer_state.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"not a trainer_state.json"):
        read_items("transformers", path)
