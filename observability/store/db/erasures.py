"""Erased subjects as keyed hashes. The hashes identify later records about these subjects, in arriving records and in restored backups.

`HOME/erasures.jsonl` is the record of erasures, one JSON object per line: when, by whom, the hash of the subject and of the ids of its
predictions, and how much was erased. It holds no subject and no id. The key is kept in another place (records/keyed_hash.py).
"""

import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from observability.core.errors import StoreBrokenError
from observability.core.formatting import format_minute, plural
from observability.records.keyed_hash import key_name, key_path, keyed_hash, stored_key
from observability.records.private_file import replace_private_file

FILE = "erasures.jsonl"
MARK = "[erased]"
"""The text that replaces an erased subject or id in texts that are kept."""
SHORTEST_WORD = 6
"""Minimum number of characters: shorter subjects and ids are not searched for inside texts, because they would match unrelated words."""
MAX_WORDS = 12
WORD = re.compile(r"[^\W_]+")
SUBJECT_FIELD = re.compile(rb'"subject"\s*:\s*("(?:[^"\\]|\\.)*"|-?[\d.]+)')
ID_FIELD = re.compile(rb'"(?:id|prediction)"\s*:\s*("(?:[^"\\]|\\.)*"|-?[\d.]+)')
MODEL_FIELD = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
SIGNATURE = re.compile(rb'"kind"\s*:\s*"signature"')
ESCAPED_NAME = re.compile(rb'\\u00[4-7][0-9A-Fa-f](?:[^"\\]|\\.)*"\s*:')
"""A letter of the alphabet written as an escape in the name of a field. JSON allows this, and the patterns above do not find such names."""


@dataclass(frozen=True)
class Erasure:
    """One erased subject. subject: its hash. predictions: by model, the hashes of the ids of its predictions. key: name of the key.

    core: the hash of the subject's core (`text_core`). shapes: (words, characters) of the subject and of the ids, which make the search in
    texts fast. finished: whether every place was erased. counts: the numbers of erased records.
    """

    at: str
    by: str
    key: str
    subject: str
    core: str
    predictions: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shapes: tuple[tuple[int, int], ...] = ()
    finished: bool = False
    counts: Mapping[str, Any] = field(default_factory=dict)


def erasures(home: Path) -> list[Erasure]:
    """The erasures of a home, oldest first; for each subject, the newest line. Raises StoreBrokenError if the file cannot be read."""
    found: dict[tuple[str, str], Erasure] = {}
    try:
        for line in (home / FILE).read_text(encoding="utf-8").splitlines():
            body = json.loads(line)
            body["predictions"] = {model: tuple(hashes) for model, hashes in body["predictions"].items()}
            body["shapes"] = tuple((int(words), int(size)) for words, size in body["shapes"])
            erasure = Erasure(**body)
            found[erasure.key, erasure.subject] = erasure
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        attempt = "Restore the file from a backup: it says which subjects must not be stored again"
        raise StoreBrokenError("the record of erasures cannot be read", where=str(home / FILE), got=error, attempt=attempt) from None
    return list(found.values())


def write_erasures(home: Path, changed: Iterable[Erasure]) -> None:
    """Add erasures to the record of a home, or replace those of the same subjects. Raises OSError, StoreBrokenError."""
    kept = {(erasure.key, erasure.subject): erasure for erasure in [*erasures(home), *changed]}
    replace_private_file(home / FILE, "".join(json.dumps(asdict(erasure)) + "\n" for erasure in kept.values()))


def erasure_problems(home: Path) -> list[str]:
    """Problems with erasures that people should see: an erasure that did not finish, or whose key is missing."""
    try:
        known = erasures(home)
        key = stored_key(home) if known else None
    except (StoreBrokenError, OSError, ValueError) as error:
        return [f"Erased subjects are unknown: {error}"]
    name = None if key is None else key_name(key)
    found = [
        f"An erasure that began at {format_minute(datetime.fromisoformat(erasure.at))} UTC did not finish. Run forget again "
        "with the same subject"
        for erasure in known
        if not erasure.finished
    ]
    if missing := sum(erasure.key != name for erasure in known):
        found.append(
            f"The key of {plural(missing, 'erasure')} is missing, so that nothing is loaded: "
            "later records of these subjects could not be recognized. "
            f"Put it back as {key_path(home)}"
        )
    return found


