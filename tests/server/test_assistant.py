"""Assistants get the same answers as the command line, read-only and with the rights of their token; the tests ask with the official
client.
"""

import asyncio
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from starlette.applications import Starlette
from starlette.routing import Route

from observability.cli import execute
from observability.cli.outcome import Outcome
from observability.core.finding import LEADS, SEVERITIES, Finding, iso
from observability.dashboard import application
from observability.incidents.grouping import group_findings
from observability.server import api, process_lock, tokens
from observability.server.assistant import incident_list
from observability.store.opener import open_store
from tests.support.case_world import build as build_cases
from tests.support.commanding import Command
from tests.support.http_routes import ask_routes
from tests.support.new_store import new_store
from tests.support.sample_home import ROOT, copied, environment

TOOLS = {"status", "findings", "incidents", "case", "sql", "metrics"}


@pytest.fixture(scope="module")
def case_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the world of cases, closed."""
    world = build_cases(tmp_path_factory.mktemp("assistant"))
    world.store.close()
    return world.home


def over_http(token: str, ask: Callable[[Client], Awaitable[None]]) -> None:
    """Ask over the HTTP route, without a port."""
    app = Starlette(
        routes=[Route("/mcp", api.guarded_handler("POST", "read", application.answer_assistant), methods=["GET", "POST", "DELETE"])]
    )

    async def work() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), headers=headers) as http:
            async with Client(streamable_http_client("http://localhost/mcp", http_client=http)) as client:
                await ask(client)

    anyio.run(work)


async def tool_answer(client: Client, name: str, **arguments: object) -> Any:
    """The answer of a tool: its JSON, or the message of its error."""
    done = await client.call_tool(name, arguments)
    if done.is_error:
        return done.content[0].text
    return done.structured_content.get("result", done.structured_content)


def test_over_stdio_each_tool_gives_the_answer_of_its_command(case_home: Path, command: Command, tmp_path: Path) -> None:
    home = copied(case_home, tmp_path / "home")
    expected = {
        "status": [(model["model"], model["predictions"]) for model in command(home, "status", "--json").json()["models"]],
        "findings": command(home, "check", "--model", "loan", "--json").json(),
        "case": command(home, "case", "loan-100", "--model", "loan", "--json").json(),
        "metrics": command(home, "metrics", "--json").json(),
    }
    query = 'SELECT count(*) AS n FROM "loan.predictions"'
    expected["sql"] = command(home, "sql", query, "--json").json()

    async def work() -> None:
        server = StdioServerParameters(
            command=sys.executable, args=["-m", "observability", "mcp"], env=environment(home) | {"PYTHONPATH": str(ROOT)}
        )
        async with Client(server) as client:
            listed = (await client.list_tools()).tools
            assert {tool.name for tool in listed} == TOOLS
            assert all(tool.annotations.read_only_hint and tool.description for tool in listed)
            models = (await tool_answer(client, "status"))["models"]
            assert [(model["model"], model["predictions"]) for model in models] == expected["status"]
            found = await tool_answer(client, "findings", model="loan", include_ok=True)
            assert [each["id"] for each in found] == [each["id"] for each in expected["findings"]]
            evidence = await tool_answer(client, "case", id="loan-100", model="loan")
            assert evidence["prediction"] == expected["case"]["prediction"] and evidence["triage"] == expected["case"]["triage"]
            assert await tool_answer(client, "sql", query=query) == expected["sql"]
            assert await tool_answer(client, "metrics") == expected["metrics"]
            assert "nobody" in await tool_answer(client, "findings", model="nobody")
            assert "SELECT" in await tool_answer(client, "sql", query="DROP TABLE models")
            assert await tool_answer(client, "case", id="--help") != ""

    anyio.run(work)


def test_over_http_an_assistant_has_only_the_rights_of_its_token(case_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = copied(case_home, tmp_path / "home")
    with open_store(home, threads=2) as store:
        monkeypatch.setattr(process_lock, "_current", process_lock.Owner(home, process_lock.Lock(-1), store))
        seen: list[Any] = []

        async def ask(client: Client) -> None:
            seen.append({model["model"] for model in (await tool_answer(client, "status"))["models"]})
            seen.append(await tool_answer(client, "case", id="loan-100", model="loan"))
            seen.append(await tool_answer(client, "sql", query="SELECT 1 AS one"))

        over_http(tokens.create_token(home, "read")[1], ask)
        assert {"loan", "price"} <= seen[0] and seen[1]["prediction"]["id"] == "loan-100" and seen[2] == [{"one": 1}]
        seen.clear()
        over_http(tokens.create_token(home, "read", models=("price",))[1], ask)
        assert seen[0] == {"price"} and isinstance(seen[1], str) and isinstance(seen[2], str)
        route = Route("/mcp", api.guarded_handler("POST", "read", application.answer_assistant), methods=["POST"])
        for wrong, status in (("", 401), ("x", 401), (tokens.create_token(home, "write")[1], 403)):
            assert ask_routes([route], "POST", "/mcp", wrong, b"{}").status == status


def test_findings_of_one_fault_are_one_incident() -> None:
    def finding(incident: str | None, severity: str, because: str) -> dict[str, Any]:
        names = ("model", "state", "news", "onset", "likely_source", "event", "analyzer", "subject", "metric")
        return {**dict.fromkeys(names), "evidence": {}, "incident": incident, "severity": severity, "because": because}

    found = [
        finding("a", "act", "one"),
        finding("b", "watch", "two"),
        finding("a", "watch", "three"),
        finding(None, "act", "four"),
        finding("c", "ok", "five"),
    ]
    listed = incident_list(found)
    assert [each["incident"] for each in listed] == ["a", "b"]
    assert [each["because"] for each in listed[0]["findings"]] == ["one", "three"]
    assert listed[0]["because"] == "one"


def test_an_incident_of_an_assistant_has_the_lead_of_the_incident() -> None:
    """A warning about an input leads the incident, because it is nearest to the source; the critical fall of the accuracy follows."""
    at = datetime(2026, 7, 6, tzinfo=UTC)
    base = Finding(
        "serving/drift", "m", "1", "age", "psi", 0.2, 900, "watch", "`age` moved.", at, at + timedelta(days=7), "reference",
        onset=at + timedelta(days=2),
    )  # fmt: skip
    fall = replace(
        base, analyzer="serving/performance", subject="model", metric="accuracy", severity="act", because="Accuracy fell.",
        onset=at + timedelta(days=3), rank=9.0, evidence={"primary": True},
    )  # fmt: skip
    found, (incident,) = group_findings([base, fall])
    worst = sorted(found, key=lambda finding: SEVERITIES.index(finding.severity))
    assert incident.lead.subject == "age" and worst[0].subject == "model"  # the command lists the worst finding first
    (listed,) = incident_list([finding.to_json() for finding in worst])
    assert (listed["because"], listed["onset"]) == ("`age` moved.", iso(at + timedelta(days=2)))
    assert (listed["severity"], listed["state"]) == ("act", "critical")
    assert [each["subject"] for each in listed["findings"]] == ["age", "model"]
    ended, _ = group_findings([replace(each, severity="ok") if each.subject == "age" else each for each in found])
    assert [each.subject for each in ended if each.needs_action and each.evidence.get(LEADS)] == ["model"]


def test_commands_of_assistants_share_the_limit_of_slow_requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[int] = []
    peak: list[int] = []
    pair = threading.Barrier(2)  # two questions are answered at a time

    def slow(_store: object, _argv: list[str], _say: object, _person: object) -> Outcome:
        running.append(1)
        peak.append(len(running))
        pair.wait(60)
        time.sleep(0.05)  # long enough for other questions to start if they were allowed
        running.pop()
        return Outcome(out="{}")

    async def ask(client: Client) -> None:
        async with anyio.create_task_group() as group:
            for _ in range(6):
                group.start_soon(tool_answer, client, "status")

    with new_store(tmp_path / "home", threads=1) as store:
        monkeypatch.setattr(process_lock, "_current", process_lock.Owner(store.home, process_lock.Lock(-1), store))
        monkeypatch.setattr(execute, "execute", slow)
        monkeypatch.setattr(api, "AT_ONCE", asyncio.Semaphore(2))
        over_http(tokens.create_token(store.home, "read")[1], ask)
    assert len(peak) == 6 and max(peak) == 2
