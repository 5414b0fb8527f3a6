"""Labels of a model's projects by item, and helpers of the labelling analyzers."""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from observability.core.analyzer import Context
from observability.metrics.annotations import first_of_pairs

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
NAME = "data/labels"
PAST_DAYS = 28
SHORT_LOOKS = (1, 3)
"""Besides the window, its last days are tested; these are their numbers."""


@dataclass(frozen=True)
class ProjectLabels:
    """The newest label of each annotator for each item: one row for each, sorted by item.

    item, annotator, label: indices into the lists of names; age: days before the end. dated: for each item, the age of its newest label.
    turn: for each item, a number derived from its name, which determines which of its rows is chosen.
    """

    item: Array
    annotator: Array
    label: Array
    age: Array
    annotators: tuple[str, ...]
    levels: int
    dated: Array
    turn: Array

    def counts(self, rows: Array) -> Array:
        """Items × levels: how often each item got each label, among the rows of a mask."""
        size = len(self.dated) * self.levels
        return (
            np.bincount(self.item[rows] * self.levels + self.label[rows], minlength=size)
            .reshape(len(self.dated), self.levels)
            .astype(float)
        )


def labelling_limits(context: Context, metric: str, watch: float, act: float) -> tuple[float, float]:
    """Warning and critical limits of a metric. The owner's limit replaces the critical limit; the warning limit is never above the critical
    one.

    Parameters
    ----------
    context : Context
        Context of the check.
    metric : str
        Metric.
    watch : float
        Default warning limit.
    act : float
        Default critical limit.

    Returns
    -------
    tuple[float, float]
    """
    stated = context.model.settings.limits.get(f"{NAME}/{metric}", act)
    return min(watch, stated), stated


def project_records(frame: "DataFrame", context: Context) -> "DataFrame":
    """Records of the model's projects: the projects in its settings, else the project with its name.

    Parameters
    ----------
    frame : DataFrame
        Records.
    context : Context
        Context of the check.

    Returns
    -------
    DataFrame
    """
    projects = context.model.settings.projects or (context.model.name,)
    return frame[frame["project"].isin(projects)]


def recent_labels(annotated: "DataFrame", end: datetime, days: float) -> ProjectLabels:
    """Labels of the last days before a point in time.

    Parameters
    ----------
    annotated : DataFrame
        Records of kind `annotation`.
    end : datetime
        End (naive UTC).
    days : float
        Days before the end.

    Returns
    -------
    ProjectLabels
    """
    rows = annotated.assign(age=record_ages(annotated, end), label=annotated["label"].map(str))
    rows = rows[(rows["age"] >= 0) & (rows["age"] < days)]
    rows = first_of_pairs(rows, rows["age"].to_numpy(), ("label",))
    begins = np.ones(len(rows), bool)
    pairs = [rows[name].to_numpy(object) for name in ("project", "item")]
    begins[1:] = np.logical_or.reduce([each[1:] != each[:-1] for each in pairs])
    item, items = np.cumsum(begins) - 1, [f"{project}\n{name}" for project, name in zip(*(each[begins] for each in pairs), strict=True)]
    annotator, people = rows["annotator"].astype(str).factorize(sort=True)
    label, levels = rows["label"].factorize(sort=True)
    age = rows["age"].to_numpy(float)
    dated = np.full(len(items), np.inf)
    np.minimum.at(dated, item, age)
    turn = np.array([crc32(each.encode()) for each in items], np.int64)
    return ProjectLabels(item, annotator, label, age, tuple(people), len(levels), dated, turn)


def record_ages(frame: "DataFrame", end: datetime) -> Array:
    """The age of each record in days, at a point in time.

    Parameters
    ----------
    frame : DataFrame
        Records.
    end : datetime
        Instant (naive UTC).

    Returns
    -------
    Array
    """
    return np.asarray((end - frame["at"]).dt.total_seconds() / 86_400, float)


def look_lengths(days: float) -> list[float]:
    """The numbers of days that are tested: the whole window, and its last days.

    Parameters
    ----------
    days : float
        Days of the window.

    Returns
    -------
    list[float]
    """
    return [days, *(float(each) for each in SHORT_LOOKS if each < days)]


def look_phrase(days: float, whole: float) -> str:
    """A phrase for the last days of a window, such as `on the last day`.

    Parameters
    ----------
    days : float
        Days.
    whole : float
        Days of the window.

    Returns
    -------
    str
    """
    return "in this window" if days == whole else "on the last day" if days == 1 else f"in the last {days:g} days"
