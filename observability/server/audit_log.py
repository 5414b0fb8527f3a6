"""The audit log: who signed in, saw, exported, changed or removed what.

`HOME/audit.jsonl` (0600) is only ever appended to; each line is one record of kind `access`. It is separate from the store, so removing a
model or restoring a backup does not change it. Each line holds a SHA-256 over its own content and the hash of the line before, so a changed
or missing line is detected. Subjects and ids of predictions are written as keyed hashes. The log can therefore still answer who saw the
cases of a subject, or a prediction, without storing either. Nothing is written if there is no sign-in.
"""

import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from observability.client.file_lock import CLOSE_ON_EXEC, lock_file
from observability.core.errors import StoreBrokenError, StoreBusyError
from observability.records.private_file import replace_private_file
from observability.server.access_settings import read_access_settings

FILE, KEY_FILE = "audit.jsonl", "audit.key"
Deed = Literal[
    "signed in",
    "signed out",
    "failed to sign in",
    "refused",
    "saw",
    "searched",
    "queried",
    "exported",
    "changed",
    "loaded",
    "registered",
    "removed",
    "forgot",
    "revealed",
    "ran",
]
FIELDS = ("what", "model", "prediction", "subject", "address")
MARKED = "hmac:"
"""Prefix of the keyed hash of a prediction; earlier versions of the program wrote the id itself."""
LONGEST = 300
LAST_BYTES = 16_384
WAIT = 5.0
"""Seconds to wait while another process writes."""
_writing = threading.Lock()
_elsewhere: list[Callable[..., object]] = []
"""The function that logs in place of this process, if there is one (`log_elsewhere`)."""


def note_access(home: Path, author: str, does: Deed, **fields: str | None) -> None:
    """Append one entry. Without sign-in, nothing is written. fields: some of FIELDS; a subject and a prediction are stored as keyed hashes.

    Raises StoreBrokenError if the log cannot be written, because an action that cannot be logged must not be done.
    """
    if read_access_settings(home).method == "none":
        return
    for send in _elsewhere:
        send("note_access", id=secrets.token_hex(16), author=author, does=does, fields=fields)
        return
    given = {name: value[:LONGEST] for name, value in fields.items() if value and name in FIELDS}
    if "subject" in given:
        given["subject"] = subject_mark(home, str(fields["subject"]))
    if "prediction" in given:
        given["prediction"] = prediction_mark(home, str(fields["prediction"]))
    entry = {"kind": "access", "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")}
    entry |= {"author": author[:LONGEST], "does": does, **given}
    try:
        with _writing:
            _append(home / FILE, entry)
    except OSError as error:
        raise StoreBrokenError("the audit log cannot be written", where=FILE, got=error.strerror, attempt="Free some disk space") from error


def log_elsewhere(send: Callable[..., object]) -> None:
    """From now on, let the owner of the store log the actions of this process, which can only read. send: calls a method of the owner by
    name.
    """
    _elsewhere[:] = [send]


def _append(path: Path, entry: Mapping[str, str]) -> None:
    with _locked_log(path) as handle:
        size = os.fstat(handle).st_size
        os.lseek(handle, max(size - LAST_BYTES, 0), os.SEEK_SET)
        tail = os.read(handle, LAST_BYTES)
        broken = b"" if not tail or tail.endswith(b"\n") else b"\n"
        line = {**entry, "chain": _chained(_last_chain(tail), entry)}
        os.write(handle, broken + json.dumps(line, ensure_ascii=False).encode() + b"\n")
        os.fsync(handle)


@contextlib.contextmanager
def _locked_log(path: Path) -> Iterator[int]:
    """The log, open and locked; it is created if there is none. Raises StoreBusyError, OSError."""
    until = time.monotonic() + WAIT
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | CLOSE_ON_EXEC, 0o600)
        try:
            if lock_file(handle) and path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                yield handle
                return
        finally:
            os.close(handle)
        if time.monotonic() > until:
            raise StoreBusyError("the audit log is in use", where=FILE, attempt="Try again")
        time.sleep(0.01)  # a file lock cannot wait with a time limit


