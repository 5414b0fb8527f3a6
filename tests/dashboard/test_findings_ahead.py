"""Findings are computed before anybody asks for them: those of the first page after every change, those of the range Everything while
nothing changes.
"""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from observability.dashboard import findings_ahead, load, load_findings
from observability.dashboard.findings_ahead import AHEAD, LOOK_EVERY
from observability.dashboard.scope import Scope
from observability.monitoring import check
from tests.support.dashboard_world import END, World


class Rounds:
    """An event that counts as set after some rounds, and records the pause before each round. In round `changes`, the store changes."""

    def __init__(self, rounds: int, changes: int, store: SimpleNamespace) -> None:
        self.rounds, self.changes, self.store, self.pauses = rounds, changes, store, list[float]()

    def wait(self, pause: float) -> bool:
        self.pauses.append(pause)
        self.store.generation += len(self.pauses) == self.changes
        return len(self.pauses) > self.rounds


def test_findings_are_computed_ahead_model_by_model_until_something_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []

    def computed(scope: Scope) -> Iterator[str]:
        for name in ("loan", "price"):
            done.append((scope.span, name))
            yield name

    store = SimpleNamespace(generation=1)
    holder: Any = SimpleNamespace(store=store, stopping=Rounds(7, 3, store))
    monkeypatch.setattr(findings_ahead, "compute_findings", computed)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    findings_ahead.keep_findings_known(holder)
    first, everything = [("7d", "loan"), ("7d", "price")], [("all", "loan"), ("all", "price")]
    assert done == [*first, everything[0], *first, *everything]
    assert [pause >= LOOK_EVERY for pause in holder.stopping.pauses] == [False] * 6 + [True, True], (
        "the thread pauses only when all findings are known"
    )


def test_findings_computed_ahead_are_not_computed_again(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(findings_ahead.compute_findings(AHEAD)) == [*(model.name for model in load.catalog().fleet), "records"]
    monkeypatch.setattr(check, "check", lambda *asked, **options: pytest.fail("computed again"))
    for model in load.catalog().fleet:
        assert load_findings.findings_in_window(load.window(AHEAD, model.name), wait=True)


def test_a_window_without_a_record_before_it_has_no_previous_findings(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(load_findings, "counted_findings", lambda window: asked.append(window) or ())
    everything, week = load.window(AHEAD, "price"), load.window(Scope(), "price")
    assert load_findings.findings_before(everything) == [] and not asked
    load_findings.findings_before(week)
    assert asked == [load.previous_window(week)]
