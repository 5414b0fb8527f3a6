"""Does the confidence-based estimate from counts equal NannyML's CBPE on the fleet's classifiers, month by month, and how long does each
take?

    python tests/benchmarks/bench_cbpe.py --home FOLDER [--peer-python PATH]

FOLDER is a home with the sample fleet (`python -m observability demo`). For flights-late and employment, accuracy, precision, recall, F1,
ROC AUC and PR AUC of each month are estimated from the rollups. With --peer-python (the Python of an environment with nannyml), NannyML
estimates the same from the rows of the Parquet files. Prints the largest difference in units of NannyML's own sampling errors (goal: at
most 1), the true values, and seconds (median of 5, warm).
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import pandas as pd

from observability.core.questions import Bucket
from observability.core.window import Window
from observability.metrics.estimates import estimate_metrics, estimate_questions, score_calibration
from observability.store.opener import open_store

SAMPLE = ROOT / "sample_data"
NAMES = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "f1",
    "roc_auc": "roc_auc",
    "pr_auc": "average_precision",
}
MIN_ROWS = 1000
RUNS = 5


def by_month(store, model):
    """Estimated figures of each month, from the rollups."""
    known = store.catalog().model(model)
    window = Window(model, datetime(2010, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC), version=known.versions[0].name)
    calibrated = score_calibration(known, store.ask(estimate_questions(known)["counts"], window.reference()), None)
    counts = store.ask(estimate_questions(known, Bucket("day"))["counts"], window)
    month = counts["period"].dt.strftime("%Y-%m")
    return {name: estimate_metrics(calibrated, part) for name, part in counts.groupby(month) if part["n"].sum() >= MIN_ROWS}


def rows_for_peer(model, threshold, folder):
    """The raw rows in the form that NannyML needs."""
    served = pd.read_parquet(SAMPLE / f"{model}.predictions.parquet")
    if "label" not in served:
        labels = pd.read_parquet(SAMPLE / f"{model}.labels.parquet")[["id", "value"]].rename(columns={"value": "label"})
        served = served.merge(labels, on="id", how="left")
    for side, frame in (("reference", pd.read_parquet(SAMPLE / f"{model}.reference.parquet")), ("served", served)):
        kept = frame[["at", "score", "label"]].assign(decision=(frame["score"] >= threshold).astype(int))
        kept["at"] = kept["at"].dt.tz_localize(None)
        kept["label"] = kept["label"].astype(float)
        kept.to_parquet(folder / f"{side}.parquet")


def compare(store, model, python):
    """Print how far the two estimates differ, and the time of each."""
    taken = []
    for _ in range(RUNS + 1):
        start = time.perf_counter()
        ours = by_month(store, model)
        taken.append(time.perf_counter() - start)
    print(f"\n{model}: {len(ours)} months from rollups in {1e3 * statistics.median(taken[1:]):.0f} ms")
    if python is None:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows_for_peer(model, store.catalog().model(model).settings.threshold, folder)
        command = [python, str(Path(__file__).parent / "cbpe_peer.py"), name]
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            env={"DO_NOT_TRACK": "1", "NML_DISABLE_USAGE_LOGGING": "1", "PATH": "/usr/bin:/bin"},
        )
        if answer.returncode:
            print("  NannyML failed:", answer.stderr.strip().splitlines()[-1])
            return
        theirs = json.loads((folder / "nannyml.json").read_text())
    seconds, release = answer.stdout.split()[-2:]
    for own, name in NAMES.items():
        both = [(ours[month][own].interval.value, *theirs[month][name]) for month in ours if month in theirs]
        gap = [abs(a - b) for a, b, _, _ in both]
        errors = max(each / row[2] for each, row in zip(gap, both))
        truth = [(abs(a - real), abs(b - real)) for a, b, _, real in both if real == real]
        ours_off, theirs_off = (statistics.mean(each) for each in zip(*truth))
        print(
            f"  {own:<10} largest difference {max(gap):.4f}, {errors:.2f} sampling errors (goal: at most 1); "
            f"mean distance from the truth: ours {ours_off:.4f}, NannyML {theirs_off:.4f}"
        )
    print(f"  NannyML {release}: {float(seconds):.1f} s, {float(seconds) / statistics.median(taken[1:]):.0f} × ours")


def main():
    """Reads the options and prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="a home with the sample fleet; nothing else may have it open")
    parser.add_argument("--peer-python", help="the Python of an environment that has nannyml")
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy", "pandas", "scipy"))
    print(f"{platform.machine()}, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}")
    with open_store(options.home, threads=2) as store:
        for model in ("flights-late", "employment"):
            compare(store, model, options.peer_python)


if __name__ == "__main__":
    main()
