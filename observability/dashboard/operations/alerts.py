"""Which alerts are open, who looks after them, were they useful, and did the messages leave?"""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

import streamlit as st

from observability.alerts import alert_log
from observability.alerts.alert_decisions import GREW
from observability.alerts.alert_log import Message
from observability.alerts.alert_state import Alert, precision
from observability.alerts.config import Config, read
from observability.alerts.delivery import TRIES, by_apprise
from observability.alerts.rule_usefulness import uses
from observability.core import formatting
from observability.core.errors import ObservabilityError
from observability.dashboard import empty_states, links, load, person_name
from observability.dashboard.choice_box import choose
from observability.dashboard.operations import rules
from observability.dashboard.review import load_review
from observability.dashboard.scope import Scope
from observability.dashboard.table import column, row, table
from observability.store.ingest import record_writer

STATES = {"open": "Open", "acknowledged": "Acknowledged", "snoozed": "Snoozed", "resolved": "Resolved"}
SAYS = {
    "opened": "Opened", "worse": "Got worse", "resolved": "Resolved", "acknowledged": "Acknowledged", "snoozed": "Snoozed", "woken": "Snooze over", "reopened": "Opened again",
    "useful": "Useful", "not_useful": "Not useful", "note": "Note",
}  # fmt: skip
COLUMNS = (
    column("title", "What", wide=True),
    column("model", "Model", width="9rem"),
    column("state", "State", width="9rem"),
    column("since", "Since (UTC)", width="9rem"),
    column("useful", "Useful?", width="6rem"),
)


def listed(alerts: Sequence[Alert], scope: Scope) -> None:
    """The alerts, open ones first."""
    table("alerts", "Alerts, open ones first", COLUMNS, [as_row(each, scope) for each in alerts[:100]])
    if len(alerts) > 100:
        st.caption(f"The first 100 of {len(alerts):,}.")


def ordered(alerts: Sequence[Alert]) -> list[Alert]:
    """Open ones first, in each state the newest first."""
    places = list(STATES)
    return sorted(alerts, key=lambda each: (places.index(each.state), -each.changed_at.timestamp(), each.incident))


def as_row(alert: Alert, scope: Scope) -> dict[str, Any]:
    """One alert."""
    until = f"until {formatting.minute(alert.until)}" if alert.until else f"by {alert.by}" if alert.by else None
    if alert.state == "snoozed" and alert.until is None:
        until = f"until it gets worse, by {alert.by}"
    useful = {None: formatting.DASH, True: "yes", False: "no"}[alert.useful]
    return row(
        {
            "title": {"s": alert.severity if alert.state != "resolved" else "ok", **links.link(alert.title, "alerts", scope, incident=alert.incident), "sub": f"suspected source: {alert.source}"},
            "model": {"t": alert.model or formatting.DASH, "sub": alert.owner},
            "state": {"t": STATES[alert.state], "sub": until},
            "since": {"t": formatting.minute(alert.opened_at)},
            "useful": {"t": useful},
        },
        selected=st.query_params.get("incident") == alert.incident,
    )  # fmt: skip


def work_on(alerts: Sequence[Alert], scope: Scope) -> None:
    """One alert: what was said, and what a person can do about it."""
    known = {each.incident: each for each in alerts}
    chosen = choose(
        "incident", "Work on an alert", list(known), words=lambda key: known[key].title.replace("`", "")[:110] if key in known else key,
        placeholder="Choose an alert", missing="The link names the incident {}, which has no alert here.",
    )  # fmt: skip
    alert = known.get(chosen or "")
    if alert is None:
        return
    with st.container(border=True):
        st.subheader(formatting.sentence(alert.title), anchor=False)
        for each in load_review.alert_words(alert.incident):
            more = f": {formatting.plain(each['text'])}" if each["text"] else ""
            until = f" until {formatting.plain(formatting.minute(each['until']))}" if each["until"] else ""
            st.markdown(
                f":gray[{formatting.plain(formatting.minute(each['at']))} {formatting.plain(each['author'])}] **{formatting.plain(SAYS[each['says']])}{until}**{more}"
            )
        if alert.model:
            target = links.link("Findings of the model", "findings", scope.about(alert.model))
            st.button(
                target["t"], type="tertiary", icon=":material/arrow_forward:", key="go-findings", on_click=links.go, args=(target["go"],)
            )
        author = person_name.box()
        if author:
            answer(alert, author)
        else:
            st.caption("Give your name to answer.")


