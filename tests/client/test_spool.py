"""Segments contain only whole lines, are published on time, and are taken over if their writer died."""

import errno
import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from observability.client import spool as spool_module
from observability.client.spool import Spool, publish_abandoned, ready_segments
from observability.core.errors import UsageError

ROOT = Path(__file__).parents[2]


def run(script: str, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", "-c", script, *map(str, arguments)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=600)
    assert not check or done.returncode == 0, done.stderr
    return done


def wait_for(condition: Callable[[], object], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def opened(landing: Path) -> list[Path]:
    return sorted((landing / "open").glob("*"))


def published(landing: Path) -> list[bytes]:
    return [line for path in ready_segments(landing) for line in path.read_bytes().splitlines()]


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    return tmp_path / "home" / "landing"


def test_a_live_writers_segment_is_private_and_not_published(landing: Path) -> None:
    spool = Spool(landing, segment_seconds=100)
    spool.append(b"1\n")
    (segment,) = opened(landing)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (landing.parent, landing, landing / "open", landing / "ready", segment)]
    assert modes == [0o700] * 4 + [0o600]
    assert publish_abandoned(landing) == [] and opened(landing) == [segment]
    assert segment.name.split("-")[1] == str(os.getpid()) and segment.read_bytes() == b"1\n"
    spool.flush()
    assert [path.name for path in ready_segments(landing)] == [segment.name] and opened(landing) == []
    spool.flush()
    assert publish_abandoned(landing) == []


def test_a_process_leaves_its_own_segment_where_a_platform_has_no_locks(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "lock_file", lambda fd: True)
    spool = Spool(landing, fsync="never")
    assert spool.append(b"1\n")
    assert publish_abandoned(landing, spool.is_writing) == [] and len(opened(landing)) == 1
    spool.flush()
    assert spool.dropped == 0 and [path.read_bytes() for path in ready_segments(landing)] == [b"1\n"]


def test_segments_are_published_at_their_size_limit(landing: Path) -> None:
    spool = Spool(landing, segment_bytes=30, segment_seconds=100)
    for number in range(10):
        assert spool.append(b"%09d\n" % number)
    assert [path.stat().st_size for path in ready_segments(landing)] == [30, 30, 30]
    spool.flush()
    assert sorted(published(landing)) == [b"%09d" % number for number in range(10)]


@pytest.mark.parametrize("fsync", ["never", "background", "always"])
def test_an_idle_service_publishes_and_stops_its_thread(landing: Path, fsync: spool_module.Fsync) -> None:
    spool = Spool(landing, fsync=fsync, segment_seconds=0.05)
    for number in (b"1", b"2"):
        spool.append(number + b"\n")
        wait_for(lambda number=number: number in published(landing))
        wait_for(lambda: spool._flusher is None)
    assert opened(landing) == [] and not [thread for thread in threading.enumerate() if thread is spool._flusher]


def test_interpreter_exit_publishes(landing: Path) -> None:
    run("import sys, pathlib; from observability.client.spool import Spool; Spool(pathlib.Path(sys.argv[1])).append(b'1\\n')", landing)
    assert published(landing) == [b"1"] and opened(landing) == []


def test_each_fsync_mode_syncs_as_often_as_stated(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    syncs: list[int] = []
    monkeypatch.setattr(spool_module.os, "fdatasync", syncs.append)
    for fsync, few, many in (("never", 0, 0), ("always", 20, 22), ("background", 1, 2)):
        syncs.clear()
        spool, began = Spool(landing, fsync=fsync, segment_seconds=100), time.monotonic()
        for _ in range(20):
            spool.append(b"1\n")
        if fsync == "background":
            wait_for(lambda spool=spool: not spool._dirty and not spool._syncing)
            many += (time.monotonic() - began) / spool_module.SYNC_SECONDS
        time.sleep(0.2)  # not a wait: in this period only few syncs may happen
        before_flush = len(syncs)
        spool.flush()
        assert few <= before_flush <= many, fsync
    assert len(published(landing)) == 60


ABANDON = """
import os, pathlib, sys
from observability.client.spool import Spool
Spool(pathlib.Path(sys.argv[1])).append(sys.argv[2].encode())
os._exit(9)
"""


def test_a_dead_writers_segment_is_published_unchanged(landing: Path) -> None:
    run(ABANDON, landing, '{"a":1}\n{"to', check=False)
    run(ABANDON, landing, "", check=False)
    (landing / "open" / "20260101T000000-1-link.jsonl").symlink_to("/etc/hostname")
    assert len(opened(landing)) == 3
    (path,) = publish_abandoned(landing)
    assert path.parent.name == "ready" and path.read_bytes() == b'{"a":1}\n{"to'
    assert [left.name for left in opened(landing)] == ["20260101T000000-1-link.jsonl"]
    assert publish_abandoned(landing) == [] and ready_segments(landing) == [path]


def test_a_missing_landing_folder_has_no_segments(landing: Path) -> None:
    assert publish_abandoned(landing) == ready_segments(landing) == [] and not landing.exists()


def test_a_reader_never_takes_a_segment_from_a_starting_writer(landing: Path) -> None:
    """A writer can lock its file only after it has created it. If a reader removes the file in between, the writer must notice."""
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            publish_abandoned(landing)

    (landing / "open").mkdir(parents=True)
    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    spool = Spool(landing, segment_bytes=1, fsync="never")
    kept = [b"%d" % number for number in range(1500) if spool.append(b"%d\n" % number)]
    stop.set()
    for reader in readers:
        reader.join()
    assert sorted(published(landing)) == sorted(kept) and len(kept) == 1500 and spool.dropped == 0


def test_a_short_write_is_completed(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(spool_module.os, "write", lambda fd, data: write(fd, data[:3]))
    spool = Spool(landing)
    assert spool.append(b"0123456789\n")
    spool.flush()
    assert published(landing) == [b"0123456789"]


def test_a_torn_line_is_finished_before_the_next(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, room = os.write, [25]

    def write_while_room(fd: int, data: bytes) -> int:
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = write(fd, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(spool_module.os, "write", write_while_room)
    spool = Spool(landing)
    assert [spool.append(b"%09d\n" % number) for number in range(4)] == [True, True, False, False]
    assert spool.dropped == 2 and "No space left" in str(spool.last_error)
    room[0] = 1000
    assert spool.append(b"%09d\n" % 4)
    spool.flush()
    assert published(landing) == [b"000000000", b"000000001", b"00000", b"000000004"]


LIMITED = """
import pathlib, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
from observability.client.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]), segment_bytes=1_000_000)
print([number for number in range(3000) if spool.append(b"%07d\\n" % number)], spool.dropped, sep=";")
"""


def test_a_file_that_cannot_grow_keeps_every_acknowledged_record(landing: Path) -> None:
    acknowledged, dropped = run(LIMITED, landing).stdout.split(";")
    expected = [b"%07d" % number for number in range(10_000 // 8)]
    assert [b"%07d" % int(number) for number in acknowledged.strip("[]").split(",")] == expected
    assert int(dropped) == 3000 - len(expected) and published(landing) == expected


def test_a_full_landing_folder_refuses_records_whole_and_takes_them_again(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.0)
    spool = Spool(landing, quota_bytes=100)
    assert spool.append(b"x" * 150 + b"\n")
    spool.flush()
    assert not spool.append(b"y\n") and not spool.append(b"y\n")
    assert spool.dropped == 2 and "the quota is" in str(spool.last_error)
    assert opened(landing) == [] and len(published(landing)) == 1, "nothing of a rejected record is written"
    for path in ready_segments(landing):
        path.unlink()
    assert spool.append(b"z\n") and spool.dropped == 2
    spool.flush()
    assert published(landing) == [b"z"]


def test_a_disk_below_the_floor_refuses_records(landing: Path) -> None:
    spool = Spool(landing, floor_bytes=1 << 60)
    assert not spool.append(b"x\n") and "records are refused below" in str(spool.last_error)
    assert opened(landing) == [] and spool.dropped == 1
    assert Spool(landing, floor_bytes=0).append(b"x\n")
    for wrong in ({"quota_bytes": 0}, {"floor_bytes": -1}):
        with pytest.raises(UsageError, match="quota"):
            Spool(landing, **wrong)


def test_records_of_a_removed_segment_are_counted_as_dropped(landing: Path) -> None:
    spool = Spool(landing)
    spool.append(b"1\n")
    spool.append(b"2\n3\n", count=2)
    opened(landing)[0].unlink()
    spool.flush()
    assert spool.dropped == 3 and "removed" in str(spool.last_error)
    (landing / "ready").rmdir()
    spool.append(b"4\n")
    (landing / "ready").rmdir()
    spool.flush()
    assert published(landing) == [b"4"] and spool.dropped == 3


def test_the_spool_recovers_from_running_out_of_file_descriptors(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    spool = Spool(landing, segment_seconds=0.7)
    with monkeypatch.context() as full:
        full.setattr(spool_module.os, "dup", refuse)
        assert spool.append(b"1\n")
        wait_for(lambda: "Too many" in str(spool.last_error))
    wait_for(lambda: published(landing) == [b"1"])


FORK = """
import os, pathlib, sys, threading
from observability.client.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]))
stop = threading.Event()
def busy():
    number = 0
    while not stop.is_set():
        number += spool.append(b"t%d\\n" % number)
    print(number)
thread = threading.Thread(target=busy)
thread.start()
children = []
for child in range(20):
    pid = os.fork()
    if pid == 0:
        ok = all(spool.append(b"c%d-%d\\n" % (child, number)) for number in range(50))
        if child % 2:
            spool.flush()
        os._exit(0 if ok and spool.dropped == 0 else 1)
    children.append(pid)
def fork_often():
    for _ in range(20):
        pid = os.fork()
        if pid == 0:
            os._exit(0)
        os.waitpid(pid, 0)
forkers = [threading.Thread(target=fork_often) for _ in range(3)]
for forker in forkers:
    forker.start()
for forker in forkers:
    forker.join()
codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
stop.set()
thread.join()
assert codes == [0] * 20, codes
"""


def test_a_fork_during_threaded_writes_neither_hangs_nor_shares_a_segment(landing: Path) -> None:
    """A fork while another thread holds the lock must neither hang the child nor share the parent's segment."""
    by_thread = int(run(FORK, landing).stdout)
    publish_abandoned(landing)
    expected = [b"t%d" % number for number in range(by_thread)] + [b"c%d-%d" % (c, n) for c in range(20) for n in range(50)]
    assert sorted(published(landing)) == sorted(expected) and opened(landing) == []


ORPHAN = """
import os, pathlib, sys, time
from observability.client.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]), segment_seconds=100)
spool.append(b"parent\\n")
if os.fork() == 0:
    os.close(1), os.close(2)
    time.sleep(5)
os._exit(0)
"""


def test_a_child_does_not_keep_its_dead_parents_lock(landing: Path) -> None:
    run(ORPHAN, landing)
    publish_abandoned(landing)
    assert published(landing) == [b"parent"]


SIGNALS = """
import itertools, pathlib, signal, sys
from observability.client.spool import Spool
spool = Spool(pathlib.Path(sys.argv[1]), segment_bytes=2000)
numbers, by_handler, by_main = itertools.count(), [], []
def log(kept):
    number = next(numbers)
    if spool.append(b"%d\\n" % number):
        kept.append(number)
signal.signal(signal.SIGALRM, lambda *_: log(by_handler))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
while min(len(by_handler), len(by_main)) <= 50:
    log(by_main)
signal.setitimer(signal.ITIMER_REAL, 0)
print(len(by_handler), *by_handler, *by_main)
"""


def test_a_signal_handler_may_log(landing: Path) -> None:
    by_handler, *acknowledged = map(int, run(SIGNALS, landing).stdout.split())
    publish_abandoned(landing)
    assert 50 < by_handler < len(acknowledged) - 50, "both logged"
    assert sorted(map(int, published(landing))) == sorted(acknowledged)


def failing_syncs(monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Make the next `times` data syncs fail, as on a disk that lost written data. Returns a list that collects the synced descriptors."""
    real, synced = spool_module._sync_data, []

    def sync(fd: int) -> None:
        synced.append(fd)
        if len(synced) <= times:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(fd)

    monkeypatch.setattr(spool_module, "_sync_data", sync)
    return synced


def test_lines_whose_sync_failed_are_written_again_to_a_new_segment(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(landing, segment_seconds=100)
    assert spool.append(b"1\n")
    wait_for(lambda: not spool._dirty and not spool._syncing)
    failing_syncs(monkeypatch, 1)
    assert spool.append(b"2\n3\n", 2)
    wait_for(lambda: published(landing) == [b"2", b"3"])
    assert "Input/output error" in str(spool.last_error) and spool.dropped == 0
    spool.flush()
    assert sorted(published(landing)) == [b"1", b"2", b"2", b"3", b"3"], "the loader stores equal lines only once"


def test_a_disk_with_repeated_sync_failures_is_retried_until_it_works(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "RETRY_SECONDS", 0.01)
    spool = Spool(landing, segment_seconds=0.05)
    syncs = failing_syncs(monkeypatch, 12)
    assert spool.append(b"1\n")
    wait_for(lambda: len(syncs) > 12 and published(landing) == [b"1", b"1"])
    wait_for(lambda: spool._flusher is None)
    assert opened(landing) == [] and spool._kept == 0


def test_flush_and_exit_write_unsynced_lines_again(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing_syncs(monkeypatch, 1)
    spool = Spool(landing, segment_seconds=100)
    assert spool.append(b"1\n")
    spool.flush()
    wait_for(lambda: published(landing) == [b"1", b"1"])


def test_an_acknowledged_line_of_a_synced_spool_is_on_disk_in_one_segment_or_another(
    landing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(landing, fsync="always", segment_seconds=100)
    assert spool.append(b"1\n")
    failing_syncs(monkeypatch, 1)
    assert spool.append(b"2\n")
    assert sorted(published(landing)) == [b"1", b"2", b"2"] and spool.dropped == 0
    failing_syncs(monkeypatch, 2)
    assert not spool.append(b"3\n")
    assert spool.dropped == 1 and "Input/output error" in str(spool.last_error)
    spool.flush()
    assert sorted(published(landing)) == [b"1", b"2", b"2", b"3"], "the third record was not acknowledged, but may be there"


def test_lines_kept_for_rewriting_are_bounded(landing: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool_module, "KEPT_BYTES", 100)
    held = threading.Event()
    monkeypatch.setattr(spool_module, "_sync_data", lambda fd: held.wait(60))
    spool = Spool(landing, segment_bytes=40, segment_seconds=100)
    assert all(spool.append(b"%07d\n" % number) for number in range(100))
    assert 0 < spool._kept <= 108
    held.set()
    spool.flush()
    wait_for(lambda: spool._kept == 0)
