"""What is a case about, and what happened? The prediction that the address names, its facts, the sentence about it, and the times that belong to it."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

from observability.core import formatting
from observability.core.errors import NotFoundError
from observability.core.finding import iso
from observability.core.numerals import worded
from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.dashboard import empty_states, frame, links, load
from observability.dashboard import scope as scopes
from observability.dashboard.case import load_case
from observability.dashboard.case.load_case import Opened
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, row, table
from observability.investigation.evidence_types import Happened, Mark
from observability.investigation.logged_prediction import Row

LOG = logging.getLogger(__name__)
MARKS = {
    "read": "Features read", "scored": "Scored", "acted": "Acted on", "label": "Label arrived", "correction": "Label corrected",
    "complaint": "Complaint", "deploy": "Deploy", "data": "Data change", "threshold": "Threshold change", "guideline": "Guideline change",
    "incident": "Incident", "export": "Export", "note": "Note",
}  # fmt: skip
OWN_MARKS = ("read", "scored", "acted", "label", "correction", "complaint")
MOST_EVENTS = 5
LAST = "case-seen-last"
BESIDE = timedelta(days=3)
"""How long before and after the case its device and replica are looked at."""
TIMELINE = (
    column("at", "When (UTC)", width="9rem", short=True),
    column("far", "From the prediction", width="9rem"),
    column("what", "What", strong=True, width="9rem"),
    column("text", "", wide=True),
)


@dataclass(frozen=True)
class Here:
    """The case that a page shows: the prediction with its parts, and the scope that the person came with."""

    opened: Opened
    scope: Scope

    @property
    def row(self) -> Row:
        """What was logged about it."""
        return self.opened.look.row

    def part(self, name: str) -> Any:
        """A part of the case, None where it cannot be given."""
        return self.opened.part(name)

    def key(self, name: str) -> str:
        """A widget's key that belongs to this case alone."""
        return f"{name}-{abs(hash((self.row.model.name, self.row.id)))}"


def begin() -> Here:
    """Title, way back and the case that the address names. Stops with the next step where it names none, or one that is not there."""
    scope = scopes.read(st.session_state)
    prediction, model = asked(scope)
    if not prediction or not load.catalog().models:
        frame.title("case", scope, None)
        frame.said()
        if load.catalog().models:
            which()
        else:
            empty_states.no_models()
        st.stop()
    try:
        opened = load_case.opened(prediction, model)
    except NotFoundError as error:
        frame.title("case", scope, None)
        frame.said()
        not_there(prediction, scope, error)
        st.stop()
    found = opened.look.row
    st.session_state[LAST] = (found.id, found.model.name)
    frame.title("case", scope, None, address=links.permanent(found.id, found.model.name))
    way_back()
    frame.said()
    return Here(opened, scope.about(found.model.name))


def asked(scope: Scope) -> tuple[str, str | None]:
    """Id and model that the address names; without an id the case that this session saw last, because the browser's way back brings a page without
    its parameters.
    """
    prediction = st.query_params.get("id") or ""
    if prediction or LAST not in st.session_state:
        return prediction, scope.model
    last, model = st.session_state[LAST]
    st.query_params["id"] = last
    return last, model


def which() -> None:
    """The address names no case."""
    empty_states.nothing(
        "This page is about one prediction. Which one?",
        "Paste its id into the field in the sidebar, or find it by what is known of it.",
        "cases",
        "Find a case",
    )


def not_there(prediction: str, scope: Scope, error: NotFoundError) -> None:
    """The row is not found: it may be another model's, refused, or removed."""
    other = load_case.holder(prediction) if scope.model else None
    if other:
        st.warning(
            formatting.plain(f"The prediction {prediction[:200]} is one of {other}, not of {scope.model}."), icon=":material/link_off:"
        )
        target = links.case("", prediction, other)["go"]
        st.button("Open it", icon=":material/arrow_forward:", on_click=links.go, args=(target,), key="open-other")
        return
    empty_states.nothing(
        formatting.plain(str(error)),
        "It may have been refused when it was loaded, removed with its model, or erased at somebody's request; nothing is kept then.",
        "store",
        "Look at refused lines",
    )


