"""Compute counts, category histograms, sums, and absent or wrongly typed values from the raw rows of a window.

Each answer is one GROUP BY query. Histograms of numbers stream through store/query/raw_histograms.py. Answers are parts that
store/query/answer.py adds up.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observability.core.catalog import Column, Model, band_names
from observability.core.questions import ABSENT, NULL, UNSEEN, WRONG_TYPE, Bucket, By
from observability.store.db.expressions import day_sql, hour_sql, sql_literal
from observability.store.db.results import Cursor
from observability.store.db.schema import model_table
from observability.store.query.references import FieldExpression, find_field, level_text
from observability.store.query.source import Parameters, WindowRows, from_clause
from observability.store.types.column_bins import BAND, SCORE_BINS, banded_column, column_bins

if TYPE_CHECKING:
    from pandas import DataFrame

SCORE_BIN = "CASE WHEN p.score IS NULL THEN -1 WHEN isnan(p.score) THEN -2 ELSE coalesce(edges.bin, 0) END"
SCORE_JOIN = f""" ASOF LEFT JOIN (
    SELECT unnest($score_edges::DOUBLE[]) AS edge, unnest(range(1, {len(SCORE_BINS.edges) + 1})) AS bin) edges ON p.score >= edges.edge"""


@dataclass(frozen=True)
class GroupKey:
    """A key to group by, as an expression. score_bin: the score is selected and binned later."""

    name: str
    sql: str
    labelled: bool = False
    score_bin: bool = False


@dataclass(frozen=True)
class RawQuery:
    """The raw rows of one question. weighted: whether any row has a weight; marked: those of the columns `absent` and `wrong` that have any
    value.
    """

    cursor: Cursor
    rows: WindowRows
    keys: tuple[GroupKey, ...]
    weighted: bool
    marked: tuple[str, ...]

    @property
    def model(self) -> Model:
        """The model of the rows."""
        return self.rows.model

    @property
    def selected(self) -> str:
        """The keys as columns k0, k1, …, each followed by a comma."""
        return "".join(f"{key.sql} AS k{place}, " for place, key in enumerate(self.keys))

    @property
    def grouped(self) -> str:
        """The names of the selected keys, each followed by a comma."""
        return "".join(f"k{place}, " for place in range(len(self.keys)))

    @property
    def weight(self) -> str:
        """The weight of a row."""
        return "coalesce(p.weight, 1)" if self.weighted else "1"

    def figures(self) -> str:
        """SQL for the figures n, w and w2 of a group."""
        if not self.weighted:
            return "count(*) AS n, count(*)::DOUBLE AS w, count(*)::DOUBLE AS w2"
        return f"count(*) AS n, fsum({self.weight}) AS w, fsum({self.weight} * {self.weight}) AS w2"


def raw_query(cursor: Cursor, rows: WindowRows, keys: Sequence[Bucket | By], *, outcomes: bool) -> RawQuery:
    """The rows and keys of a question, validated. Raises NotFoundError or UsageError if a key cannot be grouped by."""
    table = model_table("predictions", rows.model.key)
    ((weights, absent, wrong),) = cursor.execute(f"SELECT count(weight), count(absent), count(wrong) FROM {table}").fetchall()
    marked = tuple(name for name, held in (("absent", absent), ("wrong", wrong)) if held)
    return RawQuery(cursor, rows, tuple(group_key(rows, key, outcomes) for key in keys), bool(weights), marked)


def group_key(rows: WindowRows, key: Bucket | By, outcomes: bool) -> GroupKey:
    """The expression of a key."""
    if isinstance(key, Bucket):
        return GroupKey("period", "0::INTEGER" if rows.timeless else (hour_sql if key.period == "hour" else day_sql)('p."at"'))
    if (banded := banded_column(rows.model, key.column)) is not None:
        return GroupKey(key.column, _band_sql(rows, banded))
    field = find_field(rows.model, key.column, outcomes=outcomes, role="key")
    if key.column == "score_bin" and rows.model.classes:
        return GroupKey(key.column, SCORE_BIN, score_bin=True)
    return GroupKey(key.column, field.sql if field.kind == "code" else level_text(field), field.labelled)


def _band_sql(rows: WindowRows, column: Column) -> str:
    """The band of a sensitive number, by the version of each row; NULL if it is missing or the version has no bands."""
    of_limits: dict[tuple[float, ...], list[int]] = {}
    for stream, version in rows.streams.items():
        of_limits.setdefault(column_bins(rows.model, version, f"{BAND}{column.name}").edges, []).append(stream)
    value, cases = f"p.{column.column}", []
    for limits, streams in of_limits.items():
        names = band_names(limits)
        if names:
            below = " ".join(
                f"WHEN {value} < {limit!r}::DOUBLE THEN {sql_literal(name)}" for limit, name in zip(limits, names, strict=False)
            )
            cases.append(f"WHEN p.stream IN ({', '.join(map(str, streams))}) THEN CASE {below} ELSE {sql_literal(names[-1])} END")
    return f"CASE WHEN {value} IS NULL OR isnan({value}) THEN NULL {' '.join(cases)} END" if cases else "NULL::VARCHAR"


def _source(query: RawQuery, fields: Sequence[FieldExpression]) -> tuple[str, str, Parameters]:
    """The rows as SQL, with labels and score bins if the keys or fields need them."""
    labelled = any(key.labelled for key in query.keys) or any(field.labelled for field in fields)
    clause, source, parameters = from_clause(
        query.cursor, query.rows, [*(key.sql for key in query.keys), *(field.sql for field in fields)], labelled
    )
    if any(key.score_bin for key in query.keys):
        source, parameters = source + SCORE_JOIN, parameters | {"score_edges": list(SCORE_BINS.edges)}
    return clause, source, parameters


def used_parameters(sql: str, parameters: Parameters) -> Parameters:
    """The parameters that occur in a statement; DuckDB rejects others."""
    return {name: value for name, value in parameters.items() if f"${name}" in sql}


def raw_counts(query: RawQuery) -> "DataFrame":
    """The number of rows and the sums of their weights by key, counted from raw rows."""
    clause, source, parameters = _source(query, ())
    found = query.cursor.execute(
        f"{clause} SELECT {query.selected}{query.figures()} {source} GROUP BY ALL", used_parameters(clause + source, parameters)
    )
    frame = found.df()
    return frame if query.keys else frame[frame["n"] > 0]


def category_histogram(query: RawQuery, item: int, field: FieldExpression) -> "DataFrame":
    """The histogram of a column of texts or booleans, with the levels of the version of each row."""
    text = f"{field.sql}::VARCHAR" if field.kind == "boolean" else field.sql
    own_stream = "p.stream" if len(query.rows.streams) > 1 else f"{min(query.rows.streams, default=0)}::SMALLINT"
    streams, names, places = [], [], []
    for stream, version in query.rows.streams.items():
        for place, level in enumerate(column_bins(query.model, version, field.reference).levels):
            streams.append(stream)
            names.append(level)
            places.append(place)
    clause, source, parameters = _source(query, [field])
    levels = "SELECT unnest($streams::SMALLINT[]) AS stream, unnest($names::VARCHAR[]) AS level, unnest($places::INTEGER[]) AS bin"
    found = query.cursor.execute(
        f"""{clause} SELECT {query.grouped}{item} AS item, CASE WHEN held.level IS NULL THEN {NULL} ELSE coalesce(bin, {UNSEEN}) END AS bin,
            sum(n)::BIGINT AS n, sum(w) AS w, sum(w2) AS w2
        FROM (SELECT {query.selected}{own_stream} AS in_stream, {text} AS level, {query.figures()} {source} GROUP BY ALL) held
        LEFT JOIN ({levels}) known ON known.stream = held.in_stream AND known.level = held.level GROUP BY ALL""",
        used_parameters(clause + source + "$streams $names $places", parameters | {"streams": streams, "names": names, "places": places}),
    )
    return found.df()


def marked_values(query: RawQuery, items: Sequence[tuple[int, FieldExpression]]) -> list["DataFrame"]:
    """Values that were absent or of a wrong type, moved from null to bins of their own."""
    import pandas as pd

    parts = []
    of_id = {field.column.id: item for item, field in items if field.column is not None}
    for name in query.marked if of_id else ():
        clause, source, parameters = _source(query, ())
        frame = query.cursor.execute(
            f"""{clause} SELECT {query.grouped}item, count(*) AS n, sum(w)::DOUBLE AS w, sum(w * w)::DOUBLE AS w2 FROM (
                SELECT {query.selected}unnest(p.{name}) AS item, {query.weight} AS w {source} WHERE p.{name} IS NOT NULL)
            WHERE list_contains($ids::USMALLINT[], item) GROUP BY ALL""",
            used_parameters(clause + source + "$ids", parameters | {"ids": sorted(of_id)}),
        ).df()
        if not len(frame):
            continue
        frame["item"] = frame["item"].map(of_id).astype("int64")
        less = frame.assign(bin=NULL, **{figure: -frame[figure] for figure in ("n", "w", "w2")})
        parts.append(pd.concat([frame.assign(bin=ABSENT if name == "absent" else WRONG_TYPE), less], ignore_index=True))
    return parts


def raw_sums(query: RawQuery, items: Sequence[tuple[int, FieldExpression]]) -> "DataFrame":
    """Σw, Σw², Σwx, Σwx², minimum and maximum of numbers, over the rows where each is finite."""
    import pandas as pd

    clause, source, parameters = _source(query, [field for _, field in items])
    values = ", ".join(f"CASE WHEN isfinite({field.sql}) THEN {field.sql} END AS x{item}" for item, field in items)
    known = f"WHERE {items[0][1].sql} IS NOT NULL" if len(items) == 1 else ""  # blocks of rows without the number are not read
    weighted = [
        f"""count(x{i}) AS n{i}, fsum(w) FILTER (x{i} IS NOT NULL) AS w{i}, fsum(w * w) FILTER (x{i} IS NOT NULL) AS w2{i},
        fsum(w * x{i}) AS total{i}, fsum(w * x{i} * x{i}) AS squares{i}, min(x{i}) AS low{i}, max(x{i}) AS high{i}"""
        for i, _ in items
    ]
    wide = query.cursor.execute(
        f"""{clause} SELECT {query.grouped}{", ".join(weighted)}
        FROM (SELECT {query.selected}{query.weight}::DOUBLE AS w, {values} {source} {known}) GROUP BY ALL""",
        used_parameters(clause + source, parameters),
    ).df()
    names = [f"k{place}" for place in range(len(query.keys))]
    parts = []
    for item, _ in items:
        part = wide[names].copy()
        part["item"] = item
        for figure in ("n", "w", "w2", "total", "squares", "low", "high"):
            part[figure] = wide[f"{figure}{item}"]
        parts.append(part[part["n"] > 0])
    return pd.concat(parts, ignore_index=True)
