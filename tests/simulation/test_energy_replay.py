"""Faults in the energy of training are planted in a simulated month, and named. The month without them raises nothing."""

import numpy as np
import pytest

from observability.simulation.energy_replay import replay_energy_fault, training_energy_findings
from observability.simulation.energy_world import simulated_energy
from observability.simulation.faults_energy import FAULTS
from tests.support.length import repeats, some
from tests.support.named_share import NamedShare

DRAWS, MONTHS = repeats(2, 40), repeats(5, 300)


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_the_first_alarm_in_nine_of_ten_months(named_share: NamedShare, name: str) -> None:
    found = [replay_energy_fault(FAULTS[name], "middle", seed) for seed in range(DRAWS)]
    first = [[(alarm.subject, alarm.metric) for alarm in each.looks[0].alarms[:1]] for each in found]
    named_share(name, sum(each == [(of.target, FAULTS[name].metric)] for each, of in zip(first, found, strict=True)), DRAWS)


def test_clean_months_raise_nothing_critical_and_next_to_nothing_else() -> None:
    raised = [each for seed in range(MONTHS) for each in training_energy_findings(simulated_energy(1000 + seed)) if each.needs_action]
    assert [each.because for each in raised if each.severity == "act"] == [] and len(raised) <= 0.03 * MONTHS, len(raised)


def test_the_amounts_of_a_fault_rise_from_weak_to_strong() -> None:
    assert all(np.all(np.diff(fault.amounts) > 0) for fault in FAULTS.values())
