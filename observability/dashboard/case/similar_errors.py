"""Errors similar to a case: the shortest rule that describes them, its error rate over time and by group, and the error tree."""

from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.window import Slice
from observability.dashboard import clicks, frame, links, person_name
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.charts import case as charts_case
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import link_button, plain_paragraph, status_line
from observability.investigation.error_tree import Node
from observability.investigation.evidence_types import ErrorRule, Rate
from observability.investigation.expected_error import SimilarScores

PAD = "\u2003"
NAMED_FROM = 10
"""Minimum number of rows in a period for its rate to be named."""
TREE = (
    column("what", "Node", strong=True),
    column("rate", "Errors", width="14rem", help="Error rate on labelled rows held out from the tree, with its 95 % interval"),
    column("errors", "Errors of rows", align="right", width="9rem"),
    column("coverage", "Of all errors", align="right", width="8rem"),
)
FIGURES = (
    column("what", "Predictions", strong=True),
    column("rate", "Errors", width="16rem", help="Error rate on labelled rows, with its 95 % interval"),
    column("errors", "Errors of rows", align="right", width="9rem"),
    column("coverage", "Of all errors", align="right", width="8rem", help="Share of all errors in these rows"),
)


def error_rule_section(here: CasePage) -> None:
    """Draw the rule, its error rates, its trend, and the actions for it."""
    found: ErrorRule | None = here.part("rule")
    if found is None:
        st.markdown(status_line("unknown", here.opened.why("rule") or "This could not be computed.", "No rule"))
        return
    level, name = ("watch", "A pattern") if found.clear else ("unknown", "No clear pattern" if found.weak else "No significant pattern")
    status = formatting.status_label(level, name)
    st.markdown(f"{status}: {formatting.sentence_markdown(found.because)}")
    where = f"The rule is searched on one half of {found.rows} and counted on the other, {found.counted:,} rows."
    st.caption(formatting.sentence_markdown(f"{where} An error is {found.error}."))
    whole = max([each.high or 0.0 for each in found.trend] + [found.high or 0.0, found.overall or 0.0, 0.01])
    errors = f"{round((found.overall or 0.0) * found.counted):,} of {found.counted:,}"
    every = {"rate": formatting.format_share(found.overall), "errors": errors, "coverage": "100 %"}
    rows = [_rate_row("Like this: " + found.text, found, whole, found.overall, found.coverage)]
    near = load_case.similar_scores(here.opened)
    if near is not None:
        rows.append(_rate_row(f"Similar score: {near.text}{f', {near.size}' if near.size else ''}", near, whole))
    rows.append(table_row(every, what="All of the same half"))
    draw_table("rule", "Error rate of the rule and of all predictions", FIGURES, rows, compact=True)
    left, right = st.columns([3, 2], gap="large")
    with left:
        _rule_trend(here, found)
    with right:
        _group_rates(found, whole)
    _rule_actions(here, found)


def error_tree_section(here: CasePage) -> None:
    """Draw the error tree, with the path of the case marked."""
    try:
        nodes = load_case.case_error_tree(here.opened)
    except ObservabilityError as error:
        st.markdown(status_line("unknown", str(error), "No tree"))
        return
    last = [each for each in nodes if each.on_path][-1]
    share, coverage = formatting.format_share(last.rate), formatting.format_share(last.coverage)
    plain_paragraph(
        f"This case: {last.where or 'no condition'}; {last.errors:,} of {last.n:,} {here.opened.decided_words()}rows of the held-out half "
        f"are errors ({share}), {coverage} of the errors of that half."
    )
    same = "Rows have the same decision; an" if here.opened.decided_words() else "An"
    plain = f"{same} error is {here.opened.similar_error_words()}."
    st.caption(formatting.sentence_markdown(plain))
    whole = max((each.high or 0.0 for each in nodes), default=1.0) or 1.0
    rows = []
    for each in nodes:
        words = "all of the half that the tree was not grown on" if each.parent is None else each.text
        what = _node_cell(here, each, f"{PAD * each.depth}{'↳ ' if each.depth else ''}{words}")
        what["mark"] = "this case" if each.on_path else None
        rows.append(_rate_row(what, each, whole, nodes[0].rate, each.coverage, selected=each.on_path))
    draw_table("tree", "The error tree with the path of this case", TREE, rows, compact=True)


