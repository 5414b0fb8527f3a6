"""Reads OpenLineage run events as records of kind `run` and `dataset` (docs/lineage.md has the mapping).

The fields follow version 2-0-2 of the specification: `eventTime`, `eventType`, `run.runId`, `job.namespace`, `job.name`, `inputs`,
`outputs`, and the facets named in this module. Other facets are ignored.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

EVENT_TYPES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
ENDS = {"COMPLETE": "finished", "ABORT": "aborted", "FAIL": "failed"}
NAMESPACE = "observability"
"""Namespace of jobs and datasets that this product exports. When they are read again, the namespace is removed from their names."""
RUN_FACET = "observability_run"
"""Custom facet of exported events. It has id, model, version and study of a run, or `of: dataset` if the event is only about a dataset."""
LONGEST_LIST = 1000
"""Maximum number of inputs, and of outputs, of one event."""


class NoEventError(ValueError):
    """An event that cannot be read. The message is a sentence on what is wrong."""


def records_of_event(event: Any) -> list[dict[str, Any]]:
    """The records of one run event. The record of the run comes first.

    START becomes the start of a run; COMPLETE, ABORT and FAIL become its end. RUNNING and OTHER become records of datasets only. A dataset
    becomes a record if the event has its number of rows and, for an input, also its version. Otherwise only the run names it. Raises
    NoEventError.
    """
    if not isinstance(event, Mapping):
        raise NoEventError("an event is a JSON object")
    if "run" not in event:
        raise NoEventError("only run events are taken: the event has no 'run'")
    at, run, job = _text(event, "eventTime"), _part(event, "run"), _part(event, "job")
    name, kind = _text(run, "runId", "run."), event.get("eventType") or "OTHER"
    job_name = _qualified(_text(job, "namespace", "job."), _text(job, "name", "job."))
    if kind not in EVENT_TYPES:
        raise NoEventError(f"'eventType' is {', '.join(EVENT_TYPES)}; got {str(kind)[:40]!r}")
    own = _facet(run, RUN_FACET)
    name = str(own.get("run") or name)
    inputs = [_dataset(each, "inputs") for each in _items(event, "inputs")]
    outputs = [_dataset(each, "outputs") for each in _items(event, "outputs")]
    read = [_spelled(each) for each in inputs]
    records: list[dict[str, Any]] = []
    alone = own.get("of") == "dataset"
    if not alone and (kind == "START" or kind in ENDS):
        record: dict[str, Any] = {"kind": "run", "run": name, "at": at, "event": "start" if kind == "START" else "end", "job": job_name}
        record |= {field: str(own[field]) for field in ("model", "version", "study") if own.get(field)}
        record |= {"dataset": read[0]} if read else {}
        record |= {"inputs": read} if len(read) > 1 else {}
        record |= {"status": ENDS[kind]} if kind in ENDS else {}
        records.append(record)
    records += [_dataset_record(each, at) for each in inputs if each["rows"] is not None and each["version"] is not None]
    for each in outputs:
        if each["rows"] is not None and kind in ("COMPLETE", "RUNNING", "OTHER"):
            made = _dataset_record({**each, "version": each["version"] or name}, at)
            records.append(made | ({} if alone else {"run": name}) | ({"parents": read} if read else {}))
    return records


def _dataset_record(dataset: Mapping[str, Any], at: str) -> dict[str, Any]:
    """The record of one version of a dataset."""
    found = {"kind": "dataset", "dataset": dataset["name"], "version": dataset["version"], "at": at, "rows": dataset["rows"]}
    found |= {"bytes": dataset["bytes"]} if dataset["bytes"] is not None else {}
    return found | ({"columns": dataset["columns"]} if dataset["columns"] else {})


def _dataset(given: Any, where: str) -> dict[str, Any]:
    """A dataset of an event: name, version, rows, bytes, columns. Fields that the event does not state are None."""
    if not isinstance(given, Mapping):
        raise NoEventError(f"an element of '{where}' is a JSON object")
    name = _qualified(_text(given, "namespace", f"{where}."), _text(given, "name", f"{where}."))
    version = _facet(given, "version").get("datasetVersion")
    quality = _facet(given, "dataQualityMetrics", "inputFacets") or _facet(given, "dataQualityMetrics")
    counted = _facet(given, "outputStatistics", "outputFacets") or _facet(given, "inputStatistics", "inputFacets")
    columns: dict[str, dict[str, Any]] = {}
    for field in _list(_facet(given, "schema").get("fields")):
        if isinstance(field, Mapping) and isinstance(field.get("name"), str):
            columns[field["name"]] = {"type": str(field["type"])} if field.get("type") else {}
    measured = quality.get("columnMetrics")
    for column, metrics in measured.items() if isinstance(measured, Mapping) else ():
        if isinstance(metrics, Mapping):
            numbers = {new: metrics[old] for old, new in COLUMN_METRICS.items() if isinstance(metrics.get(old), int | float)}
            columns[str(column)] = {**columns.get(str(column), {}), **numbers}
    return {
        "name": name,
        "version": str(version) if version else None,
        "rows": _whole(counted.get("rowCount"), quality.get("rowCount")),
        "bytes": _whole(counted.get("size"), quality.get("bytes")),
        "columns": columns,
    }


COLUMN_METRICS = {"nullCount": "nulls", "distinctCount": "distinct", "min": "min", "max": "max"}
"""Metrics of a column that are kept, each with its name in `columns`."""


def _qualified(namespace: str, name: str) -> str:
    """The name of a job or dataset with its namespace. The namespace of this product is left out."""
    return name if namespace == NAMESPACE else f"{namespace}/{name}"


def _spelled(dataset: Mapping[str, Any]) -> str:
    """A dataset as runs name it: `name@version`, or only the name if the version is unknown."""
    return f"{dataset['name']}@{dataset['version']}" if dataset["version"] else str(dataset["name"])


def _text(holder: Mapping[str, Any], field: str, where: str = "") -> str:
    """The value of a required text field. Raises NoEventError if it is missing."""
    value = holder.get(field)
    if not isinstance(value, str) or not value:
        raise NoEventError(f"'{where}{field}' is a text that every event has")
    return value


def _part(event: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    """The value of a required object field. Raises NoEventError if it is missing."""
    value = event.get(field)
    if not isinstance(value, Mapping):
        raise NoEventError(f"'{field}' is a JSON object that every run event has")
    return value


def _items(event: Mapping[str, Any], field: str) -> Sequence[Any]:
    """A list of datasets in an event, empty if there is none. Raises NoEventError if it is not a list or too long."""
    value = event.get(field)
    if value is not None and not isinstance(value, list):
        raise NoEventError(f"'{field}' is a list of datasets")
    if len(value or ()) > LONGEST_LIST:
        raise NoEventError(f"'{field}' has {len(value or ()):,} datasets, more than {LONGEST_LIST:,}")
    return value or []


def _list(value: Any) -> Iterator[Any]:
    """The elements of a list; none for any other value."""
    yield from value if isinstance(value, list) else ()


def _facet(holder: Mapping[str, Any], name: str, group: str = "facets") -> Mapping[str, Any]:
    """A facet; empty if it is missing."""
    facets = holder.get(group)
    found = facets.get(name) if isinstance(facets, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _whole(*values: Any) -> int | None:
    """The first of the values that is a whole number of at least 0. None if there is none."""
    return next((value for value in values if isinstance(value, int) and not isinstance(value, bool) and value >= 0), None)
