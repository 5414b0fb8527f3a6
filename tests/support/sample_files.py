"""The files of the sample fleet, read as tables."""

from pathlib import Path
from typing import Any

import pandas as pd

FOLDER = Path(__file__).parents[2] / "sample_data"


def predictions(spec: Any) -> pd.DataFrame:
    """The predictions of a model of the fleet."""
    return pd.read_parquet(FOLDER / f"{spec.name}.predictions.parquet")


def labels(spec: Any) -> pd.DataFrame:
    """The labels of a model of the fleet."""
    return pd.read_parquet(FOLDER / f"{spec.name}.labels.parquet")


def reference(spec: Any) -> pd.DataFrame:
    """The reference rows of a model of the fleet."""
    return pd.read_parquet(FOLDER / spec.reference)
