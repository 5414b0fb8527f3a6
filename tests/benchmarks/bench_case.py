"""How fast is one prediction found among millions, and how long does the whole evidence about it take?

    python tests/benchmarks/bench_case.py [ROWS]

ROWS: predictions of the synthetic model (default 10,000,000), 12 features, half of them labelled. They are made inside the database, so that this takes
minutes, not an hour. Prints the median milliseconds of an id that is there and of one that is not, beside a scan of the ids as text and a bare scan of
the hashes; then each part of a case, and all parts that need no model.
"""

import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import numpy as np
import pandas as pd

from observability.case import PARTS, open_case
from observability.errors import NotFoundError
from observability.store import listing
from observability.store.database import Store
from observability.store.register import Request, register
from observability.store.rollup import rebuild
from observability.store.schema import LABEL_COLUMNS, PREDICTION_COLUMNS

NUMBERS, CATEGORIES = 9, 3
MODELLED = ("explanation", "counterfactuals", "versions")
REPEATS = 15
START = "TIMESTAMP '2026-01-01'"
ROLLED_UP = 1_000_000
"""Up to so many rows the rollups are made as well. Without them the findings of the day are not measured, and samples are drawn from all rows."""
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def build(home: Path, rows: int) -> Store:
    """A registered model with `rows` predictions over 180 days, and labels for every other one."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {f"x{i}": rng.normal(size=20_000) for i in range(NUMBERS)}
        | {f"c{i}": rng.choice(list("abcdef"), 20_000) for i in range(CATEGORIES)}
    )
    frame["score"] = 1 / (1 + np.exp(-frame["x0"] - frame["x1"] / 2))
    frame["label"] = (rng.random(len(frame)) < frame["score"]).astype(int)
    frame.to_csv(home / "reference.csv", index=False)
    store = Store.open(home / "home")
    register(store, Request(model="big", version="1", task="binary", reference=home / "reference.csv", label="label", score=("score",)))
    model = store.catalog().model("big")
    columns = {each.name: each.column for each in model.columns}
    with store.write() as writer:
        writer.execute(
            "INSERT INTO streams VALUES (?, (SELECT max(stream) + 1 FROM streams WHERE key = ?), '1', 'production')", [model.key, model.key]
        )
        ((stream,),) = writer.execute("SELECT stream FROM streams WHERE key = ? AND environment = 'production'", [model.key]).fetchall()
        made = {
            "stream": f"{stream}::SMALLINT", "id": "'p' || hash(i)", "id_hash": "hash('p' || hash(i))", "sample_hash": "hash(i + 17)",
            '"at"': f"{START} + to_milliseconds((i * (180 * 86400000::DOUBLE / {rows}))::BIGINT)",
            "arrived": f"{START} + to_milliseconds((i * (180 * 86400000::DOUBLE / {rows}))::BIGINT)", "status": "'ok'",
            "score": "s", "decision": "(s >= 0.5)::SMALLINT",
        }  # fmt: skip
        made |= {columns[f"x{n}"]: f"(hash(i + {n + 1}) % 100000) / 20000.0 - 2.5" for n in range(NUMBERS)}
        made |= {columns[f"c{n}"]: f"chr((97 + hash(i + {50 + n}) % 6)::INTEGER)" for n in range(CATEGORIES)}
        empty = {name: f"NULL::{kind}" for name, kind in PREDICTION_COLUMNS.items() if name not in made and f'"{name}"' not in made}
        wanted = {**made, **{f'"{name}"': sql for name, sql in empty.items()}}
        source = f"(SELECT i, 1 / (1 + exp(-((hash(i + 1) % 100000) / 20000.0 - 2.5))) AS s FROM range({rows}) t(i))"
        writer.execute(f"INSERT INTO predictions_{model.key} ({', '.join(wanted)}) SELECT {', '.join(wanted.values())} FROM {source}")
        given = {
            "id": "'p' || hash(i)", "id_hash": "hash('p' || hash(i))", '"at"': f"{START} + to_milliseconds((i * (180 * 86400000::DOUBLE / {rows}))::BIGINT)",
            "arrived": f"{START} + to_milliseconds((i * (180 * 86400000::DOUBLE / {rows}))::BIGINT)", "value": "((hash(i + 99) % 100) / 100.0 < s)::INTEGER::VARCHAR",
            "number": "((hash(i + 99) % 100) / 100.0 < s)::DOUBLE",
        }  # fmt: skip
        empty = {name: f"NULL::{kind}" for name, kind in LABEL_COLUMNS.items() if name not in given and f'"{name}"' not in given}
        wanted = {**given, **{f'"{name}"': sql for name, sql in empty.items()}}
        writer.execute(
            f"INSERT INTO labels_{model.key} ({', '.join(wanted)}) SELECT {', '.join(wanted.values())} FROM {source} WHERE i % 2 = 0"
        )
        if rows <= ROLLED_UP:
            rebuild(writer, "big")
    return store


def median(work: Callable[[int], object], repeats: int = REPEATS) -> float:
    """Median milliseconds of wall time."""
    times = []
    for turn in range(repeats):
        began = time.perf_counter()
        work(turn)
        times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def missing(store: Store, turn: int) -> None:
    """Ask for an id that is not there."""
    try:
        listing.row(store, "big", f"nobody-{turn}")
    except NotFoundError:
        return
    raise SystemExit("an id that is not there was found")


def main() -> None:
    """Measure and print."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        store = build(Path(folder), rows)
        key = store.catalog().model("big").key
        print(
            f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}; {rows:,} predictions made in {time.perf_counter() - began:.0f} s"
        )
        cursor = store.cursor()
        places = np.random.default_rng(1).integers(0, rows // 2, 2 * REPEATS).tolist()
        ids = [cursor.execute("SELECT 'p' || hash(2 * ?::BIGINT)", [each]).fetchall()[0][0] for each in places]
        table = f"predictions_{key}"
        by_hash = median(
            lambda turn: cursor.execute(f"SELECT score FROM {table} WHERE id_hash = hash(?) AND id = ?", [ids[turn]] * 2).fetchall()
        )
        by_text = median(lambda turn: cursor.execute(f"SELECT score FROM {table} WHERE id = ?", [ids[turn]]).fetchall(), 5)
        whole = median(lambda turn: listing.row(store, "big", ids[turn]))
        absent = median(lambda turn: missing(store, turn))
        print(
            f"id by hash {by_hash:.1f} ms, by text {by_text:.1f} ms ({by_text / by_hash:.0f} times); with every field and its labels {whole:.1f} ms; not there {absent:.1f} ms"
        )
        parts: dict[str, list[float]] = {name: [] for name in PARTS if name not in MODELLED}
        totals = []
        for turn in range(7):
            began = time.perf_counter()
            look = open_case(store, ids[turn], now=NOW)
            for name, times in parts.items():
                since = time.perf_counter()
                look.part(name)
                times.append((time.perf_counter() - since) * 1000)
            totals.append((time.perf_counter() - began) * 1000)
        print("with rollups" if rows <= ROLLED_UP else "without rollups: findings not measured, samples from all rows")
        print("  ".join(f"{name} {statistics.median(times[1:]):.0f}" for name, times in parts.items()))
        print(f"all parts that need no model: {statistics.median(totals[1:]):.0f} ms (the first time {totals[0]:.0f})")
        store.close()


if __name__ == "__main__":
    main()
