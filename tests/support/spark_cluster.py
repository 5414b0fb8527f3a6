"""A standalone Spark cluster on loopback for tests and benchmarks: a master and two workers with one core each."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
LITTLE_COMPILING = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Options for a Java process that runs for only a few seconds: thorough compilation would take longer than it saves."""
EXECUTOR = {
    "spark__executor__memory": "512m",
    "spark__executor__cores": "1",
    "spark__executor__extraJavaOptions": LITTLE_COMPILING,
    "spark__executorEnv__PYTHONPATH": str(ROOT),
    "spark__executorEnv__PYTHONDONTWRITEBYTECODE": "1",
}
"""Settings of a session that uses the cluster (spark_session.local_session)."""


@dataclass(frozen=True)
class StandaloneCluster:
    """A running cluster. master: the address to which a session connects."""

    master: str
    workers: "tuple[subprocess.Popen[bytes], ...]"

    def executors(self) -> list[int]:
        """The ids of the processes that run tasks."""
        found = []
        for pid in (own for worker in self.workers for own in descendants(worker.pid)):
            with suppress(OSError):
                if b"CoarseGrainedExecutorBackend" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found


@contextmanager
def standalone_cluster(folder: Path) -> Iterator[StandaloneCluster]:
    """A cluster whose workers write into a folder. When the context ends, the cluster and its executors are stopped."""
    port = free_port()
    master = f"spark://127.0.0.1:{port}"
    web = ("--webui-port", str(free_port()))
    daemons = [spark_daemon("org.apache.spark.deploy.master.Master", "--host", "127.0.0.1", "--port", str(port), *web)]
    try:
        until = time.monotonic() + 300
        while not is_listening(port):
            assert time.monotonic() < until and daemons[0].poll() is None, "the master did not start"
            time.sleep(0.2)  # between two checks
        for _ in range(2):
            places = ("--webui-port", str(free_port()), "--work-dir", str(folder / "work"))
            own = ("--host", "127.0.0.1", "--cores", "1", "--memory", "768m")
            daemons.append(spark_daemon("org.apache.spark.deploy.worker.Worker", *own, *places, master))
        yield StandaloneCluster(master, tuple(daemons[1:]))
    finally:
        for process in reversed(daemons):
            children = descendants(process.pid)
            process.terminate()
            for pid in children:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
            process.wait(30)


def is_listening(port: int) -> bool:
    """Whether a process listens on a port."""
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def spark_daemon(*arguments: str) -> "subprocess.Popen[bytes]":
    """Start a Spark daemon as a child process."""
    import pyspark

    environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", "PYTHONPATH": str(ROOT), "SPARK_DAEMON_MEMORY": "256m"}
    environment["SPARK_DAEMON_JAVA_OPTS"] = LITTLE_COMPILING
    command = [str(Path(pyspark.__file__).parent / "bin" / "spark-class"), *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def descendants(pid: int) -> list[int]:
    """All child processes of a process, started by any of its threads, and their own child processes."""
    children: list[int] = []
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children += map(int, listed.read_text().split())
    return children + [own for child in children for own in descendants(child)]
