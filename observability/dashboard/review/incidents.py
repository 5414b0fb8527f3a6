"""What hurt in the week, why did it reach users, how was it noticed, and what do we learn from it?"""

from typing import Any

import streamlit as st

from observability.core import formatting
from observability.dashboard import links
from observability.dashboard.drafts import held
from observability.dashboard.review import load_review
from observability.dashboard.review.fleet import scope_of
from observability.dashboard.review.review import Room, agenda_record, next_turn, say, turn_of
from observability.dashboard.table import column, row, table
from observability.export.case import SOURCES, WRONG
from observability.review import sentences as review_words

CHANGES: dict[str | None, str] = {None: "", "new": "New; ", "worse": "Recurring, worse; ", "as before": "Recurring; ", "better": "Recurring, better; ", "due": ""}  # fmt: skip
"""How an incident stands to last week's, before what else is said of it."""


def incidents(room: Room) -> None:
    """What hurt, where it seems to come from, and the verdicts about single cases."""
    columns = (column("what", "What", wide=True), column("model", "Model", width="9rem"), column("source", "Suspected source", width="9rem"), column("stake", "At stake", width="20rem", wide=True, help="Answers it touches, what errors on them cost (estimated), and groups that bear more of it"), column("since", "Since", width="7rem"))  # fmt: skip
    known = {one: each.change for each in (*room.agenda.items, *room.agenda.folded) for one in each.incidents}
    rows = []
    for part in room.body["models"]:
        for each in part["incidents"]:
            event, seen = each["event"], known.get(each["incident"])
            cost, groups = review_words.stake(part, each["incident"]) or (formatting.DASH, "")
            rows.append(
                row(
                    {
                        "what": {"s": each["severity"], **links.link(each["sentence"], "findings", scope_of(room, part["model"])), "sub": f"{CHANGES[seen]}{formatting.plural(len(each['findings']), 'finding')}" + (f"; after {event['what']}: {event['text']}" if event else "")},
                        "model": {"t": part["model"]},
                        "source": {"t": each["source"] or "unknown"},
                        "stake": {"t": cost, "sub": groups or None},
                        "since": {"t": each["onset"][:10] if each["onset"] else formatting.DASH},
                    }
                )
            )  # fmt: skip
    if rows:
        table("incidents", "Incidents of the week", columns, rows)
    else:
        st.markdown(f"{formatting.status('ok')}: no incident this week.")
    postmortems(room)
    cases(room)


def cases(room: Room) -> None:
    """The single predictions that people looked into."""
    found, sentence = load_review.verdicts_of_week(room.body["week"])
    st.subheader("Bad cases that somebody looked into", anchor=False)
    if not found:
        target = links.link("Find a case of this week", "cases", None)
        st.button(target["t"], type="tertiary", icon=":material/search:", key="go-cases", on_click=links.go, args=(target["go"],))
        return
    if sentence:
        st.markdown(formatting.plain(sentence))
    columns = (column("case", "Prediction", wide=True), column("model", "Model", width="9rem"), column("source", "Source", width="10rem"), column("severity", "How bad", width="7rem"), column("by", "By", width="8rem"))  # fmt: skip
    rows = [
        row(
            {
                "case": {**links.link(each.prediction, "case", None, id=each.prediction, model=each.model), "sub": each.note},
                "model": {"t": each.model},
                "source": {"t": SOURCES[each.source], "sub": "seen before" if each.recurring else "new"},
                "severity": {"t": each.severity or formatting.DASH, "sub": WRONG.get(each.wrong or "")},
                "by": {"t": each.author},
            }
        )
        for each in found
    ]
    table("cases", "Verdicts about predictions of the week", columns, rows)


LINES = ("Impact", "Trigger", "Detection", "What went well", "What went badly", "Where we were lucky")
"""The lines of a postmortem; who did it is not one of them."""


