"""How many models can one machine handle? Time, memory and size of a fleet of many small models.

    python tests/benchmarks/bench_models.py [MODELS ...] [--names N] [--rows N] [--copied-from N] [--home FOLDER] [--json FILE]

For each number of MODELS (default 100): registers them through the product (a reference of 300 rows, 6 features), and loads for each model
--rows (default 280) predictions with labels over 35 days, and one prediction of each of --names (default: as many as models) unregistered
names. Every fiftieth model has an input that shifted in the last days. Prints wall and processor seconds of registering, loading, `status`,
the first check, the checks after nothing changed and after one model got new rows, and Home's data (first, again, and after one model
changed); also the size of the file, the number of tables and the peak memory. --copied-from: registers, loads and checks only so many
models through the product; the others are copies of their tables and findings under other names. That takes minutes for 1,000 models, where
the product would take hours. An existing --home is used again. --json: prints the figures as one object per fleet.
"""

import argparse
import json
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
os.chdir(ROOT)

import logging

logging.disable(logging.WARNING)
import numpy as np

from observability.monitoring import check
from observability.store.db.schema import MODEL_TABLES, model_table
from observability.store.duck_store import DuckStore
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest

DAYS = 35
FEATURES = ("amount", "age", "tenure", "balance", "region", "plan")
IN_TROUBLE = 50
"""One in this many models has an input that shifted."""
OWNERS, TEAMS, TAGS = 10, 5, 4
CATALOG_TABLES = ("settings_kept", "versions", "columns", "edges", "streams", "rollups", "reference_columns")


