"""The command `report-storage`: measure a folder in which data are stored."""

import argparse
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from observability.cli.outcome import Outcome, Say, json_or_lines
from observability.core import formatting
from observability.core.errors import UsageError
from observability.core.numerals import percent
from observability.store.engine import Store


def run_report_storage(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Measure a folder, and store the figures as a report. Raises UsageError if the path is not a folder."""
    from observability.metrics.folder_usage import folder_usage

    folder = Path(args.folder)
    if not folder.is_dir():
        raise UsageError("the path is not a folder", got=args.folder, expected="a folder on this machine")
    if args.keep_days is not None and not 0 < args.keep_days < 1e6:
        raise UsageError("--keep-days takes a number of days above 0", got=args.keep_days)
    say(f"reading {folder}")
    now = datetime.now(UTC)
    found = folder_usage(folder, now.timestamp(), contents=not args.skip_contents)
    say("")
    record: dict[str, Any] = {"kind": "storage_report", "place": args.place or folder.resolve().name or "/", "at": now.isoformat()}
    record |= {"capacity_bytes": found.room, "used_bytes": found.bytes, "files": found.files, "small_files": found.small}
    record |= {"cold_bytes": found.cold, "source": "measured"}
    record |= {} if found.duplicates is None else {"duplicate_bytes": found.duplicates}
    record |= {} if found.oldest is None else {"oldest_at": datetime.fromtimestamp(found.oldest, UTC).isoformat()}
    record |= {} if args.keep_days is None else {"keep_days": args.keep_days}
    record |= {} if args.tier is None else {"tier": args.tier}
    if not args.dry_run:
        store.write_records([record])
    return json_or_lines(record, _report_lines(record, found.unread, not args.dry_run), args.json)


def _report_lines(record: dict[str, Any], unread: int, kept: bool) -> list[str]:
    """The storage report of one place as lines of text: used bytes, files, duplicate and cold shares, and the number of
    unreadable entries.
    """
    used = record["used_bytes"]
    size = f"{formatting.format_bytes(used)} of {formatting.format_bytes(record['capacity_bytes'])}"
    lines = [f"{record['place']}: {size} in {formatting.plural(record['files'], 'file')}{'' if kept else ' (not kept)'}."]
    if used:
        words = {"duplicate_bytes": "stored twice", "cold_bytes": "not read for 90 days"}
        lines += [f"  {percent(record[name] / used)} {said}" for name, said in words.items() if name in record]
    if unread:
        lines.append(f"  {formatting.plural(unread, 'file or folder', 'files and folders')} could not be read and are not counted.")
    return lines
