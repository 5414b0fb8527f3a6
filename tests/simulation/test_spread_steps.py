"""A long run in memory gives the steps that the reference engine gives."""

import pandas as pd

from observability.simulation.memory_engine import _spread_steps
from tests.support.reference_engine import spread_steps


def test_the_steps_of_long_runs_are_those_of_the_reference() -> None:
    rows = [
        {"run": run, "step": 5 + gap * step, "rank": rank}
        for run, gap, most in (("long", 10, 90), ("short", 1, 3))
        for step in range(most)
        for rank in (0, 1)
    ]
    found = _spread_steps(pd.DataFrame(rows), 40)
    chosen = found[found["chosen"]]
    expected = {(each["run"], each["step"], each["rank"], each["stride"]) for each in spread_steps(rows, 40)}
    assert set(chosen[["run", "step", "rank", "stride"]].itertuples(index=False, name=None)) == expected
    assert len(expected) == 36 + 6 and {stride for *_, stride in expected} == {1, 5}
