"""What does the dashboard's process answer to programs? `/api/v1/…` (the contract's section 5).

Every route asks for `Authorization: Bearer TOKEN` (observability/server/tokens.py) before anything else. An error is `{"error", "try"}` with a 4xx, or 503
where the store is busy or broken.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from observability.core.errors import NotFoundError, ObservabilityError, StoreBrokenError, UsageError
from observability.server import process_lock, tokens

LOG = logging.getLogger(__name__)
T = TypeVar("T")
MOST_BYTES = 1_000_000
FINDING_PARAMETERS = ("model", "version", "slice", "from", "to", "as_of")
CASE_PARAMETERS = ("model", "as_of")
AT_ONCE = asyncio.Semaphore(2)
"""So many answers that take seconds are worked out at once; others wait without holding a thread, so that the dashboard stays quick."""
Answer = Callable[[Request], Awaitable[Response]]


def refused(status: int, error: str, attempt: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error in the contract's shape."""
    return JSONResponse({"error": error, "try": attempt}, status_code=status, headers=headers)


def failed(error: ObservabilityError) -> JSONResponse:
    """An error of ours: 404 where something named is not there, 503 where the store is busy or broken, else 400."""
    status = 404 if isinstance(error, NotFoundError) else 503 if error.exit_code == 3 else 400
    detail = "; ".join(f"{name} {value}" for name, value in (("got", error.got), ("expected", error.expected)) if value is not None)
    return refused(status, f"{error.what.rstrip('.')}{f'; {detail}' if detail else ''}", error.attempt or "See the README")


def guarded(method: str, scope: tokens.Scope, answer: Answer) -> Answer:
    """An answer to one method for holders of a token of one scope; every failure in the contract's shape."""

    async def work(request: Request) -> Response:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            known = (
                await asyncio.to_thread(tokens.holder, process_lock.current().home, text.strip()) if scheme.lower() == "bearer" else None
            )
            if known is None:
                make = f"Send Authorization: Bearer TOKEN; make one with: python -m observability token create --scope {scope}"
                return refused(401, "no token that holds", make, {"WWW-Authenticate": "Bearer"})
            if request.method != method:
                return refused(405, f"{request.method} is not answered here", f"Use {method}", {"Allow": method})
            if known.scope != scope:
                return refused(403, f"the token has the scope {known.scope}", f"Use a token of the scope {scope}")
            return await answer(request)
        except ObservabilityError as error:
            return failed(error)
        except Exception as error:
            LOG.exception("%s %s failed", request.method, request.url.path)
            return refused(500, f"unexpected {type(error).__name__}", "See the dashboard's log")

    return work


def said(request: Request, names: tuple[str, ...]) -> dict[str, str]:
    """The query's parameters. Raises UsageError for one that is not known or stands twice."""
    for name in request.query_params:
        if name not in names:
            raise UsageError(f"unknown parameter {name[:100]!r}", expected=", ".join(names))
        if len(request.query_params.getlist(name)) > 1:
            raise UsageError(f"parameter {name!r} stands twice", attempt="Give it once")
    return dict(request.query_params)


async def slowly(work: Callable[[], T]) -> T:
    """What takes seconds, in a thread, AT_ONCE of them."""
    async with AT_ONCE:
        return await asyncio.to_thread(work)


async def status(request: Request) -> Response:
    """What the command `status` says."""
    from observability.investigation.evidence_types import plain
    from observability.store.registry import admin

    said(request, ())
    return JSONResponse(plain(await asyncio.to_thread(lambda: admin.status(process_lock.current_store()))))


async def findings(request: Request) -> Response:
    """What the command `check --json` says, with its parameters."""
    from observability.core.time import instant
    from observability.core.window import Slice
    from observability.investigation.evidence_types import plain
    from observability.monitoring import check

    given = said(request, FINDING_PARAMETERS)
    report = await slowly(
        lambda: check.check(
            process_lock.current_store(),
            model=given.get("model"),
            version=given.get("version"),
            start=instant(given.get("from"), "from"),
            end=instant(given.get("to"), "to"),
            as_of=instant(given.get("as_of"), "as_of"),
            slice=Slice.parse(given.get("slice")),
        )
    )
    return JSONResponse(plain([each.to_json() for each in report.findings]))


