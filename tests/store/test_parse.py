"""Tests of what a line becomes: a row with its columns, or the reason for its rejection."""

import json
import math
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from observability.core.catalog import Catalog, Column, Edges, Model, Version
from observability.core.errors import UsageError
from observability.records.kinds import KINDS
from observability.store.ingest import parse as parsing
from observability.store.ingest import parse_tables
from observability.store.ingest.parse import parse_block
from observability.store.ingest.parse_json import MAX_LINE_BYTES
from observability.store.ingest.parse_plan import MAX_COLUMNS
from observability.store.ingest.parse_types import LineBlock, RefusedLine
from observability.store.types.loading import LoadDefaults

AT = "2013-07-01T10:00:00Z"
COLUMNS = (
    Column(1, "age", "f1", "number"),
    Column(2, "job", "f2", "category"),
    Column(3, "code", "f3", "category"),
    Column(4, "own", "f4", "boolean"),
)
VERSION = Version("1", datetime(2013, 1, 1, tzinfo=UTC), ("age", "job"), {"feature.code": Edges(levels=("1", "2"))})


def catalog(task="binary", classes=("0", "1")):
    return Catalog((Model(1, "loan", task, classes, COLUMNS, (VERSION,)),))


def prediction(**changes):
    made = {
        "kind": "prediction",
        "id": "p1",
        "at": AT,
        "model": "loan",
        "version": "1",
        "features": {"age": 30, "job": "cook"},
        "score": 0.25,
    } | changes
    return {name: value for name, value in made.items() if value is not ...}


def read(*lines, of=None, defaults=None, **options):
    raw = b"\n".join(each if isinstance(each, bytes) else json.dumps(each).encode() for each in lines)
    return parse_block(None, LineBlock(raw, 1, "s", **options), of or Catalog(), defaults or LoadDefaults())


def row(*lines, **options):
    parsed = read(*lines, **options)
    assert not parsed.rejected.num_rows, parsed.rejected.to_pylist()
    (table,) = parsed.predictions.values()
    return table.to_pylist()[0]


def reason(*lines, **options):
    (found,) = read(*lines, **options).rejected.to_pylist()
    return found["reason"]


def test_a_prediction_has_the_columns_that_are_promised():
    parsed = read(prediction(latency_ms=3, prediction=True, request="r"), of=catalog())
    table = parsed.predictions["loan"]
    assert table.schema.names == [*parse_tables.PREDICTION, "feature.age", "feature.job", "feature.code", "feature.own"]
    assert table.schema.types == [*parse_tables.PREDICTION.values(), pa.float64(), pa.string(), pa.string(), pa.bool_()]
    found = {name: value for name, value in table.to_pylist()[0].items() if value is not None}
    assert found == {
        "line": 1,
        "id": "p1",
        "version": "1",
        "environment": "production",
        "at": datetime(2013, 7, 1, 10),
        "status": "ok",
        "score": 0.25,
        "prediction": "true",
        "latency_ms": 3.0,
        "extra": '{"request":"r"}',
        "feature.age": 30.0,
        "feature.job": "cook",
    }


def test_new_columns_take_the_kind_of_their_first_value():
    lines = [{"a": None, "b": "x"}, {"a": 1, "b": 5}, {"a": "y", "c": True, "d": "NaN"}]
    parsed = read(*(prediction(id=str(i), features=each, groups={"sex": "F"}) for i, each in enumerate(lines)))
    assert parsed.new_columns == {
        "loan": [
            ("feature", "b", "category"),
            ("group", "sex", "category"),
            ("feature", "a", "number"),
            ("feature", "c", "boolean"),
            ("feature", "d", "number"),
        ]
    }
    table = parsed.predictions["loan"]
    assert table["feature.a"].to_pylist() == [None, 1.0, None] and table["feature.b"].to_pylist() == ["x", None, None]
    assert math.isnan(table["feature.d"].to_pylist()[2])
    assert table["wrong"].to_pylist() == [None, ["feature.b"], ["feature.a"]]
    assert [None if each is None else json.loads(each) for each in table["extra"].to_pylist()] == [
        None,
        {"features": {"b": 5}},
        {"features": {"a": "y"}},
    ]


