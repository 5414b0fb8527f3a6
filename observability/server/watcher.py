"""Who looks at the models while nobody does: checks them every few minutes, opens and resolves alerts, sends messages, freezes Monday's week?

A thread of the owner. Models and records that are older than 30 days are not watched: their silence is no news.
"""

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from observability.alerts import alert_log
from observability.alerts import config as configs
from observability.alerts.alert_decisions import decide
from observability.alerts.delivery import Notify, deliver
from observability.analyzers import discover
from observability.core.errors import ObservabilityError
from observability.core.time import naive_utc
from observability.core.weeks import Week
from observability.monitoring import check as run
from observability.review import freeze
from observability.store.ingest import record_writer
from observability.store.query import listing

if TYPE_CHECKING:
    from observability.store.db.database import Store

LOG = logging.getLogger(__name__)
SWITCH = "OBSERVABILITY_WATCH"
"""In the environment: `off` keeps the thread from running, a number is how many seconds it waits before its first look."""
FIRST_WAIT, PAUSE = 20.0, 10.0
"""Seconds before the first look, and between two looks for messages that may leave."""
CHECK_EVERY = timedelta(minutes=5)
REVIEW_HOURS = timedelta(hours=7)
"""Monday's review is frozen at 07:00 UTC."""
RECORDS_LIVE = timedelta(days=1)
"""Runs and other records are judged up to now, or in the days that end with the newest of them; those that ended longer ago are no news."""
DASHBOARD = "the dashboard"


@dataclass
class Watching:
    """What the thread knows and how it fares. seen: when the incident of each alert was last there; checked_at: the last check; failure: the last one in words."""

    seen: dict[str, datetime] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    checked_at: datetime | None = None
    failure: str | None = None


def switched_off() -> bool:
    """Whether the environment keeps the thread from running."""
    return os.environ.get(SWITCH, "on").strip().lower() in ("off", "0", "no", "false")


def first_wait() -> float:
    """Seconds before the first look: what the environment says, else FIRST_WAIT."""
    try:
        return max(float(os.environ.get(SWITCH, "")), 0.0)
    except ValueError:
        return FIRST_WAIT


def in_background(store: "Store", state: Watching, stopping: threading.Event, *, wait: float | None = None) -> None:
    """The thread. A failure is kept for the page and tried again; nothing that was decided is lost. wait: seconds before its first look."""
    pause = first_wait() if wait is None else wait
    while not stopping.wait(pause):
        pause = PAUSE
        began = time.monotonic()
        try:
            with store.in_background():
                look(store, state, datetime.now(UTC))
            state.failure = None
        except Exception as error:
            state.failure = str(error) if isinstance(error, ObservabilityError) else f"{type(error).__name__}: {error}"
            LOG.exception("watching failed")
        pause = max(pause, time.monotonic() - began)


def look(store: "Store", state: Watching, now: datetime, notify: Notify | None = None) -> None:
    """One round: check what is due, keep what was decided, send what may leave, freeze the week that is over."""
    try:
        config = configs.read(store.home)
        if state.checked_at is None or now - state.checked_at >= CHECK_EVERY:
            check(store, state, config, now)
            state.checked_at = now
        deliver(store, config, now, notify)
    finally:  # a mistake in the settings of alerts is no reason to leave Monday's meeting without its week
        freeze_last_week(store, now)


def check(store: "Store", state: Watching, config: configs.Config, now: datetime) -> None:
    """Judge every live model and what is logged beside them, then open, worsen and resolve alerts. What is decided is on disk before anything is sent."""
    models = live(store, now)
    about_records = {each.name for each in discover() if each.about == "records"}
    incidents = [one for name in models for one in run.check(store, model=name, now=now).incidents]
    beside = [each for each in run.record_findings(store, None, now=now) if each.model not in models]
    incidents += run.gathered(store.catalog(), beside)[1]
    incidents = [each for each in incidents if each.lead.analyzer not in about_records or now - each.lead.end < RECORDS_LIVE]
    known = alert_log.alerts(store, now)
    seen = {name: state.seen.get(name, state.started) for name in known}
    judged = {name for name, each in known.items() if each.model in models or (each.rule or "").rpartition("/")[0] in about_records}
    owners: dict[str | None, str | None] = {each.name: each.settings.owner for each in store.catalog().models}
    decided = decide(incidents, known, seen, judged, owners, config, now)
    state.seen |= dict.fromkeys(decided.there, now)
    if decided.records:
        record_writer.write(store, decided.records)


def live(store: "Store", now: datetime) -> list[str]:
    """Models with a record of the last 30 days."""
    activity = listing.activity(store)
    found = []
    for each in store.catalog().models:
        last = run.newest(each, activity)
        if last is not None and now - last < timedelta(days=run.LIVE_DAYS):
            found.append(each.name)
    return found


def freeze_last_week(store: "Store", now: datetime) -> None:
    """The week that is over, on Monday from 07:00 UTC on, where a model served in it and nobody froze it."""
    week = Week.before_now(now)
    if now < week.end + REVIEW_HOURS or not live(store, now) or freeze.is_frozen(store, str(week)) or not served(store, week):
        return
    freeze.freeze(store, week, author=DASHBOARD, now=now)


def served(store: "Store", week: Week) -> bool:
    """Whether any production prediction lies in or after the week's start."""
    activity = listing.activity(store)
    rows = activity[activity["environment"] == "production"]
    start = naive_utc(week.start)
    return bool((rows["last"] >= start).any())
