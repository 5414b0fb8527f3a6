"""Messages are sent once, retried after failures, and wait for quiet hours. test_killed.py covers crashes."""

import http.server
import json
import threading
from datetime import UTC, datetime, timedelta

import pytest

from observability.alerts import alert_log
from observability.alerts.config import FILE, AlertConfig, read_alert_config
from observability.alerts.delivery import TRIES, deliver_messages, may_leave
from observability.core.window import EPOCH, Window
from observability.metrics.exports import EXPORTS, export_events
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def hook():
    """A webhook on loopback; `got` holds (key, body) of each request, `status` is what it answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.got.append((self.headers["Idempotency-Key"], body))
            self.send_response(server.status)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.status = [], 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home") as opened:
        yield opened


def config(hook):
    return AlertConfig(channels={"hook": f"json://127.0.0.1:{hook.server_address[1]}/observability"}, default=("hook",))


def queue(store, key="k1", **more):
    body = {
        "kind": "message",
        "message": key,
        "at": NOW,
        "state": "queued",
        "incident": "i1",
        "channel": "hook",
        "title": "Critical: m",
        "text": "It <b>broke</b>.",
    }
    store.write_records([body | more])


def test_a_message_leaves_once_with_its_key(store, hook):
    queue(store)
    assert deliver_messages(store, config(hook), NOW) == 1
    assert deliver_messages(store, config(hook), NOW + timedelta(hours=1)) == 0
    ((key, body),) = hook.got
    assert key == "k1"
    assert (body["title"], body["message"]) == ("Critical: m", "It <b>broke</b>.")
    assert alert_log.messages_by_key(store)["k1"].state == "sent"


def test_a_channel_that_fails_is_tried_again_later_and_stops_no_other(store, hook):
    queue(store)
    queue(store, "k2", channel="gone")
    hook.status = 500
    assert deliver_messages(store, config(hook), NOW) == 0
    found = alert_log.messages_by_key(store)
    assert (found["k1"].state, found["k2"].state) == ("failed", "failed")
    assert "channel 'gone' was removed" in found["k2"].error
    hook.status = 200
    assert deliver_messages(store, config(hook), NOW + timedelta(seconds=30)) == 0
    assert deliver_messages(store, config(hook), NOW + timedelta(minutes=2)) == 1
    assert {key for key, _ in hook.got} == {"k1"}


def test_a_message_waits_for_the_end_of_quiet_hours_and_is_given_up_in_the_end(store):
    queue(store, not_before=NOW + timedelta(hours=5))
    message = alert_log.messages_by_key(store)["k1"]
    assert not may_leave(message, NOW)
    assert may_leave(message, NOW + timedelta(hours=5))
    given_up = alert_log.Message("k", "i", "c", "", "", None, NOW, "failed", TRIES, NOW)
    assert not may_leave(given_up, NOW + timedelta(days=9))


def test_settings_are_read_from_the_home(tmp_path):
    assert read_alert_config(tmp_path) == AlertConfig()
    (tmp_path / FILE).write_text(
        '[channels]\nteam = "json://127.0.0.1:9"\n[routes]\n"ann" = ["team"]\n[alerts]\ndefault = ["team"]\nleast = "watch"\n'
    )
    found = read_alert_config(tmp_path)
    assert found.channels_of("ann") == ("team",)
    assert found.repeats("team") is False
    assert AlertConfig(channels={"mail": "mailto://x"}).repeats("mail") is True


def test_a_sent_summary_or_agenda_is_noted_as_an_export_and_an_alert_is_not(store, hook):
    for key, title in (("dashboard-b1-2026-03-02", "Dashboard: Mornings"), ("pre-read-2026-W09-hook", "Agenda"), ("k1", "Critical: m")):
        queue(store, key, title=title)
    queue(store, "dashboard-b2-2026-03-02", channel="gone")
    assert deliver_messages(store, config(hook), NOW) == 3
    deliver_messages(store, config(hook), NOW + timedelta(hours=3))
    noted = export_events(store.ask(EXPORTS, Window("", EPOCH, datetime.now(UTC) + timedelta(minutes=1))))
    assert sorted((each.text, each.recipient, each.own) for each in noted) == [
        ("message of a dashboard: Dashboard: Mornings", "channel hook", True),
        ("message of a review: Agenda", "channel hook", True),
    ], "what was not sent did not leave"
