"""The incidents of a review: their effect, the verdicts about single cases, and postmortems."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links, time_zone
from observability.dashboard.drafts import draft_arguments
from observability.dashboard.overview import incidents as overview_incidents
from observability.dashboard.review import load_review
from observability.dashboard.review.fleet import frozen_scope
from observability.dashboard.review.review import ReviewPage, agenda_record, form_turn, next_form_turn
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import link_button, plain_caption, plain_paragraph, save_records
from observability.export.case import SOURCES, WRONG
from observability.review import sentences as review_words

CHANGES: dict[str | None, str] = {
    "new": "New; ",
    "worse": "Recurring, worse; ",
    "as before": "Recurring; ",
    "better": "Recurring, better; ",
}
"""How an incident compares with last week, in words."""
STAKE = "Predictions affected, estimated cost of errors on them, and groups affected more"
COLUMNS = (
    column("what", "What", wide=True),
    column("model", "Model", width="9rem"),
    column("source", "Suspected source", width="9rem"),
    column("stake", "Impact", width="20rem", wide=True, help=STAKE),
    column("since", "Since", width="7rem"),
)
VERDICT_COLUMNS = (
    column("case", "Prediction", wide=True),
    column("model", "Model", width="9rem"),
    column("source", "Source", width="10rem"),
    column("severity", "Severity", width="7rem"),
    column("by", "By", width="8rem"),
)


def incidents_step(room: ReviewPage) -> None:
    """Draw the incidents with suspected source and impact, postmortems, and verdicts about single cases."""
    known = {incident: item.change for item in (*room.agenda.items, *room.agenda.folded) for incident in item.incidents}
    rows = []
    for part in (*room.body["models"], *filter(None, [room.body.get("pipeline")])):
        for incident in part["incidents"]:
            event, change = incident["event"], CHANGES.get(known.get(incident["incident"]), "")
            impact, groups = review_words.stake_sentences(part, incident["incident"]) or (formatting.DASH, "")
            sub = f"{change}{formatting.plural(len(incident['findings']), 'finding')}"
            sub += f"; after {event['what']}: {event['text']}" if event else ""
            claim, scope = overview_incidents.short_claim(incident["sentence"]), frozen_scope(room, part["model"])
            target = {
                **links.link_cell(claim, "incident", scope, id=incident["incident"]),
                "title": incident["sentence"].replace("`", ""),
            }
            cells: dict[str, Cell] = {
                "what": {"s": incident["severity"], **target, "sub": sub},
                "model": {"t": part["model"] or formatting.DASH},
                "source": {"t": incident["source"] or "unknown"},
                "stake": {"t": impact, "sub": groups or None},
                "since": {"t": frozen_since(incident)},
            }
            rows.append(table_row(cells))
    if rows:
        draw_table("incidents", "Incidents of the week", COLUMNS, rows)
    else:
        st.markdown(f"{formatting.status_label('ok')}: no incident this week.")
    _postmortems(room)
    _case_verdicts(room)


def _case_verdicts(room: ReviewPage) -> None:
    """Draw the verdicts about single predictions of the week."""
    found, sentence = load_review.verdicts_of_week(room.body["week"])
    st.subheader("Case verdicts", anchor=False)
    if not found:
        link_button("Find a case of this week", links.link_cell("", "cases", None), key="go-cases", icon="search")
        return
    if sentence:
        plain_paragraph(sentence)
    rows = []
    for verdict in found:
        case = links.link_cell(verdict.prediction, "case", None, id=verdict.prediction, model=verdict.model)
        cells: dict[str, Cell] = {
            "case": {**case, "sub": verdict.note},
            "model": {"t": verdict.model},
            "source": {"t": SOURCES[verdict.source], "sub": "recurring" if verdict.recurring else "new"},
            "severity": {"t": verdict.severity or formatting.DASH, "sub": WRONG.get(verdict.wrong or "")},
            "by": {"t": verdict.author},
        }
        rows.append(table_row(cells))
    draw_table("cases", "Verdicts about predictions of the week", VERDICT_COLUMNS, rows)


POSTMORTEM_LINES = ("Impact", "Trigger", "Detection", "What went well", "What went badly", "Where we were lucky")
"""The lines of a blameless postmortem. Notes store the lines by these names."""


def _postmortems(room: ReviewPage) -> None:
    """Draw the postmortems of the week's incidents, and a form to write another one."""
    st.subheader("Postmortems", anchor=False)
    known = {each.item: each for each in (*room.agenda.items, *room.agenda.folded) if each.sort == "incident"}
    texts: dict[str, list[dict[str, Any]]] = {}
    for each in room.said:
        if each["does"] == "note" and str(each.get("text") or "").startswith(f"{POSTMORTEM_LINES[0]}: "):
            texts.setdefault(each["item"], []).append(each)
    for item, versions in texts.items():
        with st.container(border=True):
            st.markdown(f"**{formatting.sentence_markdown(known[item].title)}**" if item in known else "**An item of another week**")
            _postmortem_card(versions[-1])
            if len(versions) > 1:
                with st.expander(f"Earlier versions: {len(versions) - 1}", icon=":material/history:"):
                    for each in reversed(versions[:-1]):
                        _postmortem_card(each)
    if not known:
        st.caption("No incident of this week is on the agenda.")
        return
    with st.expander("Write a postmortem", icon=":material/edit_note:"):
        if room.author is None:
            st.caption(room.read_only_words)
            return
        _postmortem_form(room, known, texts)


