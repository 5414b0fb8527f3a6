"""A person's query runs in the confined process, reads only the columns that it names, and returns the same rows as in the owner's
process.
"""

import json
import math
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from observability.cli.execute import execute
from observability.cli.outcome import Outcome
from observability.core.errors import NotFoundError, ObservabilityError, UsageError
from observability.core.finding import Finding
from observability.monitoring import check
from observability.store.engine import Store
from observability.worker import limited_query
from observability.worker.limited_query import answer_in_worker
from observability.worker.limits import Limits
from observability.worker.process import Worker
from tests.support import engine_world
from tests.support.length import every_second, some


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    with engine_world.copied(tmp_path_factory.mktemp("query") / "home") as store:
        yield store


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    made = Worker(Limits(memory_mb=1024, seconds=30, file_mb=64))
    yield made
    made.close()


@pytest.mark.long  # test_every_way_to_name_columns_gives_the_same_rows_in_the_process, tests/proofs
def test_proofs_give_the_same_value_in_the_process(world: Store, worker: Worker) -> None:
    start, end = engine_world.START + timedelta(hours=7, minutes=20), engine_world.START + timedelta(days=engine_world.DAYS)
    found: list[Finding] = []
    for as_of in every_second((None, engine_world.START + timedelta(days=4, hours=3, minutes=11))):
        report = check.check(world, model="loan", start=start, end=end, now=end, as_of=as_of, with_records=False)
        newest = {each.analyzer + each.metric: each for each in report.findings if each.proof}
        found += newest.values()
    assert len(found) > 15
    for finding in found:
        assert finding.proof
        ((here,),) = world.query_views(finding.proof).rows
        answer = answer_in_worker(worker, world, finding.proof)
        ((there,),) = answer.rows.to_numpy().tolist()
        assert not answer.more and math.isclose(float(here), float(there), rel_tol=1e-9), finding.proof


def test_every_kind_of_value_can_be_shown_and_rows_are_cut(world: Store, worker: Worker) -> None:
    whole = answer_in_worker(worker, world, 'SELECT * FROM "loan.predictions" ORDER BY "at", id;')
    own = world.query_views('SELECT * FROM "loan.predictions" ORDER BY "at", id', most_rows=5)
    assert tuple(whole.rows.columns) == own.columns
    assert whole.rows["id"].head(5).tolist() == [row[own.columns.index("id")] for row in own.rows]
    long = answer_in_worker(worker, world, "SELECT i, i, sum(i) OVER () AS total, [i] AS listed FROM range(2000) a(i) ORDER BY i")
    assert (len(long.rows), long.more, list(long.rows.columns)) == (1000, True, ["i", "i_1", "total", "listed"])
    assert long.rows.iloc[1].tolist() == [1, 1, 1999000.0, "[1]"]
    assert len(answer_in_worker(worker, world, 'DESCRIBE "loan.labels"').rows) > 5


