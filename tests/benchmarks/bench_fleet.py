"""Time to check a whole fleet, slices included, at millions of rows per model.

    python tests/benchmarks/bench_fleet.py [ROWS] [MODELS] [--rows-of-rest N] [--home FOLDER]

MODELS (default 4) classifiers of ROWS (default 10,000,000) predictions each, over 180 days, with 12 features, three replicas and labels for half of them, in one
store. Every analyzer judges the last week of every model. `--rows-of-rest`: rows of every model except the first, to save disk and time. `--home`: a folder in
which the store is kept and reused (10 million rows take about 3 GB). Prints wall and processor seconds of the first check of this process and of the best of
three, by model and by analyzer, and the peak of memory. Analyzers are timed one by one, so their sum exceeds a check, which runs shared queries once. Goal: 10 s of wall time for the whole fleet.
"""

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(Path(__file__).parent)]

from bench_case import FIRST, fill

from observability.analyzers import discover
from observability.monitoring import check
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.rollup.rollup import compact_rollups

GOAL = 10.0
REPEATS = 3
END = FIRST + timedelta(days=180)
WEEK = {"start": END - timedelta(days=7), "end": END, "now": END}


def taken(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor seconds (of all threads) of one run, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def peak() -> str:
    """The peak memory of this process."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"


def measured(store: Database, names: list[str]) -> float:
    """Print how long a check of the fleet takes, by model and by analyzer. Returns the wall seconds for the fleet."""
    wall, cpu, report = taken(lambda: check.check(store, **WEEK))
    print(f"the fleet, first check (imports and compiled code included): {wall:.1f} s wall, {cpu:.1f} s CPU; {dict(Counter(each.severity for each in report.findings))}")  # fmt: skip
    print(f"  peak memory until then {peak()}", flush=True)
    runs = [taken(lambda: check.check(store, **WEEK))[:2] for _ in range(REPEATS)]
    best, least = min(each[0] for each in runs), min(each[1] for each in runs)
    print(f"the fleet, best of {REPEATS}: {best:.1f} s wall, {least:.1f} s CPU; goal {GOAL:.0f} s: {'held' if best <= GOAL else 'MISSED'}")
    for name in names:
        for reads in ("counts", "rows"):
            wall, cpu, _ = taken(lambda name=name, reads=reads: check.check(store, model=name, reads=reads, **WEEK))
            print(f"  {name}, analyzers that read {reads}: {wall:.2f} s wall, {cpu:.2f} s CPU", flush=True)
    alone = {}
    for analyzer in discover():
        if analyzer.about == "model":
            alone[analyzer.name] = taken(lambda analyzer=analyzer: check.check(store, model=names[0], only=(analyzer.name,), **WEEK))[:2]
    print(f"by analyzer, each alone, of {names[0]}:")
    for name, (wall, cpu) in sorted(alone.items(), key=lambda each: -each[1][1]):
        print(f"  {name:<34} {wall:6.2f} s wall, {cpu:6.2f} s CPU")
    return best


def main() -> int:
    """Read the options, fill a store, and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=int, nargs="?", default=10_000_000)
    parser.add_argument("models", type=int, nargs="?", default=4)
    parser.add_argument("--rows-of-rest", type=int)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy", "pandas", "scikit-learn"))
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, {packages}")
    with tempfile.TemporaryDirectory() as folder, open_store((options.home or Path(folder)) / "home", threads=2) as store:
        names = [f"model {place + 1}" for place in range(options.models)]
        there = {each.name for each in store.catalog().models}
        for place, name in enumerate(names):
            if name in there:
                print(f"{name} is there")
                continue
            rows = (options.rows_of_rest or options.rows) if place else options.rows
            wall, cpu, _ = taken(lambda name=name, rows=rows: fill(store, Path(folder), name, rows, rolled=True))
            with store.write() as writer:
                compact_rollups(writer, store.catalog().model(name), now=END)
            print(f"{name}: {rows:,} predictions made and rolled up in {wall:.0f} s wall, {cpu:.0f} s CPU", flush=True)
        store.cursor().execute("CHECKPOINT")
        print(f"peak memory while they were made {peak()}")
        best = measured(store, names)
        print(f"load {os.getloadavg()[0]:.1f}, peak memory {peak()}")
    return int(best > GOAL)


if __name__ == "__main__":
    sys.exit(main())
