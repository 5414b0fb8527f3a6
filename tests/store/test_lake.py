"""The lake beside the store: each raw row in it exactly once, whatever happens to an export, and the same answers from its files."""

import itertools
import json
import random
import shutil
import sys
from dataclasses import replace
from datetime import timedelta
from functools import partial

import duckdb
import pandas as pd
import pytest

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.core.finding import FAILED
from observability.core.questions import Records, Sample
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.lake.file_place import FolderPlace
from observability.monitoring.check import check
from observability.monitoring.kept_findings import check_keepers
from observability.store import nightly, retention
from observability.store.backup import make_backup
from observability.store.db.catalog_store import add_model
from observability.store.db.noted_lakes import known_lakes
from observability.store.db.schema import model_table
from observability.store.lake import export, late_labels, removed_rows
from observability.store.lake.manifest import read_manifest
from observability.store.lake_engine import LakeEngine
from observability.store.opener import restore_home
from observability.store.query import listing
from observability.store.query.aggregates import answer_aggregate
from observability.store.retention import apply_retention
from observability.store.types.search_terms import SearchTerm
from tests.store.conftest import land
from tests.support import reference_engine
from tests.support.engine_world import DAYS, HOSTILE, START, copied
from tests.support.length import LONG, some
from tests.support.new_store import new_store
from tests.support.question_shapes import shapes, windows
from tests.support.store_comparison import assert_same

DAY = timedelta(days=1)


SAMPLES = [
    ("loan", Sample("predictions", ("id", "at", "subject", "score", "feature.income", "feature.vip", f"feature.{HOSTILE}"), 40)),
    ("loan", Sample("outcomes", ("id", "label", "decision", "score_bin", "log_loss", "version", "status"), 1000)),
    ("eta", Sample("outcomes", ("id", "error", "label_value", "absolute_error", "label"), 30)),
    ("kind", Sample("outcomes", ("id", "score.1", "brier", "latency_ms", "replica"), 30)),
]


class KilledError(Exception):
    """Stands for a kill: nothing after it runs."""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    folder = tmp_path_factory.mktemp("world")
    with copied(folder / "home") as store:
        export.export_lake(store, str(folder / "lake"))
        engine = LakeEngine(store, str(folder / "lake"))
        yield store, engine, folder / "lake"
        engine.close()


def stored(store, table, model):
    key = store.catalog().model(model).key
    with store.cursor() as cursor:
        order = "id, stream" if table == "predictions" else 'id, "at", arrived, value'
        return cursor.execute(f"SELECT * FROM {model_table(table, key)} ORDER BY {order}").df()


def in_lake(lake, table, model):
    files = [str(lake / file.name) for file in read_manifest(FolderPlace(lake)).of_model(model, table)]
    order = "id, stream" if table == "predictions" else 'id, "at", arrived, value'
    return duckdb.sql(f"SELECT * FROM read_parquet({files}, union_by_name = true, hive_partitioning = false) ORDER BY {order}").df()


def assert_same_rows(store, lake, models=("loan", "eta", "kind")):
    for model, table in itertools.product(models, ("predictions", "labels")):
        pd.testing.assert_frame_equal(in_lake(lake, table, model), stored(store, table, model), check_dtype=False)


def test_the_lake_has_every_row_of_the_store_once_by_model_and_day_sorted_by_the_hash(world):
    store, _, lake = world
    assert_same_rows(store, lake)
    files = sorted(lake.glob("predictions/model=loan/day=2026-*/*.parquet"))
    assert len(files) == DAYS
    for file in files:
        days = duckdb.sql(f"SELECT DISTINCT \"at\"::DATE::VARCHAR FROM read_parquet('{file}', hive_partitioning = false)").fetchall()
        assert days == [(file.parent.name.removeprefix("day="),)]
        hashes = [number for (number,) in duckdb.sql(f"SELECT id_hash FROM '{file}'").fetchall()]
        assert hashes == sorted(hashes)


def test_only_days_that_changed_are_written_again(tmp_path):
    with copied(tmp_path / "home") as store:
        first = export.export_lake(store, str(tmp_path / "lake"))
        assert first["written"]["rows"] == first["rows"] > 1000
        assert export.export_lake(store, str(tmp_path / "lake"))["written"] == {"files": 0, "rows": 0, "bytes": 0}
        late = {"kind": "prediction", "model": "eta", "version": "1", "score": 3.0, "features": {"miles": 12.0}}
        land(
            store,
            {**late, "id": "late-1", "at": "2026-03-02T01:00:00Z"},
            {"kind": "label", "model": "eta", "id": "late-1", "at": "2026-04-01T00:00:00Z", "value": 4},
        )
        assert store.load_landing().rejected == 0
        report = export.export_lake(store, str(tmp_path / "lake"))
        assert report["written"]["files"] == 2 and report["rows"] == first["rows"] + 2
        assert_same_rows(store, tmp_path / "lake")


KILLS = [(step, renamed) for step in range(1, 8) for renamed in (False, True)]
"""At which file, the sixth being the manifest and the seventh none, and whether the kill comes after its rename."""


