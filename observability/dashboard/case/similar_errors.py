"""What does a case show of others like it: the smallest rule, how often such predictions are wrong, since when, and who is affected?"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.window import Slice
from observability.dashboard import clicks, frame, links
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import Here
from observability.dashboard.charts import case as charts_case
from observability.dashboard.table import Cell, column, row, table
from observability.investigation.error_tree import Node
from observability.investigation.evidence_types import Rate, Rule

if TYPE_CHECKING:
    from pandas import Series

PAD = "\u2003"
TREE = (
    column("what", "Where errors gather", strong=True),
    column(
        "rate",
        "Errors",
        width="14rem",
        help="Share of labelled rows that are errors, with its 95 % interval, counted on rows that the tree was not grown on",
    ),
    column("errors", "Errors of rows", align="right", width="9rem"),
    column("coverage", "Of all errors", align="right", width="8rem"),
)
FIGURES = (
    column("what", "Which predictions", strong=True),
    column("rate", "Errors", width="16rem", help="Share of labelled rows that are errors, with its 95 % interval"),
    column("errors", "Errors of rows", align="right", width="9rem"),
    column("coverage", "Of all errors", align="right", width="8rem", help="Share of all errors that are among these rows"),
)


def rule(here: Here) -> None:
    """The rule, its figures, its trend, and what can be done with it."""
    found: Rule | None = here.part("rule")
    if found is None:
        st.markdown(
            f"{formatting.status('unknown', 'No rule')}: {formatting.sentence(here.opened.why('rule') or 'This could not be worked out.')}"
        )
        return
    status = (
        formatting.status("watch", "A pattern") if found.weak else formatting.status("unknown", "Cannot tell: no pattern beyond chance")
    )
    st.markdown(f"{status}: {formatting.sentence(found.because)}")
    st.caption(
        formatting.sentence(
            f"The rule was searched for on one half of the labelled rows and counted on the other. An error is {found.error}."
        )
    )
    whole = max([each.high or 0.0 for each in found.trend] + [found.high or 0.0, found.overall or 0.0, 0.01])
    rows = [figures("Like this: " + found.text, found, whole), overall(found, whole)]
    table("rule", "The rule against all predictions", FIGURES, rows, compact=True)
    left, right = st.columns([3, 2], gap="large")
    with left:
        trend(here, found)
    with right:
        groups(found, whole)
    do(here, found)


def tree(here: Here) -> None:
    """The error tree, with the path of the case marked."""
    try:
        nodes = load_case.tree(here.opened)
    except ObservabilityError as error:
        st.markdown(f"{formatting.status('unknown', 'No tree')}: {formatting.sentence(str(error))}")
        return
    last = [each for each in nodes if each.on_path][-1]
    where = (
        "the whole data" if last.parent is None else " and ".join(each.text for each in nodes if each.on_path and each.parent is not None)
    )
    st.markdown(
        formatting.plain(
            f"This case lies where {where}: {last.errors:,} of {last.n:,} are errors there ({formatting.share(last.rate)}), {formatting.share(last.coverage)} of all errors."
        )
    )
    whole = max((each.high or 0.0 for each in nodes), default=1.0) or 1.0
    rows = []
    for each in nodes:
        words = "all labelled predictions about this time" if each.parent is None else each.text
        rate: dict[str, Any] = {"t": formatting.share(each.rate)}
        if each.rate is not None:
            rate["interval"] = interval(each.rate, each.low, each.high, whole, nodes[0].rate)
        cells = {
            "what": {
                **to_node(here, each, f"{PAD * each.depth}{'↳ ' if each.depth else ''}{words}"),
                "mark": "this case" if each.on_path else None,
            },
            "rate": rate,
            "errors": {"t": f"{each.errors:,} of {each.n:,}"},
            "coverage": {"t": formatting.share(each.coverage) if each.coverage is not None else ""},
        }
        rows.append(row(cells, selected=each.on_path))
    table("tree", "The error tree with the path of this case", TREE, rows, compact=True)


def to_node(here: Here, each: Node, words: str) -> Cell:
    """A node's condition, which leads to the labelled predictions that lie in it, the largest losses first."""
    if each.search is None:
        return {"t": words}
    scope = replace(here.scope.at(*here.opened.span()), version=here.row.version.name, slice=None)
    return links.link(words, "cases", scope, q=f"{each.search} and label != null", order=clicks.LARGEST)


def figures(name: str, each: Rule | Rate, whole: float) -> dict[str, Any]:
    """One line of the table."""
    coverage = each.coverage if isinstance(each, Rule) else None
    return row(
        {
            "what": {"t": name},
            "rate": {
                "t": formatting.share(each.rate),
                "interval": interval(each.rate, each.low, each.high, whole, each.overall if isinstance(each, Rule) else None),
            }
            if each.rate is not None
            else {"t": formatting.DASH},
            "errors": {"t": f"{each.errors:,} of {each.n:,}"},
            "coverage": {"t": formatting.share(coverage) if coverage is not None else ""},
        }
    )


def interval(value: float, low: float | None, high: float | None, whole: float, mark: float | None = None) -> dict[str, Any]:
    """The dot with its whiskers."""
    return {"v": value, "low": low, "high": high, "min": 0, "max": max(whole, value, high or 0.0), "whole": mark, "width": 150}


def overall(found: Rule, whole: float) -> dict[str, Any]:
    """The line of all predictions."""
    cell = {"t": formatting.share(found.overall)}
    return row({"what": {"t": "All labelled predictions about this time"}, "rate": cell, "errors": {"t": ""}, "coverage": {"t": "100 %"}})


