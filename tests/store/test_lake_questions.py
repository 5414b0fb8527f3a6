"""Answers from the files of a lake equal those that the store gave before the rows were removed; an unreadable file is reported."""

import itertools
import json
import random
from dataclasses import replace
from datetime import timedelta
from functools import partial

import pandas as pd
import pytest

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.core.finding import FAILED
from observability.core.questions import Aggregate, Bucket, Sample
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.lake.file_place import FolderPlace
from observability.monitoring.check import check
from observability.monitoring.kept_findings import check_keepers
from observability.store.lake import export, lake_tables, removed_rows
from observability.store.lake.manifest import read_manifest
from observability.store.lake_engine import LakeEngine
from observability.store.query import listing
from observability.store.query.aggregates import answer_aggregate
from observability.store.types.search_terms import SearchTerm
from tests.store.conftest import rollups
from tests.support import reference_engine
from tests.support.engine_world import DAYS, HOSTILE, START, copied
from tests.support.lake_home import (
    DAY,
    keep_three_days,
    label,
    loaded,
    open_store_again,
    prediction,
    stored,
)
from tests.support.landing import land
from tests.support.length import every_second, some
from tests.support.new_store import new_store
from tests.support.question_shapes import shapes, windows
from tests.support.store_comparison import assert_same, assert_same_rollups

SAMPLES = [
    ("loan", Sample("predictions", ("id", "at", "subject", "score", "feature.income", "feature.vip", f"feature.{HOSTILE}"), 40)),
    ("loan", Sample("outcomes", ("id", "label", "decision", "score_bin", "log_loss", "version", "status"), 1000)),
    ("eta", Sample("outcomes", ("id", "error", "label_value", "absolute_error", "label"), 30)),
    ("kind", Sample("outcomes", ("id", "score.1", "brier", "latency_ms", "replica"), 30)),
]
HOUR = timedelta(hours=1)
OUTCOMES = Aggregate("outcomes", (Bucket("hour"),), sums=("log_loss",))
SPANS = [(START, START + DAY), (START + HOUR, START + 2 * DAY - HOUR), (START + DAY, START + DAYS * DAY), (START, START + 3 * DAY)]


def before_id(store, model):
    """The smallest id among a model's kept predictions."""
    with store.cursor() as cursor:
        return cursor.execute(f"SELECT min(id) FROM predictions_{store.catalog().model(model).key} WHERE stream > 0").fetchone()[0]


def test_days_of_labels_that_lost_some_to_retention_are_not_written_again(tmp_path):
    with copied(tmp_path / "home") as store:
        keep_three_days(store, tmp_path / "lake")
        assert store.nightly(START + 6 * DAY)["failures"] == []
        place = FolderPlace(tmp_path / "lake")
        before = read_manifest(place)
        assert store.nightly(START + 6 * DAY)["failures"] == []
        done = export.export_lake(store, place.address)
        assert done["written"] == {"files": 0, "rows": 0, "bytes": 0} and read_manifest(place) == before
        land(store, {**label(before_id(store, "loan"), 5), "model": "loan"})
        assert store.load_landing().stored == 1
        assert export.export_lake(store, place.address)["written"]["files"] == 1


def test_removed_days_in_the_lake_agree_with_the_store_and_missing_days_are_reported(aged):
    _, after, lake = aged
    for _ in range(2):  # first files for days that lost some labels; the second run removes the files of the earlier state
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
    """Check that the answers (or refusals) to every n-th shape of question agree. Returns the number of non-empty answers."""
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
    """A store before and after retention, with a lake that contains the removed rows."""
    folder = tmp_path_factory.mktemp("aged")
    with copied(folder / "before") as before, copied(folder / "home") as after:
        (after.home / "keeping.toml").write_text(f'[retention]\nrows = 3\n[lake_export]\nfolder = "{folder / "lake"}"\n')
        assert after.nightly(START + 6 * DAY)["failures"] == []
        for model in ("loan", "eta", "kind"):
            assert len(stored(after, "predictions", model)) < len(stored(before, "predictions", model))
        yield before, after, folder / "lake"


@pytest.mark.parametrize(("model", "seed"), some([("loan", 2), ("eta", 4), ("kind", 5)], 2))
def test_questions_about_rows_that_retention_removed_have_the_answers_of_before(aged, model, seed):
    before, after, _ = aged
    assert same_answers(after.ask, before.ask, model, seed, every=3) >= 3
    for sample_of, sample in SAMPLES:
        window = Window(model, START, START + DAYS * DAY)
        if sample_of == model:
            pd.testing.assert_frame_equal(after.ask(sample, window), before.ask(sample, window))


