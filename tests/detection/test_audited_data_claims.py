"""The shares in an audit of data are compared, by their intervals, with the limits and with the previous audit."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from observability.detection.audited_data_claims import (
    CONFLICTING,
    LEAK,
    OVERLAP,
    REPEATED,
    SUSPECT,
    DataAuditClaim,
    data_audit_claims,
    data_audit_lines,
)
from observability.metrics.audited_data import AuditedData


def audit(rows: int = 1000, chance: float = 0.0, **content: Any) -> AuditedData:
    """An audit with nothing to report except what the given fields state."""
    rules = {"exact duplicates": 0, "conflicting labels": 0, "suspect labels": 0, "near-duplicates": 0, "outliers": 0}
    body = {"rules": rules | content.pop("rules", {}), "chance": chance, "model_rows": rows, "columns_alone": {"age": [0.3, 0.2, 0.4]}}
    return AuditedData("people", "1", datetime(2026, 3, 2, tzinfo=UTC), rows, None, body | content)


def claims(now: AuditedData, before: AuditedData | None = None) -> dict[str, DataAuditClaim]:
    """Claims by metric."""
    return {claim.metric: claim for claim in data_audit_claims(now, before)}


def test_an_audit_without_anything_to_report_is_ok() -> None:
    found = claims(audit(held_out={"rows": 300, "in_training": 0, "same_label": 0, "chance": 0.0}))
    assert {claim.severity for claim in found.values()} == {"ok"}
    assert set(found) == {OVERLAP, LEAK, CONFLICTING, REPEATED, SUSPECT} and {claim.news for claim in found.values()} == {None}
    assert all(claim.limit is None or (claim.interval.value or 0.0) <= claim.limit for claim in found.values())


@pytest.mark.parametrize(
    ("shared", "rows", "severity"), [(60, 400, "act"), (12, 400, "watch"), (1, 20, "unknown"), (3, 400, "ok"), (0, 20, "ok")]
)
def test_few_held_out_rows_make_the_overlap_unknown(shared: int, rows: int, severity: str) -> None:
    found = claims(audit(held_out={"rows": rows, "in_training": shared, "same_label": shared, "chance": 0.0}))[OVERLAP]
    assert found.severity == severity
    assert ("is not yet known" in found.because) is (severity == "unknown")


def test_chance_duplicates_raise_the_limit_until_nothing_is_reported() -> None:
    many = {"rules": {"conflicting labels": 60}}
    assert claims(audit(**many))[CONFLICTING].severity == "watch"
    partly = claims(audit(chance=0.3, **many))[CONFLICTING]
    assert partly.severity == "watch" and partly.limit == pytest.approx(0.01 / 0.7)
    coarse = claims(audit(chance=0.9, **many))[CONFLICTING]
    assert coarse.severity == "unknown" and "about 90 % of the equal rows are expected by chance" in coarse.because


def test_suspect_labels_are_a_warning_only_where_a_model_is_better_without_them() -> None:
    def suspects(metric: str, low: float, high: float) -> str:
        effect = {"metric": metric, "before": 0.8, "after": 0.8 + (low + high) / 2, "low": low, "high": high}
        return claims(audit(rules={"suspect labels": 90}, effects={"suspect labels": effect}))[SUSPECT].severity

    assert [suspects("roc_auc", 0.01, 0.03), suspects("roc_auc", -0.01, 0.03), suspects("roc_auc", -0.03, -0.01)] == ["watch", "ok", "ok"]
    assert [suspects("mae", -0.03, -0.01), suspects("mae", 0.01, 0.03)] == ["watch", "ok"], "for an error metric, less is better"


def test_changes_since_the_previous_audit_are_new_ongoing_worse_or_recovered() -> None:
    none, some, more = (audit(rules={"conflicting labels": count}) for count in (0, 60, 110))
    assert [
        claims(now, before)[CONFLICTING].news for now, before in ((some, None), (some, none), (some, some), (more, some), (none, some))
    ] == [
        "new",
        "new",
        "ongoing",
        "worse",
        "recovered",
    ]
    assert claims(more, some)[CONFLICTING].because.endswith("Before: 6 %.")


def test_the_command_prints_the_claims() -> None:
    alone = {"code": [0.995, 0.99, 1.0], "age": [0.3, 0.2, 0.4]}
    lines = data_audit_lines(audit(columns_alone=alone, near_duplicates_among=800, no_model_because="too few rows"))
    assert any(line.startswith("  Critical: code of people alone gives the label, label predictability 99.5 %") for line in lines)
    assert "  Near-duplicates were looked for among 800 of 1,000 rows." in lines and lines[-1] == "  No model was fitted: too few rows."


def test_label_leakage_of_a_registered_models_data_is_reported_only_by_its_leakage_audit() -> None:
    """For a registered model, the leakage audit reports this. For an unregistered model, no other audit does."""
    alone = {"columns_alone": {"outcome": [0.99, 0.985, 0.995]}}
    known = replace(audit(**alone), model=("loan", "2"))
    assert LEAK not in claims(known) and claims(audit(**alone))[LEAK].severity == "act"
    assert "The leakage audit of loan 2 judges" in data_audit_lines(known)[-1] and "outcome" not in " ".join(data_audit_lines(known))
    unknown = replace(audit(**alone, leakage_audit=False), model=("loan", "2"))
    assert claims(unknown)[LEAK].severity == "act"


def test_training_overlap_of_a_registered_models_data_is_reported_only_by_its_leakage_audit() -> None:
    """The model's leakage audit has the same counts; the command only prints them."""
    held = {"held_out": {"rows": 400, "in_training": 60, "same_label": 50, "chance": 0.0}}
    known = replace(audit(**held), model=("loan", "2"))
    assert OVERLAP not in claims(known) and claims(audit(**held))[OVERLAP].severity == "act"
    told = "  60 of 400 held-out rows (15 %; 11.8 % to 18.8 %) have the features of a training row, 50 with its label."
    assert told in data_audit_lines(known)
    assert claims(replace(audit(**held, leakage_audit=False), model=("loan", "2")))[OVERLAP].severity == "act"
