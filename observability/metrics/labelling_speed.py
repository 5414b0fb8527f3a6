"""How long does a label take, of each person, and does accuracy fall the longer a session lasts?

A session is a run of a person's labels with less than half an hour between them. Its slope is told within sessions: whoever works longer, on other days or
at other hours, is held against themselves alone.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.metrics.annotations import rate_of
from observability.stats.interval import Interval, interval

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
SECONDS, SLOPE = "label_seconds", "fatigue_slope"
BREAK_MINUTES = 30
LEAST_SESSIONS, LEAST_TIMED = 30, 20
SLOPE_WATCH = 0.02
"""Points of accuracy that are lost in an hour of a session, from which it is reported."""
MOST_HOURS = 8


def people(now: "DataFrame") -> "DataFrame":
    """A row for each person whose labels say how long they took: annotator, timed, median, p90 (s), an_hour (labels in an hour of that time), hours."""
    import pandas as pd

    rows = []
    timed = now[np.isfinite(now["seconds"].to_numpy(float))]
    for who, part in timed.groupby(timed["annotator"].astype(str), sort=True):
        took = np.sort(part["seconds"].to_numpy(float))
        total = float(took.sum())
        median, late = np.quantile(took, [0.5, 0.9])
        rows.append([who, len(took), float(median), float(late), 3600 * len(took) / total if total > 0 else float("nan"), total / 3600])
    return pd.DataFrame(rows, columns=["annotator", "timed", "median", "p90", "an_hour", "hours"])


def median_of(seconds: Array) -> Interval:
    """The median with the order statistics that hold it with 95 % (David and Nagaraja 2003); no interval below six values."""
    from scipy.special import bdtr

    took = np.sort(seconds[np.isfinite(seconds)])
    n = len(took)
    if n == 0:
        return Interval(None, None, None, 0.0)
    value = float(np.median(took))
    below = bdtr(np.arange(n), n, 0.5)
    place = int(np.searchsorted(below, 0.025, side="right")) - 1
    if place < 0:
        return Interval(value, None, None, float(n))
    return interval(value, float(took[place]), float(took[n - 1 - place]), float(n))


def sessions(rows: "DataFrame") -> "DataFrame":
    """The rows in the order of person and time, with the number of their session and hours: since its first label."""
    found = rows.sort_values(["annotator", "at", "item"], kind="stable", ignore_index=True)
    minutes = found["at"].diff().dt.total_seconds() / 60
    begins = (found["annotator"] != found["annotator"].shift()) | ~(minutes < BREAK_MINUTES)
    number = begins.cumsum()
    began = found["at"].groupby(number).transform("first")
    return found.assign(session=number, hours=(found["at"] - began).dt.total_seconds() / 3600)


@dataclass(frozen=True)
class Fatigue:
    """The slope of accuracy on gold items by hours since a session began. slope: points an hour (n: gold answers). sessions: those that tell. p_value: one-sided, that it falls."""

    slope: Interval
    sessions: int
    p_value: float


def fatigue(rows: "DataFrame") -> Fatigue | None:
    """The slope within sessions of two gold answers or more, by least squares on what differs from the session's own mean; its error from sums by session
    (Liang and Zeger 1986), read on Student's t of as many sessions less one. None where too few sessions tell.
    """
    gold = sessions(rows)
    gold = gold[gold["known"]]
    by = gold["session"]
    x = (gold["hours"] - gold["hours"].groupby(by).transform("mean")).to_numpy(float)
    right = gold["right"].astype(float)
    y = (right - right.groupby(by).transform("mean")).to_numpy(float)
    wide = gold.assign(square=x * x, cross=x * y).groupby("session")[["square", "cross"]].sum()
    wide = wide[wide["square"] > 0]
    square, cross = wide["square"].to_numpy(float), wide["cross"].to_numpy(float)
    groups = len(wide)
    if groups < LEAST_SESSIONS or square.sum() <= 0:
        return None
    slope = float(cross.sum() / square.sum())
    error = float(np.sqrt(((cross - slope * square) ** 2).sum() * groups / (groups - 1)) / square.sum())
    if error <= 0:
        return None
    half = float(stdtrit(groups - 1, 0.975)) * error
    n = int(gold["session"].isin(wide.index).sum())
    return Fatigue(interval(slope, slope - half, slope + half, float(n)), groups, float(stdtr(groups - 1, slope / error)))


def by_hour(rows: "DataFrame") -> "DataFrame":
    """Accuracy on gold items by the hour of the session: hour (0: the first), n, right, value, low, high."""
    import pandas as pd

    gold = sessions(rows)
    gold = gold[gold["known"]]
    hour = np.minimum(gold["hours"].to_numpy(float).astype(int), MOST_HOURS - 1)
    found = []
    for each, part in gold.groupby(hour, sort=True):
        rate = rate_of(part, "right")
        found.append([int(each), len(part), int(part["right"].sum()), rate.value, rate.low, rate.high])
    return pd.DataFrame(found, columns=["hour", "n", "right", "value", "low", "high"])
