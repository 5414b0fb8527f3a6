"""How fast is drift over 30 days × 25 features, from rollups and from raw rows, compared with a bare scan of the columns and with other
libraries?

    python tests/benchmarks/bench_drift.py [--rows 10000000] [--home FOLDER] [--peer-python evidently=PATH] [--peer-python nannyml=PATH]

Fills a store with 1 million rows (or --rows) of 20 numeric and 5 categorical features, times each question (median of 5, the runs of all
questions interleaved), and prints times and ratios, with the machine and the versions. Other libraries run once each, in their own
environments, on the same rows from Parquet. With --rows above 1 million, the rollups are also timed in a store of 1 million, since their
time should not depend on the number of rows.
"""

import argparse
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

import drift_rows
import numpy as np

from observability.analyzers.serving import drift
from observability.core.analyzer import Context
from observability.core.questions import Aggregate, Bucket
from observability.stats import distance
from observability.store.db.catalog_store import stream_numbers
from observability.store.opener import open_store
from observability.store.query import aggregates
from observability.store.rollup.rollup import compact_rollups

RUNS = 5
WHOLE = Aggregate("predictions", histogram=drift_rows.HISTOGRAM)
BY_DAY = Aggregate("predictions", keys=(Bucket("day"),), histogram=drift_rows.HISTOGRAM)
MEGABYTE = 1024 * 1024
GOALS = {"rollup, drift": 0.1, "raw, drift": 10}
"""Largest allowed multiples of the time of a bare scan: for rollups at 10 million rows, for raw rows at 1 million (6 at 10 million)."""
PEER_GOALS = {"evidently": 80, "nannyml": 12}


def distances(version, current, reference):
    """PSI, Jensen-Shannon, KS and Wasserstein (L∞ for categories) of every feature, from the counts of a frame summed over days."""
    found = {}
    place = {name: i for i, name in enumerate(drift_rows.HISTOGRAM)}
    widest = max(max(len(edges.levels), len(edges.edges) + 1) for edges in version.edges.values()) + 5
    dense = []
    for frame in (reference, current):
        cell = frame["column"].map(place).to_numpy() * widest + frame["bin"].to_numpy() + 5
        dense.append(np.bincount(cell, frame["w"].to_numpy(), len(place) * widest).reshape(-1, widest))
    for name, i in place.items():
        edges = version.edges[name]
        size = (len(edges.levels) if edges.levels else len(edges.edges) + 1) + 5
        before, now = (side[i, :size] for side in dense)
        if edges.levels:
            found[name] = (
                distance.psi(before, now),
                distance.jensen_shannon_distances(before, now),
                distance.largest_share_changes(before, now),
            )
            continue
        groups = np.concatenate([np.arange(5), 5 + np.asarray(edges.deciles)])
        deciles = [distance.merge_bins(side, groups) for side in (before, now)]
        merge = distance.coarsen_bins(before[5:])
        values = [side[5:] for side in (before, now)]
        found[name] = (
            distance.psi(*deciles),
            distance.jensen_shannon_distances(*(distance.merge_bins(side, merge) for side in values)),
            distance.kolmogorov_smirnov_distances(*values),
            *distance.wasserstein_distances(*([side] for side in values), [edges.edges], [edges.scale], [(edges.low, edges.high)]),
        )
    return found


def questions(store, model):
    """The questions that are timed, by name."""
    (stream,) = (number for (_, environment), number in stream_numbers(store.cursor(), model.key).items() if environment == "production")
    columns = {each.name: each.column for each in model.columns}
    scan = [f"sum({columns[name]})" for name in drift_rows.NUMBERS] + [f"max(strlen({columns[name]}))" for name in drift_rows.CATEGORIES]
    statement = f"SELECT {', '.join(scan)} FROM predictions_{model.key} WHERE stream = {stream}"
    cursor, registered = store.cursor(), model.versions[0]
    window = drift_rows.WINDOW
    context = Context(model, registered, window, window.end)

    def measured(aggregate, source):
        current = aggregates.answer_aggregate(store, aggregate, window, source=source)
        return distances(registered, current, store.ask(WHOLE, window.reference()))

    def analyzed():
        asks = drift.ANALYZER.needs(context)
        frames = {name: store.ask(each.aggregate, window if each.span == "current" else window.reference()) for name, each in asks.items()}
        return drift.ANALYZER.analyze(frames, context)

    return {
        "bare scan": lambda: cursor.execute(statement).fetchall(),
        "rollup, counts": lambda: aggregates.answer_aggregate(store, WHOLE, window, source="rollup"),
        "rollup, counts by day": lambda: aggregates.answer_aggregate(store, BY_DAY, window, source="rollup"),
        "rollup, drift": lambda: measured(WHOLE, "rollup"),
        "rollup, drift by day": lambda: measured(BY_DAY, "rollup"),
        "rollup, analyzer": analyzed,
        "raw, counts": lambda: aggregates.answer_aggregate(store, WHOLE, window, source="raw"),
        "raw, counts by day": lambda: aggregates.answer_aggregate(store, BY_DAY, window, source="raw"),
        "raw, drift": lambda: measured(WHOLE, "raw"),
    }


