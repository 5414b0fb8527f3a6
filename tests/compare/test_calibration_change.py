"""A difference between the calibration errors of two sides is found; a difference only in the signs of the deviations is not."""

from datetime import timedelta

import numpy as np
import pandas as pd

from observability.compare.calibration_change import calibration_differences
from observability.compare.difference import Difference, with_verdicts
from observability.core.catalog import Column, Model
from observability.core.questions import Question
from observability.core.window import EPOCH, Window
from observability.stats.scores import SCORE_EDGES

MODEL = Model(1, "loan", "binary", ("no", "yes"), (Column(1, "age", "f1", "number"),))
A, B = (Window("loan", EPOCH + timedelta(days=day), EPOCH + timedelta(days=day + 1)) for day in range(2))


def counts(rng: np.random.Generator, n: int, shift: float) -> pd.DataFrame:
    """Counts of outcomes; the event is more frequent than the score states, by the given deviation."""
    score = rng.uniform(0.1, 0.9, n)
    label = (rng.random(n) < score + shift).astype(int)
    rows = pd.DataFrame({"label": label, "score_bin": np.searchsorted(SCORE_EDGES, score, side="right"), "decision": (score >= 0.5) * 1})
    found = rows.groupby(["label", "score_bin", "decision"]).size().rename("n").reset_index()
    return found.assign(w=found["n"].astype(float), w2=found["n"].astype(float))


def compared(seed: int, n: int, a: float, b: float) -> Difference:
    """The difference between two sides with the given deviations, tested as a single comparison."""
    rng = np.random.default_rng(seed)
    frames = {A: counts(rng, n, a), B: counts(rng, n, b)}

    def ask(question: Question, window: Window) -> pd.DataFrame:
        return frames[window]

    return with_verdicts(calibration_differences(ask, MODEL, A, B, None))[0]


def test_equal_calibration_errors_of_opposite_sign_do_not_differ() -> None:
    verdicts = [compared(seed, 1000, 0.05, -0.05).verdict for seed in range(60)]
    assert verdicts.count("differs") <= 6, "at a level of 5 %, 3 are expected"


def test_a_larger_calibration_error_is_found() -> None:
    verdicts = [compared(seed, 4000, 0.06, 0.0) for seed in range(20)]
    assert sum(each.verdict == "differs" and (each.change.value or 0) > 0 for each in verdicts) >= 18
