"""Frames with attributions, and with the served predictions."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

START = datetime(2026, 3, 2, tzinfo=UTC)
NAMES = ("hour", "carrier", "rain", "<b>x</b>")
SIZES = np.array([4.0, 2.0, 1.0, 0.5])


def attributions(rng: np.random.Generator, n: int, sizes: np.ndarray = SIZES, *, days: int = 7, **columns: object) -> pd.DataFrame:
    """n explained predictions, spread over the days."""
    values = rng.normal(0, sizes, (n, len(NAMES)))
    frame = pd.DataFrame(
        {
            "id": [f"p{k}" for k in range(n)], "at": [START.replace(tzinfo=None) + timedelta(days=k % days, hours=3) for k in range(n)],
            "weight": 1.0, "version": "3", "sampled": True, "class": -1, "base": -1.0, "output": values.sum(axis=1) - 1, "residual": 0.0,
            "link": "logit", "method": "shap tree", "adds_up": True, "reproduces": pd.Series([True] * n, dtype=object),
        }
    )  # fmt: skip
    frame = frame.assign(**columns).astype({"at": "datetime64[us]", "id": object, "sampled": bool, "adds_up": bool})
    return pd.concat([frame, pd.DataFrame(values, columns=[f"attribution.{name}" for name in NAMES])], axis=1)


def served(days: int = 7, n: int = 1000) -> pd.DataFrame:
    """Counts of served predictions by day, including failed ones."""
    frame = pd.DataFrame({"period": [START.replace(tzinfo=None) + timedelta(days=k) for k in range(days)], "status": "ok", "n": n})
    failed = frame.assign(status="error", n=7)
    return pd.concat([frame, failed], ignore_index=True).assign(w=lambda each: each["n"].astype(float))
