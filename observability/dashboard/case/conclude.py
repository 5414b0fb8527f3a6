"""The conclusion of a case: the best suspected source with its test, the verdict form, and earlier verdicts and actions."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links, load, person_name, time_zone
from observability.dashboard.case import case_decisions, load_case
from observability.dashboard.case.case import CasePage, part_unavailable
from observability.dashboard.case.explanation import computed_with_progress
from observability.dashboard.case.inputs import week_scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import plain_caption, plain_paragraph, utc_midnight
from observability.export.case import DO, SOURCES, WRONG
from observability.investigation.evidence_types import Triage
from observability.review.action_items import is_overdue
from observability.store.types.decision_items import DecisionItem, error_source_sentence

COLUMNS = columns_on_phone(
    "source because",
    column("source", "Suspected source", strong=True, width="12rem"),
    column("score", "Weight of evidence", width="11rem", help="From 0 to 1; not a probability"),
    column("because", "Evidence", wide=True),
)
EVIDENCE_PAGES = {
    "input": "quality",
    "far_from_reference": "multivariate_drift",
    "weak_slice": "performance",
    "boundary": "calibration",
    "version": "compare",
    "degraded_path": "latency",
    "expected": "calibration",
}
"""The page with more evidence about each source. For a source without an entry, all evidence is on the page of the case."""
NO_ACTION = "No action"
DAYS_UNTIL_DUE = 14
MAX_WORDS = 45
"""Maximum number of words of a source's evidence on the first screen; the table has all of them."""


def suspected_source(here: CasePage) -> None:
    """Draw the best suspected source with its test and a folded list of all sources, then the verdict form. If inputs are suspected, the
    model first scores the case with repaired inputs.
    """
    if load_case.repair_pending(here.opened):
        computed_with_progress(here, lambda note: load_case.try_repair(here.opened, note))
    found: tuple[Triage, ...] | None = here.part("triage")
    if found is None:
        part_unavailable(here, "triage")
    else:
        _source_sentences(here, found)
    best = found[0].source if found and found[0].source != "unknown" else None
    with st.expander("**Decide**", icon=":material/gavel:", key=f"decide-{here.key('form')}-{case_decisions.form_round(here)}"):
        _verdict_form(here, best)


def _source_sentences(here: CasePage, found: tuple[Triage, ...]) -> None:
    """Draw the name of the best source with its weight and the beginning of its evidence; all sources are in a folded table."""
    best = found[0]
    weight = formatting.format_number(best.score, 2)
    name = f"Suspected, not proven: {SOURCES[best.source].lower()}"
    if best.source == "unknown":
        name = "No error, so no source is sought." if here.opened.is_error() is False else "No single source stands out."
    st.markdown(f"**{name}**" + ("" if best.source == "unknown" else f" :gray[weight {weight} of 1]"))
    if best.source == "unknown" and here.opened.is_error() is False:
        return
    plain_paragraph(first_sentences(best.because, MAX_WORDS))
    rows = []
    for source in found:
        share: Cell = {"t": formatting.format_number(source.score, 2), "bar": {"v": source.score, "max": 1}}
        suspected = _source_cell(here, source.source) | {"phone": f"weight {share['t']}"}
        rows.append(table_row(source=suspected, score=share, because=source.because))
    with st.expander(f"Evidence of {formatting.plural(len(found), 'possible source')}", icon=":material/list:", key=here.key("sources")):
        draw_table("triage", "Suspected sources, best first", COLUMNS, rows, compact=True)


def first_sentences(text: str, most: int) -> str:
    """The first sentences of a text that together have at most `most` words. If the first sentence alone is longer, its first words and an
    ellipsis.
    """
    kept = ""
    for sentence in re.split(r"(?<=[.!?;:]) (?=\S)", text):
        longer = f"{kept} {sentence}".strip()
        if len(longer.split()) > most:
            break
        kept = longer
    if not kept:
        return " ".join(text.split()[:most]) + " …"
    return kept if kept == text or kept[-1] in ".!?" else f"{kept[:-1]} …"


