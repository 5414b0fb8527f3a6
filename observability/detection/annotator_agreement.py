"""Do annotators agree as they did in their own past, and well enough for their labels to be relied upon?

Krippendorff's alpha of the window and of its last days against the four weeks before. What days add to the variance of alpha is learned from those weeks
(stats/dispersion.py); the items' own part is a jackknife.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
from scipy.special import stdtr

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.core.time import naive_utc
from observability.detection.onset import since
from observability.metrics.labelling_projects import PAST_DAYS, Array, Labels, limits, looks, stretch
from observability.stats.agreement import RELIABLE, TENTATIVE, agreement_of, alpha_with_variance
from observability.stats.dispersion import Variation, variation
from observability.stats.interval import Interval

METRIC = "label_agreement"
WATCH, ACT = 0.05, 0.1
"""A fall of alpha that is reported, and one that needs somebody."""
LEAST_ITEMS = 30
SEEN = 0.2
"""Where the interval is wider than this on either side, not even a fall of so much would be seen."""


@dataclass(frozen=True)
class Look:
    """Alpha of some last days and of the past. p_value: how often days that are as they were fall by as much. varies: what alpha strays by 99 times in 100."""

    days: float
    alpha: Interval
    before: float
    items_before: int
    p_value: float
    varies: float

    @property
    def fall(self) -> float:
        """How much it fell."""
        return self.before - (self.alpha.value if self.alpha.value is not None else self.before)


def looked_at(labels: Labels, context: Context) -> list[Look]:
    """The looks that can be compared with the past; none where either side has too few items."""
    whole = context.window.days
    counts = labels.counts(np.ones(len(labels.item), bool))
    paired = counts.sum(axis=1) > 1
    then = paired & (labels.dated >= whole)
    before, of_items = alpha_with_variance(counts[then])
    if then.sum() < LEAST_ITEMS or not np.isfinite(before):
        return []
    days, values, variances = by_day(counts, labels, then, whole)
    varied = variation(values, variances, days, weekly=False) if len(days) else Variation(np.zeros(1), 0.0, 0)
    found = []
    for length in looks(whole):
        now = paired & (labels.dated < length)
        value, own = alpha_with_variance(counts[now])
        if now.sum() < LEAST_ITEMS or not np.isfinite(value):
            continue
        between = float(varied.of_mean(length)[0] + varied.of_mean(max(len(days), 1))[0]) if varied.days else own + of_items
        error = float(np.sqrt(own + of_items + between))
        p = float(stdtr(varied.freedom, -(before - value) / error)) if error > 0 else float(before <= value)
        found.append(Look(length, agreement_of(counts[now]), before, int(then.sum()), p, float(2.33 * error)))
    return found


def by_day(counts: Array, labels: Labels, rows: Array, skip: float) -> tuple[Array, Array, Array]:
    """Alpha of each day of the past that has items enough: the day's number (rising), the value, its variance. skip: days before the end that are left out."""
    number = -np.floor(labels.dated - skip).astype(int)
    found = [(day, *alpha_with_variance(counts[rows & (number == day)])) for day in np.unique(number[rows])]
    known = [each for each in found if np.isfinite(each[1])]
    days, values, variances = np.array(known, float).reshape(-1, 3).T
    return days.astype(int), values, variances