def _node_cell(here: CasePage, each: Node, words: str) -> Cell:
    """A node's condition, as a link to its labelled predictions, largest losses first."""
    if each.search is None:
        return {"t": words}
    scope = replace(here.scope.at(*here.opened.span()), version=here.row.version.name, slice=None)
    return links.link_cell(words, "cases", scope, q=f"{each.search} and {here.opened.similar_labelled_search()}", order=clicks.LARGEST)


def _rate_row(
    what: Cell | str,
    each: ErrorRule | Rate | Node | SimilarScores,
    whole: float,
    mark: float | None = None,
    coverage: float | None = None,
    *,
    selected: bool = False,
) -> dict[str, Any]:
    """The table row of an error rate, drawn as a dot with its interval. whole: the end of the table's scale; mark: a rate
    for comparison.
    """
    rate: Cell = {"t": formatting.format_share(each.rate)}
    if each.rate is not None:
        ends = {"low": each.low, "high": each.high, "min": 0, "max": max(whole, each.rate, each.high or 0.0)}
        rate["interval"] = {"v": each.rate, **ends, "whole": mark, "width": 150}
    covered = formatting.format_share(coverage) if coverage is not None else ""
    return table_row(what=what, rate=rate, errors=f"{each.errors:,} of {each.n:,}", coverage=covered, selected=selected)


def _rule_trend(here: CasePage, found: ErrorRule) -> None:
    """Draw the error rate by week or day."""
    if len(found.trend) < 2:
        st.caption(f"All rows of the rule are of one {found.by}: no trend." if found.trend else "No row of the held-out half: no trend.")
        return
    rows = pd.DataFrame(
        [
            {"period": each.name, "value": each.rate, "low": each.low, "high": each.high, "errors": each.errors, "n": each.n}
            for each in found.trend
        ]
    )
    rows["period"] = pd.to_datetime(rows["period"])
    said = trend_sentence(found)
    plain_paragraph(said)
    on_mark = clicks.cases_on_click("rule-trend", lambda point: _errors_of_period(here, found, point, rows["period"]))
    frame.chart_with_table(charts_case.error_rate_trend(rows, overall=found.overall), rows, key="rule-trend", alt=said, on_select=on_mark)


def trend_sentence(found: ErrorRule) -> str:
    """A sentence about the error rate over time: in how many periods the interval excludes the overall rate, then the lowest and the
    highest rate with their intervals. Periods with fewer than NAMED_FROM rows are neither named nor counted. If rates are equal, the one
    with the most rows is named.
    """
    known = [each for each in found.trend if each.rate is not None and each.low is not None and each.high is not None]
    many = [each for each in known if each.n >= NAMED_FROM]
    word, whole = ("weeks" if found.by == "week" else "days"), formatting.format_share(found.rate)
    all_of = f"{len(known)} {word} ({'Monday to Sunday, ' if found.by == 'week' else ''}UTC)"
    if not many:
        return f"Too few rows to compare: each of the {all_of} of the held-out half has fewer than {NAMED_FROM}."
    if len(many) == 1:
        only = f"only {_rate_of_period(many[0])} has {NAMED_FROM} rows or more"
        return f"Too few rows to compare: of the {all_of} of the held-out half, {only}. All such rows: {whole}."
    low, high = min(many, key=lambda each: (each.rate or 0.0, -each.n)), max(many, key=lambda each: (each.rate or 0.0, each.n))
    apart = sum(not (each.low or 0.0) <= (found.rate or 0.0) <= (each.high or 1.0) for each in many)
    which = f"{len(many)} {word}" + (f" with {NAMED_FROM} rows or more" if len(many) < len(known) else "")
    claim = f"In {apart or 'each'} of the {which}, the 95 % interval {'excludes' if apart else 'includes'}"
    ends = f"Lowest: {_rate_of_period(low)}; highest: {_rate_of_period(high)}."
    return f"{claim} the overall rate of such rows, {whole}. {ends} Counted on the held-out half: {all_of}."


def _rate_of_period(each: Rate) -> str:
    """The days covered by a period's rows, with its rate and interval."""
    return f"{each.days or each.name} {formatting.value_with_interval(each.rate, each.low, each.high, 'share')}"


