"""Another version is a source only if it is right more often. It is no source if only one of its requests is known."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.investigation import churn, comparison_rows, source_triage, version_comparison
from observability.investigation.evidence_types import Triage
from observability.investigation.version_comparison import SharedRequestTally


def told_of_version(monkeypatch: pytest.MonkeyPatch, both: int, first: str = "2026-02-01") -> Triage:
    """The source `version` for a case of 5 March 2026. both: number of labelled requests that both versions scored. first: day of the other
    version's first answer.
    """
    monkeypatch.setattr(source_triage, "shared_request_tally", lambda case, known: SharedRequestTally("2", both, both // 4, both // 40))
    monkeypatch.setattr(source_triage, "outcome_words", lambda model, value: value)
    model = SimpleNamespace(name="loan", classes=("no", "yes"), version=lambda name: SimpleNamespace(name=name))
    row = SimpleNamespace(
        label=SimpleNamespace(value="yes"), version=SimpleNamespace(name="1"), model=model, wrong=True, error=1.0, label_number=1.0,
        at=datetime(2026, 3, 5, tzinfo=UTC), as_of=None,
    )  # fmt: skip
    active = pd.DataFrame(
        {
            "version": ["1", "2", "2"],
            "environment": ["production", "shadow", "reference"],
            "first": pd.to_datetime(["2026-01-01", first, None]),
        }
    )
    store = SimpleNamespace(activity=lambda as_of, model: active)
    answers = [SimpleNamespace(version="2", prediction="yes", score=0.9)]
    case: Any = SimpleNamespace(row=row, store=store, part=lambda name: answers)  # the source reads only these fields of a case
    (found,) = source_triage.other_version_source(case)
    return found


def test_a_version_that_was_compared_on_too_few_requests_weighs_less_than_an_ordinary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = told_of_version(monkeypatch, 0), told_of_version(monkeypatch, 400)
    assert few.score < source_triage.UNKNOWN < many.score


def test_a_version_that_is_younger_than_the_request_may_have_learned_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the right answer of such a version was described as if the version had not seen the outcome."""
    assert "may have learned" not in told_of_version(monkeypatch, 400).because
    said = told_of_version(monkeypatch, 400, first="2026-04-02").because
    assert "It first answered on 2 Apr 2026, after this request, from which it may have learned." in said


def test_a_comparison_names_the_days_of_its_requests_and_not_those_of_the_period(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: 272 requests of one day were described as requests of two weeks."""
    times = datetime(2026, 3, 7, 0, 19, tzinfo=UTC), datetime(2026, 3, 8, 2, tzinfo=UTC)
    both = churn.ChurnRows(["a"], np.ones(1), np.ones(1), np.ones(1, int), np.ones(1, int), np.ones(1), times)
    window = SimpleNamespace(start=datetime(2026, 3, 1, tzinfo=UTC), end=datetime(2026, 3, 15, tzinfo=UTC))
    monkeypatch.setattr(churn, "shadow_rows", lambda *asked: both)
    monkeypatch.setattr(churn, "right_within", lambda *asked: 0.0)
    found = SimpleNamespace(labelled=40, better=SimpleNamespace(n=12), worse=SimpleNamespace(n=9))
    monkeypatch.setattr(churn, "churn_figures", lambda *asked: found)
    monkeypatch.setattr(comparison_rows, "window_around", lambda case: window)
    case: Any = SimpleNamespace(row=SimpleNamespace(id="x"), store=None)
    other: Any = SimpleNamespace(name="2")  # the comparison reads only these fields of both
    sentence = version_comparison.shared_request_tally(case, other).sentence
    assert sentence.startswith("Of 40 labelled requests of 7 to 8 Mar 2026 that both scored, it is right in 12 ")
