"""The rollups equal a plain loop over the events, in any order of arrival and loading."""

import itertools
import json
import math
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from observability.core.catalog import Edges, Version
from observability.core.settings import ModelSettings
from observability.stats.quantile import LOG_EDGES
from observability.stats.scores import COARSE_EDGES, SCORE_EDGES
from observability.store.db import catalog_store
from observability.store.db.schema import STATUS_CODES
from observability.store.ingest.loader import load_landing
from observability.store.migrations import STEPS, outcomes_by_day, rebuild_every_rollup
from observability.store.rollup import rollup
from tests.store.conftest import query, rollups
from tests.support.landing import land
from tests.support.length import repeats, some
from tests.support.rollup_histories import (
    CLASSES,
    ERRORS,
    LEVELS,
    SCORES,
    START,
    THRESHOLD,
    X,
    assert_equal,
    cell,
    expected,
    history,
    instant,
    load_in_pieces,
    period,
    register,
    text,
    up,
    walk,
)


def of_days(counts):
    """The hourly counts, summed by day."""
    found = defaultdict(lambda: np.zeros(3))
    for (hour, *others), figures in counts.items():
        found[hour // 24 * 24, *others] += figures
    return found


@pytest.mark.parametrize("task", CLASSES)
def test_a_store_that_kept_outcomes_by_hour_alone_gets_them_by_day(store, task):
    register(store, task)
    load_in_pieces(store, history(task, 2), random.Random(2))
    wanted = rollups(store)
    with store.write() as writer:
        writer.execute("DELETE FROM counts_1 WHERE measure = -4")
        outcomes_by_day(writer)
    assert rollups(store) == wanted and outcomes_by_day in STEPS


@pytest.mark.parametrize("seed", range(repeats(1, 4)))
@pytest.mark.parametrize("task", CLASSES)
def test_rollups_equal_a_plain_walk_at_every_hour_whatever_the_order_of_loading(store, task, seed):
    register(store, task)
    records = history(task, seed)
    load_in_pieces(store, records, random.Random(seed))
    arrivals = sorted({up(record["received_at"]) for record in records if "received_at" in record})
    for hour in [arrivals[0] - 1, *arrivals[:: len(arrivals) // 6], arrivals[-1]]:
        counts, sums = expected(task, records, hour)
        rows = query(
            store,
            f"SELECT period, bin, decision, label, status, sum(n), sum(w), sum(w2) "
            f"FROM counts_1 WHERE measure = 0 AND slice = 0 AND arrived <= {hour} GROUP BY ALL",
        )
        assert_equal({row[:5]: row[5:] for row in rows}, counts)
        rows = query(
            store,
            f"SELECT period, bin, decision, label, status, sum(n), sum(w), sum(w2) "
            f"FROM counts_1 WHERE measure = -4 AND slice = 0 AND arrived <= {hour} GROUP BY ALL",
        )
        assert_equal({row[:5]: row[5:] for row in rows}, of_days(counts))
        rows = query(
            store,
            f"SELECT period, measure, sum(n), sum(total), sum(squares) "
            f"FROM sums_1 WHERE measure < 0 AND slice = 0 AND arrived <= {hour} GROUP BY ALL",
        )
        assert_equal({row[:2]: row[2:] for row in rows}, sums)
    before = rollups(store)
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "m")
    assert rollups(store) == before


@pytest.mark.parametrize("order", some(itertools.permutations(range(4)), 4), ids=str)
def test_a_label_counts_for_every_prediction_of_its_id_whatever_the_order(store, order):
    register(store, "binary")
    own = {"kind": "prediction", "id": "p", "model": "m", "version": "1", "at": instant(START), "features": {"x": 1}, "score": 0.2}
    other = own | {"environment": "shadow", "score": 0.9}
    first = {"kind": "label", "id": "p", "model": "m", "value": 1, "at": instant(START)}
    lines = [own, other, first, first | {"value": 0, "at": instant(START + timedelta(days=1))}]
    for place in order:
        land(store, lines[place])
        assert load_landing(store).stored == 1
    counted = """SELECT environment, decision, label, sum(n)::BIGINT FROM counts_1 c JOIN streams s USING (stream)
        WHERE measure = 0 AND slice = 0 GROUP BY ALL HAVING sum(n) <> 0 ORDER BY ALL"""
    assert query(store, counted) == [("production", 0, 0, 1), ("shadow", 1, 0, 1)]
    before = rollups(store)
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "m")
    assert rollups(store) == before


@pytest.mark.parametrize("task", some(CLASSES, 1))
def test_slices_are_counted_by_day_on_coarse_bins(store, task):
    register(store, task)
    records = history(task, 11)
    load_in_pieces(store, records, random.Random(3))
    wanted = defaultdict(lambda: np.zeros(2))
    for record, label in walk(task, records, 10**9):
        _, _, bin_, decision, code = cell(task, record, label)
        score = cell(task, record, label)[0]
        coarse = -1 if bin_ == -1 else int(np.searchsorted(COARSE_EDGES, score, side="right"))
        for reference, level in (("group.g", record["groups"]["g"] or "null"), ("replica", record["replica"])):
            w = record.get("weight", 1)
            wanted[reference, level, period(record, 24), coarse, decision, code, STATUS_CODES[record["status"]]] += [1, w]
    rows = query(
        store,
        """SELECT s.reference, s.level, period, bin, decision, label, status, sum(n), sum(w) FROM counts_1 JOIN slices_1 s USING (slice)
        WHERE measure = 0 GROUP BY ALL""",
    )
    assert_equal({row[:7]: row[7:] for row in rows}, wanted)


def test_features_are_counted_by_day_on_the_edges_of_their_version(store):
    register(store, "binary")
    records = history("binary", 5, predictions=120)
    load_in_pieces(store, records, random.Random(5))
    wanted, sums = defaultdict(lambda: np.zeros(2)), defaultdict(lambda: np.zeros(5))
    sums_of = defaultdict(list)
    for record in (each for each in records if each["kind"] == "prediction"):
        w = record.get("weight", 1)
        for measure, name in ((1, "x"), (2, "c"), (3, "f"), (4, "g")):
            value = record["groups"]["g"] if name == "g" else record["features"].get(name, "nothing at all")
            if value == "nothing at all":
                bin_ = -3
            elif value is None:
                bin_ = -1
            elif name == "x":
                number = float(value) if value != "abc" else None
                bin_ = -4 if number is None else -2 if math.isnan(number) else int(np.searchsorted(X, number, side="right"))
                if number is not None and math.isfinite(number):
                    sums_of[period(record, 24)].append((number, w))
            else:
                levels = ("false", "true") if name == "f" else LEVELS
                bin_ = levels.index(text(value)) if text(value) in levels else -5
            wanted[measure, period(record, 24), bin_] += [1, w]
    rows = query(store, "SELECT measure, period, bin, sum(n), sum(w) FROM counts_1 WHERE measure > 0 GROUP BY ALL")
    assert_equal({row[:3]: row[3:] for row in rows}, wanted)
    for day, values in sums_of.items():
        x, w = np.array(values).T
        sums[day] = np.array([len(x), (w * x).sum(), (w * x * x).sum(), x.min(), x.max()])
    rows = query(store, "SELECT period, sum(n), sum(total), sum(squares), min(low), max(high) FROM sums_1 WHERE measure = 1 GROUP BY ALL")
    assert_equal({row[0]: row[1:] for row in rows}, sums)


def test_latency_errors_and_class_probabilities_have_histograms(store, tmp_path):
    register(store, "regression")
    records = history("regression", 8)
    load_in_pieces(store, records, random.Random(8))
    latency, scores, errors = (defaultdict(lambda: np.zeros(1)) for _ in range(3))
    for record, label in walk("regression", records, 10**9):
        value, score = record.get("latency_ms"), record.get("score")
        bin_ = -1 if value is None else int(np.searchsorted(LOG_EDGES, value, side="right"))
        latency[period(record), bin_, STATUS_CODES[record["status"]]] += 1
        scores[period(record, 24), -1 if score is None else int(np.searchsorted(SCORES, score, side="right"))] += 1
        if label is not None:
            errors[period(record, 24), -1 if score is None else int(np.searchsorted(ERRORS, score - label, side="right"))] += 1
    for wanted, measure, keys in ((latency, -1, "period, bin, status"), (scores, -2, "period, bin"), (errors, -3, "period, bin")):
        rows = query(store, f"SELECT {keys}, sum(n) FROM counts_1 WHERE measure = {measure} AND slice = 0 GROUP BY ALL")
        assert_equal({row[:-1]: row[-1:] for row in rows}, wanted)


def test_latencies_are_counted_by_replica_and_day(store):
    register(store, "binary")
    records = history("binary", 12)
    for record in records[::5]:
        record.pop("replica", None)
    load_in_pieces(store, records, random.Random(12))
    wanted = defaultdict(lambda: np.zeros(2))
    for record, _ in walk("binary", records, 10**9):
        if "replica" in record:
            value = record.get("latency_ms")
            bin_ = -1 if value is None else int(np.searchsorted(LOG_EDGES, value, side="right"))
            wanted[record["replica"], period(record, 24), bin_, STATUS_CODES[record["status"]]] += [1, record.get("weight", 1)]
    rows = query(
        store,
        "SELECT s.level, period, bin, status, sum(n), sum(w) FROM counts_1 JOIN slices_1 s USING (slice) WHERE measure = -1 GROUP BY ALL",
    )
    assert_equal({row[:4]: row[4:] for row in rows}, wanted)


def test_bands_of_a_sensitive_number_are_slices_on_the_edges_of_their_version(store):
    key = register(store, "binary")
    limits = {"1": (0.5, 1.0), "2": (1.0,)}
    with store.write() as writer:
        catalog_store.set_sensitive(writer, key, ["feature.x", "group.g"])
        for version, edges in limits.items():
            known = store.catalog().model("m").version("1")
            bands = {**known.edges, "band.x": Edges(edges=edges)}
            catalog_store.save_version(writer, key, Version(version, START, known.features, bands))
    records = history("binary", 16)
    records += [dict(each, id=f"v2 {each['id']}", version="2") for each in records if each["kind"] == "prediction"]
    load_in_pieces(store, records, random.Random(13))
    names = {"1": ["below 0.5", "0.5 to below 1", "1 and above"], "2": ["below 1", "1 and above"]}
    wanted = defaultdict(lambda: np.zeros(2))
    for record, label in walk("binary", records, 10**9):
        value = record["features"].get("x")
        value = math.nan if value in (None, "abc") else float(value)
        place = sum(limit <= value for limit in limits[record["version"]])
        level = "null" if math.isnan(value) else names[record["version"]][place]
        _, _, _, decision, code = cell("binary", record, label)
        wanted[level, period(record, 24), decision, code] += [1, record.get("weight", 1)]
    rows = query(
        store,
        """SELECT s.level, period, decision, label, sum(n), sum(w) FROM counts_1 JOIN slices_1 s USING (slice)
        WHERE measure = 0 AND s.reference = 'band.x' GROUP BY ALL""",
    )
    assert_equal({row[:4]: row[4:] for row in rows}, wanted)
    before = rollups(store)
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "m")
    assert rollups(store) == before