def trend(here: Here, found: Rule) -> None:
    """The rate by week or day."""
    import pandas as pd

    if len(found.trend) < 2:
        st.caption("All rows of the rule lie in one period, so there is no trend to draw.")
        return
    rows = pd.DataFrame(
        [
            {"period": each.name, "value": each.rate, "low": each.low, "high": each.high, "errors": each.errors, "n": each.n}
            for each in found.trend
        ]
    )
    rows["period"] = pd.to_datetime(rows["period"])
    first, last = found.trend[0], found.trend[-1]
    said = f"Errors among predictions like this: {formatting.share(first.rate)} in the period from {first.name}, {formatting.share(last.rate)} in that from {last.name}."
    st.markdown(formatting.plain(said))
    on_mark = clicks.leads("rule-trend", lambda point: of_period(here, found, point, rows["period"]))
    frame.chart(charts_case.trend(rows, overall=found.overall), rows, key="rule-trend", alt=said, on_select=on_mark)


def of_period(here: Here, found: Rule, point: clicks.Point, periods: "Series[Any]") -> clicks.Cases | None:
    """The errors like this one of the week or day that was clicked."""
    start, end = here.opened.span()
    scope = replace(here.scope.at(start, end), version=here.row.version.name, slice=None)
    around = clicks.Around(scope, start, end)
    return clicks.period(around, point, periods, f"{found.search} and {wrong(here)}" if found.search else None)


def groups(found: Rule, whole: float) -> None:
    """The rate by group."""
    if not found.groups:
        st.caption("No sensitive attribute is known, so groups cannot be told apart.")
        return
    st.subheader("Who bears it", anchor=False)
    table("rule-groups", "Errors among predictions like this by group", FIGURES[:3], [figures(formatting.condition(each.name) if "=" in each.name else each.name, each, whole) for each in found.groups], compact=True)  # fmt: skip


def do(here: Here, found: Rule) -> None:
    """All like this, and make it a slice that is watched."""
    scope = here.scope.at(*here.opened.span())
    typed = f"{found.search} and {wrong(here)}"
    find_all = links.link("", "cases", replace(scope, version=here.row.version.name, slice=None), q=typed)["go"]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if found.search:
            st.button(find_label(here, found), icon=":material/manage_search:", key="all-like-this", on_click=links.go, args=(find_all,))
        if found.slice:
            to_slice = links.link("", "performance", replace(scope, slice=Slice.parse(found.slice)))["go"]
            st.button("Open it as a slice", icon=":material/filter_alt:", key="open-slice", on_click=links.go, args=(to_slice,))
        if found.slice:
            monitor(here, found, Slice.parse(found.slice))


def find_label(here: Here, found: Rule) -> str:
    """How many errors the list will hold: of both halves, and this one."""
    own = (
        bool(here.row.wrong)
        if here.row.model.classes
        else here.row.error is not None and abs(here.row.error) > (here.opened.error_limit() or 0.0)
    )
    return "Find all errors like this" + ("" if found.all_errors is None else f" ({found.all_errors + own:,})")


def wrong(here: Here) -> str:
    """The condition that a prediction was an error, as the rule counts errors."""
    limit = here.opened.error_limit()
    return "outcome = wrong" if limit is None else f"absolute_error > {limit!r}"


def monitor(here: Here, found: Rule, part: Slice | None) -> None:
    """Watch the rule's slice from now on, or no longer: a setting of the model, whose change stands in the ledger and in this case's own history."""
    if part is None:
        return
    watched = str(part) in here.row.model.settings.slices
    if watched:
        target = links.link("", "slices", here.scope.at(*here.opened.span()))["go"]
        st.markdown(
            formatting.status("ok", "Watched"), width="content", help="serving/slices reports this slice in every check, whatever it says"
        )
        st.button(
            "See what is said of it", icon=":material/pie_chart:", type="tertiary", key="watched-slices", on_click=links.go, args=(target,)
        )
    label = "Watch it no longer" if watched else "Make it a monitored slice"
    with st.popover(label, icon=":material/visibility_off:" if watched else ":material/visibility:", key=here.key("monitor")):
        words = formatting.condition(str(part))
        st.markdown(
            formatting.plain(
                f"{words} is no longer reported on its own; it stays in the history."
                if watched
                else f"Every check reports {words} from now on, whatever it says."
            )
        )
        author = case_decisions.author_box(here.key("monitor-author"))
        if st.button(
            "Stop watching" if watched else "Watch it",
            icon=":material/undo:" if watched else ":material/send:",
            key=here.key("monitor-send"),
        ):
            case_decisions.say(
                here,
                [noted(here, found, author, on=not watched)],
                author,
                lambda: load_case.watch(here.row.model.name, part, author, on=not watched),
            )


def noted(here: Here, found: Rule, author: str, *, on: bool) -> dict[str, Any]:
    """What the case's history says of it: an action that is done, which undoing cancels."""
    held = next((each for each in load_case.actions(here.row.model.name, here.row.id) if each.fields.get("do") == "monitor_slice" and each.fields.get("slice") == found.slice and each.state != "cancelled"), None)  # fmt: skip
    if held is not None:
        return case_decisions.again(here, held, author, state="done" if on else "cancelled", reason="" if on else "Watched no longer.")
    wanted = f"Watch predictions where {found.text}: {found.errors:,} of {found.n:,} are errors."
    metric = "error_rate" if here.row.model.classes else "mae"
    return case_decisions.action(
        here, author, do="monitor_slice", text=wanted, slice=found.slice, metric=metric, state="done" if on else "cancelled"
    )
