"""The command `load`: files, folders, buckets, web addresses and tables, and all records that wait in the landing folder."""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from observability.cli.commands import comma_list, parsed_mapping
from observability.cli.load_report import load_outcome, load_progress, rejection_error, rejection_exit_code, source_lines
from observability.cli.outcome import Outcome, Say
from observability.core.errors import UsageError
from observability.core.formatting import plural
from observability.store.engine import Store

if TYPE_CHECKING:
    from observability.store.types.loading import LoadDefaults, LoadReport
    from observability.store.types.sources import SourceReport


def run_load(store: Store, args: argparse.Namespace, say: Say) -> Outcome:
    """Load files and sources, and all records in the landing folder."""
    from observability.lake.addresses import is_lake_address
    from observability.store.types.loading import LoadDefaults

    note, versions = load_progress(say), model_versions(store, args.model)
    defaults = LoadDefaults(
        kind=args.kind,
        model=args.model,
        version=args.version or (versions[0] if len(versions) == 1 else None),
        versions=versions,
        features=comma_list(args.features),
        renames=parsed_mapping(args.map, "--map"),
        scores=tuple(args.score),
        timezone=args.timezone,
        decimal=args.decimal,
    )
    named = [text for text in args.files if is_lake_address(text) or Path(text).is_dir()]
    files = [Path(text) for text in args.files if text not in named]
    if args.again and not named:
        raise UsageError("--again applies only to folders and addresses", got="files alone", attempt="A named file is read at each load")
    if args.files:
        say("reading the columns")
    report: LoadReport | None = store.load_files(files, defaults, progress=note) if files else None
    taken = _loaded_sources(store, named, defaults, say, again=args.again)
    for each in taken:
        report = each.loaded if report is None else report + each.loaded
    landed = store.load_landing(progress=load_progress(say))
    say("")
    first = [line for each in taken for line in source_lines(each)]
    outcome = load_outcome(landed if report is None else report + landed, args.json, first, report, defaults, taken)
    unread = sum(len(each.failures) for each in taken)
    error = rejection_error(report, args.allow_rejected)
    code = rejection_exit_code(None if unread else args.allow_rejected)
    if unread:
        error = f"{error} {plural(unread, 'file')} could not be read; the next load tries {'it' if unread == 1 else 'them'} again.".strip()
    return replace(outcome, exit_code=code, error=f"{outcome.error} {error}".strip()) if error else outcome


def _loaded_sources(store: Store, named: Sequence[str], defaults: "LoadDefaults", say: Say, *, again: bool) -> "list[SourceReport]":
    """Load each source. All sources are opened before the first is loaded, so that nothing is stored if one address is wrong."""
    if not named:
        return []
    from observability.lake.config import read_lake_config
    from observability.lake.open_source import open_data_source

    allow = read_lake_config(store.home).allow
    say("listing the files")
    sources = [open_data_source(text, allow) for text in named]
    return [store.load_source(source, defaults, progress=load_progress(say), again=again) for source in sources]


def model_versions(store: Store, model: str | None) -> tuple[str, ...]:
    """The versions of a model; empty for an unknown model."""
    return tuple(version.name for found in store.catalog().models if found.name == model for version in found.versions)
