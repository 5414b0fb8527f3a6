"""Reads the records that a writer left in a landing folder."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest


def read_records(home: Path) -> list[dict]:
    """All records under `home`, published or not; a line that is not JSON fails the test."""
    while True:
        try:
            lines = [line for path in sorted((home / "landing").glob("*/*.jsonl")) for line in path.read_bytes().split(b"\n") if line]
        except FileNotFoundError:  # its writer published it in the meantime
            continue
        return [json.loads(line, parse_constant=pytest.fail) for line in lines]


@pytest.fixture
def records(tmp_path: Path) -> Callable[[], list[dict]]:
    return lambda: read_records(tmp_path)
