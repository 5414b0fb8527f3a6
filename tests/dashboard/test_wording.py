"""Sentences that readers had to decode are written out."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from observability.core.finding import Finding
from observability.dashboard import frame, load
from observability.dashboard.case.cases import search_scope_note
from observability.dashboard.overview.window_comparison import sequential_test_note
from observability.dashboard.scope import Scope

START = datetime(2013, 6, 24, tzinfo=UTC)


def performance(**evidence: Any) -> Finding:
    return Finding(
        "serving/performance", "loan", "1", "model", "accuracy", 0.7, 900, "act", "It fell.", START, START + timedelta(days=7),
        "reference", evidence=evidence,
    )  # fmt: skip


@pytest.mark.parametrize(("days", "words"), [(82_215.0, "about once in 82,215 days"), (3e7, "less than once in 100,000 days")])
def test_the_gradual_shift_test_says_its_chance_in_words(days: float, words: str) -> None:
    """It read `p ≈ 1/100,000`."""
    note = sequential_test_note(performance(creep_once_in=910.0, creep=days))
    assert note is not None and words in note and "p ≈" not in note


def test_a_sentence_begins_with_a_capital(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "newest_record", lambda model: START)
    assert frame.freshness_note("loan").startswith("Newest record")
    monkeypatch.setattr(load, "newest_record", lambda model: None)
    assert frame.freshness_note("loan").startswith("No predictions")


def test_the_note_on_searches_names_a_relative_window_only() -> None:
    """It read `chosen time range and slice (chosen dates)`."""
    assert "(" not in search_scope_note(Scope(span="dates"))
    assert "(last 7 days)" in search_scope_note(Scope())
