"""Checks the values of a column: missing, of another type, of unseen categories, or out of range."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.core.analyzer import DAYS_DRAWN, Context
from observability.core.catalog import Edges
from observability.core.finding import Against, Finding, Severity
from observability.core.numerals import format_figure
from observability.core.standing_since import StandingSince
from observability.detection.daily_rates import RateVariation, days_of, level_variations, rate_variations
from observability.detection.days_beyond import days_beyond_of_series
from observability.detection.onset import OnsetEstimate, estimate_onsets
from observability.detection.shared_days import (
    ROWS_A_DAY,
    hit_as_wholes,
    rows_a_day_if_shared,
    whole_day_p_value,
)
from observability.detection.significant_claims import (
    PAST_DAYS,
    QualityClaim,
    by_size,
    quality_limits,
    quality_percent,
    rounded_count,
    undecided_quality,
    weight_of,
)
from observability.detection.unit_changes import MOSTLY, UnitChange, change_of_all_days, change_of_some_days, usual_values
from observability.metrics.column_counts import NO_DAYS, ColumnCounts, ColumnShare, DailyShares, DailySums, column_checks
from observability.records.values import EXACT
from observability.stats.change import needed_n_for_proportion
from observability.stats.interval import Interval, rate_intervals

WATCH, ACT = 0.02, 0.05
"""Growth of a rate for `watch` (2 points, from which imputation begins to affect a model's errors) and for `act` (5 points, the change that
matters). The setting `limits` overrides the limit for `act`.
"""
WATCH_RANGE = 0.01
"""Growth of the rate outside the reference's range for `watch`. The model has not seen such values, so even one in a hundred matters. With
a limit of one in two hundred, the natural tails of the sample's columns would be reported.
"""
MINIMUM_ROWS = 100
"""A rate is judged if the window and the baseline each have at least this many rows."""
PAST_LEAST = 14
"""Minimum number of past days for recognizing that a rate existed before the window."""
TIMES = (2, 3, 4, 6, 8, 12)
"""If a rate is beyond its limit but not significant, its significance is predicted for windows that are longer by these factors."""
SURER = 0.1
"""The p-value of a longer window must reach this part of the false-discovery budget, because other claims share the budget."""
MIN_PAST = 5
"""Minimum number of past days for estimating the usual rate before an onset. With fewer days, the baseline is used."""
NEVER = 0.005
"""If the reference's rate is at most this, whole days with a fault do not count as a usual pattern of days."""
SAID = {
    "null_rate": "null",
    "nan_rate": "NaN",
    "absent_rate": "absent",
    "wrong_type_rate": "of another type",
    "unseen_rate": "a category that the reference never had",
    "out_of_range_rate": "outside the reference's range",
}


@dataclass(frozen=True)
class CheckedColumn:
    """One column in the window and in the baseline.

    subject: name of the column in findings. feature: False for the score. baseline: "reference" or "past". past: the month before the
    window by day, None if it was not queried or is empty. sums: sums of a number by day of the window, None if they were not queried.
    """

    reference: str
    subject: str
    kind: str
    feature: bool
    edges: Edges
    now: ColumnCounts
    before: ColumnCounts
    baseline: Against
    past: ColumnCounts | None = None
    sums: DailySums | None = None

    @property
    def text(self) -> str:
        """The column in words, for the start of a sentence."""
        return f"`{self.subject}`" if self.feature else "The score"

    @property
    def checks(self) -> tuple[str, ...]:
        """The rates that are tested. Without a reference, ranges and categories are unknown and their rates are left out."""
        known = column_checks(self.kind, self.edges, feature=self.feature)
        return known if self.baseline == "reference" else tuple(each for each in known if each not in ("unseen_rate", "out_of_range_rate"))

    @cached_property
    def rates(self) -> dict[str, tuple[ColumnShare, ColumnShare]]:
        """Each tested rate, in the window and in the baseline."""
        return {metric: (self.now.share(metric, self.edges), self.before.share(metric, self.edges)) for metric in self.checks}

    @cached_property
    def unit_change(self) -> UnitChange | None:
        """The factor between the values of a number and the reference, on all days if most values are out of range, else on the days that
        changed. None if there is no such factor.
        """
        mostly = self.rates["out_of_range_rate"][0].value >= MOSTLY
        return (change_of_all_days if mostly else change_of_some_days)(usual_values(self.before, self.edges), self.sums)

    def past_days(self, metric: str) -> DailyShares:
        """Return the rate on each day of the past month. Empty if the past was not queried."""
        return NO_DAYS if self.past is None else self.past.shares(metric, self.edges)


