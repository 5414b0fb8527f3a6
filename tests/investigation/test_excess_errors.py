"""A slice is a source of errors only if its rows err more than other rows of the same score, on several days. The same holds for distance
from the reference.
"""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from observability.investigation import comparison_rows, error_rule, expected_error, input_faults, neighbours, source_triage
from observability.investigation.case import open_case
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.error_rule import best_rule, excess_note, rule_figures, search_half
from observability.investigation.evidence_types import Condition, Input, NotGivenError
from observability.investigation.excess_errors import ExcessErrors, excess_errors, expected_errors_by_score
from observability.stats.arrays import Bools
from tests.support.case_world import World

NORTH = Condition("feature.area", "area is north", levels=("north",))


def rows_of(days: int, chance: Callable[[pd.DataFrame], pd.Series], seed: int = 1, n: int = 4_000) -> pd.DataFrame:
    """Rows decided as positive over some days, a tenth of them in the north. chance: a function that returns the error probability of each
    row.
    """
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"at": pd.Timestamp("2026-03-02") + pd.to_timedelta(rng.uniform(0, days, n), unit="D")})
    frame["feature.area"] = np.where(rng.random(n) < 0.1, "north", "south")
    frame["score"] = np.where(frame["feature.area"] == "north", rng.uniform(0.5, 0.7, n), rng.uniform(0.5, 1.0, n))
    frame["decision"], frame["group.sex"] = 1, "F"
    frame["label"] = 1 - (rng.random(n) < chance(frame)).astype(int)
    return frame


def wrong_case(world: World) -> CaseInProgress:
    """The case of a loan that was wrongly decided as positive."""
    raw = world.loan.iloc[400:1500]
    return open_case(world.store, f"loan-{raw.index[(raw['score'] >= 0.5) & (raw['label'] == 0)][0]}", model="loan")


def slice_weight(world: World, monkeypatch: pytest.MonkeyPatch, frame: pd.DataFrame) -> float:
    """The weight that triage gives to the slice `north` for these labelled rows."""
    case = wrong_case(world)
    monkeypatch.setattr(comparison_rows, "same_decision_rows", lambda _case: frame)
    held = frame[~search_half(len(frame))].reset_index(drop=True)
    wrong = comparison_rows.similar_error(case).of(held)
    case.known["rule"] = rule_figures(case.row.model, (NORTH,), held, wrong, comparison_rows.ErrorDefinition("an error"))
    assert case.known["rule"].weak
    return max((found.score for found in source_triage.weak_slice(case)), default=0.0)


