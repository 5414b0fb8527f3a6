"""Decides which faults continue an ongoing drift of the inputs. A distribution that moves without a date is a state, not an event.

During an ongoing drift, columns keep moving on various dates. Such a move belongs to the ongoing fault, with these exceptions: its values
are broken or in another unit, the column moved much farther, or answers became worse at the same time (docs/decisions/0122).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from observability.core.finding import SEVERITIES, Finding, worst_first
from observability.core.metric_definitions import METRICS
from observability.incidents.finding_groups import FindingsBySubject, without_findings
from observability.incidents.grouping_rules import (
    FALLS,
    STAGES,
    STANDING_STAGES,
    Stage,
    are_joint_drift,
    claimed_place,
    continues_drift,
    continues_fall,
    is_joint_drift,
    is_standing,
    is_undated_drift,
    is_undated_slice,
    is_worse_severity,
    leaves_range,
    left_at_once,
    onset_certainty,
    pipeline_stage,
    same_subject,
)

HARM: tuple[Stage, ...] = ("outcome", "fairness", "label", "service")
"""Stages whose findings show that a move of the inputs did harm. For the quality of all answers, only the primary metric counts."""

Continuing = Callable[[Sequence[Finding], Sequence[Finding]], tuple[list[Finding], list[Finding]]]
"""A function of findings and ongoing findings. It returns the findings that continue an ongoing finding, and those of them that have the
same subject as an ongoing finding.
"""
MUCH_FARTHER = 10.0
"""A column becomes a separate incident if it is farther from the reference than the ongoing drift by more than this factor."""
CRITICAL_PSI = 0.25
"""The PSI that is assumed for the ongoing drift if only the joint distribution of the inputs drifts, so that no column has a PSI."""


@dataclass
class FaultGroup:
    """An incident under construction. root: the findings nearest to the source, all of one stage. others: findings attached to the root
    findings.

    standing: whether it contains findings that are not new. drift: whether it is a drift of distributions without a date.
    """

    stage: Stage
    root: list[Finding]
    others: list[Finding] = field(default_factory=list)
    standing: bool = False
    drift: bool = False

    @property
    def members(self) -> list[Finding]:
        """All findings of the incident: the root findings, then the attached ones."""
        return self.root + self.others

    @property
    def severity(self) -> str:
        """The worst severity of the incident's findings."""
        return min((finding.severity for finding in self.members), key=SEVERITIES.index)

    @property
    def worst_roots(self) -> list[Finding]:
        """The root findings that are as severe as the worst finding of the incident."""
        worst = self.severity
        return [root for root in self.root if root.severity == worst]


def details_of_what_stands(alarming: Sequence[Finding], standing: Sequence[Finding], at: Stage, continuing: Continuing) -> list[Finding]:
    """The findings that continue an ongoing finding. If a dated finding of the stage `at` continues no ongoing finding, it may be a
    separate fault, from which other findings may follow. Then only two kinds are returned: findings about an ongoing subject, and findings
    that are worse than every such fault.
    """
    going_on, of_subject = continuing(alarming, standing)
    dated = [finding for finding in alarming if pipeline_stage(finding) == at and onset_certainty(finding) == "dated"]
    faults = {finding.severity for finding in without_findings(dated, going_on)}
    own = {id(finding) for finding in of_subject}
    return [
        finding for finding in going_on if id(finding) in own or all(is_worse_severity(finding.severity, severity) for severity in faults)
    ]


