"""Does the model treat groups of people alike, as its owner understands that, and as alike as in the reference?

Judged twice for each sensitive attribute: how far groups are from the criterion that the owner chose, and which group moved away from the others
since the reference. The largest difference is held against what equal groups of these sizes give by chance; groups that are too small are
`unknown`; a difference that already stood in the reference is shown and raises nothing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, By
from observability.detection import fairness_criteria, group_changes
from observability.detection.fairness_criteria import NAME, Criterion, Level, criterion_of, enough_for, is_chosen, level
from observability.detection.fairness_sentences import because_level, because_moved, because_small, because_too_few
from observability.detection.group_changes import Look, Moved, Side, by_day, changes, none_if_nan, side_of, strongest, watched
from observability.metrics.groups import MISSING, Attribute, Groups, Totals, attributes, enough, measure, question, rows_needed, totals
from observability.metrics.performance import maturity
from observability.stats.multiple import ACT_SHARE, benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

MATURE = 0.8
PAST_DAYS = 28
MINIMUM_LABELS = 100
SMALL_GROUPS = 10
"""Groups that are too small, of one attribute, about which a finding is made; the page shows all of them."""


def needs(context: Context) -> dict[str, Ask]:
    """Counts by group and day of the window and of the past month, by group of the reference, and how many labels usually are in."""
    found = attributes(context.model, context.version)
    if not found or context.model.task is None:
        return {}
    labels = Aggregate("outcomes", keys=(By("label"),))
    asks = {"labels": Ask(labels), "past_labels": Ask(labels, span="past", days=PAST_DAYS)}
    for each in found:
        asks[f"current {each.name}"] = Ask(question(context.model, [each], by_day=True))
        asks[f"past {each.name}"] = Ask(question(context.model, [each], by_day=True), span="past", days=PAST_DAYS)
        if context.version.reference_rows:
            asks[f"reference {each.name}"] = Ask(question(context.model, [each]), span="reference")
    return asks


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """For each sensitive attribute one finding about the criterion, one for each group that moved, one for each that is too small."""
    found: list[Finding] = []
    levels: list[tuple[Attribute, Groups, Groups | None, Level]] = []
    movers: list[tuple[Side, str, Look, list[Moved]]] = []
    young = is_young(frames)
    for each in attributes(context.model, context.version):
        frame = frames.get(f"current {each.name}")
        if frame is None:
            continue
        current = totals(context.model, frame, [each], by_day=True)
        now = current.groups()
        before = reference_of(frames, each, now, context)
        criterion = criterion_of(context.model, now)
        if criterion is None:
            continue
        side = sided(context, each, current, now, before or now, frames.get(f"past {each.name}")) if len(frame) else None
        if side is not None and before is not None:
            for rate in watched(context.model, criterion):
                late = young and rate != "selection_rate"
                movers += [(side, rate, look, changes(side, rate, look)) for look in side.looks if look.whole or not late]
        judged = level(criterion, now, before, context.model.settings, side.contrast if side else None, context.window.days)
        if judged is None:
            found.append(too_few(context, each, now, criterion))
        else:
            levels.append((each, now, before, judged))
        found += small(context, each, now, criterion)
    p_values = [judged.p_value for *_, judged in levels] + [one.p_value for *_, several in movers for one in several]
    adjusted = iter(float(p) for p in benjamini_hochberg(p_values, context.budget)[0])
    looks = int(np.count_nonzero(~np.isnan(p_values)))
    found += [about_level(context, *each, next(adjusted), young, looks) for each in levels]
    said: dict[tuple[str, str], list[list[Finding]]] = {}
    for side, metric, look, several in movers:
        of_p = {one.place: next(adjusted) for one in several}
        surely = {one.place for one in several if of_p[one.place] <= context.budget and one.grown >= one.limits[0]}
        named = strongest(side, metric, look, surely, context.budget) if surely else []
        named = [one for one in named if look.whole or not one.standing]
        if named:
            of_look = [about_moved(context, side, one, of_p[one.place], young) for one in named]
            said.setdefault((side.attribute.name, metric), []).append(of_look)
    return found + [finding for of_looks in said.values() for finding in most_telling(of_looks)]


def sided(context: Context, attribute: Attribute, current: Totals, now: Groups, before: Groups, past: "DataFrame | None") -> Side:
    """Everything that the groups of one attribute are held against."""
    earlier = totals(context.model, past, [attribute], by_day=True) if past is not None and len(past) else None
    return side_of(context.model, attribute, current, now, before, earlier, context.whole_days[1], context.window.days)


def most_telling(of_looks: Sequence[list[Finding]]) -> list[Finding]:
    """The findings of the look that says most: an act before a watch, of equals the whole window, then the surest. Looks of one rate are one claim."""
    return min(
        of_looks,
        key=lambda each: (
            min(("act", "watch", "unknown", "ok").index(one.severity) for one in each),
            not each[0].evidence["whole"],
            min(one.evidence["p_value"] for one in each),
        ),
    )


def reference_of(frames: Frames, attribute: Attribute, now: Groups, context: Context) -> Groups | None:
    """The groups in the reference, at the places that they have now; None where there is no reference."""
    frame = frames.get(f"reference {attribute.name}")
    return None if frame is None or frame.empty else measure(context.model, frame, [attribute]).aligned(now.levels)


def is_young(frames: Frames) -> bool:
    """Whether fewer labels are in than 80 % of the share that usually is."""
    if "labels" not in frames:
        return False
    served, labelled = maturity(frames["labels"])
    before, known = maturity(frames["past_labels"])
    usual = known / before if before >= MINIMUM_LABELS and known else 1.0
    return labelled < MATURE * usual * served


def about_level(
    context: Context, attribute: Attribute, now: Groups, before: Groups | None, judged: Level, adjusted: float, young: bool, looks: int
) -> Finding:
    """The finding about one attribute and the criterion. looks: how many comparisons were made."""
    criterion, spread = judged.criterion, judged.spread
    chosen = is_chosen(context.model)
    by_labels = criterion.rates != ("selection_rate",)
    severity: Severity = "ok"
    if judged.breached and not judged.stood and adjusted <= context.budget:
        severity = "act" if chosen and context.model.task == "binary" and adjusted <= context.budget * ACT_SHARE else "watch"
        severity = "unknown" if young and by_labels else severity
    alarming = needs_action(severity)
    by_ratio = judged.ratio_breached and (spread.difference or 0.0) < judged.limit
    base = replace(
        blank(context, attribute.name, criterion.metric, round(spread.n), "level"),
        value=spread.difference, low=spread.low, high=spread.high, limit=judged.limit,
        severity=severity, likely_source="model" if needs_action(severity) else None,
        onset=judged.since(context.window.start).at if alarming else None,
        rank=8.0 + min((spread.difference or 0.0) / judged.limit, 2.0) if judged.limit > 0 else 8.0,
        evidence=evidence(now, before, judged, adjusted, chosen) | (judged.since(context.window.start).evidence if alarming else {}),
    )  # fmt: skip
    if by_ratio:
        base = replace(
            base, metric="demographic_parity_ratio", unit=METRICS["demographic_parity_ratio"].unit,
            value=judged.ratio.value, low=judged.ratio.low, high=judged.ratio.high, limit=0.8,
        )  # fmt: skip
    return replace(base, because=because_level(context.model, attribute, now, judged, severity, looks))


def evidence(now: Groups, before: Groups | None, judged: Level, adjusted: float, chosen: bool) -> dict[str, Any]:
    """Every group's figures, the null, the ratio, and whether base rates differ (then criteria exclude each other)."""
    rates = judged.criterion.rates
    groups = []
    for place, name in enumerate(now.names[:64]):
        one: dict[str, Any] = {"level": name, "n": int(now.rows[place]), "enough": bool(judged.keep[place])}
        for rate in rates:
            measured = now.metrics[rate]
            one[rate] = [none_if_nan(values[place]) for values in (measured.value, measured.low, measured.high, measured.n)]
            if before is not None:
                one[f"{rate}_reference"] = none_if_nan(before.metrics[rate].value[place])
        groups.append(one)
    return {
        "criterion": judged.criterion.name if chosen else None,
        "groups": groups,
        "widest": judged.widest,
        "lowest": now.names[judged.lowest],
        "highest": now.names[judged.highest],
        "ratio": judged.ratio.value,
        "ratio_low": judged.ratio.low,
        "ratio_high": judged.ratio.high,
        "null_95": judged.spread.null_95,
        "surest": [judged.surest, now.names[judged.sure_low], now.names[judged.sure_high]],
        "p_value": judged.chance,
        "p_growth": judged.growth,
        "varies_up_to": judged.varies,
        "p_adjusted": none_if_nan(adjusted),
        "baseline": judged.before,
        "stood_in_reference": judged.stood,
        "base_rates_differ": base_rates_differ(now, judged),
    }