def _postmortem_lines(note: dict[str, Any]) -> dict[str, str]:
    """The lines of a postmortem by their names."""
    return {name: words for name, _, words in (line.partition(": ") for line in str(note["text"]).splitlines())}


def _postmortem_card(note: dict[str, Any]) -> None:
    """One postmortem with its author and time."""
    for name, words in _postmortem_lines(note).items():
        st.markdown(f":gray[{formatting.escape_markdown(name)}] {formatting.escape_markdown(words)}")
    plain_caption(f"{note['author']}, {time_zone.named_minute(note['at'])}")


def _postmortem_form(room: ReviewPage, known: dict[str, Any], texts: dict[str, list[dict[str, Any]]]) -> None:
    """Draw the form, filled with the newest postmortem of the incident; if there is none, with the facts of the frozen week."""
    titles = {key: item.title.replace("`", "")[:110] for key, item in known.items()}
    chosen = st.selectbox("Incident", titles, format_func=titles.__getitem__, **draft_arguments("postmortem-item", among=list(known)))
    if chosen is None:
        return
    item, form = known[chosen], f"postmortem-{room.review}-{chosen}"
    written = texts.get(chosen, [])
    turn = _current_turn(form, len(written))
    begun = _postmortem_draft(room, item)
    if written:
        lines = {name: words for name, words in _postmortem_lines(written[-1]).items() if name in POSTMORTEM_LINES}
        begun |= {name: "" if words == formatting.DASH else words for name, words in lines.items()}
        plain_caption(f"Newest version by {written[-1]['author']}; earlier versions are kept.")
    given = {name: st.text_input(name, max_chars=600, **draft_arguments(f"{form}-{name}-{turn}", value)) for name, value in begun.items()}
    if st.button("Save", icon=":material/save:", key=f"{form}-keep-{turn}"):
        words = "\n".join(f"{name}: {' '.join(value.split()) or formatting.DASH}" for name, value in given.items())
        if save_records([agenda_record(room, chosen, "note", text=words, model=item.model)]):
            next_form_turn(form)
            st.rerun()


def _current_turn(form: str, texts: int) -> int:
    """The turn of the form. If another author has saved meanwhile and nothing was typed in this form, a new turn starts, with the newest
    text.
    """
    turn = form_turn(form)
    began = st.session_state.setdefault(f"began-{form}-{turn}", texts)
    typed = any(str(key).startswith(f"draft-{form}-") and str(key).endswith(f"-{turn}") for key in st.session_state)
    if texts == began or typed:
        return turn
    next_form_turn(form)
    return _current_turn(form, texts)


def _postmortem_draft(room: ReviewPage, item: Any) -> dict[str, str]:
    """A draft of the postmortem, made from the frozen week: exposure, preceding event, detecting rule and alert."""
    part = room.model(item.model) or {"incidents": [], "served": 0}
    found = next((each for each in part["incidents"] if each["incident"] == item.about.get("incident")), None)
    event = (found or {}).get("event")
    share = f" About {formatting.format_share(item.exposure)} of the fleet's predictions." if item.exposure else ""
    told = [each for each in room.body["alerts"]["alerts"] if each["incident"] in item.incidents]
    noticed = f"alert of {formatting.format_iso_day(told[0]['opened_at'])}" if told else "no alert"
    rule = f"{item.about.get('analyzer')}, {formatting.metric_title(item.about['metric'])}" if item.about.get("metric") else ""
    return dict.fromkeys(POSTMORTEM_LINES, "") | {
        "Impact": f"{item.title.replace('`', '')}{share}",
        "Trigger": f"Unknown; preceded by {event['what']}: {event['text']}" if event else "",
        "Detection": f"{rule}; {noticed}",
    }


def frozen_since(incident: Mapping[str, Any]) -> str:
    """Words for when a frozen incident began. For weeks that were frozen without these words, the day of its onset."""
    if words := incident.get("since"):
        return str(words).removeprefix("since ")
    return formatting.format_iso_day(incident["onset"]) if incident["onset"] else formatting.DASH
