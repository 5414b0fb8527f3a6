"""The page of a weekly review: choice of the week, draft, freezing, steps, downloads and forms.

Figures are read from the frozen week or from its draft; nothing is computed again.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.core.time import aware_utc
from observability.core.weeks import Week
from observability.dashboard import empty_states, frame, load, person_name
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.replica_line import is_done_at_owner
from observability.dashboard.review import draft, load_review, week_calendar
from observability.dashboard.scope import Scope, scope_from_state
from observability.dashboard.widgets import answer_or_error, progress_bar
from observability.export import review as export_review
from observability.export import review_deck
from observability.review import freeze, meeting
from observability.review.agenda import Arranged, arranged_agenda
from observability.review.freeze import FrozenWeek
from observability.review.snapshot import Body

if TYPE_CHECKING:
    from pandas import DataFrame

HALF_A_WEEK = timedelta(days=3.5)
DRAFT_HELP = "What the review would show if the week were frozen now. Nothing is stored."
STEP_TITLES = {
    "agenda": "Agenda",
    "promises": "Action items",
    "fleet": "Fleet",
    "incidents": "Incidents",
    "performance": "Performance",
    "inputs": "Inputs",
    "fairness": "Fairness",
    "alerts": "Alerts",
    "spending": "Cost",
    "changes": "Changes",
    "decide": "Decisions",
}
"""Titles of the steps by their names in the address."""
STEP_NAMES = tuple(STEP_TITLES)
STEPS_WITH_FORMS = ("agenda", "promises", "incidents", "fairness", "decide")
"""Steps that have forms, for which the author's name is needed."""
STEPS_WITH_FORMS_WHEN_CLOSED = ("promises", "decide")
"""Steps whose forms stay after the meeting was closed, because actions are still updated then, and the meeting can be opened again."""


@dataclass(frozen=True)
class ReviewPage:
    """A week as one participant sees it. said: notes and outcomes, oldest first; author: the name of this participant; is_draft: the week
    is not frozen, so nothing can be written.
    """

    body: Body
    step: str
    said: tuple[dict[str, Any], ...]
    author: str | None
    is_draft: bool = False

    @property
    def review(self) -> str:
        """The id of the review."""
        return str(self.body["review"])

    @property
    def agenda(self) -> Arranged:
        """The agenda as the participants have arranged it."""
        return arranged_agenda(export_review.items_of(self.body), self.said)

    @property
    def ended(self) -> dict[str, dict[str, Any]]:
        """The outcome of each closed item."""
        return freeze.item_outcomes(self.said)

    @property
    def is_open(self) -> bool:
        """Whether outcomes and notes can be written: the week is frozen and the meeting is not closed."""
        return not self.is_draft and not meeting.closed_by(self.said)

    @property
    def read_only_words(self) -> str:
        """Why nothing can be written here without an author."""
        if self.is_draft:
            return "This is a draft: freeze the week to decide and to write."
        return "The meeting is closed." if meeting.closed_by(self.said) else person_name.why_not_saved()

    def model(self, name: str | None) -> Body | None:
        """The part of one model."""
        return next((each for each in self.body["models"] if each["model"] == name), None)

    def finding(self, id_: str | None) -> Body | None:
        """A frozen finding by its id."""
        found = (one for part in self.body["models"] for one in part["findings"] if one["id"] == id_)
        return next(found, None)


def open_review() -> ReviewPage:
    """The week that the address names, frozen or as a draft. If it names none, draws the choice of a week and stops the page."""
    frozen, drafts = load_review.frozen_reviews(), draft.drafted_weeks()
    names = [each.review for each in frozen]
    offered = [*names, *(week for week in drafts if week not in names)]
    if "week" in st.query_params:  # written like the option --week of the command line
        st.query_params["review"] = _week_name(st.query_params.pop("week"))
    if offered and "review" not in st.query_params:
        st.query_params["review"] = offered[0]
    if not offered:
        _first_freeze()
        draft.draft_progress()
        st.stop()
    chosen = _chosen_week(frozen, offered)
    body = load_review.frozen_review(chosen) if chosen in names else draft.draft_of_week(chosen or "")
    if body is None:
        empty_states.stop_with_empty_state("No week is chosen.", "Choose one above.")
    step, said = st.query_params.get("step", ""), load_review.review_notes(str(chosen))
    return ReviewPage(body, step if step in STEP_NAMES else STEP_NAMES[0], tuple(said), None, chosen not in names)


