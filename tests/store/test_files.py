"""Tests of the importers: accepted files give the right records with bounded memory, others raise one clear error."""

import gzip
import itertools
import json
import math
import tracemalloc
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from observability.core.catalog import Catalog
from observability.core.errors import UsageError
from observability.store.ingest import csv_importer, importer, landing
from observability.store.ingest.files import open_file, open_importer
from observability.store.ingest.parse import parse_block
from observability.store.types.loading import LoadDefaults

AT = "2013-07-01T10:00:00Z"


def prediction(i):
    return json.dumps({"kind": "prediction", "id": f"p{i}", "at": AT, "model": "m", "version": "1", "features": {"x": i}, "score": 0.5})


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def parsed(path, defaults=None):
    """All blocks of a file, parsed."""
    defaults = defaults or LoadDefaults()
    return [parse_block(None, block, Catalog(), defaults) for block in open_file(path, defaults).blocks()]


def rows(path, defaults=None):
    """The predictions of a file. No line may be rejected."""
    found = parsed(path, defaults)
    assert [each for one in found for each in one.rejected.to_pylist()] == []
    return [row for one in found for table in one.predictions.values() for row in table.to_pylist()]


# ---- JSON lines


def test_json_lines_come_in_blocks_with_their_numbers_and_progress(tmp_path, monkeypatch):
    monkeypatch.setattr(landing, "BLOCK_BYTES", 1000)
    text = "\n".join(prediction(i) for i in range(50))
    for path in (write(tmp_path / "a.jsonl", text), write(tmp_path / "a.jsonl.gz", gzip.compress(text.encode()))):
        file, lines, seen = open_file(path, LoadDefaults()), [], [0]
        for block in file.blocks():
            one = parse_block(None, block, Catalog(), LoadDefaults())
            lines += one.predictions["m"]["line"].to_pylist()
            seen.append(file.done)
        assert lines == list(range(1, 51))
        assert seen == sorted(seen) and seen[-1] == path.stat().st_size == file.size


def test_a_line_without_end_is_refused_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(landing, "BLOCK_BYTES", 100_000)
    monkeypatch.setattr(landing, "LINE_BYTES", 100_000)
    path = write(tmp_path / "a.jsonl", prediction(1) + "\n" + "x" * 20_000_000 + "\n" + prediction(2) + "\n")
    tracemalloc.start()
    found = parsed(path)
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()
    assert [each for one in found for each in one.predictions["m"]["line"].to_pylist()] == [1, 3]
    assert [each["reason"] for one in found for each in one.rejected.to_pylist()] == ["too_large"]


def test_one_bad_line_costs_that_line_only(tmp_path):
    path = write(tmp_path / "a.jsonl", b"\xff broken\n" + prediction(1).encode() + b"\n\xef\xbb\xbf{}\n")
    (found,) = parsed(path)
    assert found.predictions["m"].num_rows == 1 and found.rejected["line"].to_pylist() == [1, 3]


def test_a_compressed_file_has_a_largest_size(tmp_path, monkeypatch):
    monkeypatch.setattr(importer, "MAX_DECOMPRESSED", 1000)
    path = write(tmp_path / "a.jsonl.gz", gzip.compress(("{}\n" * 1000).encode()))
    with pytest.raises(UsageError, match="too large when decompressed"):
        list(open_file(path, LoadDefaults()).blocks())
    path = write(tmp_path / "b.jsonl.gz", gzip.compress(prediction(1).encode() * 100)[:-20])
    with pytest.raises(UsageError, match="damaged"):
        list(open_file(path, LoadDefaults()).blocks())


# ---- CSV

DEFAULTS = LoadDefaults(model="m", version="1")


