"""Whether a search should go on is said in plain words."""

from observability.dashboard.training.studies import further_words
from observability.detection.study_results import FurtherTrials
from observability.stats.interval import Interval


def test_what_more_trials_bring_and_take_is_said_in_three_sentences() -> None:
    found = FurtherTrials(10, Interval(0.004, 0.001, 0.009, 40), 0.02, 3600.0, True, "no more than seeds of one setting differ")
    assert further_words(found, "val_loss") == (
        "10 more trials would take 60 min. On average they would improve the best val_loss by at most 0.004 "
        "(95 % interval 0.001 to 0.009). That is no more than seeds of one setting differ."
    )
