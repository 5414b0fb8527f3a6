"""The answers of a model's page: do their words name what their findings are about?"""

from datetime import UTC, datetime

import pytest

from observability.core.finding import Finding, Severity
from observability.dashboard.model_answers import fairness_issue_words


def gap(attribute: str, severity: Severity) -> Finding:
    return Finding(
        analyzer="trust/fairness", model="loan", version="1", subject=attribute, metric="equal_opportunity_difference", value=0.3, n=400,
        severity=severity, because="The gap.", start=datetime(2026, 3, 2, tzinfo=UTC), end=datetime(2026, 3, 9, tzinfo=UTC), against="level",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("sex", "age", "said"),
    [
        ("act", "ok", "1 fairness issue by sex."),
        ("act", "watch", "2 fairness issues by sex and age."),
        ("ok", "ok", "No fairness issues by sex and age."),
    ],
)
def test_an_issue_is_said_to_be_by_the_attributes_that_have_one(sex: Severity, age: Severity, said: str) -> None:
    """One issue by carrier was told as an issue by carrier and origin, which was within its level."""
    assert fairness_issue_words([gap("sex", sex), gap("age", age)]) == said
