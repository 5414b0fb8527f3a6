"""Find a sentence encoder on disk: an ONNX model and its tokenizer, as exported by sentence-transformers. Nothing is downloaded."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from observability.core.errors import UsageError

MODEL, TOKENIZER = "model.onnx", "tokenizer.json"
LAYOUT = f"a folder with {MODEL} (or onnx/{MODEL}) and {TOKENIZER}, or an .onnx file beside its {TOKENIZER}"
MAX_BYTES = 480_000_000
"""Maximum size of the model file. The confined process reads a copy of the file."""


@dataclass(frozen=True)
class SentenceEncoder:
    """An encoder. name: its folder, and the beginning of the SHA-256 of both files, so that different encoders have different names."""

    model: Path
    tokenizer: Path
    name: str


def find_encoder(path: Path) -> SentenceEncoder:
    """The encoder in a folder, or in an .onnx file. Raises UsageError, which states what is missing."""
    if not path.exists():
        raise UsageError("the encoder does not exist", where=path.name, got=path, expected=LAYOUT, attempt="Check the path")
    if path.is_dir():
        models, folders = [path / MODEL, path / "onnx" / MODEL], [path]
    else:
        models, folders = [path], [path.parent, path.parent.parent]
    model = next((each for each in models if each.is_file() and each.suffix == ".onnx"), None)
    tokenizer = next((folder / TOKENIZER for folder in folders if (folder / TOKENIZER).is_file()), None)
    if model is None or tokenizer is None:
        missing = f"no {MODEL}" if model is None else f"no {TOKENIZER}"
        attempt = "Export the encoder with its tokenizer, as optimum-cli export onnx does"
        raise UsageError("the encoder is not complete", where=path.name, got=missing, expected=LAYOUT, attempt=attempt)
    if model.stat().st_size > MAX_BYTES:
        got, most = f"{model.stat().st_size:,} bytes", f"at most {MAX_BYTES:,}"
        raise UsageError(
            "the encoder is too large", where=path.name, got=got, expected=most, attempt="Take a smaller one, or its int8 form"
        )
    digest = hashlib.sha256()
    try:
        for file in (model, tokenizer):
            digest.update(file.read_bytes())
    except OSError as error:
        raise UsageError("the encoder cannot be read", where=path.name, got=error.strerror, attempt="Check its permissions") from None
    return SentenceEncoder(model, tokenizer, f"{tokenizer.parent.name} {digest.hexdigest()[:12]}")
