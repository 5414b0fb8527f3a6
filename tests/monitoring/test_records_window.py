"""The window of an analyzer of records ends with the records that it judges, not with a later price record. Limits set without a model
count too.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from observability.monitoring import check
from tests.support.new_store import new_store

DAY = datetime(2025, 3, 2, tzinfo=UTC)


def test_later_prices_datasets_or_decisions_do_not_move_the_window_of_storage_reports(tmp_path: Path) -> None:
    with new_store(tmp_path / "home", threads=1) as store:
        reports = [
            {"kind": "storage_report", "place": "lake", "at": DAY + timedelta(days=day), "used_bytes": 96, "capacity_bytes": 100}
            for day in range(5)
        ]
        price = {"kind": "price", "from": DAY + timedelta(days=90), "resource": "gb_month", "amount": 0.02, "currency": "EUR"}
        later = {"kind": "dataset", "dataset": "people", "version": "1", "at": DAY + timedelta(days=200), "rows": 10}
        decided = {"kind": "decision", "decision": "d", "author": "ann", "statement": "exact", "at": DAY + timedelta(days=300)}
        store.write_records([*reports, price, later, decided])
        store.load_landing()
        found = check.check(store, now=DAY + timedelta(days=400), only=("data/storage",)).findings
        versions = check.check(store, now=DAY + timedelta(days=400), only=("data/datasets",)).findings
    assert "storage_used_share" in {each.metric for each in found if each.severity == "watch"}
    assert [each.subject for each in versions] == ["dataset:people"], "only datasets date the window of their analyzer"


def test_an_export_is_judged_alike_whether_its_model_or_the_fleet_is_checked(tmp_path: Path) -> None:
    """Records without a model or of another model matter too: the limits of the recipient, the budget that other models spent, a canary of
    another export.
    """
    export = {"kind": "event", "what": "export", "text": "an extract", "at": DAY, "recipient": "office", "columns": {"age": {}}}
    noised = {"mechanism": {"noise_multiplier": 6.0}, "delta": 1e-5, "transform": "noised", "dataset": "counts"}
    level = {"kind": "decision", "author": "ann", "statement": "levels", "at": DAY - timedelta(days=1), "recipient": "office"}
    mark = {"canaries": [{"name": "mark", "text": "zq-mark-of-march"}], "recipient": "vendor", "dataset": "texts"}
    found_again = {
        "kind": "prediction",
        "id": "1",
        "model": "loan",
        "version": "1",
        "score": 0.5,
        "at": DAY + timedelta(hours=2),
        "features": {"text": "zq-mark-of-march"},
    }
    with new_store(tmp_path / "home", threads=1) as store:
        exports = [
            export | {"model": "loan", "k": 3.0, "dataset": "rows"},
            export | mark,
            *(export | noised | {"model": name} for name in ("loan", "price")),
        ]
        levels = [level | {"decision": "k", "k": 5, "dataset": "rows"}, level | {"decision": "loss", "epsilon": 1.0, "dataset": "counts"}]
        store.write_records([*exports, *levels, found_again])
        store.load_landing()
        dates: dict[str, Any] = {"start": DAY, "end": DAY + timedelta(days=1), "now": DAY + timedelta(days=1), "only": ("trust/exports",)}
        fleet, alone = check.check(store, **dates).findings, check.check(store, model="loan", **dates).findings
    assert {(each.metric, each.severity) for each in alone} >= {("export_k", "act"), ("canary_sightings", "act")}
    assert [each.to_json() for each in alone] == [each.to_json() for each in fleet if each.model == "loan"]
