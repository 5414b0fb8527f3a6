"""The row of a model in a frozen week says what its agenda says: one count, and a status no better than its items."""

from types import SimpleNamespace
from typing import Any

from observability.dashboard.review import fleet
from observability.incidents.action_counts import ActionCounts
from observability.review.agenda import Item, Sort
from observability.review.model_actions import model_action_counts, model_week_severity

FIGURE = {"value": None, "metric": None, "because": None, "unit": "", "n": 0, "basis": "measured", "before": None}
COUNT = {"bad": 0, "of": 0, "severity": "unknown", "because": None}
STRIP = dict.fromkeys(("performance", "estimated", "latency", "error_budget", "labels", "energy"), FIGURE)


def entry(name: str, sort: Sort, severity: Any, *models: str) -> dict[str, Any]:
    also = tuple({"model": model, "item": name} for model in models[1:])
    return Item(name, sort, f"{name}.", severity, "new", 0.5, models[0], also=also).to_json()


def week() -> dict[str, Any]:
    """Two warnings of `late`, one of them shared with `delay`, and an audit of `late` that has expired."""
    agenda = [
        entry("drift", "incident", "watch", "late"),
        entry("feed", "incident", "watch", "delay", "late"),
        entry("audit:late:1:robustness", "audit", "act", "late"),
    ]
    strip = STRIP | {"drift": COUNT, "fairness": COUNT, "cost": FIGURE | {"currency": "USD"}}
    part = {"severity": "watch", "served": 900, "strip": strip}
    models = [part | {"model": "late", "incidents": [{}, {}]}, part | {"model": "delay", "incidents": [{}]}]
    return {"week": "2026-W10", "models": [*models, part | {"model": "quiet", "severity": "unknown", "incidents": []}], "agenda": agenda}


def test_an_expired_audit_counts_and_makes_its_model_critical() -> None:
    body = week()
    assert model_action_counts(body, "late") == ActionCounts(critical=1, acknowledged=0, warnings=2)
    assert [model_week_severity(body, part) for part in body["models"]] == ["act", "watch", "unknown"]


def test_the_row_of_the_fleet_says_the_counts_and_the_status_of_its_agenda() -> None:
    body = week()
    room: Any = SimpleNamespace(body=body, agenda=SimpleNamespace(items=[Item.from_json(item) for item in body["agenda"]]))
    rows = [fleet._fleet_row(room, part)["cells"]["status"] for part in body["models"]]
    assert [(row["s"], row["sub"]) for row in rows] == [
        ("act", "1 critical, 2 warnings; agenda 1, 2, 3"),
        ("watch", "1 warning; agenda 2"),
        ("unknown", None),
    ]
