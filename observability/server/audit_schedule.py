"""Runs, in this process, the audits that the setting `audit_schedule` of each model asks for.

Audits run one at a time, in a confined worker of low priority, and only while nothing waits: no load, no records in the landing folder, no
step of the enrichment. An audit stores each finished step in the home, so an audit that was killed or interrupted continues from there.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.client.spool import ready_segments
from observability.core import formatting
from observability.core.catalog import Catalog, Model, Version
from observability.core.errors import ObservabilityError
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.detection.audit_history import StoredAudit, audits_for_schedule
from observability.records.outcome_file import merge_outcome, read_outcomes

if TYPE_CHECKING:
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
SWITCH = "OBSERVABILITY_AUDITS"
"""Environment variable: `off` disables the thread."""
LOOK_EVERY = 60.0
"""Seconds between two looks at the schedule."""
PATIENCE = 30.0
"""Seconds that other work may wait while an audit runs. A segment that the loader takes within a second therefore stops no audit."""
AFTER_FAILURE = timedelta(hours=24)
"""How long to wait after an audit failed or could not be run."""
FOLDER, STATE = "audits", "schedule-state.json"
AUDITS = Records("audit", ("model", "version", "at", "audit", "results", "expires"), ever=True)
Run = Callable[["Store", str, str, str, Callable[[float, str], None]], object]
"""A function that runs an audit; it gets the store, model, version, kind, and a callback for the progress."""


class AuditInterruptedError(Exception):
    """Raised if an audit stops after a step, because other work waits or the process ends. The next start continues from there."""


@dataclass(frozen=True)
class ScheduledAudit:
    """An audit on the schedule. when: the rule, as in the setting. last: the newest audit of this kind for this version and its model file.
    next: when it is due (aware UTC). It is in the past if the audit is waiting, and None if only a new version makes it due.
    """

    model: str
    version: str
    kind: str
    when: str
    last: StoredAudit | None
    next: datetime | None

    @property
    def key(self) -> str:
        """The key of this audit in the stored state."""
        return json.dumps([self.model, self.version, self.kind])


def newest_audited_version(model: Model) -> Version | None:
    """The last registered version that has a model file; None if no version has one."""
    known = [version for version in model.versions if version.registered_at is not None and version.artifact]
    return max(known, key=lambda version: (str(version.registered_at), version.name), default=None)


def audit_due_at(when: str, registered: datetime, last: StoredAudit | None) -> datetime | None:
    """When an audit that is scheduled as `30 days`, `new version` or `expired` is due. None if the next audit examines another version."""
    if last is None:
        return registered
    if when == "new version":
        return None
    return last.expires if when == "expired" else last.at + timedelta(days=float(when.partition(" ")[0]))


def scheduled_audits(catalog: Catalog, audits: Sequence[StoredAudit], model: str | None = None) -> list[ScheduledAudit]:
    """Every audit on the schedule, for one model or all, in the order in which they are due. A model without a model file has no audits."""
    found = []
    for each in catalog.models:
        version = newest_audited_version(each) if model in (None, each.name) else None
        if version is None or version.registered_at is None:
            continue
        for kind, when in each.settings.audit_schedule.items():
            own = [
                audit
                for audit in audits
                if (audit.model, audit.version, audit.kind) == (each.name, version.name, kind) and audit.is_of_file(version.artifact)
            ]
            last = max(own, key=lambda audit: audit.at, default=None)
            found.append(ScheduledAudit(each.name, version.name, kind, when, last, audit_due_at(when, version.registered_at, last)))
    return sorted(found, key=lambda audit: (audit.next is None, audit.next or EPOCH, audit.model, audit.kind))


def store_audits(store: "Store", now: datetime) -> list[StoredAudit]:
    """Every audit in a store whose kind can be run here, oldest first."""
    return audits_for_schedule(store.ask(AUDITS, Window("", EPOCH, now + timedelta(days=1))).to_dict("records"))


def schedule_outcomes(home: Path) -> dict[str, dict[str, Any]]:
    """By key: when it was last started (`ran`), and why it failed (`failure`, None if it did not). Empty if nothing is known."""
    return read_outcomes(home / FOLDER / STATE)


def schedule_words(audit: ScheduledAudit, outcome: Mapping[str, Any], now: datetime) -> str:
    """In words, the next run of an audit and the result of its last run."""
    rule = {"new version": "with each new version", "expired": "when it expires"}.get(audit.when, f"every {audit.when}")
    following = "next with a new version"
    if audit.next is not None:
        late = "due now, runs when nothing waits" if audit.next <= now else f"next on {formatting.format_day(audit.next)}"
        following = "tried again a day after the failure" if waits_after_failure(outcome, now) else late
    done = f"last on {formatting.format_day(audit.last.at)}" if audit.last else "not run yet"
    failed = f"; failed on {formatting.format_iso_day(str(outcome.get('ran')))}: {outcome['failure']}" if outcome.get("failure") else ""
    return f"{rule}, {following}, {done}{failed}"


def waits_after_failure(outcome: Mapping[str, Any], now: datetime) -> bool:
    """Whether an audit failed less than AFTER_FAILURE ago."""
    try:
        return bool(outcome.get("failure")) and now - datetime.fromisoformat(str(outcome.get("ran"))) < AFTER_FAILURE
    except ValueError:
        return False


def is_idle(store: "Store") -> bool:
    """Whether nothing waits: no load is running, no segment is in the landing folder, no step of the enrichment is running."""
    from observability.enrichment.enrich import WORKING

    return not (store.loading.locked() or ready_segments(store.landing) or WORKING.locked())


def run_audit_schedule(store: "Store", stopping: threading.Event) -> None:
    """Run audits that are due, one in each round, until `stopping` is set. A failure is stored in the state, and the audit is tried again a
    day later.
    """
    while not stopping.wait(LOOK_EVERY):
        try:
            run_due_audit(store, datetime.now(UTC), stopping)
        except Exception:
            LOG.exception("the schedule of audits failed")


def run_due_audit(
    store: "Store",
    now: datetime,
    stopping: threading.Event,
    run: Run | None = None,
    idle: Callable[["Store"], bool] = is_idle,
    clock: Callable[[], float] = time.monotonic,
) -> str | None:
    """Run the audit that has been due for longest, if nothing waits. Returns its outcome in one word; None if no audit is due, or if it
    must wait.

    The audit stops when other work has waited for PATIENCE seconds, or when the process ends. It continues from its last step in a later
    round.
    """
    if not any(model.settings.audit_schedule for model in store.catalog().models) or not idle(store):
        return None
    outcomes = schedule_outcomes(store.home)
    due = next(_due(scheduled_audits(store.catalog(), store_audits(store, now)), outcomes, now), None)
    if due is None:
        return None

    busy_since: list[float] = []

    def progress(_share: float, _words: str) -> None:
        if idle(store):
            busy_since.clear()
        elif not busy_since:
            busy_since.append(clock())
        if stopping.is_set() or (busy_since and clock() - busy_since[0] >= PATIENCE):
            raise AuditInterruptedError

    outcome: dict[str, Any] = {"ran": now.isoformat(timespec="seconds"), "failure": None}
    try:
        with store.in_background():
            (run or run_in_worker)(store, due.model, due.version, due.kind, progress)
    except AuditInterruptedError:
        return "interrupted"
    except ObservabilityError as error:
        outcome["failure"] = str(error)
    except Exception as error:
        LOG.exception("the %s audit of %s failed", due.kind, due.model)
        outcome["failure"] = f"{type(error).__name__}: {error}"
    merge_outcome(store.home / FOLDER / STATE, due.key, outcome)
    return "failed" if outcome["failure"] else "done"


def _due(audits: Sequence[ScheduledAudit], outcomes: Mapping[str, Mapping[str, Any]], now: datetime) -> Iterator[ScheduledAudit]:
    """The audits that are due and have not failed recently."""
    for audit in audits:
        if audit.next is not None and audit.next <= now and not waits_after_failure(outcomes.get(audit.key, {}), now):
            yield audit


def run_in_worker(store: "Store", model: str, version: str, kind: str, progress: Callable[[float, str], None]) -> None:
    """Run an audit in a confined worker of its own."""
    from observability.enrichment.audit_steps import AuditRequest
    from observability.enrichment.audits import run_audit
    from observability.worker.process import Worker

    known = store.catalog().model(model).version(version)
    worker = Worker()
    try:
        run_audit(store, worker, AuditRequest(model, version, kind, in_sample=bool(known and known.in_sample)), progress)
    finally:
        worker.close()
