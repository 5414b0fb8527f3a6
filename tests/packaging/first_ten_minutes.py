"""From the wheel to a model of one's own with sign-in, and a service that logs over HTTP from another process, step by step.

`python tests/packaging/first_ten_minutes.py WHEEL [PYTHON]`

Does what the README says, in clean environments: one with the extras `dashboard` and `auth`, and one with only the SDK for the service.
Prints the seconds of each step; exits 1 at the first step that fails. `make test` does not run it, because the first step downloads every
package unless pip has it in its cache.
"""

import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from tests.support.clean_environment import installed, must
from tests.support.held_out import write_held_out
from tests.support.ports import free_port

TRIED = ("-c", ROOT / "constraints.txt")
"""The versions that are tested together."""
NAME, PASSWORD = "ada", "correct horse battery"
ANSWERS = 200
SERVICE = f"""
import importlib.util, os, random
import observability as obs
assert importlib.util.find_spec("duckdb") is None, "the service has the SDK alone"
log, dice = obs.Logger(url=os.environ["COLLECTOR"], token=os.environ["TOKEN"]), random.Random(2)
for place in range({ANSWERS}):
    features = {{"age": dice.randint(18, 80), "income": dice.randint(20_000, 90_000), "sex": dice.choice("FM")}}
    log.prediction(id=f"a{{place}}", model="loan", version="3", features=features, score=dice.random())
    log.label(id=f"a{{place}}", model="loan", value=dice.randint(0, 1))
log.close()
assert log.dropped == 0, log.last_error
"""


@contextmanager
def timed(step: str, seconds: dict[str, float]) -> Iterator[None]:
    """Measure how long a step takes, and print it."""
    began = time.monotonic()
    yield
    seconds[step] = time.monotonic() - began
    print(f"{seconds[step]:7.1f} s  {step}", flush=True)


def status_of(address: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> tuple[int, str | None, bytes]:
    """Status, cookie and body of one request that follows no redirect; 0 if nobody answers."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_given: object) -> None:
            return None

    try:
        with urllib.request.build_opener(Stay).open(urllib.request.Request(address, body, headers or {}), timeout=60) as answer:
            return answer.status, answer.headers.get("Set-Cookie"), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Set-Cookie"), error.read()
    except OSError:
        return 0, None, b""


def wait_for(address: str, headers: dict[str, str], server: subprocess.Popen[bytes], log: Path) -> bytes:
    """The body of an address, once it answers with 200 within four minutes."""
    until = time.monotonic() + 240
    while (found := status_of(address, headers))[0] != 200:
        if server.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"{address} answers {found[0]}\n{log.read_text()[-4000:]}")
        time.sleep(0.2)  # between two questions
    return found[2]


def main(wheel: Path, python: str) -> None:
    """Run every step in a temporary folder."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("\\\n", " ")
    [register] = re.findall(r"^ *python -m observability (register .*)$", readme, re.MULTILINE)
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        home, log = {"OBSERVABILITY_HOME": str(folder / "home")}, folder / "server.log"
        write_held_out(folder / "held_out.csv")
        with timed("install the dashboard with sign-in", seconds):
            made = installed(python, folder, "dashboard", *TRIED, f"observability-dashboard[dashboard,auth] @ {wheel.as_uri()}")
        observability = [made, "-m", "observability"]
        with timed("register a model version", seconds):
            must([*observability, *shlex.split(register)], folder, **home)
        with timed("add an administrator", seconds):
            must([*observability, "account", "add", NAME, "--role", "administrator"], folder, f"{PASSWORD}\n", **home)
        port = free_port()
        url = f"http://localhost:{port}"
        env = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "OBSERVABILITY"))} | home
        with log.open("wb") as output:
            server = subprocess.Popen(
                [*map(str, observability), "serve", "--port", str(port)], cwd=folder, env=env, stdout=output, stderr=output
            )
        try:
            with timed("start the dashboard until it is ready", seconds):
                wait_for(f"{url}/readyz", {}, server, log)
            with timed("create two tokens", seconds):
                write, read = (
                    re.findall(r"obs_\S+", must([*observability, "token", "create", "--scope", scope], folder, **home))[0]
                    for scope in ("write", "read")
                )
            with timed("install the SDK alone, for the service", seconds):
                service = installed(python, folder, "service", wheel)
            with timed(f"log {ANSWERS} predictions and labels from the service", seconds):
                must([service, "-c", SERVICE], folder, COLLECTOR=url, TOKEN=write, OBSERVABILITY_HOME=str(folder / "spool"))
            with timed("find the last one in the store", seconds):
                asked = f"{url}/api/v1/predictions/a{ANSWERS - 1}"
                case = json.loads(wait_for(asked, {"Authorization": f"Bearer {read}"}, server, log))
                assert case["prediction"]["model"] == "loan", case
            with timed("sign in and open the first page", seconds):
                assert status_of(f"{url}/", {"Accept": "text/html"})[0] == 303, "a page was shown without sign-in"
                form = urllib.parse.urlencode({"name": NAME, "password": PASSWORD}).encode()
                answered, cookie, _ = status_of(f"{url}/sign-in", {"Origin": url}, form)
                assert answered == 303 and cookie, f"the sign-in answers {answered}"
                assert status_of(f"{url}/", {"Accept": "text/html", "Cookie": cookie.split(";")[0]})[0] == 200, (
                    "no page was shown after sign-in"
                )
            with timed("check the model", seconds):
                found = json.loads(must([*observability, "check", "--model", "loan", "--json"], folder, **home))
                assert found and {each["model"] for each in found} == {"loan"}, found
        finally:
            server.terminate()
            server.wait(timeout=60)
    print(
        f"{sum(seconds.values()):7.1f} s  in all, Python {must([python, '--version'], ROOT).split()[1]}; {len(found)} findings about the model"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), sys.argv[2] if len(sys.argv) > 2 else sys.executable)
