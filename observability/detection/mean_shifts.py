"""Detects a number whose mean moved although the PSI of its distribution stays below its limit.

The PSI spreads its power over ten parts of the distribution: if the mean of a normal distribution moves by a quarter of its standard
deviation, the PSI is only 0.06. Above a standardised difference of 0.25, the rows of two sides are no longer comparable (Rubin 2001; Stuart
2010), so a mean that moved this far is a warning regardless of the PSI. The shift is judged over the whole window; its error comes from
rows and from consecutive days. A column that follows the calendar is judged only by the PSI.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.detection.change import DifferenceError, WindowChange, judge_change
from observability.detection.distribution_changes import ColumnDrift
from observability.detection.distribution_onsets import drift_onset, drift_standing
from observability.detection.windows import WEEK, Floats, reference_days
from observability.metrics.histograms import ColumnAxis, ColumnHistogram, DailyHistogram, mean_shift
from observability.stats.dispersion import DayVariation, consecutive_day_variations, fast_median

NAME, METRIC = "serving/drift", "mean_shift"
WATCH = 0.25
"""A mean gives a warning if it moved by at least this many standard deviations of the reference."""
CRITICAL = float("inf")
"""A shift of a mean alone is never critical: a distribution that moved that far also has a PSI beyond its limit."""
NORMAL_WIDTH = 1.96


@dataclass(frozen=True, kw_only=True)
class MeanShift(WindowChange):
    """The shift of a column's mean over the window, in standard deviations of the reference. effect: the size of the shift.

    error: standard error of the shift. before: the size of the shift in the week before the window, None if unknown.
    """

    shift: float
    error: DifferenceError
    before: float | None

    def is_new(self, severity: str, budget: float) -> bool:
        """Whether the shift in the week before the window was below the limit."""
        return self.before is None or self.before < self.limits[0]

    @property
    def earlier_effect(self) -> float | None:
        """The size of the shift in the week before the window."""
        return self.before


def column_mean_shifts(drifts: Sequence[ColumnDrift], limit: float) -> list[MeanShift | None]:
    """Return the shift of the mean of each column; None for categories, constants, and columns that follow the calendar.

    The variation of columns with the same days is computed together.
    """
    shifts = [mean_shift(drift.axis, drift.before, drift.whole.after) if drift.whole.usual is None else None for drift in drifts]
    blocks: dict[bytes, list[int]] = {}
    for place, (drift, shift) in enumerate(zip(drifts, shifts, strict=True)):
        if shift is not None:
            blocks.setdefault(np.concatenate([side.numbers for side in _sides(drift)]).tobytes(), []).append(place)
    found: list[MeanShift | None] = [None] * len(drifts)
    for numbers, places in blocks.items():
        means = [[_daily_means(drifts[place].axis, side) for side in _sides(drifts[place])] for place in places]
        values, noise = (np.stack([np.concatenate([side[which] for side in sides]) for sides in means])[:, :, None] for which in (0, 1))
        varies = consecutive_day_variations(values, noise, np.frombuffer(numbers, np.int64))
        for place, days in zip(places, varies, strict=True):
            found[place] = _column_mean_shift(drifts[place], shifts[place] or 0.0, days, limit)
    return found


def _sides(drift: ColumnDrift) -> list[DailyHistogram]:
    """The days of the past and of the window."""
    return [side for side in (drift.past, drift.days) if side is not None]


def _column_mean_shift(drift: ColumnDrift, shift: float, days: DayVariation, limit: float) -> MeanShift:
    """The shift of one column's mean, with its error. days: the variation between consecutive days."""
    axis, now, change = drift.axis, drift.days, drift.whole
    rows = _row_variance(axis, drift.before) / max(drift.before.n, 1.0) + _row_variance(axis, change.after) / max(change.after.n, 1.0)
    usual_rows = float(fast_median(now.w[now.w > 0], 0)) if (now.w > 0).any() else 0.0
    between = float((days.of_mean(change.days) + days.of_mean(reference_days(drift.before.n, usual_rows)))[0])
    error = DifferenceError(float(np.sqrt(rows)), between, days.freedom)
    past, before = drift.past, None
    if past is not None:
        week = past.numbers >= int(now.numbers[0]) - WEEK
        if week.any() and past.w[week].sum() > 0:
            earlier = mean_shift(axis, drift.before, past.over(week))
            before = None if earlier is None else abs(earlier)
    return MeanShift(
        days=change.days,
        whole=True,
        effect=abs(shift),
        p_value=error.p_value(shift),
        limits=(limit, CRITICAL),
        shift=shift,
        error=error,
        before=before,
    )


