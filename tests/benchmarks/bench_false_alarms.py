"""How many alarms does a stream raise in which nothing is wrong, a model-week?

    python tests/benchmarks/bench_false_alarms.py [--weeks 310] [--stream iid|varied|small|all]

Streams of tests/clean_streams.py, each loaded into a real store and checked at the end of every week: independent rows, and rows with a weekly pattern,
day effects (intra-day correlation 0.05) and a slow season, of a binary model and a regression, at 500 rows a day; and 60 rows a day. Counted are the findings
of data/quality, drift, calibration, estimated and measured performance, latency and fairness. The bound is the 95 % upper one of a Poisson count.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from scipy.stats import chi2

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from tests.clean_streams import alarms, build, checked

STREAMS = {
    "iid": [{"task": task, "varied": False, "a_day": 500} for task in ("binary", "regression")],
    "varied": [{"task": task, "varied": True, "a_day": 500} for task in ("binary", "regression")],
    "small": [{"task": task, "varied": False, "a_day": 60} for task in ("binary", "regression")],
}
GOALS = {"iid": {"act": 0.1, "watch": 0.5}, "varied": {"act": 0.2}, "small": {"act": 0.0}}


def upper(count, weeks, confidence=0.95):
    """Upper bound of a Poisson rate (Garwood 1936), one-sided."""
    return float(chi2.ppf(confidence, 2 * (count + 1))) / 2 / weeks


def measure(name, weeks, options, seed, show):
    """Checks one stream and prints its alarms."""
    counts, firsts = Counter(), []
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        store = build(Path(folder), weeks=weeks, seed=seed, **options)
        loaded = time.perf_counter() - start
        for week, found in checked(store, weeks):
            counts.update(alarms(found))
            firsts += [(week, each) for each in found if each.severity == "act" or (show and each.severity == "watch")]
        store.close()
    print(
        f"{name}: {options['task']}, {options['a_day']} rows a day, {weeks} model-weeks (loaded in {loaded:.0f} s, {time.perf_counter() - start:.0f} s in all)"
    )
    for severity in ("act", "watch"):
        of = {analyzer: n for (each, analyzer), n in sorted(counts.items()) if each == severity}
        n, goal = sum(of.values()), GOALS[name].get(severity)
        said = f"goal at most {goal:g}: {'held' if n / weeks <= goal else 'MISSED'}" if goal is not None else "no goal"
        print(f"  {severity:<5} {n:4d}  {n / weeks:.3f} a model-week, at most {upper(n, weeks):.3f} (95 %); {said}  {of or ''}")
    for week, each in firsts[:show]:
        print(f"    week {week} {each.severity} {each.analyzer} {each.subject}/{each.metric}: {each.because}")
    sys.stdout.flush()


def main():
    """Reads the options, runs the streams."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weeks", type=int, default=310)
    parser.add_argument("--stream", choices=[*STREAMS, "all"], default="all")
    parser.add_argument("--task", choices=["binary", "regression", "both"], default="both")
    parser.add_argument("--seed", type=int, default=20_261)
    parser.add_argument("--show", type=int, default=0, help="print so many of the alarms")
    options = parser.parse_args()
    for name, streams in STREAMS.items():
        for each in streams:
            if options.stream in (name, "all") and options.task in (each["task"], "both"):
                measure(name, options.weeks, each, options.seed, options.show)


if __name__ == "__main__":
    main()
