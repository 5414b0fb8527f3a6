"""Mail, Slack and Teams receive the message; loopback servers stand in for the services."""

import http.server
import json
import socketserver
import threading
from datetime import UTC, datetime
from email import message_from_string, policy
from functools import partial

import pytest

from observability.alerts import alert_log
from observability.alerts.alert_log import Message
from observability.alerts.config import AlertConfig
from observability.alerts.delivery import by_apprise, deliver_messages
from observability.core.errors import UsageError
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TITLE, TEXT = "Critical: loan", "age is null in 40 %.\nSuspected source: input."
SLACK = "slack://TABCDEFGH/BABCDEFGH/abcdefghijklmnopqrstuvwx"


class Mailbox(socketserver.StreamRequestHandler):
    """The part of SMTP (RFC 5321) that an e-mail needs. If the server `refuses`, the answer to the recipient is 550."""

    def handle(self):
        say = lambda line: self.wfile.write(f"{line}\r\n".encode())
        say("220 loopback")
        while line := self.rfile.readline().decode().strip():
            word = line.split()[0].upper()
            if word == "DATA":
                say("354 go on")
                lines = []
                while (part := self.rfile.readline().decode()) != ".\r\n":
                    lines.append(part)
                self.server.got.append(message_from_string("".join(lines), policy=policy.default))
            if word == "QUIT":
                return say("221 bye")
            say("550 nobody here" if word == "RCPT" and self.server.refuses else "250 ok")


class Hook(http.server.BaseHTTPRequestHandler):
    """A server that accepts a request, or answers 403 if it `refuses`."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append((self.path, body))
        self.send_response(403 if self.server.refuses else 200)
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


@pytest.fixture(params=["mail", "slack", "teams"])
def channel(request, monkeypatch):
    """(name, address, the server that stands in for the service, a function that returns the words it received)."""
    handler = Mailbox if request.param == "mail" else Hook
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
    server.got, server.refuses = [], False
    threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    port = server.server_address[1]
    if request.param == "mail":
        monkeypatch.setattr("socket.getfqdn", lambda *_: "localhost")  # no name server is asked
        yield "mail", f"mailto://localhost:{port}?smtp=127.0.0.1&from=dashboard@example.org&to=ann@example.org", server
    elif request.param == "slack":
        from apprise.plugins.slack import NotifySlack

        monkeypatch.setattr(NotifySlack, "webhook_url", f"http://127.0.0.1:{port}/services")
        yield "slack", SLACK, server
    else:
        from apprise.plugins import workflows

        post = workflows.requests.post
        monkeypatch.setattr(workflows.requests, "post", lambda url, **more: post(url.replace("https://", "http://", 1), **more))
        yield "teams", f"workflows://127.0.0.1:{port}/0123456789abcdef/sig0123456789", server
    server.shutdown()
    server.server_close()


def words(name, got):
    """The words of a delivery that a person would read."""
    if name == "mail":
        assert got["To"] == "ann@example.org"
        return f"{got['Subject']}\n{got.get_body(('plain', 'html')).get_content()}"
    path, body = got
    if name == "slack":
        assert path == "/services/TABCDEFGH/BABCDEFGH/abcdefghijklmnopqrstuvwx"
        (card,) = body["attachments"]
        return f"{card['title']}\n{card['text']}"
    assert path.startswith("/workflows/0123456789abcdef/triggers/manual/paths/invoke")
    return json.dumps(body["attachments"][0]["content"])


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home") as opened:
        record = {
            "kind": "message",
            "message": "k1",
            "at": NOW,
            "state": "queued",
            "incident": "i1",
            "channel": "team",
            "title": TITLE,
            "text": TEXT,
        }
        opened.write_records([record])
        yield opened


def test_a_message_arrives_with_its_queued_text(store, channel):
    name, address, server = channel
    assert deliver_messages(store, AlertConfig(channels={"team": address}), NOW) == 1, alert_log.messages_by_key(store)["k1"].error
    assert alert_log.messages_by_key(store)["k1"].state == "sent"
    (got,) = server.got
    read = words(name, got)
    assert all(part in read for part in (TITLE, "age is null in 40 %.", "Suspected source: input.")), read


def test_a_refused_message_hides_the_address_in_its_error_and_is_retried(store, channel):
    name, address, server = channel
    server.refuses = True
    assert deliver_messages(store, AlertConfig(channels={"team": address}), NOW) == 0
    message = alert_log.messages_by_key(store)["k1"]
    assert message.state == "failed"
    assert "rejected the message" in message.error
    assert not any(secret in message.error for secret in ("abcdefghijklmnopqrstuvwx", "sig0123456789", "ann@example.org")), message.error
    server.refuses = False
    assert deliver_messages(store, AlertConfig(channels={"team": address}), NOW.replace(hour=13)) == 1, name


def test_the_retired_teams_address_is_refused_with_its_replacement():
    message = Message("k", "i", "team", TITLE, TEXT, "loan", NOW, "queued")
    with pytest.raises(UsageError, match="workflows://"):
        by_apprise("msteams://token_a/token_b/token_c", message)
