"""Model artifacts: detect the kind of a file, and keep a copy in the home folder.

Formats that run code when they are opened (pickle, joblib, PyTorch) are rejected. Files are inspected here but never loaded; a worker
process does that. A copy is named by the SHA-256 of its content, so that it can be verified later and never replaces another.
"""

import hashlib
import os
import re
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal, cast, get_args
from urllib.parse import quote

from observability.core.errors import UsageError
from observability.records.private_file import make_private_folder, sync_folder

ArtifactKind = Literal["lightgbm", "xgboost", "skops", "onnx"]
ENDINGS: dict[ArtifactKind, str] = {"lightgbm": "txt", "xgboost": "json", "skops": "skops", "onnx": "onnx"}
EXPECTED = "a LightGBM text file, XGBoost JSON, skops or ONNX"
CONVERSION = """Where the model was trained, run
    import joblib, skops.io
    model = joblib.load("{name}")
    skops.io.dump(model, "model.skops")
and give model.skops; a booster is saved with save_model (LightGBM to .txt, XGBoost to .json), any other model as ONNX"""
"""Advice about a pickle: the lines that write the model in a format that runs no code."""
FOLDER = "artifacts"
MAX_BYTES = 4 * 1024**3
PICKLED_NAMES = (".pkl", ".pickle", ".joblib", ".pt", ".pth", ".dill", ".cloudpickle")
COMPRESSED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"\x04\x22\x4d\x18": "lz4"}
KEPT_NAME = re.compile(r"^([a-z]+)-([0-9a-f]{64})\.[a-z]+$")
ONNX_FIELDS = {1: 0, 2: 2, 3: 2, 4: 2, 5: 0, 6: 2, 7: 2, 8: 2, 14: 2, 20: 2, 25: 2, 26: 2}
"""Fields of ONNX's ModelProto and their wire types: 7 is the graph, 8 the operator sets (onnx.proto)."""


@dataclass(frozen=True)
class Artifact:
    """A stored copy. path: relative to the home folder, as in the catalog. sha256: of the content, in hexadecimal."""

    path: str
    kind: ArtifactKind
    sha256: str

    def file(self, home: Path) -> Path:
        """The path of the stored copy under a home."""
        return home / self.path


def detect_artifact_kind(path: Path) -> ArtifactKind:
    """The kind of a model file, from its content. Raises UsageError if it cannot be read safely."""
    name = path.name
    try:
        if not path.is_file():
            raise UsageError("the artifact is missing or not a file", got=path, attempt="Check --artifact")
        size = path.stat().st_size
        with path.open("rb") as file:
            return _open_file_kind(file, size, name)
    except OSError as error:
        raise UsageError("the artifact cannot be read", where=name, got=error.strerror) from error


def _open_file_kind(file: BinaryIO, size: int, name: str) -> ArtifactKind:
    """The kind of an open model file."""
    if size == 0 or size > MAX_BYTES:
        got = "an empty file" if size == 0 else f"{size / 1024**3:.1f} GB"
        raise UsageError("the artifact has a wrong size", where=name, got=got, expected=f"at most {MAX_BYTES // 1024**3} GB")
    head = file.read(4096)
    pickled = (head[:1] == b"\x80" and len(head) > 1 and head[1] <= 5) or name.lower().endswith(PICKLED_NAMES)
    if head.startswith(b"PK\x03\x04"):
        members = _zip_members(file, name)
        if "schema.json" in members:
            return "skops"
        pickled = pickled or any(member.endswith(".pkl") for member in members)
    if pickled:
        raise UsageError(
            "pickle and joblib files run code when they are opened, so they are rejected",
            where=name,
            expected=EXPECTED,
            attempt=CONVERSION.format(name=name),
        )
    for start, compression in COMPRESSED.items():
        if head.startswith(start):
            raise UsageError("the artifact is compressed", where=name, got=compression, expected=EXPECTED, attempt="Give it unpacked")
    if re.match(rb"tree\r?\nversion=v\d", head):
        return "lightgbm"
    if _is_xgboost(file, head):
        return "xgboost"
    file.seek(0)
    if _is_onnx(file, size):
        return "onnx"
    raise UsageError("the artifact is of no known kind", where=name, expected=EXPECTED)


