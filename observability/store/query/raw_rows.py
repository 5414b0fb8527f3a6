"""What do the raw rows of a window answer: counts, categories, sums, and which values were absent or of a wrong type?

Everything here is one GROUP BY a question; histograms of numbers stream through store/query/raw_histograms.py. Answers are parts as store/query/answer.py
adds them up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb

from observability.core.catalog import Column, Model, band_names
from observability.core.questions import ABSENT, NULL, UNSEEN, WRONG_TYPE, Bucket, By
from observability.store.db.expressions import day_of, hour_of
from observability.store.db.expressions import text as literal
from observability.store.db.schema import model_table
from observability.store.query.references import BAND, SCORE_BINS, Field, banded_column, bins_of, find_field, level_text
from observability.store.query.source import Parameters, Rows, from_clause

if TYPE_CHECKING:
    from pandas import DataFrame

SCORE_BIN = "CASE WHEN p.score IS NULL THEN -1 WHEN isnan(p.score) THEN -2 ELSE coalesce(edges.bin, 0) END"
SCORE_JOIN = f""" ASOF LEFT JOIN (
    SELECT unnest($score_edges::DOUBLE[]) AS edge, unnest(range(1, {len(SCORE_BINS.edges) + 1})) AS bin) edges ON p.score >= edges.edge"""


@dataclass(frozen=True)
class Key:
    """What to group by, as an expression. score_bin: the score is selected and has yet to be binned."""

    name: str
    sql: str
    labelled: bool = False
    score_bin: bool = False


@dataclass(frozen=True)
class Query:
    """The raw rows of one question. weighted, absent, wrong: whether the model's table has any such value."""

    cursor: duckdb.DuckDBPyConnection
    rows: Rows
    keys: tuple[Key, ...]
    weighted: bool
    marked: tuple[str, ...]

    @property
    def model(self) -> Model:
        """The model whose rows they are."""
        return self.rows.model

    @property
    def selected(self) -> str:
        """The keys as columns k0, k1, …, each with a comma behind it."""
        return "".join(f"{key.sql} AS k{place}, " for place, key in enumerate(self.keys))

    @property
    def grouped(self) -> str:
        """Their names, each with a comma behind it."""
        return "".join(f"k{place}, " for place in range(len(self.keys)))

    @property
    def weight(self) -> str:
        """The weight of a row."""
        return "coalesce(p.weight, 1)" if self.weighted else "1"

    def figures(self) -> str:
        """n, w, w2 of a group."""
        if not self.weighted:
            return "count(*) AS n, count(*)::DOUBLE AS w, count(*)::DOUBLE AS w2"
        return f"count(*) AS n, fsum({self.weight}) AS w, fsum({self.weight} * {self.weight}) AS w2"


def query(cursor: duckdb.DuckDBPyConnection, rows: Rows, keys: Sequence[Bucket | By], *, outcomes: bool) -> Query:
    """The question's rows and keys, checked. Raises NotFoundError or UsageError where a key cannot be grouped by."""
    table = model_table("predictions", rows.model.key)
    ((weights, absent, wrong),) = cursor.execute(f"SELECT count(weight), count(absent), count(wrong) FROM {table}").fetchall()
    marked = tuple(name for name, held in (("absent", absent), ("wrong", wrong)) if held)
    return Query(cursor, rows, tuple(key_of(rows, key, outcomes) for key in keys), bool(weights), marked)


def key_of(rows: Rows, key: Bucket | By, outcomes: bool) -> Key:
    """The expression of one key."""
    if isinstance(key, Bucket):
        return Key("period", "0::INTEGER" if rows.timeless else (hour_of if key.period == "hour" else day_of)('p."at"'))
    if (banded := banded_column(rows.model, key.column)) is not None:
        return Key(key.column, band_sql(rows, banded))
    field = find_field(rows.model, key.column, outcomes=outcomes, role="key")
    if key.column == "score_bin" and rows.model.classes:
        return Key(key.column, SCORE_BIN, score_bin=True)
    return Key(key.column, field.sql if field.kind == "code" else level_text(field), field.labelled)


def band_sql(rows: Rows, column: Column) -> str:
    """The band that a sensitive number falls into, by each row's own version; NULL where it is missing or the version has no bands."""
    of_limits: dict[tuple[float, ...], list[int]] = {}
    for stream, version in rows.streams.items():
        of_limits.setdefault(bins_of(rows.model, version, f"{BAND}{column.name}").edges, []).append(stream)
    value, cases = f"p.{column.column}", []
    for limits, streams in of_limits.items():
        names = band_names(limits)
        if names:
            below = " ".join(f"WHEN {value} < {limit!r}::DOUBLE THEN {literal(name)}" for limit, name in zip(limits, names, strict=False))
            cases.append(f"WHEN p.stream IN ({', '.join(map(str, streams))}) THEN CASE {below} ELSE {literal(names[-1])} END")
    return f"CASE WHEN {value} IS NULL OR isnan({value}) THEN NULL {' '.join(cases)} END" if cases else "NULL::VARCHAR"


