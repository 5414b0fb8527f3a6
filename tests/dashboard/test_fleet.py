"""Is the first page answered from the rollups alone, at any time of the day?"""

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from observability.core.finding import Finding
from observability.dashboard import background_findings, load
from observability.dashboard.overview import fleet, incidents
from observability.dashboard.scope import Scope
from observability.incidents.grouping import Incident, joined
from observability.monitoring import check
from observability.store.query import aggregates
from tests.support.dashboard_world import END, World


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(hours=9, minutes=25)])
def test_the_health_page_reads_no_raw_row(current: World, monkeypatch: pytest.MonkeyPatch, ago: timedelta) -> None:
    raw: list[Any] = []
    original, own = aggregates.from_raw, threading.get_ident()

    def noted(cursor: Any, question: aggregates.Question, rows: Any, places: Any) -> Any:
        if threading.get_ident() == own:  # what is asked in the background is asked in its own time
            raw.append((question.window, question.aggregate))
        return original(cursor, question, rows, places)

    monkeypatch.setattr(aggregates, "from_raw", noted)
    monkeypatch.setattr(background_findings, "findings", lambda *asked, **options: ())
    monkeypatch.setattr(load, "now", lambda: END - ago)
    standings = [fleet.standing(Scope(), each) for each in load.catalog().models]
    registered = [each for each in standings if each.model.task]
    assert {each.model.task for each in registered} == {"binary", "regression"}
    assert all(each.findings and each.traffic["n"].sum() for each in registered)
    assert raw == []


def test_what_reads_raw_rows_is_left_out_of_what_a_page_waits_for(current: World) -> None:
    window = load.window(Scope(), "price")
    counted = check.check(current.store, model="price", start=window.start, end=window.end, now=END, reads="counts")
    sampled = {
        each.analyzer
        for each in check.check(current.store, model="price", start=window.start, end=window.end, now=END, reads="rows").findings
    }
    assert sampled and not sampled & {each.analyzer for each in counted.findings}


def test_what_is_said_of_two_models_stands_in_one_row_with_both_named() -> None:
    both = [of_one("late", "`wind` is null in 85 %."), of_one("delay", "`wind` is null in 85 %."), of_one("delay", "`rain` is null.")]
    told = incidents.told_once(both)
    assert [(each.model, models) for each, models in told] == [("late", ("late", "delay")), ("delay", ("delay",))]
    cells = [incidents.as_row(each, Scope(), models=models)["cells"]["model"] for each, models in told]
    assert cells == [{"t": "late", "sub": "and delay"}, {"t": "delay", "sub": "version 1"}]
    assert incidents.named(("a", "b", "c")) == "a, b and c"


def test_of_what_needs_somebody_it_is_said_where_its_days_do_not_tell_since_when() -> None:
    found = of_one("late", "Scores are 12 points from what came true.")
    said = [incidents.facts(replace(found, severity=each)) for each in ("act", "watch")]
    assert said == ["its days do not tell since when", "nothing else comes with it"]
    assert incidents.facts(replace(found, severity="act", onset=END)).startswith("since ")
    of_run = replace(found.lead, subject="run:r1/rank:2", severity="act")
    assert incidents.facts(replace(found, severity="act", lead=of_run)) == "nothing else comes with it"


def test_an_incident_leads_to_where_one_looks_next() -> None:
    found = replace(of_one("late", "Accuracy fell."), source="model")
    pages = [(each["go"]["page"], each["go"]["parameters"]["model"]) for each in incidents.next_steps(found, Scope())]
    assert pages == [("quality", "late"), ("why_changed", "late"), ("cases", "late"), ("changes", "late")]
    assert [each["go"]["page"] for each in incidents.next_steps(replace(found, source="input"), Scope())] == ["quality", "changes"]


def of_one(model: str, because: str) -> Incident:
    """The incident that one finding of a model forms."""
    found = Finding(
        analyzer="data/quality", model=model, version="1", subject="wind", metric="null_rate", value=0.85, n=1819, severity="watch",
        because=because, start=END - timedelta(days=7), end=END, against="reference",
    )  # fmt: skip
    return joined([found], {})[1][0]
