"""Buckets of Azure and Google on local servers, if these are installed. Google's bucket is only read; Azure's is also written."""

import io
import json

import pyarrow.parquet as pq
import pytest

from observability.cli.execute import execute
from observability.lake.segment_place import open_segment_place
from tests.support.bucket_servers import KEY, azure_container, google_bucket, put_azure, put_google
from tests.support.lake_server import parquet_bytes, predictions_table, set_environment
from tests.support.record_lines import prediction


@pytest.fixture
def azure(tmp_path, monkeypatch):
    with azure_container(tmp_path / "azurite") as environment:
        set_environment(monkeypatch, environment)
        yield


@pytest.fixture
def google(tmp_path, monkeypatch):
    with google_bucket(tmp_path / "google") as environment:
        set_environment(monkeypatch, environment)
        yield


@pytest.mark.parametrize(("server", "scheme", "put"), [("azure", "az", put_azure), ("google", "gs", put_google)])
def test_a_bucket_is_loaded_once_and_later_loads_take_only_new_files(server, scheme, put, request, store, load):
    request.getfixturevalue(server)
    address = f"{scheme}://logs/loans"
    put("loans/day=1/a.parquet", parquet_bytes(predictions_table(0, 50, bad=2)))
    first = load(address)
    assert (first["lines"], first["stored"], first["rejected"]) == (50, 48, 2)
    put("loans/day=2/a.parquet", parquet_bytes(predictions_table(50, 10)))
    again = load(address)
    assert (again["lines"], again["sources"][0]["present"]) == (10, 1)
    put("loans/day=2/a.parquet", parquet_bytes(predictions_table(50, 11)))
    assert load(address)["sources"][0]["rewritten"] == 1
    assert all(KEY.encode() not in path.read_bytes() for path in store.home.rglob("*") if path.is_file())


def test_a_bucket_gets_the_tables_of_metrics_and_each_is_replaced(azure, store, load):
    assert "there is nothing at this address" in load("az://none/loans", code=2)
    from obstore import store as stores

    client = stores.from_url("az://logs", client_options={"allow_http": True})
    for count in (20, 30):
        store.write_records([prediction(number) for number in range(count)])
        store.load_landing()
        done = execute(store, ["export", "az://logs/metrics", "--json"], lambda _: None)
        assert done.exit_code == 0, done
        rows = json.loads(done.out)["rows"]
        names = [each["path"] for page in client.list("metrics") for each in page]
        tables = {name: pq.read_table(io.BytesIO(client.get(name).bytes().to_bytes())) for name in names}
        found = {name.removeprefix("metrics/").split("/")[0].removesuffix(".parquet"): table for name, table in tables.items()}
        assert {name: table.num_rows for name, table in found.items()} == rows and len(rows) == len(names) == 8
        assert sum(found["daily"]["predictions"].to_pylist()) == count


def test_segments_of_collectors_are_put_listed_moved_and_deleted(azure):
    place = open_segment_place("az://logs/collected")
    place.put("ready/a.jsonl", b"one\n")
    assert (place.list_names("ready"), place.get("ready/a.jsonl"), place.get("ready/b.jsonl")) == (["ready/a.jsonl"], b"one\n", None)
    place.move("ready/a.jsonl", "loaded/a.jsonl")
    place.move("ready/a.jsonl", "loaded/a.jsonl")
    assert (place.list_names("ready"), place.list_names("loaded")) == ([], ["loaded/a.jsonl"])
    place.delete("loaded/a.jsonl")
    place.delete("loaded/a.jsonl")
    assert place.list_names("loaded") == []