def test_a_slice_that_errs_as_often_as_its_scores_predict_is_not_weak(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert slice_weight(case_world, monkeypatch, rows_of(20, lambda frame: 1 - frame["score"])) == 0


def test_a_slice_that_errs_more_often_than_its_scores_predict_is_weak(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows_of(20, lambda frame: np.where(frame["feature.area"] == "north", 0.85, 1 - frame["score"]))
    assert slice_weight(case_world, monkeypatch, frame) > source_triage.UNKNOWN


def test_the_search_prefers_excess_errors_to_more_errors_that_the_scores_predict() -> None:
    """Uncertain rows of the north err in 40 % of cases, as their scores state. Rows of a brand err in 30 %, although their scores state 10
    %.
    """
    rng = np.random.default_rng(5)
    n = 8_000
    frame = pd.DataFrame({"feature.area": np.where(rng.random(n) < 0.15, "north", "south")})
    frame["feature.brand"] = np.where((rng.random(n) < 0.1) & (frame["feature.area"] == "south"), "acme", "other")
    frame["score"] = np.where(frame["feature.area"] == "north", rng.uniform(0.55, 0.65, n), rng.uniform(0.85, 0.95, n))
    wrong = rng.random(n) < np.where(frame["feature.brand"] == "acme", 0.3, 1 - frame["score"])
    acme = Condition("feature.brand", "brand is acme", levels=("acme",))
    inside = [np.asarray(frame[column] == level) for column, level in (("feature.area", "north"), ("feature.brand", "acme"))]
    assert wrong[inside[0]].mean() > wrong[inside[1]].mean() + 0.05, "by plain error rates, the north would be preferred"
    assert best_rule([NORTH, acme], frame, wrong) == (acme,)
    assert best_rule([NORTH], frame, wrong) == (), "the scores explain all errors of the north"
    assert best_rule([NORTH], frame.assign(score=np.nan), wrong) == (NORTH,), "without scores, the overall rate is the expected one"


def test_expected_errors_are_those_of_the_other_rows_of_the_nearest_scores() -> None:
    frame = pd.DataFrame({"score": np.concatenate([np.linspace(0.1, 0.2, 400), np.linspace(0.8, 0.9, 400), [np.nan] * 10])})
    wrong = np.concatenate([np.arange(400) % 2 == 0, np.arange(400) % 10 == 0, np.ones(10)]).astype(bool)
    found = expected_errors_by_score(frame, wrong)
    assert found[:280] == pytest.approx(0.5, abs=0.01) and found[520:800] == pytest.approx(0.1, abs=0.01)
    assert found[800:] == pytest.approx(wrong.mean())


def test_one_bad_day_is_no_weak_slice(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both halves of the rows contain the day, so checking the slice on the held-out half alone would confirm it."""
    frame = rows_of(20, lambda frame: np.where(frame["at"].dt.day == 9, 0.9, 1 - frame["score"]))
    frame = frame[(frame["feature.area"] == "south") | frame["at"].dt.day.isin([7, 8, 9])].reset_index(drop=True)
    frame = pd.concat([frame, frame[frame["feature.area"] == "north"]] * 2, ignore_index=True)
    assert slice_weight(case_world, monkeypatch, frame) == 0


def test_a_rule_whose_rows_are_of_few_days_says_that_the_excess_is_not_significant(case_world: World) -> None:
    """The error rates are the same on three days as on twenty, but rows of one day are correlated."""
    model = wrong_case(case_world).row.model
    many = rows_of(20, lambda frame: np.where(frame["feature.area"] == "north", 0.85, 1 - frame["score"]))
    bad = rows_of(20, lambda frame: np.where(frame["at"].dt.day == 9, 0.9, 1 - frame["score"]))
    few = bad[(bad["feature.area"] == "south") | bad["at"].dt.day.isin([7, 8, 9])]
    few = pd.concat([few, few[few["feature.area"] == "north"]] * 2, ignore_index=True)
    notes = []
    for frame in (many, few):
        wrong, inside = np.asarray(frame["label"] == 0, bool), np.asarray(frame["feature.area"] == "north", bool)
        made = rule_figures(model, (NORTH,), frame, wrong, comparison_rows.ErrorDefinition("an error"))
        assert made.weak
        notes.append(excess_note(made, frame, inside, wrong))
    assert notes[0] == ""
    assert "rows on 3 UTC days are such errors, " in notes[1] and notes[1].endswith(": too few days to tell.")


def with_days(days: int, inside_rate: float, seed: int = 4) -> tuple[pd.DataFrame, Bools, Bools]:
    """Rows with equal scores, fifty a day, half of them inside the slice. So each row inside is compared with all rows outside, as for
    plain rates.
    """
    rng = np.random.default_rng(seed)
    day, inside = np.repeat(np.arange(days), 50), np.tile([True, False], 25 * days)
    wrong: Bools = rng.random(day.size) < np.where(inside, inside_rate, 0.3)
    return pd.DataFrame({"at": pd.Timestamp("2026-03-02") + pd.to_timedelta(day, unit="D"), "score": 0.5}), inside, wrong


@pytest.mark.parametrize("days", [3, 4, 7])
def test_the_interval_over_days_is_that_of_a_regression_with_errors_clustered_by_day(days: int) -> None:
    import statsmodels.api as sm

    frame, inside, wrong = with_days(days, 0.6)
    found = excess_errors(frame, inside, wrong)
    assert found is not None
    design = sm.add_constant(inside.astype(float))
    fitted = sm.OLS(wrong.astype(float), design).fit(cov_type="cluster", cov_kwds={"groups": frame["at"].dt.day.to_numpy()})
    rows = len(frame)
    error = fitted.bse[1] / np.sqrt((rows - 1) / (rows - 2))  # without statsmodels' factor for the number of rows
    n = int(inside.sum())
    assert (found.n, found.errors, found.days, found.days_outside) == (n, wrong[inside].sum(), days, days)
    assert found.others == pytest.approx(n * wrong[~inside].mean())
    assert found.low == pytest.approx(n * (fitted.params[1] - t.ppf(0.975, days - 1) * error))


def test_where_a_day_has_most_rows_the_interval_is_that_of_estimates_without_a_day() -> None:
    rng = np.random.default_rng(6)
    day, inside = rng.choice(6, 600, p=[0.6, 0.2, 0.05, 0.05, 0.05, 0.05]), rng.random(600) < 0.7
    wrong: Bools = rng.random(600) < np.where(inside, 0.5, 0.3)
    found = excess_errors(pd.DataFrame({"at": pd.Timestamp("2026-03-02") + pd.to_timedelta(day, unit="D"), "score": 0.5}), inside, wrong)

    def difference(kept: Bools) -> float:
        return float(wrong[kept & inside].mean() - wrong[kept & ~inside].mean())

    whole, n = difference(np.ones(600, bool)), int(inside.sum())
    error = np.sqrt(5 / 6 * sum((difference(day != each) - whole) ** 2 for each in range(6)))
    assert found is not None and found.low == pytest.approx(n * (whole - t.ppf(0.975, 5) * error))


def test_a_large_excess_over_a_week_is_found_and_one_over_three_days_is_undecided() -> None:
    """An equal excess on every day cannot be chance, but a single event can explain an excess on a few days."""
    for days in (3, 4, 7):
        found = excess_errors(*with_days(days, 0.9))
        assert found is not None and found.low > 0 and (found.part > 0) is (days == 7)
        assert found.sentence.endswith("on either side." if days == 7 else "on either side: too few days to tell.")


def test_a_slice_with_nearly_all_of_its_rows_on_two_days_is_too_few_to_tell() -> None:
    """If the unit of an input changed two days ago, its rows fill a slice that had one row a day before; this slice is no source. With the
    same excess on eight even days it is one.
    """
    rng = np.random.default_rng(4)
    for sizes, found_one in (((1, 2, 1, 2, 1, 1, 40, 60), False), ((14,) * 8, True)):
        day = np.concatenate([np.repeat(np.arange(8), sizes), np.tile(np.arange(8), 100)])
        inside = np.arange(day.size) < sum(sizes)
        wrong: Bools = np.where(inside, True, rng.random(day.size) < 0.3).astype(bool)
        frame = pd.DataFrame({"at": pd.Timestamp("2026-03-02") + pd.to_timedelta(day, unit="D"), "score": 0.5})
        found = excess_errors(frame, inside, wrong)
        assert found is not None and found.low > 0 and found.days == 8
        assert (found.part > 0) is found_one
        assert found.sentence.endswith("on either side." if found_one else ": most of these rows are of few days, too few to tell.")


def test_a_rule_of_four_days_is_no_clear_pattern_even_where_its_excess_is_the_same_each_day(case_world: World) -> None:
    """The sentence agrees with triage, which gives such a rule no weight."""
    frame, inside, wrong = with_days(4, 0.9)
    frame = frame.assign(**{"feature.area": np.where(inside, "north", "south"), "group.sex": "F"})
    made = rule_figures(wrong_case(case_world).row.model, (NORTH,), frame, wrong, comparison_rows.ErrorDefinition("an error"))
    assert made.weak and excess_note(made, frame, inside, wrong).endswith(": too few days to tell.")


def test_hardly_more_excesses_are_found_by_chance_than_stated() -> None:
    """Days differ equally for all rows, and one day has most rows. For normal days of equal size, the lower end of a 95 % interval is above
    0 in 2.5 % of samples.
    """
    rng = np.random.default_rng(3)
    found = []
    for _ in range(400):
        day, inside = rng.choice(6, 900, p=[0.5, 0.2, 0.1, 0.1, 0.05, 0.05]), rng.random(900) < 0.2
        wrong: Bools = rng.random(900) < np.clip(0.3 + rng.normal(0, 0.1, 6), 0, 1)[day]
        frame = pd.DataFrame({"at": pd.Timestamp("2026-03-02") + pd.to_timedelta(day, unit="D"), "score": 0.5})
        made = excess_errors(frame, inside, wrong)
        assert made is not None
        found.append(made.low > 0)
    assert 0 < np.mean(found) < 0.06


def test_an_excess_says_which_days_are_too_few_and_where_there_is_none() -> None:
    assert excess_errors_sentence(days=5).endswith(": too few days to tell.")
    assert excess_errors_sentence(days=9, days_outside=4).endswith("on either side: the other rows are of 4 days, too few to tell.")
    assert excess_errors_sentence(days=9).endswith(": no significant excess (rows of one day are correlated).")
    assert excess_errors_sentence(errors=10).endswith(": no excess.")


def excess_errors_sentence(errors: int = 20, days: int = 9, days_outside: int = 9) -> str:
    """The sentence about forty rows; their scores state 12 errors."""
    return ExcessErrors(40, errors, 12.0, -1.0, days, days_outside).sentence


def test_rows_outside_of_two_days_show_no_excess() -> None:
    """In a hot month nearly all rows are outside the reference; the others come from a cool day."""
    rng = np.random.default_rng(8)
    day = np.concatenate([rng.integers(0, 15, 2_000), rng.integers(3, 5, 60)])
    wrong: Bools = rng.random(2_060) < np.where(np.arange(2_060) < 2_000, 0.25, 0.08)
    frame = pd.DataFrame({"at": pd.Timestamp("2026-03-02") + pd.to_timedelta(day, unit="D"), "score": rng.random(2_060)})
    found = excess_errors(frame, np.arange(2_060) < 2_000, wrong)
    assert found is not None and (found.days, found.part) == (15, 0)


def test_few_rows_are_not_compared() -> None:
    frame = pd.DataFrame({"at": pd.Timestamp("2026-03-02"), "score": np.linspace(0, 1, 60)})
    assert excess_errors(frame, np.arange(60) < 19, np.ones(60, bool)) is None
    two = excess_errors(frame, np.arange(60) % 2 == 0, np.arange(60) % 2 == 0)
    assert two is not None and two.days == 0 and two.part > 0.5


def test_unusual_rows_whose_scores_predict_their_errors_are_no_error_source(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = wrong_case(case_world)
    frame = rows_of(20, lambda frame: 1 - frame["score"])
    frame["feature.age"] = np.where(frame["feature.area"] == "north", 1e6, 40.0)
    case.known["inputs"] = (Input("age", 1e6, flags=("out_of_range",)),)
    monkeypatch.setattr(comparison_rows, "labelled_rows_about", lambda _case: frame)
    monkeypatch.setattr(comparison_rows, "labelled_rows_of", lambda _case: frame)
    monkeypatch.setattr(source_triage, "moved_with_others", lambda *_: True)
    monkeypatch.setattr(source_triage, "odd_inputs", lambda _case: ())
    monkeypatch.setattr(neighbours, "reference_distance", lambda _case: neighbours.Far(3.0, 0.5, 600, 0.5, 600))
    (found,) = source_triage.far_from_reference(case)
    assert found.score == 0 and found.because.endswith(": no excess.")


def test_a_distance_shared_by_one_row_in_fifty_weighs_less_than_an_ordinary_error(
    case_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_triage.neighbours, "reference_distance", lambda _case: neighbours.Far(3.0, 12 / 600, 600, 12 / 600, 600))
    case = open_case(case_world.store, "loan-20", model="loan")
    assert all(found.score < source_triage.UNKNOWN for found in source_triage.far_from_reference(case))


@pytest.mark.parametrize(("value", "shift"), [(90.0, True), (9_999.0, False), (-9_999.0, False)])
def test_a_number_far_outside_is_odd_however_many_rows_have_it(
    case_world: World, monkeypatch: pytest.MonkeyPatch, value: float, shift: bool
) -> None:
    """The reference has ages of 18 to 79. An age of 90 may mean that the population has grown older, but 9,999 stands for a missing value."""
    case = open_case(case_world.store, "loan-20", model="loan")
    frame = comparison_rows.labelled_rows_of(case).copy()
    frame.loc[frame.index % 3 == 0, "feature.age"] = value
    monkeypatch.setattr(comparison_rows, "labelled_rows_of", lambda _case: frame)
    given = Input("age", value, flags=("out_of_range",))
    assert input_faults.moved_with_others(case, given, "out_of_range") is shift
    assert (input_faults.fault_weight(case, given) == 0) is shift


def test_an_error_that_the_reference_hardly_has_is_not_expected(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a regression, a score states no error rate. Instead, the reference shows how often values of this size are equally wrong."""
    case = open_case(case_world.store, "price-50")
    frame, held = (rows(case).copy() for rows in (comparison_rows.labelled_rows_of, comparison_rows.rows_of_reference))
    frame.loc[frame.index % 5 == 0, "label_value"] = frame["score"] + 200
    monkeypatch.setattr(comparison_rows, "labelled_rows_of", lambda _case: frame)
    found = expected_error.similar_values(case, frame)
    assert found is not None and found.stated == 0 and found.low > 0.1
    assert found.stated_part == 0
    assert f"; of the 200 nearest of {len(held):,} reference rows 0 %" in expected_error.expected_sentence(case, found)
    held.loc[held.index % 5 == 0, "label_value"] = held["score"] + 200
    monkeypatch.setattr(comparison_rows, "rows_of_reference", lambda _case: held)
    again = expected_error.similar_values(case, frame)
    assert again is not None and again.stated == pytest.approx(0.2, abs=0.08) and again.stated_part == 1


def test_a_miscalibration_that_few_rows_do_not_show_is_seen_in_more_rows() -> None:
    """8 errors in the 100 nearest rows do not differ from the 6 that the scores state, but 80 in 1,000 do."""
    sure = np.full(8_000, 0.94)
    wrong = np.arange(8_000) % 25 < 2
    found = expected_error.wider_scores(sure, 0.94, wrong)
    assert found is not None and (found.n, found.errors) == (1_000, 80) and found.stated == pytest.approx(0.06)
    few = expected_error.SimilarScores("rows", 100, 8, 0.06, 0.04, 0.15)
    assert few.stated_part == 1
    assert expected_error.SimilarScores("rows", 100, 8, 0.06, 0.04, 0.15, wider=found).stated_part == pytest.approx(0.75)
    assert expected_error.wider_scores(sure, 0.94, np.arange(8_000) % 50 < 3) is None


def rule_words(frame: pd.DataFrame, inside_rate: float, error: comparison_rows.ErrorDefinition, world: World) -> str:
    """The sentence about a rule for the north with this error rate, if the south has 0.3."""
    rng = np.random.default_rng(2)
    wrong: Bools = rng.random(len(frame)) < np.where(frame["feature.area"] == "north", inside_rate, 0.3)
    return rule_figures(wrong_case(world).row.model, (NORTH,), frame, wrong, error).because


def test_a_rule_with_significantly_fewer_errors_says_so(case_world: World) -> None:
    frame = rows_of(20, lambda frame: 1 - frame["score"])
    error = comparison_rows.ErrorDefinition("an error")
    assert rule_words(frame, 0.1, error, case_world).endswith(", significantly less often than the other rows.")
    assert rule_words(frame, 0.31, error, case_world).endswith(", which is not significant.")
    assert "significant" not in rule_words(frame, 0.9, error, case_world)


def test_a_rule_of_a_regression_says_which_errors_it_counts(case_world: World) -> None:
    case = open_case(case_world.store, "price-50")
    error, either = comparison_rows.similar_error(case), comparison_rows.error_definition(case)
    side = "too high" if case.row.error > 0 else "too low"
    assert error.said.startswith("more than ") and error.said.endswith(f" {side}") and either.said.endswith(" too high or too low")
    assert f"(area is north) are {error.said}: " in rule_words(rows_of(20, lambda frame: 1 - frame["score"]), 0.5, error, case_world)
    assert f" are {either.said}" in source_triage.ordinary_error_source(case).because


def test_a_rule_whose_excess_is_not_significant_is_no_clear_pattern(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    from observability.investigation import error_rule

    case = wrong_case(case_world)
    for note, clear in (("", True), (" 1 % of 9 rows are such errors: too few days to tell.", False)):
        monkeypatch.setattr(error_rule, "excess_note", lambda *_, words=note: words)
        monkeypatch.setattr(error_rule, "best_rule", lambda *_: (NORTH,))
        found = error_rule.error_rule_of_case(case)
        assert found.weak and found.confirmed is clear and found.clear is clear and found.because.endswith(note or ".")


def test_a_search_that_found_no_slice_does_not_claim_that_there_is_none(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: the page said "no slice of this case has a higher error rate", but a reader found such a slice of 719 rows."""
    monkeypatch.setattr(error_rule, "best_rule", lambda options, frame, wrong: ())
    with pytest.raises(NotGivenError, match="the search found no slice of this case with a higher error rate"):
        error_rule.error_rule_of_case(wrong_case(case_world))
