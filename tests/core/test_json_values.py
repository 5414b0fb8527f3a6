"""Tests of JSON values."""

import pytest

from observability.core.json_values import stored_json

LARGEST = int(float.fromhex("0x1.fffffffffffffp+1023"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (f"[{10**400}, {-(10**400)}]", ["Infinity", "-Infinity"]),
        (f'{{"a": {LARGEST}, "b": {10**309}}}', {"a": LARGEST, "b": "Infinity"}),
        (f'["{10**400}", 1.5, {2**60}]', [str(10**400), 1.5, 2**60]),
        ("9" * 5000, "Infinity"),
    ],
)
def test_whole_numbers_beyond_a_double_are_infinities(text: str, value: object) -> None:
    assert stored_json(text) == value
