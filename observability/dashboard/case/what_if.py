"""What if the case had had other values? Boxes for the features that matter most, the model's answer, and what people saved of it.

The values stand in a link that restores them; what is saved is a record of the case (kind `what_if`) that can be withdrawn. All of it is simulated.
"""

import json
from typing import Any

import numpy as np
import streamlit as st

from observability.core import formatting
from observability.core.catalog import Column
from observability.core.errors import ObservabilityError
from observability.core.numerals import figure, worded
from observability.dashboard import links
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import Here
from observability.dashboard.case.inputs import in_words
from observability.dashboard.table import column, row, table
from observability.investigation import decision_boundary
from observability.investigation.counterfactuals import DECIMALS, decimals_of
from observability.investigation.model_answers import WhatIf
from observability.investigation.sampled_rows import columns_of
from observability.store.ingest.record_writer import new_id
from observability.store.query.decision_log import Item

SIMULATED = ":orange-badge[:material/science: simulated]"
MOST_SAVED = 20
SAVED = (
    column("what", "What if", strong=True, wide=True),
    column("score", "Score, simulated", width="10rem"),
    column("by", "Saved by", width="10rem"),
)


def what_if(here: Here) -> None:
    """Boxes for the features that matter most; the model answers each change."""
    st.subheader("What if?", anchor=False)
    changes = asked(here, linked(here))
    if not changes:
        st.caption("Move a value: the model answers as if the case had had it.")
        saved(here)
        return
    try:
        found: WhatIf = load_case.what_if(here.opened, changes)
    except ObservabilityError as error:
        st.markdown(f"{formatting.status('unknown', 'Not given')}: {formatting.sentence(str(error))}")
        saved(here)
        return
    status = formatting.status("watch", "Another answer") if found.flips else formatting.status("ok", "The same answer")
    words = f"{worded(found.prediction)}, score {formatting.number(found.score)} instead of {formatting.number(found.before)} ({figure(found.score - found.before, 3, sign=True)})."
    st.markdown(f"{SIMULATED} {status}: {formatting.plain(words)}")
    with st.container(horizontal=True, gap="small"):
        with st.popover("Link to these values", type="tertiary", icon=":material/link:"):
            st.caption("Opens the case with these values in its boxes.")
            st.code(links.permanent(here.row.id, here.row.model.name, what_if=json.dumps(changes)), language=None, wrap_lines=True)
        save(here, found)
    saved(here)


def linked(here: Here) -> dict[str, Any]:
    """The values that the address brings, as far as the version takes them; what it does not take is said."""
    given = st.query_params.get("what_if")
    if not given:
        return {}
    known = {each.name: each for each in columns_of(here.row.model, here.row.version)}
    try:
        body = json.loads(given)
        if not isinstance(body, dict):
            raise ValueError
    except ValueError:
        st.warning("The link's values cannot be read.", icon=":material/link_off:")
        return {}
    found = {}
    for name, value in body.items():
        if name in here.row.model.settings.immutable:
            st.warning(
                formatting.plain(f"{name[:60]} is locked, because nobody can change it; the link's value is left out."),
                icon=":material/lock:",
            )
            continue
        try:
            found[name] = decision_boundary.fitting(known, name, value)
        except ObservabilityError as error:
            st.warning(formatting.plain(str(error)), icon=":material/link_off:")
    return found


def save(here: Here, found: WhatIf) -> None:
    """Add what was tried to the case."""
    with st.popover("Save it to this case", type="tertiary", icon=":material/bookmark_add:", key=here.key("save-what-if")):
        author = case_decisions.author_box(here.key("what-if-author"))
        note = st.text_input("Note", key=here.key("what-if-note"), placeholder="What it shows", max_chars=2000)
        if st.button("Save", icon=":material/save:", key=here.key("what-if-save")):
            record = {
                "kind": "what_if", "what_if": new_id(), "author": author, "model": here.row.model.name, "prediction": here.row.id, "score": found.score,
                "changes": {name: after for name, (_, after) in found.changes.items()}, "before": found.before, "answer": found.prediction, "note": note.strip(),
            }  # fmt: skip
            case_decisions.say(here, [record], author, done="Saved.")


def saved(here: Here) -> None:
    """What people saved, each a link that restores its values, and a way to withdraw it."""
    held = load_case.what_ifs(here.row.model.name, here.row.id)
    if not held:
        return
    table(
        "saved-what-ifs", "What was tried on this case and saved", SAVED, [as_row(here, each) for each in held[:MOST_SAVED]], compact=True
    )
    with st.popover("Withdraw one", type="tertiary", icon=":material/undo:", key=here.key("withdraw-what-if")):
        chosen = st.selectbox("Which", held[:MOST_SAVED], format_func=lambda each: said_of(each)[:120], key=here.key("withdraw-which"))
        author = case_decisions.author_box(here.key("withdraw-author"))
        if st.button("Withdraw", icon=":material/undo:", key=here.key("withdraw-send")):
            case_decisions.say(here, [{"kind": "what_if", "what_if": chosen.id, "author": author, "model": here.row.model.name, "prediction": here.row.id, "state": "withdrawn"}], author, done="Withdrawn.")  # fmt: skip


def as_row(here: Here, each: Item) -> dict[str, Any]:
    """One what-if."""
    fields = each.fields
    changes = json.dumps(fields.get("changes") or {})
    return row(
        {
            "what": {
                **links.link(said_of(each), "case", here.scope.about(here.row.model.name), id=here.row.id, what_if=changes),
                "sub": fields.get("note"),
            },
            "score": {"t": formatting.number(fields.get("score")), "sub": f"instead of {formatting.number(fields.get('before'))}"},
            "by": {"t": each.first.author[:80], "sub": formatting.minute(each.first.at)},
        }
    )


def said_of(each: Item) -> str:
    """What was tried, in words."""
    parts = [f"{name} is {in_words(value)}" for name, value in (each.fields.get("changes") or {}).items()]
    return ", ".join(parts) or "nothing changed"


def asked(here: Here, brought: dict[str, Any]) -> dict[str, Any]:
    """The boxes, and which values differ from the case's own. Features that nobody can change are shown and locked. brought: values to start with."""
    names = list(dict.fromkeys([*load_case.top_features(here.opened), *brought]))
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
            value = box(here, known, own, brought.get(name, own), locked=locked)
            if value != own and not locked:
                changes[name] = value
    return changes


def box(here: Here, known: Column, own: Any, first: Any, *, locked: bool) -> Any:
    """The box of one feature, which stands on `first` at first; gives what is chosen. Each link that brings values has boxes of its own."""
    edges = here.row.version.edges.get(known.reference)
    label = formatting.plain(known.name[:60]) + (" :material/lock:" if locked else "")
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
        moved = st.slider(
            label,
            low,
            high,
            begun,
            key=key,
            disabled=locked,
            width=240,
            step=step_,
            format=f"%.{decimals}f" if decimals < DECIMALS else None,
        )
        return own if abs(moved - start) < step_ / 2 else moved
    if known.kind == "boolean":
        options: list[Any] = [False, True]
    else:
        options = list(edges.levels[:200]) if edges else []
    options = [*dict.fromkeys(each for each in (own, first) if each is not None and each not in options), *options]
    return st.selectbox(
        label,
        options,
        index=options.index(first) if first in options else None,
        key=key,
        disabled=locked,
        width=210,
        format_func=in_words,
        placeholder="missing",
    )
