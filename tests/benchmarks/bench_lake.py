"""A lake next to the store: DuckDB and Spark compared on the same rows, and a real cluster whose parts are killed.

    python tests/benchmarks/bench_lake.py [ROWS ...] [--direct] [--cluster] [--whole] [--home FOLDER]

For each number of ROWS (default 200,000) of 20 numbers and 5 categories over 30 days, half of them with a label that came a day late, it
prints: rows a second of loading into the store (with its rollups), of writing the lake, and of computing all rollups again by DuckDB from
the store and by Spark from the lake (and whether both are equal); seconds of the counts of 30 days x 25 features from the rollups, and of
one prediction by its id from the lake. --cluster: starts a standalone master and two workers on loopback and computes the rollups there,
once undisturbed, once with an executor killed, once with the driver killed and started again; nothing may be lost or counted twice.
--whole: compares every shape of question of the tests' models on Spark with the plain reference. --direct: DuckDB writes such rows directly
into the lake, so that more rows fit the time; from there DuckDB computes their rollups into a store that never held the rows. Without Java
it prints that it is skipped and exits with 0.
"""

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import logging

logging.disable(logging.WARNING)
import duckdb
import numpy as np

from observability.core.questions import Aggregate, Bucket
from observability.core.window import Window
from observability.store.lake.export import ROW_GROUP, export_lake
from observability.store.lake_engine import LakeEngine
from observability.store.opener import open_store
from observability.store.rollup.rollup import rebuild_rollups
from observability.store.spark_engine import SparkEngine
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.spark_cluster import EXECUTOR, standalone_cluster
from tests.support.spark_session import local_session

MODEL, DAYS, START = "scale", 30, datetime(2026, 9, 1, tzinfo=UTC)
NUMBERS = tuple(f"n{place:02d}" for place in range(20))
CATEGORIES = tuple(f"c{place}" for place in range(5))
LEVELS = np.array([f"level {place:02d}" for place in range(12)])
PART = 500_000
"""Number of rows per loaded file."""


def frame_of(rng: np.random.Generator, rows: int, first: int, whole: int) -> Any:
    """Rows from number `first` on, of `whole` rows that are spread evenly over the days."""
    import pandas as pd

    places = np.arange(first, first + rows)
    at = np.datetime64(START.replace(tzinfo=None), "us") + (places * (DAYS * 86_400_000_000 / whole)).astype("timedelta64[us]")
    frame = pd.DataFrame({name: rng.normal(50, 10, rows) for name in NUMBERS})
    for name in CATEGORIES:
        frame[name] = LEVELS[rng.integers(0, len(LEVELS), rows)]
    frame["score"] = rng.beta(2, 5, rows)
    return frame.assign(id=[f"p{place:010d}" for place in places], at=at)


def load(store: Any, folder: Path, rows: int) -> tuple[float, float]:
    """Register the model, and load its rows and labels. Returns the seconds for the rows and for the labels."""
    rng = np.random.default_rng(1)
    reference = frame_of(rng, 5000, 0, 5000).drop(columns=["id", "at"])
    reference["label"] = (rng.random(5000) < reference["score"]).astype(int)
    reference.to_parquet(folder / "reference.parquet")
    store.register(
        RegistrationRequest(
            MODEL,
            "1",
            folder / "reference.parquet",
            task="binary",
            label="label",
            score=("score",),
            features=(*NUMBERS, *CATEGORIES),
            sensitive=("c0",),
        )
    )
    seconds = [0.0, 0.0]
    for first in range(0, rows, PART):
        frame = frame_of(rng, min(PART, rows - first), first, rows)
        frame["at"] = frame["at"].dt.tz_localize("UTC")
        labels = frame[["id", "at"]][::2].assign(value=lambda own: (rng.random(len(own)) < 0.3).astype(int))
        labels["at"] += timedelta(days=1)
        for place, (kind, own) in enumerate((("prediction", frame), ("label", labels))):
            path = folder / f"{kind}.parquet"
            own.to_parquet(path)
            begun = time.perf_counter()
            report = store.load_files([path], LoadDefaults(kind=kind, model=MODEL, version="1" if kind == "prediction" else None))
            seconds[place] += time.perf_counter() - begun
            assert report.rejected == 0, report.reasons
            path.unlink()
    return seconds[0], seconds[1]


