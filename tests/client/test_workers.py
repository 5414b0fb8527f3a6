"""Services with two workers under a light load: every answer is logged once, and the latency that logging adds is printed.

`pytest -s tests/client/test_workers.py` prints it. Each service answers each request with and without logging, in turn. One service under
uvicorn and one under gunicorn --preload send to a collector (`Logger(url=…)`); the others write to a home.
"""

import contextlib
import http.client
import importlib.util
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.client.conftest import read_records
from tests.support.collector import Collector
from tests.support.length import some
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
BOTH_ASGI = """
from {module} import {bare} as bare, app as logged


async def app(scope, receive, send):
    is_bare = scope["type"] == "http" and (b"x-bare", b"1") in scope["headers"]
    await (bare if is_bare or scope["type"] == "lifespan" else logged)(scope, receive, send)
"""
BOTH_WSGI = """
from {module} import {bare} as bare, app as logged


def app(environ, start_response):
    return (bare if environ.get("HTTP_X_BARE") else logged)(environ, start_response)
"""
CLIENTS, REQUESTS = 2, 100
SLACK_MS = 5.0
"""Milliseconds that logging may add to the fastest answer here, while other tests run. The 99th percentile is only printed; bench_remote.py
measures it on an idle machine.
"""


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Collector]:
    """A collector that is not started."""
    made = Collector(tmp_path / "collector")
    yield made
    made.kill()


def one_row(place: int) -> tuple[str, Any]:
    """Path and body of a request in the form of the /score services."""
    return "/score", {"id": f"r{place}", "age": place % 90}


def predictor_rows(place: int) -> tuple[str, Any]:
    """Path and body of a request, alternating between V1 and V2."""
    if place % 2:
        return "/v1/models/loan:predict", {"id": f"r{place}", "instances": [{"age": place % 90}]}
    tensor = {"name": "age", "shape": [1, 1], "datatype": "FP64", "data": [place % 90]}
    return "/v2/models/loan/infer", {"id": f"r{place}", "inputs": [tensor]}


@dataclass(frozen=True)
class Service:
    """An example service. bare: its application without logging. server: gunicorn (WSGI) or uvicorn (ASGI); preload: whether the
    application is loaded before the workers fork. sends: whether it sends records to a collector.
    """

    module: str
    bare: str
    server: str
    needs: str
    request: Callable[[int], tuple[str, Any]] = one_row
    preload: bool = False
    sends: bool = False

    def command(self, port: int) -> list[str]:
        """The command that starts the service."""
        if self.server == "uvicorn":
            return [sys.executable, "-m", "uvicorn", "both:app", "--workers", "2", "--port", str(port), "--log-level", "error"]
        preload = ["--preload"] if self.preload else []
        return [
            sys.executable,
            "-m",
            "gunicorn",
            "both:app",
            "--workers",
            "2",
            "--bind",
            f"127.0.0.1:{port}",
            "--log-level",
            "error",
            *preload,
        ]


SERVICES = (
    Service("fastapi_service", "api", "uvicorn", "fastapi"),
    Service("kserve_predictor", "predictor", "uvicorn", "starlette", predictor_rows, sends=True),
    Service("django_service", "application", "gunicorn", "django"),
    Service("flask_service", "unlogged", "gunicorn", "flask", preload=True, sends=True),
)


def ask_service(port: int, service: Service, first: int, seconds: dict[bool, list[float]]) -> None:
    """Send each request twice in turn, without logging and with it. Append the duration of each answer."""
    for place in range(first, first + REQUESTS):
        path, body = service.request(place)
        for logged in (False, True) if place % 2 else (True, False):
            headers = {"Content-Type": "application/json"} | ({} if logged else {"X-Bare": "1"})
            began = time.perf_counter()
            with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
                connection.request("POST", path, json.dumps(body), headers)
                answer = connection.getresponse()
                read = answer.read()
            seconds[logged].append(time.perf_counter() - began)
            assert answer.status == 200, read


def answer_times(port: int, service: Service) -> tuple[list[float], list[float]]:
    """Sorted answer times in ms without logging and with it, from clients that send requests at the same time."""
    seconds: dict[bool, list[float]] = {False: [], True: []}
    clients = [threading.Thread(target=ask_service, args=(port, service, place * REQUESTS, seconds)) for place in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    bare, logged = (sorted(1000 * each for each in seconds[which]) for which in (False, True))
    assert len(bare) == len(logged) == CLIENTS * REQUESTS
    return bare, logged


@pytest.mark.parametrize("service", some(reversed(SERVICES), 1), ids=lambda service: service.module)
def test_a_service_of_two_workers_logs_each_answer_once(service: Service, tmp_path: Path, collector: Collector) -> None:
    for package in (service.needs, service.server):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
    (tmp_path / "both.py").write_text(
        (BOTH_ASGI if service.server == "uvicorn" else BOTH_WSGI).format(module=service.module, bare=service.bare)
    )
    port = free_port()
    home = tmp_path / "home"
    paths = os.pathsep.join(map(str, (ROOT, ROOT / "docs" / "examples", tmp_path)))
    environment = {name: value for name, value in os.environ.items() if name not in ("COLLECTOR", "OBSERVABILITY_LOCK_FD")}
    environment |= {"OBSERVABILITY_HOME": str(home), "PYTHONPATH": paths}
    if service.sends:
        collector.start()
        environment |= {"COLLECTOR": collector.url, "OBSERVABILITY_TOKEN": collector.token}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(service.command(port), env=environment, cwd=tmp_path, stdout=log, stderr=log)
    try:
        end = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert server.poll() is None and time.monotonic() < end, (tmp_path / "server.log").read_text()
            time.sleep(0.05)
        bare, logged = answer_times(port, service)
        p99, added = int(0.99 * len(bare)), statistics.median(logged) - statistics.median(bare)
        print(
            f"{service.module}: median {statistics.median(bare):.2f} ms, with logging {added:+.2f} ms; "
            f"p99 {bare[p99]:.1f} ms, with logging {logged[p99] - bare[p99]:+.1f} ms"
        )
        while time.monotonic() < end and (list(home.rglob("*.jsonl")) if service.sends else len(read_records(home)) < CLIENTS * REQUESTS):
            time.sleep(0.05)
    finally:
        server.terminate()
        server.wait(timeout=120)
    if service.sends:
        collector.kill()
    records = read_records(home)
    ids = collector.stored_ids() if service.sends else [record["id"] for record in records]
    assert sorted(name.removesuffix("-0") for name in ids) == sorted(f"r{place}" for place in range(CLIENTS * REQUESTS))
    logged_values = {(record["features"]["age"], record["score"]) for record in records}
    assert logged_values == (set() if service.sends else {(age, age * 0.01) for age in range(90)})
    assert logged[0] - bare[0] < SLACK_MS, "the fastest answers are compared, because slower ones may have waited for the machine"
