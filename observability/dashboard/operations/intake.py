"""How does an upload become a model: kept on disk while it is looked at, inferred from, registered, its logs loaded, and deleted after?

The only module of the pages that writes to the store, beside removal (observability/dashboard/operations/store.py).
"""

import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.errors import UsageError
from observability.dashboard import load

if TYPE_CHECKING:
    from streamlit.typing import UploadedFile

    from observability.store.ingest.line_counts import LoadReport
    from observability.store.registry.register import Registration
    from observability.store.registry.register_types import Inference, Request

SUFFIXES = ("csv", "parquet", "jsonl")
OLD_SECONDS = 24 * 3600
"""Copies that a closed tab left behind are deleted after a day."""
CHUNK = 1 << 20
MOST_VALUES = 20


def uploads() -> Path:
    """Where copies of uploads lie while they are needed; only this user may read them."""
    folder = load.home() / "uploads"
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > OLD_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def keep(upload: "UploadedFile") -> Path:
    """Copy an upload to disk. The copy has a name of our own; only the ending is taken from the upload. Raises UsageError for another ending."""
    suffix = Path(upload.name).suffix.lower().removeprefix(".")
    if suffix not in SUFFIXES:
        raise UsageError(
            "this kind of file cannot be read", got=Path(upload.name).suffix or "no ending", expected=".csv, .parquet or .jsonl"
        )
    folder = uploads() / secrets.token_hex(8)
    folder.mkdir(mode=0o700)
    path = folder / f"upload.{suffix}"
    upload.seek(0)
    with path.open("wb") as file:
        shutil.copyfileobj(upload, file, CHUNK)
    return path


def discard(path: Path | None) -> None:
    """Delete the copy of an upload."""
    if path is not None and path.parent.parent == load.home() / "uploads":
        shutil.rmtree(path.parent, ignore_errors=True)


def column_names(path: Path) -> list[str]:
    """Names of the columns of a CSV or Parquet file, or of the fields of the first lines of a JSONL file. Raises UsageError."""
    from observability.store.registry.register import read
    from observability.store.registry.register_types import Request

    return list(read(Request(model="m", version="1", reference=path)).table.column_names)


def few_values(path: Path, column: str) -> list[str]:
    """Different values of a column as text, most frequent first; none where there are more than MOST_VALUES."""
    from observability.store.registry.register import read
    from observability.store.registry.register_types import Request

    counted = read(Request(model="m", version="1", reference=path)).table[column].value_counts().to_pylist()
    known = sorted((each for each in counted if each["values"] is not None), key=lambda each: -each["counts"])
    return [canonical(each["values"]) for each in known] if len(known) <= MOST_VALUES else []


def canonical(value: object) -> str:
    """A label as the store writes it: `true`, and whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def infer(request: "Request") -> "Inference":
    """What the file says; nothing is stored. Raises UsageError."""
    from observability.store.registry.register import infer_file

    return infer_file(request)


def sentences(inference: "Inference") -> list[str]:
    """What was inferred, in plain words; warnings begin with "Warning: "."""
    from observability.store.registry.describe import describe

    return describe(inference)


def request(model: str, version: str, path: Path, changes: Mapping[str, Any] | None = None) -> "Request":
    """What the page says about a version, with what a person corrected."""
    from observability.store.registry.register_types import Request, corrected

    return corrected(Request(model=model.strip(), version=version.strip(), reference=path), changes or {})


def register(asked: "Request", progress: Callable[[str], object]) -> "Registration":
    """Store the version with its reference, all or nothing. Raises UsageError."""
    from observability.store.registry.register import register as store_version

    return store_version(load.store(), asked, progress=progress)


def load_logs(
    paths: Sequence[Path],
    *,
    kind: str,
    model: str,
    version: str,
    features: tuple[str, ...] | None,
    renames: Mapping[str, str],
    timezone: str | None,
    progress: Callable[[int, int, int], object],
) -> "LoadReport":
    """Load serving logs of one model. Raises UsageError for a wrong file, before any row is stored."""
    from observability.store.ingest.loader import load_files
    from observability.store.ingest.parse_types import Defaults

    defaults = Defaults(
        kind=kind, model=model, version=version if kind == "prediction" else None, features=features, renames=renames, timezone=timezone
    )
    return load_files(load.store(), paths, defaults, progress)


def renames_for(inference: "Inference | None", columns: Sequence[str]) -> dict[str, str]:
    """What the log's columns are likely called in our words: the reference's score, label, time and prediction, where the log has them."""
    if inference is None:
        return {}
    likely = {inference.label: "label"}
    if len(inference.scores) == 1:
        likely[inference.scores[0][1]] = "score"
    if inference.at:
        likely[inference.at] = "at"
    if inference.prediction:
        likely[inference.prediction] = "prediction"
    return {theirs: ours for theirs, ours in likely.items() if theirs in columns and theirs != ours}