def matcher_of(home: Path) -> "ErasedMatcher | None":
    """The matcher of erased subjects; None if nothing was erased. Raises StoreBrokenError if the key of an erasure is missing."""
    known = erasures(home)
    return ErasedMatcher(_key_of(home, known), known) if known else None


def merged_erasures(home: Path, backup: Path) -> list[Erasure]:
    """The erasures of a home and of a backup. Raises StoreBrokenError if the key of an erasure is missing."""
    own = {(erasure.key, erasure.subject): erasure for erasure in [*erasures(backup), *erasures(home)]}
    if own:
        _key_of(home, list(own.values()))
    return list(own.values())


def _key_of(home: Path, known: list[Erasure]) -> bytes:
    """The key under which subjects were erased. Raises StoreBrokenError if it is missing."""
    try:
        key = stored_key(home)
    except (OSError, ValueError) as error:
        raise StoreBrokenError("the key of erasures cannot be read", where=str(key_path(home)), got=error) from None
    if key is None or any(erasure.key != key_name(key) for erasure in known):
        raise StoreBrokenError(
            "subjects were erased under a key that is missing, so their later records could not be recognized",
            where=str(key_path(home)),
            attempt="Put the key file back, or name it with OBSERVABILITY_KEY_FILE",
        )
    return key


@dataclass
class ErasedMatcher:
    """Finds out, from hashes alone, whether values, texts and lines are about erased subjects."""

    key: bytes
    known: list[Erasure]
    _hashes: dict[str, str] = field(default_factory=dict)

    @cached_property
    def subjects(self) -> frozenset[str]:
        """The hashes of the subjects."""
        return frozenset(erasure.subject for erasure in self.known)

    @cached_property
    def predictions(self) -> dict[str, frozenset[str]]:
        """By model, the hashes of the ids of erased predictions."""
        found: dict[str, set[str]] = {}
        for erasure in self.known:
            for model, hashes in erasure.predictions.items():
                found.setdefault(model, set()).update(hashes)
        return {model: frozenset(hashes) for model, hashes in found.items()}

    @cached_property
    def _names(self) -> frozenset[str]:
        return self.subjects.union((erasure.core for erasure in self.known), *self.predictions.values())

    @cached_property
    def _shapes(self) -> tuple[frozenset[int], frozenset[tuple[int, int]]]:
        shapes = {shape for erasure in self.known for shape in erasure.shapes if shape[1] >= SHORTEST_WORD}
        return frozenset(words for words, _ in shapes), frozenset(shapes)

    def hashed(self, text: str) -> str:
        """The hash of a text; hashes are cached, since values repeat."""
        found = self._hashes.get(text)
        if found is None:
            if len(self._hashes) > 500_000:
                self._hashes.clear()
            found = self._hashes[text] = keyed_hash(self.key, text)
        return found

    def is_subject(self, value: object) -> bool:
        """Whether a value is an erased subject."""
        return value is not None and self.hashed(str(value)) in self.subjects

    def is_prediction(self, model: str | None, value: object) -> bool:
        """Whether a value is the id of an erased prediction of a model; if `model` is None, of any model."""
        hashes = self.predictions.get(model, frozenset()) if model is not None else frozenset().union(*self.predictions.values())
        return bool(hashes) and value is not None and self.hashed(str(value)) in hashes

    def cleaned_text(self, text: str) -> str:
        """The text with MARK in place of erased subjects and ids of at least SHORTEST_WORD characters."""
        spans = self._spans(text)
        if not spans and "%" in text and (plain := unquote(text)) != text and self._spans(plain):
            return MARK
        for start, end in reversed(spans):
            text = text[:start] + MARK + text[end:]
        return text

    def cleaned_json(self, value: Any) -> Any:
        """A JSON value with MARK in place of erased subjects and ids in its texts and keys."""
        if isinstance(value, str):
            return self.cleaned_text(value)
        if isinstance(value, dict):
            return {self.cleaned_text(name): self.cleaned_json(member) for name, member in value.items()}
        return [self.cleaned_json(member) for member in value] if isinstance(value, list) else value

    def _spans(self, text: str) -> list[tuple[int, int]]:
        """The places of erased subjects and ids in a text, in order and without overlap; of several that overlap, the longest."""
        counts, shapes = self._shapes
        if not shapes:
            return []
        words, found, free = [match.span() for match in WORD.finditer(text)], [], 0
        for place, (start, _) in enumerate(words):
            if start < free:
                continue
            for count in sorted(counts, reverse=True):
                if place + count > len(words):
                    continue
                end = words[place + count - 1][1]
                if (count, end - start) in shapes and self.hashed(text[start:end]) in self._names:
                    found.append((start, end))
                    free = end
                    break
        return found

    def is_about(self, line: bytes) -> bool:
        """Whether a line of JSON, well-formed or not, is a record about an erased subject or one of its predictions."""
        if ESCAPED_NAME.search(line):
            line = _with_plain_names(line)
        if any(self.is_subject(_json_value(value)) for value in SUBJECT_FIELD.findall(line)) and not _is_signature(line):
            return True
        if not self.predictions:
            return False
        ids = [_json_value(value) for value in ID_FIELD.findall(line)]
        if not any(self.is_prediction(None, value) for value in ids):
            return False
        models = [_json_value(value) for value in MODEL_FIELD.findall(line)] or [None]
        return any(self.is_prediction(None if model is None else str(model), value) for model in models for value in ids)

    def erased_lines(self, raw: bytes) -> list[int]:
        """The places (from 0) of the lines of a buffer that are about erased subjects."""
        hits = [match.start() for match in SUBJECT_FIELD.finditer(raw) if self.is_subject(_json_value(match[1]))]
        if self.predictions:
            hits += [match.start() for match in ID_FIELD.finditer(raw) if self.is_prediction(None, _json_value(match[1]))]
        hits += [match.start() for match in ESCAPED_NAME.finditer(raw)]
        if not hits:
            return []
        bounds = sorted({(raw.rfind(b"\n", 0, hit) + 1, end if (end := raw.find(b"\n", hit)) >= 0 else len(raw)) for hit in hits})
        chosen = [start for start, end in bounds if self.is_about(raw[start:end])]
        places, before, count = [], 0, 0
        for start in chosen:
            count += raw.count(b"\n", before, start)
            before = start
            places.append(count)
        return places


