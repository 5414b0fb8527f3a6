"""Checks when a reference without dates certainly contains no days of a kind, and when that is unknown."""

import numpy as np
import pytest

from observability.detection.repeating_days import lacks_such_days

OTHERS = np.array([400.0, 300.0, 200.0, 100.0, 0.0])
FAR = np.array([0.0, 0.0, 0.0, 0.0, 150.0])


@pytest.mark.parametrize(
    ("reference", "such", "lacks"),
    [
        (OTHERS * 4, FAR, True),
        (OTHERS * 4 + FAR * 4, FAR, False),  # the reference contains such days
        (np.array([260.0, 290.0, 260.0, 190.0, 0.0]) * 4, FAR, False),  # every day is far from the reference: this is a drift of all days
        (OTHERS * 4, np.array([30.0, 45.0, 45.0, 30.0, 0.0]), False),  # such days would hardly be visible even as a seventh of the rows
    ],
)
def test_a_reference_lacks_repeating_days_only_if_they_would_be_visible_in_it(reference, such, lacks) -> None:
    assert lacks_such_days(reference, OTHERS, such, such, share=1 / 7, row_share=1.0, limit=0.1) == lacks
