"""How far performance estimates were off, on days whose labels have arrived since.

On the days of the window with mature labels, the estimate for the labelled rows is compared with the metric of the same rows. If there are
few such days, days of the month before are added. Rows of the same day are correlated, so the interval of the error includes the variation
between days.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model
from observability.core.window import EPOCH
from observability.metrics.estimates import MetricEstimate, ScoreCalibration, columns_with_score, estimate_metrics, estimate_regression
from observability.metrics.measured_windows import day_date, days_in
from observability.metrics.measured_windows import kept_answer_rows as part_of
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import Columns, answer_columns, performance_metrics
from observability.metrics.reliability import BINS, sum_by_score_bin
from observability.stats.difference_intervals import difference_interval
from observability.stats.estimate import binary_metric_values
from observability.stats.interval import Interval, Moments, mean_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MATURE = 0.8
CHECK_DAYS = 14
"""All days of the window with mature labels are compared. If they are fewer than this number, earlier days are added until there are as
many.
"""
CHECK_LABELS = 1000
"""Minimum number of labels. If CHECK_DAYS days have fewer labels, earlier days are added."""
MINIMUM_LABELS = 100
MIN_DAYS = 4


@dataclass(frozen=True)
class EstimateCheck:
    """One metric on days with mature labels: the estimate and the measurement on the same rows, and the error of the estimate with its
    interval.

    allowed: the smallest error that matters, in the metric's unit. days, first, last: number of days, first and last day; n: number of
    labelled rows.
    """

    metric: str
    estimated: float
    measured: float
    error: Interval
    allowed: float
    days: int
    first: date
    last: date
    n: int

    @property
    def held(self) -> bool:
        """Whether the measured error is below the allowed error; False if it was not measured."""
        return self.error.value is not None and abs(self.error.value) < self.allowed

    @property
    def failed(self) -> bool:
        """Whether the error of the estimate is significant and large enough to matter."""
        low, high, value = self.error.low, self.error.high, self.error.value
        return value is not None and low is not None and high is not None and not low <= 0 <= high and abs(value) >= self.allowed


def _mature_days(counts: Columns, start: datetime) -> list[int]:
    """The days from `start` on that have mature labels, oldest first. Earlier days are added until there are CHECK_DAYS days and
    CHECK_LABELS labels.

    counts: by day and label. Days are numbers since 1970.
    """
    days, place = np.unique(days_in(counts), return_inverse=True)
    n, known = counts["n"].astype(np.float64), counts["label"] >= 0
    served_by, labelled_by = (np.bincount(place[kept], n[kept], days.size).tolist() for kept in (slice(None), known))
    first, labels = (start - EPOCH) / timedelta(days=1), 0.0
    chosen: list[int] = []
    for day, served, labelled in reversed(list(zip(days.tolist(), served_by, labelled_by, strict=True))):
        if labelled < MATURE * served or labelled <= 0:
            continue
        if day < first and len(chosen) >= CHECK_DAYS and labels >= CHECK_LABELS:
            break
        chosen.append(day)
        labels += labelled
    return chosen[::-1]


def _past_and_window(frames: Mapping[str, "DataFrame"], name: str) -> "DataFrame":
    """The rows of a frame for the month before the window and for the window."""
    import pandas as pd

    parts = [frames[key] for key in (f"past_{name}", f"current_{name}") if key in frames and len(frames[key])]
    return pd.concat(parts, ignore_index=True) if parts else frames[f"current_{name}"]


def check_classifier_estimates(known: ScoreCalibration, frames: Mapping[str, "DataFrame"], start: datetime) -> dict[str, EstimateCheck]:
    """The check of each metric that is both estimated and measured.

    Parameters
    ----------
    known : ScoreCalibration
        Calibration of the scores.
    frames : Mapping[str, DataFrame]
        Answers by name, of the window and the month before.
    start : datetime
        Start of the window.

    Returns
    -------
    dict[str, EstimateCheck]
        By metric.
    """
    everything, sums = answer_columns(_past_and_window(frames, "counts")), answer_columns(_past_and_window(frames, "sums"))
    classes = _past_and_window(frames, "classes") if "current_classes" in frames else None
    days = _mature_days(everything, start)
    if not days:
        return {}
    counts = part_of(everything, np.isin(days_in(everything), days) & (everything["label"] >= 0))
    of_counts, of_sums = days_in(counts), days_in(sums)

    def both_on(some: Sequence[int]) -> tuple[dict[str, MetricEstimate], dict[str, Interval]]:
        rows = part_of(counts, np.isin(of_counts, some))
        of_classes = None if classes is None else classes[np.isin(days_in(classes), some) & (classes["label"] >= 0)]
        measured = performance_metrics(known.model, rows, part_of(sums, np.isin(of_sums, some)))
        return estimate_metrics(known, rows, of_classes), measured

    figures, measured = both_on(days)
    n = int(counts["n"].sum())
    off = _binary_daily_errors(known, counts) if known.model.task == "binary" else _daily_errors([both_on([day]) for day in days])
    return _checks(known.model, figures, measured, off, days, n)


def _binary_daily_errors(known: ScoreCalibration, counts: Columns) -> "DailyErrors":
    """For a binary model, by metric: (error, labelled rows) of each day. Estimate and measurement come from the same score bins.

    counts: counts of labelled rows, by day.
    """
    usable = columns_with_score(counts, "period", "label")
    days, place = np.unique(days_in(usable), return_inverse=True)
    cell = (place * 2 + usable["decision"].astype(np.int64)) * BINS + usable["score_bin"].astype(np.int64)
    w, event = usable["w"].astype(np.float64), usable["label"] == 1
    shape = (days.size, 2, BINS)
    rows, positive = (sum_by_score_bin(cell[kept], w[kept], days.size * 2 * BINS).reshape(shape) for kept in (slice(None), event))
    guess, truth, n = binary_metric_values(rows, rows * known.event.rates), binary_metric_values(rows, positive), rows.sum(axis=(1, 2))
    return {
        metric: [(off, each) for off, each in zip((guess[metric] - truth[metric]).tolist(), n.tolist()) if off == off] for metric in guess
    }


def check_regression_estimates(model: Model, frames: Mapping[str, "DataFrame"], start: datetime) -> dict[str, EstimateCheck]:
    """Check of MAE and RMSE on the sampled rows that have labels.

    Parameters
    ----------
    model : Model
        Model.
    frames : Mapping[str, DataFrame]
        Answers by name, of the window and the month before.
    start : datetime
        Start of the window.

    Returns
    -------
    dict[str, EstimateCheck]
        By metric.
    """
    rows, days = _past_and_window(frames, "errors"), _mature_days(answer_columns(_past_and_window(frames, "counts")), start)
    part = rows[np.isin(days_in(rows), days)]
    if not len(part):
        return {}
    figures, measured = estimate_regression(part, {}, 0.0, labelled=True)
    each = _daily_errors([estimate_regression(one, {}, 0.0, labelled=True) for _, one in part.groupby("period", sort=True)])
    known = part[(part["measure"] == "absolute_error") & (part["labelled"] == 1)]
    kept = np.unique(days_in(part)).tolist()
    found = _checks(model, figures, measured, each, kept, int(known["n"].sum()))
    if "mae" in found and known["w"].sum() > 0:
        off = Moments(
            float(known["w"].sum()),
            float(known["estimated"].sum() - known["measured"].sum()),
            float(known["difference_squares"].sum()),
            float(known["w2"].sum()),
        )
        found["mae"] = EstimateCheck(**{**vars(found["mae"]), "error": _widened_by_days(mean_interval(off), each.get("mae", []))})
    return found


def _checks(
    model: Model, figures: dict[str, MetricEstimate], measured: dict[str, Interval], each: "DailyErrors", days: Sequence[int], n: int
) -> dict[str, EstimateCheck]:
    """The checks of the metrics that are known both as estimate and as measurement."""
    found = {}
    first, last = day_date(days[0]), day_date(days[-1])
    for metric, figure in figures.items():
        truth, value = measured.get(metric), figure.interval.value
        if metric not in LIMITS or truth is None or truth.value is None or value is None or n < MINIMUM_LABELS:
            continue
        side = figure.calibration or Interval(value, value, value, figure.interval.n)
        error = _widened_by_days(difference_interval(side, truth), each.get(metric, []))
        allowed = _allowed_error(model, metric, truth.value)
        found[metric] = EstimateCheck(metric, value, truth.value, error, allowed, len(days), first, last, n)
    return found


def _allowed_error(model: Model, metric: str, around: float) -> float:
    """Smallest error of an estimate that matters: the warning limit of serving/performance, in the metric's unit."""
    kind, watch, _ = LIMITS[metric]
    own = model.settings.limits.get(f"serving/estimated_performance/{metric}", watch)
    return min(watch, own) * (abs(around) if kind == "relative" else 1.0)


