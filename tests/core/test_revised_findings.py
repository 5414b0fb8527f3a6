"""A finding with other values of some fields equals the result of dataclasses.replace."""

from dataclasses import fields, replace
from datetime import UTC, datetime

import pytest

from observability.core.finding import Finding

START = datetime(2026, 3, 2, tzinfo=UTC)
PLAIN = Finding("serving/drift", "loan", "1", "income", "psi", 0.3, 500, "act", "It moved.", START, START, "reference")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"severity": "watch", "acknowledged": True},
        {"subject": "age"},
        {"evidence": {"a": 1}, "rank": 2.0, "proof": "SELECT 1"},
        {each.name: getattr(PLAIN, each.name) for each in fields(Finding)},
    ],
)
def test_a_revised_finding_equals_a_replaced_one_and_has_the_same_id(changes: dict) -> None:
    assert PLAIN.id  # it is computed once and cached
    revised, replaced = PLAIN.revised(**changes), replace(PLAIN, **changes)
    assert revised == replaced and revised.id == replaced.id and revised.to_json() == replaced.to_json()
    assert PLAIN == replace(PLAIN) and revised is not PLAIN


def test_a_finding_refuses_an_unknown_field() -> None:
    with pytest.raises(TypeError, match="colour"):
        PLAIN.revised(colour="red")