@pytest.mark.parametrize("order", some(["-at", "score", "-score", "id", "-subject", "correct"], 2))
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


def test_without_the_lake_the_rows_kept_in_the_store_are_still_answered(aged, tmp_path):
    _, after, lake = aged
    window = Window("loan", START, START + DAYS * DAY)
    assert after.lake_holds("loan")
    whole = after.rows(window, ("id",), 10_000)
    lake.rename(tmp_path / "gone")
    try:
        assert not after.lake_holds("loan") and not lake.exists(), "the folder of an unmounted lake is not created"
        assert 0 < len(after.rows(window, ("id",), 10_000)) < len(whole)
    finally:
        (tmp_path / "gone").rename(lake)
    assert len(after.rows(window, ("id",), 10_000)) == len(whole)


@pytest.mark.parametrize(
    ("damage", "table"),
    every_second(
        [
            ("missing", "predictions"),
            ("missing", "labels"),
            ("short", "labels"),
            ("short", "predictions"),
            ("overwritten", "predictions"),
            ("overwritten", "labels"),
        ]
    ),
)
def test_an_unreadable_file_of_the_lake_gives_no_rows_and_is_reported(aged, tmp_path, damage, table):
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
        return [sentence for sentence in store.problems() if "Removed rows" in sentence]

    assert len(told()) == 1, "nobody asked for a row since the lake became unreadable"
    (store.home / "keeping.toml").write_text("[retention]\nrows = 3\n")
    assert told() == []
    (store.home / "keeping.toml").write_text(settings)
    assert not store.lake_holds("m") and len(told()) == 1
    store.remove_model("m")
    assert told() == []


def test_an_unreachable_lake_is_reported_in_one_sentence_for_all_models(aged, tmp_path):
    _, after, lake = aged
    lake.rename(tmp_path / "away")
    try:
        with open_store_again(after.home, tmp_path) as store:
            (told,) = [sentence for sentence in store.problems() if "Removed rows" in sentence]
            assert told.startswith("Removed rows are missing in figures: the lake cannot be read.")
            assert not any(store.lake_holds(model) for model in ("eta", "kind", "loan"))
            (tmp_path / "away").rename(lake)
            assert not any("Removed rows" in sentence for sentence in store.problems()), (
                "the lake is available again, and nobody asked about a model"
            )
    finally:
        if not lake.exists():
            (tmp_path / "away").rename(lake)


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
            assert any("the lake cannot be read" in sentence for sentence in store.problems())
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
        assert repr(found(store)) == repr(there) and store.generation == generation, "an unchanged lake changes nothing"


@pytest.mark.parametrize(("model", "seed"), some([("kind", 6), ("loan", 1), ("eta", 3)], 1))
def test_every_shape_of_question_has_the_answer_of_the_reference_engine_from_the_files(lake_world, model, seed):
    store, engine, _ = lake_world
    assert same_answers(engine.ask, partial(reference_engine.ask, store), model, seed, every=2) >= 5


@pytest.mark.parametrize(("model", "sample"), some(SAMPLES, 2))
def test_samples_from_the_lake_equal_those_of_the_store(lake_world, model, sample):
    store, engine, _ = lake_world
    for fields in ({}, {"as_of": START + 2 * DAY}, {"environment": "reference"}):
        window = Window(model, START, START + DAYS * DAY, **fields)
        pd.testing.assert_frame_equal(engine.ask(sample, window), listing.answer_sample(store, sample, window))


def test_a_prediction_is_found_by_its_id_in_one_partition(lake_world):
    store, engine, _ = lake_world
    for model in ("loan", "eta", "kind"):
        for id_ in stored(store, "predictions", model)["id"].drop_duplicates()[::40]:
            wanted = store.row(model, id_)
            assert json.dumps(engine.row(model, id_), default=str) == json.dumps(wanted, default=str)
            if wanted["environment"] != "reference" and not wanted["other_answers"]:
                assert engine.row(model, id_, day=wanted["at"].date())["id"] == id_
                with pytest.raises(NotFoundError):
                    engine.row(model, id_, day=wanted["at"].date() + DAY)


def day_files(store, span):
    """The days whose prediction files are read for a question about this span."""
    model = store.catalog().model("loan")
    query = f'SELECT DISTINCT "at"::DATE::VARCHAR FROM predictions_{model.key} ORDER BY 1'
    return [day for (day,) in store.removed_rows(model, span).execute(query).fetchall()]


