"""What-if analysis of a case: boxes for the most important features, the simulated score, and saved inputs.

A link can restore the values. A saved input is a record of kind `what_if`, which can be withdrawn.
"""

import json
from typing import Any

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Column
from observability.core.errors import ObservabilityError
from observability.core.numerals import format_figure
from observability.dashboard import links, person_name, time_zone
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import CasePage
from observability.dashboard.case.inputs import input_value_words
from observability.dashboard.choice_box import link_warning
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import unavailable_note
from observability.investigation import decision_boundary
from observability.investigation.counterfactuals import DECIMALS, decimals_of
from observability.investigation.known_attributions import class_of
from observability.investigation.label_types import prediction_with_score, score_name
from observability.investigation.model_answers import WhatIf
from observability.investigation.sampled_rows import version_features
from observability.store.types.decision_items import DecisionItem

SIMULATED = ":orange-badge[:material/science: simulated]"
MAX_SAVED = 20
SAVED = (
    column("what", "What if", strong=True, wide=True),
    column("score", "Score, simulated", width="10rem"),
    column("by", "Saved by", width="10rem"),
)


def what_if_section(here: CasePage) -> None:
    """Draw boxes for the most important features; the model scores each change."""
    st.subheader("What if?", anchor=False)
    changes = _value_boxes(here, _linked_values(here))
    if not changes:
        st.caption("Change a value to score the case with it.")
        saved_what_if_table(here)
        return
    try:
        found: WhatIf = load_case.what_if_answer(here.opened, changes)
    except ObservabilityError as error:
        unavailable_note(error)
        saved_what_if_table(here)
        return
    classes = here.row.model.classes
    changed, same = ("Another decision", "Same decision") if classes else ("Reaches the goal", "Does not reach the goal")
    status = formatting.status_label("watch", changed) if found.flips else formatting.status_label("ok" if classes else "unknown", same)
    change = f"was {formatting.format_number(found.before)}, {format_figure(found.score - found.before, 3, sign=True)}"
    words = f"{prediction_with_score(here.row.model, found.prediction, (found.probabilities or {}).get(found.prediction, found.score))}; "
    words += f"{score_name(here.row.model, class_of(here.row))} {change}."
    st.markdown(f"{SIMULATED} {status}: {formatting.escape_markdown(words)}")
    with st.container(horizontal=True, gap="small"):
        with st.popover("Link to these values", type="tertiary", icon=":material/link:"):
            st.caption("Opens the case with these values.")
            address = here.address(what_if=json.dumps(changes))
            st.code(address, language=None, wrap_lines=True)
        _save_popover(here, found)
    saved_what_if_table(here)


def _linked_values(here: CasePage) -> dict[str, Any]:
    """The values in the address that the version accepts. For each value that it does not accept, a warning is drawn."""
    given = st.query_params.get("what_if")
    if not given:
        return {}
    known = {each.name: each for each in version_features(here.row.model, here.row.version)}
    try:
        body = json.loads(given)
        if not isinstance(body, dict):
            raise ValueError
    except ValueError:
        link_warning("The link's values cannot be read.")
        return {}
    found = {}
    for name, value in body.items():
        if name in here.row.model.settings.immutable:
            words = formatting.escape_markdown(f"{name[:60]} is immutable; the link's value is ignored.")
            st.warning(words, icon=":material/lock:")
            continue
        try:
            found[name] = decision_boundary.typed_value(known, name, value)
        except ObservabilityError as error:
            link_warning(error)
    return found


def _save_popover(here: CasePage, found: WhatIf) -> None:
    """Draw the form that saves the input to the case."""
    with st.popover("Save to this case", type="tertiary", icon=":material/bookmark_add:", key=here.key("save-what-if")):
        author = person_name.person_name_box(here.key("what-if-author"), here.row.model.name)
        note = st.text_input("Note", key=here.key("what-if-note"), placeholder="Observations", max_chars=2000)
        if st.button("Save", icon=":material/save:", key=here.key("what-if-save")):
            changes = {name: after for name, (_, after) in found.changes.items()}
            figures: dict[str, Any] = {"score": found.score, "before": found.before, "answer": found.prediction}
            record = case_decisions.case_record(here, "what_if", author, changes=changes, note=note.strip(), **figures)
            case_decisions.save_case_records(here, [record], author)


