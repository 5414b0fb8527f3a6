"""Test that every acknowledged event is stored exactly once when writers and the loader are killed at any moment.

Real processes and SIGKILL: writers log through the SDK and note each acknowledged event; a loader loads what lands.
"""

import os
import random
import signal
import subprocess
import sys
import time

from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store
from observability.store.rollup import rollup
from tests.store.conftest import query, rollups

SECONDS = 8.0

WRITER = """
import os, sys
from observability import Logger
home, name = sys.argv[1:]
noted = os.open(os.path.join(home, "acknowledged-" + name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
log = Logger(home, fsync="never", segment_seconds=0.1, segment_bytes=20_000)
i = 0
while log.dropped == 0:
    event = f"{name}-{i}"
    features = {"age": i % 90, "job": "abc"[i % 3]}
    log.prediction(id=event, model="loan", version="1", features=features, score=(i % 100) / 100, replica=name[:2])
    if log.dropped == 0:
        os.write(noted, f"p {event}\\n".encode())
    if i % 2 and log.label(id=event, model="loan", value=i % 3 % 2):
        os.write(noted, f"l {event}\\n".encode())
    i += 1
sys.exit(log.last_error)
"""

LOADER = """
import sys, time
from pathlib import Path
from observability.store.opener import open_store
from observability.store.ingest.loader import load_landing
store = open_store(Path(sys.argv[1]), threads=1)
while True:
    report = load_landing(store)
    print(report.lines, flush=True)
    time.sleep(0.02)
"""


def start(script, *arguments, **options):
    return subprocess.Popen([sys.executable, "-c", script, *map(str, arguments)], cwd=os.getcwd(), **options)


def kill(process):
    process.send_signal(signal.SIGKILL)
    process.wait(10)


def test_nothing_acknowledged_is_lost_and_nothing_is_stored_twice(tmp_path):
    pick, home = random.Random(time.time()), tmp_path / "home"
    home.mkdir()
    writers = {f"w{i}": start(WRITER, home, f"w{i}") for i in range(2)}
    loader, loader_kills, writer_kills = start(LOADER, home, stdout=subprocess.DEVNULL), 0, 0
    end = time.monotonic() + SECONDS
    try:
        while time.monotonic() < end:
            time.sleep(pick.uniform(0.05, 1.2))
            assert loader.poll() is None, "the loader ended by itself"
            kill(loader)
            loader_kills += 1
            loader = start(LOADER, home, stdout=subprocess.DEVNULL)
            if pick.random() < 0.5:
                name = pick.choice(list(writers))
                assert writers[name].poll() is None, "a writer ended by itself"
                kill(writers.pop(name))
                writer_kills += 1
                writers[f"w{2 + writer_kills}"] = start(WRITER, home, f"w{2 + writer_kills}")
    finally:
        for process in [loader, *writers.values()]:
            kill(process)
    acknowledged = {"p": [], "l": []}
    for path in home.glob("acknowledged-*"):
        for line in path.read_text().splitlines():
            acknowledged[line[0]].append(line[2:])
    with open_store(home) as store:
        while load_landing(store).lines:
            pass
        for kind, table in (("p", "predictions_1"), ("l", "labels_1")):
            stored = [name for (name,) in query(store, f"SELECT id FROM {table}")]
            assert len(stored) == len(set(stored))
            assert set(acknowledged[kind]) <= set(stored)
            assert len(stored) <= len(acknowledged[kind]) + writer_kills + len(
                writers
            )  # at most one event of each writer was not noted any more
        assert len(acknowledged["p"]) > 500 and loader_kills > 3
        reasons = query(store, "SELECT DISTINCT reason FROM rejected WHERE model IS NOT NULL")
        assert reasons == [], reasons
        assert query(store, "SELECT count(*) FROM rejected")[0][0] <= writer_kills + len(writers)
        before = rollups(store)
        with store.write() as writer:
            rollup.rebuild_rollups(writer, "loan")
        assert rollups(store) == before