def test_a_question_reads_the_files_of_its_days_alone(aged):
    _, after, _ = aged
    assert day_files(after, (START, START + DAY - HOUR)) == ["2026-03-01"]
    assert day_files(after, (START + HOUR, START + 2 * DAY - HOUR)) == ["2026-03-01", "2026-03-02"]
    assert day_files(after, None) == ["2026-03-01", "2026-03-02", "2026-03-03"]


@pytest.mark.parametrize("held", [0, 2_000_000])
def test_answers_are_those_of_a_store_that_kept_its_rows(aged, tmp_path, monkeypatch, held):
    before, after, _ = aged
    monkeypatch.setattr(lake_tables, "HELD_LABELS", held)
    with open_store_again(after.home, tmp_path) as store:
        for start, end in SPANS:
            for fields in ({}, {"as_of": START + 2 * DAY + timedelta(minutes=7)}):
                window = Window("loan", start, end, **fields)
                assert_same(store.ask(OUTCOMES, window), before.ask(OUTCOMES, window), about=window)
                rows = Sample("outcomes", ("id", "at", "label", "score"), 50)
                pd.testing.assert_frame_equal(store.ask(rows, window), before.ask(rows, window))
        tables = store._lake._present_tables()
        assert (sum(tables._held.values()) > 0) == (held > 0)


def test_an_engine_over_a_lake_that_is_not_there_is_refused_and_makes_no_folder(lake_world, tmp_path):
    store, _, lake = lake_world
    with pytest.raises(StoreBrokenError, match="the lake is not there"):
        LakeEngine(store, str(tmp_path / "away"))
    assert not (tmp_path / "away").exists()
    (tmp_path / "empty").mkdir()
    with pytest.raises(StoreBrokenError, match="has no lake"):
        LakeEngine(store, str(tmp_path / "empty"))
    lake.rename(tmp_path / "mounted")
    lake.mkdir()
    try:
        with pytest.raises(StoreBrokenError, match="is older than the state 1"):
            LakeEngine(store, str(lake))
    finally:
        lake.rmdir()
        (tmp_path / "mounted").rename(lake)


def test_rollups_that_duckdb_computes_from_the_lake_are_those_of_the_store_with_late_labels(tmp_path):
    """Some days are removed from the store. Each day is a separate group, and the changes are added in steps."""
    with copied(tmp_path / "home") as store:
        keep_three_days(store, tmp_path / "lake")
        wanted = {model.name: rollups(store, model.key) for model in store.catalog().models}
        assert store.nightly(START + 6 * DAY)["failures"] == []
        for name in ("loan", "eta", "kind", "stray"):
            key = store.catalog().model(name).key
            with store.write() as writer:
                for table in ("counts", "sums"):
                    writer.execute(f"DELETE FROM {table}_{key} WHERE period > 0")
            assert rollups(store, key) != wanted[name]
        last = START.date() + DAYS * DAY
        body = store.compute_lake_rollups(None, [], START.date(), last)
        assert [each["model"] for each in body["models"]] == ["eta", "kind", "loan", "stray"] and body["engine"] == "duckdb"
        for each in body["models"]:
            assert each["left"] == {} and each["days"] == DAYS
            assert_same_rollups(rollups(store, store.catalog().model(each["model"]).key), wanted[each["model"]])
        again = store.compute_lake_rollups(str(tmp_path / "lake"), ["eta"], START.date(), START.date())
        assert again["models"][0]["days"] == 1
        assert_same_rollups(rollups(store, store.catalog().model("eta").key), wanted["eta"])
        late = {**prediction("late", 4, "eta"), "score": 3.0}
        loaded(store, late)
        now = rollups(store, store.catalog().model("eta").key)
        left = store.compute_lake_rollups(None, ["eta"], START.date(), last)["models"][0]["left"]
        assert left == {"2026-03-04": "its rows are not those of the store"}
        assert_same_rollups(rollups(store, store.catalog().model("eta").key), now)


def test_small_models_that_share_tables_are_answered_by_the_store(lake_world):
    store, engine, _ = lake_world
    assert not engine.has_rows_of("stray")
    aggregate = next(shapes("stray"))
    window = next(windows("stray", random.Random(1)))
    assert engine.ask(aggregate, window).equals(answer_aggregate(store, aggregate, window))
