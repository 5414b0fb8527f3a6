"""A lake belongs to one store: another store, an older state of the store, or an unmounted folder cannot remove rows from it."""

import json
import shutil
import sys

import pytest

from observability.core.errors import StoreBrokenError, UsageError
from observability.lake.file_place import FolderPlace
from observability.store.backup import make_backup
from observability.store.db.noted_lakes import known_lakes
from observability.store.lake import export
from observability.store.lake.manifest import read_manifest
from observability.store.opener import restore_home
from observability.store.retention import apply_retention
from tests.support.engine_world import START
from tests.support.lake_home import DAY, KilledError, in_lake, keep_three_days, label, loaded, prediction, stored
from tests.support.new_store import new_store


def test_a_lake_is_recognised_under_every_name_of_its_folder(late, tmp_path):
    store, lake, _ = late
    (tmp_path / "other").symlink_to(lake)
    assert export.is_lake_of_home(store.home, FolderPlace(tmp_path / "other"))
    assert not export.is_lake_of_home(store.home, FolderPlace(tmp_path))


def test_a_lake_of_another_store_is_refused_unless_the_flag_takes_it(tmp_path, store):
    lake = tmp_path / "lake"
    loaded(store, *(prediction(number, 1) for number in range(1200)))
    export.export_lake(store, str(lake))
    with new_store(tmp_path / "second") as second:
        for model in ("other", "m"):  # first the stores have no file in common, then the same day with more rows
            loaded(second, *(prediction(number, 1, model) for number in range(1201)))
            with pytest.raises(UsageError, match="another store") as refused:
                export.export_lake(second, str(lake))
            assert str(lake) in str(refused.value) and "1 file of m, 2026-03-01 to 2026-03-01" in str(refused.value), model
            assert len(in_lake(lake, "predictions", "m")) == 1200 and not known_lakes(second.home)
        assert second.remove_model("other")["lakes"] == {"rewritten": [], "unreachable": []}, "the second store never wrote to the lake"
        assert export.export_lake(second, str(lake), replace=True)["rows"] == 1201
    with pytest.raises(UsageError, match="another store"):
        export.export_lake(store, str(lake))
    assert store.remove_model("m")["lakes"]["unreachable"] == [str(lake)] and len(in_lake(lake, "predictions", "m")) == 1201


def test_a_store_from_an_older_backup_removes_no_newer_day_and_continues_once_it_has_all_rows(tmp_path):
    lake, home = tmp_path / "lake", tmp_path / "home"
    with new_store(home) as store:
        loaded(store, *(prediction(number, 1) for number in range(1200)))
        export.export_lake(store, str(lake))
    shutil.copytree(home, tmp_path / "older")
    newer = [prediction(number, 9) for number in range(3)]
    with new_store(home) as store:
        loaded(store, *newer)
        export.export_lake(store, str(lake))
        export.export_lake(store, str(lake))
    with new_store(tmp_path / "older") as store:
        with pytest.raises(UsageError, match="a later state of this store"):
            export.export_lake(store, str(lake))
        assert len(in_lake(lake, "predictions", "m")) == 1203
        loaded(store, *newer, prediction(3, 9))
        assert export.export_lake(store, str(lake))["rows"] == 1204
        store.remove_model("m")
        assert not read_manifest(FolderPlace(lake)).files


def test_a_lake_whose_manifest_names_no_store_is_continued(tmp_path, store):
    lake = tmp_path / "lake"
    loaded(store, *(prediction(number, 1) for number in range(1200)))
    export.export_lake(store, str(lake))
    (manifest,) = (lake / "_manifest").iterdir()
    body = json.loads(manifest.read_text())
    del body["store"]
    manifest.write_text(json.dumps(body))
    (store.home / "lakes.json").write_text(json.dumps([str(lake)]))
    assert known_lakes(store.home) == {str(lake): (1, sys.maxsize)}
    (lake / "_manifest").rename(tmp_path / "manifest")
    with pytest.raises(StoreBrokenError, match="the lake is not there"):
        export.export_lake(store, str(lake))
    (tmp_path / "manifest").rename(lake / "_manifest")
    store.remove_model("m")
    assert not list(lake.rglob("*.parquet")) and export.export_lake(store, str(lake))["files"] == 0


