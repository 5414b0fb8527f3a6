"""Puts load on a home while every call that changes its files is recorded, and finds which acknowledged records survive a loss of power at
any moment.

Two services log with `fsync="always"`, and two post over HTTP. The owner loads, writes checkpoints and stores what people enter; it is
stopped and started again meanwhile. Each process notes its acknowledgements in a file, and the calls on that file are recorded too.
"""

import contextlib
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from observability.store.db.repairs import repairs
from observability.store.opener import open_store
from tests.support.ports import free_port
from tests.support.power_loss import Call, Disk, calls, recording
from tests.support.sample_home import ROOT, environment

SETUP = """
import sys
from pathlib import Path
from observability.server import process_lock, tokens
root = Path(sys.argv[1])
(root / "acknowledged").mkdir()
process_lock.take_lock(root / "home").release()
print(tokens.create_token(root / "home", "write")[1])
"""

NOTE = """
import os, sys
def noted(name):
    fd = os.open(os.path.join(sys.argv[1], "acknowledged", name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return lambda lines: os.write(fd, "".join(f"{line}\\n" for line in lines).encode())
"""

OWNER = (
    NOTE
    + """
import signal, threading, time
from pathlib import Path
import uvicorn
from starlette.applications import Starlette
from observability.server import api, process_lock
from observability.store.ingest.record_writer import write_records
owner = process_lock.own_home(Path(sys.argv[1]) / "home", wait=30.0)
note, start = noted("owner"), f"{time.time()}"
def enter():
    number = 0
    while not owner.stopping.wait(0.3):
        text = f"{start}-{number}"
        write_records(owner.store, [{"kind": "event", "what": "note", "text": text}])
        note([f"e {text}"])
        number += 1
        if number % 5 == 0:
            with owner.store.cursor() as cursor:
                cursor.execute("FORCE CHECKPOINT")
signal.signal(signal.SIGTERM, lambda *_: None)  # the server restores this handler and raises the signal again
owner.start_loader()
process_lock.LOAD_EVERY = 0.2
entering = process_lock.started_thread("entering", enter)
uvicorn.run(Starlette(routes=api.routes()), host="127.0.0.1", port=int(sys.argv[2]), log_level="error")
owner.stopping.set()
entering.join()
owner.close()
"""
)

LOGGER = (
    NOTE
    + """
import time
from observability import Logger
name, end = sys.argv[2], time.monotonic() + float(sys.argv[3])
log = Logger(sys.argv[1] + "/home", fsync="always", segment_bytes=20_000, segment_seconds=0.3)
note, number = noted(name), 0
while time.monotonic() < end or number < 60:
    given = f"{name}-{number}"
    log.prediction(id=given, model="loan", version="1", features={"age": number % 90, "job": "abc"[number % 3]}, score=0.5)
    assert log.dropped == 0, log.last_error
    note([f"p {given}"])
    number += 1
    time.sleep(0.005)
log.close()
"""
)

POSTER = (
    NOTE
    + """
import http.client, json, time
name, end, port, token = sys.argv[2], time.monotonic() + float(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
note, number = noted(name), 0
while time.monotonic() < end:
    ids = [f"{name}-{number}-{i}" for i in range(20)]
    body = "\\n".join(
        json.dumps({"kind": "prediction", "id": given, "at": "2026-11-01T00:00:00Z", "model": "loan", "version": "1", "features": {"age": 1}, "score": 0.5})
        for given in ids
    )
    number += 1
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/api/v1/records", body=body, headers={"Authorization": "Bearer " + token})
        answer = connection.getresponse()
        told = answer.read()
    except (OSError, http.client.HTTPException):
        time.sleep(0.05)
        continue
    if answer.status == 202 and json.loads(told)["accepted"] == 20:
        note([f"p {given}" for given in ids])
    time.sleep(0.01)
"""
)


