"""A backup is one committed state, taken while records load. When it is restored into another home, every row is equal; a damaged backup is
refused.
"""

import errno
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from observability.cli.execute import execute
from observability.core.errors import NotFoundError, StoreBrokenError, StoreBusyError, UsageError
from observability.monitoring.check import check
from observability.store import backup, recovery
from observability.store.backup import LIST, backups_in
from observability.store.db import database
from observability.store.db.repairs import repairs
from observability.store.ingest.landing import purge_loaded_segments, segment_files
from observability.store.ingest.loader import load_files, load_landing
from observability.store.opener import open_store, restore_home
from observability.store.types.loading import LoadDefaults
from tests.store.conftest import query
from tests.support.landing import land
from tests.support.length import some
from tests.support.record_lines import AT, OTHERS, label, prediction


def rows(store):
    """Every row of every table as text, sorted, so that the position of a row does not matter."""
    found = {}
    for (name,) in query(store, "SELECT table_name FROM duckdb_tables() ORDER BY 1"):
        found[name] = sorted(map(repr, query(store, f'SELECT * FROM "{name}"')))
    return found


def fill(store, first, last):
    for i in range(first, last):
        land(store, *(prediction(k, id=f"{i}-{k}") for k in range(20)), label(id=f"{i}-0"), {"kind": "event", **OTHERS["event"]})
        load_landing(store)


def test_a_backup_restores_into_another_home_row_by_row(tmp_path):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 5)
        (store.home / "artifacts").mkdir()
        (store.home / "artifacts" / "model.txt").write_text("a model")
        land(store, prediction(id="waits"))
        body = store.backup(tmp_path / "backups")
        before = rows(store)
        assert body["tables"]["predictions_shared"] == 100 and "backup-" in body["backup"]
    again = restore_home(tmp_path / "other", tmp_path / "backups")
    assert again["stored"] == 1 and again["replaced"] == []
    assert (tmp_path / "other" / "artifacts" / "model.txt").read_text() == "a model"
    with open_store(tmp_path / "other") as store:
        after = rows(store)
        assert query(store, "SELECT count(*) FROM predictions_1 WHERE id = 'waits'") == [(1,)]
    for name in ("labels_shared", "events", "versions", "models", "columns", "rejected"):
        assert after[name] == before[name], name
    assert [row for row in after["predictions_shared"] if "'waits'" not in row] == before["predictions_shared"]
    assert repairs(tmp_path / "other") == []


@pytest.mark.parametrize("place", some(["{}", "file://{}"], 1))
def test_backup_verify_and_restore_report_their_progress(tmp_path, monkeypatch, place):
    monkeypatch.setattr("observability.store.backup.ROWS_AT_ONCE", 30)
    place, said = place.format(tmp_path / "backups"), []
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 4)
        (store.home / "settings.toml").write_text("a = 1")
        parts = [progress_of(store.backup, place), progress_of(store.verify), progress_of(store.verify_backup, place)]
        assert execute(store, ["backup", place], said.append).exit_code == execute(store, ["verify"], said.append).exit_code == 0
        assert execute(store, ["check"], said.append).exit_code == 0
    parts.append(progress_of(lambda folder, note: restore_home(tmp_path / "other", folder, note), place))
    made, verified, tried, restored = parts
    sent = {"sending blocks"} if "://" in place else set()
    fetched = {"fetching blocks"} if sent else set()
    assert set(made) == {"copying the database", "computing its checksum", "copying other files"} | sent
    assert {"checking the backup", "copying the backup"} | fetched <= set(restored) & set(tried)
    assert len(verified["reading predictions_shared"]) == 3 and "computing counts of loan again" in verified
    for doing, reports in {**made, **restored}.items():
        assert reports[-1][0] == reports[-1][1], doing
    assert any("MB" in text for text in said) and any("rows" in text for text in said) and "" in said
    assert any(text.startswith("checking loan: 0 of 1 models") for text in said)


def progress_of(work, *arguments):
    """The progress reports of a task: {step: [(done, total)]}."""
    reports = {}
    work(*arguments, lambda doing, done, total, unit: reports.setdefault(doing, []).append((done, total)))
    return reports


