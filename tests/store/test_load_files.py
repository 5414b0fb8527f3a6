"""Files that a person loads are treated like segments: each is stored once, either completely or not at all, and every line is accounted
for.
"""

import json
from datetime import datetime

import pytest

from observability.core.errors import UsageError
from observability.store.ingest import landing
from observability.store.ingest.loader import load_files
from observability.store.types.loading import LoadDefaults, LoadReport
from tests.store.conftest import line_counts, query, rollups
from tests.support.record_lines import OTHERS, label, prediction


def write_lines(path, *records):
    path.write_text("".join(json.dumps(each) + "\n" for each in records))
    return path


def test_a_file_is_loaded_like_a_segment_and_loading_it_again_stores_nothing(store, tmp_path, monkeypatch):
    monkeypatch.setattr(landing, "BLOCK_BYTES", 3000)
    path = write_lines(
        tmp_path / "logs.jsonl",
        *(prediction(i) for i in range(60)),
        *(label(i) for i in range(60)),
        {"kind": "event", **OTHERS["event"]},
        [1],
    )
    seen, generation = [], store.generation
    report = load_files(store, [path], LoadDefaults(), progress=lambda *figures: seen.append(figures))
    assert line_counts(report) == (122, 121, 0, 1) and report.files == 1 and report.seconds > 0
    assert store.generation > generation + 3 and seen == sorted(seen) and seen[-1] == (path.stat().st_size, path.stat().st_size, 122)
    assert query(store, "SELECT segment, line FROM rejected") == [("logs.jsonl", 122)]
    before = rollups(store)
    assert line_counts(load_files(store, [path], LoadDefaults())) == (122, 0, 121, 1)
    assert rollups(store) == before


def test_fields_that_a_line_leaves_out_are_filled_from_the_options(store, tmp_path):
    path = tmp_path / "theirs.csv"
    path.write_text("request,when,age,proba,label\na,2024-03-01 10:00,31,0.25,1\nb,2024-03-01 11:00,,0.5,\n")
    defaults = LoadDefaults(
        kind="prediction",
        model="loan",
        version="1",
        features=("age",),
        timezone="Europe/Paris",
        renames={"request": "id", "when": "at", "proba": "score"},
    )
    assert line_counts(load_files(store, [path], defaults)) == (2, 2, 0, 0)
    assert query(store, 'SELECT id, "at", score, f1 FROM predictions_1 ORDER BY id') == [
        ("a", datetime(2024, 3, 1, 9), 0.25, 31),
        ("b", datetime(2024, 3, 1, 10), 0.5, None),
    ]
    assert query(store, "SELECT id, value FROM labels_1") == [("a", "1")]


def test_a_wrong_file_among_good_ones_stores_nothing_at_all(store, tmp_path):
    good, wrong = write_lines(tmp_path / "good.jsonl", prediction()), tmp_path / "wrong.parquet"
    wrong.write_bytes(b"PK\x03\x04 no parquet")
    with pytest.raises(UsageError, match=r"wrong\.parquet"):
        load_files(store, [good, wrong], LoadDefaults())
    assert store.catalog().models == () and query(store, "SELECT count(*) FROM arrivals") == [(0,)]


def test_an_interrupted_load_of_a_file_is_finished_by_loading_it_again(store, tmp_path, monkeypatch):
    monkeypatch.setattr(landing, "BLOCK_BYTES", 3000)
    path = write_lines(tmp_path / "logs.jsonl", *(prediction(i) for i in range(60)))

    def stop(done, total, lines):
        if lines > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_files(store, [path], LoadDefaults(), progress=stop)
    ((held,),) = query(store, "SELECT count(*) FROM predictions_1")
    assert 20 < held < 60
    assert line_counts(load_files(store, [path], LoadDefaults())) == (60, 60 - held, held, 0)


def test_load_reports_add_up_and_have_the_fields_of_the_contract():
    total = LoadReport(3, 1, 1, 1, {"bad_time": 1}, 0.5, 1, {"bad_time": "first"}) + LoadReport(2, 1, 0, 1, {"bad_time": 1}, 0.5, 1)
    assert total.to_json() == {"lines": 5, "stored": 2, "duplicates": 1, "rejected": 2, "reasons": {"bad_time": 2}}
    assert (total.seconds, total.files, total.examples) == (1.0, 2, {"bad_time": "first"})
