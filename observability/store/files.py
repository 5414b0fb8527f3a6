"""Which blocks of JSONL lines does a file hold, whatever its format, in bounded memory?

A CSV or Parquet row becomes one JSON line, so that every file goes through the one parser. A wrong file gives one clear sentence before anything
is read from it into the store.
"""

import csv
import difflib
import gzip
import io
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO

from observability.errors import UsageError
from observability.record import KINDS
from observability.store.parse_types import Block, Defaults, Refused

BLOCK_BYTES = 16 * 1024 * 1024
MOST_DECOMPRESSED = 4 * 1024**3
"""A compressed file is read up to this many bytes."""
ROWS_A_BATCH = 20_000
ENDINGS = (".jsonl", ".jsonl.gz", ".csv", ".parquet")


@dataclass
class LinesFile:
    """A file of JSON lines, plain or gzipped."""

    path: Path
    size: int
    compressed: bool
    done: int = 0

    def position(self) -> int:
        """Bytes of the file that were read so far."""
        return self.done

    def blocks(self) -> Iterator[Block]:
        """Blocks of whole lines of about 16 MB. Raises UsageError where the file is damaged or decompresses beyond the limit."""
        number, rest, total = 1, b"", 0
        with self.path.open("rb") as raw:
            stream: BinaryIO = gzip.GzipFile(fileobj=raw) if self.compressed else raw  # type: ignore[assignment]
            while True:
                try:
                    chunk = stream.read(BLOCK_BYTES)
                except (OSError, EOFError) as error:
                    raise UsageError("the compressed file is damaged", where=self.path.name, got=error) from None
                total += len(chunk)
                if self.compressed and total > MOST_DECOMPRESSED:
                    raise UsageError(
                        "the file is too large when decompressed", where=self.path.name, expected=f"at most {MOST_DECOMPRESSED / 1e9:.1f} GB",
                        attempt="Decompress it and load it in parts",
                    )  # fmt: skip
                self.done = raw.tell()
                cut = chunk.rfind(b"\n") + 1 if chunk else 0
                whole, rest = (rest + chunk[:cut], chunk[cut:]) if cut else (b"", rest + chunk)
                if not chunk:
                    whole, rest = rest, b""
                if whole:
                    yield Block(whole, number, self.path.name)
                    number += whole.count(b"\n")
                if not chunk:
                    return


