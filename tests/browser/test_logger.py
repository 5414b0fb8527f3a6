"""The JavaScript logger keeps records while a page is offline and across a reload, and sends each of them once when it is online again."""

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from observability.cli.main import main
from tests.support.running import dashboard
from tests.support.sample_home import ROOT

LOGGER = ROOT / "docs/examples/browser-logger/logger.js"
START = """async ([url, token]) => {{ const log = window.log = new ObservabilityLogger({{ url, token, every: 200 }}); return await log.waiting(); }}"""


class QuietFiles(SimpleHTTPRequestHandler):
    """Serves the files of a folder without a word."""

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[str]:
    """A web site of another origin, whose page has the logger."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "logger.js").write_bytes(LOGGER.read_bytes())
    (folder / "index.html").write_text('<!doctype html><link rel="icon" href="data:,"><script src="logger.js"></script>', encoding="utf-8")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(QuietFiles, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_records_of_an_offline_page_arrive_once(
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
        start = START.replace("{{", "{").replace("}}", "}")
        assert page.evaluate(start, [running.url, token]) == 0
        context.set_offline(True)
        record = "{ model: 'shop', version: '1', device: 'phone-17', features: { n }, score: n / 10 }"
        kept = page.evaluate(
            f"async () => {{ const kept = []; for (let n = 0; n < 5; n++) kept.push(await log.prediction({record})); return kept; }}"
        )
        assert kept == [True] * 5
        page.wait_for_timeout(500)
        assert page.evaluate("() => log.waiting()") == 5
        context.route(f"{running.url}/**", lambda route: route.abort())
        context.set_offline(False)
        page.goto(shop)
        assert page.evaluate(start, [running.url, token]) == 5, "the queue survives a reload"
        context.unroute(f"{running.url}/**")
        page.wait_for_function("() => log.state.sent === 5")
        assert page.evaluate("() => log.waiting()") == 0
        assert page.evaluate("() => log.state") == {"sent": 5, "rejected": 0, "dropped": 0, "failure": None}
        page.evaluate("() => log.write({ kind: 'prediction', model: 'shop' })")
        page.wait_for_function("() => log.state.rejected === 1")
        running.wait_until_loaded(before)
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
    assert (row["n"], row["ids"], row["device"]) == (5, 5, "phone-17") and row["score"] == pytest.approx(1.0)
