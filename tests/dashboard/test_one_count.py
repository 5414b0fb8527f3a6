"""All counts of incidents that need action agree for one week."""

import asyncio
import functools
import json
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request

from observability.alerts import alarm_rules, alert_log
from observability.cli import commands
from observability.core.finding import Finding, needs_action
from observability.core.formatting import STATUS_WORDS
from observability.core.weeks import Week
from observability.dashboard import load, load_findings
from observability.dashboard.scope import Scope
from observability.incidents.action_counts import ActionCounts, action_counts, incident_action_counts
from observability.monitoring import check
from observability.monitoring.check import CheckReport
from observability.review import agenda_items
from observability.review.agenda import Item, arranged_agenda
from observability.review.model_actions import model_action_counts
from observability.review.snapshot import week_snapshot
from observability.server import api, watcher
from observability.server.assistant import incident_list
from observability.store.engine import Store
from tests.support.dashboard_pages import opened, tables
from tests.support.dashboard_world import END, World
from tests.support.new_store import new_store

WEEK = Week(2026, 11)
SPAN = {"window": "Chosen dates", "from": f"{WEEK.start:%Y-%m-%dT%H:%M}", "to": f"{WEEK.end:%Y-%m-%dT%H:%M}"}
RUN = Finding(
    "training/runs", "price", None, "run:slow", "straggler_score", 4.0, 90, "act", "Run `slow` stands still.", WEEK.start, WEEK.end, "peers",
    limit=3.0,
)  # fmt: skip
FEED = replace(RUN, model=None, subject="source:feed", because="`feed` is late.")
RECORDS = (RUN, replace(RUN, model="loan"), FEED, replace(RUN, subject="run:odd", severity="watch", because="Run `odd` is odd."))
"""Findings about records, which form incidents: two models share one, one model has a warning, and one belongs to no model."""
ByModel = dict[str | None, ActionCounts]


@dataclass(frozen=True)
class Shown:
    """The fields of an incident in a list that contains other items as well."""

    severity: Any
    state: Any


@dataclass(frozen=True)
class Week11:
    """The week of the small store, and the result of checking it."""

    world: World
    report: CheckReport

    @property
    def models(self) -> list[str]:
        """The models of the fleet."""
        return [model.name for model in self.world.store.catalog().fleet]

    @property
    def by_model(self) -> ByModel:
        """How many incidents of each model, and of no model, need action."""
        names = (*self.models, None)
        return {name: incident_action_counts(each for each in self.report.incidents if each.model == name) for name in names}


@functools.cache
def checked_week(store: Store) -> tuple[frozenset[tuple[str, str]], CheckReport]:
    """An acknowledged claim, and the check after it, including the findings of records that `week` adds. No test changes the store."""
    span: dict[str, Any] = {"start": WEEK.start, "end": WEEK.end, "now": END}
    worst = next(each for each in check.check(store, model="price", **span).incidents if each.lead.analyzer != RUN.analyzer)
    assert worst.severity == "act"
    claims = frozenset({("price", worst.lead.claim)})
    return claims, check.check(store, acknowledged=claims, **span)


@pytest.fixture
def week(current: World, monkeypatch: pytest.MonkeyPatch) -> Week11:
    """The week with RECORDS as the only findings about records; the worst incident of a model is acknowledged."""

    def of_records(engine: object, model: str | None, *, only: Iterable[str] = (), **dates: object) -> list[Finding]:
        return [each for each in RECORDS if model in (None, each.model) and (not only or each.analyzer in only)]

    def of_scope(scope: Scope, *names: str, beside: bool = False) -> list[Finding]:
        return of_records(None, scope.model, only=names)

    monkeypatch.setattr(check, "record_findings", of_records)
    monkeypatch.setattr(load_findings, "scope_record_findings", of_scope)
    claims, report = checked_week(current.store)
    for module in (alert_log, agenda_items):
        monkeypatch.setattr(module, "acknowledged_claims", lambda *asked: claims)
    monkeypatch.setattr(load_findings, "acknowledged_claims", lambda: claims)
    for name in ("price", "loan"):
        load_findings.findings_in_window(load.window(Scope(name, start=WEEK.start, end=WEEK.end), name), wait=True)
    found = Week11(current, report)
    total = incident_action_counts(found.report.incidents)
    assert total.critical and total.acknowledged and total.warnings and total.shared, (
        "the world must have incidents of each kind, otherwise the comparison is empty"
    )
    return found


def as_counts(found: Iterable[Any]) -> ActionCounts:
    """The counts of the incidents in `incident_list`."""
    return action_counts(Shown(each["severity"], each["state"]) for each in found)


def test_the_check_command_counts_the_same_incidents_as_its_report(week: Week11) -> None:
    args = Namespace(
        **dict.fromkeys(("model", "version", "as_of", "slice", "fail_on")), start=f"{WEEK.start:%Y-%m-%d}", end=f"{WEEK.end:%Y-%m-%d}"
    )
    args.all, args.json = False, False
    text = commands.run_check(week.world.store, args, lambda words: None).out
    assert f"Incidents: {incident_action_counts(week.report.incidents).total_words}." in text