@dataclass
class RowsFile:
    """A CSV or Parquet file of one kind: rows become lines. `columns` maps a column to how its value is written; features stand apart."""

    path: Path
    size: int
    kind: str
    fields: dict[str, str]
    features: list[str]
    numbers: dict[str, str] = field(default_factory=dict)
    done: int = 0

    def position(self) -> int:
        """Bytes that were read so far, as far as the format tells."""
        return self.done

    def blocks(self) -> Iterator[Block]:
        """Blocks of JSON lines; the number of a line is that of its row in the file (CSV: the header is line 1)."""
        rows = parquet_rows(self) if self.path.suffix.lower() == ".parquet" else csv_rows(self)
        lines: list[bytes] = []
        refused: list[Refused] = []
        size, first = 0, 1
        for number, row in rows:
            if not lines and not refused:
                first = number
            if isinstance(row, Refused):
                refused.append(row)
                lines.append(b"")
            else:
                lines.append(json.dumps(self.record(row), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace"))
                size += len(lines[-1]) + 1
            if size >= BLOCK_BYTES:
                yield Block(b"\n".join(lines) + b"\n", first, self.path.name, tuple(refused))
                lines, refused, size = [], [], 0
        if lines:
            yield Block(b"\n".join(lines) + b"\n", first, self.path.name, tuple(refused))

    def record(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The record that a row stands for."""
        found: dict[str, Any] = {"kind": self.kind}
        for name, kind in self.fields.items():
            value = row.get(name)
            if value is not None:
                found[name] = plain(opened(value) if kind in ("object", "list", "score", "label", "scalar") else value)
        if self.kind == "prediction":
            given = found.get("features")
            found["features"] = {**(given if isinstance(given, dict) else {}), **{name: plain(row.get(name)) for name in self.features}}
        else:
            found |= {name: plain(row.get(name)) for name in self.features if row.get(name) is not None}
        return found


Opened = LinesFile | RowsFile


def open_file(path: Path, defaults: Defaults) -> Opened:
    """The file, looked at but not read. Raises UsageError, one sentence, where it is not one that can be loaded."""
    name = path.name.lower()
    if not path.exists():
        raise UsageError("the file is not there", got=str(path), attempt="Check the path")
    if path.is_dir():
        raise UsageError("this is a folder", got=path.name, expected="a file", attempt="Name the files in it")
    ending = next((each for each in ENDINGS if name.endswith(each)), None)
    if ending is None:
        raise UsageError(
            "files of this ending are not read",
            got=path.name,
            expected=", ".join(ENDINGS),
            attempt="Convert it, or rename it if the ending is wrong",
        )
    size = path.stat().st_size
    if size == 0:
        raise UsageError("the file is empty", where=path.name)
    head = head_of(path)
    if ending == ".parquet":
        if not head.startswith(b"PAR1"):
            raise UsageError("this is no Parquet file", where=path.name, got=looks_like(head), attempt="Write it again as Parquet")
    elif ending == ".jsonl.gz":
        if not head.startswith(b"\x1f\x8b"):
            raise UsageError("this is no gzip file", where=path.name, got=looks_like(head))
        return LinesFile(path, size, compressed=True)
    else:
        require_text(path, head)
    if ending == ".jsonl":
        if head.lstrip()[:1] not in (b"{", b""):
            raise UsageError("this is no file of JSON lines", where=path.name, got=looks_like(head), expected="one JSON object a line")
        return LinesFile(path, size, compressed=False)
    names, types = parquet_columns(path) if ending == ".parquet" else csv_columns(path)
    return rows_file(path, size, names, types, defaults)


def head_of(path: Path) -> bytes:
    """The first 64 kB."""
    try:
        with path.open("rb") as file:
            return file.read(65536)
    except OSError as error:
        raise UsageError("the file cannot be read", where=path.name, got=error.strerror) from None


def looks_like(head: bytes) -> str:
    """What a file seems to be, in words."""
    start = head.lstrip()[:200].lower()
    known = {
        b"PK\x03\x04": "a spreadsheet or zip file",
        b"\x1f\x8b": "a gzip file",
        b"PAR1": "a Parquet file",
        b"%PDF": "a PDF",
        b"\xff\xfe": "UTF-16 text",
    }
    for mark, words in known.items():
        if head.startswith(mark):
            return words
    if start.startswith((b"<!doctype html", b"<html")):
        return "a web page (HTML)"
    if start.startswith(b"["):
        return "one JSON array"
    return "binary data" if b"\x00" in head else "text that is not of this format"


def require_text(path: Path, head: bytes) -> None:
    """Raises UsageError where the file is no UTF-8 text."""
    text = looks_like(head)
    if text != "text that is not of this format" and text != "one JSON array":
        raise UsageError(f"this is no {path.suffix.lstrip('.').upper()} file", where=path.name, got=text)
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.reason != "unexpected end of data" or len(head) < 65536:  # a character cut at the end of the head is none of its faults
            raise UsageError(
                "the file is not UTF-8",
                where=path.name,
                got=f"byte {error.start + 1} is {head[error.start]:#x}",
                attempt="Save it as UTF-8",
            ) from None


def csv_dialect(path: Path) -> str:
    """The delimiter of a CSV file: the one of , ; tab | that stands most often in the header."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = file.readline(1_000_000)
    return max(",;\t|", key=header.count)


MOSTLY = 0.95
"""Share of a CSV column's values that make it a column of numbers (or booleans): one bad cell costs its own row's feature, not the column."""


def csv_columns(path: Path) -> tuple[list[str], dict[str, str]]:
    """Names of the columns of a CSV file, and for each whether nearly all of its values are numbers or booleans (else text)."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, delimiter=csv_dialect(path))
        names = [name.strip() for name in next(reader, [])]
        filled, numbers, booleans = ([0] * len(names) for _ in range(3))
        count = 0
        try:
            for row in reader:
                count += 1
                for place, value in enumerate(row[: len(names)]):
                    if value == "":
                        continue
                    filled[place] += 1
                    numbers[place] += number_of(value) is not None
                    booleans[place] += value.lower() in ("true", "false")
        except (UnicodeDecodeError, csv.Error) as error:
            raise UsageError("the CSV file cannot be read", where=f"{path.name}, line {reader.line_num}", got=error) from None
    if not count:
        raise UsageError("the file has a header and no rows", where=path.name)
    kinds = {}
    for name, values, as_numbers, as_booleans in zip(names, filled, numbers, booleans, strict=True):
        least = max(MOSTLY * values, 1)
        kinds[name] = "number" if as_numbers >= least else "boolean" if as_booleans >= least else "text"
    return names, kinds


def number_of(text: str) -> float | int | None:
    """The number that a cell holds, None where it holds none. Grouped digits ("1,000") and underscores are text."""
    if "_" in text:
        return None
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None


def parquet_columns(path: Path) -> tuple[list[str], dict[str, str]]:
    """Names of the columns of a Parquet file; its types are its own."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
        names = file.schema_arrow.names
        if file.metadata.num_rows == 0:
            raise UsageError("the file has no rows", where=path.name)
    except (pa.ArrowException, OSError) as error:
        raise UsageError("the Parquet file is damaged", where=path.name, got=str(error)[:100], attempt="Write it again") from None
    return list(names), {}


def rows_file(path: Path, size: int, names: list[str], types: dict[str, str], defaults: Defaults) -> RowsFile:
    """Which columns are fields of the record, which are features; raises UsageError where required ones are missing."""
    if not any(names) or "" in names:
        raise UsageError(
            "a column has no name", where=path.name, got=", ".join(names[:8]), attempt="Give every column a name in the first line"
        )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError("a column name stands twice", where=path.name, got=", ".join(twice))
    kind = defaults.kind or "prediction"
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        raise UsageError("unknown kind", got=repr(kind), attempt=f"Did you mean {near[0]}?" if near else f"There is {', '.join(KINDS)}")
    unknown = sorted(set(defaults.renames) - set(names))
    if unknown:
        raise UsageError(
            "--map names columns that are not in the file",
            where=path.name,
            got=", ".join(unknown),
            expected=f"one of {', '.join(names[:12])}",
        )
    ours = {name: defaults.renames.get(name, name) for name in names}
    fields = KINDS[kind].fields
    chosen = set(defaults.features or ())
    missing_features = sorted(chosen - set(ours.values()) - set(names))
    if missing_features:
        raise UsageError(
            "features are not in the file", where=path.name, got=", ".join(missing_features), attempt=near_to(missing_features[0], names)
        )
    as_fields = {name: fields[our].type for name, our in ours.items() if our in fields and not (chosen & {name, our})}
    given = {ours[name] for name in as_fields} | {name for name in ("model", "version") if getattr(defaults, name)} | {"features"}
    missing = [each.name for each in KINDS[kind].required if each.name not in given]
    if missing:
        raise UsageError(
            f"a {kind} file needs the column {missing[0]!r}",
            where=path.name,
            got=", ".join(names[:12]),
            attempt=near_to(missing[0], names, mapping=True),
        )
    if kind == "prediction" and not {"score", "prediction", "status"} & given:
        raise UsageError(
            "a prediction file needs the column 'score' or 'prediction'",
            where=path.name,
            got=", ".join(names[:12]),
            attempt=near_to("score", names, mapping=True),
        )
    left = [name for name in names if name not in as_fields and name != "kind"]
    features = left if not chosen else [name for name in left if name in chosen or ours[name] in chosen]
    return RowsFile(path, size, kind, as_fields, features, types)


def near_to(wanted: str, names: list[str], mapping: bool = False) -> str:
    """What to try where a column is missing."""
    near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    if mapping:
        return f"Say which one it is: --map {near[0] if near else 'THEIR_NAME'}={wanted}"
    return f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(names[:12])}"


def csv_rows(file: RowsFile) -> Iterator[tuple[int, dict[str, Any] | Refused]]:
    """Rows of a CSV file with the number of their line; an empty cell is null."""
    with file.path.open("rb") as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
        reader = csv.reader(text, delimiter=csv_dialect(file.path))
        names = [name.strip() for name in next(reader)]
        kinds = [cell_kind(name, file) for name in names]
        for row in reader:
            number = reader.line_num
            file.done = min(file.size, raw.tell())
            if not row:
                continue
            if len(row) != len(names):
                said = f"the row has {len(row)} values, the header {len(names)} columns"
                yield number, Refused(number, ",".join(row)[:2000], "bad_value", said)
                continue
            yield number, {name: cell(value, kind) for name, value, kind in zip(names, row, kinds, strict=True)}


def cell_kind(name: str, file: RowsFile) -> str:
    """How the cells of a column are read: text fields stay texts, the rest as the whole column is."""
    declared = file.fields.get(name)
    if declared in ("text", "time"):
        return "text"
    return file.numbers.get(name, "text") if declared is None or declared in ("scalar", "score", "label") else declared


def cell(value: str, kind: str) -> Any:
    """One cell."""
    if value == "":
        return None
    if kind in ("number", "integer"):
        found = number_of(value)
        return value if found is None else found
    if kind == "boolean":
        return {"true": True, "false": False}.get(value.lower(), value)
    return value


def parquet_rows(file: RowsFile) -> Iterator[tuple[int, dict[str, Any] | Refused]]:
    """Rows of a Parquet file with their number from 1."""
    import pyarrow.parquet as pq

    source, number = pq.ParquetFile(file.path), 0
    wanted = [*file.fields, *file.features]
    total = max(source.metadata.num_rows, 1)
    for batch in source.iter_batches(batch_size=ROWS_A_BATCH, columns=wanted):
        for row in batch.to_pylist():
            number += 1
            yield number, {name: lossless(value) if file.fields.get(name) == "text" else value for name, value in row.items()}
        file.done = int(file.size * number / total)


def lossless(value: Any) -> Any:
    """The value of a declared text: numbers as their text."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


def opened(value: Any) -> Any:
    """JSON text in a cell of an object or a score as what it says; other values as they are."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def plain(value: Any) -> Any:
    """The value as JSON has it: NaN and infinities as texts, times in RFC 3339."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, datetime):
        return value.isoformat() if value.tzinfo is None else value.astimezone(UTC).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
