"""Where is a model worst: which levels of one column, with how many rows and how sure?"""

from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import FIELDS_TO_GROUP_BY, Model
from observability.core.metric_definitions import METRICS
from observability.core.questions import By
from observability.core.window import Window
from observability.dashboard import load
from observability.metrics.performance import outcome_aggregates, performance_by

if TYPE_CHECKING:
    from pandas import DataFrame, Series

MINIMUM_LABELS = 100
"""Below this many labelled rows a level is shown grey and not ranked (the analyzer's minimum)."""
MOST_LEVELS = 15


def columns(model: Model) -> dict[str, str]:
    """Columns that a model's rows can be sliced by: what to call it → column reference; sensitive ones first."""
    own = sorted((each for each in model.columns if each.kind != "number"), key=lambda each: (not each.sensitive, each.id))
    return {each.name: each.reference for each in own} | {name: name for name in FIELDS_TO_GROUP_BY if name != "status"}


def worst(model: Model, window: Window, column: str, metric: str) -> "DataFrame":
    """Levels of a column by one metric: level, value, low, high, n (labelled), served, enough; worst first, those with too few rows last."""
    import pandas as pd

    asked = outcome_aggregates(model, By(column))
    rows: list[list[object]] = []
    for level, metrics, served, labelled in performance_by(
        model, load.frame(asked["counts"], window), load.frame(asked["sums"], window), column
    ):
        each = metrics.get(metric)
        if each is None or each.value is None:
            rows.append([name_of(level), None, None, None, int(labelled), int(served), False])
        else:
            rows.append([name_of(level), each.value, each.low, each.high, int(labelled), int(served), labelled >= MINIMUM_LABELS])
    frame = pd.DataFrame(rows, columns=["level", "value", "low", "high", "n", "served", "enough"])
    up = METRICS[metric].better == "high"
    order = frame["value"].abs() if METRICS[metric].better is None else frame["value"]
    return (
        frame.assign(order=order if not up else -order)
        .sort_values(["enough", "order"], ascending=[False, False], kind="stable", na_position="last")
        .drop(columns="order")
        .reset_index(drop=True)
    )


def worst_of_all(model: Model, window: Window, metric: str, whole: float) -> "DataFrame":
    """Levels of every column that is kept as counts, as `worst` gives them with their `column`: those that are worse than all rows beyond their
    interval, the furthest first.
    """
    import pandas as pd

    kept = {name: reference for name, reference in columns(model).items() if reference in kept_as_counts(model)}
    parts = [worst(model, window, reference, metric).assign(column=name) for name, reference in kept.items()]
    found = pd.concat([each[each["enough"]] for each in parts]) if parts else pd.DataFrame()
    if found.empty:
        return found
    better = METRICS[metric].better
    sign = -1 if better == "high" else 1
    if better is None:
        found, whole, sign = found.assign(value=found["value"].abs(), low=nearest_to_zero(found), high=np.nan), abs(whole), 1
    ends = found["high"] if better == "high" else found["low"]
    beyond = sign * (ends - whole)
    return found.assign(beyond=beyond)[beyond > 0].sort_values("beyond", ascending=False, kind="stable").reset_index(drop=True)


def kept_as_counts(model: Model) -> set[str]:
    """Column references by which outcomes are kept in the rollups, so that asking costs nothing: sensitive ones, replica, device, version."""
    return {each.reference for each in model.columns if each.sensitive and each.kind != "number"} | {"replica", "device", "version"}


def nearest_to_zero(levels: "DataFrame") -> "Series[Any]":
    """The end of an interval that is nearer to zero, without its sign; zero where the interval holds zero."""
    inside = (levels["low"] <= 0) & (levels["high"] >= 0)
    return levels[["low", "high"]].abs().min(axis=1).where(~inside, 0.0)


def name_of(level: object) -> str:
    """A level's text; `null` for a missing one."""
    if level is None or level != level:
        return "null"
    if isinstance(level, bool):
        return "true" if level else "false"
    return str(level)
