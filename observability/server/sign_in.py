"""Sign-in: finds out who sends a request, refuses everybody else, and serves the pages to sign in and out.

Nothing here runs if there is no sign-in. A person is recognised by a session cookie (local accounts), or by the signed cookie of
Streamlit's `st.login` (OpenID Connect), which the dashboard can read. The check runs for every request and for every message of a
WebSocket. Therefore a session that ends, a changed role and a disabled account take effect at once.
"""

import asyncio
import base64
import hashlib
import html
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, quote, unquote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request, cookie_parser
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.core.errors import ObservabilityError
from observability.server import accounts, audit_log
from observability.server.access import ACTING, HERE, Action, Person, may_do
from observability.server.access_settings import NO_ROLE, AccessSettings, Role, RoleLists, read_access_settings
from observability.server.api import error_response, failure_response
from observability.server.process_lock import home_folder
from observability.server.route_access import route_needs

Claims = dict[str, Any]
ClaimsReader = Callable[[Mapping[str, str], float], Claims | None]
"""A function of the cookies and of the maximum age in hours. It returns the claims in the provider's cookie; None if there is no valid
cookie.
"""
COOKIE, SECURE_COOKIE = "obs_session", "__Host-obs_session"
OIDC_COOKIE = "_streamlit_user"
FORM_BYTES = 4096
CASE_FILES = "case-"
"""Start of the names of case files."""
_signed_out: dict[str, float] = {}
"""Hashes of provider cookies whose person has signed out, and when these cookies would expire (epoch seconds)."""


def signed_in_person(home: Path, cookies: Mapping[str, str], read_claims: ClaimsReader) -> Person | None:
    """The person to whom these cookies belong; None if they sign nobody in. Without sign-in: HERE."""
    settings = read_access_settings(home)
    if settings.method == "none":
        return HERE
    if settings.method == "accounts":
        account = accounts.SESSIONS.account(home, cookies.get(session_cookie(settings), ""))
        return account.person if account else None
    if _cookie_mark(cookies) in _signed_out:
        return None
    claims = read_claims(cookies, settings.session_hours)
    return oidc_person(settings, claims) if claims else None


def person_of_name(home: Path, name: str) -> Person | None:
    """The person with a name, for scheduled work: the account, or the person whom the settings list by the name at the provider. In the
    latter case the person's groups are unknown, so only roles listed for the name count. None if nobody has the name any more. Without
    sign-in: HERE.
    """
    settings = read_access_settings(home)
    if settings.method == "none":
        return HERE
    if settings.method == "accounts":
        account = accounts.read_accounts(home).get(name)
        found = account.person if account and not account.disabled else None
    else:
        found = listed_person(settings, name) if settings.oidc else None
    return found if found is not None and found.has_access else None


def session_cookie(settings: AccessSettings) -> str:
    """The name of the session cookie. Over HTTPS, it is a name that no other host in the domain can set."""
    return SECURE_COOKIE if settings.secure else COOKIE


def oidc_person(settings: AccessSettings, claims: Claims) -> Person | None:
    """The person that the provider's claims name. If the provider has not verified an e-mail address, it names nobody."""
    oidc = settings.oidc
    if oidc is None or (oidc.name_claim == "email" and claims.get("email_verified") is False):
        return None
    name = claims.get(oidc.name_claim)
    if not isinstance(name, str) or not name:
        return None
    given = claims.get(oidc.groups_claim) or []
    groups = [given] if isinstance(given, str) else [str(group) for group in given] if isinstance(given, list) else []
    general = _listed_role(settings.roles, name, groups)
    models = {model: role for model, lists in settings.models.items() if (role := _listed_role(lists, name, groups)) is not None}
    role = None if general in (None, NO_ROLE) else cast(Role, general)
    return Person(name[:80], role, tuple(sorted(models.items())), "oidc")


