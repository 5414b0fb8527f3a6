"""The sentences of the model page and of the page Why it changed, tested without drawing the pages."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from observability.core.finding import Finding, Severity
from observability.core.window import Window
from observability.dashboard import model_answers
from observability.dashboard.overview import fleet
from observability.dashboard.scope import Scope
from observability.dashboard.serving import why_changed
from tests.support.dashboard_world import END

UNREGISTERED: dict[str, Any] = {
    "window": Window("late", END - timedelta(days=7), END),
    "model": SimpleNamespace(versions=()),
}


def finding(analyzer: str, metric: str, because: str, severity: Severity, **more: Any) -> Finding:
    return Finding(
        analyzer=analyzer, model="late", version="1", subject="model", metric=metric, value=0.2, n=2185, severity=severity,
        because=because, start=END - timedelta(days=7), end=END, against="past", **more,
    )  # fmt: skip


def test_the_cost_answer_shows_the_status_of_the_finding_it_describes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: an unchanged cost was called critical, because the energy rose."""
    cost = finding("operations/cost", "cost_per_thousand", "The cost stayed.", "ok")
    energy = finding("operations/energy", "energy_per_thousand", "The energy rose.", "act")
    drawn: list[tuple[str, ...]] = []
    monkeypatch.setattr(model_answers, "answer_heading", lambda _, found, words, *rest, details=(), **more: drawn.append((words, *details)))
    for found in ([cost, energy], [cost]):
        status: Any = SimpleNamespace(of=lambda *names, found=found: [each for each in found if each.analyzer in names], findings=found)
        model_answers.what_does_it_cost(SimpleNamespace(), status)
    assert drawn == [("The energy rose.", "The cost stayed."), ("The cost stayed.",)]


def test_no_judged_finding_is_unknown_and_an_unchanged_one_is_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: an empty list of findings was called OK, although nothing could be checked."""
    assert fleet.severity_without_action([]) == "unknown"
    drawn: list[Severity] = []

    def keep(_: str, found: Sequence[Finding], *rest: Any, **more: Any) -> None:
        drawn.append(fleet.severity_without_action(found))

    monkeypatch.setattr(model_answers, "answer_heading", keep)
    monkeypatch.setattr(model_answers.fleet_events, "event_rows", lambda *_: [])
    stayed, stands = (
        finding("operations/cost", "cost_per_thousand", "The cost stayed.", "ok"),
        finding("operations/cost", "cost_per_thousand", "The cost is high.", "act", news="ongoing"),
    )
    for found in ([], [stayed], [stands, stayed], [replace(stayed, severity="unknown")]):
        status: Any = SimpleNamespace(findings=found, fresh=(), events=(), **UNREGISTERED)
        model_answers.what_changed(SimpleNamespace(scope=None), status)
    assert drawn == ["unknown", "ok", "ok", "unknown"]


def test_a_slice_with_many_errors_answers_the_question_of_correctness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the answer about correctness showed an accuracy among the findings about the model's inputs."""
    drawn: list[list[str]] = []
    monkeypatch.setattr(model_answers, "answer_heading", lambda _, found, *rest, **more: drawn.append([each.because for each in found]))
    drift = finding("serving/drift", "psi", "The size drifted.", "watch")
    part = finding("serving/slices", "accuracy", "Where `sex` = F, accuracy is 59.5 %.", "act", likely_source="input")

    def of(*analyzers: str) -> list[Finding]:
        return [each for each in (drift, part) if each.analyzer in analyzers]

    here: Any = SimpleNamespace(model=SimpleNamespace(task="binary"))
    status: Any = SimpleNamespace(of=of)
    for question in (model_answers.are_inputs_normal, model_answers.is_it_right):
        question(here, status)
    assert drawn == [[drift.because], [part.because]]


def test_a_version_registration_counts_as_a_change_on_the_model_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the page said `no events` while Home said `1 version registered`."""
    drawn: list[str] = []
    monkeypatch.setattr(model_answers, "answer_heading", lambda _, found, words, *rest, **more: drawn.append(words))
    monkeypatch.setattr(model_answers.fleet_events, "event_rows", lambda *_: [])
    new = SimpleNamespace(name="2", registered_at=END - timedelta(days=1))
    for versions, events in (((new,), ()), ((), ()), ((new,), ("deploy",))):
        about = UNREGISTERED | {"model": SimpleNamespace(versions=versions)}
        status: Any = SimpleNamespace(findings=[], fresh=(), events=events, **about)
        model_answers.what_changed(SimpleNamespace(scope=None), status)
    assert [words.partition(" window, ")[2] for words in drawn] == ["1 version registered.", "no events.", "1 event, 1 version registered."]


def test_the_what_changed_answer_counts_new_findings_without_repeating_their_sentences(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the worst finding appeared four times on the page."""
    claims: list[str] = []
    monkeypatch.setattr(model_answers, "claim_line", lambda words, **more: claims.append(words))
    monkeypatch.setattr(model_answers.links, "page_button", lambda *args, **more: None)
    events = pd.DataFrame({"at": [pd.Timestamp(END)], "what": ["deploy"], "text": ["version 2"]})
    tables: list[list[dict[str, Any]]] = []
    monkeypatch.setattr(model_answers, "draw_table", lambda key, caption, columns, rows, **more: tables.append(rows))
    new = finding("serving/drift", "psi", "The size drifted.", "act", news="new")
    about = UNREGISTERED | {"model": SimpleNamespace(name="loan", versions=())}
    status: Any = SimpleNamespace(findings=[new], fresh=(new,), events=events, **about)
    model_answers.what_changed(SimpleNamespace(scope=Scope()), status)
    assert claims == ["1 new finding since the previous window, 1 event."]
    assert [row["cells"]["what"]["t"] for row in tables[0]] == ["version 2"]


@pytest.mark.parametrize(("severity", "split"), [("unknown", "24.0. Unreliable split: covariate"), ("ok", "24.0: covariate")])
def test_an_uncertain_split_of_a_change_is_called_unreliable(severity: Severity, split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = {"before": (12.0, 11.0, 13.0), "inputs": (2.0, -9.0, 9.0), "relation": (10.0, 4.0, 15.0), "now": (24.0, 23.0, 25.0)}
    evidence = {"parts": parts, "baseline_n": 900, "alone_now": 0.77}
    found = finding(why_changed.ANALYZER, why_changed.RELATION, "Cannot be split.", severity, evidence=evidence)
    said: list[str] = []
    monkeypatch.setattr(why_changed, "plain_paragraph", said.append)
    monkeypatch.setattr(why_changed, "plain_caption", said.append)
    monkeypatch.setattr(why_changed.frame, "chart_with_table", lambda *args, **more: None)
    page: Any = SimpleNamespace(model=SimpleNamespace(task="regression"))
    why_changed.change_waterfall_section(page, {why_changed.RELATION: found})
    assert split in said[0] and said[0].endswith("shift +2.00, concept drift +10.0."), said


def test_identical_sentences_of_two_findings_are_shown_once() -> None:
    inputs, relation = (
        finding(why_changed.ANALYZER, metric, "Cannot be split.", "unknown") for metric in (why_changed.INPUTS, why_changed.RELATION)
    )
    labels = finding(why_changed.ANALYZER, "change_from_labels", "The label mix stayed.", "ok")
    assert why_changed.distinct_sentences([inputs, relation, labels]) == [inputs, labels]