def test_an_older_store_gets_the_slices_that_it_lacks(store):
    register(store, "binary")
    load_in_pieces(store, history("binary", 15), random.Random(15))
    wanted = rollups(store)
    with store.write() as writer:
        writer.execute("DELETE FROM counts_1 WHERE measure = -1 AND slice <> 0")
    assert rollups(store) != wanted
    with store.write() as writer:
        rebuild_every_rollup(writer)
    assert rollups(store) == wanted and rebuild_every_rollup in STEPS


def test_probabilities_of_classes_follow_the_label(store):
    register(store, "multiclass")
    records = history("multiclass", 9)
    load_in_pieces(store, records, random.Random(9))
    wanted = defaultdict(lambda: np.zeros(1))
    for record, label in walk("multiclass", records, 10**9):
        _, by_class, _, _, code = cell("multiclass", record, label)
        for k in range(3):
            bin_ = -1 if by_class is None else int(np.searchsorted(SCORE_EDGES, by_class[k], side="right"))
            wanted[-100 - k, period(record, 24), bin_, code] += 1
    rows = query(store, "SELECT measure, period, bin, label, sum(n) FROM counts_1 WHERE measure <= -100 GROUP BY ALL")
    assert_equal({row[:4]: row[4:] for row in rows}, wanted)


