"""The JavaScript logger keeps records while a page is offline and across a reload, and sends each record once when it is online again.

The logger waits if the collector fails or asks it to wait, and halves a batch that is too large.
"""

import itertools
import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from observability.cli.main import main
from observability.server.request_origin import cross_origin_headers
from tests.support.running import dashboard
from tests.support.sample_home import ROOT

LOGGER = ROOT / "docs/examples/browser-logger/logger.js"
START = "async ([url, token, every]) => { window.log = new ObservabilityLogger({ url, token, every }); return await log.waiting(); }"
WRITE = """async ([first, last, version]) => {
  const record = (n) => ({ model: 'shop', version, device: 'phone-17', features: { n }, score: n / 10 });
  const kept = [];
  for (let n = first; n <= last; n++) kept.push(await log.prediction(record(n)));
  return kept;
}"""
WATCH = """() => {
  window.asked = [];
  const send = window.fetch;
  window.fetch = (address, request) => { asked.push([performance.now(), request.body.split('\\n').length]); return send(address, request); };
}"""
"""JavaScript that notes when each request was made, and how many records it contained."""


class QuietFiles(SimpleHTTPRequestHandler):
    """Serves the files of a folder without log output."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """A web site of another origin, whose page uses the logger."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "logger.js").write_bytes(LOGGER.read_bytes())
    (folder / "index.html").write_text('<!doctype html><link rel="icon" href="data:,"><script src="logger.js"></script>', encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_records_logged_while_offline_arrive_exactly_once(
    chromium: Browser, shop: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "access.toml").write_text(f'logger_origins = ["{shop}"]\n', encoding="utf-8")
    monkeypatch.setenv("OBSERVABILITY_HOME", str(home))
    assert main(["token", "create", "--scope", "write", "--name", "shop", "--json"]) == 0
    token = json.loads(capsys.readouterr().out)["token"]
    with dashboard(home) as running, chromium.new_context() as context:
        before = running.status()
        page = context.new_page()
        page.goto(shop)
        assert page.evaluate(START, [running.url, token, 200]) == 0
        context.set_offline(True)
        assert page.evaluate(WRITE, [0, 4, "1"]) == [True] * 5
        page.wait_for_timeout(500)
        assert page.evaluate("() => log.waiting()") == 5
        context.route(f"{running.url}/**", lambda route: route.abort())
        context.set_offline(False)
        page.goto(shop)
        assert page.evaluate(START, [running.url, token, 200]) == 5, "the queue survives a reload"
        context.unroute(f"{running.url}/**")
        page.wait_for_function("() => log.state.sent === 5")
        assert page.evaluate("() => log.waiting()") == 0
        assert page.evaluate("() => log.state") == {"sent": 5, "rejected": 0, "dropped": 0, "failure": None}
        page.evaluate("() => log.write({ kind: 'prediction', model: 'shop' })")
        page.wait_for_function("() => log.state.rejected === 1")
        page.goto(shop)
        assert page.evaluate(START, [running.url, token, 50]) == 0
        page.evaluate(WATCH)
        assert_record_waits_for_collector(page, shop, running.url)
        assert_large_batch_is_halved(page, shop, running.url)
        while sum(model["predictions"] for model in running.status()["models"]) < 11:
            before = running.wait_until_loaded(before)  # the last records may be in a segment that is not yet published
    capsys.readouterr()
    assert (
        main(
            [
                "sql",
                'SELECT count(*) AS n, count(DISTINCT id) AS ids, sum(score) AS score, max(device) AS device FROM "shop.predictions"',
                "--json",
            ]
        )
        == 0
    )
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["n"], row["ids"], row["device"]) == (11, 11, "phone-17") and row["score"] == pytest.approx(1.0 + 0.5 + 1.0)


def assert_record_waits_for_collector(page: Page, shop: str, url: str) -> None:
    """Send one record despite a 429, a 503, and a 429 that states how long to wait. The pause of 50 ms doubles each time."""
    answers = [(429, {}), (503, {}), (429, {"Retry-After": "1"})]

    def answer(route: Route) -> None:
        if not answers:
            route.continue_()
            return
        status, headers = answers.pop(0)
        route.fulfill(status=status, headers=cross_origin_headers(shop) | headers)

    page.context.route(f"{url}/**", answer)
    assert page.evaluate(WRITE, [5, 5, "1"]) == [True]
    page.wait_for_function("() => log.state.failure === 'the collector answered 503'")
    assert page.evaluate("() => log.waiting()") == 1, "the record is kept in the queue"
    page.wait_for_function("() => log.state.sent === 1")
    times = [at for at, _ in page.evaluate("() => asked")]
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert len(gaps) == 3 and all(gap >= least for gap, least in zip(gaps, (100, 200, 1000), strict=True)), gaps
    assert page.evaluate("() => log.state") == {"sent": 1, "rejected": 0, "dropped": 0, "failure": None}
    page.context.unroute(f"{url}/**")


def assert_large_batch_is_halved(page: Page, shop: str, url: str) -> None:
    """Send five small records and a large one to a collector that accepts at most two small ones at once."""

    def answer(route: Route) -> None:
        body = route.request.post_data or ""
        if body.count("\n") > 1 or "large" in body:
            route.fulfill(status=413, headers=cross_origin_headers(shop))
        else:
            route.continue_()

    page.context.set_offline(True)
    page.evaluate(WRITE, [0, 4, "1"])
    page.evaluate(WRITE, [6, 6, "large"])
    page.evaluate("() => log.running")  # a request that was in progress when the page went offline
    page.evaluate("() => { asked.length = 0; }")
    page.context.route(f"{url}/**", answer)
    page.context.set_offline(False)
    page.wait_for_function("() => log.state.rejected === 1")
    assert [count for _, count in page.evaluate("() => asked")] == [6, 3, 2, 2, 2, 1, 1]
    assert page.evaluate("() => log.state") == {"sent": 6, "rejected": 1, "dropped": 0, "failure": "the collector rejected 1 records"}
    page.wait_for_timeout(200)
    assert page.evaluate("() => [asked.length, log.state.sent]") == [7, 6] and page.evaluate("() => log.waiting()") == 0
    page.context.unroute(f"{url}/**")