@dataclass(frozen=True)
class ComparedRate:
    """A rate of a column that is above 0 in the window or in the baseline, with its days in the past month and in the window."""

    column: CheckedColumn
    metric: str
    now: ColumnShare
    before: ColumnShare
    past_days: DailyShares
    each_day: DailyShares

    @cached_property
    def days(self) -> DailyShares:
        """The rate on each day of the past month and of the window."""
        return self.past_days.then(self.each_day)


def rate_claims(columns: Sequence[CheckedColumn], context: Context) -> list[list[QualityClaim]]:
    """Return, for each column, a claim for each rate that is above 0 in the window or in the baseline. A rate that is 0 in both cannot have
    grown and is not tested.
    """
    tested = [
        [
            ComparedRate(column, metric, now, before, column.past_days(metric), column.now.shares(metric, column.edges))
            for metric, (now, before) in column.rates.items()
            if now.hits + before.hits != 0 and min(now.n, before.n) >= MINIMUM_ROWS
        ]
        for column in columns
    ]
    rates = [rate for of_column in tested for rate in of_column]
    own = rate_variations([(rate.past_days, rate.before) for rate in rates])
    levels = iter(level_variations([(rate.days, rate.now, rate.before) for rate in rates if rate.column.baseline == "reference"]))
    judged = [
        judged_rate(rate, varies, next(levels) if rate.column.baseline == "reference" else varies, context)
        for rate, varies in zip(rates, own, strict=True)
    ]
    sides = [rate.now for rate in rates]
    around = rate_intervals([side.hits for side in sides], [side.total for side in sides], [side.squares for side in sides])
    dates = value_dates(judged, context)
    claims = iter([value_rate_claim(*each, context) for each in zip(judged, around, dates, strict=True)])
    return [[next(claims) for _ in of_column] for of_column in tested]


@dataclass(frozen=True)
class JudgedRate:
    """One rate with the severity that follows from its size.

    limits: for `watch` and `act`. growth: since the baseline. past: the rate of the month before the window, None if unknown. up_to: the
    upper limit of the rate's daily range, None if unknown. usual_growth: whether the growth since that month is small. standing: whether
    that month had the growth too. tests: the variations between days with which the growth is tested.
    """

    rate: ComparedRate
    limits: tuple[float, float]
    growth: float
    past: ColumnShare | None
    up_to: float | None
    usual_growth: bool
    standing: bool
    severity: Severity
    tests: tuple[RateVariation, ...]


def judged_rate(rate: ComparedRate, own: RateVariation, level: RateVariation, context: Context) -> JudgedRate:
    """Judge the growth of one rate by its size.

    The severity depends on the growth since the baseline, regardless of how long it has lasted. A rate is standing if the month before the
    window had it too. own: the variation between all days of the past; level: the variation between consecutive days.
    """
    column, metric, now = rate.column, rate.metric, rate.now
    at = quality_limits(context, metric, WATCH_RANGE if metric == "out_of_range_rate" else WATCH, ACT)
    growth = now.value - rate.before.value
    past = usual_rate(column, metric)
    usual_growth = by_size(growth if past is None else now.value - past.value, at) == "ok"
    up_to = None if past is None or column.past is None else own.up_to(now, days_of(column.now), past, days_of(column.past))
    severity = by_size(growth, at)
    standing = past is not None and severity != "ok" and (usual_growth or (up_to is not None and now.value <= up_to))
    return JudgedRate(rate, at, growth, past, up_to, usual_growth, standing, severity, (level,) if standing else (level, own))


def value_dates(judged: Sequence[JudgedRate], context: Context) -> list[tuple[OnsetEstimate | None, dict[str, Any]]]:
    """Return, for each rate, its onset and the evidence of its dates. The onset is None if the rate is standing or has not grown."""
    found: list[tuple[OnsetEstimate | None, dict[str, Any]]] = [(None, {})] * len(judged)
    grown = [place for place, each in enumerate(judged) if each.severity != "ok" and not each.standing]
    for place, when in zip(grown, value_onsets([judged[place].rate for place in grown], context), strict=True):
        found[place] = when, when.evidence
    stands = [place for place, each in enumerate(judged) if each.severity != "ok" and each.standing]
    for place, since in zip(stands, values_beyond([judged[place] for place in stands]), strict=True):
        found[place] = None, {} if since is None else since.evidence
    return found


