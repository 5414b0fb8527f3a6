"""How long does the script of a page take with warm caches, for one session and for five at once?

    python tests/benchmarks/bench_pages.py [HOME]

HOME: a home with the sample fleet (python -m observability demo); if it is not given, one is made in a temporary folder. Prints the median
milliseconds of a rerun of each page, for one session and for five sessions that rerun without pause.
"""

import os
import platform
import statistics
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import logging

logging.disable(logging.WARNING)
from streamlit.components.v2.component_manager import BidiComponentManager
from streamlit.runtime import Runtime
from streamlit.testing.v1 import AppTest, app_test

from observability.server import process_lock

PAGES = {
    "health": {},
    "model": {"model": "flights-delay"},
    "findings": {"model": "flights-delay"},
    "quality": {"model": "flights-delay"},
    "drift": {"model": "flights-delay"},
    "performance": {"model": "flights-delay"},
    "store": {},
}
RERUNS = 15
COMPONENTS = BidiComponentManager()
COMPONENTS.discover_and_register_components(start_file_watching=False)


class Keeper:
    """Replaces the runtime's class in AppTest, and keeps the last runtime stand-in. Otherwise AppTest would forget it after each run,
    although other threads still need it.
    """

    def __setattr__(self, name: str, value: object) -> None:
        """Forget nothing."""
        if value is not None:
            setattr(Runtime, name, value)


app_test.Runtime = Keeper()


def session(page: str, query: dict[str, str]) -> AppTest:
    """A session that shows a page."""
    test = AppTest.from_file(str(ROOT / "observability" / "dashboard" / "shell.py"), default_timeout=120)
    test._bidi_component_manager = COMPONENTS
    for name, value in query.items():
        test.query_params[name] = value
    test.run()
    if page != "health":
        section = next(path.parent.name for path in (ROOT / "pages").rglob(f"{page}.py"))
        test.switch_page(str(ROOT / "pages" / section / f"{page}.py"))
        for name, value in query.items():
            test.query_params[name] = value
        test.run()
    if test.exception:
        raise SystemExit(f"{page}: {test.exception[0].message}")
    return test


def rerun(test: AppTest, times: list[float], count: int = RERUNS) -> None:
    """Rerun the page and note the milliseconds."""
    for _ in range(count):
        began = time.perf_counter()
        test.run()
        times.append((time.perf_counter() - began) * 1000)


def main() -> None:
    """Measure and print."""
    if len(sys.argv) > 1:
        home = Path(sys.argv[1])
    else:
        home = Path(tempfile.mkdtemp())
        from observability.cli.demo_fleet import load_fleet
        from observability.store.opener import open_store

        store = open_store(home)
        load_fleet(store, ROOT / "sample_data" / "fleet.toml", lambda _text: None)
        store.close()
    process_lock.own_home(home)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, streamlit {version('streamlit')}, duckdb {version('duckdb')}"
    )
    print(f"{'page':14}{'one session':>14}{'five at once':>14}   (median ms a rerun, warm caches)")
    for page, query in PAGES.items():
        alone: list[float] = []
        rerun(session(page, query), alone)
        together: list[float] = []
        threads = [threading.Thread(target=rerun, args=(test, together, 5)) for test in [session(page, query) for _ in range(5)]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(f"{page:14}{statistics.median(alone):14.0f}{statistics.median(together):14.0f}")


if __name__ == "__main__":
    main()
