"""A model is OK only if its performance, inputs or data quality could be compared with a reference or a limit."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from observability.core.catalog import Catalog, Column, Model
from observability.core.finding import Finding, Severity
from observability.core.window import Window
from observability.dashboard import load, load_findings
from observability.dashboard.overview import fleet, model_status
from observability.dashboard.overview.model_status import ModelStatus
from observability.dashboard.scope import Scope
from observability.incidents.model_state import not_judged_reason, verdict_severity
from observability.monitoring.check import check
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
WINDOW = Window("loan", START, START + timedelta(days=7))


def finding(analyzer: str, metric: str, severity: Any, **more: Any) -> Finding:
    """A finding about the model `loan` in one week."""
    base = Finding(
        analyzer, "loan", "1", "model", metric, None, 100, severity, f"{metric} is {severity}.", WINDOW.start, WINDOW.end, "reference"
    )
    return replace(base, value=None if severity == "unknown" else 1.0, **more)


NO_REFERENCE = [
    finding("data/quality", "judged", "unknown", because="Version 1 has no reference."),
    finding("data/quality", "volume", "ok", against="past"),
    finding("data/quality", "null_rate", "ok", against="past", subject="age"),
    finding("serving/drift", "psi", "unknown"),
    finding("serving/performance", "label_maturity", "ok"),
    finding("serving/performance", "accuracy", "ok", against="past"),
    finding("serving/latency", "latency_p99", "ok", against="past"),
    finding("operations/cost", "cost_per_thousand", "ok", against="past"),
]


def test_a_model_without_a_reference_is_unknown_and_says_why() -> None:
    assert verdict_severity(NO_REFERENCE) == "unknown"
    assert not_judged_reason(NO_REFERENCE) == "Version 1 has no reference."
    assert verdict_severity([]) == "unknown"


def test_a_model_that_was_never_registered_is_unknown_and_asks_for_it(tmp_path: Path) -> None:
    body = {"kind": "prediction", "model": "loan", "version": "1", "features": {"income": 30}}
    times = [(START + timedelta(minutes=30 * place)).isoformat() for place in range(300)]
    lines = [body | {"id": f"p{k}", "at": at, "score": 0.2 + 0.002 * k, "label": k % 2} for k, at in enumerate(times)]
    (tmp_path / "served.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with new_store(tmp_path / "home", threads=1) as store:
        assert store.load_files([tmp_path / "served.jsonl"], LoadDefaults()).stored == 300
        found = check(store, model="loan", start=WINDOW.start, end=WINDOW.end, now=WINDOW.end).findings
    assert verdict_severity(found) == "unknown"
    assert any(each.analyzer == "serving/performance" and "register this model" in each.because for each in found)


@pytest.mark.parametrize(
    "known",
    [
        finding("serving/drift", "psi", "ok", subject="age"),
        finding("serving/performance", "accuracy", "ok", against="level"),
        finding("data/quality", "null_rate", "ok", subject="age"),
    ],
)
def test_one_verdict_against_the_reference_or_a_level_makes_a_model_ok(known: Finding) -> None:
    assert verdict_severity([*NO_REFERENCE, known]) == "ok"


@pytest.mark.parametrize("severity", ["watch", "act"])
def test_findings_that_need_action_determine_the_severity_of_the_model(severity: Any) -> None:
    assert verdict_severity([*NO_REFERENCE, finding("serving/latency", "latency_p99", severity)]) == severity


def test_the_fleet_shows_a_model_without_a_reference_as_unknown() -> None:
    nothing = pd.DataFrame({"n": [10.0], "errors": [0.0]})
    status = ModelStatus(Model(1, "loan"), WINDOW, tuple(NO_REFERENCE), nothing, pd.DataFrame(), ())
    assert status.severity == "unknown"
    quality = fleet.quality_cell(status.of("data/quality"))
    assert (quality["s"], quality["t"]) == ("unknown", "not judged")


def test_an_ok_cell_shows_the_reason_of_an_ok_finding() -> None:
    sound = finding("data/quality", "null_rate", "ok", subject="age")
    assert fleet.quality_cell([NO_REFERENCE[0], sound]) == {"s": "ok", "t": "normal", "title": sound.because}


def silent(name: str) -> ModelStatus:
    nothing = pd.DataFrame({"n": [0.0], "errors": [0.0]})
    return ModelStatus(Model(1, name), replace(WINDOW, model=name), tuple(NO_REFERENCE), nothing, pd.DataFrame(), ())


def test_a_vendor_with_a_critical_incident_of_its_probes_is_critical_on_the_first_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the row said `Unknown` although the incident was listed below it."""
    monkeypatch.setattr(load_findings, "acknowledged_claims", frozenset)
    changed = replace(finding("serving/vendors", "flip_rate", "act", subject="probes:sixty"), model="acme")
    (status,), others = model_status.with_records([silent("acme")], [changed, replace(changed, model=None, subject="probes:other")])
    assert status.severity == "act" and [each.model for each in status.incidents] == ["acme"]
    assert [each.model for each in others] == [None]
    assert fleet.fleet_table_row(status, Scope())["cells"]["status"]["t"] == "1 critical"


