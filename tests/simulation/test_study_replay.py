"""Each fault of a study is named at middle strength; its amounts grow with the strength; without a study no fault can be planted."""

import numpy as np
import pytest

from observability.core.errors import UsageError
from observability.metrics.training_curves import TrainingRun
from observability.simulation.faults_studies import FAULTS
from observability.simulation.study_replay import replay_study_fault
from tests.support.length import repeats, some
from tests.support.named_share import NamedShare
from tests.support.simulated_studies import simulated_study

RUNS = repeats(5, 60)


@pytest.fixture(scope="module")
def searches() -> list[list[TrainingRun]]:
    return [simulated_study(np.random.default_rng([seed, 17]), trials=80) for seed in range(RUNS)]


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_searches(
    name: str, searches: list[list[TrainingRun]], named_share: NamedShare
) -> None:
    fault, named, planted = FAULTS[name], 0, 0
    for seed, runs in enumerate(searches):
        try:
            found = replay_study_fault(runs, fault, "middle", seed)
        except UsageError:
            continue
        planted += 1
        named += any((each.subject, each.metric) == (found.target, fault.metric) for look in found.looks for each in look.alarms[:3])
    assert planted >= 0.7 * RUNS, planted
    named_share(name, named, planted)


def test_fault_amounts_grow_with_strength_and_no_fault_can_be_planted_without_a_study() -> None:
    assert all(np.all(np.diff(fault.amounts) > 0) for fault in FAULTS.values())
    with pytest.raises(UsageError, match="no study to plant best_pruned"):
        replay_study_fault([], FAULTS["best_pruned"])
