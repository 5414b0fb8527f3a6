"""If one model or one analyzer fails, all others go on, and a page says what happened and what to do."""

from dataclasses import replace
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from observability.core.finding import FAILED
from observability.core.formatting import DASH
from observability.core.window import Window
from observability.dashboard import application, background_findings, empty_states, load, load_findings, page_failure, time_series
from observability.dashboard.overview import findings, fleet, large_fleet, model_status
from observability.dashboard.scope import Scope
from observability.monitoring import check
from tests.support.dashboard_pages import WHOLE, opened, words
from tests.support.dashboard_world import END, START, World


def test_a_model_whose_rows_cannot_be_read_is_unknown_and_others_are_as_before(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: check.check(current.store, model=name, now=END).findings for name in ("loan", "price")}
    asked, together = current.store.ask, current.store.ask_many

    def ask(question: Any, window: Window) -> Any:
        if window.model == "price":
            raise RuntimeError("the table is gone")
        return asked(question, window)

    def ask_many(questions: Any) -> Any:
        if any(window.model == "price" for _, window in questions):
            raise RuntimeError("the table is gone")
        return together(questions)

    monkeypatch.setattr(current.store, "ask", ask)
    monkeypatch.setattr(current.store, "ask_many", ask_many)
    found = {name: check.check(current.store, model=name, now=END, with_records=False).findings for name in ("loan", "price")}
    assert found["loan"] == tuple(each for each in before["loan"] if each.model == "loan")
    assert {each.analyzer for each in found["price"]} > {"data/quality", "serving/drift", "serving/performance"}
    assert {each.severity for each in found["price"]} == {"unknown"}
    assert all(FAILED in each.because for each in found["price"] if each.analyzer == "serving/drift")


