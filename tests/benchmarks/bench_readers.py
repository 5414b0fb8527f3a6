"""How long does a page take when many people read at once, served by the owner process of the store alone and by 1, 2 and 4 read-only
processes?

    python tests/benchmarks/bench_readers.py [--home HOME] [--people 50] [--visits 4] [--think 10] [--processes 0,1,2,4] [--every 15]

A copy of HOME (a home with the sample fleet; without it one is made) is served by its owner, which publishes its states and loads a record
every ten seconds. Each of `--people` sessions speaks Streamlit's protocol over its own WebSocket, as a browser does: it opens a page, waits
until the page is settled, reads for up to `--think` seconds (drawn evenly, with a fixed seed), and opens the next page. Before that, all
pages are opened once in each process, first at the owner, whose findings are published along. With 0 processes the owner serves the
sessions.

settled: seconds from the request to the end of the last run of the page's script; without the browser's drawing time · processor: processor
seconds of the reading processes per visit, which do not grow with other work on the machine · behind: the largest lag of the newest
published state, in seconds (between visits) · states: number of published states that the readers took over meanwhile.
"""

import argparse
import asyncio
import itertools
import json
import math
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from observability.client.log import Logger
from observability.server.replica import TOKEN_VARIABLE
from observability.server.tokens import create_token
from tests.support.ports import free_port
from tests.support.running import Dashboard, dashboard, wait_until_ready
from tests.support.sample_home import environment

PAGES = (
    ("", ""),
    ("model", "model=flights-delay"),
    ("drift", "model=flights-delay"),
    ("performance", "model=flights-delay"),
)
QUIET = 0.3
"""Seconds without another run after which a page counts as settled; they are not included in the times."""
LOAD_EVERY = 10.0
"""Seconds between two records that are loaded during the visits."""
PATIENCE = 600.0