def mean_shift_limit(context: Context) -> float:
    """Return the size from which a shift is a warning: the owner's limit if set, else WATCH."""
    return context.model.settings.limits.get(f"{NAME}/{METRIC}", WATCH)


def mean_shift_claims(drift: ColumnDrift, moved: MeanShift | None, adjusted: float | None, context: Context) -> list[Finding]:
    """Return the finding about a mean that moved significantly beyond its limit; empty if it did not."""
    if moved is None or adjusted is None:
        return []
    verdict = judge_change(moved, adjusted, context.budget)
    if verdict.severity != "watch":
        return []
    way = _group_means(drift) * np.sign(moved.shift)
    onset = None if verdict.standing else drift_onset(drift, drift.whole, context.window.start, way)
    stands = drift_standing(drift, drift.whole, verdict.limit, way) if verdict.standing else {}
    reach = NORMAL_WIDTH * moved.error.total
    share = context.model.settings.importance.get(drift.name)
    finding = replace(
        context.undecided(NAME, drift.name, METRIC, drift.whole.after.rows, mean_shift_sentence(drift, moved, standing=verdict.standing)),
        value=moved.shift,
        low=moved.shift - reach,
        high=moved.shift + reach,
        limit=verdict.limit,
        severity="watch",
        likely_source="input",
        onset=onset.at if onset else None,
        rank=drift.whole.effect * (1.0 if share is None else share),
        news=verdict.news,
        evidence={
            "column": drift.reference,
            "psi": drift.whole.effect,
            "p_value": moved.p_value,
            "p_adjusted": adjusted,
            "standing": verdict.standing,
            "days": moved.days,
            **(onset.evidence if onset else stands),
        },
    )
    return [finding]


def mean_shift_sentence(drift: ColumnDrift, moved: MeanShift, *, standing: bool) -> str:
    """Return the finding's sentence: how far the mean moved, its interval and its limit."""
    reach = NORMAL_WIDTH * moved.error.total
    since, side = ", as in the week before" if standing else "", "higher" if moved.shift > 0 else "lower"
    return (
        f"`{drift.name}` is {abs(moved.shift):.2f} reference standard deviations {side} on average{since} "
        f"({moved.shift - reach:+.2f} to {moved.shift + reach:+.2f}; limit {moved.limits[0]:.2g}) "
        f"over {drift.whole.after.rows:,} predictions; "
        f"values beyond the reference's range are clipped to it; PSI {drift.whole.effect:.3f}."
    )


def _positions(axis: ColumnAxis) -> Floats:
    """The position of each bin, in standard deviations of the reference. Bins beyond the range of the reference are clipped to it."""
    at = axis.positions if axis.winsorise is None else np.clip(axis.positions, *axis.winsorise)
    return np.asarray(at / (axis.scale or 1.0), np.float64)


def _row_variance(axis: ColumnAxis, side: ColumnHistogram) -> float:
    """The variance of one row, as a multiple of the reference's variance."""
    at, counts = _positions(axis), side.values
    total = max(float(counts.sum()), 1e-12)
    mean = float(at @ counts) / total
    return float((at - mean) ** 2 @ counts) / total


def _daily_means(axis: ColumnAxis, side: DailyHistogram) -> tuple[Floats, Floats]:
    """The mean of each day, in standard deviations of the reference, and its variance from rows alone; NaN for a day without values."""
    at, counts = _positions(axis), side.counts[:, :-2]
    with np.errstate(invalid="ignore", divide="ignore"):
        total = counts.sum(axis=1)
        means = counts @ at / total
        variance = np.maximum(counts @ at**2 / total - means**2, 0.0)
        return means, variance * side.w2 / side.w**2


def _group_means(drift: ColumnDrift) -> Floats:
    """For each group of the PSI, the mean position of the reference's rows in it; used to date the shift. Unseen and missing values count
    as the overall mean.
    """
    axis, at, counts = drift.axis, _positions(drift.axis), drift.before.values
    groups, size = axis.group[:-2], int(axis.group.max()) + 1
    total = np.bincount(groups, counts, size)
    mean = float(at @ counts) / max(float(counts.sum()), 1e-12)
    return np.where(total > 0, np.bincount(groups, counts * at, size) / np.where(total > 0, total, 1.0), mean)