@pytest.mark.parametrize(("step", "renamed"), KILLS if LONG else [(1, False), (3, True), (5, False), (6, True)])
def test_an_export_that_is_killed_leaves_nothing_twice_and_nothing_lost(tmp_path, monkeypatch, step, renamed):
    lake = tmp_path / "lake"
    with copied(tmp_path / "home") as store:
        before = export.export_lake(store, str(lake))
        rows = [
            {
                "kind": "prediction",
                "id": f"new-{number}",
                "at": f"2026-03-0{1 + number % 5}T03:00:00Z",
                "model": "eta",
                "version": "1",
                "score": 1.0,
                "features": {},
            }
            for number in range(10)
        ]
        land(store, *rows)
        store.load_landing()
        done = itertools.count(1)
        publish = FolderPlace.publish

        def killed(self, local, name):
            number = next(done)
            if number == step:
                if not renamed:  # between the copy and the rename
                    (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                    (self.root / name).with_name(f".{name.rpartition('/')[2]}.part").write_bytes(b"half")
                else:
                    publish(self, local, name)
                raise KilledError
            publish(self, local, name)

        with monkeypatch.context() as patch:
            patch.setattr(FolderPlace, "publish", killed)
            if step <= 6:
                with pytest.raises(KilledError):
                    export.export_lake(store, str(lake))
            else:
                export.export_lake(store, str(lake))
        if (step, renamed) < (6, True):  # the manifest was not replaced: readers see the state before
            assert (
                len(in_lake(lake, "predictions", "eta"))
                == sum(file.rows for file in read_manifest(FolderPlace(lake)).of_model("eta", "predictions"))
                == len(stored(store, "predictions", "eta")) - 10
            )
        report = export.export_lake(store, str(lake))
        assert report["rows"] == before["rows"] + 10
        assert_same_rows(store, lake)
        export.export_lake(store, str(lake))
        there = {str(path.relative_to(lake)) for path in lake.rglob("*") if path.is_file()}
        state = read_manifest(FolderPlace(lake))
        assert there - {f"_manifest/{number:010}.json" for number in (state.number - 1, state.number)} == {
            file.name for file in state.files
        }


def test_days_that_the_store_removed_stay_in_the_lake_with_their_labels(tmp_path):
    lake, home = tmp_path / "lake", tmp_path / "home"
    with copied(home) as store:
        export.export_lake(store, str(lake))
        wanted = {table: in_lake(lake, table, "loan") for table in ("predictions", "labels")}
        (home / "keeping.toml").write_text("[retention]\nrows = 10\n")
        apply_retention(store, now=START + 12 * DAY)
        assert 0 < len(stored(store, "predictions", "loan")) < len(wanted["predictions"])
        export.export_lake(store, str(lake))
        for table, rows in wanted.items():
            pd.testing.assert_frame_equal(in_lake(lake, table, "loan"), rows)


def prediction(number, day, model="m"):
    """A record of a model without features, at midnight of a day of March."""
    at = f"2026-03-{day:02}T00:00:00Z"
    return {"kind": "prediction", "id": f"{day}-{number}", "at": at, "model": model, "version": "1", "score": 0.5, "features": {}}


def label(id_, day, model="m"):
    """A label of a prediction, at midnight of a day of March."""
    return {"kind": "label", "id": id_, "at": f"2026-03-{day:02}T00:00:00Z", "model": model, "value": 1}


def loaded(store, *records):
    """Load records, all of which are stored."""
    land(store, *records)
    report = store.load_landing()
    assert report.rejected == 0 and report.stored >= len(records)


def test_labels_of_a_late_day_stay_in_the_lake_when_their_predictions_leave_the_store(tmp_path, store):
    lake = tmp_path / "lake"
    late = [label(f"1-{number}", 21) for number in range(5)]
    loaded(store, *(prediction(number, 1) for number in range(1200)), *late, prediction(0, 25))
    export.export_lake(store, str(lake))
    (store.home / "keeping.toml").write_text("[retention]\nrows = 10\n")
    apply_retention(store, now=START + 25 * DAY)
    assert len(stored(store, "labels", "m")) == 0 and store.catalog().model("m").rows_from < START + 20 * DAY
    for _ in range(2):
        export.export_lake(store, str(lake))
        assert len(in_lake(lake, "labels", "m")) == len(late)


def keep_three_days(store, lake):
    """Settings that keep rows of three days, and all of them in a lake."""
    (store.home / "keeping.toml").write_text(f'[retention]\nrows = 3\n[lake_export]\nfolder = "{lake}"\n')


def test_rows_that_arrive_between_the_export_and_the_removal_are_in_the_lake(tmp_path, monkeypatch):
    lake = tmp_path / "lake"
    with copied(tmp_path / "home") as store:
        keep_three_days(store, lake)
        export_lake = nightly.export_before_removal

        def followed_by_late_records(*args):
            done = export_lake(*args)
            loaded(store, prediction("late", 2, "loan"), label("2-late", 8, "loan"))
            return done

        monkeypatch.setattr(nightly, "export_before_removal", followed_by_late_records)
        assert store.nightly(START + 6 * DAY)["failures"] == []
        row = store.row("loan", "2-late")
        assert row["from_lake"] == (START + DAY).date() and [each["value"] for each in row["labels"]] == ["1"]
        assert (in_lake(lake, "predictions", "loan")["id"] == "2-late").sum() == 1


def test_the_command_of_retention_exports_what_it_removes_also_of_small_models(tmp_path, monkeypatch):
    lake = tmp_path / "lake"
    with copied(tmp_path / "home") as store:
        keep_three_days(store, lake)
        wanted = {model: stored(store, "predictions", model) for model in ("loan", "eta", "kind")}
        (removed,) = {model.name for model in store.catalog().models} - set(wanted)
        with store.cursor() as cursor:
            ((small,),) = cursor.execute("SELECT count(*) FROM predictions_shared").fetchall()
        assert [each["model"] for each in store.apply_retention(dry_run=True)["removed"]] and not lake.exists()
        store.apply_retention()  # as of now: all rows but references
        assert small > 0 and len(in_lake(lake, "predictions", removed)) == small and len(stored(store, "predictions", removed)) == 0
        for model, rows in wanted.items():
            pd.testing.assert_frame_equal(in_lake(lake, "predictions", model), rows, check_dtype=False)
        export.export_lake(store, str(lake))
        assert len(in_lake(lake, "predictions", removed)) == small


def counted_outcomes(store, model):
    """Counts and sums of a model whose measures depend on labels, by their keys; what cancelled is left out."""
    key = store.catalog().model(model).key
    with store.cursor() as cursor:
        counts = cursor.execute(
            f"""SELECT stream, period, slice, measure, bin, decision, label, status, arrived, sum(n), round(sum(w), 6) FROM counts_{key}
            GROUP BY ALL HAVING sum(n) <> 0 ORDER BY ALL"""
        ).fetchall()
        sums = cursor.execute(
            f"""SELECT stream, period, slice, measure, arrived, sum(n), round(sum(total), 6) FROM sums_{key}
            GROUP BY ALL HAVING sum(n) <> 0 ORDER BY ALL"""
        ).fetchall()
    return counts, sums


@pytest.mark.parametrize("model", ["loan", "eta"])
def test_a_label_of_a_removed_prediction_is_counted_by_the_next_night_and_once(tmp_path, monkeypatch, model):
    lake = tmp_path / "lake"
    with copied(tmp_path / "whole") as whole, copied(tmp_path / "home") as store:
        keep_three_days(store, lake)
        assert store.nightly(START + 6 * DAY)["failures"] == []
        assert counted_outcomes(store, model) == counted_outcomes(whole, model)
        since = naive_utc(store.catalog().model(model).rows_from)
        rows = stored(whole, "predictions", model)
        old = rows[rows["at"] < since]
        labelled = set(stored(whole, "labels", model)["id"])
        fresh, revised = [sorted({id_ for id_ in old["id"] if (id_ in labelled) == known})[:9] for known in (False, True)]
        assert len(fresh) == len(revised) == 9
        late = [{**label(id_, 20, model), "received_at": "2026-03-20T05:00:00Z"} for id_ in (*fresh, *revised)]
        for each in (whole, store):
            loaded(each, *late)
        assert counted_outcomes(store, model) != counted_outcomes(whole, model)
        with monkeypatch.context() as patch:  # killed after the lake was written, before the store was

            def killed(*args, **fields):
                export.export_leaving(*args, **fields)
                raise KilledError

            patch.setattr(late_labels, "export_leaving", killed)
            assert len(store.nightly(START + 7 * DAY)["failures"]) == 1
        assert set(fresh) <= set(in_lake(lake, "labels", model)["id"])
        assert store.nightly(START + 7 * DAY)["retention"]["late_labels"] == {model: len(late)}
        assert counted_outcomes(store, model) == counted_outcomes(whole, model)
        assert not set(stored(store, "labels", model)["id"]) & set(fresh)
        assert store.nightly(START + 8 * DAY)["retention"]["late_labels"] == {}
        loaded(store, *late[:3])  # given again: they are in the lake already
        store.nightly(START + 9 * DAY)
        assert counted_outcomes(store, model) == counted_outcomes(whole, model)


@pytest.fixture
def late(tmp_path):
    """A store whose lake alone has the predictions of 1 March, the lake, and their ids."""
    with new_store(tmp_path / "home") as store:
        with store.write() as writer:
            add_model(writer, "m", task="binary", classes=("0", "1"))
        keep_three_days(store, tmp_path / "lake")
        first = [{**prediction(number, 1), "received_at": "2026-03-01T02:00:00Z"} for number in range(9)]
        loaded(store, *first, *(prediction(0, day) for day in (2, 4, 6)))
        assert store.nightly(START + 6 * DAY)["failures"] == []
        yield store, tmp_path / "lake", [each["id"] for each in first]


def late_records(ids, day, value=1):
    return [{**label(id_, day), "value": value, "received_at": f"2026-03-{day:02}T05:00:00Z"} for id_ in ids]


def labels_counted(store):
    """How many outcomes of 1 March have a label, by label."""
    key, hours = store.catalog().model("m").key, f"BETWEEN {int(START.timestamp() // 3600)} AND {int(START.timestamp() // 3600) + 23}"
    with store.cursor() as cursor:
        found = cursor.execute(
            f"""SELECT label, sum(n) FROM counts_{key} WHERE period {hours} AND slice = 0 AND label >= 0
            AND measure = (SELECT min(measure) FROM counts_{key} WHERE label >= 0) GROUP BY 1 HAVING sum(n) <> 0"""
        ).fetchall()
    return {label: int(n) for label, n in found}


def test_labels_that_an_older_version_wrote_into_the_lake_are_counted(late, monkeypatch):
    store, lake, ids = late
    loaded(store, *late_records(ids, 20))
    with monkeypatch.context() as patch:  # as before 0.30: all labels are written, and no manifest names its store
        patch.setattr(export, "_has_prediction", lambda model: "true")
        export.export_lake(store, str(lake))
    newest = max((lake / "_manifest").iterdir())
    newest.write_text(json.dumps({**json.loads(newest.read_text()), "store": ""}))
    assert labels_counted(store) == {}
    assert store.nightly(START + 7 * DAY)["failures"] == []
    assert labels_counted(store) == {1: len(ids)} and len(stored(store, "labels", "m")) == 0


@pytest.mark.parametrize("table", ["predictions", "labels"])
def test_late_labels_wait_while_a_file_of_the_lake_cannot_be_read(late, tmp_path, table):
    store, lake, ids = late
    if table == "labels":  # a correction, whose earlier label cannot be read
        loaded(store, *late_records(ids, 2))
        store.nightly(START + 7 * DAY)
        assert labels_counted(store) == {1: len(ids)}
    (file,) = [file.name for file in read_manifest(FolderPlace(lake)).files if file.table == table and file.day <= "2026-03-02"][:1]
    loaded(store, *late_records(ids, 3, value=0))
    before = labels_counted(store)
    (lake / file).rename(tmp_path / "held")
    assert store.nightly(START + 8 * DAY)["retention"]["late_labels"] == {}
    assert labels_counted(store) == before and len(stored(store, "labels", "m")) == len(ids)
    (tmp_path / "held").rename(lake / file)
    assert store.nightly(START + 9 * DAY)["retention"]["late_labels"] == {"m": len(ids)}
    assert labels_counted(store) == {0: len(ids)}


def test_a_label_that_arrives_during_retention_is_counted_by_the_next_night(late, monkeypatch):
    store, _, ids = late
    with monkeypatch.context() as patch:

        def followed_by_labels(*args):
            done = late_labels.count_late_labels(*args)
            loaded(store, *late_records(ids, 2))
            return done

        patch.setattr(retention, "count_late_labels", followed_by_labels)
        store.nightly(START + 7 * DAY)
    assert store.nightly(START + 8 * DAY)["retention"]["late_labels"] == {"m": len(ids)}
    assert labels_counted(store) == {1: len(ids)}


def test_labels_without_any_prediction_leave_the_store_with_their_days(late):
    store, lake, _ = late
    loaded(store, *late_records(["nobody"], 5))
    for night in (7, 8, 9):
        store.nightly(START + night * DAY)
    assert "nobody" not in set(stored(store, "labels", "m")["id"]) and (in_lake(lake, "labels", "m")["id"] == "nobody").sum() == 1
    assert labels_counted(store) == {}


def test_a_lake_is_that_of_the_home_under_every_name_of_its_folder(late, tmp_path):
    store, lake, _ = late
    (tmp_path / "other").symlink_to(lake)
    assert export.is_lake_of_home(store.home, FolderPlace(tmp_path / "other"))
    assert not export.is_lake_of_home(store.home, FolderPlace(tmp_path))


def test_a_lake_of_another_store_is_refused_and_taken_with_the_flag(tmp_path, store):
    lake = tmp_path / "lake"
    loaded(store, *(prediction(number, 1) for number in range(1200)))
    export.export_lake(store, str(lake))
    with new_store(tmp_path / "second") as second:
        for model in ("other", "m"):  # no file in common; then the same day with more rows
            loaded(second, *(prediction(number, 1, model) for number in range(1201)))
            with pytest.raises(UsageError, match="another store") as refused:
                export.export_lake(second, str(lake))
            assert str(lake) in str(refused.value) and "1 file of m, 2026-03-01 to 2026-03-01" in str(refused.value), model
            assert len(in_lake(lake, "predictions", "m")) == 1200 and not known_lakes(second.home)
        assert second.remove_model("other")["lakes"] == {"rewritten": [], "unreachable": []}, "it never wrote there"
        assert export.export_lake(second, str(lake), replace=True)["rows"] == 1201
    with pytest.raises(UsageError, match="another store"):
        export.export_lake(store, str(lake))
    assert store.remove_model("m")["lakes"]["unreachable"] == [str(lake)] and len(in_lake(lake, "predictions", "m")) == 1201


def test_a_store_of_an_older_backup_removes_no_newer_day_and_goes_on_where_it_has_all(tmp_path):
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


def test_a_lake_from_before_manifests_named_their_store_goes_on(tmp_path, store):
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


def test_a_home_that_noted_one_number_of_a_lake_goes_on(tmp_path, store):
    lake = str(tmp_path / "lake")
    loaded(store, *(prediction(number, 1) for number in range(1200)))
    export.export_lake(store, lake)
    loaded(store, prediction("late", 1))
    export.export_lake(store, lake)
    path = store.home / "lakes.json"
    for number in (2, 3):  # the present one, and one that was about to be written
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
        if lose is replaced and not backup:  # it has no number of the lake
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
        if backup or lose is replaced:  # the store has again what the lake has: it goes on
            loaded(store, *newer)
            assert store.nightly(START + 6 * DAY)["failures"] == [] and len(in_lake(lake, "predictions", "m")) == 1204


def test_a_lake_that_is_not_there_or_is_an_old_copy_is_no_new_one(tmp_path, store):
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


def test_a_store_of_an_older_backup_replaces_no_day_by_as_many_other_rows(tmp_path):
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


def test_what_a_killed_export_left_half_written_goes_with_the_next_and_with_an_erasure(tmp_path):
    lake = tmp_path / "lake"
    with copied(tmp_path / "home") as store:
        export.export_lake(store, str(lake))
        for again in (lambda: export.export_lake(store, str(lake)), lambda: store.forget("nobody")):
            for folder in (lake / "_manifest", next(lake.glob("predictions/model=loan/day=2026*"))):
                (folder / ".x.parquet.99999.part").write_bytes(b"rows of a person")
            again()
            assert not [path for path in lake.rglob("*") if path.name.startswith(".")]


def test_a_removed_day_is_held_as_the_store_knows_it_where_the_lake_has_it(aged):
    _, after, lake = aged
    for _ in range(2):  # of days of labels that lost some; the second removes the files of the state before
        export.export_lake(after, str(lake))
    place, model = FolderPlace(lake), after.catalog().model("loan")
    state, days = read_manifest(place), [f"2026-03-0{day}" for day in range(1, DAYS + 1)]
    assert model.rows_from.date().isoformat() == days[3]
    with after.cursor() as cursor:
        assert export.days_held_otherwise(after, cursor, place, state, model, days) == {}
        for day in (days[1], days[4]):
            fewer = replace(state, files=tuple(file for file in state.files if (file.table, file.day) != ("predictions", day)))
            assert export.days_held_otherwise(after, cursor, place, fewer, model, days) == {day: "the lake does not have it"}


def same_answers(asked, reference, model, seed, every):
    """Compare the answers, or the refusals, to every so many shapes of question; gives how many were not empty."""
    filled = 0
    for aggregate, window in zip(itertools.islice(shapes(model), seed % every, None, every), windows(model, random.Random(seed))):
        try:
            wanted = reference(aggregate, window)
        except (NotFoundError, UsageError) as error:
            with pytest.raises(type(error)):
                asked(aggregate, window)
            continue
        got = asked(aggregate, window)
        assert_same(got, wanted, about=(aggregate, window))
        filled += len(got) > 0
    return filled


@pytest.fixture(scope="module")
def aged(tmp_path_factory):
    """A store before retention and after it, with a lake that has the removed rows."""
    folder = tmp_path_factory.mktemp("aged")
    with copied(folder / "before") as before, copied(folder / "home") as after:
        (after.home / "keeping.toml").write_text(f'[retention]\nrows = 3\n[lake_export]\nfolder = "{folder / "lake"}"\n')
        assert after.nightly(START + 6 * DAY)["failures"] == []
        for model in ("loan", "eta", "kind"):
            assert len(stored(after, "predictions", model)) < len(stored(before, "predictions", model))
        yield before, after, folder / "lake"


@pytest.mark.parametrize(("model", "seed"), [("loan", 2), ("eta", 4), ("kind", 5)])
def test_questions_about_rows_that_retention_removed_have_the_answers_of_before(aged, model, seed):
    before, after, _ = aged
    assert same_answers(after.ask, before.ask, model, seed, every=3) >= 3
    for sample_of, sample in SAMPLES:
        window = Window(model, START, START + DAYS * DAY)
        if sample_of == model:
            pd.testing.assert_frame_equal(after.ask(sample, window), before.ask(sample, window))


@pytest.mark.parametrize("order", ["-at", "score", "-score", "id", "-subject", "correct"])
def test_lists_of_rows_are_joined_from_the_store_and_the_lake(aged, order):
    before, after, _ = aged
    window = Window("loan", START, START + DAYS * DAY)
    for limit in (7, 10_000):
        wanted = before.rows(window, ("id", "at", "score", "label", "feature.income"), limit, order)
        pd.testing.assert_frame_equal(after.rows(window, ("id", "at", "score", "label", "feature.income"), limit, order), wanted)
    term = [SearchTerm("score", ">", "0.4")]
    pd.testing.assert_frame_equal(after.search(window, term, 50, "-at"), before.search(window, term, 50, "-at"))


def test_a_prediction_that_retention_removed_is_found_in_the_lake_which_is_named(aged):
    before, after, _ = aged
    removed = 0
    for model in ("loan", "eta", "kind"):
        since = naive_utc(after.catalog().model(model).rows_from)
        for id_ in stored(before, "predictions", model)["id"].drop_duplicates()[::40]:
            wanted, got = before.row(model, id_), after.row(model, id_)
            day = got.pop("from_lake", None)
            assert json.dumps(got, default=str) == json.dumps(wanted, default=str)
            assert (day is not None) == (wanted["environment"] != "reference" and wanted["at"] < since)
            if day is not None:
                removed += 1
                assert day == wanted["at"].date()
                with pytest.raises(NotFoundError):
                    after.row(model, id_, removed=False)
    assert removed > 5


def test_a_lake_that_is_gone_leaves_the_rows_that_the_store_keeps(aged, tmp_path):
    _, after, lake = aged
    window = Window("loan", START, START + DAYS * DAY)
    assert after.lake_holds("loan")
    whole = after.rows(window, ("id",), 10_000)
    lake.rename(tmp_path / "gone")
    try:
        assert not after.lake_holds("loan") and not lake.exists(), "a folder that is not mounted is not made"
        assert 0 < len(after.rows(window, ("id",), 10_000)) < len(whole)
    finally:
        (tmp_path / "gone").rename(lake)
    assert len(after.rows(window, ("id",), 10_000)) == len(whole)


@pytest.mark.parametrize("damage", ["missing", "short", "overwritten"])
@pytest.mark.parametrize("table", ["predictions", "labels"])
def test_a_file_that_cannot_be_read_has_no_rows_and_is_told(aged, tmp_path, damage, table):
    before, after, lake = aged
    window = Window("loan", START, START + DAYS * DAY)
    sample = Sample("outcomes", ("id", "label"), 10_000)
    whole = len(after.rows(window, ("id",), 10_000))
    (file,) = lake.glob(f"{table}/model=loan/day=2026-03-02/*.parquet")
    held = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(held[:-30] if damage == "short" else held[:4] + bytes(len(held) - 400) + held[-396:])
    rows = stored(before, "predictions", "loan")
    day = rows[(rows["at"] >= naive_utc(START + DAY)) & (rows["at"] < naive_utc(START + 2 * DAY)) & (rows["stream"] > 0)]
    try:
        with open_store_again(after.home, tmp_path) as store:
            assert len(store.rows(window, ("id",), 10_000)) == len(store.search(window, [], 10_000)) == len(store.ask(sample, window))
            lacking = whole - len(store.rows(window, ("id",), 10_000))
            assert 0 < lacking <= len(day) if table == "predictions" else lacking == 0
            assert store.unread_days("loan") == ("2026-03-02",) and store.lake_holds("loan")
            if table == "predictions":
                with pytest.raises(NotFoundError, match="may be in the lake, which cannot be read, days 2026-03-02"):
                    store.row("loan", day["id"].iloc[0])
            (told,) = [sentence for sentence in store.problems() if "loan" in sentence]
            assert "1 day of the lake (2026-03-02) cannot be read" in told
            report = check(store, model="loan", start=START, end=START + 6 * DAY, now=START + 30 * DAY, reads="rows", with_records=False)
            assert any("which cannot be read for 1 day: 2026-03-02" in note for note in report.notes)
            assert not any(FAILED in finding.because for finding in report.findings)
            file.write_bytes(held)
            assert len(store.rows(window, ("id",), 10_000)) == whole and store.unread_days("loan") == ()
            assert not any("loan" in sentence for sentence in store.problems())
    finally:
        file.write_bytes(held)


def test_a_lake_that_is_no_longer_named_or_needed_is_no_problem(late, tmp_path):
    store, lake, _ = late
    lake.rename(tmp_path / "away")
    settings = (store.home / "keeping.toml").read_text()

    def told():
        return [sentence for sentence in store.problems() if "Removed rows of" in sentence]

    assert not store.lake_holds("m") and len(told()) == 1
    (store.home / "keeping.toml").write_text("[retention]\nrows = 3\n")
    assert told() == []
    (store.home / "keeping.toml").write_text(settings)
    assert not store.lake_holds("m") and len(told()) == 1
    store.remove_model("m")
    assert told() == []


def test_the_manifest_is_read_once_until_it_changes(late, monkeypatch):
    store, lake, _ = late
    read, places = removed_rows.read_manifest, []
    monkeypatch.setattr(removed_rows, "read_manifest", lambda place: places.append(place) or read(place))
    with open_store_again(store.home, lake.parent) as other:
        for _ in range(3):
            assert other.lake_holds("m") and other.unread_days("m") == ()
        other.note_lake_state()
        assert len(places) == 1
        loaded(store, prediction(1, 6))
        export.export_lake(store, str(lake))
        assert other.lake_holds("m") and len(places) == 2


def open_store_again(home, folder):
    """A copy of a home, opened, which reads the same lake."""
    shutil.copytree(home, folder / "copy")
    return new_store(folder / "copy")


def test_findings_that_were_kept_while_the_lake_was_away_are_computed_again(aged, tmp_path):
    _, after, lake = aged
    now = START + 30 * DAY

    def found(store):
        with check_keepers(store, now) as keep:
            asked = {"model": "loan", "start": START, "end": START + 6 * DAY, "now": now, "with_records": False, "reads": "rows"}
            return sorted((each.claim, each.n, each.value) for each in check(store, **asked, keep=keep).findings)

    lake.rename(tmp_path / "away")
    try:
        with open_store_again(after.home, tmp_path) as store:
            away = found(store)
            assert any("loan" in sentence and "the lake cannot be read" in sentence for sentence in store.problems())
    finally:
        (tmp_path / "away").rename(lake)
    with new_store(tmp_path / "copy") as store:
        there = found(store)
        assert repr(there) != repr(away)
        lake.rename(tmp_path / "away")
        try:
            assert repr(found(store)) == repr(away)
        finally:
            (tmp_path / "away").rename(lake)
        generation = store.generation
        assert repr(found(store)) == repr(there) and store.generation > generation
        generation = store.generation
        assert repr(found(store)) == repr(there) and store.generation == generation, "a lake that is as it was changes nothing"


@pytest.mark.parametrize(("model", "seed"), some([("kind", 6), ("loan", 1), ("eta", 3)], 1))
def test_every_shape_of_question_has_the_answer_of_the_reference_engine_from_the_files(world, model, seed):
    store, engine, _ = world
    assert same_answers(engine.ask, partial(reference_engine.ask, store), model, seed, every=2) >= 5


@pytest.mark.parametrize(("model", "sample"), SAMPLES)
def test_samples_are_those_of_the_store(world, model, sample):
    store, engine, _ = world
    for fields in ({}, {"as_of": START + 2 * DAY}, {"environment": "reference"}):
        window = Window(model, START, START + DAYS * DAY, **fields)
        pd.testing.assert_frame_equal(engine.ask(sample, window), listing.answer_sample(store, sample, window))


def test_a_prediction_is_found_by_its_id_in_one_partition(world):
    store, engine, _ = world
    for model in ("loan", "eta", "kind"):
        for id_ in stored(store, "predictions", model)["id"].drop_duplicates()[::40]:
            wanted = store.row(model, id_)
            assert json.dumps(engine.row(model, id_), default=str) == json.dumps(wanted, default=str)
            if wanted["environment"] != "reference" and not wanted["other_answers"]:
                assert engine.row(model, id_, day=wanted["at"].date())["id"] == id_
                with pytest.raises(NotFoundError):
                    engine.row(model, id_, day=wanted["at"].date() + DAY)


def test_small_models_that_share_tables_are_answered_by_the_store(world):
    store, engine, _ = world
    assert not engine.has_rows_of("stray")
    aggregate = next(shapes("stray"))
    window = next(windows("stray", random.Random(1)))
    assert engine.ask(aggregate, window).equals(answer_aggregate(store, aggregate, window))


def test_a_forgotten_subject_leaves_the_lake_also_days_that_the_store_removed(tmp_path):
    lake, home = tmp_path / "lake", tmp_path / "home"
    with copied(home) as store:
        rows = [
            {"kind": "prediction", "id": f"{who}-{day}", "at": f"2026-03-0{day}T03:00:00Z", "model": "eta", "version": "1", "score": 1.0}
            | {"features": {}, "subject": who, "label": 2.0}
            for who in ("anna-7f3a9c", "bert-91c2")
            for day in (1, 5)
        ]
        land(store, *rows)
        assert store.load_landing().rejected == 0
        before = export.export_lake(store, str(lake))
        (home / "keeping.toml").write_text("[retention]\nrows = 10\n")
        apply_retention(store, now=START + 12 * DAY)
        body = store.forget("anna-7f3a9c")
        assert body["lakes"] == {"rewritten": [str(lake)], "unreachable": []}
        assert read_manifest(FolderPlace(lake)).files
        predictions, labels = in_lake(lake, "predictions", "eta"), in_lake(lake, "labels", "eta")
        assert set(predictions["subject"].dropna()) >= {"bert-91c2"} and not predictions["id"].str.startswith("anna").any()
        assert labels["id"].str.startswith("bert").sum() == 2 and not labels["id"].str.startswith("anna").any()
        large = [file for file in read_manifest(FolderPlace(lake)).files if file.model != "stray"]  # which got tables of its own
        assert sum(file.rows for file in large) == before["rows"] - 4
        named = {file.name for file in read_manifest(FolderPlace(lake)).files}
        assert {str(path.relative_to(lake)) for path in lake.rglob("*.parquet")} == named
        assert export.export_lake(store, str(lake))["written"]["files"] == 0


def test_a_late_label_of_a_forgotten_prediction_that_the_lake_alone_has_goes_and_is_refused(late):
    store, lake, _ = late
    loaded(store, {**prediction("x", 5), "id": "req-77", "subject": "anna-7f3a9c"})
    assert store.nightly(START + 9 * DAY)["failures"] == [] and "req-77" in set(in_lake(lake, "predictions", "m")["id"])
    loaded(store, label("req-77", 6), label("2-0", 6))
    assert store.forget("anna-7f3a9c")["lakes"] == {"rewritten": [str(lake)], "unreachable": []}
    assert "req-77" not in set(stored(store, "labels", "m")["id"])
    assert not any(b"req-77" in path.read_bytes() for path in (store.home / "landing").rglob("*.jsonl"))
    land(store, label("req-77", 20))
    assert store.load_landing().rejected == 1
    store.nightly(START + 10 * DAY)
    assert "req-77" not in {*in_lake(lake, "predictions", "m")["id"], *in_lake(lake, "labels", "m")["id"]}


def test_texts_of_the_lake_that_mention_a_forgotten_subject_get_a_mark(late):
    store, lake, _ = late
    told = {"note": "told by anna-7f3a9c"}
    loaded(store, *({**prediction(0, day), "id": f"o-{day}", "remark": "see anna-7f3a9c"} for day in (5, 8)))
    loaded(store, {**label("o-5", 8), **told}, {**label("o-8", 8), **told})
    loaded(store, {**prediction("x", 5), "id": "req-77", "subject": "anna-7f3a9c"})
    assert store.nightly(START + 9 * DAY)["failures"] == [] and set(stored(store, "labels", "m")["id"]) == {"o-8"}
    store.forget("anna-7f3a9c")
    for table, text in (("predictions", "see [erased]"), ("labels", "told by [erased]")):
        rows = in_lake(lake, table, "m")
        rows = rows[rows["id"].str.startswith("o-")]
        assert sorted(rows["id"]) == ["o-5", "o-8"] and all(text in extra for extra in rows["extra"])
    assert not any(b"anna" in path.read_bytes() for path in lake.rglob("*.parquet"))


def test_the_night_writes_the_lake_before_rows_are_removed_and_keeps_them_where_it_fails(tmp_path, monkeypatch):
    home, lake = tmp_path / "home", tmp_path / "lake"
    with copied(home) as store:
        (home / "keeping.toml").write_text(f'[retention]\nrows = 10\n[lake_export]\nfolder = "{lake}"\n')
        rows = len(stored(store, "predictions", "loan"))
        with monkeypatch.context() as patch:
            patch.setattr(FolderPlace, "publish", lambda *_: (_ for _ in ()).throw(StoreBrokenError("the lake cannot be used")))
            night = store.nightly(START + 12 * DAY)
        assert night["lake"] is None and night["retention"] is None and len(night["failures"]) == 1
        assert len(stored(store, "predictions", "loan")) == rows
        (failed,) = place_reports(store)
        assert (failed["place"], failed["writes"], failed["write_errors"]) == (str(lake), 1, 1) and pd.isna(failed["complete_to"])
        night = store.nightly(START + 12 * DAY)
        assert night["lake"]["rows"] > rows and not night["failures"]
        assert len(stored(store, "predictions", "loan")) < rows == len(in_lake(lake, "predictions", "loan"))
        _, told = place_reports(store)
        files = list(lake.rglob("*.parquet"))
        assert (told["files"], told["used_bytes"]) == (len(files), sum(path.stat().st_size for path in files))
        assert failed["at"] < told["complete_to"] <= told["at"] and (told["write_errors"], told["source"]) == (0, "measured")
        assert told["oldest_at"].date().isoformat() == min(path.parent.name for path in files)[4:]


def place_reports(store):
    """The reports of places that the store holds, oldest first."""
    rows = store.ask(Records("storage_report", None, ever=True), Window("", START, START + 9999 * DAY))
    return rows.sort_values("at").to_dict("records")


def test_a_removed_model_leaves_the_lake(tmp_path):
    lake, home = tmp_path / "lake", tmp_path / "home"
    with copied(home) as store:
        export.export_lake(store, str(lake))
        body = store.remove_model("eta")
        assert body["lakes"] == {"rewritten": [str(lake)], "unreachable": []}
        left = {str(path.relative_to(lake)) for path in lake.rglob("*.parquet")}
        assert left and not any("model=eta" in name for name in left)
        assert {file.name for file in read_manifest(FolderPlace(lake)).files} == left
        assert not any(b"model=eta" in path.read_bytes() or b'"eta"' in path.read_bytes() for path in lake.rglob("*.json"))
        lake.rename(tmp_path / "gone")
        lake.write_text("no folder")
        assert store.remove_model("loan")["lakes"] == {"rewritten": [], "unreachable": [str(lake)]}
