"""Does the truth rise by one where a regression's prediction does, and how far is it from the prediction, from low predictions to high ones?

The store keeps no joint counts of prediction and truth, so this rests on a bounded sample of rows, and says its size.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Context, Frames
from observability.core.finding import Against, Finding, Severity, needs_action
from observability.stats.calibration import Line, calibration_line
from observability.stats.interval import Moments, mean_interval

if TYPE_CHECKING:
    from pandas import DataFrame

WATCH, ACT = 0.15, 0.3
"""How much further from 1 the slope has to be than it was."""
MINIMUM_ROWS = 200
ACT_SHARE = 0.2
DECILES = 10


def usable(rows: "DataFrame") -> "DataFrame":
    """Labelled rows with finite score and label, in order of time and value."""
    known = rows[np.isfinite(rows["score"].astype(float)) & np.isfinite(rows["label_value"].astype(float))]
    return known.sort_values(["at", "score", "label_value"], ignore_index=True)


def line(rows: "DataFrame") -> Line | None:
    """Truth against prediction over usable rows, days as clusters; None where there are too few rows."""
    if len(rows) < MINIMUM_ROWS:
        return None
    return calibration_line(rows["score"], rows["label_value"], rows["at"].dt.normalize().to_numpy("datetime64[D]").astype(np.int64))


def deciles(rows: "DataFrame") -> list[list[float]]:
    """[mean prediction, mean truth, low, high, n] of ten groups of equal size, from low predictions to high ones; 95 % intervals of the mean."""
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


def about_slope(name: str, frames: Frames, context: Context, mature: float, young: bool) -> Finding:
    """The finding about the slope of truth against prediction."""
    rows = usable(frames["current_rows"])
    now = line(rows)
    against: Against = "reference" if context.version.reference_rows and not context.version.in_sample else "past"
    base = context.undecided(name, "model", "calibration_slope", len(rows), "", against=against)
    if now is None:
        if len(rows) >= MINIMUM_ROWS:
            return replace(base, because="All predictions are alike, so it cannot be told whether the truth follows them.")
        more = max(MINIMUM_ROWS - len(rows), 1)
        return replace(base, because=f"Calibration cannot be told on {len(rows):,} labelled predictions: it needs about {more:,} more.")
    before_rows = usable(frames["before_rows"])
    before = line(before_rows)
    act = context.model.settings.limits.get(f"{name}/calibration_slope", ACT)
    watch = min(WATCH, act)
    grown = abs(now.slope - 1) - (abs(before.slope - 1) if before else 0.0)
    p_value = difference_p_value(now, before)
    severity: Severity = "ok"
    if before is None:
        severity = "unknown"
    elif grown >= watch and p_value <= context.budget:
        severity = "act" if grown >= act and p_value <= context.budget * ACT_SHARE else "watch"
    late = young and needs_action(severity)
    extreme = "too extreme" if now.slope < 1 else "too timid"
    away = f"predictions are {extreme}" if not now.low <= 1 <= now.high else "1 is within its interval"
    said = f"Where the prediction rises by 1 the truth rises by {now.slope:.2f} ({now.low:.2f} to {now.high:.2f}): {away}"
    said += f", on a sample of {now.n:,} labelled predictions"
    past = "the reference" if against == "reference" else "the month before"
    said += f"; {past} had {before.slope:.2f}" if before else f"; {past} has too few labels to compare with"
    if late:
        said += f", but only {100 * mature:.0f} % of the labels are in: too early to tell"
    allowed = (abs(before.slope - 1) if before else 0.0) + (act if severity == "act" else watch)
    return replace(
        base, value=now.slope, low=now.low, high=now.high, limit=(1 - allowed, 1 + allowed), severity="unknown" if late else severity,
        because=f"{said}.", rank=7.0 + min(max(grown, 0.0) / act, 5.0) if act > 0 else 7.0,
        evidence=evidence(rows, before_rows, before, p_value) | {"label_maturity": mature},
    )  # fmt: skip


def evidence(rows: "DataFrame", before_rows: "DataFrame", before: Line | None, p_value: float) -> dict[str, Any]:
    """Deciles of now and before, and what the slope was."""
    return {
        "baseline": before.slope if before else None, "baseline_low": before.low if before else None,
        "baseline_high": before.high if before else None, "p_value": p_value, "groups": deciles(rows),
        "groups_before": deciles(before_rows), "sample": len(rows),
    }  # fmt: skip


def difference_p_value(now: Line, before: Line | None) -> float:
    """Two-sided p-value of two equal slopes, from their intervals; 1 where there is nothing to compare with."""
    from scipy.special import ndtr

    if before is None:
        return 1.0
    error = np.hypot(now.high - now.slope, before.high - before.slope) / 1.96
    return float(2 * ndtr(-abs(now.slope - before.slope) / error)) if error > 0 else float(now.slope == before.slope)
