"""Calls to the file system fail, once and for ever, in real processes: no acknowledged record is lost or stored twice, and exit codes tell."""

import shutil
import subprocess
import sys

import pytest

from observability import Logger
from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store
from tests.store.conftest import query
from tests.support.faults import compiled_shim, fault
from tests.support.sample_home import ROOT, environment

WRITER = """
import sys
from observability import Logger
log = Logger(sys.argv[1], fsync=sys.argv[2], segment_bytes=4000)
for i in range(300):
    before = log.dropped
    log.prediction(id=str(i), model="loan", version="1", features={"age": i}, score=0.5)
    if log.dropped == before:
        print(i, flush=True)
log.close()
"""


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return compiled_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """Homes with 300 acknowledged predictions in five segments: one with an empty store, one without a store."""
    folder = tmp_path_factory.mktemp("waiting")
    open_store(folder / "empty").close()
    for name in ("empty", "new"):
        for segment in range(5):
            with Logger(folder / name) as log:
                for i in range(60):
                    log.prediction(id=f"{segment}-{i}", model="loan", version="1", features={"age": i}, score=0.5)
    return folder


def run(home, env, *argv):
    command = [sys.executable, *argv]
    return subprocess.run(
        command, cwd=ROOT, env=environment(home) | {"PYTHONPATH": str(ROOT)} | env, capture_output=True, text=True, timeout=120
    )


def stored_once(home):
    with open_store(home, threads=1) as store:
        load_landing(store)
        return query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1")


CASES = [("write", 2, "empty"), ("sync", 1, "empty"), ("rename", 3, "empty"), ("open", 8, "empty"), ("truncate", 1, "empty")]
CASES += [("write", 1, "new"), ("write", 6, "new"), ("sync", 2, "new"), ("open", 2, "new")]


@pytest.mark.parametrize("forever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize(("call", "at", "kind"), CASES)
def test_a_load_under_a_fault_loses_nothing(call, at, kind, forever, shim, waiting, tmp_path):
    home = shutil.copytree(waiting / kind, tmp_path / "home")
    done = run(home, fault(shim, home, call, at, forever=forever), "-m", "observability", "load")
    assert done.returncode in (0, 3) and "Traceback" not in done.stderr, done
    assert (done.returncode == 3) == bool(done.stderr.strip()), done
    assert not list(home.glob("landing/failed/*"))
    assert stored_once(home) == [(300, 300)]


@pytest.mark.parametrize("fsync", ["background", "always"])
@pytest.mark.parametrize(("call", "at"), [("write", 40), ("sync", 3), ("open", 4), ("rename", 2)])
def test_a_writer_under_a_fault_loses_nothing_that_it_acknowledged(call, at, fsync, shim, tmp_path):
    home = tmp_path / "home"
    done = run(home, fault(shim, home, call, at), "-c", WRITER, str(home), fsync)
    assert done.returncode == 0, done
    acknowledged = set(done.stdout.split())
    assert acknowledged
    with open_store(home, threads=1) as store:
        load_landing(store)
        stored = [name for (name,) in query(store, "SELECT id FROM predictions_1")]
    assert len(stored) == len(set(stored)) and acknowledged <= set(stored)
