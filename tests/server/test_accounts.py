"""Local accounts: hashes in a private file, a lock-out with growing delays, sessions that end when they should."""

import json
import os
import stat
import sys
from io import StringIO
from pathlib import Path

import pytest

from observability.core.errors import NotFoundError, StoreBrokenError, UsageError
from observability.server import accounts, audit_log
from observability.server.access_settings import ACCOUNTS_FILE, read_access_settings
from tests.support.commanding import Command

PASSWORD = "correct horse battery"
OTHER = "staple pencil orbit"


@pytest.fixture(autouse=True)
def cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use password hashes that take a millisecond, and forget earlier attempts."""
    from argon2 import PasswordHasher

    monkeypatch.setattr(accounts, "_hasher", lambda: PasswordHasher(time_cost=1, memory_cost=64, parallelism=1))
    monkeypatch.setattr(accounts, "ATTEMPTS", accounts.SignInAttempts())
    monkeypatch.setattr(accounts, "_nobody", [])


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with an administrator, and a person who is analyst for only one model."""
    accounts.add_account(tmp_path, "ada", "administrator", PASSWORD)
    accounts.add_account(tmp_path, "bob", "none", OTHER, {"loan": "analyst"})
    return tmp_path


def test_the_file_holds_hashes_and_is_private(home: Path) -> None:
    file = home / ACCOUNTS_FILE
    text = file.read_text()
    assert PASSWORD not in text and text.count("$argon2id$") == 2
    assert os.name != "posix" or stat.S_IMODE(file.stat().st_mode) == 0o600
    assert read_access_settings(home).method == "accounts"
    person = accounts.find_account(home, "BOB").person
    assert (person.name, person.role, person.models) == ("bob", None, (("loan", "analyst"),))


def test_the_default_hash_of_the_library_is_strong_enough() -> None:
    from argon2 import PasswordHasher, Type

    strong = PasswordHasher()
    assert (strong.type, strong.memory_cost >= 19_456, strong.time_cost >= 2) == (Type.ID, True, True)


@pytest.mark.parametrize(
    ("name", "role", "password"),
    [
        ("", "viewer", OTHER),
        ("a b", "viewer", OTHER),
        ("a/../b", "viewer", OTHER),
        ("x" * 81, "viewer", OTHER),
        ("ADA", "viewer", OTHER),
        ("cy", "root", OTHER),
        ("cy", "viewer", "short"),
        ("cy", "viewer", "x" * 300),
        ("cy", "viewer", "aaaaaaaaaaaaaaa"),
        ("cyril", "viewer", "my name is Cyril!"),
    ],
)
def test_a_wrong_account_is_refused(home: Path, name: str, role: str, password: str) -> None:
    with pytest.raises(UsageError):
        accounts.add_account(home, name, role, password)
    assert set(accounts.read_accounts(home)) == {"ada", "bob"}