def timed(asked, runs=RUNS):
    """Median seconds of each question. The runs of the questions are interleaved; the first run of each is not counted."""
    taken = {name: [] for name in asked}
    for _ in range(runs + 1):
        for name, question in asked.items():
            start = time.perf_counter()
            question()
            taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(each[1:]) for name, each in taken.items()}


def extra_memory(question):
    """Megabytes that a warm question needs at its peak, in addition to the memory that the process held before."""
    question()
    before = resident()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    question()
    return (peak() - before) / MEGABYTE


def resident():
    """Bytes of memory that the process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()


def peak():
    """The most memory that the process has held since the counter was cleared."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def run(folder, rows, peers):
    """Fill a store, time everything and print it. Returns the times."""
    with open_store(Path(folder), threads=2) as store:
        start = time.perf_counter()
        model = drift_rows.fill(store, rows)
        print(f"\n{rows:,} rows; filled in {time.perf_counter() - start:.0f} s; {counted(store, model):,} rows of counts as loaded")
        times = timed(questions(store, model))
        show(times, rows)
        used = extra_memory(lambda: aggregates.answer_aggregate(store, BY_DAY, drift_rows.WINDOW, source="raw"))
        print(f"  raw by day needs {used:.0f} MB beside what is cached (stated limit 128 MB)")
        with store.write() as writer:
            compact_rollups(writer, model, now=drift_rows.START + timedelta(days=drift_rows.DAYS + 60))
        print(f"  compacted to {counted(store, model):,} rows of counts:")
        compacted = timed({name: each for name, each in questions(store, model).items() if not name.startswith("raw")})
        show(compacted, rows)
        for name, python in peers.items():
            beside(store, model, name, python, times["raw, drift"])
        return times, compacted


def counted(store, model):
    """Rows in the table of counts."""
    ((rows,),) = store.cursor().execute(f"SELECT count(*) FROM counts_{model.key}").fetchall()
    return rows


def show(times, rows):
    """Print a line for each question."""
    goals = GOALS | ({"raw, drift": 6} if rows >= 10_000_000 else {"rollup, drift": None})
    for name, seconds in times.items():
        goal = goals.get(name)
        said = f"   goal: at most {goal}" if goal else ""
        print(f"  {name:<24} {seconds * 1e3:9.1f} ms   {seconds / times['bare scan']:7.3f} × bare scan{said}")


def beside(store, model, name, python, ours):
    """Run another library on the same rows in its own environment, and print how many times as long it took."""
    with tempfile.TemporaryDirectory() as folder:
        drift_rows.export(store, model, Path(folder))
        command = [python, str(Path(__file__).parent / "run_peers.py"), name, folder]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env={"DO_NOT_TRACK": "1", "PATH": "/usr/bin:/bin"})
    if answer.returncode:
        print(f"  {name}: failed: {answer.stderr.strip().splitlines()[-1] if answer.stderr.strip() else answer.returncode}")
        return
    seconds, megabytes, release = answer.stdout.split()[-3:]
    print(
        f"  {name} {release}: {float(seconds):.1f} s and {float(megabytes):.0f} MB extra: "
        f"{float(seconds) / ours:.0f} × raw, drift; goal: at least {PEER_GOALS[name]}"
    )


def main():
    """Reads the options and prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--home", type=Path, help="an empty folder on a disk with room (10 million rows take 2.5 GB)")
    parser.add_argument("--peer-python", action="append", default=[], metavar="NAME=PATH", help="evidently=PATH or nannyml=PATH")
    options = parser.parse_args()
    peers = dict(each.split("=", 1) for each in options.peer_python)
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy", "pandas", "pyarrow", "numba"))
    cores = len([line for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines() if line.startswith("processor")])
    print(f"{platform.machine()}, {cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}")
    sizes = [1_000_000, options.rows] if options.rows > 1_000_000 else [options.rows]
    found = {}
    for rows in sizes:
        with tempfile.TemporaryDirectory(dir=options.home) as folder:
            found[rows] = run(folder, rows, peers if rows == sizes[0] else {})
    if len(sizes) > 1:
        for state, place in (("as loaded", 0), ("compacted", 1)):
            small, large = (found[rows][place]["rollup, drift by day"] for rows in sizes)
            print(f"rollup, drift by day, {state}: {large / small:.2f} × the time at 1 million rows; goal: at most 1.5")


if __name__ == "__main__":
    main()
