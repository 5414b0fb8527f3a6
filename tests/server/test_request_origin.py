"""Host and Origin, including the port, are checked against a list; without sign-in, other network interfaces are not bound."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from observability.cli.main import main
from observability.core.errors import UsageError
from observability.dashboard import application
from observability.server import access_settings
from tests.support.asgi import HOST, ORIGIN, Reply, http, websocket
from tests.support.sample_home import ROOT, environment


def site() -> Starlette:
    """The dashboard's middleware around one page and one WebSocket."""

    async def page(_request: object) -> PlainTextResponse:
        return PlainTextResponse("page")

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        await socket.close()

    routes = [Route("/", page, methods=["GET", "POST"]), Route("/readyz", page), WebSocketRoute("/_stcore/stream", stream)]
    return Starlette(routes=routes, middleware=application.app_parts()["middleware"])


@pytest.fixture(autouse=True)
def port(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dashboard that listens on port 8501 and has an empty home."""
    monkeypatch.setattr(application, "server_port", lambda: 8501, raising=False)
    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path))
    monkeypatch.delenv("OBSERVABILITY_URL", raising=False)


FOREIGN = [
    ("evil.example:8501", "http://evil.example:8501"),
    ("evil.example:8501", None),
    (HOST, "http://evil.example:8501"),
    (HOST, "http://127.0.0.1:3000"),
    (HOST, "http://localhost:3000"),
    (HOST, "http://127.0.0.1"),
    (HOST, "null"),
    ("127.0.0.1:3000", "http://127.0.0.1:3000"),
    ("localhost", "http://localhost"),
    ("127.0.0.1.evil.example:8501", None),
    ("127.0.0.1:8501@evil.example", None),
    ("", None),
]


@pytest.mark.parametrize(("host", "origin"), FOREIGN)
def test_a_foreign_host_or_origin_gets_no_websocket_and_no_page(host: str, origin: str | None) -> None:
    headers = {"host": host} | ({} if origin is None else {"origin": origin})
    assert "websocket.accept" not in websocket(site(), headers)
    for method in ("GET", "POST"):
        reply = http(site(), method, "/", headers, host=host)
        assert reply.status in (403, 421)
        assert b'"try"' in reply.body and b"evil" not in reply.body


@pytest.mark.parametrize("host", [HOST, "localhost:8501", "LocalHost:8501", "[::1]:8501"])
def test_the_addresses_of_this_machine_are_served(host: str) -> None:
    for headers in ({"host": host}, {"host": host, "origin": f"http://{host.lower()}"}):
        assert websocket(site(), headers)[0] == "websocket.accept"
        assert http(site(), "GET", "/", headers, host=host).status == 200


def test_another_address_is_served_once_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OBSERVABILITY_URL", "http://localhost:9000, https://obs.example.com/")
    for host, origin in (("localhost:9000", "http://localhost:9000"), ("obs.example.com", "https://obs.example.com")):
        assert websocket(site(), {"host": host, "origin": origin})[0] == "websocket.accept"
    assert "websocket.accept" not in websocket(site(), {"host": "obs.example.com", "origin": "http://obs.example.com"})
    assert "websocket.accept" not in websocket(site(), {"host": "obs.example.com:8501"})


def test_a_probe_of_readiness_may_use_any_host() -> None:
    assert http(site(), "GET", "/readyz", host="10.1.2.3:8501").status == 200


def test_other_interfaces_are_refused_without_sign_in() -> None:
    assert http(site(), "GET", "/", server="192.168.1.9").status == 403
    assert "websocket.accept" not in websocket(site(), {"host": HOST, "origin": ORIGIN}, server="192.168.1.9")
    assert http(site(), "GET", "/", server="::1").status == 200


@pytest.mark.parametrize("address", ["0.0.0.0", "192.168.1.5", "::", ""])
def test_serve_refuses_other_interfaces_without_sign_in(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--port", "8599", "--host", address]) == 2
    said = capsys.readouterr().err
    assert "sign-in" in said and "account add" in said


def test_an_address_that_is_no_url_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for wrong in ("obs.example.com", "ftp://x", "http://", "https://a/b?c"):
        monkeypatch.setenv("OBSERVABILITY_URL", wrong)
        with pytest.raises(UsageError, match="OBSERVABILITY_URL"):
            access_settings.read_access_settings(tmp_path)


def test_streamlit_run_refuses_other_interfaces_without_sign_in(tmp_path: Path) -> None:
    run = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.address", "0.0.0.0", "--server.port", "8598"]
    ended = subprocess.run(
        run, cwd=ROOT, env={**os.environ, **environment(tmp_path)}, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 2
    assert "account add" in ended.stderr


def test_sign_in_without_its_packages_fails_at_the_start_with_advice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "accounts.json").write_text('{"accounts": []}', encoding="utf-8")
    monkeypatch.setattr(access_settings, "find_spec", lambda _name: None)
    assert main(["serve", "--port", "8599"]) == 2
    assert "[auth]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nonsense", "cannot be read"),
        ("unknown = 1", "unknown key"),
        ("session_hours = 0", "session_hours"),
        ("session_hours = true", "session_hours"),
        ('[roles]\ndefault = "root"', "unknown role"),
        ('[roles.people]\n"a@x" = "admin"', "unknown role"),
        ('[models.loan]\nrole = "viewer"', "unknown key"),
        ("models = {loan = 1}", "table"),
        ('[oidc]\nclient_id = "c"', "address of the dashboard|missing"),
        ('url = "https://o"\n[oidc]\nclient_id = "c"\nclient_secret = "s"', "server_metadata_url"),
        ('url = "https://o"\n[oidc]\nclient_id = "c"\nclient_secret = "s"\nserver_metadata_url = "https://i"', "read by others"),
    ],
)
def test_wrong_access_settings_are_named_and_let_nobody_in(tmp_path: Path, text: str, named: str) -> None:
    running = site()
    (tmp_path / "access.toml").write_text(text, encoding="utf-8")
    (tmp_path / "access.toml").chmod(0o644)
    with pytest.raises(UsageError, match=named):
        access_settings.read_access_settings(tmp_path)
    assert http(running, "GET", "/").status == 503


SHOP = "https://shop.example"


def sent_from(origin: str, method: str, path: str) -> Reply:
    """The reply to a request from a page of a web site; the middleware is around the routes of records."""

    async def answer(_request: object) -> PlainTextResponse:
        return PlainTextResponse("taken", 202)

    methods = ["GET", "POST", "OPTIONS"]
    routes = [Route(each, answer, methods=methods) for each in ("/api/v1/records", "/api/v1/status")]
    app = Starlette(routes=routes, middleware=application.app_parts()["middleware"])
    return http(app, method, path, {"host": HOST, "origin": origin}, host=HOST)


def test_pages_of_a_named_site_may_send_records_and_do_nothing_else(tmp_path: Path) -> None:
    assert sent_from(SHOP, "POST", "/api/v1/records").status == 403
    (tmp_path / "access.toml").write_text(f'logger_origins = ["{SHOP}"]\n', encoding="utf-8")
    asked, sent = sent_from(SHOP, "OPTIONS", "/api/v1/records"), sent_from(f"{SHOP}:443", "POST", "/api/v1/records")
    assert (asked.status, asked.header("access-control-allow-headers")) == (204, "Authorization, Content-Type")
    assert (sent.status, sent.header("access-control-allow-origin"), sent.header("vary")) == (202, f"{SHOP}:443", "Origin")
    assert sent_from(SHOP, "GET", "/api/v1/records").status == 403
    assert sent_from(SHOP, "POST", "/api/v1/status").status == 403
    for other in ("https://shop.example.evil", "http://shop.example", "null"):
        refused = sent_from(other, "POST", "/api/v1/records")
        assert refused.status == 403 and refused.header("access-control-allow-origin") is None
    (tmp_path / "access.toml").write_text('logger_origins = ["*"]\n', encoding="utf-8")
    with pytest.raises(UsageError, match="logger_origins"):
        sent_from(SHOP, "POST", "/api/v1/records")