def test_fleet_rows_of_language_model_calls_and_their_trace_steps_refer_to_the_vendors_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the rows asked the reader to register a reference, but a language model has none."""
    operation, tokens = Column(1, "operation", "f1", "category"), Column(2, "input_tokens", "f2", "number")
    chat, tools, loan = Model(1, "chat", columns=(operation, tokens)), Model(2, "tools", columns=(operation,)), Model(3, "loan")
    known = Catalog((chat, tools, loan))
    monkeypatch.setattr(load, "catalog", lambda: known)
    served = pd.DataFrame({"n": [10.0], "errors": [0.0]})
    shown = {
        model.name: fleet.page_of_what_is_not_judged(ModelStatus(model, WINDOW, tuple(NO_REFERENCE), served, pd.DataFrame(), ()))
        for model in (chat, tools, loan, replace(chat, task="binary"))
    }
    assert shown == {"chat": None, "tools": "vendors", "loan": None}, "a registered model is judged; the last of the same name counts here"
    of_chat = ModelStatus(chat, WINDOW, tuple(NO_REFERENCE), served, pd.DataFrame(), ())
    assert fleet.page_of_what_is_not_judged(of_chat) == "vendors"
    known = Catalog((tools, loan))
    of_tools = ModelStatus(tools, WINDOW, tuple(NO_REFERENCE), served, pd.DataFrame(), ())
    assert fleet.page_of_what_is_not_judged(of_tools) is None, "without a language model the page shows no traces"


def test_call_logs_have_no_fleet_row_and_a_note_counts_their_findings(monkeypatch: pytest.MonkeyPatch) -> None:
    chat = Model(1, "chat", columns=(Column(1, "operation", "f1", "category"), Column(2, "input_tokens", "f2", "number")))
    monkeypatch.setattr(load, "catalog", lambda: Catalog((chat,)))
    monkeypatch.setattr(load_findings, "acknowledged_claims", frozenset)

    def of_chat(*severities: Severity) -> ModelStatus:
        moved = [replace(finding("serving/call_drift", "psi", each, subject=f"column:{each}"), model="chat") for each in severities]
        served = pd.DataFrame({"n": [10.0], "errors": [0.0]})
        return ModelStatus(
            chat, WINDOW, tuple(moved), served, pd.DataFrame(), (), incidents=load_findings.incidents_of_findings(moved, [chat])
        )

    assert fleet.is_call_log(of_chat("ok")) and fleet.is_call_log(of_chat("watch")) and fleet.is_call_log(of_chat("act"))
    assert not fleet.is_call_log(replace(of_chat("watch"), model=replace(chat, task="binary")))
    assert fleet.call_logs_note([]) == ""
    assert fleet.call_logs_note([of_chat("watch"), of_chat("ok")]) == " (1 warning of these in 2 call logs, listed on Vendors)"
    assert fleet.call_logs_note([of_chat("act")]) == " (1 critical of these in 1 call log, listed on Vendors)"
    assert fleet.call_logs_note([of_chat("ok")]) == " (none of these in 1 call log, listed on Vendors)"


def test_a_controller_is_judged_by_its_decisions_and_its_row_refers_to_the_controllers_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_findings, "acknowledged_claims", frozenset)
    sound = replace(finding("operations/controllers", "regret", "ok", subject="controller"), model="cache")
    (status,), _ = model_status.with_records([silent("cache")], [sound])
    row = fleet.fleet_table_row(status, Scope())
    assert status.severity == "ok" and row["note"]["t"] == "See Controllers."
    assert silent("cache").severity == "unknown"