def _source_cell(here: CasePage, source: str) -> Cell:
    """The name of a source, as a link to the page with its evidence, for the week of the prediction."""
    page = EVIDENCE_PAGES.get(source)
    return links.link_cell(SOURCES[source], page, week_scope(here)) if page else {"t": SOURCES[source]}


def _verdict_form(here: CasePage, suspected: str | None) -> None:
    """Draw the form for a verdict and an action; it is empty again after each save. suspected: the preselected source; None: none is
    preselected.
    """
    key = f"{here.key('form')}-{case_decisions.form_round(here)}"
    author = person_name.person_name_box(f"{key}-author", here.row.model.name)
    with st.form(key, enter_to_submit=False):
        left, right = st.columns(2, gap="large")
        with left:
            answers, sources, first = list(WRONG), list(SOURCES), _default_verdict(here)
            wrong = st.radio(
                "Was the prediction wrong?", answers, first, format_func=WRONG.__getitem__, key=f"{key}-wrong", horizontal=True
            )
            place = None if suspected is None else sources.index(suspected)
            options: dict[str, Any] = {"format_func": SOURCES.__getitem__, "placeholder": "Choose", "key": f"{key}-source"}
            source = st.selectbox("Source", sources, place, **options)
            severity = st.segmented_control("Severity", ["low", "medium", "high"], format_func=str.capitalize, key=f"{key}-severity")
            note = st.text_area("Note", key=f"{key}-note", placeholder="Observations", max_chars=20_000)
        with right:
            do = st.selectbox("Action", [NO_ACTION, *DO], format_func=lambda action: DO.get(action, action), key=f"{key}-do")
            what = st.text_input("Details", key=f"{key}-what", placeholder="Only with an action")
            owner = st.text_input("Owner", value=here.row.model.settings.owner or "", key=f"{key}-owner")
            later = datetime.now(UTC).date() + timedelta(days=DAYS_UNTIL_DUE)
            due = st.date_input("Due", value=later, key=f"{key}-due", format="YYYY-MM-DD")
        problem = st.empty()  # so that a problem is shown near the button
        if not st.form_submit_button("Save", icon=":material/save:", key=f"{key}-submit"):
            return
    if wrong is None or source is None or not author:
        asked = (
            (wrong, "State whether the prediction was wrong."),
            (source, "Choose a source, or “Cannot tell”."),
            (author, person_name.why_not_saved()),
        )
        problem.error(" ".join(words for given, words in asked if not given), icon=":material/help:")
        return
    verdict: dict[str, Any] = {"source": source, "wrong": wrong, "severity": severity, "note": note.strip()}
    records = [case_decisions.case_record(here, "verdict", author, **verdict)]
    if do != NO_ACTION:
        action: dict[str, Any] = {"do": do, "text": what.strip(), "owner": owner.strip(), "due": utc_midnight(due)}
        records.append(case_decisions.case_record(here, "action", author, **action))
        records[0]["action"] = records[1]["action"]
    case_decisions.save_case_records(here, records, author)


def _default_verdict(here: CasePage) -> int | None:
    """The index of the preselected answer, from the known outcome; None if the outcome is unknown."""
    return None if here.row.wrong is None else 0 if here.row.wrong else 1


def earlier_conclusions(here: CasePage) -> None:
    """Draw every verdict and action of the case, newest first, with its history and a form to amend it."""
    model, prediction = here.row.model.name, here.row.id
    verdicts, actions = load_case.case_verdicts(model, prediction), load_case.case_actions(model, prediction)
    if not verdicts and not actions:
        st.caption("No verdict or action yet.")
    for verdict in verdicts:
        _verdict_card(here, verdict)
    for action in actions:
        _action_card(here, action)
    if sums := error_source_sentence(load_case.case_verdicts(model)):
        plain_caption(f"All cases of {model}: {sums}")


