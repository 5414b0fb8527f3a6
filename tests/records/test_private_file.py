"""A private file is replaced in one step; after a failure the old file is unchanged and no draft is left."""

import os
import stat

import pytest

from observability.records.private_file import make_private_folder, replace_private_file


def test_the_content_is_replaced_and_only_the_owner_may_read_it(tmp_path):
    path = tmp_path / "secret.json"
    path.write_text("old")
    path.chmod(0o644)
    replace_private_file(path, "néw")
    assert path.read_text(encoding="utf-8") == "néw"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_every_folder_that_is_made_is_private(tmp_path):
    old = os.umask(0o022)
    try:
        make_private_folder(tmp_path / "artifacts" / "1" / "2")
        make_private_folder(tmp_path / "artifacts" / "1" / "2")
    finally:
        os.umask(old)
    made = [path for path in tmp_path.rglob("*") if path.is_dir()]
    assert len(made) == 3 and {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o700}
    (tmp_path / "file").write_text("")
    with pytest.raises(FileExistsError):
        make_private_folder(tmp_path / "file")


def test_a_full_disk_leaves_the_old_file_and_no_draft(tmp_path, monkeypatch):
    path = tmp_path / "secret.json"
    path.write_text("old")

    def full(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        replace_private_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
