"""Which slices changed most and which are weakest: what the page about slices draws from the findings of serving/slices."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.window import Slice
from observability.dashboard import choice_box, clicks, empty_states, frame, links
from observability.dashboard.charts import slices as charts_slices
from observability.dashboard.frame import Here
from observability.dashboard.table import column, row, table
from observability.export.csv import inert_csv
from observability.metrics.performance import HEADLINE

if TYPE_CHECKING:
    from pandas import DataFrame

ANALYZER = "serving/slices"
SAID = 6
"""Findings that are said above the charts; the table has all."""
SHOWN = 12
WATCHED = (
    column("slice", "Slice", strong=True, width="16rem"),
    column("status", "Status", width="8rem"),
    column("said", "What is said of it", wide=True),
)


def parts(found: Sequence[Finding]) -> tuple[list[Finding], Finding | None]:
    """The findings that need somebody, and the one about the search (of several versions the one that looked at most rows)."""
    summaries = [each for each in found if each.metric == "slices_named" and each.subject == "model"]
    return [each for each in found if needs_action(each.severity)], max(summaries, key=lambda each: each.n, default=None)


def watched(here: Here, found: Sequence[Finding]) -> None:
    """The slices that the owner watches, each with what is said of it in this window, whatever that is."""
    held = here.model.settings.slices
    if not held:
        return
    st.header("Watched slices", anchor=False)
    newest = {each.slice: each for each in found if each.slice in held and (each.severity == "unknown" or each.evidence.get("watched"))}
    table(
        "watched",
        "What is said of each watched slice",
        WATCHED,
        [as_watched(here, text_, newest.get(text_)) for text_ in held],
        compact=True,
    )
    st.caption("A case makes a slice watched, and takes it back; Rules and settings lists them all.")


def as_watched(here: Here, part: str, found: Finding | None) -> dict[str, Any]:
    """One watched slice, which makes itself the scope of the performance page."""
    severity, said = (found.severity, found.because) if found else ("unknown", "It is not judged in this window.")
    scope = replace(here.scope, slice=Slice.parse(part))
    return row(
        {
            "slice": links.link(formatting.condition(part), "performance", scope),
            "status": {"s": severity, "t": formatting.STATUS_WORDS[severity]},
            "said": {"t": said},
        }
    )


def choose(here: Here, summary: Finding) -> str:
    """The metric that the box holds (bound to the address), else the model's main one."""
    return choice_box.metric(list(summary.evidence["ranked"]), here.model.task, "was not compared by slice here")


def as_frame(lines: Sequence[dict[str, Any]]) -> "DataFrame":
    """The slices of the finding's evidence as a table, with their names in words."""
    import pandas as pd

    columns = ["slice", "value", "low", "high", "n", "before", "rest", "effect", "coverage", "p_adjusted"]
    rows = pd.DataFrame([{name: each[name] for name in columns} for each in lines], columns=columns)
    return rows.assign(name=[formatting.condition(each) for each in rows["slice"]]).astype({"before": float})


def changed(here: Here, summary: Finding, metric: str) -> None:
    """The slices that moved furthest from the rest, now and before, whether more than chance or not."""
    rows = as_frame(summary.evidence["ranked"][metric]).head(SHOWN)
    if rows.empty:
        empty_states.no_rows()
        return
    first, unit = rows.iloc[0], METRICS[metric].unit
    sure = int((rows["p_adjusted"] <= 0.05).sum())
    beyond = f"{sure} of those shown" if sure else "none of those shown"
    alt = (
        f"{first['name']} became worse than the rest by most: {formatting.metric_title(metric)} {formatting.amount(first['value'], unit)}, "
        f"{formatting.amount(first['before'], unit)} before; {beyond} moved by more than chance, all looks counted."
    )
    st.markdown(formatting.plain(alt))
    drawn = rows.assign(sure=rows["p_adjusted"] <= 0.05)
    on_dot = clicks.leads("changed", lambda point: of_slice(here, point, rows, metric))
    frame.chart(
        charts_slices.dots(drawn, name=formatting.metric_title(metric), unit=unit),
        rows,
        key="changed",
        alt=alt,
        metrics=(metric,),
        on_select=on_dot,
    )
    listed(here, "changed-slices", f"{formatting.metric_title(metric)}: slices that became worse than the rest", rows, metric)


def of_slice(here: Here, point: clicks.Point, rows: "DataFrame", metric: str) -> clicks.Cases | None:
    """The errors (or the failed requests) of a slice that was clicked."""
    number = clicks.place(point, "y", len(rows))
    part = None if number is None else Slice.parse(rows["slice"].iloc[len(rows) - 1 - number])
    return clicks.inside(here, part.conditions if part else (), clicks.errors_of(here.model.task, metric))


def weakest(here: Here, summary: Finding) -> None:
    """The slices in which the main loss is worse than elsewhere now; those that were so before raise no alarm."""
    rows = as_frame(summary.evidence.get("weak", []))
    rows = rows[rows["p_adjusted"] <= 0.05].head(SHOWN)
    metric = HEADLINE.get(here.model.task or "", "accuracy")
    if rows.empty:
        st.caption("No slice is worse than the rest by more than chance.")
        return
    st.markdown(
        formatting.plain(
            "Worse than the other rows of this window by more than chance, changed or not: what the model is known to be weak at."
        )
    )
    listed(here, "weak-slices", f"{formatting.metric_title(metric)}: slices that are worse than the rest", rows, metric)
    frame.download("weak-slices.csv", lambda: inert_csv(rows), "CSV", key="weak-csv")


def listed(here: Here, key: str, caption: str, rows: "DataFrame", metric: str) -> None:
    """Slices as a table; each makes itself the scope of the performance page."""
    unit = METRICS[metric].unit
    columns = (
        column("slice", "Slice", strong=True),
        column("value", formatting.metric_title(metric), align="right", help="With its 95 % interval"),
        column("before", "Before", align="right", help="The same slice in the reference, or the month before"),
        column("rest", "Other rows", align="right"),
        column("coverage", "Coverage", align="right", help="Share of the whole change (or of all errors) that sits in the slice"),
        column("n", "n", align="right"),
    )
    table(key, caption, columns, [as_row(here, each, metric, unit) for each in rows.to_dict("records")], compact=True)


def as_row(here: Here, each: Mapping[Any, Any], metric: str, unit: str) -> dict[str, Any]:
    """One slice as a table's row."""
    outer = here.scope.slice.conditions if here.scope.slice else ()
    inner = Slice.parse(each["slice"])
    scope = replace(here.scope, slice=Slice(tuple(dict((*outer, *(inner.conditions if inner else ()))).items())))
    return row(
        {
            "slice": links.link(each["name"], "performance", scope, metric=metric),
            "value": {
                "t": formatting.amount(each["value"], unit),
                "sub": f"{formatting.amount(each['low'], unit)} to {formatting.amount(each['high'], unit)}",
            },
            "before": {"t": formatting.amount(each["before"], unit)},
            "rest": {"t": formatting.amount(each["rest"], unit)},
            "coverage": {"t": formatting.share(each["coverage"])},
            "n": {"t": f"{each['n']:,}"},
        }
    )
