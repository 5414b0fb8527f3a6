"""The prediction in the address of a case page: its facts, the sentence about its outcome, and its timeline."""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.core.errors import NotFoundError
from observability.core.finding import iso
from observability.core.time import aware_utc
from observability.core.window import Slice
from observability.dashboard import empty_states, frame, links, load, sign_in, time_zone
from observability.dashboard import scope as scopes
from observability.dashboard.case import load_case
from observability.dashboard.case.load_case import OpenedCase
from observability.dashboard.choice_box import link_warning
from observability.dashboard.data.batches import batch_links
from observability.dashboard.page_failure import draw_part_failure
from observability.dashboard.paged_names import MOST_ROWS
from observability.dashboard.sample_examples import page_example
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import link_button, plain_caption, unavailable_note
from observability.investigation.evidence_types import Happened, Mark
from observability.investigation.label_types import outcome_words, with_unit
from observability.investigation.logged_prediction import Row
from observability.investigation.outcome_facts import answer_text, error_cost_words, score_digits, truth_text

LOG = logging.getLogger(__name__)
MARKS = {
    "read": "Features read",
    "scored": "Scored",
    "acted": "Acted on",
    "label": "Label arrived",
    "correction": "Label corrected",
    "data": "Data change",
    "threshold": "Threshold change",
    "guideline": "Guideline change",
}
"""The word for an event in the timeline. An event without an entry is shown under its own name."""
CASE_MARKS = ("read", "scored", "acted", "label", "correction", "complaint")
MAX_EVENTS = 5
LAST_CASE = "case-seen-last"
NEIGHBOURHOOD = timedelta(days=3)
"""Predictions of the same device or replica are shown for this time before and after the case."""
TIMELINE = (
    column("at", "When (UTC)", width="9rem", short=True),
    column("far", "Relative", width="9rem"),
    column("what", "What", strong=True, width="9rem"),
    column("text", "", wide=True),
)


@dataclass(frozen=True)
class CasePage:
    """The case that a page shows: the opened prediction, and the scope of the page from which the person came."""

    opened: OpenedCase
    scope: Scope

    @property
    def row(self) -> Row:
        """The logged prediction that the page is about."""
        return self.opened.look.row

    def part(self, name: str) -> Any:
        """A part of the case; None if it is not available."""
        return self.opened.part(name)

    def address(self, **own: str) -> str:
        """The full address of the case, with further parameters; it selects this prediction if several have the id."""
        answer = {"answer": self.row.selector} if self.row.selector else {}
        return links.permanent_case_address(self.row.id, self.row.model.name, **answer, **own)

    def local_address(self, **own: str) -> str:
        """The relative address of the case in its scope, with further parameters."""
        return str(links.case_link("", self.row.id, self.row.model.name, self.scope, self.row.selector, **own)["href"])

    def key(self, name: str) -> str:
        """A widget's key that is unique to this case."""
        return f"{name}-{abs(hash((self.row.model.name, self.row.id, self.row.selector)))}"


def open_case_page() -> CasePage:
    """Draw the title and the back button, and return the case in the address. If there is none, or it is not found, draw the next step and
    stop.
    """
    scope = scopes.scope_from_state(st.session_state)
    prediction, model, answer = _requested_case(scope)
    if not prediction or not load.catalog().models:
        frame.page_title("case", scope, None)
        frame.link_warnings()
        if load.catalog().models:
            _choose_case()
        else:
            empty_states.no_models_state(example=page_example("case"))
        st.stop()
    try:
        opened = load_case.opened_case(prediction, model, answer)
    except NotFoundError as error:
        frame.page_title("case", scope, None)
        frame.link_warnings()
        _case_not_found(prediction, scope, error)
        st.stop()
    found = opened.look.row
    st.session_state[LAST_CASE] = (found.id, found.model.name, found.selector)
    sign_in.note_case_seen(found.id, found.model.name, found.stored.get("subject"))
    here = CasePage(opened, scope.about(found.model.name))
    frame.page_title("case", scope, None, address=here.address())
    _back_button()
    frame.link_warnings()
    return here


def _requested_case(scope: Scope) -> tuple[str, str | None, str | None]:
    """Id, model and answer in the address. Without an id, those of the last case of this session, because the browser's back button drops
    parameters.
    """
    prediction = st.query_params.get("id") or ""
    if prediction or LAST_CASE not in st.session_state:
        return prediction, scope.model, st.query_params.get("answer")
    last, model, answer = st.session_state[LAST_CASE]
    st.query_params["id"] = last
    if answer:
        st.query_params["answer"] = answer
    return last, model, answer


def _choose_case() -> None:
    """Draw the empty state for an address that names no case; it explains how to find one."""
    empty_states.empty_state(
        "This page is about one prediction. Which one?",
        "Paste its id into Search above, or search by conditions.",
        "cases",
        "Find a case",
    )


