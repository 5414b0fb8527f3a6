"""Can a home take a steady load: what does logging cost, is anything lost, how fresh are pages, does the owner's memory stay constant?

`python tests/benchmarks/bench_soak.py [--minutes 10] [--rate 20000] [--processes 4]` starts the dashboard, lets the processes together log
at the given rate, and meanwhile keeps pages open in Chromium, if it is installed. It prints p99 of `Logger.prediction`, the number of lost
records, the seconds until a query can see a record, and the owner's memory over time. `--day` replaces `--minutes`: it loads a day of
traffic of 1,000 records/s, dated over that day, as fast as the machine can. Landing then keeps the newest gigabyte of loaded segments
instead of a week, so that a day needs less than 30 GB of disk. `--day --hours 0.48` is a fiftieth of it.
"""

import argparse
import bisect
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
DAY_RATE = 1000
CHUNK = 200
MARK_EVERY = 2_000
"""Number of records of a service between two marks. A mark is the time in a record and the time at which it was logged."""
LOADED_BYTES = 1_000_000_000
PAGES = ("quality", "requests", "latency", "model")


def log_at_rate(home: str, name: str, rate: float, seconds: float, first: float, step: float) -> None:
    """Run one service. It logs at a rate for some seconds. Then it prints the number of records, the number dropped, the times in ns of one
    call in ten, its seconds, and marks [time in a record, when it was logged] (epoch seconds).

    first, step: with a step above zero, the times in the records start at `first` (epoch seconds) and advance by `step` seconds, and
    records are logged without pauses.
    """
    import observability as obs

    log = obs.Logger(home)
    clock, times, number, marks = time.perf_counter_ns, [], 0, []
    features = {f"feature_{i:02d}": i * 1.2345 for i in range(10)}
    begun = time.monotonic()
    total = int(rate * seconds)
    while number < total:
        for _ in range(min(CHUNK, total - number)):
            at = datetime.fromtimestamp(first + number * step, UTC) if step else None
            start = clock()
            log.prediction(id=f"{name}-{number}", model="soak", version="1", features=features, score=number % 100 / 100, at=at)
            if number % 10 == 0:
                times.append(clock() - start)
            if step and number % MARK_EVERY == 0:
                marks.append([first + number * step, time.time()])
            number += 1
        if not step and (ahead := number / rate - (time.monotonic() - begun)) > 0:
            time.sleep(ahead)  # keeps the rate
        while step and len(os.listdir(Path(home, "landing", "ready"))) > 20:
            time.sleep(0.2)  # limits what waits in landing: the loader sets the pace
    took = time.monotonic() - begun
    log.close()
    print(json.dumps([number, log.dropped, sorted(times), took, marks]))


class Watch(threading.Thread):
    """Samples the owner process while it runs: memory in MB, bytes of the home, and the time in the newest record that a query sees, with
    the time of the query (epoch seconds). keep: bytes of loaded segments that landing keeps; None for all.
    """

    def __init__(self, home: Path, pid: int, every: float, keep: int | None) -> None:
        super().__init__(daemon=True)
        self.home, self.pid, self.every, self.keep = home, pid, every, keep
        self.memory: list[tuple[float, float]] = []
        self.seen: list[tuple[float, float]] = []
        self.most_bytes = 0
        self.stop = threading.Event()

    def run(self) -> None:
        begun = time.monotonic()
        newest: datetime | None = None
        while not self.stop.wait(self.every):
            self.memory.append((time.monotonic() - begun, resident_mb(self.pid)))
            self.most_bytes = max(self.most_bytes, bytes_below(self.home))
            if self.keep is not None:
                remove_oldest(self.home / "landing" / "loaded", self.keep)
            newest = newest_record(self.home, newest) or newest
            if newest is not None:
                self.seen.append((time.time(), newest.timestamp()))

    def lags(self, marks: list[list[float]]) -> list[float]:
        """For each query, the seconds by which the newest visible record lagged behind its logging. marks: marks of all services; without
        marks, the time in a record is the time of its logging.
        """
        ordered = sorted(marks)
        times = [at for at, _ in ordered]
        logged = list(itertools.accumulate((wall for _, wall in reversed(ordered)), min))[::-1]  # when any service had logged so far
        found = []
        for asked_at, newest in self.seen:
            place = bisect.bisect_left(times, newest)
            if not marks or place < len(times):
                found.append(max(asked_at - (logged[place] if marks else newest), 0.0))
        return found


