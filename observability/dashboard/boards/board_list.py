"""The list of dashboards, and the form for a new one."""

from collections.abc import Sequence

import streamlit as st

from observability.core import formatting
from observability.dashboard import empty_states, links, person_name
from observability.dashboard.boards.boards import Board, board_record, scope_text, scope_words
from observability.dashboard.boards.load_boards import scope_dates_words
from observability.dashboard.scope import Scope
from observability.dashboard.sign_in import current_person
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.widgets import save_records
from observability.records.values import new_record_id
from observability.server.replica import current_replica

COLUMNS = (
    column("name", "Dashboard", strong=True),
    column("scope", "Scope", wide=True),
    column("figures", "Figures", align="right", phone=False),
    column("seen", "Seen by", phone=False),
    column("sent", "Sent", phone=False),
    column("changed", "Changed", phone=False),
)


def draw_board_list(boards: Sequence[Board], scope: Scope) -> None:
    """Draw the dashboards as a table with links, each in its own scope, and the form for a new one."""
    if boards:
        rows = [
            table_row(
                name=board_link(board),
                scope=scope_words(board.scope, scope_dates_words(board.scope)),
                figures=f"{sum(pin.own is not None for pin in board.pins)}",
                seen=seen_by(board),
                sent="–" if board.send == "never" else f"{sent_when(board)} to {board.channel}",
                changed={"t": formatting.format_day(board.changed_at), "sub": board.author},
            )
            for board in boards
        ]
        draw_table("dashboards", "Dashboards by name", COLUMNS, rows, compact=True, sort=True)
    else:
        empty_states.empty_state(
            "No dashboard yet.", "Choose Pin under any figure, or make an empty one here.", "performance", "Performance"
        )
    _new_board_form(scope)


def board_link(board: Board) -> dict[str, object]:
    """The link to a dashboard in its own scope."""
    return links.link_cell(board.name, "dashboards", board.scope, dashboard=board.id)


def seen_by(board: Board) -> str:
    """Who can see a dashboard, in words. Without sign-in, everybody can."""
    if current_person().source == "here":
        return "Everybody here"
    return "Everybody who may see its models" if board.shared else board.author


def sent_when(board: Board) -> str:
    """When the summary of a dashboard is sent, in words, such as `daily at 07:00`."""
    return f"{'daily' if board.send == 'daily' else board.send.capitalize() + 's'} at {board.hour:02}:00"


def _new_board_form(scope: Scope) -> None:
    """Draw the form for a new dashboard with a name, in the scope of the bar at the top of the page."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        author = person_name.person_name_box("board-person")
        name = st.text_input("New dashboard", key="board-name", max_chars=120, placeholder="Name", width=300).strip()
        made = st.button("Create", icon=":material/add:", key="board-create", disabled=author is None or not name)
    if author is None:
        st.caption(person_name.why_not_saved(["create one"]))
    if made and author:
        board = new_record_id()
        if save_records([board_record(board, author, name=name, scope=scope_text(scope))]):
            if current_replica() is not None:
                st.rerun()  # a line at the top of the page states when the new dashboard will appear here
            links.follow_link(links.link_cell("", "dashboards", scope, dashboard=board)["go"])
