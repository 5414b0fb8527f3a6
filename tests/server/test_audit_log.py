"""The audit log can only be appended to, names subjects by a keyed hash, and shows whether a line was changed or removed."""

import json
import os
import stat
import threading
from pathlib import Path

import pytest

from observability.core.errors import StoreBrokenError
from observability.server import accounts, audit_log, process_lock
from observability.server.audit_log import access_entries, audit_problem, note_access
from observability.store.opener import open_store


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home where people sign in."""
    (tmp_path / accounts.ACCOUNTS_FILE).write_text('{"accounts": []}', encoding="utf-8")
    return tmp_path


def test_nothing_is_written_without_sign_in(tmp_path: Path) -> None:
    note_access(tmp_path, "ann", "saw", what="case")
    assert list(tmp_path.iterdir()) == []


def test_entries_come_newest_first_and_by_any_field(home: Path) -> None:
    note_access(home, "ann", "saw", what="case", model="loan", prediction="p1", subject="s1")
    note_access(home, "bob", "exported", what="cases.csv")
    note_access(home, "ann", "removed", what="price", model="price")
    assert [entry["does"] for entry in access_entries(home)] == ["removed", "exported", "saw"]
    assert [entry["does"] for entry in access_entries(home, most=1)] == ["removed"]
    assert [entry["prediction"] for entry in access_entries(home, subject="s1")] == [audit_log.prediction_mark(home, "p1")]
    assert access_entries(home, prediction="p1") == access_entries(home, subject="s1") and access_entries(home, prediction="p2") == []
    assert access_entries(home, subject="s2") == []
    assert len(access_entries(home, author="ann")) == 2
    assert len(access_entries(home, author="ann", model="loan")) == 1
    text = (home / audit_log.FILE).read_text()
    assert "s1" not in text and '"p1"' not in text
    assert {json.loads(line)["kind"] for line in text.splitlines()} == {"access"}
    for name in (audit_log.FILE, audit_log.KEY_FILE):
        assert os.name != "posix" or stat.S_IMODE((home / name).stat().st_mode) == 0o600
    assert audit_problem(home) is None


def test_a_name_with_line_separators_is_one_line_of_the_log(home: Path) -> None:
    name = "ann\u2028\u2029\x85\x0b\x0c\x1c\r\nbob"
    note_access(home, name, "failed to sign in")
    note_access(home, "ann", "saw", what="case")
    assert [entry["author"] for entry in access_entries(home)] == ["ann", name]
    assert audit_problem(home) is None


@pytest.mark.parametrize("change", ["edit", "remove", "swap", "insert", "tear"])
def test_a_changed_log_is_noticed(home: Path, change: str) -> None:
    for number in range(5):
        note_access(home, "ann", "saw", what=f"case {number}")
    path = home / audit_log.FILE
    lines = path.read_text().splitlines()
    if change == "edit":
        lines[2] = lines[2].replace("ann", "bob")
    elif change == "remove":
        del lines[1]
    elif change == "swap":
        lines[1], lines[2] = lines[2], lines[1]
    elif change == "insert":
        lines.insert(3, lines[1])
    else:
        lines[2] = lines[2][:20]
    path.write_text("\n".join(lines) + "\n")
    assert audit_problem(home) is not None


def test_lines_stay_whole_and_chained_when_many_write(home: Path) -> None:
    def work(name: str) -> None:
        for number in range(20):
            note_access(home, name, "saw", what=str(number) * 50)

    threads = [threading.Thread(target=work, args=(f"person {each}",)) for each in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(access_entries(home)) == 80
    assert audit_problem(home) is None


def test_a_torn_last_line_does_not_swallow_the_next(home: Path) -> None:
    note_access(home, "ann", "saw", what="1")
    path = home / audit_log.FILE
    path.write_bytes(path.read_bytes() + b'{"at": "20')
    note_access(home, "ann", "saw", what="2")
    assert access_entries(home)[0]["what"] == "2"
    assert "Line 2" in str(audit_problem(home))


def test_an_access_that_cannot_be_logged_raises_an_error(home: Path) -> None:
    (home / audit_log.FILE).mkdir()
    with pytest.raises(StoreBrokenError):
        note_access(home, "ann", "removed", what="loan")


def test_long_and_unknown_fields_are_cut_and_left_out(home: Path) -> None:
    note_access(home, "a" * 1000, "saw", what="x" * 1000, other="y")
    (entry,) = access_entries(home)
    assert len(entry["author"]) == len(entry["what"]) == audit_log.LONGEST
    assert "other" not in entry


def test_restoring_a_backup_keeps_the_audit_log(home: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("backups")
    store = open_store(home, threads=1)
    note_access(home, "ann", "saw", what="before", subject="s1")
    store.backup(folder)
    store.close()
    note_access(home, "ann", "removed", what="after")
    process_lock.restore_backup(home, folder)
    assert [entry["what"] for entry in access_entries(home)] == ["after", "before"]
    assert len(access_entries(home, subject="s1")) == 1
    assert audit_problem(home) is None


def plain_lines(names: list[str]) -> str:
    """A log as written by earlier versions, with ids of predictions."""
    before, lines = "", list[str]()
    for name in names:
        entry = {"kind": "access", "at": "2026-11-01T10:00:00Z", "author": "ann", "does": "saw", "what": "case", "prediction": name}
        before = audit_log._chained(before, entry)
        lines.append(json.dumps({**entry, "chain": before}))
    return "".join(f"{line}\n" for line in lines)


def test_ids_of_earlier_versions_become_hashes_and_the_chain_holds(home: Path) -> None:
    (home / audit_log.FILE).write_text(plain_lines(["p1", "p2"]))
    note_access(home, "ann", "saw", what="case", prediction="p1")
    assert audit_log.mark_logged_predictions(home) == 2 and audit_log.mark_logged_predictions(home) == 0
    assert '"p1"' not in (home / audit_log.FILE).read_text() and audit_problem(home) is None
    assert len(access_entries(home, prediction="p1")) == 2
    note_access(home, "ann", "saw", what="case", prediction="p2")
    assert audit_problem(home) is None and len(access_entries(home, prediction="p2")) == 2


def test_a_changed_line_is_still_detected_after_its_id_became_a_hash(home: Path) -> None:
    lines = plain_lines(["p1", "p2", "p3"]).replace('"p2"', '"p9"')
    (home / audit_log.FILE).write_text(lines + '{"torn')
    audit_log.mark_logged_predictions(home)
    assert "Line 2" in str(audit_problem(home)) and len(access_entries(home, prediction="p9")) == 1


def test_a_forgotten_subject_and_its_predictions_are_not_in_the_log(home: Path) -> None:
    name = "request-of-jane-77"
    with open_store(home, threads=1) as store:
        (home / audit_log.FILE).write_text(plain_lines([name]))
        process_lock.Owner(home, process_lock.Lock(-1), store)
        note_access(home, "ann", "saw", what="case", prediction=name, subject="jane-77")
        body = store.forget("jane-77")
        assert not [left for left in body["left"] if audit_log.FILE in left]
    assert b"jane-77" not in (home / audit_log.FILE).read_bytes()
    assert len(access_entries(home, prediction=name)) == 2
