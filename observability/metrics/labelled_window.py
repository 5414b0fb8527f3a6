"""Labels of a window and of the four weeks before it, by project. They are read only once, for the findings and for the page."""

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING

from observability.core.time import naive_utc
from observability.metrics.annotations import first_answers

if TYPE_CHECKING:
    from pandas import DataFrame

LABELLED = "labelled_window"
"""The name under which an analyzer's context holds a function that returns a LabelledWindow, if labels are cached."""


@dataclass(frozen=True)
class LabelledProject:
    """All labels of one project, oldest first: those of the window that begins at `start`, and those of the four weeks before it.
    Read-only.
    """

    labels: "DataFrame"
    start: datetime

    @cached_property
    def answers(self) -> "DataFrame":
        """The first answer of each annotator to each item."""
        return first_answers(self.labels)

    @cached_property
    def now(self) -> "DataFrame":
        """First answers in the window."""
        return self.answers[(self.answers["at"] >= naive_utc(self.start)).to_numpy()]

    @cached_property
    def past(self) -> "DataFrame":
        """First answers before the window."""
        return self.answers[(self.answers["at"] < naive_utc(self.start)).to_numpy()]


@dataclass(frozen=True)
class LabelledWindow:
    """The projects with labels, by name, in the order of their names."""

    projects: dict[str, LabelledProject]
    nothing: LabelledProject

    def project(self, name: str) -> LabelledProject:
        """The labels of one project; empty if it has none."""
        return self.projects.get(name, self.nothing)


def labelled_window(past: "DataFrame", now: "DataFrame", start: datetime) -> LabelledWindow:
    """The labels in two frames of `annotation` records, by project.

    Parameters
    ----------
    past : DataFrame
        Labels of the four weeks before the window.
    now : DataFrame
        Labels of the window.
    start : datetime
        Start of the window.

    Returns
    -------
    LabelledWindow
    """
    import pandas as pd

    both = pd.concat([each for each in (past, now) if len(each)] or [now], ignore_index=True)
    projects = {str(name): LabelledProject(part, start) for name, part in both.groupby("project", sort=True)}
    return LabelledWindow(projects, LabelledProject(both.iloc[:0], start))