def value_rate_claim(
    judged: JudgedRate, known: Interval, dates: tuple[OnsetEstimate | None, dict[str, Any]], context: Context
) -> QualityClaim:
    """Return the claim about the growth of one rate, with its p-value.

    The growth is tested with the variation between consecutive days. A new change is also tested with the variation between all days of the
    past. known: the rate of the window with its interval; dates: from `value_dates`.
    """
    rate, at, past, standing, (when, dated) = judged.rate, judged.limits, judged.past, judged.standing, dates
    column, metric, now, before = rate.column, rate.metric, rate.now, rate.before
    test = rate_test(column, metric, rate.each_day)
    p_value = test.largest_p_value(judged.tests)
    because = value_sentence(column, metric, now, before, past if standing else None, None if judged.usual_growth else judged.up_to)
    finding = undecided_quality(context, column.subject, metric, now.rows, because, against=column.baseline).revised(
        value=known.value,
        low=known.low,
        high=known.high,
        severity=judged.severity,
        news="ongoing" if standing else None,
        likely_source="input" if column.feature else "model",
        onset=when.at if when else None,
        rank=(1 + max(judged.growth, 0.0) * weight_of(context, column.subject)) * (0.1 if standing else 1),
        evidence={
            "column": column.reference,
            "baseline": before.value,
            "baseline_n": before.rows,
            "past": None if past is None else past.value,
            "varies_up_to": judged.up_to,
            "standing": standing,
            **({"factor": column.unit_change.factor} if metric == "out_of_range_rate" and column.unit_change else {}),
            "by_day": rows_by_day(rate.each_day),
            **dated,
        },
    )
    limits = value_edge(before, at[0]), value_edge(before, at[1])
    missing = "" if judged.severity == "ok" else partial(missing_days, column, test, judged.tests, context.budget)
    return QualityClaim(finding, p_value, limits, missing)


@dataclass(frozen=True)
class RateTest:
    """The test of one rate's growth. It allows for rows of one day that are not independent, and for values that all rows of a day share.

    If all rows of a day share a value, they are one observation. For such a column, an unseen category or a value out of range is counted
    by days. A fault of whole days that the reference had too is also counted by days if no past days show the variation between days.

    days: number of days of the window. baseline_days: number of days of a baseline from the model's own past; None for a reference. shared:
    rows of a usual day, if the rows of a day share their value; else None. wholes: whether the baseline had the fault, and on each day of
    the window nearly all or nearly no rows are hit.
    """

    now: ColumnShare
    before: ColumnShare
    days: int
    baseline_days: int | None
    shared: float | None
    wholes: bool

    def p_value(self, by_days: RateVariation, times: int = 1) -> float:
        """Return the p-value with one estimate of the variation between days. times: factor by which the window is assumed to be longer."""
        now, days = self.now, self.days * times
        if times > 1:
            now = ColumnShare(now.hits * times, now.total * times, now.squares * times, now.rows * times)
        if self.shared is not None:
            return whole_day_p_value(now, self.before, self.shared)
        if by_days.known is None and self.wholes:
            return whole_day_p_value(now, self.before, now.n / days)
        span = by_days.reference_days(self.before) if self.baseline_days is None else float(self.baseline_days)
        return by_days.p_value(now, days, self.before, span)

    def largest_p_value(self, tests: Sequence[RateVariation], times: int = 1) -> float:
        """Return the largest p-value over several estimates of the variation between days. times: factor by which the window is assumed to
        be longer.
        """
        return max(self.p_value(by_days, times) for by_days in tests)


def rate_test(column: CheckedColumn, metric: str, each_day: DailyShares) -> RateTest:
    """Return the test of one rate of a column. each_day: the rate on each day of the window."""
    now, before = column.rates[metric]
    past_values = column.past.values if column.past else None
    valued = metric in ("unseen_rate", "out_of_range_rate")
    return RateTest(
        now,
        before,
        days_of(column.now),
        days_of(column.before) if column.baseline == "past" else None,
        rows_a_day_if_shared(column.now.values, past_values, each_day) if valued else None,
        before.value > NEVER and hit_as_wholes(each_day),
    )


