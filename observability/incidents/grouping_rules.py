"""The rules that decide whether two findings belong to one fault, and which finding is nearer to its source.

A fault propagates through a model's pipeline in one direction: records arrive, a service answers, and labels arrive. Inputs shift scores,
scores shift outcomes, and outcomes shift fairness, explanations and cost. The rules determine a finding's stage in the pipeline and the
upstream stages that may explain it. They also determine the evidence against that: time, place, severity, and the importance of the
affected features (docs/decisions/0009).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal, get_args

from observability.core.finding import SEVERITIES, Finding, Source
from observability.core.metric_definitions import METRICS
from observability.core.window import Slice

Known = Literal["dated", "open", "vague"]
Stage = Literal[
    "run",
    "arrival",
    "service",
    "device",
    "request",
    "label",
    "input",
    "slice",
    "score",
    "outcome",
    "fairness",
    "explanation",
    "energy",
    "cost",
    "dataset",
    "other",
]
STAGES: tuple[Stage, ...] = get_args(Stage)
"""The stages in the order in which a fault propagates. device: the devices that serve a model; what they report does not follow from the
inputs of logged predictions. request: requests that a subject makes on purpose; they are a separate fault. slice: the values of a feature
changed in one slice. dataset: what an audit found in the rows of a dataset; it is no evidence about served predictions.
"""
APART: tuple[Stage, ...] = ("run", "device", "dataset")
"""Stages whose findings belong to one fault only if they have the same subject. Each training run, each group of devices and
each dataset is a separate fault.
"""
CAUSES: dict[Stage, tuple[Stage, ...]] = {
    "run": (),
    "arrival": (),
    "service": ("arrival",),
    "device": (),
    "request": (),
    "label": ("arrival",),
    "input": ("arrival",),
    "slice": ("input",),
    "score": ("input", "slice", "service"),
    "outcome": ("score", "input", "slice", "label", "service"),
    "fairness": ("outcome", "score", "input", "slice", "label"),
    "explanation": ("input", "slice", "score"),
    "energy": ("service", "arrival"),
    "cost": ("service", "arrival", "energy", "outcome", "input", "slice"),
    "dataset": (),
    "other": (),
}
"""For each stage, the stages that may cause its findings, likeliest first."""
SOURCES: dict[Stage, Source] = {
    **dict.fromkeys(("run", "arrival", "service", "device", "request", "energy", "cost"), "system"),
    **dict.fromkeys(("score", "outcome", "fairness", "explanation", "other"), "model"),
    "label": "label",
    **dict.fromkeys(("input", "slice", "dataset"), "input"),
}
"""The suspected source by stage. It is used if nothing upstream explains a finding and its analyzer names no source."""
METRICS_OF_STAGE: dict[Stage, str] = {
    "arrival": "volume late_rate restated_share silence_hours freshness_hours duplicate_rate rejected_rate queue_days "
    "batch_gap_hours batch_delay_hours batch_delay_p95_hours batch_rows batch_rejected_rate",
    "service": "request_rate error_rate latency_p50 latency_p95 latency_p99 error_budget_left burn_rate",
    "request": "input_coverage boundary_request_share",
    "score": "artifact_mismatch additivity_residual threshold_shift",
    "label": "label_maturity",
    "cost": "label_price",
    "dataset": "audited_overlap audited_leak audited_conflicts audited_duplicates audited_suspects",
}
METRIC_STAGES: dict[str, Stage] = {metric: stage for stage, metrics in METRICS_OF_STAGE.items() for metric in metrics.split()}
"""Metrics whose stage differs from the stage of their analyzer."""
ANALYZER_STAGES: dict[str, Stage] = {
    "data/labels": "label",
    "data/labelling": "label",
    "serving/drift": "input",
    "serving/multivariate_drift": "input",
    "serving/call_drift": "input",
    "serving/latency": "service",
    "serving/edge_fleet": "device",
    "serving/device_agreement": "device",
    "trust/fairness": "fairness",
    "trust/explanations": "explanation",
    "trust/audits": "other",
    "trust/exports": "other",
    "trust/live_guard": "input",
    "data/personal_data": "other",
    "data/storage": "other",
    "training/selection": "outcome",
    "serving/batch_gate": "arrival",
    "operations/energy": "energy",
    "operations/cost": "cost",
}
"""Analyzers whose stage differs from the stage of their section."""
SECTION_STAGES: dict[str, Stage] = {"training": "run", "data": "input", "serving": "outcome", "trust": "outcome", "operations": "service"}
SLICES = "serving/slices"
NEAR = timedelta(days=1)
"""Onsets count as equal up to this distance. An onset that is dated by day has an error of up to a day for medium steps."""
TRAVELS = timedelta(days=4)
"""Longest delay between a cause and its effect. A small effect becomes significant only after days."""
EXPLAINED = 0.25
"""An input shift must explain at least this share of a drop."""
TOUCHED = 0.05
"""Shifted inputs can explain a drop only if their importance times strength is at least this."""
BOUND = 0.5
"""Inputs that explain less than this part of a drop are not its likely source, unless the drop began with them."""


SLICE_VALUES = ("rank_shift", "null_rate")
"""Metrics about the values of a column in a slice. All other metrics from serving/slices are about outcomes."""
STANDING_STAGES: tuple[Stage, ...] = ("input", "slice", "score", "outcome", "fairness", "explanation")
"""The standing findings of a model in these stages form one incident."""


def pipeline_stage(finding: Finding) -> Stage:
    """The stage of a finding in the pipeline. A finding about the score is in the stage `score`, not `input`."""
    if finding.analyzer == SLICES and finding.metric in SLICE_VALUES:
        return "score" if finding.subject in ("model", "score") else "slice"
    if (found := METRIC_STAGES.get(finding.metric)) is not None:
        return found
    if finding.evidence.get("column") == "score":
        return "score"
    return ANALYZER_STAGES.get(finding.analyzer) or SECTION_STAGES.get(finding.analyzer.partition("/")[0], "other")


def claimed_place(finding: Finding) -> str | None:
    """The place of a finding: a slice, or a subject that is a replica, device, group or source. None if it is about everything."""
    return finding.slice or (finding.subject if "=" in finding.subject else None)


def record_subject(finding: Finding) -> str:
    """The training run, project or dataset in a subject, for example in `run:ID/rank:5`."""
    return finding.subject.partition("/")[0]


def specific_subject(finding: Finding) -> str | None:
    """The subject if it is one thing (a feature, a replica, a run). None for the whole model and for the score."""
    return (
        None if finding.subject in ("model", "score") else record_subject(finding) if pipeline_stage(finding) == "run" else finding.subject
    )


def has_sharp_onset(finding: Finding) -> bool:
    """Whether the onset of a finding is accurate to a day or better. Rates of broken values jump, while distances of distributions rise
    slowly.
    """
    return finding.analyzer.startswith("data/")


def reports_broken_values(finding: Finding) -> bool:
    """Whether a finding reports wrong values (including swapped levels), not merely shifted ones. Simultaneous shifts follow from wrong
    values.
    """
    return finding.analyzer.startswith("data/") or finding.metric == "level_trade"


def follows_level_swap(effect: Finding, cause: Finding) -> bool:
    """Whether the cause is a swap of two levels of a column, and the effect is about the rows of one of these levels. These rows are now
    different ones.
    """
    part = Slice.parse(effect.slice) if cause.metric == "level_trade" else None
    return part is not None and any(name == cause.subject and level in cause.evidence["levels"] for name, level in part.conditions)


OWN = 0.5
"""The change of a group counts as isolated if the other groups changed by less than this part of it."""


def is_isolated_group(finding: Finding) -> bool:
    """Whether a finding is about one group that changed while the other groups hardly did. Findings about the whole then follow from this
    finding.
    """
    moved, baseline = finding.evidence.get("others_moved"), finding.evidence.get("baseline")
    if finding.analyzer != "trust/fairness" or "=" not in finding.subject or moved is None or baseline is None or finding.value is None:
        return False
    return not finding.evidence.get("standing") and abs(moved) < OWN * abs(finding.value - baseline)


HELD, A_PART = 0.8, 0.6
"""A change is concentrated in a slice if the slice has at least the first share of the change and at most the second share of the rows."""


def is_concentrated_slice(finding: Finding) -> bool:
    """Whether a finding is about a slice that has nearly all of a change but only a part of the rows."""
    coverage, share = finding.evidence.get("coverage"), finding.evidence.get("share")
    return finding.analyzer == SLICES and coverage is not None and coverage >= HELD and share is not None and share <= A_PART


def is_standing(finding: Finding) -> bool:
    """Whether a finding of a model is beyond its limit but not new: the model's own past shows it too, or it began before the analysed
    days. A dated change that continues is not standing; it keeps its incident.
    """
    if finding.model is None or pipeline_stage(finding) not in STANDING_STAGES:
        return False
    known = finding.evidence.get("standing", finding.evidence.get("onset_known") == "open")
    return bool(known) or (finding.news in ("ongoing", "improving") and onset_certainty(finding) != "dated")


DISTRIBUTIONS = ("serving/drift", "serving/multivariate_drift")


def is_undated_drift(finding: Finding) -> bool:
    """Whether a finding is about a distribution and its days do not show when the change began."""
    return finding.analyzer in DISTRIBUTIONS and onset_certainty(finding) != "dated"


def is_joint_drift(finding: Finding) -> bool:
    """Whether a finding is about the distribution of all inputs together."""
    return finding.analyzer in DISTRIBUTIONS and pipeline_stage(finding) == "input" and specific_subject(finding) is None


def are_joint_drift(findings: Sequence[Finding]) -> bool:
    """Whether findings are about one drift of the joint distribution. Findings about requests far from the reference belong to it, but
    without another finding they are not a drift.
    """
    joint = [finding for finding in findings if is_joint_drift(finding)]
    far = [finding for finding in findings if finding.metric == "far_request_share" and specific_subject(finding) is None]
    return bool(joint) and len(joint) + len(far) == len(findings)


FALLS = ("serving/performance", "serving/calibration", SLICES, "serving/why_changed", "serving/estimated_performance")
"""Analyzers that measure how correct a model's answers are."""


