"""Which stored attributions (SHAP values) belong to the predictions of a window, and how are they written?

A row of `attributions_<key>` explains one prediction of one version. Its `values` stand in the order of the features that the state of the job
`explain` names (`enrichment_<key>`); rows of an artifact that is no longer the version's do not count. observability/enrichment/enrich.py fills the table.

`class`: multiclass, the index of the class that is explained (the decided one), else -1. `base`, `output`, `residual`: in the space of `link`;
output = base + Σ values + residual. `adds_up`: whether the residual is small enough to draw the row (stats/attribution.py says how small). `reproduces`: whether
the artifact gives the score that was logged; NULL where the attributions were logged. `sampled`: of the bounded sample of its day (or of the reference);
else one of the worst errors, explained ahead.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import duckdb
import numpy as np
import pyarrow as pa

from observability.core.catalog import Model, Version
from observability.core.questions import Attributions
from observability.core.window import Window
from observability.store.db.catalog_store import find_model, streams
from observability.store.db.results import first, no_rows
from observability.store.db.schema import model_table, quoted
from observability.store.query.listing import fields_of, of_id, typed
from observability.store.query.raw_rows import used
from observability.store.query.references import Field
from observability.store.query.source import Rows, from_clause, known_streams, rows_of, snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

JOB = "explain"
LOGGED = "logged"
"""The method of attributions that came with the predictions."""
FIGURES = ("base", "output", "residual")
BATCH = pa.schema(
    [
        ("stream", pa.int16()), ("id", pa.string()), ("sampled", pa.bool_()), ("class", pa.int16()), ("values", pa.list_(pa.float32())),
        ("base", pa.float64()), ("output", pa.float64()), ("residual", pa.float64()), ("link", pa.string()), ("method", pa.string()),
        ("adds_up", pa.bool_()), ("reproduces", pa.bool_()),
    ]
)  # fmt: skip
"""What `put` takes, one row a prediction."""


@dataclass(frozen=True)
class State:
    """What is known of how a version is explained. features: names in the order of the stored values. artifact, registered_at: the artifact and
    the registration that this holds for. method, link, background, background_rows, note: as the worker's Explanation says. rows, seconds: explained so
    far, and how long the worker took. failure: why the artifact could not be explained, a sentence; code: the versions of the libraries it failed with.
    """

    features: tuple[str, ...] = ()
    artifact: str | None = None
    registered_at: str | None = None
    method: str | None = None
    link: str | None = None
    background: str | None = None
    background_rows: int | None = None
    note: str = ""
    rows: int = 0
    seconds: float = 0.0
    failure: str | None = None
    code: str | None = None

    def holds(self, version: Version) -> bool:
        """Whether it is about the version as it is registered now."""
        return (self.artifact, self.registered_at) == identity(version)


@dataclass(frozen=True)
class Written:
    """One batch to write: rows as BATCH says, ids of stored errors that turned out to be of the sample, parts that are done with how many rows they
    had and at most how many were wanted, and the state.
    """

    batch: pa.Table
    state: State
    now_sampled: tuple[str, ...] = ()
    done: Mapping[str, tuple[int, int]] = field(default_factory=dict)


def identity(version: Version) -> tuple[str | None, str | None]:
    """What attributions of a version hold for: its artifact, and when it was registered (another reference, other features)."""
    return version.artifact, version.registered_at.isoformat() if version.registered_at else None


def fetch(store: "Store", asked: Attributions, window: Window) -> "DataFrame":
    """The attributions that a question asks for, smallest hash first; the columns are those that aggregate.Attributions names.

    `attribution.NAME`, `weight` and figures are float64 (NaN where a version has no such feature), `class` int64, `sampled` and `adds_up` bool,
    others objects (None where missing). Raises NotFoundError for an unknown model, version or column.
    """
    import pandas as pd

    model = store.catalog().model(window.model)
    fields = fields_of(model, asked.columns, outcomes=True)
    wanted = model.version(window.version)
    fallback = wanted.features if wanted else ()
    with snapshot(store) as cursor:
        found = rows_of(model, window, known_streams(store, cursor, model.key))
        orders = {number: order for number, each in found.streams.items() if (order := order_of(cursor, model, each))}
        found = replace(found, streams={number: found.streams[number] for number in orders})
        if not orders and not fields:
            return nothing_stored(fallback)
        frame = joined(cursor, asked, found, orders, fields) if orders else nothing_explained(len(fields))
    versions = {number: version.name for number, version in found.streams.items()}
    columns: dict[str, Any] = {
        "id": frame["id"].astype(object),
        "at": frame["at"].astype("datetime64[us]"),
        "weight": frame["weight"].astype(np.float64),
        "version": frame["stream"].map(versions).astype(object),
        "sampled": frame["sampled"].astype(bool),
        "class": frame["class"].astype(np.int64),
        **{name: frame[name].astype(np.float64) for name in FIGURES},
        "link": frame["link"].astype(object),
        "method": frame["method"].astype(object),
        "adds_up": frame["adds_up"].astype(bool),
        "reproduces": frame["reproduces"].astype(object).where(frame["reproduces"].notna(), None),
    }
    return pd.concat([pd.DataFrame(columns), values_of(frame, orders, fallback), typed(frame, fields, versions)], axis=1)


def of_prediction(store: "Store", model: Model, version: Version, prediction_id: str) -> dict[str, Any] | None:
    """The stored attributions of one prediction of a version, None where there are none that hold: `values` {feature: number}, `class` (-1: none), `base`,
    `output`, `residual`, `link`, `method`, `adds_up`, `reproduces`, `background`, `background_rows`, `note`.
    """
    with snapshot(store) as cursor:
        state = read_state(cursor, model, version.name)
        if state is None or not state.holds(version):
            return None
        numbers = [number for (name, _), number in streams(cursor, model.key).items() if name == version.name]
        names = ("class", "base", "output", "residual", "link", "method", "adds_up", "reproduces")
        columns = ["stream", '"values"', *(quoted(name) for name in names)]
        held = next(
            (each for each in of_id(cursor, model_table("attributions", model.key), columns, prediction_id) if each[0] in numbers), None
        )
    if held is None:
        return None
    values = {name: float(value) for name, value in zip(state.features, held[1])}
    said = {"background": state.background, "background_rows": state.background_rows, "note": state.note}
    return {"values": values, **dict(zip(names, held[2:], strict=True)), **said}


def joined(
    cursor: duckdb.DuckDBPyConnection, asked: Attributions, found: Rows, orders: Mapping[int, tuple[str, ...]], fields: Sequence[Field]
) -> "DataFrame":
    """The rows that are explained, as they are stored: values by place (v0…), the fields that come along as x0…. orders: features by stream."""
    sqls = [each.sql for each in fields]
    clause, source, parameters = from_clause(cursor, found, sqls, any(each.labelled for each in fields))
    width = max(map(len, orders.values()), default=0)
    picked = [
        'p.id, p."at", coalesce(p.weight, 1.0) AS weight, p.stream, a.sampled, a."class", a.base, a.output, a.residual, a.link, a.method',
        "a.adds_up, a.reproduces",
        *(f'a."values"[{place + 1}] AS v{place}' for place in range(width)),
        *(f"{sql} AS x{place}" for place, sql in enumerate(sqls)),
    ]
    span = "" if found.timeless else 'AND "at" >= $start AND "at" < $end'
    return cursor.execute(
        f"""{clause} SELECT {", ".join(picked)} {source}
        JOIN (SELECT * FROM {model_table("attributions", found.model.key)} WHERE stream IN ({", ".join(map(str, orders)) or "NULL"}) {span}
            {"" if asked.errors else "AND sampled"}) a ON a.id_hash = p.id_hash AND a.id = p.id AND a.stream = p.stream ORDER BY p.sample_hash, p.id LIMIT {int(asked.rows)}""",
        used(clause + source + span, parameters),
    ).df()


def nothing_explained(fields: int) -> "DataFrame":
    """The same without rows, where nothing was explained yet."""
    numbers = dict.fromkeys(("weight", *FIGURES), "float64") | dict.fromkeys(("stream", "class"), "int64")
    flags, texts = (
        dict.fromkeys(("sampled", "adds_up"), "bool"),
        ("id", "link", "method", "reproduces", *(f"x{place}" for place in range(fields))),
    )
    return no_rows({"at": "datetime64[us]", **numbers, **flags, **dict.fromkeys(texts, "object")})


def nothing_stored(features: Iterable[str]) -> "DataFrame":
    """The answer without rows and further columns."""
    numbers, flags, texts = ("weight", *FIGURES), ("sampled", "adds_up"), ("id", "version", "link", "method", "reproduces")
    types = dict.fromkeys(numbers, "float64") | dict.fromkeys(flags, "bool") | dict.fromkeys(texts, "object")
    types |= {"at": "datetime64[us]", "class": "int64"}
    order = ("id", "at", "weight", "version", "sampled", "class", *FIGURES, "link", "method", "adds_up", "reproduces")
    return no_rows({name: types[name] for name in order} | {f"attribution.{name}": "float64" for name in features})


def values_of(frame: "DataFrame", orders: Mapping[int, tuple[str, ...]], fallback: tuple[str, ...]) -> "DataFrame":
    """The attributions by feature, of versions with features of their own; `fallback` names the columns where there are no rows to name them."""
    import pandas as pd

    names = list(dict.fromkeys(name for order in orders.values() for name in order)) or list(fallback)
    places = {name: place for place, name in enumerate(names)}
    found = np.full((len(frame), len(names)), np.nan)
    streams_of_rows = frame["stream"].to_numpy()
    for number, order in orders.items():
        own = np.flatnonzero(streams_of_rows == number)
        given = frame[[f"v{place}" for place in range(len(order))]].to_numpy(np.float64, na_value=np.nan)
        found[np.ix_(own, np.array([places[name] for name in order], np.intp))] = np.nan_to_num(given[own])
    return pd.DataFrame(found, columns=[f"attribution.{name}" for name in names])


def order_of(cursor: duckdb.DuckDBPyConnection, model: Model, version: Version) -> tuple[str, ...]:
    """The features of a version in the order of the stored values; none where nothing that holds is stored."""
    state = read_state(cursor, model, version.name)
    return state.features if state is not None and state.holds(version) else ()


def read_state(cursor: duckdb.DuckDBPyConnection, model: Model, version: str) -> State | None:
    """The state of a version, None where it was never tried."""
    held = first(
        cursor,
        f"SELECT state FROM {model_table('enrichment', model.key)} WHERE job = ? AND version = ? AND part = ''",
        [JOB, version],
    )
    if held is None:
        return None
    body = json.loads(held[0])
    return State(**body | {"features": tuple(body["features"])})


def state_of(store: "Store", model: str, version: str) -> State | None:
    """`read_state` for a page: None too where the state is about an artifact that has been replaced."""
    known = store.catalog().model(model)
    wanted = known.version(version)
    with snapshot(store) as cursor:
        state = read_state(cursor, known, version)
    return state if state is not None and wanted is not None and state.holds(wanted) else None


def put(store: "Store", model: Model, version: Version, written: Written) -> int:
    """Writes one batch in one transaction; gives how many rows came in. Nothing is written where the version was registered anew meanwhile.

    Predictions that are gone by now, and those that are explained already, are left out.
    """
    table, predictions = model_table("attributions", model.key), model_table("predictions", model.key)
    with store.write() as writer:
        known = find_model(writer, model.name)
        now = known.version(version.name) if known and known.key == model.key else None
        if now is None or identity(now) != identity(version) or read_state(writer, model, version.name) is None:
            return 0
        writer.register("explained", written.batch)
        ((count,),) = writer.execute(
            f"""INSERT INTO {table} SELECT p.stream, p.id, p.id_hash, p."at", p.sample_hash, e.sampled, e."class", e."values", e.base, e.output,
                e.residual, e.link, e.method, e.adds_up, e.reproduces
            FROM explained e JOIN {predictions} p ON p.id_hash = hash(e.id) AND p.id = e.id AND p.stream = e.stream
            WHERE NOT EXISTS (SELECT 1 FROM {table} a WHERE a.id_hash = p.id_hash AND a.id = p.id AND a.stream = p.stream)"""
        ).fetchall()
        writer.unregister("explained")
        if written.now_sampled:
            writer.execute(f"UPDATE {table} SET sampled = true WHERE id IN (SELECT unnest(?::VARCHAR[]))", [list(written.now_sampled)])
        parts = {name: (rows, json.dumps({"limit": limit})) for name, (rows, limit) in written.done.items()}
        write_parts(writer, model, version.name, {**parts, "": (written.state.rows, json.dumps(asdict(written.state)))})
    return int(count)


def write_parts(writer: duckdb.DuckDBPyConnection, model: Model, version: str, parts: Mapping[str, tuple[int, str]]) -> None:
    """Replaces what is kept of parts of a version: rows and JSON by the part's name."""
    table = model_table("enrichment", model.key)
    writer.execute(
        f"DELETE FROM {table} WHERE job = ? AND version = ? AND part IN (SELECT unnest(?::VARCHAR[]))", [JOB, version, list(parts)]
    )
    writer.executemany(
        f"INSERT INTO {table} VALUES (?, ?, ?, ?, ?)", [[JOB, version, name, rows, text] for name, (rows, text) in parts.items()]
    )


