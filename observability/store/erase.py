"""Erase a subject everywhere: the database, landing, files that were set aside, backups and lakes.

The order makes it safe to be killed at any moment: the erasure is noted first (from then on later arrivals are refused), then every place
is erased, and only then it is noted as finished. `status` tells of one that is not, and the same command goes on where it stopped.
"""

import getpass
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from observability.core.errors import NotFoundError, StoreBrokenError, StoreDamagedError, UsageError
from observability.records.keyed_hash import home_key, key_path, keyed_hash
from observability.records.private_file import sync_folder
from observability.records.protection import HASHED, hashed_value
from observability.store import backup
from observability.store.block_backup import fetched_backup, remove_sent_backups, send_backup, sent_backups
from observability.store.db.database import DATABASE, Database
from observability.store.db.erasures import ErasedMatcher, Erasure, erasures, new_erasure, text_core, write_erasures
from observability.store.db.failures import broken_disk
from observability.store.erase_rows import ErasedRows, erase_rows, prediction_ids, written_forms
from observability.store.ingest import landing
from observability.store.ingest.erased_lines import clean_segment
from observability.store.lake.erase_lake import erase_from_lakes
from observability.store.migrations import migrate

Progress = Callable[[str], object]
SET_ASIDE = ("damaged-", "replaced-")
"""Starts of the names of databases that were set aside. They are removed: a damaged one cannot be rewritten."""