def test_a_refused_line_brings_no_columns():
    assert read(prediction(features={"x": 1}, score=2), of=catalog()).new_columns == {}


def test_absent_null_and_wrongly_typed_values_are_distinguished():
    found = row(prediction(features={"age": None, "own": 1}), of=catalog())
    assert found["feature.age"] is None and found["absent"] == ["feature.job"] and found["wrong"] == ["feature.own"]
    assert json.loads(found["extra"]) == {"features": {"own": 1}}
    assert row(prediction(version="2", features={}), of=catalog())["absent"] is None, "the features of an unregistered version are unknown"


def test_not_a_number_and_infinity_are_values():
    for text, value in (("NaN", math.nan), ("Infinity", math.inf), ("-Infinity", -math.inf)):
        assert repr(row(prediction(features={"age": text, "job": text}), of=catalog())["feature.age"]) == repr(value)
        assert row(prediction(features={"age": text, "job": text}), of=catalog())["feature.job"] == text


def test_numbers_are_levels_of_a_category_whose_reference_has_numbers():
    assert row(prediction(features={"age": 1, "job": "x", "code": 2}), of=catalog())["feature.code"] == "2"
    assert row(prediction(features={"age": 1, "job": 2}), of=catalog())["wrong"] == ["feature.job"]


def test_a_nested_feature_is_left_out_and_kept_in_extra():
    found = row(prediction(features={"age": [1], "job": "x", "new": {"a": 1}}), of=catalog())
    assert found["wrong"] == ["feature.age"] and json.loads(found["extra"]) == {"features": {"age": [1], "new": {"a": 1}}}


def test_scores_are_validated_by_task():
    assert reason(prediction(score=1.5), of=catalog()) == "bad_value"
    assert reason(prediction(score={"0": 1}), of=catalog()) == "wrong_type"
    assert row(prediction(score=1.5))["score"] == 1.5, "the task of an unregistered model is unknown"
    assert math.isnan(row(prediction(score="NaN"), of=catalog())["score"])
    assert reason(prediction(score=0.5), of=catalog("multiclass", ("a", "b"))) == "wrong_type"
    found = row(prediction(score={"b": 0.25, "a": 0.75}), of=catalog("multiclass", ("a", "b")))
    assert (found["score"], found["probabilities"]) == (0.75, '{"a":0.75,"b":0.25}')
    assert reason(prediction(score=1.5, label="x"), of=catalog("regression", ())) == "wrong_type"


def test_labels_have_their_own_table_and_inline_labels_take_the_time_of_their_prediction():
    label = {"kind": "label", "id": "p2", "at": "2013-08-01", "model": "loan", "value": 2.5, "source": "human", "note": 1}
    parsed = read(prediction(label=1), prediction(id="p3", label={"value": "x", "at": "2014-01-01", "who": 2}), label)
    found = sorted(parsed.labels["loan"].to_pylist(), key=lambda each: each["line"])
    assert [(each["id"], each["value"], each["number"], each["inline"], each["at"].isoformat(), each["extra"]) for each in found] == [
        ("p1", "1", 1.0, True, "2013-07-01T10:00:00", None),
        ("p3", "x", None, True, "2014-01-01T00:00:00", '{"who":2}'),
        ("p2", "2.5", 2.5, False, "2013-08-01T00:00:00", '{"note":1}'),
    ]


