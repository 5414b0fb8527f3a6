"""Only inputs that are far from the reference are found to be far."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from observability.core.questions import Aggregate, Bucket
from observability.detection.extrapolation import FarInput, far_inputs, far_inputs_in_words, input_sides
from tests.support.analyzer_worlds import answer, context_for
from tests.support.drift_rows import FEATURES, rows


def far(current: pd.DataFrame, reference: pd.DataFrame, features: tuple[str, ...] = FEATURES) -> list[FarInput]:
    context = context_for(reference, features=features)
    context = replace(context, version=replace(context.version, features=features))
    columns = tuple(f"feature.{name}" for name in features)
    now = answer(Aggregate("predictions", keys=(Bucket("day"),), histogram=columns), current, context)
    return far_inputs(input_sides(now, answer(Aggregate("predictions", histogram=columns), reference, context), context))


def test_an_input_that_moved_by_a_standard_deviation_is_far_and_named() -> None:
    (found,) = far(rows(2000, 1, age=1.0), rows(5000, 2))
    assert found.name == "age" and found.psi > 0.7 and f"`age` (PSI {found.psi:.2f}) is" == far_inputs_in_words([found])


def test_clean_weeks_of_few_rows_are_not_far() -> None:
    reference = rows(5000, 3)
    assert not [seed for seed in range(40) if far(rows(120, 100 + seed), reference)]
    assert not far(rows(2000, 4, age=0.2), reference), "the estimate stays valid after a small shift"


def with_calendar(frame: pd.DataFrame, offset: int = 0) -> pd.DataFrame:
    """The rows with the weekday, and with the temperature of the day."""
    day = frame["at"].dt.dayofyear
    return frame.assign(weekday=(day % 7).astype(float), warmth=15.0 + 7.0 * ((day * 5) % 9) / 9 + offset)


def test_a_column_with_one_value_a_day_is_far_only_outside_the_reference_range() -> None:
    names = (*FEATURES, "weekday", "warmth")
    reference = with_calendar(rows(6000, 5, days=60))
    assert far(with_calendar(rows(2000, 6)), reference, names) == []
    assert far(with_calendar(rows(600, 7, days=2)), reference, names) == []
    (found,) = far(with_calendar(rows(2000, 8), offset=3), reference, names)
    assert (found.name, found.psi) == ("warmth", None) and 0.2 < found.outside < 0.9
    assert f"{100 * found.outside:.0f} % of rows outside the reference" in found.in_words
    (beyond,) = far(with_calendar(rows(2000, 8), offset=20), reference, names)
    assert beyond.name == "warmth" and beyond.outside == pytest.approx(1.0)


def test_a_column_with_a_single_value_is_far() -> None:
    current = rows(2000, 9).assign(age=41.0)
    assert [each.name for each in far(current, rows(5000, 10))] == ["age"]


def test_unseen_levels_of_a_column_with_one_value_a_day_are_outside_the_reference() -> None:
    reference = rows(6000, 11, days=60)
    reference["region"] = np.where(reference["at"].dt.day % 2 == 0, "north", "south")
    current = rows(2000, 12)
    current["region"] = np.where(current["at"].dt.day % 2 == 0, "north", "west")
    (found,) = [each for each in far(current, reference) if each.name == "region"]
    assert found.psi is None and 0.3 < found.outside < 0.7


def test_three_inputs_are_named_and_the_others_counted() -> None:
    five = [FarInput(name, 1.0, 0.0) for name in "abcde"]
    assert far_inputs_in_words(five) == "`a` (PSI 1.00), `b` (PSI 1.00), `c` (PSI 1.00) and 2 other inputs are"
