"""Starts the compose file and uses the dashboard through its proxy: `python tests/packaging/compose_up.py [podman-compose]`.

Needs the images `observability` and `caddy:2`, and ports 80 and 443 of this machine. An administrator is added before the first start and
signs in over HTTPS; a record sent with a token is stored, and found again after a restart. Prints each step; exits 1 at the first step that
fails. Volumes are removed at the end.
"""

import json
import os
import re
import shlex
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

COMPOSE = Path(__file__).parents[2] / "docs" / "examples" / "containers" / "compose.yaml"
PASSWORD = "correct horse battery"
OUTSIDE = "import os, pathlib\nassert os.getuid() == 10001\ntry:\n    pathlib.Path('/opt/x').touch()\nexcept OSError as error:\n    print(error.strerror)"


def asked(address: str, headers: dict[str, str], body: bytes | None = None) -> tuple[int, str, bytes]:
    """Status, cookie and body of a request that follows no redirect. The certificate is the proxy's own, so it is not verified. The status
    is 0 if nobody answers.
    """

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_given: object) -> None:
            return None

    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        opener = urllib.request.build_opener(Stay, urllib.request.HTTPSHandler(context=context))
        with opener.open(urllib.request.Request(address, body, headers), timeout=60) as answer:
            return answer.status, answer.headers.get("Set-Cookie", ""), answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers.get("Set-Cookie", ""), error.read()
    except OSError:
        return 0, "", b""


def wait_for(address: str, headers: dict[str, str], status: int) -> bytes:
    """The body of an address, once it answers with this status within five minutes."""
    until = time.monotonic() + 300
    while (found := asked(address, headers))[0] != status:
        assert time.monotonic() < until, found
        time.sleep(1)  # between two questions
    return found[2]


def main(compose: list[str]) -> None:
    """Start, use, restart and stop the compose file."""

    def run(*words: str, given: str | None = None) -> str:
        done = subprocess.run(
            [*compose, "-p", "doors", "-f", str(COMPOSE), *words],
            env=os.environ | {"ADDRESS": "localhost"}, input=given, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return done.stdout

    def look_after(stopping: threading.Event) -> None:
        while not stopping.wait(5):
            subprocess.run(["podman", "healthcheck", "run", "doors_dashboard_1"], capture_output=True, check=False)

    stopping = threading.Event()
    threading.Thread(target=look_after, args=(stopping,), daemon=True).start()  # podman leaves this to systemd, which is not everywhere
    page, here = {"Accept": "text/html"}, "https://localhost"
    try:
        run("run", "--rm", "-T", "dashboard", "account", "add", "ada", "--role", "administrator", given=f"{PASSWORD}\n")
        print("an administrator is added before the first start", flush=True)
        run("up", "-d", "--no-build")
        wait_for(f"{here}/", page, 303)
        assert asked("http://localhost/", page)[0] in (301, 302, 308)
        print("up: strangers are sent to the sign-in, plain HTTP to HTTPS", flush=True)
        form = urllib.parse.urlencode({"name": "ada", "password": PASSWORD}).encode()
        status, cookie, _ = asked(f"{here}/sign-in", {"Origin": here}, form)
        assert status == 303 and "Secure" in cookie, (status, cookie)
        assert asked(f"{here}/", page | {"Cookie": cookie.split(";")[0]})[0] == 200
        print("the administrator signs in and gets the first page", flush=True)
        tokens = {
            scope: re.findall(r"obs_\S+", run("exec", "-T", "dashboard", "observability", "token", "create", "--scope", scope))[0]
            for scope in ("write", "read")
        }
        now = datetime.now(UTC).isoformat()
        record = {"kind": "prediction", "id": "a1", "at": now, "model": "loan", "version": "1", "features": {"age": 41}, "score": 0.62}
        assert asked(f"{here}/api/v1/records", {"Authorization": f"Bearer {tokens['write']}"}, json.dumps(record).encode())[0] == 202
        read = {"Authorization": f"Bearer {tokens['read']}"}
        wait_for(f"{here}/api/v1/predictions/a1", read, 200)
        print("a record with a token is stored", flush=True)
        assert "Read-only file system" in run("exec", "-T", "dashboard", "python3", "-c", OUTSIDE)
        run("restart", "dashboard")
        case = json.loads(wait_for(f"{here}/api/v1/predictions/a1", read, 200))
        assert case["prediction"]["score"] == 0.62
        print("after a restart the record is there; the root file system is read-only, the user 10001", flush=True)
    finally:
        stopping.set()
        run("down", "-v")


if __name__ == "__main__":
    main(shlex.split(sys.argv[1]) if len(sys.argv) > 1 else ["podman-compose"])
