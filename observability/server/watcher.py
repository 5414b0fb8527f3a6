"""The watcher thread: checks live models every few minutes, opens and resolves alerts, sends messages, and freezes last week on Monday.

Models and records without data of the last 30 days are not checked.
"""

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from observability.alerts import alert_log
from observability.alerts import config as configs
from observability.alerts.alert_decisions import DASHBOARD, decide_alerts, shared_alerts
from observability.alerts.delivery import Notify, deliver_messages
from observability.alerts.trackers import queue_issues
from observability.analyzers import discover
from observability.analyzers.training.runs import JUDGED
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding
from observability.core.time import end_of_step, naive_utc
from observability.core.weeks import Week
from observability.core.window import EPOCH, Window
from observability.export.png import daily_line_png
from observability.metrics.labelled_window import LABELLED
from observability.monitoring import check, check_windows
from observability.monitoring.fleet_alarms import fleet_alarms
from observability.monitoring.kept_findings import (
    Asked,
    KeptFindings,
    asked_generation,
    evaluated_hour,
    keeper_of_records,
    kept_findings_of,
    report_generation,
)
from observability.monitoring.kept_labels import keeper_of_labels
from observability.monitoring.kept_runs import keeper_of_runs
from observability.review import freeze
from observability.review.pre_read import queue_pre_read

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.catalog import Catalog
    from observability.monitoring.analyzer_runs import Reads
    from observability.monitoring.check import CheckReport
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
SWITCH = "OBSERVABILITY_WATCH"
"""Environment variable: `off` disables the thread; a number is the wait in seconds before the first round."""
FIRST_WAIT, PAUSE = 20.0, 10.0
"""Seconds before the first round, and between two rounds."""
REVIEW_HOURS = timedelta(hours=7)
"""Monday's review is frozen at 07:00 UTC."""
DAY = timedelta(days=1)
PARTS: tuple["Reads", ...] = ("aggregates", "computed", "rows", "records")
"""The parts of a check whose findings are kept separately."""
RECORDS_LIVE = timedelta(days=1)
"""Findings about runs and other records raise alerts only while their window ended less than this long ago."""


@dataclass(frozen=True)
class WatchedModel:
    """The result of checking a model. incidents: number of open incidents by severity. label_maturity: share of rows with labels, None if
    unknown.
    """

    incidents: Mapping[str, int]
    label_maturity: float | None


@dataclass(frozen=True)
class JudgedOn:
    """The state of the store from which the report of a model was made: the number of the last commit that may affect the model, and the
    hour. As long as both are the same, the model is not checked again. at: time of the check; it is ignored in comparisons.
    """

    commit: int
    hour: datetime
    at: datetime = field(compare=False)


@dataclass
class Watching:
    """State of the thread. seen: when the incident of each alert was last present. failure: the last failure, in words. models: by name, a
    summary of the last check of each live model. reports: the complete reports, each stored as soon as its model is checked. judged: state
    and time of each of these checks.
    """

    reports: dict[str, "CheckReport"] = field(default_factory=dict)
    models: dict[str, "WatchedModel"] = field(default_factory=dict)
    judged: dict[str, "JudgedOn"] = field(default_factory=dict)
    seen: dict[str, datetime] = field(default_factory=dict)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    checked_at: datetime | None = None
    failure: str | None = None


def first_wait() -> float:
    """Seconds before the first round: the number in the environment, else `FIRST_WAIT`."""
    try:
        return max(float(os.environ.get(SWITCH, "")), 0.0)
    except ValueError:
        return FIRST_WAIT


