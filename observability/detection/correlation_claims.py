"""How is it said that two numbers no longer go together as they did?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, needs_action
from observability.detection.correlation_changes import ACT, WATCH, Pair, Together
from observability.stats.multiple import ACT_SHARE

NAME, METRIC = "serving/multivariate_drift", "rank_correlation"
SHOWN = 12
"""Pairs in the evidence, those that changed most surely first."""


@dataclass(frozen=True)
class Told:
    """What one pair in one look says, its chance adjusted for all looks. limit: of the change."""

    pair: Pair
    severity: Severity
    limit: float
    adjusted: float

    @property
    def order(self) -> tuple[int, bool, float, float]:
        """The worst first; of equals the whole window, then the surest, then the largest."""
        sure = float(np.log(max(self.pair.p_value, 1e-300)))
        return (("act", "watch", "unknown", "ok").index(self.severity), not self.pair.whole, round(sure, 6), -self.pair.change)


def judged(together: Together, pairs: Sequence[Pair], adjusted: Sequence[float], context: Context) -> Finding:
    """The finding of the pair that says most. Its subject is the number that takes part in all pairs that changed, where there are several."""
    told = sorted((verdict(each, p, context) for each, p in zip(pairs, adjusted, strict=True)), key=lambda each: each.order)
    first = told[0]
    pair, alarming = first.pair, needs_action(first.severity)
    also = [each for each in told if needs_action(each.severity) and each.pair.days == pair.days and not each.pair.standing]
    when = together.since(pair, context.window.start) if alarming and not pair.standing else None
    side = 1.0 if pair.after >= pair.before else -1.0
    low, high = pair.interval
    finding = replace(
        context.undecided(NAME, named(also), METRIC, pair.n, ""),
        value=pair.after,
        low=min(low, pair.after),
        high=max(high, pair.after),
        limit=float(np.clip(pair.before + side * first.limit, -1.0, 1.0)),
        severity=first.severity,
        likely_source="input" if alarming else None,
        onset=when.at if when else None,
        rank=pair.change * (0.1 if pair.standing else 1.0),
        evidence={
            "features": list(pair.names), "baseline": pair.before, "past": pair.past, "change": pair.change, "varies_up_to": pair.varies,
            "p_value": pair.p_value, "p_adjusted": first.adjusted, "days": pair.days, "standing": pair.standing, "pairs": [row(each) for each in shown(told)],
            "looked_at": len({each.pair.names for each in told}), "left_out": together.left_out(), **(when.evidence if when else {}),
        },
    )  # fmt: skip
    return replace(finding, because=sentence(first, also, finding))


def verdict(pair: Pair, adjusted: float, context: Context) -> Told:
    """How bad one pair in one look is: beyond chance, beyond the limit, and news."""
    stated = context.model.settings.limits.get(f"{NAME}/{METRIC}", ACT)
    watch, act = max(min(WATCH, stated), pair.varies), max(stated, pair.varies)
    if adjusted > context.budget or pair.change < watch:
        return Told(pair, "ok", watch, adjusted)
    if pair.standing:
        return Told(pair, "watch" if pair.whole else "ok", watch, adjusted)
    surely = pair.change >= act and adjusted <= context.budget * ACT_SHARE
    return Told(pair, "act" if surely else "watch", act if surely else watch, adjusted)


def named(also: Sequence[Told]) -> str:
    """The number that all changed pairs have in common, where there are several pairs; else the model."""
    if len(also) < 2:
        return "model"
    common = set(also[0].pair.names).intersection(*(each.pair.names for each in also))
    return next(iter(common)) if len(common) == 1 else "model"


def shown(told: Sequence[Told]) -> list[Told]:
    """One look of each pair, the worst, and of all pairs the first few."""
    best: dict[tuple[str, str], Told] = {}
    for each in told:
        best.setdefault(each.pair.names, each)
    return list(best.values())[:SHOWN]


def row(told: Told) -> list[Any]:
    """[one, other, days, correlation in the reference, now, rows, limit of the change, severity] of one pair."""
    pair = told.pair
    return [*pair.names, pair.days, round(pair.before, 4), round(pair.after, 4), pair.n, round(told.limit, 4), told.severity]


def sentence(first: Told, also: Sequence[Told], finding: Finding) -> str:
    """Which two numbers, by how much, and over which days."""
    pair = first.pair
    rows = f"over {pair.n:,} sampled predictions"
    if finding.severity == "ok":
        pairs, moved = finding.evidence["looked_at"], f"`{pair.names[0]}` and `{pair.names[1]}`"
        then = f"{pair.before:.2f} then, {pair.after:.2f} now"
        said = f"of {pairs} pairs none surely changed by more than {first.limit:.2g} (most {moved}: {then})"
        if pairs == 1:
            said = f"the only pair, {moved}, did not surely change by more than {first.limit:.2g} ({then})"
        return f"Numbers go together as in the reference{apart(finding)}: {said}."
    when = "" if pair.whole else " on the last day" if pair.days == 1 else f" in the last {pair.days:g} days"
    said = (
        f"`{pair.names[0]}` and `{pair.names[1]}` no longer go together as they did{when}: rank correlation {pair.after:.2f}, {pair.before:.2f} in the "
        f"reference (a change of {first.limit:.2g} accepted), {rows}, though neither moved alone"
    )
    if pair.standing and pair.past is not None:
        return f"{said}; as in the past four weeks ({pair.past:.2f})."
    more = [each for each in also if each.pair.names != pair.names]
    if more and finding.subject != "model":
        others = ", ".join(f"`{name}`" for each in more[:3] for name in each.pair.names if name != finding.subject)
        said += f"; so does `{finding.subject}` with {others}"
    return f"{said}."


def apart(finding: Finding) -> str:
    """That some numbers are not among those which were looked at."""
    left = len(finding.evidence["left_out"])
    return f", {left} of them left out" if left else ""
