"""Tests of the store's status, rejected lines and the removal of models."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from observability.core.catalog import Version, computed_values
from observability.core.errors import NotFoundError
from observability.core.finding import KEPT_FILE
from observability.core.window import Window
from observability.store import removal
from observability.store.db import catalog_store
from observability.store.db.kept_counts import COUNTS_FILE, read_counts, write_counts
from observability.store.db.shared_tables import give_own_tables
from observability.store.ingest import landing
from observability.store.ingest.loader import load_landing
from observability.store.migrations import STEPS, arrivals_by_sender
from observability.store.registry import admin
from observability.store.rollup import rollup
from observability.store.types.loading import LoadDefaults
from tests.store.conftest import query
from tests.support.landing import land
from tests.support.new_store import new_store
from tests.support.record_lines import OTHERS, label, prediction


def test_an_empty_store_has_a_status(store):
    body = admin.storage_status(store)
    json.dumps(body)
    assert body["models"] == [] and body["rejected"] == {"total": 0, "reasons": {}, "last": None}
    assert body["landing"] == {"segments": 0, "bytes": 0, "open": 0, "failed": 0}
    assert body["versions"]["duckdb"] and body["versions"]["python"] == sys.version.split()[0] and body["database"]["schema"] >= 1


def test_status_counts_what_is_stored_and_what_waits(store, landed):
    landed(
        *(prediction(i, at=f"2024-03-0{1 + i}T10:00:00Z") for i in range(5)), label(0), {"kind": "event", **OTHERS["event"]}, b"{", b"[]"
    )
    path = land(store, prediction(7))
    body = admin.storage_status(store)
    (model,) = body["models"]
    assert (model["model"], model["predictions"], model["labels"], model["versions"]) == ("loan", 5, 1, 1)
    assert (model["first"], model["last"]) == ("2024-03-01T10:00:00Z", "2024-03-05T10:00:00Z")
    expected = (datetime.now(UTC) - datetime(2024, 3, 5, 10, tzinfo=UTC)) / timedelta(hours=1)
    assert model["hours_since_last"] == pytest.approx(expected, abs=0.1)
    assert body["rejected"]["total"] == 2 and sum(body["rejected"]["reasons"].values()) == 2
    assert body["landing"] == {"segments": 1, "bytes": path.stat().st_size, "open": 0, "failed": 0}
    assert body["records"]["event"] == 1 and body["loaded"]["segments"] == 1
    store.cursor().execute("CHECKPOINT")
    assert admin.storage_status(store)["models"][0]["bytes"] > 0


def test_status_loads_no_heavy_library(store, landed):
    landed(prediction())
    store.close()
    script = (
        "import sys; from pathlib import Path; from observability.store.opener import open_store\n"
        "from observability.store.registry import admin\n"
        "admin.storage_status(open_store(Path(sys.argv[1])))\n"
        "print([name for name in ('streamlit', 'sklearn', 'shap', 'evidently', 'pandas', 'plotly', 'scipy.stats') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script, str(store.home)], capture_output=True, text=True, timeout=600)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


def test_rejected_lines_are_shown_newest_first(store, landed):
    landed(b"{", prediction())
    landed(prediction(score="high"), b"[1]")
    frame = admin.rejected_lines(store, 2)
    assert len(frame) == 2 and frame["at_loaded"].is_monotonic_decreasing
    assert set(frame["raw"]) == {json.dumps(prediction(score="high")), "[1]"}
    assert admin.rejected_lines(store, 10, "loan")["raw"].tolist() == [json.dumps(prediction(score="high"))]


def window(**fields):
    return Window("loan", datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 3, 8, tzinfo=UTC), **fields)


def test_counters_are_of_the_hours_in_which_lines_arrived(store, landed):
    first = [prediction(i, received_at="2024-03-02T10:30:00Z") for i in range(3)]
    landed(*first, *first[:2], prediction(9, received_at="2024-03-09T00:00:00Z"), label(0))
    found = admin.load_counters(store, "loan", window())
    assert found == {
        "lines": 5, "stored": 3, "duplicates": 2, "rejected": 0, "duplicate_hours": 1, "rejected_hours": 0, "rules": {},
        "unknown_columns": {}, "not_explained": {},
    }  # fmt: skip
    assert admin.load_counters(store, "loan", window(as_of=datetime(2024, 3, 2, 10, tzinfo=UTC)))["lines"] == 0
    assert admin.load_counters(store, "loan", window(as_of=datetime(2024, 3, 2, 11, tzinfo=UTC)))["lines"] == 5
    with pytest.raises(NotFoundError):
        admin.load_counters(store, "laon", window())


def now_window():
    """A window of a day around the current time, because the load in this test is dated now."""
    now = datetime.now(UTC)
    return Window("loan", now - timedelta(hours=12), now + timedelta(hours=12))


def test_rows_that_a_person_loads_from_a_file_do_not_count_against_the_system(store, landed, tmp_path):
    landed(prediction(0), prediction(1, at="2024-03-01T10:00:00"), prediction(2, score="high"), prediction(3, score="low"))
    sent = admin.load_counters(store, "loan", now_window())
    assert (sent["stored"], sent["rejected"], sent["rejected_hours"]) == (1, 3, 1)
    assert sum(sent["rules"].values()) == 3 and max(sent["rules"].values()) == 2
    assert not [rule for rule in sent["rules"] if "high" in rule or "2024-03-01" in rule]
    path = tmp_path / "again.jsonl"
    path.write_text("".join(json.dumps(prediction(i, at="2024-03-01T10:00:00")) + "\n" for i in range(50)) + json.dumps(prediction(0)))
    report = store.load_files([path], LoadDefaults())
    assert (report.duplicates, report.rejected) == (1, 50)
    assert list(report.examples) == ["no_offset"] and "has no offset" in report.examples["no_offset"]
    assert admin.load_counters(store, "loan", now_window()) == sent
    with store.write() as writer:
        writer.execute("CREATE OR REPLACE TABLE arrivals AS SELECT model, kind, hour, sum(stored) stored, sum(duplicates) duplicates, "
                       "sum(rejected) rejected FROM arrivals GROUP BY ALL")  # fmt: skip
        arrivals_by_sender(writer)
    migrated = admin.load_counters(store, "loan", now_window())
    assert migrated == sent | {"lines": 5, "duplicates": 1, "duplicate_hours": 1}, (
        "an older store does not state which duplicates came from files"
    )
    assert arrivals_by_sender in STEPS


def test_a_feature_that_was_not_registered_is_an_unknown_column(store, landed):
    landed(prediction(0, features={"age": 1}))
    with store.write() as writer:
        catalog_store.save_version(writer, 1, Version("1", datetime.now(UTC), ("age",)))
        rollup.rebuild_rollups(writer, "loan")
    landed(
        prediction(1, features={"age": 1, "shoe": 42}),
        prediction(2, features={"age": 1, "shoe": None}),
        prediction(3, features={"age": 2, "shoe": 1}),
    )
    assert admin.load_counters(store, "loan", window())["unknown_columns"] == {"shoe": 2}
    assert admin.load_counters(store, "loan", window(version="2"))["unknown_columns"] == {}


def test_a_removed_model_leaves_nothing_behind(store, landed):
    records = [{"kind": kind, **record} for kind, record in OTHERS.items()]
    landed(prediction(), label(), prediction(model="other"), prediction(score=0.9), *records)
    artifact = store.home / "artifacts" / "model.txt"
    artifact.parent.mkdir()
    artifact.write_text("trees")
    (store.home / KEPT_FILE).write_text("findings about loan")
    store.status(60.0)
    store.keep_counts(store.home)
    with store.write() as writer:
        catalog_store.save_version(writer, 1, Version("1", artifact="artifacts/model.txt"))
    done = removal.remove_model(store, "loan")
    assert (done["predictions"], done["labels"], done["rejected"], done["artifacts"]) == (1, 1, 1, 1)
    assert [model.name for model in store.catalog().models] == ["other"]
    assert not artifact.exists()
    assert not (store.home / KEPT_FILE).exists() and not (store.home / COUNTS_FILE).exists()
    names = [name for (name,) in query(store, "SELECT table_name FROM duckdb_tables()")]
    views = [name for (name,) in query(store, "SELECT view_name FROM duckdb_views() WHERE NOT internal")]
    assert not [name for name in names + views if name.endswith("_1")] and "predictions_2" in views
    for table in names:
        assert "loan" not in str(query(store, f"SELECT * FROM {table}")), table
    assert query(store, "SELECT count(*) FROM prices") == [(1,)]
    for segment in landing.segment_files(store.landing / "loaded"):
        assert b'"loan"' not in segment.path.read_bytes() and b'"other"' in segment.path.read_bytes()
    with pytest.raises(NotFoundError):
        removal.remove_model(store, "loan")
    assert load_landing(store).lines == 0


def test_a_model_can_be_logged_again_after_its_removal(store, landed):
    landed(prediction(), prediction(model="other"))
    removal.remove_model(store, "loan")
    assert landed(prediction(score=0.75)).stored == 1
    assert query(store, f"SELECT score FROM predictions_{store.catalog().model('loan').key}") == [(0.75,)]
    assert query(store, f"SELECT count(*) FROM predictions_{store.catalog().model('other').key}") == [(1,)]


def test_an_artifact_that_another_model_names_stays(store, landed):
    landed(prediction(), prediction(model="other"))
    artifact = store.home / "artifacts" / "model.txt"
    artifact.parent.mkdir()
    artifact.write_text("trees")
    with store.write() as writer:
        for key in (1, 2):
            catalog_store.save_version(writer, key, Version("1", artifact="artifacts/model.txt"))
    assert removal.remove_model(store, "loan")["artifacts"] == 0
    assert artifact.exists()


def test_the_status_and_activity_of_unchanged_models_are_not_counted_again(store, landed, monkeypatch):
    landed(prediction(1, model="one"), prediction(2, model="two"))
    before, seen = store.activity(), []
    store.status(60.0)
    count = admin._model_statuses
    monkeypatch.setattr(
        admin, "_model_statuses", lambda cursor, models: seen.extend(model.name for model in models) or count(cursor, models)
    )
    landed(prediction(3, model="two"))
    counted = {model["model"]: model["predictions"] for model in store.status(60.0)["models"]}
    assert counted == {"one": 1, "two": 2} and seen == ["two"]
    store.status()
    assert seen == ["two", "one", "two"], "a status without an allowed age counts every model"
    assert store.activity().set_index("model")["rows"].to_dict() == {"one": 1, "two": 2}
    assert before.set_index("model")["rows"].to_dict() == {"one": 1, "two": 1}


def _load(store, *records):
    land(store, *records)
    load_landing(store)


def test_a_later_process_counts_only_models_that_changed(tmp_path, monkeypatch):
    """Status and activity equal those of a process that counts every model again."""
    home, seen = tmp_path / "home", list[str]()
    count, blocks = admin._model_statuses, admin._blocks_sql
    monkeypatch.setattr(
        admin, "_model_statuses", lambda cursor, models: seen.extend(model.name for model in models) or count(cursor, models)
    )
    monkeypatch.setattr(admin, "_blocks_sql", lambda model: seen.append(f"blocks of {model.name}") or blocks(model))
    with new_store(home) as store:
        _load(store, *(prediction(number, model=name) for name in ("one", "two") for number in range(60)))
        with store.write() as writer:
            for model in store.catalog().models:
                give_own_tables(writer, model.key)
        before = store.status(60.0)["models"]
        store.activity()
    seen.clear()
    with new_store(home) as store:
        again = store.status(60.0)["models"]
        assert [each for each in seen if not each.startswith("blocks")] == []
        assert sorted(seen) == ["blocks of one", "blocks of two"], (
            "the rows were in the write-ahead log when they were counted; now they are in the database file"
        )
        assert [each["predictions"] for each in again] == [60, 60] and all(each["bytes"] > 0 for each in again)
        assert [each | {"bytes": 0, "hours_since_last": 0} for each in again] == [
            each | {"bytes": 0, "hours_since_last": 0} for each in before
        ]
    seen.clear()
    with new_store(home) as store:
        assert store.status(60.0)["models"][0]["bytes"] == again[0]["bytes"] and seen == []
        _load(store, prediction(60, model="two"))
        grown = {each["model"]: each["predictions"] for each in store.status(60.0)["models"]}
        assert grown == {"one": 60, "two": 61} and seen == ["two"], "after one more row the blocks are not counted again"
        _load(store, *(prediction(number, model="two") for number in range(61, 70)))
        store.status(60.0)
        assert seen == ["two", "two", "blocks of two"]
        known = store.activity()
    seen.clear()
    (home / COUNTS_FILE).unlink()
    with new_store(home) as store:
        exact = {each["model"]: each["predictions"] for each in store.status(60.0)["models"]}
        assert exact == {"one": 60, "two": 70} and len(seen) == 4, "without the file everything is counted again"
        assert store.activity().equals(known)


def test_a_process_that_is_killed_leaves_the_counts_that_took_long(tmp_path, monkeypatch):
    """A killed process does not close its store, so without kept counts the next process would count every model again."""
    home = tmp_path / "home"
    with new_store(home) as store:
        _load(store, prediction(model="one"), prediction(1, model="two"))
        monkeypatch.setattr(admin, "SLOW_COUNT", 3600.0)
        store.status(60.0)
        assert not (home / COUNTS_FILE).exists(), "a fast count is not kept, because repeating it costs little"
        monkeypatch.setattr(admin, "SLOW_COUNT", 0.0)
        _load(store, prediction(2, model="two"))
        store.status(1e-9)
        kept = read_counts(home)
        assert kept[admin.STATUS, "two"] == (store.generations["two"], kept[admin.STATUS, "two"][1])
        assert {name for _, name in kept} == {"one", "two"} and kept[admin.STATUS, "two"][1]["predictions"] == 2


@pytest.mark.parametrize("text", ["", "{", "[]", '{"counts": [[1]]}'])
def test_counts_that_cannot_be_read_are_counted_again(tmp_path, text):
    (tmp_path / COUNTS_FILE).write_text(text)
    assert read_counts(tmp_path) == {}


def test_counts_of_another_program_are_counted_again(tmp_path, monkeypatch):
    counts = {("status", "one"): (7, {"predictions": 60})}
    write_counts(tmp_path, counts, ["one"])
    assert read_counts(tmp_path) == counts
    monkeypatch.setattr("observability.store.db.kept_counts.program_digest", lambda: "another")
    assert read_counts(tmp_path) == {}


def test_the_bytes_of_a_model_follow_computed_values_and_its_move_to_its_own_tables(tmp_path):
    """Explanations take bytes without adding predictions, and a model that moves out of the shared tables takes more space at once."""
    with new_store(tmp_path / "home") as store:
        _load(store, *(prediction(number, model="one") for number in range(60)))
        (shared,) = store.status(60.0)["models"]
        with store.write() as writer:
            (model,) = store.catalog().models
            give_own_tables(writer, model.key)
        with store.cursor() as cursor:
            cursor.execute("CHECKPOINT")
        (own,) = store.status(60.0)["models"]
        assert own["bytes"] > shared["bytes"]
        before = store.counted_models[(admin.BLOCKS, "one")]
        with store.write():
            store.note_changed_models([computed_values("one")])
        store.status(60.0)
        assert store.counted_models[(admin.BLOCKS, "one")] != before


def test_an_event_of_a_model_leaves_what_is_known_of_others(store, landed):
    landed(prediction(1, model="one"), prediction(2, model="two"))
    before = store.model_commit("one")
    landed({"kind": "event", **OTHERS["event"], "model": "two"})
    assert store.model_commit("one") == before < store.model_commit("two")
    landed({"kind": "event", "at": "2026-03-02T02:00:00Z", "what": "note", "text": "a holiday"})
    assert store.model_commit("one") > before
