"""How fast is fairness of three crossed sensitive features, with intervals, over a million rows, and does it equal fairlearn's?

    python tests/benchmarks/bench_fairness.py [--rows 1000000] [--peer-python PATH]

Fills a store with predictions, labels and three sensitive columns (2 × 6 × 10 groups), and times (median of 5, warm): the question to the
raw rows of the store, with every rate, interval and the test of the largest gap; the same over a bare table of decisions and labels; that
without the test, which fairlearn does not have; and the analyzer from the rollups. With --peer-python (the Python of an environment with
fairlearn), MetricFrame without bootstrap runs on the same rows, and every rate and difference must be equal to 1e-12. Prints times and
ratios, with the machine and the versions.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import duckdb
import numpy as np
import pandas as pd

from observability.analyzers.trust import fairness
from observability.core.analyzer import Context
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.detection.fairness_criteria import CRITERIA, ratio_of, spread_of
from observability.metrics.groups import group_metrics, group_question, sensitive_attributes
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest

START, DAYS, RUNS = datetime(2026, 3, 2, tzinfo=UTC), 7, 5
SENSITIVE = ("sex", "race", "region")
FEATURES = ("income", *SENSITIVE)
RATES = ("selection_rate", "true_positive_rate", "false_positive_rate", "precision")


def people(rows, seed):
    """Seeded rows: three sensitive columns, a score, a label drawn from it, a decision at 0.5."""
    rng = np.random.default_rng(seed)
    score = rng.beta(1.2, 1.6, rows).round(6)
    at = pd.to_datetime(START) + pd.to_timedelta(np.arange(rows) * (DAYS * 86400.0 / rows), unit="s").floor("us")
    return pd.DataFrame(
        {
            "id": [f"{seed}-{i}" for i in range(rows)], "at": at, "income": rng.normal(0, 1, rows).round(4), "score": score,
            "label": (rng.random(rows) < score).astype(int), "decision": (score >= 0.5).astype(int),
            "sex": rng.choice(["F", "M"], rows), "race": rng.choice(list("ABCDEF"), rows, p=[0.3, 0.25, 0.2, 0.1, 0.1, 0.05]),
            "region": rng.choice([f"r{i}" for i in range(10)], rows),
        }
    )  # fmt: skip


def fill(store, folder, rows):
    """Register the model on 20,000 rows, and load `rows` predictions with labels."""
    reference = folder / "reference.parquet"
    people(20_000, 1)[["income", "score", "label", *SENSITIVE]].to_parquet(reference)
    store.register(
        RegistrationRequest(
            model="loan",
            version="1",
            task="binary",
            reference=reference,
            label="label",
            score=("score",),
            sensitive=SENSITIVE,
            features=FEATURES,
        ),
    )
    table = people(rows, 2)
    table.to_parquet(folder / "rows.parquet")
    loaded = folder / "predictions.parquet"
    table.drop(columns="decision").to_parquet(loaded)
    report = store.load_files([loaded], LoadDefaults(kind="prediction", model="loan", version="1", features=FEATURES))
    assert report.stored >= rows, report
    store.update_settings("loan", ModelSettings(fairness_criterion="equalized_odds"))
    return store.catalog().model("loan")


def timed(work):
    """Median seconds of RUNS runs after a first one, and the result."""
    work()
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        found = work()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken), found


def judged(model, frame, chosen):
    """Every rate with its interval, and for each criterion the largest gap with its interval and null."""
    groups = group_metrics(model, frame, chosen)
    everyone = np.ones(len(groups.levels), bool)
    return groups, {each.metric: spread_of(each, groups, everyone) for each in CRITERIA.values()}, ratio_of(groups, everyone)


def check_equal(groups, spreads, ratio, peer):
    """Check that every rate and difference equals fairlearn's."""
    for place, name in enumerate(groups.names):
        theirs = peer["groups"][name]
        assert groups.rows[place] == theirs["n"], name
        for rate in RATES:
            assert abs(groups.metrics[rate].value[place] - theirs[rate]) < 1e-12, (name, rate)
    for metric, value in peer["differences"].items():
        ours = ratio.value if metric == "demographic_parity_ratio" else spreads[metric].difference
        assert abs(ours - value) < 1e-12, (metric, ours, value)
    print(f"  equal to fairlearn: {len(groups.names)} groups × {len(RATES)} rates, {len(peer['differences'])} differences")


def run(folder, rows, python):
    """Fills, times, compares, prints."""
    with open_store(folder / "home", threads=2) as store:
        model = fill(store, folder, rows)
        window = Window("loan", START, START + timedelta(days=DAYS), version="1")
        chosen = sensitive_attributes(model, model.versions[0])
        asked = group_question(model, chosen)
        context = Context(model, model.versions[0], window, window.end, 0.1 / 7)
        bare = duckdb.connect(config={"threads": 2})
        bare.execute("CREATE TABLE rows AS SELECT decision, label, sex, race, region FROM read_parquet(?)", [str(folder / "rows.parquet")])
        keys = ", ".join(f'{name} AS "{each.reference}"' for name, each in zip([each.name for each in chosen], chosen, strict=True))
        statement = f"SELECT {keys}, decision, label, count(*) AS n, count(*)::DOUBLE AS w, count(*)::DOUBLE AS w2 FROM rows GROUP BY ALL"

        def analyzed():
            asks = fairness.ANALYZER.needs(context)
            windows = {"current": window, "past": window.past(28), "reference": window.reference()}
            return fairness.ANALYZER.analyze({name: store.ask(each.aggregate, windows[each.span]) for name, each in asks.items()}, context)

        raw, (groups, spreads, ratio) = timed(lambda: judged(model, store.ask(asked, window), chosen))
        table, (same, _, _) = timed(lambda: judged(model, bare.execute(statement).df(), chosen))
        rates, _ = timed(lambda: group_metrics(model, bare.execute(statement).df(), chosen))
        rolled, found = timed(analyzed)
        assert all((same.metrics[rate].value == groups.metrics[rate].value).all() for rate in RATES)
        print(f"\n{rows:,} rows, {len(groups.names)} groups")
        for name, seconds in (
            ("store, raw rows joined with their labels", raw),
            ("bare table of decisions and labels", table),
            ("the same without the test of gaps", rates),
            ("analyzer, from rollups", rolled),
        ):
            print(f"  {name:<42} {seconds * 1e3:8.1f} ms")
        print(f"  {len(found)} findings")
    if python:
        script = str(Path(__file__).parent / "fairness_peer.py")
        answer = subprocess.run([python, script, str(folder)], capture_output=True, text=True, check=True, env={"PATH": "/usr/bin:/bin"})
        seconds, release = answer.stdout.split()[-2:]
        print(
            f"  fairlearn {release} MetricFrame {float(seconds):.1f} s: {float(seconds) / raw:.0f} × store, {float(seconds) / table:.0f} × bare table, "
            f"{float(seconds) / rates:.0f} × without the test, {float(seconds) / rolled:.0f} × analyzer"
        )
        check_equal(groups, spreads, ratio, json.loads((folder / "fairlearn.json").read_text()))


def main():
    """Reads the options and prints everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--peer-python", metavar="PATH", help="Python of an environment with fairlearn")
    options = parser.parse_args()
    packages = ", ".join(f"{name} {version(name)}" for name in ("duckdb", "numpy", "pandas", "scipy"))
    cores = len([line for line in Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines() if line.startswith("processor")])
    print(f"{platform.machine()}, {cores} cores, {platform.system()} {platform.release()}, Python {platform.python_version()}, {packages}")
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), options.rows, options.peer_python)


if __name__ == "__main__":
    main()
