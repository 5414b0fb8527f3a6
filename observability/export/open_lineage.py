"""Writes the runs and datasets of the store as OpenLineage run events, for catalogs that read such events (docs/lineage.md)."""

import uuid
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.importers.open_lineage import NAMESPACE, RUN_FACET
from observability.metrics.lineage import Lineage, LineageLink, Thing, lineage_of_records

if TYPE_CHECKING:
    from observability.core.window import Window
    from observability.store.engine import Store

PRODUCER = "urn:observability-dashboard"
"""The software that wrote the events, as a URI because the specification requires one."""
SPEC = "https://openlineage.io/spec"
RUN_EVENT = f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
FACETS = {
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "schema": "1-2-0/SchemaDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "inputStatistics": "1-0-0/InputStatisticsInputDatasetFacet",
}
"""Version and name of each facet of the specification that is written."""
RUNS = uuid.uuid5(uuid.NAMESPACE_URL, PRODUCER)
"""Namespace of the runs' UUIDs, which the specification requires. The run facet has the id as it was logged."""
STATES = {"failed": "FAIL", "aborted": "ABORT"}


def open_lineage_events(store: "Store", window: "Window") -> Iterator[dict[str, Any]]:
    """The run events of a window, oldest first. A run has a START event and, after its end, a COMPLETE, FAIL or ABORT event. A dataset
    version that no run wrote has a COMPLETE event of a job that is named after the dataset, with its parents as inputs.
    """
    runs, datasets, cleanings = (store.ask(Records(kind, ever=True), window) for kind in ("run", "dataset", "cleaning"))
    extra = {kind: store.ask(Records(kind, FURTHER[kind], ever=True), window) for kind in FURTHER}
    lineage = lineage_of_records({"dataset": extra["dataset"], "run": extra["run"], "cleaning": cleanings})
    rows = {Thing("dataset", (row["dataset"], row["version"])): row for row in datasets.to_dict("records")}
    events = [*_dataset_events(rows, lineage), *_run_events(runs.to_dict("records"), rows, lineage)]
    yield from sorted(events, key=lambda event: str(event["eventTime"]))


FURTHER = {
    "dataset": ("dataset", "version", "at", "rows", "parents", "extra"),
    "run": ("run", "at", "event", "model", "version", "dataset", "extra"),
}


def _run_events(runs: list[dict[Any, Any]], rows: Mapping[Thing, Mapping[Any, Any]], lineage: Lineage) -> Iterator[dict[str, Any]]:
    """The start event and the end event of each run."""
    known: dict[str, dict[str, str]] = {}
    for row in runs:
        own = known.setdefault(str(row["run"]), {})
        own |= {name: str(row[name]) for name in ("model", "version", "study") if row[name] is not None and row[name] == row[name]}
    for row in runs:
        name = str(row["run"])
        run, own = Thing("run", (name,)), known[name]
        event = _event(
            name, own.get("study") or name, row["at"], "START" if row["event"] == "start" else STATES.get(row["status"], "COMPLETE")
        )
        event["run"]["facets"] = {RUN_FACET: _custom({"run": name, **own})}
        event["inputs"] = [_input(thing, rows) for thing in _origins(lineage.origins.get(run, ()), "dataset")]
        made = [link.product for link in lineage.products.get(run, ()) if link.product.kind == "dataset"]
        event["outputs"] = [_output(thing, rows[thing]) for thing in made if thing in rows and row["event"] == "end"]
        yield event


def _dataset_events(rows: Mapping[Thing, Mapping[Any, Any]], lineage: Lineage) -> Iterator[dict[str, Any]]:
    """One event for each dataset version that no run wrote. Its inputs are the version's parents, its output is the version."""
    for thing, row in rows.items():
        links = lineage.origins.get(thing, ())
        if any(link.origin.kind == "run" for link in links):
            continue
        event = _event(thing.address, f"make {thing.names[0]}", row["at"], "COMPLETE")
        event["run"]["facets"] = {RUN_FACET: _custom({"of": "dataset"})}
        event["inputs"] = [_input(parent, rows) for parent in _origins(links, "dataset")]
        event["outputs"] = [_output(thing, row)]
        yield event


def _origins(links: "tuple[LineageLink, ...] | list[LineageLink]", kind: str) -> list[Thing]:
    """The origins of the links that are of a given kind."""
    return [link.origin for link in links if link.origin.kind == kind]


def _event(run: str, job: str, at: Any, kind: str) -> dict[str, Any]:
    """An OpenLineage event of a run, with empty lists of input and output datasets."""
    return {
        "eventType": kind,
        "eventTime": aware_utc(at.to_pydatetime()).isoformat(),
        "run": {"runId": str(uuid.uuid5(RUNS, run))},
        "job": {"namespace": NAMESPACE, "name": job},
        "inputs": [],
        "outputs": [],
        "producer": PRODUCER,
        "schemaURL": RUN_EVENT,
    }


def _facet(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """A facet of the specification with its fields."""
    version, _, title = FACETS[name].partition("/")
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/facets/{version}/{title}.json#/$defs/{title}", **fields}


def _custom(fields: dict[str, Any]) -> dict[str, Any]:
    """The product's own run facet."""
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunFacet", **fields}


def _dataset(thing: Thing, row: Mapping[Any, Any] | None) -> dict[str, Any]:
    """A dataset with its version and its columns, as OpenLineage writes it."""
    facets: dict[str, Any] = {}
    if thing.names[1]:
        facets["version"] = _facet("version", {"datasetVersion": thing.names[1]})
    if row is not None and row["columns"]:
        fields = [{"name": name, **_type(value)} for name, value in row["columns"].items()]
        facets["schema"] = _facet("schema", {"fields": fields})
    return {"namespace": NAMESPACE, "name": thing.names[0], "facets": facets}


def _type(value: Any) -> dict[str, str]:
    """The type of a column, if its record has it."""
    return {"type": str(value["type"])} if isinstance(value, Mapping) and value.get("type") else {}


def _counts(row: Mapping[Any, Any]) -> dict[str, int]:
    """The number of rows and, if logged, of bytes."""
    import pandas as pd

    size = row["bytes"]
    return {"rowCount": int(row["rows"])} | ({} if pd.isna(size) else {"size": int(size)})


def _input(thing: Thing, rows: Mapping[Thing, Mapping[Any, Any]]) -> dict[str, Any]:
    """A dataset that was read, as OpenLineage writes it."""
    row = rows.get(thing)
    return _dataset(thing, row) | ({"inputFacets": {"inputStatistics": _facet("inputStatistics", _counts(row))}} if row is not None else {})


def _output(thing: Thing, row: Mapping[Any, Any]) -> dict[str, Any]:
    """A dataset that was written, as OpenLineage writes it."""
    return _dataset(thing, row) | {"outputFacets": {"outputStatistics": _facet("outputStatistics", _counts(row))}}
