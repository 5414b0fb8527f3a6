"""How long do the pages of the pipeline take to open with many records? All records are simulated.

    python tests/benchmarks/bench_size.py [--parts labelling,items,batches,ranks,runs] [--scale 1.0] [--folder DIR] [--lines]

labelling: 600 people and 200,000 annotations. items: 20,000 landed items. batches: 12,000 batches of 100 devices with 200 columns. ranks: a
job of 64 ranks and 100,000 steps. runs: 1,000 runs of 10,000 steps. `--scale` multiplies annotations, days of batches, and steps of ranks
or runs. Each part has its own home. The database computes the rows, so that millions of JSON lines need not be parsed; as a check, SLICE of
them go through the loader as lines into another store and must give equal rows. With `--lines` the steps of the job of 64 ranks are loaded
as JSON lines instead, compared with as many lines of predictions with 25 features, and the figures of the page are compared with those
computed from these lines. The pages are opened by a session in a new process that, like a running server, has already imported every
analyzer, every module of the dashboard and what the server imports: first cold, then once more; and in another process for the first time
after a round of the watcher, which has then analyzed the records. For a page that is drawn before its findings are known, `first` is the
time until it is drawn, and `cold` the time until it is drawn with them. Prints wall seconds and processor seconds of the page's process,
background threads included. With `--folder` the homes are kept there, and existing homes are opened instead of made anew.
"""

import argparse
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

END = f"TIMESTAMP '{datetime.now(UTC):%Y-%m-%d %H}:00:00'"
SLICE = 1000
MACROS = (
    "CREATE TEMP MACRO uniform(a, b, salt) AS (hash(a, b, salt) / 18446744073709551616.0)",
    """CREATE TEMP MACRO normal(a, b, salt) AS
    (sqrt(-2 * ln(uniform(a, b, salt) + 1e-12)) * cos(6.283185307179586 * uniform(a, b, salt || ' angle')))""",
    "CREATE TEMP MACRO mood(place) AS (['negative', 'neutral', 'positive'][1 + place::BIGINT])",
)
"""SQL macros for random numbers that depend only on their arguments, so that each run computes the same rows."""


def annotation_rows(scale: float) -> dict[str, str]:
    """Labels of 600 people, four per item, over 60 days. One item of ten has a known answer."""
    items = round(50_000 * scale)
    return {
        "annotation": f"""SELECT 'moods' AS project, 'i' || item AS item, 'a' || (hash(item) % 600 + 151 * turn) % 600 AS annotator,
            {END} - to_microseconds(((60 * (1 - item / {items}) * 86400 + 36000 * uniform(item, turn, 'at')) * 1e6)::BIGINT) AS "at",
            mood(CASE WHEN uniform(item, turn, 'right') < 0.85 THEN truth ELSE hash(item, turn, 'said') % 3 END) AS label,
            round(5 + 55 * uniform(item, turn, 'seconds'), 1) AS seconds, mood(hash(item, turn, 'suggestion') % 3) AS suggestion,
            0.7 AS suggestion_confidence, CASE WHEN item % 10 = 0 THEN mood(truth) END AS gold
            FROM (SELECT range AS item, hash(range, 'truth') % 3 AS truth FROM range({items})), (SELECT range AS turn FROM range(4))"""
    }


def batch_rows(scale: float) -> dict[str, str]:
    """Batches of 100 devices over 120 days, each with statistics of 200 columns."""
    days = round(120 * scale)
    return {
        "batch": f"""WITH figures AS (
                SELECT device, day, 'c' || place AS name, round(20 + normal(device, day, name), 3) AS mean,
                    round(exp(1 + 0.1 * normal(device, day, name || ' std')), 3) AS std,
                    round(greatest(0.02 + 0.0044 * normal(device, day, name || ' null'), 0), 3) AS nulls
                FROM (SELECT range AS device FROM range(100)), (SELECT range AS day FROM range({days})),
                    (SELECT range AS place FROM range(200))),
            batches AS (
                SELECT device, day, '{{' || string_agg(
                    '"' || name || '":{{"mean":' || mean || ',"null_share":' || nulls || ',"std":' || std || '}}', ',' ORDER BY name
                ) || '}}' AS stats FROM figures GROUP BY device, day)
            SELECT device || ' ' || day AS batch, {END} - to_hours((24 * ({days} - day) - 6)::BIGINT) AS "at", 's' AS source, 1000 AS rows,
                'd' || device AS device, 3 AS rejected_rows, "at" - INTERVAL 1 HOUR AS captured_to, stats FROM batches"""
    }


