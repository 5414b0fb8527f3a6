"""Find columns by the names in a request, and read the scores."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from observability.core.catalog import Task
from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.store.ingest.class_scores import split_score_option
from observability.store.registry.column_profile import arrow_kind, float_values, is_text_type

DEFAULT_CLASSES = ("0", "1")
"""Classes of a binary model whose labels are 0 and 1, or false and true."""
ScoreColumns = tuple[tuple[str | None, str], ...]
"""(class, column) of each score; class None for binary and regression."""


def find_column(wanted: str, columns: Iterable[str], renames: Mapping[str, str], what: str, where: str | None = None) -> str:
    """The column with a name, before or after renaming. Raises UsageError with the nearest name."""
    columns = list(columns)
    for name in (wanted, renames.get(wanted)):
        if name is not None and name in columns:
            return name
    lowered = {column.lower(): column for column in reversed(columns[:2000])}
    near = difflib.get_close_matches(wanted.lower(), lowered, n=1)
    advice = f"Did you mean {lowered[near[0]]!r}?" if near else f"It has {name_list(columns, 12)}"
    raise UsageError(f"the {what} column {wanted!r} is not in the file", where=where, attempt=advice)


def name_list(names: Iterable[str], most: int = 8) -> str:
    """Names as a list in a sentence: at most `most` of them, then the number of the others."""
    names = [quoted_name(name) for name in names]
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def quoted_name(name: str) -> str:
    """A name in a sentence: quoted if it is empty or holds spaces, commas, quotes or control characters; at most 60 characters."""
    name = name if len(name) <= 60 else name[:59] + "…"
    return name if name and name.isprintable() and not set(name) & set(" ,'\"") else repr(name)


def score_option_pairs(
    given: tuple[str, ...], columns: list[str], renames: Mapping[str, str], task: Task, classes: tuple[str, ...], where: str | None
) -> ScoreColumns:
    """The score options as (class, column); class None if the option names only a column."""
    pairs: list[tuple[str | None, str]] = []
    for option in given:
        name, column = split_score_option(option, {*columns, *renames})
        pairs.append((name, find_column(column, columns, renames, "score", where)))
    if task == "multiclass":
        return tuple(pairs)
    if task == "binary" and any(name is not None for name, _ in pairs):
        wanted = [pair for pair in pairs if pair[0] == classes[1] or (classes == DEFAULT_CLASSES and pair[0] == "true")]
        if len(wanted) != 1:
            wanted_option = f"--score {quoted_name(classes[1])}=COLUMN"
            raise UsageError("no score belongs to the positive class", where=where, got=name_list(given), expected=wanted_option)
        return ((None, wanted[0][1]),)
    if len(pairs) > 1:
        expected = "the probability of the positive class" if task == "binary" else "the predicted value"
        raise UsageError("one score column is enough", where=where, got=name_list(column for _, column in pairs), expected=expected)
    return tuple((None, column) for _, column in pairs)


def _probability_objects(column: pa.ChunkedArray, name: str, where: str | None) -> tuple[list[str], NDArray[np.float64]]:
    """Class names and the matrix of probabilities in a column of {class: probability}: a struct, a map, or JSON text."""
    if pa.types.is_struct(column.type):
        names = [field.name for field in column.type]
        if not all(arrow_kind(field.type)[0] == "number" for field in column.type):
            raise UsageError(f"the score column {name!r} holds objects whose values are not numbers", where=where)
        return names, np.column_stack([float_values(pc.struct_field(column, [i])) for i in range(len(names))])
    places: dict[str, int] = {}
    cells: list[tuple[int, int, float]] = []
    for row, value in enumerate(column.to_pylist()):
        try:
            body = json.loads(value) if isinstance(value, str) else dict(value) if value is not None else {}
            cells += [(row, places.setdefault(str(key), len(places)), float(p)) for key, p in body.items() if p is not None]
        except (ValueError, TypeError, AttributeError):
            raise UsageError(
                f"the score column {name!r} cannot be read",
                where=where,
                got=f"{str(value)[:60]!r} in row {row + 1}",
                expected="{class: probability}, or --score class=COLUMN for each class",
            ) from None
    matrix = np.full((len(column), len(places)), np.nan)
    if cells:
        rows, indexes, values = zip(*cells, strict=True)
        matrix[list(rows), list(indexes)] = values
    return list(places), matrix


def score_matrix(
    table: pa.Table, pairs: ScoreColumns, task: Task, where: str | None, labels: Sequence[str] = ()
) -> tuple[ScoreColumns, NDArray[np.float64]]:
    """The scores as numbers, one column per pair. A single column of objects gives a pair for each of its classes. labels: values of the
    label, for errors.
    """
    if not pairs:
        return (), np.empty((table.num_rows, 0))
    if task == "multiclass" and len(pairs) == 1 and pairs[0][0] is None:
        column = table[pairs[0][1]]
        if not (pa.types.is_nested(column.type) or is_text_type(column.type)):
            raise UsageError(
                f"the score column {pairs[0][1]!r} holds one number a row",
                where=where,
                got=f"{len(labels)} values of the label: {name_list(labels)}" if labels else None,
                expected="--score class=COLUMN for each class, or one column of {class: probability}",
            )
        names, matrix = _probability_objects(column, pairs[0][1], where)
        return tuple((name, pairs[0][1]) for name in names), matrix
    if task == "multiclass" and any(name is None for name, _ in pairs):
        raise UsageError("the score columns have no classes", where=where, expected="--score class=COLUMN for each class")
    return pairs, np.column_stack([_score_numbers(table[column], column, where) for _, column in pairs])


def _score_numbers(column: pa.ChunkedArray, name: str, where: str | None) -> NDArray[np.float64]:
    """A score column as numbers. Raises UsageError if it holds anything else."""
    kind, obstacle = arrow_kind(column.type)
    if kind != "number":
        example = next((value for value in column.to_pylist() if value is not None), None)
        raise UsageError(f"the score column {name!r} holds no numbers", where=where, got=obstacle or f"{str(example)[:60]!r}")
    return float_values(column)


def refuse_outside(matrix: NDArray[np.float64], pairs: ScoreColumns, where: str | None) -> None:
    """Raise UsageError if a probability is outside [0, 1]."""
    for place, (_, column) in enumerate(pairs):
        values = matrix[:, place]
        wrong = np.flatnonzero((values < 0) | (values > 1))
        if wrong.size:
            percent = np.nanmin(values) >= 0 and 2 < np.nanmax(values) <= 100
            raise UsageError(
                f"the score column {column!r} has {plural(wrong.size, 'value')} outside 0 to 1",
                where=where,
                got=f"{values[wrong[0]]:g} in row {wrong[0] + 1}",
                expected="a probability",
                attempt="Divide percentages by 100" if percent else "Turn log odds into probabilities, or check --score and --task",
            )
