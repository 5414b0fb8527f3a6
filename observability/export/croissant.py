"""Describes a data file in Croissant 1.0 (JSON-LD), for tools that load datasets from their description."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.errors import UsageError

if TYPE_CHECKING:
    from pandas import DataFrame, Series

CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{
        name: f"cr:{name}"
        for name in (
            *("citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet", "format", "includes"),
            *("isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace"),
            *("samplingRate", "separator", "source", "subField", "transform"),
        )
    },
}
"""The context from the specification."""
CONFORMS = "http://mlcommons.org/croissant/1.0"
ENCODINGS = {".csv": "text/csv", ".parquet": "application/x-parquet", ".jsonl": "application/jsonlines"}


def croissant_of_file(
    path: Path,
    table: "DataFrame",
    name: str,
    checksum: str,
    logged: Mapping[Any, Any] | None,
    *,
    license_url: str | None = None,
    url: str | None = None,
) -> dict[str, Any]:
    """The description of a file. logged: the logged dataset with this checksum, None if there is none. Its version, date and parents are
    added.

    Raises UsageError if the format of the file is not .csv, .parquet or .jsonl.
    """
    if path.suffix not in ENCODINGS:
        raise UsageError("Croissant describes files of other formats", got=path.name, expected=", ".join(ENCODINGS))
    said = f"{len(table):,} rows and {table.shape[1]:,} columns"
    body: dict[str, Any] = {"@context": CONTEXT, "@type": "sc:Dataset", "name": name, "conformsTo": CONFORMS}
    if logged is not None:
        parents = ", ".join(map(str, logged["parents"] or ()))
        said += f"{f', made from {parents}' if parents else ''}"
        body |= {"version": str(logged["version"]), "datePublished": logged["at"].date().isoformat()}
    body |= {"description": f"{said}."}
    body |= {key: value for key, value in (("license", license_url), ("url", url)) if value}
    body["distribution"] = [
        {
            "@type": "cr:FileObject",
            "@id": path.name,
            "name": path.name,
            "contentUrl": path.name,
            "contentSize": f"{path.stat().st_size} B",
            "encodingFormat": ENCODINGS[path.suffix],
            "sha256": checksum.removeprefix("sha256:"),
        }
    ]
    fields = [
        {
            "@type": "cr:Field",
            "@id": f"rows/{column}",
            "name": str(column),
            "dataType": data_type(table[column], exact=path.suffix == ".parquet"),
            "source": {"fileObject": {"@id": path.name}, "extract": {"column": str(column)}},
        }
        for column in table.columns
    ]
    body["recordSet"] = [{"@type": "cr:RecordSet", "@id": "rows", "name": "rows", "field": fields}]
    return body


def data_type(values: "Series[Any]", *, exact: bool) -> str:
    """The type of a column in the terms of schema.org. exact: whether the file states types. If it does not, a column of numbers without
    fractions and gaps counts as integer.
    """
    import pandas as pd

    kinds, dtype = pd.api.types, values.dtype
    if kinds.is_bool_dtype(dtype):
        return "sc:Boolean"
    if kinds.is_integer_dtype(dtype):
        return "sc:Integer"
    if kinds.is_float_dtype(dtype):
        return "sc:Integer" if not exact and len(values) and bool((values % 1 == 0).all()) else "sc:Float"
    return "sc:DateTime" if kinds.is_datetime64_any_dtype(dtype) else "sc:Text"
