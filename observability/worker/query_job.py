"""The job that runs a person's SQL query over exported views in the confined process."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.json_values import json_plain
from observability.store.types.query_answer import ExportedQuery
from observability.store.views.exported_query import answer_exported_query, exported_query_rows
from observability.worker.job import Output, Report

if TYPE_CHECKING:
    import pandas as pd


def answer_query(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The first rows of a query, and the names of its columns. arguments: query, most_rows, memory_mb, as_json.

    files: a Parquet file of each view, by its name. as_json: whether the rows are written as a JSON file, with the values that the command
    line prints.
    """
    exported = ExportedQuery(arguments["query"], files)
    limits = {"most_rows": arguments["most_rows"], "memory_mb": arguments["memory_mb"]}
    if arguments["as_json"]:
        found, names = exported_query_rows(exported, Path.cwd(), **limits)
        path = Path("rows.json")
        path.write_text(json.dumps(json_plain(found), ensure_ascii=True, default=str), encoding="ascii")
        return Output({"columns": names}, files={"rows": path})
    rows, names = answer_exported_query(exported, Path.cwd(), **limits)
    return Output({"columns": names}, {"rows": rows})