def answer(alert: Alert, author: str) -> None:
    """Acknowledge, snooze, resolve, open again; useful or not, asked once."""
    note = st.text_input("Note", key=f"note-{alert.incident}", max_chars=1000, placeholder="May stay empty")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if alert.state in ("open", "snoozed") and st.button("Acknowledge", icon=":material/visibility:", key="acknowledge"):
            say(alert, author, "acknowledged", note)
        if alert.state in ("open", "acknowledged"):
            with st.popover("Snooze", icon=":material/snooze:"):
                st.caption(
                    f"What gets worse is told at once: from watch to act, or {GREW:g} times as bad as it was told. Else it is quiet until that day, 00:00 UTC."
                )
                today = datetime.now(UTC).date()
                worse = st.toggle("Until it gets worse, whatever the day", key="snooze-worse")
                until = st.date_input(
                    "Until", value=today + timedelta(days=3), min_value=today + timedelta(days=1), key="snooze-until", disabled=worse
                )
                if st.button("Snooze", key="snooze"):
                    say(alert, author, "snoozed", note, until=None if worse else datetime.combine(until, time(), tzinfo=UTC))
        if alert.state != "resolved" and st.button("Resolve", icon=":material/check:", key="resolve"):
            say(alert, author, "resolved", note)
        if alert.state != "open" and st.button("Open again", icon=":material/undo:", key="reopen"):
            say(alert, author, "reopened", note)
    if alert.useful is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("Was this alert useful?")
            if st.button("Yes", icon=":material/thumb_up:", key="useful"):
                say(alert, author, "useful", note)
            if st.button("No", icon=":material/thumb_down:", key="not-useful"):
                say(alert, author, "not_useful", note)


def say(alert: Alert, author: str, says: str, note: str, **more: Any) -> None:
    """Keep what somebody says about an alert."""
    record = {
        "kind": "alert",
        "incident": alert.incident,
        "author": author,
        "says": says,
        "model": alert.model,
        "text": note.strip(),
        **more,
    }
    try:
        record_writer.write(load.store(), [record])
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)))
        return
    st.rerun()


def useful(alerts: Sequence[Alert]) -> None:
    """How often alerts were judged useful."""
    found = precision(alerts)
    if found.all:
        st.caption(formatting.plain(found.sentence))


def by_rule(alerts: Sequence[Alert]) -> None:
    """Which rules raised them, how many of them were useful, and which rules never raised one."""
    found = uses(alerts)
    fired = [each for each in found if each.fired]
    if fired:
        rules.used([{"rule": each.rule, "fired": each.fired, "useful": each.answers.useful, "judged": each.answers.judged, "useless": each.useless} for each in fired])  # fmt: skip
    rules.silent([each.rule for each in found if not each.fired])


def channels() -> None:
    """Where messages go, what waits, what failed."""
    try:
        config = read(load.home())
    except ObservabilityError as error:
        st.error(formatting.plain(str(error)), title="Messages are not sent", icon=":material/error:")
        return
    if not config.channels:
        empty_states.nothing(
            "No channel is set, so alerts are listed here and sent to nobody.",
            "Add one below: mail, Slack, Teams, webhooks, as apprise writes them; then who is told where, and the quiet hours.",
        )
        return
    sent = list(load_review.alert_messages().values())
    columns = (column("channel", "Channel", strong=True), column("for", "For"), column("sent", "Sent", align="right"), column("waits", "Waits", align="right"), column("failed", "Failed", align="right"), column("repeat", "After a crash", wide=True))  # fmt: skip
    table(
        "channels",
        "Channels",
        columns,
        [channel_row(name, config, [each for each in sent if each.channel == name]) for name in config.channels],
    )
    if config.quiet:
        start, end = config.quiet
        st.caption(f"Quiet from {start:%H:%M} to {end:%H:%M} ({formatting.plain(config.zone.key)}): messages wait until then.")
    with st.popover("Send a test message", icon=":material/send:"):
        name = st.selectbox("Channel", list(config.channels), key="test-channel")
        if st.button("Send", key="test-send"):
            test(config, name)


def channel_row(name: str, config: Config, sent: Sequence[Message]) -> dict[str, Any]:
    """One channel."""
    owners = [owner for owner, names in config.routes.items() if name in names]
    failed = [each for each in sent if each.state == "failed"]
    repeat = "a message may arrive twice" if config.repeats(name) else "a repeat carries the same Idempotency-Key"
    return row(
        {
            "channel": {"t": name, "sub": config.channels[name].partition(":")[0]},
            "for": {"t": ", ".join(owners) or ("whoever has no route" if name in config.default else formatting.DASH)},
            "sent": {"t": f"{sum(each.state == 'sent' for each in sent):,}"},
            "waits": {"t": f"{sum(each.state == 'queued' for each in sent):,}"},
            "failed": {"t": f"{len(failed):,}", "sub": failed[-1].error if failed else None, **({"s": "watch"} if failed else {})},
            "repeat": {"t": repeat, "sub": f"given up after {TRIES} tries" if any(each.failed >= TRIES for each in failed) else None},
        }
    )


def test(config: Config, name: str) -> None:
    """Send a test message now."""
    message = alert_log.Message("test", "", name, "Test of an alert channel", "This channel works.", None, datetime.now(UTC), "queued")
    try:
        by_apprise(config.channels[name], message)
    except (ObservabilityError, OSError) as error:
        st.error(formatting.plain(str(error)))
    else:
        st.success("It left.")


def watching() -> None:
    """What the thread that looks at the models is doing."""
    state = load_review.watching()
    if state is None:
        st.caption("Nothing watches the models in this process.")
    elif state.failure:
        st.warning(formatting.plain(f"The last look failed: {state.failure}"), icon=":material/warning:")
    elif state.checked_at is None:
        st.caption("The models are looked at every five minutes; the first look is under way.")
    else:
        st.caption(f"Looked at the live models {formatting.plain(formatting.ago(state.checked_at, datetime.now(UTC)))}; every five minutes. Models without a record for 30 days are not watched.")  # fmt: skip