def without_lines(raw: bytes, places: Iterable[int]) -> bytes:
    """A buffer whose lines at these places are empty; the other lines keep their numbers."""
    lines = raw.split(b"\n")
    for place in places:
        lines[place] = b""
    return b"\n".join(lines)


def text_core(text: str) -> str:
    """A text from its first word to its last; this part is searched for inside longer texts."""
    words = [match.span() for match in WORD.finditer(text)]
    return text[words[0][0] : words[-1][1]] if words else text


def text_shape(text: str) -> tuple[int, int]:
    """The number of words and of characters of a text's core."""
    core = text_core(text)
    return len(WORD.findall(core)), len(core)


def new_erasure(key: bytes, subject: str, by: str, ids: Mapping[str, Iterable[str]], earlier: Erasure | None = None) -> Erasure:
    """An erasure that has begun. earlier: an erasure of the same subject; its ids are kept."""
    predictions = {model: set(hashes) for model, hashes in (earlier.predictions if earlier else {}).items()}
    shapes = {text_shape(subject), *(earlier.shapes if earlier else ())}
    for model, found in ids.items():
        names = list(found)
        cores = {text for name in names for text in (name, text_core(name))}
        predictions.setdefault(model, set()).update(keyed_hash(key, text) for text in cores)
        shapes |= {text_shape(name) for name in names}
    return Erasure(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        by=by,
        key=key_name(key),
        subject=keyed_hash(key, subject),
        core=keyed_hash(key, text_core(subject)),
        predictions={model: tuple(sorted(hashes)) for model, hashes in sorted(predictions.items())},
        shapes=tuple(sorted(shape for shape in shapes if 0 < shape[0] <= MAX_WORDS)),
        counts=dict(earlier.counts) if earlier else {},
    )


def _with_plain_names(line: bytes) -> bytes:
    """A line of JSON without escapes of letters; any other line unchanged."""
    with suppress(ValueError, RecursionError):
        return json.dumps(json.loads(line)).encode()
    return line


def _is_signature(line: bytes) -> bool:
    """Whether a line is a record of the kind signature, whose subject is not a person."""
    if SIGNATURE.search(line):
        with suppress(ValueError, RecursionError):
            record = json.loads(line)
            return isinstance(record, dict) and record.get("kind") == "signature"
    return False


def _json_value(text: bytes) -> object:
    """The value of a JSON text or number; the text itself if it is neither."""
    with suppress(ValueError):
        return json.loads(text)
    return text.decode("utf-8", "replace").strip('"')
