"""Do pages that count the same thing give the same number?"""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from observability.core.finding import Finding, acknowledged_finding
from observability.core.formatting import STATUS_WORDS
from observability.dashboard import load
from observability.dashboard.overview import findings
from observability.incidents.grouping import group_findings
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import World

AT = datetime(2026, 3, 2, tzinfo=UTC)
RUN = Finding(
    "training/runs", "price", None, "run:slow", "straggler_score", 4.0, 90, "act", "Run `slow` stands still.", AT, AT, "peers", limit=3.0
)


def test_what_a_person_has_acknowledged_is_counted_as_its_row_shows_it() -> None:
    known = [acknowledged_finding(RUN), replace(RUN, severity="watch"), replace(RUN, severity="ok")]
    assert findings.severity_counts(known) == {"act": 1, "watch": 1, "unknown": 0, "ok": 1}


def test_home_a_models_page_and_findings_count_the_same_incidents(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of its training runs and other records too."""
    found, formed = group_findings([RUN])
    monkeypatch.setattr(load, "record_findings_and_incidents", lambda scope: (found, formed))
    monkeypatch.setattr(load, "scope_record_findings", lambda scope, beside=False: found)
    (row,) = (
        each["cells"] for each in tables(opened("health", window="Everything"))["Models, most severe first"]["rows"]
        if each["cells"]["model"]["t"] == "price"
    )  # fmt: skip
    shown = tables(opened("model", model="price", window="Everything"))["Incidents of price, new first"]["rows"]
    assert any("Run slow stands still" in each["cells"]["what"]["t"].replace("`", "") for each in shown)
    critical = sum(each["cells"]["severity"]["t"] == STATUS_WORDS["act"] for each in shown)
    assert f"{critical} critical" in row["status"]["sub"]
    leads = tables(opened("findings", model="price", window="Everything", severity=STATUS_WORDS["act"]))["Findings, new first"]["rows"]
    assert len(leads) == critical, words(opened("findings", model="price", window="Everything"))
