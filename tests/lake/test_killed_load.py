"""A load of a source in a separate process, killed with SIGKILL between two blocks and within one, stores each row exactly once."""

import signal
import subprocess
import sys

from observability.lake.open_source import open_data_source
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.store.conftest import query
from tests.support.lake_server import parquet_bytes, predictions_table
from tests.support.sample_home import ROOT

FILES, ROWS, BAD = 2, 40_000, 7
LOAD = """
import os, signal, sys
from pathlib import Path
from observability.lake.open_source import open_data_source
from observability.store.ingest import incremental
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
home, folder, where, blocks = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
seen = []
def die(*_, **__):
    seen.append(1)
    if len(seen) == blocks:
        os.kill(os.getpid(), signal.SIGKILL)
note = incremental._note_taken
def noted(*given, **named):
    note(*given, **named)
    die()  # the rows and the watermark are written, and not committed
if where == "within":
    incremental._note_taken = noted
with open_store(home) as store:
    store.load_source(open_data_source(folder), LoadDefaults(kind="prediction", model="loan", version="1"), die if where == "between" else None)
"""


def test_a_load_that_is_killed_again_and_again_takes_each_row_once(tmp_path):
    home, folder = tmp_path / "home", tmp_path / "exports"
    folder.mkdir()
    for k in range(FILES):
        (folder / f"{k}.parquet").write_bytes(parquet_bytes(predictions_table(k * ROWS, ROWS, bad=BAD)))
    seen = []
    for where, blocks in (("between", 1), ("within", 2)):
        done = subprocess.run([sys.executable, "-c", LOAD, home, folder, where, str(blocks)], cwd=ROOT, check=False, timeout=600)
        assert done.returncode == -signal.SIGKILL
        with open_store(home) as store:
            seen.append(query(store, "SELECT sum(lines)::BIGINT, sum(stored)::BIGINT FROM taken_files")[0])
            assert query(store, "SELECT count(*) FROM predictions_1")[0][0] == seen[-1][1]
    assert seen == [(20_000, 20_000 - BAD), (40_000, 40_000 - BAD)]
    with open_store(home) as store:
        store.load_source(open_data_source(str(folder)), LoadDefaults(kind="prediction", model="loan", version="1"))
        stored = FILES * (ROWS - BAD)
        assert query(store, "SELECT count(*), count(DISTINCT id) FROM predictions_1") == [(stored, stored)]
        assert query(store, "SELECT count(*) FROM rejected") == [(FILES * BAD,)]
        counts = "sum(lines)::BIGINT, sum(stored)::BIGINT, sum(duplicates)::BIGINT, sum(rejected)::BIGINT, bool_and(done)"
        assert query(store, f"SELECT {counts} FROM taken_files") == [(FILES * ROWS, stored, 0, FILES * BAD, True)]
