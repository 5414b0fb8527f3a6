"""What does the dashboard's process answer beside its pages?

`GET /readyz`, `/api/v1/…` (observability/server/api.py), the command route of the owner (loopback only, its own token), redirects from /section/page to /page, the document of a deep
link, and the headers that keep everything on this machine.
"""

import asyncio
import contextlib
import hmac
import json
import logging
import queue
import threading
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from observability.core.errors import ObservabilityError
from observability.dashboard import downloads
from observability.server import api, process_lock

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' ws: wss:; worker-src 'self' blob:; frame-ancestors 'self'"
)
"""Streamlit sets no content security policy; this one lets its own front end and plotly work and nothing else."""
COMMAND_BYTES = 1_000_000
WHERE = '<script>window.__streamlit = {BACKEND_BASE_URL: new URL("./", location.href).href}</script>'
"""Tells Streamlit's front end where its server is. Else, on a deep link, it asks under the page's own address first, and two requests fail."""


class Headers:
    """ASGI middleware that adds the security headers to every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass through, adding headers to the start of an HTTP answer."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


async def ready(_request: Request) -> Response:
    """200 while the store answers, else 503 with what to do."""
    try:
        await asyncio.to_thread(lambda: process_lock.current_store().catalog())
    except ObservabilityError as error:
        return JSONResponse({"error": error.what, "try": error.attempt}, status_code=503)
    return JSONResponse({"ready": True})


async def command(request: Request) -> Response:
    """Run one command line for a process that found the store owned: lines of JSON, progress first, the outcome last."""
    if request.client is None or request.client.host not in ("127.0.0.1", "::1"):
        return JSONResponse({"error": "commands are taken from this machine only", "try": "Run the command where the dashboard runs"}, 403)
    if not hmac.compare_digest(request.headers.get("authorization", ""), f"Bearer {process_lock.current().token}"):
        return JSONResponse({"error": "wrong token", "try": "Let the command line read owner.json"}, status_code=401)
    body = await request.body()
    if len(body) > COMMAND_BYTES:
        return JSONResponse({"error": "the command is too long", "try": "Name fewer files"}, status_code=413)
    try:
        argv = [str(each) for each in json.loads(body)["argv"]]
    except (ValueError, KeyError, TypeError):
        return JSONResponse({"error": "the command cannot be read", "try": 'Send {"argv": [...]}'}, status_code=400)
    return StreamingResponse(outcome_of(argv), media_type="application/x-ndjson")


async def outcome_of(argv: list[str]) -> AsyncIterator[str]:
    """The lines of a command that runs in a thread of its own."""
    from observability.cli import execute

    said: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()

    def work() -> None:
        outcome = execute.execute(process_lock.current_store(), argv, lambda text: said.put({"progress": text}))
        said.put({"exit": outcome.exit_code, "out": outcome.out, "error": outcome.error})
        said.put(None)

    threading.Thread(target=work, name="command", daemon=True).start()
    while (line := await asyncio.to_thread(said.get)) is not None:
        yield json.dumps(line) + "\n"


def redirects() -> list[BaseRoute]:
    """/section/page leads to /page with its query, for every page that is found; the page that stands at / is found under its name too."""
    from observability.dashboard.links import DEFAULT_PAGE
    from observability.dashboard.shell import page_files

    async def redirect(request: Request) -> Response:
        name = request.url.path.strip("/").split("/")[-1]
        target = "/" if name == DEFAULT_PAGE else f"/{name}"
        return RedirectResponse(target + (f"?{request.url.query}" if request.url.query else ""), status_code=307)

    return [Route(f"/{DEFAULT_PAGE}", redirect), *(Route(f"/{file.parent.name}/{file.stem}", redirect) for file in page_files())]


def documents() -> list[BaseRoute]:
    """The document of each page that has an address of its own: Streamlit's, with a line that says where the server is."""
    from observability.dashboard.links import DEFAULT_PAGE
    from observability.dashboard.shell import page_files

    async def document(_request: Request) -> Response:
        return HTMLResponse(index(), headers={"Cache-Control": "no-cache"})

    return [Route(f"/{file.stem}", document) for file in page_files() if file.stem != DEFAULT_PAGE]


@cache
def index() -> str:
    """Streamlit's document with our line at the head of its scripts."""
    text = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    return text.replace("<head>", f"<head>\n    {WHERE}", 1)


@contextlib.asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[dict[str, Any]]:
    """From the start of the server to its end: the loader and the enricher run in threads, and commands find this process."""
    holder = process_lock.current()
    holder.listen(int(st.get_option("server.port")))
    holder.start_loader()
    holder.start_enricher()
    holder.start_watcher()
    threading.Thread(target=warm, name="warm", daemon=True).start()
    try:
        yield {}
    finally:
        await asyncio.to_thread(holder.close)


def warm() -> None:
    """Judge the fleet once, so that the first page need not wait for it; what fails here is said by the page that asks for it."""
    from observability.dashboard import load
    from observability.dashboard.scope import Scope

    with contextlib.suppress(Exception):
        load.report(Scope())


def parts() -> dict[str, Any]:
    """What `st.App` serves beside the pages: our routes, middleware and lifespan, in one process and port.

    The pages' modules are read before Streamlit's runtime is there. It tells of each of their caches that it is kept in memory, which is where they are
    meant to be; nobody who starts the dashboard needs to read that.
    """
    downloads.keep_for_a_while()
    logging.getLogger("streamlit.runtime.caching.cache_data_api").addFilter(lambda each: "No runtime found" not in each.getMessage())
    routes = [Route("/readyz", ready), Route("/_owner/command", command, methods=["POST"]), *api.routes(), *redirects(), *documents()]
    return {"routes": routes, "middleware": [Middleware(Headers)], "lifespan": lifespan}
