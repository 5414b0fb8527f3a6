"""Steps of a long run are read at even distances, with all ranks of each; those of a short run are all read."""

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults

START = datetime(2026, 3, 2, tzinfo=UTC)
QUESTION = Records("step", ("run", "at", "step", "rank"), ever=True, spread=200)


@pytest.fixture(scope="module")
def steps(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The answer about a run of 4 ranks and 1,000 steps, one that logs every tenth of 5,000 steps, and a short one."""
    home = tmp_path_factory.mktemp("spread")
    rows = [("wide", step, rank) for step in range(1, 1001) for rank in range(4)]
    rows += [("sparse", step, None) for step in range(10, 5001, 10)] + [("short", step, None) for step in range(1, 101)]
    lines = [
        {"kind": "step", "run": run, "at": (START + timedelta(seconds=step)).isoformat(), "step": step, "metrics": {"loss": 1.0}}
        | ({"rank": rank} if rank is not None else {})
        for run, step, rank in rows
    ]
    path = home / "steps.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with open_store(home / "home", threads=2) as store:
        assert store.load_files([path], LoadDefaults()).rejected == 0
        return store.ask(QUESTION, Window("", EPOCH, START + timedelta(days=1)))


def test_a_long_run_gives_all_ranks_of_every_so_manieth_step(steps: pd.DataFrame) -> None:
    own = steps[steps["run"] == "wide"]
    assert set(own["stride"]) == {20} and sorted(own["step"].unique()) == list(range(1, 1001, 20))
    assert (own.groupby("step")["rank"].nunique() == 4).all() and len(own) == 200


def test_a_run_that_logs_every_tenth_step_is_thinned_over_its_whole_course(steps: pd.DataFrame) -> None:
    own = steps[steps["run"] == "sparse"]
    assert set(own["stride"]) == {3} and 150 <= len(own) <= 185
    assert own["step"].min() == 10 and own["step"].max() > 4900 and own["step"].diff().max() <= 50


def test_a_short_run_is_read_whole_and_the_answer_is_in_order_of_time(steps: pd.DataFrame) -> None:
    own = steps[steps["run"] == "short"]
    assert set(own["stride"]) == {1} and own["step"].tolist() == list(range(1, 101))
    assert steps["at"].is_monotonic_increasing