async def prediction(request: Request) -> Response:
    """What the command `case ID --json` says."""
    from observability.core.time import instant

    given = said(request, CASE_PARAMETERS)
    store, as_of = process_lock.current_store(), instant(given.get("as_of"), "as_of")
    asked = (store.home, store.generation, int(time.time() // 60), request.path_params["id"], given.get("model"), as_of)
    return JSONResponse(await slowly(lambda: evidence(*asked)))


@lru_cache(maxsize=64)
def evidence(_home: Path, _generation: int, _minute: int, name: str, model: str | None, as_of: datetime | None) -> dict[str, Any]:
    """The evidence as the store has it at one state, worked out once: who asks again within the minute, and before anything is loaded, gets it at once."""
    from observability.investigation.case import case
    from observability.worker.process import shared

    return case(process_lock.current_store(), name, model=model, as_of=as_of, worker=shared()).to_json()


async def records(request: Request) -> Response:
    """Takes records: each line is checked, the good ones are on disk before the answer."""
    said(request, ())
    body = bytearray()
    try:
        announced = int(request.headers.get("content-length") or 0)
    except ValueError:
        announced = 0
    if announced <= MOST_BYTES:
        async for piece in request.stream():
            body += piece
            if len(body) > MOST_BYTES:
                break
    if max(announced, len(body)) > MOST_BYTES:
        return refused(413, f"the body has more than {MOST_BYTES:,} bytes", "Send fewer lines at once")
    accepted, wrong = await asyncio.to_thread(take, bytes(body))
    return JSONResponse({"accepted": accepted, "rejected": wrong}, status_code=202)


def take(body: bytes) -> tuple[int, list[dict[str, Any]]]:
    """Checks lines as the loader does, and puts the good ones into landing, synced. Gives how many, and the others with their reasons."""
    from observability.client.spool import Spool
    from observability.store.ingest.parse import parse
    from observability.store.ingest.parse_types import Block, Defaults

    store = process_lock.current_store()
    store.require_space()
    parsed = parse(None, Block(body if body.endswith(b"\n") else body + b"\n"), store.catalog(), Defaults())
    wrong = [
        {"line": line, "reason": message}
        for line, message in zip(*(parsed.rejected[name].to_pylist() for name in ("line", "message")), strict=True)
    ]
    numbers = {each["line"] for each in wrong}
    good = [line for number, line in enumerate(body.split(b"\n"), start=1) if line.strip() and number not in numbers]
    if good:
        spool = Spool(store.landing, fsync="always")
        taken = spool.append(b"\n".join(good) + b"\n", len(good))
        spool.flush()
        if not taken:
            raise StoreBrokenError(
                "the records could not be written", got=spool.last_error, attempt="Free some disk space and send them again"
            )
    return len(good), wrong


async def nothing(_request: Request) -> Response:
    """Any other address."""
    return refused(
        404, "there is nothing at this address", "Use /api/v1/records, /api/v1/status, /api/v1/findings or /api/v1/predictions/ID"
    )


def routes() -> list[BaseRoute]:
    """The routes, each for every method, so that a wrong one is answered in the contract's shape."""
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    found: list[tuple[str, str, tokens.Scope, Answer]] = [
        ("/api/v1/records", "POST", "write", records),
        ("/api/v1/status", "GET", "read", status),
        ("/api/v1/findings", "GET", "read", findings),
        ("/api/v1/predictions/{id:path}", "GET", "read", prediction),
        ("/api/{rest:path}", "GET", "read", nothing),
    ]
    return [Route(path, guarded(method, scope, answer), methods=methods) for path, method, scope, answer in found]
