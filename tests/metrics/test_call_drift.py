"""Drift of calls: the PSI is that of the counts by hand, a moved column is named, quiet months are quiet, too few calls say nothing."""

import numpy as np
import pandas as pd
import pytest

from observability.metrics.call_drift import call_drifts
from observability.stats.distance import psi
from tests.support.length import repeats

COLUMNS = ("feature.tokens", "feature.operation")


def calls(rng: np.random.Generator, days: int, a_day: int = 100, scale: float = 1.0, chat: float = 0.7) -> pd.DataFrame:
    n = days * a_day
    at = pd.Timestamp("2026-03-02") + pd.to_timedelta(np.repeat(np.arange(days), a_day), unit="D")
    operation = np.where(rng.random(n) < chat, "chat", "embeddings")
    return pd.DataFrame({"at": at, "feature.tokens": scale * rng.lognormal(4, 1, n), "feature.operation": operation})


def test_the_psi_is_that_of_the_counts_by_hand() -> None:
    rng = np.random.default_rng(1)
    before, now = calls(rng, 28), calls(rng, 7, chat=0.3)
    found = {each.column: each for each in call_drifts(now, before, COLUMNS)}
    sides = [[int((side["feature.operation"] == name).sum()) for name in ("chat", "embeddings")] for side in (before, now)]
    operation = found["operation"]
    assert operation.psi == pytest.approx(psi(*sides), rel=1e-6) and operation.moved and operation.level == "chat"
    assert (operation.before, operation.now) == pytest.approx((sides[0][0] / 2800, sides[1][0] / 700))
    assert not found["tokens"].moved and found["tokens"].before == pytest.approx(before["feature.tokens"].mean())


def test_quiet_months_are_quiet_and_longer_prompts_are_named() -> None:
    runs, moved = repeats(20, 300), 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        before = calls(rng, 28)
        assert not [each for each in call_drifts(calls(rng, 7), before, COLUMNS) if each.moved]
        moved += call_drifts(calls(rng, 7, scale=1.6), before, COLUMNS)[0].moved
    assert moved >= 0.9 * runs


def test_missing_values_count_and_too_few_calls_say_nothing() -> None:
    rng = np.random.default_rng(3)
    before, now = calls(rng, 28), calls(rng, 7)
    now["feature.tokens"] = now["feature.tokens"].astype(object).mask(rng.random(len(now)) < 0.3, None)
    assert call_drifts(now, before, COLUMNS)[0].moved
    assert call_drifts(now.head(50), before, COLUMNS) == call_drifts(now, before.head(600), COLUMNS) == []
