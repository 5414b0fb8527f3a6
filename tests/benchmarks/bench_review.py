"""Time to prepare a week of the whole fleet, and to switch between the steps of the review.

    python tests/benchmarks/bench_review.py [HOME] [WEEK]

HOME: a home with the sample fleet (python -m observability demo), which is copied first; one is made if it is missing. WEEK: by default
2013-W27. Prints wall and processor seconds, without imports, of preparing the week (the first time, and the best of three more) and of one
`check` of every model, and their ratio; then the milliseconds that the server takes to answer a change of step.
"""

import logging
import os
import platform
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

from observability.analyzers import discover
from observability.core.weeks import Week
from observability.monitoring import check
from observability.review import freeze
from observability.review.snapshot import week_snapshot
from observability.server import process_lock
from observability.store.opener import open_store
from observability.store.registry import admin

TURNS = 3


def spent(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds of some work."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - processor


def best(times: list[tuple[float, float]]) -> str:
    """The minimum of the wall and of the processor seconds, as text."""
    wall, processor = (min(each) for each in zip(*times, strict=True))
    return f"{wall:.2f} s ({processor:.2f} s of processor)"


def prepared(home: Path, week: Week) -> None:
    """Prepare the week and check the fleet in turn, then freeze the week."""
    now = datetime.now(UTC)
    with open_store(home) as store:
        first = spent(lambda: week_snapshot(store, week, frozen_at=now))
        print(f"the week {week}, the first time: {best([first])}")
        weeks, checks = [], []
        for _ in range(TURNS):
            weeks.append(spent(lambda: week_snapshot(store, week, frozen_at=now)))
            checks.append(spent(lambda: check.check(store)))
        share = min(each for _, each in weeks) / min(each for _, each in checks)
        print(f"again, best of {TURNS}: {best(weeks)}; one whole check: {best(checks)}; the week takes {share:.2f} of its processor time")
        freeze.freeze(store, week, author="bench", now=now)


def stepped(home: Path, week: Week) -> None:
    """Go through the steps twice, and print the times of the second round."""
    os.environ["OBSERVABILITY_HOME"] = str(home)
    from observability.dashboard.review.review import STEP_NAMES
    from tests.benchmarks.bench_pages import session

    process_lock.own_home(home)
    test = session("review", {"review": str(week)})
    told = {}
    for turn in range(2):
        for step in STEP_NAMES:
            test.query_params["step"] = step
            began = time.perf_counter()
            test.run()
            if turn:
                told[step] = (time.perf_counter() - began) * 1000
    each = ", ".join(f"{name} {milliseconds:.0f}" for name, milliseconds in told.items())
    print(f"a change of the step: {statistics.median(told.values()):.0f} ms median, {max(told.values()):.0f} ms at most ({each})")


def main() -> None:
    """Measure and print."""
    logging.disable(logging.WARNING)  # Streamlit warns about every cache that is made outside a server
    week = Week.parse(sys.argv[2] if len(sys.argv) > 2 else "2013-W27")
    discover()
    load = os.getloadavg()[0]
    print(f"{platform.machine()}, {os.cpu_count()} cores, load {load:.1f}, Python {platform.python_version()}, {admin.package_versions()}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        if len(sys.argv) > 1:
            shutil.copytree(sys.argv[1], home)
        else:
            from observability.cli.demo_fleet import load_fleet

            with open_store(home) as store:
                load_fleet(store, ROOT / "sample_data" / "fleet.toml", lambda _text: None)
        prepared(home, week)
        stepped(home, week)


if __name__ == "__main__":
    main()
