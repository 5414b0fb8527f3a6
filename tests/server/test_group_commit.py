"""Records of simultaneous requests share one sync, and no record is acknowledged before it is on disk."""

import os
import threading

import pytest

from observability.core.errors import StoreBrokenError
from observability.server.group_commit import GroupCommit


def ready_lines(landing):
    return sorted(line for path in (landing / "ready").glob("*.jsonl") for line in path.read_text().splitlines())


def test_records_that_wait_for_a_sync_share_the_next_sync(tmp_path, monkeypatch):
    records, entered, go_on = GroupCommit(tmp_path), threading.Event(), threading.Event()
    real = os.fdatasync
    synced, acknowledged = [], []

    def slow(fd):
        entered.set()
        assert go_on.wait(60)
        real(fd)
        synced.append(fd)

    monkeypatch.setattr(os, "fdatasync", slow)

    def post(number):
        records.commit(f"{number}\n".encode(), 1)
        acknowledged.append(number)

    threads = [threading.Thread(target=post, args=(number,)) for number in range(10)]
    threads[0].start()
    assert entered.wait(60)
    for thread in threads[1:]:
        thread.start()
    while len(records._next.parts) < 9:
        pass
    assert not acknowledged, "nothing is acknowledged while the first sync runs"
    go_on.set()
    for thread in threads:
        thread.join()
    assert (len(synced), records.groups, len(acknowledged)) == (2, 2, 10)
    records.publish()
    assert ready_lines(tmp_path) == sorted(map(str, range(10)))


def test_a_group_that_the_disk_refuses_is_acknowledged_to_nobody_and_the_next_one_works(tmp_path, monkeypatch):
    records = GroupCommit(tmp_path)

    def full(_fd):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", full)
        with pytest.raises(StoreBrokenError, match="No space left"):
            records.commit(b"a\n", 1)
    records.commit(b"b\n", 1)
    records.publish()
    assert "b" in ready_lines(tmp_path)
    assert records.groups == 1