def _zip_members(file: BinaryIO, name: str) -> set[str]:
    """Names of the files in a zip archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            return set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UsageError("the artifact is a damaged archive", where=name, got=error) from None


def _is_xgboost(file: BinaryIO, head: bytes) -> bool:
    """Whether a file looks like a file of XGBoost's save_model: one JSON object whose first key is `learner`, `version` or `Config`."""
    if not re.match(rb'\s*\{\s*"(learner|version|Config)"\s*:', head) or b'"learner"' not in head:
        return False
    file.seek(-min(64, file.seek(0, os.SEEK_END)), os.SEEK_END)
    return file.read().rstrip().endswith(b"}")


def _is_onnx(file: BinaryIO, size: int) -> bool:
    """Whether the whole file is a protocol buffer with the fields of ONNX's ModelProto."""
    seen: set[int] = set()
    while file.tell() < size:
        tag = _varint(file)
        if tag is None or ONNX_FIELDS.get(tag >> 3) != tag & 7:
            return False
        length = _varint(file)
        if length is None:
            return False
        if tag & 7 == 2:
            if file.tell() + length > size:
                return False
            file.seek(length, os.SEEK_CUR)
        seen.add(tag >> 3)
    return {1, 7, 8} <= seen


def _varint(file: BinaryIO) -> int | None:
    """The next number of a protocol buffer; None at the end, or if it is longer than ten bytes."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return value
    return None


def store_artifact(home: Path, key: int, version: str, source: Path) -> Artifact:
    """Copy a model file into the home folder. Raises UsageError as `detect_artifact_kind` does, and then leaves no copy.

    The copy is checked, not the source, so that a source that changes meanwhile cannot pass the check.
    """
    detect_artifact_kind(source)
    folder = home / FOLDER / str(key) / version_folder(version)
    make_private_folder(folder)
    handle, partial = tempfile.mkstemp(prefix=".partial-", suffix=source.suffix[:20], dir=folder)
    try:
        digest = hashlib.sha256()
        with os.fdopen(handle, "wb") as target, source.open("rb") as file:
            while chunk := file.read(1 << 20):
                digest.update(chunk)
                target.write(chunk)
            target.flush()
            os.fsync(target.fileno())
        kind = detect_artifact_kind(Path(partial))
        name = f"{kind}-{digest.hexdigest()}.{ENDINGS[kind]}"
        Path(partial).replace(folder / name)
        sync_folder(folder)
    except BaseException:
        with suppress(OSError):
            Path(partial).unlink()
        raise
    return Artifact(str((folder / name).relative_to(home)), kind, digest.hexdigest())


def stored_artifact(path: str | None) -> Artifact | None:
    """The artifact of a catalog entry, or None."""
    match = KEPT_NAME.match(Path(path).name) if path else None
    if path is None or match is None or match[1] not in get_args(ArtifactKind):
        return None
    return Artifact(path, cast("ArtifactKind", match[1]), match[2])


def is_intact(home: Path, artifact: Artifact) -> bool:
    """Whether the copy exists and still has its original content."""
    try:
        with artifact.file(home).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == artifact.sha256
    except OSError:
        return False


def discard_artifact(home: Path, artifact: Artifact) -> None:
    """Delete one copy. A missing copy is not an error."""
    with suppress(OSError):
        artifact.file(home).unlink()


def version_folder(version: str) -> str:
    """Folder name of a version: percent-encoded, never `.` or `..`, of bounded length."""
    name = quote(version, safe="").replace(".", "%2E") if set(version) <= {"."} else quote(version, safe="")
    return name if len(name) <= 150 else f"{name[:80]}-{hashlib.sha256(version.encode()).hexdigest()[:32]}"
