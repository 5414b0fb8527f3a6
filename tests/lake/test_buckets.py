"""Folders in a bucket on a real S3 server, and local folders: each row is loaded exactly once, however often a load is repeated or
interrupted.
"""

import gzip
import json

import pytest

from observability.core.errors import StoreBrokenError
from observability.lake.open_source import open_data_source
from observability.store.ingest import parquet_importer
from observability.store.types.loading import LoadDefaults
from tests.store.conftest import query
from tests.support.lake_server import SECRET, parquet_bytes, predictions_table


def counts(answer):
    return {name: answer[name] for name in ("lines", "stored", "duplicates", "rejected")}


def files(answer):
    (source,) = answer["sources"]
    return {name: source[name] for name in ("files", "new", "rewritten", "resumed", "present", "left_out")}


def test_a_hive_folder_is_loaded_once_and_later_loads_take_only_new_files(bucket, store, load):
    for day, first in (("2024-03-01", 0), ("2024-03-02", 100)):
        bucket.put(f"loans/day={day}/region=north%20west/part-0.parquet", parquet_bytes(predictions_table(first, 100, bad=3)))
    bucket.put("loans/_SUCCESS", b"x")
    bucket.put("loans/day=2024-03-01/README.txt", b"text")
    address = f"s3://{bucket.name}/loans"
    first = load(address)
    assert counts(first) == {"lines": 200, "stored": 194, "duplicates": 0, "rejected": 6}
    assert first["reasons"] == {"missing_field": 6} and first["lines"] == first["stored"] + first["rejected"]
    assert files(first) == {"files": 2, "new": 2, "rewritten": 0, "resumed": 0, "present": 0, "left_out": 1}
    again = load(address + "/")
    assert counts(again) == {"lines": 0, "stored": 0, "duplicates": 0, "rejected": 0}
    assert files(again) | {"left_out": 0} == {"files": 2, "new": 0, "rewritten": 0, "resumed": 0, "present": 2, "left_out": 0}
    bucket.put("loans/day=2024-03-03/region=south/part-0.parquet", parquet_bytes(predictions_table(200, 50)))
    third = load(address)
    assert counts(third)["stored"] == 50 and files(third)["new"] == 1 and files(third)["present"] == 2
    assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(244, 244)]
    (column,) = [column.column for column in store.catalog().model("loan").columns if column.name == "region"]
    found = query(store, f"SELECT {column}, count(*) FROM predictions_1 GROUP BY 1 ORDER BY 1")
    assert found == [("north west", 194), ("south", 50)]
    assert query(store, "SELECT count(*) FROM rejected") == [(6,)], "rejected rows are counted once"
    (segment,) = query(store, "SELECT DISTINCT segment FROM rejected ORDER BY 1 LIMIT 1")[0]
    assert segment.startswith("day=2024-03-01/")


def test_a_rewritten_file_is_reported_and_read_again(bucket, load):
    bucket.put("loans/a.parquet", parquet_bytes(predictions_table(0, 100)))
    load(f"s3://{bucket.name}/loans")
    changed = predictions_table(0, 120).to_pydict()
    changed["score"][0] = 0.99
    import pyarrow as pa

    bucket.put("loans/a.parquet", parquet_bytes(pa.table(changed, predictions_table(0, 1).schema)))
    answer = load(f"s3://{bucket.name}/loans")
    assert counts(answer) == {"lines": 120, "stored": 20, "duplicates": 99, "rejected": 1}
    assert answer["reasons"] == {"conflicting_duplicate": 1} and files(answer)["rewritten"] == 1
    assert files(load(f"s3://{bucket.name}/loans"))["present"] == 1


def test_predictions_and_labels_of_one_table_have_a_watermark_each(bucket, store, load):
    table = predictions_table(0, 30)
    bucket.put("t/a.parquet", parquet_bytes(table.append_column("value", [[i % 2 for i in range(30)]])))
    address = f"s3://{bucket.name}/t"
    assert counts(load(address))["stored"] == 30
    assert counts(load(address, options=("--kind", "label", "--model", "loan")))["stored"] == 30
    assert query(store, "SELECT (SELECT count(*) FROM predictions_1), (SELECT count(*) FROM labels_1)") == [(30, 30)]
    assert counts(load(address, "--again")) == {"lines": 30, "stored": 0, "duplicates": 30, "rejected": 0}


