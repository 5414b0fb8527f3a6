"""Erase a subject everywhere: the database, landing, files that were set aside, backups and lakes.

The order of the steps allows the process to be killed at any moment. First the erasure is noted; from then on later arrivals are refused.
Then every place is erased. Only after that is the erasure noted as finished. `status` shows an unfinished erasure, and the same command
continues where it stopped.
"""

import getpass
import json
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from observability.core.errors import UsageError
from observability.records.keyed_hash import home_key, key_path, keyed_hash
from observability.records.protection import HASHED, hashed_value
from observability.store.collected_places import collected_segments, rewrite_collected
from observability.store.db.connection import DATABASE
from observability.store.db.database import Database
from observability.store.db.erasures import ErasedMatcher, Erasure, erasures, new_erasure, text_core, write_erasures
from observability.store.db.failures import broken_disk
from observability.store.db.written_forms import written_forms
from observability.store.erase_rows import ErasedRows, erase_rows, prediction_ids
from observability.store.ingest import landing
from observability.store.ingest.erased_lines import clean_segment, cleaned_segment
from observability.store.lake.erase_lake import erase_from_lakes, erased_ids_in_lakes
from observability.store.rewritten_backups import remove_set_aside, rewrite_backups

Progress = Callable[[str], object]
PLACES = ("ready", "failed", "loaded")
"""Folders of landing whose segments are complete."""