BY_THE_HOUR = ("duplicate_rate", "rejected_rate")
"""Metrics of arrived lines, which are counted by the hour, so later lines of the same hour count too."""


def state_as_of(store, moment):
    """Every prediction and label that had arrived by a moment, as text, and the findings as of that moment."""
    arrived = f"WHERE arrived <= TIMESTAMP '{moment:%Y-%m-%d %H:%M:%S.%f}'"
    rows = [sorted(map(repr, query(store, f"SELECT * FROM {table} {arrived}"))) for table in ("predictions_shared", "labels_shared")]
    start = datetime.fromisoformat(AT)
    found = check(store, start=start, end=start + timedelta(days=1), as_of=moment, now=moment, with_records=False).findings
    return rows, [finding.to_json() for finding in found if finding.metric not in BY_THE_HOUR]


def test_a_backup_under_load_is_one_committed_state_with_equal_rows_and_findings(tmp_path):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 1)
        thread = threading.Thread(target=fill, args=(store, 1, 12))
        thread.start()
        made = [store.backup(tmp_path / "backups" / str(i)) for i in range(3)]
        thread.join()
        moments = []
        for body in made:
            backup = Path(body["backup"])
            with duckdb.connect(backup / "store.duckdb", read_only=True) as copy:
                moments.append(copy.execute("SELECT max(arrived) FROM predictions_shared").fetchall()[0][0].replace(tzinfo=UTC))
        states = [state_as_of(store, moment) for moment in moments]
    for number, body in enumerate(made):
        home = tmp_path / f"restored-{number}"
        restore_home(home, tmp_path / body["backup"])
        with open_store(home) as store:
            ((segments,),) = query(store, "SELECT count(*) FROM manifest")
            assert segments >= body["tables"]["manifest"] > 0 and body["tables"]["predictions_shared"] == 20 * body["tables"]["manifest"]
            assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(20 * segments, 20 * segments)]
            assert query(store, "SELECT count(*) FROM labels_1") == [(segments,)]
            assert store.verify()["problems"] == []
            assert sum(finding["n"] > 0 for finding in states[number][1]) > 5, "more than five findings are about rows"
            assert state_as_of(store, moments[number]) == states[number]


def test_verify_reports_a_segment_that_only_landing_keeps_as_loaded(tmp_path):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 2)
        assert store.verify()["problems"] == []
        with store.write() as writer:
            writer.execute("DELETE FROM manifest WHERE segment = (SELECT min(segment) FROM manifest)")
        assert store.verify()["problems"] == ["Of the segments that landing keeps as loaded, 1 are not in the store."]


def test_a_backup_keeps_the_lock_of_the_database(tmp_path):
    with open_store(tmp_path / "home") as store:
        store.backup(tmp_path / "backups")
        script = "import sys; from pathlib import Path; from observability.store.opener import open_store; open_store(Path(sys.argv[1]))"
        done = subprocess.run([sys.executable, "-c", script, str(store.home)], capture_output=True, text=True, timeout=600, cwd=os.getcwd())
        assert StoreBusyError.__name__ in done.stderr


def test_segments_that_were_loaded_after_the_backup_come_back_with_it(tmp_path):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 2)
        store.backup(tmp_path / "backups")
        fill(store, 2, 4)
        before = query(store, "SELECT id, arrived FROM predictions_1 ORDER BY id")
    done = restore_home(tmp_path / "home", tmp_path / "backups")
    assert done["stored"] == 42 and any(name.endswith("store.duckdb") for name in done["replaced"])
    with open_store(tmp_path / "home") as store:
        assert query(store, "SELECT id, arrived FROM predictions_1 ORDER BY id") == before


def test_a_damaged_database_is_replaced_by_the_newest_backup(tmp_path):
    by_hand = tmp_path / "by_hand.jsonl"
    by_hand.write_text(json.dumps(prediction(id="by hand")) + "\n")
    with open_store(tmp_path / "home") as store:
        load_files(store, [by_hand], LoadDefaults())
        store.backup(tmp_path / "backups")
        fill(store, 0, 2)
    os.truncate(tmp_path / "home" / "store.duckdb", 5000)
    with open_store(tmp_path / "home") as store:
        load_landing(store)
        assert query(store, "SELECT count(*), count(*) FILTER (id = 'by hand') FROM predictions_1") == [(41, 1)]
    (noted,) = repairs(tmp_path / "home")
    assert "backup of" in noted["what"] and "2 segments" in noted["what"] and "saved after" in noted["missing"]


