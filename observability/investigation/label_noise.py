"""Probability that a label is wrong rather than an ordinary error of the model.

If a model is calibrated, correct labels contradict it as often as it states: of ten labels with probability 10 %, one is right. Therefore
an unlikely label is evidence of a wrong label only if wrong labels are more frequent than correct labels of that probability.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.numerals import percent
from observability.core.time import naive_utc
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress, computed_once
from observability.investigation.sampled_rows import class_probabilities
from observability.stats.arrays import Bools, Floats
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

NEAR_ROWS, MIN_SURE, SURE = 400, 40, 0.8
"""Number of labelled rows nearest in time; minimum number of confident predictions among them; probability from which a prediction is
confident.
"""
BEYOND = 3.0
"""A higher share of wrong labels is assumed only if contradictions exceed those at other times by this many standard errors."""
JUDGED = ("human", "outcome", "correction")
"""Label sources of known origin. A label from another source is judged by the odds that it is wrong and not just unlikely
(`wrong_label_odds`).
"""
EVEN = 0.2
"""Up to this probability of being wrong, a label has no weight as the source of an error. At even odds (0.5) it has the weight of an
ordinary error.
"""


@dataclass(frozen=True)
class WrongLabelOdds:
    """Probability that a label is wrong, and the estimate that it follows from, as part of a sentence."""

    probability: float
    text: str


def wrong_label_odds(case: CaseInProgress, confidence: float) -> WrongLabelOdds | None:
    """The result of `wrong_label_probability`, with words; None if it is unknown."""
    rate, wrong = wrong_label_rate(case), wrong_label_probability(case, confidence)
    if rate is None or wrong is None:
        return None
    text = f"estimated rate of wrong labels: {percent(rate.low, 2)} to {percent(rate.high, 2)}, of {rate.n:,} surely scored rows"
    if not rate.high:
        text = f"labels contradict {rate.n:,} surely scored rows no more often than the scores state, so 0 % are estimated to be wrong"
    now = noise_now(case)
    text += f", and {percent(now, 2)} at this time" if now > rate.value else ""
    chance = "under 0.1 %" if wrong < 0.001 else percent(wrong, 2)
    return WrongLabelOdds(wrong, f"{text}; probability that this label is wrong: {chance}")


def wrong_label_probability(case: CaseInProgress, confidence: float) -> float | None:
    """Probability that a label is wrong rather than correct and unlikely, 0 to 1; None if the rate of wrong labels is unknown. confidence:
    the model's probability of the label. It is raised to the observed contradiction rate of the rows on which the model is at least as
    sure.
    """
    known = wrong_label_rate(case)
    if known is None:
        return None
    share = max(known.value, noise_now(case))
    chance = min(max(confidence, contradicted_at(case, 1 - confidence), 1e-6), 1.0)
    return share * (1 - chance) / (share * (1 - chance) + (1 - share) * chance)


@dataclass(frozen=True)
class WrongLabelRate:
    """Estimated rate of wrong labels: how much more often labels contradict n sure scores than the scores state. value: the middle between
    low and high. The value is not low itself: contradictions show no excess if labels are right, but also if the model learned the wrong
    labels.
    """

    value: float
    low: float
    high: float
    n: int


@computed_once
def wrong_label_rate(case: CaseInProgress) -> WrongLabelRate | None:
    """The rate of wrong labels in the period, from the store; None if too few rows are scored confidently."""
    known, chances, other = contradicted_rows(case)
    sure = known & (chances >= SURE)
    n = int(sure.sum())
    if n < MIN_SURE:
        return None
    stated = float(1 - chances[sure].mean())
    found = rate_interval(int(other[sure].sum()), n)
    low, high = (max((end or 0.0) - stated, 0.0) for end in (found.low, found.high))
    return WrongLabelRate((low + high) / 2, low, high, n)


def contradicted_at(case: CaseInProgress, sure: float) -> float:
    """Share of labels that contradict the model, among rows whose largest probability is at least `sure`; 0 if there are too few
    such rows.
    """
    known, chances, other = contradicted_rows(case)
    rows_ = known & (chances >= sure)
    return float(other[rows_].mean()) if rows_.sum() >= MIN_SURE else 0.0


def contradicted_rows(case: CaseInProgress) -> tuple[Bools, Floats, Bools]:
    """For each labelled row of the period: whether its probabilities are known, the largest of them, and whether the label is another class
    than the most probable one.
    """
    frame: DataFrame = comparison_rows.labelled_rows_of(case)
    chances = class_probabilities(frame, case.row.model)
    known = np.isfinite(chances).all(axis=1)
    held = np.nan_to_num(chances)
    return known, held.max(axis=1), held.argmax(axis=1) != frame["label"].to_numpy(np.int64)


def noise_now(case: CaseInProgress) -> float:
    """Share of wrong labels among the rows nearest in time, from the excess of contradictions over other times; 0 if not significant. Only
    half of the excess counts, because a model that became worse is contradicted more often too.
    """
    frame: DataFrame = comparison_rows.labelled_rows_of(case)
    known, chances, other = contradicted_rows(case)
    sure = known & (chances >= SURE)
    far = np.abs((frame["at"] - naive_utc(case.row.at)).to_numpy().astype("timedelta64[s]").astype(np.int64))
    near = np.zeros(len(frame), bool)
    near[np.argsort(far, kind="stable")[:NEAR_ROWS]] = True
    here, there = near & sure, ~near & sure
    if here.sum() < MIN_SURE or there.sum() < MIN_SURE:
        return 0.0
    return flipped_share_beyond_chance(other[here], float(other[there].mean())) / 2


def flipped_share_beyond_chance(contradicted: Bools, usual: float) -> float:
    """Share of flipped labels that would explain the contradictions beyond their usual share; 0 if the excess is not significant."""
    n, share = contradicted.size, float(contradicted.mean())
    if share - usual <= BEYOND * np.sqrt(max(usual, 1 / n) * (1 - usual) / n) or usual >= 0.5:
        return 0.0
    return min((share - usual) / (1 - 2 * usual), 0.95)
