"""Reads the runs of an MLflow store as run and step records, and the versions of its registry as events."""

from collections.abc import Iterator
from pathlib import Path

from observability.importers.mlflow_source import MlflowRun, MlflowVersion, open_mlflow_store
from observability.importers.source_records import (
    CarriedRecord,
    ReadOptions,
    RefusedEntries,
    SourceItem,
    SourceReading,
    epoch_time_text,
    number_if_exact,
    require_source,
    steps_of_values,
)

STATUS = {"FINISHED": "finished", "FAILED": "failed", "KILLED": "killed"}
"""The status of ended runs: MLflow's word and the word in records."""


def open_mlflow(path: Path, options: ReadOptions) -> SourceReading:
    """The runs and the registry of a store. Raises UsageError if there is none."""
    del options
    require_source(path)
    store = open_mlflow_store(path)
    return SourceReading(store.form, _store_items(store.versions, store.runs))


def _store_items(versions: list[MlflowVersion], runs: Iterator[MlflowRun]) -> Iterator[SourceItem]:
    """The records of a store: its versions first, then its runs."""
    of_run: dict[str, list[MlflowVersion]] = {}
    for version in versions:
        yield _version_event(version)
        if version.run:
            of_run.setdefault(version.run, []).append(version)
    for run in runs:
        yield from _deleted_run(run) if run.deleted else _one_run(run, of_run.get(run.run, []))


def _version_event(version: MlflowVersion) -> SourceItem:
    """The event about the registration of a version."""
    if version.created is None:
        return RefusedEntries("model versions", "no_time", f"version {version.version} of {version.model} has no time of creation")
    origin = f" from run {version.run}" if version.run else ""
    text = f"Version {version.version} of {version.model} was registered in MLflow{origin}."
    record = {"kind": "event", "at": epoch_time_text(version.created / 1000), "what": "note", "text": text}
    return CarriedRecord(record | {"model": version.model, "version": version.version}, {"model versions": 1})


def _deleted_run(run: MlflowRun) -> Iterator[SourceItem]:
    """The entries of a deleted run, counted as refused."""
    counts = {"runs": 1, "parameters": len(run.params), "tags": len(run.tags), "metric values": len(run.metrics)}
    for sort, count in (counts | {"dataset inputs": len(run.datasets)}).items():
        if count:
            yield RefusedEntries(sort, "deleted", f"run {run.run} or its experiment was deleted in MLflow", count)


def _one_run(run: MlflowRun, versions: list[MlflowVersion]) -> Iterator[SourceItem]:
    """The records of a run: start, steps and end. If several versions came from the run, its model and version are those of the first."""
    if run.damage:
        yield RefusedEntries("runs", "damaged", run.damage)
        return
    named = {"model": versions[0].model, "version": versions[0].version} if versions else {}
    times = [time for _, _, time, _ in run.metrics]
    start = run.start if run.start is not None else min(times, default=None)
    for line in run.unreadable:
        yield RefusedEntries("metric values", "damaged", f"run {run.run}, {line} is no metric value")
    if start is None:
        yield RefusedEntries("runs", "no_time", f"run {run.run} has no start and no metric")
        return
    record = {
        "kind": "run",
        "run": run.run,
        "at": epoch_time_text(start / 1000),
        "event": "start",
        **named,
        "params": {name: number_if_exact(value) for name, value in run.params.items()},
        "study": run.experiment,
        "dataset": ", ".join(f"{name} {digest}" for name, digest in run.datasets) or None,
        "name": run.name,
        "tags": run.tags,
    }
    counts = {"runs": 1, "parameters": len(run.params), "tags": len(run.tags), "dataset inputs": len(run.datasets)}
    yield CarriedRecord(record, counts)
    final = {name: value for name, value, _, _ in sorted(run.metrics, key=lambda metric: (metric[3], metric[2]))}
    for step, time, metrics in steps_of_values(run.metrics):
        at = {"kind": "step", "run": run.run, "at": epoch_time_text(time / 1000), "step": step, "metrics": metrics}
        yield CarriedRecord(at, {"metric values": len(metrics)})
    if run.status in STATUS:
        ended = run.end if run.end is not None else max([start, *times])
        end = {"kind": "run", "run": run.run, "at": epoch_time_text(ended / 1000), "event": "end", "status": STATUS[run.status]}
        yield CarriedRecord(end | named | {"metrics": final})
