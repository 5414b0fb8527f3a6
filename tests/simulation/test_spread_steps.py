"""A long run in memory gives the same steps as the reference engine."""

import pandas as pd

from observability.simulation.memory_engine import _spread_steps
from tests.support.reference_engine import spread_steps


def test_the_steps_of_long_runs_are_those_of_the_reference() -> None:
    rows = [
        {"run": run, "step": 5 + gap * step, "rank": rank, "at": gap * step, "metrics": None}
        for run, gap, most in (("long", 10, 90), ("short", 1, 3))
        for step in range(most)
        for rank in (0, 1)
    ]
    found = _spread_steps(pd.DataFrame(rows), 1000, 40)
    expected = {(each["run"], each["step"], each["rank"], each["stride"]) for each in spread_steps(rows, 40, 1000)}
    assert set(found[["run", "step", "rank", "stride"]].itertuples(index=False, name=None)) == expected
    assert len(expected) == 36 + 2 + 6 and {stride for *_, stride in expected} == {1, 5}


def test_a_run_that_is_too_old_for_a_share_gives_its_ends_as_in_the_reference() -> None:
    rows = [
        {"run": run, "step": step, "rank": 0, "at": pd.Timestamp(day * 86_400 + step, unit="s"), "metrics": None, "content_hash": 1}
        for run, day, most in (("new", 2, 600), ("old", 1, 300))
        for step in range(most)
    ]
    found, expected = _spread_steps(pd.DataFrame(rows), 300, 1000), pd.DataFrame(spread_steps(rows, 1000, 300))
    names = ["run", "step", "at", "stride"]
    pd.testing.assert_frame_equal(found[names], expected.sort_values("at", ignore_index=True)[names], check_dtype=False)
    assert found.loc[found["run"] == "old", ["step", "stride"]].to_numpy().tolist() == [[0, 0], [299, 0]]