def forget_subject(store: Database, subject: str, *, by: str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Erase a subject everywhere, and refuse its later records; where a model hashes subjects, its hash too, as `hashed` in the answer.

    Returns and raises what `forget_value` does.
    """
    body = forget_value(store, subject, by=by, progress=progress)
    if any(model.settings.protect.get("subject") == "hash" for model in store.catalog().models) and not HASHED.fullmatch(subject):
        body["hashed"] = forget_value(store, hashed_value(home_key(store.home), subject), by=by, progress=progress)
    return body


def forget_value(store: Database, subject: str, *, by: str | None = None, progress: Progress | None = None) -> dict[str, Any]:
    """Erase one value of `subject` everywhere, and refuse later records with it.

    Returns {hash, predictions: {model: n}, rows: {table: n}, texts, reviews, landing, waiting, set_aside: [file],
    backups: {rewritten: [name], removed: [name], unreachable: [folder]},
    lakes: {rewritten: [address], unreachable: [address]}, left: [sentence], bytes_before, bytes_after}. Raises UsageError
    for an empty subject, StoreBrokenError where the disk refuses; the command can then be given again.
    """
    say = progress or (lambda text: None)
    if not text_core(subject).strip():
        raise UsageError("there is no subject to forget", got=repr(subject), attempt="Give the value of the field subject")
    try:
        with store.loading:
            key = home_key(store.home)
            erasure = _begun(store, key, subject, by or getpass.getuser())
            matcher = ErasedMatcher(key, erasures(store.home))
            say("erasing rows")
            with store.write() as writer:
                rows = erase_rows(writer, matcher, subject, threads=store.threads)
            say("erasing landing")
            lines = _clean_landing(store.landing, matcher, subject)
            waiting = store.waiting.erase(matcher) if store.waiting else 0
            aside = _remove_set_aside(store.home)
            before = store.path.stat().st_size
            store.rewrite(lambda done, total: say(f"rewriting the store: {done:,} of {total:,} rows"))
            say("erasing backups")
            backups = _erase_backups(store.home, matcher, subject, say)
            lakes = erase_from_lakes(store, matcher, say)
            left = _mentions_left(store.home, subject)
            counts = {"rows": dict(+rows.rows), "texts": rows.texts, "landing": lines, "backups": len(backups["rewritten"])}
            write_erasures(store.home, [replace(erasure, finished=not (backups["unreachable"] or lakes["unreachable"]), counts=counts)])
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
        "left": left,
        "bytes_before": before,
        "bytes_after": store.path.stat().st_size,
    }


def apply_erasures(store: Database) -> ErasedRows | None:
    """Erase from a restored database and its landing what was erased before; None where nothing ever was. Rewrites the database."""
    matcher = store.erased()
    if matcher is None:
        return None
    with store.loading:
        with store.write() as writer:
            rows = erase_rows(writer, matcher, threads=store.threads)
        _clean_landing(store.landing, matcher)
        if rows.texts or +rows.rows:
            store.rewrite()
    return rows


def _begun(store: Database, key: bytes, subject: str, by: str) -> Erasure:
    """Note an erasure that begins, with the ids of the subject's predictions; goes on with one that was not finished."""
    earlier = {erasure.subject: erasure for erasure in erasures(store.home)}.get(keyed_hash(key, subject))
    erasure = new_erasure(key, subject, by, {}, earlier)
    matcher = ErasedMatcher(key, [erasure])
    with store.cursor() as cursor:
        ids = {model.name: prediction_ids(cursor, model, matcher, subject) for model in store.catalog().models}
    ids = _with_waiting_ids(store.landing, matcher, subject, ids)
    for name, found in (store.waiting.ids_about(matcher) if store.waiting else {}).items():
        ids.setdefault(name, []).extend(found)
    erasure = new_erasure(key, subject, by, {model: names for model, names in ids.items() if names}, earlier)
    write_erasures(store.home, [erasure])
    return erasure


def _with_waiting_ids(folder: Path, matcher: ErasedMatcher, subject: str, ids: dict[str, list[str]]) -> dict[str, list[str]]:
    """The ids with those of predictions about the subject, or whose id contains it, that are being written, wait in landing or were set
    aside.
    """
    for name in ("open", "ready", "failed"):  # a segment that is published meanwhile is found in `ready`
        for segment in landing.segment_files(folder / name):
            with suppress(FileNotFoundError):
                for _, raw in landing.segment_blocks(segment.path):
                    for record in _predictions_about(raw, matcher, subject):
                        ids.setdefault(str(record.get("model")), []).append(str(record.get("id")))
    return ids


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


def _clean_landing(folder: Path, matcher: ErasedMatcher, subject: str | None = None) -> int:
    """Empty the lines about erased subjects in every segment that is not being written; return how many lines changed.

    Texts of other lines that mention them get a mark: those that hold `subject`, and without one, every line that was not loaded yet.
    """
    count = 0
    needles = None if subject is None else [form.encode() for form in written_forms(subject)]
    for name in ("ready", "failed", "loaded"):
        for segment in landing.segment_files(folder / name):
            count += clean_segment(segment.path, matcher, needles or ([b""] if name != "loaded" else []))
        for note in sorted((folder / name).glob("*.reason")):
            text = note.read_text(encoding="utf-8", errors="replace")
            if (cleaned := matcher.cleaned_text(text)) != text:
                note.write_text(cleaned, encoding="utf-8")
    return count


def _remove_set_aside(home: Path) -> list[str]:
    """Remove databases and logs that were set aside; return their names."""
    gone = [path for path in sorted(home.iterdir()) if path.is_file() and path.name.startswith(SET_ASIDE)]
    for path in gone:
        path.unlink()
    return [path.name for path in gone]


def _erase_backups(home: Path, matcher: ErasedMatcher, subject: str, say: Progress) -> dict[str, list[str]]:
    """Erase every backup of the folders that the home wrote to: each is rewritten; one that is damaged is removed."""
    found: dict[str, list[str]] = {"rewritten": [], "removed": [], "unreachable": []}
    for address in backup.backup_addresses(home):
        try:
            _erase_sent_backups(address, home, matcher, subject, say, found)
        except NotFoundError:
            continue
        except (StoreBrokenError, UsageError):
            found["unreachable"].append(address)
    for folder in backup.backup_folders(home):
        if not folder.is_dir():
            found["unreachable"].append(str(folder))
            continue
        for unfinished in folder.glob(f"{backup.PREFIX}*.partial"):
            shutil.rmtree(unfinished)
        with suppress(NotFoundError):
            for place in backup.backups_in(folder):
                say(f"erasing the backup {place.name}")
                try:
                    found["rewritten"].append(_erase_backup(place, matcher, subject).name)
                except StoreDamagedError:
                    shutil.rmtree(place)
                    found["removed"].append(place.name)
    return found


def _erase_sent_backups(address: str, home: Path, matcher: ErasedMatcher, subject: str, say: Progress, found: dict[str, list[str]]) -> None:
    """Erase the backups at an address: each is fetched, erased and sent again; then the old ones and their blocks are removed."""
    names = sent_backups(address)
    for name in names:
        say(f"erasing the backup {name}")
        try:
            with fetched_backup(address, home, name) as place:
                erased = _erase_backup(place, matcher, subject)
                send_backup(erased, address)
                found["rewritten"].append(erased.name)
        except StoreDamagedError:
            found["removed"].append(name)
    remove_sent_backups(address, names)


def _erase_backup(place: Path, matcher: ErasedMatcher, subject: str) -> Path:
    """Write a backup again without what was erased, under a new name, and remove the old one."""
    body = backup.check_backup(place)
    stem = place.name.split("-erased-")[0]
    final = place.with_name(f"{stem}-erased-{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z")
    draft = final.with_name(final.name + ".partial")
    try:
        (draft / "tmp").mkdir(mode=0o700, parents=True)
        for name in body["files"]:
            backup.copy_synced(place / name, draft / name)
        with Database(draft, "1GB", 1) as copy:
            with copy.write() as writer:
                migrate(writer)
                erase_rows(writer, matcher, subject, threads=1)
            copy.rewrite()
            tables = backup.table_rows(copy)
        shutil.rmtree(draft / "tmp")
        _clean_landing(draft / "landing", matcher, subject)
        backup.seal_backup(draft, {"at": body["at"], "tables": tables, "erased": datetime.now(UTC).isoformat(timespec="seconds")})
        os.rename(draft, final)
        sync_folder(final.parent)
        shutil.rmtree(place)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    return final


def _mentions_left(home: Path, subject: str) -> list[str]:
    """Files of the home that still hold the subject and are not the product's to change, and segments that are being written."""
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
