"""Finds a version whose loss is worse than that of the other versions on the same days.

The comparison uses counts over the whole window: for each day the mean loss of the version minus the mean loss of the other versions,
weighted by precision. This way an effect of a day on all versions cancels out. Rows with weights are not compared here; serving/performance
judges them.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, stdtr

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.core.questions import Aggregate, Bucket, By
from observability.detection import slice_sentences as words
from observability.metrics.slice_rows import LOSSES, TargetSpec, task_losses

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/slices"
MIN_VERSION_ROWS, A_DAY, SURE_DAYS = 100, 10, 4
"""Minimum number of labelled rows of the version, and of the other versions; minimum number of rows on a day that counts; minimum number of
days for `act`.
"""
ACT_SHARE = 0.2


def loss_by_version_question(context: Context) -> Aggregate | None:
    """Return the query for the main loss by day and version; None if the task has no such loss."""
    measure = {"regression": "absolute_error"}.get(context.model.task or "", "correct")
    return Aggregate("outcomes", keys=(Bucket("day"), By("version")), sums=(measure,)) if context.model.task in LOSSES else None


def version_slice_claim(frame: "DataFrame", context: Context) -> list[Finding]:
    """Return a finding if the analyzed version is worse than the other versions; empty if it is not, or if it is the only version."""
    spec = task_losses(context)[0][1]
    frame = frame.assign(mine=frame["version"] == context.version.name)
    by_day = frame.groupby(["period", "mine"])[["n", "total", "squares"]].sum() if len(frame) and (frame["w"] == frame["n"]).all() else None
    if by_day is None or by_day.index.get_level_values("mine").nunique() < 2:
        return []
    mine = by_day.index.get_level_values("mine")
    own, others = (by_day[mine == side].droplevel("mine") for side in (True, False))
    days = own.index.intersection(others.index)
    n, m = own["n"].reindex(days).to_numpy(float), others["n"].reindex(days).to_numpy(float)
    both = (n >= A_DAY) & (m >= A_DAY)
    if n[both].sum() < MIN_VERSION_ROWS or m[both].sum() < MIN_VERSION_ROWS:
        return []
    (mean, spread), (other, other_spread) = (daily_moments(side.loc[days[both]]) for side in (own, others))
    n, m = n[both], m[both]
    weight = n * m / (n + m)
    gap = float(weight @ (mean - other) / weight.sum())
    rows = float(weight**2 @ (spread / n + other_spread / m)) / weight.sum() ** 2
    k = n.size
    by_days = float(weight**2 @ (mean - other - gap) ** 2) / weight.sum() ** 2 * k / max(k - 1, 1)
    error = float(np.sqrt(max(rows, by_days)))
    worse = -gap if spec.complement else gap
    z = worse / error if error > 0 else 0.0
    p_value = float(stdtr(k - 1, -z) if by_days > rows and k > 1 else ndtr(-z))
    level, beside = float(mean @ n / n.sum()), float(other @ n / n.sum())
    size = worse / beside if spec.relative and beside > 0 else worse
    severity = version_slice_severity(size, p_value, k, spec, context)
    if severity is None:
        return []
    now, others_now = (1 - each if spec.complement else each for each in (level, beside))
    because = (
        f"Version `{context.version.name}` is worse than the other live versions: {words.slice_name(spec)} "
        f"{words.figure_with_unit(now, spec)}, {words.slice_figure(others_now, spec)} of the others on the same "
        f"{k} day{'s' if k > 1 else ''}; {n.sum():,.0f} and {m.sum():,.0f} labelled predictions."
    )
    base = context.undecided(NAME, f"version={context.version.name}", spec.metric, round(n.sum()), because, against="peers")
    reach = 1.96 * error
    act = spec.limits[1] if severity == "act" else spec.limits[0]
    allowed = act * (beside if spec.relative else 1.0)
    return [
        replace(
            base,
            value=level,
            low=level - reach,
            high=level + reach,
            severity=severity,
            likely_source="model",
            rank=9.0,
            limit=beside - allowed if spec.complement else beside + allowed,
            evidence={
                "effect": gap,
                "effect_low": gap - reach,
                "effect_high": gap + reach,
                "rest": beside,
                "coverage": 1.0,
                "p_value": p_value,
                "days": k,
            },
        )
    ]


def version_slice_severity(size: float, p_value: float, days: int, spec: TargetSpec, context: Context) -> Severity | None:
    """Return the severity of the version's loss; None if it is not worse."""
    stated = context.model.settings.limits.get(f"{NAME}/{spec.metric}", spec.limits[1])
    if size < min(spec.limits[0], stated) or p_value > context.budget:
        return None
    return "act" if size >= stated and p_value <= ACT_SHARE * context.budget and days >= SURE_DAYS else "watch"


def daily_moments(side: "DataFrame") -> "tuple[np.ndarray[tuple[int], np.dtype[np.float64]], np.ndarray[tuple[int], np.dtype[np.float64]]]":
    """Return mean and variance of each day."""
    n, total, squares = (side[name].to_numpy(float) for name in ("n", "total", "squares"))
    mean = total / n
    return mean, np.maximum(squares - n * mean**2, 0.0) / np.maximum(n - 1, 1)
