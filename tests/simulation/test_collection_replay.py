"""Each fault of a collecting device is named at middle strength, and a clean device is silent."""

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.simulation.collection_replay import replay_device_fault
from observability.simulation.faults_collection import FAULTS
from tests.support.device_fleet import COLUMNS, device_batches
from tests.support.length import LONG


def frame(fleet: int = 4, before: int = 40, seed: int = 3) -> pd.DataFrame:
    """Batches of clean devices as the store gives them."""
    rows = pd.DataFrame(device_batches(np.random.default_rng(seed), fleet=fleet, before=before), columns=COLUMNS)
    return rows.astype({"at": "datetime64[us]", "captured_to": "datetime64[us]", "rows": "Int64", "rejected_rows": "Int64"})


@pytest.mark.parametrize("name", list(FAULTS)[:: 1 if LONG else 3])
def test_a_fault_is_named_first_at_middle_strength(name: str) -> None:
    found = replay_device_fault(frame(), FAULTS[name], seed=1)
    assert found.first_named is not None and found.first_named <= 1, found.sentence
    last = found.looks[-1]
    assert (last.alarms[0].subject, last.alarms[0].metric) == (found.target, FAULTS[name].metric)
    assert not [each.because for look in found.looks for each in look.twin if needs_action(each.severity)]


def test_what_a_fault_needs_is_said() -> None:
    with pytest.raises(UsageError, match="no device to plant stuck_sensor on"):
        replay_device_fault(frame(before=3), FAULTS["stuck_sensor"])
