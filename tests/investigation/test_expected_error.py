"""An error is expected if the scores of similar rows state its rate. If two sources are close, none is named."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from observability.investigation import comparison_rows, expected_error, source_triage
from observability.investigation.case import open_case
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.evidence_types import InputRepair, Triage, triage_json
from observability.investigation.excess_errors import ExcessErrors
from tests.support.case_world import World


def wrong_loans(world: World) -> list[int]:
    """Indices of wrongly decided loans, the most certain score first."""
    raw = world.loan.iloc[400:1500]
    wrong = raw[(raw["score"] >= 0.5) != (raw["label"] == 1)]
    return list((wrong["score"] - 0.5).abs().sort_values(ascending=False).index)


def test_rows_of_a_similar_score_are_counted_by_hand(case_world: World) -> None:
    place = wrong_loans(case_world)[40]
    case = open_case(case_world.store, f"loan-{place}")
    found = expected_error.similar_scores(case)
    assert found is not None
    frame = comparison_rows.labelled_rows_of(case)
    same = frame[frame["decision"] == case.row.decision]
    sure = same["score"] if case.row.decision == 1 else 1 - same["score"]
    own = case.row.score if case.row.decision == 1 else 1 - case.row.score
    above = sure >= own
    if expected_error.MIN_SURE <= above.sum() <= expected_error.MAX_SURE:
        assert found.n == above.sum() and found.errors == (same["label"] != same["decision"])[above].sum()
        assert found.stated == pytest.approx(1 - sure[above].mean())
    else:
        near = (sure - own).abs().sort_values(kind="stable").index[: expected_error.NEAREST]
        assert found.n == len(near) and found.errors == (same["label"] != same["decision"])[near].sum()
    sentence = expected_error.expected_sentence(case, found)
    assert f"{found.errors} of {found.n} other rows predicted" in sentence and "their scores state" in sentence
    some = not expected_error.MIN_SURE <= above.sum() <= expected_error.MAX_SURE
    assert ("with the nearest probabilities (" in found.text) == some, "if many rows have equal scores, some at the ends are left out"


def test_large_errors_in_the_same_direction_are_counted_for_a_regression(case_world: World) -> None:
    raw = case_world.price
    error = (raw["score"] - raw["label"]).drop([0, 1, 50])
    place = int(error.abs().idxmax())
    case = open_case(case_world.store, f"price-{place}")
    found = expected_error.similar_scores(case)
    assert (
        found is not None
        and found.stated == expected_error.reference_errors(case, case.row.score, case.row.error)[: expected_error.MAX_SURE].mean()
    )
    frame = comparison_rows.labelled_rows_of(case)
    near = frame.iloc[np.argsort((frame["score"] - case.row.score).abs().to_numpy(), kind="stable")[: expected_error.MAX_SURE]]
    assert found.errors == (((near["score"] - near["label_value"]) * np.sign(case.row.error)) >= abs(case.row.error)).sum()


def test_the_rank_of_an_error_is_that_of_its_loss(case_world: World) -> None:
    raw = case_world.price.assign(label=lambda frame: frame["label"] + np.where(frame.index == 50, 150, 0))
    assert int((raw["score"] - raw["label"]).abs().idxmax()) == 50
    case = open_case(case_world.store, "price-50")
    assert expected_error.error_rank(case) == f"Its error is the largest of {comparison_rows.labelled_total(case):,} labelled predictions."
    assert [expected_error.ordinal_ending(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 101, 111)] == [
        "st", "nd", "rd", "th", "th", "th", "th", "st", "st", "th",
    ]  # fmt: skip


def test_a_correct_prediction_has_no_expected_error_source(case_world: World) -> None:
    raw = case_world.loan.iloc[400:1500]
    right = raw.index[(raw["score"] >= 0.5) == (raw["label"] == 1)][0]
    case = open_case(case_world.store, f"loan-{right}")
    assert expected_error.similar_scores(case) is None
    assert "expected" not in {each.source for each in case.part("triage")}
    assert case.part("triage")[0].because == "This prediction is not an error: an error is a decision that is not the label."


@pytest.mark.parametrize(("weights", "first"), [((0.6, 0.55), "unknown"), ((0.6, 0.45), "label"), ((0.2, 0.05), "unknown")])
def test_if_the_two_best_sources_are_close_no_source_is_named(
    case_world: World, monkeypatch: pytest.MonkeyPatch, weights: tuple[float, float], first: str
) -> None:
    found = (Triage("label", weights[0], "One."), Triage("weak_slice", weights[1], "Two."))
    monkeypatch.setattr(source_triage, "SOURCES", tuple((lambda _case, one=one: iter([one])) for one in found))
    ranked = source_triage.rank_sources(open_case(case_world.store, f"loan-{wrong_loans(case_world)[0]}"))
    assert ranked[0].source == first
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    assert ranked[0].because.startswith("Cannot tell: ") == (weights == (0.6, 0.55))


def test_the_json_maps_sources_to_contract_names_and_keeps_the_original_as_a_detail() -> None:
    found = [triage_json(Triage(source, 0.3, "x")) for source in ("expected", "unknown", "label")]
    assert [(each["source"], each["detail"]) for each in found] == [("unknown", "expected"), ("unknown", None), ("label", None)]
    assert all(each["score"] == 0.3 and each["because"] == "x" for each in found)


def price_rows(scores: np.ndarray, errors: np.ndarray) -> pd.DataFrame:
    """Labelled rows of a regression with these predictions and errors (predicted minus real)."""
    return pd.DataFrame({"at": pd.Timestamp("2026-03-02"), "score": scores, "label_value": scores - errors, "label": 0})


def price_case(case_world: World, monkeypatch: pytest.MonkeyPatch, now: pd.DataFrame, past: pd.DataFrame) -> CaseInProgress:
    """The case of a prediction that is 100 too high, with these current and reference rows to compare."""
    case = open_case(case_world.store, "price-50")
    revision = dataclasses.replace(case.row.current_revision, number=100.0)
    case.row = dataclasses.replace(case.row, score=200.0, revisions=(revision,))
    assert case.row.error == 100.0
    monkeypatch.setattr(comparison_rows, "labelled_rows_of", lambda _case: now)
    monkeypatch.setattr(comparison_rows, "rows_of_reference", lambda _case: past)
    return case


def test_an_error_that_no_reference_row_has_is_not_called_expected(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.linspace(150, 250, 400)
    large = np.where(np.arange(400) == 200, 120.0, 10.0)
    seen = price_case(case_world, monkeypatch, price_rows(scores, large), price_rows(scores, large))
    assert expected_error.similar_scores(seen).stated_part == 1.0
    case = price_case(case_world, monkeypatch, price_rows(scores, large), price_rows(scores, np.full(400, 10.0)))
    found = expected_error.similar_scores(case)
    assert found.stated_part == 0.0 and found.unseen == 200
    assert next(source_triage.expected_error_source(case)).score == 0.0
    assert expected_error.unseen_sentence(case).startswith("None of the 200 rows with the nearest predicted values in")
    case.known["label_check"] = None
    said = source_triage.ordinary_error_source(case).because
    assert said.startswith("None of the 200 rows") and "ordinary" not in said, "if no such row has this error, it is not called ordinary"
    assert " is at least 100 too high" in expected_error.unseen_sentence(case)


def test_large_errors_that_became_more_frequent_among_many_near_rows_are_not_stated(
    case_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 errors in the 200 nearest rows, after 5 of 200 in the reference, are no evidence. 80 in the 1,000 nearest, after 25, are
    evidence.
    """
    scores, order = np.linspace(100, 300, 4_000), np.argsort(np.abs(np.linspace(100, 300, 4_000) - 200), kind="stable")

    def rows(near: int, wide: int) -> pd.DataFrame:
        errors = np.full(4_000, 10.0)
        errors[order[:near]], errors[order[200 : 200 + wide - near]] = 110.0, 110.0
        return price_rows(scores, errors)

    case = price_case(case_world, monkeypatch, rows(8, 80), rows(5, 25))
    found = expected_error.similar_scores(case)
    assert (found.errors, found.stated) == (8, 0.025) and found.low < 0.025, "the nearest rows alone agree with the stated rate"
    assert (found.wider.n, found.wider.errors, found.wider.stated) == (1_000, 80, 0.025)
    assert found.stated_part == pytest.approx(25 / 80)
    said = expected_error.expected_sentence(case, found)
    assert "; 8 % of 1,000 rows with the nearest predicted values (" in said
    assert ") were; 2.5 % of equally near reference rows were" in said
    same = price_case(case_world, monkeypatch, rows(8, 30), rows(5, 25))
    assert expected_error.similar_scores(same).wider is None


