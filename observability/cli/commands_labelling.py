"""The command `items`: land items to be labelled, and write the settled labels of a project to a file."""

import argparse
import io
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.cli.commands_data import read_typed_table
from observability.cli.outcome import Outcome, Say, json_or_lines, write_output
from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.store.engine import Store

if TYPE_CHECKING:
    from pandas import DataFrame

SHOWN = 5
"""Maximum number of refused rows that are printed; the JSON contains the first HELD rows."""
HELD = 100
PORTION = 5_000
"""Number of items that are stored at once."""


def run_items(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Land the rows of a file as items, or write the settled labels of the project."""
    if (args.file is None) == (args.out is None):
        raise UsageError("the command needs one file", expected="FILE with items to land, or --out FILE for the settled labels")
    return _land_items(store, args, say) if args.file is not None else _write_settled(store, args, say)


def _land_items(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Land the rows that are new or changed as items, and report the rows that cannot be items."""
    from observability.investigation.project_items import project_classes, stored_items
    from observability.metrics.labelling_items import items_of_rows

    say("reading the file")
    path = Path(args.file)
    table, warnings = read_typed_table(path, args.decimal)
    columns = chosen_columns(table.column_names, args.id, args.columns, path.name)
    classes = stated_classes(args.classes)
    found = items_of_rows(table.to_pylist(), args.id, columns)
    before = stored_items(store, args.project)
    stated = {name: value for name, value in (("classes", classes), ("guideline", args.guideline)) if value}
    records: list[dict[str, Any]] = []
    for item, content in found.contents.items():
        known = before.get(item)
        if known is None or known.content != content or any(getattr(known, name) != value for name, value in stated.items()):
            records.append({"kind": "item", "project": args.project, "item": item, "content": content} | stated)
    changed = sum(record["item"] in before for record in records)
    if not args.dry_run:
        for start in range(0, len(records), PORTION):
            say(f"storing: {start:,} of {len(records):,} items")
            store.write_records(records[start : start + PORTION])
    say("")
    known_classes = classes or project_classes(store, args.project)
    body = {
        "rows": table.num_rows,
        "new": len(records) - changed,
        "changed": changed,
        "unchanged": len(found.contents) - len(records),
        "duplicates": found.duplicates,
        "refused": len(found.refused),
        "reasons": dict(Counter(each.reason for each in found.refused)),
        "refused_rows": [{"row": each.row, "reason": each.reason, "because": each.because} for each in found.refused[:HELD]],
        "warnings": [*warnings, *_image_warnings(store, found.contents)],
        "classes": list(known_classes),
    }
    lines = [
        f"{args.project}: {plural(body['new'], 'new item')}, {changed:,} changed, {body['unchanged']:,} unchanged, "
        f"{plural(found.duplicates, 'duplicate')}, {plural(len(found.refused), 'row')} refused{' (not kept)' if args.dry_run else ''}.",
        *(f"  Row {each.row:,} was refused: {each.because}." for each in found.refused[:SHOWN]),
        *([f"  and {len(found.refused) - SHOWN:,} more; --json has {HELD} of them"] if len(found.refused) > SHOWN else []),
        *(f"  {warning}" for warning in body["warnings"]),
    ]
    if len(known_classes) < 2:
        lines.append("  The labels that an item may get are not known yet. Name them with --classes a,b.")
    return json_or_lines(body, lines, args.json, exit_code=1 if found.refused or warnings else 0)


def chosen_columns(names: Sequence[str], name: str | None, wanted: str | None, where: str) -> list[str]:
    """The columns of an item's content: the chosen columns, or else all columns except the one that holds the item's id.

    Raises UsageError if one is missing.
    """
    columns = [part.strip() for part in (wanted or "").split(",") if part.strip()] or [each for each in names if each != name]
    if missing := [each for each in (*columns, *([name] if name else [])) if each not in names]:
        raise UsageError("a named column is not in the file", where=where, got=", ".join(missing), expected=", ".join(names))
    if not columns:
        raise UsageError("no column is left for the content of the items", where=where, got=", ".join(names))
    return columns


def stated_classes(text: str | None) -> list[str]:
    """The classes of `--classes a,b`; empty without it. Raises UsageError for fewer than two."""
    classes = list(dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip()))
    if text is not None and len(classes) < 2:
        raise UsageError("--classes names fewer than two labels", got=text, expected="--classes a,b")
    return classes


def _image_warnings(store: Store, contents: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence about the images that the page Annotate cannot show; empty if there is none."""
    from observability.investigation.logged_content import FOLDERS, LoggedImage, image_folders, image_kind, is_shown_file

    folders = image_folders(store.home)
    hidden = [
        value
        for content in contents.values()
        for name, value in content.items()
        if isinstance(value, str) and image_kind(value) == "file" and not is_shown_file(LoggedImage(name, value, "file"), folders)
    ]
    if not hidden:
        return []
    return [
        f"{plural(len(hidden), 'image is', 'images are')} not in a folder whose images may be shown (for example {hidden[0][:80]}): "
        f"put them into `images` of the home, or name their folder in {FOLDERS}."
    ]


def _write_settled(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Write the settled labels of the project with the content of their items."""
    from observability.investigation.project_items import project_settled_labels

    say("reading the labels")
    table = project_settled_labels(store, args.project)
    if table.empty:
        raise UsageError("no label of the project is settled", got=args.project, attempt="Label items on the page Annotate")
    path = Path(args.out)
    write_output(path, table_file(table, path))
    say("")
    body = {"file": str(path), "rows": len(table), "columns": list(table.columns)}
    return json_or_lines(body, [f"{plural(len(table), 'settled label')} of {args.project}: {path}"], args.json)


def table_file(table: "DataFrame", path: Path) -> bytes:
    """The bytes of a table as .csv, .jsonl or .parquet, by the ending of a path. Raises UsageError for another ending."""
    ending = path.suffix.lower()
    if ending == ".csv":
        return table.to_csv(index=False).encode()
    if ending == ".jsonl":
        return table.to_json(orient="records", lines=True, force_ascii=False).encode()
    if ending == ".parquet":
        file = io.BytesIO()
        table.astype(dict.fromkeys(_mixed_columns(table), str)).to_parquet(file, index=False)
        return file.getvalue()
    raise UsageError("the file has no known ending", where="--out", got=path.name, expected=".csv, .jsonl or .parquet")


def _mixed_columns(table: "DataFrame") -> list[str]:
    """Columns with values of several types, which Parquet cannot store."""
    kinds = {name: {type(value) for value in table[name].dropna()} for name in table.columns}
    return [name for name, found in kinds.items() if len(found) > 1 and not found <= {int, float}]
