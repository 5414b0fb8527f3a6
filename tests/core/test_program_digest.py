"""The digest of the program changes with its libraries and its files, but not while the program runs."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from observability.core import program_digest as program


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Clear the cached digest before and after each test."""
    program.program_digest.cache_clear()
    yield
    program.program_digest.cache_clear()


def test_another_library_version_changes_the_program_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    present = program.program_digest()
    monkeypatch.setattr(program, "version", lambda name: "0" if name == "scipy" else metadata.version(name))
    program.program_digest.cache_clear()
    assert program.program_digest() != present


def test_replacing_the_program_while_it_runs_does_not_change_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = tmp_path / "package" / "part" / "module.py"
    module.parent.mkdir(parents=True)
    module.write_text("old")
    monkeypatch.setattr(program, "__file__", str(module))
    at_start = program.program_digest()
    module.write_text("replaced")
    assert program.program_digest() == at_start
    program.program_digest.cache_clear()
    assert program.program_digest() != at_start, "after the next start it is another program"
