"""Reads MLflow's tracking stores and registries: the file store (mlruns) and SQLite. It changes nothing, and does not need MLflow."""

import math
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.importers.source_records import error_line
from observability.importers.sqlite_source import has_table, is_sqlite_file, query_rows, read_only_sqlite

TABLES = ("experiments", "runs", "metrics", "params", "tags")
FILE_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}
"""Meaning of the status numbers in the file store."""
DELETED = "deleted"


@dataclass
class MlflowRun:
    """One run. metrics: (name, value, milliseconds, step). start, end: milliseconds since 1970, None if unknown.

    deleted: whether the run or its experiment is deleted. datasets: (name, digest) of the run's inputs. unreadable: lines of metric files
    that cannot be read. damage: the reason if nothing of the run can be read, else "".
    """

    run: str
    name: str | None
    experiment: str
    status: str
    start: int | None
    end: int | None
    deleted: bool
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, int, int]] = field(default_factory=list)
    datasets: list[tuple[str, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    damage: str = ""


@dataclass(frozen=True)
class MlflowVersion:
    """A version in the registry. created: milliseconds since 1970. run: the run that it came from, or None."""

    model: str
    version: str
    created: int | None
    run: str | None
    stage: str | None


@dataclass(frozen=True)
class MlflowStore:
    """A store: its format in words, the versions of its registry, and its runs, which are read one by one when they are needed."""

    form: str
    versions: list[MlflowVersion]
    runs: Iterator[MlflowRun]


def open_mlflow_store(path: Path) -> MlflowStore:
    """The store at a path: an SQLite file, an mlruns folder, or a folder that contains one of these. Raises UsageError if there is none."""
    database = next((found for found in (path, path / "mlflow.db") if is_sqlite_file(found)), None)
    if database is not None:
        with read_only_sqlite(database, TABLES, "MLflow") as connection:
            versions = _database_versions(connection)
        return MlflowStore("MLflow SQLite store", versions, _database_runs(database))
    root = next((found for found in (path, path / "mlruns") if found.is_dir() and _experiment_folders(found)), None)
    if root is None:
        raise UsageError(
            "no MLflow store is there",
            got=str(path),
            expected="an mlruns folder, MLflow's SQLite file, or a model folder with a file MLmodel",
        )
    return MlflowStore("MLflow file store", list(_file_versions(root)), _file_runs(root))


def _database_runs(path: Path) -> Iterator[MlflowRun]:
    """The runs of an SQLite store, oldest first."""
    with read_only_sqlite(path, TABLES, "MLflow") as connection:
        inputs = has_table(connection, "inputs") and has_table(connection, "datasets")
        query = """SELECT r.*, e.name AS experiment, e.lifecycle_stage AS experiment_stage
            FROM runs r JOIN experiments e ON e.experiment_id = r.experiment_id ORDER BY r.start_time, r.run_uuid"""
        for row in query_rows(connection, query):
            run = row["run_uuid"]
            names = set(row.keys())
            found = MlflowRun(
                run,
                row["name"] if "name" in names else None,
                row["experiment"],
                row["status"],
                row["start_time"],
                row["end_time"],
                DELETED in (row["lifecycle_stage"], row["experiment_stage"]),
                dict(tuple(each) for each in query_rows(connection, "SELECT key, value FROM params WHERE run_uuid = ? ORDER BY key", run)),
                dict(tuple(each) for each in query_rows(connection, "SELECT key, value FROM tags WHERE run_uuid = ? ORDER BY key", run)),
            )
            metrics = "SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = ? ORDER BY timestamp, step, key, value"
            for key, value, timestamp, step, is_nan in query_rows(connection, metrics, run):
                found.metrics.append((key, math.nan if is_nan else _unlimited(value), timestamp, step))
            if inputs:
                datasets = """SELECT d.name, d.digest FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id
                    WHERE i.destination_id = ? AND i.destination_type = 'RUN' AND i.source_type = 'DATASET' ORDER BY d.name, d.digest"""
                found.datasets = [tuple(each) for each in query_rows(connection, datasets, run)]
            yield found


def _unlimited(value: float) -> float:
    """The value. MLflow's SQL store writes an infinity as the largest number; this turns it back into an infinity."""
    return math.copysign(math.inf, value) if abs(value) >= 1.7976931348623157e308 else value


def _database_versions(connection: sqlite3.Connection) -> list[MlflowVersion]:
    """The versions of the registry in an SQLite store."""
    if not has_table(connection, "model_versions"):
        return []
    rows = query_rows(connection, "SELECT * FROM model_versions ORDER BY name, version")
    kept = [row for row in rows if row["current_stage"] != "Deleted_Internal"]
    return [
        MlflowVersion(row["name"], str(row["version"]), row["creation_time"], row["run_id"] or None, row["current_stage"]) for row in kept
    ]


def _experiment_folders(root: Path) -> list[Path]:
    """The folders of experiments in a file store."""
    return sorted(path.parent for path in root.glob("*/meta.yaml") if path.parent.name != "models")


def _file_runs(root: Path) -> Iterator[MlflowRun]:
    """The runs of a file store, one experiment after another. Deleted experiments are included."""
    for folder in [*_experiment_folders(root), *_experiment_folders(root / ".trash")]:
        experiment = read_yaml(folder / "meta.yaml")
        datasets = {path.parent.name: read_yaml(path) for path in (folder / "datasets").glob("*/meta.yaml")}
        runs = [path.parent for path in sorted(folder.glob("*/meta.yaml"))]
        for run in sorted(runs):
            try:
                meta = read_yaml(run / "meta.yaml")
            except UsageError as error:
                yield MlflowRun(run.name, None, "", "", None, None, deleted=False, damage=str(error))
                continue
            if "run_id" in meta or "run_uuid" in meta:
                yield _file_run(run, meta, experiment, datasets)


def _file_run(folder: Path, meta: Mapping[str, Any], experiment: Mapping[str, Any], datasets: Mapping[str, Mapping[str, Any]]) -> MlflowRun:
    """One run of a file store."""
    status = meta.get("status")
    tags = _values_by_name(folder / "tags")
    found = MlflowRun(
        str(meta.get("run_id") or meta["run_uuid"]),
        meta.get("run_name") or tags.get("mlflow.runName"),
        str(experiment.get("name")),
        FILE_STATUS.get(status, str(status)) if isinstance(status, int) else str(status),
        meta.get("start_time"),
        meta.get("end_time"),
        DELETED in (meta.get("lifecycle_stage"), experiment.get("lifecycle_stage")),
        _values_by_name(folder / "params"),
        tags,
    )
    for name, text in _values_by_name(folder / "metrics").items():
        for line in text.splitlines():
            try:
                time, value, *rest = line.split()
                found.metrics.append((name, float(value), int(time), int(rest[0]) if rest else 0))
            except ValueError:
                found.unreadable.append(f"{name}: {line[:60]!r}")
    found.metrics.sort(key=lambda metric: (metric[2], metric[3], metric[0]))
    for path in sorted((folder / "inputs").glob("*/meta.yaml")):
        source = datasets.get(str(read_yaml(path).get("source_id")))
        if source is not None:
            found.datasets.append((str(source.get("name")), str(source.get("digest"))))
    return found


def _values_by_name(folder: Path) -> dict[str, str]:
    """The texts of all files in a folder and its subfolders, by their path within the folder. Links are left out, because they may lead
    anywhere.
    """
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()) if folder.is_dir() else []
    return {path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8", errors="replace") for path in paths}


def _file_versions(root: Path) -> Iterator[MlflowVersion]:
    """The versions of the registry in a file store."""
    found = [read_yaml(path) for path in root.glob("models/*/version-*/meta.yaml")]
    for meta in sorted(found, key=lambda meta: (str(meta.get("name")), int(meta.get("version") or 0))):
        if meta.get("current_stage") != "Deleted_Internal":
            run = meta.get("run_id") or None
            yield MlflowVersion(str(meta["name"]), str(meta["version"]), meta.get("creation_timestamp"), run, meta.get("current_stage"))


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in a YAML file. Raises UsageError if it cannot be read."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise UsageError("the file cannot be read", where=str(path), got="an alias", expected="YAML as MLflow writes it")
        loaded = yaml.safe_load(text)
    except (yaml.YAMLError, OSError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError("the file cannot be read", where=str(path), got=error_line(error)) from None
    if not isinstance(loaded, dict):
        raise UsageError("the file cannot be read", where=str(path), got="no mapping", expected="YAML as MLflow writes it")
    return loaded
