"""Pairs of groups of two sensitive attributes."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.frame import ModelPage
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.trust.fairness import (
    FairnessView,
    groupable_attributes,
    groups_now_and_reference,
    rate_title,
    surest_difference_words,
)
from observability.dashboard.trust.fairness_groups import group_link, rate_frame
from observability.dashboard.widgets import csv_button, cut_note, plain_paragraph
from observability.detection.fairness_criteria import overall_value
from observability.metrics.groups import Attribute, GroupMetrics, groups_with_enough_rows

MAX_PAIRS = 40


def group_pairs_section(here: ModelPage, chosen: FairnessView) -> None:
    """Draw the groups formed by two attributes, largest first, at most MAX_PAIRS in the table. They are computed only when a second
    attribute is chosen.
    """
    others = [each for each in groupable_attributes(here)[0] if each != chosen.attribute]
    if not others:
        return
    st.header("Pairs of groups", anchor=False)
    names = [each.name for each in others]
    hint, missing = "Choose a second attribute", "The link names the attribute {}, which this model does not have."
    name = address_selectbox("crossed", "Crossed with", names, placeholder=hint, width=280, missing=missing)
    if name is None:
        st.caption("A model can be fair by each attribute and unfair to a pair of groups. Grey pairs have too few rows.")
        return
    two = [chosen.attribute, others[names.index(name)]]
    now, before = groups_now_and_reference(here, chosen.window, two)
    metric = chosen.rates[0]
    rows = rate_frame(now, before, metric).assign(place=range(len(now.levels)), predictions=now.rows)
    rows = rows.sort_values("predictions", ascending=False, kind="stable")
    held = rows[rows["enough"]]
    judged = f"{rate_title(metric)}: {len(held)} of {len(rows)} pairs are large enough."
    if len(held) >= 2:
        ranked = held.sort_values("value", kind="stable").to_dict("records")
        lowest, highest = ranked[0], ranked[-1]
        spread = now.metrics[metric].at(np.asarray(groups_with_enough_rows(now, metric))).spread()
        unit = "share" if now.metrics[metric].successes is not None else ""
        ends = (f"{formatting.format_value(pair['value'], unit)} ({pair['group']})" for pair in (lowest, highest))
        surest = surest_difference_words(metric, held.sort_values("place")["group"].tolist(), spread)
        judged += f" From {' to '.join(ends)}; {surest}"
    plain_paragraph(judged)
    _pairs_table(here, two, now, metric, rows)
    csv_button(f"fairness-{two[0].name}-{two[1].name}", lambda: rows.drop(columns="place"), key="pairs-csv")


def _pairs_table(here: ModelPage, two: Sequence[Attribute], now: GroupMetrics, metric: str, rows: pd.DataFrame) -> None:
    """Draw the largest pairs; their intervals are on one common scale."""
    unit = "share" if now.metrics[metric].successes is not None else ""
    ends = rows.loc[rows["enough"], ["low", "high"]].to_numpy(float)
    low, high = (float(np.nanmin(ends)), float(np.nanmax(ends))) if ends.size else (0.0, 1.0)
    whole, drawn = overall_value(now, metric), []
    for each in rows.head(MAX_PAIRS).to_dict("records"):
        cells: dict[str, Cell] = {
            "group": group_link(here, two, now.levels[each["place"]], each["group"]),
            "value": {"t": formatting.format_value(each["value"], unit)},
            "n": {"t": f"{each['n']:,}", "title": f"{each['predictions']:,} predictions"},
        }
        if not each["enough"]:
            cells["value"] |= {"s": "unknown", "title": f"Too few rows: about {each['needs']:,.0f} more needed"}
        else:
            interval = {"v": each["value"], "low": each["low"], "high": each["high"], "min": low, "max": high, "whole": whole}
            cells["interval"] = {"title": formatting.format_interval(each["low"], each["high"], unit), "interval": interval}
        drawn.append(table_row(cells))
    columns = (
        column("group", " × ".join(each.name for each in two), strong=True),
        column("value", rate_title(metric), align="right"),
        column("interval", "95 % interval", width="11rem", help="Dashed: all pairs"),
        column("n", str(rows["what"].iloc[0]).capitalize() if len(rows) else "n", align="right"),
    )
    draw_table("pairs", f"Pairs of {two[0].name} and {two[1].name}", columns, drawn, compact=True)
    cut_note(len(rows), MAX_PAIRS, "The largest {0} of {1} pairs; all of them are in the CSV.")
