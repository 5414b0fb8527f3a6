"""Is another version a source only where it is right more often, and not where one request is all that is known of it?"""

from types import SimpleNamespace

import pytest

from observability.investigation import source_triage
from observability.investigation.version_comparison import Versus


def test_a_version_that_was_compared_on_too_few_requests_weighs_less_than_an_ordinary_error(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {}
    for both in (0, 400):
        monkeypatch.setattr(source_triage, "versus", lambda case, known, n=both: Versus("2", n, n // 4, n // 40))
        monkeypatch.setattr(source_triage, "outcome_words", lambda model, value: value)
        model = SimpleNamespace(classes=("no", "yes"), version=lambda name: name)
        row = SimpleNamespace(
            label=SimpleNamespace(value="yes"), version=SimpleNamespace(name="1"), model=model, wrong=True, error=1.0, label_number=1.0
        )
        answers = [SimpleNamespace(version="2", prediction="yes", score=0.9)]
        case = SimpleNamespace(row=row, part=lambda name, answers=answers: answers)
        (found[both],) = source_triage.version(case)  # type: ignore[arg-type]  # it reads no more of a case than this
    assert found[0].score < source_triage.UNKNOWN < found[400].score