def taken(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall and processor seconds (of all threads) of one run, and its result."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = work()
    return time.perf_counter() - wall, time.process_time() - cpu, answer


def table_of(rng: np.random.Generator, rows: int, shift: float = 0.0) -> Any:
    """Rows of one model: features, score, label. shift: size of the shift in the last fifth of the rows, in standard deviations."""
    import pandas as pd

    late = np.arange(rows) >= rows * 0.8
    frame = pd.DataFrame({name: rng.normal(50, 10, rows).round(3) for name in FEATURES[:4]})
    frame["region"] = rng.choice(["north", "south", "east", "west"], rows)
    frame["plan"] = rng.choice(["basic", "plus", "gold"], rows)
    chance = 1 / (1 + np.exp(-(frame["age"] - 50) / 10))
    frame["score"] = chance.round(4)
    frame["label"] = (rng.random(rows) < chance).astype(int)
    frame.loc[late, "amount"] += 10 * shift
    return frame


def register_models(store: DuckStore, folder: Path, models: int) -> None:
    """Register the models, each with an owner, a team and a tag. All use the same reference file."""
    reference = folder / "reference.parquet"
    table_of(np.random.default_rng(1), 300).to_parquet(reference)
    for place in range(models):
        settings = folder / "settings.toml"
        settings.write_text(f'[settings]\nowner = "owner {place % OWNERS}"\nteam = "team {place % TEAMS}"\ntags = ["tag {place % TAGS}"]\n')
        store.register(
            RegistrationRequest(f"model {place:04d}", "1", reference, task="binary", label="label", score=("score",), settings=settings)
        )


def write_rows(path: Path, models: int, names: int, rows: int, end: datetime) -> int:
    """Write a file with labelled predictions of every model over the days before `end`, and with one prediction of each unregistered name.
    Returns the number of lines.
    """
    rng = np.random.default_rng(2)
    lines = 0
    with path.open("w", encoding="utf-8") as file:
        for place in range(models):
            frame = table_of(rng, rows, 2.0 if place % IN_TROUBLE == 0 else 0.0)
            step = timedelta(days=DAYS) / rows
            for number, row in enumerate(frame.to_dict("records")):
                at = (end - (rows - number) * step).isoformat()
                features = {name: row[name] for name in FEATURES}
                record = {
                    "kind": "prediction",
                    "id": f"{place}-{number}",
                    "at": at,
                    "received_at": at,
                    "model": f"model {place:04d}",
                    "version": "1",
                }
                file.write(
                    json.dumps({**record, "features": features, "score": row["score"], "label": row["label"], "latency_ms": 12.5}) + "\n"
                )
                lines += 1
        for place in range(names):
            record = {"kind": "prediction", "id": f"n{place}", "at": end.isoformat(), "model": f"unregistered {place:05d}", "version": "1"}
            file.write(json.dumps({**record, "features": {"amount": 1.0}, "score": 0.5}) + "\n")
            lines += 1
    return lines


def copy_models(store: DuckStore, through: int, models: int) -> None:
    """Copy the tables and catalog entries of the first `through` models in turn, until there are `models` models."""
    keys = {model.name: model.key for model in store.catalog().models}
    with store.write() as writer:
        for place in range(through, models):
            source, key = keys[f"model {place % through:04d}"], place + 1
            for table in MODEL_TABLES:
                writer.execute(f"CREATE TABLE {model_table(table, key)} AS FROM {model_table(table, source)}")
            writer.execute(
                f"INSERT INTO models SELECT * REPLACE ({key} AS key, 'model {place:04d}' AS name) FROM models WHERE key = {source}"
            )
            for table in CATALOG_TABLES:
                writer.execute(f"INSERT INTO {table} SELECT * REPLACE ({key} AS key) FROM {table} WHERE key = {source}")


def copy_findings(store: DuckStore, through: int, models: int, now: datetime) -> None:
    """Check the first `through` models, and save their findings for their copies as well."""
    from observability.monitoring import check_windows
    from observability.monitoring.kept_findings import Asked, asked_generation, evaluated_hour, kept_findings_of
    from observability.server import watcher

    kept, activity = kept_findings_of(store, len(store.catalog().models)), store.activity()
    for place in range(models):
        name, of = f"model {place:04d}", f"model {place % through:04d}"
        if name == of:
            watcher.kept_report(store, kept, name, now)
            continue
        model = store.catalog().model(name)
        window = watcher.whole_days_window(model, store.activity(model=name), now)
        at = evaluated_hour(check_windows.evaluation_time(model, activity, window, now), window)
        for reads in watcher.PARTS:
            asked = Asked(window, reads, window.end if reads == "rows" else at)
            known = kept.find(replace(asked, window=replace(window, model=of)), asked_generation(store.generations, asked))
            assert known is not None, (of, reads)
            kept.keep(asked, asked_generation(store.generations, asked), tuple(replace(finding, model=name) for finding in known))


def new_rows(path: Path, end: datetime) -> None:
    """A file of five new predictions of the second model."""
    frame = table_of(np.random.default_rng(3), 5)
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(frame.to_dict("records")):
            record = {
                "kind": "prediction",
                "id": f"new-{time.time_ns()}-{number}",
                "at": end.isoformat(),
                "model": "model 0001",
                "version": "1",
            }
            file.write(json.dumps({**record, "features": {name: row[name] for name in FEATURES}, "score": row["score"]}) + "\n")


def home_data() -> int:
    """Read and draw the first page of the fleet as Home does. Returns the number of models."""
    from observability.dashboard.overview import fleet_events, fleet_view, large_fleet
    from observability.dashboard.scope import Scope

    statuses = large_fleet.fleet_statuses(Scope())
    page = large_fleet.listed_page(statuses, large_fleet.FleetFilter()).rows
    shown = [large_fleet.with_traffic(Scope(), status) for _, status in page] if large_fleet.is_large(statuses) else statuses
    fleet_view.grouped_fleet_rows(fleet_view.grouped_statuses(shown, None), Scope())
    fleet_events.event_rows(shown)
    return len(statuses)


def measured(models: int, names: int, rows: int, folder: Path, kept: Path | None, through: int) -> dict[str, Any]:
    """Make a fleet and measure it. Returns each figure by name; times are [wall, processor] seconds."""
    from observability.server import process_lock

    found: dict[str, Any] = {"models": models, "unregistered": names, "rows a model": rows}
    home, end = (kept or folder) / f"home-{models}", datetime.now(UTC)

    def note(name: str, work: Callable[[], Any]) -> Any:
        wall, cpu, answer = taken(work)
        found[name] = [round(wall, 3), round(cpu, 3)]
        print(f"  {name:<42} {wall:9.2f} s wall {cpu:9.2f} s CPU   peak {peak_mib():,.0f} MiB", flush=True)
        return answer

    home.mkdir(parents=True, exist_ok=True)
    (home / "limits.toml").write_text(f"[limits]\nunregistered_models = {names + 1}\n")
    store = note("open", lambda: open_store(home, threads=2))
    if len(store.catalog().models) < models:
        note("register", lambda: register_models(store, folder, through))
        for what, of, unregistered in (("load", through, 0), ("load unregistered names", 0, names)):
            found[f"lines, {what}"] = write_rows(folder / "rows.jsonl", of, unregistered, rows, end)
            report = note(what, lambda: store.load_files([folder / "rows.jsonl"], LoadDefaults()))
            assert report.rejected == 0, report.reasons
            if of < models and not unregistered:
                note("copy", lambda: copy_models(store, through, models))
    store.cursor().execute("CHECKPOINT")
    store.close()
    process_lock.own_home(home)
    store = process_lock.current_store()
    (found["tables"],) = store.cursor().execute("SELECT count(*) FROM duckdb_tables()").fetchall()[0]
    found["MiB of the file"] = round(store.path.stat().st_size / 2**20, 1)
    print(f"  {found['tables']:,} tables, {found['MiB of the file']:,} MiB")
    note("catalog", store.catalog)
    note("activity", store.activity)
    from observability.server import health

    note("status", lambda: health.store_status(store))
    note("status again", lambda: health.store_status(store))
    from observability.alerts.config import read_alert_config
    from observability.server.watcher import Watching, check_live_models

    state, config = Watching(), read_alert_config(store.home)
    process_lock.current_owner().watching = state
    note("check of the first model of the process", lambda: check.check(store, model="model 0002"))
    note("check of the models that are no copies", lambda: copy_findings(store, through, models, datetime.now(UTC)))
    note("check of all", lambda: check_live_models(store, state, config, datetime.now(UTC)))
    note("check of all, nothing changed", lambda: check_live_models(store, state, config, datetime.now(UTC)))
    new_rows(folder / "new.jsonl", datetime.now(UTC))
    store.load_files([folder / "new.jsonl"], LoadDefaults())
    note("check of all, one model changed", lambda: check_live_models(store, state, config, datetime.now(UTC)))
    note("home, first", home_data)
    note("home, again", home_data)
    new_rows(folder / "new.jsonl", datetime.now(UTC))
    store.load_files([folder / "new.jsonl"], LoadDefaults())
    note("home, one model changed", home_data)
    note("status, one model changed", lambda: health.store_status(store))
    found["peak MiB"] = round(peak_mib())
    return found


def peak_mib() -> float:
    """The peak memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


def main() -> int:
    """Read the options, make the fleets, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", type=int, nargs="*", default=[100])
    parser.add_argument("--names", type=int)
    parser.add_argument("--rows", type=int, default=280)
    parser.add_argument("--copied-from", type=int)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()}, duckdb {version('duckdb')}"
    )
    for models in options.models:
        names = models if options.names is None else options.names
        print(f"{models:,} models, {names:,} unregistered names")
        with tempfile.TemporaryDirectory() as folder:
            through = min(options.copied_from or models, models)
            found = measured(models, names, options.rows, Path(folder), options.home, through)
        if options.json:
            with options.json.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