def write_directly(store: Any, lake: Path, folder: Path, rows: int) -> int:
    """Fill the lake with rows made by SQL, one file per day, and note in the store that it has removed these rows. Returns the bytes of the
    files.
    """
    from observability.lake.file_place import FolderPlace
    from observability.store.db.catalog_store import keep_rows_from
    from observability.store.lake.lake_owner import write_own_state
    from observability.store.lake.manifest import LakeFile, LakeTable, read_manifest

    load(store, folder, 2)
    export_lake(store, str(lake))
    place, model = FolderPlace(lake), store.catalog().model(MODEL)
    before, files, per = read_manifest(place), [], rows // DAYS
    first = {table: lake / before.of_model(MODEL, table)[0].name for table in ("predictions", "labels")}
    columns = {column.name: column.column for column in model.columns}
    instant = f"TIMESTAMP '{START:%Y-%m-%d}' + to_microseconds((i * {DAYS * 86_400_000_000 // rows})::BIGINT)"
    made = {
        "predictions": [
            *(f"50 + 10 * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) AS {columns[name]}" for name in NUMBERS),
            *(f"printf('level %02d', (random() * 11.999)::INTEGER) AS {columns[name]}" for name in CATEGORIES),
            "random() AS score",
            "hash(i, 1) AS sample_hash",
        ],
        "labels": ["(random() < 0.3)::INTEGER::VARCHAR AS value"],
    }
    own = duckdb.connect(config={"threads": 2, "memory_limit": "6GB", "temp_directory": str(folder / "spill")})
    for day in range(DAYS):
        written: tuple[tuple[LakeTable, int, int], ...] = ("predictions", 1, 0), ("labels", 2, 1)
        for table, step, later in written:
            replaced = [
                "printf('p%010d', i) AS id",
                "hash(printf('p%010d', i)) AS id_hash",
                f'{instant} + INTERVAL {later} DAY AS "at"',
                f"{instant} + INTERVAL {later} DAY AS arrived",
                *made[table],
            ]
            query = f"""SELECT t.* REPLACE ({", ".join(replaced)})
                FROM range({day * per}, {(day + 1) * per}, {step}) r(i), read_parquet('{first[table]}', hive_partitioning = false) t"""
            if table == "predictions":
                query = f"SELECT * REPLACE ((score >= 0.5)::SMALLINT AS decision) FROM ({query})"
            else:
                query = f"SELECT * REPLACE (value::DOUBLE AS number) FROM ({query})"
            part, date = folder / "part.parquet", (START + timedelta(days=day + later)).date().isoformat()
            own.execute(f"COPY ({query} ORDER BY id_hash, id) TO '{part}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP})")
            files.append(LakeFile(MODEL, table, date, f"{rows:x}", len(range(0, per, step)), part.stat().st_size))
            place.publish(part, files[-1].name)
    kept = [file for file in before.files if file.day == "reference"]
    (folder / "scratch").mkdir()
    write_own_state(store.home, place, before, [*kept, *files], folder / "scratch")
    with store.write() as writer:
        for table in ("predictions", "labels"):
            writer.execute(f"DELETE FROM {table}_{model.key} WHERE id LIKE 'p0%'")
        keep_rows_from(writer, model.key, (START + timedelta(days=DAYS)).replace(tzinfo=None))
    return sum(file.bytes for file in files)


def measure_direct(rows: int, folder: Path) -> None:
    """Print the figures of a lake whose rows the store never held."""
    store, lake = open_store(folder / "home", threads=2), folder / "lake"
    begun, used = time.perf_counter(), time.process_time()
    size = write_directly(store, lake, folder, rows)
    print(f"\n{rows:,} rows x 25 features and {rows // 2:,} labels straight into the lake: {size / rows:.0f} B a row", flush=True)
    print(f"  make and write                      {processor(rows, begun, used)}", flush=True)
    engine = LakeEngine(store, str(lake))
    begun, used = time.perf_counter(), time.process_time()
    report = engine.compute_rollups(MODEL, START.date(), START.date() + timedelta(days=DAYS))
    assert report["rows"] == rows // DAYS * DAYS, report["left"]
    print(f"  all rollups from the lake, DuckDB   {processor(rows, begun, used)}", flush=True)
    ask_page(store)
    find_ids(engine, rows)
    engine.close()
    store.close()


def processor(rows: int, begun: float, used: float) -> str:
    """Rows per second of wall time and of processor time since two instants."""
    seconds = time.process_time() - used
    return f"{rate(rows, time.perf_counter() - begun)}; processor {seconds:.1f} s, {rows / seconds:,.0f} rows/s"