def test_excess_errors_of_rows_like_the_case_lower_the_expected_error_score(case_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    case = open_case(case_world.store, f"loan-{wrong_loans(case_world)[40]}")
    monkeypatch.setattr(source_triage, "slice_errors", lambda _case: None)
    alone = next(source_triage.expected_error_source(case))
    assert "counts less" not in alone.because
    among = source_triage.SliceErrors(None, ExcessErrors(200, 100, 40.0, 40.0, 0), None, None, 0)
    monkeypatch.setattr(source_triage, "slice_errors", lambda _case: among)
    less = next(source_triage.expected_error_source(case))
    assert less.score == pytest.approx(alone.score / 2, abs=0.001), "half of the errors of such rows are beyond what is expected"
    assert less.because.endswith("so this counts less.")


def test_a_repair_that_corrects_the_answer_lowers_the_boundary_score(case_world: World) -> None:
    """An unseen level moved the score just beyond the threshold. A tested repair of the input counts more than the distance of the score
    from the threshold.
    """
    case = open_case(case_world.store, f"loan-{wrong_loans(case_world)[0]}")
    case.known["repair"] = InputRepair(("income",), "similar", "1", 0.51, 0.3, 0.2, 0.4, 10, 0.9, because="")
    tried = case.part("repair")
    assert tried.cause > 0.5
    near = Triage("boundary", 0.6, "Near.")
    assert source_triage.less_by_repair(case, near).score == pytest.approx(0.6 * (1 - tried.cause), abs=0.001)