def test_csv_and_json_lines_of_a_bucket_keep_mapping_and_time_zone(bucket, store, load):
    rows = "".join(f"{i},2024-03-01 10:{i % 60:02}:00,{i % 90},0.5\n" for i in range(200))
    bucket.put("mixed/a.csv", f"key,when,age,score\n{rows}".encode())
    bucket.put("mixed/b.csv.gz", gzip.compress(b"key,when,age,score\nx1,2024-03-01 12:00:00,3,0.5\nx2,,3,0.5\n"))
    mapping = ("--map", "key=id", "--map", "when=at", "--timezone", "Europe/Paris")
    answer = load(f"s3://{bucket.name}/mixed", *mapping)
    assert counts(answer) == {"lines": 202, "stored": 201, "duplicates": 0, "rejected": 1}
    assert query(store, "SELECT CAST(\"at\" AS VARCHAR) FROM predictions_1 WHERE id = '0'") == [("2024-03-01 09:00:00",)]
    lines = [
        {"kind": "prediction", "id": "j1", "at": "2024-03-01T10:00:00Z", "model": "loan", "version": "1", "features": {}, "score": 0.5}
    ]
    bucket.put("json/a.jsonl", "\n".join(map(json.dumps, lines)).encode())
    assert counts(load(f"s3://{bucket.name}/json/a.jsonl", options=()))["stored"] == 1, "an address may name a single file"


def test_a_killed_load_continues_where_it_stopped(bucket, store, load, monkeypatch):
    monkeypatch.setattr(parquet_importer, "ROWS_A_BATCH", 100)
    bucket.put("k/a.parquet", parquet_bytes(predictions_table(0, 1000, bad=5), 100))
    bucket.put("k/b.parquet", parquet_bytes(predictions_table(1000, 1000, bad=5), 100))

    class KilledError(Exception):
        pass

    def stop_after(blocks):
        seen = []

        def note(*_counts):
            seen.append(1)
            if len(seen) == blocks:
                raise KilledError

        return note

    source = open_data_source(f"s3://{bucket.name}/k")
    defaults = LoadDefaults(kind="prediction", model="loan", version="1")
    for blocks in (1, 4, 7):
        with pytest.raises(KilledError):
            store.load_source(source, defaults, stop_after(blocks))
    assert query(store, "SELECT count(*) FROM predictions_1") == [(1200 - 10,)]
    answer = load(f"s3://{bucket.name}/k")
    assert counts(answer) == {"lines": 800, "stored": 800, "duplicates": 0, "rejected": 0}
    assert files(answer) == {"files": 2, "new": 0, "rewritten": 0, "resumed": 1, "present": 1, "left_out": 0}
    assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(1990, 1990)]
    assert query(store, "SELECT count(*) FROM rejected") == [(10,)]
    assert query(store, "SELECT sum(lines), sum(stored), sum(rejected), bool_and(done) FROM taken_files") == [(2000, 1990, 10, True)]


def test_records_without_an_id_are_stored_once_even_if_the_load_is_killed(bucket, store, load):
    import pyarrow as pa

    rows = pa.table({"at": ["2024-03-01T10:00:00Z"] * 5, "device": ["gpu0"] * 5, "watts": [200.0] * 5})
    bucket.put("r/a.parquet", parquet_bytes(rows))
    options = ("--kind", "resource")
    first = counts(load(f"s3://{bucket.name}/r", options=options))
    assert counts(load(f"s3://{bucket.name}/r", options=options))["lines"] == 0
    assert query(store, "SELECT count(*) FROM resources") == [(first["stored"],)]


def test_a_damaged_file_is_reported_and_the_other_files_are_loaded(bucket, load):
    bucket.put("d/a.parquet", b"PAR1 this is none")
    bucket.put("d/b.parquet", parquet_bytes(predictions_table(0, 10)))
    answer = load(f"s3://{bucket.name}/d", code=1)
    assert answer["stored"] == 10 and list(answer["sources"][0]["failures"]) == ["a.parquet"]
    bucket.put("d/a.parquet", parquet_bytes(predictions_table(10, 10)))
    assert load(f"s3://{bucket.name}/d")["stored"] == 10


def test_a_missing_column_is_reported_in_one_sentence(bucket, load):
    bucket.put("m/a.parquet", parquet_bytes(predictions_table(0, 10).drop_columns(["at"])))
    assert "a prediction file needs the column 'at'" in load(f"s3://{bucket.name}/m", code=2)