@dataclass(frozen=True)
class Recorded:
    """A folder that was empty when the recording began, and the record of the calls that changed it."""

    root: Path
    record: Path

    def calls(self) -> list[Call]:
        """The entries of the record. If another process had already made files in a folder when its creation was recorded, the entry of the
        folder is moved before theirs.
        """
        found = list(calls(self.record.read_bytes()))
        made = {os.fsdecode(call.first): place for place, call in reversed(list(enumerate(found))) if call.call == "D"}
        known, ordered = {str(self.root)}, dict[int, Call]()
        for place, call in enumerate(found):
            for path in (call.first, call.second) if call.call in "CDRLUX" else ():
                folder = os.path.dirname(os.fsdecode(path))
                if folder not in known and place < (at := made.get(folder, -1)):
                    ordered.setdefault(at, found[at])
            ordered.setdefault(place, call)
            known |= {os.fsdecode(path) for path in (call.first, call.second) if path and call.call in "DR"}
        return list(ordered.values())


def recorded_load(folder: Path, seconds: float, restarts: int) -> Recorded:
    """Run the load on a folder for some seconds; stop and start the owner `restarts` times meanwhile. Skips the test if there is no C
    compiler.
    """
    root = folder / "root"
    root.mkdir()
    found = Recorded(root, folder / "record")
    env = environment(root / "home") | {"PYTHONPATH": str(ROOT)} | recording(folder, root, found.record)
    port = free_port()

    def start(script: str, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen([sys.executable, "-c", script, str(root), *map(str, arguments)], cwd=ROOT, env=env)

    token = subprocess.run([sys.executable, "-c", SETUP, str(root)], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    owner = start(OWNER, port)
    wait_for_port(port, owner)
    clients = [start(LOGGER, f"log{i}", seconds) for i in range(2)]
    clients += [start(POSTER, f"post{i}", seconds, port, token.stdout.strip()) for i in range(2)]
    try:
        for _ in range(restarts):
            time.sleep(seconds / (restarts + 1))
            assert owner.poll() is None, "the owner ended by itself"
            owner.send_signal(signal.SIGTERM)
            owner.wait(300)
            owner = start(OWNER, port)
        for client in clients:
            assert client.wait(seconds + 600) == 0
        assert owner.poll() is None, "the owner ended by itself"
    finally:
        for process in [*clients, owner]:
            process.kill()
            process.wait()
    return found


def wait_for_port(port: int, process: subprocess.Popen[str]) -> None:
    """Wait until a process listens on a port."""
    end = time.monotonic() + 180
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        assert process.poll() is None and time.monotonic() < end, "the owner does not answer"
        time.sleep(0.05)


@dataclass(frozen=True)
class AfterLoss:
    """The result for a home: the number of acknowledged records, the missing records, those stored twice, and the repairs that the store
    made.
    """

    acknowledged: int
    lost: list[str]
    twice: list[str]
    repairs: list[str]


def after_loss(disk: Disk, target: Path, pick: random.Random | None) -> AfterLoss:
    """Open the home as a loss of power at this point leaves it, load the waiting records, and compare them with the acknowledged ones."""
    noted = b"".join(disk.file("acknowledged", name) for name in disk.seen[disk.numbers[f"{disk.root}/acknowledged"]])
    acknowledged = {line for line in noted.decode().split("\n") if line}
    home = target / "home"
    disk.write_after_loss(home, pick, "home")
    try:
        with open_store(home, threads=1) as store:
            store.load_landing()
            with store.cursor() as cursor:
                stored = [f"e {text}" for (text,) in cursor.execute("SELECT text FROM events").fetchall()]
                for model in store.catalog().models:
                    stored += [f"p {name}" for (name,) in cursor.execute(f"SELECT id FROM predictions_{model.key}").fetchall()]
        held = set(stored)
        twice = [] if len(held) == len(stored) else sorted(name for name in held if stored.count(name) > 1)
        return AfterLoss(len(acknowledged), sorted(acknowledged - held), twice, [entry["what"] for entry in repairs(home)])
    finally:
        shutil.rmtree(target, ignore_errors=True)


def cut_again_and_again(recorded: Recorded, work: Path, cuts: int, seed: int) -> list[AfterLoss]:
    """Cut the power at `cuts` random entries of the record. In every second case some unsynced data survive."""
    pick, entries = random.Random(seed), recorded.calls()
    places = sorted(pick.sample(range(len(entries)), min(cuts, len(entries))))
    disk, found, number = Disk(recorded.root), [], 0
    for place in places:
        while number <= place:
            disk.apply(entries[number])
            number += 1
        if f"{disk.root}/acknowledged" in disk.numbers:
            found.append(after_loss(disk, work / f"cut{place}", pick if len(found) % 2 else None))
    return found
