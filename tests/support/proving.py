"""Runs the proof of each finding as the command `sql` does, and compares its answer with the value of the finding."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable

from observability.analyzers import discover
from observability.core.finding import Finding
from observability.proofs.service import STATED_ERRORS
from observability.store.engine import Store

EXACT = 1e-9


def proven_value(store: Store, finding: Finding) -> float | None:
    """The one number that the proof of a finding gives."""
    assert finding.proof is not None
    answer = store.query_views(finding.proof)
    assert answer.columns == (finding.metric.partition(" of ")[0],), finding.proof
    ((value,),) = answer.rows
    return None if value is None else float(value)


def differing(store: Store, findings: Iterable[Finding]) -> list[str]:
    """The findings whose value differs from the answer of their proof by more than the stated error of the metric."""
    found = []
    for finding in findings:
        if finding.proof is None:
            continue
        assert finding.value is not None
        value, error = proven_value(store, finding), STATED_ERRORS.get(finding.metric, EXACT)
        if value is None or not math.isclose(value, finding.value, rel_tol=error, abs_tol=1e-12):
            found.append(
                f"{finding.analyzer} {finding.metric} of {finding.subject}: {finding.value!r}, by its proof {value!r}\n{finding.proof}"
            )
    return found


NO_REASONS = ("the analyzer names no query", "no query covers this case")


def without_reason(findings: Iterable[Finding]) -> list[str]:
    """The findings without a proof for which the analyzer gives no reason."""
    known = {each.name: each for each in discover()}
    unproven = [each for each in findings if not each.proof]
    return [
        f"{each.analyzer} {each.metric} of {each.subject}" for each in unproven if known[each.analyzer].why_no_proof(each) in NO_REASONS
    ]


def coverage(findings: Iterable[Finding]) -> str:
    """As text: the number of findings with and without a proof by analyzer, and the reasons of those without one."""
    known = {each.name: each for each in discover()}
    proven, unproven = Counter[str](), defaultdict(Counter[str])
    for finding in findings:
        if finding.proof:
            proven[finding.analyzer] += 1
        else:
            unproven[finding.analyzer][known[finding.analyzer].why_no_proof(finding)] += 1
    lines = []
    for name in sorted({*proven, *unproven}):
        lines.append(f"{name:32} {proven[name]:>4} with, {unproven[name].total():>4} without a proof")
        lines += [f"    {count:>4} {reason}" for reason, count in unproven[name].most_common()]
    return "\n".join([*lines, f"{'all':32} {proven.total():>4} with, {sum(each.total() for each in unproven.values()):>4} without a proof"])
