"""Reliably detected faults are named by the right key and by no other; tests/benchmarks/bench_scoreboard.py tests all faults."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache

import pytest

from observability.monitoring.check import Reads
from observability.simulation.clean_log import CleanStream
from observability.simulation.fault_targets import FaultTargets, fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.replay import FaultScenario, ReplayLab
from tests.support.length import some
from tests.support.named_share import NamedShare
from tests.support.simulation_key import BY_LABELS, KEY, first_evidence, judged, right
from tests.support.simulation_world import credit

SEED, DAY, WEEK = 2, 3, 7
MONTH = timedelta(days=28)
RELIABLE = (
    "unit_change", "null_surge", "unseen_category", "covariate_shift", "resends", "renamed_feature", "wrong_type", "volume_drop", "errors_everywhere",
    "slow_replica", "failing_replica", "concept_drift", "miscalibration", "slow_everywhere", "default_scores", "query_burst",
)  # fmt: skip
BY_ROWS = (
    "unit_change_in_slice", "null_surge_in_group", "correlation_broken", "coarse_device", "clock_skew", "query_burst", "concept_drift_in_slice",
    "model_extraction", "boundary_search", "strange_requests", "prompt_texts", "oversized_texts",
)  # fmt: skip
"""Faults that only analyzers of raw rows name, which takes ten times as long."""
WITH_PLACE = ("null_surge_in_group", "clock_skew", "coarse_device")
"""The faults of BY_ROWS that every run checks: their finding names the group or the device."""
ON_WEEKDAY = ("unit_change_on_weekday", "concept_drift_on_weekday")
"""Faults that do not occur on the third day (tests/simulation/test_weak_faults.py)."""
DRAWS = 20
LabOf = Callable[..., ReplayLab]


def read_for(name: str) -> Reads:
    """The kinds of data read by the analyzers that detect a fault."""
    return "all" if name in BY_ROWS else "counts"


@pytest.fixture(scope="module")
def labs() -> LabOf:
    """A function that returns a lab (a simulated log for planting faults) by seed and number of days."""
    return cache(lambda seed, days=DAY: ReplayLab.of(CleanStream(credit(seed, 4000), seed=seed, past=21, days=days, rows_a_day=1500)))


@pytest.fixture(scope="module")
def lab(labs: LabOf) -> ReplayLab:
    return labs(SEED)


@pytest.fixture(scope="module")
def scene(lab: ReplayLab) -> FaultTargets:
    return fault_targets(lab.stream.base, SEED)


@pytest.mark.parametrize("name", some(RELIABLE, 2))
def test_a_fault_of_middle_strength_is_among_the_first_three_alarms(name: str, lab: ReplayLab, scene: FaultTargets) -> None:
    scenario = FaultScenario(lab.stream, scene, FAULTS[name])
    (day,) = lab.judge(scenario, read_for(name), first=DAY)
    assert judged(day, right(scenario)) in ("first", "top three"), [each.lead.because for each in day.incidents]
    other = FaultScenario(lab.stream, scene, FAULTS["time_zone_shift" if name != "time_zone_shift" else "null_surge"])
    assert judged(day, right(other)) == "missed"
    assert sum(each.severity == "act" for each in day.incidents) <= 2
    undated = [each for each in day.findings if each.severity == "act" and each.onset is None]
    assert not undated, [each.because for each in undated]
    early = [
        each
        for each in day.findings
        if each.severity == "act" and each.evidence.get("onset_known") == "dated" and each.onset < lab.stream.onset - MONTH
    ]
    assert not early, [each.because for each in early]


@pytest.mark.parametrize("name", some(WITH_PLACE, 2))
def test_a_fault_that_only_rows_show_is_named_with_its_place(name: str, lab: ReplayLab, scene: FaultTargets) -> None:
    scenario = FaultScenario(lab.stream, scene, FAULTS[name])
    assert right(scenario).place is not None
    (day,) = lab.judge(scenario, "all", first=DAY)
    assert judged(day, right(scenario)) != "missed", [each.lead.because for each in day.incidents]


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in BY_ROWS if name not in RELIABLE])
def test_a_fault_of_middle_strength_that_only_rows_show_is_named_in_nine_of_ten_labs(
    name: str, labs: LabOf, named_share: NamedShare
) -> None:
    """Any finding at the end of a week counts. The fault may be in one incident with the drift that it causes, and the drift may lead."""
    named = 0
    for seed in range(DRAWS):
        week = labs(seed, WEEK)
        scenario = FaultScenario(week.stream, fault_targets(week.stream.base, seed), FAULTS[name])
        (day,) = week.judge(scenario, "all", first=WEEK)
        named += judged(day, right(scenario)) != "missed"
    named_share(name, named, DRAWS)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in FAULTS if name in RELIABLE or name not in (*BY_ROWS, *ON_WEEKDAY)])
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_labs(
    name: str, labs: LabOf, named_share: NamedShare
) -> None:
    named = 0
    for seed in range(DRAWS):
        scenario = FaultScenario(labs(seed).stream, fault_targets(labs(seed).stream.base, seed), FAULTS[name])
        (day,) = labs(seed).judge(scenario, read_for(name), first=DAY)
        named += judged(day, right(scenario)) in ("first", "top three")
    named_share(name, named, DRAWS)


def test_nothing_is_named_where_nothing_is_planted(lab: ReplayLab, scene: FaultTargets) -> None:
    (day,) = lab.judge(FaultScenario(lab.stream, scene), "counts", first=DAY)
    assert [each.lead.because for each in day.incidents if each.severity == "act"] == []
    for name in RELIABLE:
        assert judged(day, right(FaultScenario(lab.stream, scene, FAULTS[name]))) == "missed"


def test_the_key_knows_every_fault_and_when_its_evidence_comes() -> None:
    assert KEY.keys() == FAULTS.keys()
    assert BY_LABELS < KEY.keys()
    assert first_evidence(FAULTS["tpr_gap"], 0.1, 30) == 30
    assert first_evidence(FAULTS["null_surge"], 0.1, 30) == 0
    assert [first_evidence(FAULTS["slow_ramp"], each, 0) for each in (0.05, 0.15, 0.4)] == [5, 1, 0]
