"""The SQL views of one model: predictions with their current label, labels with revisions, counts, sums and edges.

Each column is an expression with its meaning beside it; docs/views.md lists the same ones. There is a set of views for each model, because
models have different features, and because a query then reads the tables of its own model only (docs/decisions/0043-views-and-proofs.md).
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from observability.core.catalog import Model
from observability.core.view_names import quoted_identifier
from observability.store.db.expressions import EPOCH, label_code_sql, probability_list_sql, sql_literal
from observability.store.db.schema import (
    DAY_OUTCOMES,
    ERROR,
    FIRST_CLASS,
    LATENCY,
    OUTCOMES,
    SCORE,
    STATUS_CODES,
    SUM_MEASURES,
    model_table,
)
from observability.store.types.column_bins import LATENCY_BINS, SCORE_BINS

OFFSET = r"^\d{4}-\d\d-\d\d[Tt ].*([Zz]|[+-]\d\d:?\d\d)$"
"""A time with an offset, as a text."""
STORE = "store.main."
"""Where the tables are, so that a view may have the name of a table."""


@dataclass(frozen=True)
class ViewColumn:
    """A column of a view: its name, the SQL expression of its value, and its meaning. An empty expression stands for several columns."""

    name: str
    sql: str
    meaning: str


PREDICTIONS = (
    ViewColumn("version", "s.version", "version of the model"),
    ViewColumn(
        "environment",
        "s.environment",
        "`production`, `shadow`, `validation`, `probe`, `controller`, or `reference` for the stored reference",
    ),
    ViewColumn("id", "p.id", "id, unique within version and environment"),
    ViewColumn("at", 'p."at"', "time of the prediction"),
    ViewColumn("arrived", "p.arrived", "time at which the record arrived"),
    ViewColumn("status", "p.status", "`ok`, `error`, `timeout`, `fallback` or `rejected`"),
    ViewColumn("score", "p.score", "binary: probability of the positive class; regression: the value; multiclass: the largest probability"),
    ViewColumn("prediction", "p.prediction", "the answer as logged, as text"),
    ViewColumn("decision", "", "class that was decided: the logged answer, else by threshold or largest probability"),
    ViewColumn("label", "", "current label: the class, or the number of a regression; null without one"),
    ViewColumn("label_at", "l.label.a", "event time of the current label"),
    ViewColumn("label_arrived", "l.label.b", "time at which the current label arrived"),
    ViewColumn("label_source", "l.label.e", "origin of the current label"),
    ViewColumn("threshold", "p.threshold", "threshold that was logged with the prediction"),
    ViewColumn("latency_ms", "p.latency_ms", "time to answer in milliseconds"),
    ViewColumn("energy_j", "p.energy_j", "energy in joules"),
    ViewColumn("cost", "p.cost", "money"),
    ViewColumn("weight", "coalesce(p.weight, 1)", "inverse sampling rate; 1 where none was logged"),
    ViewColumn("subject", "p.subject", "pseudonym of the person concerned"),
    ViewColumn("device", "p.device", "the device it was for"),
    ViewColumn("replica", "p.replica", "the replica that answered"),
    ViewColumn("batch", "p.batch", "the batch of data it belongs to"),
    ViewColumn("acted_at", "p.acted_at", "time of the action on it"),
    ViewColumn("item", "p.extra->>'item'", "probe: the fixed question, by name (kept in `extra`)"),
    ViewColumn(
        "synced_at", "", "when a device that stores and forwards sent it; null where it is no time with an offset (kept in `extra`)"
    ),
    ViewColumn("baseline", "p.extra->>'baseline'", "what the old rule would have answered, as text (kept in `extra`)"),
    ViewColumn("sample_order", "p.sample_hash", "random number of the id; a sample of n rows is those with the n smallest"),
    ViewColumn("absent", "", "registered features that the record did not have, as list of column names"),
    ViewColumn("wrong_type", "", "features whose value was of another type (null here, kept in `extra`), as list of column names"),
    ViewColumn("extra", "p.extra", "other fields of the record, as JSON"),
    ViewColumn("feature.NAME", "", "one column for each feature"),
    ViewColumn("group.NAME", "", "one column for each sensitive attribute that is no feature"),
    ViewColumn("probability.CLASS", "", "multiclass: one column for each class"),
)
LABELS = (
    ViewColumn("id", "id", "id of the prediction"),
    ViewColumn("at", '"at"', "event time of the label"),
    ViewColumn("arrived", "arrived", "time at which the record arrived"),
    ViewColumn("value", "value", "the label as text"),
    ViewColumn("number", "number", "the label as a number, null where it is none"),
    ViewColumn("class", "", "the class that the value stands for; null of a regression, or where it is none of the classes"),
    ViewColumn("source", "source", "origin of the label"),
    ViewColumn("annotator", "annotator", "who gave it"),
    ViewColumn("guideline", "guideline", "version of the guideline"),
    ViewColumn("extra", "extra", "other fields of the record, as JSON"),
    ViewColumn(
        "current",
        'row_number() OVER (PARTITION BY id ORDER BY "at" DESC, arrived DESC, value DESC) = 1',
        "whether it is the current label of its id: the one with the greatest time, arrival and value",
    ),
)
_OF_STREAM = (
    ViewColumn("version", "s.version", "version of the model"),
    ViewColumn("environment", "s.environment", "as of predictions"),
    ViewColumn("period", f"{EPOCH} + to_hours(c.period)", "start of the hour or day (of a reference: 1970)"),
    ViewColumn("slice_column", "g.reference", "column by whose level the rows are counted; null of all rows"),
    ViewColumn("slice_level", "g.level", "that level; null of all rows"),
)
_ARRIVED = ViewColumn("arrived", f"{EPOCH} + to_hours(c.arrived)", "full hour by which the change had arrived")
_N = (
    ViewColumn("n", "c.n", "rows; the counts are changes that add up, so one may be negative"),
    ViewColumn("w", "c.w", "sum of the weights"),
    ViewColumn("w2", "c.w2", "sum of the squared weights"),
)
COUNTS = (
    *_OF_STREAM,
    ViewColumn("measure", "", "what is counted: a column, `outcomes` (by hour), `outcomes by day`, `latency_ms`, `score`, `error`"),
    ViewColumn("bin", "c.bin", "bin of the column (view `edges`); -1 null, -2 NaN, -3 absent, -4 wrong type, -5 unseen"),
    ViewColumn("decision", "", "class of the decision; null where unknown"),
    ViewColumn("label", "", "class of the label; null where unknown, and of a regression"),
    ViewColumn("labelled", "c.label >= 0", "whether the label is known"),
    ViewColumn("status", f"{[*STATUS_CODES]}[c.status + 1]", "status of outcomes and latencies"),
    _ARRIVED,
    *_N,
)
SUMS = (
    *_OF_STREAM,
    ViewColumn("measure", "", "what is added up: a column of numbers, latency_ms, energy_j, cost, error, log_loss and others"),
    _ARRIVED,
    *_N,
    ViewColumn("total", "c.total", "sum of weight times value"),
    ViewColumn("squares", "c.squares", "sum of weight times squared value"),
    ViewColumn("low", "c.low", "smallest value ever counted"),
    ViewColumn("high", "c.high", "largest value ever counted"),
)
EDGES = (
    ViewColumn("version", "version", "version of the model"),
    ViewColumn("column", "reference", "column with bins: `feature.NAME`, `group.NAME`, `band.NAME`, `score`, `error`, `latency_ms`"),
    ViewColumn("bin", "bin", "number of the bin, from 0"),
    ViewColumn("low", "low", "lower edge, which belongs to the bin; -infinity of the first bin; null of categories"),
    ViewColumn("high", "high", "upper edge, which does not belong to it; infinity of the last bin, where it does"),
    ViewColumn("level", "level", "level of a category or boolean"),
    ViewColumn("decile", "decile", "decile group of the reference that the bin is in"),
    ViewColumn("position", "position", "mean of the reference in the bin, or its middle"),
)
MODEL_VIEWS: dict[str, tuple[str, tuple[ViewColumn, ...]]] = {
    "predictions": ("predictions of every version and environment, with their current label", PREDICTIONS),
    "labels": ("every label that arrived, with its revisions", LABELS),
    "counts": ("counts that are kept as rows arrive", COUNTS),
    "sums": ("sums that are kept as rows arrive", SUMS),
    "edges": ("bins of each column and version", EDGES),
}
"""The views of a model: the meaning of a row, and the columns."""
SYNCED_AT = f"""CASE WHEN regexp_matches(p.extra->>'synced_at', '{OFFSET}')
    THEN TRY_CAST(p.extra->>'synced_at' AS TIMESTAMPTZ) AT TIME ZONE 'UTC' END"""
"""A time in `extra` in UTC."""
MASKED_FIELDS = ("subject", "extra")
"""Columns of predictions and labels that hold masked values of every model; `extra` may hold any field of a record."""
AS_OF = "predictions_as_of"
"""The table function of a model: its predictions as they were known at an instant."""


def masked_view_columns(model: Model) -> frozenset[str]:
    """The columns of a model's views that hold masked values: subject, sensitive columns, groups, and other fields of a record."""
    names = model.view_columns
    own = {names[column.reference] for column in model.columns if column.sensitive or column.role == "group"}
    return frozenset({*MASKED_FIELDS, *own})