def test_cells_get_the_type_of_their_column(tmp_path):
    text = (
        'id,at,score,n,whole,yes,word,device,"quoted ""name"""\n'
        '007,2013-07-01,0.5,1.50,3,True,"a, ""b""",12,x\n'
        "008,2013-07-02,1e-3,,4,false,,13,\u00e9\n"
        '009,2013-07-03,NaN,inf,05,TRUE,"two\nlines",14,7\n'
    )
    found = rows(write(tmp_path / "a.csv", b"\xef\xbb\xbf" + text.encode()), DEFAULTS)
    assert [each["id"] for each in found] == ["007", "008", "009"], "ids stay texts"
    assert [each["device"] for each in found] == ["12", "13", "14"]
    assert [each["score"] for each in found[:2]] == [0.5, 0.001] and math.isnan(found[2]["score"])
    assert [each["feature.n"] for each in found] == [1.5, None, math.inf]
    assert [each["feature.whole"] for each in found] == [3.0, 4.0, 5.0]
    assert [each["feature.yes"] for each in found] == [True, False, True]
    assert [each["feature.word"] for each in found] == ['a, "b"', None, "two\nlines"]
    assert [each['feature.quoted "name"'] for each in found] == ["x", "\u00e9", "7"]


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_csv_files_with_other_delimiters_are_read(tmp_path, delimiter):
    text = "id,at,score,age\r\na,2013-07-01,0.5,3\r\n".replace(",", delimiter)
    assert rows(write(tmp_path / "a.csv", text), DEFAULTS)[0]["feature.age"] == 3.0


def test_rows_that_do_not_fit_are_rejected_and_lines_keep_their_numbers(tmp_path):
    text = "id,at,score,x\na,2013-07-01,0.5,1\nb,2013-07-01\nc,2013-07-01,0.5,1,2\nd,2013-07-01,0.5,4\n"
    (found,) = parsed(write(tmp_path / "a.csv", text), DEFAULTS)
    assert found.lines == 4
    assert found.predictions["m"].select(["line", "id"]).to_pylist() == [{"line": 2, "id": "a"}, {"line": 5, "id": "d"}]
    assert [(each["line"], each["raw"]) for each in found.rejected.to_pylist()] == [(3, "b,2013-07-01"), (4, "c,2013-07-01,0.5,1,2")]
    assert "2 values, the header 4 columns" in found.rejected["message"][0].as_py()


def test_a_large_file_comes_in_several_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_importer, "CSV_BLOCK_BYTES", 2000)
    text = "id,at,score,x\n" + "".join(f"p{i},2013-07-01,0.5,{i}\n" if i % 40 else f"p{i},bad\n" for i in range(400))
    found = parsed(write(tmp_path / "a.csv", text), DEFAULTS)
    assert len(found) > 2
    numbers = {row["line"]: row["id"] for one in found for row in one.predictions["m"].to_pylist()}
    assert numbers == {i + 2: f"p{i}" for i in range(400) if i % 40}
    assert sorted(line for one in found for line in one.rejected["line"].to_pylist()) == [i + 2 for i in range(0, 400, 40)]


def test_features_are_the_named_columns_or_all_remaining_columns(tmp_path):
    path = write(tmp_path / "a.csv", "key,when,p,age,job,note,label\na,2013-07-01,0.5,3,cook,x,1\n")
    renames = {"key": "id", "when": "at", "p": "score", "job": "work"}
    (found,) = parsed(path, LoadDefaults(model="m", version="1", renames=renames))
    table = found.predictions["m"]
    assert [name for name in table.column_names if "." in name] == ["feature.age", "feature.work", "feature.note"]
    assert found.labels["m"]["value"].to_pylist() == ["1"]
    (found,) = parsed(path, LoadDefaults(model="m", version="1", renames=renames, features=("age", "label")))
    assert [name for name in found.predictions["m"].column_names if "." in name] == ["feature.age", "feature.label"]
    assert found.labels == {}
    assert [json.loads(each) for each in found.predictions["m"]["extra"].to_pylist()] == [{"note": "x", "work": "cook"}], (
        "an unknown column is never dropped"
    )


