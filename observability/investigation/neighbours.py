"""Which rows are nearest to this one, and how far from its reference is it?

The distance is Euclidean over the features: a number in standard deviations of the reference (kept within CAP of its mean), a category or boolean 1
where the levels differ, a missing value 1 beside what is not missing (a missing number stands at the mean). Groups are no part of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Column
from observability.investigation import comparison_rows
from observability.investigation.case_parts import Look
from observability.investigation.evidence_types import Neighbour, NotGivenError
from observability.investigation.logged_prediction import Row

if TYPE_CHECKING:
    from pandas import DataFrame

NEAREST = 10
CAP = 6.0
"""Standard deviations beyond which a number is not farther away: one wild value must not hide what else is near."""
FAR_RANK, CALIBRATED_ON = 5, 150
"""Distance is judged by the neighbour of this rank in the reference, against so many rows of the reference itself."""
FEWEST_REFERENCE = 100


@dataclass(frozen=True)
class Matrix:
    """Rows in the space of the distance. numbers: (n, a) standardised, with a column more for each number that is missing; codes: (n, b) levels,
    -1 missing.
    """

    numbers: NDArray[np.float32]
    codes: NDArray[np.int64]

    def distances(self, one: "Matrix", place: int = 0) -> NDArray[np.float64]:
        """Distance of every row to row `place` of another matrix."""
        squares = np.square(self.numbers - one.numbers[place], dtype=np.float32).sum(axis=1, dtype=np.float64)
        return np.asarray(np.sqrt(squares + (self.codes != one.codes[place]).sum(axis=1)), np.float64)

    def one_hot(self, levels: int) -> NDArray[np.float64]:
        """The same distances as plain columns: each level 0 or √½."""
        hot = (self.codes[:, :, None] == np.arange(-1, levels)[None, None, :]) * np.sqrt(0.5)
        return np.concatenate([self.numbers.astype(np.float64), hot.reshape(len(self.codes), -1)], axis=1)


@dataclass(frozen=True)
class Space:
    """How rows become places: mean and standard deviation of each number, levels of each category."""

    columns: tuple[Column, ...]
    centre: dict[str, float]
    scale: dict[str, float]
    levels: dict[str, dict[str, int]]

    def place(self, frame: "DataFrame") -> Matrix:
        """The rows of a frame."""
        numbers: list[NDArray[np.float64]] = []
        codes: list[NDArray[np.int64]] = []
        for column in self.columns:
            values = frame[column.reference]
            if column.kind == "number":
                given = values.to_numpy(np.float64)
                missing = np.isnan(given)
                away = (given - self.centre[column.reference]) / self.scale[column.reference]
                numbers += [np.where(missing, 0.0, np.clip(away, -CAP, CAP)), missing.astype(np.float64)]
            else:
                known = self.levels[column.reference]
                places = {each: -1 if each is None else known.setdefault(level(each), len(known)) for each in values.unique()}
                codes.append(values.map(places).to_numpy(np.int64))
        return Matrix(
            np.stack(numbers, axis=1).astype(np.float32) if numbers else np.empty((len(frame), 0), np.float32),
            np.stack(codes, axis=1) if codes else np.empty((len(frame), 0), np.int64),
        )


def level(value: Any) -> str:
    """A level as text."""
    return ("true" if value else "false") if isinstance(value, bool | np.bool_) else str(value)


def space_of(frame: "DataFrame", columns: Sequence[Column]) -> Space:
    """The space that a frame of rows spans; a number that does not vary counts in its own unit."""
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
    """The labelled candidates, nearest first: the frame (with `distance` and `environment`) of at most NEAREST rows, and the space they lie in."""

    frame: "DataFrame"
    space: Space
    own: Matrix


def neighbours(look: Look) -> tuple[Neighbour, ...]:
    """The NEAREST labelled rows among the reference and the labelled rows about the case. Raises NotGivenError where there are none."""
    model = look.row.model
    found = (
        Neighbour(
            id=each["id"],
            distance=float(each["distance"]),
            label=label_text(each, model.classes),
            prediction=decision_text(each, model.classes),
            score=None if np.isnan(each["score"]) else float(each["score"]),
            environment=each["environment"],
            at=None if each["environment"] == "reference" else each["at"].to_pydatetime().replace(tzinfo=look.row.at.tzinfo),
        )
        for each in near(look).frame.to_dict("records")
    )
    return tuple(found)


def near(look: Look) -> Near:
    """The labelled rows that are nearest."""
    found: Near = look.shared("near", lambda: nearest(look))
    return found


def nearest(look: Look) -> Near:
    """See `near`."""
    import pandas as pd

    candidates = [
        part
        for part in (
            with_labels(comparison_rows.reference(look), "reference"),
            with_labels(comparison_rows.labelled_rows_of(look), "production"),
        )
        if len(part)
    ]
    if not candidates:
        raise NotGivenError("there are no labelled rows to look for neighbours in", attempt="Register a reference, or load labels")
    frame = pd.concat(candidates, ignore_index=True)
    columns = compared(look.row)
    if not columns:
        raise NotGivenError("this version reads no feature to compare rows by")
    space = space_of(comparison_rows.reference(look) if len(comparison_rows.reference(look)) else frame, columns)
    own = space.place(case_frame(look.row))
    distance = space.place(frame).distances(own)
    order = np.lexsort((frame["id"].to_numpy(str), distance))[:NEAREST]
    return Near(frame.iloc[order].assign(distance=distance[order]).reset_index(drop=True), space, own)


def with_labels(frame: "DataFrame", environment: str) -> "DataFrame":
    """The labelled rows of a frame, marked with where they are from."""
    return frame[frame["label"] >= 0].assign(environment=environment)


def compared(row: Row) -> list[Column]:
    """The features that rows are compared by: those of the version, else all."""
    wanted = set(row.version.features) or {each.name for each in row.model.features()}
    return [each for each in row.model.features() if each.name in wanted]


def case_frame(row: Row) -> "DataFrame":
    """The case as a frame of one row."""
    import pandas as pd

    given = comparison_rows.values(row)
    return pd.DataFrame(
        {
            each.reference: pd.Series([given[each.reference]], dtype="float64" if each.kind == "number" else "object")
            for each in row.model.columns
        }
    )


def label_text(row: dict[Any, Any], classes: tuple[str, ...]) -> str | None:
    """A row's label in words."""
    if not classes:
        return None if np.isnan(row["label_value"]) else f"{row['label_value']:.12g}"
    return classes[row["label"]] if 0 <= row["label"] < len(classes) else None


