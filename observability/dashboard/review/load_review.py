"""What do the pages of reviews, alerts and the ledger of changes read?

The part of `load` that is about what people and the dashboard said: it asks the store, and caches by the store's state.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.core.errors import StoreBusyError
from observability.core.time import naive_utc
from observability.dashboard.load import Stamp, now, stamp, store

if TYPE_CHECKING:
    from observability.alerts.alert_log import Message
    from observability.alerts.alert_state import Alert
    from observability.review.case_verdicts import Concluded
    from observability.review.change_log import Entry
    from observability.review.freeze import Frozen
    from observability.review.restated import Restated
    from observability.review.snapshot import Body
    from observability.server.watcher import Watching
    from observability.store.query.decision_log import Item


def reviews() -> "list[Frozen]":
    """Every frozen week, the newest first."""
    return cached_reviews(stamp())


def review(name: str) -> "Body | None":
    """The numbers of a frozen week; None where it is not frozen. Read-only: sessions share it."""
    return cached_review(stamp(), name)


def review_said(name: str) -> list[dict[str, Any]]:
    """What people said about the items of a review, oldest first."""
    return cached_review_said(stamp(), name)


def alerts() -> "dict[str, Alert]":
    """Every alert as it stands, by incident."""
    return cached_alerts(stamp(), now())


def alert_words(incident: str) -> list[dict[str, Any]]:
    """What was said about the alert of an incident, oldest first."""
    return cached_alert_words(stamp(), incident)


def alert_messages() -> "dict[str, Message]":
    """Every message about alerts, by its key."""
    return cached_alert_messages(stamp())


def watching() -> "Watching | None":
    """What the thread knows that looks at the models; None where none runs in this process."""
    from observability.server import process_lock

    try:
        return process_lock.current().watching
    except StoreBusyError:
        return None


def decided(name: str) -> "list[Body]":
    """Standing decisions of a review, oldest first."""
    return cached_decided(stamp(), name)


def verdicts_of_week(week: str) -> "tuple[list[Concluded], str | None]":
    """What people concluded about predictions of a week, and where the confirmed errors came from in a sentence."""
    return cached_verdicts_of_week(stamp(), week)


def restated(name: str) -> "list[Restated]":
    """What later labels made of the figures of a frozen week."""
    return cached_restated(stamp(), name, now())


def ledger(model: str | None, start: datetime, end: datetime) -> "list[Entry]":
    """What happened: deploys, data versions, decisions and the rest, newest first."""
    return cached_ledger(stamp(), model, start, end)


def signatures() -> list[dict[str, Any]]:
    """The newest signature of each state of each model."""
    return cached_signatures(stamp())


def today() -> datetime:
    """Now, as the store's frames hold instants: UTC without a zone."""
    return naive_utc(now())


def actions() -> "dict[str, Item]":
    """Every action as it stands, by its id."""
    return cached_actions(stamp())


@st.cache_data(max_entries=4, show_spinner=False)
def cached_reviews(key: Stamp) -> "list[Frozen]":
    """See `reviews`."""
    from observability.review import freeze

    return freeze.frozen_weeks(store())


@st.cache_resource(max_entries=8, show_spinner=False)
def cached_review(key: Stamp, name: str) -> "Body | None":
    """See `review`."""
    from observability.review import freeze

    return freeze.body_of(store(), name)


@st.cache_data(max_entries=8, show_spinner=False)
def cached_review_said(key: Stamp, name: str) -> list[dict[str, Any]]:
    """See `review_said`."""
    from observability.review import freeze

    return freeze.said_about(store(), name)


@st.cache_data(max_entries=4, show_spinner=False)
def cached_alerts(key: Stamp, instant: datetime) -> "dict[str, Alert]":
    """See `alerts`."""
    from observability.alerts import alert_log

    return alert_log.alerts(store(), instant)


@st.cache_data(max_entries=16, show_spinner=False)
def cached_alert_words(key: Stamp, incident: str) -> list[dict[str, Any]]:
    """See `alert_words`."""
    from observability.alerts import alert_log

    return alert_log.said(store(), incident)


@st.cache_data(max_entries=4, show_spinner=False)
def cached_alert_messages(key: Stamp) -> "dict[str, Message]":
    """See `alert_messages`."""
    from observability.alerts import alert_log

    return alert_log.messages(store())


@st.cache_data(max_entries=8, show_spinner=False)
def cached_decided(key: Stamp, name: str) -> "list[Body]":
    """See `decided`."""
    from observability.export import review as export_review

    return export_review.decided(store(), name)


@st.cache_data(max_entries=8, show_spinner=False)
def cached_verdicts_of_week(key: Stamp, week: str) -> "tuple[list[Concluded], str | None]":
    """See `verdicts_of_week`."""
    from observability.core.weeks import Week
    from observability.review.case_verdicts import concluded

    return concluded(store(), Week.parse(week))


@st.cache_data(max_entries=8, show_spinner=False)
def cached_restated(key: Stamp, name: str, instant: datetime) -> "list[Restated]":
    """See `restated`."""
    from observability.review import freeze
    from observability.review.restated import restated as since

    return since(store(), freeze.found(store(), name), instant)


@st.cache_data(max_entries=16, show_spinner=False)
def cached_ledger(key: Stamp, model: str | None, start: datetime, end: datetime) -> "list[Entry]":
    """See `ledger`."""
    from observability.review.change_log import entries

    return entries(store(), start, end, model=model)


@st.cache_data(max_entries=4, show_spinner=False)
def cached_signatures(key: Stamp) -> list[dict[str, Any]]:
    """See `signatures`."""
    from observability.review.agenda_items import rows, standing

    return standing(rows(store(), "signature"))


@st.cache_data(max_entries=4, show_spinner=False)
def cached_actions(key: Stamp) -> "dict[str, Item]":
    """See `actions`."""
    from observability.store.query import decision_log

    return {each.id: each for each in decision_log.actions(store())}
