"""Due audits run by themselves, one at a time, if no other work waits, and report their result. The tests set the clock."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.cli.execute import execute
from observability.core.catalog import Catalog, Model, Version
from observability.core.errors import UsageError
from observability.core.settings import ModelSettings, checked_setting
from observability.detection.audit_history import StoredAudit
from observability.enrichment.audit_steps import AuditSteps
from observability.server import audit_schedule
from observability.server.audit_schedule import (
    AFTER_FAILURE,
    PATIENCE,
    audit_due_at,
    is_idle,
    run_due_audit,
    schedule_outcomes,
    scheduled_audits,
    store_audits,
)
from observability.store.db.database import Database
from observability.store.opener import open_store
from tests.support.audited_model import register_with_file
from tests.support.new_store import new_store
from tests.support.sample_home import ROOT

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def audit(at: datetime, version: str = "1", kind: str = "robustness") -> StoredAudit:
    return StoredAudit("loan", version, kind, at, at + 90 * DAY, {})


def catalog(*versions: tuple[str, int, str | None], **schedule: str) -> Catalog:
    """A catalog of a model with these versions: name, day of registration, model file."""
    known = tuple(Version(name, registered_at=NOON + day * DAY, artifact=file) for name, day, file in versions)
    return Catalog((Model(1, "loan", versions=known, settings=ModelSettings(audit_schedule=schedule)),))


@pytest.mark.parametrize(
    ("when", "due"), [("30 days", NOON + 30 * DAY), ("1 day", NOON + DAY), ("expired", NOON + 90 * DAY), ("new version", None)]
)
def test_an_audit_is_due_by_its_rule(when: str, due: datetime | None) -> None:
    assert audit_due_at(when, NOON - DAY, audit(NOON)) == due
    assert audit_due_at(when, NOON - DAY, None) == NOON - DAY, "an audit that was never run is due from the registration on"


def test_the_newest_version_with_a_file_is_audited_and_the_longest_due_comes_first() -> None:
    known = catalog(("1", 0, "a"), ("2", 5, "b"), ("3", 9, None), robustness="30 days", membership="new version", explanations="expired")
    found = scheduled_audits(known, [audit(NOON), audit(NOON + 6 * DAY, "2"), audit(NOON + 6 * DAY, "2", "membership")])
    assert [(each.kind, each.version, each.next) for each in found] == [
        ("explanations", "2", NOON + 5 * DAY), ("robustness", "2", NOON + 36 * DAY), ("membership", "2", None),
    ]  # fmt: skip
    assert scheduled_audits(catalog(("3", 9, None), robustness="expired"), []) == []
    other = replace(audit(NOON), results={"artifact": "artifacts/1/1/b"})
    (again,) = scheduled_audits(catalog(("1", 0, "artifacts/1/1/a"), robustness="new version"), [other])
    assert (again.last, again.next) == (None, NOON), "an audit of a model file that was replaced does not count"
    assert scheduled_audits(known, [], "another") == []


@pytest.mark.parametrize("value", ["daily", {"power": "30 days"}, {"robustness": "0 days"}, {"robustness": "30"}, {"robustness": "soon"}])
def test_an_invalid_schedule_is_refused(value: Any) -> None:
    with pytest.raises(UsageError):
        checked_setting("audit_schedule", value, None)
    good = {"robustness": "30 days", "membership": "new version", "explanations": "expired"}
    assert checked_setting("audit_schedule", good, None) == good


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Database]:
    """A store with a model and its file; the settings ask for a robustness audit every 30 days."""
    with new_store(tmp_path / "home", threads=1) as opened:
        register_with_file(opened, tmp_path, "loan", '[settings]\naudit_schedule = { robustness = "30 days" }\n')
        yield opened


class Auditor:
    """Stands in for the audits and runs no model. It performs the given action first, if any, and writes the record. at: the clock of the
    tests.
    """

    def __init__(self, before: Callable[[Callable[[float, str], None]], None] = lambda _progress: None) -> None:
        self.before, self.asked, self.at = before, list[tuple[str, str, str]](), NOON

    def __call__(self, store: Any, model: str, version: str, kind: str, progress: Callable[[float, str], None]) -> None:
        self.asked.append((model, version, kind))
        self.before(progress)
        results = {"headline": {"metric": "robust_accuracy", "value": 0.9, "low": 0.8, "high": 1.0, "n": 60}}
        about = {"kind": "audit", "model": model, "version": version, "audit": kind, "results": results}
        store.write_records([{**about, "at": self.at, "expires": self.at + 90 * DAY}])


def run(store: Database, now: datetime, auditor: Auditor, **more: Any) -> str | None:
    auditor.at = now
    return run_due_audit(store, now, threading.Event(), auditor, **{"idle": lambda _store: True, **more})


def test_an_audit_runs_when_it_is_due_and_not_before(store: Database) -> None:
    auditor, first = Auditor(), datetime.now(UTC) + DAY
    assert run(store, first, auditor) == "done" and auditor.asked == [("loan", "1", "robustness")]
    assert run(store, first + 29 * DAY, auditor) is None
    assert run(store, first + 30 * DAY, auditor) == "done" and len(auditor.asked) == 2
    assert [each.at for each in store_audits(store, first + 31 * DAY)] == [first, first + 30 * DAY]
    (outcome,) = schedule_outcomes(store.home).values()
    assert outcome == {"ran": (first + 30 * DAY).isoformat(timespec="seconds"), "failure": None}


def test_a_failed_audit_is_reported_and_tried_again_a_day_later(store: Database) -> None:
    def fail(_progress: object) -> None:
        raise UsageError("too few rows with a label", got=3)

    now = datetime.now(UTC) + DAY
    assert run(store, now, Auditor(fail)) == "failed"
    (outcome,) = schedule_outcomes(store.home).values()
    assert "too few rows" in outcome["failure"]
    assert run(store, now + AFTER_FAILURE - timedelta(minutes=1), Auditor()) is None
    assert run(store, now + AFTER_FAILURE, Auditor()) == "done"
    assert [each["failure"] for each in schedule_outcomes(store.home).values()] == [None]


def test_an_audit_waits_for_idle_time_and_is_interrupted_by_work_that_waits_long(store: Database) -> None:
    now, auditor = datetime.now(UTC) + DAY, Auditor()
    assert run(store, now, auditor, idle=lambda _store: False) is None and not auditor.asked
    seconds = iter([0.0, PATIENCE - 1, PATIENCE + 1])

    def steps(progress: Callable[[float, str], None]) -> None:
        for _ in range(3):
            progress(0.5, "a step")

    idle = iter([True, False, False, False])
    assert run(store, now, Auditor(steps), idle=lambda _store: next(idle), clock=lambda: next(seconds)) == "interrupted"
    assert schedule_outcomes(store.home) == {} and store_audits(store, now) == [], "the audit is still due"
    stopping = threading.Event()
    ended = Auditor(lambda progress: (stopping.set(), progress(0.1, "a step")))
    assert run_due_audit(store, now, stopping, ended, lambda _store: True) == "interrupted"
    assert run(store, now, Auditor()) == "done"


def test_a_segment_that_waits_and_a_load_are_no_idle_time(store: Database) -> None:
    assert is_idle(store)
    with store.loading:
        assert not is_idle(store)
    (store.landing / "ready").mkdir(parents=True, exist_ok=True)
    (store.landing / "ready" / "20260302T120000-x.jsonl").write_text("{}\n", encoding="utf-8")
    assert not is_idle(store)


def test_a_real_audit_continues_after_an_interruption(store: Database) -> None:
    """The confined worker is killed after some steps: finished steps are kept, and the next check of the schedule finishes the audit."""
    now, calls = datetime.now(UTC) + DAY, list[str]()
    real = audit_schedule.run_in_worker

    def interrupted(store: Any, model: str, version: str, kind: str, progress: Callable[[float, str], None]) -> None:
        def once(share: float, words: str) -> None:
            calls.append(words)
            if words.startswith("noise"):
                raise audit_schedule.AuditInterruptedError
            progress(share, words)

        real(store, model, version, kind, once)

    assert run_due_audit(store, now, threading.Event(), interrupted, lambda _store: True) == "interrupted"
    kept = list((store.home / "audits").glob("*.json"))
    assert len(kept) == 1 and any(name.startswith("attack") for name in json.loads(kept[0].read_text(encoding="utf-8")))
    assert run_due_audit(store, now, threading.Event(), None, lambda _store: True) == "done"
    (made,) = store_audits(store, now)
    assert made.kind == "robustness" and made.value is not None and not kept[0].exists()


KILLED = """
import sys, threading, time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from observability.server import audit_schedule
from observability.store.opener import open_store

