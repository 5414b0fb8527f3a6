"""An error that the scores of similar rows state is expected; where two sources are close, none is named."""

import numpy as np
import pytest

from observability.investigation import comparison_rows, expected_error, source_triage
from observability.investigation.case import open_case
from observability.investigation.evidence_types import Triage, triage_json
from tests.support.case_world import World


def wrong_loans(world: World) -> list[int]:
    """Places of wrong loans, the surest first."""
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
    if expected_error.FEWEST <= above.sum() <= expected_error.MOST:
        assert found.n == above.sum() and found.errors == (same["label"] != same["decision"])[above].sum()
        assert found.stated == pytest.approx(1 - sure[above].mean())
    else:
        near = (sure - own).abs().sort_values(kind="stable").index[: expected_error.NEAREST]
        assert found.n == len(near) and found.errors == (same["label"] != same["decision"])[near].sum()
    sentence = expected_error.expected_sentence(case, found)
    assert f"{found.errors} of {found.n} other rows predicted" in sentence and "their scores state" in sentence
    some = not expected_error.FEWEST <= above.sum() <= expected_error.MOST
    assert ("with the nearest probabilities (" in found.text) == some, "of rows of equal scores at the ends some are left out"


def test_large_errors_in_the_same_direction_are_counted_for_a_regression(case_world: World) -> None:
    raw = case_world.price
    error = (raw["score"] - raw["label"]).drop([0, 1, 50])
    place = int(error.abs().idxmax())
    case = open_case(case_world.store, f"price-{place}")
    found = expected_error.similar_scores(case)
    assert found is not None and found.stated == expected_error.reference_rate(case, case.row.score, case.row.error)
    frame = comparison_rows.labelled_rows_of(case)
    near = frame.iloc[np.argsort((frame["score"] - case.row.score).abs().to_numpy(), kind="stable")[: expected_error.MOST]]
    assert found.errors == (((near["score"] - near["label_value"]) * np.sign(case.row.error)) >= abs(case.row.error)).sum()


def test_the_rank_of_an_error_is_that_of_its_loss(case_world: World) -> None:
    raw = case_world.price.assign(label=lambda frame: frame["label"] + np.where(frame.index == 50, 150, 0))
    assert int((raw["score"] - raw["label"]).abs().idxmax()) == 50
    case = open_case(case_world.store, "price-50")
    assert expected_error.error_rank(case) == f"Its error is the largest of {comparison_rows.labelled_total(case):,} labelled predictions."
    assert [expected_error.ordinal_ending(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 101, 111)] == [
        "st", "nd", "rd", "th", "th", "th", "th", "st", "st", "th",
    ]  # fmt: skip


def test_no_error_is_no_expected_error(case_world: World) -> None:
    raw = case_world.loan.iloc[400:1500]
    right = raw.index[(raw["score"] >= 0.5) == (raw["label"] == 1)][0]
    case = open_case(case_world.store, f"loan-{right}")
    assert expected_error.similar_scores(case) is None
    assert "expected" not in {each.source for each in case.part("triage")}
    assert case.part("triage")[0].because == "This prediction is no error: an error is a decision that is not the label."


@pytest.mark.parametrize(("weights", "first"), [((0.6, 0.55), "unknown"), ((0.6, 0.45), "label"), ((0.2, 0.05), "unknown")])
def test_where_the_two_best_are_close_no_source_is_named(
    case_world: World, monkeypatch: pytest.MonkeyPatch, weights: tuple[float, float], first: str
) -> None:
    found = (Triage("label", weights[0], "One."), Triage("weak_slice", weights[1], "Two."))
    monkeypatch.setattr(source_triage, "SOURCES", tuple((lambda _case, one=one: iter([one])) for one in found))
    ranked = source_triage.triage(open_case(case_world.store, f"loan-{wrong_loans(case_world)[0]}"))
    assert ranked[0].source == first
    assert [each.score for each in ranked] == sorted((each.score for each in ranked), reverse=True)
    assert ranked[0].because.startswith("Cannot tell: ") == (weights == (0.6, 0.55))


def test_other_programs_get_the_names_of_the_contract_and_the_rest_as_a_detail() -> None:
    found = [triage_json(Triage(source, 0.3, "x")) for source in ("expected", "unknown", "label")]
    assert [(each["source"], each["detail"]) for each in found] == [("unknown", "expected"), ("unknown", None), ("label", None)]
    assert all(each["score"] == 0.3 and each["because"] == "x" for each in found)
