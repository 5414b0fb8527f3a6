"""Score many variations of rows. Rows are matrices of numbers, in which a category is the index of its level and missing is NaN."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from observability.stats.arrays import Bools, Floats, Integers
from observability.worker.explain_job import score_table
from observability.worker.features import canonical_scalar
from observability.worker.model import OpenModel, Task

CHUNK = 100_000


@dataclass(frozen=True)
class AttackFeature:
    """A feature that an attack may change.

    kind: number, category or boolean. cost: of one standard deviation of a number, or of another level. direction: `up` or `down` if a
    number or boolean may only rise (false to true) or fall. low, high, decimals, scale: of numbers, as in `FreeFeature`. levels: of
    categories and booleans; of a boolean, false first.
    """

    name: str
    kind: str
    cost: float = 1.0
    direction: str = "both"
    low: float = 0.0
    high: float = 0.0
    decimals: int = 6
    scale: float = 1.0
    levels: tuple[Any, ...] = ()

    @property
    def is_number(self) -> bool:
        """Whether it is a number."""
        return self.kind == "number"

    def within(self, values: Floats) -> Floats:
        """Numbers rounded to the reference's decimals and limited to its range."""
        return np.asarray(np.clip(np.round(values, self.decimals), self.low, self.high))

    def costs(self, own: Floats, values: Floats) -> Floats:
        """Cost of each change. It is infinite if the change is not allowed: against the direction, or from or to a missing value."""
        with np.errstate(invalid="ignore"):
            size = np.abs(values - own) / (self.scale or 1.0) if self.is_number else (values != own).astype(np.float64)
            wrong = {"up": values < own, "down": values > own}.get(self.direction, False)
        return np.where(wrong | ~np.isfinite(size), np.where(_same(own, values), 0.0, np.inf), size * self.cost)


def _same(a: Floats, b: Floats) -> Bools:
    """Mask of the places at which two arrays are equal; missing values are equal."""
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)), np.bool_)


def attack_features(given: Sequence[dict[str, Any]], columns: Sequence[str]) -> dict[int, AttackFeature]:
    """The features that an attack may change, by the place of their column in the model."""
    made = []
    for each in given:
        levels = each.get("levels", ())
        made.append(AttackFeature(**{**each, "levels": tuple(sorted(levels) if each["kind"] == "boolean" else levels)}))
    return {columns.index(each.name): each for each in made if each.name in columns}


class MatrixScorer:
    """Rows as matrices, and the model's scores of them.

    own: the rows, (n, columns). levels: the levels of each column that is not numeric, by its place. asked: number of rows scored so far.
    """

    def __init__(self, model: OpenModel, task: Task, table: pd.DataFrame, free: dict[int, AttackFeature]) -> None:
        self.model, self.task, self.asked = model, task, 0
        self.columns = list(model.columns)
        self.whole = [pd.api.types.is_integer_dtype(table[name].dtype) for name in self.columns]
        self.levels: dict[int, list[Any]] = {}
        parts = []
        for place, name in enumerate(self.columns):
            column = table[name]
            if pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype):
                parts.append(column.to_numpy(dtype=float, na_value=np.nan))
                continue
            known = {
                canonical_scalar(value): value for value in (*(free[place].levels if place in free else ()), *column.dropna().unique())
            }
            self.levels[place] = list(known.values())
            index = {text: float(code) for code, text in enumerate(known)}
            parts.append(np.array([np.nan if pd.isna(value) else index[canonical_scalar(value)] for value in column]))
        self.own = np.column_stack(parts) if parts else np.empty((len(table), 0))
        self._codes = self._direct_codes(table)

    def _direct_codes(self, table: pd.DataFrame) -> dict[int, Floats] | None:
        """The model's own codes of each level, if the model takes a matrix that holds the rows' own numbers; None if rows must be passed as
        tables.
        """
        encoded = self.model.encode(table[self.columns].head(50)) if len(table) else None
        if not isinstance(encoded, np.ndarray) or encoded.shape[1:] != (len(self.columns),) or encoded.dtype.kind != "f":
            return None
        codes: dict[int, Floats] = {}
        for place, levels in self.levels.items():
            rows = table[self.columns].iloc[np.zeros(len(levels), np.int64)].reset_index(drop=True)
            rows[self.columns[place]] = pd.Series(levels, dtype=object)
            codes[place] = np.append(np.asarray(self.model.encode(rows), np.float64)[:, place], np.nan)
        return codes if _same(self._encoded(self.own[:50], codes), np.asarray(encoded, np.float64)).all() else None

    @staticmethod
    def _encoded(matrix: Floats, codes: dict[int, Floats]) -> Floats:
        """Rows in the form that the model takes."""
        found = matrix.copy()
        for place, values in codes.items():
            column = matrix[:, place]
            found[:, place] = values[np.where(np.isnan(column), -1, column).astype(np.int64)]
        return found

    def table(self, matrix: Floats) -> pd.DataFrame:
        """Rows as a table of logged values."""
        found: dict[str, Any] = {}
        for place, name in enumerate(self.columns):
            column = matrix[:, place]
            if place in self.levels:
                levels = np.array([*self.levels[place], None], dtype=object)
                found[name] = pd.Series(levels[np.where(np.isnan(column), -1, column).astype(np.int64)], dtype=object)
            else:
                found[name] = column.astype(np.int64) if self.whole[place] and _is_whole(column) else column
        return pd.DataFrame(found)

    def scores(self, matrix: Floats) -> Floats:
        """The model's scores of rows, in chunks."""
        self.asked += len(matrix)
        if not len(matrix):
            return score_table(self.model, self.table(matrix), self.task)
        parts = []
        for start in range(0, len(matrix), CHUNK):
            part = matrix[start : start + CHUNK]
            if self._codes is not None:
                parts.append(self.model.score(self._encoded(part, self._codes)))
            else:
                parts.append(score_table(self.model, self.table(part), self.task))
        return np.concatenate(parts)

    def value(self, place: int, code: float) -> Any:
        """The logged value of a cell; None if it is missing."""
        if code != code:
            return None
        if place in self.levels:
            found = self.levels[place][int(code)]
            return found.item() if isinstance(found, np.generic) else found
        return int(code) if code == int(code) else float(code)


def _is_whole(column: Floats) -> bool:
    """Whether all numbers are whole."""
    return bool((np.isfinite(column) & (column == np.floor(column))).all())


@dataclass(frozen=True)
class AnswerChange:
    """Defines when two answers differ. threshold: the threshold of a binary score. tolerance: for a regression, in its unit."""

    task: Task
    threshold: float = 0.5
    tolerance: float = 0.0

    def decisions(self, scores: Floats) -> Integers:
        """Index of the decided class; 0 for a regression."""
        if self.task.multiclass:
            return np.asarray(scores.argmax(axis=1), np.int64)
        return np.asarray(scores >= self.threshold, np.int64) if self.task.name == "binary" else np.zeros(len(scores), np.int64)

    def flipped(self, own: Floats, scores: Floats) -> Bools:
        """Whether each score gives another answer than the row's own: another class, or a value farther away than the tolerance."""
        if self.task.name == "regression":
            return np.asarray(np.abs(scores - own) > self.tolerance, np.bool_)
        return np.asarray(self.decisions(own) != self.decisions(scores), np.bool_)
