"""The relabel queue gives a usable worksheet. It is blind, it loads without changes after it is filled in, and an item is done when its
label arrives.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pandas as pd
import pytest

from observability.export.csv import inert_csv
from observability.investigation import relabel_queue
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.support.commanding import Command
from tests.support.new_store import new_store

START = datetime(2026, 5, 4, tzinfo=UTC)
FORMULA = "=cmd|'/c calc'!A0"


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home with twenty predictions, all of them labelled."""
    lines = []
    for place in range(20):
        at = (START + timedelta(hours=place)).isoformat()
        common = {"id": f"q{place}", "model": "mail", "at": at, "received_at": at}
        lines.append(
            {"kind": "prediction", **common, "version": "1", "features": {"words": place, "subject": FORMULA}, "prediction": "spam"}
        )
        lines.append({"kind": "label", **common, "value": "ham", "annotator": "bob"})
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with new_store(tmp_path / "home") as store:
        assert store.load_files([path], LoadDefaults()).rejected == 0
    yield tmp_path / "home"


def ask(store: Database, action: str, prediction: str, **fields: object) -> None:
    store.write_records(
        [{"kind": "action", "action": action, "author": "Ada", "model": "mail", "prediction": prediction, "do": "relabel", **fields}]
    )


def test_open_relabelling_requests_come_first_and_a_new_label_closes_a_request(home: Path, tmp_path: Path) -> None:
    with open_store(home) as store:
        for name in ("q3", "q1", "q5", "gone"):
            ask(store, f"a-{name}", name, text="Look at the subject")
        store.write_records([{"kind": "action", "action": "other", "author": "Ada", "model": "mail", "prediction": "q1", "do": "retrain"}])
        ask(store, "a-q5", "q5", state="cancelled")
        held = relabel_queue.relabel_queue(store)
        assert [(each.prediction, each.state, each.labels) for each in held] == [
            ("q3", "open", 0),
            ("q1", "open", 0),
            ("gone", "open", 0),
            ("q5", "cancelled", 0),
        ]
        assert relabel_queue.relabel_queue(store, "mail", "q3") == held[:1] and relabel_queue.relabel_queue(store, "nobody") == ()

        sheet = relabel_queue.requests_worksheet(store, held, datetime.now(UTC))
        assert sheet["id"].tolist() == ["q3", "q1"], (
            "predictions that were removed and requests that were cancelled are not in the worksheet"
        )
        assert sheet["feature.words"].tolist() == [3, 1] and "ham" not in sheet.to_string() and "spam" not in sheet.to_string()
        file = tmp_path / "filled.csv"
        filled = pd.read_csv(StringIO(inert_csv(sheet)), dtype=str, keep_default_na=False)
        assert filled["feature.subject"].tolist() == ["'" + FORMULA] * 2, "a text from a log never becomes a formula"
        filled.loc[0, ["value", "annotator"]] = ["spam", "grace"]
        filled.to_csv(file, index=False)
        report = store.load_files([file], LoadDefaults(kind="label"))
        assert (report.stored, report.rejected) == (1, 1), "an empty value is rejected"
        held = relabel_queue.relabel_queue(store)
        assert {each.prediction: (each.state, each.labels) for each in held} == {
            "q1": ("open", 0),
            "gone": ("open", 0),
            "q3": ("done", 1),
            "q5": ("cancelled", 0),
        }
        ((value, annotator),) = (
            store.cursor().execute("SELECT value, annotator FROM labels_1 WHERE id = 'q3' ORDER BY \"at\" DESC LIMIT 1").fetchall()
        )
        assert (value, annotator) == ("spam", "grace")
        ask(store, "a-q3", "q3", state="open")
        assert relabel_queue.relabel_queue(store, "mail", "q3")[0].state == "open", (
            "it was requested again, so the earlier label does not count"
        )


def test_an_id_that_looks_like_a_formula_comes_back_as_itself(home: Path, tmp_path: Path, command: Command) -> None:
    odd = {
        "kind": "prediction",
        "id": "@user",
        "model": "mail",
        "at": START.isoformat(),
        "version": "1",
        "features": {"words": 3},
        "prediction": "spam",
    }
    with open_store(home) as store:
        store.write_records([odd])
        ask(store, "a", "@user")
        ask(store, "b", "q4")
    sheet, lines = tmp_path / "sheet.csv", tmp_path / "sheet.jsonl"
    said = command(home, "relabel", "--out", str(sheet))
    assert pd.read_csv(sheet)["id"].tolist() == ["q4"] and "1 prediction left out" in said.out
    assert command(home, "relabel", "--out", str(lines)).code == 0
    records = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [each["id"] for each in records] == ["@user", "q4"] and records[0]["feature.words"] == 3
    filled = [{**each, "value": "ham", "annotator": "ada"} for each in records]
    lines.write_text("\n".join(map(json.dumps, filled)), encoding="utf-8")
    assert command(home, "load", str(lines)).code == 0
    assert {each["prediction"]: each["state"] for each in json.loads(command(home, "relabel", "--all", "--json").out)} == {
        "@user": "done",
        "q4": "done",
    }


def test_the_relabel_command_lists_open_requests_and_writes_the_worksheet(home: Path, tmp_path: Path, command: Command) -> None:
    with open_store(home) as store:
        ask(store, "a", "q2", text="\x1b[31mred")
        ask(store, "b", "q4", state="done")
    out = tmp_path / "sheet.csv"
    said = command(home, "relabel", "--model", "mail", "--out", str(out))
    assert said.code == 0, said.error
    assert "q2" in said.out and "q4" not in said.out and "\x1b" not in said.out and "load" in said.out
    assert pd.read_csv(out)["id"].tolist() == ["q2"]
    every = json.loads(command(home, "relabel", "--all", "--json").out)
    assert [(each["prediction"], each["state"], each["asked_by"]) for each in every] == [("q2", "open", "Ada"), ("q4", "done", "Ada")]
    wrong = command(home, "relabel", "--model", "nobody")
    assert wrong.code == 2 and "nobody" in wrong.error
