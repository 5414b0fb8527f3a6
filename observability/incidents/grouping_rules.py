"""The rules that decide whether two findings belong to one fault and which is nearer to its source.

A fault propagates through a model's pipeline in one direction: records arrive, a service answers, and labels arrive. Inputs shift scores,
scores shift outcomes, and outcomes shift fairness, explanations and cost. The rules give a finding's stage in the pipeline, the upstream
stages that may explain it, and the evidence against that: time, place, severity, and the importance of the affected features
(docs/decisions/0009).
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
"""In the order in which a fault propagates. request: requests that one subject makes on purpose; they are a separate fault. slice: the
values of a feature changed in one slice. dataset: what an audit found in the rows of a dataset, which says nothing about what is served.
"""
APART: tuple[Stage, ...] = ("run", "dataset")
"""Stages whose findings are one fault only if they are about one subject: each training run and each dataset is a fault of its own."""
CAUSES: dict[Stage, tuple[Stage, ...]] = {
    "run": (),
    "arrival": (),
    "service": ("arrival",),
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
"""Stages that may cause findings of a stage, likeliest first."""
SOURCES: dict[Stage, Source] = {
    **dict.fromkeys(("run", "arrival", "service", "request", "energy", "cost"), "system"),
    **dict.fromkeys(("score", "outcome", "fairness", "explanation", "other"), "model"),
    "label": "label",
    **dict.fromkeys(("input", "slice", "dataset"), "input"),
}
"""The suspected source where nothing upstream explains a finding and its analyzer names none."""
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
"""Metrics whose stage differs from their analyzer's."""
ANALYZER_STAGES: dict[str, Stage] = {
    "data/labels": "label",
    "data/labelling": "label",
    "serving/drift": "input",
    "serving/multivariate_drift": "input",
    "serving/call_drift": "input",
    "serving/latency": "service",
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
"""Analyzers whose stage differs from their section's."""
SECTION_STAGES: dict[str, Stage] = {"training": "run", "data": "input", "serving": "outcome", "trust": "outcome", "operations": "service"}
SLICES = "serving/slices"
NEAR = timedelta(days=1)
"""Largest distance of equal onsets: onsets dated by day have an error of up to a day for medium steps."""
TRAVELS = timedelta(days=4)
"""Longest delay between a cause and its effect: a small effect takes days to become significant."""
EXPLAINED = 0.25
"""Smallest share of a drop that an input shift must explain."""
TOUCHED = 0.05
"""Smallest importance times strength of shifted inputs that can explain a drop."""
BOUND = 0.5
"""Inputs that explain at most a smaller part of a drop than this are not its likely source, unless it began with them."""


SLICE_VALUES = ("rank_shift", "null_rate")
"""Metrics of the values of a column in a slice; the others that serving/slices reports are of outcomes."""
STANDING_STAGES: tuple[Stage, ...] = ("input", "slice", "score", "outcome", "fairness", "explanation")
"""Stages whose standing findings of a model form one incident."""


def pipeline_stage(finding: Finding) -> Stage:
    """Stage of a finding in the pipeline. A finding about the score is not one about an input."""
    if finding.analyzer == SLICES and finding.metric in SLICE_VALUES:
        return "score" if finding.subject in ("model", "score") else "slice"
    if (found := METRIC_STAGES.get(finding.metric)) is not None:
        return found
    if finding.evidence.get("column") == "score":
        return "score"
    return ANALYZER_STAGES.get(finding.analyzer) or SECTION_STAGES.get(finding.analyzer.partition("/")[0], "other")


def claimed_place(finding: Finding) -> str | None:
    """Place of a finding: a slice, or a replica, device, group or source as its subject; None for everywhere."""
    return finding.slice or (finding.subject if "=" in finding.subject else None)


def record_subject(finding: Finding) -> str:
    """The training run, project or dataset of a subject such as `run:ID/rank:5`."""
    return finding.subject.partition("/")[0]


def specific_subject(finding: Finding) -> str | None:
    """The subject if it identifies one thing (a feature, a replica, a run); None for the whole model."""
    return (
        None if finding.subject in ("model", "score") else record_subject(finding) if pipeline_stage(finding) == "run" else finding.subject
    )


def has_sharp_onset(finding: Finding) -> bool:
    """Whether the onset of a finding is dated to the day or better. Rates of broken values jump, while distances of distributions rise
    slowly.
    """
    return finding.analyzer.startswith("data/")


def reports_broken_values(finding: Finding) -> bool:
    """Whether a finding reports wrong values (swapped levels included), and not only shifted ones. Shifts at the same time follow from
    wrong values.
    """
    return finding.analyzer.startswith("data/") or finding.metric == "level_trade"


def follows_level_swap(effect: Finding, cause: Finding) -> bool:
    """Whether the cause is a swap of two levels of a column and the effect is about the rows of one of them, which are now other rows."""
    part = Slice.parse(effect.slice) if cause.metric == "level_trade" else None
    return part is not None and any(name == cause.subject and level in cause.evidence["levels"] for name, level in part.conditions)


OWN = 0.5
"""A group's change is its own where the other groups changed by less than this part of it."""


def is_isolated_group(finding: Finding) -> bool:
    """Whether a finding is about one group that changed while the others did not. Findings about the whole then follow from it."""
    moved, baseline = finding.evidence.get("others_moved"), finding.evidence.get("baseline")
    if finding.analyzer != "trust/fairness" or "=" not in finding.subject or moved is None or baseline is None or finding.value is None:
        return False
    return not finding.evidence.get("standing") and abs(moved) < OWN * abs(finding.value - baseline)


HELD, A_PART = 0.8, 0.6
"""Smallest share of the change and largest share of the rows of a slice in which a change is concentrated."""


def is_concentrated_slice(finding: Finding) -> bool:
    """Whether a finding is about one slice that holds nearly all of a change and only a part of the rows."""
    coverage, share = finding.evidence.get("coverage"), finding.evidence.get("share")
    return finding.analyzer == SLICES and coverage is not None and coverage >= HELD and share is not None and share <= A_PART


def is_standing(finding: Finding) -> bool:
    """Whether a finding of a model is beyond its limit and not new: the model's own past shows it as well, or it began before the analyzed
    days. A dated change that continues does not count as standing: it keeps its incident.
    """
    if finding.model is None or pipeline_stage(finding) not in STANDING_STAGES:
        return False
    known = finding.evidence.get("standing", finding.evidence.get("onset_known") == "open")
    return bool(known) or (finding.news in ("ongoing", "improving") and onset_certainty(finding) != "dated")


DISTRIBUTIONS = ("serving/drift", "serving/multivariate_drift")


def is_undated_drift(finding: Finding) -> bool:
    """Whether a finding is about a distribution and its days do not show when it began."""
    return finding.analyzer in DISTRIBUTIONS and onset_certainty(finding) != "dated"


def is_joint_drift(finding: Finding) -> bool:
    """Whether a finding is about the distribution of all inputs together."""
    return finding.analyzer in DISTRIBUTIONS and pipeline_stage(finding) == "input" and specific_subject(finding) is None


def are_joint_drift(findings: Sequence[Finding]) -> bool:
    """Whether findings are about one drift of the joint distribution. Requests far from the reference belong to it, but alone they are not
    a drift.
    """
    joint = [finding for finding in findings if is_joint_drift(finding)]
    far = [finding for finding in findings if finding.metric == "far_request_share" and specific_subject(finding) is None]
    return bool(joint) and len(joint) + len(far) == len(findings)


FALLS = ("serving/performance", "serving/calibration", SLICES, "serving/why_changed", "serving/estimated_performance")
"""Analyzers that measure how right the answers of a model are."""


def continues_fall(finding: Finding, old: Finding) -> bool:
    """Whether a finding about the answers is a detail of an ongoing fall of the whole: the ongoing finding is about the primary metric, or
    the finding has no date and is not new. The primary metric itself is never a detail. A fall of a part is a detail only if the primary
    metric fell further. Bias of a part needs no further fall, because bias has no better side.
    """
    if any(each.analyzer not in FALLS or pipeline_stage(each) != "outcome" for each in (finding, old)) or claimed_place(old) is not None:
        return False
    of_part = claimed_place(finding) is not None and METRICS[finding.metric].better is not None
    if finding.evidence.get("primary") or (of_part and not (old.evidence.get("primary") and old.news == "worse")):
        return False
    return bool(old.evidence.get("primary")) or (onset_certainty(finding) != "dated" and finding.news != "new")


MOSTLY, SOME = 0.9, 0.01
"""Share of a column's values beyond the range of the reference from which another unit is likelier than a drift, unless at least some share
was beyond it in the past weeks: another unit comes at once."""


def leaves_range(finding: Finding) -> bool:
    """Whether the share of a column's values that are beyond the reference's range, or unknown to it, exceeds the limit for act, without a
    sign of another unit or coding.
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
    """Whether hardly any values of a column were outside the reference's range in the past weeks; false if these are not known."""
    past = finding.evidence.get("past")
    return past is not None and past < SOME


def continues_drift(finding: Finding, old: Finding) -> bool:
    """Whether a finding continues an ongoing drift: a drift without a date, a drift of the joint distribution, or a column of that drift.

    A column that drifts leaves the range of the reference on some date. If more values than the limit for act are beyond it, but the
    distribution is like in the past weeks, it belongs to the ongoing drift. Values in another unit are not.
    """
    if is_joint_drift(finding) or is_undated_drift(finding):
        return True
    if pipeline_stage(finding) != "input" or not same_subject(finding, old):
        return False
    return onset_certainty(finding) != "dated" or (old.metric == "psi" and leaves_range(finding))


def is_part_of(finding: Finding, whole: Finding) -> bool:
    """Whether a finding about a slice is explained by one about all rows: both are about one column, which moved in the other rows too."""
    return bool(
        finding.evidence.get("whole_moved") and claimed_place(whole) is None and same_subject(finding, whole) and finding.severity != "act"
    )


def are_one_fall(one: Finding, other: Finding) -> bool:
    """Whether two findings about outcomes are one fault, whatever their onsets: a slice and the whole; two slices that share a condition
    and whose conditions do not exclude each other; or two slices without a date that are levels of the same columns.

    The onset of a slice is uncertain, because it rests on few rows a day.
    """
    if {pipeline_stage(one), pipeline_stage(other)} != {"outcome"} or SLICES not in (one.analyzer, other.analyzer):
        return False
    return places_overlap(one, other) or (is_undated_slice(one) and is_undated_slice(other) and slice_columns(one) == slice_columns(other))


def is_undated_slice(finding: Finding) -> bool:
    """Whether a finding is about a slice and its days do not show when it began. Slices are searched only in the window, so a change on its
    first day may be older.
    """
    return finding.slice is not None and onset_certainty(finding) != "dated"


def slice_columns(finding: Finding) -> set[str]:
    """The columns that define a slice."""
    return {part.partition("=")[0] for part in (finding.slice or "").split("&")}


def places_overlap(one: Finding, other: Finding) -> bool:
    """Whether one finding is about everywhere, or both are about slices that share a condition and whose conditions do not exclude each
    other.
    """
    places = [set((claimed_place(finding) or "").split("&")) - {""} for finding in (one, other)]
    return same_place(one, other) and (not all(places) or bool(set.intersection(*places)))


def are_one_fall_of_days(one: Finding, other: Finding) -> bool:
    """Whether two findings measure how right the answers of one place are, and were dated at most TRAVELS apart.

    The metrics of one fall become significant on different days.
    """
    if not {one.analyzer, other.analyzer} <= set(FALLS) or {pipeline_stage(one), pipeline_stage(other)} != {"outcome"}:
        return False
    if not onset_certainty(one) == onset_certainty(other) == "dated" or one.onset is None or other.onset is None:
        return False
    return places_overlap(one, other) and abs(one.onset - other.onset) <= TRAVELS


def onset_certainty(finding: Finding) -> Known:
    """Certainty of the onset: "dated"; "open" if it is before the first analysed day; "vague" if the days do not date it."""
    if finding.evidence.get("standing"):
        return "open"
    if finding.onset is None:
        return "vague"
    return finding.evidence.get("onset_known") or ("open" if finding.onset <= finding.start else "dated")


def same_time(one: Finding, other: Finding) -> bool:
    """Whether two findings have the same onset. False if an onset is vague; onsets before the analysed days count as equal."""
    if onset_certainty(one) != onset_certainty(other) or onset_certainty(one) == "vague":
        return False
    if onset_certainty(one) == "open" or one.onset is None or other.onset is None:
        return True
    apart = abs(one.onset - other.onset)
    return apart < NEAR if has_sharp_onset(one) and has_sharp_onset(other) else apart <= NEAR


def same_place(one: Finding, other: Finding) -> bool:
    """Whether two findings can be about the same place: no column has different values in their places. A finding without a place fits
    any.
    """
    a, b = (dict(part.split("=", 1) for part in (claimed_place(finding) or "").split("&") if part) for finding in (one, other))
    return all(b.get(name, value) == value for name, value in a.items())


def same_subject(one: Finding, other: Finding) -> bool:
    """Whether two findings are about one feature, replica or training run; a joint drift is also about each feature that moved alone."""
    named, of_other = specific_subject(one), specific_subject(other)
    if named is not None and named == of_other:
        return True
    return of_other in one.evidence.get("moved_alone", ()) or named in other.evidence.get("moved_alone", ())


def began_together(one: Finding, other: Finding) -> bool:
    """Whether two findings of one stage began together and so belong to one fault.

    Findings that began before the analysed days also need a common place, and those of `APART` a common subject.
    """
    return pipeline_stage(one) not in APART and same_time(one, other) and (onset_certainty(one) == "dated" or same_place(one, other))


def may_share_fault(one: Finding, other: Finding) -> bool:
    """Whether two findings of one stage, one of them without a date, can belong to one fault."""
    return pipeline_stage(one) not in APART and same_place(one, other)


def follows_in_time(effect: Finding, cause: Finding) -> bool:
    """Whether a cause precedes an effect closely enough; true if an onset is vague. A long-standing state does not explain a new effect.

    A metric and its consequences are measured on the same labels, so either of them may be dated first.
    """
    if "vague" in (onset_certainty(effect), onset_certainty(cause)):
        return True
    if effect.onset is None or cause.onset is None:
        return onset_certainty(effect) == onset_certainty(cause)
    before = TRAVELS if pipeline_stage(cause) == "outcome" else NEAR
    return -before <= effect.onset - cause.onset <= TRAVELS


def is_worse_severity(severity: str, other: str) -> bool:
    """Whether one severity is worse than another."""
    return SEVERITIES.index(severity) < SEVERITIES.index(other)


def shift_strength(finding: Finding) -> float:
    """Strength of a feature's change, 0 to 1: the growth of a rate, or the Jensen-Shannon distance of a distribution."""
    if (moved := finding.evidence.get("jensen_shannon_distance")) is not None:
        return float(moved)
    if finding.unit == "share" and finding.value is not None:
        return min(max(finding.value - float(finding.evidence.get("baseline") or 0.0), 0.0), 1.0)
    return 1.0 if finding.severity == "act" else 0.5


def touched_importance(findings: Sequence[Finding], importance: Mapping[str, float]) -> float | None:
    """Sum of importance times strength over the findings' features; None if a subject has no known importance."""
    strongest: dict[str, float] = {}
    for finding in findings:
        if finding.subject not in importance:
            return None
        strongest[finding.subject] = max(strongest.get(finding.subject, 0.0), shift_strength(finding))
    return sum(importance[name] * strength for name, strength in strongest.items())


def relative_loss(fall: Finding) -> float | None:
    """Relative size of a drop: growth of an error, or lost share of the skill; None if the metric has no direction (bias)."""
    before, better = fall.evidence.get("baseline"), METRICS[fall.metric].better
    if before is None or fall.value is None or better is None:
        return None
    worth = abs(before - 0.5) if fall.metric == "roc_auc" else abs(before)
    return abs(fall.value - before) / worth if worth else None


def can_cause(cause: Finding, at: Stage) -> bool:
    """Whether a finding can cause findings of a stage. For a service, only errors (fallback answers) shift scores and outcomes."""
    own = pipeline_stage(cause)
    return own in CAUSES[at] and (own != "service" or at not in ("score", "outcome") or cause.metric == "error_rate")


def explained_share(fall: Finding, everything: Sequence[Finding]) -> float | None:
    """Share of a drop of an outcome that the inputs explain, by an estimate without labels of the same rows; None without such an estimate.

    An estimate follows the inputs and cannot detect concept drift, so a drop that it does not show is consistent with concept drift.
    """
    for finding in everything:
        check = finding.evidence.get("check") or (finding.evidence if finding.metric == "estimate_error" else None)
        if not isinstance(check, dict) or (finding.model, finding.version, check.get("metric")) != (fall.model, fall.version, fall.metric):
            continue
        before, estimated, measured = fall.evidence.get("baseline"), check.get("estimated"), check.get("measured")
        if before is not None and estimated is not None and measured is not None and measured != before:
            return float((estimated - before) / (measured - before))
    return None