def _verdict_card(here: CasePage, item: DecisionItem) -> None:
    """Draw one verdict on the prediction: what was decided, its note and its history."""
    fields, withdrawn = item.fields, item.state == "withdrawn"
    verdict = WRONG.get(str(fields.get("wrong")), "Undecided")
    parts = [f"{verdict}; {SOURCES.get(str(fields['source']), fields['source']).lower()}"]
    parts += [f"severity {fields['severity']}"] if fields.get("severity") else []
    parts += ["withdrawn"] if withdrawn else []
    with st.container(border=True):
        st.markdown(f":material/gavel: **{formatting.escape_markdown('; '.join(parts))}**")
        if fields.get("note"):
            plain_paragraph(fields["note"])
        _entry_history(item)
        _amend_popover(here, item, ("standing", "Restore") if withdrawn else ("withdrawn", "Withdraw"))


def _action_card(here: CasePage, item: DecisionItem) -> None:
    """Draw one action item about the prediction: owner, due date and state."""
    fields, closed, due = item.fields, item.state in ("done", "cancelled"), item.fields.get("due")
    late = is_overdue(due, item.state, load.page_clock().date())
    parts = [
        f"owner {fields['owner']}" if fields.get("owner") else "no owner",
        f"due {formatting.format_day(due)}" if due else "",
        item.state,
    ]
    with st.container(border=True):
        status = f"{formatting.status_label('watch', 'Overdue')}: " if late else ""
        name, details = DO.get(str(fields.get("do")), "Action"), ", ".join(filter(None, parts))
        st.markdown(f":material/task_alt: {status}**{formatting.escape_markdown(name)}** :gray[{formatting.escape_markdown(details)}]")
        if fields.get("text"):
            plain_paragraph(fields["text"])
        if fields.get("slice"):
            plain_caption(f"Slice: {formatting.slice_in_words(str(fields['slice']))}")
        _entry_history(item)
        undo = ("open", "Reopen") if closed else ("cancelled", "Cancel")
        _amend_popover(here, item, undo, () if closed else (("done", "Done"),))


def _entry_history(item: DecisionItem) -> None:
    """Draw author and time of the first entry, and all entries if there are several."""
    plain_caption(f"{item.first.author[:200]}, {time_zone.named_minute(item.first.at)}")
    if len(item.entries) > 1:
        with st.expander(f"{len(item.entries)} entries", icon=":material/history:"):
            for entry in item.entries:
                words = "; ".join(f"{name} {value}" for name, value in entry.fields.items() if name not in ("model", "prediction"))
                more = formatting.escape_markdown(f"{time_zone.named_minute(entry.at)}: {words}")
                st.markdown(f"**{formatting.escape_markdown(entry.author[:200])}**, {more}")


def _amend_popover(here: CasePage, item: DecisionItem, undo: tuple[str, str], others: Sequence[tuple[str, str]] = ()) -> None:
    """Draw the form that amends an item by another entry; nothing is deleted. undo, others: states, with the words of their buttons."""
    key = f"{item.kind}-{item.id}"
    with st.popover("Amend", type="tertiary", icon=":material/edit:", key=f"{key}-change"):
        author = person_name.person_name_box(f"{key}-author", here.row.model.name)
        field, label = ("note", "Note") if item.kind == "verdict" else ("reason", "Reason")
        words = st.text_area(label, key=f"{key}-words", max_chars=20_000).strip()
        wanted: dict[str, Any] | None = None
        with st.container(horizontal=True, gap="small"):
            if words and st.button("Add", icon=":material/add:", key=f"{key}-add"):
                wanted = {field: words}
            for state, name in [*others, undo]:
                icon = ":material/undo:" if state == undo[0] else ":material/check:"
                if st.button(name, icon=icon, key=f"{key}-{state}"):
                    wanted = {"state": state, field: words}
        if wanted is not None:
            case_decisions.save_case_records(here, [case_decisions.amended_record(here, item, author, **wanted)], author)