def listed_person(settings: AccessSettings, name: str) -> Person:
    """A person with the roles that the settings list by name.

    If the list of a model has roles for groups and does not name the person, the model is hidden.
    """
    key, models = name.casefold(), dict[str, str]()
    for model, lists in settings.models.items():
        own = lists.people.get(key, NO_ROLE if lists.groups else lists.default)
        if own is not None:
            models[model] = own
    general = settings.roles.people.get(key)
    role = None if general in (None, NO_ROLE) else cast(Role, general)
    return Person(name[:80], role, tuple(sorted(models.items())), "oidc")


def _listed_role(lists: RoleLists, name: str, groups: list[str]) -> str | None:
    """The role that is listed for the address, else the highest role of the groups, else the default role."""
    if (own := lists.people.get(name.casefold())) is not None:
        return own
    order = (NO_ROLE, "viewer", "analyst", "administrator")
    found = [lists.groups[group] for group in groups if group in lists.groups]
    return max(found, key=order.index) if found else lists.default


def _cookie_mark(cookies: Mapping[str, str]) -> str:
    return hashlib.sha256(cookies.get(OIDC_COOKIE, "").encode("latin-1", "replace")).hexdigest()


class SignInCheck:
    """ASGI middleware that passes on the requests that the person may make. It responds to all others with 401, 403 or the sign-in page."""

    def __init__(self, app: ASGIApp, read_claims: ClaimsReader) -> None:
        self.app, self.read_claims = app, read_claims

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Check one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        home = home_folder()
        try:
            settings = read_access_settings(home)
            if settings.method == "none":
                await self.app(scope, receive, send)
                return
            needs = route_needs("WEBSOCKET" if scope["type"] == "websocket" else scope["method"], scope["path"])
            checks_itself = needs in ("public", "token", "owner")
            person = None if checks_itself and scope["path"] != "/auth/logout" else self._person(home, scope)
        except ObservabilityError as error:
            await refuse(failure_response(error), scope, receive, send)
            return
        if checks_itself:
            if scope["path"] == "/auth/logout":
                await _note_sign_out(home, scope, person, settings)
            await self.app(scope, receive, with_private_headers(send, settings) if scope["type"] == "http" else send)
        elif needs == "nobody":
            await refuse(error_response(403, "this address is not served", "Use the dashboard's pages or /api/v1/"), scope, receive, send)
        elif person is None or not person.has_access:
            await refuse(_ask_to_sign_in(scope, person), scope, receive, send)
        elif not may_do(person, cast(Action, needs)):  # every other need is an action
            what = f"{scope.get('method', 'WebSocket')} {scope['path'][:100]}"
            await asyncio.to_thread(audit_log.note_access, home, person.name, "refused", what=what)
            await refuse(
                error_response(403, f"the role {person.role or NO_ROLE} does not allow it", "Ask an administrator"), scope, receive, send
            )
        else:
            await self._serve(home, settings, person, scope, receive, send)

    def _person(self, home: Path, scope: Scope) -> Person | None:
        return signed_in_person(home, cookie_parser(Headers(scope=scope).get("cookie", "")), self.read_claims)

    async def _serve(self, home: Path, settings: AccessSettings, person: Person, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on in the name of the person; for a WebSocket, check the person again with each message."""
        acting = ACTING.set(person)
        try:
            if scope["type"] == "http":
                await self.app(scope, receive, _with_download_log(with_private_headers(send, settings), home, person))
                return
            over = False

            async def receive_while_signed_in() -> Message:
                nonlocal over
                message = await receive()
                if message["type"] == "websocket.receive" and self._person(home, scope) != person:
                    over = True
                    await send({"type": "websocket.close", "code": 1008, "reason": "sign in again"})
                    return {"type": "websocket.disconnect", "code": 1008}
                return message

            async def send_until_over(message: Message) -> None:
                if not over:
                    await send(message)

            await self.app(scope, receive_while_signed_in, send_until_over)
        finally:
            ACTING.reset(acting)


async def refuse(response: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the response to a refused request, or close a WebSocket before it is accepted."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": "sign in"})
    else:
        await response(scope, receive, send)


def _ask_to_sign_in(scope: Scope, person: Person | None) -> Response:
    """The sign-in page if a browser requests a page, otherwise 401; 403 for a person who has no role at all."""
    if person is not None:
        return HTMLResponse(
            _document("No access", f"<p>{html.escape(person.name)} has no role in this dashboard. Ask an administrator.</p>{SIGN_OUT}"), 403
        )
    wants_page = "text/html" in Headers(scope=scope).get("accept", "") and scope.get("method") == "GET"
    if not wants_page:
        return error_response(401, "sign in first", "Open /sign-in, or send a token to /api/v1/")
    query = scope["query_string"].decode("latin-1")
    asked = scope["path"] + (f"?{query}" if query else "")
    return RedirectResponse(f"/sign-in?next={quote(asked, safe='')}", status_code=303)


def with_private_headers(send: Send, settings: AccessSettings) -> Send:
    """Add headers to responses: caches on the way must not store them, and cookies are limited to HTTPS if the address is HTTPS."""

    async def changed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if "cache-control" not in headers:
                headers["Cache-Control"] = "no-store"
            if settings.secure:
                headers["Strict-Transport-Security"] = "max-age=31536000"
                message["headers"] = [
                    (name, value + b"; Secure" if name.lower() == b"set-cookie" and b"; secure" not in value.lower() else value)
                    for name, value in message["headers"]
                ]
        await send(message)

    return changed


def _with_download_log(send: Send, home: Path, person: Person) -> Send:
    """A send function that logs a response which the browser saves as a file, before it is sent."""

    async def logged(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = Headers(raw=list(message["headers"])).get("content-disposition", "")
            if kept.startswith("attachment"):
                name = unquote(kept.partition("filename")[2].lstrip("*=").removeprefix("utf-8''").strip("\"'; ")) or "file"
                name = "case file" if name.startswith(CASE_FILES) else name  # the name of the file contains the id of the prediction
                await asyncio.to_thread(audit_log.note_access, home, person.name, "exported", what=name)
        await send(message)

    return logged


async def _note_sign_out(home: Path, scope: Scope, person: Person | None, settings: AccessSettings) -> None:
    """Make the provider's cookie invalid, and with it every copy of the cookie."""
    now = time.time()
    for mark in [mark for mark, until in _signed_out.items() if until < now]:
        del _signed_out[mark]
    if person is not None and person.source == "oidc":
        _signed_out[_cookie_mark(cookie_parser(Headers(scope=scope).get("cookie", "")))] = now + 3600 * settings.session_hours
        await asyncio.to_thread(audit_log.note_access, home, person.name, "signed out")


STYLE = (
    "body{font-family:system-ui,sans-serif;max-width:22rem;margin:12vh auto;padding:0 1rem;color:#101922;background:#fff}"
    "label{display:block;margin:1rem 0 .25rem}input{width:100%;box-sizing:border-box;padding:.5rem;font:inherit;border:1px solid #64707c;"
    "border-radius:.4rem;background:inherit;color:inherit}button,a.button{display:inline-block;margin-top:1.25rem;padding:.5rem 1rem;"
    "font:inherit;border:1px solid #0072b2;border-radius:.4rem;background:#fff;color:#00629a;text-decoration:none;cursor:pointer}"
    ".error{color:#a84600}h1{font-size:1.4rem}"
    "@media(prefers-color-scheme:dark){body{color:#e4e9ee;background:#10161d}button,a.button{background:#1a222b;color:#7cc5ee}"
    ".error{color:#ff9f66}}"
)
STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
"""The content security policy of the pages in this module: no scripts at all."""
SIGN_OUT = '<form method="post" action="/sign-out"><button>Sign out</button></form>'


def _document(title: str, body: str) -> str:
    """A small page without scripts."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title>"
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1>{body}</main></body></html>"
    )


def _page(title: str, body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    return HTMLResponse(_document(title, body), status, {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", **(headers or {})})


def local_address(text: str | None) -> str:
    """An address in this dashboard to which to go after sign-in; / if the text could lead elsewhere."""
    found = text or "/"
    parts = urlsplit(found)
    safe = found.startswith("/") and not found.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return found if safe and found.isprintable() and not found.startswith(("/sign-", "/auth/")) else "/"


def _form(target: str, error: str = "", name: str = "") -> str:
    said = f'<p class="error" role="alert">{html.escape(error)}</p>' if error else ""
    return (
        f'{said}<form method="post" action="/sign-in"><input type="hidden" name="next" value="{html.escape(target)}">'
        f'<label for="name">Name</label><input id="name" name="name" autocomplete="username" required autofocus '
        f'value="{html.escape(name)}">'
        '<label for="password">Password</label><input id="password" name="password" type="password" '
        'autocomplete="current-password" required>'
        "<button>Sign in</button></form>"
    )


def sign_in_routes(login_address: Callable[[], str]) -> list[BaseRoute]:
    """The routes of the pages to sign in and out. login_address: a function that returns where the provider's sign-in begins."""

    async def sign_in(request: Request) -> Response:
        try:
            return await answer_sign_in(request)
        except ObservabilityError as error:
            return failure_response(error)

    async def answer_sign_in(request: Request) -> Response:
        home = home_folder()
        settings = read_access_settings(home)
        if settings.method == "none":
            return RedirectResponse("/", 303)
        if request.method == "POST":
            return await _sign_in_with_password(request, home, settings)
        target = local_address(request.query_params.get("next"))
        if settings.method == "accounts":
            return _page("Sign in", _form(target))
        return _page("Sign in", f'<p><a class="button" href="{html.escape(login_address())}">Sign in with your organisation</a></p>')

    async def sign_out(request: Request) -> Response:
        home = home_folder()
        settings = read_access_settings(home)
        if request.method != "POST":
            return _page("Sign out", SIGN_OUT)
        if request.headers.get("origin") is None:
            return error_response(403, "the request has no Origin", "Use the page /sign-out")
        if settings.method == "oidc":
            return RedirectResponse("/auth/logout", 303)
        text = request.cookies.get(session_cookie(settings), "")
        account = accounts.SESSIONS.account(home, text)
        accounts.SESSIONS.end(text)
        if account is not None:
            await asyncio.to_thread(audit_log.note_access, home, account.name, "signed out")
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(session_cookie(settings), path="/", secure=settings.secure, httponly=True, samesite="lax")
        answer.headers["Clear-Site-Data"] = '"cache", "storage"'
        return answer

    return [Route("/sign-in", sign_in, methods=["GET", "POST"]), Route("/sign-out", sign_out, methods=["GET", "POST"])]


async def _sign_in_with_password(request: Request, home: Path, settings: AccessSettings) -> Response:
    """Check the form. Returns a session cookie and a redirect to the requested page, or the form again."""
    if settings.method != "accounts":
        return error_response(403, "passwords are not used here", "Open /sign-in")
    if request.headers.get("origin") is None:
        return error_response(403, "the request has no Origin", "Use the page /sign-in")
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > FORM_BYTES:
            return error_response(413, "the form is too long", "Use the page /sign-in")
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=10)
    name, password = (fields.get(key, [""])[0] for key in ("name", "password"))
    target = local_address(fields.get("next", ["/"])[0])
    address = request.client.host if request.client else None
    try:
        account = await asyncio.to_thread(accounts.check_password, home, name, password)
    except accounts.SignInRefusedError as refused:
        await asyncio.to_thread(audit_log.note_access, home, name[:80], "failed to sign in", address=address)
        waits = {"Retry-After": str(max(1, round(refused.seconds)))} if refused.seconds else {}
        said = f"{refused.what[:1].upper()}{refused.what[1:]}. {refused.attempt}."
        return _page("Sign in", _form(target, said, name[:80]), 429 if refused.seconds else 403, waits)
    accounts.SESSIONS.end(request.cookies.get(session_cookie(settings), ""))
    text = accounts.SESSIONS.begin(account, settings.session_hours)
    await asyncio.to_thread(audit_log.note_access, home, account.name, "signed in", address=address)
    answer = RedirectResponse(target, 303)
    answer.set_cookie(
        session_cookie(settings),
        text,
        max_age=int(settings.session_hours * 3600),
        path="/",
        secure=settings.secure,
        httponly=True,
        samesite="lax",
    )
    return answer
