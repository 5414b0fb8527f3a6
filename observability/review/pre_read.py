"""The pre-read of the weekly review: the agenda as plain text, with a short summary and links for each item. It is sent on the evening
before the meeting.

It is a `message` record for each channel, queued once a week and sent like alerts. For a meeting on Monday it is sent on Monday morning, as
soon as the week is frozen, because on Sunday evening the week is not over yet.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from observability.alerts.config import AlertConfig
from observability.core import formatting
from observability.core.weeks import Week
from observability.incidents.daily_values import DailyLine
from observability.records.kinds import WEEKDAYS
from observability.review import agenda_figures, meeting
from observability.review.agenda import Arranged, Item, arranged_agenda
from observability.review.freeze import is_frozen, said_about, stored_week
from observability.review.small_groups import week_without_small_groups

if TYPE_CHECKING:
    from observability.store.engine import Store

Body = dict[str, Any]
MAX_REASONS = 2
"""Maximum number of reasons that a pre-read gives for an item."""


def pre_read_text(store: "Store", review: str, now: datetime, dashboard: str = "") -> str:
    """The agenda of a frozen week as plain text. dashboard: the address for links; without it, there are no links.

    Raises NotFoundError if the week is not frozen.
    """
    return pre_read(store, review, now, dashboard)[0]


def pre_read(store: "Store", review: str, now: datetime, dashboard: str = "") -> tuple[str, list[DailyLine]]:
    """The text of the pre-read, and the metrics that an e-mail draws within it."""
    body = week_without_small_groups(stored_week(store, review))
    agenda = arranged_agenda([Item.from_json(item) for item in body["agenda"]], said_about(store, review))
    current = {action["action"]: action for action in meeting.all_actions(store, now.date())}
    return agenda_text(body, agenda, current, dashboard)


def agenda_text(body: Body, agenda: Arranged, actions: Mapping[str, Body], dashboard: str = "") -> tuple[str, list[DailyLine]]:
    """The text of an agenda; and the metrics to draw, one below the summary of each item that has one. actions: the present state of
    actions, by id.
    """
    span = formatting.format_span(datetime.fromisoformat(body["start"]), datetime.fromisoformat(body["end"]))
    items = formatting.plural(len(agenda.items), "item")
    lines = [f"Model review, week {body['week']} ({span}, UTC): {items} on the agenda."]
    drawn: list[DailyLine] = []
    for number, item in enumerate(agenda.items, 1):
        lines += ["", f"{number}. {item_headline(item)}", *(f"   {line}" for line in item_summary(body, item))]
        figure = agenda_figures.item_figure(body, item)
        drawn += [replace(figure.line, line=len(lines))] if figure and figure.days else []
        lines += [f"   {review_address(dashboard, body, step='agenda', item=item.item)}"] if dashboard else []
    if not agenda.items:
        lines += ["", "Nothing needs action this week."]
    if agenda.folded:
        lines += ["", f"{formatting.plural(len(agenda.folded), 'item')} below the agenda."]
    if body["promises"]:
        lines += ["", "Actions of earlier weeks:"]
        current = [actions.get(promise["action"]) or promise for promise in body["promises"]]
        lines += [f"- {plain_line(action['text'])} ({meeting.who_and_when(action)})" for action in current]
    return "\n".join([*lines, *(["", review_address(dashboard, body)] if dashboard else [])]) + "\n", drawn


def item_headline(item: Item) -> str:
    """State, models and sentence of an item."""
    models = f"{', '.join(item.models)}: " if item.models else ""
    return f"{formatting.STATUS_WORDS[item.shown_severity]}: {models}{plain_line(item.title)}"


def item_summary(body: Body, item: Item) -> list[str]:
    """The metric next to its reference, the worst slice, and the first reasons; each on one line."""
    figure = agenda_figures.item_figure(body, item)
    measured = [figure.comparison, *([figure.worst_words] if figure.worst_words else [])] if figure else []
    return [plain_line(line) for line in (*measured, *item.reasons[:MAX_REASONS])]


def plain_line(words: str) -> str:
    """A text on one line, without backticks and without characters that change the direction of text."""
    return " ".join(formatting.escape_direction_marks(words).replace("`", "").split())


def review_address(dashboard: str, body: Body, **parameters: str) -> str:
    """The address of a step or an item of the review."""
    return f"{dashboard}/review?{urlencode({'review': body['review'], **parameters})}"


def pre_read_is_due(config: AlertConfig, now: datetime) -> bool:
    """Whether it is time to send the pre-read: from `pre_read_hour` on the evening before the meeting until midnight, in the time zone of
    the settings. For a meeting on Monday, all Monday, once the week is over in UTC as well.
    """
    local = now.astimezone(config.zone)
    if config.meeting == WEEKDAYS[0]:
        return local.weekday() == now.astimezone(UTC).weekday() == 0
    evening = (WEEKDAYS.index(config.meeting) - 1) % 7
    return local.weekday() == evening and local.hour >= config.pre_read_hour


def pre_read_messages(store: "Store", review: str, channels: Sequence[str], config: AlertConfig, now: datetime) -> list[Body]:
    """One `message` record for each channel. Raises NotFoundError if the week is not frozen."""
    (text, drawn), start = pre_read(store, review, now, config.dashboard), config.send_at(now)
    message = {"kind": "message", "at": now, "state": "queued", "title": f"Pre-read: model review {review}", "text": text}
    message["figures"] = [line.to_json() for line in drawn]
    later = {"not_before": start} if start > now else {}
    return [{**message, **later, "message": f"pre-read-{review}-{channel}", "channel": channel} for channel in channels]


def queue_pre_read(store: "Store", config: AlertConfig, known: Container[str], now: datetime) -> list[str]:
    """Queue the pre-read of last week if it is due, the week is frozen, and the message is not known yet. Returns the keys of the new
    messages.
    """
    if not config.pre_read or not pre_read_is_due(config, now):
        return []
    review = str(Week.before_now(now))
    channels = [channel for channel in config.pre_read if f"pre-read-{review}-{channel}" not in known]
    if not channels or not is_frozen(store, review):
        return []
    messages = pre_read_messages(store, review, channels, config, now)
    store.write_records(messages)
    return [message["message"] for message in messages]