def _case_not_found(prediction: str, scope: Scope, error: NotFoundError) -> None:
    """Draw why the prediction was not found: it may belong to another model, or have been rejected or removed."""
    other = load_case.model_holding(prediction) if scope.model else None
    if other:
        link_warning(f"Prediction {prediction[:200]} belongs to {other}, not to {scope.model}.")
        link_button("Open it", links.case_link("", prediction, other), key="open-other", quiet=False)
        return
    empty_states.empty_state(
        formatting.error_markdown(error),
        "It may have been rejected on load, removed with its model, or erased on request.",
        "store",
        "Open rejected lines",
    )


def _back_button() -> None:
    """Draw a button that leads back to the previous page, in its scope."""
    target = links.previous_page()
    path = links.page_files().get(str(target["page"]))
    if path is not None:
        link_button(f"Back to {links.page_description(path)[0]}", target, key="back", icon="arrow_back")


def case_section(title: str, draw: Callable[[], None], anchor: str | None = None) -> None:
    """Draw a section with its heading. A failure is shown and does not stop other sections.

    anchor: its name in the list of sections; None if it is a part of the previous section.
    """
    if anchor:
        st.header(title, anchor=anchor)
    else:
        st.subheader(title, anchor=False)
    draw_guarded(title, draw)


def draw_guarded(title: str, draw: Callable[[], None]) -> None:
    """Draw a part of the page. A failure is shown with the title of the part and does not stop other parts."""
    try:
        draw()
    except Exception as error:
        LOG.exception("section %s of a case failed", title)
        draw_part_failure(error, title)


def part_unavailable(here: CasePage, part: str, step: str | None = None) -> None:
    """Draw why a part is not available, and the next step."""
    unavailable_note(here.opened.why(part) or "This could not be computed.")
    if step:
        st.caption(step)


def case_header(here: CasePage) -> None:
    """Draw the sentence about the outcome, a line with the facts that identify the case, and the other predictions with its id."""
    found = here.row
    told = f"{answer_text(found)} {truth_text(found, verdict=False)}" if here.part("happened") else here.opened.why("happened")
    st.markdown(f"{_outcome_status(found)} **{formatting.sentence_markdown(told)}**")
    if found.also_in:
        plain_caption(f"Predictions of this id also exist in: {', '.join(found.also_in)}.")
        for name in found.also_in:
            link_button(f"Open the prediction of {name}", links.case_link("", found.id, name), key=here.key(f"also-{name}"))
    if found.other_answers:
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            told = f"Version {found.version.name} in {found.environment}; other answers:"
            st.caption(formatting.escape_markdown(told), width="content")
            for other in found.other_answers:
                target = links.case_link("", found.id, found.model.name, here.scope, other.selector)
                link_button(other.words[:1].upper() + other.words[1:], target, key=here.key(f"other-{other.selector}"))
    own = [found.id[:80] + ("…" if len(found.id) > 80 else ""), f"{time_zone.named_minute(found.at)}"]
    plain_caption(" · ".join([*own, f"{found.model.name[:60]} @ {found.version.name[:30]}"]))
    if found.lake_note:
        plain_caption(found.lake_note)


def case_details(here: CasePage) -> None:
    """Draw every known fact, the record as logged, and links to the model, device, replica, batch and the device that collected it."""
    found = here.row
    pairs = _case_facts(here, here.part("happened"))
    st.markdown("  \n".join(f":gray[{formatting.escape_markdown(label)}] {said}" for label, said in pairs))
    with st.container(horizontal=True, gap="small"):
        target = links.link_cell("", "model", here.scope)["go"]
        link_button("Open the model", target, key="to-model", icon="deployed_code")
        for name in ("device", "replica"):
            if value := found.stored.get(name):
                scope = replace(here.scope, slice=Slice(((name, str(value)),))).at(found.at - NEIGHBOURHOOD, found.at + NEIGHBOURHOOD)
                link_button(
                    f"Other predictions of {name} {value}"[:80], links.link_cell("", "latency", scope), key=f"to-{name}", icon="router"
                )
        for place, target in enumerate(batch_links([str(named)], here.scope) if (named := found.stored.get("batch")) else ()):
            link_button(target["t"][:80], target, key=f"to-batch-{place}", icon="inventory_2")
    record = found.record()
    if len(record["features"]) > MOST_ROWS:
        plain_caption(f"The first {MOST_ROWS} of {len(record['features']):,} inputs; the section of inputs and the export have all.")
        record |= {"features": dict(islice(record["features"].items(), MOST_ROWS))}
    st.code(
        formatting.escape_direction_marks(json.dumps(_json_value(record), indent=1, ensure_ascii=False)),
        language=None,
        wrap_lines=True,
        height=320,
    )


