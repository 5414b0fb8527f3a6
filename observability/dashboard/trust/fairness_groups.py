"""How does each group of one attribute fare: a dot with its interval for each, ratios of selection rates, and every figure as a table?"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.window import Slice
from observability.dashboard import clicks, frame, links
from observability.dashboard.charts import fairness as charts_fairness
from observability.dashboard.frame import Here
from observability.dashboard.table import Cell, column, row, table
from observability.dashboard.trust.fairness import Chosen, counted, title
from observability.detection.fairness_criteria import RATIO_BAND, overall
from observability.export.csv import inert_csv
from observability.metrics.groups import Attribute, Groups, enough, rate_of, rows_needed
from observability.stats.interval import rate_ratio_interval

if TYPE_CHECKING:
    from pandas import DataFrame


def rate_frame(now: Groups, before: Groups | None, metric: str) -> "DataFrame":
    """group, value, low, high, n, what, enough, reference, needs (rows more until it can be judged; None where it can)."""
    import pandas as pd

    measured, keep = now.metrics[metric], enough(now, metric)
    return pd.DataFrame(
        {
            "group": now.names, "value": measured.value, "low": measured.low, "high": measured.high, "n": np.rint(measured.n).astype(int),
            "what": counted(metric), "enough": keep,
            "reference": np.full(len(now.names), np.nan) if before is None else before.metrics[metric].value,
            "needs": [None if keep[place] else rows_needed(now, metric, place) for place in range(len(now.names))],
        }
    )  # fmt: skip


def dots(here: Here, chosen: Chosen, alt: str) -> None:
    """A dot plot for each rate of the criterion, and the ratio of selection rates."""
    charts: list[tuple[str, Any]] = [(rate, rate_frame(chosen.now, chosen.before, rate)) for rate in chosen.rates]
    places = st.columns(2, gap="large") if here.model.task == "binary" or chosen.of else [st.container()]
    for number, (rate, rows) in enumerate(charts):
        unit = "share" if chosen.now.metrics[rate].successes is not None else ""
        with places[number % len(places)]:
            st.subheader(formatting.plain(title(rate)), anchor=False)
            figure = charts_fairness.dots(
                rows, name=title(rate) if chosen.of else title(rate).lower(), unit=unit, overall=overall(chosen.now, rate)
            )
            frame.chart(
                figure,
                rows,
                key=f"groups-{rate_of(rate)}",
                alt=f"{title(rate)} by {chosen.attribute.name}. {alt}",
                metrics=(rate_of(rate), chosen.criterion.metric),
                on_select=clicks.leads(f"groups-{rate_of(rate)}", partial(of_group, here, chosen, rate)),
            )
    if here.model.task == "binary":
        with places[len(charts) % len(places)]:
            ratios(here, chosen)


def of_group(here: Here, chosen: Chosen, rate: str, point: clicks.Point) -> clicks.Cases | None:
    """The predictions of a group that was clicked: those which the rate counts against the model, or for a selection rate those selected."""
    count = len(chosen.now.names)
    number = clicks.place(point, "y", count)
    if number is None:
        return None
    level, classes = chosen.now.levels[count - 1 - number], here.model.classes
    if chosen.of is not None:
        found = rate_of(rate) == "true_positive_rate"
        named = clicks.equals("label" if found else "answer", chosen.of)
        q = f"{named} and outcome = wrong" if named and found else named
        return clicks.inside(here, [(chosen.attribute.name, one) for one in level], q)
    wanted = {
        "selection_rate": {"answer": 1},
        "true_positive_rate": {"label": 1, "answer": 0},
        "false_positive_rate": {"label": 0, "answer": 1},
    }.get(rate)
    parts = [clicks.equals(name, classes[code]) for name, code in (wanted or {}).items()]
    q = None if not all(parts) else " and ".join(str(each) for each in parts) or clicks.errors(here)
    return clicks.inside(here, [(chosen.attribute.name, one) for one in level], q)


def ratios(here: Here, chosen: Chosen) -> None:
    """Selection rates over that of the largest group, on the band from four fifths to its inverse."""
    st.subheader("Selection rate against the largest group", anchor=False)
    rows = ratio_frame(chosen.now, chosen.before)
    if rows is None:
        st.caption("No group has positive decisions enough to compare with.")
        return
    largest = str(rows.loc[rows["value"] == 1, "group"].iloc[0])
    outside = rows[rows["enough"] & ((rows["high"] < RATIO_BAND[0]) | (rows["low"] > RATIO_BAND[1]))]
    said = f"Of the groups that are large enough, {len(outside)} of {int(rows['enough'].sum())} lie outside 0.8 to 1.25 of {largest} beyond chance."
    figure = charts_fairness.ratios(rows, against=largest, low=RATIO_BAND[0], high=RATIO_BAND[1])
    on_mark = clicks.leads("ratios", partial(of_group, here, chosen, "selection_rate"))
    frame.chart(figure, rows, key="ratios", alt=said, metrics=("selection_rate", "demographic_parity_ratio"), on_select=on_mark)


def ratio_frame(now: Groups, before: Groups | None) -> "DataFrame | None":
    """`rate_frame` of the selection rate with ratios to the largest group that is large enough, by Koopman's interval; None where there is none."""
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


