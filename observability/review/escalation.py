"""Escalation of actions and agenda items that have been open for three weeks.

When a week is frozen, actions that were not done in three consecutive reviews are escalated. Owners are notified of these actions, and of
agenda items that have been undecided as long. The messages go through the alert channels, once every three weeks, with a deterministic key.
If an action was done and its target metric has improved since, it is recorded as verified.
"""

import hashlib
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from observability.alerts import config as configs
from observability.alerts.config import AlertConfig
from observability.core.errors import ObservabilityError
from observability.review.action_items import DASHBOARD
from observability.review.agenda import UNDECIDED, Item
from observability.store.engine import Store

Body = dict[str, Any]
LOG = logging.getLogger(__name__)
NEWS = timedelta(days=30)
"""No notifications are sent for weeks that ended longer ago, for example when old logs are reviewed."""


def pass_up(store: Store, body: Body, now: datetime) -> None:
    """Write the escalations and messages that follow from a frozen week. If the alert settings cannot be read, only the messages are
    omitted.
    """
    records: list[dict[str, Any]] = [*action_escalations(body, now), *action_verifications(body, now)]
    if now - datetime.fromisoformat(body["end"]) < NEWS:
        try:
            records += escalation_messages(body, configs.read_alert_config(store.home), now)
        except ObservabilityError as error:
            LOG.warning("no notifications for week %s: %s", body["week"], error)
    if records:
        store.write_records(records)


def action_escalations(body: Body, now: datetime) -> Iterable[dict[str, Any]]:
    """Records that escalate actions that have not been done for too long."""
    for action in body["promises"]:
        if action["escalated"] and action["state"] != "escalated":
            reason = f"Not done for {action['weeks']} weeks, last in {body['week']}."
            yield {"kind": "action", "action": action["action"], "at": now, "author": DASHBOARD, "state": "escalated", "reason": reason}


def action_verifications(body: Body, now: datetime) -> Iterable[dict[str, Any]]:
    """Records that mark actions as verified because their target metric improved after they were done."""
    for action in body["promises"]:
        if action["state"] == "done" and action.get("stage") == "verified":
            reason = f"The target metric improved, measured in {body['week']}."
            yield {"kind": "action", "action": action["action"], "at": now, "author": DASHBOARD, "state": "verified", "reason": reason}


def escalation_messages(body: Body, config: AlertConfig, now: datetime) -> Iterable[dict[str, Any]]:
    """For each item in its third, sixth, … week without an outcome, one message per channel of its owner."""
    owners = {part["model"]: part["owner"] for part in body["models"]}
    responsible = {f"action:{action['action']}": action["owner"] for action in body["promises"]}
    for item in map(Item.from_json, body["agenda"]):
        if not item.overdue or item.weeks % UNDECIDED:
            continue
        person = responsible.get(item.item)
        recipients = [person] if person in config.routes else [owners.get(model) for model in item.models or (None,)]
        lines = [item.title.replace("`", ""), " ".join(item.reasons).replace("`", "")]
        if config.dashboard:
            lines.append(f"{config.dashboard}/review?review={body['review']}")
        message = {"kind": "message", "at": now, "state": "queued", "incident": item.item, "model": item.model, "text": "\n".join(lines)}
        message |= {"title": f"Undecided for {item.weeks} weeks: {', '.join(item.models) or 'no model'}", "not_before": config.send_at(now)}
        for channel in dict.fromkeys(channel for owner in recipients for channel in config.channels_of(owner)):
            key = hashlib.sha256(f"{item.item}/{item.weeks}/{channel}".encode()).hexdigest()[:24]
            yield message | {"message": key, "channel": channel}
