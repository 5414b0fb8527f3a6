"""Small unregistered models share tables, and every answer equals that from separate tables."""

import csv
import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from observability.core.errors import NotFoundError
from observability.monitoring.check import check
from observability.store.db import shared_tables
from observability.store.db.keeping import FILE as KEEPING
from observability.store.db.schema import MODEL_TABLES
from observability.store.erase import forget_subject
from observability.store.ingest import batch_rows, block
from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store, restore_home
from observability.store.query.source import snapshot_cursor
from observability.store.retention import apply_retention
from observability.store.rollup import rollup
from observability.store.types.registration import RegistrationRequest
from tests.store.conftest import query, rollups
from tests.support.bytes_of_home import found_in
from tests.support.landing import land
from tests.support.new_store import new_store
from tests.support.record_lines import label, prediction

START, END, NOW = (datetime(2024, 3, day, tzinfo=UTC) for day in (1, 5, 20))
ODD = {"age": "NaN", "job": 'say "cook", \\ {ü}', "rate": 0.1 + 0.2, "big": 1e300, "new": True, "none": None}
SUBJECT = "jane-77.Q@mail"


def lines(model):
    """Predictions and labels of a model in three segments, with new columns, wrong types, duplicates, conflicts, and late and changed
    labels.
    """
    first = [prediction(i, device=f"d{i % 2}", latency_ms=3.5 + i, subject=f"s{i}", label=i % 2) for i in range(6)]
    second = [prediction(6, features=ODD, comment="extra"), prediction(7, at="2024-03-02T00:00:00Z", replica="r1")]
    second += [prediction(0), prediction(1, score=0.9), label(6, 0), label(2, 1, at="2024-03-03T00:00:00Z")]
    third = [prediction(8, features={"age": "abc", "new": False, "later": "x"}, version="2", environment="shadow"), label(8, 1)]
    return [[record | {"model": model, "received_at": record["at"]} for record in part] for part in (first, second, third)]


def load_lines(store, *models):
    """Load the lines of some models in three segments."""
    for parts in zip(*map(lines, models), strict=True):
        land(store, *(record for part in parts for record in part))
        load_landing(store)


def tables_of(store, key=1):
    """Rows and types of every table of a model, without the row ids."""
    found = {}
    for table in MODEL_TABLES:
        cursor = store.cursor()
        frame = cursor.execute(f"SELECT * FROM {table}_{key}").df().drop(columns="rowid", errors="ignore")
        found[table] = (frame.dtypes.astype(str).to_dict(), sorted(map(rounded, frame.astype(str).values.tolist())))
        cursor.close()
    return found


def rounded(value):
    """The representation of a value, without the last digits of its numbers, because these depend on the order of addition."""
    return re.sub(r"\d+\.\d{9,}", lambda number: f"{float(number[0]):.8g}", repr(value))


def table_names(store):
    return {name for (name,) in query(store, "SELECT table_name FROM duckdb_tables() WHERE NOT temporary")}


def shared_rows(store):
    return sum(query(store, f"SELECT count(*) FROM {table}_shared")[0][0] for table in MODEL_TABLES)


def seen(store, model):
    """Everything visible about a model: its status, its views and its findings."""
    left_out = ("bytes", "hours_since_last")
    status = next(each for each in store.status()["models"] if each["model"] == model)
    views = [sorted(map(rounded, store.query_views(f'FROM "{model}.{view}"').rows)) for view in ("predictions", "labels", "counts", "sums")]
    findings = check(store, model=model, start=START, end=END, now=NOW).findings
    return {name: value for name, value in status.items() if name not in left_out}, views, sorted(map(rounded, findings))


