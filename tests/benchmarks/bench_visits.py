"""How long does a person wait when a page opens in Chromium: first paint, largest paint, long tasks, bytes, time until the page is settled?

    python tests/benchmarks/bench_visits.py [--home HOME] [--pages home,drift] [--people 5] [--tasks]

A dashboard serves a copy of HOME (a home with the sample fleet; without it one is made). Each page is opened with the screen of a laptop
(1360 × 900) three times: by a browser with an empty profile, as the first visit in this process (cold); again in the same browser (again);
and by several people at once, each with their own profile (the slowest of them is printed). Before each opening the server has come to
rest. Times are seconds from the request on. Bytes are those on the wire: documents and scripts as encoded, WebSocket frames as sent.

first: first contentful paint · title: the heading is visible · largest: largest contentful paint · settled: no run of the script and no
skeleton for 0.5 s from then on · server: seconds from the start of the first run to the end of the last · processor: processor seconds of
the dashboard's process, which do not grow with other work on the machine · long: number of tasks of more than 50 ms, and the longest in ms
· http, socket: kilobytes. `--tasks` traces the opening again, and prints how much of the long tasks each script took.
"""

import argparse
import base64
import collections
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from playwright.sync_api import BrowserContext, Playwright, sync_playwright
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.browser.heights import LAPTOP
from tests.browser.pages import PATIENCE
from tests.support.running import dashboard
from tests.support.sample_home import environment

ADDRESSES = {
    "home": "/",
    "model": "/model?model=flights-delay",
    "drift": "/drift?model=flights-delay",
    "performance": "/performance?model=flights-delay",
    "case": "/case?model=flights-late&id=20131231-EWR-UA1631",
    "review": "/review",
    "everything": "/?window=Everything",
}
SETTLED = 500
"""Milliseconds without a run of the script after which a page counts as settled."""
PROBE = """{
  const seen = window.visit = {long: [], largest: 0, title: 0, settled: 0}
  const watch = (type, act) => new PerformanceObserver((list) => list.getEntries().forEach(act)).observe({type, buffered: true})
  watch('largest-contentful-paint', (entry) => { seen.largest = entry.startTime })
  watch('longtask', (entry) => seen.long.push(entry.duration))
  let quiet
  setInterval(() => {
    const title = document.querySelector('[data-testid="stMain"] h1'), app = document.querySelector('[data-testid="stApp"]')
    if (title && !seen.title) seen.title = performance.now()
    const busy = !title || app.dataset.testScriptState !== 'notRunning'
      || document.querySelector('[data-testid="stSkeleton"], .st-key-still-looking')
    if (busy) quiet = undefined
    else quiet ??= performance.now()
    if (!seen.settled && quiet && performance.now() - quiet > SETTLED) seen.settled = quiet
  }, 20)
}""".replace("SETTLED", str(SETTLED))
"""JavaScript that notes in the page when the elements that a person waits for appeared."""
READ = """() => ({...visit, first: performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0})"""
TRACED = ["devtools.timeline", "v8.execute", "disabled-by-default-v8.compile"]
SCRIPTS = ("FunctionCall", "EvaluateScript", "v8.compile", "V8.GCScavenger", "Layout", "UpdateLayoutTree", "ParseHTML", "Paint", "Commit")


@dataclass
class Visit:
    """One opening of a page: seconds, long tasks in ms, kilobytes."""

    first: float = 0
    title: float = 0
    largest: float = 0
    settled: float = 0
    server: float = 0
    processor: float = 0
    long: list[float] = field(default_factory=list)
    http: float = 0
    socket: float = 0

    def row(self) -> str:
        """The visit as columns of a table."""
        longest = f"{len(self.long)}, {max(self.long, default=0):.0f}"
        seconds = " | ".join(f"{value:.2f}" for value in (self.first, self.title, self.largest, self.settled, self.server, self.processor))
        return f"{seconds} | {longest} | {self.http:,.0f} | {self.socket:,.0f}"