def _chosen_week(frozen: list[FrozenWeek], offered: list[str]) -> str | None:
    """Draw the choice among the frozen and drafted weeks, beside the form that freezes another week. Returns the chosen week."""
    known = {each.review for each in frozen}
    with st.container(horizontal=True, vertical_alignment="bottom", key="review-weeks"):
        chosen = address_selectbox(
            "review",
            "Week",
            offered,
            words=lambda name: f"{week_words(Week.parse(name))}{'' if name in known else ' (draft)'}",
            placeholder="Choose a week",
            width=320,
            missing="The link names the week {}, which is not frozen here.",
        )
        with st.popover("Calendar", icon=":material/calendar_view_month:", width="content"):
            served = weeks_to_freeze(load.stream_activity(), Week.before_now(datetime.now(UTC)))
            states = week_calendar.week_states(known, set(offered) - known, served, load_review.meetings_written())
            week_calendar.draw_calendar(states, chosen)
        # closed after freezing
        with st.popover("Freeze a week", icon=":material/ac_unit:", width="content", key=f"freeze-after-{len(frozen)}"):
            _freeze_form(frozen)
    draft.draft_progress()
    return chosen


def _week_name(week: str) -> str:
    """A week as reviews write it; any other text unchanged."""
    try:
        return str(Week.parse(week))
    except ObservabilityError:
        return week


def _requested_week(frozen: set[str]) -> Week | None:
    """The week that the address names, if it is not frozen yet; None if it is frozen or the address names no week."""
    named = _week_name(st.query_params.get("review", ""))
    try:
        return None if named in frozen else Week.parse(named)
    except ObservabilityError:
        return None


def _first_freeze() -> None:
    """Draw an explanation of reviews, and the form that freezes the first week."""
    with st.container(border=True):
        st.markdown("**No week is frozen yet.** A review ranks what changed in a week into an agenda: seven items, and what is overdue.")
        _freeze_form([])


def _freeze_form(frozen: list[FrozenWeek]) -> None:
    """Draw the form that freezes a week. It proposes a week that the address names, else the week of the chosen dates, else the usual week
    to review.
    """
    last = Week.before_now(datetime.now(UTC))
    known = {each.review for each in frozen}
    activity = load.stream_activity()
    weeks = weeks_to_freeze(activity, last)
    chosen = week_of_dates(scope_from_state(st.session_state), weeks)
    offered = _requested_week(known) or chosen or usual_week(activity, [model.name for model in load.catalog().fleet if model.task], last)
    st.markdown("Figures of a frozen week never change. Later labels are shown separately, as *restated since*.")
    weeks += [] if offered in weeks else [offered]
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        week = st.selectbox(
            "Week",
            sorted(weeks, reverse=True),
            sorted(weeks, reverse=True).index(offered),
            lambda week: f"{week_words(week)}{' (frozen)' if str(week) in known else ''}",
            key=f"freeze-week-{offered}",
            help="Complete weeks with predictions, Monday to Sunday in UTC, newest first. Type to search.",
            width=320,
        )
        author = person_name.person_name_box("freeze")
        if draft.may_draft() and st.button("Draft", icon=":material/preview:", key="draft-now", help=DRAFT_HELP):
            st.query_params["review"] = str(week)
            draft.start_draft(week, datetime.now(UTC))
            st.rerun()
        freezes = st.button("Freeze", icon=":material/ac_unit:", disabled=author is None, key="freeze-now")
    if str(week) in known:
        st.caption(f"{week} is frozen already.")
    if freezes and author:
        _freeze_with_progress(week, author)


def weeks_to_freeze(seen: "DataFrame", last: Week) -> list[Week]:
    """The complete weeks up to `last` in which some model was in production, oldest first. seen: the activity of the streams."""
    rows = seen[seen["environment"] == "production"]
    found: set[Week] = set()
    for first, newest in zip(rows["first"], rows["last"]):
        week, end = Week.of(aware_utc(first.to_pydatetime())), min(Week.of(aware_utc(newest.to_pydatetime())), last)
        while week <= end:
            found.add(week)
            week = week.back(-1)
    return sorted(found)


def week_of_dates(scope: Scope, weeks: Sequence[Week]) -> Week | None:
    """The week in which the chosen dates end, if it is one of `weeks`; None if the time range is relative."""
    if scope.span != "dates" or scope.end is None:
        return None
    week = Week.of(scope.end - timedelta(microseconds=1))
    return week if week in weeks else None


