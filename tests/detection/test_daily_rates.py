"""Rates are judged by the variation between days. Changing weather raises nothing, but a rate that no past day had is found."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from observability.analyzers.data.quality import ANALYZER
from observability.core.catalog import Edges
from observability.core.finding import Finding
from observability.core.questions import NULL
from observability.detection import daily_rates
from observability.metrics.column_counts import NO_DAYS, ColumnCounts, ColumnShare, count_tables
from tests.support.analyzer_worlds import START, context_for, frames_for
from tests.support.length import allowed, repeats

A_DAY = 300


def days_of(count: int, shares: np.ndarray, rng: np.random.Generator, first: int = 0) -> pd.DataFrame:
    """Rows of some days; the gust is null in the given share of each day's rows."""
    place = np.repeat(np.arange(count), A_DAY)
    gust = np.where(rng.random(place.size) < shares[place], np.nan, rng.gamma(4, 6, place.size))
    at = pd.Timestamp(START) + pd.to_timedelta(first + place + rng.random(place.size) * 0.999, unit="D")
    gusts = pd.Series(gust, dtype=object)
    return pd.DataFrame({"at": at, "gust": gusts.where(gusts.notna(), None), "score": rng.random(place.size), "label": np.nan})


def said(now: np.ndarray, past: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> Finding:
    """The finding about null gusts, given the share of each day."""
    reference = days_of(before.size, before, rng, -400)
    context = context_for(reference.astype({"gust": float}), features=("gust",))
    current, earlier = days_of(now.size, now, rng), days_of(past.size, past, rng, -past.size)
    frames = frames_for(ANALYZER.needs(context), context, current, reference, earlier)
    return next(each for each in ANALYZER.analyze(frames, context) if (each.subject, each.metric) == ("gust", "null_rate"))


def calm(rng: np.random.Generator, days: int) -> np.ndarray:
    """Share of calm hours on each day, from a tenth to all of them."""
    return rng.beta(1.6, 0.8, days)


@pytest.mark.long  # tests/monitoring/test_false_alarms.py
def test_alternating_calm_and_windy_weeks_raise_no_critical_finding() -> None:
    rng = np.random.default_rng(1)
    weeks = repeats(20, 60)
    found = [said(calm(rng, 7), calm(rng, 28), calm(rng, 60), rng) for _ in range(weeks)]
    grew = [each for each in found if each.value - each.evidence["baseline"] > 0.05]
    assert len(grew) > weeks // 8, "judged by rows alone these weeks would be critical"
    assert [each.because for each in found if each.severity == "act"] == []
    assert sum(each.severity == "watch" for each in found) <= allowed(0.04, weeks)


def test_a_surge_above_every_past_day_is_critical_although_one_past_day_was_silent() -> None:
    rng = np.random.default_rng(2)
    quiet, silent = np.full(28, 0.02), np.full(28, 0.02)
    silent[9] = 1.0
    for past in (quiet, silent):
        assert said(np.full(7, 0.12), past, np.full(30, 0.02), rng).severity == "act"


def test_a_rate_above_the_reference_but_usual_for_past_days_is_critical_and_ongoing() -> None:
    rng = np.random.default_rng(3)
    past = np.tile([0.1, 0.5, 0.3, 0.7, 0.2, 0.6, 0.4], 4)[rng.permutation(28)]
    found = said(np.full(7, 0.5), past, np.full(60, 0.02), rng)
    assert (found.severity, found.news) == ("act", "ongoing") and found.evidence["standing"]
    assert found.value < found.evidence["varies_up_to"] < 1
    assert "expected daily range up to" in found.because


def test_days_that_vary_only_by_sampling_give_nearly_the_two_proportion_test() -> None:
    rng = np.random.default_rng(4)
    days = np.datetime64("2026-01-01") + np.arange(28)
    hits = rng.binomial(A_DAY, 0.1, 28)
    past = counts(days, hits)
    now, before = ColumnShare(280.0, 2100.0, 2100.0, 2100), ColumnShare(900.0, 9000.0, 9000.0, 9000)
    known = daily_rates.rate_variation(past.shares("null_rate", Edges()), before)
    exact = stats.chi2_contingency([[280, 1820], [900, 8100]], correction=False).pvalue
    assert exact < known.p_value(now, 7, before, 30) < 1e-3, "Student's t with 28 days has heavier tails than the exact test"


def test_p_values_are_spread_evenly_where_days_differ() -> None:
    rng, found = np.random.default_rng(5), []
    for _ in range(400):
        hits = rng.binomial(A_DAY, rng.beta(2, 6, 28 + 7 + 30))
        past = counts(np.datetime64("2026-01-01") + np.arange(28), hits[:28])
        now, before = (
            ColumnShare(float(each.sum()), each.size * 300.0, each.size * 300.0, each.size * 300) for each in (hits[28:35], hits[35:])
        )
        known = daily_rates.rate_variation(past.shares("null_rate", Edges()), before)
        found.append(known.p_value(now, 7, before, known.reference_days(before)))
    assert np.mean(np.array(found) < 0.05) == pytest.approx(0.05, abs=0.025)
    assert np.mean(np.array(found) < 0.005) < 0.015


def counts(days: np.ndarray, hits: np.ndarray) -> ColumnCounts:
    """Counts of days with A_DAY rows each, some of which are null."""
    n = np.concatenate([hits, A_DAY - hits]).astype(float)
    bins, day = np.repeat([NULL, 1], hits.size), np.tile(np.arange(hits.size), 2)
    return count_tables(days.astype("datetime64[D]"), np.zeros_like(day), day, bins, (n, n, n))[0]


def test_a_dry_week_after_wet_and_dry_days_is_not_constant_and_one_after_mixed_days_is() -> None:
    rng = np.random.default_rng(7)
    reference = rain(np.where(np.arange(60) % 5, 0.0, 0.7), rng, -400)
    context = context_for(reference, features=("rain",))
    for past, expected in ((np.where(np.arange(28) % 4, 0.0, 0.7), "ok"), (np.full(28, 0.14), "watch")):
        frames = frames_for(ANALYZER.needs(context), context, rain(np.zeros(7), rng), reference, rain(past, rng, -28))
        found = [each.severity for each in ANALYZER.analyze(frames, context) if each.metric == "constant"]
        assert (found or ["ok"]) == [expected]


def rain(shares: np.ndarray, rng: np.random.Generator, first: int = 0) -> pd.DataFrame:
    """Rows of some days; it rains in the given share of each day's rows."""
    place = np.repeat(np.arange(shares.size), A_DAY)
    fell = np.where(rng.random(place.size) < shares[place], rng.gamma(1, 0.1, place.size), 0.0)
    at = pd.Timestamp(START) + pd.to_timedelta(first + place + rng.random(place.size) * 0.999, unit="D")
    return pd.DataFrame({"at": at, "rain": fell, "score": rng.random(place.size), "label": np.nan})


def test_rates_measured_together_vary_as_they_do_separately() -> None:
    rng, days = np.random.default_rng(6), np.datetime64("2026-01-01") + np.arange(28)
    before = ColumnShare(900.0, 9000.0, 9000.0, 9000)
    known = [counts(days[:length], rng.binomial(A_DAY, 0.1, length)).shares("null_rate", Edges()) for length in (28, 9, 28, 4)]
    past = [*known, NO_DAYS]
    together = daily_rates.rate_variations([(each, before) for each in past])
    alone = [daily_rates.rate_variation(each, before) for each in past]
    assert [(each.known is None, each.chance, each.rows) for each in together] == [
        (days < 7, pytest.approx(each.chance), each.rows) for each, days in zip(alone, (28, 9, 28, 4, 0), strict=True)
    ]
    now = ColumnShare(280.0, 2100.0, 2100.0, 2100)
    p_values = [each.p_value(now, 7, before, 30) for each in together]
    assert p_values == pytest.approx([each.p_value(now, 7, before, 30) for each in alone]) and len(set(p_values[:3])) == 3
    levels = daily_rates.level_variations([(each, now, before) for each in past])
    assert [each.known and each.known.days for each in levels] == [27, 8, 27, None, None]
