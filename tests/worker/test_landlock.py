"""A job can read the libraries wherever the product is installed, but never a source folder that may contain a home."""

import sysconfig
from pathlib import Path

import pytest

from observability.worker import landlock


def test_an_installed_product_lets_jobs_read_the_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = Path(sysconfig.get_paths()["purelib"]).resolve()
    monkeypatch.setattr(landlock, "PROJECT", libraries)
    assert libraries in landlock.library_folders()


def test_an_installed_product_keeps_jobs_out_of_a_folder_that_holds_its_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    libraries = Path(sysconfig.get_paths()["purelib"]).resolve()
    project = libraries.parents[3]
    monkeypatch.setattr(landlock, "PROJECT", libraries)
    monkeypatch.setattr(landlock.sys, "path", [str(project), str(libraries)])
    assert project not in landlock.readable_paths() and libraries in landlock.readable_paths()


def test_only_the_package_in_the_source_folder_can_be_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sources = tmp_path / "sources"
    (sources / "observability").mkdir(parents=True)
    monkeypatch.setattr(landlock, "PROJECT", sources)
    monkeypatch.setattr(landlock.sys, "path", [str(tmp_path), str(sources)])
    readable = landlock.readable_paths()
    assert sources / "observability" in readable
    assert not {tmp_path, sources} & set(readable)
