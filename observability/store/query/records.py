"""Answer questions about records of the other kinds: runs, steps, resources, prices, annotations and more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from observability.core.errors import NotFoundError
from observability.core.json_values import stored_json
from observability.core.questions import CONTROLLER_DECISION, Records, record_kind
from observability.core.time import aware_utc, naive_utc
from observability.core.view_names import quoted_identifier
from observability.core.window import Window
from observability.records.kinds import KINDS, OF_ALL_MODELS, OF_RUNS, OWN_SOURCE
from observability.records.validation import RecordField
from observability.store.db.expressions import sql_literal
from observability.store.db.kept_numbers import KEPT_NUMBERS
from observability.store.db.record_tables import FIELD_TYPES, kind_tables
from observability.store.db.results import Cursor, empty_result
from observability.store.db.schema import model_table
from observability.store.query.nested_numbers import numbers_columns, read_numbers
from observability.store.query.rank_blocks import answer_rank_blocks
from observability.store.query.source import snapshot_cursor, snapshot_value
from observability.store.query.spread_steps import spread_steps

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Database

PARSED_TOGETHER = 1000
"""Nested values that are parsed at once."""
NAMES_A_RUN = ("run", "resource")
"""Kinds whose records name a run and may name its model; any such record determines the model of the run."""
EXTRA = RecordField("extra", "object", "further fields of the record, only where asked for")
CURRENT_LABEL = RecordField("label", "object", "the current label: its value as text, and its further fields")
STORED_OF_PROBES = (
    "id",
    "at",
    "arrived",
    "status",
    "prediction",
    "latency_ms",
    "energy_j",
    "cost",
    "subject",
    "device",
    "replica",
    "extra",
)
PROBE_FIELDS = (*STORED_OF_PROBES, "model", "version", "environment", "score", "features")
"""Fields of the answers to fixed questions that can be asked for."""
ENVIRONMENT_OF = {"prediction": "probe", CONTROLLER_DECISION: "controller"}
"""For kinds of questions that stand for predictions: the environment of these predictions."""
FRAME_TYPES = {"TIMESTAMP": "datetime64[us]", "DOUBLE": "float64", "BIGINT": "Int64"}
"""Column types of an answer by column type of the table; the others are objects."""


def answer_records(store: "Database", records: Records, window: Window) -> "DataFrame":
    """The answer to a question about records, oldest first; ties in the order of their content.

    One column per field: numbers float64 (NaN if missing), integers Int64, times naive UTC, objects and lists parsed (NaN and infinities as
    floats), others objects (None if missing). Slice, version and environment of the window are ignored. Raises NotFoundError for an unknown
    kind or field.
    """
    import pandas as pd

    fields = _kind_fields(records.kind)
    if "extra" in (records.columns or ()):
        fields |= {"extra": EXTRA}
    names = records.columns or tuple(fields)
    for name in (*names, *(name for name, _ in records.only)):
        if name not in fields:
            raise NotFoundError(f"field {name!r} is not in records of kind {records.kind}", attempt=f"It has {', '.join(fields)}")
    if records.kind in ENVIRONMENT_OF:
        return probe_answers(store, records, window, {name: fields[name] for name in names})
    scope = RecordScope(window.model, _is_sample(store, window.model))
    where, values = _conditions(records.kind, scope, window.end, window.as_of, None if records.ever else window.start)
    for place, (name, wanted) in enumerate(records.only):
        column, key = quoted_identifier(name), f"only_{place}"
        where += f" AND {column} = ${key}" if isinstance(wanted, str) else f" AND list_contains(${key}::VARCHAR[], {column})"
        values[key] = wanted if isinstance(wanted, str) else list(wanted)
    at = quoted_identifier(_time_field(records.kind))
    table, ties = _source_table(store, records.kind, window.model, values)
    nothing = empty_result({name: FRAME_TYPES.get(FIELD_TYPES[fields[name].type], "object") for name in names})
    objects, kept = KEPT_NUMBERS.get(records.kind, ("", ()))
    opened = objects if objects in names and records.numbers and set(records.numbers) <= set(kept) else None
    columns = ", ".join(numbers_columns(name, records.numbers) if name == opened else quoted_identifier(name) for name in names)
    if records.spread:
        nothing["stride"] = pd.Series(dtype="int64")
    asked = f"SELECT {columns} FROM {table} WHERE {where} ORDER BY {at} DESC, {ties} DESC LIMIT {int(records.rows)}"
    if records.counted:
        nothing["n"] = pd.Series(dtype="int64")
        asked = f"SELECT {columns}, count(*) AS n FROM {table} WHERE {where} GROUP BY ALL ORDER BY ALL DESC"
    with snapshot_cursor(store) as cursor:
        if records.blocks:
            return answer_rank_blocks(cursor, where, values)
        if records.kind != "label" and not _has_records(store, cursor, records.kind):
            return nothing
        frame = spread_steps(cursor, records, where, columns, values) if records.spread else _newest_records(cursor, asked, values)
        if opened:
            frame[opened] = pd.Series(read_numbers(cursor, table, frame, opened, records.numbers), index=frame.index, dtype=object)
            fields |= {opened: RecordField(opened, "text")}
    if frame.empty:
        return nothing
    found = pd.DataFrame({name: _typed(frame[name], fields[name]) for name in names})
    if records.counted:
        return found.assign(n=frame["n"].astype("int64"))
    return found.assign(stride=frame["stride"].astype("int64")) if records.spread else found


def _newest_records(cursor: Cursor, query: str, values: dict[str, Any]) -> "DataFrame":
    """The rows of a query that returns the newest row first, reversed to oldest first; so the database sorts only once.

    Texts stay the objects that the database returns, because a new frame would first convert each of them to an Arrow text.
    """
    import pandas as pd

    columns = {name: _plain_array(column)[::-1] for name, column in cursor.execute(query, values).fetchnumpy().items()}
    return pd.DataFrame({name: pd.Series(column, dtype=column.dtype) for name, column in columns.items()})


def _plain_array(column: Any) -> Any:
    """A column without its mask: masked objects become None, masked numbers NaN."""
    import numpy as np

    missing = np.ma.getmaskarray(column) if np.ma.isMaskedArray(column) else None
    values = np.ma.getdata(column)
    if values.dtype == object or (missing is not None and missing.any() and values.dtype.kind == "b"):
        values = values.astype(object)
        if missing is not None:
            values[missing] = None
        return values
    if missing is None or not missing.any():
        return values
    empty = np.datetime64("NaT", "us") if values.dtype.kind == "M" else np.nan
    return np.where(missing, empty, values if values.dtype.kind in "Mf" else values.astype(np.float64))


def _has_records(store: "Database", cursor: Cursor, kind: str) -> bool:
    """Whether a kind has any record, read once per snapshot. Most stores have few kinds."""
    asked = f"SELECT 1 FROM {kind_tables()[kind]} LIMIT 1"
    return snapshot_value(store, ("has records", kind), lambda: bool(cursor.execute(asked).fetchall()))


def _source_table(store: "Database", kind: str, model: str, values: dict[str, Any]) -> tuple[str, str]:
    """The table of a kind, and the column that breaks ties of time. Labels are in the table of their model, which has no model column."""
    if kind != "label":
        return kind_tables()[kind], "content_hash"
    values["model"] = model
    return f"(SELECT *, $model AS model FROM {model_table('labels', store.catalog().model(model).key)})", "id_hash"


def probe_answers(store: "Database", records: Records, window: Window, fields: dict[str, RecordField]) -> "DataFrame":
    """The predictions of environment probe (answers to fixed questions) or controller, of one model or of all, oldest first; ties in the
    order of ids.

    fields: the requested fields of a prediction. `only` compares stored texts.
    """
    import pandas as pd

    nothing = empty_result({name: FRAME_TYPES.get(FIELD_TYPES[each.type], "object") for name, each in fields.items()})
    where: list[str] = ['"at" < $end']
    values: dict[str, Any] = {"end": naive_utc(window.end)}
    if not records.ever:
        where, values = [*where, '"at" >= $start'], values | {"start": naive_utc(window.start)}
    if window.as_of is not None:
        where, values = [*where, "arrived <= $as_of"], values | {"as_of": naive_utc(window.as_of)}
    with snapshot_cursor(store) as cursor:
        parts = environment_tables(store, cursor, window.model, ENVIRONMENT_OF[records.kind], window.as_of is not None)
        if not parts:
            return nothing
        columns = ", ".join(quoted_identifier(name) for name in fields)
        for place, (name, wanted) in enumerate(records.only):
            where.append(f"list_contains($only_{place}::VARCHAR[], {quoted_identifier(name)})")
            values[f"only_{place}"] = [wanted] if isinstance(wanted, str) else list(wanted)
        frame = cursor.execute(
            f"""SELECT {columns} FROM (SELECT * FROM ({" UNION ALL BY NAME ".join(parts)}) WHERE {" AND ".join(where)}
                ORDER BY "at" DESC, id DESC, model DESC LIMIT {int(records.rows)}) ORDER BY "at", id, model""",
            values,
        ).df()
    return pd.DataFrame({name: _typed(frame[name], each) for name, each in fields.items()}) if len(frame) else nothing


def environment_tables(store: "Database", cursor: Cursor, model: str, environment: str, until: bool = False) -> list[str]:
    """By model with predictions in an environment (or for the named model only), a query for these predictions in the form of records.
    Predictions of controllers have their current label, written like an inline label. until: only labels that had arrived by $as_of count.
    """
    streams: dict[int, list[tuple[int, str]]] = {}
    asked = f"SELECT key, stream, version FROM streams WHERE environment = {sql_literal(environment)}"
    for key, stream, version in cursor.execute(asked).fetchall():
        streams.setdefault(key, []).append((stream, version))
    found = []
    for known in store.catalog().models:
        if known.key not in streams or model not in ("", known.name):
            continue
        features = ", ".join(
            f"{sql_literal(column.name)}, {quoted_identifier(column.column)}" for column in known.columns if column.role == "feature"
        )
        versions = ", ".join(f"({number}::SMALLINT, {sql_literal(version)})" for number, version in streams[known.key])
        label, labels = _current_label(known.key, until) if environment == "controller" else ("", "")
        found.append(
            f"""SELECT {", ".join(f"p.{quoted_identifier(name)}" for name in STORED_OF_PROBES)}, s.version AS version{label},
            {sql_literal(environment)} AS environment, {sql_literal(known.name)} AS model,
            coalesce(p.probabilities, to_json(p.score)) AS score,
            json_object({features}) AS features
            FROM {model_table("predictions", known.key)} p JOIN (VALUES {versions}) s(stream, version) ON p.stream = s.stream{labels}"""
        )
    return found


def _current_label(key: int, until: bool) -> tuple[str, str]:
    """The column of the current label of predictions `p` of a model, and the join that it needs: the label with the greatest time,
    arrival and value, as an object with its value as text and its extra fields.
    """
    known = " WHERE arrived <= $as_of" if until else ""
    newest = """max(struct_pack(a := "at", b := arrived, c := value, d := extra))"""
    column = """, CASE WHEN l.label IS NOT NULL THEN
        json_merge_patch(coalesce(l.label.d, '{}'::JSON), json_object('value', l.label.c)) END AS label"""
    return (
        column,
        f"""
            LEFT JOIN (SELECT id_hash, id, {newest} AS label FROM {model_table("labels", key)}{known} GROUP BY id_hash, id) l
            ON l.id_hash = p.id_hash AND l.id = p.id""",
    )


DATED = {
    "cleaning": "json_extract_string(extra, '$.proposed') IS DISTINCT FROM 'true'",
    "event": f"NOT (what = 'export' AND json_extract_string(extra, '$.source') IS NOT DISTINCT FROM '{OWN_SOURCE}')",
}
"""By kind, the SQL condition for the records whose time counts as the newest. A rule that an audit proposed did not run; an export by the
product itself shows when the product was used, not what models did.
"""


def newest_record_time(
    store: "Database", kinds: Sequence[str], model: str, before: datetime, as_of: datetime | None = None
) -> datetime | None:
    """Event time of the newest record of some kinds before an instant, of one model ("" for all). None if there is none. DATED has the
    conditions that leave out records of some kinds.
    """
    found: list[datetime] = []
    scope = RecordScope(model, _is_sample(store, model))
    with snapshot_cursor(store) as cursor:
        for kind in kinds:
            if kind in ENVIRONMENT_OF:
                found += _newest_of_environment(store, cursor, model, ENVIRONMENT_OF[kind], before, as_of)
                continue
            where, values = _conditions(kind, scope, before, as_of, None)
            where = f"{where} AND {DATED[kind]}" if kind in DATED else where
            ((last,),) = cursor.execute(
                f"SELECT max({quoted_identifier(_time_field(kind))}) FROM {kind_tables()[kind]} WHERE {where}", values
            ).fetchall()
            found += [last] if last is not None else []
    return aware_utc(max(found)) if found else None


def _newest_of_environment(
    store: "Database", cursor: Cursor, model: str, environment: str, before: datetime, as_of: datetime | None
) -> list[datetime]:
    """Time of the newest prediction of an environment before an instant, as a list of at most one."""
    parts = environment_tables(store, cursor, model, environment, as_of is not None)
    if not parts:
        return []
    values = {"before": naive_utc(before)} | ({"as_of": naive_utc(as_of)} if as_of else {})
    known = " AND arrived <= $as_of" if as_of else ""
    ((last,),) = cursor.execute(
        f'SELECT max("at") FROM ({" UNION ALL BY NAME ".join(parts)}) WHERE "at" < $before{known}', values
    ).fetchall()
    return [last] if last is not None else []


def _kind_fields(kind: str) -> dict[str, RecordField]:
    """Fields of a kind by name. Raises NotFoundError for a kind without a table."""
    if kind not in (*kind_tables(), "label", *ENVIRONMENT_OF):
        raise NotFoundError(f"records of kind {kind!r} cannot be fetched", attempt=f"There is {', '.join(kind_tables())}")
    fields = {name: field for name, field in KINDS[record_kind(kind)].fields.items() if name != "received_at"}
    if kind not in ENVIRONMENT_OF:
        return fields
    known = {name: field for name, field in fields.items() if name in PROBE_FIELDS}
    return known | {"label": CURRENT_LABEL} if kind == CONTROLLER_DECISION else known


def _time_field(kind: str) -> str:
    """The field with the time of a record: `at`, or `from` of a price."""
    return "at" if "at" in KINDS[kind].fields else "from"


@dataclass(frozen=True)
class RecordScope:
    """The model whose records are asked for ("" for all), and whether it belongs to the sample."""

    model: str
    sample: bool


def _is_sample(store: "Database", model: str) -> bool:
    """Whether a model belongs to the sample."""
    return any(each.sample for each in store.catalog().models if each.name == model)


def _conditions(kind: str, scope: RecordScope, end: datetime, as_of: datetime | None, start: datetime | None) -> tuple[str, dict[str, Any]]:
    """The WHERE clause of a question, and its parameters. Records of the sample never count as records of another model."""
    at = quoted_identifier(_time_field(kind))
    where = [f"{at} < $end"]
    values: dict[str, Any] = {"end": naive_utc(end)}
    if start is not None:
        where, values = [*where, f"{at} >= $start"], values | {"start": naive_utc(start)}
    if as_of is not None:
        where, values = [*where, "arrived <= $as_of"], values | {"as_of": naive_utc(as_of)}
    if scope.model:
        values["model"] = scope.model
        where += [] if scope.sample or kind == "label" else ["sample IS NOT TRUE"]
        of_model = ["model = $model"] if "model" in KINDS[kind].fields else []
        own = "model IS NULL AND " if of_model else ""
        of_run = [f"({own}run IN ({runs_of_model(as_of is not None)}))"] if kind in OF_RUNS else []
        shared = ["model IS NULL"] if kind in OF_ALL_MODELS else []
        if either := [*of_model, *of_run, *shared]:
            where.append(f"({' OR '.join(either)})")
        else:
            del values["model"]
    return " AND ".join(where), values


def runs_of_model(until: bool = False) -> str:
    """A query for the runs of $model. A run belongs to a model if any of its records names the model. until: only records that had arrived
    by $as_of count.
    """
    known = " AND arrived <= $as_of" if until else ""
    return " UNION ALL ".join(f"SELECT run FROM {kind_tables()[kind]} WHERE model = $model{known}" for kind in NAMES_A_RUN)


def models_of_runs(cursor: Cursor, runs: Sequence[str]) -> set[str]:
    """The models that records of these runs name."""
    parts = " UNION ".join(
        f"SELECT model FROM {kind_tables()[kind]} WHERE model IS NOT NULL AND list_contains($runs::VARCHAR[], run)" for kind in NAMES_A_RUN
    )
    return {model for (model,) in cursor.execute(parts, {"runs": list(runs)}).fetchall()}


def _typed(values: Any, field: RecordField) -> Any:
    """A column in the type that `answer_records` promises."""
    import pandas as pd

    kind = FIELD_TYPES[field.type]
    if kind in FRAME_TYPES:
        return values.astype(FRAME_TYPES[kind])
    texts = values.astype(object).where(values.notna(), None)
    if kind != "JSON":
        return texts
    return pd.Series(_parsed_texts(list(texts), field), index=texts.index, dtype=object)


def _parsed_texts(texts: Sequence[str | None], field: RecordField) -> list[Any]:
    """Nested values, PARSED_TOGETHER in one call. "NaN", "Infinity" and "-Infinity" are numbers where only numbers are allowed."""
    found: list[Any] = []
    for start in range(0, len(texts), PARSED_TOGETHER):
        joined = f"[{','.join('null' if text is None else text for text in texts[start : start + PARSED_TOGETHER])}]"
        values = stored_json(joined)
        if field.members == "number" and ':"' in joined:
            values = [_with_numbers(value) for value in values]
        found += values
    return found


def _with_numbers(value: Any) -> Any:
    """An object with its texts as numbers; any other value unchanged."""
    if not isinstance(value, dict):
        return value
    return {name: float(member) if isinstance(member, str) else member for name, member in value.items()}