def run_watcher(store: "Store", state: Watching, stopping: threading.Event, *, wait: float | None = None) -> None:
    """Run rounds until `stopping` is set. A failure is noted for the page, and the round is tried again. wait: seconds before the first
    round.
    """
    pause = first_wait() if wait is None else wait
    while not stopping.wait(pause):
        pause = PAUSE
        began = time.monotonic()
        try:
            with store.in_background():
                watch_round(store, state, datetime.now(UTC))
            state.failure = None
        except Exception as error:
            state.failure = str(error) if isinstance(error, ObservabilityError) else f"{type(error).__name__}: {error}"
            LOG.exception("watching failed")
        pause = max(pause, time.monotonic() - began)


def watch_round(store: "Store", state: Watching, now: datetime, notify: Notify | None = None) -> None:
    """Run one round: check models if a new five-minute step has begun; store alerts, tracker issues and the pre-read as messages; send
    messages that are due; freeze last week.
    """
    try:
        config = configs.read_alert_config(store.home)
        if state.checked_at is None or now >= end_of_step(state.checked_at):
            check_live_models(store, state, config, now)
            state.checked_at = now
        try:
            deliver_messages(store, config, now, notify, draw=daily_line_png)
        finally:  # alerts are sent even if issues or agendas fail; those are sent in the next round
            if config.trackers or config.pre_read:
                known = alert_log.messages_by_key(store).keys()
                queue_issues(store, config.trackers, known, config.dashboard, now)
                queue_pre_read(store, config, known, now)
    finally:  # invalid alert settings must not stop the weekly review
        freeze_last_week(store, now)


def check_live_models(store: "Store", state: Watching, config: configs.AlertConfig, now: datetime) -> None:
    """Check every live model and all other records, then store opened, worsened and resolved alerts with their messages."""
    store.note_lake_state()
    models = live_models(store, now)
    about_records = {analyzer.name for analyzer in discover() if analyzer.about == "records"}
    kept = kept_findings_of(store, len(store.catalog().models))
    live = set(models)
    state.reports = {name: report for name, report in state.reports.items() if name in live}
    state.judged = {name: basis for name, basis in state.judged.items() if name in live}
    for name in models:
        basis = JudgedOn(report_generation(store.generations, name), hour_of(now), now)
        if name not in state.reports or state.judged.get(name) != basis:
            state.reports[name] = kept_report(store, kept, name, now)
            state.judged[name] = basis
    reports = dict(state.reports)
    acknowledged = claims_by_model(alert_log.acknowledged_claims(store, now))
    none: check.AcknowledgedClaims = frozenset()
    state.models = {name: watched_model(store.catalog(), report, acknowledged.get(name, none)) for name, report in reports.items()}
    incidents = [incident for report in reports.values() for incident in report.incidents]
    generations = dict(store.generations)
    keep = keeper_of_records(store, generations)
    shared = {JUDGED: keeper_of_runs(store, generations), LABELLED: keeper_of_labels(store, generations)}
    records = check.record_findings(store.whole_groups(), None, now=end_of_step(now), evaluated=now, keep=keep, shared=shared)
    other = [finding for finding in records if finding.model not in live]
    incidents += check.findings_with_incidents(store.catalog(), other)[1]
    incidents = [
        incident for incident in incidents if incident.lead.analyzer not in about_records or now - incident.lead.end < RECORDS_LIVE
    ]
    known = alert_log.alerts_by_incident(store, now)
    seen = {name: state.seen.get(name, state.started) for name in known}
    checked = {name for name, alert in known.items() if alert.model in live or (alert.rule or "").rpartition("/")[0] in about_records}
    owners: dict[str | None, str | None] = {model.name: model.settings.owner for model in store.catalog().models}
    findings = {name: report.findings for name, report in reports.items()}
    fleet = fleet_alarms(incidents, findings, sum(analyzer.about == "model" for analyzer in discover()))
    incidents, quiet = shared_alerts(incidents, fleet, known, owners)
    decision = decide_alerts(incidents, known, seen, checked, owners, config, now, quiet)
    state.seen |= dict.fromkeys(decision.there, now)
    if decision.records:
        store.write_records(decision.records)


