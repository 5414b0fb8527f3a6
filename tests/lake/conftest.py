"""An S3 server for all tests of sources, a bucket for each test, and a store on which commands run."""

import itertools
import json
from dataclasses import dataclass

import pytest

from observability.cli.execute import execute
from tests.support.lake_server import bucket_client, s3_server, set_environment
from tests.support.new_store import new_store

OPTIONS = ("--kind", "prediction", "--model", "loan", "--version", "1")
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3_environment():
    with s3_server() as environment:
        yield environment


@dataclass
class Bucket:
    """A bucket of the server."""

    name: str
    client: object

    def put(self, key, content):
        self.client.put_object(Bucket=self.name, Key=key, Body=content)


@pytest.fixture
def bucket(s3_environment, monkeypatch):
    set_environment(monkeypatch, s3_environment)
    client, name = bucket_client(s3_environment), f"lake-{next(_numbers)}"
    client.create_bucket(Bucket=name)
    return Bucket(name, client)


@pytest.fixture
def store(tmp_path):
    with new_store(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def load(store):
    """A function that loads sources with the command line. It returns the exit code with the JSON answer, or with the error if there is
    none.
    """

    def loaded(*argv, code=0, options=OPTIONS):
        done = execute(store, ["load", *map(str, argv), *options, "--json"], lambda _: None)
        assert done.exit_code == code, done
        return json.loads(done.out) if done.out else done.error

    return loaded