def test_other_kinds_have_a_column_for_each_field():
    line = {"kind": "run", "run": 5, "at": AT, "event": "start", "params": {"b": 1, "a": [1]}, "seed": 3, "more": True}
    (found,) = read(line).others["run"].to_pylist()
    assert set(found) == {"line", "extra", *KINDS["run"].fields}
    assert (found["run"], found["params"], found["seed"], found["extra"]) == ("5", '{"a":[1],"b":1}', "3", '{"more":true}')


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a":', "not_json"),
        (b"hello", "not_json"),
        (b'{"kind":"prediction","score":NaN}', "not_json"),
        (b"[" * 100_000, "not_json"),
        (b"[1]", "not_an_object"),
        (b'{"kind":"x"}', "unknown_kind"),
        (b'{"kind":"label","kind":"label"}', "duplicate_key"),
        (b'{"kind" :"label", "kind":"label"}', "duplicate_key"),
        (b'{"kind":"label","value":{"a":1,"a":2}}', "duplicate_key"),
        (b'{"kind":"label","id":"\\ud83d"}', "bad_encoding"),
        (b'{"kind":"label","id":"\xff"}', "bad_encoding"),
        (b'{"kind":"label","id":"' + b"x" * MAX_LINE_BYTES + b'"}', "too_large"),
        (b'{"kind":"label"}', "missing_field"),
        (json.dumps(prediction(at="2013-07-01T10:00:00")).encode(), "no_offset"),
        (json.dumps(prediction(score=...)).encode(), "no_score"),
    ],
)
def test_invalid_lines_are_rejected_with_the_expected_reason(line, expected):
    assert reason(line) == expected


def test_a_rejected_line_keeps_its_text_and_what_is_known_of_it():
    parsed = read(prediction(), b"", b" \t\r", prediction(weight=-1), prediction(id="\ud800"), b'{"kind":"label","id":"\xc3"}\r')
    assert parsed.lines == 4 and parsed.predictions["loan"]["line"].to_pylist() == [1]
    first, *others = parsed.rejected.to_pylist()
    assert (first["line"], first["kind"], first["model"], json.loads(first["raw"])["weight"]) == (4, "prediction", "loan", -1)
    assert [each["line"] for each in others] == [5, 6] and others[1]["raw"] == '{"kind":"label","id":"\\xc3"}'


def test_lines_that_the_reader_of_the_file_refused_are_counted():
    parsed = read(prediction(), refused=(RefusedLine(2, "a,b", "bad_value", "the row has 2 values"),))
    assert parsed.lines == 2 and parsed.rejected.to_pylist()[0]["message"] == "the row has 2 values"


def test_a_byte_order_mark_windows_line_ends_and_a_missing_last_newline_are_fine():
    raw = b"\xef\xbb\xbf" + b"\r\n".join(json.dumps(prediction(id=name)).encode() for name in "ab")
    parsed = parse_block(None, LineBlock(raw), Catalog(), LoadDefaults())
    assert parsed.predictions["loan"]["id"].to_pylist() == ["a", "b"]


def test_lines_may_come_as_an_array_of_texts():
    texts = [json.dumps(prediction(id=name)) for name in "abc"] + [""]
    for array in (pa.array(["", *texts])[1:], pa.array(texts, pa.large_string())):
        parsed = parse_block(None, LineBlock(array, 5), Catalog(), LoadDefaults())
        assert parsed.predictions["loan"]["line"].to_pylist() == [5, 6, 7] and parsed.lines == 3
    assert parse_block(None, LineBlock(b""), Catalog(), LoadDefaults()).lines == 0


def test_columns_beyond_the_limit_stay_in_extra():
    found = row(prediction(features={f"f{i}": i for i in range(MAX_COLUMNS + 2)}))
    assert json.loads(found["extra"]) == {"features": {"f1000": 1000, "f1001": 1001}}


