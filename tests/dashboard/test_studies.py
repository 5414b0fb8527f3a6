"""Whether a search should go on is said in plain words."""

from observability.dashboard.training.studies import further_words, gain_in_words
from observability.detection.study_results import FurtherTrials
from observability.stats.interval import Interval


def test_what_more_trials_bring_and_take_is_one_sentence_with_equal_decimals() -> None:
    found = FurtherTrials(10, Interval(0.004, 0.001, 0.009, 40), 0.02, 3600.0, True, "no more than seeds of one setting differ")
    assert further_words(found, "val_loss") == (
        "10 more trials would take 60 min and improve the best val_loss by at most 0.0040 (0.0010 to 0.0090) on average: "
        "no more than seeds of one setting differ."
    )
    assert gain_in_words(Interval(0.0004104, -0.0007434, 0.001564, 25)) == "0.0004 (−0.0007 to 0.0016)"
    assert gain_in_words(Interval(12.0, -30.0, 54.0, 5)) == "12 (−30 to 54)" and gain_in_words(Interval(0.0, 0.0, 0.0, 5)) == "0 (0 to 0)"
