"""The summary of a dashboard, sent on its schedule through a channel of the alerts: a sentence for each figure, and the link.

A summary is a `message` record that is queued once on each scheduled day; the watcher sends it in the same way as alerts, with retries.
"""

import logging
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from observability.alerts.alert_log import messages_by_key
from observability.alerts.config import AlertConfig, read_alert_config
from observability.core.errors import ObservabilityError
from observability.dashboard.boards.boards import Board, figures_of_pins, read_boards, scope_words
from observability.dashboard.boards.load_boards import scope_dates_words
from observability.dashboard.sign_in import on_behalf_of
from observability.incidents.daily_values import DailyLine
from observability.records.kinds import WEEKDAYS
from observability.server.access import Person
from observability.server.dashboard_access import may_send_to, visible_dashboards
from observability.server.sign_in import person_of_name

if TYPE_CHECKING:
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
MAX_POINTS = 400
LOOK_EVERY = 60.0
"""Seconds between two checks of the schedule."""


def run_board_mail(store: "Store", stopping: threading.Event) -> None:
    """Queue the summaries that are due, every minute until `stopping` is set. A failure is logged and tried again."""
    while not stopping.wait(LOOK_EVERY):
        try:
            queue_due_summaries(store, datetime.now(UTC))
        except ObservabilityError as error:
            LOG.warning("summaries of dashboards were not queued: %s", error)
        except Exception:
            LOG.exception("summaries of dashboards were not queued")


def queue_due_summaries(store: "Store", now: datetime) -> list[str]:
    """Queue the summary of every dashboard that is due, and return the keys of the new messages. Each summary is written with the rights of
    the person who scheduled it. If these rights are not sufficient, nothing is sent.
    """
    items = store.dashboards()
    scheduled = [board for board in read_boards(items) if board.send != "never" and board.channel]
    if not scheduled:
        return []
    config = read_alert_config(store.home)
    due = due_boards(scheduled, config, now, messages_by_key(store).keys())
    queued = []
    for key, board in due.items():
        person = person_of_name(store.home, board.sent_by or "")
        if person is None or board.id not in {item.id for item in visible_dashboards(person, items)}:
            LOG.warning("the summary of the dashboard %s was not queued: %s may not see it", board.id, board.sent_by)
            continue
        if not may_send_to(person, board.channel or "", store.home):
            LOG.warning("the summary of the dashboard %s was not queued: %s may not send to %s", board.id, board.sent_by, board.channel)
            continue
        store.write_records([summary_message(key, board, config, person, now)])
        queued.append(key)
    return queued


def due_boards(boards: Collection[Board], config: AlertConfig, now: datetime, known: Collection[str]) -> dict[str, Board]:
    """The dashboards whose summary is due today and not yet among the known messages, by the key of the message."""
    local, found = now.astimezone(config.zone), dict[str, Board]()
    for board in boards:
        key = f"dashboard-{board.id}-{local:%Y-%m-%d}"
        today = board.send in ("daily", WEEKDAYS[local.weekday()])
        if today and local.hour >= board.hour and key not in known:
            found[key] = board
    return found


def summary_message(key: str, board: Board, config: AlertConfig, person: Person, now: datetime) -> dict[str, Any]:
    """The record of a summary that is queued to be sent."""
    return {
        "kind": "message",
        "message": key,
        "at": now,
        "state": "queued",
        "channel": board.channel,
        "title": f"Dashboard: {board.name}",
        "text": (summary := dashboard_summary(board, config, person))[0],
        "figures": [line.to_json() for line in summary[1]],
        "not_before": start if (start := config.send_at(now)) > now else None,
    }


def dashboard_summary(board: Board, config: AlertConfig, person: Person) -> tuple[str, list[DailyLine]]:
    """The text of the summary, and the lines over time that are drawn in an e-mail. The text contains the title, scope and sentence of each
    figure, the dashboard's own texts, and the link.

    If another person pinned a figure, it is named without its numbers. Otherwise that person could send figures to the channel with the
    rights of the scheduling person, which may exceed their own.
    """
    with on_behalf_of(person):
        dates = scope_dates_words(board.scope)
        own = [pin for pin in board.pins if person.source == "here" or pin.author == person.name]
        lines, runs = [f"{board.name} ({scope_words(board.scope, dates)})"], figures_of_pins(own, board.scope, person)
        drawn: list[DailyLine] = []
        for pin in board.pins:
            place = pin.shown_place(board.scope)
            if place is None:
                lines += ["", *filter(None, (pin.title, pin.text))]
                continue
            if pin.id not in runs:
                lines += [
                    "",
                    f"{pin.title or pin.figure}: not in this mail, because {pin.author} pinned it, not {person.name}. See the page.",
                ]
                continue
            figure = runs[pin.id].found.get(pin.figure)
            said = figure.alt if figure else runs[pin.id].why_missing(pin.figure)
            lines += ["", f"{pin.title or pin.figure} ({scope_words(place.scope, scope_dates_words(place.scope))})", said]
            height = sum(text.count("\n") + 1 for text in lines)
            drawn += [line] if figure and (line := line_of_figure(figure.figure, figure.alt, height)) else []
    return "\n".join([*lines, *([f"\n{config.dashboard}/dashboards?dashboard={board.id}"] if config.dashboard else [])]), drawn


def line_of_figure(figure: Any, label: str, line: int) -> DailyLine | None:
    """The first line over time in a figure; None if there is no such line, or if it has too many points for a small picture.

    figure: a figure of plotly. line: the number of lines of the message above the picture.
    """
    for trace in figure.data:
        if trace.type != "scatter" or "lines" not in (trace.mode or "") or trace.fill or trace.x is None or trace.y is None:
            continue
        places, values = pd.Series(trace.x), pd.to_numeric(pd.Series(trace.y), errors="coerce")
        if pd.api.types.is_numeric_dtype(places):  # steps of a run and other numbers are not times
            continue
        instants = pd.to_datetime(places, errors="coerce", format="ISO8601")
        if not 2 <= len(values) <= MAX_POINTS or instants.isna().any() or values.notna().sum() < 2:
            continue
        form = "%Y-%m-%d" if (instants == instants.dt.normalize()).all() else "%Y-%m-%d %H:%M"
        numbers = [None if value != value else float(f"{value:.6g}") for value in values]
        points = tuple((at.strftime(form), value, None, None) for at, value in zip(instants, numbers, strict=True))
        share = "%" in (figure.layout.yaxis.tickformat or "")
        return DailyLine(str(trace.name or figure.layout.yaxis.title.text or ""), label, points, None, share, line)
    return None
