"""Other versions on the input of a case: their scores, and how their predictions differ on similar cases (churn)."""

from dataclasses import replace
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.window import Slice
from observability.dashboard import links
from observability.dashboard.case import load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.decision_boundary import answer_or_reason, computed_on_request
from observability.dashboard.case.inputs import week_scope
from observability.dashboard.table import Cell, column, draw_table, number_columns, table_row
from observability.dashboard.widgets import status_line
from observability.investigation.label_types import class_words, outcome_words, prediction_with_score, with_unit
from observability.investigation.model_answers import Answered, Churn, Regressed

ROLES = {"this": "this one", "previous": "earlier", "next": "later", "challenger": "challenger", "baseline": "simple baseline"}
SOURCES = {
    "logged": "logged",
    "shadow": "logged in shadow",
    "computed": "computed from its model file",
    "baseline": "from the reference",
}
COLUMNS = (
    column("version", "Version", strong=True, width="12rem"),
    column("said", "Prediction", width="12rem"),
    column("right", "Right?", width="9rem"),
    column("how", "Source", wide=True),
)


def versions_section(here: CasePage) -> None:
    """Draw the table of versions, and the churn relative to other versions."""
    others = [each for each in here.row.model.versions if each.name != here.row.version.name]
    if not others:
        st.markdown(status_line("unknown", f"{here.row.model.name} has only version {here.row.version.name}.", "No other version"))
        st.caption("Register a challenger with --artifact, or log its predictions with environment shadow.")
    found: tuple[Answered, ...] | None
    if any(each.artifact for each in others):
        found = computed_on_request(
            here, "answers", "Score with the other versions", lambda note: load_case.version_answers(here.opened, note)
        )
        found = found if found is not None else answer_or_reason(lambda: load_case.version_answers(here.opened, None))
    else:
        found = answer_or_reason(lambda: load_case.version_answers(here.opened, None))
    if found is None:
        return
    draw_table("versions", "Prediction of each version for this input", COLUMNS, [_version_row(each, here) for each in found], compact=True)
    for each in others[:3]:
        _churn_section(here, each.name)


def _version_row(each: Answered, here: CasePage) -> dict[str, Any]:
    """The table row of one model version: its answer to this input, whether the answer is right, and how it was obtained."""
    right: Cell = {"t": formatting.DASH, "quiet": True}
    if each.right is not None:
        right = {"s": "ok", "t": "Right"} if each.right else {"s": "act", "t": "Wrong"}
    elif each.absolute_error is not None:
        right = {"t": f"off by {with_unit(here.row.model, formatting.format_number(each.absolute_error))}"}
    lacking = f"; missing inputs: {', '.join(each.missing[:4])}" if each.missing else ""
    learned = "" if each.since is None else f"; first answered on {formatting.format_day(each.since)}, may have learned from this outcome"
    how = each.why or f"{SOURCES.get(each.source or '', '')}{lacking}{learned}"
    said_ = prediction_with_score(here.row.model, each.prediction, None if isinstance(each.score, dict) else each.score)
    return table_row(
        version={**_version_cell(each, here), "sub": ROLES[each.role]},
        said={"t": said_ if each.source else "not available", "mark": "simulated" if each.basis == "simulated" else None},
        right=right,
        how=how,
        selected=each.role == "this",
    )


def _version_cell(each: Answered, here: CasePage) -> Cell:
    """The cell of a version. The case's own version links to its model page. Another version links to the comparison of both versions in
    that week, in the slice of the rule.
    """
    if each.role == "baseline":
        return {"t": each.version}
    scope = week_scope(here)
    if each.role == "this":
        return links.link_cell(each.version, "model", scope)
    rule = here.part("rule")
    scope = replace(scope, slice=Slice.parse(rule.slice) if rule is not None else None)
    return links.link_cell(
        each.version, "compare", scope, b_version=f"{each.version} in shadow" if each.role == "challenger" else each.version
    )


def _churn_section(here: CasePage, other: str) -> None:
    """Draw the predictions of the other version for similar cases."""
    st.subheader(formatting.escape_markdown(f"Version {other} on similar cases"), anchor=False)
    rule = here.part("rule")
    part = rule.slice if rule is not None else None
    found: Churn | None = computed_on_request(
        here,
        f"churn-{other}",
        f"Compare with version {formatting.escape_markdown(other)} on the same rows",
        lambda note: load_case.version_churn(here.opened, other, part, note),
    )
    if found is None:
        return
    basis = f":orange-badge[:material/science: {found.basis}] " if found.basis != "measured" else ""
    st.markdown(f"{basis}{formatting.sentence_markdown(found.because)}")
    if found.regressed:
        rows = [_regressed_row(each, here) for each in found.regressed[:10]]
        model, of = here.row.model, ""
        if model.classes:
            of = f", score of {class_words(model, model.classes[1])}" if model.task == "binary" else ", score of its class"
        scores = number_columns(a=f"Version {here.row.version.name}{of}", b=f"Version {other}{of}")
        columns = (column("case", "Case", strong=True), *scores, column("label", "Label"))
        draw_table(f"regressed-{abs(hash(other))}", f"Regressed cases of version {other}", columns, rows, compact=True)


def _regressed_row(each: Regressed, here: CasePage) -> dict[str, Any]:
    """The table row of a case that the other version predicts worse."""
    return table_row(
        case=links.case_link(each.id, each.id, here.row.model.name, here.scope),
        a=formatting.format_number(each.score_a),
        b=formatting.format_number(each.score_b),
        label=outcome_words(here.row.model, each.label) if each.label is not None else formatting.DASH,
    )
