"""Cases that people saved with a title, a note and a collection: the form on a case, and the list on the page Find a case.

A saved case is a record of kind `saved_case`. A change or a removal is another record with the same id.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.catalog import Model
from observability.dashboard import links, load, person_name
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.bulk_verdicts import bulk_verdict_form
from observability.dashboard.case.case import CasePage
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import NOT_SAVED, cut_note, note_line, plain_error, save_records
from observability.records.values import new_record_id
from observability.store.types.decision_items import DecisionItem

MAX_SHOWN, MAX_LISTED = 5, 200
LONGEST_TITLE, LONGEST_NOTE = 120, 2000
SAVED = (
    column("title", "Saved case", strong=True),
    column("note", "Note", wide=True, phone=False),
    column("model", "Model", phone=False),
    column("by", "Saved by", short=True),
)
BLANK = " "
"""Written to clear a note or a collection. In a later record an empty field means "unchanged", so a space is needed to clear it."""
TURN = "saved-case-turn"
"""The key of the session state that counts saves, so that a form is empty after each save."""


def saved_case_record(about: Mapping[str, str], author: str, name: str | None = None, **fields: Any) -> dict[str, Any]:
    """The record that saves a case or changes a saved case. about: model and prediction. name: the id of the saved case; by default a new
    one.
    """
    kept = {key: value for key, value in fields.items() if value}
    return {"kind": "saved_case", "saved_case": name or new_record_id(), "author": author, **about, **kept}


def save_case_form(here: CasePage) -> None:
    """Draw the titles under which the case is already saved, and the form that saves it."""
    for item in load_case.saved_case_items(here.row.model.name):
        if item.fields["prediction"] == here.row.id:
            note_line(item.first.at, item.first.author, title_of(item), note_of(item), strong=True)
    key = f"saved-case-{case_decisions.form_round(here)}"
    author = person_name.person_name_box(here.key("saved-case-author"), here.row.model.name)
    title = st.text_input("Title", key=here.key(f"{key}-title"), max_chars=LONGEST_TITLE, placeholder="What the case shows").strip()
    note = st.text_area("Note", key=here.key(f"{key}-note"), max_chars=LONGEST_NOTE, height=90, placeholder="Why it is worth keeping")
    collection = _collection_box(here.key(f"{key}-collection"), load_case.saved_case_items(), None)
    if st.button("Save the case", icon=":material/bookmark_add:", key=here.key(f"{key}-save")):
        if not title:
            plain_error("A saved case needs a title.")
            return
        record = saved_case_record(
            {"model": here.row.model.name, "prediction": here.row.id},
            author or "",
            title=title,
            note=note.strip(),
            collection=collection,
            answer=here.row.selector,
        )
        case_decisions.save_case_records(here, [record], author, done="Saved. It is listed under Investigate.")


def saved_cases_section(scope: Scope) -> None:
    """Draw the list of saved cases, the collections folded below it, and the actions for them; nothing if no case is saved."""
    items = load_case.saved_case_items(scope.model)
    if not items:
        return
    st.header("Saved cases", anchor=False)
    collections = by_collection(items[:MAX_LISTED])
    single = collections.pop("", [])
    if single:
        _table("saved-cases", "Saved cases", single[:MAX_SHOWN], scope)
    if more := single[MAX_SHOWN:]:
        with st.expander(formatting.plural(len(more), "more saved case"), icon=":material/unfold_more:"):
            _table("more-saved-cases", "More saved cases", more, scope)
    for place, (name, own) in enumerate(collections.items()):
        with st.expander(formatting.escape_markdown(f"{name}: {formatting.plural(len(own), 'case')}"), icon=":material/bookmarks:"):
            _table(f"collection-{place}", f"Collection {name}", own, scope)
    cut_note(len(items), MAX_LISTED, "The {0} newest of {1} saved cases.")
    with st.container(horizontal=True, gap="small"):
        change_form(items)
        if scope.model:
            predictions = [str(item.fields["prediction"]) for item in items]
            bulk_verdict_form(load.catalog().model(scope.model), predictions, "saved", "Verdict on saved cases")


def _table(key: str, caption: str, items: Sequence[DecisionItem], scope: Scope) -> None:
    """Draw a table of saved cases; columns without any value, and the model if one is chosen, are left out."""
    rows = [saved_case_row(item, scope) for item in items]
    left_out = {"model"} if scope.model else set()
    left_out |= {each["key"] for each in SAVED if all(row["cells"][each["key"]]["t"] == formatting.DASH for row in rows)}
    draw_table(key, caption, [each for each in SAVED if each["key"] not in left_out], rows, compact=True)


def bulk_save_form(model: Model, predictions: Sequence[str], key: str) -> None:
    """Draw the form that saves several of the listed cases in a collection, with one note. key: unique on the page."""
    listed, turn = list(dict.fromkeys(predictions)), int(st.session_state.get(TURN, 0))
    own = f"{key}-save-{turn}"
    with st.popover("Save several", icon=":material/bookmark_add:", key=f"{own}-several"):
        every = st.checkbox(f"All {len(listed)} of the list", key=f"{own}-all")
        chosen = listed if every else st.multiselect("Cases to save", listed, key=f"{own}-cases", placeholder="Choose")
        author = person_name.person_name_box(f"{own}-author", model.name)
        collection = _collection_box(f"{own}-collection", load_case.saved_case_items(), None)
        note = st.text_area("Note", key=f"{own}-note", max_chars=LONGEST_NOTE, height=90, placeholder="What they have in common").strip()
        words = f"Save {formatting.plural(len(chosen), 'case')}"
        if not st.button(words, icon=":material/bookmark_add:", key=f"{own}-go", disabled=not chosen):
            return
        if not author:
            st.error(person_name.why_not_saved(), icon=":material/person:")
            return
        if not collection:
            plain_error("Cases that are saved together need a collection.")
            return
        records = [
            saved_case_record({"model": model.name, "prediction": name}, author, collection=collection, note=note) for name in chosen
        ]
        if not save_records(records, NOT_SAVED):
            return
    st.session_state[TURN] = turn + 1
    st.toast(
        formatting.escape_markdown(f"Saved {formatting.plural(len(records), 'case')} in {collection}."), icon=":material/bookmark_add:"
    )
    st.rerun()


def by_collection(items: Sequence[DecisionItem]) -> dict[str, list[DecisionItem]]:
    """Saved cases by their collection, in the given order; those without a collection are under an empty name."""
    found: dict[str, list[DecisionItem]] = {}
    for item in items:
        found.setdefault(collection_of(item), []).append(item)
    return found


def saved_case_row(item: DecisionItem, scope: Scope) -> dict[str, Any]:
    """One saved case, as a link to it."""
    fields = item.fields
    link = links.case_link(title_of(item), str(fields["prediction"]), str(fields["model"]), scope, fields.get("answer"))
    return table_row(
        title={**link, "sub": str(fields["prediction"])[:80] if fields.get("title") else None},
        note=note_of(item)[:400] or None,
        model=str(fields["model"]),
        by={"t": item.first.author[:40], "sub": formatting.format_day(item.first.at)},
    )


def title_of(item: DecisionItem) -> str:
    """The title of a saved case; if it has none, the id of its prediction."""
    return str(item.fields.get("title") or item.fields["prediction"])


def collection_of(item: DecisionItem) -> str:
    """The collection of a saved case; empty without one."""
    return str(item.fields.get("collection") or "").strip()


def note_of(item: DecisionItem) -> str:
    """The note of a saved case; empty without one."""
    return str(item.fields.get("note") or "").strip()


def change_form(items: Sequence[DecisionItem]) -> None:
    """Draw the form that renames a saved case, changes its note or collection, or removes it from the list."""
    turn = int(st.session_state.get(TURN, 0))
    with st.popover("Rename or remove", type="tertiary", icon=":material/edit:", key="saved-case-change"):
        names = {item.id: f"{title_of(item)} ({item.fields['prediction']})"[:160] for item in items}
        chosen = st.selectbox("Which", list(names), format_func=names.__getitem__, key=f"saved-case-which-{turn}")
        item = next(each for each in items if each.id == chosen)
        author, key = person_name.person_name_box("saved-case-person"), f"{item.id}-{turn}"
        title = st.text_input("Title", title_of(item), key=f"saved-title-{key}", max_chars=LONGEST_TITLE).strip()
        note = st.text_area("Note", note_of(item), key=f"saved-note-{key}", max_chars=LONGEST_NOTE, height=90).strip()
        collection = _collection_box(f"saved-collection-{key}", items, collection_of(item) or None)
        with st.container(horizontal=True, gap="small"):
            saved = st.button("Save the changes", icon=":material/save:", key="saved-case-save")
            removed = st.button("Remove from the list", type="tertiary", icon=":material/bookmark_remove:", key="saved-case-remove")
        if not (saved or removed):
            return
        if not author:
            st.error(person_name.why_not_saved(), icon=":material/person:")
            return
        if saved and not title:
            plain_error("A saved case needs a title.")
            return
        about = {name: str(item.fields[name]) for name in ("model", "prediction")}
        fields = {"state": "withdrawn"} if removed else {"title": title, "note": note or BLANK, "collection": collection or BLANK}
        if not save_records([saved_case_record(about, author, item.id, **fields)], NOT_SAVED):
            return
    st.session_state[TURN] = turn + 1
    st.toast("Removed from the list." if removed else "Saved.", icon=":material/check_circle:")
    st.rerun()


def _collection_box(key: str, items: Sequence[DecisionItem], chosen: str | None) -> str | None:
    """Draw the box for the collection, with existing collections as suggestions (a new one can be typed), and return the choice; None
    without one.
    """
    known = sorted({name for item in items if (name := collection_of(item))}, key=str.casefold)
    index = known.index(chosen) if chosen in known else None
    box = st.selectbox("Collection", known, index, key=key, accept_new_options=True, placeholder="None, or type a new one")
    return (box or "").strip()[:LONGEST_TITLE] or None
