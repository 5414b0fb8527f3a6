"""How many columns can a model have? Time and memory of registering, loading, checking and opening pages.

    python tests/benchmarks/bench_columns.py [COLUMNS ...] [--levels 200] [--rows 400] [--moved 0.0]

For each number of COLUMNS (default 1000): a model with numbers as one half of its features and categories of --levels levels as the other
half. It is registered through the product with a reference of --rows rows, and --rows predictions over 14 days are loaded from a Parquet
file. One input of each kind is shifted, and also a share --moved of the numbers. Prints wall and processor seconds, the peak of memory and
the size of the file; then the processor seconds of the server for each page about the model. Pages are opened twice in a process that
already holds the model's findings (as in a running dashboard, whose watcher computes them). With several COLUMNS, each figure for the last
number is printed next to that for the first.
"""

import argparse
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import logging

logging.disable(logging.WARNING)
import numpy as np
import pandas as pd

from observability.dashboard import load, load_findings
from observability.dashboard.scope import Scope
from observability.monitoring import check
from observability.server import process_lock
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.dashboard_pages import opened
from tests.support.page_runs import run_pages_as_a_server_does

DAYS = 14
END = datetime(2026, 3, 15, tzinfo=UTC)


PAGES = (
    "health",
    "model",
    "drift",
    "quality",
    "performance",
    "slices",
    "explanations",
    "why_changed",
    "live_guard",
    "calibration",
    "compare",
    "findings",
    "case",
)


def rows_of(rng: np.random.Generator, rows: int, columns: int, levels: int, shift: float = 0.0, moved: float = 0.0) -> pd.DataFrame:
    """Rows of the model: half of the columns are numbers, half categories. In the second half of the rows, `shift` is added to the first
    number and to about a share `moved` of the numbers; above 0 it also sets the first category to one level.
    """
    late = np.arange(rows) >= rows / 2
    found: dict[str, Any] = {f"number_{place:05d}": rng.normal(size=rows).round(4) for place in range(columns // 2)}
    found |= {
        f"category_{place:05d}": np.array([f"level {each}" for each in rng.integers(0, levels, rows)]) for place in range(columns // 2)
    }
    for place in (0, *range(2, int(moved * (columns // 2)))):
        found[f"number_{place:05d}"] = found[f"number_{place:05d}"] + np.where(late, shift, 0.0)
    found["category_00000"] = np.where(late & (shift > 0), "level 0", found["category_00000"])
    score = 1 / (1 + np.exp(-found["number_00001"]))
    return pd.DataFrame({**found, "score": score.round(4), "label": (rng.random(rows) < score).astype(int)})


def measured(columns: int, levels: int, rows: int, moved: float, folder: Path) -> dict[str, float]:
    """Make the model and print the figures. Returns the processor seconds by name."""
    seconds: dict[str, float] = {}

    def note(name: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work()
        peak, seconds[name] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10, time.process_time() - cpu
        print(f"  {name:<24} {time.perf_counter() - wall:9.2f} s wall {seconds[name]:9.2f} s CPU   peak {peak:,.0f} MiB", flush=True)
        return answer

    rng = np.random.default_rng(1)
    rows_of(rng, rows, columns, levels).to_parquet(folder / "reference.parquet")
    served = rows_of(rng, rows, columns, levels, 2.0, moved).copy()
    served["id"] = [f"p{place}" for place in range(rows)]
    served["at"] = [END - timedelta(days=DAYS) * (1 - place / rows) for place in range(rows)]
    served.to_parquet(folder / "rows.parquet")
    features = tuple(served.columns[:columns])
    with open_store(folder / "home", threads=2) as store:
        request = RegistrationRequest(
            "wide", "1", folder / "reference.parquet", task="binary", label="label", score=("score",), features=features
        )
        note("register", lambda: store.register(request))
        report = note("load", lambda: store.load_files([folder / "rows.parquet"], LoadDefaults("prediction", "wide", "1", features)))
        assert report.rejected == 0, report.reasons
        window = {"model": "wide", "start": END - timedelta(days=7), "end": END, "now": END, "with_records": False}
        found = note("check, from counts", lambda: check.check(store, **window, reads="counts"))
        note("check again", lambda: check.check(store, **window, reads="counts"))
        note("drift alone", lambda: check.check(store, **window, only=("serving/drift",)))
        note("check, from rows", lambda: check.check(store, **window, reads="rows"))
        note("catalog", store.catalog)
        drifted = [each.subject for each in found.findings if each.analyzer == "serving/drift" and each.needs_action]
        print(f"  {len(found.findings):,} findings, drifted: {drifted[:4]}; file {store.path.stat().st_size / 2**20:,.0f} MiB")
        run_pages_as_a_server_does()
        process_lock.current_store, load.page_clock = (lambda: store), (lambda: END)
        window = load.window(Scope(model="wide"), "wide")
        note("findings of pages", lambda: (load_findings.findings_in_window(window, wait=True), load_findings.findings_before(window)))
        for page in PAGES:
            about = {} if page == "health" else {"model": "wide", **({"id": f"p{rows - 1}"} if page == "case" else {})}
            for again in ("", " again"):
                note(f"page {page}{again}", lambda page=page, about=about: opened(page, **about))
    return seconds


def main() -> int:
    """Read the options, make the models, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("columns", type=int, nargs="*", default=[1000])
    parser.add_argument("--levels", type=int, default=200)
    parser.add_argument("--rows", type=int, default=400)
    parser.add_argument("--moved", type=float, default=0.0)
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, duckdb {version('duckdb')}"
    )
    found = []
    for columns in options.columns:
        print(f"{columns:,} columns, {options.levels} levels, {options.rows:,} rows")
        with tempfile.TemporaryDirectory() as folder:
            found.append(measured(columns, options.levels, options.rows, options.moved, Path(folder)))
    if len(found) > 1:
        first, last = found[0], found[-1]
        print(f"processor seconds at {options.columns[0]:,} and {options.columns[-1]:,} columns, and their ratio")
        for name in first:
            print(f"  {name:<24} {first[name]:9.2f} {last[name]:9.2f} {last[name] / first[name]:9.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