def mark_logged_predictions(home: Path) -> int:
    """Replace ids of predictions that earlier versions of the program wrote by keyed hashes. Returns the number of changed entries.

    The chain of hashes is computed again. If the hash of a line was already wrong, the line keeps it, so that the fault is still detected.
    """
    path = home / FILE
    if not path.exists() or not any(_plain_prediction(entry) for entry in _read_lines(home)):
        return 0
    changed, old, new, lines = 0, "", "", list[str]()
    with _writing, _locked_log(path):
        for text in path.read_text(encoding="utf-8").removesuffix("\n").split("\n"):
            try:
                entry = json.loads(text)
                chain = str(entry.pop("chain"))
            except (ValueError, KeyError, AttributeError, TypeError):
                lines.append(text)
                continue
            follows = chain == _chained(old, entry)
            if _plain_prediction(entry):
                entry["prediction"] = prediction_mark(home, entry["prediction"])
                changed += 1
            old, new = chain, _chained(new, entry) if follows else chain
            lines.append(json.dumps({**entry, "chain": new}, ensure_ascii=False))
        replace_private_file(path, "".join(f"{line}\n" for line in lines))
    return changed


def _plain_prediction(entry: Mapping[str, Any]) -> bool:
    """Whether an entry names a prediction by its id."""
    return isinstance(entry.get("prediction"), str) and not entry["prediction"].startswith(MARKED)


def _last_chain(tail: bytes) -> str:
    """The hash in the last complete line; empty at the beginning of the log, or after an incomplete line."""
    lines = tail.strip().rsplit(b"\n", 1)
    try:
        return str(json.loads(lines[-1])["chain"]) if lines[-1] else ""
    except (ValueError, KeyError, TypeError):
        return ""


def _chained(before: str, entry: Mapping[str, str]) -> str:
    """A hash over an entry and the hash of the line before it."""
    return hashlib.sha256((before + json.dumps(entry, sort_keys=True, ensure_ascii=False)).encode("utf-8", "surrogatepass")).hexdigest()


def prediction_mark(home: Path, name: str) -> str:
    """The keyed hash under which the log names a prediction. A text that already is a mark is returned unchanged."""
    return name if re.fullmatch(rf"{MARKED}[0-9a-f]{{24}}", name) else MARKED + subject_mark(home, f"prediction {name}")


def subject_mark(home: Path, subject: str) -> str:
    """The keyed hash under which the log names a subject."""
    path = home / KEY_FILE
    if not path.exists():
        replace_private_file(path, secrets.token_hex(32))
    key = path.read_text(encoding="utf-8").strip()
    return hmac.new(key.encode(), subject.encode("utf-8", "surrogatepass"), "sha256").hexdigest()[:24]


def access_entries(home: Path, *, most: int = 1000, subject: str | None = None, **wanted: str | None) -> list[dict[str, Any]]:
    """The newest entries first. wanted: fields that must have these values. A subject or prediction is given as in its records."""
    asked = {name: value for name, value in wanted.items() if value}
    if subject:
        asked["subject"] = subject_mark(home, subject)
    if prediction := asked.get("prediction"):
        asked["prediction"] = prediction_mark(home, prediction)
    found = []
    for entry in reversed(list(_read_lines(home))):
        if all(entry.get(name) == value for name, value in asked.items()):
            found.append({name: value for name, value in entry.items() if name not in ("kind", "chain")})
            if len(found) >= most:
                break
    return found


def audit_problem(home: Path) -> str | None:
    """A sentence that says at which line the log was changed after it had been written. None if the hash of every line is right."""
    before = ""
    for number, entry in enumerate(_read_lines(home), start=1):
        chain = entry.get("chain")
        if chain != _chained(before, {name: value for name, value in entry.items() if name != "chain"}):
            return f"Line {number} of {FILE} was changed, or a line before it is missing."
        before = str(chain)
    return None


def _read_lines(home: Path) -> Iterator[dict[str, Any]]:
    try:
        text = (home / FILE).read_text(encoding="utf-8")
    except FileNotFoundError:
        return
    except OSError as error:
        raise StoreBrokenError("the audit log cannot be read", where=FILE, got=error.strerror) from error
    for line in text.removesuffix("\n").split("\n") if text else ():  # splitlines would also split at characters that can occur in a name
        try:
            yield json.loads(line)
        except ValueError:
            yield {"at": "", "author": "", "does": "unreadable line"}


def operating_user() -> str:
    """The user name on this machine's operating system, for entries from the command line."""
    import getpass

    try:
        return f"{getpass.getuser()} (command line)"
    except (OSError, KeyError, ImportError):
        return f"user {os.getuid()} (command line)" if hasattr(os, "getuid") else "command line"