def forget_subject(store: Database, subject: str, *, by: str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Erase a subject everywhere, and refuse its later records. If a model hashes subjects, also erase the hash of the subject; this result
    is under `hashed`.

    Returns and raises what `forget_value` does.
    """
    body = forget_value(store, subject, by=by, progress=progress)
    if any(model.settings.protect.get("subject") == "hash" for model in store.catalog().models) and not HASHED.fullmatch(subject):
        body["hashed"] = forget_value(store, hashed_value(home_key(store.home), subject), by=by, progress=progress)
    return body


def forget_value(store: Database, subject: str, *, by: str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Erase one value of `subject` everywhere, and refuse later records with it.

    Returns {hash, predictions: {model: n}, rows: {table: n}, texts, reviews, landing, waiting, set_aside: [file], backups: {rewritten:
    [name], removed: [name], unreachable: [folder]}, lakes: {rewritten: [address], unreachable: [address]}, collected: the same for
    segments of collectors, left: [sentence], bytes_before, bytes_after}. Raises UsageError for an empty subject, StoreBrokenError if the
    disk refuses; then the command can be repeated.
    """
    say = progress or (lambda text: None)
    if not text_core(subject).strip():
        raise UsageError("there is no subject to forget", got=repr(subject), attempt="Give the value of the field subject")
    try:
        with store.loading:
            key = home_key(store.home)
            erasure, ids = _begun(store, key, subject, by or getpass.getuser())
            matcher = ErasedMatcher(key, erasures(store.home))
            say("erasing rows")
            with store.write() as writer:
                rows = erase_rows(writer, matcher, store.home, subject, ids, threads=store.threads)
            say("erasing landing")
            names = None if ids is None else [subject, *ids]
            lines = _clean_landing(store.landing, matcher, names)
            collected = rewrite_collected(store.home, lambda raw: cleaned_segment(raw, matcher, names))
            waiting = store.waiting.erase(matcher) if store.waiting else 0
            aside = remove_set_aside(store.home)
            before = store.path.stat().st_size
            store.rewrite(lambda done, total: say(f"rewriting the store: {done:,} of {total:,} rows"))
            say("erasing backups")
            backups = _erase_backups(store.home, matcher, subject, ids, say)
            lakes = erase_from_lakes(store, matcher, names, say)
            left = _mentions_left(store.home, subject)
            counts = {"rows": dict(+rows.rows), "texts": rows.texts, "landing": lines, "backups": len(backups["rewritten"])}
            finished = not any(place["unreachable"] for place in (backups, lakes, collected))
            write_erasures(store.home, [replace(erasure, finished=finished, counts=counts)])
    except (OSError, ValueError) as error:
        raise broken_disk(error, store.home, "the subject could not be erased everywhere") from error
    return {
        "hash": erasure.subject,
        "predictions": {model: len(ids) for model, ids in rows.ids.items()},
        "rows": dict(+rows.rows),
        "texts": rows.texts,
        "reviews": rows.reviews,
        "landing": lines,
        "waiting": waiting,
        "set_aside": aside,
        "backups": backups,
        "lakes": lakes,
        "collected": collected,
        "left": left,
        "bytes_before": before,
        "bytes_after": store.path.stat().st_size,
    }


def apply_erasures(store: Database) -> ErasedRows | None:
    """Repeat all earlier erasures in a restored database and its landing; None if nothing was ever erased. Rewrites the database."""
    matcher = store.erased()
    if matcher is None:
        return None
    with store.loading:
        with store.write() as writer:
            rows = erase_rows(writer, matcher, store.home, threads=store.threads)
        _clean_landing(store.landing, matcher, None, ("ready", "failed"))  # loaded segments were cleaned when they were loaded
        if rows.texts or +rows.rows:
            store.rewrite()
    return rows


def _begun(store: Database, key: bytes, subject: str, by: str) -> tuple[Erasure, frozenset[str] | None]:
    """Note the beginning of an erasure, with the ids of the subject's predictions, or continue one that was not finished.

    Returns the ids too; they are None if an unfinished erasure may have deleted the rows that named them.
    """
    earlier = {erasure.subject: erasure for erasure in erasures(store.home)}.get(keyed_hash(key, subject))
    erasure = new_erasure(key, subject, by, {}, earlier)
    matcher = ErasedMatcher(key, [erasure])
    with store.cursor() as cursor:
        ids = {model.name: prediction_ids(cursor, model, matcher, subject) for model in store.catalog().models}
    for name, found in erased_ids_in_lakes(store, matcher).items():
        ids.setdefault(name, []).extend(found)
    ids = _with_waiting_ids(store.home, matcher, subject, ids)
    for name, found in (store.waiting.ids_about(matcher) if store.waiting else {}).items():
        ids.setdefault(name, []).extend(found)
    erasure = new_erasure(key, subject, by, {model: names for model, names in ids.items() if names}, earlier)
    write_erasures(store.home, [erasure])
    known = earlier is None or earlier.finished
    return erasure, frozenset(name for names in ids.values() for name in names) if known else None


def _with_waiting_ids(home: Path, matcher: ErasedMatcher, subject: str, ids: dict[str, list[str]]) -> dict[str, list[str]]:
    """The given ids, and further ids of predictions that are about the subject or contain it in their id. These come from segments that are
    being written, wait in landing or at the place of collectors, or were set aside.
    """
    for name in ("open", "ready", "failed"):  # a segment that is published in between is found in `ready`
        for segment in landing.segment_files(home / "landing" / name):
            with suppress(FileNotFoundError):
                for _, raw in landing.segment_blocks(segment.path):
                    _add_ids(ids, _predictions_about(raw, matcher, subject))
    for raw in collected_segments(home):
        _add_ids(ids, _predictions_about(raw, matcher, subject))
    return ids


def _add_ids(ids: dict[str, list[str]], records: Iterator[dict[str, Any]]) -> None:
    """Add the ids of these predictions to `ids`, which holds them by model."""
    for record in records:
        ids.setdefault(str(record.get("model")), []).append(str(record.get("id")))


def _predictions_about(raw: bytes, matcher: ErasedMatcher, subject: str) -> Iterator[dict[str, Any]]:
    """The predictions about the subject, or whose id contains it, among the lines of a buffer."""
    lines, about = raw.split(b"\n"), set(matcher.erased_lines(raw))
    needles = [form.encode() for form in written_forms(subject)]
    named = (
        {place for place, line in enumerate(lines) if any(needle in line for needle in needles)}
        if any(map(raw.__contains__, needles))
        else set()
    )
    for place in sorted(about | named):
        with suppress(ValueError, AttributeError):
            record = json.loads(lines[place])
            name = str(record.get("id"))
            if record.get("kind") == "prediction" and (place in about or matcher.cleaned_text(name) != name):
                yield record


def _clean_landing(folder: Path, matcher: ErasedMatcher, names: Collection[str] | None, places: Collection[str] = PLACES) -> int:
    """Empty the lines about erased subjects in every segment that is not being written; return how many lines changed.

    names: in other lines, texts that mention one of these names get a mark; None: the texts of every line are checked.
    """
    count = 0
    for name in places:
        for segment in landing.segment_files(folder / name):
            count += clean_segment(segment.path, matcher, names)
        for note in sorted((folder / name).glob("*.reason")):
            text = note.read_text(encoding="utf-8", errors="replace")
            if (cleaned := matcher.cleaned_text(text)) != text:
                note.write_text(cleaned, encoding="utf-8")
    return count


def _erase_backups(home: Path, matcher: ErasedMatcher, subject: str, ids: Collection[str] | None, say: Progress) -> dict[str, list[str]]:
    """Erase a subject from every backup of a home; returns what `rewrite_backups` returns."""

    def erase(copy: Database) -> bool:
        with copy.write() as writer:
            erase_rows(writer, matcher, copy.home, subject, ids, threads=1)
        _clean_landing(copy.landing, matcher, None if ids is None else [subject, *ids])
        return True

    return rewrite_backups(home, erase, say)


def _mentions_left(home: Path, subject: str) -> list[str]:
    """Files of the home that still contain the subject: those that the product may not change, and segments that are being written."""
    needles = {subject.encode(), json.dumps(subject)[1:-1].encode()}
    left = []
    for path in sorted(home.rglob("*")):
        if not path.is_file() or path.name.startswith(DATABASE) or path == key_path(home):
            continue
        with suppress(OSError):
            content = path.read_bytes()
            if any(needle in content for needle in needles):
                being_written = path.parent == home / "landing" / "open"
                why = (
                    "is being written; its lines are erased as they are loaded" if being_written else "names the subject: change it by hand"
                )
                left.append(f"{path.relative_to(home)} {why}")
    return left
