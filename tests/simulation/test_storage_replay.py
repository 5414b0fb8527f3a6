"""Each fault of a storage place (a folder or bucket) is named at middle strength; a place without a fault raises nothing."""

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.simulation.faults_storage import FAULTS
from observability.simulation.storage_replay import replay_storage_fault
from tests.support.length import repeats, some
from tests.support.named_share import NamedShare
from tests.support.storage_reports import PLACES, place_reports, storage_frame

RUNS = repeats(2, 20)


@pytest.fixture(scope="module")
def weeks() -> list[pd.DataFrame]:
    return [storage_frame(place_reports(np.random.default_rng([seed, 11]), PLACES[seed % 3])) for seed in range(RUNS)]


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_weeks(
    name: str, weeks: list[pd.DataFrame], named_share: NamedShare
) -> None:
    fault, named = FAULTS[name], 0
    for seed, frame in enumerate(weeks):
        found = replay_storage_fault(frame, fault, "middle", seed)
        named += any((each.subject, each.metric) == (found.target, fault.metric) for look in found.looks for each in look.alarms[:3])
        assert not [each.because for look in found.looks for each in look.twin if each.severity == "act"]
    named_share(name, named, RUNS)


def test_a_fault_can_be_planted_only_where_the_reports_hold_what_it_changes() -> None:
    with pytest.raises(UsageError, match="no place to plant bad_blocks on"):
        replay_storage_fault(storage_frame([]), FAULTS["bad_blocks"])
    rows = [each | {"checked": None} for each in place_reports(np.random.default_rng(1))]
    with pytest.raises(UsageError, match="with checked, corrupt"):
        replay_storage_fault(storage_frame(rows), FAULTS["bad_blocks"])
