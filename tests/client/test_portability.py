"""The SDK works with the standard library only, and on platforms without fcntl and other parts of Unix."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.answering_server import Answering

ROOT = Path(__file__).parents[2]

BLOCKED = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED_MODULES:
            raise ImportError(f"{name} is blocked")


sys.meta_path.insert(0, Blocker())
"""

ALONE = (
    """
BLOCKED_MODULES = {"fcntl", "msvcrt", "numpy", "pandas", "pyarrow", "duckdb", "streamlit", "scipy", "sklearn", "lightgbm", "codecarbon"}
BLOCKED_MODULES |= {"requests", "urllib3", "httpx", "aiohttp", "certifi"}
"""
    + BLOCKED
)
OWN_MODULES = """
own = {name for name in sys.modules if name.startswith("observability.")}
allowed = ("observability.client", "observability.records", "observability.core.errors")
assert all(name == "observability.core" or name.startswith(allowed) for name in own), own
"""
INTO_HOME = (
    ALONE
    + """
import json
from pathlib import Path

import observability as obs

home = Path(sys.argv[1])
with obs.Logger(home=home) as log:
    assert log.label(id="1", model="loan", value=1)
with obs.track_run(model="loan", home=home) as run:
    assert run.step(1, loss=0.3)
lines = [json.loads(line) for path in (home / "landing" / "ready").glob("*.jsonl") for line in path.read_text().splitlines()]
assert sorted(line["kind"] for line in lines) == ["label", "run", "run", "step"], lines
"""
    + OWN_MODULES
)
TO_COLLECTOR = (
    ALONE
    + """
import observability as obs

with obs.Logger(home=sys.argv[1], url=sys.argv[2], token="obs_token") as log:
    assert log.prediction(id="p1", model="loan", version="1", device="phone-17", features={"age": 30}, score=0.62) == "p1"
    assert log.label(id="p1", model="loan", value=1)
    with obs.track_run(model="loan", logger=log) as run:
        assert run.step(1, loss=0.3)
    assert log.flush(60) and not log.dropped, log.last_error
"""
    + OWN_MODULES
)

# flock imitates msvcrt.locking; open files can be neither renamed nor removed; parts of os that Windows lacks are deleted.
WINDOWS = (
    """
import fcntl as real_fcntl
import os
import sys
import types


def locking(fd, mode, size):
    try:
        real_fcntl.flock(fd, real_fcntl.LOCK_EX | real_fcntl.LOCK_NB)
    except BlockingIOError:
        raise PermissionError(13, "locked") from None


sys.modules["msvcrt"] = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
del sys.modules["fcntl"]
for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY", "fdatasync", "fork", "register_at_fork", "sched_getaffinity", "sysconf"):
    delattr(os, name)


def refuse_open(function):
    def guarded(path, *others, **options):
        for fd in os.listdir("/proc/self/fd"):
            try:
                target = os.readlink(f"/proc/self/fd/{fd}")
            except OSError:
                continue
            if target == os.fspath(path):
                raise PermissionError(13, "the file is in use", target)
        return function(path, *others, **options)

    return guarded


os.rename, os.unlink = refuse_open(os.rename), refuse_open(os.unlink)
BLOCKED_MODULES = {"fcntl", "numpy", "pandas"}
"""
    + BLOCKED
    + """
from pathlib import Path

from observability.client.file_lock import CAN_RENAME_OPEN_FILES
from observability.client.spool import Spool, publish_abandoned, ready_segments
from observability.core.errors import StoreBusyError
from observability.server.process_lock import take_lock

assert not CAN_RENAME_OPEN_FILES and "fcntl" not in sys.modules
home = Path(sys.argv[1]).resolve()
landing = home / "landing"
for fsync in ("always", "background", "never"):
    spool = Spool(landing, fsync=fsync)
    assert spool.append(b"1\\n"), spool.last_error
    assert publish_abandoned(landing) == []  # its writer is alive
    spool.flush()
    assert spool.dropped == 0 and spool.last_error is None, spool.last_error
assert [path.read_bytes() for path in ready_segments(landing)] == [b"1\\n"] * 3

dead = Spool(landing, fsync="never")
dead.append(b"2\\n")
os.close(dead._fd)
dead._fd = None
(path,) = publish_abandoned(landing)
assert path.read_bytes() == b"2\\n" and len(ready_segments(landing)) == 4

lock = take_lock(home)
try:
    take_lock(home)
except StoreBusyError:
    lock.release()
else:
    raise AssertionError("the home was locked twice")
take_lock(home).release()
"""
)


def run_script(script: str, home: Path, *arguments: str) -> None:
    """Run a script in a new process that imports nothing else first. The option -S prevents path files of installed packages from being
    run.
    """
    command = [sys.executable, "-S", "-c", script, str(home), *arguments]
    process = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600)
    assert process.returncode == 0, process.stderr


def test_the_sdk_writes_records_with_the_standard_library_only(tmp_path: Path) -> None:
    run_script(INTO_HOME, tmp_path)


def test_a_device_sends_records_to_a_collector_with_the_standard_library_only(tmp_path: Path) -> None:
    server = Answering()
    server.answers.append((503, {"Retry-After": "0"}))  # then the record is sent again
    try:
        run_script(TO_COLLECTOR, tmp_path, server.url)
    finally:
        server.server.shutdown()
        server.server.server_close()
    lines = [json.loads(line) for line in server.lines]
    assert [line["kind"] for line in lines] == ["prediction", "label", "run", "step", "run"], lines
    assert len(server.bodies) >= 2 and (lines[0]["device"], lines[0]["score"]) == ("phone-17", 0.62)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are read from /proc")
def test_segments_and_locks_work_without_fcntl(tmp_path: Path) -> None:
    run_script(WINDOWS, tmp_path)
