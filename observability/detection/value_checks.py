"""Are the values of a column whole: present, of their type, of known categories, inside the range?"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.core.analyzer import Context
from observability.core.catalog import Edges
from observability.core.finding import Against, Finding
from observability.detection.daily_rates import Strays, days_of, strays
from observability.detection.onset import Since, since
from observability.detection.significant_claims import DAYS_KEPT, PAST_DAYS, Claim, blank, by_size, limits, percent, plural, weight_of
from observability.metrics.column_counts import NO_DAYS, Counts, Share, Shares, checks_of
from observability.stats.change import needed_n_for_proportion
from observability.stats.interval import rate_interval

WATCH, ACT = 0.02, 0.05
"""A rate that grew by 2 points is worth a look, by 5 points it needs somebody: terms.md takes 5 points as the change that matters, and a
column that loses one value in fifty is where imputation begins to show in a model's errors. `limits` of the settings override the act limit."""
MINIMUM_ROWS = 100
"""Below this many rows no rate is judged, on either side."""
PAST_LEAST = 14
"""Days of past from which it tells whether a rate stood so already."""
LEAST_PAST = 5
"""Days of the past from which they say what was usual; with fewer the baseline does."""
ROWS_A_DAY = 20
"""Days with fewer rows are passed over when the first bad day is sought."""
SAID = {
    "null_rate": "null",
    "nan_rate": "NaN",
    "absent_rate": "absent",
    "wrong_type_rate": "of another type",
    "unseen_rate": "a category that the reference never had",
    "out_of_range_rate": "outside the reference's range",
}


@dataclass(frozen=True)
class Column:
    """One column on both sides. subject: how findings name it. feature: False for the score. baseline: "reference" or "past". past: the month before by
    day, None where it was not asked for or held nothing.
    """

    reference: str
    subject: str
    kind: str
    feature: bool
    edges: Edges
    now: Counts
    before: Counts
    baseline: Against
    past: Counts | None = None

    @property
    def text(self) -> str:
        """The column at the start of a sentence."""
        return f"`{self.subject}`" if self.feature else "The score"

    @property
    def checks(self) -> tuple[str, ...]:
        """The rates that are looked at; the past of a version without a reference knows no ranges and categories."""
        known = checks_of(self.kind, self.edges, feature=self.feature)
        return known if self.baseline == "reference" else tuple(each for each in known if each not in ("unseen_rate", "out_of_range_rate"))

    @cached_property
    def rates(self) -> dict[str, tuple[Share, Share]]:
        """Each of these rates, now and before."""
        return {metric: (self.now.share(metric, self.edges), self.before.share(metric, self.edges)) for metric in self.checks}

    def past_days(self, metric: str) -> Shares:
        """The rate on each day of the past month, where one was asked for."""
        return NO_DAYS if self.past is None else self.past.shares(metric, self.edges)


def rate_claims(column: Column, context: Context) -> list[Claim]:
    """A claim for each rate that occurs on one of the sides: what occurs on neither cannot have grown, and is no look at all."""
    claims = []
    for metric, (now, before) in column.rates.items():
        if now.hits + before.hits != 0 and min(now.n, before.n) >= MINIMUM_ROWS:
            claims.append(rate_claim(column, metric, now, before, context))
    return claims


def rate_claim(column: Column, metric: str, now: Share, before: Share, context: Context) -> Claim:
    """How much one rate grew, and how easily rows and days give that."""
    at = limits(context, metric, WATCH, ACT)
    growth = now.value - before.value
    past_days, each_day = column.past_days(metric), column.now.shares(metric, column.edges)
    by_days, days = strays(past_days, before), days_of(column.now)
    p_value = by_days.p_value(now, days, before, span(column, before, by_days))
    known = rate_interval(now.hits, now.total, now.squares)
    past = usual(column, metric)
    news = growth if past is None else now.value - past.value
    up_to = None if past is None or column.past is None else by_days.up_to(now, days, past, days_of(column.past))
    as_usual = by_size(news, at) == "ok" or (up_to is not None and now.value <= up_to)
    standing = past is not None and by_size(growth, at) != "ok" and as_usual
    severity = "watch" if standing else by_size(min(growth, news), at)
    when = None if severity == "ok" or standing else began(past_days, each_day, before, context)
    finding = replace(
        blank(
            context,
            column.subject,
            metric,
            now.rows,
            sentence(column, metric, now, before, past if standing else None, None if by_size(news, at) == "ok" else up_to),
            against=column.baseline,
        ),
        value=known.value,
        low=known.low,
        high=known.high,
        severity=severity,
        likely_source="input" if column.feature else "model",
        onset=when.at if when else None,
        rank=(1 + max(growth, 0.0) * weight_of(context, column.subject)) * (0.1 if standing else 1),
        evidence={
            "column": column.reference,
            "baseline": before.value,
            "baseline_n": before.rows,
            "past": None if past is None else past.value,
            "varies_up_to": up_to,
            "standing": standing,
            "by_day": rows_by_day(each_day),
            **(when.evidence if when else {}),
        },
    )
    return Claim(finding, p_value, (edge(before, at[0]), edge(before, at[1])))


def span(column: Column, before: Share, by_days: Strays) -> float:
    """Days that the baseline spans."""
    return float(days_of(column.before)) if column.baseline == "past" else by_days.reference_days(before)


