"""How fast are validated logs of 25 features loaded with their rollups, compared with DuckDB's own typed read_json? How much memory and
disk do they take?

`python tests/benchmarks/bench_load.py [lines] [repeats]` prints the rate and its ratio to the peer's, for files of one shape, of a few
shapes, with 1 % bad lines and of a different shape on each line (medians; each repetition is compared with the peer run just before it).
Then it prints the size of the rollups and of the raw rows, and the peak memory of a process that loads eight times as many lines.

`python tests/benchmarks/bench_load.py --csv ROWS` generates a CSV file of 25 columns. It prints seconds, rows per second and peak memory of
loading it, and of DuckDB's own read_csv of the same file into a typed table, each in a separate process.
"""

import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import duckdb
import numpy as np

from observability.core.catalog import Edges, Version
from observability.stats.edges import numeric_edges
from observability.store.db import catalog_store
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.registry.admin import table_bytes
from observability.store.rollup import rollup
from observability.store.types.loading import LoadDefaults

START = datetime(2024, 3, 1, tzinfo=UTC)
NUMBERS, CATEGORIES = [f"number_{i:02d}" for i in range(20)], [f"category_{i}" for i in range(5)]
LEVELS = [f"level {i}" for i in range(12)]
A_DAY = 50_000
CSV_NUMBERS, CSV_CATEGORIES = NUMBERS[:18], CATEGORIES[:4]
"""Features of the CSV file; with id, at and score it has 25 columns."""
CSV_CHUNK = 100_000
GOALS = {"one shape": 0.20, "few shapes": 0.20, "1 % bad": 0.15, "any shape": 0.08}


def records(count: int, seed: int = 0) -> Iterator[dict[str, object]]:
    """Predictions with 20 numbers and 5 categories, 50,000 a day."""
    values = np.random.default_rng(seed).normal(size=(min(count, 20_000), 20)).round(6).tolist()
    pick = random.Random(seed)
    for i in range(count):
        features = dict(zip(NUMBERS, values[i % len(values)])) | {name: pick.choice(LEVELS) for name in CATEGORIES}
        yield {
            "kind": "prediction", "id": f"{seed}-{i:09d}", "at": (START + timedelta(days=i / A_DAY)).isoformat().replace("+00:00", "Z"), "model": "loan",
            "version": "1", "features": features, "score": round(pick.random(), 6), "latency_ms": round(pick.lognormvariate(1, 1), 3), "replica": f"r{i % 3}",
        }  # fmt: skip


def shuffled(record: dict[str, object], pick: random.Random) -> dict[str, object]:
    """The record with its keys and its features in random order."""
    features = record["features"]
    assert isinstance(features, dict)
    record = record | {"features": dict(pick.sample(list(features.items()), len(features)))}
    return dict(pick.sample(list(record.items()), len(record)))


def write_file(path: Path, count: int, shape: str) -> None:
    """A file of `count` lines."""
    pick = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        for i, record in enumerate(records(count)):
            if shape == "any shape":
                record = shuffled(record, pick)
            elif shape == "few shapes":
                record = shuffled(record, random.Random(i % 4))
            line = json.dumps(record)
            if shape == "1 % bad" and i % 100 == 50:
                line = pick.choice(
                    [line[:-7], line.replace('"score": ', '"score": 1'), line.replace("prediction", "predictino"), line.replace("Z", "")]
                )
            file.write(line + "\n")


def write_csv(path: Path, count: int) -> None:
    """A CSV file of `count` predictions."""
    import pyarrow as pa
    from pyarrow import csv

    random = np.random.default_rng(0)
    names = ["id", "at", "score", *CSV_NUMBERS, *CSV_CATEGORIES]
    types = [pa.string(), pa.string(), *[pa.float64()] * (1 + len(CSV_NUMBERS)), *[pa.string()] * len(CSV_CATEGORIES)]
    with csv.CSVWriter(path, pa.schema(list(zip(names, types, strict=True)))) as writer:
        for first in range(0, count, CSV_CHUNK):
            places = np.arange(first, min(first + CSV_CHUNK, count))
            times = np.datetime64(START.replace(tzinfo=None), "s") + (places * (86_400 / A_DAY)).astype("timedelta64[s]")
            columns = [[f"r{place:09d}" for place in places], np.char.add(np.datetime_as_string(times), "Z").tolist()]
            columns += [random.random(len(places)).round(6), *random.normal(size=(len(CSV_NUMBERS), len(places))).round(6)]
            columns += [np.array(LEVELS)[random.integers(len(LEVELS), size=len(places))] for _ in CSV_CATEGORIES]
            writer.write_table(pa.table([pa.array(column, kind) for column, kind in zip(columns, types, strict=True)], names))


