"""Is a label doubted only as far as wrong labels are commoner than labels that the model finds as unlikely? Numbers by hand."""

import numpy as np
import pytest

from observability.investigation import comparison_rows, label_noise
from observability.investigation.case import open_case
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
    unlikely = max(0.01, against.mean()) if sure.sum() >= label_noise.FEWEST_SURE else 0.01
    share = max(label_noise.USUAL, label_noise.noise_now(case))
    odds = share / (1 - share) * (1 - unlikely) / unlikely
    assert label_noise.wrong_label_probability(case, 0.01) == pytest.approx(odds / (1 + odds))
    assert label_noise.wrong_label_probability(case, 0.5) == pytest.approx(
        share
    )  # either class is as likely: nothing but how often labels are wrong
    assert (
        label_noise.wrong_label_probability(case, 0.01)
        >= label_noise.wrong_label_probability(case, 0.2)
        >= label_noise.wrong_label_probability(case, 0.5)
    )
