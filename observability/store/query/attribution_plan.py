"""Which predictions of a version are still to be explained: which days gained rows, and which rows of them are in the sample?

A bounded sample of each day, the rows with the smallest `sample_hash` among those that the model itself answered (status `ok`); a sample of the reference;
and rows that are named. Days that were done are known by how many rows they had then, so work grows with what is new, not with what is stored.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model, Version
from observability.store.db.catalog_store import streams
from observability.store.db.schema import OUTCOMES, STATUS_CODES, model_table
from observability.store.query.attributions import JOB
from observability.store.query.listing import typed
from observability.store.query.references import Field
from observability.store.query.source import snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

REFERENCE, ERRORS = "reference", "errors"
META = ("id", "decision", "score", "probabilities", "attributions", "base_value", "attributions_link")


@dataclass(frozen=True)
class Part:
    """One day, the reference or the errors of a version. name: "2013-12-31", "reference" or "errors". stream: where its rows stand. rows: how many
    it has now. limit: at most so many are explained. done: whether nothing came in since it was done.
    """

    name: str
    stream: int
    rows: int
    limit: int
    done: bool = False


@dataclass(frozen=True)
class Candidates:
    """Rows that are to be explained. rows: `stream`, `id`, `sampled`, `known` (stored already, as one of the worst errors), `decision`, `score`,
    `probabilities`, `attributions`, `base_value`, `attributions_link` as stored. inputs: the features by their names, in the version's order.
    """

    rows: "DataFrame"
    inputs: "DataFrame"


def parts_of(store: "Store", model: Model, version: Version, per_day: int, reference_rows: int) -> list[Part]:
    """The reference and every day of a version that has rows, newest day first."""
    with snapshot(store) as cursor:
        of = {environment: number for (name, environment), number in streams(cursor, model.key).items() if name == version.name}
        done = {
            name: (rows, json.loads(state)["limit"])
            for name, rows, state in cursor.execute(
                f"SELECT part, rows, state FROM {model_table('enrichment', model.key)} WHERE job = ? AND version = ? AND part <> ''",
                [JOB, version.name],
            ).fetchall()
        }
        found = []
        for environment, limit in (("reference", reference_rows), ("production", per_day)):
            counted = cursor.execute(
                f"""SELECT period // 24, sum(n)::BIGINT FROM {model_table("counts", model.key)}
                WHERE stream = ? AND measure = {OUTCOMES} AND slice = 0 AND status = {STATUS_CODES["ok"]}
                GROUP BY 1 HAVING sum(n) > 0 ORDER BY 1 DESC""",
                [of.get(environment)],
            ).fetchall()
            for day, rows in counted:
                name = REFERENCE if environment == "reference" else str(date(1970, 1, 1) + timedelta(days=day))
                before, wanted = done.get(name, (-1, 0))
                is_done = before == rows and (wanted >= limit or wanted >= rows)
                found.append(Part(name, of[environment], rows, limit, is_done))
        return found


def logs_attributions(store: "Store", model: Model, version: Version) -> bool:
    """Whether any prediction of a version came with attributions."""
    with snapshot(store) as cursor:
        number = streams(cursor, model.key).get((version.name, "production"))
        table = model_table("predictions", model.key)
        return bool(cursor.execute(f"SELECT 1 FROM {table} WHERE stream = ? AND attributions IS NOT NULL LIMIT 1", [number]).fetchall())


def sampled_rows(store: "Store", model: Model, version: Version, parts: Sequence[Part]) -> Candidates:
    """Rows of the samples of some parts (the reference alone, or days) that are not stored as such yet."""
    stream, limit, span, days = (
        parts[0].stream,
        parts[0].limit,
        "",
        [date.fromisoformat(each.name) for each in parts if each.name != REFERENCE],
    )
    values: dict[str, Any] = {"stream": stream}
    order = "ORDER BY sample_hash, id"
    if days:
        span = """AND "at" >= $start AND "at" < $end AND CAST("at" AS DATE) IN (SELECT unnest($days::DATE[]))"""
        values |= {"start": midnight(min(days)), "end": midnight(max(days) + timedelta(days=1)), "days": days}
        order = f"""QUALIFY row_number() OVER (PARTITION BY CAST("at" AS DATE) {order}) <= {limit}"""
    else:
        order = f"{order} LIMIT {limit}"
    chosen = f"""SELECT rowid AS place, id, id_hash FROM {model_table("predictions", model.key)}
        WHERE stream = $stream AND coalesce(status, 'ok') = 'ok' {span} {order}"""
    return candidates(store, model, version, stream, chosen, values, sampled=True)


def named_rows(store: "Store", model: Model, version: Version, stream: int, ids: Sequence[str]) -> Candidates:
    """Predictions by their ids, as far as they are not stored yet."""
    chosen = f"""SELECT rowid AS place, id, id_hash FROM {model_table("predictions", model.key)}
        WHERE stream = $stream AND id_hash IN (SELECT hash(unnest($ids::VARCHAR[]))) AND id IN (SELECT unnest($ids::VARCHAR[]))"""
    return candidates(store, model, version, stream, chosen, {"stream": stream, "ids": list(ids)}, sampled=False)


def candidates(
    store: "Store", model: Model, version: Version, stream: int, chosen: str, values: dict[str, Any], *, sampled: bool
) -> Candidates:
    """The chosen rows with what explaining them needs; those that are stored for the same purpose are left out."""
    columns = [each for name in version.features if (each := model.column(f"feature.{name}")) is not None]
    fields = [Field(each.reference, f"p.{each.column}", each.kind, column=each) for each in columns]
    with snapshot(store) as cursor:
        again = "NOT a.sampled" if sampled else "false"
        frame = cursor.execute(
            f"""WITH chosen AS ({chosen})
            SELECT {", ".join(f'p."{name}"' for name in META)}, a.id IS NOT NULL AS known,
                {", ".join(f"{each.sql} AS x{place}" for place, each in enumerate(fields)) or "1 AS nothing"}
            FROM {model_table("predictions", model.key)} p JOIN chosen c ON p.rowid = c.place
            LEFT JOIN (SELECT id, id_hash, sampled FROM {model_table("attributions", model.key)} WHERE stream = $stream) a
                ON a.id_hash = c.id_hash AND a.id = c.id
            WHERE a.id IS NULL OR {again} ORDER BY p."at" DESC, p.sample_hash, p.id""",
            values,
        ).df()
    rows = frame[list(META)].astype({"id": object}).assign(stream=stream, sampled=sampled, known=frame["known"].astype(bool))
    inputs = typed(frame, fields, {}).rename(columns={each.reference: each.column.name for each in fields if each.column})
    inputs = inputs.reindex(rows.index)
    return Candidates(rows, inputs)


def midnight(day: date) -> datetime:
    """The start of a day, naive UTC as the tables store it."""
    return datetime.combine(day, time())


def labels_count(store: "Store", model: Model) -> int:
    """How many labels and predictions of a model are stored: whether the worst errors may have changed."""
    with snapshot(store) as cursor:
        ((count,),) = cursor.execute(
            f"""SELECT (SELECT count(*) FROM {model_table("labels", model.key)})
                + (SELECT count(*) FROM {model_table("predictions", model.key)})"""
        ).fetchall()
    return int(count)


def errors_part(store: "Store", model: Model, version: Version, stream: int, limit: int) -> Part:
    """The worst errors as a part; done while no label and no prediction came in."""
    now = labels_count(store, model)
    with snapshot(store) as cursor:
        held = cursor.execute(
            f"SELECT rows FROM {model_table('enrichment', model.key)} WHERE job = ? AND version = ? AND part = ?",
            [JOB, version.name, ERRORS],
        ).fetchall()
    return Part(ERRORS, stream, now, limit, bool(held) and held[0][0] == now)