def _daily_errors(days: Sequence[tuple[dict[str, MetricEstimate], dict[str, Interval]]]) -> "DailyErrors":
    """By metric, (error, labelled rows) of each day on which both the estimate and the measurement are known."""
    found: DailyErrors = {}
    for figures, measured in days:
        for metric, guess in figures.items():
            truth = measured.get(metric)
            if guess.interval.value is not None and truth is not None and truth.value is not None and truth.n > 0:
                found.setdefault(metric, []).append((guess.interval.value - truth.value, truth.n))
    return found


DailyErrors = dict[str, list[tuple[float, float]]]


def _widened_by_days(error: Interval, days: Sequence[tuple[float, float]]) -> Interval:
    """Interval of an error, made at least as wide as the variation of the error between days implies (Liang and Zeger 1986, days as
    clusters).
    """
    from scipy.special import stdtrit

    if error.value is None or error.low is None or error.high is None or len(days) < MIN_DAYS:
        return error
    off, rows = (np.array(each, float) for each in zip(*days))
    centre = float(off @ rows / rows.sum())
    spread = float(np.sqrt((rows**2 @ (off - centre) ** 2) * len(days) / (len(days) - 1))) / float(rows.sum())
    half = float(stdtrit(len(days) - 1, 0.975)) * spread
    return Interval(error.value, min(error.low, error.value - half), max(error.high, error.value + half), error.n)
