"""Every kind of record is read: what only this record contains appears on a page.

One record of each kind is loaded, each with a unique text, and its page is opened as a person opens it. If a kind is added to `KINDS`
without a page, this test fails.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.weeks import Week
from observability.dashboard import load
from observability.records.kinds import KINDS
from observability.review import freeze
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.dashboard_pages import opened
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
"""A Monday."""
END = START + timedelta(days=7)
CASE = {"id": "case-7", "model": "loan"}
PAGES: dict[str, tuple[str, dict[str, str], str]] = {
    "prediction": ("case", CASE, "case-7"),
    "label": ("case", {**CASE, "section": "label"}, "annotator-of-label"),
    "annotation": ("labels", {"model": "loan"}, "2 items"),
    "verdict": ("case", {**CASE, "section": "said"}, "note of the verdict"),
    "what_if": ("case", {**CASE, "section": "edge"}, "note of the what-if"),
    "saved_case": ("cases", {}, "title of the saved case"),
    "run": ("runs", {}, "run-of-march"),
    "step": ("runs", {}, "marked_loss"),
    "resource": ("runs", {}, "777 Wh"),
    "assignment": ("labels", {"model": "loan"}, "of assignments"),
    "item": ("annotate", {"project": "leaflets"}, "leaflet-of-march"),
    "skip": ("annotate", {"project": "loan", "model": "loan"}, "reason-to-skip"),
    "batch": ("batches", {}, "batch-of-march"),
    "expected_batch": ("batch_gate", {"model": "loan"}, "night-of-march"),
    "cleaning": ("cleaning", {}, "rule-of-march"),
    "event": ("changes", {"window": "Everything"}, "text of the event"),
    "dataset": ("datasets", {}, "dataset-of-march"),
    "device_report": ("edge_fleet", {"model": "loan", "by": "firmware"}, "firmware-of-march"),
    "storage_report": ("storage", {}, "place-of-march"),
    "audit": ("changes", {"window": "Everything"}, "Membership audit"),
    "action": ("changes", {"window": "Everything"}, "text of the action"),
    "decision": ("changes", {"window": "Everything"}, "statement of the decision"),
    "signature": ("changes", {"window": "Everything"}, "risk-owner"),
    "price": ("cost", {"model": "loan"}, "XTS"),
    "alert": ("alerts", {}, "title of the alert"),
    "message": ("alerts", {}, "error of the message"),
    "review": ("review", {}, "2026-W10"),
    "agenda": ("review", {}, "text on the agenda"),
    "dashboard": ("dashboards", {}, "name of the dashboard"),
    "pin": ("dashboards", {"dashboard": "b1"}, "text of the pin"),
}
"""For each kind: the page, its parameters, and the text on it that only this record contains."""


def lines() -> list[dict]:
    """One record of each kind that a service or a job logs, and enough predictions for drawing the pages."""
    at, noon = (START + timedelta(days=6)).isoformat(), (START + timedelta(days=6, hours=12)).isoformat()
    found = [
        {
            "kind": "prediction", "id": f"case-{i}", "at": (START + timedelta(hours=i)).isoformat(), "model": "loan", "version": "1",
            "features": {"age": 30.0 + i % 9, "income": float(i % 5)}, "score": 0.4 + i % 3 / 10,
        }
        for i in range(160)
    ]  # fmt: skip
    found += [
        {"kind": "label", "id": "case-7", "at": at, "model": "loan", "value": 1, "source": "human", "annotator": "annotator-of-label"},
        *(
            {"kind": "annotation", "project": "loan", "item": item, "annotator": who, "at": at, "label": "0"}
            for item in ("case-7", "case-8")
            for who in ("ann", "bob")
        ),
        {
            "kind": "annotation",
            "project": "moods",
            "item": "item-of-march",
            "annotator": "cy",
            "at": noon,
            "label": "said-by-cy",
            "seconds": 43.2,
            "gold": "gold-of-march",
            "suggestion": "suggestion-of-march",
            "suggestion_confidence": 0.813,
            "guideline": "v1-of-march",
        },
        {
            "kind": "annotation",
            "project": "moods",
            "item": "item-2",
            "annotator": "cy",
            "at": at,
            "label": "x",
            "gold": "x",
            "guideline": "v2-of-march",
        },
        {
            "kind": "assignment",
            "project": "moods",
            "item": "item-of-march",
            "annotator": "cy",
            "at": at,
            "reason": "reason-of-march",
            "score": 0.4375,
            "policy": "policy-of-march",
        },
        {"kind": "assignment", "project": "loan", "item": "case-9", "annotator": "ann", "at": at},
        {"kind": "skip", "project": "loan", "item": "case-9", "annotator": "bob", "at": at, "reason": "reason-to-skip"},
        {
            "kind": "item",
            "project": "leaflets",
            "item": "leaflet-of-march",
            "at": at,
            "content": {"text": "a text to label"},
            "classes": ["kept", "thrown"],
        },
        {"kind": "run", "run": "run-of-march", "at": at, "event": "start", "model": "loan"},
        {"kind": "run", "run": "run-of-march", "at": noon, "event": "end", "status": "finished"},
        *(
            {
                "kind": "step",
                "run": "run-of-march",
                "at": at,
                "step": i,
                "metrics": {"marked_loss": 1 / i},
                "rank": rank,
                "host": f"host-{rank}",
                "phase_ms": {"compute": 10.0},
            }
            for i in range(1, 30)
            for rank in ("0", "1")
        ),
        {
            "kind": "resource",
            "run": "run-of-march",
            "at": at,
            "device": "gpu0",
            "watts": 777,
            "seconds": 3600,
            "temperature_c": 71.5,
            "memory_gb": 11,
            "phase": "phase-of-march",
            "step": 7,
            "source": "measured",
        },
        {"kind": "batch", "batch": "batch-of-march", "at": at, "source": "clinic", "rows": 10},
        {"kind": "expected_batch", "batch": "night-of-march", "at": at, "model": "loan", "rows": 10},
        {"kind": "cleaning", "rule": "rule-of-march", "at": at, "rows_in": 100, "rows_changed": 1, "rows_dropped": 2},
        {"kind": "event", "at": at, "what": "deploy", "text": "text of the event", "model": "loan"},
        {
            "kind": "dataset",
            "dataset": "dataset-of-march",
            "version": "4",
            "at": at,
            "rows": 100,
            "parents": ["raw@3"],
            "columns": {"age": {}, "sex": {}},
            "checksum": "sha256:5e884898da280471",
        },
        {"kind": "device_report", "device": "d1", "at": at, "model": "loan", "version": "1", "firmware": "firmware-of-march", "answers": 5},
        {"kind": "storage_report", "place": "place-of-march", "at": at, "used_bytes": 5},
        {"kind": "audit", "model": "loan", "version": "1", "at": at, "audit": "membership", "results": {"auc": 0.51}},
        {"kind": "price", "from": START.isoformat(), "resource": "request", "amount": 0.1, "currency": "XTS", "model": "loan"},
    ]
    return [each | {"received_at": each.get("at", each.get("from"))} for each in found]


def said() -> list[dict]:
    """One record of each kind that people or the dashboard write."""
    at = END - timedelta(hours=1)
    return [
        {"kind": "verdict", "verdict": "v1", "at": at, "model": "loan", "prediction": "case-7", "author": "ann", "source": "input", "note": "note of the verdict"},
        {
            "kind": "what_if", "what_if": "w1", "at": at, "author": "ann", "model": "loan", "prediction": "case-7", "changes": {"age": 31}, "score": 0.6,
            "before": 0.5, "note": "note of the what-if",
        },
        {
            "kind": "saved_case", "saved_case": "s1", "at": at, "author": "ann", "model": "loan", "prediction": "case-7", "note": "n",
            "title": "title of the saved case",
        },
        {"kind": "action", "action": "a1", "at": at, "author": "ann", "model": "loan", "text": "text of the action"},
        {"kind": "decision", "decision": "d1", "at": at, "author": "ann", "model": "loan", "statement": "statement of the decision"},
        {"kind": "signature", "at": at, "author": "risk-owner", "model": "loan", "subject": "sex", "until": END + timedelta(days=90)},
        {"kind": "alert", "incident": "incident-1", "at": at, "author": "the dashboard", "says": "opened", "model": "loan", "severity": "act", "title": "title of the alert"},
        {"kind": "message", "message": "m1", "at": at, "state": "queued", "incident": "incident-1", "channel": "team", "title": "t", "text": "x"},
        {"kind": "message", "message": "m1", "at": at + timedelta(minutes=1), "state": "failed", "error": "error of the message"},
        {"kind": "dashboard", "dashboard": "b1", "at": at, "author": "ann", "name": "name of the dashboard"},
        {"kind": "pin", "pin": "p1", "dashboard": "b1", "at": at, "author": "ann", "text": "text of the pin"},
        {"kind": "agenda", "review": "2026-W10", "item": "added-1", "at": at, "author": "ann", "does": "add", "text": "text on the agenda"},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store with a record of each kind."""
    folder, rng = tmp_path_factory.mktemp("kinds"), np.random.default_rng(3)
    store = new_store(folder / "home", threads=1)
    frame = pd.DataFrame(
        {
            "age": rng.normal(34, 3, 300),
            "income": rng.integers(0, 5, 300).astype(float),
            "score": rng.random(300),
            "label": rng.integers(0, 2, 300),
        }
    )
    frame.to_parquet(folder / "reference.parquet")
    store.register(
        RegistrationRequest(
            model="loan", version="1", task="binary", reference=folder / "reference.parquet", label="label", score=("score",)
        )
    )
    path = folder / "lines.jsonl"
    path.write_text("\n".join(map(json.dumps, lines())) + "\n", encoding="utf-8")
    assert store.load_files([path], LoadDefaults()).reasons == {}
    freeze.freeze(store, Week.parse("2026-W10"), author="ann", now=END)
    store.write_records(said())
    (store.home / "alerts.toml").write_text('[channels]\nteam = "json://127.0.0.1:9/x"\n', encoding="utf-8")
    yield store
    store.close()


