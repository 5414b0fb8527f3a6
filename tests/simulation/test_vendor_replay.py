"""Each fault of a vendor is named at middle strength, and the twin without it is silent."""

from dataclasses import replace

import pytest

from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.detection.probe_claims import SHIFT
from observability.simulation.faults_vendors import FAULTS
from observability.simulation.vendor_replay import replay_vendor_fault
from tests.support.length import LONG, repeats, some
from tests.support.named_share import NamedShare
from tests.support.vendor_nights import VendorNights

ROWS = VendorNights(20, noise=0.01, seed=2).rows()
PRICES = VendorNights(20, numbers=0.01, seed=2)
DRAWS = repeats(2, 20)


@pytest.mark.parametrize("name", list(FAULTS) if LONG else list(FAULTS)[:1])
def test_a_fault_of_a_vendor_is_named_at_middle_strength(name: str) -> None:
    rows = PRICES.rows() if FAULTS[name].metric == SHIFT else ROWS
    found = replay_vendor_fault(rows, FAULTS[name], seed=1)
    assert found.first_named == 0, found.sentence
    assert FAULTS[name].metric in {each.metric for each in found.looks[0].alarms}
    assert not [each.because for look in found.looks for each in look.twin if needs_action(each.severity)]


@pytest.fixture(scope="module")
def vendors() -> list[VendorNights]:
    return [VendorNights(20, noise=0.02, seed=seed) for seed in range(10, 10 + DRAWS)]


@pytest.mark.parametrize("name", some(FAULTS, 2))
def test_a_middle_fault_is_named_in_nine_of_ten_sets(vendors: list[VendorNights], named_share: NamedShare, name: str) -> None:
    named = 0
    for seed, nights in enumerate(vendors):
        asked = replace(nights, numbers=0.01) if FAULTS[name].metric == SHIFT else nights
        found = replay_vendor_fault(asked.rows(), FAULTS[name], seed=seed)
        named += (found.target, FAULTS[name].metric) in [(each.subject, each.metric) for each in found.looks[0].alarms[:3]]
    named_share(name, named, DRAWS)


def test_a_set_that_changed_already_is_replayed_before_its_change() -> None:
    rows = VendorNights(24, changed=12, from_night=19, seed=2).rows()
    assert replay_vendor_fault(rows, FAULTS["silent_answer_change"]).first_named == 0


def test_too_few_rounds_are_said() -> None:
    with pytest.raises(UsageError, match="no vendor to plant vendor_fails on"):
        replay_vendor_fault(VendorNights(5).rows(), FAULTS["vendor_fails"])
