"""The store keeps a log of queries with a limited size, and states how much space each column takes."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from observability.core.questions import Aggregate, By, Records, Sample
from observability.core.window import Window
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.query import query_log
from observability.store.query.query_log import QUESTIONS_FILE, QueryLog
from observability.store.types.loading import LoadDefaults
from tests.support.new_store import new_store

START = datetime(2026, 3, 1, tzinfo=UTC)
WINDOW = Window("loan", START, START + timedelta(days=2))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with 1,200 predictions of one model that has its own tables."""
    store = new_store(tmp_path / "home", threads=1)
    lines = [
        {
            "kind": "prediction", "id": f"p{place}", "at": (START + timedelta(minutes=place)).isoformat(), "model": "loan", "version": "1",
            "features": {"age": place % 50, "word": "x" * 50 + str(place)}, "score": 0.5,
        }
        for place in range(1200)
    ]  # fmt: skip
    path = tmp_path / "lines.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    store.load_files([path], LoadDefaults())
    store.close()
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Database:
    """The reopened store, so that its rows are on disk."""
    return open_store(home, threads=1)


def test_answered_questions_are_counted_with_their_columns_and_failed_ones_are_not(store: Database) -> None:
    try:
        for _ in range(3):
            store.ask(Sample("predictions", ("feature.age",), 10), WINDOW)
        store.ask(Aggregate("predictions", keys=(By("status"),), sums=("feature.age",)), WINDOW)
        store.ask(Records("batch", ("batch",)), Window("", START, START + timedelta(days=1)))
        with pytest.raises(Exception, match="shoe"):
            store.ask(Sample("predictions", ("feature.shoe",), 10), WINDOW)
        found = store.asked_questions("loan")
    finally:
        store.close()
    assert {(each.columns, each.times) for each in found.entries} == {(("feature.age",), 3), (("feature.age", "status"), 1)}
    assert found.used == {"feature.age", "status"} and found.dropped == 0
    slowest = [each.slowest for each in found.entries]
    assert slowest == sorted(slowest, reverse=True) and all(0 < each.slowest <= each.seconds for each in found.entries)


def test_questions_that_are_asked_together_are_measured_too(store: Database) -> None:
    try:
        store.ask_many([(Aggregate("predictions", keys=(By("version"),)), WINDOW), (Aggregate("predictions"), WINDOW)])
        assert store.asked_questions("loan").entries
    finally:
        store.close()


def test_the_log_is_bounded_and_forgets_no_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_log, "MAX_KEPT_QUESTIONS", 3)
    log = QueryLog()
    for place in range(10):
        log.note(Sample("predictions", (f"feature.f{place}",), 1), "loan", 0.1)
    found = log.asked("loan")
    assert len(found.entries) == 3 and found.dropped == 7 and len(found.used) == 10
    assert log.asked("other").entries == ()


def test_a_later_process_knows_the_questions_of_an_earlier_process(home: Path) -> None:
    """A question is asked twice in one process and once in the next, three times in all. Until the second process closes, the file has only
    two of them.
    """
    with open_store(home, threads=1) as first:
        for _ in range(2):
            first.ask(Sample("predictions", ("feature.age",), 10), WINDOW)
        (before,) = first.asked_questions("loan").entries
        since = first.asked_questions("loan").since
    assert (home / QUESTIONS_FILE).stat().st_mode & 0o777 == 0o600
    with open_store(home, threads=1) as second:
        assert second.asked_questions("loan").since == since and second.asked_questions("loan").entries == (before,)
        second.ask(Sample("predictions", ("feature.age",), 10), WINDOW)
        (after,) = second.asked_questions("loan").entries
        assert second.asked_questions("loan").used == {"feature.age"} and after.times == 3 and after.seconds > before.seconds
        second.remove_model("loan")
        assert second.asked_questions("loan").entries == ()
    assert "loan" not in (home / QUESTIONS_FILE).read_text(encoding="utf-8")


