"""What did the people who label do, and when: their labels by item, and what was given to them?"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from observability.core.analyzer import Context

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
NAME = "data/labels"
PAIR = ["project", "item", "annotator"]
PAST_DAYS = 28
SHORT_LOOKS = (1, 3)
"""Days, counted back from the window's end, that are looked at beside the window."""


@dataclass(frozen=True)
class Labels:
    """The newest label that each annotator gave to each item, a row each, item by item. item, annotator, label: places in the names; age: days before the end.

    dated: of each item, the age of its newest label. turn: of each item, a number from its name, by which one row of it is chosen.
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
        """Items by levels: how often each item got each label, of some rows (a mask)."""
        found = np.zeros((len(self.dated), self.levels))
        np.add.at(found, (self.item[rows], self.label[rows]), 1.0)
        return found


def limits(context: Context, metric: str, watch: float, act: float) -> tuple[float, float]:
    """The changes of a metric that are reported and that need somebody; the owner's limit replaces the second, and the first is never above it."""
    stated = context.model.settings.limits.get(f"{NAME}/{metric}", act)
    return min(watch, stated), stated


def own(frame: "DataFrame", context: Context) -> "DataFrame":
    """Records of the model's projects: those that its settings name, else the one of its name."""
    projects = context.model.settings.projects or (context.model.name,)
    return frame[frame["project"].isin(projects)]


def labels_of(annotated: "DataFrame", end: datetime, days: float) -> Labels:
    """The labels of the last days before an instant (naive UTC)."""
    rows = annotated.assign(age=ages(annotated, end), label=annotated["label"].map(str))
    rows = rows[(rows["age"] >= 0) & (rows["age"] < days)].sort_values([*PAIR, "age", "label"]).drop_duplicates(PAIR)
    names = rows["project"].astype(str) + "\n" + rows["item"].astype(str)
    item, items = names.factorize()
    annotator, people = rows["annotator"].astype(str).factorize(sort=True)
    label, levels = rows["label"].factorize(sort=True)
    age = rows["age"].to_numpy(float)
    dated = np.full(len(items), np.inf)
    np.minimum.at(dated, item, age)
    turn = np.array([crc32(each.encode()) for each in items], np.int64)
    return Labels(item, annotator, label, age, tuple(people), len(levels), dated, turn)


def ages(frame: "DataFrame", end: datetime) -> Array:
    """Days from each record to an instant."""
    return np.asarray((end - frame["at"]).dt.total_seconds() / 86_400, float)


def looks(days: float) -> list[float]:
    """Lengths in days of what is looked at: the window, and its last days."""
    return [days, *(float(each) for each in SHORT_LOOKS if each < days)]


def stretch(days: float, whole: float) -> str:
    """A look in words."""
    return "in this window" if days == whole else "on the last day" if days == 1 else f"in the last {days:g} days"