def source_of(asked: Query, fields: Sequence[Field]) -> tuple[str, str, Parameters]:
    """The rows as SQL, with labels and score bins where the keys or fields need them."""
    labelled = any(key.labelled for key in asked.keys) or any(field.labelled for field in fields)
    clause, source, parameters = from_clause(asked.cursor, asked.rows, [each.sql for each in fields], labelled)
    if any(key.score_bin for key in asked.keys):
        source, parameters = source + SCORE_JOIN, parameters | {"score_edges": list(SCORE_BINS.edges)}
    return clause, source, parameters


def used(sql: str, parameters: Parameters) -> Parameters:
    """The parameters that a statement names; DuckDB refuses others."""
    return {name: value for name, value in parameters.items() if f"${name}" in sql}


def counts(asked: Query) -> "DataFrame":
    """Plain counts."""
    clause, source, parameters = source_of(asked, ())
    found = asked.cursor.execute(
        f"{clause} SELECT {asked.selected}{asked.figures()} {source} GROUP BY ALL", used(clause + source, parameters)
    )
    frame = found.df()
    return frame if asked.keys else frame[frame["n"] > 0]


def categories(asked: Query, item: int, field: Field) -> "DataFrame":
    """The histogram of a column of texts or booleans, on the levels of each row's version."""
    text = f"{field.sql}::VARCHAR" if field.kind == "boolean" else field.sql
    own_stream = "p.stream" if len(asked.rows.streams) > 1 else f"{min(asked.rows.streams, default=0)}::SMALLINT"
    streams, names, places = [], [], []
    for stream, version in asked.rows.streams.items():
        for place, level in enumerate(bins_of(asked.model, version, field.reference).levels):
            streams.append(stream)
            names.append(level)
            places.append(place)
    clause, source, parameters = source_of(asked, [field])
    levels = "SELECT unnest($streams::SMALLINT[]) AS stream, unnest($names::VARCHAR[]) AS level, unnest($places::INTEGER[]) AS bin"
    found = asked.cursor.execute(
        f"""{clause} SELECT {asked.grouped}{item} AS item, CASE WHEN held.level IS NULL THEN {NULL} ELSE coalesce(bin, {UNSEEN}) END AS bin,
            sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2
        FROM (SELECT {asked.selected}{own_stream} AS in_stream, {text} AS level, {asked.figures()} {source} GROUP BY ALL) held
        LEFT JOIN ({levels}) known ON known.stream = held.in_stream AND known.level = held.level GROUP BY ALL""",
        used(clause + source + "$streams $names $places", parameters | {"streams": streams, "names": names, "places": places}),
    )
    return found.df()


def marks(asked: Query, items: Sequence[tuple[int, Field]]) -> list["DataFrame"]:
    """Values that were absent or of a wrong type: taken out of null, put into bins of their own."""
    import pandas as pd

    parts = []
    of_id = {field.column.id: item for item, field in items if field.column is not None}
    for name in asked.marked if of_id else ():
        clause, source, parameters = source_of(asked, ())
        frame = asked.cursor.execute(
            f"""{clause} SELECT {asked.grouped}item, count(*) AS n, sum(w)::DOUBLE AS w, sum(w * w)::DOUBLE AS w2 FROM (
                SELECT {asked.selected}unnest(p.{name}) AS item, {asked.weight} AS w {source} WHERE p.{name} IS NOT NULL)
            WHERE list_contains($ids::USMALLINT[], item) GROUP BY ALL""",
            used(clause + source + "$ids", parameters | {"ids": sorted(of_id)}),
        ).df()
        if not len(frame):
            continue
        frame["item"] = frame["item"].map(of_id).astype("int64")
        less = frame.assign(bin=NULL, **{figure: -frame[figure] for figure in ("n", "w", "w2")})
        parts.append(pd.concat([frame.assign(bin=ABSENT if name == "absent" else WRONG_TYPE), less], ignore_index=True))
    return parts


def sums(asked: Query, items: Sequence[tuple[int, Field]]) -> "DataFrame":
    """Σw, Σw², Σwx, Σwx², least and largest of numbers, over the rows where each is finite."""
    import pandas as pd

    clause, source, parameters = source_of(asked, [field for _, field in items])
    values = ", ".join(f"CASE WHEN isfinite({field.sql}) THEN {field.sql} END AS x{item}" for item, field in items)
    weighted = [
        f"""count(x{i}) AS n{i}, fsum(w) FILTER (x{i} IS NOT NULL) AS w{i}, fsum(w * w) FILTER (x{i} IS NOT NULL) AS w2{i},
        fsum(w * x{i}) AS total{i}, fsum(w * x{i} * x{i}) AS squares{i}, min(x{i}) AS low{i}, max(x{i}) AS high{i}"""
        for i, _ in items
    ]
    wide = asked.cursor.execute(
        f"""{clause} SELECT {asked.grouped}{", ".join(weighted)}
        FROM (SELECT {asked.selected}{asked.weight}::DOUBLE AS w, {values} {source}) GROUP BY ALL""",
        used(clause + source, parameters),
    ).df()
    names = [f"k{place}" for place in range(len(asked.keys))]
    parts = []
    for item, _ in items:
        part = wide[names].copy()
        part["item"] = item
        for figure in ("n", "w", "w2", "total", "squares", "low", "high"):
            part[figure] = wide[f"{figure}{item}"]
        parts.append(part[part["n"] > 0])
    return pd.concat(parts, ignore_index=True)
