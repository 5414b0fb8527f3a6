"""serving/call_drift names faults of a language model's calls at middle strength, and raises nothing in weeks without them."""

import pytest

from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.simulation.faults_calls import FAULTS
from observability.simulation.frame_replay import replay_frame_fault
from tests.support.length import allowed, repeats, some
from tests.support.model_calls import drift_findings, frames_of
from tests.support.named_share import NamedShare

RUNS, CLEAN = repeats(3, 50), repeats(6, 300)


@pytest.mark.parametrize("name", some(list(FAULTS), 2))
def test_a_fault_of_middle_strength_is_in_the_first_three_alarms_in_nine_of_ten_draws(named_share: NamedShare, name: str) -> None:
    named = 0
    for seed in range(RUNS):
        found = replay_frame_fault(*frames_of(seed), FAULTS[name], seed=seed)
        named += (found.target, FAULTS[name].metric) in [(each.subject, each.metric) for each in found.looks[0].alarms[:3]]
    named_share(name, named, RUNS)


@pytest.mark.parametrize(("a_day", "variation"), some([(100, 0.1), (25, 0.0), (300, 0.1), (100, 0.15), (100, 0.2), (100, 0.3)], 1))
def test_weeks_without_a_fault_raise_nothing_critical_and_hardly_any_warning(a_day: int, variation: float) -> None:
    """The weeks vary only by chance, or by a tenth to three tenths more, with many calls and with few."""
    weeks = [list(drift_findings(frames_of(seed, a_day, variation)[0]).values()) for seed in range(1000, 1000 + CLEAN)]
    assert [each.because for found in weeks for each in found if each.severity == "act"] == []
    assert sum(any(needs_action(each.severity) for each in found) for found in weeks) <= allowed(0.03, CLEAN)


def test_weeks_of_a_number_that_varies_more_than_the_other_raise_nothing_critical() -> None:
    """From week to week, the length of questions varies by three tenths, and the length of answers by a twentieth."""
    weeks = [list(drift_findings(frames_of(seed, 100, 0.05, restless=0.3)[0]).values()) for seed in range(1000, 1000 + CLEAN)]
    assert [each.because for found in weeks for each in found if each.severity == "act"] == []
    assert sum(any(needs_action(each.severity) for each in found) for found in weeks) <= allowed(0.03, CLEAN)


def test_a_number_whose_weeks_were_calm_by_chance_is_judged_by_those_of_the_other_number() -> None:
    """Regression: in two draws, weeks vary by a fifth. Four weeks had questions of similar length by chance, so the fifth week was
    critical.
    """
    for seed in (1249, 1327):
        found = drift_findings(frames_of(seed, 100, 0.2, weeks=4)[0])
        assert [each.because for each in found.values() if each.needs_action] == []


def test_an_unusual_week_of_answers_does_not_hide_longer_questions() -> None:
    """Regression: in three draws, one week of the answers, the most unusual of all numeric columns, also set the limit for the
    questions.
    """
    for seed in (35, 42, 48):
        found = replay_frame_fault(*frames_of(seed), FAULTS["longer_questions"], seed=seed)
        assert "input_tokens" in {each.subject for each in found.looks[0].alarms}


def test_planting_a_fault_without_calls_raises_an_error() -> None:
    frames, context = frames_of(1)
    for fault in FAULTS.values():
        with pytest.raises(UsageError, match="no calls to plant a fault in"):
            replay_frame_fault({name: frame.iloc[:0] for name, frame in frames.items()}, context, fault)
