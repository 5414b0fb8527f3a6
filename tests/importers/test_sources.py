"""A damaged source is one clear error or refused entries, never another exception."""

import io
import random
from datetime import UTC
from pathlib import Path

import pytest

from observability.core.errors import UsageError
from observability.importers.source_records import ReadOptions, write_record_lines
from observability.importers.sources import OPENERS, open_source
from tests.support.imported_items import FIXTURES, unpacked_fixture

DAMAGED = {
    "mlflow": "mlflow.db.gz",
    "optuna": "optuna.db.gz",
    "journal": "optuna.log",
    "codecarbon": "emissions.csv",
    "transformers": "transformers/trainer_state.json",
    "tensorboard": "tensorboard_torch/digits/train",
}


@pytest.mark.parametrize("name", DAMAGED)
def test_changed_bytes_never_end_in_another_exception(name: str, tmp_path: Path):
    fixture, dice = FIXTURES / DAMAGED[name], random.Random(name)
    source = next(iter(sorted(fixture.iterdir()))) if fixture.is_dir() else fixture
    raw = unpacked_fixture(DAMAGED[name], tmp_path).read_bytes() if name in ("mlflow", "optuna") else source.read_bytes()
    outcomes = set()
    for changes in (0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64):
        damaged = bytearray(raw)
        for _ in range(changes):
            damaged[dice.randrange(100 if raw.startswith(b"SQLite") else 0, len(raw))] = dice.randrange(256)
        path = tmp_path / source.name.removesuffix(".gz")
        path.write_bytes(damaged)
        try:
            items = open_source("optuna" if name == "journal" else name, path, ReadOptions(timezone=UTC)).items
            counts = write_record_lines(items, io.BytesIO())
        except UsageError as error:
            assert len(str(error).splitlines()) == 1
            outcomes.add("error")
        else:
            assert counts.entries == sum(counts.sorts.values()) == counts.carried.total() + sum(counts.reasons.values())
            outcomes.add("read")
    assert "read" in outcomes


def test_every_tool_of_the_command_line_has_a_reader():
    from observability.cli.parser import parser

    command = next(each for each in parser()._actions if each.dest == "command").choices["import"]
    tools = set(next(each for each in command._actions if each.dest == "what").choices)
    assert tools == {*OPENERS, "tables", "wandb"}
