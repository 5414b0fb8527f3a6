"""The rows that are nearest to a case, and the distance of the case from its reference.

The distance is Euclidean over the features, or over the most important ones if there are very many (core/analyzer.py). Numbers are in
standard deviations of the reference, clipped at CAP standard deviations from its mean. Categories and booleans count 1 if they differ. If
only one of two values is missing, that counts 1; a missing number is placed at the mean. Groups are not used.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column
from observability.core.time import naive_utc
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress, computed_once
from observability.investigation.conditions import slice_level
from observability.investigation.evidence_types import Neighbour, NotGivenError
from observability.investigation.label_types import outcome_text
from observability.investigation.logged_prediction import Row
from observability.stats.arrays import Bools, Floats, Integers

if TYPE_CHECKING:
    from pandas import DataFrame

NEAREST = 10
CAP = 6.0
"""Numbers are clipped at this many standard deviations, so that one extreme value does not dominate the distance."""
FAR_RANK, CALIBRATED_ON = 5, 600
"""Rank of the neighbour whose distance is compared; number of reference rows whose distances it is compared with."""
MIN_REFERENCE = 100


@dataclass(frozen=True)
class Matrix:
    """Rows as vectors in which distances are computed. numbers: (n, a) standardised, with a column per number that marks missing values;
    codes: (n, b) levels, −1 if missing.
    """

    numbers: NDArray[np.float32]
    codes: Integers

    def distances(self, one: "Matrix", place: int = 0) -> Floats:
        """Distance of every row of this matrix to row `place` of another one."""
        squares = np.square(self.numbers - one.numbers[place], dtype=np.float32).sum(axis=1, dtype=np.float64)
        return np.asarray(np.sqrt(squares + (self.codes != one.codes[place]).sum(axis=1)), np.float64)


@dataclass(frozen=True)
class Space:
    """Parameters of the distance: mean and standard deviation of each number, levels of each category."""

    columns: tuple[Column, ...]
    centre: dict[str, float]
    scale: dict[str, float]
    levels: dict[str, dict[str, int]]

    def place(self, frame: "DataFrame") -> Matrix:
        """The rows of a frame as vectors of this space."""
        numbers: list[Floats] = []
        codes: list[Integers] = []
        for column in self.columns:
            values = frame[column.reference]
            if column.kind == "number":
                given = values.to_numpy(np.float64)
                missing = np.isnan(given)
                away = (given - self.centre[column.reference]) / self.scale[column.reference]
                numbers += [np.where(missing, 0.0, np.clip(away, -CAP, CAP)), missing.astype(np.float64)]
            else:
                known, held = self.levels[column.reference], values.tolist()
                places = {each: -1 if each is None else known.setdefault(slice_level(each), len(known)) for each in dict.fromkeys(held)}
                codes.append(np.array([places[each] for each in held], np.int64))
        return Matrix(
            np.stack(numbers, axis=1).astype(np.float32) if numbers else np.empty((len(frame), 0), np.float32),
            np.stack(codes, axis=1) if codes else np.empty((len(frame), 0), np.int64),
        )


def space_of(frame: "DataFrame", columns: Sequence[Column]) -> Space:
    """The space whose means and standard deviations come from a frame; a constant number is not scaled."""
    centre, scale = {}, {}
    for column in columns:
        if column.kind == "number":
            values = frame[column.reference].to_numpy(np.float64)
            values = values[np.isfinite(values)]
            centre[column.reference] = float(values.mean()) if values.size else 0.0
            scale[column.reference] = float(values.std()) or 1.0 if values.size else 1.0
    return Space(tuple(columns), centre, scale, {each.reference: {} for each in columns if each.kind != "number"})


@dataclass(frozen=True)
class Near:
    """The nearest labelled rows: a frame (with `distance` and `environment`) of at most NEAREST rows, nearest first, and their space."""

    frame: "DataFrame"
    space: Space
    own: Matrix


def neighbours(case: CaseInProgress) -> tuple[Neighbour, ...]:
    """The NEAREST labelled rows of the reference and of the period around the case. Raises NotGivenError if there are none."""
    classes, zone = case.row.model.classes, case.row.at.tzinfo
    return tuple(
        Neighbour(
            id=row["id"],
            distance=float(row["distance"]),
            label=outcome_text(classes, row["label"], row["label_value"]),
            prediction=outcome_text(classes, row["decision"], row["score"]),
            score=None if np.isnan(row["score"]) else float(row["score"]),
            environment=row["environment"],
            at=None if row["environment"] == "reference" else row["at"].to_pydatetime().replace(tzinfo=zone),
        )
        for row in nearest_labelled(case).frame.to_dict("records")
    )


@computed_once
def nearest_labelled(case: CaseInProgress) -> Near:
    """The nearest labelled rows, without the case itself. A row that is both in the period and in the reference counts once. Raises
    NotGivenError if there are none.
    """
    import pandas as pd

    kept, period = comparison_rows.rows_of_reference(case), comparison_rows.labelled_rows_of(case)
    kept = kept[~(copied_rows(case, kept, own_frame(case)) | copied_rows(case, kept, period))]
    rows = ((kept, "reference"), (period, "production"))
    candidates = [part for frame, environment in rows if len(part := with_labels(frame, environment))]
    if not candidates:
        raise NotGivenError("there are no labelled rows to search for neighbours", attempt="Register a reference, or load labels")
    frame = pd.concat(candidates, ignore_index=True)
    columns = case.row.compared_features
    if not columns:
        raise NotGivenError("this version has no features to compare rows by")
    space = space_of(comparison_rows.rows_of_reference(case) if len(comparison_rows.rows_of_reference(case)) else frame, columns)
    own = space.place(own_frame(case))
    distance = space.place(frame).distances(own)
    order = np.lexsort((frame["id"].to_numpy(str), distance))[:NEAREST]
    return Near(frame.iloc[order].assign(distance=distance[order]).reset_index(drop=True), space, own)


def copied_rows(case: CaseInProgress, frame: "DataFrame", rows: "DataFrame") -> Bools:
    """Mask of the reference rows that are also in another frame, with the same time and the same inputs. Ids are not compared, because rows
    of a reference have ids of their own.
    """
    import pandas as pd

    names = ["at", *(column.reference for column in comparison_rows.compared_columns(case.row))]
    found = np.array(frame["at"].isin(rows["at"]), bool)
    if found.any():
        held = rows[names].astype(frame[names].dtypes.to_dict())
        known = pd.util.hash_pandas_object(held, index=False)
        found &= np.asarray(pd.util.hash_pandas_object(frame[names], index=False).isin(known), bool)
    return found


def with_labels(frame: "DataFrame", environment: str) -> "DataFrame":
    """The labelled rows of a frame, with their environment."""
    return frame[frame["label"] >= 0].assign(environment=environment)


@computed_once
def own_frame(case: CaseInProgress) -> "DataFrame":
    """The case as a frame of one row, with the columns by which rows are compared. It is computed once per case."""
    return case_frame(case.row, comparison_rows.compared_columns(case.row))


def case_frame(row: Row, columns: Sequence[Column] | None = None) -> "DataFrame":
    """The case as a frame of one row, with its time. columns: the columns to include; by default all columns of the model."""
    import pandas as pd

    given = comparison_rows.values_by_reference(row)
    held_columns = row.model.columns if columns is None else columns
    kinds = {column.reference: "float64" if column.kind == "number" else "object" for column in held_columns}
    held = {name: pd.Series([given[name]], dtype=kind) for name, kind in kinds.items()}
    return pd.DataFrame({"at": pd.Series([naive_utc(row.at)], dtype="datetime64[us]"), **held})


@dataclass(frozen=True)
class Far:
    """How far the case is from its reference. share: share of the n sampled reference rows that are at least as far from the other
    reference rows. now: share of a sample of now_rows labelled rows of the period that are at least as far from the reference (None without
    rows).
    """

    distance: float
    share: float
    n: int
    now: float | None
    now_rows: int = 0

    @property
    def shares(self) -> tuple[tuple[float, int], ...]:
        """Each known share with its number of rows."""
        return ((self.share, self.n), *(((self.now, self.now_rows),) if self.now is not None else ()))


def reference_distance(case: CaseInProgress) -> Far:
    """How far the case is from the reference, compared with how far reference rows and current rows are from it. Raises NotGivenError if
    the reference is too small.
    """
    frame = comparison_rows.rows_of_reference(case)
    columns = case.row.compared_features
    if len(frame) < MIN_REFERENCE or not columns:
        raise NotGivenError(f"the reference has {len(frame)} rows, too few to judge distances")
    frame = frame[~copied_rows(case, frame, own_frame(case))].reset_index(drop=True)
    space = space_of(frame, columns)
    matrix, own = space.place(frame), space.place(own_frame(case))
    mine = neighbour_distance(matrix, own, 0, FAR_RANK - 1)
    theirs = np.array(
        [neighbour_distance(matrix, matrix, place, FAR_RANK) for place in range(min(CALIBRATED_ON, len(frame)))]
    )  # rank 0 is the row itself
    today = comparison_rows.labelled_rows_of(case).head(CALIBRATED_ON)
    there = space.place(today)
    others = np.array([neighbour_distance(matrix, there, place, FAR_RANK - 1) for place in range(len(today))])
    return Far(mine, float((theirs >= mine).mean()), theirs.size, float((others >= mine).mean()) if others.size else None, others.size)


def neighbour_distance(matrix: Matrix, one: Matrix, place: int, rank: int) -> float:
    """Distance of a row to its neighbour with the given rank (counted from 0)."""
    return float(np.partition(matrix.distances(one, place), rank)[rank])