def all_figures(here: Here, chosen: Chosen) -> None:
    """Every rate of every group, with its interval, as a table."""
    shown: list[str] = [
        each
        for each in ("selection_rate", "true_positive_rate", "false_positive_rate", "precision", "accuracy", "mae")
        if each in chosen.now.metrics
    ]
    shown += chosen.rates if chosen.of is not None else ()
    columns = [
        column("group", chosen.attribute.name, strong=True),
        column("n", "Predictions", align="right"),
        column("labelled", "Labelled", align="right"),
    ]
    columns += [column(each, title(each), align="right", help="With its 95 % interval; grey: too small to judge") for each in shown]
    rows = []
    for place, name in enumerate(chosen.now.names):
        cells: dict[str, Cell] = {
            "group": group_link(here, [chosen.attribute], chosen.now.levels[place], name),
            "n": {"t": f"{int(chosen.now.rows[place]):,}"}, "labelled": {"t": f"{int(chosen.now.labelled[place]):,}"},
        }  # fmt: skip
        cells |= {metric: figure_cell(chosen.now, metric, place) for metric in shown}
        rows.append(row(cells))
    table("groups", f"Groups of {chosen.attribute.name}", columns, rows, compact=True)
    frame.download(
        f"fairness-{chosen.attribute.name}.csv",
        lambda: inert_csv(long_frame(chosen.now, chosen.before, shown)),
        "CSV",
        key="groups-csv",
    )


def figure_cell(groups: Groups, metric: str, place: int) -> Cell:
    """Value over interval; unknown where the group is too small."""
    measured, unit = groups.metrics[metric], "share" if groups.metrics[metric].successes is not None else ""
    low, high = measured.low[place], measured.high[place]
    cell: Cell = {
        "t": formatting.amount(float(measured.value[place]), unit),
        "sub": f"{formatting.amount(float(low), unit)} to {formatting.amount(float(high), unit)}" if low == low else None,
    }
    if not enough(groups, metric)[place]:
        cell |= {
            "s": "unknown",
            "title": f"Too small to judge: {measured.n[place]:,.0f} {counted(metric)}, about {rows_needed(groups, metric, place):,} more needed",
        }
    return cell


def long_frame(now: Groups, before: Groups | None, metrics: Sequence[str]) -> "DataFrame":
    """Every group and rate, one a row, for the CSV."""
    import pandas as pd

    return pd.concat([rate_frame(now, before, each).assign(metric=each) for each in metrics], ignore_index=True)


def group_link(here: Here, chosen: Sequence[Attribute], levels: Sequence[str], name: str) -> Cell:
    """A group as a link that makes it the slice of the performance page; bands of numbers are no slices."""
    if any(each.reference.startswith("band.") for each in chosen):
        return {"t": name}
    slice_ = Slice(tuple((each.name, one) for each, one in zip(chosen, levels, strict=True)))
    return links.link(name, "performance", replace(here.scope, slice=slice_))
