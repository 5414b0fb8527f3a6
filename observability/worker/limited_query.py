"""Run a person's SQL query over the views in the confined process, within limits of rows, seconds and memory."""

import atexit
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observability.core.errors import UsageError
from observability.store.types.query_answer import QueryAnswer
from observability.worker.confine import WHERE_TO_ALLOW
from observability.worker.folder import private_folder
from observability.worker.limits import Limits, WorkerError
from observability.worker.process import JobAnswer, Worker

if TYPE_CHECKING:
    import pandas as pd

    from observability.store.engine import Store

QUERY_ROWS, QUERY_SECONDS, QUERY_MEMORY_MB = 1000, 30.0, 512
"""Limits of a query: rows of its answer, seconds (once for reading the views and once for running the query), and memory."""
FILE_MB = 512
"""Largest size of the exported views together, and of the files that the process writes."""


@dataclass(frozen=True)
class LimitedAnswer:
    """The first rows of a query, columns by name. more: whether there are more rows."""

    rows: "pd.DataFrame"
    more: bool


def answer_in_worker(worker: Worker, store: "Store", query: str) -> LimitedAnswer:
    """The first rows of an SQL query over the views, as a page shows them: lists and objects are JSON, wide numbers floats.

    Raises UsageError if it is not one SELECT, is wrong or needs more than its limits, NotFoundError for an unknown view.
    """
    job = _answered(worker, store, query, QUERY_ROWS, QUERY_SECONDS, as_json=False)
    rows = job.frames["rows"]
    more = len(rows) > QUERY_ROWS
    return LimitedAnswer(rows.head(QUERY_ROWS).set_axis(job.values["columns"], axis=1), more)


def rows_in_worker(worker: Worker, store: "Store", query: str, *, most_rows: int, seconds: float) -> QueryAnswer:
    """The first rows of the same query with every value in JSON types, as the command line prints them.

    Raises what `answer_in_worker` does.
    """
    job = _answered(worker, store, query, most_rows, seconds, as_json=True)
    rows = [tuple(row) for row in json.loads(job.files["rows"])]
    return QueryAnswer(tuple(job.values["columns"]), rows[:most_rows], len(rows) > most_rows)


def _answered(worker: Worker, store: "Store", query: str, most_rows: int, seconds: float, *, as_json: bool) -> JobAnswer:
    """The answer of the job. The owner of the store only reads the columns that the query names; the worker runs it."""
    with private_folder() as folder:
        exported = store.export_views(query, folder, most_mb=FILE_MB, seconds=seconds)
        arguments = {"query": exported.query, "most_rows": most_rows, "memory_mb": QUERY_MEMORY_MB, "as_json": as_json}
        try:
            return worker.call(
                "observability.worker.query_job:answer_query",
                arguments=arguments,
                files=exported.files,
                imports=("duckdb", "pyarrow", "pandas"),
                seconds=seconds,
            )
        except WorkerError as error:
            raise _query_error(error, seconds) from error


def _query_error(error: WorkerError, seconds: float) -> Exception:
    """The error for a query whose process failed, in words about the query."""
    if error.reason == "time":
        attempt = "Ask for fewer rows: name a version, an environment and times"
        return UsageError("the query took too long", expected=f"at most {seconds:g} seconds", attempt=attempt)
    if error.reason in ("memory", "size", "crash"):
        attempt = "Ask for fewer rows, or aggregate them"
        return UsageError("the query needs more memory than it may use", expected=f"at most {QUERY_MEMORY_MB} MB", attempt=attempt)
    if error.reason == "unconfined":
        return UsageError("queries do not run, because this system cannot confine their process", attempt=WHERE_TO_ALLOW)
    return error


_shared: Worker | None = None
_shared_lock = threading.Lock()


def query_worker() -> Worker:
    """The worker of this process for queries. It is separate from the worker for models, so that neither waits for the other. It ends with
    the process.
    """
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Worker(Limits(memory_mb=2 * QUERY_MEMORY_MB, seconds=QUERY_SECONDS, file_mb=FILE_MB))
            atexit.register(_shared.close)
        return _shared