def register(store, tmp_path):
    """Register a version of the model loan."""
    with (tmp_path / "reference.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["age", "job", "score", "label"])
        writer.writerows([20 + i, ("cook", "nurse")[i % 2], (i % 10) / 10, int(i % 10 > 4)] for i in range(200))
    store.register(RegistrationRequest("loan", "1", tmp_path / "reference.csv", "binary", label="label", score=("score",)), now=NOW)


def test_a_shared_model_gives_the_answers_of_one_with_tables_of_its_own_and_keeps_them_when_registered(tmp_path, monkeypatch):
    with open_store(tmp_path / "shared") as store, new_store(tmp_path / "own") as other:
        load_lines(store, "loan", "a'b")
        monkeypatch.setattr(block, "SHARED_ROWS", -1)
        load_lines(other, "loan", "a'b")
        assert [each.shared for each in store.catalog().models] == [True, True] and shared_rows(other) == 0
        assert not [name for name in table_names(store) if name.endswith(("_1", "_2"))]
        assert [each.name_in_sql for each in store.catalog().models] == [each.name_in_sql for each in other.catalog().models]
        for key in (1, 2):
            assert tables_of(store, key) == tables_of(other, key), key
        assert tables_of(store)["predictions"][1] and tables_of(store)["slices"][1]
        assert seen(store, "loan") == seen(other, "loan")
        assert store.verify()["problems"] == [] and store.catalog().model("loan").shared, "verify changes nothing"
        asked = [store.rows_by_id_prefix("p", 50), store.rows_of_subject("s1", 50)]
        assert [len(each) for each in asked] == [len(other.rows_by_id_prefix("p", 50)), 2]
        for opened in (store, other):
            register(opened, tmp_path)
        assert not store.catalog().model("loan").shared and store.catalog().model("a'b").shared
        assert "predictions_2" in table_names(store) and query(store, "SELECT DISTINCT key FROM predictions_shared") == [(1,)]
        assert tables_of(store, 2) == tables_of(other, 2)
        assert seen(store, "loan") == seen(other, "loan")
        load_lines(store, "loan", "a'b")
        assert len(store.rows_by_id_prefix("p", 50)) == len(other.rows_by_id_prefix("p", 50)), "the second load found only duplicates"


def test_models_that_are_stored_together_give_the_answers_of_each_stored_alone(tmp_path, monkeypatch):
    """This also holds if one model has more columns, has other types under the same numbers, or has only labels, and if everything is
    loaded again.
    """
    names = ("loan", "a'b", "a/b", "odd", "wide")

    def own(model, record):
        if record["kind"] == "prediction" and model in ("odd", "wide"):
            swapped = {"age": f"{record['features'].get('age')} years", "job": 0.1 + len(record["features"]), "zero": -0.0}
            record = record | {"features": swapped if model == "odd" else {f"x{i}": i / 3 for i in range(30)} | {"age": 5, "new": True}}
        return record

    ratings = [label(i, i, model="only", received_at="2024-03-02T00:00:00Z") for i in range(3)]

    def loaded(store):
        for parts in zip(*map(lines, names), strict=True):
            land(store, *(own(record["model"], record) for part in parts for record in part), *ratings)
            load_landing(store)

    with open_store(tmp_path / "together") as store, new_store(tmp_path / "alone") as other:
        loaded(store)
        monkeypatch.setattr(batch_rows, "MIN_MEMBERS", 10**9)
        loaded(other)
        monkeypatch.setattr(batch_rows, "MIN_MEMBERS", 2)
        assert all(model.shared for model in store.catalog().models)
        for model in store.catalog().models:
            assert replace(model, key=0) == replace(other.catalog().model(model.name), key=0)
            assert tables_of(store, model.key) == tables_of(other, other.catalog().model(model.name).key), model.name
        assert seen(store, "odd") == seen(other, "odd") and seen(store, "a/b") == seen(other, "a/b")
        assert query(store, "SELECT * FROM arrivals ORDER BY ALL") == query(other, "SELECT * FROM arrivals ORDER BY ALL")
        reasons = "SELECT line, raw, reason, message, kind, model FROM rejected ORDER BY ALL"
        assert query(store, reasons) == query(other, reasons) and len(query(store, reasons)) >= len(names)
        before = [tables_of(store, model.key) for model in store.catalog().models]
        loaded(store)
        assert [tables_of(store, model.key) for model in store.catalog().models] == before, "the second load changed no table"
        assert store.verify()["problems"] == []
        assert not query(store, "SELECT table_name FROM duckdb_tables() WHERE table_name LIKE 'batch\\_%' ESCAPE '\\'")


def test_many_model_names_share_tables_and_a_model_that_grows_gets_its_own(store, landed, monkeypatch):
    before = table_names(store)
    assert landed(*(prediction(i, model=f"m{i}") for i in range(40))).stored == 40
    assert table_names(store) == before and shared_rows(store) > 80
    monkeypatch.setattr(block, "SHARED_ROWS", 5)
    landed(*(prediction(i, model="m0", label=1) for i in range(1, 4)))
    assert not store.catalog().model("m0").shared, "predictions and labels count"
    assert landed(*(prediction(i, model="m0", label=1) for i in range(4))).duplicates == 3
    landed(*(prediction(i, model="large", label=0) for i in range(4)))
    assert not store.catalog().model("large").shared
    assert len(table_names(store) - before) == 2 * len(MODEL_TABLES)
    key = store.catalog().model("m0").key
    assert query(store, f"SELECT count(*) FROM predictions_{key}") == [(4,)]
    counts = rollups(store, key)
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "m0")
    assert rollups(store, key) == counts


def test_moving_a_model_to_its_own_tables_is_one_transaction_and_a_reader_sees_one_state(store):
    load_lines(store, "loan")
    before = tables_of(store)
    with pytest.raises(RuntimeError), store.write() as writer:
        assert shared_tables.give_own_tables(writer, 1)
        raise RuntimeError
    assert tables_of(store) == before and store.catalog().model("loan").shared
    with snapshot_cursor(store) as cursor:
        (held,) = cursor.execute("SELECT count(*) FROM predictions_1").fetchall()
        with store.write() as writer:
            assert shared_tables.give_own_tables(writer, 1) and not shared_tables.give_own_tables(writer, 1)
        assert cursor.execute("SELECT count(*) FROM predictions_1").fetchall() == [held]
    assert tables_of(store) == before and not store.catalog().model("loan").shared


