"""Fixtures for the command line in this process, and for the sample fleet in a store."""

import gc
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from observability.cli import main
from observability.worker.process import Worker
from tests.support import short_form
from tests.support.built_once import SHARED
from tests.support.commanding import Command, Done
from tests.support.length import LONG
from tests.support.named_share import GOAL, RECORDED, NamedShare, surely_below
from tests.support.page_runs import run_pages_as_a_server_does
from tests.support.sample_home import copied, lent

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # the same setting as in `python -m observability`
os.environ.setdefault("OMP_NUM_THREADS", "1")  # waiting OpenMP threads spin, so two workers on two cores would lose most of their time


def one_core() -> int:
    """The number of cores per test worker: one of two. A second DuckDB thread makes small queries a tenth slower."""
    return 1


if not LONG:
    os.cpu_count = one_core

LONGEST = (
    "test_laws.py", "test_check.py", "test_spark_cluster.py", "test_lake_questions.py", "test_page_budgets.py", "test_proofs.py", "test_pages.py",
    "test_review.py", "test_controllers.py", "test_rollup.py", "test_labelling.py", "test_case.py", "test_collector.py", "test_loader.py",
    "test_shared_tables.py", "test_erase.py", "test_engine_questions.py", "test_no_ok_beyond_level.py", "test_late_labels.py",
    "test_later_checks.py", "test_recovery.py", "test_commands.py", "test_killed.py", "test_worker.py", "test_one_count.py", "test_drift.py",
    "test_devices.py", "test_audits.py", "test_scope.py", "test_requests.py", "test_calendar.py", "test_backup.py", "test_crash.py",
)  # fmt: skip
"""The slowest files: those that take 15 processor seconds or more. The second file loads the sample fleet; the first, third and fourth do
not need it.
"""


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the workers share, unless the parent process named one; the workers start later."""
    if SHARED not in os.environ:
        os.environ[SHARED] = tempfile.mkdtemp(prefix="shared-homes-")
        config.add_cleanup(lambda: shutil.rmtree(os.environ.pop(SHARED), ignore_errors=True))


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Leave bytes out of a test's name. gzip's output contains the time of day, so two workers would collect the test under different
    names.
    """
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests that are marked `long`, unless this is a long run. The longest files go first, because a long file that starts last
    would leave a core idle."""
    if not LONG and "hypothesis.internal.conjecture.providers" in sys.modules:
        read_no_constants()
        register_generator()
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    if not LONG:
        every = short_form.nothing_is_left_out() or short_form.chosen_by_name(config.invocation_params.args)
        named = frozenset() if every else short_form.left_out()
        long = {item for item in items if item.get_closest_marker("long") or short_form.is_left_out(item.nodeid, named)}
        config.hook.pytest_deselected(items=list(long))
        items[:] = [item for item in items if item not in long]


def pytest_collection_finish() -> None:
    """Exempt the objects that live until the end (from imports and collection) from garbage collection, and check the other objects less
    often.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    if "streamlit.testing.v1" in sys.modules:
        run_pages_as_a_server_does()


def read_no_constants() -> None:
    """Let Hypothesis draw values without constants from the code, because reading all modules for such constants takes each worker five
    seconds.
    """
    from hypothesis.internal.conjecture import providers
    from hypothesis.internal.constants_ast import Constants

    nothing = Constants()
    providers._get_local_constants = lambda: nothing


def register_generator() -> None:
    """Let Hypothesis register its random generator before all objects are frozen, because afterwards it would find no reference to the
    generator and warn.
    """
    from hypothesis.internal.entropy import deterministic_PRNG

    with deterministic_PRNG():
        pass


@pytest.fixture(scope="session")
def worker() -> Iterator[Worker]:
    """One shared worker process for all tests that need no special one, because starting it and importing model libraries takes seconds."""
    made = Worker()
    yield made
    made.close()


@pytest.fixture
def named_share(record_property: Callable[[str, object], None]) -> NamedShare:
    """A function that notes the share of draws in which a planted fault was named. Fails if the share is significantly below the goal; in a
    long run, if it is below at all.
    """

    def note(fault: str, named: int, planted: int) -> None:
        record_property(RECORDED, f"{fault:28} {named:3d} of {planted:3d}  {named / planted:4.0%}")
        below = named < GOAL * planted if LONG else surely_below(named, planted)
        assert not below, f"{fault}: named {named} of {planted}"

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List the shares of named faults at the end of a long run."""
    told = [
        value
        for outcome in ("passed", "failed")
        for report in terminalreporter.getreports(outcome)
        for name, value in getattr(report, "user_properties", ())
        if name == RECORDED
    ]
    if LONG and told:
        terminalreporter.section("named of planted, at middle strength")
        for line in sorted(map(str, told)):
            terminalreporter.line(line)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """A function that runs a command line on a home, in this process."""

    def work(home: Path, *argv: object) -> Done:
        monkeypatch.setenv("OBSERVABILITY_HOME", str(home))
        capsys.readouterr()
        code = main.main([str(each) for each in argv])
        said = capsys.readouterr()
        return Done(code, said.out, said.err)

    return work


@pytest.fixture(scope="module")
def stored_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with the sample fleet that no test of the module changes."""
    with lent(tmp_path_factory, "commands") as home:
        yield home


@pytest.fixture
def own_fleet(stored_fleet: Path, tmp_path: Path) -> Path:
    """A copy of the sample fleet that tests may change."""
    return copied(stored_fleet, tmp_path / "fleet")
