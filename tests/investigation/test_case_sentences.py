"""Sentences of a case that a reader recomputed from raw rows and found untrue, or true of other rows than they named."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd

from observability.core.settings import ModelSettings
from observability.dashboard.case import similar_errors
from observability.export.customer_text import _prediction_sentence
from observability.investigation import error_rule
from observability.investigation.case import open_case
from observability.investigation.desired_outcome import margin_of
from observability.investigation.evidence_types import ErrorRule
from observability.investigation.label_types import prediction_with_score, with_unit
from observability.investigation.outcome_facts import answer_text
from tests.support.case_world import World


def trend_rule(*rates: tuple[int, int], by: Literal["day", "week"] = "day") -> ErrorRule:
    """A rule of 300 rows and 20 % errors with these errors of these rows a period."""
    trend = tuple(
        replace(error_rule.rated(f"2026-03-{2 + place:02}", np.arange(n) < errors), days=f"{2 + place} Mar 2026")
        for place, (errors, n) in enumerate(rates)
    )
    return ErrorRule("x", 300, 60, 0.2, 0.5, 0.16, 0.25, trend=trend, by=by)


def test_a_trend_says_whether_periods_differ_and_quotes_intervals() -> None:
    same = similar_errors.trend_sentence(trend_rule((20, 100), (19, 100), (21, 100)))
    assert same.startswith(
        "Every 95 % interval includes the rate of all such rows, 20 %: lowest 3 Mar 2026 19 % (12.5 % to 27.8 %), highest 4 Mar 2026 21 % ("
    )
    assert same.endswith(" 3 days (UTC) of the held-out half.")
    apart = similar_errors.trend_sentence(trend_rule((2, 100), (19, 100), (45, 100), by="week"))
    assert apart.startswith("The 95 % intervals of 2 exclude the rate of all such rows, 20 %:")
    assert apart.endswith(" 3 weeks from Monday (UTC) of the held-out half.")
    few = similar_errors.trend_sentence(trend_rule((20, 100), (19, 100), (1, 1)))
    assert "lowest 3 Mar 2026 19 %" in few and few.endswith("3 days (UTC) of the held-out half, 2 of them with 10 rows or more.")
    counted = similar_errors.trend_sentence(trend_rule((20, 100), (19, 100), (9, 9)))
    assert counted.startswith("Every 95 % interval includes"), "a period that is not named is not counted"
    equal = similar_errors.trend_sentence(trend_rule((20, 100), (12, 12), (30, 30)))
    assert "highest 4 Mar 2026 100 % (" in equal, "of equal rates that of the most rows"


def test_periods_of_few_rows_are_too_few_to_compare_and_not_the_lowest_and_highest() -> None:
    """Days of 2 and 6 rows were named, and one day of 10 rows was both the lowest and the highest."""
    none = similar_errors.trend_sentence(trend_rule((0, 2), (3, 6), (1, 4)))
    assert none == "Too few to compare: each of 3 days (UTC) of the held-out half has fewer than 10 rows."
    one = similar_errors.trend_sentence(trend_rule((0, 2), (5, 10), (1, 4)))
    assert one.startswith("Too few to compare: of 3 days (UTC) of the held-out half, only 3 Mar 2026 50 % (")
    assert one.endswith("has 10 rows or more; all such rows: 20 %.")


def test_a_week_of_a_trend_names_the_days_of_its_rows() -> None:
    """One day, 23 Sep 2018, was named by the Monday before it as if it were a week."""
    at = pd.to_datetime(["2018-09-23 05:00", "2018-10-01 01:00", "2018-10-07 23:00", "2018-10-10 00:00"])
    frame = pd.DataFrame({"at": at.astype("datetime64[us]")})
    assert error_rule.trend_period(frame) == "week"
    assert [(each.name, each.days) for each in error_rule.trend(frame, np.zeros(4, bool))] == [
        ("2018-09-17", "23 Sep 2018"),
        ("2018-10-01", "1 to 7 Oct 2018"),
        ("2018-10-08", "10 Oct 2018"),
    ]


def test_one_of_a_unit_is_singular() -> None:
    """A label of 1 was "1 minutes"."""
    for unit, said in (("minutes", "1 minute"), ("USD", "1 USD"), ("ms", "1 ms"), ("kbps", "1 kbps"), ("celsius", "1 celsius")):
        model: Any = SimpleNamespace(settings=SimpleNamespace(unit=unit))  # a figure reads no more of a model
        assert with_unit(model, "1") == said and with_unit(model, "21") == f"21 {unit}" and with_unit(model, "1.5") == f"1.5 {unit}"


def test_a_score_has_the_digits_that_put_it_on_its_side_of_the_threshold(case_world: World) -> None:
    """A score of 0.3488 was "late at 0.35 (threshold 0.35)", predicted on time."""
    row = open_case(case_world.store, "loan-20", model="loan").row
    settings = replace(row.model.settings, threshold=0.35, class_names={"0": "on time", "1": "late"})
    row = replace(
        row,
        model=replace(row.model, settings=settings),
        decision=0,
        prediction=None,
        score=0.3488,
        stored={**row.stored, "threshold": 0.35},
    )
    assert answer_text(row) == "Predicted on time: late at 0.349 (threshold 0.35)."
    assert "score for late was 0.349; from 0.35 on" in _prediction_sentence(row)
    near = replace(row, score=0.349999)
    assert margin_of(near, None).because.startswith("The score 0.349999 is 1e-06 below the threshold of 0.35")
    assert answer_text(near) == "Predicted on time: late at 0.349999 (threshold 0.35)."
    assert answer_text(replace(row, score=0.35, decision=1)) == "Predicted late at 0.35 (threshold 0.35)."


def test_a_score_in_a_table_says_of_which_class_it_is() -> None:
    """The probability of late, 0.238, stood behind "on time"."""
    settings = ModelSettings(threshold=0.5, class_names={"0": "on time", "1": "late"})
    model: Any = SimpleNamespace(task="binary", classes=("0", "1"), settings=settings)
    assert prediction_with_score(model, "0", 0.2383) == "on time (late 0.238)"
    assert prediction_with_score(model, "1", 0.553) == "late (0.553)"
    assert prediction_with_score(model, "0", 0.49997) == "on time (late 0.49997)"
    assert prediction_with_score(model, "0", None) == "on time" and prediction_with_score(model, None, None) == "–"
    several: Any = SimpleNamespace(task="multiclass", classes=("0", "1", "2"), settings=settings)
    assert prediction_with_score(several, "0", 0.4) == "on time (0.400)"
    number: Any = SimpleNamespace(task="regression", classes=(), settings=ModelSettings(unit="minutes"))
    assert prediction_with_score(number, "1", 1.0) == "1.00 minutes"
