"""Tests of the accepted forms of a reference: CSV with any delimiter, JSON lines, compressed or damaged files; also hints about personal
data, and sensitive columns.
"""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd
import pytest

from observability.core.errors import UsageError
from observability.store.ingest.loader import load_files
from observability.store.registry.infer import infer_reference_file
from observability.store.registry.register import register_version
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.loan_reference import all_contents, loan_request, loans, stored_rows, write_reference
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home", threads=1) as opened:
        yield opened


def csv_file(tmp_path, frame, delimiter=",", **more):
    path = tmp_path / "strange.csv"
    frame.to_csv(path, index=False, sep=delimiter, **more)
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_csv_with_other_names_gives_what_parquet_gives(store, tmp_path, delimiter):
    frame = loans(500).drop(columns=["day"])
    register_version(store, loan_request(write_reference(tmp_path, frame), at=None))
    strange = frame.rename(columns={"p": "P(default)", "outcome": "Résultat", "income": "annual, gross"})
    path = csv_file(tmp_path, strange, delimiter, encoding="utf-8-sig")
    wanted = RegistrationRequest(
        "loan",
        "4",
        task="binary",
        label="Résultat",
        score=("P(default)",),
        reference=path,
        renames={"annual, gross": "income", "P(default)": "score"},
    )
    register_version(store, wanted)
    model = store.catalog().model("loan")
    assert model.version("4").edges == model.version("3").edges
    outcomes = "SELECT measure, bin, decision, label, sum(n) FROM counts_1 WHERE slice = 0 AND stream = ? GROUP BY ALL ORDER BY ALL"
    assert stored_rows(store, outcomes, 0) == stored_rows(store, outcomes, 1)


def test_types_of_csv_cells_are_inferred_and_described(tmp_path):
    path = tmp_path / "cells.csv"
    lines = ["n,b,t,zip,comma,mixed,empty,q,y,p"] + [
        f'{v},{"True" if i % 2 else "false"},x{i % 3},0213{i % 10},"1,{i % 5}",{"a" if i == 7 else i % 5},,"say ""hi"", {i % 2}\nthere",{i % 2},0.{i % 9 + 1}'
        for i, v in enumerate([" 5", "1e3", "NaN", "", "-inf"] + list(range(115)))
    ]
    path.write_text("\n".join(lines) + "\n\n")
    found = infer_reference_file(RegistrationRequest("m", "1", task="binary", label="y", score=("p",), reference=path))
    assert found.kinds == {
        "n": "number",
        "b": "boolean",
        "t": "category",
        "zip": "number",
        "comma": "category",
        "mixed": "category",
        "empty": "category",
        "q": "category",
    }
    text = "\n".join(found.warnings)
    assert "'mixed' holds numbers, but 'a' as well (1 cells are no number)" in text
    assert "'zip' holds digits with leading zeros" in text and "decimal comma" in text and found.rows == 120


@pytest.mark.parametrize(
    "name, content, part",
    [
        ("a.csv", b"PK\x03\x04rest", "a spreadsheet or zip file"),
        ("a.csv", b"a,b\n", "no rows"),
        ("a.csv", b"", "empty"),
        ("a.csv", b"y,p,x\n1,0.5\n0,0.2\n", "2 of 2 rows do not fit the header"),
        ("a.csv", "y,p,x\n1,0.5,é\n".encode("latin-1"), "UTF-8"),
        ("a.csv", "y,p\n1,0".encode("utf-16"), "UTF-16"),
        ("a.csv", b"<!DOCTYPE html><html>", "web page"),
        ("a.csv", b"y,p,p\n1,0.5,1\n", "'p' stands twice"),
        ("a.parquet", b"no parquet at all", "not a Parquet file"),
        ("a.parquet", b"PAR1 and then nothing", "damaged"),
        ("a.jsonl", b"[1, 2]", "JSON"),
        ("a.jsonl", b'{"y": 1}\n{"y"', "line 2"),
        ("a.jsonl.gz", b"not gzip", "gzip"),
        ("a.jsonl.gz", b"\x1f\x8bbroken", "damaged"),
        ("a.xlsx", b"PK", "ending"),
    ],
)
def test_wrong_files_give_one_clear_sentence(store, tmp_path, name, content, part):
    (tmp_path / name).write_bytes(content)
    before = all_contents(store)
    with pytest.raises(UsageError) as raised:
        register_version(store, RegistrationRequest("m", "1", task="binary", label="y", score=("p",), reference=tmp_path / name))
    assert part in str(raised.value) and "\n" not in str(raised.value), raised.value
    assert all_contents(store) == before