@dataclass
class Visits:
    """The times of the visits of all sessions. failed: visits in which the page ended with an error or did not end."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


class Session:
    """One session at a dashboard; it opens pages."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def __aenter__(self) -> Self:
        """Connect."""
        address = self.url.replace("http://", "ws://") + "/_stcore/stream"
        origin: Any = self.url
        protocols: Any = ["streamlit"]  # websockets takes a plain text at run time, but its annotations want a type of its own
        self.socket = await websockets.connect(address, origin=origin, subprotocols=protocols, max_size=None, open_timeout=PATIENCE)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave."""
        await self.socket.close()

    async def open_page(self, page: str, query: str) -> float:
        """Open a page. Returns the seconds until it was settled. Raises RuntimeError for a page that ends with an error."""
        message = BackMsg()
        message.rerun_script.query_string, message.rerun_script.page_name = query, page
        message.rerun_script.context_info.timezone = "UTC"
        began = ended = time.perf_counter()
        await self.socket.send(message.SerializeToString())
        running = True
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    data = await asyncio.wait_for(self.socket.recv(), None if running else QUIET)
                except TimeoutError:
                    if running:
                        raise
                    return ended - began
                came = ForwardMsg()
                came.ParseFromString(data if isinstance(data, bytes) else data.encode())
                kind = came.WhichOneof("type")
                if kind == "new_session":
                    running = True
                elif kind == "script_finished":
                    running = came.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN
                    ended = time.perf_counter()
                elif kind == "delta" and came.delta.new_element.WhichOneof("type") == "exception":
                    raise RuntimeError(came.delta.new_element.exception.message)


async def visit_pages(url: str, number: int, visits: int, think: float, found: Visits) -> None:
    """Let one session open the given number of pages, with reading time before each."""
    chance = random.Random(number)
    pages = itertools.cycle(PAGES[number % len(PAGES) :] + PAGES[: number % len(PAGES)])
    await asyncio.sleep(chance.uniform(0, think))
    try:
        async with Session(url) as session:
            for page, query in itertools.islice(pages, visits):
                found.seconds.append(await session.open_page(page, query))
                await asyncio.sleep(chance.uniform(0, think))
    except (RuntimeError, OSError, TimeoutError, websockets.WebSocketException) as error:
        found.failed.append(f"{type(error).__name__}: {error}"[:200])


async def warm_up(urls: Sequence[str]) -> None:
    """Open every page once at every address."""

    async def open_all(url: str) -> None:
        async with Session(url) as session:
            for page, query in PAGES:
                await session.open_page(page, query)

    await asyncio.gather(*map(open_all, urls))


@contextmanager
def reading_process(home: Path, owner: str, token: str) -> Iterator[tuple[str, int]]:
    """Run a process that serves what a home publishes, until the block ends. Yields its address and its process id."""
    port = free_port()
    log = home.parent / f"reader-{port}.log"
    command = ["serve", "--replica", str(home / "published"), "--owner", owner, "--port", str(port)]
    with log.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "observability", *command],
            cwd=ROOT,
            env={**environment(home), TOKEN_VARIABLE: token},
            stdout=written,
            stderr=written,
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}", process, log)
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait(timeout=60)


def processor_seconds(pids: Sequence[int]) -> float:
    """Processor seconds that some processes have used."""
    total = 0
    for pid in pids:
        parts = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        total += int(parts[11]) + int(parts[12])
    return total / os.sysconf("SC_CLK_TCK")


async def keep_loading(home: Path) -> None:
    """Log a prediction every few seconds, so that new states are published."""
    logger = Logger(home=home)
    for number in itertools.count():
        logger.prediction(id=f"reader-{number}-{time.time_ns()}", model="reader-traffic", version="1", features={"x": number}, score=0.5)
        await asyncio.sleep(LOAD_EVERY)


async def lags(home: Path, found: list[float], states: set[str]) -> None:
    """Note every second by how many seconds the newest published state lags behind."""
    while True:
        with suppress(OSError, ValueError, KeyError):
            named = json.loads((home / "published" / "newest.json").read_text(encoding="utf-8"))
            found.append((datetime.now(UTC) - datetime.fromisoformat(named["as_of"])).total_seconds())
            states.add(named["state"])
        await asyncio.sleep(1)


async def measured_visits(urls: Sequence[str], home: Path, args: argparse.Namespace) -> tuple[Visits, list[float], set[str]]:
    """The visits of all sessions, spread evenly over the addresses, while records are loaded."""
    found, behind, states = Visits(), list[float](), set[str]()
    async with running_beside(keep_loading(home), lags(home, behind, states)):
        async with asyncio.TaskGroup() as group:
            for number in range(args.people):
                group.create_task(visit_pages(urls[number % len(urls)], number, args.visits, args.think, found))
    return found, behind, states


@asynccontextmanager
async def running_beside(*works: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run coroutines concurrently with the block, and cancel them at its end."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def quantile(seconds: Sequence[float], share: float) -> float:
    """The smallest of the seconds that at least the given share of them does not exceed."""
    return sorted(seconds)[max(math.ceil(len(seconds) * share) - 1, 0)]


def measure(owner: Dashboard, token: str, processes: int, args: argparse.Namespace) -> None:
    """Measure with one number of processes, and print a line."""
    with ExitStack() as stack:
        readers = [stack.enter_context(reading_process(owner.home, owner.url, token)) for _ in range(processes)]
        urls, pids = [url for url, _ in readers] or [owner.url], [pid for _, pid in readers] or [owner.pid]
        asyncio.run(warm_up(urls))
        before = processor_seconds(pids)
        found, behind, states = asyncio.run(measured_visits(urls, owner.home, args))
        spent = processor_seconds(pids) - before
    name = f"{processes} reading" if processes else "owner alone"
    if not found.seconds:
        print(f"{name:14} no visit ended: {found.failed[:3]}")
        return
    figures = [statistics.median(found.seconds), quantile(found.seconds, 0.95), max(found.seconds), spent / len(found.seconds)]
    print(
        f"{name:14} {len(found.seconds):6} {len(found.failed):6} " + " ".join(f"{each:9.2f}" for each in figures),
        f"{max(behind, default=0):9.0f} {len(states):6}   load {os.getloadavg()[0]:.0f}",
        flush=True,
    )
    for failure in found.failed[:3]:
        print(f"  failed: {failure}")


def main() -> None:
    """Measure each number of processes in turn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="a home with the sample fleet")
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--visits", type=int, default=4, help="pages that each session opens")
    parser.add_argument("--think", type=float, default=10.0, help="most seconds of reading between two pages")
    parser.add_argument("--processes", default="0,1,2,4")
    parser.add_argument("--every", type=int, default=15, help="seconds between two published states")
    parser.add_argument("--folder", type=Path, help="where the copy of the home goes")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        home = Path(folder) / "home"
        if args.home:
            left_out = shutil.ignore_patterns("published", "owner.lock", "owner.json", "tmp")
            shutil.copytree(args.home, home, ignore=left_out)
        else:
            subprocess.run(
                [sys.executable, "-m", "observability", "demo"], cwd=ROOT, env=environment(home), check=True, capture_output=True
            )
        (home / "keeping.toml").write_text(f"[publish]\nevery = {args.every}\n", encoding="utf-8")
        print(f"{args.people} sessions, {args.visits} pages each, up to {args.think:g} s of reading; {os.cpu_count()} cores; seconds")
        print("answered by    visits failed    median       p95   slowest processor    behind states")
        with dashboard(home) as owner:
            _, token = create_token(home, "write", "readers", role="administrator")
            asyncio.run(warm_up([owner.url]))
            until = time.monotonic() + PATIENCE
            while not (home / "published" / "newest.json").exists():
                assert time.monotonic() < until, "nothing was published in time"
                time.sleep(0.2)  # between two looks
            for processes in map(int, args.processes.split(",")):
                measure(owner, token, processes, args)


if __name__ == "__main__":
    main()
