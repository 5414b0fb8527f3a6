"""Rows and frames for tests of the slices analyzer."""

import numpy as np
import pandas as pd

from tests.support.analyzer_worlds import START

FEATURES = ("age", "income", "region", "plan")


def rows(n: int, seed: int, start: int = 0) -> pd.DataFrame:
    """A week of labelled rows of a regression, with replicas, devices and a sensitive group."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({
        "id": [f"p{start + i:07}" for i in range(n)],
        "at": START.replace(tzinfo=None) + pd.to_timedelta(rng.random(n) * 7, unit="D"),
        "age": rng.normal(40, 10, n), "income": rng.lognormal(10, 0.6, n),
        "region": rng.choice(["north", "south", "east", "west"], n, p=(0.4, 0.3, 0.2, 0.1)).astype(object),
        "plan": rng.choice(["basic", "plus", "pro"], n).astype(object),
        "sex": rng.choice(["F", "M"], n).astype(object),
        "replica": rng.choice(["r1", "r2", "r3", "r4"], n).astype(object), "device": rng.choice([f"d{i}" for i in range(8)], n).astype(object),
        "status": "ok",
    })  # fmt: skip
    frame["score"] = 100 + 2 * frame["age"]
    frame["label"] = frame["score"] + rng.normal(0, 10, n)
    return frame


def frame_of(frame: pd.DataFrame, columns: tuple[str, ...]) -> pd.DataFrame:
    """The rows in the form in which the store answers a sample."""
    known = frame.assign(
        error=frame["score"] - frame["label"], correct=((frame["score"] >= 0.5) == (frame["label"] == 1)).where(frame["label"].notna())
    )
    known["absolute_error"] = known["error"].abs()
    found = {}
    for column in columns:
        values = known[column.partition(".")[2] or column]
        found[column] = (
            values.fillna(-1).clip(upper=1).astype("int64")
            if column == "label"
            else values.astype(float)
            if column == "correct"
            else values
        )
    return pd.DataFrame(found)
