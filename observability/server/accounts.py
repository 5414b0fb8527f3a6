"""Local accounts: names, roles and password hashes in `HOME/accounts.json` (0600), and the sessions of this process.

Passwords are hashed with argon2id (argon2-cffi's defaults, RFC 9106). After five wrong passwords an account has to wait; each further wrong
password doubles the wait, up to 15 minutes. A name without an account is treated in the same way, and checking it takes as long. A session
is identified by a random number. The browser keeps the number in a cookie; this process keeps only its hash. A session ends after the
number of hours in the settings, at sign-out, when the process ends, and when the password, role or state of the account changes.
"""

import contextlib
import hashlib
import json
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast, get_args

from observability.client.file_lock import CLOSE_ON_EXEC, lock_file
from observability.core.errors import ForbiddenError, NotFoundError, StoreBrokenError, StoreBusyError, UsageError
from observability.records.private_file import make_private_folder, replace_private_file
from observability.server.access import Person
from observability.server.access_settings import ACCOUNTS_FILE, NO_ROLE, Role

if TYPE_CHECKING:
    from argon2 import PasswordHasher

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,79}", re.ASCII)
SHORTEST, LONGEST = 12, 256
"""Minimum and maximum number of characters in a password."""
FREE_ATTEMPTS = 5
FIRST_WAIT, LONGEST_WAIT = 2.0, 900.0
"""Seconds."""
MAX_NAMES = 10_000
"""Maximum number of names whose wrong attempts are remembered; the oldest are forgotten first."""
_writing = threading.Lock()
_hashing = threading.Semaphore(2)
"""Limits how many hashes are computed at the same time, because each takes 64 MB of memory."""


@dataclass(frozen=True)
class Account:
    """One account. hash: the argon2id hash of the password. models: role by model. edition: a number that grows with every change that ends
    the account's sessions.
    """

    name: str
    role: Role | None
    hash: str
    models: dict[str, str] = field(default_factory=dict)
    disabled: bool = False
    edition: int = 1
    created_at: str = ""

    @property
    def person(self) -> Person:
        """The person who acts under this account."""
        return Person(self.name, self.role, tuple(sorted(self.models.items())), "account")


class SignInRefusedError(ForbiddenError):
    """Raised if the name or the password is wrong, or if the account has to wait. seconds: how long it has to wait before the next attempt;
    0 if it need not wait.
    """

    seconds: float = 0.0


_known: dict[Path, tuple[tuple[int, int, int], dict[str, Account]]] = {}


def read_accounts(home: Path) -> dict[str, Account]:
    """The accounts by name. Raises StoreBrokenError if the file cannot be read; nobody can then sign in."""
    path = home / ACCOUNTS_FILE
    try:
        mark = path.stat()
        marks = (mark.st_mtime_ns, mark.st_size, mark.st_ino)
        known = _known.get(home)
        if known is None or known[0] != marks:
            body = json.loads(path.read_text(encoding="utf-8"))
            known = _known[home] = (marks, {fields["name"]: Account(**fields) for fields in body["accounts"]})
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError) as error:
        attempt = "Restore it from a backup, or move it away and add the accounts again"
        raise StoreBrokenError("the accounts cannot be read", where=ACCOUNTS_FILE, got=type(error).__name__, attempt=attempt) from None
    return dict(known[1])


def _write_account(home: Path, account: Account) -> None:
    """Write a new or changed account. Raises UsageError if no enabled administrator would be left."""
    accounts = {**read_accounts(home), account.name: account}
    enabled = [each for each in accounts.values() if each.role == "administrator" and not each.disabled]
    if not enabled:
        attempt = "Give another account the role administrator first"
        raise UsageError("at least one enabled account must be an administrator", attempt=attempt)
    try:
        body = json.dumps({"accounts": [asdict(each) for each in accounts.values()]}, indent=1)
        replace_private_file(home / ACCOUNTS_FILE, body)
    except OSError as error:
        raise StoreBrokenError("the accounts could not be written", where=ACCOUNTS_FILE, got=error.strerror) from error


