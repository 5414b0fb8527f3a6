"""How is a change of performance drawn that was taken apart?"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.core.window import Slice
from observability.dashboard import frame, links
from observability.dashboard.charts import waterfall as charts_waterfall
from observability.dashboard.frame import Here
from observability.dashboard.table import column, row, table

if TYPE_CHECKING:
    from pandas import DataFrame

ANALYZER = "serving/why_changed"
INPUTS, RELATION = "change_from_inputs", "change_from_relation"
STEPS = {"before": "Before", "inputs": "Other inputs", "relation": "Another relation", "now": "Now"}


def told(found: Sequence[Finding]) -> dict[str, Finding]:
    """The parts that have a value, by metric; of several versions the one with most rows."""
    return {each.metric: each for each in sorted(found, key=lambda each: each.n) if each.value is not None}


def unit_of(here: Here) -> str:
    """The unit of the mean loss: wrong decisions are a share."""
    return "" if here.model.task == "regression" else "share"


def loss_of(here: Here) -> str:
    """What is lost, in words."""
    return "Mean absolute error" if here.model.task == "regression" else "Share of wrong decisions"


def steps(finding: Finding) -> "DataFrame":
    """The waterfall as a table: step, value (the level of before and now, the size of a part), low, high, start, end, sure."""
    import pandas as pd

    parts = finding.evidence["parts"]
    level, lines = parts["before"][0], []
    for name, words in STEPS.items():
        value, low, high = parts[name]
        whole = name in ("before", "now")
        start, end = (0.0, value) if whole else (level, level + value)
        level = end
        lines.append([words, value, low, high, start, end, whole, not low <= 0 <= high])
    return pd.DataFrame(lines, columns=["step", "value", "low", "high", "start", "end", "whole", "sure"])


def waterfall(here: Here, found: Mapping[str, Finding]) -> None:
    """From before, over the parts, to now."""
    finding = found[RELATION]
    rows, unit = steps(finding), unit_of(here)
    by_step = rows.set_index("step")["value"]
    alt = (
        f"{loss_of(here)} {formatting.amount(by_step['Before'], unit)} before, {formatting.amount(by_step['Now'], unit)} now: other inputs "
        f"{signed(by_step['Other inputs'], unit)}, another relation {signed(by_step['Another relation'], unit)}."
    )
    st.markdown(formatting.plain(alt))
    frame.chart(
        charts_waterfall.steps(rows, name=loss_of(here), unit=unit), rows[["step", "value", "low", "high"]], key="waterfall", alt=alt,
        metrics=(INPUTS, RELATION),
    )  # fmt: skip
    alone = finding.evidence["alone_now"]
    st.caption(
        formatting.plain(
            f"{finding.n:,} labelled rows of the window and {finding.evidence['baseline_n']:,} before, samples by hash. "
            f"{formatting.share(alone)} of the window has no counterpart before."
        )
    )


def signed(value: float, unit: str) -> str:
    """A difference with its sign; of shares in points."""
    plus = "+" if value > 0 else ""
    return f"{plus}{formatting.number(100 * value)} points" if unit == "share" else f"{plus}{formatting.number(value)}"


def interval(each: Mapping[str, Any], unit: str) -> str:
    """An interval of differences."""
    return f"{signed(each['low'], unit)} to {signed(each['high'], unit)}"


def inputs(here: Here, found: Mapping[str, Finding]) -> None:
    """The inputs whose shift explains most, each a link to its drift."""
    lines = found[INPUTS].evidence["carried"] if INPUTS in found else []
    if not lines:
        st.caption("No single input explains a part.")
        return
    unit = unit_of(here)
    st.markdown("What the shift of one input alone would do to the mean loss. Inputs go together, so these parts overlap.")
    columns = (column("name", "Input", strong=True), column("value", "Part", align="right", help="With its 95 % interval"))
    rows = [
        row(
            {
                "name": links.link(each["name"], "drift", here.scope, feature=each["name"]),
                "value": {"t": signed(each["value"], unit), "sub": interval(each, unit)},
            }
        )
        for each in lines
    ]
    table("inputs", "Inputs whose shift explains most", columns, rows, compact=True)


def relation(here: Here, found: Mapping[str, Finding]) -> None:
    """The slices that hold more of the changed relation than their share of the rows, each the scope of the performance page."""
    lines = found[RELATION].evidence["carried"]
    if not lines:
        st.caption("Nothing at equal inputs differs for sure, or no slice holds more of it than its share of the rows.")
        return
    st.markdown("Slices that hold more of the part at equal inputs than their share of the rows.")
    columns = (
        column("slice", "Slice", strong=True),
        column("part", "Of the part", align="right"),
        column("share", "Of the rows", align="right"),
    )
    rows = [
        row(
            {
                "slice": links.link(
                    f"{each['name']} = {each['level']}", "performance", replace(here.scope, slice=Slice(((each["name"], each["level"]),)))
                ),
                "part": {"t": formatting.share(each["of_part"])},
                "share": {"t": formatting.share(each["share"])},
            }
        )
        for each in lines
    ]
    table("relation", "Slices that carry the changed relation", columns, rows, compact=True)
