"""Compare the agreement of annotators with their own past, and with the level above which labels are reliable.

Krippendorff's alpha of the window, and of its last days, is compared with alpha in the four weeks before. The variance of alpha between
days is estimated from those weeks (stats/dispersion.py); the variance between items comes from a jackknife.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, news_given_before
from observability.core.time import naive_utc
from observability.detection.change import DifferenceError, WindowChange, at_least, judge_change
from observability.detection.onset import OnsetEstimate, estimate_onset
from observability.metrics.labelling_projects import PAST_DAYS, Array, ProjectLabels, labelling_limits, look_lengths, look_phrase
from observability.stats.agreement import RELIABLE, TENTATIVE, alpha_with_variance, krippendorff_alpha_of_counts
from observability.stats.dispersion import DayVariation, estimate_day_variation
from observability.stats.interval import Interval

METRIC = "label_agreement"
WATCH, ACT = 0.05, 0.1
"""Decreases of alpha from which the severity is `watch` and `act`."""
MIN_ITEMS = 30
SEEN = 0.2
"""Agreement is judged only if the half-width of its interval is at most this."""


@dataclass(frozen=True, kw_only=True)
class AgreementChange(WindowChange):
    """Alpha of the window or of its last days. effect: how far it fell below the past. before, items_before: alpha and number of items of
    the past.
    """

    alpha: Interval
    before: float
    items_before: int


def agreement_changes(labels: ProjectLabels, context: Context) -> list[AgreementChange]:
    """Return the changes against the past, one for each window length that can be compared; empty if the window or the past has too few
    items.
    """
    whole = context.window.days
    counts = labels.counts(np.ones(len(labels.item), bool))
    paired = counts.sum(axis=1) > 1
    then = paired & (labels.dated >= whole)
    before, of_items = alpha_with_variance(counts[then])
    if then.sum() < MIN_ITEMS or not np.isfinite(before):
        return []
    days, values, variances = agreement_by_day(counts, labels, then, whole)
    known = estimate_day_variation(values, variances, days, weekly=False) if len(days) else DayVariation(np.zeros(1), 0.0, 0)
    found = []
    for length in look_lengths(whole):
        now = paired & (labels.dated < length)
        value, own = alpha_with_variance(counts[now])
        if now.sum() < MIN_ITEMS or not np.isfinite(value):
            continue
        between = float((known.of_mean(length) + known.of_mean(max(len(days), 1)))[0]) if known.days else own + of_items
        error = DifferenceError(0.0, own + of_items + between, known.freedom, one_sided=True)
        varies = 2.33 * error.total
        alpha = krippendorff_alpha_of_counts(counts[now])
        found.append(
            AgreementChange(
                days=length,
                whole=length == whole,
                effect=before - (alpha.value if alpha.value is not None else before),
                p_value=error.p_value(before - value),
                limits=at_least(labelling_limits(context, METRIC, WATCH, ACT), varies),
                varies=varies,
                alpha=alpha,
                before=before,
                items_before=int(then.sum()),
            )
        )
    return found


def agreement_by_day(counts: Array, labels: ProjectLabels, rows: Array, skip: float) -> tuple[Array, Array, Array]:
    """Return three arrays for the past days with enough items: day number (rising), alpha, and the variance of alpha. skip: number of days
    before the end to omit.
    """
    number = -np.floor(labels.dated - skip).astype(int)
    found = [(day, *alpha_with_variance(counts[rows & (number == day)])) for day in np.unique(number[rows])]
    known = [each for each in found if np.isfinite(each[1])]
    days, values, variances = np.array(known, float).reshape(-1, 3).T
    return days.astype(int), values, variances


def about_agreement(
    blank: Finding, labels: ProjectLabels, changes: list[AgreementChange], adjusted: list[float], context: Context
) -> Finding:
    """Return the finding about the agreement. adjusted: p-values of the changes, adjusted for all tests of the analyzer."""
    counts = labels.counts(np.ones(len(labels.item), bool))
    now = krippendorff_alpha_of_counts(counts[labels.dated < context.window.days])
    if now.value is None or now.low is None or now.high is None or now.n < MIN_ITEMS or not changes:
        return replace(blank, n=int(now.n), because=agreement_unknown(now, labels, context))
    verdicts = [judge_change(change, p, context.budget) for change, p in zip(changes, adjusted, strict=True)]
    worst = min(verdicts, key=lambda each: each.order)
    severity, change, weeks = worst.severity, worst.change, PAST_DAYS // 7
    found = change.alpha
    low, high = float(found.low if found.low is not None else now.low), float(found.high if found.high is not None else now.high)
    base = replace(
        blank,
        value=found.value,
        low=low,
        high=high,
        n=int(found.n),
        limit=change.before - worst.limit,
        evidence={
            "baseline": change.before,
            "items_before": change.items_before,
            "p_adjusted": worst.p_adjusted,
            "look_days": change.days,
            "varies": change.varies,
        },
    )
    if worst.needs_action:
        onset = agreement_onset(counts, labels, context)
        return replace(
            base,
            severity=severity,
            likely_source="label",
            onset=onset.at,
            rank=1.0 + change.effect,
            evidence=base.evidence | onset.evidence,
            because=f"Annotators agree less than in the {weeks} weeks before: Krippendorff's alpha {found.value:.2f} on {found.n:,} items"
            f" {look_phrase(change.days, context.window.days)}, {change.before:.2f} on {change.items_before:,} before "
            f"(range by chance {change.varies:.2f}).",
        )
    whole = next((each for each in verdicts if each.change.whole), worst)
    limit = change.before - whole.limit
    evidence = base.evidence | {"look_days": context.window.days, "varies": whole.change.varies, "p_adjusted": whole.p_adjusted}
    level = replace(base, value=now.value, low=now.low, high=now.high, n=int(now.n), limit=limit, evidence=evidence)
    if now.high < TENTATIVE:
        return replace(
            level,
            severity="watch",
            likely_source="label",
            against="level",
            news=news_given_before(change.before < TENTATIVE),
            limit=TENTATIVE,
            rank=0.5,
            because=f"Annotators do not agree: Krippendorff's alpha {now.value:.2f} on {now.n:,} items, significantly below "
            f"{TENTATIVE:g}, under which labels"
            f" are unreliable; {change.before:.2f} in the {weeks} weeks before.",
        )
    if max(now.value - now.low, now.high - now.value) > SEEN:
        return replace(level, severity="unknown", because=agreement_unknown(now, labels, context))
    if now.value <= limit:
        return replace(
            level,
            severity="unknown",
            because=f"Whether annotators agree less than in the {weeks} weeks before is not yet known: Krippendorff's alpha "
            f"{now.value:.3f} on {now.n:,} items, {change.before:.3f} before. That is below the limit of {limit:.3f}, but not significant "
            "and may be chance: it needs more items that two annotators label.",
        )
    enough = "reliable" if now.low >= RELIABLE else f"reliable from {RELIABLE:g}, tentatively from {TENTATIVE:g}"
    return replace(
        level,
        severity="ok",
        because=f"Annotators agree as in the {weeks} weeks before: Krippendorff's alpha {now.value:.2f} on {now.n:,} items "
        f"({enough}), {change.before:.2f} before.",
    )


def agreement_unknown(now: Interval, labels: ProjectLabels, context: Context) -> str:
    """Return why agreement is unknown, and how many more items are needed."""
    half = SEEN if now.value is None or now.low is None or now.high is None else max(now.value - now.low, now.high - now.value)
    wanted = max(MIN_ITEMS, int(np.ceil(now.n * (half / SEEN) ** 2)))
    if now.n < wanted:
        return (
            f"Agreement of annotators cannot be compared yet on {now.n:,} items that two of them labelled: it needs about"
            f" {wanted - now.n:,} more."
        )
    if now.value is None:
        return f"Agreement is undefined: all labels of the {now.n:,} items that two annotators labelled are the same."
    then = int(((np.bincount(labels.item, minlength=len(labels.dated)) > 1) & (labels.dated >= context.window.days)).sum())
    return (
        f"Agreement of annotators cannot be compared yet: the {PAST_DAYS // 7} weeks before have {then:,} items that two "
        "of them labelled,"
        f" about {max(MIN_ITEMS - then, 1):,} more are needed."
    )


def agreement_onset(counts: Array, labels: ProjectLabels, context: Context) -> OnsetEstimate:
    """Return the day since which annotators agree less, estimated from the alpha of each day."""
    paired = counts.sum(axis=1) > 1
    number, values, variances = agreement_by_day(counts, labels, paired, 0.0)
    end = naive_utc(context.window.end)
    days = [end + timedelta(days=int(each) - 1) for each in number]
    return estimate_onset(days, values, np.sqrt(np.maximum(variances, 1e-6)), start=context.window.start, worse=-1)
