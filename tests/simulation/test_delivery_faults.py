"""Deliveries that are late, short, missed or rejected are named at middle strength; clean sources raise nothing."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest

from observability.core.analyzer import Context
from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.simulation.faults_deliveries import FAULTS
from observability.simulation.frame_replay import replay_frame_fault
from tests.support.deliveries import delivered, delivery_frames
from tests.support.length import allowed, repeats, some

RUNS, CLEAN = repeats(5, 50), repeats(10, 300)


def source(seed: int) -> tuple[Mapping[str, pd.DataFrame], Context]:
    """Twelve clean weeks of a source, and one week to judge. Every other source delivers nothing at weekends."""
    return delivery_frames(delivered(np.random.default_rng([seed, 71]), range(-84, 7), skip=(5, 6) if seed % 2 else ()))


@pytest.mark.parametrize("name", some(FAULTS, 2))
def test_a_fault_of_middle_strength_is_named_in_nine_of_ten_runs(name: str) -> None:
    fault, named = FAULTS[name], 0
    for seed in range(RUNS):
        found = replay_frame_fault(*source(seed), fault, seed=seed)
        named += any((each.subject, each.metric) == (found.target, fault.metric) for each in found.looks[0].alarms[:3])
    assert named >= 0.9 * RUNS, named
    assert list(fault.amounts) == sorted(fault.amounts) and fault.description.endswith(".") and fault.section == "data"


def test_clean_sources_raise_nothing_critical_and_next_to_nothing_else() -> None:
    fault = FAULTS["short_delivery"]
    found = [each for seed in range(1000, 1000 + CLEAN) for each in replay_frame_fault(*source(seed), fault, seed=seed).looks[0].twin]
    assert found and [each.because for each in found if each.severity == "act"] == []
    assert sum(needs_action(each.severity) for each in found) <= allowed(0.03, CLEAN)


def test_planting_a_fault_without_batches_raises_an_error() -> None:
    frames, context = source(1)
    for fault in FAULTS.values():
        for lacking in ("batches", "past batches"):
            with pytest.raises(UsageError, match="no batch to plant a fault in"):
                replay_frame_fault({**frames, lacking: frames[lacking].iloc[:0]}, context, fault)
