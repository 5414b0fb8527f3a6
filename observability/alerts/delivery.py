"""Send queued messages, with retries.

A message is on disk before it is sent. After a crash between sending and recording it as sent, it is sent again with the same key. A
webhook can drop the repeated message by its `Idempotency-Key` header. Other channels cannot, and the page says so.
"""

import logging
import re
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from observability.alerts import alert_log, trackers
from observability.alerts.alert_log import Message
from observability.alerts.config import WEBHOOKS, AlertConfig
from observability.core.errors import UsageError
from observability.incidents.daily_values import DailyLine
from observability.metrics.own_exports import own_export

if TYPE_CHECKING:
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
TRIES = 12
"""Failed attempts after which a message is given up; the page says so."""
NOTED = {"dashboard-": "message of a dashboard", "pre-read-": "message of a review"}
"""Messages that are recorded as exports, by the prefix of their key."""
LONGEST_PAUSE = timedelta(hours=2)
LINK = re.compile(r"https?://[^\s<]+")
TEAMS = "Microsoft retired Teams connectors: create a workflow and use its address, workflows://host/workflow/signature"
Notify = Callable[[str, Message], None]
"""Sends a message to an address; raises if that fails."""
Draw = Callable[[DailyLine], bytes]
"""Draws a metric by day as PNG; empty if there is nothing to draw."""
MAIL = ("mailto", "mailtos")


def deliver_messages(
    store: "Store",
    config: AlertConfig,
    now: datetime,
    notify: Notify | None = None,
    ask: trackers.Send | None = None,
    draw: Draw | None = None,
) -> int:
    """Send the messages that are due, oldest first; returns how many were sent. A failure delays only its own message, longer each time.

    A message to an issue tracker becomes an issue, whose id is stored with the action or decision. ask: a function that sends a request to
    a tracker. draw: a function that draws the pictures of e-mails; without it, e-mails contain only text.
    """
    send, sent = notify or partial(by_apprise, draw=draw), 0
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
    """The record that lists a sent message as an export. Only summaries of dashboards and agendas of reviews are listed, because they
    contain figures of models. Alerts contain the sentence and the days of one finding, and issues the text of a person; both are listed
    only on the page Alerts.
    """
    name = next((name for begin, name in NOTED.items() if message.key.startswith(begin)), None)
    return [] if name is None else [own_export(f"{name}: {message.title}", f"channel {message.channel}", model=message.model)]


def may_leave(message: Message, now: datetime) -> bool:
    """Whether a message is due. It is due if it is not sent, quiet hours are over, it has fewer than `TRIES` failures, and the pause since
    the last failure is over.
    """
    if message.state == "sent" or message.failed >= TRIES or (message.not_before is not None and message.not_before > now):
        return False
    if message.failed and message.last_at is not None:
        return now - message.last_at >= min(timedelta(minutes=2 ** (message.failed - 1)), LONGEST_PAUSE)
    return True


def by_apprise(address: str, message: Message, draw: Draw | None = None) -> None:
    """Send through apprise (mail, Slack, Teams, webhooks, …). Raises UsageError for an unknown address, OSError if sending failed.

    draw: a function that draws the pictures of an e-mail; other channels get only the text.
    """
    import apprise
    from apprise.attachment.memory import AttachMemory

    pictures: list[tuple[DailyLine, bytes]] = []
    if draw is not None and address.partition(":")[0] in MAIL:
        pictures = [(line, png) for line in message.figures if (png := draw(line))]
        address += f"{'&' if '?' in address else '?'}inline=yes" if pictures else ""
    if address.partition(":")[0] in WEBHOOKS:
        address += f"{'&' if '?' in address else '?'}+Idempotency-Key={quote(message.key)}"
    channel = apprise.Apprise.instantiate(address)
    if channel is None:
        expected, attempt = "an apprise address such as jsons://host/path", TEAMS if address.startswith("msteams") else None
        raise UsageError("unknown channel address", where=message.channel, expected=expected, attempt=attempt)
    with apprise.LogCapture(level=logging.WARNING, fmt="%(message)s") as captured:
        content: dict[str, Any] = {"body": message.text}
        if pictures:
            held = [AttachMemory(png, name=f"figure-{place}.png", mimetype="image/png") for place, (_, png) in enumerate(pictures, 1)]
            content = {"body": mail_html(message.text, [line for line, _ in pictures]), "body_format": "html", "attach": held}
        accepted = channel.notify(title=message.title, **content)
        log = captured.getvalue()
    if not accepted:
        raise OSError(f"the channel rejected the message{channel_answer(log, address)}")


def mail_html(text: str, pictures: Sequence[DailyLine]) -> str:
    """A message as HTML. Each picture is below its line of the text and has a text alternative. Web addresses become links."""
    lines = [f"{LINK.sub(_link, escape(line).replace('  ', '&nbsp; '))}<br>" for line in text.splitlines()]
    for place, line in reversed(list(enumerate(pictures, 1))):
        label = escape(" ".join(line.label.split()))
        picture = f'<img src="cid:figure-{place}.png" alt="{label}" width="640" style="max-width:100%"><br>'
        lines.insert(min(line.line, len(lines)), picture)
    return "\n".join(lines)


def _link(found: re.Match[str]) -> str:
    return f'<a href="{found[0]}">{found[0]}</a>'


def channel_answer(log: str, address: str) -> str:
    """The channel's first log line in brackets; empty if it contains a part of the address, which may be secret."""
    first = next((line.strip() for line in log.splitlines() if line.strip()), "")
    secrets = [part for part in re.split(r"[^A-Za-z0-9]+", address.partition(":")[2]) if len(part) > 3]
    return "" if not first or any(part in first for part in secrets) else f" ({first[:200]})"
