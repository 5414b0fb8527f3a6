"""Faults of a form (a variant of a model) are planted in an audit, and the analyzer names them."""

import numpy as np
import pytest

from observability.core.errors import UsageError
from observability.simulation.faults_forms import FAULTS
from observability.simulation.form_replay import replay_form_fault
from tests.support.form_audits import audit_row, clean_form, form_audits
from tests.support.length import some
from tests.support.named_share import NamedShare

RUNS = 30


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_audits(named_share: NamedShare, name: str) -> None:
    named = 0
    for seed in range(RUNS):
        audits = form_audits([audit_row([clean_form(np.random.default_rng(seed), "int8")])])
        found = replay_form_fault(audits, FAULTS[name], "middle", seed)
        named += (found.target, FAULTS[name].metric) in [(each.subject, each.metric) for each in found.looks[0].alarms[:3]]
    named_share(name, named, RUNS)


def test_without_a_second_form_no_form_fault_can_be_planted() -> None:
    with pytest.raises(UsageError, match="no form to plant"):
        replay_form_fault(form_audits([audit_row([])]), FAULTS["lossy_form"])
