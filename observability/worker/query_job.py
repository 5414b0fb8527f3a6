"""The job that runs a person's SQL query over exported views in the confined process."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.store.types.query_answer import ExportedQuery
from observability.store.views.exported_query import answer_exported_query
from observability.worker.job import Output, Report

if TYPE_CHECKING:
    import pandas as pd


def answer_query(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The first rows of a query, and the names of its columns. arguments: query, most_rows, memory_mb.

    files: a Parquet file of each view, by its name.
    """
    exported = ExportedQuery(arguments["query"], files)
    rows, names = answer_exported_query(exported, Path.cwd(), most_rows=arguments["most_rows"], memory_mb=arguments["memory_mb"])
    return Output({"columns": names}, {"rows": rows})
