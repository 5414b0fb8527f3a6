"""Actions of people on an incident: assign, acknowledge, snooze, mute, resolve with a reason, comment. Each action is stored as a record
about the incident's alert.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from typing import Any

import streamlit as st

from observability.alerts.alert_decisions import GREW, OPENED_BEFORE, person_records, same_fault
from observability.alerts.alert_state import REASONS, Alert
from observability.core import formatting
from observability.dashboard import load, person_name
from observability.dashboard.review import load_review
from observability.dashboard.scope import scope_from_state
from observability.dashboard.widgets import note_line, save_records, utc_midnight
from observability.incidents.grouping import Incident

STATES = {"open": "Open", "acknowledged": "Acknowledged", "snoozed": "Snoozed", "resolved": "Resolved"}
ENTRY_WORDS = {"worse": "Got worse", "woken": "Snooze over", "not_useful": "Not useful", "note": "Comment"}
"""Words for kinds of entries; a kind that is not listed here is shown by its own name."""
Spoken = tuple[Incident, Alert | None]
"""An incident with its alert; None if there is no alert about it."""
KEYS = {"a": "acknowledge", "e": "resolve", "s": "snooze"}
"""Actions by the key that starts them in a list of incidents."""
SNOOZE = timedelta(days=7)
"""Length of a snooze, unless somebody chooses another day."""
ACTIONS = {"assign": "Assign", "acknowledge": "Acknowledge", "snooze": "Snooze", "mute": "Mute", "resolve": "Resolve", "reopen": "Reopen"}
ICONS = {
    "assign": "person_add",
    "acknowledge": "visibility",
    "snooze": "snooze",
    "mute": "notifications_off",
    "resolve": "check_circle",
    "reopen": "undo",
}
SAYS = {"assign": "assigned", "acknowledge": "acknowledged", "snooze": "snoozed", "mute": "snoozed", "resolve": "resolved"}
"""The word for the entry of each action; the entry of `reopen` is named `reopened`."""
ELSEWHERE = "Alerts and what people say about them are about production. Choose it in the bar above to act."


def alert_of_incident(incident: Incident, alerts: Mapping[str, Alert], now: datetime) -> Alert | None:
    """Return the alert about an incident: an alert about the same fault that is unresolved, or that a person resolved recently; else the
    alert that the incident opened. None if there is neither.
    """
    standing = {name: alert for name, alert in alerts.items() if alert.state != "resolved" or alert.is_held(now)}
    return same_fault(incident, standing) or alerts.get(incident.id)


def incident_state_words(alert: Alert | None) -> str:
    """The state of an incident in words: `Open`, `Acknowledged by Ann`, `Snoozed until 3 Dec 2013`, `Resolved: false alarm`. It is `Open`
    if nobody has acted on the incident.
    """
    if alert is None:
        return STATES["open"]
    if alert.state == "snoozed":
        return f"Snoozed until {formatting.format_day(alert.until)}" if alert.until else "Muted until it gets worse"
    if alert.state == "acknowledged" and alert.changed_by:
        return f"{STATES[alert.state]} by {alert.changed_by}"
    if alert.state == "resolved" and alert.reason:
        return f"Resolved: {REASONS[alert.reason].lower()}"
    return STATES[alert.state]


def is_settled(alert: Alert | None) -> bool:
    """Return whether the list of incidents folds an incident, which is the case if it is snoozed or was resolved by a person."""
    return alert is not None and (alert.state == "snoozed" or (alert.state == "resolved" and alert.reason is not None))


def incident_owner(incident: Incident, alert: Alert | None) -> str | None:
    """Return the person who takes care of an incident: the person to whom it was assigned, else the owner of its model; None if there is
    neither.
    """
    if alert is not None and alert.assignee:
        return alert.assignee
    model = load.catalog().by_name.get(incident.model or "")
    return model.settings.owner if model else None


def incident_owner_words(incident: Incident, alert: Alert | None) -> str:
    """Return the owner of an incident in words: `assigned to Ben`, else `owner arrivals desk` for the owner of the model, else `no
    owner`.
    """
    owner = incident_owner(incident, alert)
    if owner is None:
        return "no owner"
    return f"assigned to {owner}" if alert is not None and alert.assignee else f"owner {owner}"


def save_incident_entry(incident: Incident, alert: Alert | None, author: str, says: str, **more: Any) -> bool:
    """Save a person's entry about an incident. Returns False if it cannot be saved; the page then shows the reason."""
    model = load.catalog().by_name.get(incident.model or "")
    owner = model.settings.owner if model else None
    return save_records(person_records(incident, alert, author, says, owner, datetime.now(UTC), **more))


