"""Each record kind follows the contract, and a rejection names the received and the expected value."""

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from observability.records.kinds import KINDS
from observability.records.record import validate
from observability.records.values import Rejected, canonical_text, parse_time

AT = "2013-07-01T10:00:00Z"
EXAMPLES = {
    "prediction": {"id": "a", "at": AT, "model": "m", "version": "1", "features": {"age": 3}, "score": 0.5},
    "label": {"id": "a", "at": AT, "model": "m", "value": 1},
    "run": {"run": "r", "at": AT, "event": "start"},
    "step": {"run": "r", "at": AT, "step": 3, "metrics": {"loss": 0.1}},
    "resource": {"at": AT, "device": "gpu0", "watts": 250},
    "annotation": {"project": "p", "item": "i", "annotator": "a", "at": AT, "label": "cat"},
    "batch": {"batch": "b", "at": AT, "source": "s", "rows": 10},
    "event": {"at": AT, "what": "deploy", "text": "version 3"},
    "price": {"from": "2013-07-01", "resource": "kwh", "amount": 0.3, "currency": "EUR"},
    "dataset": {"dataset": "d", "version": "1", "at": AT, "rows": 10},
    "cleaning": {"rule": "r", "at": AT, "rows_in": 10, "rows_changed": 1, "rows_dropped": 2},
    "assignment": {"project": "p", "item": "i", "annotator": "a", "at": AT},
    "expected_batch": {"batch": "b", "at": AT, "model": "m"},
    "item": {"project": "p", "item": "i", "at": AT, "content": {"text": "a cat", "age": 3}, "classes": ["cat", "dog"]},
    "skip": {"project": "p", "item": "i", "annotator": "a", "at": AT, "reason": "no class fits"},
    "device_report": {"device": "d1", "at": AT, "model": "m", "version": "1"},
    "storage_report": {"place": "lake", "at": AT, "used_bytes": 5},
    "audit": {"model": "m", "version": "1", "at": AT, "audit": "membership", "results": {}},
    "verdict": {"verdict": "v", "at": AT, "model": "m", "prediction": "a", "author": "Ada", "source": "input"},
    "action": {"action": "c", "at": AT, "author": "Ada"},
    "what_if": {"what_if": "w", "at": AT, "author": "Ada"},
    "saved_case": {"saved_case": "s", "at": AT, "model": "m", "prediction": "a", "author": "Ada"},
    "review": {"review": "2013-W27", "at": AT, "week": "2013-W27", "author": "Ada"},
    "agenda": {"review": "2013-W27", "item": "i", "at": AT, "author": "Ada", "does": "pin"},
    "decision": {"decision": "d", "at": AT, "author": "Ada"},
    "alert": {"incident": "i", "at": AT, "author": "Ada", "says": "opened"},
    "dashboard": {"dashboard": "b", "at": AT, "author": "Ada"},
    "pin": {"pin": "p", "dashboard": "b", "at": AT, "author": "Ada"},
    "message": {"message": "k", "at": AT, "state": "queued"},
    "signature": {"at": AT, "author": "Ada", "model": "m", "subject": "sex", "until": AT},
}


def record(kind="prediction", **changes):
    return {"kind": kind} | EXAMPLES[kind] | changes


def without(obj, *names):
    return {name: value for name, value in obj.items() if name not in names}


def refusal(obj, **options):
    with pytest.raises(Rejected) as caught:
        validate(obj, **options)
    return caught.value


def test_every_kind_has_a_valid_example():
    assert set(EXAMPLES) == set(KINDS), "add an example of each new kind to EXAMPLES"
    for kind in KINDS:
        assert validate(record(kind))["kind"] == kind


@pytest.mark.parametrize(("kind", "field"), [(kind, each.name) for kind in KINDS for each in KINDS[kind].required])
def test_every_required_field_is_required(kind, field):
    for obj in (without(record(kind), field), record(kind, **{field: None})):
        found = refusal(obj)
        assert found.reason == "missing_field"
        assert repr(field) in found.message


@pytest.mark.parametrize(("kind", "field"), [(kind, name) for kind in KINDS for name in KINDS[kind].fields])
def test_values_of_another_type_are_rejected(kind, field):
    wrong = {
        "text": [1.5, True, [], {}],
        "number": ["x", "0.5", True, {}],
        "integer": [1.5, "1", True, -1],
        "time": ["x", 5, {}],
        "list": [1, {}],
    }
    wrong |= {"object": [1, "x", []], "scalar": [[], {}], "score": ["0.5", True, [], {}], "label": [[], {}], "boolean": [1, "true"]}
    for value in wrong[KINDS[kind].fields[field].type]:
        assert refusal(record(kind, **{field: value})).reason in ("wrong_type", "bad_value", "bad_time", "missing_field"), value


def test_values_are_converted_to_their_types_and_unknown_fields_are_kept_in_extra():
    found = validate(
        record(id=7, version="2", latency_ms=3, at="2013-07-01T12:00:00+02:00", score="NaN", request="r1", groups={"sex": "F"}, device=None)
    )
    assert found["id"] == "7" and found["latency_ms"] == 3.0 and isinstance(found["latency_ms"], float)
    assert found["at"] == datetime(2013, 7, 1, 10, tzinfo=UTC)
    assert found["score"] != found["score"]
    assert found["extra"] == {"request": "r1"} and "device" not in found


@pytest.mark.parametrize("status", ["error", "timeout", "rejected"])
def test_a_failed_prediction_needs_no_score_and_a_fallback_does(status):
    assert validate(without(record(status=status), "score"))["status"] == status
    assert refusal(without(record(status="fallback"), "score")).reason == "no_score"
    assert validate(without(record(prediction="yes"), "score"))["prediction"] == "yes"