def usual_week(seen: "DataFrame", registered: Collection[str], last: Week) -> Week:
    """The default week to review. While some model is live, this is the last complete week. Otherwise it is the week with the most
    registered models in production, the newest of several. A model counts for a week if it has records from the week's first half.

    seen: the activity of the streams. registered: the names of the registered models. last: the last complete week.
    """
    covered: dict[Week, set[str]] = {}
    rows = seen[seen["environment"] == "production"]
    for model, first, newest in zip(rows["model"], rows["first"], rows["last"]):
        week, end = Week.of(aware_utc(first.to_pydatetime())), Week.before_now(aware_utc(newest.to_pydatetime()) + HALF_A_WEEK)
        while week <= end:
            covered.setdefault(week, set()).add(model)
            week = week.back(-1)
    if not covered or max(covered) >= last:
        return last
    return max(covered, key=lambda week: (len(covered[week].intersection(registered)), week))


def _freeze_with_progress(week: Week, author: str) -> None:
    """Freeze the week while a progress bar is shown, then open its review."""
    if is_done_at_owner("Weeks are frozen", "review"):
        return
    store, now = load.store().whole_groups(), datetime.now(UTC)  # the frozen week is the same for everybody
    with progress_bar("Checking the week") as note:

        def progress(share: float, words: str) -> None:
            note(share, words.capitalize())

        frozen = answer_or_error(lambda: freeze.freeze(store, week, author=author, now=now, progress=progress))
    if frozen is not None:
        st.query_params["review"] = str(week)
        st.query_params.pop("step", None)
        st.rerun()


def week_words(week: Week) -> str:
    """`2013-W27, 1 to 7 Jul 2013`."""
    return f"{week}, {formatting.format_span(week.start, week.end)}"


def step_navigation(room: ReviewPage) -> None:
    """Draw the choice of the step, and buttons (also the arrow keys) for the previous and the next step."""
    place, last = STEP_NAMES.index(room.step), len(STEP_NAMES) - 1

    def to(name: str) -> None:
        st.query_params["step"] = name

    def arrow(label: str, side: str, key: str, target: int) -> None:
        name, outside = STEP_NAMES[min(max(target, 0), last)], not 0 <= target <= last
        icon = f":material/arrow_{'back' if side == 'Left' else 'forward'}:"
        st.button(label, icon=icon, shortcut=side, key=key, disabled=outside, on_click=to, args=(name,))

    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="review-steps"):
        arrow("Back", "Left", "step-back", place - 1)
        arrow("Next", "Right", "step-next", place + 1)
        st.session_state["step-box"] = room.step
        style: dict[str, Any] = {"label_visibility": "collapsed", "required": True, "key": "step-box"}
        style["on_change"] = lambda: to(st.session_state["step-box"] or room.step)
        st.segmented_control("Step", STEP_NAMES, format_func=STEP_TITLES.__getitem__, **style)


def review_downloads(room: ReviewPage) -> None:
    """Draw the week as printable HTML, slides, PDF, minutes as CSV, summary as Markdown, and frozen figures as JSON."""
    now, name, store = load.page_clock(), room.review, load.store()
    files: list[tuple[str, str, str, Callable[[], str | bytes]]] = [
        ("html", "HTML", "text/html", lambda: export_review.review_html(store, name, now)),
        ("slides.html", "Slides", "text/html", lambda: review_deck.review_deck(store, name, now)),
        ("csv", "Minutes (CSV)", "text/csv", lambda: export_review.minutes(store, name, now)),
        ("md", "Summary (Markdown)", "text/markdown", lambda: export_review.review_markdown(store, name, now)),
        ("json", "JSON", "application/json", lambda: freeze.canonical_week(export_review.review_json(store, room.body, now)).decode()),
    ]
    if find_spec("weasyprint"):
        files.insert(4, ("pdf", "PDF", "application/pdf", lambda: export_review.pdf(store, name, now)))
    with st.container(horizontal=True, gap="small"):
        for ending, label, kind, content in files:
            frame.download_button(f"review-{name}.{ending}", content, label, key=f"review-{ending}", kind=kind)
    if not find_spec("weasyprint"):
        st.caption("PDF needs weasyprint (pip install weasyprint); the HTML prints to A4.")


def form_turn(form: str) -> int:
    """The turn of a form in this session: a number in the keys of its boxes. Saving starts a new turn, so the boxes are empty again."""
    return int(st.session_state.setdefault(f"turn-{form}", 0))


def next_form_turn(form: str) -> None:
    """Start the next turn of a form after it was saved."""
    st.session_state[f"turn-{form}"] = form_turn(form) + 1


def agenda_record(room: ReviewPage, item: str, does: str, **more: Any) -> dict[str, Any]:
    """A record about an item."""
    return {"kind": "agenda", "review": room.review, "item": item, "author": room.author, "does": does, **more}