def model_view_sql(model: Model, view: str, left_out: Container[str] = ()) -> str:
    """The SELECT statement of a view of a model. left_out: columns that the view leaves out."""
    if view == "predictions":
        return predictions_sql(model, left_out=left_out)
    columns, source = {
        "labels": (_labels_columns(model), STORE + model_table("labels", model.key)),
        "counts": (_counts_columns(model, COUNTS), _rollup_source(model, "counts")),
        "sums": (_counts_columns(model, SUMS), _rollup_source(model, "sums")),
        "edges": ({}, f"({_edges_sql(model)})"),
    }[view]
    kept = [column for column in MODEL_VIEWS[view][1] if column.name not in left_out]
    return f"SELECT {_select_list(kept, columns)} FROM {source}"


def predictions_sql(model: Model, until: str | None = None, *, left_out: Container[str] = ()) -> str:
    """The SELECT statement of the predictions. until: SQL of the instant by which a record must have arrived. left_out: columns."""
    labels, streams = STORE + model_table("labels", model.key), f"{STORE}streams"
    names = model.view_columns
    own = [ViewColumn(names[column.reference], f"p.{column.column}", "") for column in model.columns]
    probabilities = [ViewColumn(name, "", "") for reference, name in names.items() if reference.startswith("score.")]
    if probabilities:
        lists = probability_list_sql(model, "p.probabilities")
        own += [ViewColumn(column.name, f"({lists})[{place}]", "") for place, column in enumerate(probabilities, 1)]
    label = "l.label.d" if model.task == "regression" else _class_name(model, label_code_sql(model, "l.label.c", "l.label.d"))
    filled = {
        "decision": _class_name(model, "p.decision"),
        "label": label if model.task else "l.label.c",
        "synced_at": SYNCED_AT,
        "absent": _column_names(model, names, "p.absent"),
        "wrong_type": _column_names(model, names, "p.wrong"),
    }
    columns = [*(column for column in PREDICTIONS if column.sql or column.name in filled), *own]
    columns = [column for column in columns if column.name not in left_out]
    arrived = "" if until is None else f" WHERE arrived <= {until}"
    known = "" if until is None else f" WHERE p.arrived <= {until} OR s.environment = 'reference'"
    return f"""SELECT {_select_list(columns, filled)} FROM {STORE}{model_table("predictions", model.key)} p
        JOIN (SELECT stream, version, environment FROM {streams} WHERE key = {model.key}) s ON s.stream = p.stream
        LEFT JOIN (
            SELECT id_hash, id, max(struct_pack(a := "at", b := arrived, c := value, d := number, e := source)) AS label
            FROM {labels}{arrived} GROUP BY id_hash, id) l ON l.id_hash = p.id_hash AND l.id = p.id{known}"""


