"""Pin a figure to a dashboard. The button under a figure stores the request; the shell then draws the dialog, which writes the records."""

import streamlit as st

from observability.core import formatting
from observability.dashboard import links, person_name
from observability.dashboard.boards.boards import (
    FOLLOWS,
    WIDTHS,
    Board,
    board_record,
    figure_fields,
    new_pin_record,
    scope_text,
    scope_words,
)
from observability.dashboard.boards.load_boards import visible_boards
from observability.dashboard.frame import PIN_ASKED, AskedPin
from observability.dashboard.page_figures import FigurePlace
from observability.dashboard.scope import Scope
from observability.dashboard.widgets import save_records
from observability.records.values import new_record_id

PINNED = "pinned-to"


def asked_pin_dialog() -> None:
    """Draw the dialog for the figure that a person asked to pin, and show to which dashboard the last figure was pinned."""
    if name := st.session_state.pop(PINNED, None):
        st.toast(f"Pinned to {formatting.escape_markdown(name)}.", icon=":material/keep:")
    asked = st.session_state.pop(PIN_ASKED, None)
    if asked is not None:
        _pin_dialog(asked)


@st.dialog("Pin to a dashboard", width="medium")
def _pin_dialog(asked: AskedPin) -> None:
    """Draw the form with dashboard, title, scope and width."""
    parameters = tuple((name, tuple(values)) for name, values in asked.parameters.items())
    place = FigurePlace(asked.page, asked.scope, parameters)
    boards = {board.id: board for board in visible_boards()}
    author = person_name.person_name_box("pin-person")
    names = {board.id: board.name for board in boards.values()}
    chosen = st.selectbox(
        "Dashboard",
        list(names),
        index=0 if names else None,
        format_func=lambda value: names.get(value, value),
        accept_new_options=True,
        placeholder="Type the name of a new dashboard",
        key="pin-board",
        help="Choose one, or type a new name.",
    )
    title = st.text_input(
        "Title", f"{links.page_description(links.page_files()[asked.page])[0]}: {words_of_figure(asked.figure)}", max_chars=120
    )
    follows = st.radio("Scope", list(FOLLOWS), format_func=FOLLOWS.__getitem__, key="pin-follows")
    st.caption(formatting.escape_markdown(f"Its own scope: {scope_words(asked.scope)}."))
    width = st.segmented_control("Width", list(WIDTHS), default="half", format_func=WIDTHS.__getitem__, required=True, key="pin-width")
    if author is None:
        st.caption(person_name.why_not_saved(["pin"]))
    if st.button("Pin", icon=":material/keep:", key="pin-save", disabled=author is None or not chosen) and author and chosen:
        board = boards.get(chosen)
        records, name = pin_records(board, chosen, author, place, asked.figure)
        records[-1] |= {"title": title.strip(), "follows": follows, "width": width}
        if save_records(records):
            st.session_state[PINNED] = name
            st.rerun()


def pin_records(board: Board | None, name: str, author: str, place: FigurePlace, figure: str) -> tuple[list[dict[str, object]], str]:
    """The records that pin a figure, and the name of the dashboard. board: None if a new dashboard with this name is to be created, in the
    figure's time range.
    """
    board_id = board.id if board else new_record_id()
    dates = Scope(span=place.scope.span, start=place.scope.start, end=place.scope.end)
    made = [] if board else [board_record(board_id, author, name=name.strip()[:120], scope=scope_text(dates))]
    return [*made, new_pin_record(board, board_id, author, **figure_fields(place, figure))], board.name if board else name.strip()[:120]


def words_of_figure(key: str) -> str:
    """The name of a figure on its page, in words."""
    return key.replace("-", " ").replace("_", " ")
