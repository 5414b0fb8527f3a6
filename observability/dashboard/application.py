"""Routes, middleware and lifespan of the dashboard's process, apart from its pages.

The routes are `GET /readyz`, `/api/v1/…` (observability/server/api.py), the route for commands of other processes (loopback only, with its
own token), redirects from /section/page to /page, and the document of a deep link. The middleware adds the security headers.
"""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import logging
import os
import queue
import re
import threading
from collections.abc import AsyncIterator
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.cli.command_host import COMMAND_BYTES, outcome_line, sent_command
from observability.core.errors import ObservabilityError
from observability.core.limits import limits_in_force
from observability.dashboard import downloads, findings_ahead, page_failure, replica_line, sign_in
from observability.dashboard.boards import board_mail
from observability.server import api, health, process_lock, replica
from observability.server.access_settings import read_access_settings
from observability.server.frozen_imports import leave_imports_out_of_collections
from observability.server.half_open import close_half_open_connections
from observability.server.request_origin import RequestOriginCheck, is_loopback
from observability.server.sign_in import SignInCheck, sign_in_routes

SHELL = Path(__file__).parent / "shell.py"
"""The script that each browser session runs. It is not in `pages/`, so that a first deep link opens the right page."""
SELF = "'self'"
WHERE = '<script>window.__streamlit = {BACKEND_BASE_URL: new URL("./", location.href).href}</script>'
"""Tells Streamlit's front end the address of its server; without it, two requests of every deep link fail."""
ASSETS = Path(__file__).parent / "assets"
HISTORY, FIGURES, STYLE = ASSETS / "history.js", ASSETS / "figures.js", ASSETS / "page.css"
"""The first script keeps one entry per action in the browser's history; it must run before Streamlit's front end. The second draws the
crosshair and makes the SVG files of charts. The style sheet has rules for Streamlit's own elements.
"""


def server_port() -> int:
    """The port that the dashboard listens on."""
    return int(st.get_option("server.port"))


class Headers:
    """ASGI middleware that adds the security headers to every response."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass through, adding headers to the start of an HTTP response."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", content_policy(frame_origins(scope)))
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


def frame_origins(scope: Scope) -> tuple[str, ...]:
    """If a request asks for a single figure, the sites in `frame_origins` of access.toml; none for other pages, or if the settings cannot
    be read.
    """
    from observability.dashboard.links import ONLY

    if ONLY not in parse_qs(scope["query_string"].decode("latin-1")):
        return ()
    try:
        return read_access_settings(process_lock.home_folder()).frame_origins
    except ObservabilityError:
        return ()


async def readiness(_request: Request) -> Response:
    """Status 200 if the store can be read, the disk has room and the loader works; else 503 with the reason and the next step. A read-only
    replica only needs a readable store.
    """
    reads = replica.current_replica()
    try:
        await asyncio.to_thread(health.require_readiness if reads is None else reads.store.require_readable)
    except ObservabilityError as error:
        return api.failure_response(error)
    return JSONResponse({"ready": True})


async def run_owner_command(request: Request) -> Response:
    """Run one command line for a process that could not open the store because this process owns it. The response is lines of JSON:
    progress first, the outcome last.
    """
    if request.client is None or not is_loopback(request.client.host):
        return JSONResponse({"error": "commands are taken from this machine only", "try": "Run the command where the dashboard runs"}, 403)
    given, wanted = request.headers.get("authorization", ""), f"Bearer {process_lock.current_owner().token}"
    if not hmac.compare_digest(given.encode(), wanted.encode()):  # as bytes: texts are compared only if they are ASCII
        return JSONResponse({"error": "wrong token", "try": "Let the command line read owner.json"}, status_code=401)
    body = await request.body()
    if len(body) > COMMAND_BYTES:
        return JSONResponse({"error": "the command is too long", "try": "Name fewer files"}, status_code=413)
    try:
        argv = sent_command(body)
    except ValueError:
        return JSONResponse({"error": "the command cannot be read", "try": 'Send {"argv": [...]}'}, status_code=400)
    return StreamingResponse(command_output_lines(argv), media_type="application/x-ndjson")


async def answer_assistant(_request: Request) -> Response:
    """Answer one request of an assistant (observability/server/assistant.py), with the rights of its token."""
    from observability.cli import execute
    from observability.server.access import ACTING
    from observability.server.assistant import AssistantResponse

    person = ACTING.get()

    def run(argv: list[str]) -> tuple[int, str, str]:
        outcome = execute.execute(process_lock.current_store(), argv, lambda _text: None, person)
        return outcome.exit_code, outcome.out, outcome.error

    return AssistantResponse(lambda argv: api.slowly(lambda: run(argv)))


async def command_output_lines(argv: list[str]) -> AsyncIterator[str]:
    """The output lines of a command, which runs in a separate thread."""
    from observability.cli import execute

    lines: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def work() -> None:
        outcome = execute.execute(process_lock.current_store(), argv, lambda text: lines.put({"progress": text}))
        lines.put(outcome_line(outcome))
        lines.put(None)

    threading.Thread(target=work, name="command", daemon=True).start()
    while (line := await asyncio.to_thread(lines.get)) is not None:
        yield json.dumps(line) + "\n"


def redirects() -> list[BaseRoute]:
    """Redirects for every page from /section/page to /page, keeping the query, and from the default page's name to Home."""
    from observability.dashboard.links import DEFAULT_PAGE, page_address, page_files

    async def redirect(request: Request) -> Response:
        name = request.url.path.strip("/").split("/")[-1]
        if name == DEFAULT_PAGE and not request.url.query:
            return RedirectResponse(page_address(name).removeprefix("."), status_code=307)
        target = "/" if name == DEFAULT_PAGE else f"/{name}"
        return RedirectResponse(target + (f"?{request.url.query}" if request.url.query else ""), status_code=307)

    return [Route(f"/{DEFAULT_PAGE}", redirect), *(Route(f"/{file.parent.name}/{file.stem}", redirect) for file in page_files().values())]