def bytes_below(folder: Path) -> int:
    """Bytes of all files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += path.lstat().st_size
    return total


def remove_oldest(folder: Path, keep: int) -> None:
    """Remove the oldest segments of a folder until the rest has at most the given number of bytes."""
    files = sorted(((state := path.stat()).st_mtime, state.st_size, path) for path in folder.glob("*.jsonl"))
    total = sum(size for _, size, _ in files)
    for _, size, path in files:
        if total <= keep:
            return
        path.unlink()
        total -= size


def resident_mb(pid: int) -> float:
    """Memory that a process holds, in MB."""
    fields = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def newest_record(home: Path, after: datetime | None = None) -> datetime | None:
    """The time in the newest record that a query sees; None if there is none.

    after: look only at records from that time on, so that the query costs the same however many records are stored.
    """
    later = f""" WHERE "at" >= TIMESTAMP '{after:%Y-%m-%d %H:%M:%S}'""" if after else ""
    answer = asked(home, ["sql", f'SELECT max("at") AS newest FROM "soak.predictions"{later}', "--json"])
    rows = answer if isinstance(answer, list) else (answer or {}).get("rows", [])
    newest = rows[0]["newest"] if rows else None
    if newest is None:
        return None
    found = datetime.fromisoformat(str(newest))
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def asked(home: Path, argv: list[str]) -> Any:
    """The answer of the store's owner process to a command; None if it refuses."""
    from observability.cli import main as command_line
    from observability.server import process_lock

    address = process_lock.read_address(home)
    assert address is not None
    outcome = command_line.at_owner(address, argv)
    return json.loads(outcome.out) if outcome is not None and outcome.exit_code == 0 else None


def stored_predictions(home: Path) -> int:
    """Predictions in the store."""
    return sum(model["predictions"] for model in asked(home, ["status", "--json"])["models"])


def ask_health(url: str, stop: threading.Event, took: list[float]) -> None:
    """Ask for the health of the store every two seconds, as a probe does."""
    while not stop.wait(2.0):
        start = time.monotonic()
        with urllib.request.urlopen(url + "/readyz", timeout=60) as answer:
            answer.read()
        took.append(time.monotonic() - start)


