"""A model with many columns is registered, loaded and checked in time proportional to the number of columns, not to its square."""

import resource
import sys
from datetime import timedelta

import numpy as np
import pytest

from observability.core.catalog import Column, Edges, Model, Version
from observability.core.errors import UsageError
from observability.core.questions import Aggregate, Bucket
from observability.core.window import Window
from observability.monitoring.check import check
from observability.store.db.catalog_store import add_columns, add_model, read_catalog, save_edges, save_version
from observability.store.db.schema import COLUMN_TYPES, PREDICTION_COLUMNS
from observability.store.ingest.stage import with_null_columns
from observability.store.query import query_batching
from observability.store.query.answer import AnswerCells, KeyColumn
from observability.store.query.from_rollup import _measures_sql
from observability.store.query.source import WindowRows, from_clause
from observability.store.registry import admin, infer
from tests.support.new_store import new_store
from tests.support.wide_model import END, wide_model

KINDS = ("number", "category", "boolean")


class CountingCursor:
    """A cursor that counts its statements."""

    def __init__(self, cursor):
        self.cursor, self.statements = cursor, 0

    def execute(self, *given):
        self.statements += 1
        return self.cursor.execute(*given)

    def executemany(self, statement, rows):
        self.statements += len(rows)
        return self.cursor.executemany(statement, rows)


def wanted(columns):
    return [("group" if place % 10 == 9 else "feature", f"name {place}", KINDS[place % 3]) for place in range(columns)]


@pytest.mark.parametrize("held", [0, 3])
def test_columns_added_together_are_stored_like_columns_added_one_by_one(tmp_path, held):
    with new_store(tmp_path / "home") as store:
        found = []
        with store.write() as writer:
            for name, together in (("one by one", False), ("together", True)):
                key = add_model(writer, name)
                add_columns(writer, key, wanted(2), ["feature.name 1"])
                if held:
                    writer.execute(f"INSERT INTO predictions_{key} (id, id_hash, f1) SELECT 'a', 1, 2.5 FROM range({held})")
                parts = [wanted(30)] if together else [[each] for each in wanted(30)]
                given = [add_columns(writer, key, part, ["feature.name 1", "group.name 9"]) for part in parts]
                table = writer.execute(f"DESCRIBE predictions_{key}").fetchall()
                rows = writer.execute(f"SELECT f1, f30 FROM predictions_{key}").fetchall()
                found.append(({name: column for part in given for name, column in part.items()}, table, rows))
        assert found[0] == found[1]
        columns, table, rows = found[1]
        assert [column.column for column in columns.values()] == [f"f{number}" for number in range(1, 31)]
        assert columns["group.name 9"].sensitive and not columns["feature.name 2"].sensitive
        assert dict(row[:2] for row in table)["f3"] == COLUMN_TYPES["boolean"] and rows == [(2.5, None)] * held
        assert store.catalog().model("together").columns == tuple(columns.values())


def test_statements_do_not_grow_with_the_columns(tmp_path):
    counts = []
    with new_store(tmp_path / "home") as store, store.write() as writer:
        for columns in (20, 200):
            key, counting = add_model(writer, f"of {columns}"), CountingCursor(writer)
            add_columns(counting, key, wanted(columns))
            edges = {f"feature.name {place}": Edges(edges=(0.0, float(place)), levels=("a", 'b"')) for place in range(columns)}
            save_edges(counting, key, "1", edges)
            counts.append(counting.statements)
            stored = writer.execute("SELECT count(*), count(DISTINCT reference) FROM edges WHERE key = ?", [key]).fetchall()
            assert stored == [(columns, columns)]
    assert counts[0] == counts[1] < 20


def test_edges_that_are_saved_are_those_that_are_read(tmp_path):
    with new_store(tmp_path / "home") as store:
        with store.write() as writer:
            key = add_model(writer, "loan")
            edges = {"feature.a": Edges(levels=("it's", 'say "b"', "null")), "feature.b": Edges(edges=(-1.5, 1e300))}
            save_version(writer, key, Version("1", edges=edges))
            save_version(writer, key, Version("1", edges=edges))
            version = read_catalog(writer).model("loan").version("1")
        assert dict(version.edges) == edges


def test_missing_columns_are_added_once_and_in_order():
    import pyarrow as pa

    table = pa.table({"a": [1, 2], "b": ["x", "y"]}).replace_schema_metadata({"kept": "yes"})
    whole = with_null_columns(table, ["b", "c", "d", "c"])
    assert whole.column_names == ["a", "b", "c", "d"] and whole["d"].null_count == 2 and whole.schema.metadata == {b"kept": b"yes"}
    assert with_null_columns(table, ["a"]) is table


def work_of_a_check(store, model):
    """The number of calls during a check that reads counts, and the findings."""
    asked = {"model": model, "start": END - timedelta(days=7), "end": END, "now": END, "with_records": False, "reads": "counts"}
    calls = 0

    def note(_frame, event, _given):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        found = check(store, **asked).findings
    finally:
        sys.setprofile(None)
    return calls, found


def test_the_work_of_a_check_grows_no_faster_than_the_columns(tmp_path):
    with new_store(tmp_path / "home") as store:
        widths = (10, 20, 60)
        models = [wide_model(store, tmp_path, columns) for columns in widths]
        work_of_a_check(store, models[0])  # the first check of a process imports and compiles
        work = [work_of_a_check(store, model) for model in models]
    calls, findings = zip(*work, strict=True)
    few, many = (calls[1] - calls[0]) / 10, (calls[2] - calls[1]) / 40
    assert many < 1.05 * few, f"{few:.0f} calls a column between 10 and 20 columns, {many:.0f} between 20 and 60"
    moved = [sum(each.analyzer == "serving/drift" and each.needs_action for each in of) for of in findings]
    assert [count >= columns / 2 for count, columns in zip(moved, widths)] == [True] * 3


