"""While its model serves, an audit of forms expires, whatever its age, and this is reported once."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from observability.monitoring import check
from tests.support.new_store import new_store

NOW = datetime(2026, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(("age", "told"), [(200, ["The precision audit of version 3 expired on 12 May 2026: run it again."]), (179, [])])
def test_an_audit_of_forms_older_than_a_month_expires_while_its_model_serves(tmp_path: Path, age: int, told: list[str]) -> None:
    """Regression: the window ended with the newest record, which was on the day of the audit, so the audit never expired."""
    at, served = NOW - timedelta(days=age), NOW - timedelta(hours=1)
    forms = [{"form": "as served", "probes": 4000, "flips": 0}, {"form": "int8", "probes": 4000, "flips": 3}]
    about: dict[str, Any] = {"model": "vision", "version": "3"}
    audit = about | {"kind": "audit", "at": at, "received_at": at, "audit": "precision", "expires": at + timedelta(days=180)}
    asked = about | {"kind": "prediction", "id": "p1", "at": served, "received_at": served, "features": {"a": 1.0}, "score": 0.5}
    with new_store(tmp_path / "home", threads=1) as store:
        store.write_records([asked, audit | {"results": {"in_use": "int8", "forms": forms}}])
        found = check.check(store, now=NOW, only=("operations/trade_offs", "trust/audits")).findings
    assert [each.because for each in found if each.needs_action] == told
    assert not [each.because for each in found if "is valid until" in each.because]