def documents() -> list[BaseRoute]:
    """The document of each page: Streamlit's, with our scripts."""
    from observability.dashboard.links import DEFAULT_PAGE, page_files

    async def document(_request: Request) -> Response:
        return HTMLResponse(streamlit_document(), headers={"Cache-Control": "no-cache"})

    return [Route("/" if file.stem == DEFAULT_PAGE else f"/{file.stem}", document) for file in page_files().values()]


@cache
def streamlit_document() -> str:
    """Streamlit's document, with our scripts before its own scripts and with our style sheet."""
    text = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    history, figures, style = (path.read_text(encoding="utf-8") for path in (HISTORY, FIGURES, STYLE))
    scripts = f"<script>{history}</script>\n    <script>{figures}</script>"
    return text.replace("<head>", f"<head>\n    {WHERE}\n    {scripts}\n    <style>{style}</style>", 1)


@cache
def content_policy(framed_by: tuple[str, ...] = ()) -> str:
    """The content security policy of every page; Streamlit sets none. The only inline scripts that it allows, by their hashes, are those of
    the document. framed_by: other sites that may show the page in a frame.

    Parallel coordinates are drawn with WebGL, for which plotly compiles functions; without `unsafe-eval`, plotly reports that there is no
    WebGL.
    """
    scripts = re.findall(r"<script>(.*?)</script>", streamlit_document(), re.DOTALL)
    hashes = " ".join(f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" for script in scripts)
    return (
        f"default-src 'self'; script-src 'self' 'unsafe-eval' blob: {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; object-src 'none'; "
        "base-uri 'self'; form-action 'self'; "
        f"frame-ancestors {' '.join((SELF, *framed_by))}"
    )


@contextlib.asynccontextmanager
async def replica_lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    """Check for newer published states of the store in a thread, until the server ends."""
    reads = replica.current_replica()
    if reads is None:
        raise RuntimeError("this process owns its store")
    reads.owner.told = replica_line.note_saved_at_owner
    process_lock.started_thread("states", reads.look_until_stopped)
    try:
        yield {}
    finally:
        await asyncio.to_thread(reads.close)


@contextlib.asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    """Run the background threads (loader, enricher, watcher and others) until the server ends, and let commands find this process."""
    from observability.cli import live_sample

    holder = process_lock.current_owner()
    keep_findings_over_runs(holder)
    holder.listen(server_port())
    holder.start_loader()
    holder.start_enricher()
    holder.start_watcher()
    holder.start_probes()
    holder.start_audits()
    holder.start_lake()
    holder.start_nights()
    holder.start_sample(live_sample.run_live_sample)
    threading.Thread(target=findings_ahead.keep_findings_known, args=(holder,), name="findings", daemon=True).start()
    holder.start_summaries(board_mail.run_board_mail)
    holder.start_publisher()
    try:
        yield {}
    finally:
        await asyncio.to_thread(holder.close)


def keep_findings_over_runs(holder: process_lock.Owner) -> None:
    """Load the findings that the last run stored. When the owner closes the store, the findings of this run are written beside the
    store.
    """
    from observability.monitoring.kept_findings import kept_findings_of

    kept = kept_findings_of(holder.store, len(holder.store.catalog().models))
    kept.restore(holder.home)
    holder.closed = partial(kept.save, holder.home, holder.store.generations)


def app_parts() -> dict[str, Any]:
    """Routes, middleware and lifespan for `st.App`, in one process and port.

    The pages' modules are imported before Streamlit's runtime exists. Streamlit then warns that caches are kept in memory; these warnings
    are suppressed.
    """
    downloads.keep_download_ids()
    leave_imports_out_of_collections()
    close_half_open_connections(lambda: limits_in_force(process_lock.current_owner().home).limits)
    logging.getLogger("streamlit.runtime.caching.cache_data_api").addFilter(lambda record: "No runtime found" not in record.getMessage())
    reads = replica.replica_is_asked_for()
    programs = [
        Route("/_owner/command", run_owner_command, methods=["POST"]),
        *api.routes(),
        Route("/mcp", api.guarded_handler("POST", "read", answer_assistant), methods=["GET", "POST", "DELETE"]),
    ]
    routes = [
        Route("/readyz", readiness),
        *sign_in_routes(sign_in.oidc_login_address),
        *(api.routes_elsewhere(os.environ.get(replica.OWNER_VARIABLE, "")) if reads else programs),
        *redirects(),
        *documents(),
    ]
    return {
        "routes": routes,
        "middleware": [
            Middleware(Headers),
            Middleware(RequestOriginCheck, port=server_port),
            Middleware(SignInCheck, read_claims=sign_in.oidc_claims),
        ],
        "lifespan": replica_lifespan if reads else lifespan,
        "on_script_error": page_failure.draw_page_failure,
        "secrets": sign_in.oidc_secrets(read_access_settings(process_lock.home_folder())),
    }
