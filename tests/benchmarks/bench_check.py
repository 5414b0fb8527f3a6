"""How long does `check` take over a week with 25 features, by analyzer, compared with one drift query from rollups?

    python tests/benchmarks/bench_check.py [--rows 1000000]

One model of 30 days with 20 numeric and 5 categorical features, two replicas, latencies, labels for all but the last days, and one
sensitive column. Imports and compiled code are warm. The analyzers' own time is the sum over all analyzers that read counts. Analyzers that
read samples of raw rows (such as the domain classifier) and the worker's advance work are printed separately. Times are medians of 5;
ratios are within one run.
"""

import argparse
import platform
import statistics
import sys
import tempfile
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import drift_rows
from bench_drift import distances

from observability.analyzers import discover
from observability.core.analyzer import Context
from observability.core.questions import Aggregate
from observability.core.window import Window
from observability.monitoring import analyzer_runs, check
from observability.store.db.catalog_store import find_model, set_sensitive
from observability.store.opener import open_store
from observability.store.query import aggregates
from observability.store.rollup.rollup import compact_rollups, rebuild_rollups

RUNS = 5
GOAL = 20
END = drift_rows.START + timedelta(days=drift_rows.DAYS)
WEEK = Window(drift_rows.MODEL, END - timedelta(days=7), END, version=drift_rows.VERSION)


def complete(store):
    """Add to the rows what the other analyzers need: latency, replica, status, labels, a sensitive column."""
    key = find_model(store.cursor(), drift_rows.MODEL).key
    with store.write() as writer:
        writer.execute(
            f"""UPDATE predictions_{key} SET latency_ms = exp(3 + random()), replica = 'r' || (id_hash % 2), decision = (score >= 0.5)::SMALLINT,
            status = CASE WHEN id_hash % 1000 = 7 THEN 'timeout' ELSE 'ok' END"""
        )
        writer.execute(
            f"""INSERT INTO labels_{key} (id, id_hash, "at", arrived, value, number) SELECT id, id_hash, "at" + INTERVAL 1 DAY,
            coalesce(arrived, TIMESTAMP '2026-01-01') + INTERVAL 1 DAY, x::VARCHAR, x FROM (SELECT *, (random() < score)::INTEGER AS x
            FROM predictions_{key}) WHERE "at" < TIMESTAMP '{END - timedelta(days=2):%Y-%m-%d}' OR "at" IS NULL"""
        )
        set_sensitive(writer, key, ["feature.c0"])
    with store.write() as writer:
        rebuild_rollups(writer, drift_rows.MODEL)
        compact_rollups(writer, find_model(writer, drift_rows.MODEL), now=END + timedelta(days=60))
    return store.catalog().model(drift_rows.MODEL)


def median(question):
    """Median seconds of RUNS runs, after one run that is not counted."""
    question()
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        question()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def measure(store, model):
    """Prints the time of one drift query, of each analyzer and of the whole check."""
    registered = model.versions[0]
    whole = Aggregate("predictions", histogram=drift_rows.HISTOGRAM)
    context = Context(model, registered, WEEK, END)

    def query():
        current = aggregates.answer_aggregate(store, whole, WEEK, source="rollup")
        return distances(registered, current, store.ask(whole, WEEK.reference()))

    unit = median(query)
    print(f"  one drift query from rollups: {unit * 1e3:.1f} ms")
    for analyzer in discover():
        if analyzer.about == "model":
            reads = analyzer_runs.analyzer_reads(analyzer, context)
            taken = median(lambda analyzer=analyzer: analyzer_runs.run_and_recover(store, analyzer, context))
            said = f"{len(analyzer_runs.run_and_recover(store, analyzer, context))} findings"
            print(f"  {analyzer.name:<32} {taken * 1e3:9.1f} ms {taken / unit:7.2f} × the query   from {reads}, {said}")
    options = {"model": model.name, "start": WEEK.start, "end": WEEK.end, "now": END}
    counts = median(lambda: check.check(store, **options, reads="counts"))
    rows = median(lambda: check.check(store, **options, reads="rows", with_records=False))
    print(f"  own time of check from counts: {counts * 1e3:.0f} ms, {counts / unit:.1f} × the query; goal: at most {GOAL}")
    print(f"  apart: analyzers that read samples of raw rows {rows * 1e3:.0f} ms, {rows / unit:.1f} × the query")


def main():
    """Reads the options, fills a store, prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy", "pandas", "scikit-learn", "numba"))
    print(f"{platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}")
    with tempfile.TemporaryDirectory() as folder, open_store(Path(folder), threads=2) as store:
        drift_rows.fill(store, options.rows)
        model = complete(store)
        print(f"{options.rows:,} rows over {drift_rows.DAYS} days, a week is judged")
        measure(store, model)


if __name__ == "__main__":
    main()
