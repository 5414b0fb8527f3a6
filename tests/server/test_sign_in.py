"""Tests the sign-in and the access of each role: pages, WebSocket messages, downloads, uploads, CSRF, and stolen sessions."""

import asyncio
import base64
import hashlib
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from observability.core.errors import UsageError
from observability.dashboard import application
from observability.server import accounts, audit_log, sign_in
from observability.server.access import ACTING
from observability.server.access_settings import AccessSettings, OidcSettings, RoleLists, read_access_settings
from tests.support.asgi import HOST, ORIGIN, Reply, http, websocket

PASSWORDS = {"ada": "correct horse battery", "ann": "staple pencil orbit", "vic": "window garden copper"}
FORM = {"origin": ORIGIN, "content-type": "application/x-www-form-urlencoded"}
BROWSER = {"accept": "text/html,*/*"}
RECEIVED: list[str] = []


def site() -> Starlette:
    """The dashboard's middleware and sign-in around a page, a download, an upload and a WebSocket."""

    async def page(_request: Request) -> Response:
        return PlainTextResponse(ACTING.get().name or "anybody")

    async def download(_request: Request) -> Response:
        return PlainTextResponse("a,b", headers={"Content-Disposition": "attachment; filename*=utf-8''cases%20of%20May.csv"})

    async def upload(_request: Request) -> Response:
        return PlainTextResponse("", 204)

    async def stream(socket: WebSocket) -> None:
        await socket.accept()
        try:
            while True:
                await socket.receive_bytes()
                RECEIVED.append("message")
        except WebSocketDisconnect:
            RECEIVED.append("end")

    routes = [
        *sign_in.sign_in_routes(lambda: "/auth/login?provider=x"),
        Route("/", page, methods=["GET", "POST"]),
        Route("/readyz", page),
        Route("/api/v1/status", page),
        Route("/static/x.js", page),
        Route("/auth/logout", page),
        Route("/media/x.csv", download),
        Route("/_stcore/upload_file/a/b", upload, methods=["PUT", "DELETE"]),
        Route("/_stcore/agent/interact", page, methods=["POST"]),
        WebSocketRoute("/_stcore/stream", stream),
    ]
    return Starlette(routes=routes, middleware=application.app_parts()["middleware"])


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A home with one account per role, fast hashes, and no session."""
    from argon2 import PasswordHasher

    monkeypatch.setattr(accounts, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(accounts, "ATTEMPTS", accounts.SignInAttempts())
    monkeypatch.setattr(accounts, "SESSIONS", accounts.Sessions())
    monkeypatch.setattr(accounts, "_nobody", [])
    monkeypatch.setattr(application, "server_port", lambda: 8501)
    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path))
    monkeypatch.delenv("OBSERVABILITY_URL", raising=False)
    for name, role in (("ada", "administrator"), ("ann", "analyst"), ("vic", "viewer")):
        accounts.add_account(tmp_path, name, role, PASSWORDS[name])
    RECEIVED.clear()
    yield tmp_path


def post(path: str, fields: dict[str, str], headers: dict[str, str] | None = None, **where: Any) -> Reply:
    """The response to a submitted form of the sign-in page."""
    return http(site(), "POST", path, {**FORM, **(headers or {})}, urlencode(fields).encode(), **where)


def signed_in(name: str) -> dict[str, str]:
    """The headers of a browser after the person has signed in."""
    reply = post("/sign-in", {"name": name, "password": PASSWORDS[name]})
    assert reply.status == 303
    return {"cookie": f"{sign_in.COOKIE}={reply.cookies()[sign_in.COOKIE]}"}


def test_without_a_session_only_the_sign_in_routes_answer() -> None:
    assert http(site(), "GET", "/").status == 401
    page = http(site(), "GET", "/?model=loan&x=1", BROWSER)
    assert (page.status, page.header("location")) == (303, "/sign-in?next=%2F%3Fmodel%3Dloan%26x%3D1")
    for method, path in (("GET", "/media/x.csv"), ("PUT", "/_stcore/upload_file/a/b"), ("GET", "/nothing")):
        assert http(site(), method, path, {"origin": ORIGIN}).status == 401, path
    for method, path in (("POST", "/"), ("POST", "/_stcore/agent/interact")):
        assert http(site(), method, path, {"origin": ORIGIN}).status == 403, path
    for path in ("/readyz", "/static/x.js", "/sign-in", "/api/v1/status"):
        assert http(site(), "GET", path).status == 200, path
    assert websocket(site(), {"host": HOST, "origin": ORIGIN}) == ["websocket.close"]


@pytest.mark.parametrize(("name", "upload"), [("ada", 204), ("ann", 403), ("vic", 403)])
def test_each_role_gets_what_the_table_says(name: str, upload: int, home: Path) -> None:
    who = signed_in(name)
    assert http(site(), "GET", "/", who).body == name.encode()
    for method in ("PUT", "DELETE"):
        assert http(site(), method, "/_stcore/upload_file/a/b", {**who, "origin": ORIGIN}).status == upload
    assert http(site(), "POST", "/_stcore/agent/interact", {**who, "origin": ORIGIN}).status == 403
    assert websocket(site(), {"host": HOST, "origin": ORIGIN, **who}, 2) == ["websocket.accept"]
    assert RECEIVED == ["message", "message", "end"]
    assert http(site(), "GET", "/media/x.csv", who).body == b"a,b"
    logged = audit_log.access_entries(home, author=name)
    assert logged[0] | {"at": ""} == {"at": "", "author": name, "does": "exported", "what": "cases of May.csv"}
    assert [each["does"] for each in logged].count("refused") == (0 if upload == 204 else 2)


def test_a_message_after_the_session_ended_is_not_delivered(home: Path) -> None:
    who = signed_in("ann")
    said: list[str] = []

    def inbox() -> Iterator[dict[str, Any]]:
        yield {"type": "websocket.connect"}
        yield {"type": "websocket.receive", "bytes": b"x"}
        accounts.set_role(home, "ann", "viewer")
        yield {"type": "websocket.receive", "bytes": b"x"}
        yield {"type": "websocket.disconnect", "code": 1000}

    messages = inbox()

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        said.append(message["type"])

    from tests.support.asgi import _scope

    asyncio.run(site()(_scope("websocket", "/_stcore/stream", {"host": HOST, "origin": ORIGIN, **who}, "127.0.0.1"), receive, send))
    assert said == ["websocket.accept", "websocket.close"]
    assert RECEIVED == ["message", "end"]


def test_signing_in_makes_a_new_session_and_signing_out_ends_it(home: Path) -> None:
    first, second = signed_in("ann"), signed_in("ann")
    assert first != second
    planted = post("/sign-in", {"name": "ann", "password": PASSWORDS["ann"]}, {"cookie": f"{sign_in.COOKIE}=planted"})
    assert planted.cookies()[sign_in.COOKIE] != "planted"
    assert http(site(), "GET", "/", {"cookie": f"{sign_in.COOKIE}=planted"}).status == 401
    assert http(site(), "GET", "/sign-out", first).status == 200
    assert http(site(), "GET", "/", first).status == 200
    gone = http(site(), "POST", "/sign-out", {**first, "origin": ORIGIN})
    assert gone.status == 303
    assert http(site(), "GET", "/", first).status == 401
    assert http(site(), "GET", "/", second).status == 200
    accounts.disable_account(home, "ann")
    assert http(site(), "GET", "/", second).status == 401
    assert {"signed in", "signed out"} <= {each["does"] for each in audit_log.access_entries(home, author="ann")}


def test_the_cookie_is_for_this_site_and_for_no_script(home: Path) -> None:
    cookie = post("/sign-in", {"name": "vic", "password": PASSWORDS["vic"]}).header("set-cookie")
    assert cookie is not None
    assert {"httponly", "samesite=lax", "path=/"} <= set(cookie.lower().split("; "))
    assert "secure" not in cookie.lower()
    (home / "access.toml").write_text('url = "https://obs.example"\nsession_hours = 1\n', encoding="utf-8")
    secure = post("/sign-in", {"name": "vic", "password": PASSWORDS["vic"]}, {"origin": "https://obs.example"}, host="obs.example")
    cookie = secure.header("set-cookie")
    assert cookie is not None and cookie.startswith("__Host-obs_session=")
    assert {"secure", "max-age=3600"} <= set(cookie.lower().split("; "))
    assert secure.header("strict-transport-security") is not None


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out"])
@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", "http://127.0.0.1:3000"])
def test_a_form_of_another_site_is_refused(path: str, origin: str | None) -> None:
    who = signed_in("ann")
    headers = {**who, "content-type": FORM["content-type"]} | ({} if origin is None else {"origin": origin})
    body = urlencode({"name": "vic", "password": PASSWORDS["vic"]}).encode()
    reply = http(site(), "POST", path, headers, body)
    assert reply.status == 403 and reply.cookies() == {}
    assert http(site(), "GET", "/", who).status == 200


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/sign-out", "/auth/logout", "/a\r\nb: c"],
)
def test_the_redirect_after_sign_in_stays_on_this_site(target: str) -> None:
    reply = post("/sign-in", {"name": "vic", "password": PASSWORDS["vic"], "next": target})
    assert reply.header("location") == "/"
    assert b"evil" not in http(site(), "GET", f"/sign-in?{urlencode({'next': target})}").body
    assert post("/sign-in", {"name": "vic", "password": PASSWORDS["vic"], "next": "/case?id=7"}).header("location") == "/case?id=7"


def test_wrong_passwords_are_refused_logged_and_slowed_down(home: Path) -> None:
    for _ in range(accounts.FREE_ATTEMPTS):
        reply = post("/sign-in", {"name": "ann", "password": "wrong"})
        assert reply.status == 403 and b"wrong" in reply.body
    waits = post("/sign-in", {"name": "ann", "password": PASSWORDS["ann"]})
    assert waits.status == 429 and int(waits.header("retry-after") or 0) >= 1
    assert len(audit_log.access_entries(home, does="failed to sign in")) == accounts.FREE_ATTEMPTS + 1
    hostile = post("/sign-in", {"name": "<script>alert(1)</script>", "password": "x"})
    assert b"<script>" not in hostile.body
    assert post("/sign-in", {"name": "x" * 5000, "password": "x"}).status == 413


def test_the_pages_of_the_sign_in_run_no_script() -> None:
    reply = http(site(), "GET", "/sign-in")
    policy = reply.header("content-security-policy") or ""
    assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
    assert b"<script" not in reply.body
    assert sign_in.STYLE.encode() in reply.body
    assert reply.header("cache-control") == "no-store"


def test_pages_run_no_script_but_their_own() -> None:
    policy = http(site(), "GET", "/readyz").header("content-security-policy") or ""
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    own = re.findall(r"<script>(.*?)</script>", application.streamlit_document(), re.DOTALL)
    hashes = {f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in own}
    assert set(rules["script-src"]) == {"'self'", "'unsafe-eval'", "blob:", *hashes} and len(own) >= 2
    assert rules["object-src"] == ["'none'"]
    assert all("*" not in sources and "http:" not in sources for sources in rules.values())


def test_without_accounts_sign_in_is_off_and_nothing_is_logged(home: Path) -> None:
    (home / accounts.ACCOUNTS_FILE).unlink()
    assert http(site(), "GET", "/").body == b"anybody"
    assert http(site(), "GET", "/sign-in").header("location") == "/"
    assert not (home / audit_log.FILE).exists() or len(audit_log.access_entries(home)) == 0


def test_random_requests_break_nothing_and_get_nothing() -> None:
    rng, place = random.Random(5), site()
    paths = [
        "/",
        "/sign-in",
        "/sign-out",
        "/media/x.csv",
        "/_stcore/upload_file/a/b",
        "/auth/logout",
        "/api/v1/status",
        "//",
        "/..//",
        "/%00",
        "/ü",
    ]
    origins = [ORIGIN, ORIGIN.upper(), "null", "http://evil.example", "http://[", "\x00", ""]
    hosts = [HOST, HOST, HOST, "localhost:8501", "evil.example:8501", "[::1", ":", "127.0.0.1:99999"]
    pieces = ["name=ann", "password=x", "next=//evil", "next=/a", "&", "=", "%", "%ff", "\x00", "name=" * 9, "\ud800"]
    seen = set()
    for _ in range(1000):
        query = "".join(rng.choices(pieces, k=rng.randrange(4))).encode("utf-8", "replace").decode("latin-1")
        headers = {
            "content-type": FORM["content-type"],
            "cookie": rng.choice(["", f"{sign_in.COOKIE}=x", f"{sign_in.COOKIE}=\xff; a", ";;=;"]),
        }
        headers |= {"origin": rng.choice(origins)} if rng.random() < 0.8 else {}
        headers |= BROWSER if rng.random() < 0.5 else {}
        method = rng.choice(["GET", "GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "TRACE", "X"])
        path = rng.choice(paths)
        reply = http(
            place, method, f"{path}?{query}", headers, "".join(rng.choices(pieces, k=5)).encode("utf-8", "replace"), host=rng.choice(hosts)
        )
        seen.add(reply.status)
        assert reply.status < 500, (method, path, query, headers)
        assert "set-cookie" not in dict(reply.headers) or path == "/sign-out"
        if reply.status == 200:
            assert path in ("/sign-in", "/sign-out", "/auth/logout", "/api/v1/status"), (method, path)
    assert {200, 303, 401, 403, 421} <= seen


OIDC = OidcSettings("https://id.example", "c", "s")
LISTS = RoleLists(None, {"ann@x.org": "viewer", "out@x.org": "none"}, {"ml": "analyst", "admins": "administrator"})


@pytest.mark.parametrize(
    ("claims", "role", "models"),
    [
        ({"email": "Ann@X.org", "groups": ["admins"]}, "viewer", {"loan": "analyst"}),
        ({"email": "bob@x.org", "groups": ["ml", "admins", "other"]}, "administrator", {}),
        ({"email": "bob@x.org", "groups": "ml"}, "analyst", {}),
        ({"email": "bob@x.org", "groups": ["risk"]}, None, {"loan": "viewer"}),
        ({"email": "bob@x.org"}, None, {}),
        ({"email": "bob@x.org", "groups": {"ml": 1}}, None, {}),
        ({"email": "out@x.org", "groups": ["admins"]}, None, {}),
    ],
)
def test_roles_come_from_addresses_and_groups(claims: dict[str, Any], role: str | None, models: dict[str, str]) -> None:
    loan = RoleLists(None, {"ann@x.org": "analyst"}, {"risk": "viewer"})
    person = sign_in.oidc_person(AccessSettings("oidc", ("https://o",), 12, OIDC, LISTS, {"loan": loan}), claims)
    assert person is not None
    assert (person.role, dict(person.models)) == (role, models)


def test_on_a_schedule_roles_by_group_and_by_default_count_for_nothing() -> None:
    lists = RoleLists("viewer", {"ann@x.org": "analyst"}, {"ml": "analyst"})
    models = {"salaries": RoleLists(None, {}, {"contractors": "none"}), "loan": RoleLists(None, {"ann@x.org": "viewer"}, {"ml": "analyst"})}
    settings = AccessSettings("oidc", ("https://o",), 12, OIDC, lists, models)
    ann, bob = (sign_in.listed_person(settings, name) for name in ("Ann@x.org", "bob@x.org"))
    assert (ann.role, dict(ann.models)) == ("analyst", {"salaries": "none", "loan": "viewer"})
    assert not bob.has_access


@pytest.mark.parametrize("claims", [{}, {"email": ""}, {"email": 7}, {"email": "ann@x.org", "email_verified": False}])
def test_ambiguous_identity_claims_give_no_person(claims: dict[str, Any]) -> None:
    assert sign_in.oidc_person(AccessSettings("oidc", ("https://o",), 12, OIDC, LISTS), claims) is None


def test_a_site_that_is_named_may_frame_a_figure_alone_and_no_other_page(home: Path) -> None:
    def ancestors(address: str) -> str:
        policy = http(site(), "GET", address).header("content-security-policy") or ""
        return next(rule for rule in policy.split("; ") if rule.startswith("frame-ancestors"))

    assert ancestors("/readyz?only=drift") == "frame-ancestors 'self'", "embedding is off if no site is named"
    (home / "access.toml").write_text('frame_origins = ["https://wiki.example.com"]\n', encoding="utf-8")
    assert ancestors("/readyz?model=loan&only=drift") == "frame-ancestors 'self' https://wiki.example.com"
    assert ancestors("/readyz") == ancestors("/readyz?model=only") == "frame-ancestors 'self'"
    (home / "access.toml").write_text('frame_origins = ["*"]\n', encoding="utf-8")
    with pytest.raises(UsageError, match="frame_origins"):
        read_access_settings(home)
