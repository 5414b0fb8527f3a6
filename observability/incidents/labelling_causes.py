"""Orders findings about labelling: the suspected cause first, then the findings whose evidence names it as their cause.

A finding of data/labelling states in `follows` what its answers are consistent with: a metric, the project, and the first day if it is
known. The cause also has to need action. No finding is dropped, and no severity changes.
"""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

from observability.core.finding import Finding
from observability.incidents.grouping_rules import NEAR, TRAVELS, onset_certainty

T = TypeVar("T")


def suspected_cause(finding: Finding, findings: Sequence[Finding]) -> Finding | None:
    """The one of `findings` that a finding about labelling follows. None if it follows none."""
    follows = finding.evidence.get("follows")
    if not finding.needs_action or not follows:
        return None
    return next((each for each in findings if each is not finding and each.needs_action and _is_cause(each, follows)), None)


def _is_cause(cause: Finding, follows: dict[str, object]) -> bool:
    """Whether `cause` is what another finding follows: it has the same metric and subject, or the same project and a fitting onset."""
    if cause.metric != follows["metric"]:
        return False
    if cause.metric != "label_agreement":
        return cause.subject == follows["subject"]
    project = follows["project"]
    if cause.subject != f"project:{project}" and project not in cause.evidence.get("projects", ()):
        return False
    if cause.onset is None or onset_certainty(cause) != "dated" or follows["since"] is None:
        return False
    return -NEAR <= datetime.fromisoformat(str(follows["since"])) - cause.onset <= TRAVELS


def causes_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings in their order, but each cause comes before the first of its consequences, directly followed by all of them."""
    return behind_their_causes(findings, [suspected_cause(finding, findings) for finding in findings])


def behind_their_causes(things: Sequence[T], causes: Sequence[T | None]) -> list[T]:
    """The things in their order, but each cause comes before its first consequence, directly followed by all its consequences. causes: the
    cause of each thing, or None.
    """
    found: list[T] = []
    placed: set[int] = set()
    consequences: defaultdict[int, list[T]] = defaultdict(list)
    for thing, cause in zip(things, causes, strict=True):
        if cause is not None:
            consequences[id(cause)].append(thing)
    for thing, cause in zip(things, causes, strict=True):
        first = thing if cause is None else cause
        together = [first, *consequences.get(id(first), ())]
        found += [each for each in together if id(each) not in placed]
        placed |= {id(each) for each in together}
    return found
