"""Have the inputs or the scores moved away from the reference?

Each feature and the score is held against the reference on the reference's own deciles (Population Stability Index, missing as a bin of its
own). A move is reported only when it is both larger than chance explains, the false discovery rate controlled over all columns of the run, and
large enough to matter. What no single feature shows is the matter of serving/multivariate_drift.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.aggregate import Aggregate, Bucket
from observability.analyzer import Analyzer, Ask, Context, Frames
from observability.analyzers.serving._histograms import Axis, Side, axis_of, by_day, fine_groups, grouped, mean_shift, side_of
from observability.finding import Finding, Severity
from observability.stats import distance
from observability.stats.change import needed_n_for_psi
from observability.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "serving/drift"
WATCH, ACT = 0.1, 0.25
"""PSI below 0.1 is stable, above 0.25 a major shift (Lewis 1994; Siddiqi 2006)."""
MINIMUM_ROWS = 100
DAYS_KEPT = 62


@dataclass(frozen=True)
class Moved:
    """What was measured of one column (name: the subject of its finding): the PSI, its chance of arising by luck, the other distances, and both sides."""

    reference: str
    name: str
    axis: Axis
    before: Side
    after: Side
    psi: float
    groups: int
    p_value: float
    days: tuple[tuple[datetime, float, int], ...]


def needs(context: Context) -> dict[str, Ask]:
    """Histograms of every registered feature and of the score, by day and in the reference."""
    columns = asked(context)
    if not columns or not context.version.reference_rows:
        return {"current": Ask(Aggregate("predictions"))}
    return {
        "current": Ask(Aggregate("predictions", keys=(Bucket("day"),), histogram=columns)),
        "reference": Ask(Aggregate("predictions", histogram=columns), span="reference"),
    }


def asked(context: Context) -> tuple[str, ...]:
    """References of the columns that have edges, and the score."""
    features = [f"feature.{name}" for name in context.version.features if f"feature.{name}" in context.version.edges]
    has_score = context.model.task == "binary" or "score" in context.version.edges
    return (*features, *(("score",) if has_score else ()))


def analyze(frames: Frames, context: Context) -> list[Finding]:
    """One finding for each column, the false discovery rate controlled over all of them."""
    if "reference" not in frames:
        sentence = "There is no reference to compare with: register this version with held-out predictions to see drift."
        return [unknown(context, "model", int(frames["current"]["n"].sum()), sentence)]
    current, reference = frames["current"], frames["reference"]
    if current.empty:
        return [unknown(context, "model", 0, "No predictions in this window, so nothing can be compared.")]
    moved = [measured for column in asked(context) if (measured := measure(column, current, reference, context)) is not None]
    adjusted, _ = benjamini_hochberg([each.p_value for each in moved], context.budget)
    return [judge(each, float(p), context) for each, p in zip(moved, adjusted)]


def measure(column: str, current: "DataFrame", reference: "DataFrame", context: Context) -> Moved | None:
    """The PSI of one column with its null, over the window and by day; None where the column has no bins or was never seen."""
    now, then = current[current["column"] == column], reference[reference["column"] == column]
    axis = axis_of(context.version.edges.get(column), then)
    if axis is None:
        return None
    before, after = side_of(then, axis.size), side_of(now, axis.size)
    if before.n <= 0 or after.n <= 0:
        return None
    base = grouped(before, axis.group)
    value, groups = distance.psi(base, grouped(after, axis.group)), distance.occupied(base, grouped(after, axis.group))
    days = tuple((day, distance.psi(base, grouped(side, axis.group)), side.rows) for day, side in by_day(now, axis.size))
    return Moved(
        column,
        context.model.subject(column),
        axis,
        before,
        after,
        value,
        groups,
        distance.psi_p_value(value, before.n, after.n, groups),
        days[-DAYS_KEPT:],
    )


def judge(moved: Moved, adjusted: float, context: Context) -> Finding:
    """The finding about one column: large enough, and more than chance."""
    act = context.model.settings.limits.get(f"{NAME}/psi", ACT)
    watch = min(WATCH, act)
    null = distance.psi_null_quantile(moved.before.n, moved.after.n, moved.groups)
    needed = rows_needed(moved, watch)
    low, high = limits_of(moved)
    importance = context.model.settings.importance
    share = importance.get(moved.name)
    severity: Severity = "ok"
    if moved.after.n < needed:
        severity = "unknown"
    elif adjusted <= context.budget and moved.psi > null:
        severity = "act" if moved.psi >= act else "watch" if moved.psi >= watch else "ok"
    base = unknown(context, moved.name, moved.after.rows, "")
    finding = replace(
        base,
        value=moved.psi,
        low=low,
        high=high,
        limit=act if severity == "act" else watch,
        severity=severity,
        likely_source="input" if severity in ("watch", "act") and moved.reference != "score" else None,
        onset=onset(moved, watch) if severity in ("watch", "act") else None,
        rank=moved.psi * (share if share is not None else (1 / max(len(importance), 1) if importance else 1.0)),
        evidence=evidence(moved, adjusted, null, share),
    )
    return replace(finding, because=sentence(moved, finding, needed))


def rows_needed(moved: Moved, limit: float) -> float:
    """Rows from which chance alone stays under the limit 95 times in 100, and never fewer than 100; infinity where the reference is too small."""
    needed = needed_n_for_psi(limit, moved.groups, moved.before.n)
    return float("inf") if needed is None else max(MINIMUM_ROWS, needed)


def limits_of(moved: Moved) -> tuple[float, float]:
    """A 95 % interval of the PSI by the delta method; the lower end gives away the upward bias (groups - 1)(1/n + 1/m) of small samples."""
    before, after = grouped(moved.before, moved.axis.group), grouped(moved.after, moved.axis.group)
    p, q = np.maximum(before / before.sum(), 1e-4), np.maximum(after / after.sum(), 1e-4)
    to_q, to_p = np.log(q / p) + 1 - p / q, np.log(p / q) + 1 - q / p
    spread = [float(np.sum(w * g**2) - np.sum(w * g) ** 2) / n for w, g, n in ((q, to_q, moved.after.n), (p, to_p, moved.before.n))]
    reach = 1.96 * float(np.sqrt(max(sum(spread), 0.0)))
    bias = max(moved.groups - 1, 0) * (1 / moved.before.n + 1 / moved.after.n)
    return max(moved.psi - bias - reach, 0.0), moved.psi + reach


def onset(moved: Moved, limit: float) -> datetime | None:
    """The first day of the unbroken run of days at or above the limit that reaches the end of the window; None where days are too small."""
    first = None
    for day, value, rows in reversed(moved.days):
        if rows < MINIMUM_ROWS or value < limit:
            break
        first = day
    return None if first is None else first.replace(tzinfo=UTC)


def evidence(moved: Moved, adjusted: float, null: float, share: float | None) -> dict[str, Any]:
    """The other distances and the series by day."""
    axis, before, after = moved.axis, moved.before, moved.after
    fine = fine_groups(axis, before)
    found: dict[str, Any] = {
        "column": moved.reference,
        "n_reference": before.rows,
        "p_value": moved.p_value,
        "p_adjusted": adjusted,
        "null_95": null,
        "jensen_shannon_distance": distance.jensen_shannon_distance(grouped(before, fine), grouped(after, fine)),
        "missing_share": after.missing_share,
        "missing_share_reference": before.missing_share,
        "importance": share,
        "by_day": [[day.date().isoformat(), round(value, 6), rows] for day, value, rows in moved.days],
    }
    if axis.ordered:
        d = distance.kolmogorov_smirnov(before.values, after.values)
        found["kolmogorov_smirnov"] = none_if_nan(d)
        found["kolmogorov_smirnov_p_value"] = none_if_nan(distance.kolmogorov_smirnov_p_value(d, before.n, after.n))
        found["wasserstein"] = none_if_nan(distance.wasserstein_binned(before.values, after.values, axis.edges, axis.scale, axis.winsorise))
        found["mean_shift"] = mean_shift(axis, before, after)
    else:
        found["l_infinity"] = none_if_nan(distance.l_infinity(before.counts[:-1], after.counts[:-1]))
    return found


def none_if_nan(value: float) -> float | None:
    """NaN has no place in JSON."""
    return None if np.isnan(value) else float(value)


def sentence(moved: Moved, finding: Finding, needed: float) -> str:
    """What moved, in plain words, with the numbers."""
    rows = f"{moved.after.rows:,} predictions"
    if finding.severity == "unknown":
        more = "a larger reference" if np.isinf(needed) else f"about {max(round(needed - moved.after.n), 1):,} more predictions"
        return f"`{moved.name}` cannot be judged yet on {rows}: that needs {more}."
    if finding.severity == "ok":
        return f"`{moved.name}` is distributed as in the reference: PSI {moved.psi:.3f} (watch from {WATCH:g}) over {rows}."
    return f"`{moved.name}` moved: PSI {moved.psi:.2f} (limit {finding.limit:g}) over {rows}; {change(moved)}."


def change(moved: Moved) -> str:
    """The part of the move that is easiest to say: missing values, the mean, or the level that changed most."""
    missing = moved.after.missing_share - moved.before.missing_share
    if abs(missing) >= 0.05:
        return f"{moved.after.missing_share:.1%} of the values are missing, {moved.before.missing_share:.1%} in the reference"
    shift = mean_shift(moved.axis, moved.before, moved.after)
    if shift is not None and abs(shift) >= 0.1:
        return f"values are {abs(shift):.1f} reference standard deviations {'higher' if shift > 0 else 'lower'} on average"
    if moved.axis.ordered:
        return "the average is about the same, the shape is not"
    p, q = moved.before.counts / moved.before.counts.sum(), moved.after.counts / moved.after.counts.sum()
    most = int(np.abs(q - p).argmax())
    level = [*moved.axis.levels, "an unseen category", "missing"][most]
    return f"`{level}` is {q[most]:.1%} of the values, {p[most]:.1%} in the reference"


def unknown(context: Context, subject: str, n: int, because: str) -> Finding:
    """A finding of this analyzer that says it cannot tell, to be filled in where it can."""
    return context.undecided(NAME, subject, "psi", n, because)


ANALYZER = Analyzer(NAME, "Have the inputs or the scores moved away from the reference?", needs, analyze)
