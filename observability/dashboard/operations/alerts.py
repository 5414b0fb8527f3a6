"""The alerts page: alerts with their owners and usefulness, and the channels of messages."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from observability.alerts import alert_log
from observability.alerts.alert_decisions import GREW
from observability.alerts.alert_log import Message
from observability.alerts.alert_state import REASONS, Alert
from observability.alerts.config import AlertConfig, read_alert_config
from observability.alerts.delivery import TRIES, by_apprise
from observability.alerts.rule_usefulness import rule_uses
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states, links, load, open_tasks, person_name, sign_in, time_zone
from observability.dashboard.choice_box import address_selectbox
from observability.dashboard.operations import alarm_rule_settings
from observability.dashboard.overview import incident_actions
from observability.dashboard.overview.incidents import first_clause
from observability.dashboard.replica_line import is_done_at_owner
from observability.dashboard.review import load_review
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, columns_on_phone, draw_table, number_columns, table_row
from observability.dashboard.widgets import cut_note, link_button, plain_caption, plain_error, save_records, utc_midnight

COLUMNS = (
    column("title", "What", wide=True),
    column("model", "Model", width="9rem", phone=False),
    column("state", "State", width="9rem"),
    column("since", "Opened (UTC)", width="9rem", short=True, phone=False),
    column("useful", "Useful?", width="6rem", phone=False),
)


CHANNEL_COLUMNS = columns_on_phone(
    "channel for sent failed",
    column("channel", "Channel", strong=True),
    column("for", "Recipients"),
    *number_columns(sent="Sent", waits="Queued", failed="Failed"),
    column("repeat", "After a crash", wide=True),
)
MAX_ALERTS = 100


def alerts_table(alerts: Sequence[Alert], scope: Scope) -> None:
    """Draw the alerts, open ones first."""
    draw_table("alerts", "Alerts, open ones first", COLUMNS, [_alert_row(alert, scope) for alert in alerts[:MAX_ALERTS]])
    cut_note(len(alerts), MAX_ALERTS, "The first {0} of {1}.")


def open_alerts_first(alerts: Sequence[Alert]) -> list[Alert]:
    """Return the alerts by state, open ones first; in each state the one that was opened last is first."""
    places = list(incident_actions.STATES)
    return sorted(alerts, key=lambda alert: (places.index(alert.state), -alert.opened_at.timestamp(), alert.incident))


def _alert_row(alert: Alert, scope: Scope) -> dict[str, Any]:
    """The table row of one alert: title, model, state and times."""
    until = f"until {time_zone.zoned_minute(alert.until)}" if alert.until else f"by {alert.by}" if alert.by else None
    if alert.state == "snoozed" and alert.until is None:
        until = f"until it gets worse, by {alert.by}"
    severity = alert.severity if alert.state != "resolved" else "ok"
    target = links.link_cell(first_clause(alert.title), "alerts", scope, incident=alert.incident)
    return table_row(
        title={"s": severity, **target, "title": alert.title.replace("`", ""), "sub": f"suspected source: {alert.source}"},
        model={"t": alert.model or formatting.DASH, "sub": alert.owner},
        state={"t": incident_actions.STATES[alert.state], "sub": REASONS[alert.reason].lower() if alert.reason else until},
        since=time_zone.zoned_minute(alert.opened_at),
        useful={None: formatting.DASH, True: "yes", False: "no"}[alert.useful],
        selected=st.query_params.get("incident") == alert.incident,
    )


def alert_details(alerts: Sequence[Alert], scope: Scope) -> None:
    """Draw the chosen alert with its history and the buttons to act on it."""
    known = {alert.incident: alert for alert in alerts}
    box: dict[str, Any] = {"placeholder": "Choose an alert", "missing": "The link names the incident {}, without an alert."}
    chosen = address_selectbox(
        "incident", "Open an alert", list(known), words=lambda key: first_clause(known[key].title).replace("`", ""), **box
    )
    alert = known.get(chosen or "")
    if alert is None:
        return
    with st.container(border=True):
        st.subheader(formatting.sentence_markdown(alert.title), anchor=False)
        incident_actions.incident_history(alert)
        with st.container(horizontal=True, gap="small"):
            page = links.link_cell("", "incident", scope.about(alert.model), id=alert.incident)
            link_button("Open the incident", page, key="go-incident", icon="crisis_alert")
            if alert.model:
                link_button("Findings of the model", links.link_cell("", "findings", scope.about(alert.model)), key="go-findings")
        author = person_name.person_name_box(model=alert.model)
        if author:
            _alert_actions(alert, author)
        else:
            st.caption(person_name.why_not_saved())


def _alert_actions(alert: Alert, author: str) -> None:
    """Draw the buttons that acknowledge, snooze, resolve or reopen an alert, and those that rate it, which is possible once."""
    note = st.text_input("Note", key=f"note-{alert.incident}", max_chars=1000, placeholder="Optional")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if alert.state in ("open", "snoozed") and st.button("Acknowledge", icon=":material/visibility:", key="acknowledge"):
            _save_alert_record(alert, author, "acknowledged", note)
        if alert.state in ("open", "acknowledged"):
            with st.popover("Snooze", icon=":material/snooze:"):
                st.caption(f"Ends at 00:00 UTC of that day, or when it gets worse: warning to critical, or {GREW:g} times as bad.")
                today = datetime.now(UTC).date()
                worse = st.toggle("Until it gets worse, without a date", key="snooze-worse")
                later, first = today + incident_actions.SNOOZE, today + timedelta(days=1)
                until = st.date_input("Until", value=later, min_value=first, key="snooze-until", disabled=worse)
                if st.button("Snooze", key="snooze"):
                    _save_alert_record(alert, author, "snoozed", note, until=None if worse else utc_midnight(until))
        if alert.state != "resolved":
            with st.popover("Resolve", icon=":material/check:"):
                reason = st.pills("Reason", list(REASONS), format_func=REASONS.__getitem__, key="resolve-reason")
                if st.button("Resolve", key="resolve", disabled=reason is None):
                    _save_alert_record(alert, author, "resolved", note, reason=reason)
        if alert.state != "open" and st.button("Reopen", icon=":material/undo:", key="reopen"):
            _save_alert_record(alert, author, "reopened", note)
    if alert.useful is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("Was this alert useful?")
            if st.button("Yes", icon=":material/thumb_up:", key="useful"):
                _save_alert_record(alert, author, "useful", note)
            if st.button("No", icon=":material/thumb_down:", key="not-useful"):
                _save_alert_record(alert, author, "not_useful", note)


def _save_alert_record(alert: Alert, author: str, says: str, note: str, **more: Any) -> None:
    """Save an entry about an alert."""
    about = {"incident": alert.incident, "model": alert.model}
    if save_records([{"kind": "alert", "author": author, "says": says, "text": note.strip(), **about, **more}]):
        st.rerun()


def alert_precision_note(alerts: Sequence[Alert]) -> None:
    """Draw the precision of alerts, and the reasons given for resolved ones."""
    if alerts:
        plain_caption(open_tasks.precision_words(alerts))


def alerts_by_rule(alerts: Sequence[Alert]) -> None:
    """Draw the rules that raised alerts with their usefulness, and the rules that never raised one."""
    found = rule_uses(alerts)
    rows = [
        {"rule": use.rule, "fired": use.fired, "useful": use.answers.useful, "judged": use.answers.judged, "useless": use.useless}
        for use in found
        if use.fired
    ]
    if rows:
        alarm_rule_settings.alarm_rules_used(rows)
    alarm_rule_settings.silent_alarm_rules([each.rule for each in found if not each.fired])


def channels_section() -> None:
    """Draw the channels, with queued and failed messages."""
    if is_done_at_owner("Channels are set", "alerts"):
        return
    try:
        config = read_alert_config(load.home())
    except ObservabilityError as error:
        st.error(formatting.error_markdown(error), title="Messages are not sent", icon=":material/error:")
        return
    if not config.channels and not config.trackers:
        empty_states.empty_state(
            "No channel is set: alerts are listed here and not sent.",
            "Add one below: mail, Slack, Teams or webhooks, as apprise addresses; then routes and quiet hours."
            if sign_in.role_allows("settings")
            else "An administrator adds one.",
        )
        return
    sent = list(load_review.alert_messages().values())
    names = (*config.channels, *config.trackers)
    rows = [_channel_row(name, config, [message for message in sent if message.channel == name]) for name in names]
    draw_table("channels", "Channels", CHANNEL_COLUMNS, rows)
    if config.quiet:
        start, end = config.quiet
        st.caption(f"Quiet from {start:%H:%M} to {end:%H:%M} ({formatting.escape_markdown(config.zone.key)}): messages wait until then.")
    if not config.channels or not sign_in.role_allows("settings"):
        return
    with st.popover("Send a test message", icon=":material/send:"):
        name = st.selectbox("Channel", list(config.channels), key="test-channel")
        if st.button("Send", key="test-send"):
            _send_test_message(config, name)


def _channel_row(name: str, config: AlertConfig, sent: Sequence[Message]) -> dict[str, Any]:
    """Return the table row of a channel or an issue tracker."""
    owners = [owner for owner, names in config.routes.items() if name in names]
    failed = [each for each in sent if each.state == "failed"]
    repeat = "a message may arrive twice" if config.repeats(name) else "a repeat carries the same Idempotency-Key"
    takes = ", ".join(owners) or ("owners without a route" if name in config.default else formatting.DASH)
    tracker = config.trackers.get(name)
    if tracker is not None:
        repeat, takes = "an issue is looked for before it is created", " and ".join(tracker.send)
    return table_row(
        {"for": takes},
        channel={"t": name, "sub": tracker.kind if tracker else config.channels[name].partition(":")[0]},
        sent=f"{sum(each.state == 'sent' for each in sent):,}",
        waits=f"{sum(each.state == 'queued' for each in sent):,}",
        failed={"t": f"{len(failed):,}", "sub": failed[-1].error if failed else None, **({"s": "watch"} if failed else {})},
        repeat={"t": repeat, "sub": f"given up after {TRIES} tries" if any(each.failed >= TRIES for each in failed) else None},
    )


def _send_test_message(config: AlertConfig, name: str) -> None:
    """Send a test message now."""
    message = alert_log.Message("test", "", name, "Test of an alert channel", "This channel works.", None, datetime.now(UTC), "queued")
    try:
        sign_in.require_of_person("settings")
        by_apprise(config.channels[name], message)
    except (ObservabilityError, OSError) as error:
        plain_error(error)
    else:
        st.success("Sent.")


def watcher_note() -> None:
    """Draw the state of the thread that checks the models."""
    state = load_review.watcher_state()
    if state is None:
        if not is_done_at_owner("Models are checked", "alerts"):
            st.caption("No checks run in this process.")
    elif state.failure:
        st.warning(formatting.escape_markdown(f"Last check failed: {state.failure}"), icon=":material/warning:")
    elif state.checked_at is None:
        st.caption("Checks run every five minutes; the first is in progress.")
    else:
        when = formatting.time_ago(state.checked_at, datetime.now(UTC))
        words = "Models with new records are checked every five minutes, others every hour; without a record for 30 days, not at all."
        plain_caption(f"Last check {when}. {words}")
