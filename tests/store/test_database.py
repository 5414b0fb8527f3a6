"""Tests of opening the database in only one process, of transactions and of what readers see."""

import os
import stat
import subprocess
import sys
import threading

import duckdb
import pytest

from observability.core.errors import StoreBrokenError, StoreBusyError
from observability.records.kinds import KINDS
from observability.store.db import catalog_store, database
from observability.store.db.kept_numbers import kept_columns
from observability.store.db.record_tables import kind_columns, kind_tables
from observability.store.migrations import STEPS
from observability.store.opener import open_store


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "home") as opened:
        yield opened


def tables(store):
    return {name for (name,) in store.cursor().execute("SELECT table_name FROM duckdb_tables()").fetchall()}


def test_a_home_is_made_for_its_owner_alone(store):
    assert stat.S_IMODE(store.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert {"models", "versions", "columns", "edges", "streams", "manifest", "rejected", "arrivals", "migrations"} <= tables(store)


def test_there_is_a_table_for_every_kind_of_record(store):
    assert set(kind_tables()) == set(KINDS) - {"prediction", "label"}
    assert set(kind_tables().values()) <= tables(store)
    assert kind_tables()["batch"] == "batches"
    for kind, table in kind_tables().items():
        found = store.cursor().execute(f"SELECT column_name FROM duckdb_columns() WHERE table_name = '{table}'").fetchall()
        assert {name for (name,) in found} == {*kind_columns(kind), *kept_columns(kind)}
        assert set(kind_columns(kind)) >= set(KINDS[kind].fields) - {"received_at"}


def test_another_process_gets_an_error_that_names_the_process_that_has_the_store(store):
    script = (
        "import sys; from pathlib import Path; from observability.store.opener import open_store\n"
        "from observability.core.errors import StoreBusyError\n"
        "try: open_store(Path(sys.argv[1]))\nexcept StoreBusyError as error: print(error); sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", script, str(store.home)], capture_output=True, text=True, timeout=600, cwd=os.getcwd())
    assert done.returncode == 7, done.stderr
    assert f"PID {os.getpid()}" in done.stdout
    assert store.cursor().execute("SELECT 1").fetchall() == [(1,)]


def test_a_newer_schema_is_refused_and_left_alone(tmp_path):
    with open_store(tmp_path) as store, store.write() as writer:
        writer.execute("INSERT INTO migrations VALUES (?, current_timestamp)", [len(STEPS) + 1])
    with pytest.raises(StoreBrokenError, match="newer version"):
        open_store(tmp_path)
    with duckdb.connect(str(tmp_path / "store.duckdb")) as connection:
        assert connection.execute("SELECT max(version) FROM migrations").fetchall() == [(len(STEPS) + 1,)]


def test_a_field_that_is_new_gets_its_column_at_the_next_start(tmp_path):
    with open_store(tmp_path) as store, store.write() as writer:
        writer.execute("ALTER TABLE events DROP COLUMN subject")
        writer.execute("DROP TABLE prices")
    with open_store(tmp_path) as store:
        assert "prices" in tables(store)
        store.cursor().execute("SELECT subject FROM events")


def test_id_hashes_are_computed_again_if_the_database_hashes_differently(tmp_path):
    with open_store(tmp_path) as store, store.write() as writer:
        key = catalog_store.add_model(writer, "loan")
        writer.execute(f"INSERT INTO predictions_{key} (id, id_hash) VALUES ('a', 1), ('b', 2)")
        writer.execute("UPDATE hashing SET value = 3")
    with open_store(tmp_path) as store:
        assert store.cursor().execute(f"SELECT count(*) FROM predictions_{key} WHERE id_hash = hash(id)").fetchall() == [(2,)]


def test_a_write_that_raises_an_error_is_rolled_back(store):
    with pytest.raises(ZeroDivisionError), store.write() as writer:
        catalog_store.add_model(writer, "loan")
        raise ZeroDivisionError
    assert store.catalog().models == ()
    assert "predictions_1" not in tables(store)


