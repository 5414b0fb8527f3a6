"""Values of any type become strict JSON with the same meaning."""

import json
import math
from collections import OrderedDict, deque
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import MappingProxyType
from unittest.mock import MagicMock
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from observability.client.encode import RefusedError, encode_line, format_time


def through(value: object) -> object:
    line = encode_line({"value": value})
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    return json.loads(line, parse_constant=pytest.fail)["value"]


class Colour(Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        (None, None),
        (-0.0, -0.0),
        (True, True),
        (np.float32("nan"), "NaN"),
        (np.float64("inf"), "Infinity"),
        (np.float32(0.5), 0.5),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (np.array([0.25]), 0.25),
        (np.array([1.0, np.nan]), [1.0, "NaN"]),
        (Decimal("1.5"), 1.5),
        (pd.NaT, None),
        (pd.NA, None),
        (pd.Series({"a": 1, "b": np.nan}), {"a": 1, "b": "NaN"}),
        (pd.Series({"a": 2}), {"a": 2}),
        (MappingProxyType({"a": 1}), {"a": 1}),
        (OrderedDict(a=1), {"a": 1}),
        (deque([1, 2]), [1, 2]),
        ((1, 2), [1, 2]),
        ({3}, [3]),
        (Colour.RED, "red"),
        (b"bytes", "bytes"),
        (date(2013, 7, 1), "2013-07-01"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2013, 7, 1, 12, tzinfo=UTC), "2013-07-01T12:00:00.000000Z"),
        (datetime(2013, 7, 1, 12), "2013-07-01T12:00:00"),
        ({1: "a", None: "b", False: "c", 0.5: np.nan}, {"1": "a", "null": "b", "false": "c", "0.5": "NaN"}),
        ({np.int64(1): 0.5, np.int64(2): float("nan")}, {"1": 0.5, "2": "NaN"}),
        ("line\nfeed\u2028", "line\nfeed\u2028"),
        ("half \ud800", "half ?"),
        ({"a": {"b": [float("nan")]}}, {"a": {"b": ["NaN"]}}),
        (np.datetime64("2013-07-01"), "2013-07-01"),
    ],
)
def test_values_of_other_libraries_become_json_values(value: object, expected: object) -> None:
    got = through(value)
    assert got == expected and type(got) is type(expected)


def test_values_without_a_json_form_are_text() -> None:
    assert through({("a", 1): object()}).keys() == {"('a', 1)"}
    assert str(through(object())).startswith("<object object")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def expect(value: object) -> object:
    """The rule, written independently: only numbers that JSON cannot represent are changed."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    if isinstance(value, list):
        return [expect(member) for member in value]
    return {key: expect(member) for key, member in value.items()} if isinstance(value, dict) else value


@given(JSON)
def test_json_values_round_trip(value: object) -> None:
    assert through(value) == expect(value)


def test_encoding_a_cyclic_value_terminates() -> None:
    cycle: dict = {}
    cycle["again"] = cycle
    assert "again" in through(cycle)


def test_a_mock_is_encoded_as_text() -> None:
    mock = MagicMock(spec=["item", "to_dict", "tolist"])
    assert isinstance(through(mock), str)


def test_a_record_above_one_megabyte_is_refused() -> None:
    with pytest.raises(RefusedError, match="1048576"):
        encode_line({"text": "x" * 1024 * 1024})


def test_times_are_written_in_utc_and_naive_times_are_refused() -> None:
    tokyo = timezone(timedelta(hours=9))
    assert format_time(datetime(2013, 1, 1, 0, 0, 0, 5, tzinfo=tokyo)) == "2012-12-31T15:00:00.000005Z"
    assert format_time(pd.Timestamp("2013-01-01T00:00:00+02:00")) == "2012-12-31T22:00:00.000000Z"
    assert format_time(date(2013, 1, 1)) == "2013-01-01T00:00:00.000000Z"
    assert format_time("2013-01-01T00:00:00+02:00") == "2013-01-01T00:00:00+02:00"
    for naive in (datetime(2013, 1, 1), pd.Timestamp("2013-01-01"), np.datetime64("2013-01-01T00:00:00")):
        with pytest.raises(RefusedError, match="offset"):
            format_time(naive)
