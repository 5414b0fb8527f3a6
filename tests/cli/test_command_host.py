"""While a command holds the store for a long time, it runs the commands of other processes."""

import http.client
import json
import socket
import threading
import time
from pathlib import Path

import pytest

from observability.cli import command_host, main
from observability.cli.outcome import Outcome
from observability.core.errors import StoreBrokenError
from observability.server import process_lock
from observability.store.engine import Store
from observability.store.ingest import csv_importer
from tests.support.commanding import Command, spawn
from tests.support.new_store import new_store

ROWS = 200


@pytest.fixture
def store(tmp_path: Path):
    with new_store(tmp_path / "home") as opened:
        yield opened


def wait_for_address(home: Path) -> process_lock.Address:
    until = time.monotonic() + 300
    while (address := process_lock.read_address(home)) is None:
        assert time.monotonic() < until
        time.sleep(0.01)  # another thread writes the address file
    return address


def test_other_commands_are_answered_while_a_file_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Command) -> None:
    home, file = new_store(tmp_path / "home").home, tmp_path / "loan.csv"
    file.write_text("id,at,age,score\n" + "".join(f"p{k},2024-03-01T{k % 24:02}:00:00Z,{k % 70},0.{k % 10}\n" for k in range(ROWS)))
    reached, answered, codes, blocks = threading.Event(), threading.Event(), [], csv_importer.CsvImporter.blocks

    def paused(importer):
        for number, block in enumerate(blocks(importer)):
            if number == 1:
                reached.set()
                assert answered.wait(120)
            yield block

    monkeypatch.setenv("OBSERVABILITY_HOME", str(home))
    monkeypatch.setattr(csv_importer, "CSV_BLOCK_BYTES", 2000)
    monkeypatch.setattr(csv_importer.CsvImporter, "blocks", paused)
    line = ["load", str(file), "--kind", "prediction", "--model", "loan", "--version", "1"]
    loading = threading.Thread(target=lambda: codes.append(main.main(line)))
    loading.start()
    try:
        assert reached.wait(300)
        [model] = spawn(home, "status", "--json").json()["models"]
        assert 0 < model["predictions"] < ROWS and loading.is_alive()
        checked = main.at_owner(wait_for_address(home), ["check", "--model", "loan", "--json"])
        assert checked is not None and checked.exit_code == 0 and {each["model"] for each in json.loads(checked.out)} == {"loan"}
    finally:
        answered.set()
        loading.join()
    assert codes == [0] and not (home / "owner.json").exists()
    [model] = command(home, "status", "--json").json()["models"]
    assert model["predictions"] == ROWS


def test_an_accepted_command_runs_to_its_end_and_lets_others_run(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    started, release, order, said = threading.Event(), threading.Event(), [], []

    def execute(_store, argv, say):
        if argv == ["explain"]:
            say("half of it")
            started.set()
            assert release.wait(300)
        order.append(argv[0])
        return Outcome(1, "out", "error")

    def hold():
        with command_host.letting_others_in(store, said.append):
            assert started.wait(300)
        order.append("the holder")

    monkeypatch.setattr(command_host, "SHORT", 0)
    monkeypatch.setattr(command_host, "execute", execute)
    holder = threading.Thread(target=hold)
    holder.start()
    address, outcomes = wait_for_address(store.home), []
    guest = threading.Thread(target=lambda: outcomes.append(main.at_owner(address, ["explain"])))
    guest.start()
    assert started.wait(300)
    assert main.at_owner(address, ["status"]) == Outcome(1, "out", "error")  # the holder has finished its own work, or is about to
    release.set()
    guest.join()
    holder.join()
    assert order == ["status", "explain", "the holder"] and outcomes == [Outcome(1, "out", "error")]
    assert main.at_owner(address, ["status"]) is None and said[-1] == ""


def test_a_caller_that_cannot_read_the_address_is_refused_without_blocking(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_host, "SHORT", 0)
    monkeypatch.setattr(command_host, "execute", lambda *_: pytest.fail("a stranger's command ran"))
    with command_host.letting_others_in(store, lambda _: None):
        address = wait_for_address(store.home)
        assert (store.home / "owner.json").stat().st_mode & 0o077 == 0
        silent = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
        silent.connect()
        body, known = json.dumps({"argv": ["status"]}), f"Bearer {address.token}"
        for token, sent, size, answer in (
            ("Bearer x", body, len(body), 401),
            ("é", body, len(body), 401),
            (known, "[]", 2, 400),
            (known, "[" * 99_999, 99_999, 400),
            (known, "", command_host.COMMAND_BYTES + 1, 413),
            (known, "", "many", 413),
        ):
            asked = http.client.HTTPConnection("127.0.0.1", address.port, timeout=30)
            asked.request("POST", "/_owner/command", sent, {"Authorization": token.encode(), "Content-Length": str(size)})
            assert asked.getresponse().status == answer
            asked.close()
    silent.close()
    assert not (store.home / "owner.json").exists()


def test_the_error_names_an_owner_process_that_died() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def die() -> None:
            caller, _ = server.accept()
            with caller:
                sent = b""
                while b"status" not in sent:
                    sent += caller.recv(9999)
                caller.sendall(b'HTTP/1.0 200 OK\r\n\r\n{"progress": "half of it"}\n')

        dying = threading.Thread(target=die)
        dying.start()
        with pytest.raises(StoreBrokenError, match="process 4711, ended the command without an outcome"):
            main.at_owner(process_lock.Address(4711, server.getsockname()[1], "token"), ["status"])
        dying.join()


def test_a_full_disk_for_the_address_file_does_not_stop_the_command(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def refuse(*_given: object) -> None:
        tried.set()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(command_host, "SHORT", 0)
    monkeypatch.setattr(command_host, "write_address", refuse)
    with command_host.letting_others_in(store, lambda _: None):
        assert tried.wait(300)


def test_a_short_command_has_no_address(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command_host, "SHORT", 60)
    monkeypatch.setattr(command_host, "write_address", lambda *_: pytest.fail("an address was written"))
    with command_host.letting_others_in(store, lambda _: None):
        pass
