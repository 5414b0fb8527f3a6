"""A review in which several people write at the same time. Its shared parts show within seconds what other people saved, and who has which
part open.

A shared part reruns on its own. The boxes in which people write are outside the shared parts, so no text and no cursor position is lost
when a part is drawn again.
"""

from collections.abc import Callable
from dataclasses import replace

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from observability.core import formatting
from observability.dashboard import person_name, time_zone
from observability.dashboard.review import load_review, presence
from observability.dashboard.review.review import STEP_TITLES, ReviewPage
from observability.review import meeting

EVERY = "4s"


def shared_part(room: ReviewPage, key: str, draw: Callable[[ReviewPage], None]) -> None:
    """Draw a part of the review now and every few seconds, each time with the present notes and outcomes. key: unique on the page."""

    @st.fragment(run_every=EVERY)
    def refreshed() -> None:
        draw(replace(room, said=tuple(load_review.review_notes(room.review))))

    with st.container(key=f"self-refreshing-{key}"):
        refreshed()


def meeting_line(room: ReviewPage, part: str) -> None:
    """Remember that this person has a part of the review open. Draw who else is in the review and in which part, and whether the meeting
    was closed. part: an item or a step.
    """
    presence.note_presence(room.review, _session(), person_name.person_name_or_default(), part)
    if closed := meeting.closed_by(room.said):
        when = time_zone.named_minute(closed["at"])
        st.info(formatting.escape_markdown(f"The meeting was closed by {closed['author']}, {when}. Open it again under Decisions."))
    others = presence.people_elsewhere(room.review, _session())
    if others:
        titles = {item.item: item.title.replace("`", "") for item in (*room.agenda.items, *room.agenda.folded)}
        where = [f"{formatting.join_words(names)} ({_part_words(each, titles)})" for each, names in sorted(others.items())]
        st.caption(f":material/group: {formatting.escape_markdown(f'Also here now: {formatting.join_words(where)}.')}")


def part_in_address(room: ReviewPage) -> str:
    """The part of the review that is open on this page: the item in the address or the chosen action item, else the step."""
    chosen = {"agenda": st.query_params.get("item"), "promises": st.session_state.get("promise")}.get(room.step)
    return str(chosen or room.step)


def open_now_words(room: ReviewPage, part: str) -> str:
    """A sentence that states who else has a part of the review open; empty if nobody has."""
    names = presence.people_elsewhere(room.review, _session()).get(part, [])
    return f"{formatting.join_words(names)} {'has' if len(names) == 1 else 'have'} this open now." if names else ""


def open_now_line(room: ReviewPage, part: str) -> None:
    """Draw who else has a part of the review open; nothing if nobody has."""
    if words := open_now_words(room, part):
        st.caption(f":material/edit: {formatting.escape_markdown(words)}")


def _part_words(part: str, titles: dict[str, str]) -> str:
    """A part in words: the title of the step or of the item."""
    return STEP_TITLES.get(part) or formatting.truncate(titles.get(part, "an action item"), 50)


def _session() -> str:
    """The id of this session."""
    context = get_script_run_ctx()
    return context.session_id if context else ""
