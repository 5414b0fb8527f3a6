"""Can two findings be of one fault, and which of them says where it came from?

A fault travels through a model's pipeline in one direction: records arrive, a service answers, labels come; inputs move scores, scores move
outcomes, and those move fairness, explanations and cost. The rules here say where a finding stands on that way, which places upstream may explain
it, and what speaks against it: time, place, severity, and how much of what drives the model is touched at all (docs/decisions/0009).
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Literal

from observability.core.finding import SEVERITIES, Finding, Source
from observability.core.metric_definitions import METRICS
from observability.core.window import Slice

Known = Literal["dated", "open", "vague"]
Stage = Literal["run", "arrival", "service", "label", "input", "score", "outcome", "fairness", "explanation", "energy", "cost", "other"]
STAGES: tuple[Stage, ...] = (
    "run", "arrival", "service", "label", "input", "score", "outcome", "fairness", "explanation", "energy", "cost", "other",
)  # fmt: skip
"""In the order in which a fault travels."""
CAUSES: dict[Stage, tuple[Stage, ...]] = {
    "run": (),
    "arrival": (),
    "service": ("arrival",),
    "label": ("arrival",),
    "input": ("arrival",),
    "score": ("input", "service"),
    "outcome": ("score", "input", "label", "service"),
    "fairness": ("outcome", "score", "input", "label"),
    "explanation": ("input", "score"),
    "energy": ("service", "arrival"),
    "cost": ("service", "arrival", "energy", "outcome", "input"),
    "other": (),
}
"""Where a finding at a stage may come from, likeliest first."""
SOURCES: dict[Stage, Source] = {
    "run": "system", "arrival": "system", "service": "system", "label": "label", "input": "input", "score": "model", "outcome": "model",
    "fairness": "model", "explanation": "model", "energy": "system", "cost": "system", "other": "model",
}  # fmt: skip
"""The source to suspect where nothing upstream explains a finding and its analyzer names none."""
METRIC_STAGES: dict[str, Stage] = {
    **dict.fromkeys(("volume", "silence_hours", "freshness_hours", "duplicate_rate", "rejected_rate"), "arrival"),
    **dict.fromkeys(("request_rate", "error_rate", "latency_p50", "latency_p95", "latency_p99", "error_budget_left", "burn_rate"), "service"),
    **dict.fromkeys(("artifact_mismatch", "additivity_residual"), "score"),
    "label_maturity": "label",
    **dict.fromkeys(("queue_days", "batch_gap_hours", "batch_delay_hours", "batch_rows", "batch_rejected_rate"), "arrival"),
    "label_price": "cost",
}  # fmt: skip
ANALYZER_STAGES: dict[str, Stage] = {
    "data/labels": "label",
    "data/labelling": "label",
    "data/quality": "input",
    "serving/drift": "input",
    "serving/multivariate_drift": "input",
    "serving/latency": "service",
    "trust/fairness": "fairness",
    "trust/explanations": "explanation",
    "operations/energy": "energy",
    "operations/cost": "cost",
}
SECTION_STAGES: dict[str, Stage] = {"training": "run", "data": "input", "serving": "outcome", "trust": "outcome", "operations": "service"}
NEAR = timedelta(days=1)
"""Onsets that are dated by day are right within a day for middle-size steps: so far apart they may still be one."""
TRAVELS = timedelta(days=4)
"""A cause shows in what it causes at once; a smaller one takes days until it is more than chance. Later than this is another fault."""
EXPLAINED = 0.25
"""An input move that explains a smaller share of a fall than this does not explain it."""
TOUCHED = 0.05
"""Importance times strength of the inputs that moved, below which they are too little of what drives the model to explain a fall."""
BOUND = 0.5
"""Inputs that can carry at most a smaller part of a fall than this are not its likely source, unless it began with them."""


def stage(finding: Finding) -> Stage:
    """Where on the way through the pipeline a finding stands. A claim about the score is no claim about an input."""
    if (found := METRIC_STAGES.get(finding.metric)) is not None:
        return found
    if finding.evidence.get("column") == "score":
        return "score"
    return ANALYZER_STAGES.get(finding.analyzer) or SECTION_STAGES.get(finding.analyzer.partition("/")[0], "other")


def place(finding: Finding) -> str | None:
    """Where it is claimed to sit: a slice, or a replica, device, group or source as its subject; None for everywhere."""
    return finding.slice or (finding.subject if "=" in finding.subject else None)


def run_of(finding: Finding) -> str:
    """The training run, project or dataset of a subject such as `run:ID/rank:5`."""
    return finding.subject.partition("/")[0]


def subject(finding: Finding) -> str | None:
    """A subject that by itself says that two findings are about one thing: a feature, a replica, a run; not the whole model."""
    return None if finding.subject in ("model", "score") else run_of(finding) if stage(finding) == "run" else finding.subject


def sharp(finding: Finding) -> bool:
    """Whether its onset is dated to the day or better: a rate of broken values jumps, a distance of distributions creeps out of noise."""
    return finding.analyzer.startswith("data/")


def broken(finding: Finding) -> bool:
    """Whether it says that values are wrong, and not only that they moved: what moved with them follows from it. Names that changed places are wrong values."""
    return finding.analyzer.startswith("data/") or finding.metric == "level_trade"


def of_other_names(effect: Finding, cause: Finding) -> bool:
    """Whether a cause says that two levels of a column changed places, and the effect is about the rows of one of them: those are other rows than before."""
    part = Slice.parse(effect.slice) if cause.metric == "level_trade" else None
    return part is not None and any(name == cause.subject and level in cause.evidence["levels"] for name, level in part.conditions)


OWN = 0.5
"""Where the other groups moved by less than this part of what a group moved, the move is the group's own."""


