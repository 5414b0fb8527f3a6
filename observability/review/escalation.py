"""What has waited for three weeks without a decision or an answer, and who is told?

When a week is frozen, actions that nobody could judge three times running are passed up by themselves, and the owner is told of them and of agenda
items that were not decided so long: through the channels of the alerts, once every three weeks, with a key that is the same however often.
"""

import hashlib
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.alerts import config as configs
from observability.alerts.config import Config
from observability.core.errors import ObservabilityError
from observability.review.action_items import DASHBOARD
from observability.review.agenda import UNDECIDED, Item
from observability.store.ingest import record_writer

if TYPE_CHECKING:
    from observability.store.db.database import Store

Body = dict[str, Any]
LOG = logging.getLogger(__name__)
NEWS = timedelta(days=30)
"""Of a week that ended before that nobody is told: a review of old logs raises no alarm."""


def pass_up(store: "Store", body: Body, now: datetime) -> None:
    """Keeps what follows from a week that was just frozen: actions passed up, messages queued. Settings of alerts that cannot be read cost the messages only."""
    records: list[dict[str, Any]] = list(actions(body, now))
    if now - datetime.fromisoformat(body["end"]) < NEWS:
        try:
            records += messages(body, configs.read(store.home), now)
        except ObservabilityError as error:
            LOG.warning("nobody is told what waits in week %s: %s", body["week"], error)
    if records:
        record_writer.write(store, records)


def actions(body: Body, now: datetime) -> Iterable[dict[str, Any]]:
    """Records that pass actions up which nobody could judge for so long."""
    for each in body["promises"]:
        if each["escalated"] and each["state"] != "escalated":
            reason = f"Whether it worked could not be told {each['weeks']} weeks running, last in {body['week']}."
            yield {"kind": "action", "action": each["action"], "at": now, "author": DASHBOARD, "state": "escalated", "reason": reason}


def messages(body: Body, config: Config, now: datetime) -> Iterable[dict[str, Any]]:
    """One message for each channel of the owner about each item that reached a third, sixth, … week without an outcome."""
    owners = {each["model"]: each["owner"] for each in body["models"]}
    responsible = {f"action:{each['action']}": each["owner"] for each in body["promises"]}
    for item in map(Item.from_json, body["agenda"]):
        if not item.overdue or item.weeks % UNDECIDED:
            continue
        person = responsible.get(item.item)
        told = [person] if person in config.routes else [owners.get(each) for each in item.models or (None,)]
        lines = [item.title.replace("`", ""), " ".join(item.reasons).replace("`", "")]
        if config.dashboard:
            lines.append(f"{config.dashboard}/review?review={body['review']}")
        for channel in dict.fromkeys(channel for owner in told for channel in config.channels_of(owner)):
            key = hashlib.sha256(f"{item.item}/{item.weeks}/{channel}".encode()).hexdigest()[:24]
            yield {
                "kind": "message", "message": key, "at": now, "state": "queued", "incident": item.item, "channel": channel, "model": item.model,
                "title": f"Undecided for {item.weeks} weeks: {', '.join(item.models) or 'no model'}", "text": "\n".join(lines), "not_before": config.send_at(now),
            }  # fmt: skip
