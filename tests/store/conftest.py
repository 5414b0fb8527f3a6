"""Fixtures: a new store for each test, and lines that are written to its landing folder."""

import itertools
import json

import pytest

from tests.support.new_store import new_store

_numbers = itertools.count()


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home") as opened:
        yield opened


def land(store, *records, name=None):
    """Publishes records (dictionaries, or raw bytes) as one segment; return its path."""
    ready = store.landing / "ready"
    ready.mkdir(parents=True, exist_ok=True)
    lines = [each if isinstance(each, bytes) else json.dumps(each).encode() for each in records]
    path = ready / (name or f"20240101T000000-1-{next(_numbers):012x}.jsonl")
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    return path


@pytest.fixture
def landed(store):
    """Publishes and loads records; return the report."""
    from observability.store.ingest.loader import load_landing

    def load(*records):
        land(store, *records)
        return load_landing(store)

    return load


def query(store, sql, *parameters):
    """All rows of a query."""
    cursor = store.cursor()
    rows = cursor.execute(sql, list(parameters)).fetchall()
    cursor.close()
    return rows


def rollups(store, key=1):
    """Counts and sums of a model by their keys, what cancelled left out; figures rounded so that the order of adding does not show."""
    counts = query(
        store,
        f"""SELECT stream, period, slice, measure, bin, decision, label, status, arrived,
            sum(n)::BIGINT, round(sum(w), 6), round(sum(w2), 6)
        FROM counts_{key} GROUP BY ALL HAVING sum(n) <> 0 OR abs(sum(w)) > 1e-9 ORDER BY ALL""",
    )
    sums = query(
        store,
        f"""SELECT stream, period, slice, measure, arrived, sum(n)::BIGINT, round(sum(w), 6), round(sum(total), 6), round(sum(squares), 6)
        FROM sums_{key} GROUP BY ALL HAVING sum(n) <> 0 OR abs(sum(total)) > 1e-7 OR abs(sum(squares)) > 1e-7 ORDER BY ALL""",
    )
    return counts, [tuple(0.0 if value == 0 else value for value in row) for row in sums]