def csv_ours(path: Path) -> float:
    """Seconds that the product takes to load a CSV file into a new store."""
    with tempfile.TemporaryDirectory() as home, new_store(Path(home), CSV_NUMBERS, CSV_CATEGORIES) as store:
        start = time.perf_counter()
        report = store.load_files([path], LoadDefaults(kind="prediction", model="loan", version="1"))
        seconds = time.perf_counter() - start
        assert report.lines == report.stored > 0, report
        return seconds


def csv_peer(path: Path) -> float:
    """Seconds that DuckDB's read_csv takes to put the same file into a typed table."""
    types = (
        {"id": "VARCHAR", "at": "TIMESTAMPTZ", "score": "DOUBLE"}
        | dict.fromkeys(CSV_NUMBERS, "DOUBLE")
        | dict.fromkeys(CSV_CATEGORIES, "VARCHAR")
    )
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(f"{folder}/peer.duckdb") as connection:
        start = time.perf_counter()
        connection.execute(f"CREATE TABLE t AS FROM read_csv('{path}', header = true, columns = {types})")
        return time.perf_counter() - start


def compare_csv(count: int) -> None:
    """Print seconds, rows per second and peak memory of the product and of DuckDB."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.csv"
        write_csv(path, count)
        print(
            f"DuckDB {duckdb.__version__}, {os.cpu_count()} cores; CSV of {count:,} rows, 25 columns, {path.stat().st_size / 1e6:,.0f} MB"
        )
        for name in CSV_LOADERS:
            done = subprocess.run([sys.executable, __file__, "--csv-of", name, str(path)], capture_output=True, text=True, check=True)
            seconds, megabytes = map(float, done.stdout.split())
            print(f"{name:<16} {seconds:8.1f} s {count / seconds:>12,.0f} rows/s   peak memory {megabytes:>6,.0f} MB")


CSV_LOADERS = {"load": csv_ours, "DuckDB read_csv": csv_peer}


def new_store(home: Path, number_names: list[str] = NUMBERS, category_names: list[str] = CATEGORIES) -> Database:
    """A store with the registered model."""
    edges = numeric_edges(np.random.default_rng(5).normal(size=20_000))
    numbers = Edges(tuple(edges.edges.tolist()), tuple(edges.deciles.tolist()), tuple(edges.positions.tolist()))
    store = open_store(home)
    with store.write() as writer:
        key = catalog_store.add_model(writer, "loan", task="binary", classes=("0", "1"))
        wanted = [("feature", name, "number") for name in number_names] + [("feature", name, "category") for name in category_names]
        columns = catalog_store.add_columns(writer, key, wanted, ["feature.category_0"])
        bins = {reference: numbers if each.kind == "number" else Edges(levels=tuple(LEVELS)) for reference, each in columns.items()}
        catalog_store.save_version(writer, key, Version("1", START, (*number_names, *category_names), bins))
    return store


def ours(path: Path) -> float:
    """Seconds that the product takes to load a file into a new store."""
    with tempfile.TemporaryDirectory() as home, new_store(Path(home)) as store:
        start = time.perf_counter()
        report = store.load_files([path], LoadDefaults())
        seconds = time.perf_counter() - start
        assert report.lines == report.stored + report.duplicates + report.rejected and report.stored > 0.98 * report.lines, report
        return seconds


def peer(path: Path, count: int) -> float:
    """Seconds that DuckDB's read_json takes to put the same file into a typed table."""
    features = ", ".join([f'"{name}" DOUBLE' for name in NUMBERS] + [f'"{name}" VARCHAR' for name in CATEGORIES])
    columns = {
        "kind": "VARCHAR",
        "id": "VARCHAR",
        "at": "TIMESTAMPTZ",
        "model": "VARCHAR",
        "version": "VARCHAR",
        "features": f"STRUCT({features})",
    }
    columns |= {"score": "DOUBLE", "latency_ms": "DOUBLE", "replica": "VARCHAR"}
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(f"{folder}/peer.duckdb") as connection:
        start = time.perf_counter()
        connection.execute(
            f"""CREATE TABLE t AS SELECT * EXCLUDE (features), unnest(features)
            FROM read_json('{path}', columns = {columns}, format = 'newline_delimited', ignore_errors = true)"""
        )
        seconds = time.perf_counter() - start
        assert connection.execute("SELECT count(*) FROM t").fetchall()[0][0] >= 0.9 * count
        return seconds


