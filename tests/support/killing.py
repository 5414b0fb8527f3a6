"""Kills writers, the loader and the owner at random moments while records arrive, and compares stored with acknowledged records.

It uses real processes and SIGKILL. Writers log predictions and labels through the SDK; another process, which is not killed, posts over
HTTP. Two kinds of process hold the store, never both at once: the loader only loads; the owner loads and serves HTTP. Every process notes
which records were acknowledged to it.
"""

import os
import random
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observability.store.opener import open_store
from tests.support.collector import Collector

ROOT = Path(__file__).parents[2]
BATCH = 50
PATIENCE = 20.0
"""Seconds within which a process that holds the store should load something; after that it is killed in any case."""

WRITER = """
import os, sys, time
from observability import Logger
home, name, rate = sys.argv[1], sys.argv[2], float(sys.argv[3])
noted = os.open(os.path.join(home, "acknowledged-" + name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
log = Logger(home, fsync="never", segment_seconds=0.5, segment_bytes=200_000)
i, begun = 0, time.monotonic()
while log.dropped == 0:
    event = f"{name}-{i}"
    features = {"age": i % 90, "job": "abc"[i % 3]}
    log.prediction(id=event, model="loan", version="1", features=features, score=(i % 100) / 100, replica=name[:2])
    if log.dropped == 0:
        os.write(noted, f"p {event}\\n".encode())
    if i % 2 and log.label(id=event, model="loan", value=i % 3 % 2):
        os.write(noted, f"l {event}\\n".encode())
    i += 1
    if i % 20 == 0 and (ahead := i * 1.5 / rate - (time.monotonic() - begun)) > 0:
        time.sleep(ahead)  # keeps the rate
sys.exit(log.last_error)
"""

LOADER = """
import sys, time
from pathlib import Path
from observability.store.opener import open_store
from observability.store.ingest.loader import load_landing
from observability.server.process_lock import take_lock
lock = take_lock(Path(sys.argv[1]), 30.0)
store = open_store(Path(sys.argv[1]), threads=1)
while True:
    load_landing(store)
    time.sleep(0.02)
"""

POSTER = """
import http.client, json, os, sys, time
home, port, token, batch = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4])
noted = os.open(os.path.join(home, "acknowledged-post"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
number = 0
while True:
    ids = [f"post-{number}-{i}" for i in range(batch)]
    lines = [
        {"kind": "prediction", "id": event, "at": "2026-11-01T00:00:00Z", "model": "loan", "version": "1", "score": 0.5, "features": {"age": 1}}
        for event in ids
    ]
    number += 1
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        connection.request("POST", "/api/v1/records", body="\\n".join(map(json.dumps, lines)), headers={"Authorization": "Bearer " + token})
        answer = connection.getresponse()
        told = answer.read()
    except (OSError, http.client.HTTPException):
        time.sleep(0.1)
        continue
    if answer.status == 202 and json.loads(told)["accepted"] == batch:
        os.write(noted, "".join(f"p {event}\\n" for event in ids).encode())
    time.sleep(0.05)
"""


@dataclass(frozen=True)
class Killed:
    """What was killed and what was acknowledged: the number of kills by kind of process, how many of them hit a process that had already
    loaded something, and the acknowledged ids of predictions (letter p) and labels (letter l).
    """

    kills: Counter[str]
    loads: int
    acknowledged: dict[str, list[str]]


