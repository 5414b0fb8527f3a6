"""No finding of the sample fleet is OK with a value beyond its limit, and the counts of incidents that need action agree."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from observability.analyzers import discover
from observability.core.finding import NEWS_UNKNOWN, SEVERITIES, Finding, needs_action
from observability.core.window import Slice, Window
from observability.dashboard.overview.model_status import ModelStatus
from observability.enrichment.enrich import enrich_models
from observability.enrichment.explanations import explain_rows
from observability.incidents.action_counts import action_counts, counted_incidents
from observability.monitoring import check
from observability.monitoring.kept_findings import check_keepers
from observability.server import process_lock
from observability.server.assistant import incident_list
from observability.store.engine import Store
from tests.support.length import LONG
from tests.support.levels import beyond_limit
from tests.support.sample_home import lent_checked

START = datetime(2013, 6, 1, tzinfo=UTC)
WINDOWS: dict[str, dict[str, Any]] = {
    "last week": {},
    "June": {"start": START, "end": datetime(2013, 7, 1, tzinfo=UTC)},
    "July": {"start": datetime(2013, 7, 1, tzinfo=UTC), "end": datetime(2013, 8, 1, tzinfo=UTC)},
    "everything": {"start": datetime(2013, 1, 1, tzinfo=UTC), "end": datetime(2019, 1, 1, tzinfo=UTC)},
    "one slice": {"slice": Slice.parse("carrier=AA")},
    "autumn 2024": {"start": datetime(2024, 10, 1, tzinfo=UTC), "end": datetime(2024, 11, 30, tzinfo=UTC)},
}
"""The last window is that of the model that a vendor serves."""
CHECKED = [name for name in WINDOWS if LONG or name in ("last week", "autumn 2024")]

PAST_NOT_READ = {"boundary_request_share", "canary_sightings", "power_cap_saving", "temperature_c", "carbon_shift"}
"""Metrics whose analyzer reads nothing before the window, so it is unknown whether their findings are new."""
EXPLAINED = "sentiment"
"""The model whose attributions the test computes, as the dashboard does when it is idle: the fastest model of the fleet."""


@dataclass
class Checked:
    """The sample fleet, with the report of each window; each report is made only once."""

    store: Store
    reports: dict[str, check.CheckReport] = field(default_factory=dict)

    def report(self, name: str) -> check.CheckReport:
        """The report of a window."""
        if name not in self.reports:
            now = datetime.now(UTC)
            with check_keepers(self.store, now) as keep:  # findings of models whose rows have not changed since the last check are reused
                self.reports[name] = check.check(self.store, now=now, keep=keep, **WINDOWS[name])
        return self.reports[name]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    """The fleet after a check, open in this process."""
    with lent_checked(tmp_path_factory, "opened") as home, process_lock.opened_store(home) as store:
        done = enrich_models(store, EXPLAINED, jobs=(explain_rows,))
        assert done.rows.keys() == {EXPLAINED} and not done.failures
        yield Checked(store)


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("name", CHECKED)
def test_no_finding_is_ok_beyond_its_limit_and_totals_agree(checked: Checked, name: str) -> None:
    report = checked.report(name)
    assert len(report.findings) > 50
    assert [each.because for each in report.findings if "analysis failed" in each.because] == []
    assert json.loads(json.dumps([each.to_json() for each in report.findings])), "no value of a numpy type is left in a finding"
    beyond = [each for each in report.findings if each.severity == "ok" and beyond_limit(each)]
    assert [f"{each.model} {each.claim}: {each.value}, limit {each.limit}. {each.because}" for each in beyond] == []
    states = Counter(each.state for each in report.findings)
    counts = action_counts(report.findings)
    assert (states["critical"], states["warning"]) == (counts.critical + counts.acknowledged, counts.warnings)
    names = {each.model for each in report.findings}
    for judged in (report.findings, report.incidents):
        whole, parts = action_counts(judged), [action_counts(each for each in judged if each.model == name) for name in names]
        assert [sum(numbers) for numbers in zip(*map(astuple, parts), strict=True)] == list(astuple(whole))
    for model in checked.store.catalog().models:
        found = tuple(each for each in report.findings if each.model == model.name)
        incidents = tuple(each for each in report.incidents if each.model == model.name)
        status = ModelStatus(model, Window(model.name, START, START), found, pd.DataFrame(), pd.DataFrame(), (), incidents)
        worst = min((each.shown_severity for each in found), key=SEVERITIES.index, default="unknown")
        assert status.severity == worst or not (needs_action(worst) or needs_action(status.severity)), "the fleet shows the worst finding"


@pytest.mark.parametrize("name", CHECKED)
def test_the_most_urgent_incidents_come_first_and_findings_follow_their_incidents(checked: Checked, name: str) -> None:
    report = checked.report(name)
    urgent = [(each.severity != "act", each.standing) for each in report.incidents]
    assert urgent == sorted(urgent)
    place = {each.id: number for number, each in enumerate(report.incidents)}
    listed = [place[each.incident] if each.incident else len(place) for each in report.findings]
    assert listed == sorted(listed)
    assert [report.findings[listed.index(number)].id for number in range(len(place))] == [each.lead.id for each in report.incidents]


@pytest.mark.parametrize("name", CHECKED)
def test_the_json_of_findings_gives_the_same_incidents_as_the_report(checked: Checked, name: str) -> None:
    """This also matters to assistants, and to programs that count incidents from `check --json` or over HTTP."""
    report = checked.report(name)
    listed = incident_list([each.to_json() for each in report.findings_by_severity])
    found = {each.id: (each.model, each.severity, each.state, each.news, each.lead.because) for each in report.incidents}
    assert {each["incident"]: tuple(each[part] for part in ("model", "severity", "state", "news", "because")) for each in listed} == found
    severe = [each["severity"] for each in listed]
    assert severe == sorted(severe), "`act` comes before `watch`"
    urgent = [(each.lead.severity, each.lead.standing) for each in counted_incidents(report.incidents)]
    assert urgent == sorted(urgent), "Home lists them in the same order"
    assert action_counts(report.incidents).critical == severe.count("act")


def test_the_fleet_has_a_new_warning_and_a_standing_critical_incident(checked: Checked) -> None:
    """Otherwise the test above, on the order of incidents, would prove nothing."""
    incidents = checked.report("last week").incidents
    assert any(each.standing and each.state == "critical" for each in incidents)
    assert any(not each.standing and each.state == "warning" for each in incidents)


def test_every_analyzer_comes_to_a_verdict_about_the_fleet(checked: Checked) -> None:
    """An analyzer whose findings are unknown in every window of the fleet would pass the other tests without evidence."""
    decided = {each.analyzer for name in CHECKED for each in checked.report(name).findings if each.severity != "unknown"}
    assert {each.name for each in discover()} <= decided


def finding(metric: str, value: float | None, limit: float | tuple[float, float] | None, **evidence: float) -> Finding:
    """An OK finding with these figures."""
    at = datetime(2026, 3, 2, tzinfo=UTC)
    return Finding(
        "data/quality", "loan", "1", "model", metric, value, 100, "ok", "Fine.", at, at, "reference", limit=limit, evidence=evidence
    )


@pytest.mark.parametrize(
    ("metric", "value", "limit", "baseline", "beyond"),
    [
        ("null_rate", 0.2, 0.1, None, True),
        ("null_rate", 0.1, 0.1, None, False),
        ("null_rate", 0.1, 0.1, 0.05, True),
        ("accuracy", 0.7, 0.75, None, True),
        ("accuracy", 0.8, 0.75, None, False),
        ("accuracy", 0.8, 0.75, 0.9, False),
        ("accuracy", 0.7, 0.75, 0.9, True),
        ("cleaning_drop_rate", 0.01, 0.02, 0.05, True),
        ("volume", 50.0, (60.0, 150.0), 100.0, True),
        ("volume", 60.0, (60.0, 150.0), 100.0, False),
        ("null_rate", None, 0.1, None, False),
        ("null_rate", 0.2, None, 0.1, False),
    ],
)
def test_a_value_on_the_bad_side_of_its_limit_is_beyond_the_limit(
    metric: str, value: float | None, limit: float | tuple[float, float] | None, baseline: float | None, beyond: bool
) -> None:
    evidence = {} if baseline is None else {"baseline": baseline}
    assert beyond_limit(finding(metric, value, limit, **evidence)) is beyond


@pytest.mark.parametrize("name", CHECKED)
def test_every_finding_beyond_its_level_has_news_or_a_reason_for_missing_news(checked: Checked, name: str) -> None:
    """Regression: 22 findings about records had a state, but stated neither whether they are new nor why this is unknown."""
    bad = [each for each in checked.report(name).findings if each.state in ("critical", "warning")]
    silent = [each for each in bad if each.news is None and not each.evidence.get(NEWS_UNKNOWN)]
    assert bad and [f"{each.claim}: {each.because}" for each in silent] == []
    if name in ("last week", "autumn 2024"):
        assert {each.metric for each in bad if each.news is None} <= PAST_NOT_READ