def decision_text(row: dict[Any, Any], classes: tuple[str, ...]) -> str | None:
    """A row's answer in words."""
    if not classes:
        return None if np.isnan(row["score"]) else f"{row['score']:.12g}"
    return classes[row["decision"]] if 0 <= row["decision"] < len(classes) else None


@dataclass(frozen=True)
class Far:
    """How far the case is from its reference. share: of the reference's own rows that lie as far from the others or farther, with n looked at.
    now: share of the labelled rows about this time that lie as far from the reference (None where there are none).
    """

    distance: float
    share: float
    n: int
    now: float | None


def far(look: Look) -> Far:
    """How the distance to the reference compares with that of rows of the reference, and of today. Raises NotGivenError where the reference is too small."""
    frame = comparison_rows.reference(look)
    columns = compared(look.row)
    if len(frame) < FEWEST_REFERENCE or not columns:
        raise NotGivenError(f"the reference holds {len(frame)} rows, too few to say what is far from it")
    space = space_of(frame, columns)
    matrix, own = space.place(frame), space.place(case_frame(look.row))
    mine = ranked(matrix, own, 0, FAR_RANK - 1)
    theirs = np.array(
        [ranked(matrix, matrix, place, FAR_RANK) for place in range(min(CALIBRATED_ON, len(frame)))]
    )  # each is nearest to itself
    today = comparison_rows.labelled_rows_of(look).head(CALIBRATED_ON)
    there = space.place(today)
    others = np.array([ranked(matrix, there, place, FAR_RANK - 1) for place in range(len(today))])
    return Far(mine, float((theirs >= mine).mean()), theirs.size, float((others >= mine).mean()) if others.size else None)


def ranked(matrix: Matrix, one: Matrix, place: int, rank: int) -> float:
    """The distance of a row to the neighbour of a rank (from 0)."""
    return float(np.partition(matrix.distances(one, place), rank)[rank])
