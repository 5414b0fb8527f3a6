"""The page Slices counts all significant slices that findings name."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.dashboard.serving.slice_search import with_significance

START, END = datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 9, tzinfo=UTC)


def warning(subject: str, part: str | None, metric: str = "accuracy") -> Finding:
    return Finding(
        analyzer="serving/slices", model="price", version="1", subject=subject, metric=metric, value=0.56, n=261, severity="watch",
        because="Accuracy fell.", start=START, end=END, against="reference", slice=part,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("finding", "sure"),
    [
        (warning("carrier=EV", None), [True, False]),
        (warning("model", "hour=7"), [False, True]),
        (warning("carrier=EV", None, "recall"), [False, False]),
    ],
)
def test_a_slice_named_in_a_finding_counts_as_significant_even_as_its_subject(finding: Finding, sure: list[bool]) -> None:
    """Regression: the page said that 0 of 4 slices are significant, next to a warning about the carrier EV, which is a sensitive group."""
    rows = pd.DataFrame({"slice": ["carrier=EV", "hour=7"], "p_adjusted": [0.2, 0.3]})
    assert with_significance(rows, "accuracy", [finding])["sure"].tolist() == sure
