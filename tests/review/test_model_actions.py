"""The row of a model in a frozen week agrees with the agenda: it has the same count, and its status is no better than that of its items."""

from types import SimpleNamespace
from typing import Any

from observability.dashboard.review import fleet
from observability.export.review import TEMPLATES, model_statuses
from observability.incidents.action_counts import ActionCounts
from observability.review.agenda import Arranged, Item, Sort, arranged_agenda
from observability.review.fleet_strip import main_metric_cell
from observability.review.model_actions import model_action_counts, model_week_severity

FIGURE = {
    "value": None,
    "metric": None,
    "because": None,
    "unit": "",
    "n": 0,
    "basis": "measured",
    "severity": "unknown",
    "before": None,
    "low": None,
    "high": None,
}
COUNT = {"bad": 0, "of": 0, "severity": "unknown", "because": None}
STRIP = dict.fromkeys(("performance", "estimated", "latency", "error_budget", "labels", "energy"), FIGURE)


def entry(name: str, sort: Sort, severity: Any, *models: str) -> dict[str, Any]:
    also = tuple({"model": model, "item": name} for model in models[1:])
    return Item(name, sort, f"{name}.", severity, "new", 0.5, models[0], also=also).to_json()


def week() -> dict[str, Any]:
    """A frozen week with two warnings of `late`, one of them shared with `delay`, and an expired audit of `late`."""
    agenda = [
        entry("drift", "incident", "watch", "late"),
        entry("feed", "incident", "watch", "delay", "late"),
        entry("audit:late:1:robustness", "audit", "act", "late"),
    ]
    strip = STRIP | {"drift": COUNT, "fairness": COUNT, "cost": FIGURE | {"currency": "USD"}}
    part = {"severity": "watch", "served": 900, "strip": strip}
    models = [part | {"model": "late", "incidents": [{}, {}]}, part | {"model": "delay", "incidents": [{}]}]
    return {"week": "2026-W10", "models": [*models, part | {"model": "quiet", "severity": "unknown", "incidents": []}], "agenda": agenda}


def arranged(body: dict[str, Any], *said: dict[str, Any]) -> Arranged:
    return arranged_agenda([Item.from_json(item) for item in body["agenda"]], said)


def test_an_expired_audit_counts_and_makes_its_model_critical() -> None:
    body = week()
    assert model_action_counts(arranged(body), "late") == ActionCounts(critical=1, acknowledged=0, warnings=2)
    assert [model_week_severity(body, part) for part in body["models"]] == ["act", "watch", "unknown"]


def test_a_fleet_row_shows_the_counts_of_its_model_and_the_agenda_places() -> None:
    body = week()
    room: Any = SimpleNamespace(body=body, agenda=arranged(body))
    rows = [fleet._fleet_row(room, part)["cells"]["status"] for part in body["models"]]
    assert [(row["s"], row["sub"]) for row in rows] == [
        ("act", "1 critical, 2 warnings; agenda 1, 2, 3"),
        ("watch", "1 warning; agenda 2"),
        ("unknown", None),
    ]


def test_an_estimate_that_was_rejected_is_no_figure_of_the_week() -> None:
    """Regression: the row, the file and the slides stated a value, although Home says that there is none."""
    guess = FIGURE | {"metric": "accuracy", "value": 0.755, "unit": "share", "n": 900, "basis": "estimated", "because": "Not trusted."}
    body = week()
    room: Any = SimpleNamespace(body=body, agenda=arranged(body))
    part = body["models"][0] | {"strip": body["models"][0]["strip"] | {"estimated": guess}}
    assert fleet._fleet_row(room, part)["cells"]["outcome"]["t"] != "75.5 %"
    trusted = part | {"strip": part["strip"] | {"estimated": guess | {"severity": "ok"}}}
    assert fleet._fleet_row(room, trusted)["cells"]["outcome"]["t"] == "75.5 %"
    measured = guess | {"value": 0.9, "basis": "measured"}
    assert main_metric_cell(part["strip"] | {"performance": measured})["value"] == 0.9, "a measured value is kept, whatever its severity"


def test_an_overdue_action_does_not_change_the_state_of_its_model() -> None:
    body = week()
    body["models"][2]["severity"] = "ok"
    body["agenda"] += [entry("action:a1", "action", "act", "quiet"), entry("signature:quiet:x", "signature", "act", "quiet")]
    room: Any = SimpleNamespace(body=body, agenda=arranged(body))
    cell = fleet._fleet_row(room, body["models"][2])["cells"]["status"]
    assert (cell["s"], cell["sub"]) == ("ok", "agenda 4, 5")


def test_a_removed_item_is_not_counted_and_an_expired_audit_counts_once() -> None:
    body = week()
    expired = entry("incident:late:trust/audits/robustness/audit_days_left/", "incident", "watch", "late")
    body["agenda"].append(expired | {"about": {"analyzer": "trust/audits", "metric": "audit_days_left", "subject": "robustness"}})
    assert model_action_counts(arranged(body), "late") == ActionCounts(critical=1, acknowledged=0, warnings=2)
    gone = {"item": "drift", "does": "unpin", "author": "ann"}
    assert model_action_counts(arranged(body, gone), "late") == ActionCounts(critical=1, acknowledged=0, warnings=1)


def test_the_slides_use_the_model_status_of_the_page() -> None:
    body = week()
    assert model_statuses(body) == {"late": "act", "delay": "watch", "quiet": "unknown"}
    source = (TEMPLATES / "deck.html").read_text(encoding="utf-8")
    assert "status(statuses[each.model])" in source and "each.severity" not in source