def _outcome_status(found: Row) -> str:
    """Right, wrong or no label yet, as icon and word; for regression the error."""
    if found.model.task == "regression":
        return (
            formatting.status_label("unknown", "No label yet") + ":"
            if found.error is None
            else f":gray-badge[error {with_unit(found.model, formatting.format_number(found.error))}]"
        )
    if found.wrong is None:
        return formatting.status_label("unknown", "No label yet" if found.label is None else "Cannot tell") + ":"
    return formatting.status_label("act", "Wrong") + ":" if found.wrong else formatting.status_label("ok", "Right") + ":"


def _case_facts(here: CasePage, happened: Happened | None) -> list[tuple[str, str]]:
    """The label and the Markdown text of each known fact."""
    found = here.row
    stored = found.stored
    label, zone = found.label, time_zone.viewer_zone()
    pairs: list[tuple[str, object]] = [
        ("Id", found.id[:80] + ("…" if len(found.id) > 80 else "")),
        ("Time (UTC)", formatting.format_minute(found.at)),
        (f"Your time ({zone})", formatting.format_minute(found.at.astimezone(zone))) if zone else ("", ""),
        ("Model and version", f"{found.model.name[:60]} @ {found.version.name[:30]}"),
        ("Environment", found.environment if found.environment != "production" else ""),
        ("Score", score_digits(found) if found.score is not None else ""),
        ("Threshold", formatting.format_number(found.threshold) if found.model.task == "binary" else ""),
        ("Decision", outcome_words(found.model, found.answer) if found.answer else ""),
        ("Label", f"{outcome_words(found.model, label.value)[:60]} ({formatting.format_day(label.at)})" if label else "none yet"),
        ("Label from", _label_origin(found)),
        ("Cost of the error", error_cost_words(found, happened)),
        ("Status", found.status if found.status != "ok" else ""),
        ("Latency", f"{formatting.format_number(stored['latency_ms'])} ms" if stored.get("latency_ms") is not None else ""),
        ("Device", stored.get("device") or ""),
        ("Replica", stored.get("replica") or ""),
        ("Batch", stored.get("batch") or ""),
        ("Subject", stored.get("subject") or ""),
    ]
    return [(label, f"**{formatting.escape_markdown(str(said)[:120])}**") for label, said in pairs if said != "" and label]


def _label_origin(found: Row) -> str:
    """The source of the label, and the number of annotators and revisions."""
    people = {each.annotator for each in found.revisions if each.annotator}
    current = next((each for each in found.revisions if each.current), None)
    parts = [current.source or "" if current else "", formatting.plural(len(people), "annotator") if people else ""]
    parts.append(formatting.plural(len(found.revisions), "revision") if len(found.revisions) > 1 else "")
    return ", ".join(each for each in parts if each)


def case_timeline(here: CasePage) -> None:
    """Draw the times of the prediction, complaints, and the nearest events."""
    happened: Happened | None = here.part("happened")
    if happened is None:
        part_unavailable(here, "happened")
        return
    own = [each for each in happened.timeline if each.what in CASE_MARKS]
    others = sorted((each for each in happened.timeline if each.what not in CASE_MARKS), key=lambda each: abs(each.at - here.row.at))
    shown = sorted([*own, *others[:MAX_EVENTS]], key=lambda each: each.at)
    rows = [
        table_row(
            at=time_zone.zoned_minute(each.at),
            far={"t": _time_offset(each.at - here.row.at), "quiet": True},
            what=_event_cell(here, each),
            text=each.text[:400],
            selected=each.what == "scored",
        )
        for each in shown
    ]
    draw_table("timeline", "Timeline", TIMELINE, rows, compact=True)
    if len(others) > MAX_EVENTS:
        st.caption(f"The {MAX_EVENTS} nearest of {len(others)} events within a week.")
    if happened.cost is None and happened.cost_why and here.row.wrong:
        st.caption(formatting.sentence_markdown(f"Cost: {happened.cost_why}"))


def _event_cell(here: CasePage, each: Mark) -> Cell:
    """The cell with the word of a mark. The word of an event links to the ledger of changes around that day."""
    word = MARKS.get(each.what, each.what.capitalize())
    if each.what in CASE_MARKS and each.what != "complaint":
        return {"t": word}
    day = each.at.replace(hour=0, minute=0, second=0, microsecond=0)
    return links.link_cell(word, "changes", here.scope.at(day - timedelta(days=1), day + timedelta(days=2)))


def _time_offset(span: timedelta) -> str:
    """The time between an event and the prediction in words, such as `2 days later`."""
    seconds = abs(span.total_seconds())
    if seconds < 1:
        return "same time"
    size, unit = next(((size, unit) for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")) if seconds >= size))
    return f"{formatting.plural(round(seconds / size), unit)} {'later' if span.total_seconds() > 0 else 'before'}"


def _json_value(value: Any) -> Any:
    """A record as JSON values, with times as RFC 3339."""
    if isinstance(value, dict):
        return {str(key): _json_value(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in value]
    if isinstance(value, datetime):
        return iso(value if value.tzinfo else aware_utc(value))
    return value