def test_home_has_a_row_for_a_model_that_cannot_be_computed(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(background_findings, "sampled_findings", lambda *asked, **options: ())
    usual = {status.model.name: status for status in large_fleet.fleet_statuses(Scope())}
    read = time_series.traffic_frame

    def traffic(window: Window) -> Any:
        if window.model == "price":
            raise RuntimeError("the table is gone")
        return read(window)

    monkeypatch.setattr(time_series, "traffic_frame", traffic)
    found = {status.model.name: status for status in large_fleet.fleet_statuses(Scope())}
    assert found["loan"].findings == usual["loan"].findings and not found["loan"].failure
    assert (found["price"].severity, found["price"].failure) == ("unknown", "RuntimeError")
    row = fleet.fleet_table_row(found["price"], Scope())
    assert "Cannot be computed (RuntimeError)" in str(row)
    assert {cell["t"] for name, cell in row["cells"].items() if name not in ("model", "status")} == {DASH}, (
        "unmeasured counts are dashes, not 0"
    )
    assert large_fleet.with_traffic(Scope(), found["price"]) == found["price"]


def failing_section() -> None:
    """A part of a case that fails, and the part after it."""
    import streamlit as st

    from observability.core.errors import UsageError
    from observability.dashboard.case import case

    def refused() -> None:
        raise UsageError("the version has no file", attempt="Register one")

    def broken() -> None:
        raise ValueError("secret of ann")

    case.draw_guarded("waterfall", refused)
    case.draw_guarded("inputs", broken)
    st.write("the next part")


def test_a_part_of_a_case_that_fails_says_what_to_do_in_a_sentence_and_stops_no_other_part() -> None:
    """Regression: it showed the name of the error's class, a colon and the error as it was raised."""
    app = AppTest.from_function(failing_section).run()
    refused, broken = (box.value.replace("\\", "") for box in app.error)
    assert refused == "The version has no file. Register one."
    assert "ValueError" in broken and page_failure.PART_ADVICE in broken and "secret" not in broken
    assert "time range" not in broken, "the dates of one prediction cannot be chosen"
    titles = [box.proto.title.replace("\\", "") for box in app.error]
    assert titles == ["Cannot be shown: waterfall", "Cannot be shown: inputs"]
    assert app.markdown[-1].value == "the next part"


def failing_page() -> None:
    """A page that fails. Streamlit would call this handler, which draws all of the page's content."""
    from observability.dashboard import page_failure as shown

    assert shown.draw_page_failure(ValueError("secret of ann"))


def test_a_page_that_fails_says_what_to_do_and_shows_no_internals(current: World) -> None:
    (box,) = AppTest.from_function(failing_page).run().error
    assert "ValueError" in box.value and empty_states.FAILURE_ADVICE in box.value
    assert "secret" not in box.value and "Traceback" not in box.value
    assert application.app_parts()["on_script_error"] is page_failure.draw_page_failure
    assert load.catalog().models


def test_a_failed_analyzer_is_reported_instead_of_missing_labels(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    known = next(each for each in load_findings.counted_findings(load.window(Scope(), "price")) if each.analyzer == "serving/performance")
    failed = replace(known, severity="unknown", metric="judged", value=None, because=f"{FAILED}: RuntimeError: planted.")
    monkeypatch.setattr(findings, "analyzer_findings", lambda here, analyzer, **options: [failed])
    said = words(opened("performance", model="price"))
    assert "the analysis failed" in said and empty_states.FAILURE_ADVICE in said and "Labels may still be missing" not in said


def test_a_failed_drift_analysis_is_told_on_home_on_the_page_of_its_model_and_in_findings(
    current: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regression: Home said `no data` and a dash, the model's page gave another finding as the reason of the failure, and Findings folded
    it among what is unknown.
    """
    status = next(each for each in large_fleet.fleet_statuses(Scope()) if each.model.name == "price")
    known = next(each for each in status.of("serving/drift"))
    failed = replace(known, subject="model", severity="unknown", metric="judged", value=None, because=f"{FAILED}: ValueError: planted.")
    nulls = replace(known, analyzer="data/quality", metric="null_rate", severity="act", news="new", because="`rooms` is null in 14 %.")
    planted = replace(status, findings=(failed, nulls))
    for cell in (fleet.inputs_drift_cell(planted), fleet.outputs_cell(planted)):
        assert (cell["s"], cell["t"]) == ("unknown", "failed") and "planted" in cell["title"]

    monkeypatch.setattr(model_status, "load_model_status", lambda *asked: planted)
    app = opened("model", model="price")
    claims = [each.value.replace("\\", "") for each in app.markdown]
    (claim,) = [each for each in claims if "1 data-quality issue; drift unknown." in each]
    assert "Critical" in claim and not any("Critical" in each and "The analysis failed" in each for each in claims)
    assert any("planted" in each.value for each in [*app.markdown, *app.caption]), (
        "the failure is told, and is not what the null rate is a reason for"
    )

    told: list[str] = []
    monkeypatch.setattr(findings.st, "markdown", told.append)
    findings.failed_analyses_note([nulls])
    assert not told
    findings.failed_analyses_note([failed, nulls])
    findings.failed_analyses_note([failed, replace(failed, model="loan"), replace(failed, analyzer="data/quality"), nulls])
    findings.failed_analyses_note([replace(failed, model=f"m{number}") for number in range(5)])
    assert [each.replace("\\", "").partition("findings: ")[2].partition(". ")[0] for each in told] == [
        "Input drift of price",
        "Data quality of price; Input drift of loan and price",
        "Input drift of 5 models",
    ]


def test_a_failed_analysis_is_named_whatever_filter_is_set(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    report = load_findings.scope_report(Scope().at(START, END))
    known = next(each for each in report.findings if each.model == "price" and each.analyzer == "serving/drift")
    failed = replace(known, subject="model", severity="unknown", metric="judged", value=None, because=f"{FAILED}: ValueError: planted.")
    planted = replace(report, findings=(*report.findings, failed))
    monkeypatch.setattr(load_findings, "scope_report", lambda *asked, **options: planted)
    for asked in ({}, {"severity": "Critical"}, {"analyzer": "data/quality"}):
        assert "Failed, so without findings: Input drift of price." in words(opened("findings", **WHOLE, **asked))


def test_a_page_with_swapped_dates_or_an_unknown_column_offers_a_fix(current: World) -> None:
    """Regression: the page said what to change, but the reader had to find where."""
    app = opened("drift", model="loan", **{**WHOLE, "from": WHOLE["to"], "to": WHOLE["from"]})
    assert "ends before it starts" in app.error[0].value
    app.button(key="swap-dates").click().run()
    assert not app.error and (app.query_params["from"], app.query_params["to"]) == (WHOLE["from"], WHOLE["to"])
    for written, said in (("colour=red", "Column 'colour' is not in loan"), ("carrier", "A slice cannot be read")):
        app = opened("slices", model="loan", slice=written, **WHOLE)
        assert app.error[0].value.replace("\\", "").startswith(said), "the sentence begins with a capital"
        assert app.button(key="all-rows").label == "Show all rows"
