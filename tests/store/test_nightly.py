"""The nightly work: retention, a backup with a test restore, and the removal of old backups only after that. `verify` finds counts that
differ.
"""

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from observability.core.errors import UsageError
from observability.store import backup, nightly
from observability.store.db.catalog_store import read_catalog
from observability.store.db.keeping import FILE, last_done
from observability.store.nightly import nightly_is_due, nightly_round
from observability.store.registry.admin import storage_problems, storage_status
from observability.store.rollup.rollup import compact_rollups
from tests.store.conftest import query
from tests.support.record_lines import label, prediction

NIGHT = datetime(2024, 3, 20, 3, tzinfo=UTC)


def test_a_night_applies_retention_makes_a_backup_and_verifies_its_restore(store, landed, tmp_path):
    folder = tmp_path / "backups"
    assert not nightly_is_due(store.home, NIGHT), "the settings ask for no nightly work"
    (store.home / FILE).write_text(f"[retention]\nrows = 10\n[backup]\nfolder = '{folder}'\nkeep = 2\n")
    assert nightly_is_due(store.home, NIGHT) and not nightly_is_due(store.home, NIGHT.replace(hour=1))
    landed(prediction(0), prediction(1, at="2024-03-19T00:00:00Z"), label(1))
    for name in ("backup-20240101T000000Z", "backup-20240102T000000Z"):
        store.backup(folder)
        newest = backup.backups_in(folder)[-1]
        newest.rename(folder / name)
    done = nightly_round(store, NIGHT)
    assert done["failures"] == [] and done["retention"]["removed"][0]["rows"] == 1
    assert done["verified_restore"] == done["backup"] and done["removed_backups"] == ["backup-20240101T000000Z"]
    assert query(store, "SELECT id FROM predictions_1") == [("p1",)] and not list((store.home / "tmp").iterdir())
    tomorrow = datetime.now(UTC).replace(hour=5) + timedelta(days=1)
    assert not nightly_is_due(store.home, datetime.now(UTC)) and nightly_is_due(store.home, tomorrow)
    status = storage_status(store)["keeping"]
    assert status["verified_restore"]["of"] and 0 <= status["verified_restore"]["hours"] < 1 and status["night"]["backup"] == done["backup"]
    assert storage_problems(store) == []


def test_a_nightly_failure_is_reported_and_stops_no_other_task(store, landed, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    (store.home / FILE).write_text(f"[retention]\nrows = 10\n[backup]\nfolder = '{tmp_path / 'a file'}'\n")
    landed(prediction(0))
    done = nightly_round(store, NIGHT)
    assert done["retention"]["removed"] and done["backup"] is None and len(done["failures"]) == 1
    assert any(sentence.startswith("Last night: the backup failed") for sentence in storage_problems(store))
    (store.home / FILE).write_text("[retentions]\n")
    assert any("retentions" in sentence for sentence in storage_problems(store))
    with pytest.raises(UsageError):
        nightly_is_due(store.home, NIGHT)


def test_an_unexpected_nightly_failure_is_reported_and_not_tried_again_every_minute(store, landed, tmp_path, monkeypatch):
    (store.home / FILE).write_text(f"[retention]\nrows = 10\n[backup]\nfolder = '{tmp_path / 'backups'}'\n")
    landed(prediction(0))

    def fail(*_args, **_kwargs):
        raise duckdb.InternalException("a block cannot be read")

    monkeypatch.setattr(nightly, "apply_retention", fail)
    done = nightly_round(store, NIGHT)
    assert done["failures"] == ["retention failed: a block cannot be read"] and done["backup"] is not None
    assert any("a block cannot be read" in sentence for sentence in storage_problems(store))
    assert not nightly_is_due(store.home, datetime.now(UTC))


def test_a_backup_without_the_rows_that_it_lists_is_no_verified_restore(store, landed, tmp_path):
    landed(prediction(0))
    store.backup(tmp_path / "backups")
    made = backup.backups_in(tmp_path / "backups")
    body = backup.check_backup(made[-1])
    backup.seal_backup(made[-1], {"at": body["at"], "tables": {**body["tables"], "predictions_shared": 7}})
    found = backup.verify_backup(store.home, tmp_path / "backups")
    assert found["problems"] == ["The backup lists other numbers of rows for: predictions_shared."]
    assert "verified_restore" not in last_done(store.home)


def test_verify_names_a_day_whose_counts_differ_from_its_rows(store, landed):
    landed(*(prediction(i, at=f"2024-03-0{1 + i % 3}T10:00:00Z", label=i % 2) for i in range(9)))
    before = query(store, "SELECT * FROM counts_1 ORDER BY ALL")
    assert (found := store.verify())["days"] == 3 and found["problems"] == []
    assert query(store, "SELECT * FROM counts_1 ORDER BY ALL") == before
    with store.write() as writer:
        writer.execute("UPDATE counts_shared SET n = n + 1, w = w + 1 WHERE period // 24 = 19784 AND measure = 0")
    assert store.verify()["problems"] == ["The counts of loan on 2024-03-02 differ from its raw rows."]


def test_verify_accepts_arrivals_by_hour_where_old_ones_are_kept_by_day(store, landed):
    landed(*(prediction(i, at="2024-03-01T10:00:00Z", label=i % 2) for i in range(9)))
    with store.write() as writer:
        compact_rollups(writer, read_catalog(writer).model("loan"), now=datetime.now(UTC) + timedelta(days=60))
    landed(*(prediction(i, at="2024-03-01T11:00:00Z", label=i % 2) for i in range(9, 18)))
    last_hour = datetime.now(UTC).hour == 23  # a compacted day is stored under hour 23
    hours = query(store, "SELECT count(DISTINCT arrived % 24) FROM counts_1")
    assert hours == [(1 if last_hour else 2,)], "the earlier rows are counted by day, the later rows by hour"
    assert store.verify()["problems"] == []


def test_verify_finds_equal_sums_that_are_infinite_equal(store, landed):
    landed(*(prediction(i, features={"big": 1e300}) for i in range(3)))
    assert store.verify()["problems"] == []
