"""How long does the worker process take for attributions and scores of a sample model, compared with calling LightGBM directly?

    python tests/benchmarks/bench_explain.py [--rows 10000] [--runs 3]

Direct: the model file is loaded, the rows are encoded, and LightGBM computes contributions (or scores), all in this process. Worker: the
rows go to the warm worker, which does the same in a forked process, and the answer comes back. Both run in turn, and the median is taken;
the first call, which starts the process and imports, is printed separately. The attributions must be equal. Prints seconds and ratios with
the machine and versions.
"""

import argparse
import platform
import statistics
import sys
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import lightgbm
import numpy as np
import pandas as pd

from observability.worker.model import Task
from observability.worker.model_lightgbm import open_lightgbm
from observability.worker.process import Worker
from observability.worker.requests import explain_scores, predict_scores

MODEL = ROOT / "sample_data" / "flights-late"
CLASSES = ("0", "1")


def timed(work):
    """Seconds of one run, and its result."""
    start = time.perf_counter()
    found = work()
    return time.perf_counter() - start, found


def direct(artifact, rows, **options):
    """The result of LightGBM in this process."""
    encode = open_lightgbm(artifact, rows, Task("binary", CLASSES)).encode
    return lightgbm.Booster(model_file=str(artifact)).predict(encode(rows), **options)


def compare(name, rows, runs, ours, theirs, equal):
    """Run both in turn. Print the medians, and the worker's throughput as a share of the direct one."""
    taken = {"worker": [], "direct": []}
    for _ in range(runs):
        seconds, found = timed(ours)
        taken["worker"].append(seconds)
        seconds, expected = timed(theirs)
        taken["direct"].append(seconds)
        assert equal(found, expected), name
    worker, plain = statistics.median(taken["worker"]), statistics.median(taken["direct"])
    print(
        f"  {name:<28} direct {plain:7.3f} s   worker {worker:7.3f} s   {rows / worker:9,.0f} rows/s   ratio {plain / worker:.2f}   more {1e3 * (worker - plain):.0f} ms"
    )


def main():
    """Reads the options and prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("lightgbm", "numpy", "pandas", "pyarrow"))
    cores = len([line for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines() if line.startswith("processor")])
    print(f"{platform.machine()}, {cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}")
    artifact = Path(f"{MODEL}.lightgbm.txt")
    rows = pd.read_parquet(f"{MODEL}.predictions.parquet").head(options.rows)
    worker = Worker()
    first, _ = timed(lambda: predict_scores(worker, artifact, rows.head(1), task="binary", classes=CLASSES))
    one = statistics.median(
        timed(lambda: explain_scores(worker, artifact, rows.head(1), task="binary", classes=CLASSES))[0] for _ in range(5)
    )
    print(f"first call, with start and imports {first:.2f} s; one row explained, warm {one * 1e3:.0f} ms")
    print(f"{len(rows):,} rows, 150 trees, {len(rows.columns) - 8} features")
    compare(
        "attributions", len(rows), options.runs,
        lambda: explain_scores(worker, artifact, rows, task="binary", classes=CLASSES),
        lambda: direct(artifact, rows, pred_contrib=True),
        lambda found, expected: np.allclose(found.values, expected[:, :-1], rtol=1e-9, atol=1e-12) and found.largest_residual < 1e-9,
    )  # fmt: skip
    compare(
        "scores", len(rows), options.runs,
        lambda: predict_scores(worker, artifact, rows, task="binary", classes=CLASSES),
        lambda: direct(artifact, rows),
        np.array_equal,
    )  # fmt: skip
    worker.close()


if __name__ == "__main__":
    main()
