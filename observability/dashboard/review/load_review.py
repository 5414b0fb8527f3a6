"""Reads the decisions of people and of the dashboard (reviews, alerts, ledger). Results are cached until the store changes."""

from datetime import date, datetime
from typing import Any

from observability.alerts import alert_log
from observability.alerts.alert_log import Message
from observability.alerts.alert_state import Alert
from observability.core.errors import StoreBusyError
from observability.core.time import naive_utc
from observability.core.weeks import Week
from observability.dashboard import load, sign_in
from observability.dashboard.state_cache import cached_by_state
from observability.export import review as export_review
from observability.review import freeze, meeting, programme
from observability.review.agenda_items import records_until, standing_signatures
from observability.review.case_verdicts import Concluded, week_verdicts
from observability.review.change_log import Entry, change_entries
from observability.review.freeze import FrozenWeek
from observability.review.restated import Restated
from observability.review.restated import restated_since_freezing as since
from observability.review.small_groups import week_without_small_groups
from observability.review.snapshot import Body
from observability.server.access import may_do_everywhere
from observability.server.watcher import Watching
from observability.store.types.decision_items import DecisionItem


@cached_by_state(4, copied=True)
def frozen_reviews() -> list[FrozenWeek]:
    """Every frozen week, newest first."""
    return freeze.frozen_weeks(load.store())


@cached_by_state(8)
def frozen_review(name: str) -> Body | None:
    """The figures of a frozen week, as far as this person may see them; None if the week is not frozen. Read-only, because sessions share
    it.
    """
    body = freeze.week_body(load.store(), name)
    return body if body is None or may_do_everywhere(sign_in.current_person(), "reveal") else week_without_small_groups(body)


@cached_by_state(8, copied=True)
def review_notes(name: str) -> list[dict[str, Any]]:
    """Notes and outcomes of the items of a review, oldest first."""
    return freeze.said_about(load.store(), name)


@cached_by_state(4, copied=True)
def meetings_written() -> dict[str, bool]:
    """For each review in which people wrote something, whether its meeting is closed."""
    return freeze.meetings_closed(load.store())


def current_alerts() -> dict[str, Alert]:
    """Every alert in its current state, by incident."""
    return _alerts_at(load.page_clock())


@cached_by_state(4, copied=True, computed=False)
def _alerts_at(instant: datetime) -> dict[str, Alert]:
    return alert_log.alerts_by_incident(load.store(), instant)


@cached_by_state(16, copied=True, computed=False)
def alert_history(incident: str) -> list[dict[str, Any]]:
    """The entries about the alert of an incident, oldest first."""
    return alert_log.alert_records(load.store(), incident)


@cached_by_state(4, copied=True, computed=False)
def alert_messages() -> dict[str, Message]:
    """Every message about alerts, by its key."""
    return alert_log.messages_by_key(load.store())


def watcher_state() -> Watching | None:
    """The state of the thread that checks the models; None if no such thread runs in this process."""
    from observability.server import process_lock

    try:
        return process_lock.current_owner().watching
    except StoreBusyError:
        return None


@cached_by_state(8, copied=True)
def standing_decisions(name: str) -> list[Body]:
    """Decisions of a review that were not withdrawn, oldest first."""
    return export_review.decisions_of_review(load.store(), name)


@cached_by_state(8, copied=True)
def verdicts_of_week(week: str) -> tuple[list[Concluded], str | None]:
    """The verdicts about predictions of a week, and a sentence about the sources of the confirmed errors."""
    return week_verdicts(load.store(), Week.parse(week))


def restated_figures(name: str) -> list[Restated]:
    """The figures of a frozen week that have changed since then, because labels arrived."""
    return _restated_at(name, load.page_clock())


@cached_by_state(8, copied=True)
def _restated_at(name: str, instant: datetime) -> list[Restated]:
    return since(load.store(), freeze.stored_week(load.store(), name), instant)


@cached_by_state(16, copied=True, computed=False)
def change_ledger(model: str | None, start: datetime, end: datetime) -> list[Entry]:
    """Deploys, data versions, decisions and other changes, newest first."""
    return change_entries(load.store(), start, end, model=model)


@cached_by_state(4, copied=True)
def risk_acceptances() -> list[dict[str, Any]]:
    """The newest signature of each accepted state of each model."""
    return standing_signatures(records_until(load.store(), "signature"), load.catalog().models)


def today_naive_utc() -> datetime:
    """Now, in the form in which the store's frames hold times: UTC without a time zone."""
    return naive_utc(load.page_clock())


def agreed_actions(name: str) -> list[Body]:
    """The actions that were agreed in a review, oldest first, in their current state. Due dates are compared with the page's clock."""
    return _agreed_actions_on(load.page_clock().date(), name)


@cached_by_state(8, copied=True)
def _agreed_actions_on(day: date, name: str) -> list[Body]:
    return meeting.agreed_actions(load.store(), name, day)


def all_actions() -> list[Body]:
    """Every action in its current state, open ones first. Due dates are compared with the page's clock."""
    return _all_actions_on(load.page_clock().date())


@cached_by_state(4, copied=True, computed=False)
def _all_actions_on(day: date) -> list[Body]:
    return meeting.all_actions(load.store(), day)


@cached_by_state(4, copied=True, computed=False)
def actions_by_id() -> dict[str, DecisionItem]:
    """Every action item in its current state, by its id."""
    return {action.id: action for action in load.store().actions()}


def programme_values(model: str | None) -> list[programme.MonthValue]:
    """The values of the review programme by month, of one model or of all. Due dates are compared with the page's clock."""
    return _programme_on(load.page_clock().date(), model)


@cached_by_state(4, copied=True, computed=False)
def _programme_on(day: date, model: str | None) -> list[programme.MonthValue]:
    store = load.store()
    actions = [action for action in store.actions() if model in (None, action.fields.get("model"))]
    every = alert_log.alert_records(store)
    own = {record["incident"] for record in every if record["says"] == "opened" and model in (None, record["model"])}
    records = [record for record in every if record["incident"] in own]
    onsets = programme.frozen_onsets(store, records[0]["at"]) if records else {}
    return programme.programme_by_month(actions, records, onsets, day)
