"""Background jobs in a slot with a queue: one runs, the others wait in order, and each shows its place in the queue."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from observability.dashboard import background_job
from observability.dashboard.background_job import JobSlot, Note
from observability.server.access import Person
from tests.support.signed_in import sign


@pytest.fixture
def slot(monkeypatch: pytest.MonkeyPatch) -> JobSlot:
    monkeypatch.setattr(background_job, "require_owner", lambda: None)
    return JobSlot("test", cancelled="Cancelled.", failed="Failed", kept=4, line=2)


def until(true: Callable[[], Any]) -> None:
    """Wait until a condition is true."""
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)  # pause between two checks of another thread


def held(gate: threading.Event, result: str) -> Callable[[Note], str]:
    """Work that ends when a gate is opened or the job is cancelled."""

    def work(note: Note) -> str:
        while not gate.wait(0.005):
            note(0.5, "half")
        return result

    return work


def test_jobs_wait_in_line_and_run_in_order_one_at_a_time(slot: JobSlot) -> None:
    gates = {name: threading.Event() for name in "abc"}
    assert all(slot.start(name, name, held(gate, name * 2)) for name, gate in gates.items())
    assert [slot.place(name) for name in "abcd"] == [0, 1, 2, None]
    assert not slot.start("b", "b", lambda note: None), "a second start of the same job is refused while the first one waits"
    assert not slot.start("d", "d", lambda note: None), "a start is refused if the queue is full"
    slot.leave("b")
    assert [slot.place(name) for name in "abc"] == [0, None, 1]
    gates["a"].set()
    until(lambda: slot.place("c") == 0)
    assert slot.result("a") == "aa" and slot.result("c") is None and slot.current().choice == "c"
    gates["c"].set()
    until(lambda: slot.result("c") == "cc" and slot.current() is None)


def test_a_failed_or_cancelled_job_lets_the_next_start_and_states_the_reason(slot: JobSlot) -> None:
    gate, last = threading.Event(), threading.Event()
    slot.start("a", "a", held(gate, "a"))
    slot.start("b", "b", lambda note: 1 // 0)
    slot.start("c", "c", held(last, "c"))
    slot.current().cancel()
    until(lambda: slot.place("c") == 0)
    assert slot.failure("a") == "Cancelled." and slot.failure("b").startswith("Failed: ZeroDivisionError") and slot.failure("c") is None
    last.set()
    until(lambda: slot.result("c") == "c")


def test_a_slot_without_a_queue_refuses_a_second_job(slot: JobSlot) -> None:
    slot.line, gate = 0, threading.Event()
    assert slot.start("a", "a", held(gate, "a")) and not slot.start("b", "b", lambda note: None)
    gate.set()
    until(lambda: slot.result("a"))


def lab_of_another(choice: str) -> None:
    """The script of another session that plants a fault in the lab."""
    from observability.dashboard.lab import lab

    lab.plant_fault(choice, f"fault {choice}", lambda note: note(0.5, "half"), None, "Takes some seconds")


def test_a_session_sees_the_running_job_and_its_place_in_the_queue(slot: JobSlot, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.dashboard.lab import lab

    monkeypatch.setattr(lab, "LAB", slot)
    gate = threading.Event()
    slot.start("mine", "fault of another", held(gate, "x"))
    app = AppTest.from_function(lab_of_another, kwargs={"choice": "own"}).run(timeout=30)
    assert app.button(key="lab-run").label == "Join the queue"
    app.button(key="lab-run").click().run()
    said = [each.value.replace("\\", "") for each in app.caption]
    assert any("Place 1 of 1 in the queue" in words for words in said) and "Queue: 1. fault own" in said
    assert app.button(key="lab-run").disabled
    app.button(key="lab-leave").click().run()
    assert slot.place("own") is None and not app.button(key="lab-run").disabled
    gate.set()
    until(lambda: slot.result("mine"))


def test_a_job_about_a_hidden_model_is_neither_named_nor_cancelled(slot: JobSlot, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.dashboard.lab import lab

    monkeypatch.setattr(lab, "LAB", slot)
    gate = threading.Event()
    slot.start("x", "drift on price", held(gate, "x"), model="price")
    slot.start("y", "delay on price", held(gate, "y"), model="price")
    for person, shown in ((Person("ann", None, (("loan", "viewer"),)), False), (Person("vic", "viewer"), True)):
        sign(monkeypatch, person)
        app = AppTest.from_function(lab_of_another, kwargs={"choice": "own"}).run(timeout=30)
        said = " ".join([*(each.proto.text for each in app.get("progress")), *(each.value for each in app.caption)])
        assert ("price" in said) is shown and "Queue" in said
        assert ("lab-cancel" in [each.key for each in app.button]) is shown
    gate.set()
    until(lambda: slot.result("y"))


def test_cancel_stops_the_job_that_was_drawn_and_not_the_next_one(slot: JobSlot, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.dashboard.lab import lab

    monkeypatch.setattr(lab, "LAB", slot)
    gates = {name: threading.Event() for name in "ab"}
    for name, gate in gates.items():
        slot.start(name, name, held(gate, name * 2))
    app = AppTest.from_function(lab_of_another, kwargs={"choice": "a"}).run(timeout=30)
    gates["a"].set()
    until(lambda: slot.place("b") == 0)
    app.button(key="lab-cancel").click().run()
    gates["b"].set()
    until(lambda: slot.current() is None)
    assert slot.result("b") == "bb" and slot.failure("b") is None


def test_a_session_sees_why_its_job_ended_even_after_another_job(slot: JobSlot, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.dashboard.lab import lab

    monkeypatch.setattr(lab, "LAB", slot)
    slot.start("own", "own", lambda note: 1 // 0)
    until(lambda: slot.failure("own"))

    def said(choice: str) -> list[str]:
        return [each.value for each in AppTest.from_function(lab_of_another, kwargs={"choice": choice}).run(timeout=30).warning]

    assert len(said("own")) == 1 and "ZeroDivisionError" in said("own")[0]
    assert said("other") == [], "the failure of another choice is not shown for this choice"
    slot.start("next", "next", lambda note: "done")
    until(lambda: slot.result("next"))
    assert len(said("own")) == 1 and "ZeroDivisionError" in said("own")[0]