def _select_list(columns: Sequence[ViewColumn], filled: dict[str, str]) -> str:
    """The columns of a SELECT. filled: the expressions of the columns that depend on the model."""
    return ", ".join(f"{filled.get(column.name) or column.sql} AS {quoted_identifier(column.name)}" for column in columns)


def _class_name(model: Model, code: str) -> str:
    """The class of a code as text; NULL if the code is unknown, or if the model has no classes."""
    if not model.classes:
        return "NULL::VARCHAR"
    return f"([{', '.join(map(sql_literal, model.classes))}])[{code} + 1]"


def _column_names(model: Model, names: Mapping[str, str], ids: str) -> str:
    """A list of column numbers as a list of column names; empty if there are none."""
    if not model.columns:
        return "[]::VARCHAR[]"
    pairs = ", ".join(f"{column.id}: {sql_literal(names[column.reference])}" for column in model.columns)
    return f"list_transform(coalesce({ids}, []), lambda number: (MAP {{{pairs}}})[number])"


def _labels_columns(model: Model) -> dict[str, str]:
    """The columns of the labels that depend on the model."""
    return {"class": "NULL::VARCHAR" if model.task == "regression" else _class_name(model, label_code_sql(model))}


def _counts_columns(model: Model, columns: Sequence[ViewColumn]) -> dict[str, str]:
    """The columns of counts or sums that depend on the model."""
    measures = {column.id: column.reference for column in model.columns}
    if columns is COUNTS:
        measures |= {OUTCOMES: "outcomes", LATENCY: "latency_ms", SCORE: "score", ERROR: "error", DAY_OUTCOMES: "outcomes by day"}
        measures |= {FIRST_CLASS - index: f"score.{index}" for index in range(len(model.classes))}
    else:
        measures |= {number: name for name, number in SUM_MEASURES.items()}
    cases = " ".join(f"WHEN {number} THEN {sql_literal(name)}" for number, name in measures.items())
    return {
        "measure": f"CASE c.measure {cases} END",
        "decision": _class_name(model, "c.decision"),
        "label": _class_name(model, "c.label"),
    }


