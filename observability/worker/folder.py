"""Exchange tables and files with a job through a private temporary folder. The job's output is read as untrusted data.

The parent writes `inputs.json`, `<n>.arrow` and `<n>.<ending>`; the job writes `answer.json`, `out-<n>.arrow` and `out-<n>.bin`. The parent
reads the output only through the folder handle that it opened before the job began. It accepts only regular files of bounded size, and
tables only with flat uncompressed columns of numbers, booleans, times and text. Therefore the output is not larger in memory than its
files.
"""

import json
import os
import shutil
import stat
import struct
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.errors import UsageError
from observability.worker.job import Output
from observability.worker.limits import Limits, WorkerError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

INPUTS, ANSWER, NOISE = "inputs.json", "answer.json", "noise.txt"
MAX_JSON_BYTES = 32 * 1024**2


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can open, removed at the end with all its contents."""
    folder = Path(tempfile.mkdtemp(prefix="observability-worker-")).resolve()
    try:
        yield folder
    finally:
        remove_folder(folder)


def remove_folder(folder: Path) -> None:
    """Remove a folder, even if a job removed the permissions of its subfolders."""
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        for inner, _, _ in os.walk(folder):
            nested = [entry.path for entry in os.scandir(inner) if entry.is_dir(follow_symlinks=False)]
            for path in (inner, *nested):
                with suppress(OSError):
                    os.chmod(path, 0o700)
        shutil.rmtree(folder, ignore_errors=True)


def write_job_inputs(folder: Path, frames: "Mapping[str, pd.DataFrame]", arguments: Mapping[str, Any], files: Mapping[str, Path]) -> None:
    """Write a job's inputs. Raises UsageError for a table or an argument that cannot be written, or a file that cannot be read."""
    names: dict[str, str] = {}
    for place, (name, frame) in enumerate(frames.items()):
        names[name] = f"{place}.arrow"
        write_arrow_frame(folder / names[name], frame, name)
    copies: dict[str, str] = {}
    for place, (name, path) in enumerate(files.items()):
        copies[name] = f"{place}{Path(path).suffix[:20]}"
        try:
            shutil.copyfile(path, folder / copies[name])
        except OSError as error:
            raise UsageError("the file cannot be read", where=Path(path).name, got=error.strerror, attempt="Register it again") from error
    try:
        text = json.dumps({"frames": names, "files": copies, "arguments": dict(arguments)})
    except (TypeError, ValueError) as error:
        raise UsageError("arguments of a job are JSON", got=error) from error
    (folder / INPUTS).write_text(text, encoding="utf-8")


def read_job_inputs(folder: Path) -> "tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, Path]]":
    """Read in the job what `write_job_inputs` wrote: frames, arguments, files."""
    import pyarrow as pa

    body = json.loads((folder / INPUTS).read_text(encoding="utf-8"))
    frames = {}
    for name, file in body["frames"].items():
        with pa.OSFile(str(folder / file)) as source:
            frames[name] = pa.ipc.open_file(source).read_all().to_pandas(use_threads=False)
    return frames, body["arguments"], {name: folder / file for name, file in body["files"].items()}


def write_job_output(folder: Path, output: Output) -> None:
    """Write a job's output. The files it names must be in its folder."""
    frames: dict[str, str] = {}
    for place, (name, frame) in enumerate(output.frames.items()):
        frames[name] = f"out-{place}.arrow"
        write_arrow_frame(folder / frames[name], without_categories(frame), name)
    files: dict[str, str] = {}
    for place, (name, path) in enumerate(output.files.items()):
        files[name] = f"out-{place}.bin"
        os.replace(path, folder / files[name])
    body = {"values": dict(output.values), "frames": frames, "files": files}
    (folder / ANSWER).write_text(json.dumps(body), encoding="utf-8")


def without_categories(frame: "pd.DataFrame") -> "pd.DataFrame":
    """The table with categorical columns converted to the type of their categories."""
    import pandas as pd

    kinds = {name: frame[name].cat.categories.dtype for name in frame if isinstance(frame[name].dtype, pd.CategoricalDtype)}
    return frame.astype(kinds)


