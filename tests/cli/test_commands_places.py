"""`report-storage` measures a folder: sizes, equal files, unread files, and the oldest file."""

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from observability.cli.execute import execute
from observability.core.errors import UsageError
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.metrics.folder_usage import folder_usage
from tests.support.new_store import new_store


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two equal files of 2 MB, one of which was not read for a long time, a small file with a second name, a link, and an empty file."""
    found = tmp_path / "raw"
    (found / "deep").mkdir(parents=True)
    (found / "a.bin").write_bytes(b"x" * 2_000_000)
    (found / "deep" / "b.bin").write_bytes(b"x" * 2_000_000)
    (found / "c.bin").write_bytes(b"y" * 2_000_000)
    (found / "small.txt").write_text("text")
    os.link(found / "small.txt", found / "same.txt")
    (found / "link.bin").symlink_to(found / "a.bin")
    (found / "empty").touch()
    long_ago = (datetime.now(UTC) - timedelta(days=100)).timestamp()
    os.utime(found / "deep" / "b.bin", (long_ago, long_ago))
    return found


def test_a_folder_is_measured_and_kept_as_a_report(folder: Path, tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        outcome = execute(store, ["report-storage", str(folder), "--place", "raw data", "--keep-days", "90", "--json"], lambda _: None)
        assert outcome.exit_code == 0, outcome.error
        said = json.loads(outcome.out)
        store.load_landing()
        (row,) = store.ask(Records("storage_report", None, ever=True), Window("", EPOCH, EPOCH.replace(year=9999))).to_dict("records")
    assert (said["used_bytes"], said["files"], said["small_files"]) == (6_000_004, 5, 2)
    assert (said["duplicate_bytes"], said["cold_bytes"], said["source"]) == (2_000_000, 2_000_000, "measured")
    assert (row["place"], row["used_bytes"], row["keep_days"]) == ("raw data", 6_000_004, 90)
    assert row["capacity_bytes"] > row["used_bytes"] and abs((row["at"] - row["oldest_at"]) - timedelta(days=100)) < timedelta(minutes=5)


def test_contents_can_be_left_out_and_a_dry_run_keeps_nothing(folder: Path, tmp_path: Path) -> None:
    assert folder_usage(folder, datetime.now(UTC).timestamp(), contents=False).duplicates is None
    with new_store(tmp_path / "home") as store:
        out = execute(store, ["report-storage", str(folder), "--dry-run"], lambda _: None).out
        assert out.startswith("raw: 6.0 MB of ") and "in 5 files (not kept)." in out and "33.3 % stored twice" in out
        store.load_landing()
        assert store.ask(Records("storage_report", None, ever=True), Window("", EPOCH, EPOCH.replace(year=9999))).empty


@pytest.mark.parametrize(
    ("argv", "words"), [(("nowhere",), "the path is not a folder"), ((".", "--keep-days", "-3"), "--keep-days takes a number")]
)
def test_wrong_use_is_refused_with_the_reason(argv: tuple[str, ...], words: str, tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        try:
            outcome = execute(store, ["report-storage", *argv], lambda _: None)
        except UsageError as error:
            assert words in str(error)
        else:
            assert outcome.exit_code == 2 and words in str(outcome.error)
