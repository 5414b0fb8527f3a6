"""Who is told through which channel, and when: the settings of alerts, changed in the page and kept in their file.

Addresses are secrets: they are taken, and never shown again.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

import streamlit as st

from observability.alerts import edit_config
from observability.alerts.config import FILE
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import load, person_name
from observability.store.ingest import record_writer

SAVED = "alerts-saved"
LEAST = {"act": "Act", "watch": "Watch and act"}


def draw() -> None:
    """The form; where the file cannot be read, why, and nothing to press."""
    home = load.home()
    if st.session_state.pop(SAVED, False):
        st.success("Kept. The next message goes by it.", icon=":material/check:")
    with st.expander("Change channels, routes and quiet hours", icon=":material/tune:"):
        try:
            body, now = edit_config.body_of(home), edit_config.stamp(home)
        except ObservabilityError as error:
            st.error(formatting.plain(f"{error} Mend the file, then come back."))
            return
        read = st.session_state.setdefault("alerts-read", now)
        if read != now:
            st.warning(f"`{FILE}` was changed meanwhile, not here. What you typed below cannot be kept over it.", icon=":material/warning:")
            if st.button("Take what it says now", icon=":material/refresh:", key="alerts-again"):
                st.session_state["alerts-read"] = now
                st.rerun()
        author = person_name.box("alerts-settings")
        wanted = form(body, f"{read[:8]}-{st.session_state.get('alerts-turn', 0)}")
        if wanted is not None:
            keep(body, wanted, read, author)


def form(body: edit_config.Body, turn: str) -> edit_config.Body | None:
    """The boxes; what they say once they are sent, else None."""
    own, channels = body["alerts"], list(body["channels"])
    with st.form(f"alerts-{turn}", border=False):
        st.markdown("**Channels**")
        for name in channels:
            st.markdown(f"{formatting.plain(name)} :gray[{formatting.plain(edit_config.masked(str(body['channels'][name])))}]")
        gone = st.multiselect("Remove channels", channels, key=f"alerts-gone-{turn}") if channels else []
        left, right = st.columns(2)
        name = left.text_input(
            "Add a channel, or give one another address", max_chars=60, placeholder="Its name, as team", key=f"alerts-name-{turn}"
        )
        address = right.text_input(
            "Its address", type="password", placeholder="slack://… mailto://… workflows://… (Teams) jsons://…", key=f"alerts-address-{turn}", autocomplete="off",
            help="As apprise writes addresses. It is kept in the file and never shown again.",
        )  # fmt: skip
        known = [
            *(each for each in channels if each not in gone),
            *([name.strip()] if name.strip() and name.strip() not in channels else []),
        ]
        st.markdown("**Who is told where**")
        st.caption("A channel that is added now can be chosen after it is kept.")
        routes = {}
        for owner in owners(body) if channels else ():
            given = listed(body["routes"].get(owner, []))
            chosen = st.multiselect(owner, channels, [each for each in given if each in channels], key=f"alerts-route-{owner}-{turn}", placeholder="As all others")  # fmt: skip
            routes[owner] = [each for each in chosen if each in known]
        default = (
            st.multiselect("All others", channels, listed(own.get("default", [])), key=f"alerts-default-{turn}", placeholder="Nobody")
            if channels
            else []
        )
        first, second, third = st.columns(3)
        least = first.selectbox("From which severity on", list(LEAST), list(LEAST).index(own.get("least", "act")), format_func=lambda key: LEAST[key], key=f"alerts-least-{turn}")  # fmt: skip
        quiet = second.text_input("Quiet hours", own.get("quiet", ""), placeholder="22:00-07:00", key=f"alerts-quiet-{turn}")
        zones = sorted(available_timezones() | {str(own.get("timezone", "UTC"))})
        zone = third.selectbox("Time zone", zones, zones.index(str(own.get("timezone", "UTC"))), key=f"alerts-zone-{turn}")
        dashboard = st.text_input("Address of this dashboard, for links in messages", own.get("dashboard", ""), placeholder="https://models.example.org", key=f"alerts-dashboard-{turn}")  # fmt: skip
        if not st.form_submit_button("Keep", icon=":material/save:"):
            return None
    settings = {"default": [each for each in default if each in known], "least": least, "quiet": quiet.strip(), "timezone": zone, "dashboard": dashboard.strip()}  # fmt: skip
    usual = {"default": [], "least": "act", "quiet": "", "timezone": "UTC", "dashboard": ""}
    addresses = {each: body["channels"][each] for each in channels if each not in gone}
    if name.strip() and address.strip():
        addresses[name.strip()] = address.strip()
    elif name.strip() or address.strip():
        st.error("A channel needs a name and an address.")
        return None
    return {
        "channels": addresses,
        "routes": {owner: chosen for owner, chosen in routes.items() if chosen},
        "alerts": {each: value for each, value in settings.items() if value != usual[each] or each in own},
    }


def owners(body: edit_config.Body) -> list[str]:
    """Owners of models, and whoever has a route."""
    return sorted({each.settings.owner for each in load.catalog().models if each.settings.owner} | set(body["routes"]))


def listed(value: Any) -> list[str]:
    """A setting that may be one name or several."""
    return [value] if isinstance(value, str) else list(value)


def keep(before: edit_config.Body, wanted: edit_config.Body, read: str, author: str | None) -> None:
    """Write the file and say so in the ledger, by name and without any address."""
    if author is None:
        st.error("Give your name: it stands in the ledger beside the change.")
        return
    changed = changes(before, wanted)
    if not changed:
        st.caption("Nothing is another than it was.")
        return
    try:
        edit_config.save(load.home(), wanted, read)
        record_writer.write(load.store(), [{"kind": "event", "at": datetime.now(UTC), "what": "note", "text": f"{author} changed the alerts: {'; '.join(changed)}."}])  # fmt: skip
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)))
        return
    st.session_state["alerts-turn"] = st.session_state.get("alerts-turn", 0) + 1
    st.session_state.pop("alerts-read", None)
    st.session_state[SAVED] = True
    st.rerun()


def changes(before: edit_config.Body, wanted: edit_config.Body) -> list[str]:
    """What is another, in words; of a channel only that its address is."""
    said = []
    for name in sorted({*before["channels"], *wanted["channels"]}):
        old, new = before["channels"].get(name), wanted["channels"].get(name)
        if old != new:
            said.append(f"channel {name} {'added' if old is None else 'removed' if new is None else 'has another address'}")
    for owner in sorted({*before["routes"], *wanted["routes"]}):
        old, new = listed(before["routes"].get(owner, [])), listed(wanted["routes"].get(owner, []))
        if old != new:
            said.append(f"{owner} is told through {', '.join(new) or 'what all others are'}")
    names = sorted({*before["alerts"], *wanted["alerts"]})
    others = [name for name in names if before["alerts"].get(name) != wanted["alerts"].get(name)]
    return said + [f"{name} is {wanted['alerts'].get(name) or 'as usual'}" for name in others]