def test_other_record_kinds_and_json_objects_in_cells_are_read(tmp_path):
    path = write(tmp_path / "a.csv", 'run,at,step,metrics,more\nr,2013-07-01,3,"{""loss"": 0.5}",x\n')
    (found,) = parsed(path, LoadDefaults(kind="step"))
    (row,) = found.others["step"].to_pylist()
    assert (row["step"], row["metrics"], row["extra"]) == (3, '{"loss":0.5}', '{"more":"x"}')
    path = write(tmp_path / "b.csv", 'id,at,score,x\na,2013-07-01,"{""u"": 0.25, ""v"": 0.75}",1\n')
    assert rows(path, DEFAULTS)[0]["probabilities"] == '{"u":0.25,"v":0.75}'


def test_decimal_commas_raise_an_error_unless_the_option_reads_them_as_numbers(tmp_path):
    text = "id;at;score;price;n;code;point\n" + "".join(f"{i},5;2013-07-01;0,{i};1.234,5{i};{i};x{i},5;{i}.25\n" for i in range(1, 9))
    path = write(tmp_path / "a.csv", text)
    for read in (lambda: open_file(path, DEFAULTS), lambda: open_importer(path).table()):
        with pytest.raises(UsageError, match=r"decimal comma in the column .*'score', 'price'.*--decimal ,"):
            read()
    found = rows(path, replace(DEFAULTS, decimal=","))
    assert [found[0][name] for name in ("id", "score", "feature.price", "feature.n")] == ["1,5", 0.1, 1234.51, 1.0], "ids stay texts"
    assert (found[0]["feature.code"], found[0]["feature.point"]) == ("x1,5", 1.25)
    table, warnings = open_importer(path, ",").table()
    assert table.select(["score", "price", "n", "point"]).to_pylist()[0] == {"score": 0.1, "price": 1234.51, "n": 1.0, "point": 1.25}
    assert table["code"][0].as_py() == "x1,5" and warnings == []
    table, _ = open_importer(path, ".").table()
    assert table["price"][0].as_py() == "1.234,51", "it is text, because this type was given"
    (refused, *_) = parsed(path, replace(DEFAULTS, decimal="."))
    assert set(refused.rejected["reason"].to_pylist()) == {"wrong_type"}


def test_a_few_bad_cells_do_not_hide_decimal_commas(tmp_path):
    cells = ["1", "2", *[f"{i},5" for i in range(97)], "bad"]
    path = write(tmp_path / "a.csv", "id;at;score;x\n" + "".join(f"{i};2013-07-01;0.5;{cell}\n" for i, cell in enumerate(cells)))
    with pytest.raises(UsageError, match="in the column 'x'"):
        open_file(path, DEFAULTS)
    found = [row["feature.x"] for row in rows(path, replace(DEFAULTS, decimal=","))]
    assert sorted(x for x in found if x is not None) == sorted([1.0, 2.0, *[i + 0.5 for i in range(97)]]) and found.count(None) == 1
    for text in ("id;at;score;x\na;2013-07-01;0.5;1.234\n", 'id,at,score,x\na,2013-07-01,0.5,"1,5"\n'):
        assert open_file(write(tmp_path / "b.csv", text), DEFAULTS), (
            "in a file with commas as delimiters, neither a decimal point nor a quoted comma is ambiguous"
        )


