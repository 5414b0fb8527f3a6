"""Checks sentences about a case that a reader found untrue from raw rows, or true of other rows than those that they named."""

from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from observability.cli import commands_case
from observability.core.settings import ModelSettings
from observability.dashboard.case import similar_errors
from observability.dashboard.case.decision_boundary import curve_sentence, distance_sentence
from observability.export.customer_text import _prediction_sentence
from observability.investigation import churn, comparison_rows, counterfactuals, decision_boundary, error_rule, label_evidence
from observability.investigation.case import open_case
from observability.investigation.desired_outcome import goal_of, margin_of, meets_goal
from observability.investigation.evidence_types import ErrorRule, LabelCheck, NotGivenError
from observability.investigation.find_prediction import prediction_row as find
from observability.investigation.label_types import answer_score_text, prediction_with_score, score_name, version_answer_text, with_unit
from observability.investigation.model_answers import Curve
from observability.investigation.outcome_facts import answer_text, prediction_event_marks
from observability.investigation.sampled_rows import real_rows
from observability.worker import requests
from tests.support.case_world import World


def trend_rule(*rates: tuple[int, int], by: Literal["day", "week"] = "day") -> ErrorRule:
    """A rule about 300 rows with 20 % errors, with the given errors and rows per period."""
    trend = tuple(
        replace(error_rule.error_rate_of(f"2026-03-{2 + place:02}", np.arange(n) < errors), days=f"{2 + place} Mar 2026")
        for place, (errors, n) in enumerate(rates)
    )
    return ErrorRule("x", 300, 60, 0.2, 0.5, 0.16, 0.25, trend=trend, by=by)


def test_a_trend_says_whether_periods_differ_and_quotes_intervals() -> None:
    same = similar_errors.trend_sentence(trend_rule((20, 100), (19, 100), (21, 100)))
    assert same.startswith(
        "In each of the 3 days, the 95 % interval includes the overall rate of such rows, 20 %. "
        "Lowest: 3 Mar 2026 19 % (12.5 % to 27.8 %); highest: 4 Mar 2026 21 % ("
    )
    assert same.endswith(" Counted on the held-out half: 3 days (UTC).")
    apart = similar_errors.trend_sentence(trend_rule((2, 100), (19, 100), (45, 100), by="week"))
    assert apart.startswith("In 2 of the 3 weeks, the 95 % interval excludes the overall rate of such rows, 20 %.")
    assert apart.endswith(" Counted on the held-out half: 3 weeks (Monday to Sunday, UTC).")
    few = similar_errors.trend_sentence(trend_rule((20, 100), (19, 100), (1, 1)))
    assert few.startswith("In each of the 2 days with 10 rows or more, the 95 % interval includes")
    assert "Lowest: 3 Mar 2026 19 %" in few and few.endswith("held-out half: 3 days (UTC).")
    counted = similar_errors.trend_sentence(trend_rule((20, 100), (19, 100), (9, 9)))
    assert counted.startswith("In each of the 2 days"), "the number of days includes only periods that are named"
    equal = similar_errors.trend_sentence(trend_rule((20, 100), (12, 12), (30, 30)))
    assert "highest: 4 Mar 2026 100 % (" in equal, "of equal rates, the one with the most rows is named"


def test_periods_of_few_rows_are_too_few_to_compare_and_not_the_lowest_and_highest() -> None:
    """Regression: days with 2 and 6 rows were named, and a single day with 10 rows was called both the lowest and the highest."""
    none = similar_errors.trend_sentence(trend_rule((0, 2), (3, 6), (1, 4)))
    assert none == "Too few rows to compare: each of the 3 days (UTC) of the held-out half has fewer than 10."
    one = similar_errors.trend_sentence(trend_rule((0, 2), (5, 10), (1, 4)))
    assert one.startswith("Too few rows to compare: of the 3 days (UTC) of the held-out half, only 3 Mar 2026 50 % (")
    assert one.endswith("has 10 rows or more. All such rows: 20 %.")