def continues_fall(finding: Finding, old: Finding) -> bool:
    """Whether a finding about the answers is a detail of an ongoing drop of the whole. Either the ongoing finding is about the primary
    metric, or the finding has no date and is not new. The primary metric itself is never a detail. A drop of a part is a detail only if the
    primary metric dropped further. This is not required for bias of a part, because bias has no better direction.
    """
    if any(each.analyzer not in FALLS or pipeline_stage(each) != "outcome" for each in (finding, old)) or claimed_place(old) is not None:
        return False
    of_part = claimed_place(finding) is not None and METRICS[finding.metric].better is not None
    if finding.evidence.get("primary") or (of_part and not (old.evidence.get("primary") and old.news == "worse")):
        return False
    return bool(old.evidence.get("primary")) or (onset_certainty(finding) != "dated" and finding.news != "new")


MOSTLY, SOME = 0.9, 0.01
"""If at least the first share of a column's values is outside the reference's range, another unit is likelier than a drift. This does not
hold if at least the second share was outside in the past weeks, because a change of unit is sudden.
"""


def leaves_range(finding: Finding) -> bool:
    """Whether so many values of a column are outside the reference's range, or unknown to it, that the limit for `act` is exceeded, without
    a sign of another unit or coding.
    """
    if (
        finding.metric not in ("out_of_range_rate", "unseen_rate")
        or finding.severity != "act"
        or finding.evidence.get("factor") is not None
    ):
        return False
    slowly = (finding.evidence.get("past") or 0.0) >= SOME
    return slowly or (finding.metric == "out_of_range_rate" and (finding.value or 0.0) < MOSTLY)