class Opening:
    """A page that is being opened, and its network traffic."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.page, self.visit, self.runs = context.new_page(), Visit(), [0.0, 0.0]
        self.page.set_viewport_size(LAPTOP)
        self.page.add_init_script(PROBE)
        wire = context.new_cdp_session(self.page)
        wire.send("Network.enable")
        wire.on("Network.loadingFinished", self.loaded)
        wire.on("Network.webSocketFrameReceived", self.framed)
        self.page.goto(url, wait_until="commit")

    def loaded(self, event: dict[str, Any]) -> None:
        """Count the bytes of a request; they are none if the browser had the file cached."""
        self.visit.http += event["encodedDataLength"] / 1000

    def framed(self, event: dict[str, Any]) -> None:
        """Count a frame, and note when a run of the script begins and ends."""
        payload = base64.b64decode(event["response"]["payloadData"])
        self.visit.socket += len(payload) / 1000
        kind = ForwardMsg.FromString(payload).WhichOneof("type")
        if kind == "new_session" and not self.runs[0]:
            self.runs[0] = event["timestamp"]
        elif kind == "script_finished":
            self.runs[1] = event["timestamp"]

    def finished(self) -> Visit:
        """Wait until the page is settled; returns the visit."""
        self.page.wait_for_function("() => visit.settled", polling=50, timeout=PATIENCE)
        found = self.page.evaluate(READ)
        self.visit.long = found["long"]
        for name in ("first", "title", "largest", "settled"):
            setattr(self.visit, name, found[name] / 1000)
        self.visit.server = self.runs[1] - self.runs[0]
        self.page.close()
        return self.visit


@contextmanager
def profile(playwright: Playwright) -> Iterator[BrowserContext]:
    """A browser with an empty profile."""
    context = playwright.chromium.launch_persistent_context("", executable_path=CHROMIUM, args=FLAGS)
    try:
        yield context
    finally:
        context.close()


def processor_seconds(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rest(pid: int, pause: float = 2.0) -> None:
    """Wait until a process has been nearly idle for a while."""
    end = time.monotonic() + PATIENCE / 1000
    while time.monotonic() < end:
        before = processor_seconds(pid)
        time.sleep(pause)  # processor use is measured over an interval
        if processor_seconds(pid) - before < 0.05 * pause:
            return


def worst(visits: Sequence[Visit]) -> Visit:
    """The slowest of each time and the largest of each size of all visits."""
    moments = {
        name: max(getattr(visit, name) for visit in visits) for name in ("first", "title", "largest", "settled", "server", "http", "socket")
    }
    return Visit(**moments, long=max((visit.long for visit in visits), key=sum))


def long_task_owners(context: BrowserContext, url: str) -> dict[str, float]:
    """Milliseconds of tasks longer than 50 ms, by script, for one traced opening."""
    browser = context.browser
    assert browser
    page = context.new_page()
    page.set_viewport_size(LAPTOP)
    page.add_init_script(PROBE)
    browser.start_tracing(page=page, categories=TRACED)
    page.goto(url, wait_until="commit")
    page.wait_for_function("() => visit.settled", polling=50, timeout=PATIENCE)
    events = json.loads(browser.stop_tracing())["traceEvents"]
    page.close()
    tasks = [event for event in events if event["name"] == "RunTask" and event.get("dur", 0) > 50_000]
    owners: collections.Counter[str] = collections.Counter()
    for task in tasks:
        inside = [
            event
            for event in events
            if event.get("dur") and event["name"] in SCRIPTS and (event["pid"], event["tid"]) == (task["pid"], task["tid"])
            if task["ts"] <= event["ts"] < task["ts"] + task["dur"]
        ]
        end = 0.0
        for event in sorted(inside, key=lambda event: (event["ts"], -event["dur"])):
            if event["ts"] >= end:  # the outermost task
                source = event.get("args", {}).get("data", {})
                name = str(source.get("url") or source.get("fileName") or "")
                owners[f"{event['name']} {name.rsplit('/', 1)[-1] or ''}".strip()] += event["dur"] / 1000
                end = event["ts"] + event["dur"]
    return dict(owners.most_common(6))


def main() -> None:
    """Measure and print."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("--home", type=Path)
    ask.add_argument("--pages", default=",".join(ADDRESSES))
    ask.add_argument("--people", type=int, default=5)
    ask.add_argument("--tasks", action="store_true")
    args = ask.parse_args()
    names = args.pages.split(",")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if args.home:
            shutil.copytree(args.home, folder / "home")
        else:
            subprocess.run([sys.executable, "-m", "observability", "demo"], cwd=ROOT, env=environment(folder / "home"), check=True)
        running = stack.enter_context(dashboard(folder / "home"))
        playwright = stack.enter_context(sync_playwright())
        print(f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {args.people} people at once")
        print("| page | opening | first | title | largest | settled | server | processor | long tasks, longest ms | http kB | socket kB |")
        print(f"|{'---|' * 11}")
        for name in names:
            url = running.url + ADDRESSES[name]
            with profile(playwright) as context:
                for opening in ("cold", "again"):
                    rest(running.pid)
                    print(f"| {name} | {opening} | {Opening(context, url).finished().row()} |", flush=True)
                owners = long_task_owners(context, url) if args.tasks else {}
            if args.people > 1:
                with ExitStack() as people:
                    contexts = [people.enter_context(profile(playwright)) for _ in range(args.people)]
                    rest(running.pid)
                    openings = [Opening(context, url) for context in contexts]
                    print(f"| {name} | {args.people} at once | {worst([each.finished() for each in openings]).row()} |", flush=True)
            if owners:
                print(f"    long tasks again: {', '.join(f'{owner} {ms:.0f} ms' for owner, ms in owners.items())}", flush=True)


if __name__ == "__main__":
    main()