def test_a_model_registered_after_its_logs_counts_as_if_it_had_been_registered_before(store, tmp_path):
    records = history("binary", 21)
    load_in_pieces(store, records, random.Random(1))
    assert query(store, "SELECT DISTINCT decision, label FROM counts_1 WHERE measure = 0") == [(-1, -1)]
    with store.write() as writer:
        catalog_store.update_model(writer, 1, task="binary", classes=("0", "1"), settings=ModelSettings(threshold=THRESHOLD))
        rollup.rebuild_rollups(writer, "m")
    counts, _ = expected("binary", records, 10**9)
    rows = query(
        store,
        "SELECT period, bin, decision, label, status, sum(n), sum(w), sum(w2) FROM counts_1 WHERE measure = 0 AND slice = 0 GROUP BY ALL",
    )
    assert_equal({row[:5]: row[5:] for row in rows}, counts)


def test_a_rebuild_of_some_streams_leaves_the_others(store):
    register(store, "binary")
    records = history("binary", 2)
    shadows = [
        dict(record, id="s" + record["id"], version="2", environment="shadow") for record in records if record["kind"] == "prediction"
    ]
    load_in_pieces(store, records + shadows, random.Random(2))
    before = rollups(store)
    with store.write() as writer:
        writer.execute("UPDATE counts_1 SET n = n + 1 WHERE stream = 0")
        rollup.rebuild_rollups(writer, "m", [0])
    assert rollups(store) == before