def test_a_home_that_noted_one_manifest_number_of_a_lake_can_still_be_used(tmp_path, store):
    lake = str(tmp_path / "lake")
    loaded(store, *(prediction(number, 1) for number in range(1200)))
    export.export_lake(store, lake)
    loaded(store, prediction("late", 1))
    export.export_lake(store, lake)
    path = store.home / "lakes.json"
    for number in (2, 3):  # the present manifest, and the one that was about to be written
        path.write_text(json.dumps({**json.loads(path.read_text()), "lakes": {lake: number, "s3://earlier": None}}))
        assert known_lakes(store.home) == {lake: (number - 1, number), "s3://earlier": (1, sys.maxsize)}
        assert export.export_lake(store, lake)["number"] == 2 and known_lakes(store.home)[lake] == (2, 2)


def damaged(home, folder):
    (home / "store.duckdb").write_bytes(b"no database at all" * 1000)


def missing(home, folder):
    (home / "store.duckdb").unlink()


def replaced(home, folder):
    restore_home(home, folder)


@pytest.mark.parametrize("lose", [damaged, missing, replaced])
@pytest.mark.parametrize("backup", [False, True])
def test_a_database_that_was_mended_or_restored_takes_nothing_from_the_lake(tmp_path, lose, backup):
    home, lake = tmp_path / "home", tmp_path / "lake"
    newer = [prediction(number, 6) for number in range(3)]
    with new_store(home) as store:
        keep_three_days(store, lake)
        loaded(store, *(prediction(number, 1) for number in range(1200)), prediction(0, 5))
        if lose is replaced and not backup:  # the store knows no number of the lake
            make_backup(store, tmp_path / "backups")
        assert store.nightly(START + 4 * DAY)["failures"] == []
        if backup:
            make_backup(store, tmp_path / "backups")
        loaded(store, *newer)
        assert store.nightly(START + 5 * DAY)["failures"] == []
    wanted = sorted(file.name for file in read_manifest(FolderPlace(lake)).files)
    shutil.rmtree(home / "landing" / "loaded")
    lose(home, tmp_path / "backups")
    with new_store(home) as store:
        assert list(known_lakes(home)) == [str(lake)]
        (failure,) = store.nightly(START + 6 * DAY)["failures"]
        assert "a later state of this store" in failure
        assert sorted(file.name for file in read_manifest(FolderPlace(lake)).files) == wanted
        assert all((lake / name).exists() for name in wanted)
        if backup or lose is replaced:  # the store again has every row of the lake, so the export continues
            loaded(store, *newer)
            assert store.nightly(START + 6 * DAY)["failures"] == [] and len(in_lake(lake, "predictions", "m")) == 1204


def test_a_missing_or_outdated_lake_is_not_replaced_by_a_new_one(tmp_path, store):
    lake, away = tmp_path / "lake", tmp_path / "away"
    keep_three_days(store, lake)
    loaded(store, *({**prediction(number, 1), "subject": f"person-{number}"} for number in range(1200)), prediction(0, 5))
    assert store.nightly(START + 4 * DAY)["failures"] == []
    shutil.copytree(lake, tmp_path / "old")
    loaded(store, prediction(1, 6))
    assert store.nightly(START + 5 * DAY)["failures"] == []
    kept = len(stored(store, "predictions", "m"))
    lake.rename(away)
    for stand_in in (None, "empty", tmp_path / "old"):
        if stand_in == "empty":
            lake.mkdir()
        elif stand_in is not None:
            shutil.copytree(stand_in, lake, dirs_exist_ok=True)
        before = sorted(lake.rglob("*"))
        night = store.nightly(START + 9 * DAY)
        assert len(night["failures"]) == 1 and "the lake is not there, or is older than the state 2" in night["failures"][0]
        with pytest.raises(StoreBrokenError, match="the lake is not there"):
            apply_retention(store, now=START + 9 * DAY)
        assert len(stored(store, "predictions", "m")) == kept
        assert store.forget("person-7")["lakes"] == {"rewritten": [], "unreachable": [str(lake)]}
        assert sorted(lake.rglob("*")) == before and lake.exists() == (stand_in is not None)
    shutil.rmtree(lake)
    away.rename(lake)
    assert store.forget("person-7")["lakes"] == {"rewritten": [str(lake)], "unreachable": []}
    assert not (in_lake(lake, "predictions", "m")["subject"] == "person-7").any()
    lake.rename(away)
    assert export.export_lake(store, str(lake), replace=True)["rows"] == kept


