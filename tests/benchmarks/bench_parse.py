"""How fast are lines checked and typed, against DuckDB's own typed `read_json` of the same file into a table?

`python tests/benchmarks/bench_parse.py [lines]` prints, for files of several shapes, the rate of `parse` divided by that of `read_json`
(which checks less: it turns "0.5" and true into numbers and records no reasons for rejected lines), as the median of 5 in one process. For
comparison it also prints the rate of the exact parser alone.
"""

import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from observability.core.catalog import Catalog
from observability.store.ingest import parse as parsing
from observability.store.ingest.landing import segment_blocks
from observability.store.ingest.parse import parse_block
from observability.store.types.loading import LoadDefaults

NUMBERS = [f"number_{i}" for i in range(20)]
CATEGORIES = [f"category_{i}" for i in range(5)]
LEVELS = ["EWR", "JFK", "LGA", "west", "x9"]


def record(i: int, dice: random.Random, digits: int = 4) -> dict[str, object]:
    """One prediction with 20 numeric and 5 categorical features."""
    features: dict[str, object] = {
        name: round(dice.gauss(0, 1), digits) if k % 2 else dice.randint(0, 1000) for k, name in enumerate(NUMBERS)
    }
    features |= {name: dice.choice(LEVELS) for name in CATEGORIES}
    at = f"2013-07-{1 + i % 28:02d}T{i % 24:02d}:{i % 60:02d}:00.000000Z"
    fixed = {"kind": "prediction", "id": f"id-{i:09d}", "at": at, "model": "loan", "version": "3", "features": features}
    return fixed | {"score": round(dice.random(), 6), "latency_ms": round(dice.random() * 30, 3)}


def shuffled(obj: dict[str, object], dice: random.Random) -> dict[str, object]:
    """The same object with its keys in random order."""
    items = [(name, shuffled(each, dice) if isinstance(each, dict) else each) for name, each in obj.items()]
    dice.shuffle(items)
    return dict(items)


def one_shape(i: int, dice: random.Random) -> str:
    """The line as the product's logger writes it."""
    return json.dumps(record(i, dice), separators=(",", ":"))


def long_numbers(i: int, dice: random.Random) -> str:
    """Numbers of 16 and 17 digits."""
    return json.dumps(record(i, dice, 17), separators=(",", ":"))


def three_shapes(i: int, dice: random.Random) -> str:
    """Some lines have a label, some have fields that no record has, some lack features. json.dumps formats them with its default
    separators.
    """
    obj = record(i, dice)
    if i % 3 == 1:
        obj |= {"label": dice.randint(0, 1), "request": f"r{i}"}
    if i % 3 == 2:
        obj["features"] = {name: each for k, (name, each) in enumerate(obj["features"].items()) if k % 5}
    return json.dumps(obj)


def any_shape(i: int, dice: random.Random) -> str:
    """Lines whose keys are in a different random order in each line."""
    return json.dumps(shuffled(record(i, dice), dice))


def one_in_a_hundred_bad(i: int, dice: random.Random) -> str:
    """Lines, of which 1 % break a rule."""
    line = one_shape(i, dice)
    return line.replace('"version":"3",', "") if i % 100 == 50 else line


def median(work: Callable[[], object], repeats: int = 5) -> float:
    """The median seconds of some runs."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main(lines: int = 60_000) -> None:
    """Prints a line for each shape."""
    parsing.fast_parser()
    connection = duckdb.connect()
    features = "STRUCT(" + ", ".join([f"{name} DOUBLE" for name in NUMBERS] + [f"{name} VARCHAR" for name in CATEGORIES]) + ")"
    texts = "kind: 'VARCHAR', id: 'VARCHAR', model: 'VARCHAR', version: 'VARCHAR'"
    columns = f"{{{texts}, \"at\": 'TIMESTAMP', score: 'DOUBLE', latency_ms: 'DOUBLE', features: '{features}'}}"
    print(f"{lines:,} lines of 25 features; rate of parse / rate of read_json (higher is better)")
    with tempfile.TemporaryDirectory() as folder:
        for shape in (one_shape, long_numbers, three_shapes, any_shape, one_in_a_hundred_bad):
            dice = random.Random(1)
            path = Path(folder, f"{shape.__name__}.jsonl")
            path.write_text("".join(shape(i, dice) + "\n" for i in range(lines)), encoding="utf-8")

            def theirs(path: Path = path) -> None:
                query = f"SELECT * EXCLUDE features, features.* FROM read_json(?, format = 'newline_delimited', columns = {columns})"
                connection.execute(f"CREATE OR REPLACE TABLE t AS {query}", [str(path)])

            def ours(path: Path = path) -> None:
                for block, _ in segment_blocks(path):
                    parse_block(None, block, Catalog(), LoadDefaults())

            ours()
            base, fast = median(theirs), median(ours)
            parsing.fast_parser_for, kept = (lambda _lines: None), parsing.fast_parser_for
            exact = median(ours, 1)
            parsing.fast_parser_for = kept
            print(
                f"{shape.__name__:<22} parse {base / fast:5.2f}   exact path alone {base / exact:5.2f}   read_json {lines / base:9,.0f} lines/s"
            )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