def test_there_is_always_an_administrator(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    for change in (
        lambda: accounts.disable_account(home, "ada"),
        lambda: accounts.set_role(home, "ada", "analyst"),
        lambda: accounts.add_account(tmp_path_factory.mktemp("first"), "vic", "viewer", OTHER),
    ):
        with pytest.raises(UsageError, match="administrator"):
            change()


def test_wrong_names_and_wrong_passwords_get_the_same_answer(home: Path) -> None:
    said = set()
    for name, password in (("ada", "wrong"), ("nobody", PASSWORD), ("bob", PASSWORD), ("", "")):
        with pytest.raises(accounts.SignInRefusedError) as refused:
            accounts.check_password(home, name, password)
        said.add(str(refused.value))
    assert len(said) == 1
    accounts.disable_account(home, "bob")
    with pytest.raises(accounts.SignInRefusedError) as refused:
        accounts.check_password(home, "bob", OTHER)
    assert str(refused.value) in said


@pytest.mark.parametrize("name", ["ada", "nobody"])
def test_wrong_passwords_make_a_name_wait_twice_as_long_each_time(home: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [1000.0]
    monkeypatch.setattr(accounts.time, "monotonic", lambda: clock[0])
    waits = []
    for _ in range(14):
        with pytest.raises(accounts.SignInRefusedError):
            accounts.check_password(home, name, "wrong")
        waits.append(round(accounts.ATTEMPTS._wrong[name][1] - clock[0]))
        if waits[-1]:
            with pytest.raises(accounts.SignInRefusedError) as refused:
                accounts.check_password(home, name, PASSWORD)
            assert refused.value.seconds == waits[-1]
        clock[0] += waits[-1]
    assert waits[:8] == [0, 0, 0, 0, 2, 4, 8, 16]
    assert max(waits) == 900
    if name == "ada":
        assert accounts.check_password(home, name, PASSWORD).name == "ada"
        assert name not in accounts.ATTEMPTS._wrong


def test_concurrent_attempts_count_towards_the_limit(home: Path) -> None:
    attempts = accounts.SignInAttempts()
    taken = 0
    for _ in range(50):
        try:
            attempts.take_turn("ada")
            taken += 1
        except accounts.SignInRefusedError:
            pass
    assert taken == accounts.FREE_ATTEMPTS


def test_a_session_ends_on_expiry_or_sign_out_or_account_change(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions, clock = accounts.Sessions(), [1000.0]
    monkeypatch.setattr(accounts.time, "time", lambda: clock[0])
    ada = accounts.find_account(home, "ada")
    text = sessions.begin(ada, hours=12)
    assert text not in str(vars(sessions))
    assert sessions.account(home, text) == ada
    assert sessions.account(home, text + "x") is None
    assert sessions.account(home, "") is None
    clock[0] += 12 * 3600 - 1
    assert sessions.account(home, text) == ada
    clock[0] += 1
    assert sessions.account(home, text) is None
    for change in (
        lambda: accounts.set_password(home, "bob", "entirely new words"),
        lambda: accounts.set_role(home, "bob", "viewer"),
        lambda: accounts.set_role(home, "bob", "none", "loan"),
        lambda: accounts.disable_account(home, "bob"),
    ):
        text = sessions.begin(accounts.find_account(home, "bob"), hours=1)
        assert sessions.account(home, text) is not None
        change()
        assert sessions.account(home, text) is None
    text = sessions.begin(ada, hours=1)
    sessions.end(text)
    assert sessions.account(home, text) is None


def test_changing_the_own_password_needs_the_old_one(home: Path) -> None:
    with pytest.raises(accounts.SignInRefusedError):
        accounts.change_own_password(home, "bob", "wrong", "entirely new words")
    with pytest.raises(UsageError):
        accounts.change_own_password(home, "bob", OTHER, OTHER)
    accounts.change_own_password(home, "bob", OTHER, "entirely new words")
    assert accounts.check_password(home, "bob", "entirely new words").name == "bob"


def test_nobody_gets_in_where_the_file_is_damaged(home: Path) -> None:
    (home / ACCOUNTS_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(StoreBrokenError):
        accounts.check_password(home, "ada", PASSWORD)
    assert read_access_settings(home).method == "accounts"


def test_the_commands_read_passwords_from_standard_input(tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"

    def run(text: str, *words: str):
        monkeypatch.setattr(sys, "stdin", StringIO(text))
        return command(home, "account", *words)

    assert run(f"{PASSWORD}\n", "add", "vic", "--role", "viewer").code == 2
    first = run(f"{PASSWORD}\n", "add", "ada", "--role", "administrator")
    assert first.code == 0 and "Sign-in is on" in first.out
    assert run("short\n", "add", "bob", "--role", "viewer").code == 2
    assert run(f"{OTHER}\n", "add", "bob", "--role", "none", "--model", "loan=analyst").code == 0
    assert run("", "role", "bob", "--role", "viewer", "--model", "price=none").code == 0
    listed = json.loads(run("", "list", "--json").out)
    assert [(each["name"], each["role"], each["models"]) for each in listed] == [
        ("ada", "administrator", {}),
        ("bob", "viewer", {"loan": "analyst", "price": "none"}),
    ]
    assert "hash" not in listed[0]
    assert run("entirely new words\n", "password", "bob").code == 0
    assert accounts.check_password(home, "bob", "entirely new words")
    assert run("", "disable", "bob").code == 0
    assert run("", "enable", "bob").code == 0
    assert run("", "disable", "ada").code == 2
    assert run("", "role", "nobody", "--role", "viewer").code == 2
    assert run("", "add").code == 2
    with pytest.raises(NotFoundError):
        accounts.find_account(home, "nobody")
    log = command(home, "audit-log", "--json").json()
    assert [entry["what"] for entry in log][-1] == "account add ada"
    assert all(entry["author"].endswith("(command line)") for entry in log)
    lines = (home / audit_log.FILE).read_text().splitlines()
    (home / audit_log.FILE).write_text("\n".join([*lines[:1], *lines[2:]]) + "\n")
    assert command(home, "audit-log").code == 1