def saved_what_if_table(here: CasePage) -> None:
    """Draw the saved inputs, each as a link that restores its values, and a form to withdraw one."""
    held = load_case.saved_what_ifs(here.row.model.name, here.row.id)
    if not held:
        return
    draw_table("saved-what-ifs", "Saved what-if inputs", SAVED, [_what_if_row(here, each) for each in held[:MAX_SAVED]], compact=True)
    with st.popover("Withdraw", type="tertiary", icon=":material/undo:", key=here.key("withdraw-what-if")):
        chosen = st.selectbox("Which", held[:MAX_SAVED], 0, lambda each: _changes_words(each)[:120], key=here.key("withdraw-which"))
        author = person_name.person_name_box(here.key("withdraw-author"), here.row.model.name)
        if st.button("Withdraw", icon=":material/undo:", key=here.key("withdraw-send")):
            record = case_decisions.case_record(here, "what_if", author, chosen.id, state="withdrawn")
            case_decisions.save_case_records(here, [record], author, done="Withdrawn.")


def _what_if_row(here: CasePage, each: DecisionItem) -> dict[str, Any]:
    """The table row of one saved input: its changes, its score and the logged score, and who saved it."""
    fields = each.fields
    changes = json.dumps(fields.get("changes") or {})
    target = links.link_cell(_changes_words(each), "case", here.scope.about(here.row.model.name), id=here.row.id, what_if=changes)
    score, before = (formatting.format_number(fields.get(name)) for name in ("score", "before"))
    return table_row(
        what={**target, "sub": fields.get("note")},
        score={"t": score, "sub": f"instead of {before}"},
        by={"t": each.first.author[:80], "sub": time_zone.zoned_minute(each.first.at)},
    )


def _changes_words(each: DecisionItem) -> str:
    """The changed values in words."""
    parts = [f"{name} is {input_value_words(value)}" for name, value in (each.fields.get("changes") or {}).items()]
    return ", ".join(parts) or "no change"


def _value_boxes(here: CasePage, brought: dict[str, Any]) -> dict[str, Any]:
    """Draw a box for each feature, and return the changed values. Boxes of immutable features are locked. brought: values from the address,
    with which boxes start.
    """
    names = list(dict.fromkeys([*load_case.top_case_features(here.opened), *brought]))
    columns = {each.name: each for each in here.row.model.features()}
    changes: dict[str, Any] = {}
    with st.container(horizontal=True, gap="medium", border=True):
        for name in names:
            known = columns.get(name)
            if known is None:
                continue
            locked = name in here.row.model.settings.immutable
            own = here.row.features.get(name)
            own = None if own != own else own
            value = _value_box(here, known, own, brought.get(name, own), locked=locked)
            if value != own and not locked:
                changes[name] = value
    return changes


def _value_box(here: CasePage, known: Column, own: Any, first: Any, *, locked: bool) -> Any:
    """Draw the box of one feature, and return the chosen value. first: its initial value. Each link with values has its own boxes."""
    edges = here.row.version.edges.get(known.reference)
    label = formatting.escape_markdown(known.name[:60]) + (" :material/lock:" if locked else "")
    key = here.key(f"what-if-{known.id}-{abs(hash(st.query_params.get('what_if')))}")
    if known.kind == "number":
        start = float(own) if isinstance(own, int | float) and own == own else None
        ends = [each for each in (edges.edges[:1] + edges.edges[-1:] if edges else ()) if each == each]
        begun = float(first) if isinstance(first, int | float) and first == first else None
        if len(ends) < 2 or ends[0] >= ends[1] or start is None or begun is None:
            return st.number_input(label, value=begun, key=key, disabled=locked, width=210, placeholder="missing")
        low, high = min(ends[0], start, begun), max(ends[1], start, begun)
        decimals = decimals_of(np.array([*(edges.edges if edges else ()), start, begun]))
        step_ = max(10.0**-decimals, float(f"{(high - low) / 100:.1g}"))
        step_ = float(round(step_)) if decimals == 0 else step_
        low, high = (round(each, decimals) if decimals == 0 else each for each in (low, high))
        shape = f"%.{decimals}f" if decimals < DECIMALS else None
        moved = st.slider(label, low, high, begun, key=key, disabled=locked, width=240, step=step_, format=shape)
        return own if abs(moved - start) < step_ / 2 else moved
    options: list[Any] = [False, True] if known.kind == "boolean" else list(edges.levels[:200]) if edges else []
    options = [*dict.fromkeys(each for each in (own, first) if each is not None and each not in options), *options]
    place = options.index(first) if first in options else None
    return st.selectbox(label, options, place, input_value_words, key=key, disabled=locked, width=210, placeholder="missing")
