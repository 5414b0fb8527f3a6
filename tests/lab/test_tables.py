"""Do tables in memory give the findings that a store gives?"""

import math
from typing import Any

import pytest

from observability.lab.base import Stream
from observability.lab.faults import FAULTS
from observability.lab.replay import Lab, Scenario, by_store
from observability.lab.scene import cast
from tests.lab_world import credit

BASE = credit(reference_rows=2000)


def same(one: Any, other: Any) -> bool:
    """Equal, floats within 1e-6 of each other (sums are added in another order)."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (one != one and other != other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.parametrize(("fault", "delay"), [("clock_skew", 0), ("worse_version", 7), ("renamed_feature", 0)])
def test_both_roads_say_the_same(fault: str, delay: int) -> None:
    stream = Stream(BASE, seed=1, past=14, days=1, rows_a_day=250, label_delay=delay)
    scenario = Scenario(stream, cast(BASE, 1), FAULTS[fault])
    fast, honest = (list(road) for road in (Lab.of(stream).judge(scenario), by_store(scenario)))
    assert [day.end for day in fast] == [day.end for day in honest]
    for one, other in zip(fast, honest, strict=True):
        assert len(one.findings) > 50
        mine, theirs = ({each.id: each.to_json() for each in day.findings} for day in (one, other))
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if not same(mine[name], theirs[name])] == []
