"""How long each person takes per label, and how accuracy changes within a session.

A session is a run of a person's labels with less than half an hour between them. The slope is estimated within sessions. Therefore people
who work longer, or on other days or at other hours, are compared only with themselves.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import stdtr, stdtrit

from observability.metrics.annotations import item_clustered_rate, places_in_order
from observability.stats.interval import Interval, ordered_interval
from observability.stats.quantile import median_interval

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
SECONDS, SLOPE = "label_seconds", "fatigue_slope"
BREAK_MINUTES = 30
MIN_SESSIONS = 30
SLOPE_WATCH = 0.02
"""If accuracy falls by at least this many points per hour of a session, there is a warning."""
MAX_HOURS = 8


def labelling_speed_by_annotator(now: "DataFrame") -> "DataFrame":
    """A row per person with timed labels: annotator, timed, median, p90 (s), an_hour (labels per hour of timed work), hours.

    Parameters
    ----------
    now : DataFrame
        Answers of the window.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    rows = []
    timed = now.loc[np.isfinite(now["seconds"].to_numpy(float)), "seconds"]
    for who, seconds in timed.groupby(now["annotator"].astype(str), sort=True):
        took = np.sort(seconds.to_numpy(float))
        total = float(took.sum())
        median, late = np.quantile(took, [0.5, 0.9])
        rows.append([who, len(took), float(median), float(late), 3600 * len(took) / total if total > 0 else float("nan"), total / 3600])
    return pd.DataFrame(rows, columns=["annotator", "timed", "median", "p90", "an_hour", "hours"])


def median_label_seconds(seconds: Array) -> Interval:
    """Median time with a 95 % interval by order statistics.

    Parameters
    ----------
    seconds : Array
        Seconds of each label; NaN is left out.

    Returns
    -------
    Interval
        No bounds below six values.
    """
    took = seconds[np.isfinite(seconds)]
    value, low, high = median_interval(took)
    if len(took) < 6:
        return Interval(value if len(took) else None, None, None, float(len(took)))
    return ordered_interval(value, low, high, float(len(took)))


SESSION_COLUMNS = ["annotator", "item", "at", "known", "right"]
"""The columns of answers that accuracy by session needs. Sorting all columns would take several times as long."""


def labelling_sessions(rows: "DataFrame") -> "DataFrame":
    """Rows sorted by person and time, with the number of their session and the hours since the first label of the session.

    Parameters
    ----------
    rows : DataFrame
        Answers.

    Returns
    -------
    DataFrame
    """
    who, at = rows["annotator"].factorize(sort=True)[0], rows["at"].to_numpy()
    order = places_in_order(rows, (who, at), ("item",))
    who, at = who[order], at[order]
    begins = np.ones(len(order), bool)
    begins[1:] = (who[1:] != who[:-1]) | ~(np.diff(at) / np.timedelta64(1, "s") / 60 < BREAK_MINUTES)
    number = np.cumsum(begins)
    began = at[begins][number - 1]
    return rows.iloc[order].reset_index(drop=True).assign(session=number, hours=(at - began) / np.timedelta64(1, "s") / 3600)


@dataclass(frozen=True)
class Fatigue:
    """Slope of accuracy on gold items over the hours since the beginning of a session. slope: points per hour (n: number of gold answers).
    sessions: number of informative sessions. p_value: one-sided p-value for a fall of accuracy.
    """

    slope: Interval
    sessions: int
    p_value: float


def fatigue_slope(rows: "DataFrame") -> Fatigue | None:
    """The slope within sessions of at least two gold answers, by least squares on differences from the session's mean.

    Its standard error comes from sums by session. The interval uses Student's t with the number of sessions minus one degrees of freedom.

    Parameters
    ----------
    rows : DataFrame
        Answers.

    Returns
    -------
    Fatigue | None
        None if there are too few informative sessions.

    References
    ----------
    * Liang and Zeger (1986), Longitudinal data analysis using generalized linear models.
    """
    gold = labelling_sessions(rows[SESSION_COLUMNS])
    gold = gold[gold["known"]]
    by = gold["session"]
    x = (gold["hours"] - gold["hours"].groupby(by).transform("mean")).to_numpy(float)
    right = gold["right"].astype(float)
    y = (right - right.groupby(by).transform("mean")).to_numpy(float)
    wide = gold.assign(square=x * x, cross=x * y).groupby("session")[["square", "cross"]].sum()
    wide = wide[wide["square"] > 0]
    square, cross = wide["square"].to_numpy(float), wide["cross"].to_numpy(float)
    groups = len(wide)
    if groups < MIN_SESSIONS or square.sum() <= 0:
        return None
    slope = float(cross.sum() / square.sum())
    error = float(np.sqrt(((cross - slope * square) ** 2).sum() * groups / (groups - 1)) / square.sum())
    if error <= 0:
        return None
    half = float(stdtrit(groups - 1, 0.975)) * error
    n = int(gold["session"].isin(wide.index).sum())
    return Fatigue(ordered_interval(slope, slope - half, slope + half, float(n)), groups, float(stdtr(groups - 1, slope / error)))


def accuracy_by_session_hour(rows: "DataFrame") -> "DataFrame":
    """Accuracy on gold items by the hour of the session: hour (0: the first), n, right, value, low, high.

    Parameters
    ----------
    rows : DataFrame
        Answers.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    gold = labelling_sessions(rows[SESSION_COLUMNS])
    gold = gold[gold["known"]]
    hour = np.minimum(gold["hours"].to_numpy(float).astype(int), MAX_HOURS - 1)
    found = []
    for each, part in gold.groupby(hour, sort=True):
        rate = item_clustered_rate(part, "right")
        found.append([int(each), len(part), int(part["right"].sum()), *rate.triple])
    return pd.DataFrame(found, columns=["hour", "n", "right", "value", "low", "high"])