def test_reference_rows_lie_outside_time(store):
    import pyarrow as pa

    from observability.store.ingest.stage import delete_stream, insert_predictions

    register(store, "binary")
    rows = {
        "id": ["reference/1/0", "reference/1/1"],
        "version": ["1", "1"],
        "environment": ["reference"] * 2,
        "score": [0.25, 0.75],
        "at": pa.array([datetime(2020, 1, 1), datetime(2021, 1, 1)], pa.timestamp("us")),
        "received_at": pa.nulls(2, pa.timestamp("us")),
        "feature.x": [0.5, None],
        "status": [None, None],
    }
    labels = {
        "id": rows["id"],
        "at": rows["at"],
        "received_at": rows["received_at"],
        "value": ["0", "1"],
        "number": [0.0, 1.0],
        "source": [None] * 2,
        "annotator": [None] * 2,
        "guideline": [None] * 2,
        "extra": [None] * 2,
    }
    model = store.catalog().model("m")
    with store.write() as writer:
        assert insert_predictions(writer, model, pa.table(rows), pa.table(labels), now=datetime.now(UTC)) == 2
        rollup.rebuild_rollups(writer, "m")
    assert query(store, "SELECT DISTINCT period, arrived FROM counts_1") == [(0, 0)]
    assert query(store, "SELECT decision, label, sum(n) FROM counts_1 WHERE measure = 0 AND slice = 0 GROUP BY ALL ORDER BY ALL") == [
        (0, 0, 1),
        (1, 1, 1),
    ]
    assert query(store, "SELECT bin, sum(n) FROM counts_1 WHERE measure = 1 GROUP BY ALL ORDER BY ALL") == [(-1, 1), (1, 1)]
    with store.write() as writer:
        assert delete_stream(writer, model, "1", "reference") == 2
    assert query(store, "SELECT (SELECT count(*) FROM counts_1), (SELECT count(*) FROM labels_1)") == [(0, 0)]


def test_at_most_50_levels_of_a_column_become_slices(store):
    register(store, "binary")
    record = next(each for each in history("binary", 1) if each["kind"] == "prediction")
    land(store, *(dict(record, id=f"d{i}", device=f"d{i:03d}") for i in range(80)))
    load_landing(store)
    assert query(store, "SELECT count(*), max(level) FROM slices_1 WHERE reference = 'device'") == [(50, "d049")]
    before = rollups(store)
    with store.write() as writer:
        rollup.rebuild_rollups(writer, "m")
    assert rollups(store) == before


def test_the_history_of_these_tests_has_many_labels_and_revisions():
    records = history("binary", 0, predictions=300)
    labels = [record for record in records if record["kind"] == "label"]
    assert len(json.dumps(records)) > 50_000 and len(labels) > 200
    revised = {record["id"] for record in labels if sum(each["id"] == record["id"] for each in labels) > 1}
    assert len(revised) > 50
