"""Which week is reviewed, at which step, and what has been said about it?

The room reads one frozen week; nothing in it is computed anew, so a step is drawn at once.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.time import aware_utc
from observability.core.weeks import Week
from observability.dashboard import empty_states, frame, load, person_name
from observability.dashboard.choice_box import choose
from observability.dashboard.review import load_review
from observability.export import review as export_review
from observability.review import freeze
from observability.review.agenda import Arranged, arranged
from observability.review.freeze import Frozen
from observability.review.snapshot import Body
from observability.store.ingest import record_writer

HALF_A_WEEK = timedelta(days=3.5)
STEPS = ("Agenda", "Promises", "Fleet", "Incidents", "Performance", "Inputs", "Fairness", "Alerts", "Spending", "Changes", "Decide")
SHORT = ("agenda", "promises", "fleet", "incidents", "performance", "inputs", "fairness", "alerts", "spending", "changes", "decide")
"""Steps as the address carries them."""
WRITTEN = ("agenda", "promises", "incidents", "fairness", "decide")
"""Steps in which somebody can write, so that a name is asked for."""


@dataclass(frozen=True)
class Room:
    """A frozen week as the people who meet see it. ended: what items ended in, by item; said: all they said, oldest first; author: who writes here."""

    body: Body
    step: str
    said: tuple[dict[str, Any], ...]
    author: str | None

    @property
    def review(self) -> str:
        """Its id."""
        return str(self.body["review"])

    @property
    def agenda(self) -> Arranged:
        """The agenda as it was arranged."""
        return arranged(export_review.items_of(self.body), self.said)

    @property
    def ended(self) -> dict[str, dict[str, Any]]:
        """What each item ended in."""
        return freeze.outcomes(self.said)

    def model(self, name: str | None) -> Body | None:
        """The part of one model."""
        return next((each for each in self.body["models"] if each["model"] == name), None)

    def finding(self, id_: str | None) -> Body | None:
        """A frozen finding by its id."""
        found = (one for part in self.body["models"] for one in part["findings"] if one["id"] == id_)
        return next(found, None)


def enter() -> Room:
    """The week of the address, or the choice of one; stops where none is frozen."""
    frozen = load_review.reviews()
    names = [each.review for each in frozen]
    if "week" in st.query_params:  # as people spell it who know the command's --week
        st.query_params["review"] = spelled(st.query_params.pop("week"))
    if names and "review" not in st.query_params:
        st.query_params["review"] = names[0]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = None
        if names:
            chosen = choose(
                "review", "Week", names, words=lambda name: words_of(Week.parse(name)), placeholder="Choose a week", width=320,
                missing="The link names the week {}, which is not frozen here.",
            )  # fmt: skip
        begin(frozen)
    body = load_review.review(chosen) if chosen else None
    if body is None:
        step = "Freeze one above: its numbers then stay as they are, and the meeting goes through them step by step."
        empty_states.nothing("No week is frozen yet." if not names else "No week is chosen.", step)
        st.stop()
    return Room(body, step_of(st.query_params.get("step")), tuple(load_review.review_said(str(chosen))), None)


def spelled(week: str) -> str:
    """A week as reviews are named; what is no week stays as it is, and is said to be none."""
    try:
        return str(Week.parse(week))
    except ObservabilityError:
        return week


def asked(frozen: set[str]) -> Week | None:
    """The week that the address names and nobody froze yet; None where it names none, or one that is frozen."""
    named = spelled(st.query_params.get("review", ""))
    try:
        return None if named in frozen else Week.parse(named)
    except ObservabilityError:
        return None


def begin(frozen: list[Frozen]) -> None:
    """Freeze a week: the last one that is over where it is not frozen yet, or any other."""
    last = Week.before_now(datetime.now(UTC))
    known = {each.review for each in frozen}
    newest = newest_week()
    offered = asked(known) or (last if newest is None or newest >= last else newest)
    with st.popover("Freeze a week", icon=":material/ac_unit:", width="content"):
        st.markdown("The numbers of a frozen week never change. What labels say later stands apart, as *restated since*.")
        week = st.text_input("Week", str(offered), key=f"freeze-week-{offered}", help="An ISO week, Monday to Sunday in UTC, as 2013-W27")
        author = person_name.box("freeze")
        if str(offered) in known:
            st.caption(f"{offered} is frozen already.")
        if st.button("Freeze", icon=":material/ac_unit:", disabled=author is None, key="freeze-now") and author:
            freeze_now(week, author)


def newest_week() -> Week | None:
    """The newest week of whose seven days the records of some model cover the first half: one in which they end on Monday would be frozen all but empty."""
    seen = load.activity()
    rows = seen[seen["environment"] == "production"]
    return None if rows.empty else Week.before_now(aware_utc(rows["last"].max().to_pydatetime()) + HALF_A_WEEK)


def freeze_now(text_of_week: str, author: str) -> None:
    """Freeze with progress, then open it."""
    bar = st.progress(0.0, "Looking at the week")

    def note(share: float, words: str) -> None:
        bar.progress(share, formatting.plain(words).capitalize())

    try:
        week = Week.parse(text_of_week)
        freeze.freeze(load.store(), week, author=author, now=datetime.now(UTC), progress=note)
    except ObservabilityError as error:
        bar.empty()
        st.error(formatting.plain(str(error)))
        return
    st.query_params["review"] = str(week)
    st.query_params.pop("step", None)
    st.rerun()


def words_of(week: Week) -> str:
    """`2013-W27, 1 to 7 Jul 2013`."""
    return f"{week}, {formatting.span(week.start, week.end)}"


def step_of(name: str | None) -> str:
    """The step of the address; the agenda where it names none."""
    return name if name in SHORT else SHORT[0]


def steps(room: Room) -> None:
    """Where the meeting is: the steps, and the next and the previous one by button or arrow key."""
    place = SHORT.index(room.step)

    def to(name: str) -> None:
        st.query_params["step"] = name

    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Back", icon=":material/arrow_back:", shortcut="Left", key="step-back", disabled=place == 0, on_click=to, args=(SHORT[max(place - 1, 0)],)
        )  # fmt: skip
        st.button(
            "Next", icon=":material/arrow_forward:", shortcut="Right", key="step-next", disabled=place == len(SHORT) - 1,
            on_click=to, args=(SHORT[min(place + 1, len(SHORT) - 1)],),
        )  # fmt: skip
        st.session_state["step-box"] = room.step
        st.segmented_control(
            "Step", SHORT, format_func=lambda name: STEPS[SHORT.index(name)], key="step-box", label_visibility="collapsed",
            on_change=lambda: to(st.session_state["step-box"] or room.step), required=True,
        )  # fmt: skip


def downloads(room: Room) -> None:
    """The week as a file: HTML that prints, PDF, minutes as CSV, a summary for a chat, the frozen numbers as JSON."""
    now = datetime.now(UTC)
    with st.container(horizontal=True, gap="small"):
        frame.download(f"review-{room.review}.html", lambda: export_review.page(load.store(), room.review, now), "HTML", key="review-html", kind="text/html")  # fmt: skip
        frame.download(
            f"review-{room.review}.csv", lambda: export_review.minutes(load.store(), room.review), "Minutes (CSV)", key="review-csv"
        )
        frame.download(f"review-{room.review}.md", lambda: export_review.summary(load.store(), room.review), "Summary (Markdown)", key="review-md", kind="text/markdown")  # fmt: skip
        if find_spec("weasyprint"):
            frame.download(f"review-{room.review}.pdf", lambda: export_review.pdf(load.store(), room.review, now), "PDF", key="review-pdf", kind="application/pdf")  # fmt: skip
        frame.download(f"review-{room.review}.json", lambda: freeze.canonical(room.body).decode(), "JSON", key="review-json", kind="application/json")  # fmt: skip
    if not find_spec("weasyprint"):
        st.caption("A PDF is made where weasyprint is installed (pip install weasyprint); the HTML prints to A4 from any browser.")


def say(room: Room, records: list[dict[str, Any]]) -> bool:
    """Store what somebody said about this review; False, with the reason on the page, where it could not be kept."""
    try:
        record_writer.write(load.store(), records)
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)))
        return False
    return True


def turn_of(form: str) -> int:
    """Which of its kind a form of this session is: part of its keys, so that it is a new one after it was sent, and stays while others write."""
    return int(st.session_state.setdefault(f"turn-{form}", 0))


def next_turn(form: str) -> None:
    """The form was sent and kept."""
    st.session_state[f"turn-{form}"] = turn_of(form) + 1


def agenda_record(room: Room, item: str, does: str, **more: Any) -> dict[str, Any]:
    """A record about an item."""
    return {"kind": "agenda", "review": room.review, "item": item, "author": room.author, "does": does, **more}


def instant(written_at: str) -> datetime:
    """An instant of the frozen week."""
    return datetime.fromisoformat(written_at)
