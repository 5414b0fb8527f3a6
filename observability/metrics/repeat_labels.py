"""Labels that contradict an earlier label by the same annotator for the same item, and changes of the price of a label."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.core.formatting import format_day
from observability.core.time import aware_utc, naive_utc
from observability.metrics.annotations import PAIR
from observability.metrics.labelling_projects import PAST_DAYS, Array, labelling_limits, look_lengths, look_phrase, record_ages
from observability.metrics.prices import PriceScope, price_start, prices_at
from observability.stats.dispersion import estimate_day_variation
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

REPEATS, PRICE = "label_conflicts", "label_price"
WATCH, ACT = 0.02, 0.05
"""If the share of contradicting labels rises by the first value, there is a warning; by the second value, the finding is critical."""
MIN_LABELS = 100
DEARER, MUCH_DEARER = 1.2, 1.5
"""If the price rises by the first factor, there is a warning; by the second factor, the finding is critical."""


@dataclass(frozen=True)
class LabelConflicts:
    """Number of labels, and of labels that contradict an earlier one by the same annotator for the same item; in the last days and in the
    past.
    """

    days: float
    conflicts: int
    n: int
    conflicts_before: int
    n_before: int
    p_value: float
    error: float

    @property
    def rise(self) -> float:
        """By how much the share of contradicting labels rose."""
        return self.conflicts / self.n - self.conflicts_before / self.n_before


def contradicting_labels(annotated: "DataFrame", end: datetime) -> tuple[Array, Array]:
    """Age of each label in days, and whether it contradicts an earlier label by the same annotator for the same item.

    Parameters
    ----------
    annotated : DataFrame
        Records of kind `annotation`.
    end : datetime
        End of the window (naive UTC).

    Returns
    -------
    tuple[Array, Array]
    """
    rows = annotated.assign(age=record_ages(annotated, end), label=annotated["label"].map(str)).sort_values([*PAIR, "at", "label"])
    same = (rows[PAIR] == rows[PAIR].shift()).all(axis=1).to_numpy()
    return rows["age"].to_numpy(float), same & (rows["label"] != rows["label"].shift()).to_numpy()


def label_conflicts(annotated: "DataFrame", end: datetime, days: float) -> list[LabelConflicts]:
    """Comparisons of the window's last days with the four weeks before the window, one for each number of last days.

    Parameters
    ----------
    annotated : DataFrame
        Records of kind `annotation`.
    end : datetime
        End of the window (naive UTC).
    days : float
        Days of the window.

    Returns
    -------
    list[LabelConflicts]
        Empty where either side has too few labels.
    """
    age, conflict = contradicting_labels(annotated, end)
    then = (age >= days) & (age < days + PAST_DAYS)
    if then.sum() < MIN_LABELS:
        return []
    number = np.floor(age[then] - days).astype(int)
    labels, of_day = np.bincount(number), np.bincount(number, weights=conflict[then])
    kept = labels > 0
    before = (conflict[then].sum() + 0.5) / (then.sum() + 1)
    rates = of_day[kept] / labels[kept]
    varied = estimate_day_variation(rates[::-1], (before * (1 - before) / labels[kept])[::-1], -np.flatnonzero(kept)[::-1], weekly=False)
    found = []
    for length in look_lengths(days):
        now = age < length
        n = int(now.sum())
        if n < MIN_LABELS:
            continue
        chance = before * (1 - before) * (1 / n + 1 / then.sum())
        between = float(varied.of_mean(length)[0] + varied.of_mean(int(kept.sum()))[0]) if varied.days else chance
        error = float(np.sqrt(chance + between))
        conflicts = int(conflict[now].sum())
        p = float(stdtr(varied.freedom, -(conflicts / n - conflict[then].mean()) / error))
        found.append(LabelConflicts(length, conflicts, n, int(conflict[then].sum()), int(then.sum()), p, error))
    return found


def label_conflict_finding(
    blank: Finding, n: int, seen: list[LabelConflicts], adjusted: list[float], act: float, context: Context
) -> Finding:
    """The finding about contradicting labels.

    Parameters
    ----------
    blank : Finding
        Finding to fill.
    n : int
        Labels of the window.
    seen : list[LabelConflicts]
        Comparisons.
    adjusted : list[float]
        Adjusted p-value of each comparison.
    act : float
        Level of a critical finding.
    context : Context
        Context of the check.

    Returns
    -------
    Finding
    """
    if not seen:
        more = max(MIN_LABELS - n, 1)
        return replace(
            blank,
            n=n,
            because=f"Label conflicts unknown: about {more:,} more labels are needed in the window or the {PAST_DAYS // 7} weeks before.",
        )
    judged = []
    least, much = labelling_limits(context, REPEATS, WATCH, ACT)
    for each, p in zip(seen, adjusted, strict=True):
        reach = 2.33 * each.error
        severity: Severity = "ok"
        if each.rise >= max(least, reach) and p <= context.budget:
            severity = "act" if each.rise >= max(much, reach) and p <= act else "watch"
        judged.append((severity, each, p))
    severity, each, p = min(judged, key=lambda one: (("act", "watch", "ok").index(one[0]), one[1].days != context.window.days))
    rate, before = rate_interval(each.conflicts, each.n), each.conflicts_before / each.n_before
    comparison = "more often than" if severity != "ok" else "as often as"
    return replace(
        blank,
        **rate.fields,
        n=each.n,
        severity=severity,
        limit=before + (much if severity == "act" else least),
        likely_source="label" if severity != "ok" else None,
        rank=1.0 + each.rise,
        because=f"Annotators contradict their earlier labels {comparison} in the {PAST_DAYS // 7} weeks before: {each.conflicts:,} of"
        f" {each.n:,} labels {look_phrase(each.days, context.window.days)} ({100 * (rate.value or 0):.1f} %), {100 * before:.1f} % before.",
        evidence={"baseline": before, "p_adjusted": p, "look_days": each.days},
    )


def label_price_finding(blank: Finding, annotated: "DataFrame", prices: "DataFrame", context: Context) -> Finding | None:
    """The finding about the recorded price of a label.

    Parameters
    ----------
    blank : Finding
        Finding to fill.
    annotated : DataFrame
        Records of kind `annotation`.
    prices : DataFrame
        Price records.
    context : Context
        Context of the check.

    Returns
    -------
    Finding | None
        None without a price record, or where none is older than the window.
    """
    import pandas as pd

    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    place = PriceScope(context.model.name, context.model.settings)
    instants = pd.Series([pd.Timestamp(start), pd.Timestamp(end) - pd.Timedelta(microseconds=1)])
    (before, now), (old, currency) = prices_at(prices, "amount", instants, place, resource="label")
    if not (before > 0) or now != now or old != currency:
        return None
    since = price_start(prices, place, "label", end - pd.Timedelta(microseconds=1))
    inside = annotated[(annotated["at"] >= start) & (annotated["at"] < end)]
    paid = int((inside["at"] >= since).sum()) if since is not None else 0
    times = now / before
    least, much = labelling_limits(context, PRICE, DEARER, MUCH_DEARER)
    severity: Severity = "act" if times >= much and paid else "watch" if times >= least else "ok"
    unit, when = f"{currency or ''}".strip(), f" on {format_day(since)}" if since is not None else ""
    if severity == "ok":
        because = f"Label price {now:g} {unit}; {before:g} at the start of the window (price records)."
    else:
        because = (
            f"Label price rose to {now:g} {unit}{when}: {times:.2g} times the {before:g} before;"
            f" {paid:,} labels of the window have that price (price records)."
        )
    return replace(
        blank,
        value=float(now),
        low=float(now),
        high=float(now),
        n=len(inside),
        severity=severity,
        limit=least * float(before),
        against="past",
        likely_source="system" if severity != "ok" else None,
        rank=times / 10,
        because=because,
        onset=aware_utc(since) if severity != "ok" and since is not None else None,
        evidence={"baseline": float(before), "currency": currency, "labels_at_it": paid}
        | ({"onset_known": "dated"} if severity != "ok" else {}),
    )
