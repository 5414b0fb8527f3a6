"""Does a significant but negligible shift raise no alarm in millions of rows?

    python tests/benchmarks/bench_small_shift.py [--rows 10000000] [--shift 0.02] [--home FOLDER]

A week of `--rows` predictions in which every number is `--shift` standard deviations higher than in the reference (200,000 rows) and in the
week before, which has as many rows; scores depend on the numbers, labels on the scores. Rows are made inside the database, rolled up as a
load would do it, and judged by every analyzer. Prints every finding that needs action, the drift figures, and the time of the check. Goal:
no `act`.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import duckdb

from observability.monitoring import check
from observability.store.db.schema import LABEL_COLUMNS, PREDICTION_COLUMNS
from observability.store.opener import open_store
from observability.store.rollup.rollup import rebuild_rollups
from observability.store.types.registration import RegistrationRequest

START = datetime(2026, 3, 2, tzinfo=UTC)
SPLIT = START + timedelta(days=7)
NUMBERS = 5
NORMAL = "sqrt(-2 * ln(1 - random())) * cos(6.283185307179586 * random())"


def drawn(rows, shift):
    """SQL that draws rows of numbers, one category, score and label."""
    numbers = ", ".join(f"{NORMAL} + {shift} AS x{place}" for place in range(NUMBERS))
    return f"""SELECT i, {", ".join(f"x{place}" for place in range(NUMBERS))}, chr((97 + floor(5 * sqrt(random())))::INTEGER) AS c, s AS score,
        (random() < s)::INTEGER AS label FROM (SELECT *, 1 / (1 + exp(-x0 - 0.5 * x1)) AS s FROM (SELECT i, {numbers} FROM range({rows}) t(i)))"""


def inserted(writer, store_model, stream, rows, shift, begin):
    """Insert a week of rows into the store's tables, with a label for each row."""
    columns = {each.name: each.column for each in store_model.columns}
    writer.execute(f"CREATE OR REPLACE TEMP TABLE made AS {drawn(rows, shift)}")
    at = f"TIMESTAMP '{begin:%Y-%m-%d}' + to_milliseconds((i * (7 * 86400000::DOUBLE / {rows}))::BIGINT)"
    id_ = f"'{begin:%m%d}-' || i"
    same = {"id": id_, "id_hash": f"hash({id_})", '"at"': at}
    served = {
        **same, "stream": f"{stream}::SMALLINT", "sample_hash": f"md5_number_upper({id_})", "arrived": f"{at} + INTERVAL 1 SECOND", "status": "'ok'",
        "score": "score", "decision": "(score >= 0.5)::SMALLINT", columns["c"]: "c",
    } | {columns[f"x{place}"]: f"x{place}" for place in range(NUMBERS)}  # fmt: skip
    labelled = {**same, "arrived": f"{at} + INTERVAL 2 SECOND", "value": "label::VARCHAR", "number": "label::DOUBLE"}
    for table, made, known in (("predictions", served, PREDICTION_COLUMNS), ("labels", labelled, LABEL_COLUMNS)):
        rest = {f'"{name}"': f"NULL::{kind}" for name, kind in known.items() if name not in made and f'"{name}"' not in made}
        wanted = made | rest
        writer.execute(f"INSERT INTO {table}_{store_model.key} ({', '.join(wanted)}) SELECT {', '.join(wanted.values())} FROM made")
    writer.execute("DROP TABLE made")


def main():
    """Fills a store, checks the shifted week, prints the findings."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000, help="in the week that is judged, and as many in the week before")
    parser.add_argument("--shift", type=float, default=0.02, help="standard deviations")
    parser.add_argument("--home", type=Path, help="an empty folder on a disk with room (10 million rows take 5 GB)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.home) as folder, open_store(Path(folder) / "home", threads=2) as store:
        began = time.process_time()
        reference = Path(folder) / "reference.parquet"
        duckdb.execute(f"COPY (SELECT * EXCLUDE i FROM ({drawn(200_000, 0.0)})) TO '{reference}' (FORMAT parquet)")
        store.register(RegistrationRequest(model="large", version="1", task="binary", reference=reference, label="label", score=("score",)))
        model = store.catalog().model("large")
        with store.write() as writer:
            writer.execute(
                "INSERT INTO streams VALUES (?, (SELECT max(stream) + 1 FROM streams WHERE key = ?), '1', 'production')",
                [model.key, model.key],
            )
            ((stream,),) = writer.execute("SELECT stream FROM streams WHERE key = ? AND environment = 'production'", [model.key]).fetchall()
            inserted(writer, model, stream, options.rows, 0.0, START)
            inserted(writer, model, stream, options.rows, options.shift, SPLIT)
            print(f"{2 * options.rows:,} rows and labels made: {time.process_time() - began:.0f} s CPU", flush=True)
        with store.write() as writer:
            rebuild_rollups(writer, "large")
        print(f"rolled up: {time.process_time() - began:.0f} s CPU", flush=True)
        end = SPLIT + timedelta(days=7)
        taken = time.perf_counter()
        found = check.check(store, model="large", start=SPLIT, end=end, now=end, with_records=False).findings
        print(f"checked by every analyzer in {time.perf_counter() - taken:.1f} s: {dict(Counter(each.severity for each in found))}")
        for each in found:
            if each.severity in ("act", "watch") or each.analyzer == "serving/drift":
                print(f"  {each.severity:<7} {each.analyzer} {each.subject}/{each.metric} n {each.n:,}: {each.because}")
        return int(any(each.severity == "act" for each in found))


if __name__ == "__main__":
    sys.exit(main())