def left_at_once(finding: Finding) -> bool:
    """Whether hardly any values of a column were outside the reference's range in the past weeks. False if this is unknown."""
    past = finding.evidence.get("past")
    return past is not None and past < SOME


def continues_drift(finding: Finding, old: Finding) -> bool:
    """Whether a finding continues an ongoing drift. It does if it is a drift without a date, a drift of the joint distribution, or about a
    column of that drift.

    A drifting column leaves the reference's range on some date. If more of its values are outside than the limit for `act` allows, but the
    distribution is like in the past weeks, the finding belongs to the ongoing drift. This does not hold for values in another unit.
    """
    if is_joint_drift(finding) or is_undated_drift(finding):
        return True
    if pipeline_stage(finding) != "input" or not same_subject(finding, old):
        return False
    return onset_certainty(finding) != "dated" or (old.metric == "psi" and leaves_range(finding))


def is_part_of(finding: Finding, whole: Finding) -> bool:
    """Whether a finding about a slice, below `act`, is explained by a finding about all rows. Both are about one column, which moved in the
    other rows too.
    """
    return bool(
        finding.evidence.get("whole_moved") and claimed_place(whole) is None and same_subject(finding, whole) and finding.severity != "act"
    )


def are_one_fall(one: Finding, other: Finding) -> bool:
    """Whether two findings about outcomes belong to one fault, regardless of their onsets. The pairs are a slice and the whole, two slices
    that share a condition and do not exclude each other, and two slices without a date that are levels of the same columns.

    The onset of a slice is uncertain, because it is based on few rows per day.
    """
    if {pipeline_stage(one), pipeline_stage(other)} != {"outcome"} or SLICES not in (one.analyzer, other.analyzer):
        return False
    return places_overlap(one, other) or (is_undated_slice(one) and is_undated_slice(other) and slice_columns(one) == slice_columns(other))


