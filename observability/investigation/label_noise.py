"""How often are labels wrong about this time, as far as anything shows? And what speaks more for a wrong label than for an ordinary error of the model?

A model that is right in what it expects is contradicted by true labels as often as it says: of ten labels to which it gives a chance of 10 %, one is that
label. So a label is no sign of a fault by being unlikely; it is one where wrong labels are commoner than labels that the model finds as unlikely.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.time import naive_utc
from observability.investigation import comparison_rows
from observability.investigation.case_parts import Look

if TYPE_CHECKING:
    from pandas import DataFrame

USUAL = 0.05
"""Share of wrong labels that is taken to be usual."""
NEAR_ROWS, FEWEST_SURE, SURE = 400, 40, 0.8
"""Labelled rows, the nearest in time, of which those count to which the model gives a class at least this chance; from so many on."""
BEYOND = 3.0
"""Standard errors by which the contradictions among them exceed those at other times before labels are taken to be wrong more often now."""


def doubt(look: Look, confidence: float) -> float:
    """The probability that a label is wrong rather than rightly unlikely, 0 to 1. confidence: the chance that the model gives it; where rows of which the
    model is at least as sure are contradicted more often than that, as often as they are.
    """
    share = max(USUAL, noise_now(look))
    chance = min(max(confidence, contradicted_at(look, 1 - confidence), 1e-6), 1.0)
    return share * (1 - chance) / (share * (1 - chance) + (1 - share) * chance)


def contradicted_at(look: Look, sure: float) -> float:
    """How often labels contradict the model about this time where it is at least so sure of a class; 0 where no such row is known."""
    known, chances, other = looked_at(look)
    rows_ = known & (chances >= sure)
    return float(other[rows_].mean()) if rows_.sum() >= FEWEST_SURE else 0.0


def looked_at(look: Look) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.bool_]]:
    """Of each labelled row about this time: whether the model's chances are known, the largest of them, and whether its class is not the label."""
    from observability.investigation.label_evidence import probabilities

    frame: DataFrame = comparison_rows.labelled_rows_of(look)
    chances = probabilities(frame, look.row)
    known = np.isfinite(chances).all(axis=1)
    held = np.nan_to_num(chances)
    return known, held.max(axis=1), held.argmax(axis=1) != frame["label"].to_numpy(np.int64)


def noise_now(look: Look) -> float:
    """The share of labels that are wrong in the rows nearest in time, by how much more often they contradict the model there than at other times; 0 within
    chance. Half of it, since a model that became worse is contradicted more often as well.
    """
    frame: DataFrame = comparison_rows.labelled_rows_of(look)
    known, chances, other = looked_at(look)
    sure = known & (chances >= SURE)
    far = np.abs((frame["at"] - naive_utc(look.row.at)).to_numpy().astype("timedelta64[s]").astype(np.int64))
    near = np.zeros(len(frame), bool)
    near[np.argsort(far, kind="stable")[:NEAR_ROWS]] = True
    here, there = near & sure, ~near & sure
    if here.sum() < FEWEST_SURE or there.sum() < FEWEST_SURE:
        return 0.0
    return beyond(other[here], float(other[there].mean())) / 2


def beyond(contradicted: NDArray[np.bool_], usual: float) -> float:
    """The share of flipped labels that makes so many contradictions out of the usual share of them; 0 within chance."""
    n, share = contradicted.size, float(contradicted.mean())
    if share - usual <= BEYOND * np.sqrt(max(usual, 1 / n) * (1 - usual) / n) or usual >= 0.5:
        return 0.0
    return min((share - usual) / (1 - 2 * usual), 0.95)