def test_a_query_needs_only_the_columns_that_it_names(world: Store, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    exported = world.export_views('SELECT avg(SCORE) FROM "loan.predictions" WHERE label IS NOT NULL', tmp_path)
    ((name, path),) = exported.files.items()
    assert name == "loan.predictions" and sorted(pq.read_schema(path).names) == ["label", "score"]
    with pytest.raises(UsageError, match="too large"):
        world.export_views('FROM "loan.predictions"', tmp_path, most_mb=0)


FROM = 'FROM "loan.predictions"'
DAY = "TIMESTAMP '2026-03-03'"


@pytest.mark.parametrize(
    ("query", "fewer"),
    some(
        [
            (f'SELECT count(*), max("at") {FROM} WHERE "at" >= {DAY}', True),
            (f"SELECT count(*) {FROM} p WHERE p.environment = 'production' AND score > 0.5 AND {DAY} <= p.at", True),
            (f"SELECT count(*) {FROM} WHERE \"at\" BETWEEN {DAY} AND '2026-03-04'", True),
            (f"SELECT count(*) {FROM} WHERE \"at\" < DATE '2026-03-03' AND (version = 'none' OR version = '1')", True),
            (f"SELECT count(*) FILTER (status = 'ok') {FROM} WHERE id = 'none'", True),
            (f'SELECT count(*) {FROM} WHERE "at" >= {DAY} OR score > 0.5', False),
            (f'SELECT count(*) {FROM} WHERE NOT "at" >= {DAY}', False),
            (f'SELECT count(*) {FROM} WHERE "at" >= {DAY} AND score > (SELECT avg(score) {FROM})', False),
            (f'SELECT count(*) {FROM} a JOIN "loan.predictions" b USING (id) WHERE a."at" >= {DAY}', False),
            (f'SELECT count(*) {FROM} LEFT JOIN (SELECT id AS other {FROM}) ON id = other WHERE "at" >= {DAY}', False),
            (f'WITH p AS ({FROM}) SELECT count(*) FROM p WHERE "at" >= {DAY}', False),
            (f"SELECT count(*) {FROM} p(environment, version) WHERE version = 'production'", False),
            (f"SELECT count(*) {FROM} WHERE \"at\" >= TIMESTAMPTZ '2026-03-03 00:00:00+00'", False),
            (f'SELECT count(*) {FROM} UNION ALL SELECT count(*) {FROM} WHERE "at" >= {DAY}', False),
            (f"SELECT 'none' AS status, count(*) {FROM} WHERE status = 'none'", False),
        ],
        7,
    ),
)
def test_rows_that_a_query_cannot_use_are_not_copied(world: Store, worker: Worker, tmp_path: Path, query: str, fewer: bool) -> None:
    import pyarrow.parquet as pq

    ((rows,),) = world.query_views(f"SELECT count(*) {FROM}").rows
    files = world.export_views(query, tmp_path).files
    assert (pq.read_metadata(files["loan.predictions"]).num_rows < rows) == fewer
    assert [tuple(row) for row in answer_in_worker(worker, world, query).rows.to_numpy().tolist()] == world.query_views(query).rows


@pytest.mark.parametrize(
    "query",
    [
        'SELECT #2, score FROM "loan.predictions" ORDER BY "at", id LIMIT 3',
        'SELECT count(*) FROM "loan.predictions" NATURAL JOIN "loan.labels"',
        'SELECT length(to_json(p)::VARCHAR) > 300 FROM "loan.predictions" p LIMIT 1',
        'SELECT length(to_json("loan.predictions")::VARCHAR) > 300 FROM "loan.predictions" LIMIT 1',
        "SELECT 1 AS a; -- the end",
    ],
)
def test_every_way_to_name_columns_gives_the_same_rows_in_the_process(world: Store, worker: Worker, query: str) -> None:
    here = world.query_views(query)
    there = answer_in_worker(worker, world, query).rows
    assert tuple(there.columns) == here.columns
    assert [tuple(row) for row in there.to_numpy().tolist()] == here.rows


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT 1; DROP TABLE models", "only one SELECT"),
        ("SELECT nonsense FROM runs", "nonsense"),
        ("SELECT * FROM read_text('/etc/passwd')", "not available"),
        ('SELECT count(*) FROM "loan.predictions_as_of"(now()::TIMESTAMP)', "written as a literal"),
        ('FROM "loan.prediction"', "Did you mean"),
        ("SELECT count(*) FROM \"loan.predictions_as_of\"(TIMESTAMP '2026-13-45')", "out of range"),
        ("SELECT $$\"nope.predictions_as_of\"(TIMESTAMP '2026-01-01')$$ AS x", "query failed"),
    ],
)
def test_a_wrong_query_is_reported_in_one_sentence(world: Store, worker: Worker, query: str, words: str) -> None:
    with pytest.raises((UsageError, NotFoundError)) as raised:
        answer_in_worker(worker, world, query)
    assert words in str(raised.value)


def test_limits_of_memory_and_time_end_the_query_and_nothing_else(world: Store, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ObservabilityError, match="more memory"):
        text = "SELECT string_agg(i::VARCHAR || repeat('x', 1000000)) AS t FROM range(5000) a(i)"
        answer_in_worker(worker, world, f"SELECT max(length(t)) FROM ({text})")
    monkeypatch.setattr(limited_query, "QUERY_SECONDS", 1.0)
    with pytest.raises(UsageError, match="took too long"):
        answer_in_worker(worker, world, "SELECT count(*) FROM range(1000000000) a(i), range(1000000) b(j) WHERE i * j % 7 = 3")
    assert answer_in_worker(worker, world, "SELECT count(*) AS n FROM runs").rows.columns.tolist() == ["n"]


def test_the_command_line_gets_its_rows_from_the_process(world: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_the_owner(*_args: object, **_options: object) -> None:
        raise AssertionError("the query ran in the owner's process")

    monkeypatch.setattr(type(world), "query_views", in_the_owner)

    def ran(query: str, *options: str) -> Outcome:
        return execute(world, ["sql", query, *options], lambda _text: None)

    values = "SELECT i, NULLIF(i, 1) AS n, 'NaN'::DOUBLE AS x, [i, NULL] AS l, {'a': DATE '2026-01-02'} AS s, 12345678901234567890 AS w"
    done = ran(f"{values} FROM range(3) a(i)", "--json", "--limit", "2")
    assert json.loads(done.out) == [
        {"i": i, "n": n, "x": "NaN", "l": [i, None], "s": {"a": "2026-01-02"}, "w": 12345678901234567890} for i, n in ((0, 0), (1, None))
    ]
    assert "more than 2 rows; raise --limit" in done.error
    big = ran("SELECT max(length(t)) FROM (SELECT string_agg(i::VARCHAR || repeat('x', 100000)) AS t FROM range(50000) a(i))")
    assert (big.exit_code, big.out) == (2, "") and "more memory than it may use; expected at most 512 MB" in big.error
