"""Faults are planted in the rows of a table, and the real audit of the dataset names them; clean tables raise nothing."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from observability.analyzers.data import cleaning
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import needs_action
from observability.core.window import Window
from observability.simulation.faults_data_audit import COARSE_EVERY, FAULTS, FramesPlant, clean_audit
from observability.simulation.frame_replay import replay_frame_fault
from tests.support.cleaning_runs import NO_AUDITS, cleaning_frame
from tests.support.length import repeats, some

RUNS, CLEAN = repeats(2, 50), repeats(4, 300)
END = datetime(2026, 3, 9, tzinfo=UTC)
CONTEXT = Context(EVERY_MODEL, NO_VERSION, Window("", END - timedelta(days=7), END), END, 0.0143)
FRAMES = {"cleanings": cleaning_frame(0).iloc[:0], "past cleanings": cleaning_frame(0).iloc[:0], "audits": NO_AUDITS}


@pytest.mark.parametrize("name", some(list(FAULTS), 1))
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_runs(name: str) -> None:
    fault, named = FAULTS[name], 0
    for seed in range(RUNS):
        found = replay_frame_fault(FRAMES, CONTEXT, fault, seed=seed)
        named += any((each.subject, each.metric) == (found.target, fault.metric) for each in found.looks[0].alarms[:3])
        assert not any(each.severity == "act" for each in found.looks[0].twin)
    assert named >= 0.9 * RUNS, named


def test_clean_tables_raise_nothing_critical_and_hardly_any_warning() -> None:
    raised = []
    for seed in range(CLEAN):
        plant = FramesPlant(FRAMES, CONTEXT, 0.0, np.random.default_rng([seed, 83]))
        found = cleaning.analyze(FRAMES | {"audits": clean_audit(plant, coarse=seed % COARSE_EVERY == 0)}, CONTEXT)
        assert len(found) == 5
        raised += [each for each in found if needs_action(each.severity)]
    assert [each.because for each in raised if each.severity == "act"] == []
    assert len(raised) <= 0.03 * CLEAN, [each.because for each in raised]