def test_a_compressed_csv_is_read_as_the_plain_one_in_bounded_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(csv_importer, "CSV_BLOCK_BYTES", 2000)
    text = "id,at,score,x\n" + "".join(f"p{i},2013-07-01,0.5,{i}\n" if i % 40 else f"p{i},bad\n" for i in range(400))
    file, found, seen = open_file(write(tmp_path / "a.csv.gz", gzip.compress(b"\xef\xbb\xbf" + text.encode())), DEFAULTS), [], [0]
    for block in file.blocks():
        found.append(parse_block(None, block, Catalog(), DEFAULTS))
        seen.append(file.done)
    steps = {after - before for before, after in itertools.pairwise(seen)}
    assert len(found) > 2 and seen[-1] == file.size and 0 < min(steps) and max(steps) < file.size / 2, (
        "progress is reported in even steps, whatever was read ahead"
    )
    assert {row["line"]: row["id"] for one in found for row in one.predictions["m"].to_pylist()} == {
        i + 2: f"p{i}" for i in range(400) if i % 40
    }
    monkeypatch.setattr(importer, "MAX_DECOMPRESSED", 5000)
    with pytest.raises(UsageError, match="too large when decompressed"):
        open_file(tmp_path / "a.csv.gz", DEFAULTS)
    for ending, body in (("csv", text), ("jsonl", '{"x": 1}\n' * 1000)):
        monkeypatch.setattr(importer, "MAX_DECOMPRESSED", 1_000_000)
        monkeypatch.setattr(importer, "MAX_TABLE_BYTES", 6000)
        with pytest.raises(UsageError, match="the reference is too large"):
            open_importer(write(tmp_path / f"b.{ending}.gz", gzip.compress(body.encode()))).table()


# ---- Parquet


