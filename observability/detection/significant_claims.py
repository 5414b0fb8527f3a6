"""Which of many claims about data still count, when chance alone would raise some of them?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from observability.core.analyzer import Context
from observability.core.finding import SEVERITIES, Against, Finding, Severity, needs_action
from observability.stats.multiple import benjamini_hochberg

NAME = "data/quality"
ACT_SHARE = 0.2
"""An act may spend a fifth of the run's budget of false discoveries, a watch all of it."""
DAYS_KEPT = 62
PAST_DAYS = 28
"""Four weeks: each hour of the week is met four times."""
QUIET_RANK = {"volume": 0.5, "freshness_hours": 0.4, "silence_hours": 0.3}
"""The order among findings that nothing is wrong: how many came is said first."""
Limit = float | tuple[float, float]


@dataclass(frozen=True)
class Claim:
    """A finding at the severity that the size of the effect alone gives it.

    p_value: how easily chance does that; NaN where it is held against a stated level and its interval has been looked at already.
    limits: what it is held against for watch and for act.
    """

    finding: Finding
    p_value: float
    limits: tuple[Limit, Limit]


def settled(claims: Iterable[Claim], budget: float) -> list[Finding]:
    """The findings at the severity that is left when the false discovery rate is controlled over all claims of the run."""
    looks = list(claims)
    adjusted, _ = benjamini_hochberg([each.p_value for each in looks], budget)
    return [settle(claim, float(p), budget) for claim, p in zip(looks, adjusted)]


def settle(claim: Claim, adjusted: float, budget: float) -> Finding:
    """One finding: chance explains it (ok), hardly (watch), or not at all (act)."""
    finding, tested = claim.finding, adjusted == adjusted
    severity = finding.severity
    if tested and needs_action(severity):
        severity = "ok" if adjusted > budget else "watch" if adjusted > budget * ACT_SHARE else severity
    evidence = finding.evidence | ({"p_value": claim.p_value, "p_adjusted": adjusted} if tested else {})
    limit = claim.limits[1] if severity == "act" else claim.limits[0]
    alarming = needs_action(severity)
    return replace(
        finding,
        severity=severity,
        evidence=evidence,
        limit=limit,
        rank=finding.rank if alarming else QUIET_RANK.get(finding.metric, 0.0),
        onset=finding.onset if alarming else None,
        likely_source=finding.likely_source if alarming else None,
    )


def worst_of_each(findings: Iterable[Finding]) -> list[Finding]:
    """One finding per id, the worst, the first of equals: the same claim may have been looked at in more than one way."""
    best: dict[str, Finding] = {}
    for each in findings:
        known = best.get(each.id)
        if known is None or SEVERITIES.index(each.severity) < SEVERITIES.index(known.severity):
            best[each.id] = each
    return list(best.values())


def blank(
    context: Context, subject: str, metric: str, n: int, because: str, *, against: Against = "reference", whole_model: bool = False
) -> Finding:
    """A finding that says it cannot tell, to be filled in where it can. whole_model: about every version of the model at once."""
    return context.undecided(NAME, subject, metric, n, because, against=against, whole_model=whole_model)


def limits(context: Context, metric: str, watch: float, act: float) -> tuple[float, float]:
    """The limits of a metric for watch and act; the owner's limit replaces the one for act, and watch is never above it."""
    stated = context.model.settings.limits.get(f"{NAME}/{metric}", act)
    return min(watch, stated), stated


def by_size(size: float, at: tuple[float, float]) -> Severity:
    """The severity that the size of an effect gives."""
    return "act" if size >= at[1] else "watch" if size >= at[0] else "ok"


def weight_of(context: Context, name: str) -> float:
    """How much a feature weighs in the order of findings: its importance; a fair share where others are known; 1 where none is."""
    importance = context.model.settings.importance
    return importance.get(name, 1 / len(importance)) if importance else 1.0


def percent(share: float) -> str:
    """A share in per cent as a person reads it: 12.4 %, 0 %, under 0.1 %."""
    if share == 0:
        return "0 %"
    if abs(share) < 0.0005:
        return "under 0.1 %"
    return f"{100 * share:.1f}".removesuffix(".0") + " %"


def plural(n: Any, word: str) -> str:
    """`1 hour`, `3,402 predictions`; counts that were estimated are rounded."""
    whole = round(n)
    return f"{whole:,} {word}{'' if whole == 1 else 's'}"
