"""A metric for each level of a column, with intervals, worst level first."""

from typing import Any

import numpy as np
import pandas as pd

from observability.core.catalog import FIELDS_TO_GROUP_BY, Model
from observability.core.metric_definitions import METRICS
from observability.core.questions import By
from observability.core.window import Window
from observability.dashboard import load
from observability.metrics.performance import outcome_aggregates, performance_by_key

MINIMUM_LABELS = 100
"""A level with fewer labelled rows is grey and not ranked. The analyzer has the same minimum."""
MAX_LEVELS = 15


def slice_columns(model: Model) -> dict[str, str]:
    """The columns by which a model's rows can be sliced, from name to column reference; sensitive columns first."""
    own = sorted((column for column in model.columns if column.kind != "number"), key=lambda column: (not column.sensitive, column.id))
    return {column.name: column.reference for column in own} | {name: name for name in FIELDS_TO_GROUP_BY if name != "status"}


def worst_levels(model: Model, window: Window, column: str, metric: str) -> pd.DataFrame:
    """The levels of a column by one metric, worst first; levels with too few rows last. Columns: level, value, low, high, n (labelled),
    served, enough.
    """
    aggregates = outcome_aggregates(model, By(column))
    rows: list[list[object]] = []
    for level, metrics, served, labelled in performance_by_key(
        model, load.ask_store(aggregates["counts"], window), load.ask_store(aggregates["sums"], window), column
    ):
        found = metrics.get(metric)
        known = found is not None and found.value is not None
        ends = (found.value, found.low, found.high) if found and known else (None, None, None)
        rows.append([_level_text(level), *ends, int(labelled), int(served), known and labelled >= MINIMUM_LABELS])
    frame = pd.DataFrame(rows, columns=["level", "value", "low", "high", "n", "served", "enough"])
    frame = frame.astype({"value": float, "low": float, "high": float})  # otherwise pandas keeps columns that hold only None as objects
    up = METRICS[metric].better == "high"
    order = frame["value"].abs() if METRICS[metric].better is None else frame["value"]
    return (
        frame.assign(order=order if not up else -order)
        .sort_values(["enough", "order"], ascending=[False, False], kind="stable", na_position="last")
        .drop(columns="order")
        .reset_index(drop=True)
    )


def worst_levels_of_all_columns(model: Model, window: Window, metric: str, whole: float) -> pd.DataFrame:
    """The levels of all rolled-up columns that are significantly worse than all rows, worst first. The frame is like that of
    `worst_levels`, with an additional field `column`.

    whole: the metric over all rows.
    """
    rolled_up = rolled_up_columns(model)
    kept = {name: reference for name, reference in slice_columns(model).items() if reference in rolled_up}
    parts = [worst_levels(model, window, reference, metric).assign(column=name) for name, reference in kept.items()]
    found = pd.concat([part[part["enough"]] for part in parts]) if parts else pd.DataFrame()
    if found.empty:
        return found
    better = METRICS[metric].better
    sign = -1 if better == "high" else 1
    if better is None:
        found, whole, sign = found.assign(value=found["value"].abs(), low=_nearest_to_zero(found), high=np.nan), abs(whole), 1
    ends = found["high"] if better == "high" else found["low"]
    beyond = sign * (ends - whole)
    return found.assign(beyond=beyond)[beyond > 0].sort_values("beyond", ascending=False, kind="stable").reset_index(drop=True)


def rolled_up_columns(model: Model) -> set[str]:
    """References of the columns by which outcomes are rolled up (counted as rows arrive): sensitive columns, replica, device, version."""
    return {column.reference for column in model.columns if column.sensitive and column.kind != "number"} | {"replica", "device", "version"}


def _nearest_to_zero(levels: pd.DataFrame) -> "pd.Series[Any]":
    """The smallest absolute value in each interval: that of the end nearer to zero, or zero if the interval contains zero."""
    inside = (levels["low"] <= 0) & (levels["high"] >= 0)
    return levels[["low", "high"]].abs().min(axis=1).where(~inside, 0.0)


def _level_text(level: object) -> str:
    """The text of a level; `null` for a missing value."""
    if level is None or level != level:
        return "null"
    if isinstance(level, bool):
        return "true" if level else "false"
    return str(level)
