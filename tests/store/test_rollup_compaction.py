"""Merging and compaction of rollups change no answer, and keep rollups within the documented sizes."""

import random
from datetime import UTC, datetime, timedelta

from observability.store.ingest.loader import load_landing
from observability.store.rollup import rollup
from tests.store.conftest import query, rollups
from tests.support.landing import land
from tests.support.rollup_histories import START, assert_equal, expected, history, load_in_pieces, register


def test_a_rebuild_keeps_arrivals_as_coarse_as_compaction_made_them(store):
    register(store, "binary")
    load_in_pieces(store, history("binary", 14), random.Random(14))
    with store.write() as writer:
        rollup.compact_rollups(writer, store.catalog().model("m"), now=START + timedelta(days=40), days=37)
    before = rollups(store)
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "m")
    assert rollups(store) == before


def test_merging_rollups_changes_no_answer_and_drops_rows_that_cancel_out(store):
    register(store, "binary")
    load_in_pieces(store, history("binary", 4), random.Random(4))
    before, (rows,) = rollups(store), query(store, "SELECT count(*) FROM counts_1")
    with store.write() as writer:
        rollup.merge_rollups(writer, store.catalog().model("m"))
    assert rollups(store) == before
    assert query(store, "SELECT count(*) FROM counts_1") == [(len(before[0]),)] and len(before[0]) <= rows[0]
    kinds = query(store, "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'counts_1'")
    assert dict(kinds)["n"] == "BIGINT" and dict(kinds)["bin"] == "SMALLINT"


def test_rollups_are_merged_as_they_grow(store, monkeypatch):
    monkeypatch.setattr(rollup, "MERGE_FROM", 50)
    register(store, "binary")
    records = history("binary", 6)
    for start in range(0, len(records), 10):
        land(store, *records[start : start + 10])
        load_landing(store)
    (count,), (merged,) = query(store, "SELECT count(*) FROM counts_1"), query(store, "SELECT merged_rows FROM rollups")
    assert 0 < merged[0] and count[0] <= 2 * merged[0] + 50


def test_compaction_keeps_answers_at_midnights_and_says_its_limit(store):
    register(store, "binary")
    records = history("binary", 7)
    load_in_pieces(store, records, random.Random(7))
    with store.write() as writer:
        limit = rollup.compact_rollups(writer, store.catalog().model("m"), now=START + timedelta(days=40), days=37)
    assert limit % 24 == 0 and rollup.compaction_hours(store.cursor()) == {1: limit}
    for hour in range(limit - 72, limit + 72, 24):
        counts, _ = expected("binary", records, hour)
        rows = query(
            store,
            f"SELECT period, bin, decision, label, status, sum(n), sum(w), sum(w2) "
            f"FROM counts_1 WHERE measure = 0 AND slice = 0 AND arrived <= {hour} GROUP BY ALL",
        )
        assert_equal({row[:5]: row[5:] for row in rows}, counts)


def test_large_rollups_are_compacted_once_a_day_as_they_are_loaded(store, monkeypatch):
    register(store, "binary")
    records = history("binary", 10)
    land(store, *records[:60])
    load_landing(store)
    assert rollup.compaction_hours(store.cursor()) == {}
    monkeypatch.setattr(rollup, "COMPACT_FROM", 1)
    land(store, *records[60:])
    load_landing(store)
    limit = rollup.compaction_limit(datetime.now(UTC), rollup.COMPACT_DAYS)
    assert rollup.compaction_hours(store.cursor()) == {1: limit}
    assert query(store, f"SELECT count(*) FROM counts_1 WHERE arrived % 24 <> 0 AND arrived < {limit}") == [(0,)]
    assert not rollup.wants_compaction(store.cursor(), store.catalog().models, datetime.now(UTC))
    assert rollup.wants_compaction(store.cursor(), store.catalog().models, datetime.now(UTC) + timedelta(days=1))
    counts, _ = expected("binary", records, 10**9)
    rows = query(
        store,
        "SELECT period, bin, decision, label, status, sum(n), sum(w), sum(w2) FROM counts_1 WHERE measure = 0 AND slice = 0 GROUP BY ALL",
    )
    assert_equal({row[:5]: row[5:] for row in rows}, counts)
