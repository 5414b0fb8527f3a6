"""Fixtures: a new store for each test, and lines that are written to the store's landing folder."""

import pytest

from observability.store.db.catalog_store import add_model
from observability.store.lake import export
from observability.store.lake_engine import LakeEngine
from tests.support.built_once import copied_once
from tests.support.engine_world import START, copied
from tests.support.lake_home import DAY, keep_three_days, loaded, moved_lake, prediction
from tests.support.landing import land
from tests.support.new_store import new_store


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def landed(store):
    """A function that publishes records, loads them, and returns the report of the load."""
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
    """Counts and sums of a model by key, without entries that cancel out; rounded, so that the order of addition does not matter."""
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


@pytest.fixture(scope="module")
def lake_world(tmp_path_factory):
    """A store whose rows are all in a lake, the engine that answers from the lake, and the folder of the lake."""
    folder = tmp_path_factory.mktemp("world")
    with copied(folder / "home") as store:
        export.export_lake(store, str(folder / "lake"))
        engine = LakeEngine(store, str(folder / "lake"))
        yield store, engine, folder / "lake"
        engine.close()


FIRST = [{**prediction(number, 1), "received_at": "2026-03-01T02:00:00Z"} for number in range(9)]


@pytest.fixture
def late(tmp_path):
    """A store, its lake, and the ids of the predictions of 1 March, which only the lake has."""
    copied_once("late-lake", fill_late, tmp_path)
    with moved_lake(tmp_path / "home", tmp_path / "lake") as store:
        yield store, tmp_path / "lake", [each["id"] for each in FIRST]


def fill_late(folder):
    """Fill the home and its lake in this folder."""
    with new_store(folder / "home") as store:
        with store.write() as writer:
            add_model(writer, "m", task="binary", classes=("0", "1"))
        keep_three_days(store, folder / "lake")
        loaded(store, *FIRST, *(prediction(0, day) for day in (2, 4, 6)))
        assert store.nightly(START + 6 * DAY)["failures"] == []


def line_counts(report):
    """The numbers of lines of a load: all, stored, duplicates and rejected."""
    return report.lines, report.stored, report.duplicates, report.rejected
