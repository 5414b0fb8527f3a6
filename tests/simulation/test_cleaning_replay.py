"""Faults of cleaning rules are planted in a rule's own runs, and they are named; a rule without faults raises nothing."""

import numpy as np
import pytest

from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.simulation.cleaning_replay import replay_cleaning_fault
from observability.simulation.faults_cleaning import FAULTS
from tests.support.cleaning_runs import cleaning_frame
from tests.support.length import repeats, some
from tests.support.named_share import NamedShare

DRAWS = repeats(2, 40)


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_rules(named_share: NamedShare, name: str) -> None:
    named = planted = 0
    for seed in range(DRAWS):
        runs = cleaning_frame(seed)
        try:
            found = replay_cleaning_fault(runs, FAULTS[name], "middle", seed)
        except UsageError:  # a fault is planted only where the clean rule raises nothing
            continue
        first = {(each.subject, each.metric, each.slice or "") for each in found.looks[0].alarms[:3]}
        planted, named = planted + 1, named + ((found.target, FAULTS[name].metric, found.detail) in first)
        assert not any(needs_action(each.severity) for each in found.looks[0].twin)
    assert planted >= 0.9 * DRAWS, planted
    named_share(name, named, planted)


def test_a_fault_that_needs_a_past_cannot_be_planted_on_a_rule_without_one() -> None:
    with pytest.raises(UsageError, match="no cleaning rule to plant group_lost on"):
        replay_cleaning_fault(cleaning_frame(1, days=7), FAULTS["group_lost"])


def test_the_amounts_of_a_fault_rise_from_weak_to_strong() -> None:
    assert all(np.all(np.diff(fault.amounts) > 0) for fault in FAULTS.values())
