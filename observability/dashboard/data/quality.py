"""The data quality page: arrival compared with expectation, and the checks of each feature."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from observability.core import formatting
from observability.core.catalog import Edges, Model
from observability.core.finding import Finding, needs_action
from observability.core.questions import ABSENT, NAN, NULL, UNSEEN, WRONG_TYPE, Aggregate, Bucket
from observability.core.window import Window
from observability.dashboard import clicks, distributions, links, load, time_series
from observability.dashboard.case.cases import quoted_column_name
from observability.dashboard.frame import ModelPage
from observability.dashboard.model_answers import ARRIVAL
from observability.dashboard.paged_names import paged_names
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, sparkline, table_row

ARRIVAL_METRICS = (*ARRIVAL, "duplicate_rate", "rejected_rate", "unknown_columns")
RATES = {"null_rate": NULL, "nan_rate": NAN, "absent_rate": ABSENT, "wrong_type_rate": WRONG_TYPE, "unseen_rate": UNSEEN}
"""Checks that give the share of one special bin among all rows."""
CHECKS = (*RATES, "out_of_range_rate", "constant", "stuck_hours")
ON_PHONE = ("null_rate", "out_of_range_rate")
"""Checks that are shown on a phone until the reader asks for all."""
By = dict[tuple[str, str], Finding]


def volume_with_expectation(window: Window, found: Sequence[Finding]) -> pd.DataFrame:
    """Return the predictions by hour or day: period, n, errors, error_share, and, if the finding about volume has them, expected, low,
    high.
    """
    traffic = time_series.traffic_frame(window)
    judged = next((each for each in found if each.metric == "volume"), None)
    key, names = ("by_hour", ["expected", "low", "high"]) if time_series.chart_grain(window) == "hour" else ("by_day", ["expected"])
    rows = judged.evidence.get(key) if judged else None
    if not rows:
        return traffic
    known = pd.DataFrame(rows, columns=["period", "_", *names]).drop(columns="_")
    known["period"] = pd.to_datetime(known["period"], utc=True).dt.tz_localize(None)
    return traffic.merge(known, on="period", how="left")


def arrival_finding(found: Sequence[Finding]) -> Finding | None:
    """Return the worst finding about arrival; if all are `ok`, the one about volume."""
    about = [each for each in found if each.metric in ARRIVAL_METRICS]
    if about and needs_action(about[0].severity):
        return about[0]
    return next((each for each in about if each.metric == "volume"), about[0] if about else None)


def feature_references(model: Model, window: Window) -> tuple[str, ...]:
    """References of the features of the analyzed version."""
    version, _ = distributions.analyzed_version(model, window, window.version)
    names = version.features if version and version.features else tuple(each.name for each in model.features())
    return tuple(f"feature.{name}" for name in names if model.column(f"feature.{name}"))


def listed_features(model: Model, window: Window, found: By) -> tuple[str, ...]:
    """Return the references of the features that the page lists. If there are very many features, it lists those that were searched, or one
    page of them, with the boxes to choose.
    """
    names = [reference.partition(".")[2] for reference in feature_references(model, window)]
    return tuple(f"feature.{name}" for name in paged_names(features_worst_first(names, found), "features", "checks"))


def features_worst_first(names: Iterable[str], found: By) -> list[str]:
    """Return names of features: those with problems first, then the others by name."""
    known = set(names)
    bad = [subject for (subject, _), each in found.items() if needs_action(each.severity)]
    return list(dict.fromkeys([*(name for name in reversed(bad) if name in known), *sorted(known)]))


def check_rates(model: Model, window: Window, asked: tuple[str, ...]) -> dict[str, dict[str, float]]:
    """Return by feature the share of rows that each check found over the whole window. Checks that do not apply to the kind of a column are
    left out.

    The share of a special bin is a share of all rows; the share out of range is a share of the ordinary values.
    """
    version, _ = distributions.analyzed_version(model, window, window.version)
    frame = load.ask_store(Aggregate("predictions", keys=(Bucket("day"),), histogram=asked), window)
    table = {}
    for reference, part in frame.groupby("column", sort=False):
        known = model.column(str(reference))
        edges = version.edges.get(str(reference)) if version else None
        if known is not None:
            table[known.name] = _check_shares(part.groupby("bin")["w"].sum().to_dict(), known.kind, edges)
    return table


def _check_shares(weights: Mapping[Any, float], kind: str, edges: Edges | None) -> dict[str, float]:
    """Return the checks of one column, computed from the weight in each bin."""
    total = sum(weights.values()) or 1.0
    inapplicable = "unseen_rate" if kind == "number" else "nan_rate"
    known = [metric for metric in RATES if metric != inapplicable]
    found = {metric: weights.get(RATES[metric], 0.0) / total for metric in known}
    if edges is not None and edges.edges:
        values = sum(weight for bin_, weight in weights.items() if bin_ >= 0) or 1.0
        found["out_of_range_rate"] = (weights.get(0, 0.0) + weights.get(len(edges.edges), 0.0)) / values
    return found


def findings_by_check(found: Sequence[Finding]) -> By:
    """Findings about values by subject and metric."""
    return {(each.subject, each.metric): each for each in reversed(found) if each.subject != "model"}


def check_columns(table: dict[str, dict[str, float]], found: By) -> list[dict[str, Any]]:
    """Return the table columns: one for each check that at least one feature has."""
    seen = {metric for shares_ in table.values() for metric in shares_} | {metric for _, metric in found}
    made = [metric for metric in CHECKS if metric in seen]
    titles = {metric: formatting.metric_title(metric).removesuffix(" rate").removesuffix(" feature") for metric in made}
    return [
        column("feature", "Feature", strong=True),
        column("missing", "Missing by day", width="8.5rem", phone=False),
        *(column(metric, titles[metric], align="right", phone=metric in ON_PHONE) for metric in made),
    ]


def check_rows(table: dict[str, dict[str, float]], found: By, days: pd.DataFrame, scope: Scope) -> list[dict[str, Any]]:
    """A row for each feature, those with problems first."""
    by_feature = dict(iter(days.groupby("subject"))) if len(days) else {}
    rows = []
    for feature in features_worst_first(table, found):
        cells: dict[str, Cell] = {"feature": links.link_cell(feature, "drift", scope, feature=feature)}
        part = by_feature.get(feature)
        if part is not None and len(part) > 1 and part["value"].max() > 0:
            words = f"Share of {feature} missing by day"
            cells["missing"] = {"spark": sparkline(part["value"].tolist(), words, zero=True, height=18, width=110)}
        for metric in CHECKS:
            each, value = found.get((feature, metric)), table[feature].get(metric)
            if each is not None and each.severity != "ok":
                value_text = formatting.format_value(each.value, each.unit)
                cells[metric] = {"t": value_text, "s": each.severity, "title": each.because.replace("`", "")}
            elif value is not None:
                cells[metric] = {"t": formatting.format_share(value), "quiet": value == 0}
            if metric == "null_rate" and value:
                cells[metric] |= links.link_cell(cells[metric]["t"], "cases", scope, q=f"{quoted_column_name(feature)} = null")
        rows.append(table_row(cells))
    return rows


def missing_values_sentence(days: pd.DataFrame, listed: int | None = None) -> str:
    """Return a sentence with the largest share in the heatmap of missing values. listed: the number of features that are drawn; None if all
    are drawn.
    """
    worst = days.iloc[int(days["value"].argmax())]
    of = f" of the {formatting.plural(listed, 'feature')} listed" if listed is not None else ""
    if worst["value"] == 0:
        return f"No value{of} is missing on any day."
    return formatting.escape_markdown(
        f"Largest{of}: {worst['subject']}, {formatting.format_share(worst['value'])} missing on {formatting.format_day(worst['day'])}."
    )


def predictions_missing_value(here: ModelPage, point: clicks.Point, days: pd.DataFrame) -> clicks.CaseQuery | None:
    """Return the query for the predictions of the clicked day in which the value of the clicked feature is missing."""
    data = point.get("customdata")
    subject = data[0] if isinstance(data, list | tuple) and data else None
    return clicks.cases_of_period(here, point, days["day"], clicks.missing_condition(str(subject)) if subject else None, clicks.NEWEST)
