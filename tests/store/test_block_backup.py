"""Backups at an address send only changes, restore every row, and erase forgotten subjects. The addresses are folders, and buckets on an S3
server.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
from pyarrow import fs

from observability.core.errors import NotFoundError, StoreBrokenError, StoreDamagedError, UsageError
from observability.records.keyed_hash import KEY_FILE
from observability.store import block_backup
from observability.store.backup import backup_addresses, remove_old_backups
from observability.store.block_backup import fetch_backup, sent_backups
from observability.store.db.keeping import read_keeping
from observability.store.opener import open_store, restore_home
from tests.store.conftest import query
from tests.support.landing import land
from tests.support.ports import free_port
from tests.support.record_lines import prediction

SUBJECT = "jane-77.Q@mail"


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    """Make blocks so small that even a small store has many of them."""
    monkeypatch.setattr(block_backup, "BLOCK_BYTES", 1 << 16)


@pytest.fixture
def address(tmp_path):
    return f"file://{tmp_path}/bucket"


def fill(store, *days):
    for day in days:
        land(store, *(prediction(k, id=f"{day}-{k}", subject=SUBJECT if k == 3 else f"other-{k}") for k in range(400)))
        store.load_landing()


def sent(store, address, name):
    """Send a backup and give it its own name, because two backups within the same second would share one."""
    body = store.backup(address)
    place = address.removeprefix("file://")
    made = body["backup"].rpartition("/")[2]
    os.rename(f"{place}/{made}.json", f"{place}/backup-{name}.json")
    return body


def table_of(home):
    with open_store(home) as store:
        return sorted(map(repr, query(store, "SELECT * FROM predictions_1")))


def test_a_backup_sends_only_changed_blocks_and_each_backup_restores_row_by_row(tmp_path, address):
    with open_store(tmp_path / "home") as store:
        fill(store, "a", "b", "c")
        first = sent(store, address, "1")
        again = sent(store, address, "2")
        fill(store, "d")
        third = sent(store, address, "3")
        rows = sorted(map(repr, query(store, "SELECT * FROM predictions_1")))
        assert store.verify_backup(address)["problems"] == [] and backup_addresses(store.home) == [address]
        assert list((store.home / "tmp").iterdir()) == []
    assert first["sent_blocks"] == first["blocks"] and again["sent_blocks"] <= 1
    assert 0 < third["sent_bytes"] < third["bytes"]
    assert sent_backups(address) == ["backup-1", "backup-2", "backup-3"]
    assert restore_home(tmp_path / "other", address)["backup"] == f"{address}/backup-3"
    assert table_of(tmp_path / "other") == rows and len(rows) == 1600
    restore_home(tmp_path / "older", str(fetch_backup(address, tmp_path / "fetched", "backup-1")))
    assert len(table_of(tmp_path / "older")) == 1200


def test_old_backups_are_removed_with_the_blocks_that_no_other_backup_needs(tmp_path, address):
    with open_store(tmp_path / "home") as store:
        fill(store, "a")
        sent(store, address, "1")
        fill(store, "b")
        store.rewrite()
        sent(store, address, "2")
    blocks = tmp_path / "bucket" / "blocks"
    before = len(list(blocks.iterdir()))
    (blocks / ("0" * 64)).write_bytes(b"of a backup that was interrupted")
    assert remove_old_backups(address, 1) == ["backup-1"]
    body = json.loads((tmp_path / "bucket" / "backup-2.json").read_text())
    assert {path.name for path in blocks.iterdir()} == {digest for digests in body["blocks"].values() for digest in digests}
    assert len(list(blocks.iterdir())) < before
    restore_home(tmp_path / "other", address)


@pytest.mark.parametrize("harm", ["flip", "lose"])
def test_a_damaged_backup_is_refused_and_changes_nothing(tmp_path, address, harm):
    with open_store(tmp_path / "home") as store:
        fill(store, "a")
        store.backup(address)
    block = max((tmp_path / "bucket" / "blocks").iterdir(), key=lambda path: path.stat().st_size)
    if harm == "flip":
        block.write_bytes(bytes([block.read_bytes()[0] ^ 1]) + block.read_bytes()[1:])
    else:
        block.unlink()
    before = (tmp_path / "home" / "store.duckdb").read_bytes()
    with pytest.raises(StoreDamagedError):
        restore_home(tmp_path / "home", address)
    assert (tmp_path / "home" / "store.duckdb").read_bytes() == before


def test_a_forgotten_subject_is_in_no_block(tmp_path, address):
    with open_store(tmp_path / "home") as store:
        fill(store, "a")
        sent(store, address, "1")
        body = store.forget(SUBJECT)
        assert len(body["backups"]["rewritten"]) == 1 and body["backups"]["unreachable"] == []
        os.rename(tmp_path / "bucket", tmp_path / "away")
        (tmp_path / "bucket").write_text("no folder")
        assert store.forget("other-4")["backups"]["unreachable"] == [address]
    found = [path for path in (tmp_path / "away").rglob("*") if path.is_file() and SUBJECT.encode() in path.read_bytes()]
    assert found == []
    restore_home(tmp_path / "other", f"file://{tmp_path}/away")
    with open_store(tmp_path / "other") as store:
        assert query(store, "SELECT count(*), count(*) FILTER (WHERE subject = ?) FROM predictions_1", SUBJECT) == [(399, 0)]


def test_the_night_sends_to_an_address_and_keeps_the_newest(tmp_path, address):
    with open_store(tmp_path / "home") as store:
        fill(store, "a")
        for name in ("1", "2"):
            sent(store, address, name)
        (store.home / "keeping.toml").write_text(f'[backup]\nfolder = "{address}"\nkeep = 1\n')
        assert read_keeping(store.home).backup_folder == address
        done = store.nightly()
        assert done["failures"] == [] and done["removed_backups"] == ["backup-1", "backup-2"]
        assert done["verified_restore"] == done["backup"] == f"{address}/{sent_backups(address)[0]}"


def test_wrong_backup_addresses_raise_an_error_without_secrets(tmp_path, address):
    with open_store(tmp_path / "home") as store:
        for wrong in ("nowhere://x/y", "s3://key:secret@bucket/folder"):
            with pytest.raises(UsageError) as raised:
                store.backup(wrong)
            assert "secret" not in str(raised.value)
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreBrokenError, match="place cannot be used"):
            store.backup(f"file://{tmp_path}/file")
    with pytest.raises(NotFoundError):
        restore_home(tmp_path / "other", address)


@pytest.fixture
def s3(monkeypatch):
    """The address of a bucket of a local S3 server."""
    port = free_port()
    for name, value in (("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test"), ("AWS_EC2_METADATA_DISABLED", "true")):
        monkeypatch.setenv(name, value)
    server = subprocess.Popen([sys.executable, "-m", "moto.server", "-p", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 180
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < until, "the S3 server did not start"
                time.sleep(0.1)  # the server gives no signal when it has started
        options = {"endpoint_override": f"127.0.0.1:{port}", "scheme": "http", "region": "us-east-1"}
        fs.S3FileSystem(**options, allow_bucket_creation=True).create_dir("backups")
        yield "s3://backups/home?" + "&".join(f"{name}={value}" for name, value in options.items())
    finally:
        server.kill()
        server.wait()


@pytest.mark.long  # the other tests of this file check the same blocks in a folder, tests/lake/test_buckets.py checks buckets
def test_a_bucket_stores_and_restores_backups_and_erases_forgotten_subjects(tmp_path, s3):
    with open_store(tmp_path / "home") as store:
        fill(store, "a")
        first = store.backup(s3)
        assert first["sent_blocks"] == first["blocks"] and "?" not in first["backup"]
        assert store.verify_backup(s3)["problems"] == []
        assert len(store.forget(SUBJECT)["backups"]["rewritten"]) == 1
        again = store.backup(s3)
        assert again["sent_blocks"] < again["blocks"]
        assert len(remove_old_backups(s3, 1)) == 1
        rows = sorted(map(repr, query(store, "SELECT * FROM predictions_1")))
    (tmp_path / "other").mkdir()
    shutil.copy(tmp_path / "home" / KEY_FILE, tmp_path / "other")  # no backup contains the key of erasures
    restore_home(tmp_path / "other", s3)
    assert table_of(tmp_path / "other") == rows and len(rows) == 399