def usual(column: Column, metric: str) -> Share | None:
    """The rate in the month before the window, where a reference is the baseline and the past holds at least two weeks: what stood so already is no news."""
    if column.past is None or column.baseline == "past" or column.past.days.size < PAST_LEAST:
        return None
    past = column.past.share(metric, column.edges)
    return past if past.n >= MINIMUM_ROWS else None


def edge(before: Share, growth: float) -> float:
    """The rate at which the growth is reached."""
    return min(before.value + growth, 1.0)


def rows_by_day(of: Shares) -> list[list[Any]]:
    """[day, rate, rows] of the last days."""
    found = zip(of.days.astype(str).tolist(), of.value.tolist(), of.rows.astype(np.int64).tolist(), strict=True)
    return [list(each) for each in found][-DAYS_KEPT:]


def began(past: Shares, now: Shares, before: Share, context: Context) -> Since:
    """Since when a rate is as the window found it, from the days of the past month and of the window."""
    days = past.then(now)
    days = days.at(days.rows >= ROWS_A_DAY)
    return since(
        list(days.days),
        days.value,
        error(days.value, days.n),
        start=context.window.start,
        before=None if past.days.size >= LEAST_PAST else (before.value, float(error(before.value, before.n))),
        worse=1,
    )


def error(rate: ArrayLike, n: ArrayLike) -> NDArray[np.float64]:
    """Standard error of a rate over effective rows, half a row added on both sides so that it is never 0."""
    rows = np.asarray(n, np.float64)
    tamed = (np.asarray(rate, np.float64) * rows + 0.5) / (rows + 1)
    return np.asarray(np.sqrt(tamed * (1 - tamed) / (rows + 1)))


def sentence(column: Column, metric: str, now: Share, before: Share, past: Share | None = None, up_to: float | None = None) -> str:
    """The rate now and before, in plain words. past: the rate of the month before, where what is now is no news; up_to: what its days reach by
    themselves, where that is why.
    """
    of = plural(now.rows, "value" if metric == "out_of_range_rate" else "prediction")
    how = {"absent_rate": f"absent from {percent(now.value)} of {of}"}.get(metric, f"{SAID[metric]} in {percent(now.value)} of {of}")
    already = "" if past is None else f", but the {PAST_DAYS} days before had {percent(past.value)} already"
    if past is not None and up_to is not None:
        already = f", but the {PAST_DAYS} days before had {percent(past.value)}, and by its own days it varies up to {percent(up_to)}"
    return f"{column.text} is {how}; {had(column)} {percent(before.value)}{already}."


def had(column: Column) -> str:
    """What the rate is held against, as a sentence's subject."""
    return "the reference had" if column.baseline == "reference" else f"the {PAST_DAYS} days before had"


def summary(column: Column, context: Context) -> Finding:
    """The one finding about a column of which nothing is reported: as it was; or too little to tell."""
    metric = "null_rate"
    rates = column.rates
    now, before = rates[metric]
    at = limits(context, metric, WATCH, ACT)
    known = rate_interval(now.hits, now.total, now.squares)
    base = replace(
        blank(context, column.subject, metric, now.rows, "", against=column.baseline),
        value=known.value,
        low=known.low,
        high=known.high,
        rank=weight_of(context, column.subject) * 0.1,
        evidence={"column": column.reference, "rates": {each: [none_if_nan(side.value) for side in both] for each, both in rates.items()}},
    )
    needed = rows_needed(before, at[1])
    if min(before.n, now.n) < MINIMUM_ROWS or now.n < needed:
        small = "a larger reference" if column.baseline == "reference" else "more of a past"
        more = small if before.n < MINIMUM_ROWS else f"about {max(round(needed - now.n), 1):,} more"
        return replace(base, because=f"{column.text} cannot be judged yet on {plural(now.rows, 'prediction')}: that needs {more}.")
    evidence = base.evidence | {
        "baseline": before.value,
        "baseline_n": before.rows,
        "by_day": rows_by_day(column.now.shares(metric, column.edges)),
    }
    said = [f"null in {percent(now.value)} of {plural(now.rows, 'prediction')} ({percent(before.value)})"]
    said += [
        f"{SAID[each]} in {percent(a.value)} ({percent(b.value)})"
        for each, (a, b) in rates.items()
        if each != metric and a.rows and b.rows and (each in ("unseen_rate", "out_of_range_rate") or a.hits or b.hits)
    ]
    whole = "in the reference" if column.baseline == "reference" else f"in the {PAST_DAYS} days before"
    because = f"{column.text} is as {whole} (its rates in brackets): {', '.join(said)}."
    return replace(base, severity="ok", limit=edge(before, at[0]), evidence=evidence, because=because)


def rows_needed(before: Share, growth: float) -> float:
    """Rows that find a growth by the act limit four times in five, and never fewer than the minimum."""
    needed = needed_n_for_proportion(before.value, min(growth, 1 - before.value))
    return MINIMUM_ROWS if needed is None else max(MINIMUM_ROWS, needed)


def none_if_nan(value: float) -> Any:
    """NaN has no place in JSON."""
    return None if value != value else value


def no_rows(context: Context) -> Finding:
    """The window is empty."""
    return blank(context, "model", "judged", 0, "No predictions in this window, so no values can be judged.")


def no_reference(context: Context, rows: int) -> Finding:
    """Nobody registered the version."""
    because = (
        f"Version {context.version.name} has no reference: register it with held-out predictions to have ranges, categories and types judged; "
        f"until then its values are held against the {PAST_DAYS} days before."
    )
    return blank(context, "model", "judged", rows, because)
