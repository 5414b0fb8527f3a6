"""The finding about pairs of numbers whose rank correlation changed."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.core.formatting import plural
from observability.detection.change import ChangeVerdict, judge_change
from observability.detection.correlation_changes import CorrelationChange, Correlations
from observability.detection.windows import window_phrase

NAME, METRIC = "serving/multivariate_drift", "rank_correlation"
SHOWN = 12
"""Maximum number of pairs in the evidence; the most significant pairs are kept."""


Verdict = ChangeVerdict[CorrelationChange]


def correlation_finding(
    correlations: Correlations, changes: Sequence[CorrelationChange], adjusted: Sequence[float], context: Context
) -> Finding:
    """Return the finding about the most significant pair.

    If several pairs changed and all of them share one number, that number is the subject of the finding.
    """
    verdicts = [judge_change(change, p, context.budget) for change, p in zip(changes, adjusted, strict=True)]
    verdicts.sort(key=lambda verdict: verdict.order)
    first = verdicts[0]
    change = first.change
    also = [verdict for verdict in verdicts if verdict.needs_action and verdict.change.days == change.days and not verdict.change.standing]
    onset = correlations.onset(change, context.window.start) if first.needs_action and not change.standing else None
    stands = correlations.standing(change, first.limit) if first.needs_action and change.standing else {}
    side = 1.0 if change.after >= change.before else -1.0
    low, high = change.interval
    finding = replace(
        context.undecided(NAME, common_number(also), METRIC, change.n, ""),
        value=change.after,
        low=min(low, change.after),
        high=max(high, change.after),
        limit=float(np.clip(change.before + side * first.limit, -1.0, 1.0)),
        severity=first.severity,
        likely_source="input" if first.needs_action else None,
        onset=onset.at if onset else None,
        rank=change.effect * (0.1 if change.standing else 1.0),
        evidence={
            "features": list(change.names),
            "baseline": change.before,
            "past": change.past,
            "change": change.effect,
            "varies_up_to": change.varies,
            "p_value": change.p_value,
            "p_adjusted": first.p_adjusted,
            "days": change.days,
            "standing": change.standing,
            "pairs": [correlation_row(verdict) for verdict in worst_of_pairs(verdicts)],
            "looked_at": len({verdict.change.names for verdict in verdicts}),
            "left_out": correlations.left_out(),
            **(onset.evidence if onset else stands),
        },
    )
    return replace(finding, because=correlation_sentence(first, also, finding))


def common_number(also: Sequence[Verdict]) -> str:
    """Return the number that all changed pairs share, if there are several pairs; otherwise "model"."""
    if len(also) < 2:
        return "model"
    common = set(also[0].change.names).intersection(*(verdict.change.names for verdict in also))
    return next(iter(common)) if len(common) == 1 else "model"


def worst_of_pairs(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return the worst window of each pair, for the first SHOWN pairs."""
    best: dict[tuple[str, str], Verdict] = {}
    for verdict in verdicts:
        best.setdefault(verdict.change.names, verdict)
    return list(best.values())[:SHOWN]


def correlation_row(verdict: Verdict) -> list[Any]:
    """Return one pair as a list: [one, other, days, correlation in the reference, now, rows, limit of the change, severity]."""
    pair = verdict.change
    return [*pair.names, pair.days, round(pair.before, 4), round(pair.after, 4), pair.n, round(verdict.limit, 4), verdict.severity]


def correlation_sentence(first: Verdict, also: Sequence[Verdict], finding: Finding) -> str:
    """Return the finding's sentence: the pair, the change, and its window."""
    change = first.change
    names = f"`{change.names[0]}` and `{change.names[1]}`"
    if finding.severity == "ok":
        pairs, left = finding.evidence["looked_at"], len(finding.evidence["left_out"])
        compared = f"{pairs} {'pair' if pairs == 1 else 'pairs'} compared{f', {left} numbers left out' if left else ''}"
        most = f"largest change {names}, {change.before:z.2f} to {change.after:z.2f}"
        return f"No correlation changed significantly by more than {first.limit:.2g}: {compared}; {most}."
    verb = "may have changed" if finding.severity == "unknown" else "changed"
    said = (
        f"{names} {verb} their correlation{window_phrase(change.days, whole=change.whole)}: rank correlation {change.after:.2f}, "
        f"{change.before:.2f} in the "
        f"reference (limit of the change {first.limit:.2g}), over {change.n:,} sampled predictions; neither drifted alone"
    )
    if finding.severity == "unknown":
        pairs = plural(finding.evidence["looked_at"], "pair")
        return f"{said}; it may be chance among {pairs} (p {first.p_adjusted:.2g} with all counted)."
    if change.standing and change.past is not None:
        return f"{said}; as in the past four weeks ({change.past:.2f})."
    more = [verdict.change.names for verdict in also if verdict.change.names != change.names]
    if more and finding.subject != "model":
        others = ", ".join(f"`{name}`" for pair in more[:3] for name in pair if name != finding.subject)
        said += f"; `{finding.subject}` also changed with {others}"
    return f"{said}."
