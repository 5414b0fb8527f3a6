"""Each fault of a vendor is named at middle strength, and the twin without it is silent."""

import pytest

from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.simulation.faults_vendors import FAULTS
from observability.simulation.vendor_replay import replay_vendor_fault
from tests.support.vendor_nights import VendorNights

ROWS = VendorNights(20, noise=0.01, seed=2).rows()


@pytest.mark.parametrize("name", list(FAULTS))
def test_a_fault_of_a_vendor_is_named_at_middle_strength(name: str) -> None:
    found = replay_vendor_fault(ROWS, FAULTS[name], seed=1)
    assert found.first_named == 0, found.sentence
    assert FAULTS[name].metric in {each.metric for each in found.looks[0].alarms}
    assert not [each.because for look in found.looks for each in look.twin if needs_action(each.severity)]


def test_a_set_that_changed_already_is_replayed_before_its_change() -> None:
    rows = VendorNights(24, changed=12, from_night=19, seed=2).rows()
    assert replay_vendor_fault(rows, FAULTS["silent_answer_change"]).first_named == 0


def test_too_few_rounds_are_said() -> None:
    with pytest.raises(UsageError, match="no vendor to plant vendor_fails on"):
        replay_vendor_fault(VendorNights(5).rows(), FAULTS["vendor_fails"])