def postmortems(room: Room) -> None:
    """Cards that people wrote about incidents of the week, and the form for one more. Blameless: what happened and why it could, not who."""
    st.subheader("Postmortems", anchor=False)
    known = {each.item: each for each in (*room.agenda.items, *room.agenda.folded) if each.sort == "incident"}
    texts: dict[str, list[dict[str, Any]]] = {}
    for each in room.said:
        if each["does"] == "note" and str(each.get("text") or "").startswith(f"{LINES[0]}: "):
            texts.setdefault(each["item"], []).append(each)
    for item, versions in texts.items():
        with st.container(border=True):
            st.markdown(f"**{formatting.sentence(known[item].title)}**" if item in known else "**An item of another week**")
            card(versions[-1])
            if len(versions) > 1:
                with st.expander(f"Earlier texts: {len(versions) - 1}", icon=":material/history:"):
                    for each in reversed(versions[:-1]):
                        card(each)
    if not known:
        st.caption("No incident of this week is on the agenda.")
        return
    with st.expander("Write a postmortem", icon=":material/edit_note:"):
        if room.author is None:
            st.caption("Give your name above to write.")
            return
        write(room, known, texts)


def lines_of(note: dict[str, Any]) -> dict[str, str]:
    """The lines of a card by their names."""
    return {name: words for name, _, words in (line.partition(": ") for line in str(note["text"]).splitlines())}


def card(note: dict[str, Any]) -> None:
    """One text with its author and time."""
    for name, words in lines_of(note).items():
        st.markdown(f":gray[{formatting.plain(name)}] {formatting.plain(words)}")
    st.caption(formatting.plain(f"{note['author']}, {formatting.minute(note['at'])} UTC"))


def write(room: Room, known: dict[str, Any], texts: dict[str, list[dict[str, Any]]]) -> None:
    """The form, filled with the newest text about the incident, else with what is known by itself."""
    chosen = st.selectbox(
        "Incident",
        list(known),
        format_func=lambda key: known[key].title.replace("`", "")[:110],
        **held("postmortem-item", among=list(known)),
    )
    if chosen is None:
        return
    item, form = known[chosen], f"postmortem-{room.review}-{chosen}"
    written = texts.get(chosen, [])
    turn = fresh(form, len(written))
    begun = beginning(room, item)
    if written:
        begun |= {name: "" if words == formatting.DASH else words for name, words in lines_of(written[-1]).items() if name in LINES}
        st.caption(formatting.plain(f"The newest words are {written[-1]['author']}'s; every text stays."))
    given = {name: st.text_input(name, max_chars=600, **held(f"{form}-{name}-{turn}", value)) for name, value in begun.items()}
    if st.button("Keep", icon=":material/check:", key=f"{form}-keep-{turn}"):
        words = "\n".join(f"{name}: {' '.join(value.split()) or formatting.DASH}" for name, value in given.items())
        if say(room, [agenda_record(room, chosen, "note", text=words, model=item.model)]):
            next_turn(form)
            st.rerun()


def fresh(form: str, texts: int) -> int:
    """The turn of the form: another one where somebody else wrote since it was drawn and nothing was typed into it, so that it begins with the newest words."""
    turn = turn_of(form)
    began = st.session_state.setdefault(f"began-{form}-{turn}", texts)
    typed = any(str(key).startswith(f"draft-{form}-") and str(key).endswith(f"-{turn}") for key in st.session_state)
    if texts == began or typed:
        return turn
    next_turn(form)
    return fresh(form, texts)


def beginning(room: Room, item: Any) -> dict[str, str]:
    """What the frozen week knows of an incident: how far it reaches, what came before it, which rule showed it."""
    part = room.model(item.model) or {"incidents": [], "served": 0}
    found = next((each for each in part["incidents"] if each["incident"] == item.about.get("incident")), None)
    event = (found or {}).get("event")
    share = f" About {formatting.share(item.exposure)} of the fleet's predictions." if item.exposure else ""
    told = [each for each in room.body["alerts"]["alerts"] if each["incident"] in item.incidents]
    noticed = f"an alert was told on {told[0]['opened_at'][:10]}" if told else "no alert was told"
    rule = f"{item.about.get('analyzer')}, {formatting.metric_title(item.about['metric'])}" if item.about.get("metric") else ""
    return dict.fromkeys(LINES, "") | {
        "Impact": f"{item.title.replace('`', '')}{share}",
        "Trigger": f"Not known; before it came {event['what']}: {event['text']}" if event else "",
        "Detection": f"{rule}; {noticed}",
    }
