"""The effect of a drift is estimated from past weeks of this model, and is unknown without such weeks."""

from datetime import timedelta

import numpy as np
import pandas as pd

from observability.core.analyzer import Context
from observability.core.settings import ModelSettings
from observability.detection.move_history import fall_asks, move_record, weekly_falls
from tests.support.analyzer_worlds import context_for, frames_for, spread


def outcomes(n: int, seed: int, right: float, days: int = 7, before: int = 0, labelled: float = 1.0) -> pd.DataFrame:
    """Decisions, of which the given share is right."""
    rng = np.random.default_rng(seed)
    label = (rng.random(n) < 0.5).astype(float)
    decision = np.where(rng.random(n) < right, label, 1 - label).astype(int)
    label[rng.random(n) >= labelled] = np.nan
    at = spread(n, days) - timedelta(days=before)
    return pd.DataFrame({"at": at, "score": 0.1 + 0.8 * decision, "decision": decision, "label": label})


def falls(weeks: list[float | None], task: str = "binary", settings: ModelSettings | None = None) -> list[bool | None]:
    """Whether performance had fallen in each past week, given its accuracy, newest week first (None: without labels)."""
    reference = outcomes(4000, 1, 0.85)
    past = pd.concat(
        [outcomes(600, 10 + k, right or 0.5, before=7 * (k + 1), labelled=0.0 if right is None else 1.0) for k, right in enumerate(weeks)]
    )
    context = context_for(reference, task=task, settings=settings)
    return weekly_falls(frames_for(fall_asks(context), context, outcomes(10, 2, 0.85), reference, past), context)


def record(moved: list[bool | None], fell: list[bool | None]) -> str:
    return move_record(moved, fell, context()).in_words


def context() -> Context:
    return context_for(outcomes(1000, 1, 0.85))


def test_past_weeks_are_classified_as_fallen_not_fallen_or_without_labels() -> None:
    assert falls([0.70, 0.85, None, 0.75]) == [True, False, None, True]
    assert falls([0.83, 0.84]) == [False, False, None, None], "a fall of one or two points is less than five"


def test_the_owners_tolerance_sets_which_fall_counts() -> None:
    tolerant = ModelSettings(limits={"serving/performance/accuracy": 0.2})
    assert falls([0.70, 0.55], settings=tolerant)[:2] == [False, True]


def test_the_record_counts_past_weeks_with_a_similar_move_that_had_a_fall() -> None:
    assert record([True, True, True, True], [True, False, True, True]) == (
        "3 of 4 past weeks with such a move had a fall of accuracy of at least 5 points"
    )
    assert record([True, False], [False, True]) == "0 of 1 past week with such a move had a fall of accuracy of at least 5 points"


def test_without_past_weeks_with_a_similar_move_or_labels_the_effect_is_unknown() -> None:
    assert record([False, False, None], [True, False, True]) == (
        "its effect on performance is unknown: none of the 2 past weeks with labels had such a shift"
    )
    assert record([True, True], [None, None]) == "its effect on performance is unknown: no past week has labels"


def test_without_a_reference_or_task_no_past_falls_are_requested() -> None:
    assert fall_asks(context_for(None)) == {}
    bare = context()
    assert weekly_falls({}, bare) == [None] * 4


def test_a_fall_of_a_regression_is_a_rise_of_its_error() -> None:
    rng = np.random.default_rng(5)

    def prices(n: int, scale: float, days_before: int = 0) -> pd.DataFrame:
        at = spread(n, 7) - timedelta(days=days_before)
        return pd.DataFrame({"at": at, "score": 0.0, "label": rng.normal(0, scale, n), "decision": -1})

    reference = prices(3000, 10.0)
    past = pd.concat([prices(600, 15.0, 7), prices(600, 10.0, 14)])
    of = context_for(reference, task="regression")
    assert weekly_falls(frames_for(fall_asks(of), of, prices(10, 10.0), reference, past), of)[:2] == [True, False]
    assert (
        move_record([True], [True], of).in_words == "1 of 1 past week with such a move had a rise of mean absolute error of at least 25 %"
    )
