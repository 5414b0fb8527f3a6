"""Seconds that `check` of the sample fleet takes in a new process: with empty caches, with nothing changed, and with a new day of one
model.

    python tests/benchmarks/bench_cold_check.py [--home FOLDER]

Loads the sample fleet into a new store, or copies the closed store of `--home`. Every check runs in its own process. Processor seconds
include all threads and the imports. Goal: at most 3 s.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DAY = [
    {
        "kind": "prediction", "id": f"new {number}", "at": f"2014-01-01T{number % 24:02}:30:00Z", "model": "flights-late", "version": "1",
        "features": {}, "score": 0.1 + number / 1000,
    }
    for number in range(300)
]  # fmt: skip
"""The day after the last day of one model."""


def seconds_of(home: Path, *command: str) -> tuple[float, float]:
    """Processor seconds and wall seconds of a command in its own process."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "OBSERVABILITY_HOME": str(home)}
    subprocess.run([sys.executable, "-m", "observability", *command], cwd=ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start


def main() -> None:
    """Read the options, load the sample and print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        if options.home:
            shutil.copytree(options.home, home)
            (home / "findings.json").unlink(missing_ok=True)
        else:
            seconds_of(home, "demo")
        new = Path(folder) / "day.jsonl"
        new.write_text("".join(json.dumps(each) + "\n" for each in DAY))
        for name in ("never checked", "nothing changed", "a new day of one model", "nothing changed since"):
            if name.startswith("a new day"):
                seconds_of(home, "load", str(new))
            processor, clock = seconds_of(home, "check")
            print(f"{name:<24} {processor:6.2f} s of the processor, {clock:6.2f} s of the clock, load {os.getloadavg()[0]:.1f}", flush=True)


if __name__ == "__main__":
    main()
