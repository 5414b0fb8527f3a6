"""Tables and model files for tests of the worker."""

from pathlib import Path

import numpy as np
import pandas as pd

SAMPLE = Path(__file__).parents[2] / "sample_data"
CLASSES = ("0", "1")


def mixed_table(n=400, seed=0):
    """Numbers, categories, booleans and nulls, with a noisy value that a model can learn."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(
        {
            "age": rng.normal(40, 10, n).round(1),
            "income": rng.lognormal(3, 1, n).round(2),
            "town": rng.choice(["a", "b", "c"], n),
            "member": rng.random(n) < 0.5,
        }
    )
    rows.loc[::17, "income"] = np.nan
    rows.loc[::23, "town"] = None
    value = rows.age / 10 + rows.income.fillna(0) / 20 + (rows.town == "a") * 2 + rows.member * rows.age / 20
    return rows, value.to_numpy() + rng.normal(0, 0.3, n)


def numeric_table(n=400, seed=1):
    """A table with four normally distributed columns, and a value that depends on an interaction between two of them."""
    rng = np.random.default_rng(seed)
    rows = pd.DataFrame(rng.normal(size=(n, 4)), columns=["a", "b", "c", "d"])
    return rows, 2 * rows.a.to_numpy() - rows.b.to_numpy() + rows.a.to_numpy() * rows.c.to_numpy()


def save_skops(model, path):
    """Write a scikit-learn model to a skops file and return its path."""
    import skops.io

    skops.io.dump(model, path)
    return path
