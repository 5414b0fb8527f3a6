"""How many events per second does `POST /api/v1/records` acknowledge, each synced to disk, compared with one sync for each POST?

`python tests/benchmarks/bench_http.py [seconds] [connections] [batch]` starts the HTTP routes with their loader in one process, and posts
batches from another: first with group commit, then with a separate segment and sync for each POST. It prints events/s, their ratio, POSTs
per sync, and the median and p99 of a POST in ms, and checks that each acknowledged record is stored once.
"""

import contextlib
import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
FEATURES = {f"feature_{i:02d}": i * 1.2345 for i in range(10)}


def serve(home: str, port: int, way: str) -> None:
    """Serve the HTTP routes and run the loader over a home until SIGTERM; then print the number of syncs."""
    import uvicorn
    from starlette.applications import Starlette

    from observability.client.spool import Spool
    from observability.server import api, process_lock

    owner = process_lock.own_home(Path(home))
    syncs = 0

    def commit_alone(lines: bytes, count: int) -> None:
        nonlocal syncs
        spool = Spool(owner.store.landing, fsync="always")
        assert spool.append(lines, count)
        spool.flush()
        syncs += 1

    if way == "alone":
        owner.records.commit = commit_alone  # type: ignore[method-assign]
    signal.signal(signal.SIGTERM, lambda *_: None)  # the server restores this handler and raises the signal again
    owner.start_loader()
    uvicorn.run(Starlette(routes=api.routes()), host="127.0.0.1", port=port, log_level="error")
    print(syncs or owner.records.groups, flush=True)
    owner.close()


def post_batches(port: int, token: str, end: float, name: str, batch: int, times: list[float]) -> None:
    """Post batches over one connection until the time is over."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    number = 0
    while time.monotonic() < end:
        lines = [
            {"kind": "prediction", "id": f"{name}-{number}-{i}", "at": "2026-11-01T00:00:00Z", "model": "m", "version": "1", "score": 0.5}
            | {"features": FEATURES}
            for i in range(batch)
        ]
        body = "\n".join(map(json.dumps, lines))
        start = time.perf_counter()
        connection.request("POST", "/api/v1/records", body=body, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        times.append(time.perf_counter() - start)
        assert (answer.status, told["accepted"]) == (202, batch), (answer.status, told)
        number += 1


def measured(way: str, seconds: float, connections: int, batch: int) -> float:
    """Events/s with group commit or with a sync for each POST."""
    from observability.server import tokens

    with tempfile.TemporaryDirectory() as home, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        token = tokens.create_token(Path(home), "write")[1]
        server = subprocess.Popen([sys.executable, __file__, "--serve", home, str(port), way], stdout=subprocess.PIPE, text=True)
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
            time.sleep(0.05)
        times: list[float] = []
        warm: list[float] = []
        post_batches(port, token, time.monotonic() + 1, "warm", batch, warm)
        start = time.monotonic()
        threads = [
            threading.Thread(target=post_batches, args=(port, token, start + seconds, f"c{i}", batch, times)) for i in range(connections)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - start
        server.send_signal(signal.SIGTERM)
        syncs = int(server.communicate(timeout=120)[0].split()[0])
        stored = stored_events(home)
        acknowledged = (len(times) + len(warm)) * batch
        assert stored == acknowledged, f"{stored} stored, {acknowledged} acknowledged"
    rate, ordered = len(times) * batch / took, sorted(times)
    print(
        f"{way:<6} {rate:9,.0f} events/s   {(len(times) + len(warm)) / syncs:5.2f} POSTs a sync   "
        f"median {statistics.median(ordered) * 1e3:.1f} ms   p99 {ordered[int(len(ordered) * 0.99)] * 1e3:.1f} ms   "
        f"{acknowledged:,} acknowledged, {stored:,} stored"
    )
    return rate


def stored_events(home: str) -> int:
    """Number of predictions in the store after all landing segments are loaded."""
    from observability.store.opener import open_store

    store = open_store(Path(home))
    try:
        store.load_landing()
        return sum(model["predictions"] for model in store.status()["models"])
    finally:
        store.close()


def main(seconds: float = 5, connections: int = 4, batch: int = 100) -> None:
    """Measure with group commit, then with a sync for each POST."""
    print(f"{connections} connections, batches of {batch}, {seconds:g} s each, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    together, alone = (measured(way, seconds, connections, batch) for way in ("group", "alone"))
    print(f"group commit beside one sync for each POST: {together / alone:.2f} times the events/s")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]), sys.argv[4])
    else:
        main(float((sys.argv[1:] or ["5"])[0]), *map(int, sys.argv[2:4]))