def base_rates_differ(now: Groups, judged: Level) -> bool | None:
    """Whether the groups' shares of positives differ beyond chance; None where that is not known."""
    if "base_rate" not in now.metrics:
        return None
    spread = now.metrics["base_rate"].at(judged.keep & (now.metrics["base_rate"].n > 0)).spread()
    return None if np.isnan(spread.p_value) else spread.p_value < 0.05


def about_moved(context: Context, moved: Side, one: Moved, adjusted: float, young: bool) -> Finding:
    """The finding about one group that moved away from the others."""
    watch, act = one.limits
    severity: Severity = "watch"
    if one.grown >= act and adjusted <= context.budget * ACT_SHARE and is_chosen(context.model) and not one.standing:
        severity = "act"
    late = young and one.metric != "selection_rate"
    if late:
        severity = "unknown"
    name, side = moved.now.names[one.place], -1.0 if one.gap < 0 else 1.0
    allowed = max(side * one.gap_before, 0.0) + (act if severity == "act" else watch)
    when = one.since(context.window.start)
    return replace(
        blank(context, f"{moved.attribute.name}={name}", one.metric, round(one.n), "reference"),
        value=one.value, low=one.low, high=one.high, limit=one.value - one.gap + side * allowed,
        severity=severity, likely_source=None if late else "model",
        onset=None if one.standing else when.at,
        rank=(10.0 + min(one.grown / act, 5.0) if act > 0 else 10.0) * (0.1 if one.standing else 1.0),
        because=because_moved(moved.attribute, moved.now, one, late),
        evidence={
            "baseline": one.before, "baseline_n": round(one.before_n), "others": one.value - one.gap, "gap": one.gap,
            "gap_reference": one.gap_before, "gap_past": one.past, "worse_by": one.grown, "others_moved": one.others_moved, "varies_up_to": one.varies,
            "standing": one.standing, "p_value": one.p_value, "p_adjusted": adjusted, "days": one.look.days, "whole": one.look.whole,
            "by_day": by_day(moved, one), **({} if one.standing else when.evidence),
        },
    )  # fmt: skip


