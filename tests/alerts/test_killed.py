"""The dashboard is killed before it sends a message and before it records this. No alert is lost, and a repeated message carries the same
key.
"""

import http.server
import json
import os
import signal
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from observability.alerts import alert_log
from observability.alerts.config import FILE
from observability.dashboard import load
from observability.server import process_lock
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_pages import opened, tables
from tests.support.running import dashboard

PATIENCE = 120.0
"""Longest wait in seconds for a message of the started process, on a busy machine."""
PLAN = {"/hook": ["dies before it is taken", "dies before it is noted", "answers"], "/form": ["dies before it is noted", "answers"]}
"""What happens to each request, by channel: a webhook, which receives the key, and a channel that cannot drop a repeated message."""


class Service(http.server.ThreadingHTTPServer):
    """The receiving service. got: (path, idempotency key) of each accepted message. left: next steps by path.

    stuck: whether a request waits for an answer that never comes. news: set when a request arrives. over: set at the end of the test.
    """

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.daemon_threads, self.left = True, {path: list(steps) for path, steps in PLAN.items()}
        self.got = []
        self.news, self.over = threading.Event(), threading.Event()
        self.stuck = False

    def done(self):
        """Whether every planned step was reached."""
        return not any(self.left.values())


class Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        service, path = self.server, self.path.rstrip("/")
        self.rfile.read(int(self.headers["Content-Length"]))
        step = service.left[path].pop(0) if service.left[path] else "again"
        if step != "dies before it is taken":
            service.got.append((path, self.headers["Idempotency-Key"]))
        if step.startswith("dies"):
            service.stuck = True
            service.news.set()
            service.over.wait(PATIENCE)
            return
        self.send_response(200)
        self.end_headers()
        service.news.set()

    def log_message(self, *_):
        pass


@pytest.fixture
def service():
    server = Service()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.over.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def home(tmp_path, service):
    """A training run that diverges now, and two alert channels."""
    home, now = tmp_path / "home", datetime.now(UTC).replace(microsecond=0)
    began = now - timedelta(hours=3)
    losses = [*(2.0 / (1 + step) for step in range(30)), *(["NaN"] * 10)]
    lines = [{"kind": "run", "run": "night", "at": began.isoformat(), "event": "start"}]
    lines += [
        {"kind": "step", "run": "night", "at": (began + timedelta(minutes=place)).isoformat(), "step": place, "metrics": {"loss": loss}}
        for place, loss in enumerate(losses)
    ]
    path = tmp_path / "lines.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    with open_store(home, threads=2) as store:
        assert store.load_files([path], LoadDefaults()).rejected == 0
    address = f"127.0.0.1:{service.server_address[1]}"
    channels = f'hook = "json://{address}/hook"\nform = "form://{address}/form"\n'
    (home / FILE).write_text(f'[channels]\n{channels}[alerts]\ndefault = ["hook", "form"]\n', encoding="utf-8")
    return home


def held(home):
    """State and key of each message by channel, and the number of alerts, read while no process owns the store."""
    with open_store(home, threads=2) as store:
        return {each.channel: (each.state, each.key) for each in alert_log.messages_by_key(store).values()}, len(
            alert_log.alerts_by_incident(store, datetime.now(UTC))
        )


def test_an_owner_that_is_killed_loses_no_alert_and_repeats_carry_the_same_key(home, service, monkeypatch):
    monkeypatch.setenv("OBSERVABILITY_WATCH", "0.5")
    seen = []
    while not service.done():
        service.news.clear()
        service.stuck = False
        with dashboard(home) as running:
            while not service.stuck and not service.done():
                assert service.news.wait(PATIENCE), (home.parent / "home.log").read_text()
                service.news.clear()
            if service.stuck:
                os.kill(running.pid, signal.SIGKILL)
        seen.append(held(home))
    keys = [{channel: key for channel, (_, key) in messages.items()} for messages, _ in seen]
    assert len(seen) == 4, "the process was killed three times, and once while it was idle"
    assert keys == [keys[0]] * 4 and set(keys[0]) == {"hook", "form"}, "the messages that were decided before the first kill were sent"
    assert [alerts for _, alerts in seen] == [1] * 4, "no alert is lost, and none is made twice"
    assert {state for state, _ in seen[0][0].values()} == {"queued"}
    assert {state for state, _ in seen[-1][0].values()} == {"sent"}
    assert Counter(service.got) == Counter({("/hook", keys[0]["hook"]): 2, ("/form", None): 2})
    with open_store(home, threads=2) as store:
        monkeypatch.setattr(process_lock, "current_store", lambda: store)
        monkeypatch.setattr(load, "page_clock", lambda: datetime.now(UTC))
        drawn = tables(opened("alerts"))
    after = {each["cells"]["channel"]["t"]: each["cells"]["repeat"]["t"] for each in drawn["Channels"]["rows"]}
    assert after == {"hook": "a repeat carries the same Idempotency-Key", "form": "a message may arrive twice"}
    assert len(drawn["Alerts, open ones first"]["rows"]) == 1, "the store knows runs, but no model yet"
