"""Each fault of a collecting device is named at middle strength, and a clean device raises nothing."""

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.simulation.collection_replay import replay_device_fault
from observability.simulation.faults_collection import FAULTS
from tests.support.device_fleet import device_batches, stored_batches
from tests.support.length import LONG, repeats, some
from tests.support.named_share import NamedShare

DRAWS = repeats(3, 60)


def frame(fleet: int = 4, before: int = 40, seed: int = 3) -> pd.DataFrame:
    """Batches of clean devices, in the form in which the store returns them."""
    return stored_batches(device_batches(np.random.default_rng(seed), fleet=fleet, before=before))


@pytest.fixture(scope="module")
def fleets() -> list[pd.DataFrame]:
    return [frame(seed=seed) for seed in range(DRAWS)]


@pytest.mark.parametrize("name", list(FAULTS) if LONG else ["miscalibrated_sensor"])
def test_a_fault_of_middle_strength_is_the_first_alarm(name: str) -> None:
    found = replay_device_fault(frame(), FAULTS[name], seed=1)
    assert found.first_named is not None and found.first_named <= 1, found.sentence
    last = found.looks[-1]
    assert (last.alarms[0].subject, last.alarms[0].metric) == (found.target, FAULTS[name].metric)
    assert not [each.because for look in found.looks for each in look.twin if needs_action(each.severity)]


@pytest.mark.parametrize("name", some(FAULTS, 2))
def test_a_fault_of_middle_strength_is_the_first_alarm_in_nine_of_ten_fleets(
    fleets: list[pd.DataFrame], named_share: NamedShare, name: str
) -> None:
    named = 0
    for seed, clean in enumerate(fleets):
        (last,) = (found := replay_device_fault(clean, FAULTS[name], seed=seed, looks=1)).looks
        named += [(each.subject, each.metric) for each in last.alarms[:1]] == [(found.target, FAULTS[name].metric)]
    named_share(name, named, DRAWS)


def test_planting_a_fault_without_a_suitable_device_raises_an_error() -> None:
    with pytest.raises(UsageError, match="no device to plant stuck_sensor on"):
        replay_device_fault(frame(before=3), FAULTS["stuck_sensor"])
