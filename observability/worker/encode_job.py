"""The job that turns texts into vectors with a sentence encoder in ONNX. Token vectors are averaged over the attention mask and scaled to
length 1.
"""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from observability.core.errors import UsageError
from observability.stats.arrays import Array, Floats
from observability.stats.text_similarity import mean_pooled
from observability.worker.job import Output, Report

BATCH, MAX_TOKENS = 32, 256
"""Number of texts that are encoded at once, and number of tokens of a text that are read if the tokenizer states no length."""
INPUTS = ("input_ids", "attention_mask", "token_type_ids")
WHOLE = {"tensor(int64)": np.int64, "tensor(int32)": np.int32}


def encode_texts(frames: "dict[str, pd.DataFrame]", arguments: dict[str, Any], files: dict[str, Path], report: Report) -> Output:
    """The vectors of `texts`, in the frame `vectors`, one row per text. files: `model` (ONNX) and `tokenizer` (tokenizer.json).

    Raises UsageError if a package is missing or the files are not an encoder.
    """
    texts = [str(text) for text in arguments["texts"]]
    tokenizer, session = _open_tokenizer(files["tokenizer"]), _open_session(files["model"])
    wanted = {each.name: WHOLE[each.type] for each in session.get_inputs()}
    found = []
    for start in range(0, len(texts), BATCH):
        rows = tokenizer.encode_batch(texts[start : start + BATCH])
        given = _model_inputs(rows)
        try:
            output = session.run(None, {name: given[name].astype(kind) for name, kind in wanted.items()})[0]
        except Exception as error:
            raise UsageError(
                "the encoder cannot read these texts", where="model.onnx", got=f"{type(error).__name__}: {error}"[:300]
            ) from None
        found.append(_sentence_vectors(np.asarray(output), given["attention_mask"]))
        report(min((start + BATCH) / len(texts), 1.0), f"{min(start + BATCH, len(texts)):,} of {len(texts):,} answers")
    vectors = pd.DataFrame(np.concatenate(found))
    return Output({"size": vectors.shape[1]}, {"vectors": vectors.rename(columns=str)})


def _missing_package(name: str) -> UsageError:
    """The error for an optional package that is not installed."""
    attempt = "Run: pip install 'observability-dashboard[encoder]'"
    return UsageError(f"the sentence encoder needs the package {name}, which is not installed", attempt=attempt)


def _open_tokenizer(path: Path) -> Any:
    """The tokenizer of a file, which cuts texts and does not pad them."""
    try:
        import tokenizers
    except ImportError:
        raise _missing_package("tokenizers") from None
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        found = tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:
        raise UsageError(
            "the tokenizer cannot be read", where="tokenizer.json", got=str(error)[:300], expected="a tokenizer.json"
        ) from None
    found.no_padding()
    if found.truncation is None:
        found.enable_truncation(MAX_TOKENS)
    return found


def _open_session(path: Path) -> Any:
    """The model of a file. Raises UsageError if it lacks the inputs of an encoder."""
    try:
        import onnxruntime
    except ImportError:
        raise _missing_package("onnxruntime") from None
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise UsageError("the encoder cannot be read as ONNX", where="model.onnx", got=f"{type(error).__name__}: {error}"[:300]) from None
    strange = [f"{each.name} ({each.type})" for each in session.get_inputs() if each.name not in INPUTS or each.type not in WHOLE]
    if strange or INPUTS[0] not in {each.name for each in session.get_inputs()}:
        got = ", ".join(strange) or f"no {INPUTS[0]}"
        raise UsageError(
            "the model is no sentence encoder", where="model.onnx", got=got, expected=f"inputs {', '.join(INPUTS)} of integers"
        )
    return session


def _model_inputs(rows: list[Any]) -> dict[str, Array]:
    """The inputs of tokenized texts, padded with zeros that the mask leaves out. For a text without tokens, one of the zeros counts."""
    longest = max(1, *(len(row.ids) for row in rows))
    given = {name: np.zeros((len(rows), longest), np.int64) for name in INPUTS}
    for place, row in enumerate(rows):
        for name, values in zip(INPUTS, (row.ids, row.attention_mask, row.type_ids), strict=True):
            given[name][place, : len(values)] = values
    given["attention_mask"][given["attention_mask"].sum(axis=1) == 0, 0] = 1
    return given


def _sentence_vectors(output: Array, mask: Array) -> Floats:
    """The vectors of a batch, scaled to length 1. They are pooled from the vectors of tokens, unless the model pools them itself."""
    if output.ndim not in (2, 3) or len(output) != len(mask):
        expected = "(texts, tokens, numbers) or (texts, numbers)"
        raise UsageError(
            "the model is no sentence encoder", where="model.onnx", got=f"an output of shape {output.shape}", expected=expected
        )
    vectors = mean_pooled(output, mask) if output.ndim == 3 else output.astype(np.float64)
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
