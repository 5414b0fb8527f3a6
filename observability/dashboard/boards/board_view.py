"""A dashboard that a person put together: its figures and texts, computed by their own pages, and the tools to arrange them."""

import streamlit as st

from observability.core import formatting
from observability.dashboard import frame, links, load, person_name, sign_in
from observability.dashboard.boards import board_export, board_settings
from observability.dashboard.boards.board_list import board_link
from observability.dashboard.boards.boards import (
    FOLLOWS,
    WIDTHS,
    Board,
    Pin,
    board_record,
    moved_records,
    new_pin_record,
    pin_record,
    places_of_pins,
    rows_of_pins,
    scope_text,
    scope_words,
)
from observability.dashboard.boards.load_boards import scope_dates_words, visible_boards
from observability.dashboard.page_figures import CollectedFigures, figures_of_page
from observability.dashboard.scope import KEYS, SPANS, TIME_KEYS, Scope
from observability.dashboard.widgets import link_button, plain_paragraph, save_records
from observability.server.access import may_do_somewhere

OPENED = "dashboard-opened"
HEIGHT = 330
"""Height in pixels that is reserved for a figure while it is computed."""


def begin_in_own_scope(page: str) -> None:
    """If the address of a dashboard names no scope, start with the dashboard's own scope. Called before the scope bar is drawn."""
    state, named = st.session_state, st.query_params.get("dashboard")
    if page != "dashboards" or named is None:
        state.pop(OPENED, None)
        return
    if state.get(OPENED) == named or any(key in st.query_params for key in KEYS):
        state[OPENED] = named
        return
    state[OPENED] = named
    board = next((board for board in visible_boards() if board.id == named), None)
    if board is not None:
        parts = {"window": SPANS[board.scope.span], **board.scope.parameters()}
        st.query_params.update({key: parts[key] for key in TIME_KEYS if key in parts})
        state.update({key: parts.get(key) for key in ("model", "version", "environment", "slice")})


def chosen_board() -> tuple[list[Board], Board | None]:
    """The dashboards that the person may see, and the one that the address names; None if it names none that they may see."""
    named = st.query_params.get("dashboard")
    boards = visible_boards() if load.catalog().models else []
    board = next((board for board in boards if board.id == named), None)
    if named and board is None and boards:
        st.warning("The link names a dashboard that is not there, or that is not shared with you.", icon=":material/link_off:")
    return boards, board


def draw_board(board: Board, scope: Scope) -> None:
    """Draw a dashboard in the scope of the bar at the top of the page."""
    arranging = _board_tools(board, scope)
    if not board.pins:
        st.markdown(":gray[:material/keep: Nothing is pinned yet. Choose *Pin* in the menu under a figure of any page, or add a text.]")
    _draw_pins(board, scope, arranging=arranging)
    if arranging and (author := person_name.person_name_or_default()):
        _add_text_form(board, author)


def _board_tools(board: Board, scope: Scope) -> bool:
    """Draw the tools for the whole dashboard, and return whether its items are to be arranged."""
    writes = may_do_somewhere(sign_in.current_person(), "write")
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        link_button("All dashboards", links.link_cell("", "dashboards", scope), key="all-dashboards", icon="arrow_back")
        arranging = writes and st.toggle("Arrange", key="board-arrange")
        if writes:
            board_settings.settings_popover(board)
        board_export.export_button(board, scope)
    author = person_name.person_name_box("board-person") if arranging else None
    if arranging and author is None:
        st.caption(person_name.why_not_saved(["arrange"]))
    if scope != board.scope:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            words = scope_words(board.scope, scope_dates_words(board.scope))
            st.caption(formatting.escape_markdown(f"Not the dashboard's saved scope ({words})."), width="content")
            link_button("Back to the saved scope", board_link(board), key="board-scope-back", icon="undo")
            if writes and st.button("Save this scope", type="tertiary", icon=":material/save:", key="board-scope-save"):
                _save(board_record(board.id, person_name.person_name_or_default(), scope=scope_text(scope)))
    return arranging and author is not None


def _draw_pins(board: Board, scope: Scope, *, arranging: bool) -> None:
    """Draw every figure and text in its place: first texts and titles, then the figures, one page after the other."""
    slots = {}
    for row in rows_of_pins(board.pins):
        columns = st.columns(2, gap="large") if row[0].width == "half" else [st.container()]
        for pin, side in zip(row, columns, strict=False):
            with side:
                _pin_head(board, pin, scope, arranging=arranging)
                if pin.own is not None:
                    slots[pin.id] = st.empty()
                    slots[pin.id].skeleton(height=HEIGHT)
    for place, pins in places_of_pins(board.pins, scope).items():
        found = figures_of_page(place, {pin.figure for pin in pins})
        for pin in pins:
            with slots[pin.id].container():
                _draw_figure(pin, found, scope)


