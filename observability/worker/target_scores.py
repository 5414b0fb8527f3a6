"""Test whether scores reach the goal of a counterfactual. The search and the pages use this test."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from observability.stats.arrays import Bools, Floats


def reaches_goal(goal: Mapping[str, Any], scores: Floats) -> Bools:
    """Whether scores, (n,) or (n, classes), reach a goal.

    `kind` of the goal: `above` (score ≥ low), `below` (score < high), `other` (another class than `place` is the most probable), `outside`
    or `inside` (of low to high, ends included). NaN reaches no goal.
    """
    kind = goal["kind"]
    if kind == "other":
        return np.asarray(scores.argmax(axis=1) != goal["place"], np.bool_)
    with np.errstate(invalid="ignore"):
        if kind == "above":
            return np.asarray(scores >= goal["low"], np.bool_)
        if kind == "below":
            return np.asarray(scores < goal["high"], np.bool_)
        inside = (scores >= goal["low"]) & (scores <= goal["high"])
    return np.asarray(inside if kind == "inside" else ~inside & np.isfinite(scores), np.bool_)