def group_by_itself(finding: Finding) -> bool:
    """Whether it names one group of people that moved while the others did not: then it says where, and what is said of the whole follows from it."""
    moved, baseline = finding.evidence.get("others_moved"), finding.evidence.get("baseline")
    if finding.analyzer != "trust/fairness" or "=" not in finding.subject or moved is None or baseline is None or finding.value is None:
        return False
    return not finding.evidence.get("standing") and abs(moved) < OWN * abs(finding.value - baseline)


HELD, A_PART = 0.8, 0.6
"""A change sits in a slice that holds so much of it, and is no larger a part of the rows."""


def in_a_part(finding: Finding) -> bool:
    """Whether it names one slice that holds nearly all of a change, and is a part of the rows only."""
    coverage, share = finding.evidence.get("coverage"), finding.evidence.get("share")
    return finding.analyzer == "serving/slices" and coverage is not None and coverage >= HELD and share is not None and share <= A_PART


def known(finding: Finding) -> Known:
    """How its onset is known: "dated"; "open", it had begun before the first day that was looked at; "vague", its days do not tell."""
    if finding.evidence.get("standing"):
        return "open"
    if finding.onset is None:
        return "vague"
    return finding.evidence.get("onset_known") or ("open" if finding.onset <= finding.start else "dated")


def same_time(one: Finding, other: Finding) -> bool:
    """Whether two findings began together, as far as both onsets are known; what began before anybody looked began together."""
    if known(one) != known(other) or known(one) == "vague":
        return False
    if known(one) == "open" or one.onset is None or other.onset is None:
        return True
    apart = abs(one.onset - other.onset)
    return apart < NEAR if sharp(one) and sharp(other) else apart <= NEAR


def same_place(one: Finding, other: Finding) -> bool:
    """Whether two findings can sit in one place: one of them is about everywhere, or no column has one value here and another there."""
    a, b = (dict(part.split("=", 1) for part in (place(each) or "").split("&") if part) for each in (one, other))
    return all(b.get(name, value) == value for name, value in a.items())


def same_subject(one: Finding, other: Finding) -> bool:
    """Whether two findings are about one thing: a feature, a replica, a training run."""
    named = subject(one)
    return named is not None and named == subject(other)


def together(one: Finding, other: Finding) -> bool:
    """Whether two findings of one stage began together: features or slices that break at the same time are one fault, replicas that slow down at
    different times are two. What began before anybody looked has no time in common, only a place; training runs are one thing each.
    """
    return stage(one) != "run" and same_time(one, other) and (known(one) == "dated" or same_place(one, other))


def loosely(one: Finding, other: Finding) -> bool:
    """Whether two findings of one stage can be of one fault, where one of them has no date."""
    return stage(one) != "run" and same_place(one, other)


def follows(effect: Finding, cause: Finding) -> bool:
    """Whether a cause came in time for an effect, as far as both onsets are known. What has long been so explains nothing that began since."""
    if "vague" in (known(effect), known(cause)):
        return True
    if effect.onset is None or cause.onset is None:
        return known(effect) == known(cause)
    return -NEAR <= effect.onset - cause.onset <= TRAVELS


def worse(severity: str, other: str) -> bool:
    """Whether one severity is worse than another."""
    return SEVERITIES.index(severity) < SEVERITIES.index(other)


def strength(finding: Finding) -> float:
    """How much of one feature is broken or moved, 0 to 1: the growth of a rate, the Jensen-Shannon distance of a distribution."""
    if (moved := finding.evidence.get("jensen_shannon_distance")) is not None:
        return float(moved)
    if finding.unit == "share" and finding.value is not None:
        return min(max(finding.value - float(finding.evidence.get("baseline") or 0.0), 0.0), 1.0)
    return 1.0 if finding.severity == "act" else 0.5


def touched(findings: Sequence[Finding], importance: Mapping[str, float]) -> float | None:
    """How much of what drives the model the findings touch: the sum of importance times strength over features; None where it is not known.

    A claim about all inputs together touches what no single feature shows: not known.
    """
    strongest: dict[str, float] = {}
    for each in findings:
        if each.subject not in importance:
            return None
        strongest[each.subject] = max(strongest.get(each.subject, 0.0), strength(each))
    return sum(importance[name] * much for name, much in strongest.items())


def lost(fall: Finding) -> float | None:
    """How much of what a model was worth a fall took: the growth of an error, the share of its skill; None where that cannot be said (bias)."""
    before, better = fall.evidence.get("baseline"), METRICS[fall.metric].better
    if before is None or fall.value is None or better is None:
        return None
    worth = abs(before - 0.5) if fall.metric == "roc_auc" else abs(before)
    return abs(fall.value - before) / worth if worth else None


def carries(cause: Finding, at: Stage) -> bool:
    """Whether a finding can be behind one of a later stage: of a service, only what it answered instead (fallbacks) moves scores and outcomes."""
    own = stage(cause)
    return own in CAUSES[at] and (own != "service" or at not in ("score", "outcome") or cause.metric == "error_rate")


def explained(fall: Finding, everything: Sequence[Finding]) -> float | None:
    """Share of a fall of an outcome that its own inputs lead to expect, from what an estimate without labels said of the same rows; None where no
    estimate was held against the labels.

    An estimate follows the inputs and is blind to a changed relation, so a fall that it does not see is consistent with one.
    """
    for each in everything:
        check = each.evidence.get("check") or (each.evidence if each.metric == "estimate_error" else None)
        if each.model != fall.model or each.version != fall.version or not isinstance(check, dict) or check.get("metric") != fall.metric:
            continue
        before, estimated, measured = fall.evidence.get("baseline"), check.get("estimated"), check.get("measured")
        if before is not None and estimated is not None and measured is not None and measured != before:
            return float((estimated - before) / (measured - before))
    return None