def _pin_head(board: Board, pin: Pin, scope: Scope, *, arranging: bool) -> None:
    """Draw the title of an item, the scope of a figure or the content of a text, and the tools to arrange the item."""
    if pin.title:
        st.subheader(formatting.escape_markdown(pin.title), anchor=False)
    if arranging:
        _pin_tools(board, pin)
    for paragraph in filter(None, (part.strip() for part in pin.text.split("\n"))):
        plain_paragraph(paragraph)
    place = pin.shown_place(scope)
    if place is not None:
        st.caption(formatting.escape_markdown(scope_words(place.scope, scope_dates_words(place.scope))))


def _draw_figure(pin: Pin, found: CollectedFigures, scope: Scope) -> None:
    """Draw a figure as on its page, or the reason why it is missing, with a link to the page."""
    figure, place = found.found.get(pin.figure), pin.shown_place(scope)

    def open_page() -> None:
        if place is not None and place.page in links.page_files():
            own = {name: values[0] for name, values in place.parameters if len(values) == 1}
            link_button("Open its page", links.link_cell("", place.page, place.scope, **own), key=f"pin-open-{pin.id}")

    if figure is None:
        st.info(formatting.escape_markdown(found.why_missing(pin.figure)), icon=":material/info:")
        open_page()
        return
    key, columns = f"pin-{pin.id}", dict(figure.columns) if figure.columns else None
    frame.chart_with_table(figure.figure, figure.table, key=key, alt=figure.alt, metrics=figure.metrics, columns=columns, beside=open_page)


def _pin_tools(board: Board, pin: Pin) -> None:
    """Draw buttons that move, widen, change and remove an item."""
    author = person_name.person_name_or_default()
    at = board.pins.index(pin)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for label, icon, steps in (("Up", "arrow_upward", -1), ("Down", "arrow_downward", 1)):
            off = not 0 <= at + steps < len(board.pins)
            if st.button(label, type="tertiary", icon=f":material/{icon}:", key=f"pin-{label}-{pin.id}", disabled=off):
                _save(*moved_records(board, pin, steps, author))
        other = "full" if pin.width == "half" else "half"
        if st.button(f"{WIDTHS[other]} width", type="tertiary", icon=":material/width:", key=f"pin-width-{pin.id}"):
            _save(pin_record(board.id, pin.id, author, width=other))
        with st.popover("Change", type="tertiary", icon=":material/edit:", key=f"pin-change-{pin.id}"):
            _pin_form(board, pin, author)
        if st.button("Remove", type="tertiary", icon=":material/delete:", key=f"pin-remove-{pin.id}"):
            _save(pin_record(board.id, pin.id, author, state="withdrawn"))


def _pin_form(board: Board, pin: Pin, author: str) -> None:
    """Draw the form that changes an item: its title, its text, or, for a figure, which parts of the dashboard's scope apply to it."""
    title = st.text_input("Title", pin.title, max_chars=120, key=f"pin-title-{pin.id}").strip()
    if pin.own is None:
        fields = {"text": st.text_area("Text", pin.text, max_chars=4000, key=f"pin-text-{pin.id}").strip()}
    else:
        chosen = list(FOLLOWS).index(pin.follows)
        fields = {"follows": st.radio("Scope", list(FOLLOWS), chosen, FOLLOWS.__getitem__, key=f"pin-scope-{pin.id}")}
        st.caption(formatting.escape_markdown(f"Its own scope: {scope_words(pin.own.scope)}."))
    if st.button("Save", icon=":material/save:", key=f"pin-save-{pin.id}"):
        _save(pin_record(board.id, pin.id, author, title=title, **fields))


def _add_text_form(board: Board, author: str) -> None:
    """Draw the form for a new text, which is added at the end."""
    turn = len(board.pins)
    with st.container(border=True):
        title = st.text_input("Title of the text", max_chars=120, key=f"text-title-{turn}", placeholder="Optional").strip()
        text = st.text_area("Text", max_chars=4000, key=f"text-{turn}").strip()
        if st.button("Add text", icon=":material/add:", key=f"text-add-{turn}") and (text or title):
            _save(new_pin_record(board, board.id, author, title=title, text=text))


def _save(*records: dict[str, object]) -> None:
    """Save records and, if that succeeds, draw the page again."""
    if save_records(records):
        st.rerun()