def test_the_api_and_the_assistant_list_the_incidents_of_each_model(week: Week11) -> None:
    query = f"from={WEEK.start:%Y-%m-%d}&to={WEEK.end:%Y-%m-%d}".encode()
    answer = asyncio.run(api.findings(Request({"type": "http", "query_string": query, "headers": []})))
    listed = incident_list(json.loads(bytes(answer.body)))
    assert {name: as_counts(each for each in listed if each["model"] == name) for name in week.by_model} == week.by_model


def test_home_and_model_pages_count_the_same_incidents(week: Week11) -> None:
    home = opened("health", **SPAN)
    (line,) = (each.value for each in home.markdown if each.value.startswith("**"))
    assert incident_action_counts(week.report.incidents).words in line
    rows = {row["cells"]["model"]["t"]: row["cells"]["status"] for row in tables(home)["Models, most severe first"]["rows"]}
    for name, counts in week.by_model.items():
        if not (counts.critical or counts.acknowledged or counts.warnings):
            continue
        status = rows[name or "Pipeline"]
        assert ", ".join(filter(None, (status["t"], *(status["sub"] or "").split("\n")))) == counts.words, name
        if name:
            shown = tables(opened("model", model=name, **SPAN))[f"Incidents of {name}, most urgent first"]["rows"]
            words = [row["cells"]["severity"]["t"] for row in shown]
            by_word = words.count(STATUS_WORDS["act"]), words.count(STATUS_WORDS["watch"])
            assert by_word == (counts.critical + counts.acknowledged, counts.warnings), name


def test_the_agenda_of_the_review_has_the_incidents_of_each_model_and_of_the_pipeline(week: Week11) -> None:
    """Regression: the agenda had no incidents of training runs, datasets, devices and other records."""
    body = week_snapshot(week.world.store, WEEK, frozen_at=END)
    items = [Item.from_json(each) for each in body["agenda"]]
    agenda = arranged_agenda(items, [])
    counted: ByModel = {name: model_action_counts(agenda, name) for name in week.models}
    counted[None] = action_counts(item for item in items if item.sort == "incident" and not item.models)
    assert counted == week.by_model
    (feed,) = (item for item in items if not item.models)
    assert feed.title == FEED.because and "served" not in " ".join(feed.reasons)


def test_the_watcher_metrics_count_the_same_incidents(week: Week11) -> None:
    """In the watcher's metrics, an acknowledged incident counts as a warning."""
    claims = watcher.claims_by_model(load_findings.acknowledged_claims())
    for name in week.models:
        own = check.check(week.world.store, model=name, start=WEEK.start, end=WEEK.end, now=END)
        told = watcher.watched_model(week.world.store.catalog(), own, claims.get(name, frozenset())).incidents
        counts = week.by_model[name]
        assert (told.get("act", 0), told.get("watch", 0)) == (counts.critical, counts.acknowledged + counts.warnings)


def test_the_limit_preview_counts_the_same_findings_as_the_check(week: Week11) -> None:
    model = week.world.store.catalog().model("price")
    settings = replace(model.settings, limits={"data/quality/null_rate": 0.9, "training/runs/straggler_score": 5.0})
    (preview,) = (each for each in alarm_rules.preview_settings(week.world.store, "price", settings, now=END) if each.week == WEEK)
    concerned = alarm_rules.analyzers_concerned(model.settings, settings)
    then = check.check(week.world.store, model="price", start=WEEK.start, end=WEEK.end, as_of=WEEK.end, now=END)
    assert preview.before == action_counts(each for each in then.findings if each.analyzer in concerned)
    assert preview.before.critical and preview.after.critical < preview.before.critical


@pytest.mark.parametrize("late", [False, True], ids=["in the week", "after the week"])
def test_an_expired_audit_counts_for_the_agenda_only_if_it_arrived_before_the_week_ended(tmp_path: Path, late: bool) -> None:
    """Regression: an audit that arrived after the week was on its agenda as due, although the check of that week had no audit."""
    made = WEEK.start + timedelta(hours=12)
    about = {"model": "loan", "version": "1", "at": made}
    arrived = WEEK.end + timedelta(hours=5) if late else made
    results = {"headline": {"value": 0.8, "low": 0.7, "high": 0.9, "n": 100}}
    audit = {"kind": "audit", "audit": "robustness", "received_at": arrived, "expires": WEEK.end - timedelta(hours=1), "results": results}
    served = {"kind": "prediction", "id": "a", "received_at": made, "score": 0.5, "features": {"km": 1.0}}
    with new_store(tmp_path / "home", threads=1) as store:
        store.write_records([about | audit, about | served])
        span: dict[str, Any] = {"start": WEEK.start, "end": WEEK.end, "as_of": WEEK.end, "now": WEEK.end}
        report = check.check(store, model="loan", **span)
        body = week_snapshot(store, WEEK, frozen_at=WEEK.end + timedelta(days=1))
    expired = [each.lead for each in report.incidents if each.lead.metric == "audit_days_left"]
    agenda = [Item.from_json(each) for each in body["agenda"]]
    assert len(expired) == sum(item.sort == "audit" for item in agenda) == len(body["audits"]) == (0 if late else 1)
    counted = model_action_counts(arranged_agenda(agenda, []), "loan")
    assert counted.critical + counted.warnings == sum(needs_action(each.severity) for each in report.incidents), counted