def ask_page(store: Any) -> None:
    """Time the counts of 30 days x 25 features from the rollups."""
    page = Aggregate("predictions", (Bucket("day"),), histogram=tuple(f"feature.{name}" for name in (*NUMBERS, *CATEGORIES)))
    window, taken = Window(MODEL, START, START + timedelta(days=DAYS)), []
    for _ in range(5):
        begun = time.perf_counter()
        assert len(store.ask(page, window))
        taken.append(time.perf_counter() - begun)
    print(f"  30 days x 25 features, from rollups {min(taken):8.3f} s", flush=True)


def find_ids(engine: LakeEngine, rows: int) -> None:
    """Time the lookup of one prediction by its id: the best of three ids, each from another day."""
    engine.row(MODEL, "p0000000001")
    per = rows // DAYS
    for what, known in (("its day known", True), ("no day", False)):
        taken = []
        for day in (3, 11, 27):
            begun = time.perf_counter()
            found = engine.row(MODEL, f"p{day * per + 42:010d}", day=(START + timedelta(days=day)).date() if known else None)
            taken.append(time.perf_counter() - begun)
            assert found["score"] is not None
        print(f"  one prediction by id, {what:14}{min(taken):8.3f} s", flush=True)


def rollups(store: Any) -> Any:
    """Counts and sums by key, and the sums of floats."""
    key = store.catalog().model(MODEL).key
    with store.cursor() as cursor:
        counts = cursor.execute(
            f"""SELECT stream, period, slice, measure, bin, decision, label, status, arrived, sum(n)::BIGINT AS n FROM counts_{key}
            GROUP BY ALL HAVING sum(n) <> 0 ORDER BY ALL"""
        ).fetchall()
        sums = cursor.execute(
            f"""SELECT stream, period, slice, measure, arrived, sum(n)::BIGINT, sum(total), sum(squares) FROM sums_{key}
            GROUP BY ALL ORDER BY ALL"""
        ).fetchall()
    return counts, sums


def same(one: Any, other: Any) -> bool:
    """Whether counts are equal, and sums agree within 1e-9."""
    if one[0] != other[0] or len(one[1]) != len(other[1]):
        return False
    a, b = (np.array([row[6:] for row in each[1]], float) for each in (one, other))
    return [row[:6] for row in one[1]] == [row[:6] for row in other[1]] and bool(np.allclose(a, b, rtol=1e-9, atol=1e-6))


def rate(rows: int, seconds: float) -> str:
    return f"{seconds:8.1f} s {rows / seconds:12,.0f} rows/s"


def compare(rows: int, folder: Path, cluster: bool) -> None:
    """Print all figures for one number of rows."""
    home, lake = folder / "home", folder / "lake"
    store = open_store(home, threads=2)
    print(f"\n{rows:,} rows x 25 features, {rows // 2:,} labels", flush=True)
    predictions, labels = load(store, folder, rows)
    print(f"  load into the store, with rollups   {rate(rows, predictions)}   labels {rate(rows // 2, labels)}", flush=True)
    begun = time.perf_counter()
    report = export_lake(store, str(lake))
    written, size = rate(report["rows"], time.perf_counter() - begun), report["bytes"] / report["rows"]
    print(f"  write the lake                      {written}   {size:.0f} B a row", flush=True)
    begun = time.perf_counter()
    export_lake(store, str(lake))
    print(f"  look that nothing changed           {rate(report['rows'], time.perf_counter() - begun)}", flush=True)
    begun = time.perf_counter()
    with store.write() as writer:
        rebuild_rollups(writer, MODEL, threads=2)
    print(f"  all rollups again, DuckDB           {rate(rows, time.perf_counter() - begun)}", flush=True)
    wanted = rollups(store)
    ask_page(store)
    engine = LakeEngine(store, str(lake))
    find_ids(engine, rows)
    begun = time.perf_counter()
    engine.compute_rollups(MODEL, START.date(), START.date() + timedelta(days=DAYS))
    print(
        f"  all rollups from the lake, DuckDB   {rate(rows, time.perf_counter() - begun)}   equal: {same(wanted, rollups(store))}",
        flush=True,
    )
    engine.close()
    session = local_session("local[2]", spark__driver__memory="1g", spark__sql__shuffle__partitions="2")
    spark = SparkEngine(store, str(lake), session)
    spark.compute_rollups(MODEL, START.date(), START.date())  # starts the Python processes of the tasks
    begun = time.perf_counter()
    spark.compute_rollups(MODEL, START.date(), START.date() + timedelta(days=DAYS))
    print(
        f"  all rollups again, Spark local[2]   {rate(rows, time.perf_counter() - begun)}   equal: {same(wanted, rollups(store))}",
        flush=True,
    )
    session.stop()
    store.close()
    if cluster:
        on_cluster(rows, home, lake, wanted)


