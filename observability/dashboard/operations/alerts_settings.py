"""The settings of alerts: channels, routes, severity and quiet hours, saved in their file.

Addresses are secrets: they are never shown again.
"""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import available_timezones

import streamlit as st

from observability.alerts import edit_config
from observability.alerts.config import FILE
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import load, person_name, sign_in
from observability.dashboard.widgets import plain_error
from observability.server.replica import current_replica

SAVED = "alerts-saved"
LOWEST_SEVERITY_CHOICES = {"act": "Critical", "watch": "Warning and critical"}


def alert_settings_form() -> None:
    """Draw the form; if the file cannot be read, draw only the error. Draw nothing in a process that does not own the store and so lacks
    the file, or if the role may not change settings.
    """
    if current_replica() is not None or not sign_in.role_allows("settings"):
        return
    home = load.home()
    if st.session_state.pop(SAVED, False):
        st.success("Saved. It applies from the next message.", icon=":material/check:")
    with st.expander("Change channels, routes and quiet hours", icon=":material/tune:"):
        try:
            body, now = edit_config.alert_tables(home), edit_config.config_stamp(home)
        except ObservabilityError as error:
            plain_error(f"{error} Correct the file, then reload.")
            return
        read = st.session_state.setdefault("alerts-read", now)
        if read != now:
            st.warning(f"`{FILE}` was changed elsewhere. Reload before saving.", icon=":material/warning:")
            if st.button("Reload", icon=":material/refresh:", key="alerts-again"):
                st.session_state["alerts-read"] = now
                st.rerun()
        author = person_name.person_name_box("alerts-settings")
        wanted = _settings_boxes(body, f"{read[:8]}-{st.session_state.get('alerts-turn', 0)}")
        if wanted is not None:
            _save_settings(body, wanted, read, author)


def _settings_boxes(body: edit_config.Body, turn: str) -> edit_config.Body | None:
    """Draw the boxes, and return their content once the form is submitted; None before that."""
    own, channels = body["alerts"], list(body["channels"])
    with st.form(f"alerts-{turn}", border=False):
        st.markdown("**Channels**")
        for name in channels:
            address = formatting.escape_markdown(edit_config.masked_address(str(body["channels"][name])))
            st.markdown(f"{formatting.escape_markdown(name)} :gray[{address}]")
        gone = st.multiselect("Remove channels", channels, key=f"alerts-gone-{turn}") if channels else []
        left, right = st.columns(2)
        name = left.text_input("Add or change a channel", max_chars=60, placeholder="Name, as team", key=f"alerts-name-{turn}").strip()
        hint, help_text = "slack://… mailto://… workflows://… (Teams) jsons://…", "An apprise address. It is saved and never shown again."
        address_key = f"alerts-address-{turn}"
        address = right.text_input(
            "Address", type="password", placeholder=hint, key=address_key, autocomplete="off", help=help_text
        ).strip()
        known = [channel for channel in channels if channel not in gone] + ([name] if name and name not in channels else [])
        st.markdown("**Routes**")
        st.caption("A new channel can be chosen after it is saved.")
        routes = {}
        for owner in _routable_owners(body) if channels else ():
            given = [channel for channel in _as_list(body["routes"].get(owner, [])) if channel in channels]
            chosen = st.multiselect(owner, channels, given, key=f"alerts-route-{owner}-{turn}", placeholder="Default route")
            routes[owner] = [channel for channel in chosen if channel in known]
        default = []
        if channels:
            given = _as_list(own.get("default", []))
            default = st.multiselect("Default route", channels, given, key=f"alerts-default-{turn}", placeholder="Nobody")
        first, second, third = st.columns(3)
        levels = list(LOWEST_SEVERITY_CHOICES)
        place = levels.index(own.get("least", "act"))
        least = first.selectbox("Severity", levels, place, format_func=LOWEST_SEVERITY_CHOICES.__getitem__, key=f"alerts-least-{turn}")
        quiet = second.text_input("Quiet hours", own.get("quiet", ""), placeholder="22:00-07:00", key=f"alerts-quiet-{turn}")
        zones = sorted(available_timezones() | {str(own.get("timezone", "UTC"))})
        zone = third.selectbox("Time zone", zones, zones.index(str(own.get("timezone", "UTC"))), key=f"alerts-zone-{turn}")
        words, hint, key = "Address of this dashboard, for links in messages", "https://models.example.org", f"alerts-dashboard-{turn}"
        dashboard = st.text_input(words, own.get("dashboard", ""), placeholder=hint, key=key)
        if not st.form_submit_button("Save", icon=":material/save:"):
            return None
    settings = {"default": [channel for channel in default if channel in known], "least": least, "quiet": quiet.strip(), "timezone": zone}
    settings["dashboard"] = dashboard.strip()
    usual = {"default": [], "least": "act", "quiet": "", "timezone": "UTC", "dashboard": ""}
    addresses = {each: body["channels"][each] for each in channels if each not in gone}
    if name and address:
        addresses[name] = address
    elif name or address:
        st.error("A channel needs a name and an address.")
        return None
    return {
        "channels": addresses,
        "routes": {owner: chosen for owner, chosen in routes.items() if chosen},
        "alerts": {each: value for each, value in settings.items() if value != usual[each] or each in own},
    }


def _routable_owners(body: edit_config.Body) -> list[str]:
    """Return the owners of models, and those that have a route."""
    return sorted({each.settings.owner for each in load.catalog().models if each.settings.owner} | set(body["routes"]))


def _as_list(value: Any) -> list[str]:
    """Return as a list a setting that may be one name or several."""
    return [value] if isinstance(value, str) else list(value)


def _save_settings(before: edit_config.Body, wanted: edit_config.Body, read: str, author: str | None) -> None:
    """Write the file, and record the change in the ledger without addresses."""
    if author is None:
        st.error(person_name.why_not_saved())
        return
    changed = _settings_changes(before, wanted)
    if not changed:
        st.caption("No change.")
        return
    try:
        sign_in.require_of_person("settings")
        edit_config.save_alert_tables(load.home(), wanted, read)
        text = f"{author} changed the alerts: {'; '.join(changed)}."
        load.store().write_records([{"kind": "event", "at": datetime.now(UTC), "what": "note", "text": text}])
    except ObservabilityError as error:
        plain_error(error)
        return
    st.session_state["alerts-turn"] = st.session_state.get("alerts-turn", 0) + 1
    st.session_state.pop("alerts-read", None)
    st.session_state[SAVED] = True
    st.rerun()


def _settings_changes(before: edit_config.Body, wanted: edit_config.Body) -> list[str]:
    """The changes in words; a channel is named without its address."""
    said = []
    for name in sorted({*before["channels"], *wanted["channels"]}):
        old, new = before["channels"].get(name), wanted["channels"].get(name)
        if old != new:
            said.append(f"channel {name} {'added' if old is None else 'removed' if new is None else 'has a new address'}")
    for owner in sorted({*before["routes"], *wanted["routes"]}):
        old, new = _as_list(before["routes"].get(owner, [])), _as_list(wanted["routes"].get(owner, []))
        if old != new:
            said.append(f"route of {owner}: {', '.join(new) or 'default'}")
    names = sorted({*before["alerts"], *wanted["alerts"]})
    others = [name for name in names if before["alerts"].get(name) != wanted["alerts"].get(name)]
    return said + [f"{name}: {wanted['alerts'].get(name) or 'default'}" for name in others]