def missing_days(column: CheckedColumn, test: RateTest, tests: Sequence[RateVariation], budget: float) -> str:
    """Return a sentence with the number of further days that would show whether a rate is beyond its limit."""
    enough = next((times for times in TIMES if test.largest_p_value(tests, times) <= budget * SURER), None)
    needs = (
        f"about {rounded_count(test.days * (enough - 1), 'more day')}"
        if enough
        else f"{'a reference' if column.baseline == 'reference' else 'a past'} of more days"
    )
    return f"That may be chance, given how days differ: a decision needs {needs}."


def usual_rate(column: CheckedColumn, metric: str) -> ColumnShare | None:
    """Return the rate of the month before the window. None if the baseline is not a reference, or if the past has less than two weeks or
    too few rows.
    """
    if column.past is None or column.baseline == "past" or column.past.days.size < PAST_LEAST:
        return None
    past = column.past.share(metric, column.edges)
    return past if past.n >= MINIMUM_ROWS else None


def value_edge(before: ColumnShare, growth: float) -> float | None:
    """Return the rate that is reached with a growth of `growth`. None if it would be above 1."""
    edge = before.value + growth
    return edge if edge <= 1 else None


def rows_by_day(of: DailyShares) -> list[list[Any]]:
    """Return [day, rate, rows] of the last days."""
    found = zip(of.days.astype(str).tolist(), of.value.tolist(), of.rows.astype(np.int64).tolist(), strict=True)
    return [list(each) for each in found][-DAYS_DRAWN:]


def value_onsets(rates: Sequence[ComparedRate], context: Context) -> list[OnsetEstimate]:
    """Return the onset of each rate's change, estimated from the days of the past month and of the window."""
    series = [rate.days.at(rate.days.rows >= ROWS_A_DAY) for rate in rates]
    baselines = [(rate.before.value, float(rate_error(rate.before.value, rate.before.n))) for rate in rates]
    return estimate_onsets(
        [days.days for days in series],
        [days.value for days in series],
        [rate_error(days.value, days.n) for days in series],
        start=context.window.start,
        before=[None if rate.past_days.days.size >= MIN_PAST else own for rate, own in zip(rates, baselines, strict=True)],
        worse=1,
    )


def values_beyond(judged: Sequence[JudgedRate]) -> list[StandingSince | None]:
    """Return the day since which each rate has been beyond its limit. None if its days do not show the date."""
    levels = [each.rate.before.value + each.limits[each.severity == "act"] for each in judged]
    series = [each.rate.days.at(each.rate.days.rows >= ROWS_A_DAY) for each in judged]
    return days_beyond_of_series(
        [days.days.astype("datetime64[D]").astype(np.int64) for days in series],
        [days.value - level for days, level in zip(series, levels, strict=True)],
        [rate_error(days.value, days.n) for days in series],
    )