def _errors_of_period(here: CasePage, found: ErrorRule, point: clicks.Point, periods: "pd.Series[Any]") -> clicks.CaseQuery | None:
    """A search for the errors under the rule in the clicked week or day."""
    start, end = here.opened.span()
    scope = replace(here.scope.at(start, end), version=here.row.version.name, slice=None)
    around = clicks.ChartPeriod(scope, start, end)
    return clicks.cases_of_period(
        around, point, periods, f"{found.search} and {here.opened.similar_errors_search()}" if found.search else None
    )


def _group_rates(found: ErrorRule, whole: float) -> None:
    """Draw the error rate by group."""
    if not found.groups:
        st.caption("No sensitive attribute is known, so there are no groups to compare.")
        return
    st.subheader("By group", anchor=False)
    rows = [_rate_row(formatting.slice_in_words(group.name) if "=" in group.name else group.name, group, whole) for group in found.groups]
    draw_table("rule-groups", "Error rate of such predictions of the held-out half by group", FIGURES[:3], rows, compact=True)


def _rule_actions(here: CasePage, found: ErrorRule) -> None:
    """Draw buttons that find all such errors, open the slice, or watch it."""
    scope = here.scope.at(*here.opened.span())
    typed = f"{found.search} and {here.opened.similar_errors_search()}"
    find_all = links.link_cell("", "cases", replace(scope, version=here.row.version.name, slice=None), q=typed)["go"]
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        if found.search:
            link_button(_find_all_label(here, found), find_all, key="all-like-this", icon="manage_search", quiet=False)
        if found.slice:
            to_slice = links.link_cell("", "performance", replace(scope, slice=Slice.parse(found.slice)))["go"]
            link_button("Open as a slice", to_slice, key="open-slice", icon="filter_alt", quiet=False)
        if found.slice:
            _watch_popover(here, found, Slice.parse(found.slice))


def _find_all_label(here: CasePage, found: ErrorRule) -> str:
    """The label of the button, with the number of listed errors, including this one. If rows were sampled, the number is left out."""
    own = (
        bool(here.row.wrong)
        if here.row.model.classes
        else here.row.error is not None and abs(here.row.error) > (here.opened.error_limit() or 0.0)
    )
    return "Find similar errors" + ("" if found.all_errors is None else f" ({found.all_errors + own:,} in the period)")


def _watch_popover(here: CasePage, found: ErrorRule, part: Slice | None) -> None:
    """Draw the form that starts or stops watching the slice. Watching is a setting of the model; the ledger of changes and the history of
    the case record it.
    """
    if part is None:
        return
    watched = str(part) in here.row.model.settings.slices
    if watched:
        target = links.link_cell("", "slices", here.scope.at(*here.opened.span()))["go"]
        status = formatting.status_label("ok", "Watched")
        st.markdown(status, width="content", help="serving/slices reports this slice in every check")
        link_button("Open its results", target, key="watched-slices", icon="pie_chart")
    label = "Stop watching" if watched else "Watch this slice"
    with st.popover(label, icon=":material/visibility_off:" if watched else ":material/visibility:", key=here.key("monitor")):
        words = formatting.slice_in_words(str(part))
        plain_paragraph(f"Checks stop reporting {words}; earlier results remain." if watched else f"Every check will report {words}.")
        author = person_name.person_name_box(here.key("monitor-author"), here.row.model.name, "rules")
        action, icon = ("Stop", ":material/undo:") if watched else ("Start", ":material/send:")
        if st.button(action, icon=icon, key=here.key("monitor-send")):
            record = _watch_record(here, found, author, on=not watched)
            change = partial(load_case.watch_slice, here.row.model.name, part, author or "", on=not watched)
            case_decisions.save_case_records(here, [record], author, change)


def _watch_record(here: CasePage, found: ErrorRule, author: str | None, *, on: bool) -> dict[str, Any]:
    """The record of the action for the history of the case: done, or cancelled when the watching is stopped."""
    wanted = {"do": "monitor_slice", "slice": found.slice}
    state = "done" if on else "cancelled"
    for action in load_case.case_actions(here.row.model.name, here.row.id):
        if action.state != "cancelled" and wanted.items() <= action.fields.items():
            return case_decisions.amended_record(here, action, author, state=state, reason="" if on else "No longer watched.")
    text = f"Watch predictions where {found.text}: {found.errors:,} of {found.n:,} are errors."
    metric = "error_rate" if here.row.model.classes else "mae"
    return case_decisions.case_record(here, "action", author, **wanted, text=text, metric=metric, state=state)
