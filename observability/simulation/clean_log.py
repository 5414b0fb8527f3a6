"""Make the clean log in which faults are planted.

A base consists of a model's reference, rows from which clean days are drawn, and the facts of its registration. Each row of a day is a row
of the base, or a new row if the base can make rows. It gets a new id, a time of the day, and the arrival times of the prediction and its
label. The same seed gives the same days, whatever fault is planted in them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property

import numpy as np

from observability.core.catalog import Column, Task
from observability.core.settings import ModelSettings
from observability.core.time import naive_utc
from observability.simulation.day_correlation import DayCorrelation
from observability.simulation.log_rows import LogRows, constant_text_column
from observability.stats.arrays import Array

START = datetime(2026, 3, 2, tzinfo=UTC)
"""The day from which days are counted; a Monday."""
VERSION, NEXT = "1", "2"
"""The serving version, and the version of a later deploy; both are registered with the same reference."""
DAY = timedelta(days=1)
DrawRows = Callable[[np.random.Generator, int], LogRows]


@dataclass(frozen=True)
class SimulationBase:
    """A clean log.

    columns: features and groups as in the catalog. reference, pool: rows without times (log_rows.py). draw: a function that makes n new
    rows; if None, rows are drawn from the pool, with replacement. hours: share of the traffic by hour of the day. source_note: where the
    rows come from, in one sentence.
    """

    name: str
    task: Task
    classes: tuple[str, ...]
    columns: tuple[Column, ...]
    reference: LogRows
    pool: LogRows
    settings: ModelSettings = field(default_factory=ModelSettings)
    draw: DrawRows | None = None
    hours: tuple[float, ...] = (1 / 24,) * 24
    in_sample: bool = False
    source_note: str = ""

    @property
    def features(self) -> tuple[Column, ...]:
        """The columns whose role is `feature`."""
        return tuple(each for each in self.columns if each.role == "feature")

    def rows(self, rng: np.random.Generator, size: int) -> LogRows:
        """`size` new rows without times, made by `draw` or drawn from the pool."""
        if self.draw is not None:
            return self.draw(rng, size)
        return self.pool.take(rng.integers(len(self.pool), size=size))


@dataclass(frozen=True)
class CleanStream:
    """Clean days of a base: `past` days before a fault begins, and `days` days from then on.

    rows_a_day: mean number of rows, Poisson distributed. label_delay: days from a prediction to the arrival of its label. day_effect:
    standard deviation of the effect that the rows of a day share, in standard deviations of each number's normal score (day_correlation.py;
    rows then come from the pool). weekly: share by which traffic is lower at a weekend (0: none).
    """

    base: SimulationBase
    seed: int = 0
    past: int = 28
    days: int = 7
    rows_a_day: int = 1000
    label_delay: int = 0
    day_effect: float = 0.0
    weekly: float = 0.0

    @property
    def onset(self) -> datetime:
        """Midnight at the start of the day on which a fault begins."""
        return START + self.past * DAY

    @cached_property
    def luck(self) -> DayCorrelation | None:
        """The correlation of rows within a day; None if there is none."""
        return DayCorrelation.of(self.base.pool, self.day_effect) if self.day_effect else None

    def day(self, number: int) -> LogRows:
        """The clean rows of one day, in order of time; every call gives the same rows."""
        rng = np.random.default_rng([self.seed, number, self.rows_a_day])
        date = START + number * DAY
        usual = self.rows_a_day * (1 - self.weekly if date.weekday() >= 5 else 1.0)
        size = max(int(rng.poisson(usual)), 1)
        if self.luck is None:
            rows = self.base.rows(rng, size)
        else:
            rows = self.base.pool.take(rng.choice(len(self.base.pool), size, p=self.luck.weights(rng)))
        return _dated_rows(rows, date, rng, self.base.hours, self.label_delay, f"d{number}-")


def _dated_rows(
    rows: LogRows, date: datetime, rng: np.random.Generator, hours: tuple[float, ...], label_delay: int, prefix: str
) -> LogRows:
    """Rows with ids, times within one day, and arrival times: predictions arrive within seconds, labels a few seconds after their delay."""
    size = len(rows)
    begin = np.datetime64(naive_utc(date), "us")
    seconds = np.sort(rng.choice(24, size=size, p=np.array(hours) / sum(hours)) * 3600 + rng.random(size) * 3590)
    at = begin + (seconds * 1e6).astype(np.int64).astype("timedelta64[us]")
    arrived = at + (rng.random(size) * 4e6).astype(np.int64).astype("timedelta64[us]")
    late = np.timedelta64(label_delay, "D") + np.timedelta64(5, "s")
    label_arrived = np.where(np.isnan(rows["label"]), np.datetime64("NaT", "us"), at + late)
    names = np.array([f"{prefix}{place}" for place in range(size)], object)
    return rows.put(
        {"id": names, "at": at, "arrived": arrived, "label_arrived": label_arrived, "version": constant_text_column(VERSION, size)}
    )


def link_score(task: Task, score: Array) -> Array:
    """The score on the scale on which effects are additive: for a classifier, the logit."""
    if task == "regression":
        return score
    clipped = np.clip(score, 1e-6, 1 - 1e-6)
    return np.log(clipped / (1 - clipped))


def inverse_link_score(task: Task, value: Array) -> Array:
    """The score that belongs to a value on the link scale."""
    return value if task == "regression" else 1 / (1 + np.exp(-value))
