"""A failing disk counts as a failure of the store, not of the records: segments wait, the command ends with exit code 3, and nothing is
set aside or lost.
"""

import contextlib
import os

import duckdb
import pytest

from observability.client import spool
from observability.core.errors import StoreBrokenError, StoreDamagedError
from observability.server import process_lock
from observability.store.db import database
from observability.store.ingest import landing, loader
from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store
from tests.store.conftest import query
from tests.support.commanding import spawn
from tests.support.failing_disk import fill_disk, run_limited, small_disk
from tests.support.landing import land
from tests.support.record_lines import prediction


def land_many(store, segments=7, each=100):
    for segment in range(segments):
        land(store, *(prediction(i, id=f"{segment}-{i}") for i in range(each)))


def states(store):
    return {name: len(landing.segment_files(store.landing / name)) for name in ("ready", "loaded", "failed")}


def test_a_file_that_cannot_grow_leaves_every_segment_waiting(tmp_path):
    with open_store(tmp_path) as store:
        land_many(store)
    done = run_limited(tmp_path, 64 * 1024, "load")
    assert done.returncode == 3, done
    assert done.stdout == "" and done.stderr.count("\n") == 1 and "could not be written" in done.stderr and "File too large" in done.stderr
    assert not list((tmp_path / "landing").glob("failed/*"))
    assert spawn(tmp_path, "load", "--json").json()["stored"] + loaded_before(tmp_path) == 700
    with open_store(tmp_path) as store:
        assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(700, 700)]


def loaded_before(home):
    """The number of lines in segments that were stored before the last command."""
    with open_store(home) as store:
        return 700 - query(store, "SELECT sum(lines) FROM manifest WHERE loaded_at = (SELECT max(loaded_at) FROM manifest)")[0][0]


@pytest.mark.parametrize("error", [duckdb.TransactionException, duckdb.IOException, duckdb.FatalException, duckdb.InternalException])
def test_a_commit_that_fails_is_the_stores_failure(store, monkeypatch, error):
    land_many(store, 3, 1)
    monkeypatch.setattr(database, "_commit", lambda cursor: (_ for _ in ()).throw(error("Failed to commit: No space left on device")))
    with pytest.raises(StoreBrokenError, match="No space left"):
        load_landing(store)
    assert states(store) == {"ready": 3, "loaded": 0, "failed": 0}
    monkeypatch.undo()
    assert load_landing(store).stored == 3


def test_an_unreadable_or_unmovable_segment_is_reported_as_a_failure_of_the_disk(store, monkeypatch):
    land_many(store, 2, 1)
    for name in ("read_segment", "move_segments"):
        with monkeypatch.context() as broken:
            broken.setattr(landing, name, lambda *args, **kwargs: (_ for _ in ()).throw(OSError(5, os.strerror(5))))
            with pytest.raises(StoreBrokenError, match="Input/output error"):
                load_landing(store)
        assert states(store) == {"ready": 2, "loaded": 0, "failed": 0}
    load_landing(store)
    assert query(store, "SELECT count(*) FROM predictions_1") == [(2,)]


def test_a_full_disk_loses_nothing_and_loading_continues_when_there_is_space(tmp_path, monkeypatch):
    monkeypatch.setattr(database, "FLOOR_BYTES", 0)
    with small_disk(tmp_path / "disk", "6m") as disk, open_store(disk / "home") as store:
        land_many(store, 5, 400)
        filler = fill_disk(disk, leave=96 * 1024)
        for _ in range(3):
            with pytest.raises(StoreBrokenError):
                load_landing(store)
            assert states(store)["failed"] == 0 and sum(states(store).values()) == 5
        filler.unlink()
        load_landing(store)
        assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(2000, 2000)]


LINE = '{"kind":"prediction","id":"%d","at":"2026-11-01T00:00:00Z","model":"loan","version":"1","features":{"age":1},"score":0.5}\n'


