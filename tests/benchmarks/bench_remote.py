"""Does a store have every record of `Logger(url=…)` exactly once although the collector is killed repeatedly, and what does logging cost
the service?

`python tests/benchmarks/bench_remote.py [--kills 50] [--processes 8] [--rate 100]` starts a collector and services, kills the collector the
given number of times, and then counts the stored records. Each request to a service computes for about half a millisecond; every second one
is logged. Two more services log nothing. It prints p50, p99 and maximum of the three kinds of requests, which run at the same time, and the
differences.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
FEATURES = {f"feature_{i:02d}": i * 1.2345 for i in range(10)}
SILENT = 2
"""Number of services that log nothing."""


def serve(home: str, url: str, token: str, name: str, rate: float) -> None:
    """Run one service. It answers until its input is closed, then prints as JSON how many requests it logged, whether all were sent, and
    the times in ns of logged and other requests. Without a name it logs nothing.
    """
    import observability as obs

    log = obs.Logger(home, url=url, token=token) if name else None
    stop, clock = threading.Event(), time.perf_counter_ns
    logged: list[int] = []
    others: list[int] = []

    def wait_for_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    while not stop.wait(0.5 / rate):
        logs = log is not None and len(logged) <= len(others)
        start = clock()
        json.loads(json.dumps([FEATURES] * 30))  # the work that the service does for a request
        if log is not None and logs:
            log.prediction(id=f"{name}-{len(logged)}", model="m", version="1", features=FEATURES, score=0.5)
        (logged if logs else others).append(clock() - start)
    if log is None:
        print(json.dumps([0, True, [], others]))
        return
    assert log.dropped == 0, log.last_error
    sent = log.close(120)
    print(json.dumps([len(logged), sent, logged, others]))


def main(kills: int, processes: int, rate: float) -> None:
    """Kill the collector again and again while services log, then count."""
    from tests.support.collector import Collector

    with tempfile.TemporaryDirectory() as folder:
        collector = Collector(Path(folder) / "collector")
        collector.start()
        command = [sys.executable, __file__, "--serve", str(Path(folder) / "service"), collector.url, collector.token]
        names = [*(f"w{i}" for i in range(processes)), *[""] * SILENT]
        services = [
            subprocess.Popen([*command, name, str(rate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for name in names
        ]
        begun = time.monotonic()
        for _ in range(kills):
            time.sleep(1.0)
            collector.kill()
            time.sleep(0.2)
            collector.start()
        took = time.monotonic() - begun
        outcomes = [json.loads(service.communicate(timeout=300)[0]) for service in services]
        assert all(sent for _, sent, _, _ in outcomes), "a service could not send all its records"
        collector.kill()
        stored = Counter(collector.stored_ids())
    expected = {f"{name}-{number}" for name, (count, *_) in zip(names, outcomes, strict=True) for number in range(count)}
    lost, twice = len(expected - set(stored)), sum(count > 1 for count in stored.values())
    print(
        f"{kills} kills in {took:.0f} s, {processes} processes, {len(expected):,} logged: {lost} lost, {twice} twice; load {os.getloadavg()[0]:.1f}"
    )
    kinds = {
        "logged": [ns for _, _, logged, _ in outcomes for ns in logged],
        "not logged, same service": [ns for *_, others in outcomes[:processes] for ns in others],
        "service without a logger": [ns for *_, others in outcomes[processes:] for ns in others],
    }
    p99 = {}
    for kind, times in kinds.items():
        times.sort()
        p99[kind] = times[int(len(times) * 0.99)] / 1e6
        print(
            f"{kind:<26}{len(times):8,} requests   median {times[len(times) // 2] / 1e6:.3f} ms   p99 {p99[kind]:.3f} ms   max {times[-1] / 1e6:.1f} ms"
        )
    first, *rest = p99.values()
    print(
        "logging adds to the p99: "
        + ", ".join(f"{first - other:+.3f} ms against {kind}" for kind, other in zip(list(p99)[1:], rest, strict=True))
    )
    assert lost == twice == 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        home, url, token, name, rate = sys.argv[2:7]
        serve(home, url, token, name, float(rate))
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--kills", type=int, default=3)
        parser.add_argument("--processes", type=int, default=8)
        parser.add_argument("--rate", type=float, default=50.0, help="logged requests a second of each process")
        main(**vars(parser.parse_args()))