def read_pages(url: str, stop: threading.Event, took: list[float]) -> None:
    """A person with two tabs: the first page stays open, and every 20 seconds the second tab opens a page of the model and reads it until
    it is complete.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        home, other = browser.new_page(), browser.new_page()
        home.goto(url)
        while not stop.wait(20.0):
            start = time.monotonic()
            other.goto(f"{url}/{PAGES[len(took) % len(PAGES)]}?model=soak")
            other.wait_for_selector("[data-testid='stMain'] h1", timeout=120_000)
            other.wait_for_selector("[data-testid='stApp'][data-test-script-state='notRunning']", timeout=120_000)
            took.append(time.monotonic() - start)
        browser.close()


def percentile(values: list[Any], share: float) -> float:
    """A percentile of some values."""
    ordered = sorted(values)
    return float(ordered[min(int(len(ordered) * share), len(ordered) - 1)])


def main(minutes: float, rate: float, processes: int, day: bool, hours: float) -> None:
    """Run the load, and print what was measured."""
    from tests.support.running import dashboard

    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir()
        seconds = hours * 3600 if day else minutes * 60
        each = (DAY_RATE if day else rate) / processes
        first = (datetime.now(UTC) - timedelta(seconds=seconds)).timestamp()
        with dashboard(home) as server:
            (home / "landing" / "ready").mkdir(parents=True, exist_ok=True)
            command = [sys.executable, __file__, "--write", str(home)]
            rest = [str(each), str(seconds), str(first), str(1 / each if day else 0)]
            begun = time.monotonic()
            services = [subprocess.Popen([*command, f"s{i}", *rest], stdout=subprocess.PIPE, text=True, cwd=ROOT) for i in range(processes)]
            watch, stop = Watch(home, server.pid, 10.0 if day else 2.0, LOADED_BYTES if day else None), threading.Event()
            health: list[float] = []
            pages: list[float] = []
            beside = [threading.Thread(target=ask_health, args=(server.url, stop, health), daemon=True)]
            if shutil.which("chromium"):
                beside.append(threading.Thread(target=read_pages, args=(server.url, stop, pages), daemon=True))
            for thread in beside:
                thread.start()
            time.sleep(8.0)  # services import and connect; their memory until then does not count as growth
            watch.start()
            outcomes = [json.loads(service.communicate(timeout=seconds * 20 + 600)[0]) for service in services]
            watch.stop.set()
            logged, dropped = sum(count for count, *_ in outcomes), sum(lost for _, lost, *_ in outcomes)
            marks = [mark for *_, own in outcomes for mark in own]
            while (stored := stored_predictions(home)) < logged and time.monotonic() - begun < seconds * 20 + 600:
                time.sleep(1.0)  # time between two queries of what is stored
            took = time.monotonic() - begun
            stop.set()
            watch.join()
            for thread in beside:
                thread.join()
    calls = sorted(ns for _, _, times, *_ in outcomes for ns in times)
    pace = logged / max(wall for *_, wall, _ in outcomes)
    print(
        f"{processes} processes, {logged:,} logged at {pace:,.0f}/s, {dropped} dropped, {logged - stored} not stored; load {os.getloadavg()[0]:.1f}"
    )
    print(f"loaded {logged / took:,.0f}/s over {took:.0f} s")
    print(
        f"log(): median {percentile(calls, 0.5) / 1e6:.3f} ms   p99 {percentile(calls, 0.99) / 1e6:.3f} ms   max {calls[-1] / 1e6:.1f} ms"
    )
    if lags := watch.lags(marks):
        print(f"a record can be queried after: median {percentile(lags, 0.5):.1f} s   p99 {percentile(lags, 0.99):.1f} s")
    print(f"disk: at most {watch.most_bytes / 1e9:.1f} GB")
    if watch.memory:
        half = watch.memory[len(watch.memory) // 2 :]
        print(
            f"owner's memory: {watch.memory[0][1]:,.0f} MB at first, {half[0][1]:,.0f} MB at half time, {half[-1][1]:,.0f} MB at the end, "
            f"at most {max(mb for _, mb in watch.memory):,.0f} MB"
        )
    if health:
        print(f"/readyz: median {percentile(health, 0.5) * 1e3:.0f} ms   p99 {percentile(health, 0.99) * 1e3:.0f} ms")
    if pages:
        print(
            f"a page of the model, {len(pages)} times, until it is complete: median {percentile(pages, 0.5):.1f} s   max {max(pages):.1f} s"
        )
    assert dropped == 0 and logged == stored


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        home, name, *numbers = sys.argv[2:]
        log_at_rate(home, name, *map(float, numbers))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--minutes", type=float, default=0.2)
        parser.add_argument("--rate", type=float, default=2000, help="records a second of all processes together")
        parser.add_argument("--processes", type=int, default=4)
        parser.add_argument("--day", action="store_true", help="a day of traffic with its own times, as fast as it is taken")
        parser.add_argument("--hours", type=float, default=24, help="of the simulated traffic")
        main(**vars(parser.parse_args()))