def about_agreement(blank: Finding, labels: Labels, seen: list[Look], adjusted: list[float], act: float, context: Context) -> Finding:
    """The finding. adjusted: p-values of the looks, all looks of the analyzer counted; act: those that an act may have."""
    counts = labels.counts(np.ones(len(labels.item), bool))
    now = agreement_of(counts[labels.dated < context.window.days])
    if now.value is None or now.low is None or now.high is None or now.n < LEAST_ITEMS or not seen:
        return replace(blank, n=int(now.n), because=undecided(now, labels, context))
    least, much = limits(context, METRIC, WATCH, ACT)
    judged = [(severity_of(each, p, context.budget, act, (least, much)), each, p) for each, p in zip(seen, adjusted, strict=True)]
    severity, each, p = min(
        judged, key=lambda one: (("act", "watch", "ok").index(one[0]), one[1].days != context.window.days, -one[1].fall)
    )
    found, alarm = each.alpha, severity != "ok"
    low, high = float(found.low if found.low is not None else now.low), float(found.high if found.high is not None else now.high)
    base = replace(
        blank, value=found.value, low=low, high=high, n=int(found.n), limit=each.before - (much if severity == "act" else least),
        evidence={"baseline": each.before, "items_before": each.items_before, "p_adjusted": p, "look_days": each.days, "varies": each.varies},
    )  # fmt: skip
    if alarm:
        when = dated(counts, labels, context)
        return replace(
            base, severity=severity, likely_source="label", onset=when.at, rank=1.0 + each.fall, evidence=base.evidence | when.evidence,
            because=f"Annotators agree less than in the {PAST_DAYS // 7} weeks before: Krippendorff's alpha is {found.value:.2f} on {found.n:,} items"
            f" {stretch(each.days, context.window.days)}, and was {each.before:.2f} on {each.items_before:,}; it strays by up to {each.varies:.2f} by itself.",
        )  # fmt: skip
    if now.high < TENTATIVE:
        return replace(
            base, severity="watch", likely_source="label", against="level", limit=TENTATIVE, rank=0.5,
            because=f"Annotators do not agree: Krippendorff's alpha is {now.value:.2f} on {now.n:,} items, surely below {TENTATIVE:g}, under which labels"
            f" are not relied upon; it was {each.before:.2f} in the {PAST_DAYS // 7} weeks before.",
        )  # fmt: skip
    if max(now.value - now.low, now.high - now.value) > SEEN:
        return replace(base, severity="unknown", because=undecided(now, labels, context))
    enough = "surely reliable" if now.low >= RELIABLE else f"labels are relied upon from {RELIABLE:g}, tentatively from {TENTATIVE:g}"
    return replace(
        base, severity="ok",
        because=f"Annotators agree as in the {PAST_DAYS // 7} weeks before: Krippendorff's alpha is {now.value:.2f} on {now.n:,} items ({enough});"
        f" it was {each.before:.2f}.",
    )  # fmt: skip


def severity_of(look: Look, p: float, budget: float, act: float, falls: tuple[float, float]) -> Severity:
    """Act or watch where the fall matters, is more than chance and more than alpha strays by itself."""
    if look.fall >= max(falls[1], look.varies) and p <= act:
        return "act"
    return "watch" if look.fall >= max(falls[0], look.varies) and p <= budget else "ok"


def undecided(now: Interval, labels: Labels, context: Context) -> str:
    """Why it cannot tell, and how many items more it needs."""
    half = SEEN if now.value is None or now.low is None or now.high is None else max(now.value - now.low, now.high - now.value)
    wanted = max(LEAST_ITEMS, int(np.ceil(now.n * (half / SEEN) ** 2)))
    if now.n < wanted:
        return (
            f"Whether annotators agree as before cannot be told from {now.n:,} items that two of them labelled: it needs about"
            f" {wanted - now.n:,} more."
        )
    if now.value is None:
        return f"Agreement cannot be told: all labels of the {now.n:,} items that two annotators labelled are the same."
    then = int(((np.bincount(labels.item, minlength=len(labels.dated)) > 1) & (labels.dated >= context.window.days)).sum())
    return (
        f"Whether annotators agree as before cannot be told: the {PAST_DAYS // 7} weeks before have {then:,} items that two of them labelled,"
        f" about {max(LEAST_ITEMS - then, 1):,} more are needed."
    )


def dated(counts: Array, labels: Labels, context: Context) -> Any:
    """Since when it is so, by alpha of each day."""
    paired = counts.sum(axis=1) > 1
    number, values, variances = by_day(counts, labels, paired, 0.0)
    end = naive_utc(context.window.end)
    days = [end + timedelta(days=int(each) - 1) for each in number]
    return since(days, values, np.sqrt(np.maximum(variances, 1e-6)), start=context.window.start, worse=-1)