def incident_history(alert: Alert | None) -> None:
    """Draw every entry about an incident with author and time, oldest first. An entry that also opened the alert is listed once."""
    if alert is None:
        return
    entries = load_review.alert_history(alert.incident)
    for entry, after in zip_longest(entries, entries[1:]):
        if after and entry["says"] == "opened" and after["author"] == entry["author"] and after["at"] - entry["at"] <= OPENED_BEFORE:
            continue
        until = f" until {formatting.format_day(entry['until'])}" if entry.get("until") else ""
        reason = f": {REASONS[entry['reason']].lower()}" if entry.get("reason") else ""
        to = f" to {entry['owner']}" if entry["says"] == "assigned" and entry.get("owner") else ""
        word = ENTRY_WORDS.get(entry["says"], entry["says"].capitalize())
        note_line(entry["at"], entry["author"], f"{word}{to}{until}{reason}", entry["text"] or "", strong=True)


def about_production() -> bool:
    """Return whether the page is about production, whose incidents open alerts. Incidents in other environments open none."""
    return scope_from_state(st.session_state).environment is None


def alerts_here() -> dict[str, Alert]:
    """Return every alert by the id of its incident; none if the page is about an environment other than production."""
    return load_review.current_alerts() if about_production() else {}


def offered_actions(alert: Alert | None) -> list[str]:
    """The actions that make sense in the state of an incident."""
    state = alert.state if alert else "open"
    offered = {
        "open": ("assign", "acknowledge", "snooze", "mute", "resolve"),
        "acknowledged": ("assign", "snooze", "mute", "resolve"),
        "snoozed": ("assign", "resolve", "reopen"),
        "resolved": ("reopen",),
    }
    return list(offered[state])


def incident_action_buttons(incident: Incident, alert: Alert | None, key: str) -> None:
    """Draw a button for each action that makes sense, which opens the form of the action. The form is closed after each save. key: unique
    on the page.
    """
    if not about_production():
        st.caption(ELSEWHERE)
        return
    turn = int(st.session_state.setdefault(f"{key}-acts", 0))
    with st.container(horizontal=True, gap="small"):
        for does in offered_actions(alert):
            own = f"{key}-{does}-{turn}"
            with st.popover(ACTIONS[does], icon=f":material/{ICONS[does]}:", key=own):
                author = person_name.person_name_box(f"{own}-person", incident.model)
                entry = _entry_box(incident, alert, does, own)
                note = st.text_input("Note", key=f"{own}-note", max_chars=1000, placeholder="Optional")
                if _is_saved(((incident, alert),), author, does, entry, note, own):
                    st.session_state[f"{key}-acts"] = turn + 1
                    st.rerun()


def _is_saved(spoken: Sequence[Spoken], author: str | None, does: str, entry: dict[str, Any] | None, note: str, key: str) -> bool:
    """Draw the button of an action's form. Return whether it was pressed and the entries about all incidents were saved. entry: the fields
    of the entry.

    As long as no name is given, nothing is saved and a line gives the reason. The button can be pressed all the same: a name arrives only
    when its box is left, and the press on a disabled button that leaves the box would be lost. People whose role may only read see only the
    line.
    """
    shown = author is not None or person_name.is_asked()
    pressed = shown and st.button(ACTIONS[does], icon=":material/save:", key=f"{key}-save", disabled=entry is None)
    if author is None:
        st.caption(person_name.why_not_saved([ACTIONS[does].lower()]))
    if not pressed or author is None or entry is None:
        return False
    more = {"text": note.strip(), **entry}
    return all(save_incident_entry(*each, author, SAYS.get(does, "reopened"), **more) for each in spoken)


