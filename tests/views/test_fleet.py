"""Is the first page answered from the rollups alone, at any time of the day?"""

import threading
from datetime import timedelta
from typing import Any

import pytest

from observability import run
from observability.store import engine
from observability.views import deep, fleet, load
from observability.views.scope import Scope
from tests.views.world import END, World


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=9, minutes=25)])
def test_the_health_page_reads_no_raw_row(current: World, monkeypatch: pytest.MonkeyPatch, ago: timedelta) -> None:
    raw: list[Any] = []
    original, own = engine.from_raw, threading.get_ident()

    def noted(cursor: Any, question: engine.Question, rows: Any, places: Any) -> Any:
        if threading.get_ident() == own:  # what is asked in the background is asked in its own time
            raw.append((question.window, question.aggregate))
        return original(cursor, question, rows, places)

    monkeypatch.setattr(engine, "from_raw", noted)
    monkeypatch.setattr(deep, "findings", lambda *asked, **options: ())
    monkeypatch.setattr(load, "now", lambda: END - ago)
    standings = [fleet.standing(Scope(), each) for each in load.catalog().models]
    registered = [each for each in standings if each.model.task]
    assert {each.model.task for each in registered} == {"binary", "regression"}
    assert all(each.findings and each.traffic["n"].sum() for each in registered)
    assert raw == []


def test_what_reads_raw_rows_is_left_out_of_what_a_page_waits_for(current: World) -> None:
    window = load.window(Scope(), "price")
    counted = run.check(current.store, model="price", start=window.start, end=window.end, now=END, reads="counts")
    sampled = {
        each.analyzer
        for each in run.check(current.store, model="price", start=window.start, end=window.end, now=END, reads="rows").findings
    }
    assert sampled and not sampled & {each.analyzer for each in counted.findings}