@pytest.fixture
def owned(store: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store, as if this process owned it."""
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: END)


def shown(page: str, **parameters: str) -> str:
    """Everything that a page sends to the browser, without escape characters."""
    app = opened(page, **parameters)
    parts = [str(getattr(each, "proto", "")) for each in app]
    return "\n".join(parts).replace("\\", "").replace("\u2060", "").replace("\u00a0", " ")


def test_every_kind_has_a_page() -> None:
    missing = set(KINDS) - set(PAGES)
    assert not missing, f"add to PAGES the page that shows {sorted(missing)}, and a record to lines() or said()"
    assert set(PAGES) == set(KINDS)


@pytest.mark.parametrize(("page", "parameters"), list(dict.fromkeys((page, tuple(sorted(own.items()))) for page, own, _ in PAGES.values())))
def test_values_that_only_a_record_holds_are_shown_on_its_page(owned: None, page: str, parameters: tuple[tuple[str, str], ...]) -> None:
    text = shown(page, **dict(parameters))
    missing = {
        kind: mark
        for kind, (where, own, mark) in PAGES.items()
        if (where, tuple(sorted(own.items()))) == (page, parameters) and mark not in text
    }
    assert not missing, f"{page} does not show {missing}"


FIELDS_OF_LABELLING = {
    "label": "said-by-cy", "seconds": "43.2 s", "gold": "gold-of-march", "suggestion": "suggestion-of-march", "suggestion_confidence": "81.3 %",
    "guideline": "v1-of-march", "reason": "reason-of-march", "score": "0.438", "policy": "policy-of-march",
}  # fmt: skip


def test_every_field_of_labelling_is_shown_on_its_page(owned: None) -> None:
    optional = {
        name
        for kind in ("annotation", "assignment")
        for name, field in KINDS[kind].fields.items()
        if name not in ("project", "item", "annotator", "at", "received_at")
    }
    assert optional == set(FIELDS_OF_LABELLING)
    text = shown("labelling", project="moods", item="item-of-march")
    missing = {name: mark for name, mark in FIELDS_OF_LABELLING.items() if mark not in text}
    assert not missing, f"the page does not show {missing}"


def test_devices_and_parent_datasets_are_shown_beside_their_runs_and_datasets(owned: None) -> None:
    runs = shown("runs")
    assert "71.5" in runs and "11.0 GB" in runs and "777 W" in runs
    ranks = shown("distributed")
    assert "host-1 10 ms over 1 rank" in ranks and "host-1, step 9" in ranks, "the host of each rank"
    assert "Phase-of-march: 100" in runs and "7 to 7" in runs, "what a phase used, and its steps"
    said = "Dataset dataset-of-march version 4: 100 rows, made from raw@3, 2 columns, content sha256:5e884898"
    assert said in shown("changes", window="Everything")
    assert "sha256:5e884898da280471" in shown("datasets")
