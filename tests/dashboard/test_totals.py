"""Pages that count the same things show the same number."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from observability.core.finding import Finding, acknowledged_finding
from observability.core.formatting import STATUS_WORDS
from observability.dashboard import load_findings
from observability.dashboard.overview import findings
from observability.dashboard.scope import Scope
from observability.incidents.action_counts import action_counts, counted_incidents
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import World

AT = datetime(2026, 3, 2, tzinfo=UTC)
RUN = Finding(
    "training/runs", "price", None, "run:slow", "straggler_score", 4.0, 90, "act", "Run `slow` stands still.", AT, AT, "peers", limit=3.0
)


def test_an_acknowledged_finding_is_counted_with_the_severity_shown_in_its_row() -> None:
    known = [acknowledged_finding(RUN), replace(RUN, severity="watch"), replace(RUN, severity="ok")]
    assert findings.severity_counts(known) == {"act": 1, "watch": 1, "unknown": 0, "ok": 1}


def test_home_a_models_page_and_findings_count_the_same_incidents(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Incidents of the model's training runs and other records count too."""
    monkeypatch.setattr(load_findings, "scope_record_findings", lambda scope, *names, beside=False: [RUN])
    (row,) = (
        each["cells"] for each in tables(opened("health", window="Everything"))["Models, most severe first"]["rows"]
        if each["cells"]["model"]["t"] == "price"
    )  # fmt: skip
    shown = tables(opened("model", model="price", window="Everything"))["Incidents of price, most urgent first"]["rows"]
    assert any("Run slow stands still" in each["cells"]["what"]["t"].replace("`", "") for each in shown)
    critical = sum(each["cells"]["severity"]["t"] == STATUS_WORDS["act"] for each in shown)
    assert row["status"]["t"] == f"{critical} critical"
    listed = tables(opened("findings", model="price", window="Everything", severity=STATUS_WORDS["act"]))
    leads = listed["Findings, most urgent first"]["rows"]
    assert len(leads) == critical, words(opened("findings", model="price", window="Everything"))


def test_the_rows_of_home_add_up_to_its_line(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the summary line counted incidents that had no row."""
    feed = replace(RUN, model=None, subject="source:feed", because="`feed` is late.")
    monkeypatch.setattr(load_findings, "scope_record_findings", lambda scope, *names, beside=False: [RUN, replace(RUN, model="loan"), feed])
    home = opened("health", window="Everything")
    rows = [row["cells"] for row in tables(home)["Models, most severe first"]["rows"]]
    assert (rows[-1]["model"]["t"], rows[-1]["status"]["t"]) == ("Pipeline", "1 critical")
    (told,) = (each for each in home.markdown if each.value.startswith("**"))
    line, counts = told.value, Counter[str]()
    for row in rows:
        for number, word in re.findall(
            r"(\d+) (critical|warning|shared)", f"{row['status']['t']} {row['status']['sub']} {row['status'].get('title')}"
        ):
            counts[word] += int(number)
    total = dict.fromkeys(("critical", "warning"), 0) | {word: int(n) for n, word in re.findall(r"(\d+) (critical|warning)", line)}
    ((listed, are, once),) = re.findall(
        r"The (\d+) incidents in the rows are (\d+) distinct ones: (\d+) shared by several models\.", told.proto.help
    )
    assert (int(listed), int(are)) == (counts["critical"] + counts["warning"], sum(total.values()))
    assert sum(total.values()) == counts["critical"] + counts["warning"] - counts["shared"] + int(once)
    assert total["critical"] == counts["critical"] - 1, "an incident shared by two models is counted once"
    found = load_findings.scope_report(Scope(span="all")).incidents
    assert action_counts(each.lead for each in counted_incidents(found)).words in line, "the page Findings counts like Home"


def test_choosing_a_model_changes_no_other_row_of_home(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the records of all models were dated by the newest record of the chosen model, so other models lost incidents."""

    def found(scope: Scope, *names: str, beside: bool = False) -> list[Finding]:
        return [] if scope.model or scope.slice else [RUN, replace(RUN, model="loan")]

    def shown(**chosen: str) -> dict[str, str]:
        rows = tables(opened("health", window="Everything", **chosen))["Models, most severe first"]["rows"]
        return {row["cells"]["model"]["t"]: f"{row['cells']['status']['t']} {row['cells']['status']['sub']}" for row in rows}

    monkeypatch.setattr(load_findings, "scope_record_findings", found)
    everything = shown()
    assert "critical" in everything["price"] and "critical" in everything["loan"]
    assert shown(model="loan") == everything
    assert shown(model="loan", slice="sex=F")["price"] == everything["price"]


def test_the_list_of_incidents_has_as_many_rows_as_home_counts(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: an incident shared by two models had two rows."""
    monkeypatch.setattr(load_findings, "scope_record_findings", lambda scope, *names, beside=False: [RUN, replace(RUN, model="loan")])
    rows = tables(opened("incident", window="Everything"))["Incidents, most urgent first"]["rows"]
    counted = counted_incidents(load_findings.scope_report(Scope(span="all")).incidents)
    assert len(rows) == len(counted) < len(load_findings.scope_report(Scope(span="all")).incidents)


@pytest.mark.parametrize(("page", "analyzer"), [("drift", "serving/drift"), ("multivariate_drift", "serving/multivariate_drift")])
def test_a_page_whose_analysis_failed_does_not_ask_to_register(
    page: str, analyzer: str, current: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: the page of a registered model asked to register the model."""
    failed = replace(RUN, analyzer=analyzer, model="price", value=None, severity="unknown", because="The analysis failed: KeyError: 1")
    monkeypatch.setattr(load_findings, "findings_in_window", lambda window, wait=False: [failed])
    shown = words(opened(page, model="price"))
    assert "The analysis failed" in shown and "Other analyses are not affected." in shown and "Register" not in shown