def test_a_week_of_a_trend_names_the_days_of_its_rows() -> None:
    """Regression: a single day, 23 Sep 2018, was named by the preceding Monday, like a week."""
    at = pd.to_datetime(["2018-09-23 05:00", "2018-10-01 01:00", "2018-10-07 23:00", "2018-10-10 00:00"])
    frame = pd.DataFrame({"at": at.astype("datetime64[us]")})
    assert error_rule.trend_period(frame) == "week"
    assert [(each.name, each.days) for each in error_rule.error_trend(frame, np.zeros(4, bool))] == [
        ("2018-09-17", "23 Sep 2018"),
        ("2018-10-01", "1 to 7 Oct 2018"),
        ("2018-10-08", "10 Oct 2018"),
    ]


def test_a_value_of_one_has_its_unit_in_the_singular() -> None:
    """Regression: a label of 1 was shown as "1 minutes"."""
    for unit, said in (("minutes", "1 minute"), ("USD", "1 USD"), ("ms", "1 ms"), ("kbps", "1 kbps"), ("celsius", "1 celsius")):
        model: Any = SimpleNamespace(settings=SimpleNamespace(unit=unit))  # the figure reads only these fields of a model
        assert with_unit(model, "1") == said and with_unit(model, "21") == f"21 {unit}" and with_unit(model, "1.5") == f"1.5 {unit}"


def test_a_score_is_shown_with_enough_digits_to_be_on_its_side_of_the_threshold(case_world: World) -> None:
    """Regression: a score of 0.3488, predicted on time, was shown as "late at 0.35 (threshold 0.35)"."""
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


def test_a_score_in_a_table_names_its_class() -> None:
    """Regression: 0.238, the probability of late, was written after "on time"."""
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


def test_sentences_about_a_regression_speak_of_scores_and_not_of_decisions(model_world: Any) -> None:
    """Regression: the page of a regression model said that no value "changes the decision", and that the case is the nearest of all sampled
    rows.
    """
    row = find(model_world.store, "r-9", model="rent")
    near = decision_boundary.nearest_opposite_row(model_world.store, row)
    rows = real_rows(model_world.store, row)
    other = meets_goal(goal_of(row, rows), rows.facts["score"].to_numpy(float))
    assert (near.others, near.searched) == (int(other.sum()), len(rows)) and near.goal.startswith("a score ")
    assert distance_sentence(near).endswith(f": the nearest of {near.others:,} rows with {near.goal}, of {near.searched:,} sampled.")
    assert " a score" not in distance_sentence(replace(near, goal="")) and "decided otherwise" in distance_sentence(replace(near, goal=""))
    curve = Curve("rooms", "number", (1.0, 2.0), (11.32, 17.78), None, 20.1, (False, False), goal="a score within 14.2 of the label 112")
    said = curve_sentence(curve, replace(row.model, settings=replace(row.model.settings, unit="minutes")), "score")
    assert said == (
        "rooms moves the score between 11.3 and 17.8 minutes; without a value, as in this case, the score is 20.1 minutes; "
        "none of 2 values gives a score within 14.2 of the label 112."
    )
    known = replace(curve, at=1.0, flips=(True, True))
    assert curve_sentence(known, row.model, "score").endswith("17.8; 2 of 2 values give a score within 14.2 of the label 112.")


def test_a_curve_of_classes_says_which_probability_moves(model_world: Any) -> None:
    """Regression: for three probabilities the page spoke of "the score"."""
    model = find(model_world.store, "m-2", model="mood").model
    curve = Curve("size", "number", (1.0, 2.0), (0.0455, 0.987), 1.0, 0.5, (False, True))
    said = curve_sentence(curve, model, score_name(model, 1))
    assert said == f"size moves the probability of {model.classes[1]} between 0.0455 and 0.987; 1 of 2 values changes the decision."