def test_scores_of_classes_are_probabilities():
    assert validate(record(score={"a": 0.25, "b": 1}))["score"] == {"a": 0.25, "b": 1.0}
    assert refusal(record(score={"a": 1.01})).reason == "bad_value"
    assert refusal(record(score={"a": "NaN"})).reason == "bad_value"


def test_an_inline_label_is_a_value_or_an_object():
    assert validate(record(label=1))["label"] == {"value": 1, "extra": {}}
    found = validate(record(label={"value": "x", "at": "2014-01-01", "source": "human", "who": 1}))["label"]
    assert found == {"value": "x", "at": datetime(2014, 1, 1, tzinfo=UTC), "source": "human", "extra": {"who": 1}}
    assert refusal(record(label={"source": "human"})).reason == "missing_field"


def test_messages_suggest_a_fix():
    assert "rename it to 'at'" in refusal(without(record(timestamp=AT), "at")).message
    assert "--map model_nme=model" in refusal(without(record(model_nme="m"), "model")).message
    assert "did you mean 'prediction'?" in refusal(record() | {"kind": "predicton"}).message
    assert refusal(record() | {"kind": "predicton"}).reason == "unknown_kind"
    assert "--kind" in refusal(without(record(), "kind")).message
    assert 'the text "3 ms"' in refusal(record(latency_ms="3 ms")).message
    assert "--timezone" in refusal(record(at="2013-07-01T10:00:00")).message
    assert refusal([1]).reason == "not_an_object"
    assert "ok, error, timeout" in refusal(record(status="fine")).message


@pytest.mark.parametrize("name", ["latency_ms", "energy_j"])
def test_time_and_energy_are_not_negative(name):
    refused = refusal(record(**{name: -0.5}))
    assert refused.reason == "bad_value"
    assert refused.message == f"'{name}' is a number from 0 on; got the number -0.5; leave it out where it is not known"
    assert refusal(record(**{name: "-Infinity"})).reason == "bad_value"
    assert validate(record(**{name: 0}))[name] == 0 and validate(record(**{name: "NaN"}))[name] != validate(record(**{name: 1}))[name]
    assert validate(record(cost=-1))["cost"] == -1, "a negative cost is a refund"


def test_a_resource_needs_one_measurement():
    assert refusal(without(record("resource"), "watts")).reason == "missing_field"
    assert validate(without(record("resource", temperature_c=60), "watts"))["temperature_c"] == 60


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2013-07-01", datetime(2013, 7, 1)),
        ("2013-07-01t10:00:00z", datetime(2013, 7, 1, 10)),
        ("2013-07-01 10:00:00.1234567+05:30", datetime(2013, 7, 1, 4, 30, 0, 123456)),
        ("2013-06-30T24:00:00Z", datetime(2013, 7, 1)),
        ("2016-12-31T23:59:60Z", datetime(2017, 1, 1)),
        ("2017-01-01T00:59:60.5+01:00", datetime(2017, 1, 1)),
        ("1970-01-01T00:00:00Z", datetime(1970, 1, 1)),
        ("2200-12-31T23:59:59Z", datetime(2200, 12, 31, 23, 59, 59)),
    ],
)
def test_valid_times_are_parsed_to_utc(text, instant):
    assert parse_time("at", text, None) == instant.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2013-02-30",
        "2013-07-01T25:00:00Z",
        "2013-07-01T24:00:01Z",
        "2013-07-01T10:60:00Z",
        "2013-07-01T10:00:60Z",
        "2013-07-01T10:00:00+0200",
        "2013-07-01T10:00:00+24:00",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+01:00",
        "2201-01-01",
        "2013-W27-1",
        "٢٠١٣-07-01",
        1372672800,
        True,
        "infinity",
    ],
)
def test_invalid_times_are_rejected(text):
    with pytest.raises(Rejected) as caught:
        parse_time("at", text, None)
    assert caught.value.reason == "bad_time"


def test_times_without_an_offset_need_a_time_zone():
    assert refusal(record(at="2013-07-01T10:00:00")).reason == "no_offset"
    zone = ZoneInfo("America/New_York")
    assert parse_time("at", "2013-07-01 10:00", zone) == datetime(2013, 7, 1, 14, tzinfo=UTC)
    assert parse_time("at", "2013-11-03T01:30:00", zone) == datetime(2013, 11, 3, 5, 30, tzinfo=UTC), (
        "of two possible instants, the earlier one"
    )
    assert parse_time("at", "2013-07-01", zone) == datetime(2013, 7, 1, tzinfo=UTC), "a bare date is midnight UTC"


@settings(deadline=None)
@given(st.datetimes(datetime(1971, 1, 1), datetime(2200, 12, 30)), st.integers(-23 * 60, 23 * 60))
def test_a_written_time_is_read_back_unchanged(instant, minutes):
    offset = timedelta(minutes=minutes)
    local = (instant + offset).isoformat()
    sign = "-" if minutes < 0 else "+"
    text = f"{local}{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    assert parse_time("at", text, None) == instant.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (1.0, "1"),
        (-0.0, "0"),
        (True, "true"),
        (False, "false"),
        ("1.0", "1.0"),
        (0.5, "0.5"),
        (1e20, "100000000000000000000"),
        (float("nan"), "NaN"),
    ],
)
def test_values_have_the_expected_canonical_text(value, text):
    assert canonical_text(value) == text


def test_importing_records_loads_the_standard_library_only():
    for path in Path(__file__).parents[2].joinpath("observability").glob("records/*.py"):
        imported = re.findall(r"^(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert set(imported) <= {"observability", *sys.stdlib_module_names}