def rank_rows(scale: float, first: int = 1, last: int = 0) -> dict[str, str]:
    """A job of 64 ranks, which in communication wait for the slowest one. In the second half, rank 13 takes six times as long to read its
    data.

    first, last: only the steps from `first` up to before `last`.
    """
    steps = round(100_000 * scale)
    return {
        "run": f"""SELECT 'wide' AS run, 'loan' AS model, event, {END} - to_seconds(earlier) AS "at",
            CASE event WHEN 'start' THEN '{{"simulated":true}}' END AS params, CASE event WHEN 'end' THEN 'finished' END AS status
            FROM (VALUES ('start', 86400), ('end', 6400)) t(event, earlier)""",
        "step": f"""WITH work AS (
                SELECT step, rank, round(40 + 2 * uniform(step, rank, 'work'), 2) AS compute, round((5 + 0.5 * uniform(step, rank, 'data'))
                    * CASE WHEN rank = 13 AND step > {steps // 2} THEN 6 ELSE 1 END, 2) AS data, compute + data AS own
                FROM (SELECT range AS step FROM range({first}, {last or steps + 1})), (SELECT range AS rank FROM range(64))),
            slowest AS (SELECT step, max(own) AS longest FROM work GROUP BY step)
            SELECT 'wide' AS run, {END} - to_microseconds(((86400 - 80000 * step / {max(steps, 1)}) * 1e6)::BIGINT) AS "at", step,
            rank::VARCHAR AS rank, 'h' || rank // 8 AS host, '{{"train_loss":' || round(2 * pow(step, -0.3), 4) || '}}' AS metrics,
            '{{"communication":' || round(3 + uniform(step, rank, 'talk') + longest - own, 2) || ',"compute":' || compute
            || ',"data":' || data || '}}' AS phase_ms FROM work JOIN slowest USING (step)""",
    }


def run_rows(scale: float) -> dict[str, str]:
    """1,000 runs, the newest last."""
    steps = round(10_000 * scale)
    return {
        "run": f"""SELECT printf('r%04d', run) AS run, 'loan' AS model, 's' || run // 100 AS study, event,
            '{{"lr":' || round(0.01 + uniform(run, 0, 'lr'), 4) || '}}' AS params, {END} - to_seconds((3600 * (1000 - run) - later)::BIGINT) AS "at",
            CASE event WHEN 'end' THEN 'finished' END AS status,
            CASE event WHEN 'end' THEN '{{"val_loss":' || round(0.5 + uniform(run, 0, 'loss'), 4) || '}}' END AS metrics
            FROM (SELECT range AS run FROM range(1000)), (VALUES ('start', 0), ('end', 3000)) t(event, later)""",
        "step": f"""SELECT printf('r%04d', run) AS run, step,
            {END} - to_microseconds(((3600 * (1000 - run) - 3000 * step / {steps}) * 1e6)::BIGINT) AS "at",
            '{{"train_loss":' || round(loss, 4) || ',"val_loss":' || round(loss + 0.2 + uniform(run, 0, 'loss'), 4) || '}}' AS metrics
            FROM (SELECT run, step, 0.3 + 2 * pow(step, -0.35) + 0.01 * normal(run, step, 'loss') AS loss
                FROM (SELECT range AS run FROM range(1000)), (SELECT range AS step FROM range(1, {steps + 1})))""",
    }


def item_rows(scale: float) -> dict[str, str]:
    """20,000 landed items of a project without a model; two people have labelled one item in five."""
    items = round(20_000 * scale)
    return {
        "item": f"""SELECT 'letters' AS project, 'i' || item AS item, {END} - to_hours((24 * (1 + item % 50))::BIGINT) AS "at", 'v1' AS guideline,
            '["negative","neutral","positive"]' AS classes, '{{"pages":' || hash(item, 'pages') % 30 || ',"text":"' || string_agg(
            'word' || hash(item, turn) % 2000, ' ' ORDER BY turn) || '"}}' AS content
            FROM (SELECT range AS item FROM range({items})), (SELECT range AS turn FROM range(25)) GROUP BY item""",
        "annotation": f"""SELECT 'letters' AS project, 'i' || 5 * item AS item, 'a' || turn AS annotator,
            {END} - to_hours((24 * (1 + item % 20))::BIGINT) AS "at",
            mood(CASE WHEN uniform(item, turn, 'right') < 0.85 THEN hash(item, 'truth') % 3 ELSE hash(item, turn, 'said') % 3 END) AS label
            FROM (SELECT range AS item FROM range({items // 5})), (SELECT range AS turn FROM range(2))""",
    }


