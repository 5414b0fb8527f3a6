"""Which blocks of JSONL lines does a file hold, whatever its format, in bounded memory?

A CSV or Parquet row becomes one JSON line, so that every file goes through the one parser. A wrong file gives one clear sentence before anything
is read from it into the store.
"""

import difflib
import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from observability.core.errors import UsageError
from observability.records.kinds import KINDS
from observability.records.validation import OTHER_NAMES
from observability.store.ingest.file_rows import RowsFile, column_kinds, csv_header, parquet_columns
from observability.store.ingest.landing import BLOCK_BYTES, LINE_BYTES, SHOWN_BYTES, skip_line
from observability.store.ingest.parse_types import Block, Defaults, Refused

MOST_DECOMPRESSED = 4 * 1024**3
"""A compressed file is read up to this many bytes."""
HEAD_BYTES = 65_536
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
        """Blocks of whole lines of about 16 MB. Raises UsageError where the file is damaged or decompresses beyond the limit.

        A line longer than 16 MB is refused without being kept, so that memory stays bounded.
        """
        with self.path.open("rb") as raw:
            stream: BinaryIO = gzip.GzipFile(fileobj=raw) if self.compressed else raw  # type: ignore[assignment]  # a GzipFile reads as one
            try:
                for block in line_blocks(stream, self.path.name):
                    if self.compressed and stream.tell() > MOST_DECOMPRESSED:
                        raise UsageError(
                            "the file is too large when decompressed",
                            where=self.path.name,
                            expected=f"at most {MOST_DECOMPRESSED / 1e9:.1f} GB",
                            attempt="Decompress it and load it in parts",
                        )
                    self.done = raw.tell()
                    yield block
            except (OSError, EOFError, zlib.error) as error:
                raise UsageError("the file is damaged", where=self.path.name, got=error) from None


def line_blocks(stream: BinaryIO, name: str) -> Iterator[Block]:
    """Whole lines of a stream of bytes as blocks."""
    first = 1
    while piece := stream.read(BLOCK_BYTES):
        raw = piece if piece.endswith(b"\n") else piece + stream.readline(LINE_BYTES)
        refused: tuple[Refused, ...] = ()
        if not raw.endswith(b"\n") and (rest := skip_line(stream)):
            start, line = raw.rfind(b"\n") + 1, first + raw.count(b"\n")
            shown = raw[start : start + SHOWN_BYTES].decode("utf-8", "replace")
            refused = (
                Refused(line, shown, "too_large", f"the line has {len(raw) - start + rest:,} bytes; one has at most {LINE_BYTES:,}"),
            )
            raw = raw[:start]
        yield Block(raw, first, name, refused)
        first += raw.count(b"\n") + len(refused)


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
    elif ending == ".jsonl":
        if not any(line.lstrip(b" \t\r\xef\xbb\xbf").startswith(b"{") for line in head.split(b"\n")):
            raise UsageError("this is no file of JSON lines", where=path.name, got=looks_like(head), expected="one JSON object a line")
        return LinesFile(path, size, compressed=False)
    else:
        require_text(path, head)
    if ending == ".parquet":
        return rows_file(path, size, *parquet_columns(path), defaults)
    names = csv_header(path)
    file = rows_file(path, size, names, {}, defaults)
    return replace(file, kinds=column_kinds(path, names))


def head_of(path: Path) -> bytes:
    """The first 64 kB."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
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
        if (
            error.reason != "unexpected end of data" or len(head) < HEAD_BYTES
        ):  # a character cut at the end of the head is none of its faults
            raise UsageError(
                "the file is not UTF-8",
                where=path.name,
                got=f"byte {error.start + 1} is {head[error.start]:#x}",
                attempt="Save it as UTF-8",
            ) from None


def rows_file(path: Path, size: int, names: list[str], types: dict[str, str], defaults: Defaults) -> RowsFile:
    """Which columns are fields of the record, which are features, which are kept beside them; raises UsageError where required ones are missing."""
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
    same = sorted({our for our in ours.values() if list(ours.values()).count(our) > 1})
    if same:
        said = ", ".join(name for name in names if ours[name] == same[0])
        raise UsageError("two columns would have the same name", where=path.name, got=f"{said}, both {same[0]!r}", attempt="Change --map")
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
    named = [name for name in left if name in chosen or ours[name] in chosen]
    groups = [name for name in left if ours[name] in defaults.groups and name not in named] if kind == "prediction" else []
    features = named if chosen else [name for name in left if name not in groups]
    extras = [name for name in left if name not in features and name not in groups] if kind == "prediction" else []
    return RowsFile(path, size, kind, as_fields, features, extras, types, groups=groups)


def near_to(wanted: str, names: list[str], mapping: bool = False) -> str:
    """What to try where a column is missing."""
    near = [each for each in names if each.lower() in OTHER_NAMES.get(wanted, ()) or each.lower() == wanted]
    near = near or difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
    if wanted == "id" and not near:
        return "Add one: a column with a different text in every row, by which labels find their predictions"
    if mapping:
        return f"Say which one it is: --map {near[0] if near else 'THEIR_NAME'}={wanted}"
    return f"Did you mean {near[0]!r}?" if near else f"It has {', '.join(names[:12])}"
