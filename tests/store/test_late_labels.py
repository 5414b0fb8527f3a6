"""Labels that arrive after their predictions were moved from the store to the lake are counted once, even if a part of the lake cannot be
read.
"""

import json
import shutil

import pandas as pd
import pytest

from observability.core.time import naive_utc
from observability.lake.file_place import FolderPlace
from observability.store import retention
from observability.store.lake import export, late_labels
from observability.store.lake.manifest import read_manifest
from observability.store.lake_engine import LakeEngine
from tests.support.engine_world import START, copied
from tests.support.lake_home import (
    DAY,
    KilledError,
    in_lake,
    keep_three_days,
    label,
    labels_counted,
    late_records,
    loaded,
    prediction,
    stored,
)
from tests.support.length import some
from tests.support.new_store import new_store


def counted_outcomes(store, model):
    """Counts and sums, by key, of the measures of a model that depend on labels; entries that cancel out are left out."""
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


def kill_after_the_lake(store, monkeypatch, night):
    """Run the nightly work, and kill it after the lake has been written but before the store is."""

    def killed(*args, **fields):
        export.export_leaving(*args, **fields)
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(late_labels, "export_leaving", killed)
        assert len(store.nightly(START + night * DAY)["failures"]) == 1


def rolled_up(store):
    """Compute the rollups of 1 March from the lake; returns the number of outcomes with each label."""
    (done,) = store.compute_lake_rollups(None, ["m"], START.date(), START.date())["models"]
    assert done["left"] == {} and done["days"] == 1
    return labels_counted(store)


@pytest.mark.parametrize("model", some(["loan", "eta"], 1))
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
        kill_after_the_lake(store, monkeypatch, 7)
        assert set(fresh) <= set(in_lake(lake, "labels", model)["id"])
        assert store.nightly(START + 7 * DAY)["retention"]["late_labels"] == {model: len(late)}
        assert counted_outcomes(store, model) == counted_outcomes(whole, model)
        assert not set(stored(store, "labels", model)["id"]) & set(fresh)
        assert store.nightly(START + 8 * DAY)["retention"]["late_labels"] == {}
        loaded(store, *late[:3])  # loaded again, although they are already in the lake
        store.nightly(START + 9 * DAY)
        assert counted_outcomes(store, model) == counted_outcomes(whole, model)


def test_labels_that_an_older_version_wrote_into_the_lake_are_counted(late, monkeypatch):
    store, lake, ids = late
    loaded(store, *late_records(ids, 20))
    with monkeypatch.context() as patch:  # as before version 0.30: all labels are written, and no manifest names its store
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
    if table == "labels":  # a correction whose earlier label cannot be read
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


def test_labels_that_a_lost_night_counted_are_counted_when_they_are_given_again(late, tmp_path):
    """An older backup is restored while the lake is newer. The labels are loaded again, one of them after another value of the same
    label.
    """
    store, lake, ids = late
    shutil.copytree(store.home, tmp_path / "older")
    loaded(store, *late_records(ids[:3], 7))
    assert store.nightly(START + 7 * DAY)["retention"]["late_labels"] == {"m": 3} and labels_counted(store) == {1: 3}
    loaded(store, *late_records(ids[:1], 8, value=0))
    assert store.nightly(START + 8 * DAY)["retention"]["late_labels"] == {"m": 1} and labels_counted(store) == {0: 1, 1: 2}
    held = in_lake(lake, "labels", "m")
    with new_store(tmp_path / "older") as older:
        assert labels_counted(older) == {}
        loaded(older, *late_records(ids[:3], 7), *late_records(ids[:1], 8, value=0))
        night = older.nightly(START + 8 * DAY)
        assert night["failures"] == [] and night["retention"]["late_labels"] == {"m": 4}
        assert labels_counted(older) == {0: 1, 1: 2}
        loaded(older, *late_records(ids[:3], 7))  # when loaded a third time they are duplicates
        assert older.nightly(START + 8 * DAY)["retention"]["late_labels"] == {} and labels_counted(older) == {0: 1, 1: 2}
        again = in_lake(lake, "labels", "m")
        pd.testing.assert_frame_equal(again.drop(columns="counted_by"), held.drop(columns="counted_by"), check_dtype=False)


def test_an_older_label_of_a_lost_night_is_counted_with_a_newer_one_of_its_prediction(late, tmp_path):
    store, lake, ids = late
    shutil.copytree(store.home, tmp_path / "older")
    loaded(store, *late_records(ids[:1], 7))
    assert store.nightly(START + 7 * DAY)["retention"]["late_labels"] == {"m": 1}
    with new_store(tmp_path / "older") as older:
        loaded(older, *late_records(ids[:1], 8, value=0))
        assert older.nightly(START + 8 * DAY)["retention"]["late_labels"] == {"m": 2}
        assert labels_counted(older) == {0: 1} and len(in_lake(lake, "labels", "m")) == 2


