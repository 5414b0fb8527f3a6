"""The paragraph for the customer states only the facts of the case and what is not known."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from observability.export.customer_text import customer_paragraph
from observability.investigation.label_types import Revision
from observability.investigation.model_answers import AttributionContrast, Bar
from observability.store.types.decision_items import DecisionEntry, DecisionItem
from tests.support.text_row import AT, text_row


def contrast(*bars: tuple[str, Any, float], **changes: Any) -> AttributionContrast:
    whole = tuple(Bar(name, value, attribution) for name, value, attribution in bars)
    return replace(AttributionContrast("average", "", None, 0.0, 1.0, 0.0, True, "logit", whole, "logged", "logged"), **changes)


def test_a_missing_outcome_is_stated() -> None:
    said = customer_paragraph(text_row({"size": 1.0, "town": None}), None, ())
    assert said == (
        "On 2 Mar 2026 00:00 UTC an automated system (texts, version 1) predicted 1. Its score for 1 was 0.60; from 0.5 on it predicts 1. "
        "No outcome is recorded yet, so it is not known whether the prediction was right. 1 of 2 inputs were missing. "
        "How much each input weighed in it is not known. No person has recorded a review of it yet."
    )


def test_inputs_are_named_by_direction_and_masked_values_are_left_out() -> None:
    bars = (
        ("size", 1.0, 0.5),
        ("component_1", 1.0, 0.4),
        ("component_2", 1.0, 0.4),
        ("component_3", 1.0, 0.4),
        ("sex", "F", 0.2),
        ("town", None, -0.3),
    )
    said = customer_paragraph(text_row({"size": 1.0}), contrast(*bars), (), {"sex"})
    assert (
        "Of the inputs, size (1) and sex raised the score and town (missing) lowered the score most, compared with an average case." in said
    )
    assert "component" not in said and "(F)" not in said and "not the cause of the outcome" in said
    for unsure in ({"adds_up": False}, {"mismatch": "other scores"}):
        assert "How much each input weighed in it is not known." in customer_paragraph(text_row({}), contrast(*bars, **unsure), ())


def test_the_outcome_and_the_newest_valid_verdict_are_stated() -> None:
    labels = tuple(Revision(value, AT, AT, source="human", current=current) for value, current in (("1", False), ("0", True)))
    row = replace(text_row({"size": 1.0}), revisions=labels)
    verdict = DecisionItem("verdict", "v", (DecisionEntry(datetime(2026, 3, 5, tzinfo=UTC), "Ada", {"wrong": "yes", "source": "input"}),))
    said = customer_paragraph(row, None, (verdict,))
    assert "The recorded outcome is 0 (2 Mar 2026); the prediction was wrong. The record of it was changed 1 time." in said
    assert said.endswith("A person reviewed it on 5 Mar 2026 and concluded that the prediction was wrong.")
    withdrawn = replace(verdict, entries=(*verdict.entries, DecisionEntry(AT, "Ada", {"state": "withdrawn"})))
    assert "No person has recorded a review of it yet." in customer_paragraph(row, None, (withdrawn,))
