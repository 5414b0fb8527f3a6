"""Read-only tools for assistants, with the Model Context Protocol. The command `mcp` offers them over stdio; the dashboard offers them over
HTTP at `/mcp`.

Each tool runs a command of the command line and returns its JSON. An assistant therefore gets the same results as everybody else, with the
rights of its user.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from observability.core.finding import INCIDENT_NEWS, LEADS, needs_action
from observability.core.metric_definitions import METRICS
from observability.core.version import VERSION

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer

RunCommand = Callable[[list[str]], Awaitable[tuple[int, str, str]]]
"""A function that runs one command line outside the event loop. It returns the exit code, the output, and the error."""

INSTRUCTIONS = """The health of machine-learning models: findings, incidents, single predictions, and SQL over the logged records.
A finding's `because` says it in one sentence; `severity` is act, watch, ok or unknown. Unknown means undecided for want of
data, not that all is well.
Times are UTC. Quote figures as they are given, with their interval."""


def assistant_server(run: RunCommand) -> "MCPServer[Any]":
    """The server with its tools. Raises ModuleNotFoundError if the package `mcp` is not installed."""
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.exceptions import ToolError
    from mcp.types import ToolAnnotations

    server: MCPServer[Any] = MCPServer("observability", instructions=INSTRUCTIONS, version=VERSION, log_level="ERROR")
    read_only = ToolAnnotations(read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False)

    async def answer(command: str, *arguments: str, **options: object) -> Any:
        """The JSON output of a command. Raises ToolError with the command's own message if the command fails."""
        line = [command, *(f"--{name}={value}" for name, value in options.items() if value is not None), "--json", "--", *arguments]
        code, out, error = await run(line if arguments else line[:-1])
        if code:
            raise ToolError(error or out)
        return json.loads(out)

    @server.tool(annotations=read_only)
    async def status() -> dict[str, Any]:
        """What the store holds: models with versions and numbers of predictions and labels, freshness, backlog, rejected lines."""
        return dict(await answer("status"))

    @server.tool(annotations=read_only)
    async def findings(
        model: str | None = None, start: str | None = None, end: str | None = None, slice_: str | None = None, include_ok: bool = False
    ) -> list[dict[str, Any]]:
        """What was found about one model, or about all models, worst first. start, end: as 2026-07-01 or 2026-07-01T06:00:00Z, end
        exclusive; by default the last 7 days with data. slice_: as region=north&tier=gold. include_ok: also return findings that are OK.
        """
        found = await answer("check", **{"model": model, "from": start, "to": end, "slice": slice_})
        return [finding for finding in found if include_ok or finding["severity"] != "ok"]

    @server.tool(annotations=read_only)
    async def incidents(model: str | None = None, start: str | None = None, end: str | None = None) -> list[dict[str, Any]]:
        """Findings grouped by the fault that they belong to, worst first, with the suspected source and the time of onset. Parameters as
        for `findings`.
        """
        return incident_list(await answer("check", **{"model": model, "from": start, "to": end}))

    @server.tool(annotations=read_only)
    async def case(id: str, model: str | None = None) -> dict[str, Any]:  # noqa: A002 - the record's field
        """The evidence about one prediction: inputs, explanation, label, similar errors, suspected source."""
        return dict(await answer("case", id, model=model))

    @server.tool(annotations=read_only)
    async def sql(query: str, limit: int = 200) -> list[dict[str, Any]]:
        """Rows of one SELECT over the documented views; it cannot write. `SELECT * FROM view_columns` lists the views and their columns."""
        return list(await answer("sql", query, limit=max(1, min(limit, 1000))))

    @server.tool(annotations=read_only)
    async def metrics() -> list[dict[str, Any]]:
        """Every metric: name, unit, meaning, source."""
        return [asdict(metric) for metric in METRICS.values()]

    return server


def incident_list(findings: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The incidents of findings that need action (`act`, `watch`), in the order of their first finding. Each has the sentence, onset and
    event of its leading finding, the severity and state of its worst finding, and all its findings, the leading one first.
    """
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for finding in findings:
        if finding["incident"] and needs_action(finding["severity"]):
            grouped.setdefault(finding["incident"], []).append(finding)
    return [listed_incident(incident, members) for incident, members in grouped.items()]


def listed_incident(incident: str, findings: list[Mapping[str, Any]]) -> dict[str, Any]:
    """One incident for `incident_list`. findings: all findings of the incident, worst first."""
    lead, *rest = sorted(findings, key=lambda finding: not finding["evidence"].get(LEADS))
    states = {finding["state"] for finding in findings}
    return {
        "incident": incident,
        "model": lead["model"],
        "severity": findings[0]["severity"],
        "state": "critical" if "critical" in states else findings[0]["state"],
        "news": lead["evidence"].get(INCIDENT_NEWS),
        **{name: lead[name] for name in ("because", "onset", "likely_source", "event")},
        "findings": [{name: member[name] for name in ("analyzer", "subject", "metric", "because")} for member in (lead, *rest)],
    }


class AssistantResponse(Response):
    """Answers one request of the protocol. No session is kept between requests."""

    def __init__(self, run: RunCommand) -> None:
        self.run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle this request with the protocol. Who sent it, and from which site, was checked before."""
        from mcp.server.transport_security import TransportSecuritySettings

        server = assistant_server(self.run)
        checked = TransportSecuritySettings(enable_dns_rebinding_protection=False)  # request_origin.py compares Host and Origin
        server.streamable_http_app(json_response=True, stateless_http=True, transport_security=checked)
        async with server.session_manager.run():
            await server.session_manager.handle_request(scope, receive, send)
