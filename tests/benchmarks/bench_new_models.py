"""What do unregistered model names cost? Tables, bytes and seconds.

    python tests/benchmarks/bench_new_models.py [NAMES ...] [--json FILE]

For each number of NAMES (default 1000): loads a JSONL file with one prediction per name, five features each, into a new store with a raised
limit of unregistered models; then a second prediction of each with its label. Prints wall and processor seconds of both loads, of `status`
(counted anew) and of opening the store again; and the number of tables and views, the bytes of the file after a checkpoint, and the peak
memory.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import logging

logging.disable(logging.WARNING)

from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults


def taken(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor seconds (of all threads) of one run, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def write_lines(path: Path, names: int, hour: int, *, labelled: bool) -> None:
    """Write one prediction of each name, with its label if requested."""
    with path.open("w") as file:
        for number in range(names):
            features = {"age": number % 80, "amount": number * 1.5, "region": f"r{number % 9}", "new": number % 2 == 0, "note": None}
            record = {
                "kind": "prediction", "id": f"p{hour}-{number}", "at": f"2026-03-04T{hour:02d}:00:00Z", "model": f"model-{number}",
                "version": "1", "features": features, "score": 0.5,
            }  # fmt: skip
            file.write(json.dumps(record | ({"label": number % 2} if labelled else {})) + "\n")


def measure(names: int) -> dict[str, Any]:
    """The figures for one number of names."""
    found: dict[str, Any] = {"names": names}
    with tempfile.TemporaryDirectory(prefix="new-models-") as folder:
        home = Path(folder) / "home"
        home.mkdir()
        (home / "limits.toml").write_text(f"[limits]\nunregistered_models = {names + 1}\n")
        for hour in (5, 6):
            write_lines(Path(folder) / f"{hour}.jsonl", names, hour, labelled=hour == 6)
        with open_store(home) as store:
            for hour, what in ((5, "first_load"), (6, "second_load")):
                path = Path(folder) / f"{hour}.jsonl"
                *seconds, report = taken(lambda path=path: store.load_files([path], LoadDefaults()))
                assert (report.stored, report.rejected) == (names, 0), report
                found[what] = [round(each, 1) for each in seconds]
            with store.cursor() as cursor:
                cursor.execute("FORCE CHECKPOINT")
                (found["tables"],) = cursor.execute("SELECT count(*) FROM duckdb_tables()").fetchall()[0]
                (found["views"],) = cursor.execute("SELECT count(*) FROM duckdb_views() WHERE NOT internal").fetchall()[0]
            found["megabytes"] = round(store.path.stat().st_size / 1e6, 1)
            *seconds, status = taken(store.status)
            assert sum(model["predictions"] for model in status["models"]) == 2 * names
            found["status"] = [round(each, 1) for each in seconds]
        *seconds, store = taken(lambda: open_store(home))
        store.close()
        found["open"] = [round(each, 1) for each in seconds]
    found["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", type=int, default=[1000])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = []
    for names in args.names:
        results.append(measure(names))
        print(json.dumps(results[-1]), flush=True)
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
