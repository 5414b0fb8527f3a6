"""The dashboard that no test changes is started once for all workers, and runs until the last of them has left."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import running
from tests.support.running import Dashboard, one_dashboard


def test_the_first_test_starts_the_dashboard_and_it_ends_after_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[str] = []

    @contextlib.contextmanager
    def served(home: Path) -> Iterator[Dashboard]:
        log.append(f"{home.name} starts")
        yield Dashboard(f"http://{home.name}", home, 1)
        log.append(f"{home.name} ends")

    monkeypatch.setattr(running, "dashboard", served)
    entered, leave = threading.Event(), threading.Event()

    def first() -> None:
        with one_dashboard(tmp_path, lambda: contextlib.nullcontext(tmp_path / "one")):
            entered.set()
            leave.wait(60)

    worker = threading.Thread(target=first)
    worker.start()
    assert entered.wait(60)
    with one_dashboard(tmp_path, lambda: contextlib.nullcontext(tmp_path / "two")) as second:
        assert second.url == "http://one"
        leave.set()
        worker.join(0.3)
        assert worker.is_alive() and log == ["one starts"], "the dashboard keeps running while a test uses it"
    worker.join(60)
    assert log == ["one starts", "one ends"]
    with one_dashboard(tmp_path, lambda: contextlib.nullcontext(tmp_path / "two")) as third:
        assert third.url == "http://two"
    assert log[2:] == ["two starts", "two ends"]