@contextlib.contextmanager
def _only_writer(home: Path) -> Iterator[None]:
    """Within this context, no other thread or process writes the accounts. Raises StoreBusyError after some seconds of waiting."""
    make_private_folder(home)
    with _writing:
        handle = os.open(home / "accounts.lock", os.O_RDWR | os.O_CREAT | CLOSE_ON_EXEC, 0o600)
        try:
            until = time.monotonic() + 10
            while not lock_file(handle):
                if time.monotonic() > until:
                    raise StoreBusyError("the accounts are in use", where=ACCOUNTS_FILE, attempt="Try again")
                time.sleep(0.02)  # a file lock cannot wait with a time limit
            yield
        finally:
            os.close(handle)


def add_account(home: Path, name: str, role: str | None, password: str, models: Mapping[str, str] | None = None) -> Account:
    """Create an account. Raises UsageError if the name or role is invalid, the name is taken, or the password is weak."""
    if not NAME.fullmatch(name):
        expected = "letters, digits and . _ @ + -, at most 80"
        raise UsageError("the name of an account is wrong", got=repr(name[:90]), expected=expected)
    _check_password(name, password)
    made = Account(name, _role(role), _hasher().hash(password), dict(models or {}), created_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    with _only_writer(home):
        if name.casefold() in {known.casefold() for known in read_accounts(home)}:
            raise UsageError(f"the account {name!r} exists", attempt="Choose another name, or see: python -m observability account list")
        _write_account(home, made)
    return made


def set_role(home: Path, name: str, role: str, model: str | None = None) -> Account:
    """Set the role of an account, or its role for one model. Raises UsageError, NotFoundError."""
    with _only_writer(home):
        account = find_account(home, name)
        if model is None:
            changed = replace(account, role=_role(role), edition=account.edition + 1)
        else:
            known = _role(role)
            changed = replace(account, models={**account.models, model: known or NO_ROLE}, edition=account.edition + 1)
        _write_account(home, changed)
    return changed


def disable_account(home: Path, name: str, *, disabled: bool = True) -> Account:
    """Disable an account, which ends its sessions, or enable it again. Raises UsageError, NotFoundError."""
    with _only_writer(home):
        account = find_account(home, name)
        changed = replace(account, disabled=disabled, edition=account.edition + 1)
        _write_account(home, changed)
    return changed


def set_password(home: Path, name: str, password: str) -> Account:
    """Set a password, which ends the sessions of the account. Raises UsageError if the password is weak, NotFoundError."""
    account = find_account(home, name)
    _check_password(account.name, password)
    hashed = _hasher().hash(password)
    with _only_writer(home):
        account = find_account(home, name)
        changed = replace(account, hash=hashed, edition=account.edition + 1)
        _write_account(home, changed)
    return changed


def find_account(home: Path, name: str) -> Account:
    """The account with a name; upper and lower case do not matter. Raises NotFoundError."""
    accounts = read_accounts(home)
    found = next((account for known, account in accounts.items() if known.casefold() == name.casefold()), None)
    if found is None:
        raise NotFoundError(f"unknown account {name[:80]!r}", attempt=f"Known accounts: {', '.join(accounts) or 'none'}")
    return found


def _role(text: str | None) -> Role | None:
    if text is None or text == NO_ROLE:
        return None
    if text not in get_args(Role):
        raise UsageError("unknown role", got=repr(text), expected=", ".join((*get_args(Role), NO_ROLE)))
    return cast(Role, text)


def _check_password(name: str, password: str) -> None:
    if not SHORTEST <= len(password) <= LONGEST:
        raise UsageError(
            "the password is too short" if len(password) < SHORTEST else "the password is too long",
            got=f"{len(password)} characters",
            expected=f"{SHORTEST} to {LONGEST}, for instance four random words",
        )
    if name.casefold() in password.casefold() or len(set(password)) < 5:
        raise UsageError("the password is too easy to guess", attempt="Use four random words, without the account's name")


def _hasher() -> "PasswordHasher":
    """A hasher for argon2id with the library's defaults. Raises UsageError if argon2-cffi is not installed."""
    try:
        from argon2 import PasswordHasher
    except ModuleNotFoundError:
        attempt = "Run: pip install 'observability-dashboard[auth]'"
        raise UsageError("local accounts need argon2-cffi, which is not installed", attempt=attempt) from None
    return PasswordHasher()


def _matches(hashed: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    try:
        with _hashing:
            return _hasher().verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


class SignInAttempts:
    """Counts wrong attempts by name. After FREE_ATTEMPTS of them, a name has to wait; each further wrong attempt doubles the wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}

    def take_turn(self, name: str) -> None:
        """Count an attempt as wrong even before its password is checked, so that simultaneous attempts count too. `note_right` removes the
        count again.

        Raises SignInRefusedError as long as the name has to wait.
        """
        key, now = name.casefold(), time.monotonic()
        with self._lock:
            count, until = self._wrong.pop(key, (0, 0.0))
            if until > now:
                self._wrong[key] = count, until
                refused = SignInRefusedError("too many wrong passwords", attempt=f"Try again in {max(1, round(until - now))} seconds")
                refused.seconds = until - now
                raise refused
            count += 1
            wait = min(FIRST_WAIT * 2 ** min(count - FREE_ATTEMPTS, 20), LONGEST_WAIT) if count >= FREE_ATTEMPTS else 0.0
            self._wrong[key] = count, now + wait
            if len(self._wrong) > MAX_NAMES:
                del self._wrong[next(iter(self._wrong))]

    def note_right(self, name: str) -> None:
        """Forget the wrong attempts of a name."""
        with self._lock:
            self._wrong.pop(name.casefold(), None)


ATTEMPTS = SignInAttempts()
_nobody: list[str] = []


def check_password(home: Path, name: str, password: str) -> Account:
    """The account with this name and password. Raises SignInRefusedError; its message does not reveal whether the name or the password was
    wrong.
    """
    ATTEMPTS.take_turn(name)
    try:
        account: Account | None = find_account(home, name)
    except NotFoundError:
        account = None
    if not _nobody:
        _nobody.append(_hasher().hash(secrets.token_hex(16)))
    right = _matches(account.hash if account else _nobody[0], password[: LONGEST + 1])
    if account is None or not right or account.disabled:
        raise SignInRefusedError("the name or the password is wrong", attempt="Try again, or ask an administrator")
    ATTEMPTS.note_right(name)
    return account


def change_own_password(home: Path, name: str, old: str, new: str) -> Account:
    """Change the password of an account; the old password must be given. Raises SignInRefusedError, UsageError."""
    check_password(home, name, old)
    if old == new:
        raise UsageError("the new password is the old one", attempt="Choose another")
    return set_password(home, name, new)


@dataclass(frozen=True)
class Session:
    """One sign-in. until: when it ends, in epoch seconds."""

    name: str
    edition: int
    until: float


class Sessions:
    """Sessions of this process by the hash of their number."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, Session] = {}

    def begin(self, account: Account, hours: float) -> str:
        """Begin a session. Returns the text for the cookie, which is kept nowhere else."""
        text, now = secrets.token_urlsafe(32), time.time()
        with self._lock:
            self._held = {key: held for key, held in self._held.items() if held.until > now}
            self._held[_digest(text)] = Session(account.name, account.edition, now + 3600 * hours)
        return text

    def account(self, home: Path, text: str) -> Account | None:
        """The account of a session; None if the session has ended."""
        held = self._held.get(_digest(text))
        if held is None or held.until <= time.time():
            return None
        account = read_accounts(home).get(held.name)
        return account if account and not account.disabled and account.edition == held.edition else None

    def end(self, text: str) -> None:
        """End the session."""
        with self._lock:
            self._held.pop(_digest(text), None)


SESSIONS = Sessions()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def public_account(account: Account) -> dict[str, Any]:
    """The fields of an account without its hash."""
    return {name: value for name, value in asdict(account).items() if name not in ("hash", "edition")}


def account_line(account: Account) -> str:
    """One line for a list of accounts."""
    models: Sequence[str] = [f"{model}={role}" for model, role in sorted(account.models.items())]
    state = "disabled" if account.disabled else "enabled"
    return f"{account.name}  {account.role or NO_ROLE:13}  {state}  {' '.join(models)}".rstrip()
