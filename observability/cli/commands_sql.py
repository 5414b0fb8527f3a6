"""The command `sql`: one query over the documented views, as a table, CSV or JSON."""

import argparse
import csv
import io
import json
from typing import Any

from observability.cli.outcome import Outcome, Say
from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.core.json_values import json_plain
from observability.store.engine import Store
from observability.store.types.query_answer import QueryAnswer

WIDEST = 60
"""Maximum number of characters in a cell of the table; longer texts are cut."""


def run_sql(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Run one SELECT over the views, in the same confined process as the page SQL. If rows were left out, a note on the error stream says
    so.
    """
    from observability.export.own_exports import note_own_exports
    from observability.metrics.own_exports import own_export
    from observability.worker.limited_query import query_worker, rows_in_worker

    del say
    if args.limit < 1 or not args.seconds > 0:
        raise UsageError("--limit and --seconds take positive numbers", got=f"{args.limit} and {args.seconds:g}")
    answer = rows_in_worker(query_worker(), store, args.query, most_rows=args.limit, seconds=args.seconds)
    note = f"The result has more than {plural(args.limit, 'row')}; raise --limit to show them." if answer.more else ""
    if args.json:
        rows = [dict(zip(answer.columns, map(json_plain, row), strict=True)) for row in answer.rows]
        return Outcome(out=json.dumps(rows, ensure_ascii=False, indent=2, default=str), error=note)
    if not args.csv:
        return Outcome(out=table_text(answer), error=note)
    note_own_exports(store, [own_export("rows of a query (CSV)", "command line", rows=len(answer.rows), columns=answer.columns)])
    return Outcome(out=csv_text(answer), error=note)


def cell_text(value: Any) -> str:
    """A value as text: empty for a missing value, lists and objects as JSON, times as RFC 3339 in UTC."""
    plain = json_plain(value)
    if plain is None:
        return ""
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return json.dumps(plain, ensure_ascii=False, default=str) if isinstance(plain, list | dict) else str(plain)


def csv_text(answer: QueryAnswer) -> str:
    """A query result as CSV with a header, without the last line break."""
    held = io.StringIO()
    writer = csv.writer(held, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([cell_text(value) for value in row] for row in answer.rows)
    return held.getvalue().rstrip("\n")


def table_text(answer: QueryAnswer) -> str:
    """A query result as lines of padded columns: numbers aligned right, other values left."""
    cells = [[_in_one_line(cell_text(value)) for value in row] for row in answer.rows]
    widths = [max(map(len, column)) for column in zip(answer.columns, *cells, strict=True)]
    right = [bool(answer.rows) and all(_is_number(value) for value in column) for column in zip(*answer.rows, strict=True)]
    right = right or [False] * len(widths)
    lines = [list(answer.columns), ["-" * width for width in widths], *cells]
    padded = [[cell.rjust(width) if end else cell.ljust(width) for cell, width, end in zip(line, widths, right)] for line in lines]
    return "\n".join("  ".join(line).rstrip() for line in padded) + ("" if answer.rows else "\n(no rows)")


def _is_number(value: Any) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _in_one_line(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