def is_undated_slice(finding: Finding) -> bool:
    """Whether a finding is about a slice and its days do not show when the change began. Slices are searched only within the window, so a
    change on its first day may be older.
    """
    return finding.slice is not None and onset_certainty(finding) != "dated"


def slice_columns(finding: Finding) -> set[str]:
    """The columns that define a slice."""
    return {part.partition("=")[0] for part in (finding.slice or "").split("&")}


def places_overlap(one: Finding, other: Finding) -> bool:
    """Whether one of two findings is about everything, or both are about slices that share a condition and do not exclude each other."""
    places = [set((claimed_place(finding) or "").split("&")) - {""} for finding in (one, other)]
    return same_place(one, other) and (not all(places) or bool(set.intersection(*places)))


def are_one_fall_of_days(one: Finding, other: Finding) -> bool:
    """Whether two findings measure how correct the answers in one place are, with dates at most TRAVELS apart.

    The metrics of one drop become significant on different days.
    """
    if not {one.analyzer, other.analyzer} <= set(FALLS) or {pipeline_stage(one), pipeline_stage(other)} != {"outcome"}:
        return False
    if not onset_certainty(one) == onset_certainty(other) == "dated" or one.onset is None or other.onset is None:
        return False
    return places_overlap(one, other) and abs(one.onset - other.onset) <= TRAVELS


def onset_certainty(finding: Finding) -> Known:
    """How well the onset is known: "dated"; "open" if it is before the first analysed day; "vague" if the days do not show it."""
    if finding.evidence.get("standing"):
        return "open"
    if finding.onset is None:
        return "vague"
    return finding.evidence.get("onset_known") or ("open" if finding.onset <= finding.start else "dated")


def same_time(one: Finding, other: Finding) -> bool:
    """Whether two findings have the same onset. Onsets before the analysed days count as equal. False if an onset is vague."""
    if onset_certainty(one) != onset_certainty(other) or onset_certainty(one) == "vague":
        return False
    if onset_certainty(one) == "open" or one.onset is None or other.onset is None:
        return True
    apart = abs(one.onset - other.onset)
    return apart < NEAR if has_sharp_onset(one) and has_sharp_onset(other) else apart <= NEAR


def same_place(one: Finding, other: Finding) -> bool:
    """Whether two findings can be about the same place: no column has different values in their places. A finding without a place fits
    every place.
    """
    a, b = (dict(part.split("=", 1) for part in (claimed_place(finding) or "").split("&") if part) for finding in (one, other))
    return all(b.get(name, value) == value for name, value in a.items())


