"""The lake holds each raw row of the store exactly once, even if an export is interrupted or fails."""

import itertools

import duckdb
import pandas as pd
import pytest

from observability.core.errors import StoreBrokenError
from observability.core.questions import Records
from observability.core.window import Window
from observability.lake.file_place import FolderPlace
from observability.store import nightly
from observability.store.lake import export
from observability.store.lake.manifest import read_manifest
from observability.store.retention import apply_retention
from tests.support.engine_world import DAYS, START, copied
from tests.support.lake_home import (
    DAY,
    KilledError,
    assert_same_rows,
    in_lake,
    keep_three_days,
    label,
    loaded,
    prediction,
    stored,
)
from tests.support.landing import land
from tests.support.length import LONG


def test_the_lake_has_every_row_of_the_store_once_by_model_and_day_sorted_by_the_hash(lake_world):
    store, _, lake = lake_world
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
"""The file at which the export is killed (the sixth is the manifest; the seventh means no kill), and whether the kill comes after the file
was renamed.
"""


@pytest.mark.parametrize(("step", "renamed"), KILLS if LONG else [(1, False), (3, True), (5, False), (6, True)])
def test_a_killed_export_duplicates_nothing_and_loses_nothing(tmp_path, monkeypatch, step, renamed):
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
        if (step, renamed) < (6, True):  # the manifest was not replaced, so readers see the earlier state
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


def test_the_retention_command_exports_removed_rows_also_of_small_models(tmp_path, monkeypatch):
    lake = tmp_path / "lake"
    with copied(tmp_path / "home") as store:
        keep_three_days(store, lake)
        wanted = {model: stored(store, "predictions", model) for model in ("loan", "eta", "kind")}
        (removed,) = {model.name for model in store.catalog().models} - set(wanted)
        with store.cursor() as cursor:
            ((small,),) = cursor.execute("SELECT count(*) FROM predictions_shared").fetchall()
        assert [each["model"] for each in store.apply_retention(dry_run=True)["removed"]] and not lake.exists()
        store.apply_retention()  # retention as of now removes all rows except references
        assert small > 0 and len(in_lake(lake, "predictions", removed)) == small and len(stored(store, "predictions", removed)) == 0
        for model, rows in wanted.items():
            pd.testing.assert_frame_equal(in_lake(lake, "predictions", model), rows, check_dtype=False)
        export.export_lake(store, str(lake))
        assert len(in_lake(lake, "predictions", removed)) == small


def test_a_half_written_file_of_a_killed_export_is_removed_by_the_next_export_and_by_an_erasure(tmp_path):
    lake = tmp_path / "lake"
    with copied(tmp_path / "home") as store:
        export.export_lake(store, str(lake))
        for again in (lambda: export.export_lake(store, str(lake)), lambda: store.forget("nobody")):
            for folder in (lake / "_manifest", next(lake.glob("predictions/model=loan/day=2026*"))):
                (folder / ".x.parquet.99999.part").write_bytes(b"rows of a person")
            again()
            assert not [path for path in lake.rglob("*") if path.name.startswith(".")]


def test_the_night_writes_the_lake_before_removing_rows_and_keeps_them_if_writing_fails(tmp_path, monkeypatch):
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
    """The reports about storage places that are in the store, oldest first."""
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
