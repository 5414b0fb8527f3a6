"""The settings of a dashboard: its name, who sees it, when its summary is sent, and its removal."""

import streamlit as st

from observability.alerts.config import read_alert_config
from observability.core.errors import ObservabilityError
from observability.dashboard import links, load, person_name
from observability.dashboard.boards.boards import Board, board_record
from observability.dashboard.replica_line import is_done_at_owner
from observability.dashboard.sign_in import current_person
from observability.dashboard.widgets import plain_caption, plain_error, save_records
from observability.records.kinds import WEEKDAYS
from observability.server.dashboard_access import may_send_to

SENDS = {"never": "Never", "daily": "Daily", **{day: f"{day.capitalize()}s" for day in WEEKDAYS}}


def settings_popover(board: Board) -> None:
    """Draw the settings of a dashboard in a popover."""
    with st.popover("Settings", type="tertiary", icon=":material/tune:", key="board-settings"):
        author = person_name.person_name_box("board-settings-person")
        name = st.text_input("Name", board.name, max_chars=120, key=f"board-name-{board.id}").strip()
        shared = board.shared
        if current_person().source != "here":
            shared = st.toggle("Shared with everybody who may see its models", board.shared, key=f"board-shared-{board.id}")
        schedule = _schedule_boxes(board)
        if author is None:
            st.caption(person_name.why_not_saved(["change the settings"]))
        if st.button("Save", icon=":material/save:", key="board-settings-save", disabled=author is None) and author and name:
            fields = {"name": name, "visibility": "shared" if shared else "private", **schedule}
            if save_records([board_record(board.id, author, **fields)]):
                st.rerun()
        if (
            st.button("Remove the dashboard", type="tertiary", icon=":material/delete:", key="board-remove", disabled=author is None)
            and author
            and save_records([board_record(board.id, author, state="withdrawn")])
        ):
            links.follow_link(links.link_cell("", "dashboards", board.scope)["go"])


def _schedule_boxes(board: Board) -> dict[str, object]:
    """Draw the boxes of the schedule, and return its fields if they changed. The summary is then sent with the rights of the person who
    saves these fields.
    """
    if is_done_at_owner("Summaries are scheduled", "dashboards"):
        return {}
    try:
        config = read_alert_config(load.home())
    except ObservabilityError as error:
        plain_error(error)
        return {}
    if not config.channels:
        st.caption("To send a summary, add a channel on the page Alerts.")
        return {}
    channels = [name for name in config.channels if may_send_to(current_person(), name, load.home())]
    if board.send != "never" and board.channel is not None and board.channel not in channels:
        channels.insert(0, board.channel)
    if not channels:
        st.caption("An administrator sends summaries, or opens a channel to analysts.")
        return {}
    send = st.selectbox("Send a summary", list(SENDS), list(SENDS).index(board.send), SENDS.__getitem__, key=f"board-send-{board.id}")
    if send == "never":
        return {"send": send} if board.send != "never" else {}
    at = channels.index(board.channel) if board.channel in channels else 0
    channel = st.selectbox("To", channels, at, key=f"board-channel-{board.id}")
    hour = int(st.number_input(f"Hour ({config.zone.key})", 0, 23, board.hour, key=f"board-hour-{board.id}"))
    changed = (send, channel, hour) != (board.send, board.channel, board.hour)
    sender = "you" if changed or board.sent_by is None else board.sent_by
    plain_caption(f"Title, state in one sentence and link of each figure, with the rights of {sender}.")
    return {"send": send, "channel": channel, "hour": hour} if changed else {}