def refused_when_full(take, first):
    """Give records to `take`, which returns whether it acknowledged the record, until one is refused. Returns the number of the next
    record.
    """
    for number in range(first, first + 5000):
        if not take((LINE % number).encode()):
            return number
    raise AssertionError("the disk did not fill")


@pytest.mark.parametrize("fsync", ["always", "background"])
def test_a_writer_on_a_full_disk_refuses_records_and_takes_them_again(fsync, tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "RETRY_SECONDS", 0)
    monkeypatch.setattr(database, "FLOOR_BYTES", 0)
    with small_disk(tmp_path / "disk", "16m") as disk:
        home = disk / "home"
        open_store(home).close()
        writer = spool.Spool(home / "landing", fsync=fsync, segment_bytes=20_000, floor_bytes=0)
        filler = fill_disk(disk, leave=64 * 1024)
        count = refused_when_full(writer.append, 0)
        assert 0 < count and writer.dropped == 1 and "No space left" in writer.last_error
        filler.unlink()
        assert all(writer.append((LINE % number).encode()) for number in range(count, count + 50))
        writer.flush()
        with open_store(home) as store:
            load_landing(store)
            stored = [int(name) for (name,) in query(store, "SELECT id FROM predictions_1")]
        assert sorted(stored) == list(range(count + 50))


def test_an_owner_on_a_full_disk_refuses_records_reports_it_and_continues_by_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "FLOOR_BYTES", 0)
    monkeypatch.setattr(spool, "RETRY_SECONDS", 0)
    monkeypatch.setattr(database, "FLOOR_BYTES", 0)
    with small_disk(tmp_path / "disk", "16m") as disk:
        home = disk / "home"
        owner = process_lock.Owner(home, process_lock.take_lock(home), open_store(home))

        def take(line):
            with contextlib.suppress(StoreBrokenError):
                owner.records.commit(line, 1)
                return True
            return False

        try:
            assert take((LINE % 0).encode()) and owner.load_once()
            filler = fill_disk(disk, leave=64 * 1024)
            count = refused_when_full(take, 1)
            assert count > 1 and not owner.load_once() and "No space left" in owner.loader.failure
            assert not list((home / "landing").glob("failed/*"))
            filler.unlink()
            assert owner.load_once() and owner.loader.failure is None
            assert take((LINE % count).encode()) and owner.load_once()
            stored = [int(name) for (name,) in query(owner.store, "SELECT id FROM predictions_1")]
            assert sorted(stored) == list(range(count + 1))
        finally:
            owner.close()


def test_the_store_opens_again_by_itself_after_it_could_not(store, monkeypatch):
    land_many(store, 1, 1)
    fresh, connect = store._fresh, store._connect
    monkeypatch.setattr(store, "_fresh", lambda: (_ for _ in ()).throw(duckdb.FatalException("the database has been invalidated")))
    monkeypatch.setattr(store, "_connect", lambda: (_ for _ in ()).throw(StoreBrokenError("the store cannot be opened")))
    for _ in range(2):
        with pytest.raises(StoreBrokenError, match="cannot be opened"):
            load_landing(store)
    monkeypatch.setattr(store, "_connect", connect)
    monkeypatch.setattr(store, "_fresh", fresh)
    assert load_landing(store).stored == 1


def test_a_damaged_block_is_the_stores_failure_and_the_advice_is_to_verify(store, monkeypatch):
    land_many(store, 2, 1)
    damage = duckdb.Error("Corrupt database file: computed checksum 1 does not match stored checksum 2 in block at location 3")
    for module, name in ((landing, "lost_segments"), (loader, "parse_block")):
        with monkeypatch.context() as broken:
            broken.setattr(module, name, lambda *args: (_ for _ in ()).throw(damage))
            with pytest.raises(StoreDamagedError, match="observability verify"):
                load_landing(store)
    assert states(store) == {"ready": 2, "loaded": 0, "failed": 0}
    assert load_landing(store).stored == 2
