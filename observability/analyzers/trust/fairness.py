"""Compare how the model treats groups of people: by the owner's criterion of fairness, and relative to the reference.

For each sensitive attribute, there are findings about the largest difference between groups by the criterion, and about groups that moved
away from the others since the reference. The largest difference is compared with the sampling noise among equal groups of these sizes.
Groups that are too small are `unknown`. A difference that is also in the reference is pre-existing.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Analyzer, Ask, Context, Frames
from observability.core.finding import SEVERITIES, Against, Finding, Severity, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Bucket, By
from observability.detection import fairness_criteria, group_changes
from observability.detection.change import judge_change
from observability.detection.fairness_criteria import (
    NAME,
    Criterion,
    CriterionDistance,
    criterion_level,
    criterion_of,
    declared_metric,
    enough_for,
    is_chosen,
)
from observability.detection.fairness_sentences import because_moved, because_too_few, criterion_sentence, small_group_sentence
from observability.detection.group_changes import (
    ComparedGroups,
    GapChange,
    GroupWindow,
    compared_groups,
    gap_changes_of,
    group_by_day,
    groups_that_moved,
    known_value,
    pair_by_day,
    watched_rates,
)
from observability.metrics.groups import (
    MISSING,
    Attribute,
    GroupMetrics,
    GroupTotals,
    group_metrics,
    group_question,
    group_rows_needed,
    group_totals,
    groups_with_enough_rows,
    sensitive_attributes,
)
from observability.metrics.performance import served_and_labelled
from observability.metrics.settled_labels import LabelledDays, labelled_days
from observability.proofs.groups import FAIRNESS_PROOFS
from observability.stats.multiple_testing import ACT_SHARE, benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

PAST_DAYS = 28
MINIMUM_LABELS = 100
SMALL_GROUPS = 10
"""Largest number of small groups of one attribute that get a finding; the page shows all of them."""


def needs(context: Context) -> dict[str, Ask]:
    """Return the queries: counts by group and day for the window and the past month, counts by group for the reference, and the usual share
    of labelled predictions.
    """
    found = sensitive_attributes(context.model, context.version)
    if not found or context.model.task is None:
        return {}
    labels = Aggregate("outcomes", keys=(Bucket("day"), By("label")))
    asks = {"labels": Ask(labels), "past_labels": Ask(labels, span="past", days=PAST_DAYS)}
    for each in found:
        asks[f"current {each.name}"] = Ask(group_question(context.model, [each], by_day=True))
        asks[f"past {each.name}"] = Ask(group_question(context.model, [each], by_day=True), span="past", days=PAST_DAYS)
        if context.version.reference_rows:
            asks[f"reference {each.name}"] = Ask(group_question(context.model, [each]), span="reference")
    return asks


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """Return, for each sensitive attribute, the finding about the criterion, one for each group that moved, and one for each small
    group.
    """
    found: list[Finding] = [without_groups(context, name) for name in ungrouped_attributes(context)]
    levels: list[tuple[Attribute, GroupMetrics, GroupMetrics | None, CriterionDistance]] = []
    movers: list[tuple[ComparedGroups, str, GroupWindow, list[GapChange]]] = []
    labels = label_state(frames)
    young = not labels.settled
    for each in sensitive_attributes(context.model, context.version):
        frame = frames.get(f"current {each.name}")
        if frame is None:
            continue
        current = group_totals(context.model, frame, [each], by_day=True)
        now = current.groups()
        before = reference_of(frames, each, now, context)
        criterion = criterion_of(context.model, now)
        if criterion is None:
            continue
        side = group_baselines(context, each, current, now, before or now, frames.get(f"past {each.name}")) if len(frame) else None
        if side is not None and before is not None:
            for rate in watched_rates(context.model, criterion):
                windows = side.windows if labels.complete or rate == "selection_rate" else labelled_windows(side, labels)
                movers += [(side, rate, window, gap_changes_of(side, rate, window)) for window in windows]
        days = context.window.days if labels.complete or criterion.rates == ("selection_rate",) else max(labels.days, 1)
        judged = criterion_level(criterion, now, before, context.model.settings, side.contrast if side else None, days)
        if judged is None:
            found.append(too_few_groups(context, each, now, criterion))
        else:
            levels.append((each, now, before, judged))
        found += small_group_findings(context, each, now, criterion)
    p_values = [judged.p_value for *_, judged in levels] + [one.p_value for *_, several in movers for one in several]
    adjusted = iter(float(p) for p in benjamini_hochberg(p_values, context.budget)[0])
    tests = int(np.count_nonzero(~np.isnan(p_values)))
    found += [criterion_finding(context, *each, next(adjusted), young, tests) for each in levels]
    by_rate: dict[tuple[str, str], list[list[Finding]]] = {}
    for side, metric, window, changes in movers:
        of_p = {change.place: next(adjusted) for change in changes}
        surely = {change.place for change in changes if of_p[change.place] <= context.budget and change.effect >= change.limits[0]}
        named = groups_that_moved(side, metric, window, surely, context.budget) if surely else []
        if shown := [change for change in named if window.whole or not change.standing]:
            of_window = [moved_group_finding(context, side, change, of_p[change.place], young) for change in shown]
            by_rate.setdefault((side.attribute.name, metric), []).append(of_window)
    return found + [finding for of_windows in by_rate.values() for finding in most_telling(of_windows)]


def ungrouped_attributes(context: Context) -> list[str]:
    """Return the sensitive attributes by which rows cannot be grouped: numeric attributes for which this version has no bands."""
    if context.model.task is None:
        return []
    grouped = {attribute.name for attribute in sensitive_attributes(context.model, context.version)}
    return [column.name for column in context.model.columns if column.sensitive and column.name not in grouped]


def without_groups(context: Context, name: str) -> Finding:
    """Return the finding that a declared attribute has no groups in this version."""
    version = context.version.name
    because = f"`{name}` is a sensitive number without bands in version {version}: register the version with `{name}` as sensitive."
    return undecided_fairness(context, name, declared_metric(context.model), 0, "level", because)


def group_baselines(
    context: Context, attribute: Attribute, current: GroupTotals, now: GroupMetrics, before: GroupMetrics, past: "DataFrame | None"
) -> ComparedGroups:
    """Return the baselines of the groups of one attribute."""
    earlier = group_totals(context.model, past, [attribute], by_day=True) if past is not None and len(past) else None
    return compared_groups(context.model, attribute, current, now, before, earlier, context.whole_days[1], context.window.days)


def most_telling(of_windows: Sequence[list[Finding]]) -> list[Finding]:
    """Return the findings of the most informative window of one rate.

    The most informative window is the one with the worst severity; among equals, the whole window, then the window with the smallest
    p-value. All windows of a rate make one claim.
    """
    return min(
        of_windows,
        key=lambda findings: (
            min(SEVERITIES.index(finding.severity) for finding in findings),
            not findings[0].evidence["whole"],
            min(finding.evidence["p_value"] for finding in findings),
        ),
    )


def reference_of(frames: Frames, attribute: Attribute, now: GroupMetrics, context: Context) -> GroupMetrics | None:
    """Return the groups in the reference, in the order of the current groups; None if there is no reference."""
    frame = frames.get(f"reference {attribute.name}")
    return None if frame is None or frame.empty else group_metrics(context.model, frame, [attribute]).aligned(now.levels)


def label_state(frames: Frames) -> LabelledDays:
    """Return which days of the window have enough labels, compared with the usual labelled share of the past month."""
    if "labels" not in frames:
        return LabelledDays(True, True, 0)
    before, known = served_and_labelled(frames["past_labels"])
    return labelled_days(frames["labels"], known / before if before >= MINIMUM_LABELS and known else 1.0)


def labelled_windows(side: ComparedGroups, labels: LabelledDays) -> list[GroupWindow]:
    """Return only the whole window, with the number of its days that have enough labels; single last days are left out because they have
    too few labels.
    """
    return [replace(window, days=max(labels.days, 1)) for window in side.windows if window.whole]


def criterion_finding(
    context: Context,
    attribute: Attribute,
    now: GroupMetrics,
    before: GroupMetrics | None,
    judged: CriterionDistance,
    adjusted: float,
    young: bool,
    comparisons: int,
) -> Finding:
    """Return the finding about one attribute and the criterion. comparisons: the number of comparisons in the run."""
    criterion, spread = judged.criterion, judged.spread
    chosen = is_chosen(context.model)
    by_labels = criterion.rates != ("selection_rate",)
    severity: Severity = "unknown" if judged.breached else "ok"
    waiting = judged.breached and young and by_labels
    if judged.breached and adjusted <= context.budget and not waiting:
        severity = "act" if chosen and context.model.task == "binary" and adjusted <= context.budget * ACT_SHARE else "watch"
    alarming = needs_action(severity)
    by_ratio = judged.ratio_breached and (spread.difference or 0.0) < judged.limit
    base = replace(
        undecided_fairness(context, attribute.name, criterion.metric, round(spread.n), "level"),
        value=spread.difference,
        low=spread.low,
        high=spread.high,
        limit=judged.limit,
        severity=severity,
        likely_source="model" if needs_action(severity) else None,
        onset=judged.onset(context.window.start).at if alarming and not judged.stood else None,
        news="ongoing" if alarming and judged.stood else None,
        rank=8.0 + min((spread.difference or 0.0) / judged.limit, 2.0) if judged.limit > 0 else 8.0,
        evidence=fairness_evidence(now, before, judged, adjusted, chosen)
        | (judged.onset(context.window.start).evidence if alarming and not judged.stood else {})
        | {"standing": judged.stood}
        | (judged.standing if alarming and judged.stood else {}),
    )
    if by_ratio:
        base = replace(
            base,
            metric="demographic_parity_ratio",
            unit=METRICS["demographic_parity_ratio"].unit,
            value=judged.ratio.value,
            low=judged.ratio.low,
            high=judged.ratio.high,
            limit=0.8,
        )
    return replace(base, because=criterion_sentence(context.model, attribute, now, judged, severity, comparisons, young=waiting))


def fairness_evidence(
    now: GroupMetrics, before: GroupMetrics | None, judged: CriterionDistance, adjusted: float, chosen: bool
) -> dict[str, Any]:
    """Return every group's figures, the null distribution, the ratio, and whether base rates differ; if they do, the criteria cannot all be
    met.
    """
    rates = judged.criterion.rates
    groups = []
    for place, name in enumerate(now.names[:64]):
        one: dict[str, Any] = {"level": name, "n": int(now.rows[place]), "enough": bool(judged.keep[place])}
        for rate in rates:
            measured = now.metrics[rate]
            one[rate] = [known_value(values[place]) for values in (measured.value, measured.low, measured.high, measured.n)]
            if before is not None:
                one[f"{rate}_reference"] = known_value(before.metrics[rate].value[place])
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
        "pair_by_day": pair_by_day(judged.by_day) if judged.by_day is not None else [],
        "surest": [judged.surest, now.names[judged.sure_low], now.names[judged.sure_high]],
        "p_value": judged.chance,
        "p_growth": judged.growth,
        "varies_up_to": judged.varies,
        "p_adjusted": known_value(adjusted),
        "baseline": judged.before,
        "stood_in_reference": judged.stood,
        "base_rates_differ": base_rates_differ(now, judged),
    }


def base_rates_differ(now: GroupMetrics, judged: CriterionDistance) -> bool | None:
    """Whether the shares of positive labels differ significantly between groups; None if that is not known."""
    if "base_rate" not in now.metrics:
        return None
    spread = now.metrics["base_rate"].at(judged.keep & (now.metrics["base_rate"].n > 0)).spread()
    return None if np.isnan(spread.p_value) else spread.p_value < 0.05


def moved_group_finding(context: Context, moved: ComparedGroups, one: GapChange, adjusted: float, young: bool) -> Finding:
    """Return the finding about one group that moved away from the others."""
    verdict = judge_change(one, adjusted, context.budget)
    severity: Severity = verdict.severity if is_chosen(context.model) else "watch"
    late = young and one.metric != "selection_rate"
    if late:
        severity = "unknown"
    name, side = moved.now.names[one.place], -1.0 if one.gap < 0 else 1.0
    watch, act = one.limits
    allowed = max(side * one.gap_before, 0.0) + (act if severity == "act" else watch)
    onset = one.onset(context.window.start)
    return replace(
        undecided_fairness(context, f"{moved.attribute.name}={name}", one.metric, round(one.n), "reference"),
        value=one.value,
        low=one.low,
        high=one.high,
        limit=one.value - one.gap + side * allowed,
        severity=severity,
        likely_source=None if late else "model",
        onset=None if one.standing else onset.at,
        rank=(10.0 + min(one.effect / act, 5.0) if act > 0 else 10.0) * (0.1 if one.standing else 1.0),
        because=because_moved(moved.attribute, moved.now, one, late),
        evidence={
            "baseline": one.before,
            "baseline_n": round(one.before_n),
            "others": one.value - one.gap,
            "gap": one.gap,
            "gap_reference": one.gap_before,
            "gap_past": one.past,
            "worse_by": one.effect,
            "others_moved": one.others_moved,
            "varies_up_to": one.varies,
            "standing": one.standing,
            "p_value": one.p_value,
            "p_with_past": one.with_past,
            "p_adjusted": adjusted,
            "days": one.days,
            "whole": one.whole,
            "by_day": group_by_day(moved, one),
            **(one.by_day.standing(side * allowed, round(side)) if one.standing else onset.evidence),
        },
    )


def small_group_findings(context: Context, attribute: Attribute, now: GroupMetrics, criterion: Criterion) -> list[Finding]:
    """Return findings about groups that are too small to compare: at most SMALL_GROUPS, the largest first."""
    keep = enough_for(now, criterion)
    places = [place for place in np.argsort(-now.rows, kind="stable") if not keep[place] and now.rows[place] > 0]
    places = [place for place in places if now.names[place] != MISSING]
    found = []
    for place in places[:SMALL_GROUPS]:
        metric = next(rate for rate in criterion.rates if not groups_with_enough_rows(now, rate)[place])
        each = now.metrics[metric]
        base = undecided_fairness(context, f"{attribute.name}={now.names[place]}", metric, round(float(each.n[place])), "level")
        value, low, high = (known_value(values[place]) for values in (each.value, each.low, each.high))
        because = small_group_sentence(attribute, now, metric, int(place), group_rows_needed(now, metric, int(place)))
        found.append(replace(base, value=value, low=low, high=high, because=because))
    return found


def too_few_groups(context: Context, attribute: Attribute, now: GroupMetrics, criterion: Criterion) -> Finding:
    """Return the finding that fewer than two groups can be compared."""
    return undecided_fairness(
        context, attribute.name, criterion.metric, int(now.rows.sum()), "level", because_too_few(attribute, now, criterion)
    )


def undecided_fairness(context: Context, subject: str, metric: str, n: int, against: Against, because: str = "") -> Finding:
    """Return a finding of severity `unknown`, whose fields are replaced if a verdict is possible."""
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
    "Does the model meet the owner's criterion of fairness, and as in the reference?",
    needs,
    analyze,
    limits=LIMITS,
    labels=True,
    proofs=FAIRNESS_PROOFS,
)
