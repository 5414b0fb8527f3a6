"""Columns of an answer: columns of codes, and text columns."""

from typing import Any

from numpy.typing import NDArray

CODE_COLUMNS = ("decision", "label", "score_bin")


def text_column(values: NDArray[Any]) -> NDArray[Any]:
    """A column of texts as objects, None if missing."""
    import pandas as pd

    found, missing = values.astype(object), pd.isna(values)
    if missing.any():
        found[missing] = None
    return found
