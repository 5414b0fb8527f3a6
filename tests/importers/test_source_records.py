"""Every entry of a source becomes part of a record or is rejected with a reason, whatever is wrong with it."""

import io
import json

import pytest

from observability.importers.source_records import (
    CarriedRecord,
    RefusedEntries,
    epoch_time_text,
    number_if_exact,
    steps_of_values,
    write_record_lines,
)

AT = "2026-11-01T12:00:00Z"


def written(items, **options):
    out = io.BytesIO()
    counts = write_record_lines(items, out, **options)
    return counts, [json.loads(line) for line in out.getvalue().splitlines()]


def test_each_entry_is_counted_as_carried_or_rejected():
    run = {"kind": "run", "run": "r", "at": AT, "event": "start", "params": {}, "name": None}
    items = [
        CarriedRecord(run, {"runs": 1, "parameters": 2}),
        CarriedRecord({"kind": "step", "run": "r", "at": AT, "step": -1, "metrics": {"a": 1.0}}, {"values": 3}),
        CarriedRecord({"kind": "step", "run": "r", "at": "never", "step": 1, "metrics": {"a": 1.0}}, {"values": 1}),
        CarriedRecord(run | {"tags": {"big": "x" * 2_000_000}}, {"runs": 1}),
        RefusedEntries("images", "no_field", "images have no field", 4),
        CarriedRecord(run | {"event": "end"}),
    ]
    counts, lines = written(items)
    assert counts.to_json() == {
        "entries": 12,
        "carried": 3,
        "rejected": 9,
        "sorts": {"runs": 2, "parameters": 2, "values": 4, "images": 4},
        "reasons": {"bad_time": 1, "bad_value": 3, "no_field": 4, "too_large": 1},
    }
    assert [line["event"] for line in lines] == ["start", "end"] and counts.lines == 2
    assert lines[0].keys() == {"kind", "run", "at", "event"}  # an unknown field is left out
    assert "-1" in counts.examples["bad_value"]


def test_the_given_model_and_version_fill_missing_ones_in_a_record():
    items = [
        CarriedRecord({"kind": "run", "run": "r", "at": AT, "event": "start", "model": "own"}, {"runs": 1}),
        CarriedRecord({"kind": "step", "run": "r", "at": AT, "step": 1, "metrics": {"a": 1}}, {"values": 1}),
    ]
    _, (run, step) = written(items, model="given", version="7")
    assert (run["model"], run["version"]) == ("own", "7")
    assert "model" not in step


def test_a_repeated_value_at_a_step_opens_another_entry():
    values = [("a", 1.0, 10.0, 1), ("b", 2.0, 11.0, 1), ("a", 3.0, 12.0, 1), ("a", 4.0, 13.0, 0)]
    assert list(steps_of_values(values)) == [(0, 13.0, {"a": 4.0}), (1, 10.0, {"a": 1.0, "b": 2.0}), (1, 12.0, {"a": 3.0})]


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.1", 0.1), ("31", 31), ("-2", -2), ("1e-05", 1e-05), ("0.10", "0.10"), ("007", "007"), ("nan", "nan"), ("True", "True"), (4, 4)],
)
def test_a_text_is_a_number_only_where_nothing_is_lost(text, value):
    assert number_if_exact(text) == value and type(number_if_exact(text)) is type(value)


def test_a_number_out_of_the_range_of_times_stays_a_number():
    assert epoch_time_text(0) == "1970-01-01T00:00:00.000000Z"
    assert "seconds" in epoch_time_text(1e300)