def hour_of(instant: datetime) -> datetime:
    """The start of the hour that contains a point in time."""
    return instant.replace(minute=0, second=0, microsecond=0)


def claims_by_model(claims: "check.AcknowledgedClaims") -> "dict[str | None, check.AcknowledgedClaims]":
    """Acknowledged claims by the model that they are about."""
    found: dict[str | None, check.AcknowledgedClaims] = {}
    for model, claim in claims:
        found[model] = found.get(model, frozenset()) | {(model, claim)}
    return found


def kept_report(store: "Store", kept: KeptFindings, name: str, now: datetime) -> "CheckReport":
    """Check one model over the days that the first page shows: whole days, including the present day. Returns the report.

    The findings are kept, and pages use them too. A model without new rows is still judged once an hour, because silence can be a finding.
    """
    model = store.catalog().model(name)
    activity = store.activity(model=name)
    window = whole_days_window(model, activity, now)
    at = evaluated_hour(check_windows.evaluation_time(model, activity, window, now), window)
    findings: list[Finding] = []
    for reads in PARTS:
        asked = Asked(window, reads, window.end if reads == "rows" else at)
        compute = partial(_part_of_findings, store, window, now, reads)
        findings += kept.find_or_compute(asked, asked_generation(store.generations, asked), compute)
    marked, incidents = check.findings_with_incidents(store.catalog(), check.unique_findings(findings))
    return check.CheckReport(tuple(marked), incidents, {name: window})


def whole_days_window(model: Model, activity: "DataFrame", now: datetime) -> Window:
    """The last seven whole days of a model, for which rollups alone are sufficient. The last one is the present day, or the day of the
    newest record.
    """
    found, _ = check_windows.model_check_window(model, activity, start=None, end=None, as_of=None, now=now)
    end = found.end + (EPOCH - found.end) % DAY
    return replace(found, start=end - check_windows.DEFAULT_DAYS * DAY, end=end)


def _part_of_findings(store: "Store", window: Window, now: datetime, reads: "Reads") -> tuple[Finding, ...]:
    """The findings of some analyzers (`analyzer_runs.analyzer_reads`) about a model, or the findings about its other records."""
    if reads == "records":
        return tuple(check.record_findings(store, window.model, now=now, beside=window))
    found = check.check(store, model=window.model, start=window.start, end=window.end, now=now, with_records=False, reads=reads)
    return tuple(found.findings)


def watched_model(catalog: "Catalog", report: "CheckReport", acknowledged: "check.AcknowledgedClaims") -> WatchedModel:
    """The summary of a check of one model. acknowledged: claims on which a person has acted, so that they need no further action."""
    shares = [finding.value for finding in report.findings if finding.metric == "label_maturity" and finding.slice is None]
    open_ones = check.findings_with_incidents(catalog, list(report.findings), acknowledged)[1] if acknowledged else report.incidents
    return WatchedModel(Counter(incident.severity for incident in open_ones), next(iter(shares), None))


def live_models(store: "Store", now: datetime) -> list[str]:
    """Names of the models that have a record in the last 30 days."""
    newest = check_windows.newest_predictions(store.activity())
    since = now - timedelta(days=check_windows.LIVE_DAYS)
    return [model.name for model in store.catalog().models if model.name in newest and newest[model.name] > since]


def freeze_last_week(store: "Store", now: datetime) -> None:
    """Freeze last week, from Monday 07:00 UTC on, unless it is frozen or no model served since its start."""
    week = Week.before_now(now)
    if now < week.end + REVIEW_HOURS or not live_models(store, now) or freeze.is_frozen(store, str(week)) or not served_since(store, week):
        return
    freeze.freeze(store, week, author=DASHBOARD, now=now)


def served_since(store: "Store", week: Week) -> bool:
    """Whether there is a production prediction at or after the start of a week."""
    activity = store.activity()
    rows = activity[activity["environment"] == "production"]
    start = naive_utc(week.start)
    return bool((rows["last"] >= start).any())
