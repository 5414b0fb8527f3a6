"""Sources that the owner process loads on a schedule: when they are loaded, the records kept of each load, and the messages to people."""

import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from observability.lake.schedule_state import source_problems, source_states
from observability.server.lake_schedule import load_due_sources, source_is_due
from tests.support.lake_server import parquet_bytes, predictions_table
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def exports(tmp_path, store):
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "a.parquet").write_bytes(parquet_bytes(predictions_table(0, 20, bad=1)))
    (store.home / "lake.toml").write_text(
        f"""[sources.loans]
address = "{folder}"
every_hours = 1
kind = "prediction"
model = "loan"
version = "1"
""",
        encoding="utf-8",
    )
    return folder


def run(store, after=timedelta(0), stopping=None):
    return load_due_sources(store, NOW + after, stopping or threading.Event())


def test_a_source_is_loaded_when_it_is_due_and_only_what_is_new(store, exports):
    assert run(store) == ["loans"]
    (row,) = store.status()["sources"]
    assert (row["name"], row["files"], row["lines"], row["stored"], row["rejected"], row["failure"]) == ("loans", 1, 20, 19, 1, None)
    assert row["succeeded"] == row["ran"] == NOW.isoformat()
    (exports / "b.parquet").write_bytes(parquet_bytes(predictions_table(20, 5)))
    assert run(store, timedelta(minutes=59)) == []
    assert run(store, timedelta(hours=1)) == ["loans"]
    (row,) = store.status()["sources"]
    assert (row["files"], row["stored"]) == (2, 24)
    assert source_states(store.home)["loans"]["report"]["present"] == 1


def test_a_failed_source_is_reported_and_tried_again_before_its_next_turn(store, exports):
    (exports / "b.parquet").write_bytes(b"PAR1 is no file")
    assert run(store) == []
    (problem,) = source_problems(store.home)
    assert problem.startswith("The source loans was not loaded whole: 1 of 2 files could not be read, the first is b.parquet")
    assert any("The source loans" in sentence for sentence in store.problems())
    assert store.status()["sources"][0]["stored"] == 19
    assert run(store, timedelta(minutes=14)) == []
    (exports / "b.parquet").write_bytes(parquet_bytes(predictions_table(20, 5)))
    assert run(store, timedelta(minutes=15)) == ["loans"] and source_problems(store.home) == []


def test_too_many_rejected_rows_are_a_failure(store, exports):
    text = (store.home / "lake.toml").read_text(encoding="utf-8")
    (store.home / "lake.toml").write_text(text + "allow_rejected = 0.01\n", encoding="utf-8")
    assert run(store) == [] and "more than allow_rejected allows" in source_problems(store.home)[0]


def test_a_wrong_file_and_a_disallowed_address_are_reported(store, exports):
    (store.home / "lake.toml").write_text('[sources.loans]\naddress = "http://example.com/a.csv"\n', encoding="utf-8")
    assert source_problems(store.home)[0].startswith("The sources are not loaded: ")
    (store.home / "lake.toml").write_text("[lake", encoding="utf-8")
    assert "cannot be read" in source_problems(store.home)[0] and store.status()["sources"] == []


def test_the_end_of_the_process_ends_a_load_between_two_blocks(store, exports, monkeypatch):
    stopping = threading.Event()
    stopping.set()
    assert run(store, stopping=stopping) == [] and source_states(store.home) == {}
    from observability.store.ingest import parquet_importer

    monkeypatch.setattr(parquet_importer, "ROWS_A_BATCH", 5)

    class SetAfter(threading.Event):
        asked = 0

        def is_set(self):
            self.asked += 1
            return self.asked > 2

    assert run(store, stopping=SetAfter()) == []
    assert run(store) == ["loans"] and store.status()["sources"][0]["stored"] == 19
    assert store.status()["sources"][0]["lines"] == 20


def test_a_source_without_a_version_takes_the_only_version_of_its_model(store, exports):
    store.write_records([{"kind": "prediction", "id": "x", "model": "loan", "version": "1", "features": {"age": 1}, "score": 0.5}])
    text = (store.home / "lake.toml").read_text(encoding="utf-8").replace('version = "1"\n', "")
    (store.home / "lake.toml").write_text(text, encoding="utf-8")
    assert run(store) == ["loans"]
    (row,) = store.status()["sources"]
    assert (row["name"], row["version"], row["stored"]) == ("loans", "1", 19)


def test_a_source_is_due_after_its_interval_or_sooner_after_a_failure():
    def ran(hours, failure=None):
        return {"ran": (NOW - timedelta(hours=hours)).isoformat(), "failure": failure}

    assert source_is_due({}, 24, NOW) and source_is_due({"ran": "nonsense"}, 24, NOW)
    assert source_is_due(ran(24), 24, NOW) and not source_is_due(ran(23.9), 24, NOW)
    assert source_is_due(ran(0.25, "x"), 24, NOW) and not source_is_due(ran(0.2, "x"), 24, NOW)
    assert source_is_due(ran(0.1, "x"), 0.1, NOW)
    assert json.dumps(ran(1))