def write_arrow_frame(path: Path, frame: "pd.DataFrame", name: str) -> None:
    """Write a table as an Arrow file, without its index."""
    import pyarrow as pa

    try:
        table = pa.Table.from_pandas(frame, preserve_index=False, nthreads=1)
    except (pa.ArrowException, ValueError, TypeError) as error:
        raise UsageError("a column holds values of several types", where=name, got=error) from error
    for place, field in enumerate(table.schema):
        if pa.types.is_null(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.string()))
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read_job_output(handle: int, limits: Limits) -> "tuple[dict[str, Any], dict[str, pd.DataFrame], dict[str, bytes]]":
    """The output in the folder behind `handle`: values, frames, files. Raises the error of the job, or WorkerError."""
    try:
        body = json.loads(read_regular_file(handle, ANSWER, MAX_JSON_BYTES))
        if "error" in body:
            raise error_from_json(body["error"])
        most = limits.file_mb * 1024**2
        frames = {str(name): read_untrusted_frame(read_regular_file(handle, file, most)) for name, file in body["frames"].items()}
        files = {str(name): read_regular_file(handle, file, most) for name, file in body["files"].items()}
        return dict(body["values"]), frames, files
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError, struct.error) as error:
        raise WorkerError("the job's answer cannot be read", reason="garbage", got=f"{type(error).__name__}: {error}"[:300]) from error


def error_from_json(body: dict[str, Any]) -> Exception:
    """The error that a job wrote as JSON."""
    text = {name: str(value)[:2000] if (value := body.get(name)) is not None else None for name in ("where", "got", "expected", "attempt")}
    what = str(body["what"])[:2000]
    if body["kind"] == "usage":
        return UsageError(what, **text)
    kind = body["kind"]
    return WorkerError(what, reason=kind if kind in ("memory", "size") else "failed", **text)


def read_regular_file(handle: int, name: str, most: int) -> bytes:
    """The content of a regular file of the folder. Raises ValueError if it is something else or too large."""
    if not isinstance(name, str) or "/" in name:
        raise ValueError("expected a file name")
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=handle)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > most:
            raise ValueError(f"the path {name} is not a file of at most {most} bytes")
        return file.read(most)


def read_untrusted_frame(data: bytes) -> "pd.DataFrame":
    """A table from an untrusted Arrow file. Raises ValueError unless its columns are flat, uncompressed and valid."""
    import pyarrow as pa

    buffer = pa.py_buffer(data)
    with pa.ipc.open_file(buffer) as reader:
        schema = reader.schema
        nested = [field for field in schema if not is_flat_type(field.type)]
        if nested:
            raise ValueError(f"column {nested[0].name!r} is of type {nested[0].type}")
    # The same bytes as a stream: eight bytes of magic, then the messages.
    source = pa.BufferReader(buffer.slice(8))
    while True:
        try:
            message = pa.ipc.read_message(source)
        except EOFError:
            break
        if message.type == "schema":
            continue
        if message.type != "record batch" or is_compressed_batch(message.metadata.to_pybytes()):
            raise ValueError("a compressed or encoded table")
    with pa.ipc.open_file(buffer) as reader:
        table = reader.read_all()
    table.validate(full=True)
    return table.replace_schema_metadata(None).to_pandas(use_threads=False)


def is_flat_type(kind: "pa.DataType") -> bool:
    """Whether a column of this type takes at least one bit per row and holds no Python objects."""
    import pyarrow as pa

    numbers = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    return numbers or pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)


def is_compressed_batch(metadata: bytes) -> bool:
    """Whether a record batch's flatbuffer names a compression.

    In Arrow's schema Message.header is field 2 and RecordBatch.compression is field 3.
    """
    message = struct.unpack_from("<I", metadata, 0)[0]
    header = flatbuffer_field_offset(metadata, message, 2)
    if header is None:
        raise ValueError("a message without a header")
    batch = header + struct.unpack_from("<I", metadata, header)[0]
    return flatbuffer_field_offset(metadata, batch, 3) is not None


def flatbuffer_field_offset(data: bytes, table: int, field: int) -> int | None:
    """Offset of a field in a flatbuffer table, None if it is absent."""
    layout = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, layout)[0]
    if 4 + 2 * field + 2 > size:
        return None
    offset = struct.unpack_from("<H", data, layout + 4 + 2 * field)[0]
    return table + offset if offset else None
