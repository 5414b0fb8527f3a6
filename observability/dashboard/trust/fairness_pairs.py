"""How do pairs of groups fare, where two attributes are crossed?"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.choice_box import choose
from observability.dashboard.frame import Here
from observability.dashboard.table import Cell, column, row, table
from observability.dashboard.trust.fairness import Chosen, available, both, sure_words, title
from observability.dashboard.trust.fairness_groups import group_link, rate_frame
from observability.detection.fairness_criteria import overall
from observability.export.csv import inert_csv
from observability.metrics.groups import Attribute, Groups, enough

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_PAIRS = 40


def pairs(here: Here, chosen: Chosen) -> None:
    """Groups of two attributes at once, the largest first, at most MOST_PAIRS in the table; asked only when a person chooses the second."""
    others = [each for each in available(here)[0] if each != chosen.attribute]
    if not others:
        return
    st.header("Pairs of groups", anchor=False)
    names = [each.name for each in others]
    name = choose(
        "crossed",
        "Crossed with",
        names,
        placeholder="Choose a second attribute",
        width=280,
        missing="The link names the attribute {}, which this model does not have.",
    )
    if name is None:
        st.caption(
            "A model may treat each attribute alike and still fail a pair, as women of one group. Most pairs are small: grey ones cannot be judged."
        )
        return
    two = [chosen.attribute, others[names.index(name)]]
    now, before = both(here, chosen.window, two)
    metric = chosen.rates[0]
    rows = (
        rate_frame(now, before, metric)
        .assign(place=range(len(now.levels)), predictions=now.rows)
        .sort_values("predictions", ascending=False, kind="stable")
    )
    held = rows[rows["enough"]]
    judged = f"{len(held)} of {len(rows)} pairs are large enough for: {title(metric)}."
    if len(held) >= 2:
        ranked = held.sort_values("value", kind="stable").to_dict("records")
        worst, best = ranked[0], ranked[-1]
        spread = now.metrics[metric].at(np.asarray(enough(now, metric))).spread()
        unit = "share" if now.metrics[metric].successes is not None else ""
        judged += (
            f" From {formatting.amount(worst['value'], unit)} ({worst['group']}) to {formatting.amount(best['value'], unit)} ({best['group']});"
            f" {sure_words(metric, held.sort_values('place')['group'].tolist(), spread)}"
        )
    st.markdown(formatting.plain(judged))
    pair_table(here, two, now, metric, rows)
    frame.download(f"fairness-{two[0].name}-{two[1].name}.csv", lambda: inert_csv(rows.drop(columns="place")), "CSV", key="pairs-csv")


def pair_table(here: Here, two: Sequence[Attribute], now: Groups, metric: str, rows: "DataFrame") -> None:
    """The largest pairs with their intervals on one scale."""
    unit = "share" if now.metrics[metric].successes is not None else ""
    ends = rows.loc[rows["enough"], ["low", "high"]].to_numpy(float)
    low, high = (float(np.nanmin(ends)), float(np.nanmax(ends))) if ends.size else (0.0, 1.0)
    whole, drawn = overall(now, metric), []
    for each in rows.head(MOST_PAIRS).to_dict("records"):
        cells: dict[str, Cell] = {
            "group": group_link(here, two, now.levels[each["place"]], each["group"]),
            "value": {"t": formatting.amount(each["value"], unit)}, "n": {"t": f"{each['n']:,}", "title": f"{each['predictions']:,} predictions"},
        }  # fmt: skip
        if not each["enough"]:
            cells["value"] |= {"s": "unknown", "title": f"Too small to judge: about {each['needs']:,.0f} more needed"}
        else:
            said = f"{formatting.amount(each['low'], unit)} to {formatting.amount(each['high'], unit)}"
            cells["interval"] = {
                "title": said,
                "interval": {"v": each["value"], "low": each["low"], "high": each["high"], "min": low, "max": high, "whole": whole},
            }
        drawn.append(row(cells))
    columns = (
        column("group", " × ".join(each.name for each in two), strong=True),
        column("value", title(metric), align="right"),
        column("interval", "95 % interval", width="11rem", help="Dashed: all pairs"),
        column("n", str(rows["what"].iloc[0]).capitalize() if len(rows) else "n", align="right"),
    )
    table("pairs", f"Pairs of {two[0].name} and {two[1].name}", columns, drawn, compact=True)
    if len(rows) > MOST_PAIRS:
        st.caption(f"The largest {MOST_PAIRS} of {len(rows):,} pairs; all of them are in the CSV.")
