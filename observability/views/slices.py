"""Where is a model worst: which levels of one column, with how many rows and how sure?"""

from typing import TYPE_CHECKING

from observability.aggregate import By
from observability.catalog import FIELDS_TO_GROUP_BY, Model
from observability.measure import outcome_aggregates, performance_by
from observability.metrics import METRICS
from observability.views import load
from observability.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

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


def name_of(level: object) -> str:
    """A level's text; `null` for a missing one."""
    if level is None or level != level:
        return "null"
    if isinstance(level, bool):
        return "true" if level else "false"
    return str(level)
