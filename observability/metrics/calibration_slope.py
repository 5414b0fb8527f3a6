"""Calibration slope of a regression, and the mean truth in each decile of the prediction.

The store keeps no joint counts of prediction and truth, so a sample of limited size is used; the finding states its size.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.stats.calibration import CalibrationLine, calibration_line
from observability.stats.interval import Moments, mean_interval, two_sided_p_value

if TYPE_CHECKING:
    from pandas import DataFrame

WATCH, ACT = 0.15, 0.3
"""If the slope's distance from 1 grows by at least the first value, that is `watch`; by at least the second value, `act`."""
MINIMUM_ROWS = 200
ACT_SHARE = 0.2
DECILES = 10


def _usable_rows(rows: "DataFrame") -> "DataFrame":
    """Labelled rows with finite score and label, in order of time and value."""
    known = rows[np.isfinite(rows["score"].astype(float)) & np.isfinite(rows["label_value"].astype(float))]
    return known.sort_values(["at", "score", "label_value"], ignore_index=True)


def _slope_line(rows: "DataFrame") -> CalibrationLine | None:
    """Least-squares line of truth against prediction, with days as clusters; None if there are too few rows."""
    if len(rows) < MINIMUM_ROWS:
        return None
    return calibration_line(rows["score"], rows["label_value"], rows["at"].dt.normalize().to_numpy("datetime64[D]").astype(np.int64))


def _decile_rows(rows: "DataFrame") -> list[list[float]]:
    """[mean prediction, mean truth, low, high, n] for ten groups of equal size, in order of the prediction; low and high are the 95 %
    interval of the mean truth.
    """
    order = rows["score"].to_numpy(np.float64).argsort(kind="stable")
    found = []
    for part in np.array_split(order, DECILES):
        if part.size < 2:
            continue
        x, y = rows["score"].to_numpy(np.float64)[part], rows["label_value"].to_numpy(np.float64)[part]
        mean = mean_interval(Moments(float(y.size), float(y.sum()), float(y @ y)))
        if mean.value is not None and mean.low is not None and mean.high is not None:
            found.append([float(x.mean()), mean.value, mean.low, mean.high, float(part.size)])
    return found


def calibration_slope_finding(name: str, frames: Frames, context: Context, mature: float, young: bool) -> Finding:
    """The finding about the slope of truth against prediction.

    Parameters
    ----------
    name : str
        Name of the analyzer.
    frames : Frames
        Answers `current_rows` and `before_rows`.
    context : Context
        Context of the check.
    mature : float
        Share of the labels that have arrived.
    young : bool
        Whether too few labels have arrived for an alarm.

    Returns
    -------
    Finding
    """
    rows = _usable_rows(frames["current_rows"])
    now = _slope_line(rows)
    against: Against = "reference" if context.version.reference_rows and not context.version.in_sample else "past"
    base = context.undecided(name, "model", "calibration_slope", len(rows), "", against=against)
    if now is None:
        if len(rows) >= MINIMUM_ROWS:
            return replace(base, because="Calibration slope unknown: all predictions are equal.")
        more = max(MINIMUM_ROWS - len(rows), 1)
        return replace(base, because=f"Calibration slope unknown: {len(rows):,} labelled predictions, about {more:,} more are needed.")
    before_rows = _usable_rows(frames["before_rows"])
    before = _slope_line(before_rows)
    act = context.model.settings.limits.get(f"{name}/calibration_slope", ACT)
    watch = min(WATCH, act)
    grown = abs(now.slope - 1) - (abs(before.slope - 1) if before else 0.0)
    p_value = _slope_change_p_value(now, before)
    severity: Severity = "ok"
    if before is None:
        severity = "unknown"
    elif grown >= watch:
        severity = "act" if grown >= act and p_value <= context.budget * ACT_SHARE else "watch" if p_value <= context.budget else "unknown"
    late = young and needs_action(severity)
    away = (
        f"predictions are {'too extreme' if now.slope < 1 else 'not extreme enough'}"
        if not now.low <= 1 <= now.high
        else "consistent with 1"
    )
    past = "reference" if against == "reference" else "month before"
    because = f"Calibration slope {now.slope:.2f} ({now.low:.2f} to {now.high:.2f}): {away}"
    because += f"; {past} {before.slope:.2f}" if before else f"; too few labels in the {past}"
    because += f"; sample of {now.n:,} labelled predictions"
    if severity == "unknown" and before:
        because += f"; more than the limit of {watch:g} from 1, but not significantly more than the {past}: a decision needs more labels"
    if late:
        because += f"; {100 * mature:.0f} % of the labels have arrived: too early to tell"
    allowed = (abs(before.slope - 1) if before else 0.0) + (act if severity == "act" else watch)
    return replace(
        base,
        value=now.slope,
        low=now.low,
        high=now.high,
        limit=(1 - allowed, 1 + allowed),
        severity="unknown" if late else severity,
        because=f"{because}.",
        rank=7.0 + min(max(grown, 0.0) / act, 5.0) if act > 0 else 7.0,
        evidence=_slope_evidence(rows, before_rows, before, p_value) | {"label_maturity": mature},
    )


def _slope_evidence(rows: "DataFrame", before_rows: "DataFrame", before: CalibrationLine | None, p_value: float) -> dict[str, Any]:
    """Deciles of now and before, and the slope before."""
    return {
        "baseline": before.slope if before else None,
        "baseline_low": before.low if before else None,
        "baseline_high": before.high if before else None,
        "p_value": p_value,
        "groups": _decile_rows(rows),
        "groups_before": _decile_rows(before_rows),
        "sample": len(rows),
    }


def _slope_change_p_value(now: CalibrationLine, before: CalibrationLine | None) -> float:
    """Two-sided p-value of the hypothesis that two slopes are equal, from their intervals; 1 without an earlier slope."""
    if before is None:
        return 1.0
    error = np.hypot(now.high - now.slope, before.high - before.slope) / 1.96
    return float(two_sided_p_value((now.slope - before.slope) / error)) if error > 0 else float(now.slope == before.slope)
