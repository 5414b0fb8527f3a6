"""How does a queued message leave, once, and what if it does not?

A message is on disk before it is sent. After a crash between sending and noting so it is sent again with the same key: a webhook can leave the repeat
out by its `Idempotency-Key` header; other channels cannot, and the page says so.
"""

import logging
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

from observability.alerts import alert_log
from observability.alerts.alert_log import Message
from observability.alerts.config import WEBHOOKS, Config
from observability.core.errors import UsageError
from observability.store.ingest import record_writer

if TYPE_CHECKING:
    from observability.store.db.database import Store

LOG = logging.getLogger(__name__)
TRIES = 12
"""A message that failed so often is given up; the page says so."""
LONGEST_PAUSE = timedelta(hours=2)
TEAMS = "Microsoft ended the connectors of Teams: make a workflow there and give its address, as workflows://host/workflow/signature"
Notify = Callable[[str, Message], None]
"""Sends a message to an address; raises where that fails."""


def deliver(store: "Store", config: Config, now: datetime, notify: Notify | None = None) -> int:
    """Send what may leave now, oldest first; gives how many were sent. A message that fails waits longer each time, and stops no other."""
    send, sent = notify or by_apprise, 0
    for each in alert_log.messages(store).values():
        if not may_leave(each, now):
            continue
        record = {
            "kind": "message",
            "message": each.key,
            "at": now,
            "incident": each.incident,
            "channel": each.channel,
            "model": each.model,
        }
        try:
            address = config.channels.get(each.channel)
            if address is None:
                raise UsageError(f"there is no channel {each.channel!r} any more")
            send(address, each)
        except Exception as error:
            LOG.warning("message %s to %s failed: %s", each.key, each.channel, error)
            record_writer.write(store, [{**record, "state": "failed", "error": str(error)[:300]}])
            continue
        record_writer.write(store, [{**record, "state": "sent"}])
        sent += 1
    return sent


def may_leave(message: Message, now: datetime) -> bool:
    """Whether a message waits, its quiet hours are over, and it did not fail too often or just now."""
    if message.state == "sent" or message.failed >= TRIES or (message.not_before is not None and message.not_before > now):
        return False
    if message.failed and message.last_at is not None:
        return now - message.last_at >= min(timedelta(minutes=2 ** (message.failed - 1)), LONGEST_PAUSE)
    return True


def by_apprise(address: str, message: Message) -> None:
    """Send through apprise (mail, Slack, Teams, webhooks and many more). Raises UsageError where it does not know the address, OSError where it failed."""
    import apprise

    if address.partition(":")[0] in WEBHOOKS:
        address += f"{'&' if '?' in address else '?'}+Idempotency-Key={quote(message.key)}"
    channel = apprise.Apprise.instantiate(address)
    if channel is None:
        raise UsageError(
            "the address of the channel is not understood", where=message.channel, expected="an address of apprise, as jsons://host/path",
            attempt=TEAMS if address.startswith("msteams") else None,
        )  # fmt: skip
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as heard:
        taken = channel.notify(body=message.text, title=message.title)
        said = heard.getvalue()
    if not taken:
        raise OSError(f"the channel did not take the message{answer(said, address)}")


def answer(said: str, address: str) -> str:
    """The first thing that a channel answered, in brackets; nothing where it gives away a part of the address."""
    first = next((line.strip() for line in said.splitlines() if line.strip()), "")
    secrets = [part for part in re.split(r"[^A-Za-z0-9]+", address.partition(":")[2]) if len(part) > 3]
    return "" if not first or any(part in first for part in secrets) else f" ({first[:200]})"