def _rollup_source(model: Model, table: str) -> str:
    """Rows of a rollup with their stream and slice."""
    return f"""{STORE}{model_table(table, model.key)} c
        JOIN (SELECT stream, version, environment FROM {STORE}streams WHERE key = {model.key}) s ON s.stream = c.stream
        LEFT JOIN {STORE}{model_table("slices", model.key)} g ON g.slice = c.slice AND c.slice <> 0"""


def _edges_sql(model: Model) -> str:
    """Bins of every column with edges, and the fixed bins of latencies and of a classifier's score."""
    fixed = {"latency_ms": LATENCY_BINS.edges} | ({"score": SCORE_BINS.edges} if model.classes else {})
    kept = f"SELECT version, reference, edges FROM {STORE}edges WHERE key = {model.key}"
    lists = [
        f"""SELECT version, reference, CAST(edges->'$.edges' AS DOUBLE[]) AS cuts, CAST(edges->'$.deciles' AS INTEGER[]) AS deciles,
            CAST(edges->'$.positions' AS DOUBLE[]) AS positions FROM ({kept}) WHERE json_array_length(edges, '$.edges') > 0"""
    ]
    lists += [
        f"""SELECT version, {sql_literal(name)}, {sql_literal(str(list(cuts)))}::DOUBLE[], []::INTEGER[], []::DOUBLE[]
            FROM {STORE}versions WHERE key = {model.key}"""
        for name, cuts in fixed.items()
    ]
    return f"""SELECT version, reference, bin, CASE WHEN bin = 0 THEN '-infinity'::DOUBLE ELSE cuts[bin] END AS low,
            coalesce(cuts[bin + 1], 'infinity'::DOUBLE) AS high, NULL::VARCHAR AS level, deciles[bin + 1] AS decile,
            positions[bin + 1] AS position
        FROM (SELECT *, unnest(range(len(cuts) + 1)) AS bin FROM ({" UNION ALL ".join(lists)}))
        UNION ALL
        SELECT version, reference, bin, NULL, NULL, levels[bin + 1], NULL, NULL FROM (
            SELECT *, unnest(range(len(levels))) AS bin FROM (
                SELECT version, reference, CAST(edges->'$.levels' AS VARCHAR[]) AS levels FROM ({kept})
                WHERE json_array_length(edges, '$.levels') > 0))"""
