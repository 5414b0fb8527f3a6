"""Detection of faults at weak strength, of faults on one weekday, and of faults in a column in which nine of ten rows have one value."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from observability.core.catalog import Column
from observability.simulation.clean_log import DAY, CleanStream, SimulationBase
from observability.simulation.fault import Strength
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.log_rows import LogRows
from observability.simulation.replay import FaultScenario, ReplayDay, ReplayLab
from tests.support.length import some
from tests.support.named_share import RECORDED, NamedShare, surely_below
from tests.support.simulation_key import judged, right
from tests.support.simulation_world import credit

WEAK = ("covariate_shift", "outliers", "threshold_changed", "tpr_gap")
SPARSE = ("unit_change", "null_surge", "covariate_shift", "outliers", "sign_flip", "slow_ramp")
ON_WEEKDAY = ("unit_change_on_weekday", "concept_drift_on_weekday")
SEED, WEEK, DRAWS, BONUS = 5, 7, 20, "feature.bonus"
LabOf = Callable[..., ReplayLab]


def plain_credit(seed: int) -> SimulationBase:
    """The synthetic log with a reference of 4,000 rows."""
    return credit(seed, 4000)


def sparse_credit(seed: int) -> SimulationBase:
    """The synthetic log with one more number, which is 0 in nine of ten rows."""
    base = credit(seed, 4000)

    def with_bonus(rng: np.random.Generator, rows: LogRows) -> LogRows:
        paid = rng.random(len(rows)) < 0.1
        return rows.put({BONUS: np.where(paid, np.round(rng.lognormal(6, 0.5, len(rows)), 2), 0.0)})

    def draw(rng: np.random.Generator, size: int) -> LogRows:
        assert base.draw is not None
        return with_bonus(rng, base.draw(rng, size))

    rng = np.random.default_rng([seed, 5])
    columns = (*base.columns, Column(len(base.columns) + 1, "bonus", f"f{len(base.columns) + 1}", "number"))
    return replace(base, columns=columns, reference=with_bonus(rng, base.reference), pool=with_bonus(rng, base.pool), draw=draw)


@pytest.fixture(scope="module")
def labs() -> LabOf:
    """A function that returns a lab (a simulated log for planting faults) for a base and a seed."""
    return cache(lambda of, seed: ReplayLab.of(CleanStream(of(seed), seed=seed, past=21, days=WEEK + 1, rows_a_day=2000)))


def week_of(
    lab: ReplayLab, name: str, strength: Strength, *, number: str | None = None, last: int = WEEK
) -> tuple[ReplayDay, FaultScenario]:
    """The findings as of the end of a day, and the scenario. number: the feature that the fault changes; by default the seed chooses it."""
    scene = fault_targets(lab.stream.base, lab.stream.seed)
    scene = replace(scene, number=number) if number else scene
    scenario = FaultScenario(lab.stream, scene, FAULTS[name], strength)
    return next(lab.judge(scenario, "counts", first=last)), scenario


@pytest.mark.parametrize("name", ON_WEEKDAY)
def test_a_fault_of_one_weekday_is_named_on_that_day_and_a_week_later(name: str, labs: LabOf) -> None:
    """Only the last day of each window has the fault, so a check of the whole week alone would miss it."""
    for last in (1, WEEK + 1):
        day, scenario = week_of(labs(plain_credit, SEED), name, "middle", last=last)
        assert judged(day, right(scenario)) in ("first", "top three"), [each.lead.because for each in day.incidents]
        onsets = {each.onset for each in day.findings if right(scenario).holds(each)}
        assert scenario.stream.onset + (last - 1) * DAY in onsets


@pytest.mark.parametrize("name", some(WEAK, 2))
def test_a_weak_fault_is_named(name: str, labs: LabOf) -> None:
    day, scenario = week_of(labs(plain_credit, SEED), name, "weak")
    assert judged(day, right(scenario)) in ("first", "top three"), [each.lead.because for each in day.incidents]


@pytest.mark.parametrize(
    ("name", "strength"), some([*((name, "middle") for name in SPARSE), ("null_surge", "weak"), ("covariate_shift", "weak")], 3)
)
def test_a_fault_of_a_column_that_is_nearly_always_zero_is_named(name: str, strength: Strength, labs: LabOf) -> None:
    day, scenario = week_of(labs(sparse_credit, SEED), name, strength, number=BONUS)
    assert judged(day, right(scenario)) in ("first", "top three"), [each.lead.because for each in day.incidents]


def test_a_column_that_is_nearly_always_zero_is_quiet_without_a_fault(labs: LabOf) -> None:
    lab = labs(sparse_credit, SEED)
    day = next(lab.judge(FaultScenario(lab.stream, fault_targets(lab.stream.base, SEED)), "counts", first=WEEK))
    assert [each.because for each in day.alarms] == []


@pytest.mark.long
@pytest.mark.parametrize("name", WEAK)
def test_weak_faults_are_not_surely_missed_in_more_than_half_of_the_draws(
    name: str, labs: LabOf, record_property: Callable[[str, object], None]
) -> None:
    """The effect is at the limit or slightly above, so chance decides whether it is named."""
    named = 0
    for seed in range(DRAWS):
        day, scenario = week_of(labs(plain_credit, seed), name, "weak")
        named += judged(day, right(scenario)) != "missed"
    record_property(RECORDED, f"{name} weak {named} of {DRAWS}")
    assert not surely_below(named, DRAWS, 0.5), named


@pytest.mark.long
@pytest.mark.parametrize("name", ON_WEEKDAY)
def test_a_fault_of_one_weekday_is_named_in_nine_of_ten_draws(name: str, labs: LabOf, named_share: NamedShare) -> None:
    named = 0
    for seed in range(DRAWS):
        day, scenario = week_of(labs(plain_credit, seed), name, "middle", last=1)
        named += judged(day, right(scenario)) in ("first", "top three")
    named_share(name, named, DRAWS)
