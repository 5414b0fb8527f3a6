"""A forgotten subject is removed from the lake, even from days and texts that the store no longer has."""

from observability.lake.file_place import FolderPlace
from observability.store.lake import export
from observability.store.lake.manifest import read_manifest
from observability.store.retention import apply_retention
from tests.support.engine_world import START, copied
from tests.support.lake_home import DAY, in_lake, label, loaded, prediction, stored
from tests.support.landing import land


def test_a_forgotten_subject_is_erased_from_the_lake_also_on_days_that_the_store_removed(tmp_path):
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
        # of the model that has its own tables
        large = [file for file in read_manifest(FolderPlace(lake)).files if file.model != "stray"]
        assert sum(file.rows for file in large) == before["rows"] - 4
        named = {file.name for file in read_manifest(FolderPlace(lake)).files}
        assert {str(path.relative_to(lake)) for path in lake.rglob("*.parquet")} == named
        assert export.export_lake(store, str(lake))["written"]["files"] == 0


def test_a_late_label_of_a_forgotten_prediction_that_only_the_lake_has_is_erased_and_refused(late):
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
