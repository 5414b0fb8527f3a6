"""How many events per second do four processes log, and how long does one call take?

`python tests/benchmarks/bench_client.py [seconds] [processes]` prints, for each fsync mode, the events/s over all processes, and the
median, p99 and maximum of one `Logger.prediction` call with 25 features; for comparison also the time of json.dumps for that record alone.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FEATURES = {f"feature_{i:02d}": i * 1.2345 for i in range(20)} | {f"category_{i}": f"level {i}" for i in range(5)}


def write(home: str, fsync: str, seconds: float) -> None:
    """Run one writer. It logs until the time is over, then prints the times of its calls in ns as JSON."""
    sys.path.insert(0, str(ROOT))
    import observability as obs

    log = obs.Logger(home, fsync=fsync)
    clock, times = time.perf_counter_ns, []
    end = clock() + int(seconds * 1e9)
    while (start := clock()) < end:
        log.prediction(model="m", version="1", features=FEATURES, score=0.62, latency_ms=1.5)
        times.append(clock() - start)
    log.close()
    assert log.dropped == 0, log.last_error
    print(json.dumps(times))


def main(seconds: float = 3, processes: int = 4) -> None:
    """Runs the writers for each mode and prints a line for each."""
    start = time.perf_counter()
    for _ in range(2000):
        json.dumps({"kind": "prediction", "features": FEATURES})
    print(f"json.dumps of the record alone: {(time.perf_counter() - start) / 2000 * 1e3:.4f} ms; {processes} processes, {seconds:g} s each")
    for fsync in ("never", "background", "always"):
        with tempfile.TemporaryDirectory() as home:
            command = [sys.executable, __file__, "--write", home, fsync, str(seconds)]
            writers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(processes)]
            times = sorted(t for writer in writers for t in json.loads(writer.communicate(timeout=seconds * 10 + 60)[0]))
            lines = sum(path.read_bytes().count(b"\n") for path in Path(home, "landing", "ready").iterdir())
            assert lines == len(times), (lines, len(times))
        median, p99, worst = (t / 1e6 for t in (statistics.median(times), times[int(len(times) * 0.99)], times[-1]))
        print(f"fsync={fsync:<10} {len(times) / seconds:10,.0f} events/s   median {median:.4f} ms   p99 {p99:.4f} ms   max {worst:.2f} ms")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        main(*map(float, sys.argv[1:2]), *map(int, sys.argv[2:3]))