def test_the_catalog_is_read_again_only_after_a_commit(store):
    before, generation = store.catalog(), store.generation
    assert store.catalog() is before
    with store.write() as writer:
        catalog_store.add_model(writer, "loan")
        assert store.catalog().models == ()
    assert store.generation > generation
    assert [model.name for model in store.catalog().models] == ["loan"]


def test_one_writer_at_a_time_while_others_can_read(store):
    inside, seen = threading.Event(), []

    def second():
        assert inside.wait(60)
        with store.write() as writer:
            seen.append(len(catalog_store.read_catalog(writer).models))
            catalog_store.add_model(writer, "second")

    thread = threading.Thread(target=second)
    thread.start()
    with store.write() as writer:
        catalog_store.add_model(writer, "first")
        inside.set()
        thread.join(0.2)
        assert thread.is_alive()
        assert store.cursor().execute("SELECT count(*) FROM models").fetchall() == [(0,)]
    thread.join(60)
    assert seen == [1]
    assert [model.name for model in store.catalog().models] == ["first", "second"]


def test_a_write_inside_a_write_raises_an_error(store):
    with store.write(), pytest.raises(RuntimeError, match="inside"), store.write():
        pass
    with store.write() as writer:
        writer.execute("SELECT 1")


def test_queries_reach_no_file_outside_and_change_no_option(store, tmp_path):
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    cursor = store.cursor()
    with pytest.raises(duckdb.PermissionException):
        cursor.execute(f"SELECT * FROM read_csv('{outside}')")
    with pytest.raises(duckdb.PermissionException):
        cursor.execute(f"ATTACH '{tmp_path / 'other.duckdb'}'")
    with pytest.raises(duckdb.InvalidInputException):
        cursor.execute("SET enable_external_access = true")
    with pytest.raises(duckdb.Error):
        cursor.execute("INSTALL httpfs")
    frame = [1, 2, 3]  # a query cannot read a Python variable as a table
    with pytest.raises(duckdb.CatalogException):
        cursor.execute("SELECT * FROM frame")
    assert frame
    cursor.execute("SET max_execution_time = 1000")


def test_a_database_that_a_fatal_error_stopped_is_reopened(store, monkeypatch):
    with store.write() as writer:
        catalog_store.add_model(writer, "loan")
    fresh, failures = store._fresh, [duckdb.FatalException("the database has been invalidated")]
    monkeypatch.setattr(store, "_fresh", lambda: (_ for _ in ()).throw(failures.pop()) if failures else fresh())
    old = store._connection
    assert store.cursor().execute("SELECT name FROM models").fetchall() == [("loan",)]
    assert store._connection is not old


def test_a_nearly_full_disk_raises_an_error_before_anything_is_written(store, monkeypatch):
    store.require_space()
    monkeypatch.setattr(database, "FLOOR_BYTES", 2**62)
    with pytest.raises(StoreBrokenError, match="nearly full"):
        store.require_space()


def test_cached_blocks_are_let_go_and_the_limit_stays(store, monkeypatch):
    def used(cursor):
        return cursor.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()[0][0]

    with store.write() as writer:
        writer.execute("CREATE TABLE large AS SELECT random() AS x FROM range(3_000_000)")
    cursor = store.cursor()
    cursor.execute("CHECKPOINT")
    limit = cursor.execute("SELECT current_setting('memory_limit')").fetchall()
    assert cursor.execute("SELECT count(x) FROM large").fetchall() == [(3_000_000,)] and used(cursor) > 12_000_000
    monkeypatch.setattr(database, "CACHE_BYTES", 8_000_000)
    store.trim()
    assert used(cursor) <= 8_000_000
    assert cursor.execute("SELECT current_setting('memory_limit')").fetchall() == limit
    assert cursor.execute("SELECT count(x) FROM large").fetchall() == [(3_000_000,)]


def test_a_closed_store_says_so(tmp_path):
    store = open_store(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreBrokenError, match="closed"):
        store.cursor()
    with open_store(tmp_path):
        pass


def test_errors_of_a_busy_store_end_with_exit_code_3():
    assert StoreBusyError("x").exit_code == StoreBrokenError("x").exit_code == 3
