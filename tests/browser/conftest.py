"""One chromium and one dashboard for all browser tests.

Every page that a test opens is watched: it must log no console error and send no request to another machine.
"""

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from observability.review import freeze
from tests.browser.pages import PATIENCE, Watch, opened, settle
from tests.support import review_world
from tests.support.running import Dashboard, one_dashboard
from tests.support.sample_home import lent, shared_folder

CHROMIUM = next(filter(os.path.exists, ("/usr/bin/chromium-headless-shell", "/usr/bin/chromium")), "")
"""The lighter headless shell needs a fifth to a half less processor time for the same pages."""
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
LITTLE_COMPILING = "--js-flags=--no-opt"
"""Pages in tests live only for seconds, and compiling their hot code well, on other threads, takes a fifth of the browser's processor time.
Benchmarks do not use this setting.
"""
Visit = Callable[..., Page]
LONGEST = (
    "test_accessible.py", "test_case.py", "test_pipeline_pages.py", "test_figures.py", "test_runs.py", "test_tables.py",
    "test_shell.py", "test_compare.py", "test_tasks.py", "test_add_model.py", "test_back.py", "test_desk.py", "test_cost.py",
    "test_promises.py", "test_links.py", "test_dashboards.py",
)  # fmt: skip
"""The files that take longest, in this order: the workers start with them, so that all workers end at about the same time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first if only browser tests run."""
    if all(item.path.parent == Path(__file__).parent for item in items):
        items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        with sync_playwright() as running:
            yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    """Debian's chromium with its own profile, which playwright makes and deletes. The profile is the first context of the browser."""
    assert CHROMIUM, "The browser tests need Debian's chromium: apt-get install chromium chromium-headless-shell"
    profile = playwright.chromium.launch_persistent_context(
        "", executable_path=CHROMIUM, args=[*FLAGS, LITTLE_COMPILING], accept_downloads=True
    )
    profile.grant_permissions(["clipboard-read"])
    profile.set_default_timeout(PATIENCE)
    assert profile.browser
    yield profile.browser
    profile.close()


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over the sample fleet; no test changes it, and all workers share it."""
    with one_dashboard(shared_folder(tmp_path_factory), lambda: lent(tmp_path_factory, "fleet")) as running:
        yield running


@pytest.fixture(scope="session")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over a copy of the fleet to which several test files write: verdicts, a budget, a service level, explanations, a run. All
    workers share it.

    No test file relies on what another writes, and none writes predictions.
    """
    with one_dashboard(shared_folder(tmp_path_factory), lambda: lent(tmp_path_factory, "own"), "own") as running:
        yield running


@contextmanager
def small_log(factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with a small log, one week of which is frozen."""
    home = factory.mktemp("meeting") / "home"
    with review_world.build(home, shadow=False) as store:
        freeze.freeze(store, review_world.BROKEN, author="Ann", now=review_world.WEEKS[-1].end)
    yield home


@pytest.fixture(scope="session")
def meeting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over a small log with one frozen week. Several test files decide there, each about a different item. All workers share
    it.
    """
    with one_dashboard(shared_folder(tmp_path_factory), lambda: small_log(tmp_path_factory), "meeting") as running:
        yield running


@pytest.fixture
def visit(chromium: Browser) -> Iterator[Visit]:
    """Open an address in a tab without any earlier state, and wait until the page is drawn.

    After the test, no opened page may have an error on the console or a request to another machine. Tabs that pages opened are closed.
    """
    watches: list[Watch] = []
    before = set(chromium.contexts[0].pages)

    def open_page(url: str, *, width: int = 1360, height: int = 2400, ready: bool = True, **options: str) -> Page:
        watches.append(watch := opened(chromium, url, width=width, height=height, **options))
        if ready:
            settle(watch.page)
        return watch.page

    yield open_page
    problems = [problem for watch in watches for problem in watch.problems]
    for watch in watches:
        watch.close()
    for page in set(chromium.contexts[0].pages) - before - {watch.page for watch in watches}:
        page.close()
    assert not problems, "\n".join(problems)