def compare(count: int, repeats: int) -> None:
    """Print rates and ratios for each kind of file."""
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm.jsonl"
        write_file(warm, 30_000, "one shape")
        ours(warm)
        for shape, goal in GOALS.items():
            path = Path(folder) / "logs.jsonl"
            write_file(path, count, shape)
            pairs = [(peer(path, count), ours(path)) for _ in range(repeats)]
            rate = count / statistics.median(own for _, own in pairs)
            ratio = statistics.median(theirs / own for theirs, own in pairs)
            theirs = count / statistics.median(theirs for theirs, _ in pairs)
            print(
                f"{shape:<11} {rate:>9,.0f} lines/s   peer {theirs:>9,.0f}   ratio {ratio:.3f} (goal {goal:.2f}){'' if ratio >= goal else '   BELOW'}"
            )


def sizes(count: int) -> None:
    """Print the bytes of the rollups and of the raw rows."""
    with tempfile.TemporaryDirectory() as folder, new_store(Path(folder) / "home") as store:
        path = Path(folder) / "logs.jsonl"
        write_file(path, count, "one shape")
        store.load_files([path], LoadDefaults())
        with store.write() as writer:
            rollup.merge_rollups(writer, store.catalog().model("loan"))
        cursor = store.cursor()
        cursor.execute("CHECKPOINT")
        held = {table: table_bytes(cursor, f"{table}_1") / 1e6 for table in ("predictions", "counts", "sums")}
        rolled = held["counts"] + held["sums"]
        print(
            f"rollups {rolled:.2f} MB beside {held['predictions']:.1f} MB of raw rows: {rolled / held['predictions']:.2%} (goal: under 5 % or 20 MB)"
        )


def memory(path: str) -> None:
    """Load one file in this process, and print its peak memory in MB."""
    ours(Path(path))
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def peak(count: int) -> None:
    """Peak memory of a process that is started only for this measurement."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logs.jsonl"
        write_file(path, count, "one shape")
        done = subprocess.run([sys.executable, __file__, "--memory", str(path)], capture_output=True, text=True, check=True, env=os.environ)
        print(f"peak memory of loading {path.stat().st_size / 1e6:,.0f} MB: {float(done.stdout):,.0f} MB (goal: under 1,000 MB)")


def main(count: int = 100_000, repeats: int = 5) -> None:
    """Prints everything."""
    print(
        f"DuckDB {duckdb.__version__}, Python {sys.version.split()[0]}, {os.cpu_count()} cores, {count:,} lines a file, median of {repeats}"
    )
    compare(count, repeats)
    sizes(4 * count)
    peak(8 * count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        memory(sys.argv[2])
    elif sys.argv[1:2] == ["--csv-of"]:
        with tempfile.TemporaryDirectory() as folder:
            write_csv(Path(folder) / "warm.csv", 1_000)
            CSV_LOADERS[sys.argv[2]](Path(folder) / "warm.csv")  # compiles everything that is compiled only once
        print(CSV_LOADERS[sys.argv[2]](Path(sys.argv[3])), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    elif sys.argv[1:2] == ["--csv"]:
        compare_csv(int(sys.argv[2]))
    else:
        main(*map(int, sys.argv[1:3]))