def restart(store: "Store", model: Model, version: Version, state: State) -> None:
    """Drops everything that is stored of a version's attributions, because its artifact or its features changed, and writes a new state."""
    with store.write() as writer:
        drop(writer, model, version.name)
        write_parts(writer, model, version.name, {"": (0, json.dumps(asdict(state)))})


def drop(writer: duckdb.DuckDBPyConnection, model: Model, version: str) -> None:
    """Deletes all that is stored of a version's attributions, so that they are made anew: in the transaction that registers another reference too."""
    numbers = [number for (name, _), number in streams(writer, model.key).items() if name == version]
    writer.execute(f"DELETE FROM {model_table('attributions', model.key)} WHERE stream IN (SELECT unnest(?::SMALLINT[]))", [numbers])
    writer.execute(f"DELETE FROM {model_table('enrichment', model.key)} WHERE job = ? AND version = ?", [JOB, version])


def failures(cursor: duckdb.DuckDBPyConnection, model: Model) -> dict[str, str]:
    """Why the artifacts of versions could not be explained, in words, by version."""
    found = {each.name: read_state(cursor, model, each.name) for each in model.versions if each.artifact}
    return {
        name: state.failure
        for name, state in found.items()
        if state is not None and state.failure and state.holds(model.version(name) or Version(name))
    }


def forget(writer: duckdb.DuckDBPyConnection, key: int, ids: Iterable[str]) -> int:
    """Deletes the attributions of predictions that are forgotten, in the transaction that forgets them; gives how many."""
    table = model_table("attributions", key)
    ((count,),) = writer.execute(f"DELETE FROM {table} WHERE {quoted('id')} IN (SELECT unnest(?::VARCHAR[]))", [list(ids)]).fetchall()
    return int(count)
