"""Asks a model the questions of a probe set, and encodes its free-text answers as vectors with the encoder that the set names, in the
confined worker process (worker/).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from observability.probing.answer_vectors import EMBEDDING, ENCODER, packed_vector
from observability.probing.ask import AskedSet, ask_set
from observability.probing.probe_file import ProbeSet
from observability.probing.sentence_encoder import SentenceEncoder, find_encoder
from observability.worker.limits import WorkerError
from observability.worker.process import warm_worker
from observability.worker.requests import encode_texts

TRIAL = "Is the encoder there?"


@dataclass(frozen=True)
class EncodedSet:
    """A probe set with its answers. encoder: the name of the encoder of free-text answers; None if none was used. failure: why the answers
    have no vectors although there is an encoder; empty if they have vectors.
    """

    asked: AskedSet
    encoder: str | None = None
    failure: str = ""


def ask_and_encode(probe: ProbeSet, environ: Mapping[str, str], **options: Any) -> EncodedSet:
    """Ask a set, as `ask_set` does with `options`. If the set names an encoder and asks for free text, encode the answers.

    The encoder is tried before the first question. Raises UsageError if the file is missing or is not an encoder, and WorkerError if the
    encoder breaks. Answers whose encoding fails later are kept without vectors.
    """
    encoder = find_encoder(Path(probe.encoder)) if probe.encoder and not (probe.answers or probe.pattern) else None
    if encoder is None:
        return EncodedSet(ask_set(probe, environ, **options))
    encode_texts(warm_worker(), encoder, [TRIAL])
    asked = ask_set(probe, environ, **options)
    try:
        return EncodedSet(replace(asked, records=_with_vectors(asked.records, encoder)), encoder.name)
    except WorkerError as error:
        return EncodedSet(asked, None, str(error))


def _with_vectors(records: tuple[dict[str, Any], ...], encoder: SentenceEncoder) -> tuple[dict[str, Any], ...]:
    """The records. Records with an answer also get its vector and the encoder's name."""
    answered = [record for record in records if record.get("prediction")]
    if not answered:
        return records
    vectors = encode_texts(warm_worker(), encoder, [record["prediction"] for record in answered])
    packed = {
        record["id"]: {ENCODER: encoder.name, EMBEDDING: packed_vector(vector)} for record, vector in zip(answered, vectors, strict=True)
    }
    return tuple(record | packed.get(record["id"], {}) for record in records)