PARTS: dict[str, tuple[Callable[[float], dict[str, str]], tuple[str, ...]]] = {
    "labelling": (annotation_rows, ("labelling", "label_quality", "annotate")),
    "items": (item_rows, ("annotate", "label_quality")),
    "batches": (batch_rows, ("devices", "batches")),
    "ranks": (rank_rows, ("distributed", "runs")),
    "runs": (run_rows, ("runs", "compare_runs", "studies")),
}


def fill_part(part: str, scale: float, home: Path) -> None:
    """Compute the rows of a part into the tables of a new store. Compare a slice with the rows that the loader makes of its lines."""
    from observability.core.view_names import quoted_identifier
    from observability.store.db.kept_numbers import keep_numbers
    from observability.store.db.record_tables import content_hash, kind_columns, kind_tables
    from observability.store.opener import open_store
    from observability.store.rollup.noted_steps import note_steps
    from observability.store.rollup.rank_blocks import keep_rank_blocks, note_steps_of_ranks

    began, rows = time.perf_counter(), 0
    with open_store(home) as store:
        for kind, query in PARTS[part][0](scale).items():
            columns = {name: type_ for name, type_ in kind_columns(kind).items() if name not in ("arrived", "content_hash")}
            with store.write() as writer:
                for macro in MACROS:
                    writer.execute(macro.replace("CREATE", "CREATE OR REPLACE"))
                made = {row[0] for row in writer.execute(f"DESCRIBE {query}").fetchall()}
                typed = ", ".join(
                    f"{quoted_identifier(name) if name in made else 'NULL'}::{type_} AS {quoted_identifier(name)}"
                    for name, type_ in columns.items()
                )
                writer.execute(f"""INSERT INTO {kind_tables()[kind]} BY NAME
                    SELECT *, {content_hash(kind)} AS content_hash, "at" AS arrived FROM (SELECT {typed} FROM ({query}))""")
                keep_numbers(writer, kind, kind_tables()[kind])
                if kind == "step":
                    note_steps_of_ranks(writer, "steps")
                    cpu = time.process_time()
                    note_steps(writer, "steps")
                    print(f"{part}: steps noted in {time.process_time() - cpu:.1f} s of processor time", flush=True)
                rows += writer.execute(f"SELECT count(*) FROM {kind_tables()[kind]}").fetchall()[0][0]
            equal = compare_slice(store, kind)
            cpu = time.process_time()
            keep_rank_blocks(store)
            if kind == "step":
                print(f"{part}: blocks of ranks kept in {time.process_time() - cpu:.1f} s of processor time", flush=True)
            print(f"{part}: {equal:,} records of kind {kind} are those of the loader", flush=True)
    print(f"{part}: {rows:,} rows computed in {time.perf_counter() - began:.1f} s", flush=True)


def prediction_rows(first: int, last: int) -> str:
    """Predictions with 20 numbers and 5 categories: as many as there are records of the ranks' steps from `first` up to before `last`."""
    numbers = ", ".join(f"number_{place:02d}: round(normal(i, 0, 'n{place}'), 6)" for place in range(20))
    names = ", ".join(f"category_{place}: 'level ' || hash(i, 'c{place}') % 12" for place in range(5))
    return f"""SELECT 'prediction' AS kind, 'p' || i AS id, strftime({END} - to_milliseconds(i * 13), '%Y-%m-%dT%H:%M:%S.%gZ') AS "at",
        'loan' AS model, '1' AS version, {{{numbers}, {names}}} AS features, round(uniform(i, 0, 'score'), 6) AS score
        FROM (SELECT range AS i FROM range({64 * first}, {64 * last}))"""


def step_lines(scale: float, first: int, last: int) -> str:
    """The records of the ranks' steps from `first` up to before `last`, in the order of steps."""
    return f"""SELECT 'step' AS kind, run, strftime("at", '%Y-%m-%dT%H:%M:%S.%fZ') AS "at", step, rank, host, metrics::JSON AS metrics,
        phase_ms::JSON AS phase_ms FROM ({rank_rows(scale, first, last)["step"]}) ORDER BY step, rank::INTEGER"""