def same_subject(one: Finding, other: Finding) -> bool:
    """Whether two findings are about the same feature, replica or training run. A joint drift is also about each feature that moved
    alone.
    """
    named, of_other = specific_subject(one), specific_subject(other)
    if named is not None and named == of_other:
        return True
    return of_other in one.evidence.get("moved_alone", ()) or named in other.evidence.get("moved_alone", ())


def began_together(one: Finding, other: Finding) -> bool:
    """Whether two findings of one stage began together and therefore belong to one fault.

    Findings that began before the analysed days also need a common place. Findings of the stages in `APART` never belong together by their
    onset.
    """
    return pipeline_stage(one) not in APART and same_time(one, other) and (onset_certainty(one) == "dated" or same_place(one, other))


def may_share_fault(one: Finding, other: Finding) -> bool:
    """Whether two findings of one stage, one of them without a date, can belong to one fault."""
    return pipeline_stage(one) not in APART and same_place(one, other)


def follows_in_time(effect: Finding, cause: Finding) -> bool:
    """Whether an effect follows a cause closely enough in time. True if an onset is vague. A long-standing state does not explain a new
    effect.

    A metric and its consequences are measured on the same labels, so either may be dated first.
    """
    if "vague" in (onset_certainty(effect), onset_certainty(cause)):
        return True
    if effect.onset is None or cause.onset is None:
        return onset_certainty(effect) == onset_certainty(cause)
    before = TRAVELS if pipeline_stage(cause) == "outcome" else NEAR
    return -before <= effect.onset - cause.onset <= TRAVELS


def is_worse_severity(severity: str, other: str) -> bool:
    """Whether `severity` is worse than `other`."""
    return SEVERITIES.index(severity) < SEVERITIES.index(other)


def shift_strength(finding: Finding) -> float:
    """The strength of a feature's change, 0 to 1: the Jensen-Shannon distance of its distribution, else the growth of a rate."""
    if (moved := finding.evidence.get("jensen_shannon_distance")) is not None:
        return float(moved)
    if finding.unit == "share" and finding.value is not None:
        return min(max(finding.value - float(finding.evidence.get("baseline") or 0.0), 0.0), 1.0)
    return 1.0 if finding.severity == "act" else 0.5


def touched_importance(findings: Sequence[Finding], importance: Mapping[str, float]) -> float | None:
    """The sum of importance times strength over the features of findings. None if the importance of a feature is unknown."""
    strongest: dict[str, float] = {}
    for finding in findings:
        if finding.subject not in importance:
            return None
        strongest[finding.subject] = max(strongest.get(finding.subject, 0.0), shift_strength(finding))
    return sum(importance[name] * strength for name, strength in strongest.items())


def relative_loss(fall: Finding) -> float | None:
    """The relative size of a drop: the growth of an error, or the lost share of a skill. None if the metric has no better direction
    (bias).
    """
    before, better = fall.evidence.get("baseline"), METRICS[fall.metric].better
    if before is None or fall.value is None or better is None:
        return None
    worth = abs(before - 0.5) if fall.metric == "roc_auc" else abs(before)
    return abs(fall.value - before) / worth if worth else None


def can_cause(cause: Finding, at: Stage) -> bool:
    """Whether a finding can cause findings of a stage. Of the findings about a service, only errors (fallback answers) can shift scores and
    outcomes.
    """
    own = pipeline_stage(cause)
    return own in CAUSES[at] and (own != "service" or at not in ("score", "outcome") or cause.metric == "error_rate")


def explained_share(fall: Finding, everything: Sequence[Finding]) -> float | None:
    """The share of an outcome's drop that the inputs explain, from an estimate without labels on the same rows. None without such an
    estimate.

    An estimate follows the inputs and cannot detect concept drift. Therefore a drop that the estimate does not show is consistent with
    concept drift.
    """
    for finding in everything:
        check = finding.evidence.get("check") or (finding.evidence if finding.metric == "estimate_error" else None)
        if not isinstance(check, dict) or (finding.model, finding.version, check.get("metric")) != (fall.model, fall.version, fall.metric):
            continue
        before, estimated, measured = fall.evidence.get("baseline"), check.get("estimated"), check.get("measured")
        if before is not None and estimated is not None and measured is not None and measured != before:
            return float((estimated - before) / (measured - before))
    return None
