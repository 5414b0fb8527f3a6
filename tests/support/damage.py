"""Homes whose files are damaged, and what the product makes of them."""

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from observability.core.errors import ObservabilityError
from observability.store.backup import verify_store
from observability.store.db.repairs import repairs
from observability.store.ingest.loader import load_landing
from observability.store.opener import open_store
from tests.store.conftest import land
from tests.support.record_lines import prediction

SEGMENTS, EACH = 8, 50
ROWS = "SELECT count(*), count(DISTINCT id), count(DISTINCT arrived), bit_xor(hash(predictions_1)) FROM predictions_1"


def crashed_home(folder: Path, backup: bool = False) -> Path:
    """A home whose process died with a log that is not empty: half of its segments are in the database file, half in the log.

    backup: the first half is in a backup beside the home too.
    """
    home, copy = folder / "home", folder / "crashed"
    with open_store(home) as store:
        for segment in range(SEGMENTS):
            land(store, *(prediction(i, id=f"{segment}-{i}") for i in range(EACH)), name=f"20240101T000000-1-{segment:012x}.jsonl")
            load_landing(store)
            if segment == SEGMENTS // 2 - 1:
                with store.cursor() as cursor:
                    cursor.execute("CHECKPOINT")
                if backup:
                    store.backup(folder / "backups")
        shutil.copytree(home, copy)
    assert (copy / "store.duckdb.wal").stat().st_size > 10_000
    return copy


def flip_bit(path: Path, place: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    content = bytearray(path.read_bytes())
    content[place] ^= 1 << bit
    path.write_bytes(content)


def flip_any(path: Path, pick: random.Random) -> None:
    """Change any one bit of a file."""
    flip_bit(path, pick.randrange(path.stat().st_size), pick.randrange(8))


def truncate_anywhere(path: Path, pick: random.Random) -> None:
    """Cut a file anywhere."""
    os.truncate(path, pick.randrange(path.stat().st_size))


@dataclass(frozen=True)
class Damaged:
    """What became of a damaged home: `intact` (all rows there, nothing was wrong), `healed` (all rows there, and a repair was told), `told`
    (a command says that the store is damaged), `silent` (rows lack or differ, and nothing says so).
    """

    outcome: str
    detail: str


def damaged_home(home: Path, expected: tuple[int, ...]) -> Damaged:
    """Open a damaged home, load what waits, read all of it, and compare its rows with those that it held."""
    try:
        with open_store(home, threads=1) as store:
            load_landing(store)
            with store.cursor() as cursor:
                rows = cursor.execute(ROWS).fetchall()[0]
            problems = verify_store(store)["problems"]
    except ObservabilityError as error:
        return Damaged("told", str(error))
    except Exception as error:  # DuckDB's own words, as `status` and pages show them
        return Damaged("told" if "orrupt" in str(error) or "checksum" in str(error) else "silent", f"{type(error).__name__}: {error}")
    noted = [entry["what"] for entry in repairs(home)]
    if problems:
        return Damaged("told", problems[0])
    if rows != expected:
        return Damaged("silent", f"{rows} in place of {expected}; repairs: {noted}")
    return Damaged("healed" if noted else "intact", "; ".join(noted))


def rows_of(home: Path) -> tuple[int, ...]:
    """Numbers and a checksum of the rows of a home that is whole."""
    with open_store(home, threads=1) as store, store.cursor() as cursor:
        return tuple(cursor.execute(ROWS).fetchall()[0])


Damage = Callable[[Path, random.Random], None]
DAMAGES: dict[str, tuple[str, Damage]] = {
    "bit of the log": ("store.duckdb.wal", flip_any),
    "log cut": ("store.duckdb.wal", truncate_anywhere),
    "bit of the store": ("store.duckdb", flip_any),
    "store cut": ("store.duckdb", truncate_anywhere),
    "store missing": ("store.duckdb", lambda path, pick: path.unlink()),
    "log missing": ("store.duckdb.wal", lambda path, pick: path.unlink()),
}
