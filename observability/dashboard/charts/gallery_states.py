"""The states in which the gallery draws figures, and frames of made-up values for each state."""

import numpy as np
import pandas as pd

STATES = ("usual", "empty", "one point", "small samples", "huge", "negative", "missing values", "long names")
LONG = "a_feature_whose_name_somebody_made_out_of_every_table_that_it_was_joined_from"
START = pd.Timestamp("2026-03-02")
MANY = "many columns"
"""The state in which the figures of columns (OF_COLUMNS) are given more rows than they draw."""
COUNTS = {"empty": 0, "one point": 1, MANY: 1_000}
"""Number of rows by state; a state that is not listed has six."""


def state_values(state: str) -> np.ndarray:
    """Values for the rows of a state."""
    values = np.resize([0.62, 0.55, 0.71, 0.48, 0.66, 0.59], COUNTS.get(state, 6))
    if state == "huge":
        values = values * np.array([1e12, 1e3, 1.0, 1e9, 1e6, 1e11])
    if state == "negative":
        values = -values
    if state == "missing values":
        values[[1, 4]] = np.nan
    return values


def state_names(state: str) -> list[str]:
    """Names for the rows of a state."""
    return [f"{LONG}_{place}" if state == "long names" else f"column {place}" for place in range(COUNTS.get(state, 6))]


def state_frame(state: str, **columns: object) -> pd.DataFrame:
    """Return the frame of a state: period, name, value with its interval, counts, and the further `columns`."""
    values = state_values(state)
    rows = 3 if state == "small samples" else 1200
    spread = np.abs(values) * (0.9 if state == "small samples" else 0.05)
    return pd.DataFrame(
        {
            "period": pd.date_range(START, periods=len(values), freq="D"),
            "name": state_names(state),
            "value": values,
            "low": values - spread,
            "high": values + spread,
            "n": np.full(len(values), rows),
            "labelled": np.full(len(values), rows),
            "served": np.full(len(values), rows),
            **{name: [value] * len(values) for name, value in columns.items()},
        }
    )
