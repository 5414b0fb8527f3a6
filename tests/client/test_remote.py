"""A logger with `url`: each record reaches the collector once, whatever happens on either side, and the service never waits for it."""

import itertools
import os
import subprocess
import sys
import time
from collections import Counter
from email.utils import formatdate
from pathlib import Path

import pytest

import observability as obs
from observability.client import remote
from observability.core.errors import UsageError
from tests.support.answering_server import Answering
from tests.support.collector import Collector

ROOT = Path(__file__).parents[2]
TOKEN = "obs_token"


@pytest.fixture
def server():
    found = Answering()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def log(server, tmp_path, monkeypatch):
    """A logger for that server, with short pauses between retries."""
    monkeypatch.setattr(remote, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(remote, "LONGEST_PAUSE", 0.05)
    found = obs.Logger(tmp_path, url=server.url, token=TOKEN)
    yield found
    found.close(0)


def predict(log, *names):
    for name in names:
        log.prediction(id=name, model="m", version="1", features={"a": 1}, score=0.5)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def test_records_are_sent_compressed_in_batches_with_the_token_and_deleted(server, log):
    predict(log, "a", "b")
    assert log.flush(60)
    assert server.ids() == {"a": 1, "b": 1}
    (headers,) = server.headers
    assert headers["path"] == "/base/api/v1/records"
    assert (headers["Authorization"], headers["Content-Encoding"]) == (f"Bearer {TOKEN}", "gzip")
    assert "Observability-Dropped" not in headers
    assert not list(log._spool.folder.glob("*/*.jsonl"))
    assert (log.dropped, log.last_error, log._spool.sent) == (0, None, 2)


@pytest.mark.parametrize("answer", [(0,), (500,), (503, {"Retry-After": "0"}), (429, {"Retry-After": "0"}), (401,), (302,)])
def test_records_not_accepted_by_the_collector_are_sent_again(server, log, answer):
    server.answers = [answer, answer]
    predict(log, "a")
    until(lambda: (log.flush(0.05), server.ids())[1] == {"a": 1})
    assert log.dropped == 0
    assert len(server.bodies) == 3


def test_retry_after_is_honoured(server, log, monkeypatch):
    assert remote.retry_after_seconds("7") == 7
    assert 50 < remote.retry_after_seconds(formatdate(time.time() + 60, usegmt=True)) <= 60
    assert remote.retry_after_seconds("soon") is None
    assert remote.retry_after_seconds("1000000") == remote.MAX_RETRY_AFTER
    server.answers = [(429, {"Retry-After": "120"})]
    predict(log, "a")
    until(lambda: log._spool._not_before > time.monotonic() + 60)
    assert not log.flush(0.05)
    assert len(server.bodies) == 1
    assert "429" in log.last_error


def test_rejected_or_too_large_records_are_counted_and_do_not_delay_the_others(server, log):
    server.answers = [(413,), (413,), (202,), (422, {}, [{"line": 1, "reason": "no such field"}])]
    predict(log, "a", "b", "c")
    until(lambda: (log.flush(0.05), len(server.bodies) >= 4)[1])
    assert log.flush(60)
    predict(log, "d")
    assert log.flush(60)
    # a request of three lines is too large, one line is too large by itself, the second is accepted, the third rejected
    assert server.ids() == {"b": 1, "d": 1}
    assert log.dropped == 2
    assert "rejected" in log._spool._spool.last_error
    assert sum(int(headers.get("Observability-Dropped", 0)) for headers in server.headers) == 2


def test_a_batch_that_cannot_be_read_is_kept_aside(server, log):
    server.answers = [(400,)]
    predict(log, "a")
    assert log.flush(60)
    (kept,) = (log._spool.folder / "refused").glob("*.jsonl")
    assert b'"a"' in kept.read_bytes()
    predict(log, "b")
    assert log.flush(60)
    assert server.ids() == {"b": 1}


def test_a_full_spool_drops_records_and_reports_its_limit(tmp_path):
    log = obs.Logger(tmp_path, url="http://127.0.0.1:9", token=TOKEN, spool_bytes=1000)
    predict(log, *map(str, range(20)))
    assert 0 < log.dropped < 20
    assert "its limit" in log._spool._spool.last_error
    assert not log.close(0)


def test_wrong_options_are_refused(tmp_path):
    for options in (
        {"url": "ftp://host", "token": TOKEN},
        {"url": "https://", "token": TOKEN},
        {"url": "https://user:word@host", "token": TOKEN},
        {"url": "https://host", "token": "a\nb"},
        {"url": "https://host"},
        {"token": TOKEN},
        {"url": "https://host", "token": TOKEN, "spool_bytes": 0},
    ):
        with pytest.raises(UsageError):
            obs.Logger(tmp_path, **options)


def test_batches_hold_whole_lines_within_their_bounds(monkeypatch):
    monkeypatch.setattr(remote, "BATCH_BYTES", 10)
    whole = b"aaaa\nbbbb\ncccc\n" + b"d" * 50 + b"\nno end"
    ends = [0]
    while ends[-1] < len(whole):
        ends.append(remote.batch_end(whole, ends[-1], 3))
    assert [whole[a:b] for a, b in itertools.pairwise(ends)] == [b"aaaa\nbbbb\n", b"cccc\n", b"d" * 50 + b"\n", b"no end"]
    assert remote.batch_end(b"a\nb\nc\n", 0, 2) == 4


FORKING = """
import os, sys, observability as obs
log = obs.Logger(sys.argv[1], url=sys.argv[2], token="t")
def predict(name):
    log.prediction(id=name, model="m", version="1", features={"a": 1}, score=0.5)
predict("parent")
children = []
for number in range(3):
    child = os.fork()
    if child == 0:
        predict(f"child-{number}")
        if number == 0:
            os._exit(0)  # dies at once: another process sends what it wrote
        os._exit(0 if log.flush(120) else 1)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
predict("after")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_processes_and_process_exit_lose_no_records(server, tmp_path):
    script = [sys.executable, "-c", FORKING, str(tmp_path), server.url]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    until(lambda: len(server.ids()) == 5 or (obs.Logger(tmp_path, url=server.url, token=TOKEN).flush(5), False)[1], 180)
    assert set(server.ids()) == {"parent", "after", "child-0", "child-1", "child-2"}


WRITER = """
import sys, threading, observability as obs
log = obs.Logger(sys.argv[1], url=sys.argv[2], token=sys.argv[3])
def work(name):
    for number in range(int(sys.argv[5])):
        given = f"{sys.argv[4]}-{name}-{number}"
        log.prediction(id=given, model="m", version="1", features={"a": 1.5, "b": "text"}, score=0.5)
        stop.wait(0.002)
stop = threading.Event()
threads = [threading.Thread(target=work, args=(name,)) for name in range(2)]
for thread in threads: thread.start()
for thread in threads: thread.join()
assert log.dropped == 0, log.last_error
print(log.close(300), log.last_error)
"""


def test_a_collector_that_is_killed_and_started_again_has_every_record_once(tmp_path):
    collector = Collector(tmp_path / "collector")
    collector.start()
    service, count = tmp_path / "service", 700
    command = [sys.executable, "-c", WRITER, str(service), collector.url, collector.token]
    writers = [subprocess.Popen([*command, f"w{i}", str(count)], cwd=ROOT, stdout=subprocess.PIPE, text=True) for i in range(2)]
    try:
        for _ in range(2):
            time.sleep(1.0)
            collector.kill()
            time.sleep(0.3)
            collector.start()
        outputs = [writer.communicate(timeout=600)[0] for writer in writers]
        assert [writer.returncode for writer in writers] == [0, 0]
        assert all(output.startswith("True") for output in outputs), outputs
    finally:
        for writer in writers:
            writer.kill()
        collector.kill()
    expected = {f"w{i}-{name}-{number}" for i in range(2) for name in range(2) for number in range(count)}
    stored = Counter(collector.stored_ids())
    assert set(stored) == expected
    assert set(stored.values()) == {1}
