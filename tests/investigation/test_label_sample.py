"""The worksheet is a random sample of the window's predictions that a person can fill in and load."""

import json
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pandas as pd

from observability.core.window import Window
from observability.export.csv import inert_csv
from observability.investigation.label_sample import label_sample_worksheet
from observability.investigation.relabel_queue import WORKSHEET_COLUMNS
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store

START = datetime(2026, 5, 4, tzinfo=UTC)
ROWS = 60


def test_the_worksheet_is_blind_random_and_loads_when_filled_in(tmp_path: Path) -> None:
    lines = []
    for place in range(ROWS):
        at = (START + timedelta(hours=place)).isoformat()
        common = {"id": f"q{place}", "model": "mail", "at": at, "received_at": at}
        lines.append({"kind": "prediction", **common, "version": "1", "features": {"words": place}, "score": 0.5 + place})
        if place % 3 == 0:
            lines.append({"kind": "label", **common, "value": 7.25})
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    window = Window("mail", START, START + timedelta(hours=50))
    with new_store(tmp_path / "home") as store:
        assert store.load_files([log], LoadDefaults()).rejected == 0
        everything = label_sample_worksheet(store, window, 1000, START)
        unlabelled = {f"q{place}" for place in range(50) if place % 3}
        assert set(everything["id"]) == unlabelled, "labelled predictions and those outside the window are not in the worksheet"
        assert list(everything.columns) == [*WORKSHEET_COLUMNS, "feature.words"]
        assert ".5" not in everything.to_string() and "7.25" not in everything.to_string()
        some = label_sample_worksheet(store, window, 20, START)
        assert 5 <= len(some) <= 20 and set(some["id"]) <= unlabelled
        assert some["id"].tolist() != sorted(some["id"], key=lambda name: int(name[1:]))

        filled = pd.read_csv(StringIO(inert_csv(some)), dtype=str, keep_default_na=False)
        filled.loc[:, ["value", "annotator"]] = ["3.5", "grace"]
        path = tmp_path / "filled.csv"
        filled.to_csv(path, index=False)
        report = store.load_files([path], LoadDefaults(kind="label"))
        assert (report.stored, report.rejected) == (len(some), 0)
        assert label_sample_worksheet(store, window, 20, START).empty


def test_a_window_without_predictions_gives_an_empty_worksheet(tmp_path: Path) -> None:
    line = {
        "kind": "prediction",
        "id": "a",
        "model": "mail",
        "version": "1",
        "at": START.isoformat(),
        "features": {"words": 1},
        "score": 0.5,
    }
    log = tmp_path / "log.jsonl"
    log.write_text(json.dumps(line), encoding="utf-8")
    with new_store(tmp_path / "home") as store:
        store.load_files([log], LoadDefaults())
        sheet = label_sample_worksheet(store, Window("mail", START + timedelta(days=1), START + timedelta(days=2)), 10, START)
    assert sheet.empty and list(sheet.columns)[: len(WORKSHEET_COLUMNS)] == list(WORKSHEET_COLUMNS)
