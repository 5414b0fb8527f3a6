"""The page Exports: budgets, recipients, the ledger, the checklist, the product's own files, and the form that sets a limit."""

from datetime import UTC
from pathlib import Path

import pytest

from observability.core.window import EPOCH, Window
from observability.dashboard import load
from observability.dashboard.own_files import noted_download
from observability.dashboard.trust.exports import level_decision
from observability.metrics.exports import EXPORTS, LEVELS, export_events, recipient_levels
from observability.server import process_lock
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, unfolded_words, words
from tests.support.export_events import ATTESTED, END, export, noised


@pytest.fixture
def exported(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with exports to two recipients and a model that repeats a canary."""
    canary = {"canaries": [{"name": "c1", "text": "zq-canary-77"}, {"name": "c2", "text": "zq-canary-78"}]}
    rows = [
        noised(1, dataset="counts"), noised(2, dataset="counts"), export(3, k=2.0, **canary),
        export(4, recipient="cloud", run="r7", attestation=ATTESTED, checklist={"contract": True, "deletion": False}),
        export(5, text="findings.csv", recipient="ann", source="dashboard", rows=4, legal_basis=None, transform=None),
    ]  # fmt: skip
    lines = [{"kind": "event", "what": "export", **row, "at": row["at"].replace(tzinfo=UTC).isoformat()} for row in rows]
    seen = {"kind": "prediction", "id": "p1", "model": "chat", "version": "1", "features": {"n": 1}, "prediction": "as zq-canary-77 said"}
    label = {"kind": "label", "id": "p1", "model": "chat", "value": "as zq-canary-77 and zq-canary-78 said"}
    lines += [{**each, "at": END.replace(tzinfo=UTC, day=7).isoformat()} for each in (seen, label)]
    land(empty, [{name: value for name, value in line.items() if value is not None} for line in lines], tmp_path)
    empty.write_records([level_decision(("acme", "counts"), {"epsilon": 1.0}, "a trial", "ann")])
    empty.write_records([level_decision(("acme", "customers"), {"k": 5}, "a trial", "ann") | {"at": "2026-03-01T00:00:00Z"}])
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    return empty


def test_the_page_shows_recipients_ledger_checklist_and_own_files(exported: Database) -> None:
    app = opened("exports", window="Everything")
    said = words(app)
    assert unfolded_words(app, before="bidi_component") <= 60
    assert "4 exports" in said and "1 file of this product" in said and "k = 2" in said
    found = tables(app)
    recipients = {
        row["cells"]["recipient"]["t"] + row["cells"]["dataset"]["t"]: row["cells"] for row in found["Recipients of exports"]["rows"]
    }
    assert recipients["acmecustomers"]["k"] == {"t": "2", "sub": "at least 5"}
    assert recipients["acmecustomers"]["canaries"] == {"t": "2", "sub": "1 seen in predictions\n2 seen in labels"}
    assert recipients["cloudcustomers"]["enclave"]["sub"] == "no hash stated"
    ledger = [row["cells"]["recipient"]["t"] for row in found["Exports, newest first"]["rows"]]
    assert ledger == ["cloud", "acme", "acme", "acme"]
    checks = {
        row["cells"]["item"]["t"]: row["cells"]["run0"]["t"] for row in found["Checklist of training on third-party machines"]["rows"]
    }
    assert (checks["contract"], checks["deletion"], checks["region"]) == ("Met", "Unmet", "Not logged")
    (own,) = found["Files of this product, newest first"]["rows"]
    assert (own["cells"]["recipient"]["t"], own["cells"]["rows"]["t"]) == ("ann", "4")
    assert "zq-canary-77" not in said, "a canary shown on a page is no longer secret"


def test_a_recipients_budget_is_shown_whichever_model_is_chosen(exported: Database, tmp_path: Path) -> None:
    """Regression: a finding said `90 % of the budget of 1.3`, and the table of the same page `no budget`."""
    row = noised(5, recipient="city", dataset="counts", model="chat")
    line = {"kind": "event", "what": "export", **row, "at": row["at"].replace(tzinfo=UTC).isoformat()}
    (tmp_path / "more").mkdir()
    land(exported, [{name: value for name, value in line.items() if value is not None}], tmp_path / "more")
    level = level_decision(("city", "counts"), {"epsilon": 1.3}, "weekly counts", "ann")
    exported.write_records([level | {"at": "2026-03-01T00:00:00Z"}])
    (only,) = tables(opened("exports", model="chat", window="Everything"))["Recipients of exports"]["rows"]
    assert only["cells"]["recipient"]["t"] == "city" and only["cells"]["epsilon"]["sub"] == "of 1.3\nat δ = 1e-05"


def test_a_saved_level_is_read_back_unchanged(exported: Database) -> None:
    known = recipient_levels(exported.ask(LEVELS, Window("", EPOCH, END.replace(tzinfo=UTC, year=2100))))
    assert known["acme", "counts"].epsilon == 1.0 and known["acme", "customers"].k == 5


def test_a_download_is_noted_with_its_rows_and_columns(exported: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lock, "current_store", lambda: exported)
    assert noted_download("findings.csv", lambda: "a,b\n1,2\n3,4\n")() == "a,b\n1,2\n3,4\n"
    noted_download("case-p1.html", lambda: "<p>…</p>")()
    made = {
        each.text: each for each in export_events(exported.ask(EXPORTS, Window("", EPOCH, END.replace(tzinfo=UTC, year=2100)))) if each.own
    }
    assert (made["findings.csv"].rows, made["findings.csv"].columns, made["findings.csv"].recipient) == (2, ("a", "b"), "browser")
    assert {"findings.csv", "case file"} <= set(made), "the name of a case file contains the prediction's id"


def test_a_store_without_exports_says_how_to_log_one(empty: Database) -> None:
    assert "No export has been logged yet." in words(opened("exports"))
