"""How often does an annotator label an item again, and otherwise than before; and what does a label cost since when?"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtr

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.core.time import aware_utc, naive_utc
from observability.metrics.labelling_projects import PAIR, PAST_DAYS, Array, ages, limits, looks, stretch
from observability.metrics.prices import Place, in_force, recorded_from
from observability.stats.dispersion import variation
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

REPEATS, PRICE = "label_conflicts", "label_price"
WATCH, ACT = 0.02, 0.05
"""A rise of the share of labels that contradict an earlier one, reported, and in need of somebody."""
LEAST_LABELS = 100
DEARER, MUCH_DEARER = 1.2, 1.5
"""Times the price before: reported, and in need of somebody."""


@dataclass(frozen=True)
class Repeated:
    """Labels that contradict an earlier one of the same annotator and item, of all labels of some last days, and of the past."""

    days: float
    conflicts: int
    n: int
    conflicts_before: int
    n_before: int
    p_value: float
    error: float

    @property
    def rise(self) -> float:
        """By how much the share rose."""
        return self.conflicts / self.n - self.conflicts_before / self.n_before


def contradicting(annotated: "DataFrame", end: datetime) -> tuple[Array, Array]:
    """Of each label, its age in days, and whether the same annotator said otherwise of the same item before."""
    rows = annotated.assign(age=ages(annotated, end), label=annotated["label"].map(str)).sort_values([*PAIR, "at", "label"])
    same = (rows[PAIR] == rows[PAIR].shift()).all(axis=1).to_numpy()
    return rows["age"].to_numpy(float), same & (rows["label"] != rows["label"].shift()).to_numpy()


def looked_at(annotated: "DataFrame", end: datetime, days: float) -> list[Repeated]:
    """Each look against the four weeks before the window; none where either side has too few labels."""
    age, conflict = contradicting(annotated, end)
    then = (age >= days) & (age < days + PAST_DAYS)
    if then.sum() < LEAST_LABELS:
        return []
    number = np.floor(age[then] - days).astype(int)
    labels, of_day = np.bincount(number), np.bincount(number, weights=conflict[then])
    kept = labels > 0
    before = (conflict[then].sum() + 0.5) / (then.sum() + 1)
    rates = of_day[kept] / labels[kept]
    varied = variation(rates[::-1], (before * (1 - before) / labels[kept])[::-1], -np.flatnonzero(kept)[::-1], weekly=False)
    found = []
    for length in looks(days):
        now = age < length
        n = int(now.sum())
        if n < LEAST_LABELS:
            continue
        chance = before * (1 - before) * (1 / n + 1 / then.sum())
        between = float(varied.of_mean(length)[0] + varied.of_mean(int(kept.sum()))[0]) if varied.days else chance
        error = float(np.sqrt(chance + between))
        conflicts = int(conflict[now].sum())
        p = float(stdtr(varied.freedom, -(conflicts / n - conflict[then].mean()) / error))
        found.append(Repeated(length, conflicts, n, int(conflict[then].sum()), int(then.sum()), p, error))
    return found


def about_repeats(blank: Finding, n: int, seen: list[Repeated], adjusted: list[float], act: float, context: Context) -> Finding:
    """The finding about labels that contradict an earlier one."""
    if not seen:
        more = max(LEAST_LABELS - n, 1)
        return replace(blank, n=n, because=f"How often labels contradict earlier ones of the same annotator cannot be told: it needs about {more:,} more labels in the window or in the {PAST_DAYS // 7} weeks before.")  # fmt: skip
    judged = []
    least, much = limits(context, REPEATS, WATCH, ACT)
    for each, p in zip(seen, adjusted, strict=True):
        reach = 2.33 * each.error
        severity: Severity = "act" if each.rise >= max(much, reach) and p <= act else "watch" if each.rise >= max(least, reach) and p <= context.budget else "ok"  # fmt: skip
        judged.append((severity, each, p))
    severity, each, p = min(judged, key=lambda one: (("act", "watch", "ok").index(one[0]), one[1].days != context.window.days))
    rate, before = rate_interval(each.conflicts, each.n), each.conflicts_before / each.n_before
    says = "more often than" if severity != "ok" else "as often as"
    return replace(
        blank, value=rate.value, low=rate.low, high=rate.high, n=each.n, severity=severity, limit=before + (much if severity == "act" else least),
        likely_source="label" if severity != "ok" else None, rank=1.0 + each.rise,
        because=f"Annotators contradict their own earlier label of an item {says} in the {PAST_DAYS // 7} weeks before: {each.conflicts:,} of {each.n:,} labels"
        f" {stretch(each.days, context.window.days)} ({100 * (rate.value or 0):.1f} %), {100 * before:.1f} % before.",
        evidence={"baseline": before, "p_adjusted": p, "look_days": each.days},
    )  # fmt: skip


def about_price(blank: Finding, annotated: "DataFrame", prices: "DataFrame", context: Context) -> Finding | None:
    """The finding about the price of a label, recorded and not sampled; None where no price record says, or none is older than the window."""
    import pandas as pd

    start, end = (naive_utc(each) for each in (context.window.start, context.window.end))
    place = Place(context.model.name, context.model.settings)
    instants = pd.Series([pd.Timestamp(start), pd.Timestamp(end) - pd.Timedelta(microseconds=1)])
    (before, now), (old, currency) = in_force(prices, "amount", instants, place, resource="label")
    if not (before > 0) or now != now or old != currency:
        return None
    since = recorded_from(prices, place, "label", end - pd.Timedelta(microseconds=1))
    inside = annotated[(annotated["at"] >= start) & (annotated["at"] < end)]
    paid = int((inside["at"] >= since).sum()) if since is not None else 0
    times = now / before
    least, much = limits(context, PRICE, DEARER, MUCH_DEARER)
    severity: Severity = "act" if times >= much and paid else "watch" if times >= least else "ok"
    unit = f"{currency or ''}".strip()
    if severity == "ok":
        because = f"A label costs {now:g} {unit}, and cost {before:g} when the window began (from price records)."
    else:
        because = f"A label costs {now:g} {unit} since {since:%Y-%m-%d}, {times:.2g} times the {before:g} before; {paid:,} labels of the window were made at that price (from price records)."
    return replace(
        blank, value=float(now), low=float(now), high=float(now), n=len(inside), severity=severity, limit=least * float(before), against="past",
        likely_source="system" if severity != "ok" else None, rank=times / 10, because=because,
        onset=aware_utc(since) if severity != "ok" and since is not None else None,
        evidence={"baseline": float(before), "currency": currency, "labels_at_it": paid} | ({"onset_known": "dated"} if severity != "ok" else {}),
    )  # fmt: skip