def test_a_removed_model_leaves_the_shared_tables_and_others_stay(store):
    load_lines(store, "loan", "other")
    kept = tables_of(store, 2)
    removed = store.remove_model("loan")
    assert removed["predictions"] == 9 and [each.name for each in store.catalog().models] == ["other"]
    assert query(store, "SELECT DISTINCT key FROM predictions_shared") == [(2,)] and tables_of(store, 2) == kept
    store.remove_model("other")
    assert shared_rows(store) == 0 and query(store, "SELECT count(*) FROM duckdb_views() WHERE NOT internal") == [(0,)]


def test_a_forgotten_subject_is_in_no_byte_of_the_shared_tables(store, landed, tmp_path):
    landed(
        prediction(0, subject=SUBJECT), prediction(1, features={"age": 1, "job": SUBJECT}), prediction(2, model="other", note=f"of {SUBJECT}"),
        prediction(3, model="other"),
    )  # fmt: skip
    store.backup(tmp_path / "backups")
    forget_subject(store, SUBJECT)
    store.cursor().execute("CHECKPOINT")
    assert found_in(store.home, SUBJECT) == [] and found_in(tmp_path / "backups", SUBJECT) == []
    assert [each.shared for each in store.catalog().models] == [False, True]
    assert query(store, "SELECT count(*) FROM predictions_1") == [(1,)] and query(store, "SELECT count(*) FROM predictions_2") == [(2,)]


def test_a_mention_of_a_forgotten_subject_in_another_shared_model_is_masked(store, landed):
    landed(prediction(0, subject=SUBJECT), prediction(1, model="other", features={"age": 1, "job": f"asked by {SUBJECT}"}))
    forget_subject(store, SUBJECT)
    assert store.catalog().model("other").shared
    ((text, age),) = query(store, "SELECT f2, f1 FROM predictions_2")
    assert SUBJECT not in text and text.startswith("asked by ") and age == 1.0


def test_a_number_that_reads_like_a_forgotten_id_stays(store, landed):
    landed(prediction(0, subject="250000"), prediction(1, model="other", features={"income": 250000, "job": "of 250000"}))
    forget_subject(store, "250000")
    other = store.catalog().model("other")
    column = {each.reference: each.column for each in other.columns}
    ((income, job),) = query(store, f"SELECT {column['feature.income']}, {column['feature.job']} FROM predictions_{other.key}")
    assert other.shared and income == 250000.0 and "250000" not in job


def test_retention_moves_only_models_that_lose_rows_to_their_own_tables(store, landed):
    landed(prediction(0), prediction(1, at="2024-03-15T10:00:00Z"), prediction(0, model="young", at="2024-03-15T10:00:00Z"))
    (store.home / KEEPING).write_text("[retention]\nrows = 10\nexplanations = 5\n")
    done = apply_retention(store, now=NOW)
    assert [(each["model"], each["rows"]) for each in done["removed"]] == [("loan", 1)]
    assert query(store, "SELECT id FROM predictions_1") == [("p1",)]
    assert [each.shared for each in store.catalog().models] == [False, True]
    assert landed(prediction(5, model="young")).reasons == {"expired": 1}


def test_a_backup_and_a_rewritten_store_hold_the_shared_tables(tmp_path):
    with new_store(tmp_path / "home") as store:
        load_lines(store, "loan", "other")
        before = tables_of(store), tables_of(store, 2)
        store.rewrite()
        assert (tables_of(store), tables_of(store, 2)) == before
        store.backup(tmp_path / "backups")
        assert store.verify_backup(tmp_path / "backups")["problems"] == []
    restore_home(tmp_path / "again", tmp_path / "backups")
    with new_store(tmp_path / "again") as store:
        assert (tables_of(store), tables_of(store, 2)) == before


def test_queries_of_people_cannot_read_shared_tables_or_internal_views(store, landed):
    landed(prediction(0))
    for name in ("predictions_shared", "predictions_1", "shared_models"):
        with pytest.raises(NotFoundError):
            store.query_views(f"SELECT * FROM {name}")
    assert store.query_views('SELECT count(*) FROM "loan.predictions"').rows == [(1,)]


def test_the_bytes_of_a_shared_model_are_its_part_of_the_shared_tables(store, landed):
    landed(*(prediction(i) for i in range(30)), *(prediction(i, model="other") for i in range(10)))
    store.cursor().execute("CHECKPOINT")
    sizes = {each["model"]: each["bytes"] for each in store.status()["models"]}
    assert sizes["loan"] == pytest.approx(3 * sizes["other"], abs=2) and sizes["other"] > 0
    assert "features" in set(store.column_storage("loan")["column"])
