"""Addresses that may be read, values in the names of folders, and lake.toml."""

import pytest

from observability.core.errors import UsageError
from observability.lake.addresses import checked_address, plain_http_is_needed
from observability.lake.config import checked_lake_config, read_lake_config
from observability.lake.open_source import newest_metadata
from observability.lake.partitions import partition_values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("s3://key:secret@bucket/folder", "holds no credentials"),
        ("https://ada:word@example.com/a.csv", "holds no credentials"),
        ("http://example.com/a.csv", "not HTTPS"),
        ("ftp://example.com/a.csv", "are not read"),
        ("file:///etc/passwd", "are not read"),
        ("s3:///folder", "names no bucket"),
        ("s3://bucket/a/../b", "holds no .."),
        ("s3://bucket/a?endpoint_override=evil", "no query"),
    ],
)
def test_disallowed_addresses_are_refused_without_showing_secrets(text, words):
    with pytest.raises(UsageError, match=words) as told:
        checked_address(text)
    assert "secret" not in str(told.value) and "word@" not in str(told.value)


def test_an_address_is_kept_without_its_query():
    found = checked_address("https://example.com/a.csv?sig=secret#x")
    assert found.text == "https://example.com/a.csv" and found.request == "https://example.com/a.csv?sig=secret"
    assert checked_address("http://localhost:9/a.csv").scheme == "http"


def test_only_allowed_addresses_are_read():
    allow = ["s3://logs/loans", "https://data.example.com"]
    for text in ("s3://logs/loans", "s3://logs/loans/2024", "https://data.example.com/a.csv"):
        checked_address(text, allow)
    for text in ("s3://logs/loans-secret", "s3://logs", "https://data.example.com.evil.org/a.csv", "iceberg://lake/ml.loans"):
        with pytest.raises(UsageError, match="not allowed"):
            checked_address(text, allow)
    with pytest.raises(UsageError, match="not allowed"):
        checked_address("s3://logs", [])


def test_plain_http_to_a_bucket_is_allowed_only_for_this_machine_or_on_request():
    assert not plain_http_is_needed({}) and not plain_http_is_needed({"AWS_ENDPOINT_URL": "https://minio.example.com"})
    assert plain_http_is_needed({"AWS_ENDPOINT_URL": "http://127.0.0.1:9000"})
    assert plain_http_is_needed({"AWS_ENDPOINT_URL": "http://minio:9000", "AWS_ALLOW_HTTP": "true"})
    with pytest.raises(UsageError, match="not reached over HTTPS"):
        plain_http_is_needed({"AWS_ENDPOINT_URL": "http://minio:9000"})


def test_partition_values_from_folder_names_are_numbers_only_if_all_are_numbers():
    names = ["year=2024/region=a%2Fb/x.parquet", "year=2025/region=__HIVE_DEFAULT_PARTITION__/y.parquet"]
    assert partition_values(names) == [{"year": 2024, "region": "a/b"}, {"year": 2025, "region": None}]
    assert partition_values(["m=01/x", "m=10/x"]) == [{"m": "01"}, {"m": "10"}]
    assert partition_values(["plain/x", "a=1=2/x", "x=y.parquet"]) == [{}, {"a": "1=2"}, {}]


def test_the_newest_metadata_file_of_an_iceberg_table_is_found():
    assert newest_metadata(["00001-aa.metadata.json", "00010-bb.metadata.json", "00002-cc.metadata.json"]) == "00010-bb.metadata.json"
    assert newest_metadata(["v9.metadata.json", "v10.metadata.json", "version-hint.text"]) == "v10.metadata.json"
    assert newest_metadata(["snap-1.avro"]) is None


def test_lake_toml_is_read(tmp_path):
    (tmp_path / "lake.toml").write_text(
        """[lake]
allow = ["s3://logs"]
[sources.loans]
address = "s3://logs/loans"
every_hours = 1
kind = "prediction"
model = "loan"
version = "3"
features = ["age"]
map = { score_v3 = "score" }
timezone = "Europe/Paris"
allow_rejected = 0.01
score = ["cat=p_cat", "dog=p_dog"]
[sources.exports]
address = "/srv/exports"
""",
        encoding="utf-8",
    )
    found = read_lake_config(tmp_path)
    loans = found.sources["loans"]
    assert loans.defaults.scores == ("cat=p_cat", "dog=p_dog")
    assert found.allow == ("s3://logs",) and (loans.every_hours, loans.allow_rejected, loans.defaults.renames) == (
        1,
        0.01,
        {"score_v3": "score"},
    )
    assert found.sources["exports"].every_hours == 24
    assert read_lake_config(tmp_path / "none").sources == {}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"lakes": {}}, "unknown table"),
        ({"lake": {"allowed": []}}, "unknown key"),
        ({"lake": {"allow": ["bucket"]}}, "list of addresses"),
        ({"sources": {"a": {}}}, "a key is missing"),
        ({"sources": {"a": {"address": "exports"}}}, "neither an address nor an absolute path"),
        ({"sources": {"a": {"address": "https://example.com/a.csv?sig=1"}}}, "no query"),
        ({"sources": {"a": {"address": "s3://b", "every_hours": 0}}}, "cannot be used"),
        ({"sources": {"a": {"address": "s3://b", "map": {"a": 1}}}}, "table of names"),
        ({"sources": {"a": {"address": "s3://b", "features": "age"}}}, "list of columns"),
        ({"sources": {"a": {"address": "s3://b", "secret": "x"}}}, "unknown key"),
        ({"lake": {"allow": ["s3://c"]}, "sources": {"a": {"address": "s3://b"}}}, "not allowed"),
    ],
)
def test_a_wrong_lake_toml_is_refused(body, words):
    with pytest.raises(UsageError, match=words):
        checked_lake_config(body)
