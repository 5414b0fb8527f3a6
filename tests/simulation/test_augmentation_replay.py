"""Faults of an augmentation are planted in an audit, and its analyzer names them."""

import numpy as np
import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.metrics.augmentation import AugmentationAudit, augmentation_audits
from observability.simulation.augmentation_replay import replay_augmentation_fault
from observability.simulation.faults_augmentation import FAULTS
from tests.support.augmentation_audits import audit_row, simulated_audit
from tests.support.length import some
from tests.support.named_share import NamedShare

RUNS = 20


@pytest.fixture(scope="module")
def audits() -> list[AugmentationAudit]:
    """Clean audits, each of a different augmentation."""
    rows = [simulated_audit(seed, rows=1500) for seed in range(6)]
    named = [audit_row(row["results"], augmentation=f"jitter {place}") for place, row in enumerate(rows)]
    return augmentation_audits(pd.DataFrame(named))


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_audits(
    name: str, audits: list[AugmentationAudit], named_share: NamedShare
) -> None:
    named = 0
    for seed in range(RUNS):
        found = replay_augmentation_fault(audits, FAULTS[name], "middle", seed)
        metrics = {each.metric for look in found.looks for each in look.alarms[:3] if each.subject == found.target}
        named += FAULTS[name].metric in metrics
    named_share(name, named, RUNS)


def test_a_harmed_group_is_named_by_its_slice(audits: list[AugmentationAudit]) -> None:
    found = replay_augmentation_fault(audits, FAULTS["augmentation_harms_a_group"], "strong", 1)
    slices = {each.slice for look in found.looks for each in look.alarms if each.metric == "augmentation_slice_gain"}
    assert slices == {"=".join(found.detail.split(" ", 1))}


def test_without_an_augmentation_audit_no_fault_can_be_planted() -> None:
    with pytest.raises(UsageError, match="no audit to plant"):
        replay_augmentation_fault([], FAULTS["augmentation_harms_a_group"])


def test_the_amounts_of_a_fault_rise_from_weak_to_strong() -> None:
    assert all(np.all(np.diff(fault.amounts) > 0) for fault in FAULTS.values())
