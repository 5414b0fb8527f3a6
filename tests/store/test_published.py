"""A published state (a copy of the store for readers) is the result of one commit, is named only once it is complete, and is withdrawn when
data are removed.
"""

import signal
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from observability.core.errors import UsageError
from observability.store.db.published_files import FOLDER, withdraw_states
from observability.store.duck_store import DuckStore
from observability.store.published import newest_state, publish_state
from observability.store.types.published_state import PublishedState
from tests.support.new_store import new_store

ROOT = Path(__file__).parents[2]


def ask_to_publish(store: DuckStore) -> None:
    """Change the settings of a store's home so that states are published."""
    (store.home / "keeping.toml").write_text("[publish]\nevery = 1\n")


def published_state(store: DuckStore, before: PublishedState | None = None) -> PublishedState:
    """Publish a state now, and return it."""
    state = publish_state(store, "run", before)
    assert state is not None
    return state


def counted(state: PublishedState, query: str) -> int:
    """A number from the database of a state, which is opened as a reader opens it."""
    with duckdb.connect(str(state.folder / "store.duckdb"), read_only=True) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def event(number: int) -> dict[str, object]:
    """An event record; different numbers give different records."""
    return {"kind": "event", "at": datetime(2026, 11, 1, tzinfo=UTC) + timedelta(seconds=number), "what": "note", "text": f"note {number}"}