class _Processes:
    """The processes of a run."""

    def __init__(self, home: Path, rate: float, pick: random.Random) -> None:
        self.home, self.rate, self.pick, self.started = home, rate, pick, 0
        self.collector = Collector(home)
        self.writers: dict[str, subprocess.Popen[bytes]] = {}
        self.holder: subprocess.Popen[bytes] | None = None
        self.kind = ""
        self.loaded = self.loads = 0

    def start(self, script: str, *arguments: Any) -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], cwd=ROOT)

    def start_writer(self) -> None:
        name = f"w{self.started}"
        self.started += 1
        self.writers[name] = self.start(WRITER, self.home, name, self.rate)

    def start_holder(self) -> None:
        """Start a process that holds the store: the loader or the owner, chosen at random."""
        self.kind, self.loaded = self.pick.choice(["loader", "owner"]), loaded_segments(self.home)
        if self.kind == "owner":
            self.collector.start(wait=False)
            self.holder = self.collector.process
        else:
            self.holder = self.start(LOADER, self.home)

    def kill_one(self) -> str:
        """Kill a writer or the process that holds the store, and start another. Returns the kind of the killed process."""
        if self.pick.random() < 1 / 3:
            name = self.pick.choice(list(self.writers))
            assert self.writers[name].poll() is None, "a writer ended by itself"
            kill(self.writers.pop(name))
            self.start_writer()
            return "writer"
        assert self.holder is not None
        until = time.monotonic() + self.pick.choice([0.0, PATIENCE])
        while time.monotonic() < until and loaded_segments(self.home) <= self.loaded:
            time.sleep(0.01)  # waits at every second kill; otherwise no process would have loaded anything on a slow machine
        assert self.holder.poll() is None, f"the {self.kind} ended by itself"
        kill(self.holder)
        self.loads += loaded_segments(self.home) > self.loaded
        killed = self.kind
        self.start_holder()
        return killed


def kill(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process without notice."""
    process.kill()
    process.wait(60)


def killed_again_and_again(home: Path, kills: int, events: int, pause: float = 0.6, writers: int = 2, seed: int | None = None) -> Killed:
    """Make `kills` kills, one every `pause` seconds on average, and go on until at least `events` events are acknowledged."""
    pick = random.Random(seed)
    processes = _Processes(home, events / (kills * pause) / writers, pick)
    poster = processes.start(POSTER, home, processes.collector.port, processes.collector.token, BATCH)
    done: Counter[str] = Counter()
    try:
        for _ in range(writers):
            processes.start_writer()
        processes.start_holder()
        while done.total() < kills:
            time.sleep(pick.uniform(0.1 * pause, 1.9 * pause))
            done[processes.kill_one()] += 1
        while lines_below(home) < events:
            time.sleep(0.2)  # pause between two checks of the acknowledged records
    finally:
        for process in (poster, processes.holder, *processes.writers.values()):
            if process is not None:
                kill(process)
    return Killed(done, processes.loads, acknowledged_ids(home))


def loaded_segments(home: Path) -> int:
    """The number of segments that were loaded."""
    folder = home / "landing" / "loaded"
    return len(os.listdir(folder)) if folder.exists() else 0


def lines_below(home: Path) -> int:
    """An estimate of how many events have been acknowledged so far."""
    files = list(home.glob("acknowledged-*"))
    return sum(path.stat().st_size for path in files) // 14


def acknowledged_ids(home: Path) -> dict[str, list[str]]:
    """The acknowledged ids of predictions (p) and of labels (l)."""
    found: dict[str, list[str]] = {"p": [], "l": []}
    for path in home.glob("acknowledged-*"):
        for line in path.read_text().split("\n")[:-1]:
            found[line[0]].append(line[2:])
    return found


@dataclass(frozen=True)
class Compared:
    """For one kind of record: how many were acknowledged and how many stored, which are lost, and how many are stored twice."""

    acknowledged: int
    stored: int
    lost: list[str]
    twice: int


def compared(home: Path, acknowledged: dict[str, list[str]]) -> dict[str, Compared]:
    """Load waiting records, and compare the stored predictions and labels with the acknowledged ones."""
    found = {}
    with open_store(home) as store:
        while store.load_landing().lines:
            pass
        for kind, table in (("p", "predictions"), ("l", "labels")):
            with store.cursor() as cursor:
                stored = [
                    name for model in store.catalog().models for (name,) in cursor.execute(f"SELECT id FROM {table}_{model.key}").fetchall()
                ]
            held = set(stored)
            lost = [name for name in acknowledged[kind] if name not in held]
            found[kind] = Compared(len(acknowledged[kind]), len(stored), lost, len(stored) - len(held))
    return found


def seed_of_today() -> int:
    """A random seed; a failed run prints it."""
    return int.from_bytes(os.urandom(4))