def test_parquet_types_are_converted(tmp_path):
    table = pa.table(
        {
            "id": pa.array([1, 2]),
            "at": pa.array(
                [datetime(2013, 7, 1, 10, tzinfo=UTC), datetime(2013, 7, 2, tzinfo=UTC)], pa.timestamp("ns", "America/New_York")
            ),
            "version": pa.array([1.0, 2.0]),
            "score": pa.array([0.1, 1e-7]),
            "f": pa.array([math.nan, None]),
            "g": pa.array([0.30000000000000004, 5e-324]),
            "small": pa.array([0.1, 1.5], pa.float32()),
            "level": pa.array(["a", 'b"c']).dictionary_encode(),
            "flag": pa.array([True, None]),
            "day": pa.array([date(2013, 7, 1), None]),
            "price": pa.array([Decimal("1.50"), None]),
            "huge": pa.array([2**63 - 1, 0]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = rows(tmp_path / "a.parquet", LoadDefaults(model="m"))
    assert (first["id"], first["version"], first["at"]) == ("1", "1", datetime(2013, 7, 1, 10))
    assert math.isnan(first["feature.f"]) and second["feature.f"] is None
    assert (first["feature.g"], second["feature.g"], second["score"]) == (0.30000000000000004, 5e-324, 1e-7)
    assert first["feature.small"] == pytest.approx(0.1, abs=1e-8)
    assert (second["feature.level"], first["feature.flag"], second["feature.flag"]) == ('b"c', True, None)
    assert (first["feature.day"], first["feature.price"], first["feature.huge"]) == ("2013-07-01", 1.5, float(2**63 - 1))


def test_a_parquet_file_with_nested_features_scores_and_local_times_is_read(tmp_path):
    table = pa.table(
        {
            "id": ["a"],
            "at": pa.array([datetime(2013, 7, 1, 10)]),
            "score": [{"u": 0.25, "v": 0.75}],
            "features": pa.array([{"x": 1, "y": "z"}]),
            "more": [2.0],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    (found,) = rows(tmp_path / "a.parquet", LoadDefaults(model="m", version="1", timezone="Europe/Paris"))
    assert found["at"] == datetime(2013, 7, 1, 8) and found["score"] == 0.75
    assert (found["feature.x"], found["feature.y"], found["feature.more"]) == (1.0, "z", 2.0)
    (refused,) = parsed(tmp_path / "a.parquet", DEFAULTS)
    assert refused.rejected["reason"].to_pylist() == ["no_offset"]


# ---- wrong files


GOOD = "id,at,score,x\na,2013-07-01,0.5,1\n"
TABLE = pa.BufferOutputStream()
pq.write_table(pa.table({"id": ["a"], "at": ["2013-07-01"], "score": [0.5]}), TABLE)
PARQUET = TABLE.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.csv", b"", "the file is empty"),
        ("a.txt", b"x", ".jsonl, .jsonl.gz, .csv, .csv.gz, .parquet"),
        ("a.xlsx", b"PK\x03\x04", ".csv"),
        ("a.csv", b"PK\x03\x04\x00\x00", "spreadsheet"),
        ("a.csv", b"<!DOCTYPE html><html></html>", "web page"),
        ("a.csv", GOOD.encode() + b"b,2013-07-01,0.5,\xe9\n", "not UTF-8"),
        ("a.csv", GOOD.encode() + b"b,2013-07-01,0.5,1\n" * 5000 + b"c,2013-07-01,0.5,\xe9\n", "not UTF-8"),
        ("a.csv", GOOD.encode("utf-16"), "UTF-16"),
        ("a.csv", b"\x00\x01\x02", "binary"),
        ("a.csv", b"id,at,score,x\n", "a header and no rows"),
        ("a.csv", b"id,at,score,score\na,b,c,d\n", "stands twice"),
        ("a.csv", b"id,at,,score\na,b,c,d\n", "no name"),
        ("a.csv", b"at,score,x\n2013-07-01,0.5,1\n", "needs the column 'id'"),
        ("a.csv", b"at,score,x\n2013-07-01,0.5,1\n", "Add one"),
        ("a.csv", b"id,timestamp,score\na,2013-07-01,0.5\n", "--map timestamp=at"),
        ("a.csv", b"id,at,scor\na,2013-07-01,0.5\n", "--map scor=score"),
        ("a.jsonl", b"[{}]\n", "one JSON array"),
        ("a.jsonl", b"\x89PNG\x00\n", "binary"),
        ("a.jsonl.gz", b"{}\n", "not a gzip file"),
        ("a.csv.gz", GOOD.encode(), "take .gz off its name"),
        ("a.csv.gz", b"PK\x03\x04\x00\x00", "got a spreadsheet or zip file"),
        ("a.csv.gz", b"\x28\xb5\x2f\xfd\x00", "got a zstd file"),
        ("a.csv.gz", gzip.compress(b""), "the file is empty"),
        ("a.csv.gz", gzip.compress(b"PAR1\x00\x00"), "got a Parquet file"),
        ("a.csv.gz", gzip.compress(b"a.csv" + b"\x00" * 252 + b"ustar\x00"), "got a tar archive"),
        ("a.csv.gz", gzip.compress(GOOD.encode() * 5000)[:-20], "damaged"),
        ("a.csv.gz", gzip.compress(GOOD.encode())[:20], "damaged"),
        ("a.csv", gzip.compress(GOOD.encode()), "Name it a.csv.gz"),
        ("a.parquet.gz", gzip.compress(PARQUET), ".csv.gz"),
        ("a.parquet", b"id,at\n", "not a Parquet file"),
        ("a.parquet", PARQUET[:-10], "damaged"),
    ],
)
def test_a_wrong_file_is_reported_in_one_sentence(tmp_path, name, content, said):
    path = write(tmp_path / name, content)
    with pytest.raises(UsageError) as caught:
        open_file(path, DEFAULTS)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_wrong_options_for_a_good_file_raise_an_error(tmp_path):
    path = write(tmp_path / "a.csv", GOOD)
    for defaults, said in [
        (LoadDefaults(), "needs the column 'model'"),
        (LoadDefaults(model="m", version="1", kind="predicton"), "prediction"),
        (LoadDefaults(model="m", version="1", renames={"nope": "id"}), "nope"),
        (LoadDefaults(model="m", version="1", features=("y",)), "y"),
        (LoadDefaults(model="m", version="1", renames={"x": "id"}), "id"),
    ]:
        with pytest.raises(UsageError) as caught:
            open_file(path, defaults)
        assert said in str(caught.value)
    for wrong, said in ((tmp_path / "b.csv", "not there"), (tmp_path, "folder")):
        with pytest.raises(UsageError, match=said):
            open_file(wrong, DEFAULTS)
