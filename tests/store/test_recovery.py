"""Damaged or missing files of a store are set aside, segments that are still in landing are loaded again, and the log of repairs names the
missing records.
"""

import os
import random
import shutil
import stat

import pytest

from observability.client.log import Logger
from observability.core.errors import StoreBrokenError
from observability.store.db import database
from observability.store.db.noted_lakes import known_lakes, note_lake
from observability.store.db.repairs import mark_repairs_seen, repairs
from observability.store.ingest.loader import load_files, load_landing
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.store.conftest import query
from tests.support.damage import SEGMENTS, crashed_home, damaged_home, flip_any, flip_bit, rows_of
from tests.support.failing_disk import fill_disk, run_limited, small_disk
from tests.support.landing import land
from tests.support.length import repeats, some
from tests.support.record_lines import prediction


@pytest.fixture(scope="module")
def crashed(tmp_path_factory):
    return crashed_home(tmp_path_factory.mktemp("recovery"))


@pytest.fixture
def home(crashed, tmp_path):
    return shutil.copytree(crashed, tmp_path / "home")


def everything(home):
    """After opening and loading: the numbers of rows and of distinct ids, and the repairs."""
    with open_store(home, threads=1) as store:
        load_landing(store)
        found = query(store, "SELECT count(*), count(DISTINCT id), count(DISTINCT arrived) FROM predictions_1")[0]
    return found, repairs(home)


def test_a_whole_log_needs_no_repair(home):
    assert everything(home) == ((200, 200, SEGMENTS), [])


@pytest.mark.parametrize("seed", range(repeats(2, 6)))
def test_a_flipped_bit_in_the_log_loses_nothing_that_landed(home, seed):
    log, pick = home / "store.duckdb.wal", random.Random(seed)
    flip_bit(log, pick.randrange(log.stat().st_size), pick.randrange(8))
    size = log.stat().st_size
    found, noted = everything(home)
    assert found == (200, 200, SEGMENTS)
    assert noted and all(entry["what"] and entry["missing"] and entry["seen_at"] is None for entry in noted)
    copies = [path for entry in noted for path in entry["set_aside"]]
    assert [(home / name).stat().st_size for name in copies] == [size] * len(copies)
    assert all(stat.S_IMODE((home / name).stat().st_mode) == 0o600 for name in copies)
    assert everything(home) == (found, noted), "a repaired store is not repaired again"


@pytest.mark.parametrize("share", some([0.0, 0.2, 0.6, 0.95], 2))
def test_a_log_that_was_cut_or_lost_loses_nothing_that_landed(home, share):
    log = home / "store.duckdb.wal"
    note_lake(home, "/lake", 3, 3)
    os.truncate(log, int(share * log.stat().st_size)) if share else log.unlink()
    found, noted = everything(home)
    assert found == (200, 200, SEGMENTS)
    assert len(noted) == 1 and "kept in landing and are loaded again" in noted[0]["what"]
    assert known_lakes(home) == {"/lake": (3, 0)}, "the store does not own the lake's rows until they have been compared"


def damage_header(path):
    path.write_bytes(b"no database at all" * 1000)


def damage_schema(path):
    flip_bit(path, 12_288 + 5000)