def way_back() -> None:
    """Back to where the person came from, with its scope."""
    target = links.back()
    path = links.page_files().get(str(target["page"]))
    if path is not None:
        st.button(
            f"Back to {links.about(path)[0]}", type="tertiary", icon=":material/arrow_back:", key="back", on_click=links.go, args=(target,)
        )


def section(title: str, draw: Callable[[], None], anchor: str | None = None) -> None:
    """One section: its heading, and what it draws; one that fails says so and stops nothing else. anchor: its name in the list of sections; a part of
    the section before has none.
    """
    if anchor:
        st.header(title, anchor=anchor)
    else:
        st.subheader(title, anchor=False)
    try:
        draw()
    except Exception as error:
        LOG.exception("section %s of a case failed", title)
        st.error(
            formatting.plain(f"{type(error).__name__}: {error}"[:400]), title="This part could not be worked out", icon=":material/error:"
        )


def missing(here: Here, part: str, step: str | None = None) -> None:
    """A part that is not there: why, and what would give it."""
    st.markdown(
        f"{formatting.status('unknown', 'Not given')}: {formatting.sentence(here.opened.why(part) or 'This could not be worked out.')}"
    )
    if step:
        st.caption(step)


def header(here: Here) -> None:
    """The facts in one strip, and the sentence that says what happened."""
    found = here.row
    happened: Happened | None = here.part("happened")
    st.markdown(f"{standing(found)} **{formatting.sentence(happened.sentence if happened else here.opened.why('happened'))}**")
    if found.also_in:
        st.caption(formatting.plain(f"Other models hold a prediction of this id too: {', '.join(found.also_in)}."))
        for name in found.also_in:
            st.button(formatting.plain(f"Open the one of {name}"), key=here.key(f"also-{name}"), type="tertiary", on_click=links.go, args=(links.case("", found.id, name)["go"],))  # fmt: skip
    with st.container(horizontal=True, gap="medium", border=True):
        for label, said in facts(here, happened):
            st.markdown(f":gray[:small[{formatting.plain(label)}]]  \n{said}", width="content")
    left, right = st.columns([1, 1])
    with left, st.expander("The record as it was logged", icon=":material/data_object:"):
        st.code(
            formatting.unturned(json.dumps(jsonable(found.record()), indent=1, ensure_ascii=False)),
            language=None,
            wrap_lines=True,
            height=320,
        )
    with right, st.container(horizontal=True, gap="small"):
        target = links.link("", "model", here.scope)["go"]
        st.button(
            "Open the model's page", type="tertiary", icon=":material/deployed_code:", on_click=links.go, args=(target,), key="to-model"
        )
        for name in ("device", "replica"):
            if value := found.stored.get(name):
                scope = replace(here.scope, slice=Slice(((name, str(value)),))).at(found.at - BESIDE, found.at + BESIDE)
                st.button(
                    formatting.plain(f"Other answers of {name} {value}"[:80]), type="tertiary", icon=":material/router:", key=f"to-{name}", on_click=links.go,
                    args=(links.link("", "latency", scope)["go"],),
                )  # fmt: skip


def standing(found: Row) -> str:
    """Right, wrong or not known yet, as icon and word; of a regression how far off."""
    if found.model.task == "regression":
        return (
            formatting.status("unknown", "No label yet") + ":"
            if found.error is None
            else f":gray-badge[error {formatting.number(found.error)}]"
        )
    if found.wrong is None:
        return formatting.status("unknown", "No label yet" if found.label is None else "Cannot tell") + ":"
    return formatting.status("act", "Wrong") + ":" if found.wrong else formatting.status("ok", "Right") + ":"


