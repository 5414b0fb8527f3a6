"""The groups of one sensitive attribute: rates with intervals as charts, ratios of selection rates, and all rates as a table."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.window import Slice
from observability.dashboard import clicks, frame, links
from observability.dashboard.charts import fairness as charts_fairness
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.trust.fairness import FairnessView, rate_rows_words, rate_title
from observability.dashboard.widgets import csv_button
from observability.detection.fairness_criteria import RATIO_BAND, overall_value
from observability.metrics.groups import Attribute, GroupMetrics, group_rows_needed, groups_with_enough_rows, rate_name
from observability.stats.difference_intervals import rate_ratio_interval

COUNTED = {
    "selection_rate": {"answer": 1},
    "true_positive_rate": {"label": 1, "answer": 0},
    "false_positive_rate": {"label": 0, "answer": 1},
}
"""For each rate, the label and the answer of the predictions that a click opens. For any other rate a click opens the wrong predictions."""


def rate_frame(now: GroupMetrics, before: GroupMetrics | None, metric: str) -> pd.DataFrame:
    """One row per group: group, value, low, high, n, what, enough, reference, needs (how many more rows it needs; None if it has
    enough).
    """
    measured, keep = now.metrics[metric], groups_with_enough_rows(now, metric)
    needs = [None if enough else group_rows_needed(now, metric, place) for place, enough in enumerate(keep)]
    reference = np.full(len(now.names), np.nan) if before is None else before.metrics[metric].value
    figures = {"value": measured.value, "low": measured.low, "high": measured.high, "n": np.rint(measured.n).astype(int)}
    columns = {"group": now.names, **figures, "what": rate_rows_words(metric), "enough": keep, "reference": reference, "needs": needs}
    return pd.DataFrame(columns)


def group_rates_charts(here: ModelPage, chosen: FairnessView, alt: str) -> None:
    """Draw a dot plot for each rate of the criterion. For a binary model, also draw the ratios of selection rates."""
    charts: list[tuple[str, Any]] = [(rate, rate_frame(chosen.now, chosen.before, rate)) for rate in chosen.rates]
    count = len(charts) + (here.model.task == "binary")
    wide = here.model.task == "binary" or chosen.of is not None
    # one row of columns for each pair, because a phone shows the whole first column before the second
    places = [place for _ in range(0, count, 2) for place in st.columns(2, gap="large")] if wide else [st.container()]
    for number, (rate, rows) in enumerate(charts):
        unit = "share" if chosen.now.metrics[rate].successes is not None else ""
        with places[number % len(places)]:
            st.subheader(formatting.escape_markdown(rate_title(rate)), anchor=False)
            title, key = rate_title(rate), f"groups-{rate_name(rate)}"
            name, whole = title if chosen.of else title.lower(), overall_value(chosen.now, rate)
            figure = charts_fairness.group_dots(rows, name=name, unit=unit, overall=whole)
            words, metrics = f"{title} by {chosen.attribute.name}. {alt}", (rate_name(rate), chosen.criterion.metric)
            on_dot = clicks.cases_on_click(key, partial(predictions_of_group, here, chosen, rate))
            frame.chart_with_table(figure, rows, key=key, alt=words, metrics=metrics, on_select=on_dot)
    if here.model.task == "binary":
        with places[len(charts) % len(places)]:
            _selection_ratio_chart(here, chosen)


def predictions_of_group(here: ModelPage, chosen: FairnessView, rate: str, point: clicks.Point) -> clicks.CaseQuery | None:
    """The predictions of a clicked group: for a selection rate the selected ones, for any other rate those that it counts as errors."""
    count = len(chosen.now.names)
    number = clicks.row_of_mark(point, "y", count)
    if number is None:
        return None
    level, classes = chosen.now.levels[count - 1 - number], here.model.classes
    if chosen.of is not None:
        found = rate_name(rate) == "true_positive_rate"
        named = clicks.equality_condition("label" if found else "answer", chosen.of)
        q = f"{named} and outcome = wrong" if named and found else named
        return clicks.cases_of_slice(here, [(chosen.attribute.name, one) for one in level], q)
    parts = [clicks.equality_condition(name, classes[code]) for name, code in COUNTED.get(rate, {}).items()]
    q = None if not all(parts) else " and ".join(str(each) for each in parts) or clicks.wrong_outcome_condition(here)
    return clicks.cases_of_slice(here, [(chosen.attribute.name, one) for one in level], q)


def _selection_ratio_chart(here: ModelPage, chosen: FairnessView) -> None:
    """Draw each group's selection rate divided by the rate of the largest group, with the band from 0.8 to 1.25."""
    st.subheader("Selection rate ratio to the largest group", anchor=False)
    rows = ratio_frame(chosen.now, chosen.before)
    if rows is None:
        st.caption("No group has enough positive decisions for a comparison.")
        return
    largest = str(rows.loc[rows["value"] == 1, "group"].iloc[0])
    outside = rows[rows["enough"] & ((rows["high"] < RATIO_BAND[0]) | (rows["low"] > RATIO_BAND[1]))]
    usable = int(rows["enough"].sum())
    said = f"{len(outside)} of {usable} groups with enough rows have a rate significantly outside 0.8 to 1.25 times that of {largest}."
    figure = charts_fairness.selection_ratio_dots(rows, against=largest, low=RATIO_BAND[0], high=RATIO_BAND[1])
    on_mark = clicks.cases_on_click("ratios", partial(predictions_of_group, here, chosen, "selection_rate"))
    frame.chart_with_table(figure, rows, key="ratios", alt=said, metrics=("selection_rate", "demographic_parity_ratio"), on_select=on_mark)