def small(context: Context, attribute: Attribute, now: Groups, criterion: Criterion) -> list[Finding]:
    """Groups that are too small to be judged, the largest first, at most SMALL_GROUPS."""
    keep = enough_for(now, criterion)
    places = [place for place in np.argsort(-now.rows, kind="stable") if not keep[place] and now.rows[place] > 0]
    places = [place for place in places if now.names[place] != MISSING]
    found = []
    for place in places[:SMALL_GROUPS]:
        metric = next(rate for rate in criterion.rates if not enough(now, rate)[place])
        each = now.metrics[metric]
        base = blank(context, f"{attribute.name}={now.names[place]}", metric, round(float(each.n[place])), "level")
        value, low, high = (none_if_nan(values[place]) for values in (each.value, each.low, each.high))
        because = because_small(attribute, now, metric, int(place), rows_needed(now, metric, int(place)))
        found.append(replace(base, value=value, low=low, high=high, because=because))
    return found


def too_few(context: Context, attribute: Attribute, now: Groups, criterion: Criterion) -> Finding:
    """The finding that there are not two groups to compare."""
    return blank(context, attribute.name, criterion.metric, int(now.rows.sum()), "level", because_too_few(attribute, now, criterion))


def blank(context: Context, subject: str, metric: str, n: int, against: Against, because: str = "") -> Finding:
    """A finding that says it cannot tell, to be filled in where it can."""
    return context.undecided(NAME, subject, metric, n, because, against=against)


LIMITS: dict[str, float | None] = {
    **{
        each.metric: each.limit
        for each in (*fairness_criteria.CRITERIA.values(), fairness_criteria.EQUAL_ACCURACY, fairness_criteria.EQUAL_ERROR)
    },
    **dict.fromkeys(("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy"), group_changes.ACT),
    "mae": group_changes.RELATIVE[1],
}
ANALYZER = Analyzer(
    NAME,
    "Does the model treat groups alike, by the owner's criterion, and as alike as in the reference?",
    needs,
    analyze,
    limits=LIMITS,
    labels=True,
)