def test_segments_that_landing_deleted_for_space_are_reported_as_missing(tmp_path):
    home = tmp_path / "home"
    with open_store(home) as store:
        fill(store, 0, 1)
        store.backup(tmp_path / "backups")
        fill(store, 1, 3)
    kept = [segment.path for segment in segment_files(home / "landing" / "loaded")]
    for hours, path in enumerate(kept, 1):
        os.utime(path, (path.stat().st_mtime + 3600 * hours,) * 2)
    purge_loaded_segments(home / "landing", free_bytes=kept[-1].stat().st_size)
    os.truncate(home / "store.duckdb", 5000)
    open_store(home).close()
    assert repairs(home)[0]["missing"].startswith("Records that were loaded after ")


def aged(backup, days):
    """The folder of the backup, dated the given number of days earlier, because two backups within the same second would share a name."""
    at = datetime.now(UTC) - timedelta(days=days)
    body = json.loads((backup / "backup.json").read_text())
    (backup / "backup.json").write_text(json.dumps(body | {"at": at.isoformat(timespec="seconds")}))
    return backup.rename(backup.with_name(f"backup-{at:%Y%m%dT%H%M%S}Z"))


def flip_middle(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("older", ["folder", "other folder", "address"])
def test_if_the_newest_backup_is_damaged_the_previous_one_is_restored_and_both_are_reported(tmp_path, older):
    places = {"folder": tmp_path / "backups", "other folder": tmp_path / "others", "address": f"file://{tmp_path}/bucket"}
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 1)
        made = store.backup(places[older])
        if older == "folder":
            aged(Path(made["backup"]), 1)
        elif older == "address":
            listed = next((tmp_path / "bucket").glob("backup-*.json"))
            listed.rename(listed.with_name("backup-20260101T000000Z.json"))
        else:
            aged(Path(made["backup"]), 1)
        fill(store, 1, 2)
        newest = Path(store.backup(tmp_path / "backups")["backup"])
    flip_middle(newest / "store.duckdb")
    os.truncate(tmp_path / "home" / "store.duckdb", 5000)
    shutil.rmtree(tmp_path / "home" / "landing")
    with open_store(tmp_path / "home") as store:
        assert query(store, "SELECT count(*) FROM predictions_1") == [(20,)]
    (noted,) = repairs(tmp_path / "home")
    assert f"could not be restored: {newest}: the backup is damaged" in noted["what"], noted
    assert not list((tmp_path / "home" / "tmp").glob("fetched/*"))


def test_records_between_an_old_backup_and_the_kept_segments_are_reported_as_missing(tmp_path):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 1)
        aged(Path(store.backup(tmp_path / "backups")["backup"]), 20)
        fill(store, 1, 2)
    os.truncate(tmp_path / "home" / "store.duckdb", 5000)
    loaded = sorted((tmp_path / "home" / "landing" / "loaded").iterdir())
    loaded[0].unlink()
    with open_store(tmp_path / "home"):
        pass
    (noted,) = repairs(tmp_path / "home")
    assert re.match(
        r"Records that were loaded after \d+ \w+ \d+ \S+ UTC and before \d+ \w+ \d+ \S+ UTC, and registrations", noted["missing"]
    ), noted


def test_a_disk_without_room_for_the_backup_leaves_the_damaged_database_in_its_place(tmp_path, monkeypatch):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 1)
        store.backup(tmp_path / "backups")
    os.truncate(tmp_path / "home" / "store.duckdb", 5000)
    room = database.FLOOR_BYTES + 1000
    monkeypatch.setattr(recovery.shutil, "disk_usage", lambda _: type("Usage", (), {"free": room}))
    with pytest.raises(StoreBrokenError, match="cannot be mended"):
        open_store(tmp_path / "home")
    assert (tmp_path / "home" / "store.duckdb").stat().st_size == 5000 and repairs(tmp_path / "home") == []


