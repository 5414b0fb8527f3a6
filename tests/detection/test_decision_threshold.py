"""A moved decision threshold is named with the share of decisions that differ; an unmoved threshold is not mentioned."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.settings import ModelSettings
from observability.detection.decision_threshold import threshold_claims
from observability.stats.scores import SCORE_EDGES
from tests.support.analyzer_worlds import START, context_for


def counts(first: int, last: int, threshold, *, rows: int = 500) -> pd.DataFrame:
    """Counts of the days from `first` to `last` (relative to the window's start); a row is decided positive if its score reaches
    threshold(day, score).
    """
    found = []
    for day in range(first, last):
        score = np.random.default_rng(day + 1000).beta(1, 2, rows)
        decision = (score >= threshold(day, score)).astype(int)
        place = np.searchsorted(SCORE_EDGES, score, side="right")
        for (code, where), n in pd.Series(1, index=[decision, place]).groupby(level=[0, 1]).sum().items():
            found.append(
                {"period": (START + timedelta(days=day)).replace(tzinfo=None), "score_bin": where, "decision": code, "label": -1, "n": n}
            )
    return pd.DataFrame(found)


def said(threshold, *, past: int = 56, rows: int = 500, settings: ModelSettings | None = None):
    context = context_for(None, settings=settings)
    return threshold_claims(counts(-past, 0, threshold, rows=rows), counts(0, 7, threshold, rows=rows), context)


def stepped(before: float, after: float, since: int):
    return lambda day, score: after if day >= since else before


def test_an_unchanged_threshold_gives_no_finding() -> None:
    assert said(lambda day, score: 0.3) == []
    assert said(lambda day, score: 0.3 if day % 2 else 0.3004) == [], "the thresholds differ by less than one bin of the scores"


@pytest.mark.parametrize(("after", "since"), [(0.26, 3), (0.34, 0), (0.26, -10)])
def test_the_share_of_changed_decisions_matches_a_hand_count(after: float, since: int) -> None:
    (found,) = said(stepped(0.3, after, since))
    scores = np.concatenate([np.random.default_rng(day + 1000).beta(1, 2, 500) for day in range(max(since, 0), 7)])
    low, high = sorted((0.3, after))
    exact = ((scores >= low) & (scores < high)).mean()
    assert found.severity == "watch" and found.low <= exact <= found.high and found.value == pytest.approx(exact, abs=0.01)
    assert found.subject == "score" and found.onset == START + timedelta(days=since) and found.n == scores.size
    assert (
        found.news == ("new" if since >= 0 else "ongoing")
        and f"about {after:.2g}" in found.because
        and "before it was 0.3" in found.because
    )
    assert found.evidence["threshold"] == pytest.approx(after, abs=0.006)


def test_a_large_threshold_move_needs_action_and_an_owner_limit_applies() -> None:
    assert said(stepped(0.3, 0.5, 2))[0].severity == "act"
    settings = ModelSettings(limits={"serving/performance/threshold_shift": 0.03})
    assert said(stepped(0.3, 0.26, 2), settings=settings)[0].severity == "act"
    assert said(stepped(0.3, 0.29, 2))[0].severity == "ok"


def test_days_with_different_thresholds_are_dated_to_the_first_of_them() -> None:
    (found,) = said(lambda day, score: 0.3 if day < 1 else float(np.quantile(score, 0.4)))
    assert found.onset == START + timedelta(days=1)


def test_a_change_at_noon_is_dated_to_that_day() -> None:
    def at_noon(day: int, score: np.ndarray):
        return np.where(np.arange(score.size) < 250, 0.3, 0.2) if day == 2 else 0.3 if day < 2 else 0.2

    assert said(at_noon)[0].onset == START + timedelta(days=2)


def test_decisions_without_a_single_threshold_give_no_finding() -> None:
    by_group = lambda day, score: np.where(np.arange(score.size) % 2 == 0, 0.2, 0.5)
    assert said(by_group) == []
    assert said(lambda day, score: 0.2 + 0.01 * (day % 20)) == [], "the threshold moves each day"
    assert said(stepped(0.3, 0.5, -3), past=5) == [], "the past has only five days"


def test_few_decisions_are_unknown() -> None:
    (found,) = said(stepped(0.3, 0.6, 5), rows=20)
    assert found.severity == "unknown" and "needs about 60 more predictions" in found.because
