"""A standalone master with two workers on loopback computes the same rollups from a lake as the store, with tasks on both workers, while
one of the workers' executors is killed.

This is the short form; tests/benchmarks/bench_lake.py --cluster has more rows, and kills the driver too.
"""

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from observability.store.lake.export import export_lake
from tests.store.conftest import rollups
from tests.support.engine_world import DAYS, START, copied
from tests.support.spark_cluster import EXECUTOR, StandaloneCluster, standalone_cluster
from tests.support.spark_session import local_session
from tests.support.store_comparison import assert_same_rollups

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")


def kill_an_executor(cluster: StandaloneCluster, killed: list[int]) -> None:
    """Kill the first of two processes that run tasks, as soon as both do. killed: a list that receives its process id."""
    until = time.monotonic() + 300
    while len(found := cluster.executors()) < 2 and time.monotonic() < until:
        time.sleep(0.05)  # between two checks
    assert len(found) == 2, "both workers must run tasks"
    os.kill(found[0], signal.SIGKILL)
    killed.append(found[0])


def test_a_cluster_whose_executor_is_killed_counts_the_rollups_of_the_store(tmp_path):
    from observability.store.spark_engine import SparkEngine

    with copied(tmp_path / "home") as store, standalone_cluster(tmp_path) as cluster:
        export_lake(store, str(tmp_path / "lake"))
        key = store.catalog().model("eta").key
        wanted = rollups(store, key)
        with store.write() as writer:
            for table in ("counts", "sums"):
                writer.execute(f"DELETE FROM {table}_{key} WHERE period > 0")
        assert rollups(store, key) != wanted
        session = local_session(cluster.master, **EXECUTOR)
        try:
            assert session.sparkContext.master == cluster.master
            engine = SparkEngine(store, str(tmp_path / "lake"), session)
            killed: list[int] = []
            killer = threading.Thread(target=kill_an_executor, args=(cluster, killed))
            killer.start()
            engine.compute_rollups("eta", START.date(), START.date().replace(day=START.day + DAYS))
            killer.join()
            assert killed and not Path(f"/proc/{killed[0]}").exists()
        finally:
            session.stop()
        assert_same_rollups(rollups(store, key), wanted)
