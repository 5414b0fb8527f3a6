"""If a run is long, its steps are read at even distances, each with all ranks; if it is short, all steps are read. The number of records to
read is shared among the runs.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from observability.core.questions import Records
from observability.core.step_shares import step_strides
from observability.core.window import EPOCH, Window
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window("", EPOCH, START + timedelta(days=1))
QUESTION = Records("step", ("run", "at", "step", "rank"), ever=True, spread=200)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store with a run of 4 ranks and 1,000 steps, a run that logs every tenth of 5,000 steps, and a short run, which ends first."""
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
        yield store


@pytest.fixture(scope="module")
def steps(store: Database) -> pd.DataFrame:
    return store.ask(QUESTION, WINDOW)


def test_a_long_run_gives_all_ranks_of_every_so_manieth_step(steps: pd.DataFrame) -> None:
    own = steps[steps["run"] == "wide"]
    assert set(own["stride"]) == {20} and sorted(own["step"].unique()) == [*range(1, 1001, 20), 1000]
    assert (own.groupby("step")["rank"].nunique() == 4).all() and len(own) == 204


def test_a_run_that_logs_every_tenth_step_is_thinned_over_its_whole_course(steps: pd.DataFrame) -> None:
    own = steps[steps["run"] == "sparse"]
    assert set(own["stride"]) == {3} and 150 <= len(own) <= 185
    assert own["step"].min() == 10 and own["step"].max() == 5000 and own["step"].diff().max() <= 50


def test_a_short_run_is_read_whole_and_the_answer_is_in_order_of_time(steps: pd.DataFrame) -> None:
    own = steps[steps["run"] == "short"]
    assert set(own["stride"]) == {1} and own["step"].tolist() == list(range(1, 101))
    assert steps["at"].is_monotonic_increasing


def test_runs_share_the_records_that_are_read_whatever_newer_runs_logged(store: Database) -> None:
    """Regression: the newest records of all runs together were read, so a run got no steps if newer runs had logged enough."""
    found = store.ask(replace(QUESTION, spread=10_000, rows=900), WINDOW)
    sizes, own = found.groupby("run").size(), found.groupby("run")["stride"].max()
    assert own.to_dict() == {"short": 1, "sparse": 2, "wide": 10} and sizes.to_dict() == {"short": 100, "sparse": 251, "wide": 404}


def test_a_run_that_is_too_old_for_a_share_gives_only_its_first_and_last_step(store: Database) -> None:
    found = store.ask(replace(QUESTION, rows=300), WINDOW)
    old = found[found["run"] == "wide"]
    assert set(old["stride"]) == {0} and old["step"].tolist() == [1, 1000] and old["rank"].isna().all()
    assert old["at"].tolist() == [pd.Timestamp(START).tz_localize(None) + pd.Timedelta(seconds=step) for step in (1, 1000)]
    assert found["at"].is_monotonic_increasing and set(found["run"]) == {"short", "sparse", "wide"}
    assert set(found.loc[found["run"] == "sparse", "stride"]) == {3}


def test_shares_of_runs_are_equal_and_unused_shares_go_to_longer_runs() -> None:
    assert step_strides([100, 5000, 5000], 10_000, 12_500) == [1, 2, 2], "each of the two long runs gets 4,950 records"
    assert step_strides([100, 5000, 5000], 10_100, 12_500) == [1, 1, 1]
    assert step_strides([40_000], 50_000, 12_500) == [4] and step_strides([], 50_000, 12_500) == []
    assert step_strides([10_000] * 300, 50_000, 12_500) == [40] * 200 + [0] * 100
    assert step_strides([20] * 2000, 50_000, 12_500) == [1] * 2000
