"""Every acknowledged event is stored exactly once after kill -9."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from observability.client.spool import landing_folder, publish_abandoned, ready_segments

ROOT = Path(__file__).parents[2]

# Prints an id only after the call that logged it has returned. Each id is one line, written as a whole.
WRITER = """
import os, sys, threading, observability as obs
log = obs.Logger(sys.argv[1], segment_bytes=20_000, segment_seconds=0.05, fsync=sys.argv[2])
def work():
    while True:
        name = log.prediction(model="m", version="1", features={"a": 1.5, "b": "text", "c": None}, score=0.5)
        if log.dropped == 0:
            os.write(1, name.encode() + b"\\n")
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
"""


@pytest.mark.parametrize(("fsync", "rounds"), [("background", 4), ("always", 1)])
def test_acknowledged_events_survive_kill_9_exactly_once(tmp_path: Path, fsync: str, rounds: int) -> None:
    landing = landing_folder(tmp_path)
    acknowledged: list[str] = []
    stop = threading.Event()

    def read() -> None:  # a reader that works all the time
        while not stop.wait(0.005):
            publish_abandoned(landing)

    reader = threading.Thread(target=read)
    reader.start()
    chance = random.Random(7)
    for _ in range(rounds):
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, str(tmp_path), fsync], stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)}
            )
            for _ in range(3)
        ]
        outputs: dict[int, list[bytes]] = {writer.pid: [] for writer in writers}
        pumps = [threading.Thread(target=lambda w=writer: outputs[w.pid].extend(w.stdout)) for writer in writers]
        for pump in pumps:
            pump.start()
        while any(len(output) < 40 for output in outputs.values()):
            assert not any(writer.poll() for writer in writers), "a writer ended early"
            time.sleep(0.02)  # pause between two checks; the writers are killed while they write, at any point
        for writer in writers:
            time.sleep(chance.uniform(0, 0.2))
            writer.send_signal(signal.SIGKILL)
            writer.wait(60)
        for pump in pumps:
            pump.join(60)
        acknowledged += [name for output in outputs.values() for name in b"".join(output).decode().split()]
    stop.set()
    reader.join()
    publish_abandoned(landing)
    assert list((landing / "open").iterdir()) == []
    torn, stored = 0, Counter()
    for path in ready_segments(landing):
        *lines, tail = path.read_bytes().split(b"\n")
        stored.update(json.loads(line)["id"] for line in lines)
        torn += bool(tail)
    assert len(acknowledged) > 100 * rounds
    assert all(stored[name] == 1 for name in acknowledged) and max(stored.values()) == 1
    assert torn <= 3 * rounds, "at most the last line of each killed writer is torn"
    assert len(stored) - len(acknowledged) <= 2 * 3 * rounds, "at most one unacknowledged event per thread"