def test_questions_are_kept_for_four_weeks_with_the_slowest_of_each_day(tmp_path: Path) -> None:
    """Of 40 questions about one model on the first day, the ten slowest are kept in the file; after four weeks the day is removed."""
    path, today = tmp_path / QUESTIONS_FILE, datetime.now(UTC)
    log = QueryLog(path)
    log.since = today - timedelta(days=27)
    for place in range(40):
        log.note(Sample("predictions", (f"feature.f{place:02}",), 1), "loan", 0.1 + place, today - timedelta(days=27))
    log.note(Sample("predictions", ("feature.f00",), 1), "loan", 9.0, today)
    log.save()
    later = QueryLog(path)
    found = later.asked("loan")
    assert [each.slowest for each in found.entries] == [*(0.1 + place for place in range(39, 29, -1)), 9.0]
    assert found.used == {f"feature.f{place:02}" for place in range(40)}, "columns of questions that are no longer kept still count as read"
    later.note(Sample("predictions", ("feature.f01",), 1), "loan", 0.2, today + timedelta(days=1))
    after = later.asked("loan")
    assert {each.columns for each in after.entries} == {("feature.f00",), ("feature.f01",)} and after.used == {"feature.f00", "feature.f01"}
    assert after.since.date() == today.date() - timedelta(days=26)


def test_a_question_of_many_columns_lists_forty_and_counts_all_as_used(tmp_path: Path) -> None:
    log = QueryLog(tmp_path / QUESTIONS_FILE)
    log.note(Sample("predictions", tuple(f"feature.f{place:05}" for place in range(12_000)), 1), "loan", 0.1)
    log.save()
    found = QueryLog(tmp_path / QUESTIONS_FILE).asked("loan")
    (entry,) = found.entries
    assert len(entry.columns) == 41 and entry.columns[-1] == "11,960 more" and len(found.used) == 12_000


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"since": "x", "dropped": 0, "days": {}, "read": {}}'])
def test_a_damaged_log_is_an_empty_one(tmp_path: Path, damage: str) -> None:
    path = tmp_path / QUESTIONS_FILE
    path.write_text(damage, encoding="utf-8")
    log = QueryLog(path)
    assert log.asked("loan").entries == ()
    log.note(Sample("predictions", ("id",), 1), "loan", 0.1)
    log.save()
    assert QueryLog(path).asked("loan").entries


def test_bytes_of_columns_add_up_to_the_blocks_of_the_table(home: Path, store: Database) -> None:
    try:
        found = store.column_storage("loan")
    finally:
        store.close()
    assert {"feature.age", "feature.word", "id", "at"} <= set(found["column"])
    with duckdb.connect(str(home / "store.duckdb"), read_only=True) as other:
        table = other.execute("SELECT table_name FROM duckdb_tables() WHERE table_name = 'predictions_1'").fetchone()
        assert table is not None
        rows = other.execute(f"SELECT block_id, additional_block_ids, persistent FROM pragma_storage_info('{table[0]}')").fetchall()
        (size,) = other.execute("SELECT block_size FROM pragma_database_size()").fetchone() or (0,)
    blocks = {block for first, more, kept in rows if kept for block in (first, *(more or ())) if block >= 0}
    assert blocks and found["bytes"].sum() == pytest.approx(len(blocks) * size, rel=0.001)


def test_a_query_in_sql_is_measured_with_its_columns_and_without_its_values(home: Path, tmp_path: Path) -> None:
    query = """SELECT count(*) AS "Ann Smith" FROM "loan.predictions" -- for Bo
        WHERE "feature.age" > 41.5 AND id <> 'Cleo' AND "at" < TIMESTAMP '2026-03-02'"""
    with open_store(home, threads=1) as store:
        for place in range(2):
            store.export_views(query.replace("41.5", str(place)), tmp_path)
        with pytest.raises(Exception, match="shoe"):
            store.export_views("""SELECT shoe FROM "loan.shoe" """, tmp_path)
        (entry,) = store.asked_questions("loan").entries
        assert store.asked_questions("loan").used == {"feature.age", "id", "at"} and store.asked_questions("").entries == ()
        store.export_views("""SELECT count(*) FROM "loan.predictions" JOIN batches b ON b.batch = id""", tmp_path)
        assert [each.table for each in store.asked_questions("").entries] == ["SQL over several models"]
    assert entry.times == 2 and 0 < entry.slowest <= entry.seconds and entry.columns == ("at", "feature.age", "id")
    written = (home / QUESTIONS_FILE).read_text(encoding="utf-8")
    assert entry.table == (
        """SQL: SELECT count ( * ) AS "?" FROM "loan.predictions" WHERE "feature.age" > ? AND id <> ? AND "at" < TIMESTAMP ?"""
    )
    assert not [each for each in ("Ann", "Bo", "Cleo", "2026-03-02'") if each in written]