def incident_forms(incident: Incident, alert: Alert | None, key: str, chosen: str | None = None, also: Sequence[Spoken] = ()) -> None:
    """Draw the forms of every action on an incident. key: unique on the page. chosen: the action whose form is open at first. also: equal
    incidents of other models, to which the action is also applied.
    """
    if not about_production():
        st.caption(ELSEWHERE)
        return
    author = person_name.person_name_box(f"{key}-person", incident.model)
    note = st.text_input("Note", key=f"{key}-note", max_chars=1000, placeholder="Optional")  # Tab leads here before the name is saved
    offered = offered_actions(alert)
    if author is None and not person_name.is_asked():
        st.caption(person_name.why_not_saved())
        return
    does = st.segmented_control(
        "Action", offered, format_func=ACTIONS.__getitem__, default=chosen if chosen in offered else None, key=f"{key}-does"
    )
    if does is None:
        return
    entry = _entry_box(incident, alert, does, key)
    if _is_saved(((incident, alert), *also), author, does, entry, note, key):
        st.rerun()


def merge_form(kept: Spoken, others: Sequence[Spoken], headline: str, key: str) -> None:
    """Draw the form that merges incidents into one. The others are resolved as its duplicates, with a note that names it. headline: the
    headline of the incident that remains. key: unique on the page.
    """
    author = person_name.person_name_box(f"{key}-person")
    st.caption("The first stays; the others are resolved as its duplicates, and each entry names the other.")
    if author is None:
        st.caption(person_name.why_not_saved(["merge"]))
    elif st.button("Merge", icon=":material/merge:", key=f"{key}-merge") and merge_incidents(kept, others, author, headline):
        st.rerun()


def merge_incidents(kept: Spoken, others: Sequence[Spoken], author: str, headline: str) -> bool:
    """Save that other incidents are duplicates of one incident. Returns False if this cannot be saved; the page then shows the reason."""
    text = f"Merged into: {headline}"[:1000]
    if not all(save_incident_entry(*other, author, "resolved", reason="duplicate", text=text) for other in others):
        return False
    sentences = dict.fromkeys(incident.sentence for incident, _ in others)
    return save_incident_entry(*kept, author, "note", text=f"Merged with: {' '.join(sentences)}"[:1000])


def _entry_box(incident: Incident, alert: Alert | None, does: str, key: str) -> dict[str, Any] | None:
    """Draw the boxes of one action, and return the fields of its entry; None if something is missing."""
    if does == "assign":
        owner = st.text_input("To", incident_owner(incident, alert) or "", key=f"{key}-to", max_chars=80).strip()
        return {"owner": owner} if owner else None
    if does == "snooze":
        today = datetime.now(UTC).date()
        until = st.date_input("Until", today + SNOOZE, min_value=today + timedelta(days=1), key=f"{key}-until")
        return {"until": utc_midnight(until)}
    if does == "mute":
        st.caption(f"Until it gets worse: warning to critical, or {GREW:g} times as bad.")
        return {}
    if does == "resolve":
        reason = st.pills("Reason", list(REASONS), format_func=REASONS.__getitem__, key=f"{key}-reason")
        return {"reason": reason} if reason else None
    return {}


def comment_form(incident: Incident, alert: Alert | None, key: str) -> None:
    """Draw the box to comment on an incident, which is emptied after each save."""
    if not about_production():
        return
    turn = int(st.session_state.setdefault(f"{key}-turn", 0))
    words = st.text_area("Comment", key=f"{key}-comment-{turn}", max_chars=4000, height=80)
    author = person_name.known_author()
    if st.button("Add comment", icon=":material/chat:", key=f"{key}-comment-save-{turn}"):
        if not author:
            st.warning(person_name.why_not_saved())
        elif words.strip() and save_incident_entry(incident, alert, author, "note", text=words.strip()):
            st.session_state[f"{key}-turn"] = turn + 1
            st.rerun()


def reason_counts(alerts: Iterable[Alert]) -> str | None:
    """Return the number of resolved alerts by reason, such as `3 real faults, 1 false alarm`; None if no reason was given."""
    given = [alert.reason for alert in alerts if alert.reason]
    words = {name: title.lower() for name, title in REASONS.items()}
    counts = [formatting.plural(given.count(name), words[name]) for name in REASONS if name in given]
    return ", ".join(counts) or None