def truncate(path):
    os.truncate(path, path.stat().st_size // 2)


def empty(path):
    os.truncate(path, 0)


@pytest.mark.parametrize("damage", some([damage_header, damage_schema, truncate, empty], 2))
def test_a_damaged_database_is_set_aside_and_built_again_from_landing(home, damage):
    damage(home / "store.duckdb")
    size = (home / "store.duckdb").stat().st_size
    found, noted = everything(home)
    assert found == (200, 200, SEGMENTS)
    assert "damaged" in noted[0]["what"] and f"{SEGMENTS} segments" in noted[0]["what"] and "loan" in noted[0]["missing"]
    kept = [home / name for name in noted[0]["set_aside"]]
    assert kept[0].name.startswith("damaged-") and kept[0].stat().st_size >= size
    assert [path.name.split("-", 2)[2] for path in kept] == ["store.duckdb", "store.duckdb.wal"]


def test_a_flipped_bit_of_the_database_is_harmless_repaired_or_reported(crashed, tmp_path):
    expected, seed = rows_of(shutil.copytree(crashed, tmp_path / "whole")), int.from_bytes(os.urandom(4))
    pick = random.Random(seed)
    for number in range(5):
        home = shutil.copytree(crashed, tmp_path / f"damaged{number}")
        flip_any(home / "store.duckdb", pick)
        assert damaged_home(home, expected).outcome != "silent", f"seed {seed}"


def test_segments_come_back_with_their_first_time_of_arrival(home):
    with open_store(home) as store:
        before = query(store, "SELECT id, arrived FROM predictions_1 ORDER BY id")
    os.truncate(home / "store.duckdb", 100)
    with open_store(home) as store:
        load_landing(store)
        assert query(store, "SELECT id, arrived FROM predictions_1 ORDER BY id") == before


def test_a_missing_database_is_reported_and_rebuilt_if_landing_has_segments(home):
    (home / "store.duckdb").unlink()
    found, noted = everything(home)
    assert found == (200, 200, SEGMENTS)
    assert "missing" in noted[0]["what"] and f"{SEGMENTS} segments" in noted[0]["what"] and "loan" in noted[0]["missing"]
    assert [name.split("-", 2)[2] for name in noted[0]["set_aside"]] == ["store.duckdb.wal"]


def test_a_missing_database_is_reported_even_if_landing_keeps_no_segment(tmp_path):
    lines = tmp_path / "lines.jsonl"
    lines.write_text('{"kind":"label","id":"a","at":"2024-03-02T00:00:00Z","model":"loan","value":1}\n')
    with open_store(tmp_path / "home") as store:
        load_files(store, [lines], LoadDefaults())
    open_store(tmp_path / "home").close()
    (tmp_path / "home" / "store.duckdb").unlink()
    open_store(tmp_path / "home").close()
    (noted,) = repairs(tmp_path / "home")
    assert "missing" in noted["what"] and "keeps no loaded segment" in noted["what"] and "loan" in noted["missing"]


def test_a_new_home_needs_no_repair(tmp_path):
    open_store(tmp_path / "home").close()
    open_store(tmp_path / "home").close()
    assert repairs(tmp_path / "home") == []


def test_a_store_that_was_half_made_on_a_full_disk_is_made_when_there_is_space(tmp_path, monkeypatch):
    with small_disk(tmp_path / "disk", "4m") as disk:
        home = disk / "home"
        for leave in (0, 8 * 1024, 100 * 1024, 300 * 1024):
            filler = fill_disk(disk, leave)
            with pytest.raises(StoreBrokenError):
                open_store(home)
            filler.unlink()
        monkeypatch.setattr(database, "FLOOR_BYTES", 0)
        with open_store(home) as store:
            land(store, prediction())
            assert load_landing(store).stored == 1


@pytest.mark.parametrize("size", some([1000, 10_000], 1))
def test_a_store_that_cannot_be_created_exits_with_code_3_and_one_sentence(tmp_path, size):
    done = run_limited(tmp_path / "home", size, "status")
    assert done.returncode == 3 and done.stdout == "" and done.stderr.count("\n") == 1, done
    assert "File too large" in done.stderr
    done = run_limited(tmp_path / "home", 10**9, "status")
    assert done.returncode == 0, done


def test_a_home_that_cannot_be_created_or_written_exits_with_code_3_and_one_sentence(tmp_path):
    (tmp_path / "home").write_text("a file")
    done = run_limited(tmp_path / "home", 10**9, "status")
    assert done.returncode == 3 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr, done


def test_without_room_a_damaged_store_is_left_as_it_is(home, monkeypatch):
    os.truncate(home / "store.duckdb", 100)
    monkeypatch.setattr(database, "FLOOR_BYTES", 2**62)
    for _ in range(2):
        with pytest.raises(StoreBrokenError, match="cannot be mended"):
            open_store(home)
    assert sorted(path.name for path in home.glob("*store.duckdb*")) == ["store.duckdb", "store.duckdb.wal"]
    assert repairs(home) == []


def test_a_database_damaged_while_open_is_repaired_when_it_is_opened_again(home):
    with open_store(home) as store:
        load_landing(store)
        store._close(store._connection)
        store._connection = None
        os.truncate(store.path, 100)
        store.path.with_name("store.duckdb.wal").unlink(missing_ok=True)
        assert query(store, "SELECT count(*) FROM models") == [(0,)]
        load_landing(store)
        assert query(store, "SELECT count(*) FROM predictions_1") == [(200,)]
    assert "damaged" in repairs(home)[0]["what"]


def test_repairs_are_shown_until_somebody_has_seen_them(home):
    (home / "store.duckdb").unlink()
    everything(home)
    assert [entry["seen_at"] for entry in repairs(home)] == [None]
    mark_repairs_seen(home)
    assert all(entry["seen_at"] for entry in repairs(home))
    assert stat.S_IMODE((home / "repairs.jsonl").stat().st_mode) == 0o600


def test_every_file_of_a_home_is_private(tmp_path):
    old = os.umask(0o022)
    try:
        with open_store(tmp_path / "home") as store:
            with Logger(tmp_path / "home", segment_seconds=0.01) as log:
                log.prediction(id="a", model="loan", version="1", features={"age": 30}, score=0.5)
            load_landing(store)
            with Logger(tmp_path / "home") as open_log:
                open_log.prediction(id="b", model="loan", version="1", features={"age": 30}, score=0.5)
                modes = {path: stat.S_IMODE(path.stat().st_mode) for path in store.home.rglob("*") if path.is_file()}
            assert store.path.with_name("store.duckdb.wal") in modes and {path.parent.name for path in modes} >= {"loaded", "open"}
            assert {path.name: mode for path, mode in modes.items() if mode != 0o600} == {}
    finally:
        os.umask(old)
