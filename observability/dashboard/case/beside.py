"""Two cases side by side: outcomes, suspected sources, and the inputs that differ, with the attributions of both.

The address names the other case (`beside=ID`). If both predictions are from the same model, their inputs are compared too; otherwise only
their outcomes can be compared.
"""

from collections.abc import Sequence

import streamlit as st

from observability.core import formatting
from observability.core.errors import NotFoundError
from observability.core.numerals import format_figure
from observability.dashboard import links
from observability.dashboard.case import load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.find_case import typed_case_id
from observability.dashboard.case.inputs import input_value_words
from observability.dashboard.case.saved_cases import title_of
from observability.dashboard.choice_box import link_warning
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import cut_note
from observability.export.case import SOURCES
from observability.investigation.evidence_types import Happened, Triage
from observability.investigation.latent_inputs import latent_features
from observability.investigation.logged_content import logged_texts

PARAMETER = "beside"
MAX_DIFFERENCES = 12


def beside_box(here: CasePage) -> None:
    """Draw a box for the id of another case (an empty id removes the comparison), and a box with the model's saved cases."""

    def follow() -> None:
        typed = typed_case_id(str(st.session_state[here.key("beside")] or ""))
        if typed:
            st.query_params[PARAMETER] = typed
        else:
            st.query_params.pop(PARAMETER, None)

    def choose(key: str) -> None:
        if chosen := st.session_state.get(key):
            st.query_params[PARAMETER] = str(chosen)
            st.session_state[here.key("beside")] = str(chosen)

    named = st.query_params.get(PARAMETER) or ""
    st.text_input(
        "Id of the other case",
        value=named,
        key=here.key("beside"),
        on_change=follow,
        help="Empty shows this case alone.",
        placeholder="Id or address",
    )
    saved = {str(item.fields["prediction"]): title_of(item) for item in reversed(load_case.saved_case_items(here.row.model.name))}
    saved.pop(here.row.id, None)
    if saved:
        index = list(saved).index(named) if named in saved else None
        key = here.key(f"beside-saved-{named}")
        st.selectbox("Or a saved case", list(saved), index, saved.__getitem__, key=key, on_change=choose, args=(key,), placeholder="Choose")


def cases_side_by_side(here: CasePage) -> None:
    """Draw the table of both cases; nothing if the address names no second case."""
    named = st.query_params.get(PARAMETER)
    if not named:
        return
    try:
        try:
            other = CasePage(load_case.opened_case(named, here.row.model.name), here.scope)
        except NotFoundError:
            other = CasePage(load_case.opened_case(named, None), here.scope)
    except NotFoundError as error:
        link_warning(f"The other case: {error}")
        return
    same_model = other.row.model.name == here.row.model.name
    link = links.case_link(other.row.id, other.row.id, other.row.model.name, here.scope, beside=here.row.id)
    columns = (column("what", "", strong=True), column("own", "This case"), column("other", "Other case"))
    rows = [table_row(what="Prediction", own=here.row.id, other=link if same_model else {**link, "sub": other.row.model.name})]
    rows += [
        table_row(what=name, own=fact(here), other=fact(other))
        for name, fact in (("Outcome", _outcome), ("Text", _text), ("Source", _source))
    ]
    rows = [row for row in rows if row["cells"]["own"].get("t") or row["cells"]["other"].get("t")]
    differing = _differing_inputs(here, other) if same_model else []
    latent = set(latent_features((*here.row.features, *other.row.features)))
    names = [name for name in differing if name not in latent]
    moved, moved_other = _attributions(here), _attributions(other)
    rows += [
        table_row(what=name, own=_input_cell(here, name, moved), other=_input_cell(other, name, moved_other) | {"changed": True})
        for name in names[:MAX_DIFFERENCES]
    ]
    draw_table("beside", "This case and the other case", columns, rows, compact=True)
    cut_note(len(names), MAX_DIFFERENCES, "The first {0} of {1} differing inputs, sorted by their largest effect on either score.")
    if hidden := len(differing) - len(names):
        st.caption(f"{hidden} latent inputs differ as well.")
    if same_model and not differing:
        st.caption("All inputs are equal.")


def _outcome(page: CasePage) -> Cell:
    """The cell with the sentence about the outcome."""
    happened: Happened | None = page.part("happened")
    return {"t": happened.sentence if happened else page.opened.why("happened")}


def _text(page: CasePage) -> Cell:
    """The logged text; nothing if there is none."""
    texts = logged_texts(page.row)
    return {"t": texts[0].text[:400] if texts else ""}


def _source(page: CasePage) -> Cell:
    """The best suspected source with its weight of evidence."""
    found: tuple[Triage, ...] | None = page.part("triage")
    if not found:
        return {"t": "not available"}
    if found[0].source == "unknown" and page.opened.is_error() is False:
        return {"t": "No error"}
    return {"t": SOURCES[found[0].source], "sub": f"weight {formatting.format_number(found[0].score, 2)} of 1"}


def _attributions(page: CasePage) -> dict[str, float]:
    """The known attributions relative to the average; empty if they are not known."""
    found = load_case.known_contrast(page.opened)
    return {bar.feature: bar.attribution for bar in found.bars} if found and found.adds_up else {}


def _differing_inputs(here: CasePage, other: CasePage) -> Sequence[str]:
    """The inputs whose values differ, sorted by their largest effect on either score."""
    names = dict.fromkeys((*here.row.features, *other.row.features))
    differing = [name for name in names if here.row.features.get(name) != other.row.features.get(name)]
    moved, moved_other = _attributions(here), _attributions(other)
    return sorted(differing, key=lambda name: -max(abs(moved.get(name, 0.0)), abs(moved_other.get(name, 0.0))))


def _input_cell(page: CasePage, name: str, moved: dict[str, float]) -> Cell:
    """The value of an input, and by how much it moved the score."""
    value = page.row.features.get(name)
    cell: Cell = {"t": formatting.truncate(input_value_words(value), 40)}
    return cell | ({"sub": f"{format_figure(moved[name], 3, sign=True)} to the score"} if name in moved else {})
