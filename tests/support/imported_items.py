"""Reads sources with the importers, and separates the items into records and refusals."""

import gzip
from collections import Counter
from pathlib import Path
from typing import Any

from observability.importers.source_records import CarriedRecord, ReadOptions, SourceItem
from observability.importers.sources import open_source

FIXTURES = Path(__file__).parents[1] / "importers" / "fixtures"
"""Files written by the real libraries; make_fixtures.py in the same folder names them."""


def unpacked_fixture(name: str, folder: Path) -> Path:
    """A gzipped fixture, unpacked into a folder."""
    path = folder / name.removesuffix(".gz")
    path.write_bytes(gzip.decompress((FIXTURES / name).read_bytes()))
    return path


def read_items(tool: str, path: Path, **options: Any) -> list[SourceItem]:
    """All items of a source."""
    return list(open_source(tool, path, ReadOptions(**options)).items)


def records_of(items: list[SourceItem], kind: str, **fields: object) -> list[dict]:
    """The records of one kind whose fields have these values."""
    records = [item.record for item in items if isinstance(item, CarriedRecord)]
    return [dict(record) for record in records if record["kind"] == kind and all(record.get(k) == v for k, v in fields.items())]


def refused_counts(items: list[SourceItem]) -> dict[tuple[str, str], int]:
    """The number of refused entries, by kind and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for item in items:
        if not isinstance(item, CarriedRecord):
            counts[item.sort, item.reason] += item.count
    return dict(counts)