def ratio_frame(now: GroupMetrics, before: GroupMetrics | None) -> pd.DataFrame | None:
    """`rate_frame` of the selection rates, divided by the rate of the largest usable group, with Koopman intervals; None if no group is
    usable.
    """
    rows = rate_frame(now, before, "selection_rate")
    measured = now.metrics["selection_rate"]
    usable = np.array(rows["enough"]) & (measured.value > 0)
    if not usable.any() or measured.successes is None:
        return None
    largest = int(np.flatnonzero(usable)[measured.n[usable].argmax()])
    found = []
    for place in range(len(rows)):
        each = rate_ratio_interval(measured.successes[place], measured.n[place], measured.successes[largest], measured.n[largest])
        found.append((each.value, each.low, each.high) if place != largest else (1.0, 1.0, 1.0))
    rows[["value", "low", "high"]] = np.array(found, float)
    if before is not None:
        rows["reference"] = rows["reference"] / rows["reference"].iloc[largest]
    return rows


def group_rates_table(here: ModelPage, chosen: FairnessView) -> None:
    """Draw a table with every rate of every group and its interval."""
    rates = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy", "mae")
    shown: list[str] = [rate for rate in rates if rate in chosen.now.metrics]
    shown += chosen.rates if chosen.of is not None else ()
    columns = [
        column("group", chosen.attribute.name, strong=True),
        column("n", "Predictions", align="right", phone=False),
        column("labelled", "Labelled", align="right", phone=False),
    ]
    help_text = "The rate with its 95 % interval. Grey: too few rows"
    columns += [column(each, rate_title(each), align="right", help=help_text, phone=place < 2) for place, each in enumerate(shown)]
    rows = []
    for place, name in enumerate(chosen.now.names):
        cells: dict[str, Cell] = {
            "group": group_link(here, [chosen.attribute], chosen.now.levels[place], name),
            "n": {"t": f"{int(chosen.now.rows[place]):,}"},
            "labelled": {"t": f"{int(chosen.now.labelled[place]):,}"},
        }
        cells |= {metric: _group_rate_cell(chosen.now, metric, place) for metric in shown}
        rows.append(table_row(cells))
    draw_table("groups", f"Groups of {chosen.attribute.name}", columns, rows, compact=True)
    csv_button(f"fairness-{chosen.attribute.name}", lambda: long_rate_frame(chosen.now, chosen.before, shown), key="groups-csv")


def _group_rate_cell(groups: GroupMetrics, metric: str, place: int) -> Cell:
    """A cell with the value, and its interval below. It is marked as unknown if the group has too few rows."""
    measured, unit = groups.metrics[metric], "share" if groups.metrics[metric].successes is not None else ""
    low, high = measured.low[place], measured.high[place]
    cell: Cell = {
        "t": formatting.format_value(float(measured.value[place]), unit),
        "sub": formatting.format_interval(float(low), float(high), unit) if low == low else None,
    }
    if not groups_with_enough_rows(groups, metric)[place]:
        more = group_rows_needed(groups, metric, place)
        cell |= {"s": "unknown", "title": f"Too few rows: {measured.n[place]:,.0f} {rate_rows_words(metric)}, about {more:,} more needed"}
    return cell


def long_rate_frame(now: GroupMetrics, before: GroupMetrics | None, metrics: Sequence[str]) -> pd.DataFrame:
    """One row for each group and rate, for the CSV."""
    return pd.concat([rate_frame(now, before, each).assign(metric=each) for each in metrics], ignore_index=True)


def group_link(here: ModelPage, chosen: Sequence[Attribute], levels: Sequence[str], name: str) -> Cell:
    """A link that opens the performance page with the group as its slice. Bands of numbers cannot be slices, so they get no link."""
    if any(each.reference.startswith("band.") for each in chosen):
        return {"t": name}
    slice_ = Slice(tuple((each.name, one) for each, one in zip(chosen, levels, strict=True)))
    return links.link_cell(name, "performance", replace(here.scope, slice=slice_))
