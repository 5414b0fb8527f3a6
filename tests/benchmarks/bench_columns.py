"""How many columns does a model carry? Time and memory of registering, loading, checking and the data of the drift page.

    python tests/benchmarks/bench_columns.py [COLUMNS ...] [--levels 200] [--rows 400]

For each number of COLUMNS (default 1000): a model of which half of the features are numbers and half are categories of --levels levels, registered with a reference of
--rows rows through the product, --rows predictions loaded over 14 days from a Parquet file, one input of each kind shifted. Prints wall and processor seconds, the peak of memory and the
size of the file.
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

from observability.monitoring import check
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest

DAYS = 14
END = datetime(2026, 3, 15, tzinfo=UTC)


def rows_of(rng: np.random.Generator, rows: int, columns: int, levels: int, shift: float = 0.0) -> pd.DataFrame:
    """Rows of the model: half of the columns numbers, half categories. shift: of the first number and category, in the second half."""
    late = np.arange(rows) >= rows / 2
    found: dict[str, Any] = {f"number_{place:05d}": rng.normal(size=rows).round(4) for place in range(columns // 2)}
    found |= {
        f"category_{place:05d}": np.array([f"level {each}" for each in rng.integers(0, levels, rows)]) for place in range(columns // 2)
    }
    found["number_00000"] = found["number_00000"] + np.where(late, shift, 0.0)
    found["category_00000"] = np.where(late & (shift > 0), "level 0", found["category_00000"])
    score = 1 / (1 + np.exp(-found["number_00001"]))
    return pd.DataFrame({**found, "score": score.round(4), "label": (rng.random(rows) < score).astype(int)})


def measured(columns: int, levels: int, rows: int, folder: Path) -> None:
    """Make the model and print the figures."""

    def note(name: str, work: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        answer = work()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        print(
            f"  {name:<24} {time.perf_counter() - wall:9.2f} s wall {time.process_time() - cpu:9.2f} s CPU   peak {peak:,.0f} MiB",
            flush=True,
        )
        return answer

    rng = np.random.default_rng(1)
    rows_of(rng, rows, columns, levels).to_parquet(folder / "reference.parquet")
    served = rows_of(rng, rows, columns, levels, 2.0)
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


def main() -> int:
    """Read the options, make the models, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("columns", type=int, nargs="*", default=[1000])
    parser.add_argument("--levels", type=int, default=200)
    parser.add_argument("--rows", type=int, default=400)
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, duckdb {version('duckdb')}"
    )
    for columns in options.columns:
        print(f"{columns:,} columns, {options.levels} levels, {options.rows:,} rows")
        with tempfile.TemporaryDirectory() as folder:
            measured(columns, options.levels, options.rows, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