def slowly(store, model, version, kind, progress):
    def told(share, words):
        print(words, flush=True)
        if words.startswith("noise"):
            time.sleep(120)  # in this step it is killed
        progress(share, words)
    audit_schedule.run_in_worker(store, model, version, kind, told)

store = open_store(Path(sys.argv[1]), threads=1)
audit_schedule.run_due_audit(store, datetime.now(UTC) + timedelta(days=1), threading.Event(), slowly, lambda _store: True)
"""
"""A process that audits on schedule, and hangs in the step after the attacks."""


@pytest.mark.long  # tests/enrichment/test_audits.py::test_an_interrupted_audit_continues_where_it_stopped
def test_a_killed_audit_continues_in_the_next_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGKILL in the middle of a step: the worker ends as well, finished steps are kept and not run again, and there is one record in the
    end.
    """
    home = tmp_path / "home"
    with new_store(home, threads=1) as opened:
        register_with_file(opened, tmp_path, "loan", '[settings]\naudit_schedule = { robustness = "30 days" }\n')
    with subprocess.Popen([sys.executable, "-c", KILLED, str(home)], cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        words = list[str]()
        for line in process.stdout:
            words.append(line.strip())
            if line.startswith("noise"):
                break
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.kill()
    assert process.returncode == -signal.SIGKILL and workers, words
    for _ in range(600):
        if not any(Path("/proc", worker).exists() for worker in workers):
            break
        time.sleep(0.1)  # the system ends the worker when its parent is gone
    assert not any(Path("/proc", worker).exists() for worker in workers), "no worker is left behind"
    (kept,) = (home / "audits").glob("*.json")
    finished = json.loads(kept.read_text(encoding="utf-8"))
    assert any(name.startswith("attack") for name in finished)
    ran = list[str]()
    real = AuditSteps.step

    def noted(steps: AuditSteps, name: str, what: str, make: Callable[[], Any]) -> Any:
        return real(steps, name, what, lambda: (ran.append(name), make())[1])

    monkeypatch.setattr(AuditSteps, "step", noted)
    with open_store(home, threads=1) as store:
        now = datetime.now(UTC) + DAY
        assert run_due_audit(store, now, threading.Event(), None, lambda _store: True) == "done"
        (made,) = store_audits(store, now)
    assert made.value is not None and not kept.exists()
    assert ran and not set(ran) & set(finished), "finished steps are not run again"


def test_the_command_changes_and_lists_the_schedule(store: Database) -> None:
    def answer(*words: str) -> Any:
        found = execute(store, ["audit", "loan", *words, "--json"], lambda _: None)
        assert found.exit_code == 0, found.error
        return json.loads(found.out)["schedule"]

    (listed,) = answer("--schedule")
    assert (listed["kind"], listed["when"], listed["last"], listed["failure"]) == ("robustness", "30 days", None, None)
    assert {each["kind"]: each["when"] for each in answer("--kind", "membership", "--schedule", "new version")} == {
        "robustness": "30 days", "membership": "new version",
    }  # fmt: skip
    assert answer("--schedule", "never") == []
    assert execute(store, ["audit", "loan", "--schedule"], lambda _: None).out == "No audit is scheduled."
    refused = execute(store, ["audit", "loan", "--schedule", "soon"], lambda _: None)
    assert refused.exit_code == 2 and "30 days" in refused.error
