"""Calls to the file system fail, once or permanently, in real processes: no acknowledged record is lost or stored twice, and exit codes
report the failure."""

import shutil

import pytest

from tests.support.faults import Fault, compiled_shim, loader_command, owner_command, run_under_fault, waiting_home, writer_command
from tests.support.length import some


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return compiled_shim(tmp_path_factory.mktemp("shim"))


@pytest.fixture(scope="module")
def waiting(tmp_path_factory):
    """Homes with 300 acknowledged predictions in five segments, one with an empty store and one without a store; and the ids of the
    predictions.
    """
    folder = tmp_path_factory.mktemp("waiting")
    ids = waiting_home(folder / "empty", store=True)
    return folder, ids, waiting_home(folder / "new", store=False)


CASES = [("write", 2, "empty"), ("sync", 1, "empty"), ("rename", 3, "empty"), ("open", 8, "empty"), ("truncate", 1, "empty")]
CASES += [("write", 1, "new"), ("write", 6, "new"), ("sync", 2, "new"), ("open", 2, "new")]


@pytest.mark.parametrize("forever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize(("call", "at", "kind"), some(CASES, 3))
def test_a_load_under_a_fault_loses_nothing(call, at, kind, forever, shim, waiting, tmp_path):
    home = shutil.copytree(waiting[0] / kind, tmp_path / "home")
    done = run_under_fault(shim, home, Fault(call, at, forever), loader_command(), waiting[1])
    assert (done.acknowledged, done.problems) == (300, [])


WRITERS = [("always", "write", 40, False), ("always", "sync", 9, False), ("always", "sync", 9, True), ("always", "open", 9, True)]
WRITERS += [
    ("always", "rename", 2, False),
    ("background", "write", 40, False),
    ("background", "write", 40, True),
    ("background", "sync", 4, False),
]


@pytest.mark.parametrize(("fsync", "call", "at", "forever"), some(WRITERS, 4))
def test_a_writer_under_a_fault_loses_nothing_that_it_acknowledged(fsync, call, at, forever, shim, tmp_path):
    home = tmp_path / "home"
    done = run_under_fault(shim, home, Fault(call, at, forever), writer_command(home, fsync, 1 if forever else 20))
    assert done.reached and done.problems == []
    assert forever or done.acknowledged == 100, "the process continues by itself once the fault has ended"


OWNERS = [("write", 30, False), ("write", 30, True), ("sync", 20, False), ("open", 25, False), ("rename", 3, True)]


@pytest.mark.parametrize(("call", "at", "forever"), some(OWNERS, 3))
def test_an_owner_under_a_fault_loses_nothing_that_it_acknowledged(call, at, forever, shim, tmp_path):
    home = tmp_path / "home"
    done = run_under_fault(shim, home, Fault(call, at, forever), owner_command(home, 1 if forever else 20))
    assert done.reached and done.problems == []
    assert forever or done.acknowledged == 20, "the process continues by itself once the fault has ended"
