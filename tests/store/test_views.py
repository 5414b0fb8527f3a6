"""The SQL views give the rows of the store, their columns are documented, and a query on the views cannot reach anything else."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from observability.core.catalog import Model
from observability.core.distinct_names import distinct_names
from observability.core.errors import NotFoundError, UsageError
from observability.core.questions import Aggregate, By
from observability.core.view_names import quoted_identifier, view_name
from observability.core.window import Window
from observability.investigation.case import case
from observability.store.db.catalog_store import add_model
from observability.store.db.record_tables import kind_tables
from observability.store.duck_store import DuckStore
from observability.store.views.model_views import MODEL_VIEWS, ViewColumn
from observability.store.views.store_views import STORE_VIEWS, record_columns
from tests.support import engine_world
from tests.support.new_store import new_store
from tests.support.record_lines import label, prediction

ROOT = Path(__file__).parents[2]
END = engine_world.START + timedelta(days=engine_world.DAYS)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckStore]:
    with engine_world.copied(tmp_path_factory.mktemp("views") / "home") as store:
        yield store


def documented() -> list[str]:
    """The part of docs/views.md that is generated from the code: each view with its columns."""
    views = [(f"MODEL.{name}", of, columns) for name, (of, columns) in MODEL_VIEWS.items()]
    views += [(name, of, columns) for name, (of, columns, _) in STORE_VIEWS.items()]
    lines = []
    for name, of, columns in views:
        lines += [f"## `{name}`: {of}", "", "| column | meaning |", "|---|---|"]
        lines += [f"| `{column.name}` | {column.meaning} |" for column in columns] + [""]
    lines += ["## Records of the other kinds", "", "| view | columns |", "|---|---|"]
    lines += [f"| `{table}` | {', '.join(map(in_short, record_columns(kind)))} |" for kind, table in kind_tables().items()]
    return lines


def in_short(column: ViewColumn) -> str:
    plain = column.name.replace("_", " ")
    return f"`{column.name}`" + ("" if column.meaning == plain or column.name in ("arrived", "extra", "sample") else f" ({column.meaning})")


def test_the_document_lists_every_view_and_column_of_the_code() -> None:
    text = (ROOT / "docs" / "views.md").read_text(encoding="utf-8")
    assert text.partition("compares them.\n\n")[2].rstrip("\n").split("\n") == documented()


def rows_of(store: DuckStore, sql: str) -> list[tuple[object, ...]]:
    return store.query_views(sql, most_rows=1_000_000).rows


@pytest.mark.parametrize("as_of", [None, engine_world.START + timedelta(days=3, minutes=7)])
@pytest.mark.parametrize("name", ["loan", "eta", "kind", "stray"])
def test_predictions_with_their_labels_are_those_of_the_engine(world: DuckStore, name: str, as_of: datetime | None) -> None:
    model = world.catalog().model(name)
    window = Window(name, engine_world.START, END, as_of=as_of)
    counts = world.ask(Aggregate("outcomes", keys=(By("version"), By("decision"), By("label"), By("status"))), window)
    classes = {-1: None} | dict(enumerate(model.classes))
    expected = {
        (row.version, classes.get(row.decision), row.label >= 0, classes.get(row.label), row.status): (row.n, round(row.w, 6))
        for row in counts.itertuples()
    }
    of = "predictions" if as_of is None else "predictions_as_of"
    until = "" if as_of is None else f"(TIMESTAMP '{as_of:%Y-%m-%d %H:%M:%S}')"
    known = "label IS NOT NULL" if name != "stray" else "false"
    classed = "NULL" if name in ("eta", "stray") else "label"
    found = rows_of(
        world,
        f"""SELECT version, decision, {known}, {classed}, status, count(*), round(sum(weight), 6)
        FROM {view_name(model, of)}{until}
        WHERE environment = 'production' AND "at" >= TIMESTAMP '{engine_world.START:%Y-%m-%d}' AND "at" < TIMESTAMP '{END:%Y-%m-%d}'
        GROUP BY ALL""",
    )
    assert {row[:5]: row[5:] for row in found} == expected


def test_every_view_of_every_model_can_be_read(world: DuckStore) -> None:
    listed = {(view, column) for view, column, _ in rows_of(world, "FROM view_columns")}
    for model in world.catalog().models:
        for view, (_, columns) in MODEL_VIEWS.items():
            answer = world.query_views(f"SELECT * FROM {view_name(model, view)}")
            fixed = [column.name for column in columns if "." not in column.name]
            assert list(answer.columns[: len(fixed)]) == fixed
            assert all((f"MODEL.{view}", name) in listed for name in fixed)
        own = world.query_views(f"SELECT * FROM {view_name(model, 'predictions')}").columns
        assert set(model.view_columns.values()) <= set(own)
    for view in (*STORE_VIEWS, *kind_tables().values(), "view_columns"):
        assert world.query_views(f"SELECT * FROM {view}").columns


@pytest.mark.parametrize(("name", "reference"), [("loan", "feature.income"), ("loan", "score"), ("eta", "score"), ("loan", "feature.city")])
def test_raw_rows_binned_by_the_view_of_edges_equal_the_stored_counts(world: DuckStore, name: str, reference: str) -> None:
    model = world.catalog().model(name)
    kept = world.ask(Aggregate("predictions", keys=(By("version"),), histogram=(reference,)), Window(name, engine_world.START, END))
    registered = [version.name for version in model.versions if version.registered]
    expected = {
        (row.version, row.bin): row.n for row in kept.itertuples() if row.bin >= 0 and (row.version in registered or reference == "score")
    }
    value = quoted_identifier(model.view_columns.get(reference, reference))
    inside = "value = e.level" if "city" in reference else "NOT isnan(value) AND value >= e.low AND (value < e.high OR isinf(e.high))"
    found = rows_of(
        world,
        f"""SELECT version, bin, count(*) FROM (
            SELECT version, {value} AS value FROM {view_name(model, "predictions")}
            WHERE environment = 'production' AND "at" >= TIMESTAMP '{engine_world.START:%Y-%m-%d}' AND "at" < TIMESTAMP '{END:%Y-%m-%d}') p
        JOIN {view_name(model, "edges")} e USING (version) WHERE e."column" = '{reference}' AND {inside} GROUP BY ALL""",
    )
    assert {row[:2]: row[2] for row in found} == expected


def test_counts_and_sums_add_up_to_the_rows(world: DuckStore) -> None:
    model = world.catalog().model("loan")
    where = "environment = 'production' AND version = '1'"
    counted = rows_of(
        world,
        f"""SELECT decision, label, sum(n)::BIGINT FROM {view_name(model, "counts")}
        WHERE {where} AND measure = 'outcomes' AND slice_column IS NULL GROUP BY ALL HAVING sum(n) <> 0""",
    )
    rows = rows_of(world, f"SELECT decision, label, count(*) FROM {view_name(model, 'predictions')} WHERE {where} GROUP BY ALL")
    assert sorted(counted, key=str) == sorted(rows, key=str)
    ((summed,),) = rows_of(
        world, f"SELECT sum(total) FROM {view_name(model, 'sums')} WHERE {where} AND measure = 'brier' AND slice_column IS NULL"
    )
    ((by_row,),) = rows_of(
        world,
        f"""SELECT sum(weight * (score - label::INTEGER) ** 2) FROM {view_name(model, "predictions")}
        WHERE {where} AND label IS NOT NULL AND isfinite(score)""",
    )
    assert summed == pytest.approx(by_row)


def test_the_current_label_is_marked_among_its_revisions(store: DuckStore, landed: Callable[..., object]) -> None:
    landed(prediction(0), label(0, 0), label(0, 1, at="2024-03-03T00:00:00Z"), label(1, 0))
    found = rows_of(store, 'SELECT id, value, current FROM "loan.labels" ORDER BY id, "at"')
    assert found == [("p0", "0", False), ("p0", "1", True), ("p1", "0", True)]


def test_the_sync_time_the_baseline_and_the_item_are_columns_of_predictions(store: DuckStore, landed: Callable[..., object]) -> None:
    landed(
        prediction(0, synced_at="2024-03-02T02:00:00+02:00", baseline=0.75, item="q1"),
        prediction(1, synced_at="yesterday", baseline={"a": 1}),
        prediction(2, synced_at="2024-03-02T02:00:00.5Z", baseline="no"),
        prediction(3, synced_at="2024-03-02T02:00:00"),
        prediction(4),
    )
    assert rows_of(store, 'SELECT synced_at, baseline, item FROM "loan.predictions" ORDER BY id') == [
        (datetime(2024, 3, 2), "0.75", "q1"),
        (None, '{"a":1}', None),
        (datetime(2024, 3, 2, 2, 0, 0, 500_000), "no", None),
        (None, None, None),
        (None, None, None),
    ]
    ((kind,),) = rows_of(store, """SELECT DISTINCT typeof(synced_at) FROM "loan.predictions" """)
    assert kind == "TIMESTAMP"
    for number in range(2):
        record = case(store, f"p{number}").to_json()["prediction"]
        assert record["baseline"] == (0.75, {"a": 1})[number]
        assert "extra" not in record


def test_names_that_differ_only_in_case_are_distinguished(store: DuckStore) -> None:
    assert distinct_names([(1, "a"), (2, "A"), (3, "A (2)"), (4, "b")]) == ["a", "A (2)", "A (2) (3)", "b"]
    with store.write() as writer:
        for name in ("Loan", "loan", 'say "hi"'):
            add_model(writer, name)
    first, second, quoted = (store.catalog().model(name) for name in ("Loan", "loan", 'say "hi"'))
    names = [view_name(model, "labels") for model in (first, second, quoted)]
    assert names == ['"Loan.labels"', '"loan (2).labels"', '"say ""hi"".labels"']
    for name in names:
        assert rows_of(store, f"FROM {name}") == []


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM read_text('{home}/secret.csv')",
        "SELECT * FROM read_csv('{home}/secret.csv')",
        "FROM '{home}/secret.csv'",
        'FROM "{home}/secret.csv"',
        "SELECT (SELECT max(column0) FROM '{home}/secret.csv')",
        'WITH "{home}/secret.csv" AS (SELECT 1) FROM "{home}/secret.csv"',
        'FROM (WITH "{home}/secret.csv" AS (SELECT 1) SELECT 1), "{home}/secret.csv"',
        "SELECT * FROM glob('{home}/*')",
        "FROM query('SELECT 1')",
        "FROM query_table('predictions_1')",
        "FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
        "FROM duckdb_settings()",
        "FROM duckdb_tables",
        "FROM predictions_1",
        "FROM main.predictions_1",
        "FROM store.main.models",
        "FROM information_schema.tables",
        "FROM (WITH predictions_1 AS (SELECT 1) SELECT 1), predictions_1",
        "FROM (WITH duckdb_settings AS (SELECT 1) SELECT 1), duckdb_settings",
        "SELECT current_setting('temp_directory')",
        "SELECT write_log('x')",
        "SHOW TABLES",
        "DELETE FROM runs",
        "WITH a AS (DELETE FROM runs RETURNING *) FROM a",
        "CREATE TABLE a (b INTEGER)",
        "COPY runs TO '{home}/out.csv'",
        "ATTACH '{home}/other.duckdb'",
        "SET memory_limit = '1TB'",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "SELECT 1; DROP TABLE models",
        "",
    ],
)
def test_a_query_reaches_nothing_but_the_views(world: DuckStore, query: str) -> None:
    (world.home / "secret.csv").write_text("secret\n")
    before = sorted(path.name for path in world.home.iterdir())
    with pytest.raises(UsageError):
        world.query_views(query.replace("{home}", str(world.home)))
    assert sorted(path.name for path in world.home.iterdir()) == before
    assert world.catalog().models


def test_a_query_that_takes_too_long_is_ended(world: DuckStore) -> None:
    with pytest.raises(UsageError, match="took too long"):
        world.query_views("SELECT count(*) FROM range(1000000000) a(i), range(1000000) b(j) WHERE i * j % 7 = 3", seconds=0.2)
    assert world.query_views("SELECT 1").rows == [(1,)]


def test_an_answer_is_cut_and_says_so(world: DuckStore) -> None:
    answer = world.query_views("SELECT i, i FROM range(10) a(i)", most_rows=4)
    assert (answer.columns, len(answer.rows), answer.more) == (("i", "i (2)"), 4, True)
    assert not world.query_views("SELECT i FROM range(4) a(i)", most_rows=4).more


def test_errors_name_what_is_wrong_and_the_nearest_view(world: DuckStore) -> None:
    with pytest.raises(NotFoundError, match=r'Did you mean "loan\.predictions"\?'):
        world.query_views('FROM "loan.prediction"')
    with pytest.raises(UsageError, match='Referenced column "nonsense" not found'):
        world.query_views("SELECT nonsense FROM runs")
    with pytest.raises(UsageError, match="the query cannot be read"):
        world.query_views("SELEC 1")


def test_the_error_of_a_column_with_the_name_of_a_keyword_shows_a_query_that_runs(world: DuckStore) -> None:
    reserved = duckdb.sql("SELECT keyword_name FROM duckdb_keywords() WHERE keyword_category IN ('reserved', 'type_function')").fetchall()
    rows = world.query_views(
        """SELECT DISTINCT ON ("column") view, "column" FROM view_columns WHERE view NOT LIKE 'MODEL%'""", most_rows=999
    ).rows
    unusable = [(view, column) for view, column in rows if (column,) in reserved and column != "columns"]
    assert {column for _, column in unusable} >= {"at", "from"}
    for view, column in unusable:
        query = f"SELECT max({column}) FROM {view} WHERE {column} IS NOT NULL"
        with pytest.raises(UsageError) as error:
            world.query_views(query)
        assert error.value.attempt is not None
        written = error.value.attempt.partition(": ")[2]
        assert written == query.replace(f"({column})", f'("{column}")').replace(f"WHERE {column}", f'WHERE "{column}"')
        assert len(world.query_views(written).rows) == 1


@pytest.mark.parametrize(
    "query", ["SELECT min(at FROM runs", "SELECT at + FROM runs", "SELECT max(order) FROM runs", "SELECT (1", "SELECT a + from runs"]
)
def test_an_error_that_quotes_would_not_fix_gives_no_advice_about_quotes(world: DuckStore, query: str) -> None:
    with pytest.raises(UsageError, match="the query cannot be read") as error:
        world.query_views(query)
    assert "double quotes" not in str(error.value.attempt)


def test_a_model_without_any_column_has_its_views(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        with store.write() as writer:
            add_model(writer, "bare")
        bare: Model = store.catalog().model("bare")
        assert [rows_of(store, f"FROM {view_name(bare, view)}") for view in MODEL_VIEWS] == [[]] * len(MODEL_VIEWS)