def test_without_a_row_of_another_score_the_message_of_a_regression_mentions_no_decision(
    model_world: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = find(model_world.store, "r-9", model="rent")
    rows = real_rows(model_world.store, row)
    alike = replace(rows, facts=rows.facts.assign(score=row.score))
    monkeypatch.setattr(decision_boundary, "real_rows", lambda *_, **__: alike)
    with pytest.raises(NotGivenError) as told:
        decision_boundary.nearest_opposite_row(model_world.store, row)
    assert str(told.value).startswith(f"None of {len(rows):,} sampled rows has a score ") and "decision" not in str(told.value)


def test_a_counterfactual_search_without_a_result_is_reported_in_plain_sentences(model_world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the sentence looked like an input error: "got 10 features may change; expected values within the range"."""
    row = find(model_world.store, "c-5", model="credit")
    monkeypatch.setattr(counterfactuals, "required_worker", lambda worker: None)
    monkeypatch.setattr(counterfactuals, "cached_scores", lambda *asked: np.array([row.score]))
    monkeypatch.setattr(requests, "find_counterfactuals", lambda *asked, **options: SimpleNamespace(found=(), asked=6467))
    with pytest.raises(NotGivenError) as told:
        counterfactuals.search_in_worker(model_world.store, row, None, None)
    assert str(told.value).startswith("None of 6,467 changed inputs gives a score ")
    assert " features could change, within the reference's range and levels" in str(told.value)
    assert "; got" not in str(told.value) and "expected" not in str(told.value)


def rows_of_two_versions(at: list[str], first: str | None, *, sampled: bool = False) -> churn.ChurnRows:
    """Rows at the given times that version 1 predicts right and the other version wrong."""
    n = len(at)
    times = np.array(at, "datetime64[us]")
    since = None if first is None else datetime.fromisoformat(first).replace(tzinfo=UTC)
    ones, zeros = np.ones(n, int), np.zeros(n, int)
    ids = [str(place) for place in range(n)]
    return churn.ChurnRows(ids, ones * 0.9, ones * 0.1, ones, zeros, np.ones(n), at=times, sampled=sampled, first=since)


def test_churn_names_the_days_of_its_rows_and_that_they_are_a_sample(model_world: Any) -> None:
    """Regression: 162 rows of one Saturday were described as rows of four months, and 910 rows of a sample of 20,000 as all rows."""
    row = find(model_world.store, "c-5", model="credit")
    version: Any = SimpleNamespace(name="2")  # the figures read only these fields of a version
    day = rows_of_two_versions(["2013-06-22 08:40", "2013-06-22 18:29"], None)
    said = churn.churn_figures(row, version, day, 0.0, "shadow", "town=Oslo").because
    assert said.startswith("Of 2 requests of 22 Jun 2013 where town = Oslo that both scored, 2 (100.0 %, ")
    assert said.endswith(" With rows of only 1 day, the intervals may be too narrow.")
    week = rows_of_two_versions([f"2013-12-{18 + place} 01:00" for place in range(7)], None, sampled=True)
    said = churn.churn_figures(row, version, week, 0.0, "shadow", None).because
    assert said.startswith("Of a sample of 7 requests of 18 to 24 Dec 2013 that both scored, 7 (100.0 %, ") and said.endswith(
        "become right."
    )


def test_churn_says_from_how_many_rows_the_other_version_may_have_learned(model_world: Any) -> None:
    """Of 983 rows, 746 were older than the version that scored them, and this version was right on more of the older ones."""
    row = find(model_world.store, "c-5", model="credit")
    version: Any = SimpleNamespace(name="2")
    both = rows_of_two_versions([f"2013-06-{10 + place} 01:00" for place in range(10)], "2013-06-17")
    said = churn.churn_figures(row, version, both, 0.0, "computed", None).because
    assert said.startswith("Of 10 predictions of 10 to 19 Jun 2013, 10 (100.0 %, ")
    assert (
        " Version 2 first answered on 17 Jun 2013, so it may have learned from 7 of them; of the other 3 rows, 3 become wrong and" in said
    )
    young = rows_of_two_versions(["2013-06-18 01:00"], "2013-06-17")
    assert "learned" not in churn.churn_figures(row, version, young, 0.0, "computed", None).because


def test_churn_of_a_regression_has_no_decisions_that_become_wrong(model_world: Any) -> None:
    row = find(model_world.store, "r-3", model="rent")
    row = replace(row, model=replace(row.model, settings=replace(row.model.settings, unit="minutes")))
    both = churn.ChurnRows(["a", "b"], np.array([10.0, 10]), np.array([14.0, 10]), np.full(2, -1), np.full(2, -1), np.array([10.0, 10]))
    said = churn.churn_figures(row, row.version, both, 2.0, "computed", None).because
    assert "differ by more than 2 minutes from version" in said
    assert "newly miss the label by more than 2 minutes, and 0 (" in said and said.endswith("no longer miss it.")
    assert "wrong" not in said and "decision" not in said


def test_a_label_is_called_unlikely_only_below_a_probability_of_one_fifth(case_world: World) -> None:
    """Regression: a label with a probability of 45 % was called "unlikely", and a label that is wrong with under 0.1 % had "some evidence
    against" it.
    """
    less = LabelCheck(True, "", self_confidence=0.453, measured=True)
    assert label_evidence.label_conclusion(less, "late").startswith("the label is less likely than late but was measured, ")
    assert less.standing == "less likely"
    assert label_evidence.label_conclusion(replace(less, self_confidence=0.05), "late").startswith("the label is unlikely but was measured")
    assert replace(less, doubt=0.3).standing == "doubtful"
    sure = label_evidence.label_conclusion(LabelCheck(False, ""), wrong=0.0004)
    assert sure == "an ordinary error of the model is far more likely than a wrong label"
    assert "far" not in label_evidence.label_conclusion(LabelCheck(False, "", unclear=True), wrong=0.15)


def test_a_label_is_shown_with_its_time_and_compared_rows_with_their_days(case_world: World) -> None:
    """Regression: the time of a label was given as "about", and rows were described as of "this period"."""
    case = open_case(case_world.store, "loan-20", model="loan")
    label = next(mark for mark in prediction_event_marks(case.row) if mark.what == "label")
    assert f", of {label_time(case.row)} UTC" in label.text and "about" not in label.text
    frame = comparison_rows.labelled_rows_of(case)
    first, last = frame["at"].min(), frame["at"].max()
    said = comparison_rows.labelled_sample(case)
    assert f"labelled predictions of {first.day} " in said and said.endswith(f"{last.day} {last:%b %Y}")
    assert comparison_rows.period_words(case).startswith(" of ")


def label_time(row: Any) -> str:
    """The event time of the first label."""
    return f"{row.revisions[0].at:%Y-%m-%d %H:%M}"


def test_the_command_line_writes_missing_for_a_missing_value_and_the_unit_of_a_score(case_world: World) -> None:
    """Regression: the command line wrote `None to −0.2 … gives −18.52`, without a unit."""
    assert commands_case.given_text(None) == commands_case.given_text(float("nan")) == "missing"
    number: Any = SimpleNamespace(task="regression", classes=(), settings=ModelSettings(unit="minutes"))
    assert answer_score_text(number, -18.52) == "−18.52 minutes"
    model = open_case(case_world.store, "loan-20", model="loan").row.model
    assert answer_score_text(model, 0.5) == f"{model.settings.class_names.get(model.classes[1], model.classes[1])} 0.5"


def test_the_answer_of_a_version_names_the_class_of_its_score(case_world: World) -> None:
    """Regression: the command line and the exported file said `predicts on time (0.238)`, without the class of the score."""
    model = open_case(case_world.store, "loan-20", model="loan").row.model
    model = replace(model, settings=replace(model.settings, threshold=0.5, class_names={"0": "on time", "1": "late"}))
    assert version_answer_text(model, "0", 0.238) == "on time (late 0.238)"
    assert version_answer_text(replace(model, task="multiclass"), "0", {"0": 0.2, "1": 0.8}) == "on time (0.200)"
