"""Explain one week of flights-delay with the shipped model file. The greyed figures of empty pages show it. `python
sample_data/explained.py`

It takes every eighth prediction of 24 to 30 June 2013, in the order of time. An attribution is the path-dependent tree SHAP value in
minutes, as LightGBM computes it; the base value and the attributions of a row add up to its score. The fleet does not load this file: a
home computes its own.
"""

from pathlib import Path

import lightgbm
import pandas as pd

HERE = Path(__file__).resolve().parent
FILE = "flights-delay.explained.parquet"
FIRST, LAST, EVERY = "2013-06-24", "2013-07-01", 8


def explained_week(folder: Path) -> pd.DataFrame:
    """The rows of the week: `id`, `base` and `score` in minutes, the value of each feature under its name, and its attribution in minutes
    under the name with the prefix `attribution.`.
    """
    served = pd.read_parquet(folder / "flights-delay.predictions.parquet").sort_values(["at", "id"])
    rows = served[(served["at"] >= pd.Timestamp(FIRST, tz="UTC")) & (served["at"] < pd.Timestamp(LAST, tz="UTC"))].iloc[::EVERY]
    rows = rows.reset_index(drop=True)
    model = lightgbm.Booster(model_file=str(folder / "flights-delay.lightgbm.txt"))
    names = model.feature_name()
    inputs = rows[names].copy()
    categories = iter(model.pandas_categorical or [])
    for name in names:
        numeric = pd.api.types.is_numeric_dtype(inputs[name])
        inputs[name] = inputs[name].astype(float) if numeric else pd.Categorical(inputs[name], next(categories))
    parts = pd.DataFrame(model.predict(inputs, pred_contrib=True), columns=[*(f"attribution.{name}" for name in names), "base"])
    return pd.concat([rows[["id", "score", *names]], parts.round(3)], axis=1)


def main() -> None:
    """Write the file."""
    explained_week(HERE).to_parquet(HERE / FILE, index=False, compression="zstd")


if __name__ == "__main__":
    main()
