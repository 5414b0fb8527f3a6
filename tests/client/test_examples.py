"""Each example service starts, answers, and logs its answers."""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.client.conftest import read_records
from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*_service.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_each_example_service_logs_its_answers(example: Path, tmp_path: Path) -> None:
    framework = example.stem.removesuffix("_service")
    if framework != "wsgi" and importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    port = free_port()
    environment = {**os.environ, "OBSERVABILITY_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment.pop("COLLECTOR", None)
    service = subprocess.Popen([sys.executable, str(example), str(port)], env=environment, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 180
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            assert service.poll() is None, "the service ended"
            time.sleep(0.05)
        for body in ({"age": 20}, [{"age": 30}, {"age": 40}]):
            request = urllib.request.Request(
                f"http://127.0.0.1:{port}/score", json.dumps(body).encode(), {"Content-Type": "application/json"}
            )
            with urllib.request.urlopen(request, timeout=30) as answer:
                assert json.load(answer)
        while len(read_records(tmp_path)) < 3 and time.monotonic() < end:
            time.sleep(0.02)
    finally:
        service.kill()
        service.wait()
    assert sorted((record["features"]["age"], record["score"]) for record in read_records(tmp_path)) == [(20, 0.2), (30, 0.3), (40, 0.4)]
