"""A real S3 server on loopback (moto), and tables of predictions as written by other tools."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pyarrow as pa

from tests.support.ports import free_port

KEY, SECRET = "AKIDLAKETEST0000", "secret-of-the-lake-tests"


@contextlib.contextmanager
def s3_server() -> Iterator[dict[str, str]]:
    """Start an S3 server; yields the environment variables with which buckets are looked up on it."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 180
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < until, "the S3 server did not start"
                time.sleep(0.05)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.kill()
        server.wait()


def bucket_client(environment: dict[str, str]):
    """A client for the server, from Amazon's own library."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=KEY,
        aws_secret_access_key=SECRET,
    )


def predictions_table(first: int, rows: int, bad: int = 0) -> pa.Table:
    """Predictions with ids from `first` on; the first `bad` rows have no time."""
    numbers = range(first, first + rows)
    return pa.table(
        {
            "id": [f"p{i}" for i in numbers],
            "at": pa.array(
                [None if k < bad else 1_709_287_200_000_000 + i * 60_000_000 for k, i in enumerate(numbers)], pa.timestamp("us", "UTC")
            ),
            "age": [i % 90 for i in numbers],
            "job": ["abc"[i % 3] for i in numbers],
            "score": [(i % 100) / 100 for i in numbers],
        }
    )


def parquet_bytes(table: pa.Table, rows_a_group: int | None = None) -> bytes:
    """A table as a Parquet file."""
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=rows_a_group)
    return sink.getvalue().to_pybytes()


def set_environment(monkeypatch, environment: dict[str, str]) -> None:
    """Make this process use only this server and its credentials."""
    for name in [*os.environ]:
        if name.startswith(("AWS_", "GOOGLE_", "AZURE_")):
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
