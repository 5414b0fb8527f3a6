"""How many records are lost, and how long does recovery take, if the machine that holds a store fails while records arrive? (RPO and RTO)

    python tests/benchmarks/bench_restore.py [ROWS ...] [--every SECONDS] [--json FILE]

For each number of ROWS (default 20000 and 200000): a writer logs predictions with the SDK, the owner of the store loads them and makes a
backup every --every seconds (default 5), and once ROWS are loaded both are killed at a random moment (SIGKILL). Then it restores

* killed: the home is whole; the store is opened again;
* database lost: its file and log are gone, landing survives; the newest backup is restored and landing loaded;
* disk lost: the newest backup is restored into an empty home.

Prints for each case the acknowledged records that are missing (RPO; for a lost disk also in seconds before the kill), the records stored
twice, and the seconds until every record is loaded and the first question is answered (RTO). For comparison it prints the seconds of a
plain copy of the same files with syncs.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import logging

logging.disable(logging.WARNING)

from observability.client.log import Logger
from observability.store.backup import LIST, backups_in
from observability.store.db.connection import DATABASE
from observability.store.opener import open_store, restore_home

A_BATCH = 200
RATE = 2_000
"""Records that the writer logs per second."""


def write(home: Path) -> None:
    """Log predictions forever; after each batch, print how many were acknowledged."""
    log, begun = Logger(home=home, segment_seconds=0.5), time.perf_counter()
    for number in range(10**9):
        features = {"age": number % 80, "amount": number * 0.37, "region": f"r{number % 9}", "new": number % 2 == 0, "debt": number % 1013}
        assert log.prediction(id=f"p{number}", model="loan", version="1", features=features, score=number % 100 / 100)
        if (number + 1) % A_BATCH == 0:
            print(number + 1, flush=True)
            time.sleep(max((number + 1) / RATE - (time.perf_counter() - begun), 0))


def own(home: Path, folder: Path, every: float) -> None:
    """Load landing segments forever, and make backups. After each load, print the number of stored records and the time of the newest
    backup.
    """
    with open_store(home) as store:
        stored, last, backup = 0, time.monotonic(), None
        while True:
            stored += store.load_landing().stored
            if time.monotonic() - last > every:
                backup, last = store.backup(folder)["at"], time.monotonic()
            print(json.dumps({"stored": stored, "backup": backup}), flush=True)
            time.sleep(0.2)


def newest_line(path: Path) -> str:
    """The last complete line of a file; empty if there is none."""
    lines = path.read_text().split("\n")[:-1]
    return lines[-1] if lines else ""


def killed_under_load(folder: Path, rows: int, every: float) -> tuple[int, datetime]:
    """Let a writer and an owner work until the given number of rows is loaded and backed up, then kill both. Returns the number of
    acknowledged records, and the time of the kill.
    """
    roles = {"write": [folder / "home"], "own": [folder / "home", folder / "backups", every]}
    (folder / "home").mkdir()
    outputs = {role: folder / f"{role}.txt" for role in roles}
    running = [
        subprocess.Popen(
            [sys.executable, __file__, "--role", role, *map(str, rest)], stdout=outputs[role].open("w"), start_new_session=True
        )
        for role, rest in roles.items()
    ]
    try:
        while True:
            time.sleep(0.2)
            assert all(process.poll() is None for process in running), "the writer or the owner ended early"
            state = json.loads(newest_line(outputs["own"]) or '{"stored": 0, "backup": null}')
            if state["stored"] >= rows and state["backup"]:
                time.sleep(random.uniform(0, every))  # killed at any moment between two backups
                break
    finally:
        for process in running:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
    return int(newest_line(outputs["write"])), datetime.now(UTC)


def answered(home: Path, acknowledged: int) -> dict[str, int]:
    """Open the home, load waiting records, and ask the first question. Returns the numbers of stored rows, of acknowledged rows that are
    missing, and of rows stored twice.
    """
    with open_store(home) as store:
        store.load_landing()
        (model,) = store.catalog().models
        with store.cursor() as cursor:
            table = f"predictions_{model.key}"
            stored, distinct, held = cursor.execute(
                f"SELECT count(*), count(DISTINCT id), count(DISTINCT id) FILTER (substr(id, 2)::BIGINT < ?) FROM {table}", [acknowledged]
            ).fetchall()[0]
    return {"rows": stored, "lost": acknowledged - held, "twice": stored - distinct}


def copied_plainly(source: Path, target: Path) -> tuple[float, int]:
    """Seconds and bytes of a plain copy of a folder's files, each file synced."""
    begun, size = time.perf_counter(), 0
    for path in sorted(source.rglob("*")):
        if path.is_file() and path.name != LIST:
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
            with place.open("rb") as file:
                os.fsync(file.fileno())
            size += place.stat().st_size
    return time.perf_counter() - begun, size


def measure(rows: int, every: float) -> dict[str, Any]:
    """The figures for one number of rows."""
    with tempfile.TemporaryDirectory(prefix="restore-") as made:
        folder = Path(made)
        home, backups = folder / "home", folder / "backups"
        acknowledged, killed_at = killed_under_load(folder, rows, every)
        newest = backups_in(backups)[-1]
        at = datetime.fromisoformat(json.loads((newest / LIST).read_text())["at"])
        copying, size = copied_plainly(newest, folder / "copy")
        found: dict[str, Any] = {"acknowledged": acknowledged, "megabytes": round(size / 1e6, 1), "copy_seconds": round(copying, 2)}
        ways = {
            "killed": (home, lambda: None),
            "database_lost": (home, lambda: restore_home(home, backups)),
            "disk_lost": (folder / "new", lambda: restore_home(folder / "new", backups)),
        }
        for name, (place, restored) in ways.items():
            if name == "database_lost":
                for path in home.glob(f"{DATABASE}*"):
                    path.unlink()
            begun = time.perf_counter()
            restored()
            figures = answered(place, acknowledged)
            seconds = time.perf_counter() - begun
            found[name] = {**figures, "seconds": round(seconds, 2), "times_the_copy": round(seconds / copying, 1)}
        found["disk_lost"]["seconds_before_the_kill"] = round((killed_at - at).total_seconds(), 1)
        return found


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        role, home, *rest = sys.argv[2:]
        if role == "write":
            write(Path(home))
        own(Path(home), Path(rest[0]), float(rest[1]))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[20_000, 200_000])
    parser.add_argument("--every", type=float, default=5.0)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    results = []
    for rows in args.rows:
        results.append(measure(rows, args.every))
        print(json.dumps(results[-1]), flush=True)
        assert not any(results[-1][name]["twice"] for name in ("killed", "database_lost", "disk_lost"))
        assert results[-1]["killed"]["lost"] == results[-1]["database_lost"]["lost"] == 0
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
