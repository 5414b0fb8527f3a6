"""Sentences of the findings about fairness."""

import numpy as np

from observability.core.catalog import Model
from observability.core.finding import Severity, needs_action
from observability.core.metric_definitions import METRICS
from observability.detection.fairness_criteria import Criterion, CriterionDistance, is_chosen
from observability.detection.group_changes import GapChange
from observability.detection.windows import window_phrase
from observability.metrics.groups import MINIMUM_OF_CLASS, MISSING, Attribute, GroupMetrics, rate_name

ROWS = {"true_positive_rate": "labelled positives", "false_positive_rate": "labelled negatives", "precision": "labelled positive decisions"}
ALONE = 0.05
"""A single comparison is significant if its p-value is at most this."""
ASK = "no criterion of fairness is chosen: choose one, since they exclude each other where base rates differ"


def group_value(metric: str, value: float | None) -> str:
    """Return a rate in per cent, or another value with three significant digits."""
    if value is None or np.isnan(value):
        return "unknown"
    return f"{100 * value:.1f} %" if metric == "share" or METRICS[rate_name(metric)].unit == "share" else f"{value:,.3g}"


def group_difference(metric: str, value: float | None) -> str:
    """Return a difference: in points for rates, with three significant digits for other values."""
    if value is None:
        return "unknown"
    return f"{100 * value:.1f} points" if METRICS[rate_name(metric)].unit == "share" else f"{value:,.3g}"


def criterion_sentence(
    model: Model,
    attribute: Attribute,
    now: GroupMetrics,
    judged: CriterionDistance,
    severity: Severity,
    comparisons: int | None = None,
    *,
    young: bool = False,
) -> str:
    """Return a sentence that states how far groups are from the criterion, whether this is significant, and whether the reference also had
    it.

    comparisons: number of comparisons of the run; None if no criterion is chosen, so that nothing is decided. young: whether most labels
    have not arrived yet.
    """
    spread, metric = judged.spread, judged.criterion.metric
    rate = now.metrics[judged.widest]
    ends = " and ".join(
        f"{group_value(judged.widest, float(rate.value[place]))} for {now.names[place]}" for place in (judged.lowest, judged.highest)
    )
    said = f"{METRICS[metric].title} by `{attribute.name}` is {group_difference(metric, spread.difference)}"
    rows = f"; {METRICS[judged.widest].title.lower()} {ends} over {spread.n:,.0f} rows"
    limit = group_difference(metric, judged.limit)
    if judged.ratio_breached and (spread.difference or 0.0) < judged.limit:
        said = f"{said}, a ratio of {judged.ratio.value:.2f}"
        limit = "0.80"
    if judged.breached and (judged.surest, judged.sure_low, judged.sure_high) != (judged.widest, judged.lowest, judged.highest):
        pair = (
            f"; most significant between {now.names[judged.sure_low]} and {now.names[judged.sure_high]}: {significant_pair_words(judged)}"
        )
    else:
        pair = ""
    asked = "" if is_chosen(model) else f"; {ASK}"
    if needs_action(severity):
        already = " already" if judged.stood else ""
        then = "" if judged.before is None else f", {group_difference(metric, judged.before)} in the reference{already}"
        return f"{said} (limit {limit}){then}{rows}{pair}{asked}."
    if young:
        return f"{said}; too few labels yet{rows}{pair}."
    if judged.breached:
        return f"{said}, {why_uncertain(judged, comparisons, limit)}{rows}{pair}{asked}."
    return f"{said}, within its limit of {limit}{rows}{asked}."


def significant_pair_words(judged: CriterionDistance) -> str:
    """Return words for the difference of the most significant pair. The rate is named if a different rate differs most."""
    pair = judged.spread.surest
    said = group_difference(judged.criterion.metric, pair.difference if pair else None)
    return said if judged.surest == judged.widest else f"{said} of {METRICS[judged.surest].title.lower()}"


def why_uncertain(judged: CriterionDistance, comparisons: int | None, limit: str) -> str:
    """Return a clause that states why a difference beyond the limit is not certain: sampling noise, or multiple comparisons."""
    metric = judged.criterion.metric
    if judged.chance > ALONE:
        noise = group_difference(metric, judged.spread.null_95)
        return f"beyond its limit of {limit}, but not significant: sampling noise among equal groups up to {noise}"
    if comparisons is None:
        return f"beyond its limit of {limit}, and significant by itself"
    counted = f"the {comparisons} comparisons of this run" if comparisons > 1 else "all tests of a week"
    return f"beyond its limit of {limit}; significant by itself, but not after adjustment for {counted}"


def because_moved(attribute: Attribute, now: GroupMetrics, one: GapChange, young: bool) -> str:
    """Return a sentence that states how the distance of a group from the other groups changed."""
    metric, name = one.metric, now.names[one.place]
    title = METRICS[metric].title
    said = (
        f"{title if title.isupper() else title.capitalize()} of `{attribute.name}={name}` is {group_value(metric, one.value)}, "
        f"{group_difference(metric, abs(one.gap))}"
        f" {'below' if one.gap < 0 else 'above'} {other_groups(one)}; in the reference it was "
        f"{group_difference(metric, abs(one.gap_before))}"
        f" {'below' if one.gap_before < 0 else 'above'} ({one.n:,.0f} {ROWS.get(metric, 'rows')})"
    )
    said += window_phrase(one.days, whole=one.whole)
    if one.standing and one.past is not None:
        said += f"; as in the past four weeks ({group_difference(metric, abs(one.past))} {'below' if one.past < 0 else 'above'})"
    elif one.limits[0] <= one.varies:
        said += f"; expected daily range up to {group_difference(metric, one.varies)}"
    return f"{said}; too few labels yet." if young else f"{said}."


def other_groups(one: GapChange) -> str:
    """Return words for the groups with which a group is compared, and for the number of groups that are left out."""
    left = [f"{one.named} that moved further"] if one.named else []
    left += [f"{one.small} with too few {ROWS.get(one.metric, 'rows')} now or in the reference"] if one.small > 0 else []
    others = f"the other {one.others} groups" if one.others > 1 else "the other group"
    return f"{others} ({' and '.join(left)} left out)" if left else others


def small_group_sentence(attribute: Attribute, now: GroupMetrics, metric: str, place: int, more: int) -> str:
    """Return a sentence that a group is too small, with the number of rows that it still needs."""
    rows = ROWS.get(metric, "labelled rows" if metric in ("accuracy", "mae") else "decisions")
    n = float(now.metrics[metric].n[place])
    return f"`{attribute.name}={now.names[place]}` is too small to compare: {n:,.0f} {rows}, it needs about {more:,} more."


def because_too_few(attribute: Attribute, now: GroupMetrics, criterion: Criterion) -> str:
    """Return a sentence that states why there are not two groups to compare."""
    if now.rows.sum() == 0:
        return f"No predictions with `{attribute.name}` in this window, so no groups can be compared."
    if all(MISSING in each for each in now.levels):
        where = {"feature": "`features`", "group": "`groups`"}.get(attribute.reference.partition(".")[0], "`features` or `groups`")
        return (
            f"No prediction of this window carries `{attribute.name}`: it is expected among the {where} of a prediction, as this "
            f"version was registered."
        )
    if criterion.rates != ("selection_rate",) and now.labelled.sum() == 0:
        return f"No labels in this window, so groups of `{attribute.name}` cannot be compared."
    return (
        f"Fewer than two groups of `{attribute.name}` are large enough to compare (from {MINIMUM_OF_CLASS} labelled positives and "
        f"negatives, "
        f"or an interval of ±10 points), on {now.rows.sum():,} predictions."
    )
