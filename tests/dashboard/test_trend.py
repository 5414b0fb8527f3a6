"""The trend in tables of findings and incidents: it shows the days of the incident's chart and needs no query to the store."""

from dataclasses import replace

import pytest

from observability.dashboard import load_findings
from observability.dashboard.overview.incident_page import drawn_finding, finding_days
from observability.dashboard.overview.trend import TREND, trend_cell, without_empty_trend
from observability.dashboard.scope import scope_from_state
from tests.support.dashboard_pages import WHOLE, opened, tables
from tests.support.dashboard_world import World
from tests.support.one_finding_incident import of_one


def test_the_trend_cell_shows_the_series_of_the_incident(current: World) -> None:
    app = opened("health", **WHOLE)
    incidents = load_findings.scope_report(scope_from_state(app.session_state)).incidents
    drawn = {incident.id: drawn_finding(incident) for incident in incidents}
    rows = [row for row in tables(app)["Incidents, most urgent first"]["rows"] if row["cells"].get("act")]
    seen = 0
    for row in rows:
        finding, spark = drawn[row["cells"]["act"]["act"]], row["cells"]["trend"].get("spark")
        days = finding_days(finding)["value"].tolist() if finding else []
        assert (spark is not None) == (len(days) > 1)
        if spark:
            assert spark["y"] == [None if value != value else pytest.approx(value, rel=1e-5) for value in days]
            seen += 1
    assert seen


def test_a_trend_needs_two_days_and_is_sorted_by_the_last_value_relative_to_the_limit() -> None:
    lead = of_one("m", "Nulls rose.").lead
    days = [["2026-03-01", 0.1, 400], ["2026-03-02", 0.4, 400], ["2026-03-03", None, 0]]
    cell = trend_cell([replace(lead, evidence={"by_day": days}, limit=0.2)])
    assert cell["spark"]["y"] == [0.1, 0.4, None] and cell["spark"]["limit"] == 0.2 and cell["k"] == pytest.approx(2.0)
    gap = trend_cell([replace(lead, evidence={"by_day": [*days[:2], ["2026-03-03", float("nan"), 0]]}, limit=0.2)])
    assert gap == cell, "a value that is not a number becomes a gap, which JSON can represent"
    assert "spark" not in trend_cell([replace(lead, evidence={"by_day": days[:1]})]) and "spark" not in trend_cell([lead])
    rows = [{"cells": {"trend": trend_cell([lead])}}]
    assert without_empty_trend([TREND], rows) == [] and without_empty_trend([TREND], [*rows, {"cells": {"trend": cell}}]) == [TREND]


def test_a_finding_that_leads_an_incident_can_be_acted_on_in_the_findings_list(current: World) -> None:
    table = tables(opened("findings", **WHOLE))["Findings, most urgent first"]
    acted = [row["cells"]["act"]["act"] for row in table["rows"] if row["cells"]["act"].get("act")]
    assert acted and len({*acted}) == len(acted) and {*table["keys"]} == {"a", "e", "s"} and table["remembers"] == "findings"
    assert "trend" in [column["key"] for column in table["columns"]]
