"""Compiles the library that makes calls to the file system fail, and runs writer, loader and owner with it.

After the fault has ended, the acknowledged records are compared with the stored ones.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import pytest

from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store
from tests.support.sample_home import ROOT, environment

SOURCE = Path(__file__).with_name("fault_shim.c")
CALLS = ("write", "sync", "rename", "open", "truncate")
"""The calls that can fail. `write` covers write and pwrite, `sync` fsync and fdatasync."""

WRITER = """
import sys, time
from observability import Logger
home, records, fsync = sys.argv[1], int(sys.argv[2]), sys.argv[3]
log = Logger(home, fsync=fsync, segment_bytes=4000)
number, end = 0, time.monotonic() + float(sys.argv[4])
while number < records and time.monotonic() < end:
    before = log.dropped
    log.prediction(id=str(number), model="loan", version="1", features={"age": number}, score=0.5)
    if log.dropped == before:
        print(f"acknowledged {number}", flush=True)
        number += 1
    else:
        time.sleep(0.05)
log.close()
"""
"""A script that logs records for at most the given number of seconds, and repeats each until it is acknowledged."""

OWNER = """
import sys, time
from pathlib import Path
from observability.core.errors import ObservabilityError
from observability.server import process_lock
process_lock.LOAD_EVERY, process_lock.LONGEST_PAUSE = 0.02, 0.1
number, records = 0, int(sys.argv[2])
line = '{"kind":"prediction","id":"%d","at":"2026-11-01T00:00:00Z","model":"loan","version":"1","features":{"age":1},"score":0.5}\\n'
try:
    owner = process_lock.own_home(Path(sys.argv[1]))
    owner.start_loader()
    end = time.monotonic() + float(sys.argv[3])
    while number < records and time.monotonic() < end:
        try:
            owner.records.commit((line % number).encode(), 1)
            print(f"acknowledged {number}", flush=True)
            number += 1
        except ObservabilityError:
            pass
        time.sleep(0.02)
    while owner.loader.failure and time.monotonic() < end:
        time.sleep(0.02)
    failure = owner.loader.failure
    owner.close()
except ObservabilityError as error:
    print(error, file=sys.stderr)
    sys.exit(error.exit_code)
if failure:
    print(failure, file=sys.stderr)
    sys.exit(3)
"""
"""A script that accepts records as over HTTP and loads them, for at most the given number of seconds; each record is repeated until it is
acknowledged.
"""


def compiled_shim(folder: Path, source: Path = SOURCE) -> Path:
    """The compiled library that makes calls fail. The test is skipped if there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler is installed")
    library = folder / f"{source.stem}.so"
    done = subprocess.run([compiler, "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"the shim cannot be compiled here: {done.stderr.strip()[:200]}")
    return library


@dataclass(frozen=True)
class Fault:
    """The `at`-th call of a kind below a folder fails, and with `forever` every later one too."""

    call: str
    at: int
    forever: bool = False

    def environment(self, shim: Path, folder: Path, note: Path | None = None) -> dict[str, str]:
        """The environment of a process under this fault. note: a file that is created when the call fails."""
        chosen = {"LD_PRELOAD": str(shim), "FAULT_FOLDER": str(folder), "FAULT_CALL": self.call, "FAULT_AT": str(self.at)}
        noted = {} if note is None else {"FAULT_NOTE": str(note)}
        return chosen | noted | ({"FAULT_FOREVER": "1"} if self.forever else {})


@dataclass(frozen=True)
class UnderFault:
    """The outcome for a home. reached: whether the call failed at all. problems: violations of what the store promises."""

    reached: bool
    acknowledged: int
    problems: list[str]


def run_under_fault(shim: Path, home: Path, fault: Fault, argv: list[str], before: AbstractSet[str] = frozenset()) -> UnderFault:
    """Run Python code under a fault, then load waiting records without the fault, and compare stored with acknowledged records. argv:
    arguments of Python; the code prints the acknowledged ids. before: ids acknowledged earlier. Allowed exit codes are 0, and 3 with one
    sentence; the process must recover by itself from a fault that has ended.
    """
    note = home.with_suffix(".reached")
    env = environment(home) | {"PYTHONPATH": str(ROOT)} | fault.environment(shim, home, note)
    done = subprocess.run([sys.executable, *argv], cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    acknowledged = before | {line.split()[1] for line in done.stdout.splitlines() if line.startswith("acknowledged ")}
    problems = []
    if done.returncode not in (0, 3) or "Traceback" in done.stderr:
        problems.append(f"exit code {done.returncode}: {done.stderr[-400:]}")
    if done.returncode == 3 and not done.stderr.strip():
        problems.append("exit code 3 without a sentence")
    if list(home.glob("landing/failed/*")):
        problems.append("segments were set aside")
    stored: list[str] = []
    if home.exists() or acknowledged:
        with open_store(home, threads=1) as store:
            load_landing(store)
            if store.catalog().models:
                with store.cursor() as cursor:
                    stored = [name for (name,) in cursor.execute("SELECT id FROM predictions_1").fetchall()]
    if lost := acknowledged - set(stored):
        problems.append(f"{len(lost)} acknowledged records lost")
    if len(stored) > len(set(stored)):
        problems.append(f"{len(stored) - len(set(stored))} records twice")
    return UnderFault(note.exists(), len(acknowledged), problems)


def writer_command(home: Path, fsync: str, seconds: float, records: int = 100) -> list[str]:
    """The arguments for Python that run the writer."""
    return ["-c", WRITER, str(home), str(records), fsync, str(seconds)]


def owner_command(home: Path, seconds: float, records: int = 20) -> list[str]:
    """The arguments for Python that run the owner."""
    return ["-c", OWNER, str(home), str(records), str(seconds)]


def loader_command() -> list[str]:
    """The arguments for Python that run the loader."""
    return ["-m", "observability", "load"]


def waiting_home(home: Path, *, store: bool, segments: int = 5, each: int = 60) -> set[str]:
    """Make a home with acknowledged predictions in several segments, with an empty store or without any store. Returns the ids of the
    predictions.
    """
    from observability import Logger

    if store:
        open_store(home).close()
    for segment in range(segments):
        with Logger(home) as log:
            for number in range(each):
                log.prediction(id=str(segment * each + number), model="loan", version="1", features={"age": number}, score=0.5)
    return set(map(str, range(segments * each)))


def without_marks(home: Path) -> None:
    """Remove a home, and the files that a run left next to it."""
    shutil.rmtree(home, ignore_errors=True)
    if home.with_suffix(".reached").exists():
        os.unlink(home.with_suffix(".reached"))
