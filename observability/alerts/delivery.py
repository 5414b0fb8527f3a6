"""Send queued messages, with retries.

A message is on disk before it is sent. After a crash between sending and recording that, it is sent again with the same key: a
webhook can drop the repeat by its `Idempotency-Key` header; other channels cannot, and the page says so.
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from observability.alerts import alert_log, trackers
from observability.alerts.alert_log import Message
from observability.alerts.config import WEBHOOKS, AlertConfig
from observability.core.errors import UsageError
from observability.metrics.own_exports import own_export

if TYPE_CHECKING:
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
TRIES = 12
"""Failed attempts after which a message is given up; the page says so."""
NOTED = {"dashboard-": "message of a dashboard", "pre-read-": "message of a review"}
"""Messages that are noted as exports, by the begin of their key."""
LONGEST_PAUSE = timedelta(hours=2)
TEAMS = "Microsoft retired Teams connectors: create a workflow and use its address, workflows://host/workflow/signature"
Notify = Callable[[str, Message], None]
"""Sends a message to an address; raises where that fails."""


def deliver_messages(
    store: "Store", config: AlertConfig, now: datetime, notify: Notify | None = None, ask: trackers.Send | None = None
) -> int:
    """Send the messages that are due, oldest first; returns how many were sent. A failure delays only its own message, longer each time.

    A message to an issue tracker becomes an issue, whose id is kept with the action or decision. ask: sends a request to a tracker.
    """
    send, sent = notify or by_apprise, 0
    for message in alert_log.messages_by_key(store).values():
        if not may_leave(message, now):
            continue
        record = {
            "kind": "message",
            "message": message.key,
            "at": now,
            "incident": message.incident,
            "channel": message.channel,
            "model": message.model,
        }
        kept: list[dict[str, Any]] = []
        try:
            address, tracker = config.channels.get(message.channel), config.trackers.get(message.channel)
            if tracker is not None:
                kept = trackers.deliver_issue(store, tracker, message.key, config.dashboard, now, ask)
            elif address is None:
                raise UsageError(f"channel {message.channel!r} was removed")
            else:
                send(address, message)
        except Exception as error:
            LOG.warning("message %s to %s failed: %s", message.key, message.channel, error)
            store.write_records([{**record, "state": "failed", "error": str(error)[:300]}])
            continue
        store.write_records([*kept, *message_exports(message), {**record, "state": "sent"}])
        sent += 1
    return sent


def message_exports(message: Message) -> list[dict[str, object]]:
    """The record of the export that a sent message is: summaries of dashboards and agendas of reviews hold figures of models. Alerts hold
    the sentence of one finding, and issues what a person wrote; they are listed on the page Alerts alone.
    """
    name = next((name for begin, name in NOTED.items() if message.key.startswith(begin)), None)
    return [] if name is None else [own_export(f"{name}: {message.title}", f"channel {message.channel}", model=message.model)]


def may_leave(message: Message, now: datetime) -> bool:
    """Whether a message is due: not sent, quiet hours over, fewer than `TRIES` failures, and the pause since the last failure over."""
    if message.state == "sent" or message.failed >= TRIES or (message.not_before is not None and message.not_before > now):
        return False
    if message.failed and message.last_at is not None:
        return now - message.last_at >= min(timedelta(minutes=2 ** (message.failed - 1)), LONGEST_PAUSE)
    return True


def by_apprise(address: str, message: Message) -> None:
    """Send through apprise (mail, Slack, Teams, webhooks, …). Raises UsageError for an unknown address, OSError where sending failed."""
    import apprise

    if address.partition(":")[0] in WEBHOOKS:
        address += f"{'&' if '?' in address else '?'}+Idempotency-Key={quote(message.key)}"
    channel = apprise.Apprise.instantiate(address)
    if channel is None:
        expected, attempt = "an apprise address such as jsons://host/path", TEAMS if address.startswith("msteams") else None
        raise UsageError("unknown channel address", where=message.channel, expected=expected, attempt=attempt)
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as captured:
        accepted = channel.notify(body=message.text, title=message.title)
        log = captured.getvalue()
    if not accepted:
        raise OSError(f"the channel rejected the message{channel_answer(log, address)}")


def channel_answer(log: str, address: str) -> str:
    """The channel's first log line in brackets; empty where it contains a part of the address, which may be secret."""
    first = next((line.strip() for line in log.splitlines() if line.strip()), "")
    secrets = [part for part in re.split(r"[^A-Za-z0-9]+", address.partition(":")[2]) if len(part) > 3]
    return "" if not first or any(part in first for part in secrets) else f" ({first[:200]})"
