"""A container of Azure, on Azurite (npm's azurite) where it is installed: named by AZURITE, or `azurite-blob` on the path."""

import base64
import contextlib
import hashlib
import hmac
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from datetime import UTC, datetime

import pytest

from tests.support.lake_server import free_port, parquet_bytes, predictions_table, set_environment

AZURITE = os.environ.get("AZURITE") or shutil.which("azurite-blob")
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that Azurite's documentation publishes; it opens nothing else."""


@pytest.fixture
def container(tmp_path, monkeypatch):
    """An empty container `logs` on a server of this machine, which the environment names."""
    if not AZURITE:
        pytest.skip("azurite is not installed (npm install azurite)")
    port = free_port()
    command = [AZURITE, "--silent", "--location", str(tmp_path / "azurite"), "--blobPort", str(port), "--skipApiVersionCheck"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None and time.monotonic() < until, "azurite did not start"
            time.sleep(0.2)
        now = f"{datetime.now(UTC):%a, %d %b %Y %H:%M:%S} GMT"
        signed = "PUT" + "\n" * 12 + f"x-ms-date:{now}\nx-ms-version:2023-11-03\n/{ACCOUNT}/{ACCOUNT}/logs\nrestype:container"
        signature = base64.b64encode(hmac.new(base64.b64decode(KEY), signed.encode(), hashlib.sha256).digest()).decode()
        headers = {"x-ms-date": now, "x-ms-version": "2023-11-03", "Authorization": f"SharedKey {ACCOUNT}:{signature}"}
        url = f"http://127.0.0.1:{port}/{ACCOUNT}/logs?restype=container"
        assert urllib.request.urlopen(urllib.request.Request(url, method="PUT", headers=headers)).status == 201
        endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        set_environment(
            monkeypatch, {"AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT, "AZURE_STORAGE_ACCOUNT_KEY": KEY, "AZURE_STORAGE_ENDPOINT": endpoint}
        )
        from obstore import put, store

        yield lambda name, content: put(store.from_url("az://logs", client_options={"allow_http": True}), name, content)
    finally:
        server.terminate()
        server.wait()


def test_a_container_is_loaded_once_and_then_what_is_new(container, store, load):
    container("loans/day=1/a.parquet", parquet_bytes(predictions_table(0, 50, bad=2)))
    first = load("az://logs/loans")
    assert (first["lines"], first["stored"], first["rejected"]) == (50, 48, 2)
    container("loans/day=2/a.parquet", parquet_bytes(predictions_table(50, 10)))
    again = load("az://logs/loans")
    assert (again["lines"], again["sources"][0]["present"]) == (10, 1)
    container("loans/day=2/a.parquet", parquet_bytes(predictions_table(50, 11)))
    assert load("az://logs/loans")["sources"][0]["rewritten"] == 1
    assert "there is nothing at this address" in load("az://none/loans", code=2)
    assert all(KEY.encode() not in path.read_bytes() for path in store.home.rglob("*") if path.is_file())
