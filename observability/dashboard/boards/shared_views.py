"""Shared views: a page in its scope, saved under a name. Everybody finds them in the palette and on the page Dashboards.

A shared view is a record of kind `dashboard` that names a page; a removal is another record with the same id. Pinned views are personal:
the palette stores them in the browser.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links, person_name
from observability.dashboard.boards.boards import board_record, fields_of_place, place_of_fields, scope_words
from observability.dashboard.boards.load_boards import scope_dates_words, stored_dashboards
from observability.dashboard.frame import SHARE_ASKED, AskedShare
from observability.dashboard.page_figures import FigurePlace
from observability.dashboard.sign_in import current_person
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import save_records
from observability.records.values import new_record_id
from observability.store.types.decision_items import DecisionItem

SHARED_AS = "view-shared-as"
LONGEST_NAME = 120
COLUMNS = (
    column("name", "Shared view", strong=True),
    column("page", "Page"),
    column("scope", "Scope", wide=True, phone=False),
    column("by", "Shared by", phone=False),
)


@dataclass(frozen=True)
class SharedView:
    """A page in its scope, with the name of the view. author: who shared it."""

    id: str
    name: str
    place: FigurePlace
    author: str
    shared_at: datetime

    @property
    def link(self) -> dict[str, Any]:
        """The link to the page in its scope, with its own parameters."""
        own = {name: values[0] for name, values in self.place.parameters if values}
        return links.link_cell(self.name, self.place.page, self.place.scope, **own)


def read_shared_views(items: Sequence[DecisionItem]) -> list[SharedView]:
    """The shared views of the store's items, by name; views of removed pages are left out."""
    found = [
        SharedView(item.id, str(item.fields.get("name") or "View"), place_of_fields(item.fields), item.first.author, item.first.at)
        for item in items
        if item.kind == "dashboard" and item.fields.get("page") in links.page_files()
    ]
    return sorted(found, key=lambda view: (view.name.casefold(), view.id))


def visible_views() -> list[SharedView]:
    """The shared views that the person who is signed in may see, by name."""
    return read_shared_views(stored_dashboards())


def shared_view_record(place: FigurePlace, name: str, author: str) -> dict[str, Any]:
    """The record that shares a page under a name."""
    fields = {"name": name.strip()[:LONGEST_NAME], "visibility": "shared", **fields_of_place(place)}
    return board_record(new_record_id(), author, **fields)


def asked_share_dialog() -> None:
    """Draw the dialog for the view that a person asked to share, and confirm that the last view was shared."""
    if name := st.session_state.pop(SHARED_AS, None):
        st.toast(f"Shared as {formatting.escape_markdown(name)}: everybody finds it in the search.", icon=":material/share:")
    asked = st.session_state.pop(SHARE_ASKED, None)
    if asked is not None:
        _share_dialog(asked)


@st.dialog("Share this view", width="medium")
def _share_dialog(asked: AskedShare) -> None:
    """Draw the form: the name of the view, and who shares it."""
    title = links.page_description(links.page_files()[asked.place.page])[0]
    scope = asked.place.scope
    words = scope_words(scope, scope_dates_words(scope))
    author = person_name.person_name_box("share-person")
    name = st.text_input("Name of the view", asked.name or f"{title}: {words}"[:LONGEST_NAME], max_chars=LONGEST_NAME, key="share-name")
    who = "Everybody here" if current_person().source == "here" else "Everybody who may see its model"
    st.caption(formatting.escape_markdown(f"{who} finds it in the search and under Dashboards: {title}, {words}."))
    if author is None:
        st.caption(person_name.why_not_saved(["share"]))
    off = author is None or not name.strip()
    if st.button("Share", icon=":material/share:", key="share-save", disabled=off) and author:
        record = shared_view_record(asked.place, name, author)
        if save_records([record]):
            st.session_state[SHARED_AS] = record["name"]
            st.rerun()


def draw_shared_views(views: Sequence[SharedView]) -> None:
    """Draw the shared views as a table of links, and the form that removes a view; nothing if there are none."""
    if not views:
        return
    st.header("Shared views", anchor=False)
    rows = [
        table_row(
            name=view.link,
            page=links.page_description(links.page_files()[view.place.page])[0],
            scope=scope_words(view.place.scope, scope_dates_words(view.place.scope)),
            by={"t": view.author[:40], "sub": formatting.format_day(view.shared_at)},
        )
        for view in views
    ]
    draw_table("shared-views", "Shared views by name", COLUMNS, rows, compact=True, sort=True)
    _removal_form({view.id: view for view in views})


def _removal_form(views: dict[str, SharedView]) -> None:
    """Draw the form that removes a shared view for everybody."""
    with st.popover("Remove a view", type="tertiary", icon=":material/delete:", key="shared-view-change"):
        chosen = st.selectbox("Which", list(views), format_func=lambda each: views[each].name, key="shared-view-which")
        author = person_name.person_name_box("shared-view-person")
        if author is None:
            st.caption(person_name.why_not_saved(["remove"]))
        asked = st.button("Remove for everybody", icon=":material/delete:", key="shared-view-remove", disabled=author is None)
        if asked and author and save_records([board_record(chosen, author, state="withdrawn")]):
            st.rerun()
