"""How do logged features become what a model was trained on? Columns by name, categories by their text, nulls as missing."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_NAMED = 5


def chosen(rows: pd.DataFrame, features: Sequence[str]) -> list[str]:
    """The columns of `rows` that are the model's features, in the model's order. Raises UsageError where one is not there.

    Libraries write blanks in names as underscores; such a name is found as well, where it is the only one.
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
        more = f" and {len(lacking) - MOST_NAMED} more" if len(lacking) > MOST_NAMED else ""
        raise UsageError(
            "the rows lack features of the model", where="artifact", got=f"no {', '.join(lacking[:MOST_NAMED])}{more}",
            expected=f"the model's {len(features)} features", attempt="Register the version with the model that made its predictions",
        )  # fmt: skip
    return found


def in_order(rows: pd.DataFrame, number: int) -> list[str]:
    """All columns of `rows`, for a model that does not name its features. Raises UsageError where their number is another."""
    if len(rows.columns) != number:
        raise UsageError(
            "the model does not name its features, and takes another number of them", where="artifact", got=f"{len(rows.columns)} columns",
            expected=number, attempt="Register the version with exactly the features that the model takes, in its order",
        )  # fmt: skip
    return [str(each) for each in rows.columns]


def numbers(column: pd.Series) -> "Floats":
    """A column as numbers: truths as 0 and 1, null as NaN. Raises UsageError where it holds words."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.to_numpy(dtype=float, na_value=np.nan)
    values = [float(each) if isinstance(each, bool) else each for each in column.astype(object).where(column.notna(), None)]
    read = pd.to_numeric(pd.Series(values, dtype=object), errors="coerce").to_numpy(dtype=float)
    words = [each for each, number in zip(values, read) if each is not None and np.isnan(number) and str(each).strip().lower() != "nan"]
    if words:
        raise UsageError("the model takes a number for this feature", where=str(column.name), got=repr(words[0])[:80])
    return read


def codes(column: pd.Series, categories: Sequence[Any]) -> "Floats":
    """A column as places in the model's list of categories; NaN for null and for a category that the model never saw."""
    place_of = {canonical(each): float(place) for place, each in reversed(list(enumerate(categories)))}
    places, found = pd.factorize(column)
    table = np.array([*(place_of.get(canonical(each), np.nan) for each in found), np.nan])
    return table[places]


def canonical(value: Any) -> str:
    """A scalar's text as records have it: whole numbers without a point, `true` and `false`."""
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating):
        return str(int(value)) if np.isfinite(value) and value == int(value) else repr(float(value))
    return str(value)


def class_order(known: Sequence[Any] | None, classes: Sequence[str], number: int) -> list[int]:
    """Which of the model's classes each of `classes` is. known: the model's own names, None where it has numbers 0, 1, … only.

    Raises UsageError where the number of classes or a name differs.
    """
    if number != len(classes):
        raise UsageError(
            "the model knows another number of classes", where="artifact", got=number, expected=f"{len(classes)}: {', '.join(classes)}"
        )
    names = [canonical(each) for each in known] if known is not None else []
    truths = {"true": "1", "false": "0"}
    for spelled in (names, [truths.get(each, each) for each in names]):
        if set(spelled) == set(classes):
            return [spelled.index(each) for each in classes]
    if names and names != [str(place) for place in range(number)]:
        raise UsageError("the model knows other classes", where="artifact", got=", ".join(names)[:200], expected=", ".join(classes)[:200])
    return list(range(number))