def test_rollups_from_the_lake_leave_labels_whose_round_was_killed_to_the_next_night(late, monkeypatch):
    store, lake, ids = late
    loaded(store, *late_records(ids[:3], 7))
    kill_after_the_lake(store, monkeypatch, 7)
    assert set(in_lake(lake, "labels", "m")["id"]) == set(ids[:3]) and labels_counted(store) == {}
    assert rolled_up(store) == {}
    assert store.nightly(START + 8 * DAY)["retention"]["late_labels"] == {"m": 3} and labels_counted(store) == {1: 3}
    assert rolled_up(store) == {1: 3}


def during_the_computation(monkeypatch, happens):
    """Run a function once, after the lake was read but before the results are stored."""
    deltas, todo = LakeEngine.rollup_deltas, [happens]

    def computed(*args):
        found = deltas(*args)
        for each in todo[:]:
            todo.remove(each)
            each()
        return found

    monkeypatch.setattr(LakeEngine, "rollup_deltas", computed)


def test_late_labels_that_a_night_counts_while_rollups_are_computed_stay_counted(late, monkeypatch):
    store, _, ids = late
    loaded(store, *late_records(ids, 20))
    during_the_computation(monkeypatch, lambda: store.nightly(START + 7 * DAY))
    (done,) = store.compute_lake_rollups(None, ["m"], START.date(), START.date())["models"]
    assert labels_counted(store) == {1: len(ids)}
    assert done["days"] == 0 and "late labels were counted" in done["left"][str(START.date())]
    assert rolled_up(store) == {1: len(ids)}


def test_rollups_are_not_replaced_where_a_load_adds_a_slice_while_they_are_computed(tmp_path, monkeypatch):
    """The load gives the new level the number that a level from the lake would otherwise get."""
    with copied(tmp_path / "home") as store:
        keep_three_days(store, tmp_path / "lake")
        assert store.nightly(START + 6 * DAY)["failures"] == []
        other = {**prediction(0, 9, "loan"), "features": {}, "groups": {"race": "another"}}
        during_the_computation(monkeypatch, lambda: loaded(store, other))
        (done,) = store.compute_lake_rollups(None, ["loan"], START.date(), START.date())["models"]
        assert done["days"] == 0 and "new slices" in done["left"][str(START.date())]


@pytest.mark.parametrize("day", [6, 7])  # the store in the backup has a label of that day, or none
def test_days_of_which_the_lake_has_labels_that_a_restored_store_lost_keep_their_counts(late, tmp_path, day):
    store, lake, _ = late
    asked = ["m"], (START + 5 * DAY).date(), (START + 5 * DAY).date()
    loaded(store, prediction(1, 6), *late_records(["6-0"], 6))
    assert store.nightly(START + 6 * DAY)["failures"] == []
    shutil.copytree(store.home, tmp_path / "older")
    lost = late_records(["6-1"], day)
    loaded(store, *lost)
    assert store.nightly(START + 7 * DAY)["failures"] == []
    wanted, files = counted_outcomes(store, "m"), read_manifest(FolderPlace(lake)).files
    assert store.compute_lake_rollups(None, *asked)["models"][0]["left"] == {} and counted_outcomes(store, "m") == wanted
    with new_store(tmp_path / "older") as older:
        before = counted_outcomes(older, "m")
        assert before != wanted
        for _ in range(2):  # also after a night in which the lake was already up to date
            (done,) = older.compute_lake_rollups(None, *asked)["models"]
            assert done["left"] == {"2026-03-06": "its labels are not those of the store"} and counted_outcomes(older, "m") == before
            assert older.nightly(START + 7 * DAY)["failures"] == [] and read_manifest(FolderPlace(lake)).files == files
        loaded(older, *lost)
        assert counted_outcomes(older, "m") == wanted
        assert older.compute_lake_rollups(None, *asked)["models"][0]["left"] == {} and counted_outcomes(older, "m") == wanted


def test_a_file_of_labels_with_the_fingerprint_of_the_store_and_more_rows_is_read(late, tmp_path):
    """The restored store wrote another label of that day into the file, next to the one that the store had lost."""
    store, lake, _ = late
    asked = ["m"], (START + 5 * DAY).date(), (START + 5 * DAY).date()
    loaded(store, prediction(1, 6), prediction(2, 6), *late_records(["6-0"], 6))
    assert store.nightly(START + 6 * DAY)["failures"] == []
    shutil.copytree(store.home, tmp_path / "older")
    loaded(store, *late_records(["6-1"], 6))
    assert store.nightly(START + 7 * DAY)["failures"] == []
    with new_store(tmp_path / "older") as older:
        loaded(older, *late_records(["6-2"], 6))
        assert older.nightly(START + 7 * DAY)["failures"] == [] and list(in_lake(lake, "labels", "m")["id"]) == ["6-0", "6-1", "6-2"]
        before = counted_outcomes(older, "m")
        (done,) = older.compute_lake_rollups(None, *asked)["models"]
        assert done["left"] == {"2026-03-06": "its labels are not those of the store"} and counted_outcomes(older, "m") == before