def facts(here: Here, happened: Happened | None) -> list[tuple[str, str]]:
    """Label and Markdown of each fact that is known."""
    found = here.row
    stored = found.stored
    label = found.label
    pairs: list[tuple[str, object]] = [
        ("Id", found.id[:80] + ("…" if len(found.id) > 80 else "")),
        ("Time (UTC)", formatting.minute(found.at)),
        (f"Your time ({zone_name()})" if zone_name() else "", local(found.at)),
        ("Model and version", f"{found.model.name[:60]} @ {found.version.name[:30]}"),
        ("Environment", found.environment if found.environment != "production" else ""),
        ("Score", formatting.number(found.score, 4) if found.score is not None else ""),
        ("Cut-off", formatting.number(found.threshold) if found.model.task == "binary" else ""),
        ("Answer", worded(found.answer) if found.answer else ""),
        ("Label", f"{worded(label.value)[:60]} ({formatting.day(label.at)})" if label else "none yet"),
        ("Label from", origin(found)),
        ("Cost of the error", cost(happened)),
        ("Status", found.status if found.status != "ok" else ""),
        ("Latency", f"{formatting.number(stored['latency_ms'])} ms" if stored.get("latency_ms") is not None else ""),
        ("Device", stored.get("device") or ""),
        ("Replica", stored.get("replica") or ""),
        ("Batch", stored.get("batch") or ""),
        ("Subject", stored.get("subject") or ""),
    ]
    return [(label, f"**{formatting.plain(str(said)[:120])}**") for label, said in pairs if said != "" and label]


def origin(found: Row) -> str:
    """Who gave the label, and how many did."""
    people = {each.annotator for each in found.revisions if each.annotator}
    current = next((each for each in found.revisions if each.current), None)
    parts = [current.source or "" if current else "", formatting.plural(len(people), "annotator") if people else ""]
    parts.append(formatting.plural(len(found.revisions), "revision") if len(found.revisions) > 1 else "")
    return ", ".join(each for each in parts if each)


def cost(happened: Happened | None) -> str:
    """What the error cost, where somebody said what errors cost."""
    if happened is None or happened.cost is None:
        return ""
    return f"{formatting.number(happened.cost)} {happened.currency or ''}".strip()


def timeline(here: Here) -> None:
    """What happened when: the prediction's own times, complaints, and the nearest events."""
    happened: Happened | None = here.part("happened")
    if happened is None:
        missing(here, "happened")
        return
    own = [each for each in happened.timeline if each.what in OWN_MARKS]
    others = sorted((each for each in happened.timeline if each.what not in OWN_MARKS), key=lambda each: abs(each.at - here.row.at))
    shown = sorted([*own, *others[:MOST_EVENTS]], key=lambda each: each.at)
    rows = [
        row(
            {
                "at": {"t": formatting.minute(each.at)},
                "far": {"t": distance(each.at - here.row.at), "quiet": True},
                "what": to_mark(here, each),
                "text": {"t": each.text[:400]},
            },
            selected=each.what == "scored",
        )
        for each in shown
    ]
    table("timeline", "What happened when", TIMELINE, rows, compact=True)
    if len(others) > MOST_EVENTS:
        st.caption(f"The {MOST_EVENTS} nearest of {len(others)} events within a week; the findings page has all.")
    if happened.cost is None and happened.cost_why and here.row.wrong:
        st.caption(formatting.sentence(f"Cost: {happened.cost_why}"))


def to_mark(here: Here, each: Mark) -> Cell:
    """A mark's word: an event leads to the ledger of its days."""
    word = MARKS.get(each.what, each.what.capitalize())
    if each.what in OWN_MARKS and each.what != "complaint":
        return {"t": word}
    day = each.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return links.link(word, "changes", here.scope.at(day - timedelta(days=1), day + timedelta(days=2)))


def distance(span: timedelta) -> str:
    """How long before or after the prediction."""
    seconds = abs(span.total_seconds())
    if seconds < 1:
        return "at once"
    size, unit = next(((size, unit) for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")) if seconds >= size))
    return f"{formatting.plural(round(seconds / size), unit)} {'later' if span.total_seconds() > 0 else 'before'}"


def zone_name() -> str:
    """The viewer's own time zone; nothing where it is UTC or not known."""
    name = st.context.timezone or ""
    return "" if name in ("", "UTC", "Etc/UTC") else name


def local(instant: datetime) -> str:
    """The time in the viewer's zone."""
    try:
        return formatting.minute(instant.astimezone(ZoneInfo(zone_name() or "UTC")))
    except (ZoneInfoNotFoundError, ValueError):
        return ""


def jsonable(value: Any) -> Any:
    """A record as JSON has it: instants as RFC 3339."""
    if isinstance(value, dict):
        return {str(key): jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(each) for each in value]
    if isinstance(value, datetime):
        return iso(value if value.tzinfo else aware_utc(value))
    return value
