"""Tables of metrics contain the figures of the command line, grow by one folder per day, and any Parquet reader can read them."""

import json
import os
import threading
from datetime import UTC, datetime

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from observability.core.errors import StoreBrokenError, UsageError
from observability.core.finding import Finding
from observability.export import metric_tables
from observability.incidents.grouping import Incident
from observability.store.opener import open_store
from tests.support.case_world import build as build_cases

AT = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    world = build_cases(tmp_path_factory.mktemp("tables"))
    world.store.close()
    return world.home


def test_the_exported_tables_match_the_command_line_output(home, command, tmp_path):
    folder = tmp_path / "out"
    done = command(home, "export", folder, "--json").json()
    found = command(home, "check", "--json").json()
    read = duckdb.connect()
    table = read.sql(f"SELECT * FROM read_parquet('{folder}/findings/*/*.parquet', hive_partitioning = true)").df()
    assert sorted(table["id"]) == sorted(each["id"] for each in found) and len(table) == done["rows"]["findings"] > 20
    assert table["date"].nunique() == 1
    valued = {each["id"]: each["value"] for each in found if each["value"] is not None}
    assert {row.id: row.value for row in table.itertuples() if row.value == row.value} == pytest.approx(valued)
    models = command(home, "status", "--json").json()["models"]
    daily = dict(read.sql(f"SELECT model, sum(predictions)::INT FROM '{folder}/daily.parquet' GROUP BY ALL").fetchall())
    assert daily == {each["model"]: each["predictions"] for each in models if each["predictions"]}
    for name in ("decisions", "actions", "alerts", "verdicts", "saved_cases"):
        assert read.sql(f"SELECT count(*) FROM '{folder}/{name}.parquet'").fetchall()[0][0] == done["rows"][name]
    assert command(home, "export", folder).code == 0
    assert len(list(folder.rglob("*.parquet"))) == 8 and not list(folder.rglob(".*"))


def test_exported_decisions_match_the_database_view(home, command, tmp_path):
    with open_store(home, threads=1) as store:
        store.write_records(
            [
                {
                    "kind": "decision",
                    "at": "2026-07-01T00:00:00Z",
                    "author": "Ann",
                    "decision": "d1",
                    "statement": "Keep <it>",
                    "choice": "hold",
                }
            ]
        )
    command(home, "export", tmp_path / "out")
    rows = duckdb.sql(f"SELECT decision, author, statement FROM '{tmp_path}/out/decisions.parquet'").fetchall()
    assert rows == [("d1", "Ann", "Keep <it>")]
    assert json.loads(command(home, "sql", "SELECT count(*) AS n FROM decisions", "--json").out) == [{"n": len(rows)}]


def test_a_table_with_too_many_rows_is_refused_and_not_truncated(home, monkeypatch):
    with open_store(home, threads=1) as store:
        assert metric_tables.daily_table(store).num_rows > 1
        monkeypatch.setattr(metric_tables, "MAX_ROWS", 1)
        with pytest.raises(UsageError, match="too many rows"):
            metric_tables.daily_table(store)


def test_a_folder_that_cannot_be_created_is_refused_with_one_sentence(home, command, tmp_path):
    (tmp_path / "file").write_text("")
    done = command(home, "export", tmp_path / "file")
    assert done.code in (2, 3) and len(done.error.strip().splitlines()) == 1 and "Traceback" not in done.error


def test_two_exports_at_once_leave_whole_tables(tmp_path):
    tables = [pa.table({"writer": [writer] * 20_000}) for writer in range(4)]
    path, failures = tmp_path / "daily.parquet", []

    def write(table):
        try:
            for _ in range(20):
                metric_tables._replace_parquet(path, table)
        except StoreBrokenError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(table,)) for table in tables]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if path.exists():
            assert len(set(pq.read_table(path)["writer"].to_pylist())) == 1
    assert failures == [] and [each.name for each in tmp_path.iterdir()] == [path.name]


def test_the_draft_of_an_export_that_was_killed_is_removed_a_day_later(tmp_path):
    old, new = tmp_path / ".daily.parquet.1.part", tmp_path / ".daily.parquet.2.part"
    for draft in (old, new):
        draft.write_bytes(b"PAR1")
    os.utime(old, (1, 1))
    metric_tables._replace_parquet(tmp_path / "daily.parquet", pa.table({"n": [1]}))
    assert not old.exists() and new.exists()


def about(subject, n, part=None):
    return Finding(
        analyzer="trust/fairness", model="loan", version="1", subject=subject, metric="selection_rate", value=0.5, n=n, severity="watch",
        because=f"{subject} stands out.", start=AT, end=AT, against="peers", slice=part,
    )  # fmt: skip


def test_groups_of_few_rows_are_left_out_and_counted(home, tmp_path):
    kept = [about("sex=F", 10), about("model", 3), about("replica=r3", 3), about("age", 40, "sex=F"), about("sex=X", 0)]
    small = [about("sex=M", 9), about("age", 9, "sex=F&region=n")]
    led = [Incident(each.subject, "loan", "data", each, (), "watch", None, None, each.because) for each in (small[0], kept[0])]
    with open_store(home, threads=1) as store:
        done = metric_tables.write_metric_tables(store, str(tmp_path / "out"), [*kept, *small], led, AT)
    assert (done["findings"], done["incidents"], done["suppressed"]) == (5, 1, 2)
    (path,) = (tmp_path / "out").glob("findings/*/findings.parquet")
    assert sorted(pq.read_table(path)["id"].to_pylist()) == sorted(each.id for each in kept)
    (path,) = (tmp_path / "out").glob("incidents/*/incidents.parquet")
    assert pq.read_table(path)["because"].to_pylist() == ["sex=F stands out."]
