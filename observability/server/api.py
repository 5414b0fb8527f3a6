"""The HTTP interface for programs, `/api/v1/…`.

Every route first checks `Authorization: Bearer TOKEN` (observability/server/tokens.py). An error is `{"error", "try"}` with a status of
4xx, or 503 if the store is busy or broken.
"""

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from observability.core import telemetry
from observability.core.errors import ForbiddenError, NotFoundError, ObservabilityError, UsageError
from observability.core.limits import IntakeLimits, limits_in_force
from observability.server import (
    audit_log,
    cloud_events,
    health,
    intake,
    lineage_events,
    open_metrics,
    otlp_traces,
    owner_calls,
    process_lock,
    tokens,
)
from observability.server.access import ACTING, Person
from observability.server.guarded_store import guarded_store

if TYPE_CHECKING:
    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
T = TypeVar("T")
FINDING_PARAMETERS = ("model", "version", "slice", "from", "to", "as_of")
CASE_PARAMETERS = ("model", "version", "environment", "as_of")
AT_ONCE = asyncio.Semaphore(2)
"""Number of slow requests that run at the same time. Further ones wait without occupying a thread, so that the dashboard stays
responsive.
"""
INTAKE = ThreadPoolExecutor(max_workers=8, thread_name_prefix="intake")
"""Threads for requests whose records are validated and written at the same time; groups of them share a sync (group_commit.py)."""
BODIES_AT_ONCE = asyncio.Semaphore(32)
"""Number of request bodies in memory at the same time. Further requests wait before their body is read."""
Answer = Callable[[Request], Awaitable[Response]]


