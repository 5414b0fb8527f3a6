"""Load simulated records through the production ingest path into a temporary store.

The reference is registered with `register`; records are written as lines and loaded with `load_files`. The user's own store is never
written to.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from observability.core.questions import ABSENT, WRONG_TYPE
from observability.simulation.clean_log import NEXT, VERSION, SimulationBase
from observability.simulation.log_rows import LogRows
from observability.stats.arrays import Array
from observability.store.engine import Store
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults, LoadReport
from observability.store.types.registration import RegistrationRequest

FIELDS = ("score", "threshold", "latency_ms", "energy_j", "cost", "weight")
TEXTS = ("version", "replica", "device", "subject", "status")


@contextmanager
def temporary_store(base: SimulationBase) -> Iterator[Store]:
    """A store in a temporary folder with the base's model registered; both are removed afterwards."""
    home = Path(tempfile.mkdtemp(prefix="observability-lab-"))
    try:
        store = open_store(home, memory_limit="1GB", threads=2)
        try:
            register_base(store, base)
            yield store
        finally:
            store.close()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def register_base(store: Store, base: SimulationBase) -> None:
    """Register both versions of a base, each with the base's reference."""
    path = store.home / "reference.parquet"
    _write_reference(base, path)
    scores = tuple(f"{name}=lab.score.{k}" for k, name in enumerate(base.classes)) if base.task == "multiclass" else ("lab.score",)
    for version in (VERSION, NEXT):
        store.register(
            RegistrationRequest(
                model=base.name, version=version, reference=path, task=base.task, label="lab.label", score=scores,
                positive=None if base.task != "binary" or base.classes == ("0", "1") else base.classes[1],
                features=tuple(each.name for each in base.features), sensitive=tuple(each.name for each in base.columns if each.sensitive),
                kinds={each.name: each.kind for each in base.columns}, in_sample=base.in_sample,
            ),
        )  # fmt: skip
    store.update_settings(base.name, base.settings)
    path.unlink()


def _write_reference(base: SimulationBase, path: Path) -> None:
    """The reference as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = base.reference
    columns: dict[str, Any] = {each.name: _arrow_column(rows[each.reference], each.kind) for each in base.columns}
    if base.task == "multiclass":
        columns |= {f"lab.score.{k}": pa.array(rows[f"score.{k}"]) for k in range(len(base.classes))}
    else:
        columns["lab.score"] = pa.array(rows["score"], mask=np.isnan(rows["score"]))
    columns["lab.label"] = pa.array(_label_values(base, rows["label"]))
    pq.write_table(pa.table(columns), path)


def _arrow_column(values: Array, kind: str) -> Any:
    """A column as an Arrow array, with nulls."""
    import pyarrow as pa

    if kind == "number":
        return pa.array(values, mask=np.isnan(values))
    if kind == "boolean":
        return pa.array([None if each is None else each == "true" for each in values], pa.bool_())
    return pa.array(values, pa.string())


def _label_values(base: SimulationBase, label: Array) -> list[Any]:
    """Labels as users write them: numbers, classes by name (0 and 1 as numbers), None if there is none."""
    if base.task == "regression":
        return [None if each != each else each for each in label.tolist()]
    names: list[Any] = [int(each) if each.isdigit() and base.classes == ("0", "1") else each for each in base.classes]
    return [None if each != each else names[int(each)] for each in label.tolist()]


def load_days(store: Store, base: SimulationBase, days: list[LogRows]) -> LoadReport:
    """Write days as lines and load them."""
    path = store.home / "lab.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for rows in days:
            for line in record_lines(base, rows):
                file.write(line)
                file.write("\n")
    report = store.load_files([path], LoadDefaults(sent=True))
    path.unlink()
    return report


def record_lines(base: SimulationBase, rows: LogRows) -> Iterator[str]:
    """The log lines of some rows: predictions, lines that are sent again, and labels."""
    columns = {name: _plain_values(values) for name, values in rows.columns.items() if not name.startswith(("mark.", "extra."))}
    extras = {name.removeprefix("extra."): _plain_values(values) for name, values in rows.columns.items() if name.startswith("extra.")}
    marks = {name.removeprefix("mark."): values.tolist() for name, values in rows.columns.items() if name.startswith("mark.")}
    at, arrived, late = (_timestamps(rows[name]) for name in ("at", "arrived", "label_arrived"))
    labels = _label_values(base, rows["label"])
    booleans = {each.reference for each in base.columns if each.kind == "boolean"}
    copies = rows["copies"].tolist() if "copies" in rows else [0] * len(rows)
    for place in range(len(rows)):
        record: dict[str, Any] = {
            "kind": "prediction", "id": columns["id"][place], "at": at[place], "received_at": arrived[place], "model": base.name,
            "features": _record_features(base, columns, marks, extras, booleans, place),
        }  # fmt: skip
        record |= {name: columns[name][place] for name in (*FIELDS, *TEXTS) if name in columns and columns[name][place] is not None}
        groups = {each.name: columns[each.reference][place] for each in base.columns if each.role == "group"}
        record |= {"groups": {name: value for name, value in groups.items() if value is not None}} if groups else {}
        if base.task == "multiclass":
            record["score"] = {name: columns[f"score.{k}"][place] for k, name in enumerate(base.classes)}
        text = json.dumps(record)
        for _ in range(1 + copies[place]):
            yield text
        if late[place] is not None and labels[place] is not None:
            label = {"kind": "label", "id": record["id"], "at": late[place], "received_at": late[place], "model": base.name}
            yield json.dumps(label | {"value": labels[place]})


def _record_features(
    base: SimulationBase,
    columns: dict[str, list[Any]],
    marks: dict[str, list[int]],
    extras: dict[str, list[Any]],
    booleans: set[str],
    place: int,
) -> dict[str, Any]:
    """The features of one record."""
    found: dict[str, Any] = {}
    for each in base.features:
        value = columns[each.reference][place]
        if each.reference in booleans and value is not None:
            value = value == "true"
        mark = marks[each.name][place] if each.name in marks else 0
        if mark != ABSENT:
            found[each.name] = f"text {value}" if mark == WRONG_TYPE else value
    return found | {name: values[place] for name, values in extras.items() if values[place] is not None}


def _plain_values(values: Array) -> list[Any]:
    """A column as a list of Python values; None for NaN."""
    if values.dtype.kind == "f":
        return [None if each != each else each for each in values.tolist()]
    return list(values.tolist())


def _timestamps(values: Array) -> list[str | None]:
    """Instants as RFC 3339 texts; None for NaT."""
    return [None if each == "NaT" else f"{each}Z" for each in np.datetime_as_string(values).tolist()]