def load_lines(scale: float, home: Path) -> list[dict[str, Any]]:
    """Load the ranks' steps as JSON lines into a home, one tenth after the other. Load as many predictions as the first tenth has steps
    into another home. Print the rates of both.

    Returns the lines of every n-th step, as read from the files.
    """
    import duckdb

    from observability.store.opener import open_store
    from observability.store.types.loading import LoadDefaults

    steps, read = round(100_000 * scale), []
    tenth, every = steps // 10, -(-64 * steps // 12_500)
    maker = duckdb.connect(config={"threads": 2})
    for macro in MACROS:
        maker.execute(macro)

    def load(name: str, query: str, into: Path) -> tuple[float, float]:
        """Wall and processor seconds of loading the rows of a query as lines."""
        path = home.parent / f"{name}.jsonl"
        maker.execute(f"COPY ({query}) TO '{path}' (FORMAT json)")
        if name == "steps":
            with path.open(encoding="utf-8") as file:
                read.extend(json.loads(line) for place, line in enumerate(file) if (first - 1 + place // 64) % every == 0)
        with open_store(into) as store:
            began, cpu = time.perf_counter(), time.process_time()
            report = store.load_files([path], LoadDefaults())
            spent = time.perf_counter() - began, time.process_time() - cpu
        assert report.stored == report.lines == 64 * tenth, report
        path.unlink()
        rate = [f"{report.lines / seconds:,.0f}" for seconds in spent]
        print(f"{name}: {report.lines:,} lines, {rate[0]} a second by the clock, {rate[1]} by the processor", flush=True)
        return spent

    for first in range(1, steps + 1, tenth):
        took = load("steps", step_lines(scale, first, first + tenth), home)
        if first == 1:
            others = load("predictions", prediction_rows(first, first + tenth), home.parent / "predictions")
            print(
                f"rate of steps over that of predictions: {others[0] / took[0]:.2f} by the clock, {others[1] / took[1]:.2f} by the processor"
            )
    with open_store(home) as store:
        store.write_records([{"kind": "run", "run": "wide", "model": "loan", "event": "start", "params": {"simulated": True}}])
    return read


def figures_by_hand(lines: list[dict[str, Any]]) -> list[str]:
    """The figures that the page must show for these lines of a run: steps and ranks, the share of each phase, and the times of the slow
    rank and of the fastest rank."""
    import numpy as np

    place = {step: at for at, step in enumerate(sorted({line["step"] for line in lines}))}
    phases = {name: np.full((64, len(place)), np.nan) for name in ("communication", "compute", "data")}
    for line in lines:
        for name, table in phases.items():
            table[int(line["rank"]), place[line["step"]]] = line["phase_ms"][name]
    work = phases["compute"] + phases["data"]
    wait = np.minimum(phases["communication"], work.max(axis=0) - work)
    own = phases | {"communication": phases["communication"] - wait, "waiting": wait}
    whole = sum(table.sum() for table in own.values())
    shares = {name: f"{100 * table.sum() / whole:.1f}".removesuffix(".0") for name, table in own.items()}
    found = [f"{len(place):,} steps of 64 ranks", *(f"{name} {share} %" for name, share in shares.items())]
    quarter = max(len(place) // 4, 1)
    recent = np.median(phases["data"][:, -quarter:], axis=1)
    return [*found, f"{recent[13]:.3g} ms", f"{recent.min():.3g} ms"]


def compare_slice(store: Any, kind: str) -> int:
    """Load some rows of a kind as lines into another store, and compare them with the computed rows. Returns their number."""
    from observability.store.db.kept_numbers import kept_columns
    from observability.store.db.record_tables import kind_columns, kind_tables
    from observability.store.opener import open_store
    from observability.store.types.loading import LoadDefaults

    columns = [name for name in (*kind_columns(kind), *kept_columns(kind)) if name != "arrived"]
    asked = ", ".join(f'"{name}"' for name in columns)
    with store.cursor() as cursor:
        rows = cursor.execute(f"SELECT {asked} FROM {kind_tables()[kind]} ORDER BY content_hash LIMIT {SLICE}").fetchall()
    types = kind_columns(kind)
    lines = []
    for row in rows:
        named = {
            name: value for name, value in zip(columns, row, strict=True) if value is not None and name in types and name != "content_hash"
        }
        values = {
            name: json.loads(value) if types[name] == "JSON" else f"{value.isoformat()}Z" if types[name] == "TIMESTAMP" else value
            for name, value in named.items()
        }
        lines.append(json.dumps({"kind": kind, **values}))
    with tempfile.TemporaryDirectory(dir=store.home.parent) as folder, open_store(Path(folder) / "home") as other:
        path = Path(folder) / "slice.jsonl"
        path.write_text("\n".join(lines), encoding="utf-8")
        report = other.load_files([path], LoadDefaults())
        assert report.stored == len(rows), report
        with other.cursor() as cursor:
            loaded = cursor.execute(f"SELECT {asked} FROM {kind_tables()[kind]} ORDER BY content_hash").fetchall()
    assert loaded == rows, next(pair for pair in zip(rows, loaded, strict=True) if pair[0] != pair[1])
    return len(rows)


def open_page(page: str, home: Path, watched: bool, lines: bool) -> None:
    """Open a page in this process, cold and then warm, or for the first time after a round of the watcher, and print the seconds. lines:
    whether to print the words of the page too.
    """
    from observability import dashboard
    from observability.alerts.config import AlertConfig
    from observability.analyzers import discover
    from observability.core.time import end_of_step
    from observability.server import process_lock, watcher
    from tests.support.dashboard_pages import are_findings_pending, opened, run_until_findings_are_known, words
    from tests.support.page_runs import run_pages_as_a_server_does

    run_pages_as_a_server_does()
    discover()
    importlib.import_module("scipy.stats")  # dashboard/findings_ahead.py
    for module in pkgutil.walk_packages(dashboard.__path__, f"{dashboard.__name__}."):
        importlib.import_module(module.name)
    process_lock.own_home(home)
    opened("rules", within=600)
    if watched:
        now = datetime.now(UTC)
        if (left := (end_of_step(now) - now).total_seconds()) < 30:  # the round and the page must fall into one step of the clock
            time.sleep(left + 1)
        cpu = time.process_time()
        watcher.check_live_models(process_lock.current_store(), watcher.Watching(), AlertConfig(), datetime.now(UTC))
        print(f"  the watcher's round: {time.process_time() - cpu:6.2f} s CPU", flush=True)
    for name in ("watched",) if watched else ("cold", "warm"):
        began, cpu = time.perf_counter(), time.process_time()

        def told(name: str, app: Any, began: float = began, cpu: float = cpu) -> None:
            spent, used = time.perf_counter() - began, time.process_time() - cpu
            print(f"  {page:14} {name}: {spent:6.2f} s, {used:6.2f} s CPU, {len(words(app)):,} characters", flush=True)

        app = opened(page, within=600, whole=False)
        if are_findings_pending(app):
            told("first", app)
            run_until_findings_are_known(app)
        told(name, app)
    if lines:
        print(f"  words: {words(app)}", flush=True)


def main(parts: list[str], scale: float, folder: str | None, page: str | None, watched: bool, lines: bool) -> None:
    """Measure each part."""
    if page:
        open_page(page, Path(folder or "."), watched, lines)
        return
    if lines:
        with tempfile.TemporaryDirectory(dir=folder) as own:
            home = Path(own) / "ranks"
            expected = figures_by_hand(load_lines(scale, home))
            asked = [sys.executable, __file__, "--page", "distributed", "--folder", str(home)]
            done = subprocess.run([*asked, "--lines"], check=True, capture_output=True, text=True).stdout
            absent = [figure for figure in expected if figure not in done]
            print(
                done.partition("\n  words: ")[0],
                f"  figures by hand: {expected}; not on the page: {absent or 'none'}",
                sep="\n",
                flush=True,
            )
        return
    for part in parts:
        with tempfile.TemporaryDirectory() as own:
            home = Path(folder or own) / part
            if not home.exists():
                fill_part(part, scale, home)
            for name in PARTS[part][1]:
                for mode in ([], ["--watched"]):
                    subprocess.run([sys.executable, __file__, "--page", name, "--folder", str(home), *mode], check=False)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS))
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--folder")
    parser.add_argument("--page", help=argparse.SUPPRESS)
    parser.add_argument("--lines", action="store_true")
    parser.add_argument("--watched", action="store_true", help=argparse.SUPPRESS)
    main(**vars(parser.parse_args()))
