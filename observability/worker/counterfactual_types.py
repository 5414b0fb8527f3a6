"""Types of the search for counterfactuals: a feature that may change, and the state of a search."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Bools, Floats
from observability.worker.explain_job import score_table
from observability.worker.model import OpenModel, Task
from observability.worker.target_scores import reaches_goal


@dataclass(frozen=True)
class FreeFeature:
    """A feature that may change.

    kind: number, category or boolean. low, high, decimals (0: whole numbers) and scale (standard deviation) are those of a number; levels
    are those of a category or boolean. own: the row's value.
    """

    name: str
    kind: str
    own: Any
    low: float = 0.0
    high: float = 0.0
    decimals: int = 6
    scale: float = 1.0
    levels: tuple[Any, ...] = ()

    def rounded(self, values: Floats) -> Floats:
        """Numbers rounded to the reference's decimals and limited to its range."""
        return np.asarray(np.clip(np.round(values, self.decimals), self.low, self.high))

    def same(self, values: "pd.Series[Any]") -> Bools:
        """Whether values equal the row's own value."""
        own_missing = self.own is None or self.own != self.own
        return np.asarray(values.isna() if own_missing else values == self.own, np.bool_)

    def cost(self, values: "pd.Series[Any]") -> Floats:
        """Size of a change: for a number, in standard deviations; 1 for another level, or for a value in place of a missing one."""
        changed = ~self.same(values)
        if self.kind != "number" or self.own != self.own:
            return np.asarray(changed, np.float64)
        return np.where(changed, np.abs(values.to_numpy(np.float64) - float(self.own)) / (self.scale or 1.0), 0.0)


@dataclass
class CounterfactualSearch:
    """State of a search: the row, the goal and the free features. asked: number of rows that the model has scored."""

    model: OpenModel
    task: Task
    goal: dict[str, Any]
    row: pd.DataFrame
    free: list[FreeFeature]
    asked: int = 0
    notes: list[str] = field(default_factory=list)

    def scores(self, frame: pd.DataFrame) -> Floats:
        """The model's scores of a table with the row's columns."""
        self.asked += len(frame)
        return score_table(self.model, frame[list(self.model.columns)], self.task)

    def reached(self, frame: pd.DataFrame) -> Bools:
        """Mask of the rows that reach the goal."""
        return reaches_goal(self.goal, self.scores(frame))

    def copies(self, number: int) -> pd.DataFrame:
        """`number` copies of the row."""
        return self.row.iloc[np.zeros(number, np.int64)].reset_index(drop=True)