def rate_error(rate: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Return the standard error of a rate over effective rows. Half a hit and half a miss are added, so that it is never 0."""
    rows = np.asarray(n, np.float64)
    tamed = (np.asarray(rate, np.float64) * rows + 0.5) / (rows + 1)
    return np.asarray(np.sqrt(tamed * (1 - tamed) / (rows + 1)))


def value_sentence(
    column: CheckedColumn, metric: str, now: ColumnShare, before: ColumnShare, past: ColumnShare | None = None, up_to: float | None = None
) -> str:
    """Return the sentence about a rate, in the window and in the baseline.

    past: the rate of the month before, if the rate is standing. up_to: the upper limit of the rate's daily range, if the rate is standing
    because of it.
    """
    of = rounded_count(now.rows, "value" if metric == "out_of_range_rate" else "prediction")
    what = said_rate(metric, column.edges)
    how = (
        f"absent from {quality_percent(now.value)} of {of}"
        if metric == "absent_rate"
        else f"{what} in {quality_percent(now.value)} of {of}"
    )
    changed = column.unit_change if metric == "out_of_range_rate" else None
    unit = "" if changed is None else f" The {changed.words}: a unit?"
    already = "" if past is None else f", and the {PAST_DAYS} days before had {quality_percent(past.value)} already"
    if past is not None and up_to is not None:
        already = (
            f", and the {PAST_DAYS} days before had {quality_percent(past.value)} (expected daily range up to {quality_percent(up_to)})"
        )
    return f"{column.text} is {how}; {baseline_had_words(column)} {quality_percent(before.value)}{already}.{unit}"


def said_rate(metric: str, edges: Edges) -> str:
    """Return in words which values a rate counts. If the range of the reference leaves out isolated outliers, both ranges are stated:
    without and with them.
    """
    span, limits = edges.span_with_outliers, edges.limits
    if metric != "out_of_range_rate" or span is None or limits is None:
        return SAID[metric]
    inner, outer = (f"{format_figure(low, 6)} to {format_figure(high, 6)}" for low, high in (limits, span))
    return f"{SAID[metric]} of {inner} (isolated outliers left out; with them {outer})"


def baseline_had_words(column: CheckedColumn) -> str:
    """Return the baseline in words, as the subject of a clause."""
    return "the reference had" if column.baseline == "reference" else f"the {PAST_DAYS} days before had"


def values_summaries(columns: Sequence[CheckedColumn], context: Context) -> list[Finding]:
    """Return the findings about columns of which no rate is beyond its limit. Their intervals are computed together."""
    if not columns:
        return []
    nulls = [column.rates["null_rate"][0] for column in columns]
    known = rate_intervals([share.hits for share in nulls], [share.total for share in nulls], [share.squares for share in nulls])
    return [values_summary(column, interval, context) for column, interval in zip(columns, known, strict=True)]


def values_summary(column: CheckedColumn, known: Interval, context: Context) -> Finding:
    """Return the finding about a column of which no rate is beyond its limit: OK, or `unknown` with too few rows. known: the rate of nulls
    in the window.
    """
    metric = "null_rate"
    rates = column.rates
    now, before = rates[metric]
    at = quality_limits(context, metric, WATCH, ACT)
    base = undecided_quality(context, column.subject, metric, now.rows, "", against=column.baseline).revised(
        value=known.value,
        low=known.low,
        high=known.high,
        rank=weight_of(context, column.subject) * 0.1,
        evidence={"column": column.reference, "rates": {each: [rate_or_none(side.value) for side in both] for each, both in rates.items()}},
    )
    needed = value_rows_needed(before, at[1])
    if min(before.n, now.n) < MINIMUM_ROWS or now.n < needed:
        small = "a larger reference" if column.baseline == "reference" else "more of a past"
        more = small if before.n < MINIMUM_ROWS else f"about {max(round(needed - now.n), 1):,} more"
        return base.revised(because=f"{column.text} cannot be judged yet on {rounded_count(now.rows, 'prediction')}: that needs {more}.")
    evidence = base.evidence | {
        "baseline": before.value,
        "baseline_n": before.rows,
        "by_day": rows_by_day(column.now.shares(metric, column.edges)),
    }
    said = [f"null in {quality_percent(now.value)} of {rounded_count(now.rows, 'prediction')} ({quality_percent(before.value)})"]
    said += [
        f"{said_rate(each, column.edges)} in {quality_percent(a.value)} ({quality_percent(b.value)})"
        for each, (a, b) in rates.items()
        if each != metric and min(a.n, b.n) >= MINIMUM_ROWS and (each in ("unseen_rate", "out_of_range_rate") or a.hits or b.hits)
    ]
    whole = "in the reference" if column.baseline == "reference" else f"in the {PAST_DAYS} days before"
    who = column.text if column.feature else "the score"
    because = f"No rate of {who} grew beyond its limit (rates {whole} in brackets): {', '.join(said)}."
    if column.sums is not None and (largest := column.sums.largest) > EXACT:
        because += f" Its largest number is {largest:.3g}: whole numbers beyond 2^53 are compared rounded. Log ids as text."
    return base.revised(severity="ok", limit=value_edge(before, at[0]), evidence=evidence, because=because)


def value_rows_needed(before: ColumnShare, growth: float) -> float:
    """Return the number of rows that detect a growth by the limit for `act` with 80 % power, at least MINIMUM_ROWS."""
    needed = needed_n_for_proportion(before.value, min(growth, 1 - before.value))
    return MINIMUM_ROWS if needed is None else max(MINIMUM_ROWS, needed)


def rate_or_none(value: float) -> Any:
    """Return the value, or None for NaN, which JSON does not allow."""
    return None if value != value else value


def no_rows(context: Context) -> Finding:
    """Return the finding for a window without predictions."""
    return undecided_quality(context, "model", "judged", 0, "No predictions in this window.")


def no_reference(context: Context, rows: int) -> Finding:
    """Return the finding of a version without a reference."""
    because = (
        f"Version {context.version.name} has no reference: register it with held-out predictions to have ranges, categories "
        "and types judged; "
        f"until then its values are compared with the {PAST_DAYS} days before."
    )
    return undecided_quality(context, "model", "judged", rows, because)