class CountedName(str):
    """A name that counts how often any name of this class is compared or hashed."""

    __slots__ = ()
    looks = 0

    def __eq__(self, other):
        CountedName.looks += 1
        return str.__eq__(self, other)

    def __hash__(self):
        CountedName.looks += 1
        return str.__hash__(self)


def looks_at_names(work):
    CountedName.looks = 0
    work()
    return CountedName.looks


def test_columns_of_a_shared_answer_are_looked_up_once_each():
    def cut(columns):
        held, wanted = ([CountedName(f"feature.f{place}") for place in range(columns)] for _ in range(2))
        ones, at = np.ones(columns), np.arange(columns)
        keys = {"period": KeyColumn(np.zeros(columns, np.int64)), "column": KeyColumn(at, held), "bin": KeyColumn(at)}
        question = Aggregate("predictions", keys=(Bucket("day"),), histogram=tuple(wanted[::-1]))
        window = Window("m", END - timedelta(days=7), END)
        answer = AnswerCells(keys, {"n": ones.astype(np.int64), "w": ones, "w2": ones})
        looks = looks_at_names(lambda: found.append(query_batching._member_cells(answer, question, window, window).table()))
        assert found[-1]["column"].tolist() == wanted[::-1] and found[-1]["bin"].tolist() == at[::-1].tolist()
        return looks

    found = []
    few, many = cut(50), cut(200)
    assert many <= 5 * few, f"{few} looks at the names of 50 columns, {many} at those of 200"


def test_features_that_no_version_names_are_found_in_time_proportional_to_the_columns():
    def work(columns):
        names = tuple(CountedName(f"f{place}") for place in range(columns))
        model = Model(
            1,
            "m",
            columns=tuple(Column(place, name, f"f{place}", "number") for place, name in enumerate(names)),
            versions=(Version("1", registered_at=END, features=names),),
        )
        window = Window("m", END - timedelta(days=7), END)
        return looks_at_names(lambda: found.append(admin._unregistered_columns(None, model, {("1", "production"): 1}, window)))

    found = []
    few, many = work(50), work(200)
    assert found == [{}, {}] and many <= 5 * few, f"{few} looks at the names of 50 columns, {many} at those of 200"


def test_a_version_of_more_than_a_thousand_features_is_registered_and_loaded(tmp_path):
    with new_store(tmp_path / "home") as store:
        name = wide_model(store, tmp_path, 1500, rows=60)
        model = store.catalog().model(name)
        assert len(model.version("1").features) == len(model.columns) == 1500 and len(model.version("1").edges) == 1500
        asked = Aggregate("predictions", sums=("feature.number 0", "feature.number 749"))
        sums = store.ask(asked, Window(model.name, END - timedelta(days=14), END))
        assert list(sums["n"]) == [60, 60] and sums["total"][0] == sums["total"][1] != 0
        assert (
            store.rows(Window(model.name, END - timedelta(days=14), END), ["id", "feature.category 749"], 5)["feature.category 749"]
            .notna()
            .all()
        )


def test_a_version_with_too_many_features_is_refused_with_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(infer, "MAX_FEATURES", 5)
    with new_store(tmp_path / "home") as store, pytest.raises(UsageError, match="too many features") as refused:
        wide_model(store, tmp_path, 6)
    assert refused.value.expected == "at most 5" and refused.value.got == "6"


@pytest.mark.long
def test_a_model_of_twelve_thousand_features_is_checked_in_bounded_memory(tmp_path):
    with new_store(tmp_path / "home") as store:
        wide_model(store, tmp_path, 12_000, levels=200)
        found = work_of_a_check(store, "of 12000")[1]
    judged = {each.subject for each in found if each.analyzer == "serving/drift" and each.metric == "psi"}
    assert len(judged) == 12_001 and resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 4 * 2**20


def test_a_statement_about_rows_reads_only_the_features_that_it_names(tmp_path):
    with new_store(tmp_path / "home") as store:
        with store.write() as writer:
            key = add_model(writer, "wide")
            add_columns(writer, key, wanted(40), [])
        model = store.catalog().model("wide")
        rows = WindowRows(model, {1: Version("1")}, None, None)
        cursor = store.cursor()
        read = {}
        for expressions in (["p.f3", "coalesce(p.f17, 0)", "p.score"], []):
            _, source, parameters = from_clause(cursor, rows, expressions, False, placed=True)
            shown = cursor.execute(f"SELECT p.* {source}", parameters).description
            read[len(expressions)] = {name for name, *_ in shown}
        assert read[3] - read[0] == {"f3", "f17"} and read[0] == {"place", *PREDICTION_COLUMNS}


def test_a_question_about_all_columns_does_not_list_them() -> None:
    """For a list of thousands of numbers, DuckDB's planning and comparing take a third of the time of such a question."""
    assert _measures_sql(range(7, 12_007)) == "measure BETWEEN 7 AND 12006"
    assert _measures_sql([5]) == "measure BETWEEN 5 AND 5"
    assert _measures_sql([1, 2, 4]) == "measure IN (1, 2, 4)"