def test_a_damaged_backup_is_refused_and_changes_nothing(tmp_path):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 1)
        made = store.backup(tmp_path / "backups")
    database_file = tmp_path / "backups" / made["backup"].rsplit("/", 1)[1] / "store.duckdb"
    flip_middle(database_file)
    with pytest.raises(StoreBrokenError, match="backup is damaged"):
        restore_home(tmp_path / "home", tmp_path / "backups")
    with open_store(tmp_path / "home") as store:
        assert query(store, "SELECT count(*) FROM predictions_1") == [(20,)]


@pytest.mark.parametrize("why", ["no room", "the disk refuses", "interrupted"])
def test_a_restore_that_fails_leaves_the_present_database_in_its_place(tmp_path, monkeypatch, why):
    with open_store(tmp_path / "home") as store:
        fill(store, 0, 1)
        store.backup(tmp_path / "backups")
        fill(store, 1, 2)
    refused = KeyboardInterrupt() if why == "interrupted" else OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def copy_half(source, target, _add=None):
        target.write_bytes(source.read_bytes()[:5000])
        raise refused

    if why == "no room":
        monkeypatch.setattr(recovery.shutil, "disk_usage", lambda _: type("Usage", (), {"free": database.FLOOR_BYTES + 1000}))
    else:
        monkeypatch.setattr(backup, "copy_synced", copy_half)
    with pytest.raises((StoreBrokenError, KeyboardInterrupt)):
        restore_home(tmp_path / "home", tmp_path / "backups")
    monkeypatch.undo()
    assert not list((tmp_path / "home").glob("replaced-*"))
    with open_store(tmp_path / "home") as store:
        assert query(store, "SELECT count(*) FROM predictions_1") == [(40,)] and repairs(store.home) == []


def test_two_backups_of_one_second_have_two_names(tmp_path):
    with open_store(tmp_path / "home") as store:
        made = [store.backup(tmp_path / "backups")["backup"] for _ in range(3)]
    assert sorted(made) == made == [str(path) for path in backups_in(tmp_path / "backups")]


def test_an_unfinished_backup_is_neither_listed_nor_restored(tmp_path):
    with open_store(tmp_path / "home") as store:
        made = store.backup(tmp_path / "backups")
        (tmp_path / "backups" / "backup-29991231T000000Z.partial").mkdir()
        assert [str(path) for path in backups_in(tmp_path / "backups")] == [made["backup"]]
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in (tmp_path / "backups").rglob("*") if path.is_file())
        with pytest.raises(UsageError, match="inside the home"):
            store.backup(store.home / "backups")
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreBrokenError, match="could not be written"):
            store.backup(tmp_path / "file")
    with pytest.raises(NotFoundError, match="no backup"):
        restore_home(tmp_path / "home", tmp_path)
    assert json.loads((tmp_path / "home" / LIST).read_text())["folder"] == str(tmp_path / "backups")


def test_verify_names_the_table_whose_block_is_damaged(tmp_path):
    with open_store(tmp_path / "home") as store:
        land(store, *(prediction(i, id=f"{i}-{'x' * 40}", features={"age": i * 0.37}) for i in range(20_000)))
        load_landing(store)
        assert store.verify()["problems"] == [] and store.verify()["tables"]["predictions_1"] == 20_000
        cursor = store.cursor()
        cursor.execute("CHECKPOINT")
        (block, size) = cursor.execute(
            "SELECT max(block_id), (SELECT block_size FROM pragma_database_size()) FROM pragma_storage_info('predictions_1') "
            "WHERE persistent AND column_name = 'id'"
        ).fetchall()[0]
        cursor.close()
    with (tmp_path / "home" / "store.duckdb").open("r+b") as file:
        file.seek(12_288 + block * size + size // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with open_store(tmp_path / "home") as store:
        found = store.verify()
    assert list(found["damaged"]) == ["predictions_1"] and "predictions_1 cannot be read" in found["problems"][0]
    assert found["tables"]["models"] == 1
