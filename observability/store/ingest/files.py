"""Open a data file with the importer of its format, chosen by the ending of its name."""

from pathlib import Path

from observability.core.errors import UsageError
from observability.store.ingest.batch_importer import BatchImporter
from observability.store.ingest.csv_importer import CsvImporter, GzipCsvImporter
from observability.store.ingest.importer import Importer
from observability.store.ingest.jsonl_importer import GzipJsonLinesImporter, JsonLinesImporter
from observability.store.ingest.parquet_importer import ParquetImporter
from observability.store.types.loading import LoadDefaults
from observability.store.types.sources import SourceFile

IMPORTERS: dict[str, type[Importer]] = {
    ".jsonl": JsonLinesImporter,
    ".jsonl.gz": GzipJsonLinesImporter,
    ".csv": CsvImporter,
    ".csv.gz": GzipCsvImporter,
    ".parquet": ParquetImporter,
}


def open_importer(path: Path, decimal: str | None = None) -> Importer:
    """The importer of a file. decimal: the decimal sign of a CSV file, see LoadDefaults.

    Raises UsageError if the file is missing, empty or not of a known format.
    """
    if not path.exists():
        raise UsageError("the file is not there", got=str(path), attempt="Check the path")
    if path.is_dir():
        raise UsageError("this is a folder", got=path.name, expected="a file", attempt="Name the files in it")
    importer = importer_by_ending(path.name)
    if importer is None:
        raise UsageError(
            "files of this ending are not read",
            got=path.name,
            expected=", ".join(IMPORTERS),
            attempt="Convert it, or rename it if the ending is wrong",
        )
    if path.stat().st_size == 0:
        raise UsageError("the file is empty", where=path.name)
    return importer(path, decimal)


def importer_by_ending(name: str) -> type[Importer] | None:
    """The importer of files with the ending of this name; None if no format has this ending."""
    return next((importer for ending, importer in IMPORTERS.items() if name.lower().endswith(ending)), None)


def open_source_file(file: SourceFile, defaults: LoadDefaults) -> Importer:
    """The importer of a file of a source, to be loaded with these defaults. Raises UsageError if it cannot be loaded."""
    found = BatchImporter if file.batches is not None else importer_by_ending(file.name)
    if found is None:
        raise UsageError("files of this ending are not read", got=file.name, expected=", ".join(IMPORTERS))
    importer = found(file, defaults.decimal)
    importer.prepare(defaults)
    return importer


def open_file(path: Path, defaults: LoadDefaults) -> Importer:
    """The importer of a file to be loaded with these defaults. Raises UsageError before any row is read if it cannot be loaded."""
    importer = open_importer(path, defaults.decimal)
    importer.prepare(defaults)
    return importer
