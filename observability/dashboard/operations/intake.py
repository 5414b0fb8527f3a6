"""Uploads of the page that adds a model. A file is copied to disk, read by the inference, registered or loaded, and then deleted.

Besides the part that removes models (operations/store.py), this is the only module of the pages that writes to the store's registry.
"""

import re
import secrets
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from observability.core.errors import UsageError
from observability.dashboard import load
from observability.dashboard.sign_in import require_owner

if TYPE_CHECKING:
    from streamlit.typing import UploadedFile

    from observability.store.types.loading import LoadReport
    from observability.store.types.registration import Inference, RegistrationRequest

SUFFIXES = ("csv", "csv.gz", "parquet", "jsonl", "jsonl.gz")
OLD_SECONDS = 24 * 3600
"""Age in seconds from which the copies that closed tabs left are deleted: a day."""
CHUNK = 1 << 20
MAX_VALUES = 20
LONGEST_NAME = 60


def _upload_folder() -> Path:
    """Return the folder of temporary copies of uploads, which only this user can read. Old copies are deleted."""
    folder = load.home() / "uploads"
    folder.mkdir(mode=0o700, exist_ok=True)
    for old in folder.iterdir():
        if time.time() - old.stat().st_mtime > OLD_SECONDS:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def keep_upload(upload: "UploadedFile") -> Path:
    """Copy an upload to disk under its own name, without special characters, in a folder with a generated name. Raises UsageError if the
    file name has an unknown ending, or if this process does not own the store and so cannot load the file.
    """
    require_owner()
    suffix = next((each for each in SUFFIXES if upload.name.lower().endswith(f".{each}")), None)
    if suffix is None:
        expected = ", ".join(f".{each}" for each in SUFFIXES)
        raise UsageError("this kind of file cannot be read", got=Path(upload.name).suffix or "no ending", expected=expected)
    folder = _upload_folder() / secrets.token_hex(8)
    folder.mkdir(mode=0o700)
    name = re.sub(r"[^\w .()-]", "_", Path(upload.name).name[: -len(suffix) - 1])[:LONGEST_NAME]  # errors name the file
    return _copied(upload, folder / f"{name.strip(' .') or 'upload'}.{suffix}")


def keep_artifact(upload: "UploadedFile", reference: Path) -> Path:
    """Copy a model file to a place beside the copy of its reference; both are deleted together."""
    ending = re.sub(r"[^a-z0-9.]", "", Path(upload.name).suffix.lower())[:16]
    return _copied(upload, reference.parent / "artifact" / f"model{ending}")


def _copied(upload: "UploadedFile", path: Path) -> Path:
    """Copy an upload to a path, and return the path."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    upload.seek(0)
    with path.open("wb") as file:
        shutil.copyfileobj(upload, file, CHUNK)
    return path


def discard_upload(path: Path | None) -> None:
    """Delete the copy of an upload."""
    if path is not None and path.parent.parent == load.home() / "uploads":
        shutil.rmtree(path.parent, ignore_errors=True)


def upload_column_names(path: Path, decimal: str | None = None) -> list[str]:
    """Return the names of the columns of a CSV or Parquet file, or of the fields in the first lines of a JSONL file. Raises UsageError."""
    from observability.store.registry.infer import read_request_file
    from observability.store.types.registration import RegistrationRequest

    request = RegistrationRequest(model="m", version="1", reference=path, decimal=decimal)
    return list(read_request_file(request).table.column_names)


def upload_label_values(path: Path, column: str) -> list[str]:
    """Distinct values of a column as text, most frequent first; none if there are more than MAX_VALUES."""
    from observability.store.registry.infer import read_request_file
    from observability.store.types.registration import RegistrationRequest

    counted = read_request_file(RegistrationRequest(model="m", version="1", reference=path)).table[column].value_counts().to_pylist()
    known = sorted((each for each in counted if each["values"] is not None), key=lambda each: -each["counts"])
    return [_label_text(each["values"]) for each in known] if len(known) <= MAX_VALUES else []


def _label_text(value: object) -> str:
    """Return a label in the form in which the store writes it: `true`, and whole numbers without a decimal point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def inferred_upload(request: "RegistrationRequest") -> "Inference":
    """The inference from the file; nothing is stored. Raises UsageError."""
    from observability.store.registry.infer import infer_reference_file

    return infer_reference_file(request)


def inference_sentences(inference: "Inference") -> list[str]:
    """The inference as sentences; warnings begin with "Warning: "."""
    from observability.store.registry.describe import describe_inference

    return describe_inference(inference)


def registration_request(
    model: str, version: str, path: Path, changes: Mapping[str, Any] | None = None, *, settings: str = ""
) -> "RegistrationRequest":
    """The request to register a version, with corrections. settings: TOML, written beside the copy of the reference."""
    from observability.store.types.registration import RegistrationRequest, corrected_request

    file = path.parent / "settings.toml"
    if settings:
        file.write_text(settings, encoding="utf-8")
    request = RegistrationRequest(model=model.strip(), version=version.strip(), reference=path, settings=file if settings else None)
    return corrected_request(request, changes or {})


def load_serving_logs(
    paths: Sequence[Path],
    of: "Inference",
    *,
    kind: str,
    renames: Mapping[str, str],
    scores: tuple[str, ...] = (),
    timezone: str | None,
    decimal: str | None = None,
    progress: Callable[[int, int, int], object],
) -> "LoadReport":
    """Load serving logs of a registered version. If a file is wrong, UsageError is raised before any row is stored."""
    from observability.store.types.loading import LoadDefaults

    defaults = LoadDefaults(kind=kind, model=of.model, renames=renames, timezone=timezone, decimal=decimal)
    if kind == "prediction":
        defaults = replace(defaults, version=of.version, scores=scores, features=tuple(feature.name for feature in of.features))
    return load.store().load_files(paths, defaults, progress)


def likely_renames(inference: "Inference | None", columns: Sequence[str]) -> dict[str, str]:
    """Return the likely renames of the log's columns, which map columns of the log to the reference's score, label, time and prediction."""
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
