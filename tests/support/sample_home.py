"""A store with the sample fleet. It is loaded once for a whole run of the tests, and copied for tests that change it."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from observability.cli.execute import execute
from observability.core.finding import KEPT_FILE
from observability.server import process_lock
from tests.support.built_once import copied_once

ROOT = Path(__file__).parents[2]
KNOWN = """
import os
from pathlib import Path
from observability.dashboard import application, findings_ahead
from observability.dashboard.scope import Scope
from observability.server import process_lock
holder = process_lock.own_home(Path(os.environ["OBSERVABILITY_HOME"]))
application.keep_findings_over_runs(holder)
list(findings_ahead.compute_findings(Scope()))
holder.close()
"""
"""Computes the findings of the first page once for all dashboards of the tests, and leaves the same state as a run of the dashboard.
"""


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """The folder that the workers of a run share. `make test` sets it, so that several runs share it too."""
    root = factory.getbasetemp()
    root = root.parent if "PYTEST_XDIST_WORKER" in os.environ else root
    return Path(os.environ.get("SAMPLE_HOMES") or root)


def sample_home(factory: pytest.TempPathFactory) -> Path:
    """A home with the sample fleet, loaded by the product's command `demo`. Parallel workers share it, so no test may change it."""
    root = shared_folder(factory)
    home = root / "sample-home"
    with (root / "sample-home.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            draft = root / "sample-home-draft"
            shutil.rmtree(draft, ignore_errors=True)
            for argv in (["-m", "observability", "demo"], ["-c", KNOWN]):
                done = subprocess.run(
                    [sys.executable, *argv], cwd=ROOT, env=environment(draft), capture_output=True, text=True, timeout=7200
                )
                assert done.returncode == 0, done.stderr
            assert (draft / KEPT_FILE).exists()
            draft.rename(home)
    return home


def copied(home: Path, to: Path) -> Path:
    """A copy of a home that a test may change."""
    return Path(shutil.copytree(home, to))


@contextmanager
def lent(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A copy of the sample fleet for the tests of one file. It is removed afterwards, because a whole run would otherwise leave
    gigabytes.
    """
    folder = factory.mktemp(name)
    try:
        yield copied(sample_home(factory), folder / "home")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lent_checked(factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A copy of the sample fleet after `check`. The store keeps the findings, so later questions about the same window are answered at
    once.
    """
    folder = factory.mktemp(name)
    try:
        copied_once("checked-fleet", lambda draft: check_fleet(sample_home(factory), draft), folder / "home")
        yield folder / "home"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def check_fleet(fleet: Path, home: Path) -> None:
    """Copy the fleet into a folder, and check it there."""
    shutil.copytree(fleet, home, dirs_exist_ok=True)
    with process_lock.opened_store(home) as store:
        done = execute(store, ["check", "--json"], lambda _: None)
    assert done.exit_code == 0, done.error


def environment(home: Path) -> dict[str, str]:
    """The environment variables of a process that works on a home. A dashboard then starts no explanations and no checks by itself, so that
    tests are fast and repeatable.
    """
    inherited = {name: value for name, value in os.environ.items() if name != "OBSERVABILITY_LOCK_FD"}
    return {
        "OBSERVABILITY_ENRICH": "off",
        "OBSERVABILITY_WATCH": "off",
        **inherited,
        "OBSERVABILITY_HOME": str(home),
    }
