"""Map logged features to a model's inputs: columns by name, categories by their text, nulls as missing."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Floats

MAX_NAMED = 5


def match_feature_columns(rows: pd.DataFrame, features: Sequence[str]) -> list[str]:
    """The columns of `rows` that are the model's features, in the model's order. Raises UsageError if one is missing.

    Libraries write blanks in names as underscores. Such a name is matched as well, if the match is unique.
    """
    blanks: dict[str, list[str]] = {}
    for name in rows.columns:
        blanks.setdefault(re.sub(r"\s", "_", str(name)), []).append(str(name))
    found, lacking = [], []
    for name in features:
        alike = blanks.get(name, [])
        if name in rows.columns:
            found.append(name)
        elif len(alike) == 1:
            found.append(alike[0])
        else:
            lacking.append(name)
    if lacking:
        more = f" and {len(lacking) - MAX_NAMED} more" if len(lacking) > MAX_NAMED else ""
        raise UsageError(
            "the rows lack features of the model",
            where="artifact",
            got=f"no {', '.join(lacking[:MAX_NAMED])}{more}",
            expected=f"the model's {len(features)} features",
            attempt="Register the version with the model that made its predictions",
        )
    return found


def columns_in_order(rows: pd.DataFrame, number: int) -> list[str]:
    """All columns of `rows`, for a model that does not name its features. Raises UsageError if their number differs from `number`."""
    if len(rows.columns) != number:
        raise UsageError(
            "the model does not name its features, and their number differs from that of the columns",
            where="artifact",
            got=f"{len(rows.columns)} columns",
            expected=number,
            attempt="Register the version with exactly the features that the model takes, in its order",
        )
    return [str(name) for name in rows.columns]


def numeric_column(column: pd.Series) -> Floats:
    """A column as numbers: booleans as 0 and 1, null as NaN. Raises UsageError if it holds texts."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    values = [float(value) if isinstance(value, bool) else value for value in column.astype(object).where(column.notna(), None)]
    read = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(dtype=float)
    texts = [value for value, number in zip(values, read) if value is not None and np.isnan(number) and str(value).strip().lower() != "nan"]
    if texts:
        raise UsageError(
            "the model takes a number for this feature",
            where=str(column.name),
            got=repr(texts[0])[:80],
            expected="a number, true, false or null",
            attempt="Write the value as the model was trained on it, here and in the predictions",
        )
    return read


def category_codes(column: pd.Series, categories: Sequence[Any]) -> Floats:
    """A column as indices into the model's list of categories; NaN for null and for a category that the model does not know."""
    code_of = {canonical_scalar(category): float(code) for code, category in reversed(list(enumerate(categories)))}
    places, values = pd.factorize(column)
    codes = np.array([*(code_of.get(canonical_scalar(value), np.nan) for value in values), np.nan])
    return codes[places]


def feature_matrix(frame: pd.DataFrame, columns: Sequence[str], categories: Mapping[int, Sequence[Any]]) -> Floats:
    """Columns of a table as the model's inputs. categories: by index of a categorical feature, its categories."""
    matrix = np.empty((len(frame), len(columns)))
    for place, name in enumerate(columns):
        known = categories.get(place)
        matrix[:, place] = numeric_column(frame[name]) if known is None else category_codes(frame[name], known)
    return matrix


def taken_values(columns: Sequence[str], categories: Mapping[int, Sequence[Any]]) -> dict[str, Sequence[Any] | None]:
    """By column, what a model takes: the categories that it knows, or None for a number. categories: by index of a categorical feature."""
    return {name: categories.get(place) for place, name in enumerate(columns)}


def unknown_categories(frame: pd.DataFrame, takes: Mapping[str, Sequence[Any] | None]) -> dict[str, list[str]]:
    """Columns in which the model knows none of the values, each with some of the model's categories as text."""
    return {
        name: [canonical_scalar(category) for category in list(known)[:MAX_NAMED]]
        for name, known in takes.items()
        if known and frame[name].notna().any() and np.isnan(category_codes(frame[name], known)).all()
    }


def canonical_scalar(value: Any) -> str:
    """A scalar as the text that records use: whole numbers without a point, `true` and `false`."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return str(int(value)) if np.isfinite(value) and value == int(value) else repr(float(value))
    return str(value)


def class_order(known: Sequence[Any] | None, classes: Sequence[str], number: int) -> list[int]:
    """For each of `classes`, its index among the model's classes. known: the model's own names; None if it only has numbers 0, 1, ….

    Raises UsageError if the number of classes or a name differs.
    """
    if number != len(classes):
        raise UsageError(
            "the model has another number of classes", where="artifact", got=number, expected=f"{len(classes)}: {', '.join(classes)}"
        )
    names = [canonical_scalar(name) for name in known] if known is not None else []
    truths = {"true": "1", "false": "0"}
    for spelled in (names, [truths.get(name, name) for name in names]):
        if set(spelled) == set(classes):
            return [spelled.index(name) for name in classes]
    if names and names != [str(place) for place in range(number)]:
        raise UsageError("the model has other classes", where="artifact", got=", ".join(names)[:200], expected=", ".join(classes)[:200])
    return list(range(number))
