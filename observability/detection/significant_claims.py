"""Adjusts the severities of data-quality claims for multiple testing."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from observability.core.analyzer import Context
from observability.core.finding import SEVERITIES, Against, Finding, Severity, needs_action
from observability.detection.change import significant_severity, stated_limits
from observability.stats.multiple_testing import benjamini_hochberg

NAME = "data/quality"
PAST_DAYS = 28
"""Four weeks, in which each hour of the week occurs four times."""
QUIET_RANK = {"volume": 0.5, "freshness_hours": 0.4, "silence_hours": 0.3}
"""Rank of these metrics among findings of severity `ok`; volume comes first."""
Limit = float | tuple[float, float]


@dataclass(frozen=True)
class QualityClaim:
    """A finding with the severity that its effect size alone gives.

    p_value: NaN if the comparison is with a fixed level and already uses the interval. limits: for `watch` and `act`; None if there are
    none. missing: a sentence (or a function that returns it) that says what a decision needs, if the claim is beyond its limit but not
    significantly. Such a claim is `unknown`. If the sentence is empty, such an effect counts as chance and the claim is OK.
    """

    finding: Finding
    p_value: float
    limits: tuple[Limit | None, Limit | None]
    missing: str | Callable[[], str] = ""


def settled_findings(claims: Iterable[QualityClaim], budget: float) -> list[Finding]:
    """Return the findings with their final severities: the false discovery rate is controlled over all claims of the run."""
    looks = list(claims)
    adjusted, _ = benjamini_hochberg([each.p_value for each in looks], budget)
    return [settled_finding(claim, float(p), budget) for claim, p in zip(looks, adjusted)]


def settled_finding(claim: QualityClaim, adjusted: float, budget: float) -> Finding:
    """Return the finding at the severity that its adjusted p-value supports."""
    finding, tested = claim.finding, adjusted == adjusted
    severity = finding.severity
    if tested and needs_action(severity):
        severity = significant_severity(True, severity == "act", adjusted, budget)
        severity = "unknown" if severity == "ok" and claim.missing else severity
    evidence = finding.evidence | ({"p_value": claim.p_value, "p_adjusted": adjusted} if tested else {})
    limit = claim.limits[1] if severity == "act" else claim.limits[0]
    alarming = needs_action(severity)
    because = finding.because
    if severity == "unknown" != finding.severity:
        because = f"{because} {claim.missing if isinstance(claim.missing, str) else claim.missing()}"
    return finding.revised(
        severity=severity,
        because=because,
        news=finding.news if alarming else None,
        evidence=evidence,
        limit=limit,
        rank=finding.rank if alarming else QUIET_RANK.get(finding.metric, 0.0),
        onset=finding.onset if alarming else None,
        likely_source=finding.likely_source if alarming else None,
    )


def worst_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """Return the worst finding for each id; among equally severe ones, the first. A claim may have been tested in several ways."""
    best: dict[str, Finding] = {}
    for each in findings:
        known = best.get(each.id)
        if known is None or SEVERITIES.index(each.severity) < SEVERITIES.index(known.severity):
            best[each.id] = each
    return list(best.values())


def undecided_quality(
    context: Context, subject: str, metric: str, n: int, because: str, *, against: Against = "reference", whole_model: bool = False
) -> Finding:
    """Return a finding of severity `unknown`, which is also the template of other findings. whole_model: whether it is about all versions
    of the model.
    """
    return context.undecided(NAME, subject, metric, n, because, against=against, whole_model=whole_model)


def quality_limits(context: Context, metric: str, watch: float, act: float) -> tuple[float, float]:
    """Return the limits of a metric for `watch` and `act`. The limit in the settings replaces the limit for `act`; the limit for `watch` is
    never above it.
    """
    return stated_limits(context.model.settings, f"{NAME}/{metric}", watch, act)


def by_size(size: float, at: tuple[float, float]) -> Severity:
    """Return the severity for the size of an effect. at: the limits for `watch` and `act`."""
    return "act" if size >= at[1] else "watch" if size >= at[0] else "ok"


def weight_of(context: Context, name: str) -> float:
    """Return the weight of a feature for the rank of findings: its importance; an equal share if only other features have one; 1 if none
    has.
    """
    importance = context.model.settings.importance
    return importance.get(name, 1 / len(importance)) if importance else 1.0


def quality_percent(share: float) -> str:
    """Return a share as a percentage: 12.4 %, 0 %, under 0.1 %."""
    if share == 0:
        return "0 %"
    if abs(share) < 0.0005:
        return "under 0.1 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def rounded_count(n: Any, word: str) -> str:
    """Return a rounded number with its noun: `1 hour`, `3,402 predictions`."""
    whole = round(n)
    return f"{whole:,} {word}{'' if whole == 1 else 's'}"
