"""Sentences that were hard to read before are now written out."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from observability.core.finding import Finding
from observability.core.numerals import with_minus_signs
from observability.dashboard import frame, load
from observability.dashboard.case.cases import search_scope_note
from observability.dashboard.overview.window_comparison import sequential_test_note
from observability.dashboard.scope import Scope
from observability.monitoring import check
from tests.support.dashboard_world import END, World

START = datetime(2013, 6, 24, tzinfo=UTC)


def performance(**evidence: Any) -> Finding:
    return Finding(
        "serving/performance", "loan", "1", "model", "accuracy", 0.7, 900, "act", "It fell.", START, START + timedelta(days=7),
        "reference", evidence=evidence,
    )  # fmt: skip


@pytest.mark.parametrize(("days", "words"), [(82_215.0, "about once in 82,215 days"), (3e7, "less than once in 100,000 days")])
def test_the_gradual_shift_test_states_its_probability_in_words(days: float, words: str) -> None:
    """Regression: the sentence said `p ≈ 1/100,000`."""
    note = sequential_test_note(performance(creep_once_in=910.0, creep=days))
    assert note is not None and words in note and "p ≈" not in note


def test_a_sentence_begins_with_a_capital(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load, "newest_record", lambda *_: START)
    hour = f"{START:%H}:00–{START + timedelta(hours=1):%H}:00 UTC"
    assert hour in frame.freshness_note("loan").replace("\\", ""), "without reading rows, only the hour of the newest record is known"
    assert frame.freshness_note("loan").startswith("Newest record ")
    for days, aged in ((30, True), (4000, False)):
        monkeypatch.setattr(load, "newest_record", lambda *_, days=days: datetime.now(UTC) - timedelta(days=days))
        assert (" ago" in frame.freshness_note("loan")) == aged, "a date of another year shows its age itself"
    monkeypatch.setattr(load, "newest_record", lambda *_: None)
    assert frame.freshness_note("loan").startswith("No predictions")


def test_the_search_note_names_only_a_relative_window() -> None:
    """Regression: the note said `chosen time range and slice (chosen dates)`."""
    assert "(" not in search_scope_note(Scope(span="dates"))
    assert "(last 7 days)" in search_scope_note(Scope())


def test_negative_numbers_of_a_sentence_have_a_minus_sign() -> None:
    """Regression: `-14.9 points` was shown next to `−14.9`."""
    sentence = "Bias -4.35 (-5.98 to -2.71) on `a-1` and `-2`, 2013-12-30 to 2014-01-01; (-.5) x-1."
    assert with_minus_signs(sentence) == "Bias −4.35 (−5.98 to −2.71) on `a-1` and `-2`, 2013-12-30 to 2014-01-01; (−.5) x-1."


def test_a_check_says_negative_numbers_with_a_minus_sign(current: World) -> None:
    found = check.check(
        current.store, model="price", start=END - timedelta(days=28), end=END, now=END, only=("serving/performance",)
    ).findings
    assert any("−" in finding.because for finding in found)
    assert not any(re.search(r"[ (]-\d", finding.because) for finding in found)