def test_nothing_is_published_unless_the_settings_ask_for_it(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        assert publish_state(store, "run") is None
        assert not (store.home / FOLDER).exists()
        ask_to_publish(store)
        published_state(store)
        (store.home / "keeping.toml").write_text("[publish]\nevery = 0\n")
        with pytest.raises(UsageError, match="every"):
            publish_state(store, "run")
        (store.home / "keeping.toml").write_text("")
        assert publish_state(store, "run") is None
        assert newest_state(store.home / FOLDER) is None


def test_an_unchanged_store_is_not_copied_again(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        first = published_state(store)
        again = published_state(store, first)
        assert again.folder == first.folder
        assert again.as_of > first.as_of
        assert newest_state(store.home / FOLDER) == again
        store.write_records([event(1)])
        second = published_state(store, again)
        assert second.folder != first.folder
        assert second.generation == store.generation
        (store.home / "limits.toml").write_text("")
        third = published_state(store, second)
        assert (third.folder / "limits.toml").exists()
        assert third.generation == second.generation


def test_a_published_state_is_that_of_a_single_commit(tmp_path: Path) -> None:
    """Each commit writes as many events as predictions while states are published; each state has equally many of both, and counts that
    agree.
    """
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        stop = threading.Event()

        def write() -> None:
            number = 0
            while not stop.is_set():
                many = range(number, number + 20)
                predictions = [
                    {
                        "kind": "prediction",
                        "id": f"p{each}",
                        "at": event(each)["at"],
                        "model": "m",
                        "version": "1",
                        "features": {},
                        "score": 0.5,
                    }
                    for each in many
                ]
                store.write_records([*map(event, many), *predictions])
                number += 20

        writer = threading.Thread(target=write)
        writer.start()
        try:
            states: list[list[int]] = []
            state, until = None, time.monotonic() + 120
            while (len(states) < 3 or states[0][0] == states[-1][0]) and time.monotonic() < until:
                state = published_state(store, state)
                queries = ("count(*) FROM events", "count(*) FROM predictions_shared", "coalesce(sum(stored), 0) FROM manifest")
                states.append([counted(state, f"SELECT {query}") for query in queries])
        finally:
            stop.set()
            writer.join()
    assert [(events, events, 2 * events) for events, _, _ in states] == [tuple(each) for each in states]
    assert states[0][0] < states[-1][0]


def test_the_two_newest_states_stay(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        state, states = None, []
        for number in range(4):
            store.write_records([event(number)])
            states.append(state := published_state(store, state))
        assert [each.folder.exists() for each in states] == [False, False, True, True]
        other = publish_state(store, "another run")
        assert other is not None
        assert list((store.home / FOLDER).glob("[0-9]*")) == [other.folder]


def test_an_open_state_is_read_to_its_end(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        store.write_records(list(map(event, range(500))))
        state = published_state(store)
        with duckdb.connect(str(state.folder / "store.duckdb"), read_only=True) as reader:
            for number in range(3):
                store.write_records([event(1000 + number)])
                published_state(store)
            assert not state.folder.exists()
            assert reader.execute("SELECT count(*), count(DISTINCT text) FROM events").fetchone() == (500, 500)


def test_removed_records_are_removed_from_published_states_too(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        store.write_records([event(1)])
        state = published_state(store)
        store.rewrite()
        assert not state.folder.exists()
        assert newest_state(store.home / FOLDER) is None
        assert published_state(store, state).folder.exists()


def test_a_state_that_was_copied_after_the_rewrite_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that waited for the rewrite contains no removed data. States copied before the rewrite are removed."""
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        withdraw, made = DuckStore._withdraw_states, list[PublishedState]()

        def publishing_beside(self: DuckStore, spared: int | None = None) -> None:
            if spared is not None:
                made.append(published_state(store))
            withdraw(self, spared)
            if spared is None:
                made.append(published_state(store))

        monkeypatch.setattr(DuckStore, "_withdraw_states", publishing_beside)
        store.rewrite()
        before, after = made
        assert not before.folder.exists()
        assert newest_state(store.home / FOLDER) == after
        assert published_state(store, after).folder == after.folder


def test_a_state_tells_how_long_its_copy_took_without_the_wait_for_writers(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        with store.between_writes():
            found = list[PublishedState]()
            thread = threading.Thread(target=lambda: found.append(published_state(store)))
            began = time.monotonic()
            thread.start()
            time.sleep(1)  # the writer is blocked for this second, which must not count as time of the copy
        thread.join()
        took = time.monotonic() - began
        assert 0 < found[0].seconds <= took - 0.9


def test_a_withdrawn_state_is_published_again(tmp_path: Path) -> None:
    """A failed rewrite has withdrawn the states but left the store unchanged."""
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        state = published_state(store)
        withdraw_states(store.home)
        again = published_state(store, state)
        assert again.folder.exists()
        assert newest_state(store.home / FOLDER) == again


def test_secrets_and_waiting_records_are_not_published(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        ask_to_publish(store)
        secret = (
            *("tokens.json", "secret.key", "audit.jsonl", "audit.key", "owner.json", "alerts.toml", "lake.toml", "erasures.jsonl"),
            *("landing/ready/x.jsonl", "uploads/a/b.csv", "probes/p.toml", "audits/steps.json", "a folder/of somebody"),
        )
        for name in (*secret, "access.toml", "accounts.json", "limits.toml", "images/seen.png", "artifacts/model.txt"):
            (store.home / name).parent.mkdir(parents=True, exist_ok=True)
            (store.home / name).write_text("{}")
        state = published_state(store)
        names = {str(path.relative_to(state.folder)) for path in state.folder.rglob("*") if path.is_file()}
        settings = {"access.toml", "accounts.json", "keeping.toml", "limits.toml"}
        assert names == {*settings, "images/seen.png", "artifacts/model.txt", "store.duckdb", "state.json", "counts.json"}
        assert set(state.files) == settings
        assert (state.folder / "images/seen.png").samefile(store.home / "images/seen.png")


KILLED = """
import os, signal, sys
from pathlib import Path
from observability.store import opener, published

home, step, code = Path(sys.argv[1]), 1, None

def dying(real, left=[0]):
    def call(*args, **kwargs):
        left[0] += 1
        if left[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    return call

while code != 0:
    child = os.fork()  # the database is open in the children alone
    if child == 0:
        with opener.open_store(home) as store:
            for name in ("rename", "replace", "mkdir", "fsync"):
                setattr(os, name, dying(getattr(os, name)))
            published.publish_state(store, "killed")
            os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    child = os.fork()
    if child == 0:
        import duckdb
        state = published.newest_state(home / "published")
        with duckdb.connect(str(state.folder / "store.duckdb"), read_only=True) as reader:
            print(code, state.run, *reader.execute("SELECT count(*) FROM events").fetchone(), flush=True)
        os._exit(0)
    os.waitpid(child, 0)
    step += 1
"""


def test_a_killed_publisher_leaves_the_name_of_a_complete_state(tmp_path: Path) -> None:
    """The process is killed before each system call that makes a state durable. Afterwards, the pointer still names a state that opens and
    has the right counts.
    """
    home = tmp_path / "home"
    with new_store(home) as store:
        ask_to_publish(store)
        store.write_records([event(1)])
        published_state(store)
    done = subprocess.run([sys.executable, "-c", KILLED, str(home)], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    told = [line.split() for line in done.stdout.splitlines()]
    codes = [int(code) for code, _, _ in told]
    assert codes == [*[-signal.SIGKILL] * (len(codes) - 1), 0]
    assert len(codes) > 10
    assert [events for _, _, events in told] == ["1"] * len(codes)
    assert told[0][1] == "run"
    assert told[-1][1] == "killed"
    assert not list((home / FOLDER).glob("*.partial"))
