"""Random requests never get a 5xx, and nothing of a refused request is stored. The long form, over a port, is
tests/benchmarks/bench_fuzz.py.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette

from observability.dashboard import application
from observability.server import process_lock, tokens
from observability.store.duck_store import DuckStore
from observability.store.opener import open_store
from tests.support.asgi import Reply, http
from tests.support.fuzz_requests import Fuzz, FuzzRequest, paths_of

REQUESTS = 400


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DuckStore]:
    """The store of a new home, owned by this process; it loads nothing by itself."""
    monkeypatch.setenv("OBSERVABILITY_HOME", str(tmp_path))
    monkeypatch.setattr(application, "server_port", lambda: 8501)
    store = open_store(tmp_path, threads=2)
    owner = process_lock.Owner(tmp_path, process_lock.Lock(-1), store)
    monkeypatch.setattr(process_lock, "_current", owner)
    yield store
    owner.waiting.close()
    store.close()


def reply_to(app: Starlette, request: FuzzRequest) -> Reply:
    """The reply of the application to a request, passed to it as by a server."""
    path, _, query = request.target.partition("?")
    headers: dict[str, str] = {}
    for name, value in request.headers:
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if request.length is not None:
        headers["content-length"] = request.length
    target = unquote(path, errors="replace") + (f"?{query}" if query else "")
    return http(app, request.method, target.replace("\ud800", "?"), headers, request.body, host=headers.get("host", ""))


def test_random_requests_get_no_5xx_and_nothing_of_a_refused_one_is_written(store: DuckStore) -> None:
    parts, owner = application.app_parts(), process_lock.current_owner()
    app = Starlette(routes=parts["routes"], middleware=parts["middleware"])
    known = {scope: tokens.create_token(store.home, scope)[1] for scope in ("read", "write")} | {"owner": owner.token}
    accepted: Counter[str] = Counter()
    statuses: Counter[int] = Counter()
    broken: list[str] = []
    for request in Fuzz(seed=19, paths=paths_of(parts["routes"]), tokens=known).requests(REQUESTS):
        try:
            reply = reply_to(app, request)
        except Exception as error:  # a server would turn this exception into a 500
            broken.append(f"{type(error).__name__} {error}: {request.described()}")
            continue
        statuses[reply.status] += 1
        if not 200 <= reply.status < 500:
            broken.append(f"{reply.status} {reply.body[:200]!r}: {request.described()}")
        if reply.status == 202 and request.path in ("/api/v1/records", "/api/v1/labels"):
            accepted[request.mark] = json.loads(reply.body)["accepted"]
    assert not broken, "\n".join(broken)
    assert len(statuses) > 10 and sum(accepted.values()) > 50, (statuses, accepted)
    owner.records.publish()
    lines = [line for path in (store.landing / "ready").glob("*.jsonl") for line in path.read_bytes().splitlines()]
    written = Counter(found[0].decode() for line in lines if (found := re.search(rb"fz\d+z(?=-\d)", line)))
    assert {mark: count for mark, count in written.items() if count > accepted[mark]} == {}
    different = {json.dumps({**json.loads(line), "received_at": None}, sort_keys=True) for line in lines}  # two people may skip one item
    report = store.load_landing()
    assert (report.stored, report.duplicates, report.rejected) == (len(different), len(lines) - len(different), 0), report


def test_a_query_that_is_no_text_and_a_command_nested_too_deeply_are_refused(store: DuckStore) -> None:
    parts, owner = application.app_parts(), process_lock.current_owner()
    app = Starlette(routes=parts["routes"], middleware=parts["middleware"])
    assert http(app, "GET", "/serving/drift?model=\u00e9").status == 400
    deep = b'{"argv":' + b"[" * 100_000
    assert http(app, "POST", "/_owner/command", {"authorization": f"Bearer {owner.token}"}, deep).status == 400
