"""A label is doubted only as far as wrong labels are more frequent than right labels that are equally unlikely. The numbers are computed by
hand.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from observability.investigation import comparison_rows, label_evidence, label_noise, neighbours, source_triage
from observability.investigation.case import open_case
from observability.investigation.evidence_types import ErrorRule
from tests.support.case_world import World


def test_the_share_of_flipped_labels_is_what_explains_the_contradictions() -> None:
    contradicted = np.arange(100) < 30
    assert label_noise.flipped_share_beyond_chance(contradicted, 0.04) == pytest.approx((0.30 - 0.04) / (1 - 2 * 0.04))
    assert label_noise.flipped_share_beyond_chance(contradicted, 0.25) == 0.0  # within chance
    assert label_noise.flipped_share_beyond_chance(contradicted, 0.6) == 0.0


def test_an_unlikely_label_is_doubted_by_the_odds(case_world: World) -> None:
    case = open_case(case_world.store, "loan-300")
    frame = comparison_rows.labelled_rows_of(case)
    sure = np.maximum(frame["score"], 1 - frame["score"]) >= 0.99
    against = ((frame["score"] >= 0.5) != (frame["label"] == 1))[sure]
    unlikely = max(0.01, against.mean()) if sure.sum() >= label_noise.MIN_SURE else 0.01
    rate = label_noise.wrong_label_rate(case)
    assert rate is not None
    share = max(rate.value, label_noise.noise_now(case))
    odds = share / (1 - share) * (1 - unlikely) / unlikely
    assert label_noise.wrong_label_probability(case, 0.01) == pytest.approx(odds / (1 + odds))
    assert label_noise.wrong_label_probability(case, 0.5) == pytest.approx(
        share
    )  # if both classes are equally likely, only the rate of wrong labels matters
    by_confidence = [label_noise.wrong_label_probability(case, confidence) or 0.0 for confidence in (0.01, 0.2, 0.5)]
    assert by_confidence == sorted(by_confidence, reverse=True)


def surely_scored(n: int, wrong: float, rng: np.random.Generator) -> pd.DataFrame:
    """Labelled rows of a calibrated model; the given share has the other label."""
    score = rng.beta(0.3, 0.3, n)
    label = (rng.random(n) < score) ^ (rng.random(n) < wrong)
    at = pd.date_range("2026-03-02", periods=n, freq="min")
    return pd.DataFrame({"score": score, "label": label.astype(int), "decision": (score >= 0.5).astype(int), "at": at})


@pytest.mark.parametrize("wrong", [0.0, 0.02, 0.1])
def test_the_rate_of_wrong_labels_is_estimated_from_surely_scored_rows(case_world: World, wrong: float) -> None:
    case = open_case(case_world.store, "loan-300")
    case.known["shared:labelled_rows_of"] = surely_scored(8000, wrong, np.random.default_rng(3))
    rate = label_noise.wrong_label_rate(case)
    assert rate is not None and rate.n > 2000
    assert rate.low - 0.005 <= wrong <= rate.high + 0.01  # in surely scored rows, fewer labels contradict the score (2 × stated × wrong)
    assert rate.low <= rate.value <= rate.high


def test_with_too_few_surely_scored_rows_the_rate_is_unknown(case_world: World) -> None:
    case = open_case(case_world.store, "loan-300")
    case.known["shared:labelled_rows_of"] = surely_scored(60, 0.0, np.random.default_rng(3)).head(30)
    assert label_noise.wrong_label_rate(case) is None
    assert label_noise.wrong_label_probability(case, 0.1) is None


@pytest.mark.parametrize(("wrong", "suspect"), [(0.0, False), (0.1, True)])
def test_a_label_of_unknown_origin_is_suspect_where_triage_gives_it_weight(
    case_world: World, monkeypatch: pytest.MonkeyPatch, wrong: float, suspect: bool
) -> None:
    """The model and all neighbours contradict the label; the frequency of wrong labels decides."""
    case = open_case(case_world.store, "loan-310")
    near = neighbours.nearest_labelled(case)
    case.known["shared:nearest_labelled"] = replace(near, frame=near.frame.assign(label=1 - case.row.label_code))
    case.known |= {"shared:labelled_rows_of": surely_scored(8000, wrong, np.random.default_rng(3)), "rule": None, "repair": None}
    monkeypatch.setattr(label_evidence, "own_probabilities", lambda row: np.where(np.arange(2) == row.label_code, 0.1, 0.9))
    check = case.part("label_check")
    assert check.instead is not None and check.agree == 0
    assert (check.suspect, check.unclear) == (suspect, not suspect)
    assert [source.score > 0 for source in source_triage.label_sources(case)] == ([True] if suspect else [])
    case.known["rule"] = ErrorRule("x", 100, 60, 0.6, 0.5, 0.5, 0.7, overall=0.3, weak=True, confirmed=False)
    unchanged = [source.score for source in source_triage.label_sources(case)]
    case.known["rule"] = replace(case.known["rule"], confirmed=True)
    halved = list(source_triage.label_sources(case))
    assert [source.score for source in halved] == pytest.approx([score / 2 for score in unchanged], abs=0.001)
    assert all("The model has more errors in this slice" in source.because for source in halved)
    assert "probability that this label is wrong: " in check.because
    assert check.because.endswith("the label is suspect." if suspect else "more likely than a wrong label.")