KILLED_AFTER = 4.0
"""Seconds after the start of the first executor at which an executor or the driver is killed: in the middle of the rollups, which take half
a minute, and not while processes start.
"""


def driver(home: Path, lake: Path, master: str) -> "subprocess.Popen[bytes]":
    """Start a process that computes all rollups on the cluster."""
    return subprocess.Popen(
        [sys.executable, __file__, "--driver", str(home), str(lake), master], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def run_driver(home: Path, lake: Path, master: str) -> None:
    """Runs in the driver process: compute the rollups."""
    with open_store(home, threads=1) as store:
        session = local_session(master, spark__sql__files__maxPartitionBytes="4m", **{**EXECUTOR, "spark__sql__shuffle__partitions": "4"})
        print("ready", flush=True)
        print(
            json.dumps(SparkEngine(store, str(lake), session).compute_rollups(MODEL, START.date(), START.date() + timedelta(days=DAYS))),
            flush=True,
        )
        session.stop()


def on_cluster(rows: int, home: Path, lake: Path, wanted: Any) -> None:
    """Compute the rollups on a master and two workers, first undisturbed, then with parts killed."""
    with standalone_cluster(home.parent) as cluster:
        for what in ("undisturbed", "an executor killed", "the driver killed"):
            with open_store(home, threads=2) as store:
                before = rollups(store)
            begun, process = time.perf_counter(), driver(home, lake, cluster.master)
            assert process.stdout is not None
            process.stdout.readline()
            ready = time.perf_counter()
            killed = ""
            if what != "undisturbed":
                while not (found := cluster.executors()):
                    time.sleep(0.2)  # between two checks
                    assert process.poll() is None, "the driver ended early"
                time.sleep(KILLED_AFTER)
                victim = found[0] if what == "an executor killed" else process.pid
                os.kill(victim, signal.SIGKILL)
                killed = f", {time.perf_counter() - ready:.1f} s after it began"
            out = process.stdout.read().decode().strip()
            process.wait()
            with open_store(home, threads=2) as store:
                after = rollups(store)
            if what == "the driver killed":
                print(f"  cluster, {what}{killed}: the store is as before: {same(before, after)}", flush=True)
                again = driver(home, lake, cluster.master)
                again.communicate()
                with open_store(home, threads=2) as store:
                    print(f"  cluster, given again: equal: {same(wanted, rollups(store))}", flush=True)
            else:
                print(
                    f"  cluster, {what}{killed}: {rate(rows, time.perf_counter() - ready)}  {out}  equal: {same(wanted, after)}", flush=True
                )
            del begun


def whole() -> None:
    """Compare every shape of question of the tests' models with the reference engine."""
    import random

    from observability.core.errors import NotFoundError, UsageError
    from tests.support import reference_engine
    from tests.support.engine_world import copied
    from tests.support.question_shapes import shapes, windows
    from tests.support.store_comparison import assert_same

    with tempfile.TemporaryDirectory() as text:
        folder, session = Path(text), local_session()
        with copied(folder / "home") as store:
            export_lake(store, str(folder / "lake"))
            engine = SparkEngine(store, str(folder / "lake"), session)
            for model in ("loan", "eta", "kind"):
                begun, wanted = time.perf_counter(), {}
                for aggregate, window in zip(shapes(model), windows(model, random.Random(1))):
                    try:
                        wanted[aggregate, window] = reference_engine.ask(store, aggregate, window)
                    except (NotFoundError, UsageError):
                        continue
                for (aggregate, window), answer in engine.ask_many(wanted).items():
                    assert_same(answer, wanted[aggregate, window], about=(aggregate, window))
                filled = sum(len(answer) > 0 for answer in wanted.values())
                print(f"  {model}: {len(wanted)} questions, {filled} with rows: all equal, {time.perf_counter() - begun:.0f} s", flush=True)
        session.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="*", type=int, default=[200_000])
    parser.add_argument("--cluster", action="store_true")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--direct", action="store_true")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--driver", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if shutil.which("java") is None and not args.direct:
        print("skipped: Java is not installed (apt-get install openjdk-17-jre-headless)")
        return
    if args.driver:
        run_driver(Path(args.driver[0]), Path(args.driver[1]), args.driver[2])
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, {datetime.now(UTC):%Y-%m-%d}", flush=True)
    if args.whole:
        whole()
    for rows in args.rows:
        folder = Path(tempfile.mkdtemp(dir=args.home))
        try:
            measure_direct(rows, folder) if args.direct else compare(rows, folder, args.cluster)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
