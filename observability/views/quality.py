"""What does the data quality page show: arrival against expectation, and each feature against its checks?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from observability.catalog import Model
from observability.finding import Finding
from observability.views import distributions, links, series, text
from observability.views.answers import UP
from observability.views.scope import Scope
from observability.views.table import Cell, column, row, spark
from observability.window import Window

if TYPE_CHECKING:
    from pandas import DataFrame

ARRIVAL = (*UP, "duplicate_rate", "rejected_rate", "unknown_columns")


def volume(window: Window, found: Sequence[Finding]) -> "DataFrame":
    """Predictions by hour or day with what was expected, where the volume finding says it: period, n, errors, error_share, expected, low, high."""
    import pandas as pd

    traffic = series.traffic(window)
    judged = next((each for each in found if each.metric == "volume" and each.evidence.get("by_hour")), None)
    if judged is None:
        return traffic
    hours = pd.DataFrame(judged.evidence["by_hour"]).iloc[:, :5]
    hours.columns = pd.Index(["hour", "n", "expected", "low", "high"][: hours.shape[1]])
    at = pd.to_datetime(hours["hour"], utc=True).dt.tz_localize(None)
    known = [name for name in ("expected", "low", "high") if name in hours]
    if series.grain(window) == "day":
        known, at = ["expected"], at.dt.floor("D")
    return traffic.join(hours[known].astype(float).groupby(at).sum(min_count=1), on="period")


def arrival_sentence(found: Sequence[Finding]) -> Finding | None:
    """The worst finding about arrival."""
    return next((each for each in found if each.metric in ARRIVAL), None)


def columns(model: Model, window: Window) -> tuple[str, ...]:
    """References of the features of the version that is looked at."""
    version, _ = distributions.judged_version(model, window, window.version)
    names = version.features if version and version.features else tuple(each.name for each in model.features())
    return tuple(f"feature.{name}" for name in names if model.column(f"feature.{name}"))


def checks(found: Sequence[Finding]) -> dict[str, dict[str, Finding]]:
    """Findings about values, by feature and metric; features with the worst first, as the findings come."""
    table: dict[str, dict[str, Finding]] = {}
    for each in found:
        if each.subject != "model" and each.metric not in ARRIVAL:
            table.setdefault(each.subject, {}).setdefault(each.metric, each)
    return table


def check_columns(table: dict[str, dict[str, Finding]]) -> list[dict[str, Any]]:
    """A column for each check that was made."""
    metrics = list(dict.fromkeys(metric for row_ in table.values() for metric in row_))
    return [
        column("feature", "Feature", strong=True),
        column("missing", "Missing by day", width="9rem"),
        *(column(each, text.metric_title(each), align="right") for each in metrics),
    ]


def check_rows(table: dict[str, dict[str, Finding]], days: "DataFrame", scope: Scope) -> list[dict[str, Any]]:
    """A row for each feature."""
    by_feature = dict(iter(days.groupby("subject"))) if len(days) else {}
    rows = []
    for feature, row_ in table.items():
        part = by_feature.get(feature)
        cells: dict[str, Cell] = {"feature": links.link(feature, "drift", scope, feature=feature)}
        if part is not None and len(part) > 1:
            cells["missing"] = {"spark": spark(part["value"].tolist(), f"Share of {feature} missing by day", zero=True, height=20)}
        cells |= {metric: check_cell(each) for metric, each in row_.items()}
        rows.append(row(cells))
    return rows


def check_cell(finding: Finding) -> Cell:
    """The value of one check; an icon where it needs a person or could not be judged."""
    cell: Cell = {"t": text.amount(finding.value, finding.unit), "title": finding.because.replace("`", "")}
    return cell if finding.severity == "ok" else {**cell, "s": finding.severity}


def missing_sentence(days: "DataFrame") -> str:
    """What the heatmap of missing values shows most of all."""
    worst = days.iloc[int(days["value"].argmax())]
    if worst["value"] == 0:
        return "No value is missing on any day."
    return text.plain(f"Most on one day: {worst['subject']}, {text.share(worst['value'])} missing on {text.day(worst['day'])}.")
