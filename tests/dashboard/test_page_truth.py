"""The rules find contradictions between a page and its findings, limits, dates or other pages. tests/benchmarks/bench_pages_truth.py
applies them to the sample fleet.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.dashboard import load, load_findings
from observability.dashboard.scope import Scope
from tests.support.dashboard_pages import WHOLE, opened
from tests.support.dashboard_world import END, START, World
from tests.support.page_truth import PageView, page_view, untrue

PAGES = ("model", "performance", "drift", "quality", "findings", "cost")
OK = Finding("data/quality", "loan", "1", "age", "null_rate", 0.05, 100, "ok", "Nulls: 5 %.", START, END, "reference", limit=0.1)
VIEW = PageView("quality", "loan", "last week", START, END, {}, (), (), ())


def told(finding: Finding, *views: PageView, **limits: float) -> list[str]:
    """The kinds of the contradictions found."""
    return [kind for kind, _ in untrue({"loan": [finding]}, views, {"loan": ModelSettings(limits=limits)})]


def table(**cells: dict[str, object]) -> dict[str, object]:
    """A table of one row with a limit."""
    return {"columns": [{"key": "edge", "label": "Limit"}], "rows": [{"cells": cells}]}


def test_the_truth_check_reports_nothing_for_the_test_world(current: World) -> None:
    window = load.window(Scope("price", span="dates", start=START, end=END), "price")
    findings = {"price": load_findings.findings_in_window(window, wait=True)}
    views = [page_view(opened(page, model="price", **WHOLE), page, "price", "whole", START, END) for page in PAGES]
    assert sum(len(view.statuses) for view in views) > 5 and sum(len(view.charts) for view in views) > 5
    assert list(untrue(findings, views, {"price": current.store.catalog().model("price").settings})) == []


def test_the_truth_check_reports_an_ok_finding_beyond_its_limit_or_without_one() -> None:
    assert told(OK) == []
    assert told(replace(OK, value=0.2)) == ["OK beyond"] and told(replace(OK, value=0.2, severity="watch")) == []
    assert told(replace(OK, limit=None)) == ["OK by nothing"]
    assert told(replace(OK, limit=None, metric="controller_off_share")) == [], "this finding is about the current state, so it has no limit"
    assert told(replace(OK, limit=None), **{"data/quality/null_rate": 0.1}) == ["OK beyond"], (
        "a finding that ignores the owner's limit is reported"
    )
    windows = [{"days": 1, "value": 0.3, "edge": 0.2, "severity": "ok"}]
    assert told(replace(OK, evidence={"windows": windows})) == ["OK beyond"]


@pytest.mark.parametrize(
    ("view", "kinds"),
    [
        (replace(VIEW, statuses=(("ok", "Nulls: 5 %."),)), []),
        (replace(VIEW, statuses=(("act", "Nulls: 5 %."),)), ["other status"]),
        (replace(VIEW, page="alerts", statuses=(("act", "Nulls: 5 %."),)), []),
        (replace(VIEW, tables={"Null rate by window": table(status={"s": "ok", "t": "OK"}, value={"t": "5 %"}, edge={"t": "10 %"})}), []),
        (
            replace(VIEW, tables={"Null rate by window": table(status={"s": "ok", "t": "OK"}, value={"t": "20 %"}, edge={"t": "10 %"})}),
            ["OK row beyond"],
        ),
        (replace(VIEW, lines=("1,200 predictions in 2 to 8 Mar 2026", "1,200 predictions in 2 to 8 Mar 2026.")), []),
        (replace(VIEW, lines=("1,200 predictions in 2 to 8 Mar 2026", "1,300 predictions in 2 to 8 Mar 2026.")), ["totals"]),
    ],
)
def test_the_truth_check_reports_a_page_that_contradicts_a_finding_a_limit_or_itself(view: PageView, kinds: list[str]) -> None:
    assert told(OK, view) == kinds


def test_the_truth_check_ignores_dashes_shares_and_frozen_week_dates() -> None:
    dash = table(status={"s": "act", "t": "2 critical"}, drift={"t": "–", "title": "Nulls: 5 %."})
    assert told(OK, replace(VIEW, tables={"Models": dash})) == []
    assert told(OK, replace(VIEW, lines=("1,200 predictions in 2 to 8 Mar 2026", "3 Wh, 1,100 predictions, 97.0 % of those served"))) == []
    assert told(OK, replace(VIEW, lines=("1,200 predictions in 2 to 8 Mar 2026",)), replace(VIEW, page="review", lines=OTHER_WEEK)) == []


OTHER_WEEK = ("900 predictions in 2 to 8 Mar 2025",)


@pytest.mark.parametrize(("rows", "kinds"), [("3 critical", []), ("2 critical", ["no sum"])])
def test_the_truth_check_reports_a_count_above_what_the_rows_contain(rows: str, kinds: list[str]) -> None:
    """The call logs, which have their own page, are mentioned after the count."""
    home = replace(
        VIEW,
        page="health",
        model=None,
        lines=("4 models and 1 controller: 4 critical, 2 warnings (1 critical of these in 2 call logs, listed on Vendors).",),
    )
    assert told(OK, replace(home, tables={"Models, most severe first": table(status={"s": "act", "t": rows})})) == kinds


@pytest.mark.parametrize(("metric", "kinds"), [("Accuracy", ["not counted"]), ("Recall", [])])
def test_the_truth_check_reports_no_significant_slice_beside_a_slice_warning(metric: str, kinds: list[str]) -> None:
    found = table(severity={"s": "watch", "t": "Warning"}, because={"t": "EV fell.", "sub": f"carrier=EV · {metric} · new"})
    tables = {"Slices": table(slice={"t": "carrier = EV"}), "Findings about slices": found}
    line = "carrier = EV, accuracy 65 % → 56 %. 0 of 4 significant."
    assert told(OK, replace(VIEW, page="slices", lines=(line,), tables=tables)) == kinds


@pytest.mark.parametrize(("sub", "kinds"), [("unchanged from its past", ["unchanged"]), ("worse", [])])
def test_the_truth_check_reports_an_unchanged_window_below_a_worse_line(sub: str, kinds: list[str]) -> None:
    rows = table(days={"t": "all 7 days"}, status={"s": "act", "t": "Critical", "sub": sub})
    view = replace(VIEW, statuses=(("act", "`age` moved. :gray[· worse · since 2 Mar 2026]"),), tables={"PSI by window": rows})
    assert told(OK, view) == kinds


@pytest.mark.parametrize(
    ("alt", "day", "kinds"),
    [
        ("Traffic", 30, []),
        ("Traffic of this window", 13, []),
        ("Traffic of this window", 30, ["dates"]),
        ("Traffic, 2 to 3 Mar 2026", 5, ["dates"]),
        ("Cost by week, 2 to 15 Mar 2026", 7, []),
        ("Cost by week, 5 to 15 Mar 2026", 7, []),
        ("Cost by day, 5 to 15 Mar 2026", 12, ["dates"]),
        ("Cost by day, 2 to 15 Mar 2026", 7, ["dates"]),
    ],
)
def test_the_truth_check_reports_a_chart_outside_its_stated_dates(alt: str, day: int, kinds: list[str]) -> None:
    days = pd.DataFrame({"period": [datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=day)]})
    assert told(OK, replace(VIEW, charts=((alt, days),))) == kinds