def test_wrong_addresses_and_credentials_are_reported_without_secrets(bucket, load, monkeypatch):
    assert "there is nothing at this address" in load(f"s3://{bucket.name}-not/loans", code=2)
    assert "no file to load" in load(f"s3://{bucket.name}/empty", code=2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://192.0.2.7:9000")
    assert "not reached over HTTPS" in load(f"s3://{bucket.name}/loans", code=2)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    from observability.lake import object_files

    monkeypatch.setattr(object_files, "RETRIES", {"max_retries": 0})
    told = load(f"s3://{bucket.name}/loans", code=3)
    assert "the source cannot be read" in told and SECRET not in told


def test_no_credential_is_stored(bucket, store, load):
    bucket.put("loans/a.parquet", parquet_bytes(predictions_table(0, 10)))
    load(f"s3://{bucket.name}/loans")
    for path in store.home.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_removed_model_is_loaded_again(bucket, store, load):
    bucket.put("loans/a.parquet", parquet_bytes(predictions_table(0, 10)))
    other = ("--kind", "prediction", "--model", "other", "--version", "1")
    load(f"s3://{bucket.name}/loans")
    load(f"s3://{bucket.name}/loans", options=other)
    store.remove_model("loan")
    assert load(f"s3://{bucket.name}/loans")["stored"] == 10
    assert load(f"s3://{bucket.name}/loans", options=other)["lines"] == 0, "the watermark of the other model remains after the rewriting"


def test_a_forgotten_subject_in_file_names_is_erased_and_not_loaded_again(tmp_path, store, load):
    table = predictions_table(0, 4).append_column("subject", [["jane-77", "jane-77", "otto-12", "otto-12"]])
    for name in ("subject_of=jane-77", "subject_of=otto-12"):
        (tmp_path / "exports" / name).mkdir(parents=True)
    (tmp_path / "exports" / "subject_of=jane-77" / "a.parquet").write_bytes(parquet_bytes(table.slice(0, 2)))
    (tmp_path / "exports" / "subject_of=otto-12" / "a.parquet").write_bytes(parquet_bytes(table.slice(2, 2)))
    assert load(tmp_path / "exports")["stored"] == 4
    store.forget("jane-77", by="Ada")
    names = [name for (name,) in query(store, "SELECT file FROM taken_files")]
    assert len(names) == 2 and not any("jane-77" in name for name in names)
    again = load(tmp_path / "exports", "--allow-rejected")
    assert again["stored"] == 0 and set(again["reasons"]) <= {"erased"}
    assert query(store, "SELECT count(*) FROM predictions_1") == [(2,)]


def test_a_local_folder_is_a_source_and_memory_is_bounded_by_batches(tmp_path, store, load):
    folder = tmp_path / "exports" / "year=2024"
    folder.mkdir(parents=True)
    (folder / "a.parquet").write_bytes(parquet_bytes(predictions_table(0, 50)))
    (tmp_path / "exports" / "elsewhere").symlink_to("/etc")
    first = load(tmp_path / "exports")
    assert counts(first)["stored"] == 50
    assert counts(load(tmp_path / "exports"))["lines"] == 0
    assert [column.kind for column in store.catalog().model("loan").columns if column.name == "year"] == ["number"]


def test_a_network_that_fails_in_the_middle_loses_nothing(bucket, store, load, monkeypatch):
    from observability.lake import object_files

    monkeypatch.setattr(parquet_importer, "ROWS_A_BATCH", 6000)
    monkeypatch.setattr(object_files, "BUFFER_BYTES", 1000)
    bucket.put("n/a.parquet", parquet_bytes(predictions_table(0, 60_000), 6000))
    real, failed = object_files.BucketFile.readinto, []

    def failing(self, buffer):
        if not failed and self.size * 0.4 < self.place < self.size * 0.8:
            failed.append(1)
            raise StoreBrokenError("the source cannot be read", where="test")
        return real(self, buffer)

    monkeypatch.setattr(object_files.BucketFile, "readinto", failing)
    assert "the source cannot be read" in load(f"s3://{bucket.name}/n", code=3)
    (stored,) = query(store, "SELECT count(*) FROM predictions_1")[0]
    assert 0 < stored < 60_000
    answer = load(f"s3://{bucket.name}/n")
    assert stored + answer["stored"] == 60_000 and answer["duplicates"] == 0


def test_a_file_without_rows_counts_as_loaded(bucket, load):
    bucket.put("e/a.parquet", parquet_bytes(predictions_table(0, 0)))
    bucket.put("e/b.csv", b"id,at,score,age\n")
    bucket.put("e/c.parquet", parquet_bytes(predictions_table(0, 5)))
    answer = load(f"s3://{bucket.name}/e")
    assert counts(answer)["stored"] == 5 and files(answer)["new"] == 3
    assert files(load(f"s3://{bucket.name}/e"))["present"] == 3


def test_a_large_file_is_read_in_parts(bucket, monkeypatch):
    """No request is larger than a part of one row group, so memory does not grow with the file."""
    from observability.lake import object_files

    content = parquet_bytes(predictions_table(0, 200_000), 50_000)
    bucket.put("large/a.parquet", content)
    real, sizes = object_files.BucketFile.readinto, []

    def measured(self, buffer):
        sizes.append(real(self, buffer))
        return sizes[-1]

    monkeypatch.setattr(object_files, "BUFFER_BYTES", 100_000)
    monkeypatch.setattr(parquet_importer, "BUFFER_BYTES", 100_000)
    monkeypatch.setattr(object_files.BucketFile, "readinto", measured)
    (file,), _ = open_data_source(f"s3://{bucket.name}/large").list_files()
    importer = parquet_importer.ParquetImporter(file)
    importer.prepare(LoadDefaults(kind="prediction", model="loan", version="1"))
    assert sum(len(block.raw) for block in importer.blocks()) == 200_000
    assert max(sizes) <= 200_000 < len(content) / 4