def test_personal_data_in_a_text_column_is_reported_in_counts_until_it_is_protected(store, tmp_path):
    frame = loans(200).drop(columns=["day"])
    frame["note"] = [f"write to person{row}@example.org" if row % 4 == 0 else "paid in cash" for row in range(200)]
    frame["ticket"] = [f"{row:08}-{row * 7919 % 10**9:09}" for row in range(200)]
    frame.to_csv(tmp_path / "a.csv", index=False)
    wanted = loan_request(tmp_path / "a.csv", at=None)
    warnings = [text for text in infer_reference_file(wanted).warnings if "seems to hold" in text]
    (warning,) = warnings
    assert warning.startswith("note seems to hold e-mail addresses (50) in 200 texts: hash or drop it under [protect] in the settings.")
    assert warning.endswith("Found by: form name@domain (50).")
    (tmp_path / "loan.toml").write_text('[protect]\nnote = "hash"\n')
    done = register_version(store, replace(wanted, settings=tmp_path / "loan.toml"))
    assert not [text for text in done.sentences if "seems to hold" in text or "@" in text]


def test_compressed_files_are_read(store, tmp_path):
    import gzip

    frame = loans(200).drop(columns=["day"])
    for version, (name, text) in enumerate({"a.jsonl.gz": frame.to_json(orient="records", lines=True), "a.csv.gz": frame.to_csv()}.items()):
        (tmp_path / name).write_bytes(gzip.compress(text.encode()))
        assert register_version(store, replace(loan_request(tmp_path / name, at=None), version=str(version))).rows == 200


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("named", [False, True])
def test_a_sensitive_column_that_is_no_feature_is_a_group_wherever_it_comes_from(store, tmp_path, ending, named):
    """The column is registered without --features; a service logs it under `groups`, or it is a column of a file. It never counts as an
    absent or unknown feature.
    """
    frame = loans(300)
    register_version(store, loan_request(write_reference(tmp_path, frame), sensitive=("sex", "race")))
    version = store.catalog().model("loan").version("3")
    assert version.features == ("income", "age", "owner") and {"group.sex", "group.race"} <= set(version.edges)
    served = pd.DataFrame(
        {"nr": [f"p{i}" for i in range(60)], "at": "2026-03-02T08:00:00Z", "score": 0.5, "income": 30000.0, "age": 40, "owner": True}
    )
    served = served.assign(gender=["F", "M"] * 30, race=2)
    path = tmp_path / f"served.{ending}"
    served.to_parquet(path) if ending == "parquet" else served.to_csv(path, index=False)
    features = ("income", "age", "owner") if named else None
    defaults = LoadDefaults("prediction", "loan", "3", features, {"nr": "id", "gender": "sex"})
    assert load_files(store, [path], defaults).reasons == {}
    line = {
        "kind": "prediction",
        "id": "one",
        "at": "2026-03-02T09:00:00Z",
        "model": "loan",
        "version": "3",
        "score": 0.5,
        "features": {"income": 1.0, "age": 2, "owner": True},
        "groups": {"sex": "F", "race": 1},
    }
    (tmp_path / "line.jsonl").write_text(json.dumps(line) + "\n", encoding="utf-8")
    assert load_files(store, [tmp_path / "line.jsonl"], LoadDefaults()).reasons == {}
    model = store.catalog().model("loan")
    assert {each.reference for each in model.columns} == {"feature.income", "feature.age", "feature.owner", "group.sex", "group.race"}
    sex, race = (model.column(f"group.{name}").column for name in ("sex", "race"))
    assert stored_rows(store, f"SELECT {sex}, {race}, absent, count(*) FROM predictions_1 WHERE stream <> 0 GROUP BY ALL ORDER BY ALL") == [
        ("F", "1", None, 1),
        ("F", "2", None, 30),
        ("M", "2", None, 30),
    ]
