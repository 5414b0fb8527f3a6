"""Labels of complete days can be judged while those of the newest days are still incomplete; if every day is incomplete, they cannot."""

import pandas as pd
import pytest

from observability.metrics.settled_labels import labelled_days

DAYS = pd.date_range("2026-03-02", periods=7)


def counts(shares: list[float], rows: int = 200) -> pd.DataFrame:
    """Counts by day and label. The given share of each day's rows is labelled, and half of these are positive."""
    parts = [(day, label, rows * (share / 2 if label >= 0 else 1 - share)) for day, share in zip(DAYS, shares) for label in (-1, 0, 1)]
    return pd.DataFrame(parts, columns=["period", "label", "n"])


@pytest.mark.parametrize(
    ("shares", "usual", "complete", "settled", "days"),
    [
        ([1.0] * 7, 1.0, True, True, 7),
        ([1.0] * 5 + [0.0] * 2, 1.0, False, True, 5),
        ([0.5] * 5 + [0.0] * 2, 0.5, False, True, 5),
        ([1.0] * 2 + [0.0] * 5, 1.0, False, False, 2),
        ([0.5] * 7, 1.0, False, False, 0),
        ([0.9, 0.9, 0.9, 0.6, 0.5, 0.3, 0.1], 1.0, False, False, 3),
        ([0.0] * 7, 0.5, False, False, 0),
    ],
    ids=["all in", "two days late", "half is ever labelled", "too few days", "a part of every day", "early labels", "none"],
)
def test_a_window_is_settled_if_enough_whole_days_have_all_their_usual_labels(
    shares: list[float], usual: float, complete: bool, settled: bool, days: int
) -> None:
    found = labelled_days(counts(shares), usual)
    assert (found.complete, found.settled, found.days) == (complete, settled, days)


def test_a_window_without_predictions_counts_as_settled() -> None:
    assert labelled_days(counts([1.0]).head(0), 1.0).settled
