"""Looks up findings by their subject. Thus the grouping for a model with many columns need not compare every finding with every other."""

from collections.abc import Iterable, Sequence

from observability.core.finding import SEVERITIES, Finding, worst_first
from observability.incidents.grouping_rules import are_one_fall, claimed_place, may_share_fault, pipeline_stage, specific_subject


class FindingsBySubject:
    """Findings indexed by their subject (`same_subject`)."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.named: dict[str | None, list[Finding]] = {}
        self.moved_alone: dict[str | None, list[Finding]] = {}
        for finding in findings:
            self.named.setdefault(specific_subject(finding), []).append(finding)
            for name in finding.evidence.get("moved_alone", ()):
                self.moved_alone.setdefault(name, []).append(finding)

    def of_subject(self, finding: Finding) -> list[Finding]:
        """The findings with the same subject as a given finding."""
        own = specific_subject(finding)
        found = [] if own is None else list(self.named.get(own, ()))
        found += self.moved_alone.get(own, ())
        return found + [other for name in finding.evidence.get("moved_alone", ()) for other in self.named.get(name, ())]


class OnsetGroup:
    """Findings of one stage that belong to one fault, and what decides whether another finding joins them.

    order: a sort key that compares groups by their worst finding. places: one finding for each place.
    """

    def __init__(self, first: Finding) -> None:
        self.members: list[Finding] = []
        self.order = self._order(first)
        self.subjects: set[str | None] = set()
        self.moved_alone: set[str | None] = set()
        self.places: dict[str | None, Finding] = {}
        self.add(first)

    @staticmethod
    def _order(finding: Finding) -> tuple[int, float, str]:
        return SEVERITIES.index(finding.severity), -finding.rank, finding.id

    def add(self, finding: Finding) -> None:
        """Add a finding to the group and update its order, subjects and places."""
        self.members.append(finding)
        self.order = min(self.order, self._order(finding))
        self.subjects.add(specific_subject(finding))
        self.moved_alone.update(finding.evidence.get("moved_alone", ()))
        self.places.setdefault(claimed_place(finding), finding)

    @property
    def findings(self) -> list[Finding]:
        """All findings of the group, worst first."""
        return worst_first(self.members)

    def has_subject(self, finding: Finding) -> bool:
        """Whether a member has the same subject as a finding (`same_subject`)."""
        own = specific_subject(finding)
        if (own is not None and own in self.subjects) or own in self.moved_alone:
            return True
        return not self.subjects.isdisjoint(finding.evidence.get("moved_alone", ()))

    def has_fall(self, finding: Finding) -> bool:
        """Whether a member measures the same drop of outcomes as a finding."""
        return pipeline_stage(finding) == "outcome" and any(are_one_fall(finding, member) for member in self.members)

    def may_hold(self, finding: Finding) -> bool:
        """Whether a finding without a date may belong to the same fault as all members."""
        return all(may_share_fault(finding, member) for member in self.places.values())


def without_findings(findings: Iterable[Finding], left_out: Sequence[Finding]) -> list[Finding]:
    """The findings without those in `left_out`. Findings are compared by identity."""
    known = {id(finding) for finding in left_out}
    return [finding for finding in findings if id(finding) not in known]
