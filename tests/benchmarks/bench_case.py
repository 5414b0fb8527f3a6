"""How fast is one prediction found among millions, and how long does the whole evidence about it take?

    python tests/benchmarks/bench_case.py [ROWS] [FILE_ROWS]

ROWS (default 10,000,000): number of predictions among which an id is looked for. FILE_ROWS (default 5,000,000): number of predictions, all
explained and rolled up, some of which are opened as whole case files. Both use a synthetic model with 12 features, half of its predictions
labelled, made inside the database. Times are CPU milliseconds of the process (all threads), the least of several runs, also as multiples of
a bare scan of the stored hashes; wall time is printed too.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import numpy as np
import pandas as pd
from duckdb import DuckDBPyConnection

from observability.core.errors import NotFoundError
from observability.investigation import decision_boundary, error_tree, known_attributions
from observability.investigation.case import open_case
from observability.investigation.part_registry import PARTS
from observability.store.db.database import Database
from observability.store.db.schema import LABEL_COLUMNS, PREDICTION_COLUMNS
from observability.store.opener import open_store
from observability.store.query import listing
from observability.store.query.attributions import JOB
from observability.store.query.enrichment_parts import write_job_parts
from observability.store.rollup.rollup import rebuild_rollups
from observability.store.types.explanations import ExplanationState, explained_registration
from observability.store.types.registration import RegistrationRequest

NUMBERS, CATEGORIES = 9, 3
MODELLED = ("counterfactuals", "versions")
"""Parts that ask model files. Their answers are cached after the first time (store/query/cached_answers.py)."""
REPEATS = 15
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
START = f"TIMESTAMP '{FIRST:%Y-%m-%d}'"
NOW = datetime(2026, 7, 1, tzinfo=UTC)


def build(home: Path, rows: int, *, whole: bool = False) -> Database:
    """A store with the model `big`. whole: whether rollups are made and all rows are explained."""
    store = open_store(home / "home")
    stream = fill(store, home, "big", rows, rolled=whole)
    if whole:
        with store.write() as writer:
            explained(writer, store.catalog().model("big").key, stream)
        version = store.catalog().model("big").versions[0]
        names = tuple(each.name for each in store.catalog().model("big").features())
        held = explained_registration(version)
        state = ExplanationState(names, held[0], held[1], "tree", "logit", "rows of the reference", 100, rows=rows)
        with store.write() as writer:
            write_job_parts(writer, store.catalog().model("big"), JOB, "1", {"": (rows, asdict(state))})
    return store


def fill(store: Database, home: Path, name: str, rows: int, *, rolled: bool) -> int:
    """Register a model with `rows` predictions over 180 days, and labels for every other one. Returns the number of their stream. rolled:
    whether rollups are made.
    """
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {f"x{i}": rng.normal(size=20_000) for i in range(NUMBERS)}
        | {f"c{i}": rng.choice(list("abcdef"), 20_000) for i in range(CATEGORIES)}
    )
    frame["score"] = 1 / (1 + np.exp(-frame["x0"] - frame["x1"] / 2))
    frame["label"] = (rng.random(len(frame)) < frame["score"]).astype(int)
    frame.to_csv(home / "reference.csv", index=False)
    store.register(
        RegistrationRequest(model=name, version="1", task="binary", reference=home / "reference.csv", label="label", score=("score",))
    )
    model = store.catalog().model(name)
    columns = {each.name: each.column for each in model.columns}
    with store.write() as writer:
        writer.execute(
            "INSERT INTO streams VALUES (?, (SELECT max(stream) + 1 FROM streams WHERE key = ?), '1', 'production')", [model.key, model.key]
        )
        ((stream,),) = writer.execute("SELECT stream FROM streams WHERE key = ? AND environment = 'production'", [model.key]).fetchall()
        made = {
            "stream": f"{stream}::SMALLINT", "id": "'p' || hash(i)", "id_hash": "hash('p' || hash(i))", "sample_hash": "hash(i + 17)",
            '"at"': f"{START} + to_milliseconds((i * (180 * 86400000::DOUBLE / {rows}))::BIGINT)",
            "arrived": f"{START} + to_milliseconds((i * (180 * 86400000::DOUBLE / {rows}))::BIGINT)", "status": "'ok'", "replica": "'r' || hash(i + 7) % 3", "latency_ms": "20 + (hash(i + 8) % 1000) / 50.0",
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
        if rolled:
            rebuild_rollups(writer, name)
    return int(stream)


def explained(writer: DuckDBPyConnection, key: int, stream: int) -> None:
    """Write attributions for every prediction; they add up to its log-odds."""
    parts = ", ".join(["ln(score / (1 - score))", *(["0.0"] * (NUMBERS + CATEGORIES - 1))])
    writer.execute(
        f"""INSERT INTO attributions_{key} SELECT stream, id, id_hash, "at", sample_hash, true, -1, [{parts}]::FLOAT[], 0.0, ln(score / (1 - score)), 0.0,
            'logit', 'tree', true, true FROM predictions_{key} WHERE stream = {stream}"""
    )


def least(work: Callable[[int], object], repeats: int = REPEATS) -> tuple[float, float]:
    """The least CPU and wall milliseconds of the runs."""
    cpu, wall = [], []
    for turn in range(repeats):
        began, since = time.process_time(), time.perf_counter()
        work(turn)
        cpu.append((time.process_time() - began) * 1000)
        wall.append((time.perf_counter() - since) * 1000)
    return min(cpu), min(wall)


def missing(store: Database, turn: int) -> None:
    """Look up an id that is not in the store."""
    try:
        store.row("big", f"nobody-{turn}")
    except NotFoundError:
        return
    raise SystemExit("an id that is not there was found")


def some_ids(store: Database, rows: int) -> list[str]:
    """Ids of labelled predictions, at random positions."""
    places = np.random.default_rng(1).integers(0, rows // 2, 2 * REPEATS).tolist()
    return [store.cursor().execute("SELECT 'p' || hash(2 * ?::BIGINT)", [each]).fetchall()[0][0] for each in places]


def wrong_ids(store: Database) -> list[str]:
    """Ids of predictions that are wrong by their label; their case files have every part."""
    key = store.catalog().model("big").key
    asked = f"""SELECT p.id FROM predictions_{key} p JOIN labels_{key} l ON l.id_hash = p.id_hash
        WHERE p.sample_hash % 1000 = 1 AND NOT starts_with(p.id, 'reference/') AND p.decision::VARCHAR <> l.value ORDER BY p.sample_hash LIMIT {REPEATS}"""
    return [name for (name,) in store.cursor().execute(asked).fetchall()]


def look_up(store: Database, rows: int) -> None:
    """Measure the lookup of one id among all predictions."""
    key, cursor, ids = store.catalog().model("big").key, store.cursor(), some_ids(store, rows)
    table = f"predictions_{key}"
    bare, _ = least(lambda turn: cursor.execute(f"SELECT count(*) FROM {table} WHERE id_hash = hash(?)", [ids[turn]]).fetchall())
    works: dict[str, Callable[[int], object]] = {
        "bare scan of the hashes": lambda turn: cursor.execute(f"SELECT count(*) FROM {table} WHERE id_hash = hash(?)", [ids[turn]]).fetchall(),
        "an id that is not there": lambda turn: missing(store, turn),
        "an id, with every field": lambda turn: listing.rows_of_id(cursor, table, ["*"], ids[turn]),
        "the same with its labels and names": lambda turn: store.row("big", ids[turn]),
        "hash, id and every field in one question": lambda turn: cursor.execute(f"SELECT * FROM {table} WHERE id_hash = hash(?) AND id = ?", [ids[turn]] * 2).fetchall(),
        "by the text of the id": lambda turn: cursor.execute(f"SELECT rowid FROM {table} WHERE id = ?", [ids[turn]]).fetchall(),
    }  # fmt: skip
    for name, work in works.items():
        cpu, wall = least(work)
        print(f"  {name:<42} {cpu:7.1f} ms CPU, {wall:7.1f} ms wall, {cpu / bare:5.1f} bare scans")


def whole_file(store: Database, _rows: int) -> None:
    """Measure everything that the page of a case shows if its explanation is stored; each run uses another prediction."""
    key, cursor, ids = store.catalog().model("big").key, store.cursor(), wrong_ids(store)
    bare, _ = least(
        lambda turn: cursor.execute(f"SELECT count(*) FROM predictions_{key} WHERE id_hash = hash(?)", [ids[turn]]).fetchall(), len(ids)
    )
    parts: dict[str, list[float]] = {}
    totals, walls = [], []
    for turn in range(7):
        began, since = time.process_time(), time.perf_counter()
        look = open_case(store, ids[turn], now=NOW)
        steps: dict[str, Callable[[], object]] = {"opened": lambda: None} | {
            name: (lambda name=name: look.part(name)) for name in PARTS if name not in MODELLED
        }
        steps |= {
            "waterfall": lambda: known_attributions.logged_or_stored_contrast(store, look.row), "margin": lambda: decision_boundary.margin(store, look.row), "tree": lambda: error_tree.error_tree_nodes(look),
            "opposite": lambda: decision_boundary.nearest_opposite_row(store, look.row), "said": lambda: (store.verdicts("big", look.row.id), store.actions("big", look.row.id)),
        }  # fmt: skip
        last = began
        for name, work in steps.items():
            work()
            now = time.process_time()
            parts.setdefault(name, []).append((now - last) * 1000)
            last = now
        totals.append((time.process_time() - began) * 1000)
        walls.append((time.perf_counter() - since) * 1000)
        if any(look.known[name] is None for name in PARTS if name not in MODELLED and name != "rule"):
            raise SystemExit(f"the file is not whole: {look.why}")
    print("  " + "  ".join(f"{name} {min(times[1:]):.0f}" for name, times in parts.items()))
    best = min(totals[1:])
    print(
        f"  the whole file: {best:.0f} ms CPU ({best / bare:.0f} bare scans), {min(walls[1:]):.0f} ms wall; the first one {totals[0]:.0f} ms CPU"
    )


def main() -> None:
    """Measure and print."""
    sizes = [int(each) for each in sys.argv[1:3]] + [10_000_000, 5_000_000][len(sys.argv) - 1 :]
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
    for rows, whole, work in ((sizes[0], False, look_up), (sizes[1], True, whole_file)):
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            store = build(Path(folder), rows, whole=whole)
            store.cursor().execute("CHECKPOINT")
            print(
                f"{rows:,} predictions{', all rolled up and explained' if whole else ''} (made in {time.process_time() - began:.0f} s of CPU)"
            )
            work(store, rows)
            store.close()


if __name__ == "__main__":
    main()
