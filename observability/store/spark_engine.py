"""An `Engine` over a lake whose raw rows Spark reads, on one machine or on a cluster.

Spark distributes files, joins labels, adds up the parts and repeats lost tasks. Its tasks count with the store's own modules
(store/lake/spark_tasks.py). Only the DataFrame interface is used, so a session of Spark Connect serves as well. The packages of this
product must be installed where the tasks run.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Question, Sample
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.store.beside_store import EngineBesideStore
from observability.store.db.schema import LABEL_COLUMNS
from observability.store.engine import BoundQuestion, Store
from observability.store.lake import spark_tasks
from observability.store.lake.manifest import COUNTED_BY, REFERENCE, LakeFile, LakeManifest, read_manifest
from observability.store.lake.spark_tasks import CURRENT, DELTA_COLUMNS, FIGURES, KEYS, LADDER, PART_COLUMNS, REVISIONS, TaskModel
from observability.store.query import aggregates, source
from observability.store.query.answer import assemble_answer
from observability.store.query.listing import PLAIN
from observability.store.query.references import find_field
from observability.store.rollup.rollup import COUNT_KEYS

if TYPE_CHECKING:
    import pyarrow as pa
    from pandas import DataFrame
    from pyspark.sql import Column as SparkColumn
    from pyspark.sql import DataFrame as SparkFrame
    from pyspark.sql import SparkSession

SPARK_TYPES = {
    "SMALLINT": "SMALLINT",
    "VARCHAR": "STRING",
    "JSON": "STRING",
    "UBIGINT": "DECIMAL(20,0)",
    "TIMESTAMP": "TIMESTAMP_NTZ",
    "DOUBLE": "DOUBLE",
    "BOOLEAN": "BOOLEAN",
    "USMALLINT[]": "ARRAY<INT>",
}
"""Types with which Spark reads the stored types from Parquet; Spark has no other type for unsigned 64-bit numbers."""
SESSION = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.execution.arrow.pyspark.enabled": "true",
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    "spark.sql.execution.pythonUDF.arrow.enabled": "true",
}
Batches = Callable[[Iterable[Any]], Iterator[Any]]


def _schema(columns: dict[str, str]) -> str:
    return ", ".join(f"`{name}` {kind}" for name, kind in columns.items())


class SparkEngine(EngineBesideStore):
    """Answers questions about raw rows of a lake with Spark, and lands rollups in the store.

    store: has the catalog, and answers all questions that are not about raw rows. spark: a session, classic or of Spark Connect.
    """

    def __init__(self, store: Store, address: str, spark: "SparkSession") -> None:
        super().__init__(store, address)
        self.spark = spark
        for name, value in SESSION.items():
            spark.conf.set(name, value)

    def snapshot(self) -> AbstractContextManager[object]:
        """Within the context, answers come from one state of the store. Each job reads one state of the lake."""
        return self.store.snapshot()

    def ask(self, question: Question, window: Window) -> "DataFrame":
        """The answer to a question. If it is about raw rows of a model that the lake has, a Spark job computes the answer, otherwise the
        store does.
        """
        manifest = read_manifest(self.place)
        if not isinstance(question, Aggregate | Sample) or not manifest.of_model(window.model, "predictions"):
            return self.store.ask(question, window)
        if isinstance(question, Sample):
            return self._sample(manifest, question, window)
        return self._aggregates(manifest, [(question, window)])[(question, window)]

    def ask_many(self, questions: Iterable[BoundQuestion]) -> "dict[BoundQuestion, DataFrame]":
        """Answers to all aggregates. One job answers all aggregates with the same model, environment and `as_of`."""
        manifest = read_manifest(self.place)
        jobs: dict[tuple[str, str, datetime | None], list[tuple[Aggregate, Window]]] = defaultdict(list)
        for question, window in dict.fromkeys(questions):
            if isinstance(question, Aggregate) and manifest.of_model(window.model, "predictions"):
                timeless = window.environment == "reference"
                jobs[window.model, window.environment, None if timeless else window.as_of].append((question, window))
        return {bound: frame for asked in jobs.values() for bound, frame in self._aggregates(manifest, asked).items()}

    def _read(self, files: Sequence[LakeFile], columns: dict[str, str]) -> "SparkFrame":
        """Some columns of some files; a file that lacks one has nulls."""
        schema = _schema({name: SPARK_TYPES[kind] for name, kind in columns.items()})
        if not files:
            return self.spark.createDataFrame([], schema)
        root = self.place.address.replace("s3://", "s3a://", 1) if self.place.folder is None else f"file://{self.place.folder}"
        return self.spark.read.schema(schema).parquet(*(f"{root}/{file.name}" for file in files))

    def _predictions(self, manifest: LakeManifest, task: TaskModel, windows: Sequence[Window], columns: Sequence[str]) -> "SparkFrame":
        """The predictions of the smallest span that holds all windows, which share model, environment and as_of."""
        first, types = windows[0], spark_tasks.stored_types(task.model.columns)
        files = manifest.of_model(task.model.name, "predictions")
        streams = [number for number, _, environment in task.streams if environment == first.environment]
        wanted = {name: types[name] for name in columns}
        if first.environment == "reference":
            rows = self._read([file for file in files if file.day == REFERENCE], wanted)
        else:
            start, end = min(each.start for each in windows), max(each.end for each in windows)
            days = start.date().isoformat(), end.date().isoformat()
            rows = self._read([file for file in files if days[0] <= file.day <= days[1] and file.day != REFERENCE], wanted)
            rows = rows.where(f"at >= {_instant(start)} AND at < {_instant(end)}")
            if first.as_of is not None:
                rows = rows.where(f"arrived <= {_instant(first.as_of)}")
        return _of_streams(rows, streams)

    def _labels(self, manifest: LakeManifest, model: Model, as_of: datetime | None) -> "SparkFrame":
        rows = self._read(manifest.of_model(model.name, "labels"), {name: LABEL_COLUMNS[name] for name in LADDER})
        return rows if as_of is None else rows.where(f"arrived <= {_instant(as_of)}")

    def _with_current_labels(self, manifest: LakeManifest, model: Model, rows: "SparkFrame", as_of: datetime | None) -> "SparkFrame":
        """The rows with the label that is current as of an instant: the greatest (at, arrived, value)."""
        revisions = self._labels(manifest, model, as_of)
        latest = revisions.groupBy("id").agg(_function("max", "struct(at, arrived, value, number)").alias("latest"))
        current = latest.selectExpr("id", *(f"latest.{name.removeprefix('current_')} AS {name}" for name in CURRENT))
        return rows.join(current, "id", "left")

    def _aggregates(self, manifest: LakeManifest, asked: Sequence[tuple[Aggregate, Window]]) -> "dict[BoundQuestion, DataFrame]":
        """The answers to questions that share model, environment and as_of, by one job."""
        model = self.catalog().model(asked[0][1].model)
        task = self.task_model(model)
        for aggregate, window in asked:
            _require_valid(task, aggregate, window)
        rows = self._predictions(manifest, task, [window for _, window in asked], spark_tasks.needed_columns(model, asked))
        if any(aggregate.table == "outcomes" for aggregate, _ in asked):
            timeless = asked[0][1].environment == "reference"
            rows = self._with_current_labels(manifest, model, rows, None if timeless else asked[0][1].as_of)
        questions = tuple(asked)

        def counted(batches: Iterable[Any]) -> Iterator[Any]:
            return spark_tasks.count_batches(task, questions, batches)

        parts = rows.mapInArrow(counted, _schema(PART_COLUMNS))
        total = parts.groupBy("question", *KEYS, "item", "bin").agg(*_added_figures())
        table = total.toArrow()
        answers: dict[BoundQuestion, DataFrame] = {}
        for number, (aggregate, window) in enumerate(asked):
            mine = table.filter(_equals(table["question"], number))
            found = source.window_rows(model, window, task.numbers)
            parts_of_mine = spark_tasks.parts_of_answer(aggregate, mine)
            names = {stream: version.name for stream, version in found.streams.items()}
            answers[aggregate, window] = assemble_answer(aggregate, parts_of_mine, names).table()
        return answers

    def _sample(self, manifest: LakeManifest, sample: Sample, window: Window) -> "DataFrame":
        """The rows with the smallest stored hashes. Each batch gives its smallest ones, and the smallest of these are returned."""
        model = self.catalog().model(window.model)
        task = self.task_model(model)
        for name in sample.columns:
            if name not in PLAIN:
                find_field(model, name, outcomes=sample.table == "outcomes", role="sample")
        source.window_rows(model, window, task.numbers)
        columns = [*spark_tasks.needed_columns(model, [(sample, window)]), "status", "subject", "extra"]
        rows = self._predictions(manifest, task, [window], list(dict.fromkeys(columns)))

        def best(batches: Iterable[Any]) -> Iterator[Any]:
            return spark_tasks.sample_batches(task, sample, window, batches)

        chosen = rows.mapInArrow(best, rows.schema).orderBy("sample_hash", "id", "at", "stream").limit(int(sample.rows))
        if sample.table == "outcomes":
            chosen = self._with_current_labels(manifest, model, chosen, None if window.environment == "reference" else window.as_of)
        return cast("DataFrame", spark_tasks.sample_frame(task, sample, window, chosen.toArrow()))

    def rollup_levels(self, model: Model, column: str, files: Sequence[LakeFile], streams: Sequence[int], limit: int) -> set[str | None]:
        """At most `limit` levels of a column in some files, found by a Spark job."""
        rows = _of_streams(self._read(files, {"stream": "SMALLINT", column: spark_tasks.stored_types(model.columns)[column]}), streams)
        distinct = rows.selectExpr(f"CAST(`{column}` AS STRING) AS level").distinct().limit(limit).toArrow()
        return set(distinct["level"].to_pylist())

    def rollup_deltas(self, task: TaskModel, files: Sequence[LakeFile], labels: Sequence[LakeFile], streams: Sequence[int]) -> "pa.Table":
        """The rows that the predictions of some files, with all revisions of their labels, add to the rollups; computed by one job."""
        rows = _of_streams(self._read(files, spark_tasks.stored_types(task.model.columns)), streams)
        revisions = self._read(labels, {**{name: LABEL_COLUMNS[name] for name in LADDER}, COUNTED_BY: "VARCHAR"}).where(task.counted_label)
        ladders = revisions.groupBy("id").agg(_function("collect_list", "struct(at, arrived, value, number)").alias(REVISIONS))

        def deltas(batches: Iterable[Any]) -> Iterator[Any]:
            return spark_tasks.rollup_batches(task, batches)

        added = rows.join(ladders, "id", "left").mapInArrow(deltas, _schema(DELTA_COLUMNS))
        return added.groupBy("sums", *COUNT_KEYS).agg(*_added_figures()).toArrow()


def begin_session(master: str) -> "SparkSession":
    """A new session of Spark at a master. The caller stops it."""
    from pyspark.sql import SparkSession

    return SparkSession.builder.master(master).appName("observability").getOrCreate()


def _of_streams(rows: "SparkFrame", streams: Sequence[int]) -> "SparkFrame":
    return rows.where(f"stream IN ({', '.join(map(str, streams))})" if streams else "false")


def _require_valid(task: TaskModel, aggregate: Aggregate, window: Window) -> None:
    """Raise the error that the store raises for an unknown name, or for a column that does not support the question."""
    no_rows = source.window_rows(task.model, window, task.numbers)
    aggregates.check_names(no_rows, aggregate)


def _instant(instant: datetime) -> str:
    return f"TIMESTAMP_NTZ'{naive_utc(instant).isoformat(sep=' ')}'"


def _function(name: str, expression: str) -> "SparkColumn":
    from pyspark.sql import functions

    return functions.expr(f"{name}({expression})")


def _added_figures() -> "list[SparkColumn]":
    """Spark expressions that add up the parts: n, w, w2 and the other sums, and the extremes."""
    found = [_function("sum", "n").alias("n")]
    return found + [_function({"low": "min", "high": "max"}.get(name, "sum"), name).alias(name) for name in FIGURES]


def _equals(column: Any, value: int) -> Any:
    import pyarrow.compute as pc

    return pc.equal(column, value)
