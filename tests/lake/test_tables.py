"""Delta tables that deltalake wrote and Iceberg tables that PyIceberg wrote with a catalog in SQLite, in folders and in buckets."""

import pyarrow as pa
import pytest

from tests.store.conftest import query
from tests.support.lake_server import SECRET, predictions_table

deltalake = pytest.importorskip("deltalake")
pyiceberg = pytest.importorskip("pyiceberg")


def counts(answer):
    return {name: answer[name] for name in ("lines", "stored", "duplicates", "rejected")}


def in_days(first, rows, day, bad=0):
    return predictions_table(first, rows, bad).append_column("day", pa.array([day] * rows))


def test_a_delta_table_is_read_version_by_version(tmp_path, store, load):
    table = str(tmp_path / "delta")
    deltalake.write_deltalake(table, in_days(0, 100, "2024-03-01", bad=4), partition_by=["day"])
    first = load(table)
    assert counts(first) == {"lines": 100, "stored": 96, "duplicates": 0, "rejected": 4}
    assert first["sources"][0]["format"] == "delta"
    deltalake.write_deltalake(table, in_days(100, 40, "2024-03-02"), mode="append")
    assert counts(load(table)) == {"lines": 40, "stored": 40, "duplicates": 0, "rejected": 0}
    assert counts(load(table))["lines"] == 0
    (column,) = [column.column for column in store.catalog().model("loan").columns if column.name == "day"]
    assert query(store, f"SELECT {column}, count(*) FROM predictions_1 GROUP BY 1 ORDER BY 1") == [("2024-03-01", 96), ("2024-03-02", 40)]


def test_a_delta_table_that_was_compacted_and_changed_stores_nothing_twice(tmp_path, store, load):
    table = str(tmp_path / "delta")
    for first in (0, 50):
        deltalake.write_deltalake(table, predictions_table(first, 50), mode="append")
    load(table)
    found = deltalake.DeltaTable(table)
    found.optimize.compact()
    assert counts(load(table)) == {"lines": 100, "stored": 0, "duplicates": 100, "rejected": 0}
    deltalake.DeltaTable(table).delete("id = 'p3'")
    again = counts(load(table))
    assert again["stored"] == 0 and again["rejected"] == 0
    deltalake.write_deltalake(table, pa.concat_tables([predictions_table(200, 10)]).append_column("wealth", [[1.5] * 10]), mode="append",
                              schema_mode="merge")  # fmt: skip
    assert load(table)["stored"] == 10
    assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(110, 110)]
    assert "wealth" in {column.name for column in store.catalog().model("loan").columns}


def test_a_delta_table_in_a_bucket_is_loaded_and_later_loads_take_only_new_rows(bucket, load):
    table = f"s3://{bucket.name}/tables/loans"
    options = {"AWS_ALLOW_HTTP": "true", "AWS_S3_ALLOW_UNSAFE_RENAME": "true"}
    deltalake.write_deltalake(table, predictions_table(0, 60, bad=1), storage_options=options)
    assert counts(load(table)) == {"lines": 60, "stored": 59, "duplicates": 0, "rejected": 1}
    deltalake.write_deltalake(table, predictions_table(60, 5), storage_options=options, mode="append")
    assert counts(load(table))["stored"] == 5


@pytest.fixture
def catalog(tmp_path, monkeypatch):
    """A catalog in SQLite that PyIceberg finds through environment variables."""
    from pyiceberg.catalog import load_catalog

    (tmp_path / "warehouse").mkdir()
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__TYPE", "sql")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__URI", f"sqlite:///{tmp_path}/catalog.db")
    monkeypatch.setenv("PYICEBERG_CATALOG__LAKE__WAREHOUSE", f"file://{tmp_path}/warehouse")
    from pyiceberg.utils.config import Config

    settings = Config().get_catalog_config("lake")
    found = load_catalog("lake", **settings)
    found.create_namespace("ml")
    yield found
    found.close()


@pytest.fixture
def named(monkeypatch):
    """Make PyIceberg read its environment variables again; it reads them only once, on import."""
    from pyiceberg import catalog
    from pyiceberg.utils.config import Config

    monkeypatch.setattr(catalog, "_ENV_CONFIG", Config())


def test_an_iceberg_table_is_read_snapshot_by_snapshot(tmp_path, catalog, named, store, load):
    table = catalog.create_table("ml.loans", predictions_table(0, 1).schema)
    table.append(predictions_table(0, 100, bad=2))
    first = load("iceberg://lake/ml.loans")
    assert counts(first) == {"lines": 100, "stored": 98, "duplicates": 0, "rejected": 2}
    assert first["sources"][0]["format"] == "iceberg"
    table.append(predictions_table(100, 30))
    assert counts(load("iceberg://lake/ml.loans")) == {"lines": 30, "stored": 30, "duplicates": 0, "rejected": 0}
    assert counts(load("iceberg://lake/ml.loans"))["lines"] == 0
    table.delete("id == 'p5'")
    assert counts(load("iceberg://lake/ml.loans"))["stored"] == 0
    with table.update_schema() as update:
        update.rename_column("age", "years")
    table.append(predictions_table(130, 10).rename_columns(["id", "at", "years", "job", "score"]))
    assert load("iceberg://lake/ml.loans")["stored"] == 10
    assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(138, 138)]


def test_an_iceberg_table_is_found_by_its_folder(tmp_path, catalog, store, load):
    table = catalog.create_table("ml.loans", predictions_table(0, 1).schema)
    table.append(predictions_table(0, 20))
    folder = table.location().removeprefix("file://")
    assert load(folder)["sources"][0]["format"] == "iceberg"
    table.append(predictions_table(20, 5))
    assert counts(load(folder)) == {"lines": 5, "stored": 5, "duplicates": 0, "rejected": 0}


def test_an_iceberg_table_in_a_bucket_is_loaded_without_storing_the_secret(tmp_path, bucket, s3_environment, store, load):
    from pyiceberg.catalog.sql import SqlCatalog

    settings = {"s3.endpoint": s3_environment["AWS_ENDPOINT_URL"], "s3.region": "us-east-1"}
    catalog = SqlCatalog("lake", uri=f"sqlite:///{tmp_path}/catalog.db", warehouse=f"s3://{bucket.name}/warehouse", **settings)
    catalog.create_namespace("ml")
    table = catalog.create_table("ml.loans", predictions_table(0, 1).schema)
    table.append(predictions_table(0, 25, bad=1))
    assert counts(load(table.location())) == {"lines": 25, "stored": 24, "duplicates": 0, "rejected": 1}
    catalog.close()
    for path in store.home.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()


def test_a_missing_table_is_reported_in_one_sentence(tmp_path, catalog, named, load):
    assert "there is no Iceberg table" in load("iceberg://lake/ml.none", code=2)
    assert "cannot be opened" in load("iceberg://other/ml.none", code=3)
    assert "names no table" in load("iceberg://lake", code=2)


def test_a_missing_data_file_is_reported_and_the_other_files_are_loaded(tmp_path, store, load):
    table = tmp_path / "delta"
    deltalake.write_deltalake(str(table), predictions_table(0, 10))
    deltalake.write_deltalake(str(table), predictions_table(10, 10), mode="append")
    min(table.glob("*.parquet")).unlink()
    answer = load(table, code=2)
    assert answer["stored"] == 10 and len(answer["sources"][0]["failures"]) == 1