def continuing_drift(alarming: Sequence[Finding], standing: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """The findings that continue an ongoing drift (`continues_drift`), and those of them whose own subject is already drifting."""
    if not standing:
        return [], []
    about = FindingsBySubject(standing)
    own = [finding for finding in alarming if any(continues_drift(finding, old) for old in about.of_subject(finding))]
    known = {id(finding) for finding in own}
    return [finding for finding in alarming if id(finding) in known or is_joint_drift(finding) or is_undated_drift(finding)], own


def continuing_fall(alarming: Sequence[Finding], standing: Sequence[Finding]) -> tuple[list[Finding], list[Finding]]:
    """The findings that continue an ongoing drop (`continues_fall`), and those of them whose own subject had already dropped."""
    falls, old_falls = ([finding for finding in side if pipeline_stage(finding) == "outcome"] for side in (alarming, standing))
    going_on = [finding for finding in falls if any(continues_fall(finding, old) for old in old_falls)]
    own = [finding for finding in going_on if any(same_subject(finding, old) and continues_fall(finding, old) for old in old_falls)]
    return going_on, own


def drift_without_date(alarming: Sequence[Finding]) -> list[Finding]:
    """The findings about inputs that form one drift without a date. Empty if another change of the inputs is at least as severe."""
    inputs = [finding for finding in alarming if pipeline_stage(finding) == "input"]
    undated = [finding for finding in inputs if is_undated_drift(finding)]
    drift, _ = continuing_drift(inputs, undated)
    worst = min((finding.severity for finding in drift), key=SEVERITIES.index, default=None)
    others = {finding.severity for finding in without_findings(inputs, drift)}
    return worst_first(drift) if all(worst is not None and is_worse_severity(worst, severity) for severity in others) else []


def standing_fault(standing: Sequence[Finding]) -> list[FaultGroup]:
    """The fault of all ongoing findings of a model, with the inputs as source if there are any. Empty without ongoing findings. A finding
    that only continues the ongoing ones is not a source, unless it is more severe than all of them.
    """
    if not standing:
        return []
    old = [finding for finding in standing if is_standing(finding)]
    worst = worst_first(list(standing))[0].severity
    worse = all(is_worse_severity(worst, finding.severity) for finding in old)
    sources = [finding for finding in standing if pipeline_stage(finding) in STANDING_STAGES] if worse else old
    first = min((pipeline_stage(finding) for finding in sources), key=STANDING_STAGES.index)
    root = [finding for finding in sources if pipeline_stage(finding) == first]
    others = without_findings(standing, root)
    return [FaultGroup(first, root, others, standing=True, drift=True)]


def with_standing(found: Sequence[FaultGroup], standing: Sequence[Finding]) -> list[FaultGroup]:
    """The faults of a model, including the ongoing fault. The ongoing fault absorbs the faults that continue its drift. Without ongoing
    findings, drifts without a date are merged into one fault.
    """
    if not standing:
        return with_one_drift(found)
    kept, late = list[FaultGroup](), list[Finding]()
    for fault in found:
        if goes_on_with_drift(fault, standing):
            late += fault.members
        else:
            kept.append(replace(fault, drift=False))
    return [*kept, *standing_fault([*standing, *late])]


def with_one_drift(found: Sequence[FaultGroup]) -> list[FaultGroup]:
    """The faults of a model without an ongoing fault: its drifts are merged into one fault."""
    drifts = [fault for fault in found if is_drift_fault(fault)]
    if not drifts:
        return list(found)
    first, others = drifts[0], drifts[1:]
    whole = replace(first, others=[*first.others, *(finding for fault in others for finding in fault.members)], drift=True)
    return [whole if fault is first else fault for fault in found if not any(fault is other for other in others)]


def with_first_days(found: Sequence[FaultGroup], findings: Sequence[Finding]) -> list[FaultGroup]:
    """The faults of a model. Faults that have existed since its first day are merged into one: serving has always differed from the
    reference, and nothing changed since. This fault also includes moves that continue a drift of these days.
    """
    if not is_first_window(findings):
        return list(found)
    drift = [finding for fault in found for finding in fault.members if is_undated_drift(finding)]
    since = [fault for fault in found if began_with_serving(fault) or (drift and goes_on_with_drift(dated_part(fault), drift))]
    if not since:
        return list(found)
    first = min(since, key=lambda fault: (SEVERITIES.index(fault.severity), fault.standing, STAGES.index(fault.stage)))
    others = [finding for fault in since if fault is not first for finding in fault.members]
    whole = replace(first, others=[*first.others, *others], drift=True, standing=all(fault.standing for fault in since))
    return [whole if fault is first else fault for fault in found if fault is first or not any(fault is other for other in since)]


def is_first_window(findings: Sequence[Finding]) -> bool:
    """Whether the findings are about the first days of a model, that is, whether the analyzers that read earlier weeks found no data."""
    pasts = [finding.evidence["past"] for finding in findings if "past" in finding.evidence]
    return bool(pasts) and all(past is None for past in pasts)


def dated_part(fault: FaultGroup) -> FaultGroup:
    """The fault, with only the dated ones of its attached findings. A state that began on the first day cannot result from a later move."""
    return replace(fault, others=[finding for finding in fault.others if onset_certainty(finding) == "dated"])


def began_with_serving(fault: FaultGroup) -> bool:
    """Whether a fault in the model's first days has no dated finding among its worst root findings."""
    worst = fault.worst_roots
    return fault.stage in STANDING_STAGES and bool(worst) and all(onset_certainty(root) != "dated" for root in worst)


def is_drift_fault(fault: FaultGroup) -> bool:
    """Whether a fault comes from a drift without a date, or from a drift of all inputs together."""
    return fault.drift or are_joint_drift(fault.root) or all(is_undated_drift(root) or is_joint_drift(root) for root in fault.root)


def goes_on_with_drift(fault: FaultGroup, standing: Sequence[Finding]) -> bool:
    """Whether a fault continues the ongoing drift. Its worst root findings must continue the drift, and no answers may have become equally
    bad at the same time.

    A drift of the joint distribution continues an ongoing drift of a single column. A joint drift without a date, and any drift that began
    before the analysed days, belong to whatever is ongoing. A dated drift of the joint distribution is an event if no inputs drifted
    before. While inputs drift, the slices with the worst answers change every week, so a slice without a date is not an event.
    """
    if has_harm(fault):
        return False
    drifts = any(is_joint_drift(finding) or finding.metric == "psi" for finding in standing)
    if all(is_joint_drift(root) for root in fault.root):
        return drifts or all(onset_certainty(root) != "dated" for root in fault.root)
    if is_drift_fault(fault) and any(onset_certainty(root) == "open" for root in fault.root):
        return True
    if not drifts:
        return False
    severity = worst_first(list(standing))[0].severity
    worst = fault.worst_roots
    if is_worse_severity(fault.severity, severity) or not worst:
        return False
    if fault.stage == "outcome":
        return all(map(is_undated_slice, worst))
    farthest = max((finding.value or 0.0 for finding in standing if finding.metric == "psi"), default=CRITICAL_PSI)
    about = FindingsBySubject(standing)
    return fault.stage in ("input", "slice", "score") and all(is_move(root, farthest, about) for root in worst)


def is_move(root: Finding, farthest: float, standing: FindingsBySubject) -> bool:
    """Whether a finding about a column is a move of its distribution like the ongoing moves. Its values must not be broken, in another
    unit, or much farther from the reference. farthest: the largest PSI of the ongoing findings. A column that leaves its range suddenly is
    a fault, unless the column was already drifting.
    """
    if is_joint_drift(root) or is_undated_drift(root):
        return True
    if pipeline_stage(root) == "slice":
        return is_undated_slice(root) and bool(standing.of_subject(root))
    leaves = leaves_range(root)
    if root.evidence.get("factor") is not None or not (leaves or root.metric == "psi"):
        return False
    if leaves:
        return not left_at_once(root) or any(is_undated_drift(old) for old in standing.of_subject(root))
    return (root.value or 0.0) <= MUCH_FARTHER * farthest


def has_harm(fault: FaultGroup) -> bool:
    """Whether answers, labels or the service became as bad as the severity of the fault.

    The primary metric represents the quality of all answers; other metrics that drop with it are its details. A metric without a better
    direction (bias) does not count as harm.
    """
    worst = fault.severity
    harm = [finding for finding in fault.others if pipeline_stage(finding) in HARM and finding.severity == worst]
    return any(
        METRICS[finding.metric].better is not None
        and (finding.evidence.get("primary") or finding.analyzer not in FALLS or claimed_place(finding))
        for finding in harm
    )
