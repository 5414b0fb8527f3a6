"""Homes with damaged files, and how the product handles them."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from observability.core.errors import ObservabilityError
from observability.store.backup import verify_store
from observability.store.db.record_tables import kind_tables
from observability.store.db.repairs import repairs
from observability.store.duck_store import DuckStore
from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store
from observability.store.types.registration import RegistrationRequest
from tests.support.held_out import write_held_out
from tests.support.landing import land
from tests.support.record_lines import OTHERS, label, prediction

SEGMENTS, EACH = 4, 50
REGISTERED = "held"
"""The name of a model that was registered by hand, so landing has no record of it."""
NO_MATTER = ("rowid", "stream", "arrived", "at_loaded", "key", "registered_at", "artifact", "created_at")
"""Columns that may differ in a rebuilt store: numbers that the store assigns, and the time of the rebuild. Only the number of distinct
arrival times is compared.
"""


def segment_records(number: int) -> list[dict[str, object] | bytes]:
    """One segment: predictions of two models, labels, records of other kinds, and a line that is rejected."""
    ids = [f"{number}-{i}" for i in range(EACH)]
    at = {"at": f"2024-03-0{number + 1}T12:00:00Z"}
    others = [
        {"kind": kind} | OTHERS[kind] | at | {name: f"{number}" for name in ("run", "batch", "verdict", "decision") if name in OTHERS[kind]}
        for kind in ("run", "step", "batch", "event", "verdict", "decision", "alert", "audit")
    ]
    return [
        *(prediction(i, id=name) for i, name in enumerate(ids)),
        *(prediction(i, id=name, model="rent") for i, name in enumerate(ids[:5])),
        *(label(id=name, value=i % 2) for i, name in enumerate(ids[:10])),
        *others,
        b"no record %d" % number,
    ]


def crashed_home(folder: Path, backup: bool = False) -> Path:
    """A home whose process died with a non-empty write-ahead log. Half of its segments and a registered model are in the database file, the
    other half of the segments in the log.

    backup: whether the first half is also in a backup next to the home.
    """
    folder.mkdir(parents=True, exist_ok=True)
    home, copy = folder / "home", folder / "crashed"
    write_held_out(folder / "held.csv", rows=40)
    reference = RegistrationRequest(
        model=REGISTERED, version="1", reference=folder / "held.csv", task="binary", label="defaulted", score=("probability",)
    )
    with open_store(home) as store:
        for segment in range(SEGMENTS):
            land(store, *segment_records(segment), name=f"20240101T000000-1-{segment:012x}.jsonl")
            load_landing(store)
            if segment == SEGMENTS // 2 - 1:
                store.register(reference)
                with store.cursor() as cursor:
                    cursor.execute("CHECKPOINT")
                if backup:
                    store.backup(folder / "backups")
        shutil.copytree(home, copy)
    assert (copy / "store.duckdb.wal").stat().st_size > 10_000
    return copy


def flip_bit(path: Path, place: int, bit: int = 0) -> None:
    """Flip one given bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def flip_any(path: Path, pick: random.Random) -> None:
    """Flip one random bit of a file."""
    flip_bit(path, pick.randrange(path.stat().st_size), pick.randrange(8))


def truncate_anywhere(path: Path, pick: random.Random) -> None:
    """Truncate a file at a random position."""
    os.truncate(path, pick.randrange(path.stat().st_size))


Rows = dict[str, tuple[int, ...]]
"""For each table by name: the number of rows, the number of distinct arrival times, and a checksum of the contents."""


@dataclass(frozen=True)
class Damaged:
    """The outcome for a damaged home. `intact`: all rows are there, and nothing was reported. `healed`: all rows are there, and a repair
    was reported. `told`: rows are missing or differ, and a repair names the missing part or a command says that the store is damaged.
    `silent`: anything else.
    """

    outcome: str
    detail: str


def damaged_home(home: Path, expected: Rows) -> Damaged:
    """Open a damaged home, load waiting records, read everything, and compare the rows with the original ones."""
    try:
        with open_store(home, threads=1) as store:
            load_landing(store)
            rows = rows_in(store)
            problems = verify_store(store)["problems"]
    except ObservabilityError as error:
        return Damaged("told", str(error))
    except Exception as error:  # DuckDB's own message, which `status` and pages show
        return Damaged("told" if "orrupt" in str(error) or "checksum" in str(error) else "silent", f"{type(error).__name__}: {error}")
    noted = [entry["what"] for entry in repairs(home)]
    if problems:
        return Damaged("told", problems[0])
    differing = {name: (rows.get(name), held) for name, held in expected.items() if rows.get(name) != held}
    missing = " ".join(entry["missing"] for entry in repairs(home))
    if all(REGISTERED in name for name in differing) and REGISTERED in missing:
        return Damaged("told" if differing else "healed", missing)
    if differing:
        return Damaged("silent", f"{differing}; repairs: {noted}; missing: {missing}")
    return Damaged("healed" if noted else "intact", "; ".join(noted))


def rows_of(home: Path) -> Rows:
    """The row counts and checksums of an undamaged home."""
    with open_store(home, threads=1) as store:
        return rows_in(store)


def rows_in(store: DuckStore) -> Rows:
    """Row counts and checksums, of the models' rows by model and table, and of the records of every other kind."""
    with store.cursor() as cursor:
        found = {}
        for model in store.catalog().models:
            for table in ("predictions", "labels"):
                found[f"{table} of {model.name}"] = _checked_rows(cursor, f"{table}_{model.key}")
            where = f"WHERE key = {model.key}"
            for table in ("models", "versions", "columns"):
                found[f"{table} of {model.name}"] = _checked_rows(cursor, table, where)
        for kind in (*kind_tables().values(), "rejected"):
            found[kind] = _checked_rows(cursor, kind)
        return found


def _checked_rows(cursor: Any, table: str, where: str = "") -> tuple[int, ...]:
    names = [name for name, *_ in cursor.execute(f"DESCRIBE {table}").fetchall()]
    arrivals = "count(DISTINCT arrived)" if "arrived" in names else "0"
    kept = ", ".join(f'"{name}"' for name in names if name not in NO_MATTER)
    row = cursor.execute(f"SELECT count(*), {arrivals}, coalesce(bit_xor(hash({kept})), 0) FROM {table} {where}").fetchall()[0]
    return tuple(row)


Damage = Callable[[Path, random.Random], None]
DAMAGES: dict[str, tuple[str, Damage]] = {
    "bit of the log": ("store.duckdb.wal", flip_any),
    "log cut": ("store.duckdb.wal", truncate_anywhere),
    "bit of the store": ("store.duckdb", flip_any),
    "store cut": ("store.duckdb", truncate_anywhere),
    "store missing": ("store.duckdb", lambda path, pick: path.unlink()),
    "log missing": ("store.duckdb.wal", lambda path, pick: path.unlink()),
}
