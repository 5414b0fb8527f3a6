"""On the newest night the shift of the simulated vendor's scores is reported with the size in vendor_scores.py; before it, no finding needs
action.
"""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from observability.core.bundle import bundle_folder
from observability.detection.probe_claims import ERROR, SHIFT
from sample_data import vendor, vendor_scores
from tests.support.sample_vendor import findings_of_night

FOLDER = bundle_folder() / "sample_data"


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    return pd.read_parquet(FOLDER / vendor_scores.FILE)


def test_the_newest_night_reports_the_planted_shift_and_the_night_it_began(scores: pd.DataFrame) -> None:
    table = scores.assign(number=scores["prediction"].astype(float)).pivot(index="round", columns="item", values="number")
    typical = table.iloc[:28].apply(lambda answers: np.sort(answers)[(len(answers) - 1) // 2])
    shift = findings_of_night(scores, vendor_scores.NIGHTS - 1)[SHIFT]
    assert shift.value == pytest.approx((table.iloc[-1] - typical).mean(), rel=1e-9)
    assert shift.value == pytest.approx(vendor_scores.SHIFT, abs=0.005) and shift.low < vendor_scores.SHIFT < shift.high
    assert shift.severity == "watch" and shift.onset is not None and shift.onset.date() == date(2024, 11, 21)


def test_the_score_error_is_the_mean_distance_from_the_ratings_of_people(scores: pd.DataFrame) -> None:
    labels = pd.read_parquet(FOLDER / "sentiment.labels.parquet", columns=["id", "rating_mean"]).set_index("id")["rating_mean"]
    newest = scores[scores["round"] == scores["round"].max()].set_index("item")
    known, answered = newest["expected"].astype(float), newest["prediction"].astype(float)
    assert (known - labels.loc[known.index] / 4).abs().max() <= 0.0005 + 1e-9 and known.abs().max() <= 1
    error = findings_of_night(scores, vendor_scores.NIGHTS - 1)[ERROR]
    assert error.value == pytest.approx((answered - known).abs().mean(), rel=1e-9) and error.n == vendor.ITEMS
    assert error.severity == "ok" and error.low < error.value < error.high


@pytest.mark.parametrize("night", range(6, vendor_scores.SHIFTED_FROM, 5))
def test_no_night_before_the_shift_needs_action(scores: pd.DataFrame, night: int) -> None:
    assert [each.because for each in findings_of_night(scores, night).values() if each.needs_action] == []


def test_scores_are_marked_simulated_use_the_questions_of_the_text_set_and_fit_in_a_small_file(scores: pd.DataFrame) -> None:
    texts = pd.read_parquet(FOLDER / vendor.FILE)
    assert set(scores["source"]) == {"simulated"} and set(scores["model"]) == {vendor.MODEL} and set(scores["answers"]) == {"number"}
    assert set(scores["question"]) == set(texts["question"]) and not set(scores["id"]) & set(texts["id"])
    assert len(scores) == vendor_scores.NIGHTS * vendor.ITEMS and (FOLDER / vendor_scores.FILE).stat().st_size < 80_000
