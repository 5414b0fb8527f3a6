"""A later process can tell whether anything was committed after an earlier process kept its findings."""

import shutil
from pathlib import Path

import pytest

from observability.store.db.database import Database
from tests.support.new_store import new_store


def numbers(home: Path) -> dict[str, int]:
    """The numbers of the last commits by model, as read by a process that opens the store."""
    with new_store(home) as store:
        return dict(store.generations)


def commit(store: Database, *models: str) -> None:
    with store.write():
        store.note_changed_models(models or None)


def test_a_later_process_has_the_commit_numbers_of_the_earlier_process(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        commit(store)
        commit(store, "loan")
        commit(store, "price", "loan")
        known = dict(store.generations)
    assert known[""] < known["loan"] == known["price"]
    assert numbers(tmp_path / "home") == known
    assert numbers(tmp_path / "home") == known, "opening a store does not count as a commit"


@pytest.mark.parametrize(("models", "changed"), [(("loan",), {"loan"}), ((), {""}), (("loan", "price"), {"loan", "price"})])
def test_a_commit_of_a_later_process_changes_only_the_numbers_that_it_concerns(
    tmp_path: Path, models: tuple[str, ...], changed: set[str]
) -> None:
    with new_store(tmp_path / "home") as store:
        commit(store)
        commit(store, "loan", "price")
    before = numbers(tmp_path / "home")
    with new_store(tmp_path / "home") as store:
        commit(store, *models)
    after = numbers(tmp_path / "home")
    assert {name for name in after if after[name] != before[name]} == changed
    assert all(after[name] > max(before.values()) for name in changed)


def test_a_rolled_back_or_invisible_write_is_no_commit(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        commit(store, "loan")
    before = numbers(tmp_path / "home")
    with new_store(tmp_path / "home") as store:
        with pytest.raises(ZeroDivisionError), store.write():
            raise ZeroDivisionError
        with store.write(aside=True):
            pass
    assert numbers(tmp_path / "home") == before


def test_a_restored_copy_of_a_store_never_shares_commit_numbers_with_the_original(tmp_path: Path) -> None:
    """A restored backup is such a copy. If both shared commit numbers, kept findings about lost rows would be used for the rows that
    replaced them.
    """
    with new_store(tmp_path / "home") as store:
        commit(store, "loan")
    shutil.copytree(tmp_path / "home", tmp_path / "restored")
    for name in ("home", "restored"):
        with new_store(tmp_path / name) as store:
            commit(store, "loan")
    assert numbers(tmp_path / "home")["loan"] != numbers(tmp_path / "restored")["loan"]
