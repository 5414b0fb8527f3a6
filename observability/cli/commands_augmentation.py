"""The command `audit-augmentation`. It measures the effect of an augmentation from predictions of models that were trained with and without
it.
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.commands_data import read_table
from observability.cli.commands_trade_offs import audited_version
from observability.cli.outcome import Outcome, Say, json_or_lines, severity_column
from observability.core.errors import UsageError
from observability.metrics.augmentation import CORE_COLUMNS, augmentation_audits, augmentation_results
from observability.store.engine import Store

if TYPE_CHECKING:
    from pandas import DataFrame


def run_audit_augmentation(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Make the audit of an augmentation from a table of predictions, and keep it."""
    model = store.catalog().model(args.model)
    version = audited_version(model, args.version, with_file=False)
    say("reading the predictions")
    table = read_table(Path(args.file))
    needed = [*CORE_COLUMNS, *args.group]
    if missing := [name for name in needed if name not in table]:
        raise UsageError("the file lacks columns", got=", ".join(map(str, table.columns)), expected=", ".join(missing))
    checked = checked_copies(args.checked)
    if args.days < 1:
        raise UsageError("--days takes a number above 0", got=args.days)
    try:
        results = augmentation_results(table, args.name, args.group, regression=model.task == "regression")
    except ValueError as error:
        raise UsageError("every seed needs every validation row once, with numbers of a regression", got=str(error)) from None
    results |= {"in_use": not args.tried} | ({"checked": checked} if checked else {})
    now = datetime.now(UTC)
    record = {"kind": "audit", "model": model.name, "version": version.name, "at": now.isoformat(), "audit": "augmentation"}
    body: dict[str, Any] = record | {"results": results, "expires": (now + timedelta(days=args.days)).isoformat()}
    if not args.dry_run:
        store.write_records([body])
    say("")
    return json_or_lines(body, augmentation_lines(body, not args.dry_run), args.json)


def checked_copies(text: str | None) -> dict[str, int] | None:
    """The number of checked copies and the number of those whose label changed, from a text such as `12/200` (changed/checked). Raises
    UsageError for any other text.
    """
    if text is None:
        return None
    changed, slash, n = text.partition("/")
    if not (slash and changed.isdigit() and n.isdigit() and int(n) > 0 and int(changed) <= int(n)):
        raise UsageError("--checked takes changed copies and checked copies", got=text, expected="CHANGED/CHECKED, as 12/200")
    return {"n": int(n), "changed": int(changed)}


def augmentation_lines(record: dict[str, Any], kept: bool) -> list[str]:
    """The audit as text: a line for each finding about it."""
    import pandas as pd

    from observability.analyzers.training import studies
    from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
    from observability.core.window import Window

    now = datetime.fromisoformat(record["at"])
    frame: DataFrame = pd.DataFrame([{**record, "at": pd.Timestamp(now).tz_localize(None)}])
    rows = sum(audit.whole.n for audit in augmentation_audits(frame))
    context = Context(EVERY_MODEL, NO_VERSION, Window("", now - timedelta(days=1), now + timedelta(seconds=1)), now)
    head = f"Augmentation {record['results']['augmentation']} of {record['model']} version {record['version']}, {rows:,} validation rows"
    findings = studies.analyze({"audits": frame}, context)
    return [f"{head}{'.' if kept else ' (not kept).'}", *(f"  {severity_column(each.severity)} {each.because}" for each in findings)]