def test_features_of_a_registered_version_do_not_use_up_the_limit():
    names = tuple(f"own {place}" for place in range(MAX_COLUMNS + 5))
    columns = tuple(Column(place + 1, name, f"f{place + 1}", "number") for place, name in enumerate(names))
    version = Version("1", datetime(2013, 1, 1, tzinfo=UTC), names, {}, reference_rows=10)
    wide = Catalog((Model(1, "loan", "binary", ("0", "1"), columns, (version,)),))
    found = row(prediction(features={**dict.fromkeys(names, 1.5), **{f"f{i}": i for i in range(MAX_COLUMNS + 2)}}), of=wide)
    assert found["feature.own 1004"] == 1.5 and found["feature.f999"] == 999
    assert json.loads(found["extra"]) == {"features": {"f1000": 1000, "f1001": 1001}}


def test_defaults_fill_in_fields_rename_columns_and_gather_features():
    flat = {"who": "p1", "at": "2013-07-01 10:00:00", "years": 30, "job": "cook", "score": 0.5}
    defaults = LoadDefaults("prediction", "loan", "7", ("age", "job"), {"who": "id", "years": "age"}, "Europe/Paris")
    found = row(flat, defaults=defaults)
    assert (found["id"], found["version"], found["feature.age"], found["feature.job"]) == ("p1", "7", 30.0, "cook")
    assert found["at"] == datetime(2013, 7, 1, 8) and found["extra"] is None
    assert reason(flat | {"id": "p2"}, defaults=defaults) == "duplicate_key"
    nested = prediction(features={"years": 3})
    assert row(nested, defaults=LoadDefaults(renames={"years": "age"}))["feature.age"] == 3.0
    label = {"kind": "label", "id": "p1", "at": AT, "value": 1}
    assert read(label, defaults=LoadDefaults(model="loan", version="7")).labels["loan"]["extra"].to_pylist() == [None]
    with pytest.raises(UsageError, match="time zone"):
        read(flat, defaults=LoadDefaults(timezone="Mars/Olympus"))


def test_names_that_differ_in_case_only_are_two_columns():
    found = row(prediction(features={"age": 1, "Age": 2}))
    assert (found["feature.age"], found["feature.Age"]) == (1.0, 2.0)


def test_without_numba_every_line_takes_the_exact_path(monkeypatch):
    monkeypatch.setattr(parsing, "fast_parser", lambda: None)
    monkeypatch.setattr(parsing, "fast_parser_for", lambda _lines: parsing.fast_parser())
    assert read(*(prediction(id=str(i)) for i in range(500))).predictions["loan"].num_rows == 500


LONG = 2**53 + 1


def test_a_whole_number_beyond_double_precision_is_kept_exactly_and_reported_once_per_column():
    """Regression: an id of 9007199254740993 was stored as ...992 without any notice."""
    lines = [prediction(id=f"p{k}", features={"age": LONG + 2 * k, "job": "a"}, groups={"number": -LONG}) for k in range(3)]
    parsed = read(*lines, of=catalog())
    found = parsed.predictions["loan"].to_pylist()[0]
    assert found["feature.age"] == float(2**53) and found["wrong"] is None
    assert json.loads(found["extra"]) == {"features": {"age": LONG}, "groups": {"number": -LONG}}
    assert parsed.rounded == {("loan", "feature.age"): (1, LONG), ("loan", "group.number"): (1, -LONG)}
    exact = row(prediction(features={"age": 2**60, "job": "a"}, score=0.5, cost=2**53), of=catalog())
    assert exact["feature.age"] == 2.0**60 and exact["extra"] is None, "a double holds this number exactly"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (prediction(cost=LONG), {("loan", "cost"): (1, LONG)}),
        (prediction(attributions={"age": LONG}), {("loan", "attributions.age"): (1, LONG)}),
        ({"kind": "step", "run": "r", "at": AT, "step": LONG, "metrics": {"loss": -LONG}}, {("kind step", "metrics.loss"): (1, -LONG)}),
        ({"kind": "resource", "at": AT, "device": "d", "watts": 10**400}, {("kind resource", "watts"): (1, 10**400)}),
        (prediction(note=LONG, prediction=LONG), {}),
    ],
)
def test_rounded_numbers_of_other_fields_are_reported_too(line, expected):
    assert read(line, of=catalog()).rounded == expected
