"""Messages are sent once, retried after failures, and wait for quiet hours. test_killed.py covers crashes."""

import email
import http.server
import io
import json
import smtplib
import threading
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from observability.alerts import alert_log
from observability.alerts.config import FILE, AlertConfig, read_alert_config
from observability.alerts.delivery import TRIES, deliver_messages, may_leave
from observability.core.window import EPOCH, Window
from observability.export.png import daily_line_png
from observability.incidents.daily_values import daily_line
from observability.metrics.exports import EXPORTS, export_events
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.fixture
def hook():
    """A webhook on loopback. `got` holds (key, body) of each request; `status` is the status code of its answers."""

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


def test_a_message_is_sent_once_with_its_key(store, hook):
    queue(store)
    assert deliver_messages(store, config(hook), NOW) == 1
    assert deliver_messages(store, config(hook), NOW + timedelta(hours=1)) == 0
    ((key, body),) = hook.got
    assert key == "k1"
    assert (body["title"], body["message"]) == ("Critical: m", "It <b>broke</b>.")
    assert alert_log.messages_by_key(store)["k1"].state == "sent"


def test_a_failed_channel_is_retried_later_and_does_not_block_others(store, hook):
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


def test_a_message_waits_until_quiet_hours_end_and_is_given_up_after_the_last_try(store):
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
    ], "the rules do not match what was not sent"


def test_a_mail_shows_the_metric_chart_and_a_webhook_gets_only_the_text(store, hook, monkeypatch):
    sent = []

    class Server:
        def __init__(self, *_, **__): ...
        def sendmail(self, _from, _to, text):
            sent.append(email.message_from_string(text))

        def __getattr__(self, _):
            return lambda *_, **__: None

    monkeypatch.setattr(smtplib, "SMTP", Server)
    days = [(f"2026-03-0{day}", 0.1 * day, 0.1 * day - 0.05, 0.1 * day + 0.05) for day in range(1, 7)]
    line = daily_line("Null rate of <age>", "m", '`age` is "null".', days, limit=0.3, unit="share", line=1)
    channels = {
        **config(hook).channels,
        "mail": "mailto://ann:secret@mail.example.org:25?from=m@example.org&to=ops@example.org&mode=insecure",
    }
    for channel in channels:
        queue(
            store,
            key=channel,
            channel=channel,
            text="It <b>broke</b>.\nhttps://m.example/incident?id=i1",
            figures=[line.to_json(), {"x": 1}],
        )
    assert deliver_messages(store, AlertConfig(channels=channels), NOW, draw=daily_line_png) == 2
    ((_, body),) = hook.got
    assert body["message"].startswith("It <b>broke</b>.") and "cid:" not in json.dumps(body)
    parts = {part.get_content_type(): part for part in sent[0].walk()}
    html = parts["text/html"].get_payload(decode=True).decode()
    assert html.startswith("It &lt;b&gt;broke&lt;/b&gt;.<br>") and html.index("cid:figure-1.png") < html.index('<a href="https://m.example')
    assert 'alt="Null rate of &lt;age&gt; of m by day. `age` is &quot;null&quot;."' in html
    assert "It <b>broke</b>." in parts["text/plain"].get_payload(decode=True).decode(), (
        "a program that shows no HTML shows the same text unescaped"
    )
    assert parts["image/png"]["Content-ID"] == "<figure-1.png>" and parts["image/png"].get_content_disposition() == "inline"
    picture = Image.open(io.BytesIO(parts["image/png"].get_payload(decode=True)))
    assert picture.size == (1280, 300)
    colours = [colour for _, colour in picture.convert("RGB").getcolors(10_000)]
    assert all(min(sum(abs(one - other) for one, other in zip(colour, wanted, strict=True)) for colour in colours) < 40 for wanted in ((0, 114, 178), (213, 94, 0))), "the colours of the line and of its limit are in the picture"  # fmt: skip
