"""Does a collector that is killed again and again have every record of `Logger(url=…)` once, and what does logging cost the service?

`python tests/benchmarks/bench_remote.py [kills] [processes] [records/s of a process]` starts a collector and writers, kills the collector so many times, and
then counts what is stored. It prints p50, p99 and maximum of one call beside the same calls to a local landing folder.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
FEATURES = {f"feature_{i:02d}": i * 1.2345 for i in range(10)}


def write(home: str, url: str, token: str, name: str, rate: float) -> None:
    """One writer: logs until its input is closed, then prints how many it logged, whether all was sent, and its calls' times in ns as JSON."""
    import threading

    import observability as obs

    log = obs.Logger(home, url=url, token=token) if url else obs.Logger(home)
    stop, clock = threading.Event(), time.perf_counter_ns
    times: list[int] = []

    def wait_for_end() -> None:
        sys.stdin.read()
        stop.set()

    threading.Thread(target=wait_for_end, daemon=True).start()
    while not stop.wait(1 / rate):
        start = clock()
        log.prediction(id=f"{name}-{len(times)}", model="m", version="1", features=FEATURES, score=0.5)
        times.append(clock() - start)
    assert log.dropped == 0, log.last_error
    sent = log.close(120)
    print(json.dumps([len(times), sent, times]))


def run_writers(home: Path, url: str, token: str, processes: int, rate: float, during: object) -> tuple[dict[str, int], list[int]]:
    """Run writers while `during()` runs: the number of records by writer, and all times of calls, sorted."""
    command = [sys.executable, __file__, "--write", str(home), url, token]
    writers = {
        name: subprocess.Popen([*command, name, str(rate)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for name in (f"w{i}" for i in range(processes))
    }
    during()  # type: ignore[operator]
    outcomes = {name: json.loads(writer.communicate(timeout=300)[0]) for name, writer in writers.items()}
    assert all(sent for _, sent, _ in outcomes.values()), "a writer could not send all of it"
    return {name: count for name, (count, _, _) in outcomes.items()}, sorted(t for _, _, times in outcomes.values() for t in times)


def main(kills: int = 50, processes: int = 8, rate: float = 100.0) -> None:
    """Kill the collector again and again while writers log, then count."""
    from tests.support.collector import Collector

    def kill_again_and_again() -> None:
        for _ in range(kills):
            time.sleep(1.0)
            collector.kill()
            time.sleep(0.2)
            collector.start()

    with tempfile.TemporaryDirectory() as folder:
        collector = Collector(Path(folder) / "collector")
        collector.start()
        counts, times = run_writers(Path(folder) / "service", collector.url, collector.token, processes, rate, kill_again_and_again)
        collector.kill()
        stored = Counter(collector.stored_ids())
        _, local = run_writers(Path(folder) / "local", "", "", processes, rate, lambda: time.sleep(10))
    expected = {f"{name}-{number}" for name, count in counts.items() for number in range(count)}
    lost, twice = len(expected - set(stored)), sum(count > 1 for count in stored.values())
    print(f"{kills} kills, {processes} processes, {len(expected):,} logged: {lost} lost, {twice} twice; load {os.getloadavg()[0]:.1f}")
    for name, found in (("url", times), ("local", local)):
        print(
            f"{name:<6} median {found[len(found) // 2] / 1e6:.3f} ms   p99 {found[int(len(found) * 0.99)] / 1e6:.3f} ms   max {found[-1] / 1e6:.1f} ms"
        )
    assert lost == twice == 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        home, url, token, name, rate = sys.argv[2:7]
        write(home, url, token, name, float(rate))
    else:
        main(*map(int, sys.argv[1:3]), *map(float, sys.argv[3:4]))