def test_files_without_a_manifest_are_left_except_those_of_a_first_export_that_was_killed(tmp_path, monkeypatch, store):
    lake = tmp_path / "lake"
    loaded(store, *(prediction(number, 1) for number in range(1200)), prediction(0, 5))
    publish = FolderPlace.publish

    def killed(self, local, name):
        if name.startswith("_manifest"):
            raise KilledError
        publish(self, local, name)

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "publish", killed)
        with pytest.raises(KilledError):
            export.export_lake(store, str(lake))
    assert export.export_lake(store, str(lake))["rows"] == 1201
    shutil.rmtree(lake / "_manifest")
    files = sorted(lake.rglob("*.parquet"))
    with pytest.raises(StoreBrokenError, match="the lake is not there"):
        export.export_lake(store, str(lake))
    with new_store(tmp_path / "second") as second, pytest.raises(UsageError, match=r"has files and no manifest .* got 2 files"):
        export.export_lake(second, str(lake))
    assert sorted(lake.rglob("*.parquet")) == files
    assert export.export_lake(store, str(lake), replace=True)["files"] == 2


def test_a_lake_is_noted_before_retention_writes_its_first_file(tmp_path, monkeypatch, store):
    lake = tmp_path / "lake"
    keep_three_days(store, lake)
    loaded(store, *(prediction(number, 1) for number in range(1200)))

    def killed(self, local, name):
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(FolderPlace, "publish", killed)
        with pytest.raises(KilledError):
            apply_retention(store, now=START + 5 * DAY)
    assert list(known_lakes(store.home)) == [str(lake)]


def test_days_of_another_store_are_neither_kept_nor_merged(tmp_path, store):
    lake = tmp_path / "lake"
    loaded(store, *(prediction(number, 1) for number in range(1200)), label("1-0", 6))
    export.export_lake(store, str(lake))
    with new_store(tmp_path / "second") as second:
        loaded(second, *(prediction(number, day) for number in range(700) for day in (2, 6)), label("6-0", 6))
        (second.home / "keeping.toml").write_text("[retention]\nrows = 3\n")
        apply_retention(second, now=START + 6 * DAY)
        keep_three_days(second, lake)
        with pytest.raises(UsageError, match=r"2 files of m, 2026-03-01 to 2026-03-06; written by another store"):
            export.export_lake(second, str(lake))
        export.export_lake(second, str(lake), replace=True)
        assert in_lake(lake, "predictions", "m")["id"].str.startswith("6-").all() and list(in_lake(lake, "labels", "m")["id"]) == ["6-0"]


def test_a_store_from_an_older_backup_replaces_no_day_by_other_rows_of_the_same_number(tmp_path):
    lake, home = tmp_path / "lake", tmp_path / "home"
    with new_store(home) as store:
        loaded(store, *(prediction(number, 1) for number in range(1200)))
        export.export_lake(store, str(lake))
    shutil.copytree(home, tmp_path / "older")
    with new_store(home) as store:
        loaded(store, prediction("newer", 1))
        export.export_lake(store, str(lake))
    with new_store(tmp_path / "older") as store:
        loaded(store, prediction("other", 1))
        with pytest.raises(UsageError, match="1 file of m, 2026-03-01"):
            export.export_lake(store, str(lake))
        assert "1-newer" in set(in_lake(lake, "predictions", "m")["id"])
