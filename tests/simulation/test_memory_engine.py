"""Tables in memory give the same findings as a store does."""

import math
from typing import Any

import pandas as pd
import pytest

from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.findings_cache import frame_digest
from observability.simulation.replay import FaultScenario, ReplayDay, ReplayLab, replay_in_store
from observability.simulation.temporary_store import temporary_store
from tests.support.length import LONG
from tests.support.simulation_world import credit

BASE = credit(reference_rows=2000)


def same(one: Any, other: Any) -> bool:
    """Whether two results are equal, with floats within 1e-6 of each other (sums are added in another order)."""
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9) or (one != one and other != other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def replayed_in_a_store(scenario: FaultScenario) -> list[ReplayDay]:
    """The findings about the days, computed in a temporary store."""
    with temporary_store(scenario.stream.base) as store:
        return list(replay_in_store(store, scenario, lambda share, text: None))


@pytest.mark.parametrize(("fault", "delay"), [("worse_version", 7), *([("clock_skew", 0), ("renamed_feature", 0)] if LONG else [])])
def test_the_replay_in_memory_and_the_replay_in_a_store_give_the_same_findings(fault: str, delay: int) -> None:
    stream = CleanStream(BASE, seed=1, past=14, days=1, rows_a_day=250, label_delay=delay)
    scenario = FaultScenario(stream, fault_targets(BASE, 1), FAULTS[fault])
    fast, honest = (list(road) for road in (ReplayLab.of(stream).judge(scenario), replayed_in_a_store(scenario)))
    assert [day.end for day in fast] == [day.end for day in honest]
    for one, other in zip(fast, honest, strict=True):
        assert len(one.findings) > 50
        mine, theirs = ({each.id: each.to_json() for each in day.findings} for day in (one, other))
        assert mine.keys() == theirs.keys()
        assert [name for name in mine if not same(mine[name], theirs[name])] == []


def test_reused_findings_equal_newly_computed_findings() -> None:
    stream, scene = CleanStream(BASE, seed=3, past=14, days=1, rows_a_day=250), fault_targets(BASE, 3)
    lab = ReplayLab.of(stream)
    judged = {}
    for name in (None, "slow_replica", *(["null_surge"] if LONG else [])):
        scenario = FaultScenario(stream, scene, FAULTS[name] if name else None)
        before = set(lab.before.said)
        again, anew = (next(each.judge(scenario)) for each in (lab, ReplayLab.of(stream)))
        assert again == anew
        judged[name] = {key[0] for key in set(lab.before.said) - before}
    assert {"serving/drift", "serving/slices", "serving/latency", "operations/energy"} <= judged[None]
    if LONG:
        assert "serving/drift" in judged["null_surge"]
        assert "serving/latency" not in judged["null_surge"]
    assert "serving/latency" in judged["slow_replica"]
    assert "serving/drift" not in judged["slow_replica"]


def test_digests_of_frames_are_equal_only_if_every_value_is_equal() -> None:
    frame = pd.DataFrame({"n": [1, 2], "at": pd.to_datetime(["2026-01-01", None]), "text": ["a", None], "mixed": [True, None]})
    assert frame_digest(frame) == frame_digest(frame.copy())
    for name, value in (("n", 3), ("at", pd.Timestamp("2026-01-02")), ("text", "b"), ("mixed", False)):
        other = frame.copy()
        other.loc[1, name] = value
        assert frame_digest(other) != frame_digest(frame), name
    assert frame_digest(frame.rename(columns={"n": "m"})) != frame_digest(frame)
    assert frame_digest(frame.astype({"n": "float64"})) != frame_digest(frame)