def error_response(status: int, error: str, attempt: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """An error as `{"error", "try"}`."""
    return JSONResponse({"error": error, "try": attempt}, status_code=status, headers=headers)


def failure_response(error: ObservabilityError) -> JSONResponse:
    """The response for an ObservabilityError: 404 for an unknown name, 403 for a role that does not permit the request, 503 if the store is
    busy or broken, else 400.
    """
    known = 404 if isinstance(error, NotFoundError) else 403 if isinstance(error, ForbiddenError) else 400
    status = 503 if error.exit_code == 3 else known
    detail = "; ".join(f"{name} {value}" for name, value in (("got", error.got), ("expected", error.expected)) if value is not None)
    return error_response(status, f"{error.what.rstrip('.')}{f'; {detail}' if detail else ''}", error.attempt or "See the README")


def guarded_handler(method: str | None, scope: tokens.Scope | None, answer: Answer) -> Answer:
    """Wrap a handler: it accepts one method, requires a token with one scope (None: any), and returns every failure as an error
    response.
    """

    async def work(request: Request) -> Response:
        scheme, _, text = request.headers.get("authorization", "").partition(" ")
        try:
            known = (
                await asyncio.to_thread(tokens.token_holder, process_lock.current_owner().home, text.strip())
                if scheme.lower() == "bearer"
                else None
            )
            if known is None:
                create = f"python -m observability token create --scope {scope or 'read'}"
                attempt = f"Send Authorization: Bearer TOKEN; create one with: {create}"
                return error_response(401, "missing or invalid token", attempt, {"WWW-Authenticate": "Bearer"})
            if method is not None and request.method != method:
                return error_response(405, f"method {request.method} is not allowed", f"Use {method}", {"Allow": method})
            if scope is not None and known.scope != scope:
                return error_response(403, f"the token has the scope {known.scope}", f"Use a token with the scope {scope}")
            require_quota(known.id)
            request.state.token = known.id
            ACTING.set(tokens.token_person(process_lock.current_owner().home, known))
            return await answer(request)
        except intake.IntakeRefusedError as error:
            telemetry.REFUSED.add(str(error.status))
            return error_response(error.status, error.error, error.attempt, error.headers)
        except ObservabilityError as error:
            return failure_response(error)
        except Exception as error:
            LOG.exception("%s %s failed", request.method, request.url.path)
            return error_response(500, f"unexpected {type(error).__name__}", "See the dashboard's log")

    return work


def require_quota(token: str) -> None:
    """Raise IntakeRefusedError if the token has used up its quota for this minute."""
    owner = process_lock.current_owner()
    limits = limits_in_force(owner.home).limits.of_token(token)
    wait, quota = owner.quotas.seconds_to_wait(token, limits)
    if wait:
        error = f"the token's quota of {getattr(limits, quota):,} {quota.replace('_', ' ')} is used up"
        attempt = f"Wait as Retry-After says, send several records in a request, or raise {quota} in limits.toml"
        raise intake.IntakeRefusedError(429, error, attempt, {"Retry-After": str(math.ceil(wait))})


def query_parameters(request: Request, names: tuple[str, ...]) -> dict[str, str]:
    """The parameters of the query. Raises UsageError if one is unknown or repeated."""
    for name in request.query_params:
        if name not in names:
            raise UsageError(f"unknown parameter {name[:100]!r}", expected=", ".join(names))
        if len(request.query_params.getlist(name)) > 1:
            raise UsageError(f"repeated parameter {name!r}", attempt="Give it once")
    return dict(request.query_params)


def acting_store() -> "Store":
    """The store with the rights of the holder of the request's token."""
    return guarded_store(process_lock.current_store(), ACTING.get())


async def slowly(work: Callable[[], T]) -> T:
    """Run slow work in a thread, at most `AT_ONCE` at a time."""
    async with AT_ONCE:
        return await asyncio.to_thread(work)


async def status(request: Request) -> Response:
    """The response with the output of the command `status --json`."""
    from observability.core.json_values import json_plain

    query_parameters(request, ())
    return JSONResponse(json_plain(await asyncio.to_thread(lambda: health.store_status(acting_store()))))


async def findings(request: Request) -> Response:
    """The response with the output of the command `check --json`, for its parameters."""
    from observability.alerts.alert_log import acknowledged_claims
    from observability.core.json_values import json_plain
    from observability.core.time import instant_from_text
    from observability.core.window import Slice
    from observability.monitoring import check

    given = query_parameters(request, FINDING_PARAMETERS)
    store = acting_store()
    report = await slowly(
        lambda: check.check(
            store,
            acknowledged=acknowledged_claims(store, datetime.now(UTC)),
            model=given.get("model"),
            version=given.get("version"),
            start=instant_from_text(given.get("from"), "from"),
            end=instant_from_text(given.get("to"), "to"),
            as_of=instant_from_text(given.get("as_of"), "as_of"),
            slice=Slice.parse(given.get("slice")),
        )
    )
    return JSONResponse(json_plain([finding.to_json() for finding in report.findings_by_severity]))


async def prediction(request: Request) -> Response:
    """The response with the output of the command `case ID --json`."""
    from observability.core.time import instant_from_text

    given = query_parameters(request, CASE_PARAMETERS)
    store, as_of = acting_store(), instant_from_text(given.get("as_of"), "as_of")
    which = (request.path_params["id"], given.get("model"), given.get("version"), given.get("environment"))
    key = (store.home, store.generation, int(time.time() // 60), ACTING.get(), *which, as_of)
    body = await slowly(lambda: cached_case(*key))
    record = body.get("prediction") or {}
    about = {"model": record.get("model"), "prediction": which[0], "subject": record.get("subject")}
    await asyncio.to_thread(lambda: audit_log.note_access(store.home, ACTING.get().name, "saw", what="case", **about))
    return JSONResponse(body)


@lru_cache(maxsize=64)
def cached_case(
    _home: Path,
    _generation: int,
    _minute: int,
    _person: Person,
    name: str,
    model: str | None,
    version: str | None,
    environment: str | None,
    as_of: datetime | None,
) -> dict[str, Any]:
    """The evidence about a prediction at one state of the store. It is cached for at most a minute, and only until the next load."""
    from observability.investigation.case import case
    from observability.worker.process import warm_worker

    store = acting_store()
    found = case(store, name, model=model, version=version, environment=environment, as_of=as_of, worker=warm_worker())
    return found.to_json()


async def records(request: Request) -> Response:
    """Accept records of any kind."""
    return await accept_records(request, "any")


async def labels(request: Request) -> Response:
    """Accept labels. They need not state their kind."""
    return await accept_records(request, "label")


async def accept_records(request: Request, takes: intake.Takes) -> Response:
    """Validate each line, and write valid lines to disk before the response: 202, or 422 if every line is rejected."""
    with telemetry.POST_SECONDS.timed():
        return await respond_to_records(request, takes)


async def respond_to_records(request: Request, takes: intake.Takes) -> Response:
    """The response to a request whose body holds records."""
    query_parameters(request, ())
    token = str(request.state.token)
    taken = await take_body(request, lambda body, limits: intake.take_records(intake.record_lines(body), takes, token, limits))
    telemetry.ACCEPTED.add("labels" if takes == "label" else "records", taken.accepted)
    for reason, count in taken.reasons.items():
        telemetry.REJECTED.add(reason, count)
    if (dropped := request.headers.get(intake.DROPPED_HEADER, "")).isdecimal() and len(dropped) < 10:
        telemetry.CLIENT_DROPPED.add(token, int(dropped))
    answer: dict[str, Any] = {"accepted": taken.accepted, "rejected": taken.rejected}
    answer |= {"notes": list(taken.notes)} if taken.notes else {}
    if not taken.rejected or taken.accepted:
        return JSONResponse(answer, status_code=202)
    answer |= {"error": "every line is rejected", "try": "Mend what `rejected` names and send them again; see Records in the README"}
    return JSONResponse(answer, status_code=422)


async def take_body(request: Request, work: Callable[[bytes, IntakeLimits], T]) -> T:
    """Read a body within its limits, decompress it, and run `work` on it in a thread of the intake."""
    limits = limits_in_force(process_lock.current_owner().home).limits
    encoding = request.headers.get("content-encoding", "")
    async with BODIES_AT_ONCE:
        body = await intake.read_body(request, limits)

        def run() -> T:
            return work(intake.expanded_body(body, encoding, limits.expanded_bytes), limits)

        return await asyncio.get_running_loop().run_in_executor(INTAKE, copy_context().run, run)  # who acts


async def calls(request: Request) -> Response:
    """Do what a person requested at a process that can only read the store (owner_calls.py)."""
    query_parameters(request, ())
    limits = replace(limits_in_force(process_lock.current_owner().home).limits, body_bytes=owner_calls.MOST_BYTES)
    body, holder = await intake.read_body(request, limits), ACTING.get()
    return JSONResponse(await asyncio.to_thread(owner_calls.answer_call, process_lock.current_store(), holder, body))


async def model_server_events(request: Request) -> Response:
    """Accept requests and responses of model servers as CloudEvents: 202 once records and halves (a request or response alone) are on disk,
    422 if all are rejected.
    """
    mapping, headers = query_parameters(request, cloud_events.PARAMETERS), dict(request.headers)
    token = str(request.state.token)
    with telemetry.POST_SECONDS.timed():
        taken = await take_body(request, lambda body, limits: cloud_events.take_events(body, headers, mapping, token, limits))
    telemetry.ACCEPTED.add("cloudevents", taken.accepted)
    for _, reason, _ in taken.rejected:
        telemetry.REJECTED.add(reason)
    if not taken.rejected or taken.accepted or taken.waiting or taken.duplicates:
        return JSONResponse(taken.answer(), status_code=202)
    attempt = "Mend what `rejected` names; docs/sinks.md says which events are taken"
    return JSONResponse(taken.answer() | {"error": "every event is rejected", "try": attempt}, status_code=422)


async def lineage(request: Request) -> Response:
    """Take OpenLineage run events: 202 once the records are on disk, 422 if every event is rejected."""
    query_parameters(request, ())
    token = str(request.state.token)
    with telemetry.POST_SECONDS.timed():
        taken = await take_body(request, lambda body, limits: lineage_events.take_lineage_events(body, token, limits))
    telemetry.ACCEPTED.add("lineage", taken.accepted)
    for reason, count in taken.reasons.items():
        telemetry.REJECTED.add(reason, count)
    answer: dict[str, Any] = {"accepted": taken.accepted, "rejected": taken.rejected}
    if not taken.rejected or taken.accepted:
        return JSONResponse(answer, status_code=202)
    attempt = "Mend what `rejected` names; docs/lineage.md says which events are taken"
    return JSONResponse(answer | {"error": "every event is rejected", "try": attempt}, status_code=422)


async def traces(request: Request) -> Response:
    """Accept OTLP spans: 200 once the records are on disk. The response has the form that OTLP defines, and names the rejected spans."""
    query_parameters(request, ())
    encoding, token = otlp_traces.body_encoding(request.headers.get("content-type", "")), str(request.state.token)
    with telemetry.POST_SECONDS.timed():
        taken = await take_body(request, lambda body, limits: otlp_traces.take_spans(body, encoding, token, limits))
    telemetry.ACCEPTED.add("traces", taken.accepted)
    return Response(otlp_traces.export_response(taken, encoding), media_type=otlp_traces.MEDIA[encoding])


async def metrics(request: Request) -> Response:
    """The metrics in the OpenMetrics text format."""
    query_parameters(request, ())
    return Response(await asyncio.to_thread(open_metrics.open_metrics_text), media_type=open_metrics.MEDIA_TYPE)


async def unknown_address(_request: Request) -> Response:
    """The response for any other address."""
    return error_response(
        404,
        "unknown address",
        "Use /api/v1/records, labels, cloudevents, lineage, status, findings or predictions/ID, /v1/traces or /metrics",
    )


def routes_elsewhere(owner: str) -> list[BaseRoute]:
    """The routes of a process that only shows pages. They tell programs the address of the owner (the process that owns the store)."""

    async def elsewhere(_request: Request) -> Response:
        return error_response(421, "this process only shows pages", f"Send it to the owner of the store, {owner}")

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    paths = ("/api/{rest:path}", "/v1/{rest:path}", "/metrics", "/mcp")
    return [Route(path, elsewhere, methods=methods) for path in paths]


def routes() -> list[BaseRoute]:
    """All routes. Each accepts every method, so that a wrong method gets an error response too."""
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    found: list[tuple[str, str | None, tokens.Scope | None, Answer]] = [
        ("/api/v1/records", "POST", "write", records),
        ("/api/v1/labels", "POST", "write", labels),
        ("/api/v1/cloudevents", "POST", "write", model_server_events),
        ("/api/v1/lineage", "POST", "write", lineage),
        (owner_calls.ROUTE, "POST", "write", calls),
        ("/v1/traces", "POST", "write", traces),
        ("/api/v1/status", "GET", "read", status),
        ("/api/v1/findings", "GET", "read", findings),
        ("/api/v1/predictions/{id:path}", "GET", "read", prediction),
        ("/metrics", "GET", "read", metrics),
        ("/api/{rest:path}", None, None, unknown_address),
        ("/v1/{rest:path}", None, None, unknown_address),
    ]
    return [Route(path, guarded_handler(method, scope, answer), methods=methods) for path, method, scope, answer in found]
