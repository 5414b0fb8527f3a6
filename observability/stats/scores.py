"""Fixed bins of classifier scores.

Probabilities are binned on edges that never change, so that counts of any two models, versions and windows can be compared and added. The
edges are steps of 1/200 over [0, 1], where thresholds lie, and steps of 0.1 in the log odds from -14 to 14. The log odds are needed because
scores of rare events crowd near 0, and scores of nearly certain events near 1. Bins are closed on the left (stats/edges.py): bin 0 is below
0 and the last bin above 1, both empty for a probability; a score of exactly 1 has a bin of its own. "score >= threshold" is exact for
thresholds in steps of 1/200.

ROC AUC from these counts is within 0.001 of the exact one if the scores spread over 0.15 or more of the range, or crowd near 0 or 1 but not
nearer than a millionth. Scores that all lie inside a few hundredths in the middle, or mostly below 1e-6, share a few bins: the AUC is then
that of scores rounded to the bins.
"""

import numpy as np

from observability.stats.arrays import Floats
from observability.stats.edges import next_float


def _logistic(log_odds: Floats) -> Floats:
    """1 / (1 + exp(-log_odds))."""
    return np.asarray(1 / (1 + np.exp(-log_odds)), np.float64)


def _score_edges() -> Floats:
    """Steps of 1/200, steps of 0.1 in the log odds, and the next float after 1."""
    return np.unique(np.concatenate([np.arange(201) / 200, _logistic(np.arange(-140, 141) / 10), [next_float(1.0)]]))


def _coarse_edges() -> Floats:
    """The 19 score edges that separate 20 groups: steps of a tenth in the middle, finer towards 0 and 1."""
    ends = _logistic(np.array([-70, -55, -45, -35, 35, 45, 55, 70]) / 10)
    return np.sort(np.concatenate([ends, np.array([10, 20, 40, 60, 80, 100, 120, 140, 160, 180, 190]) / 200]))


SCORE_EDGES = _score_edges()
"""The fixed edges of probabilities, 482 of them: bins 0 to 482."""
COARSE_EDGES = _coarse_edges()
"""Edges of the 20 groups in which slices and pairs of groups are stored; each edge is one of SCORE_EDGES. ROC AUC from these groups is too
low by about 0.01 for scores that spread over the range, and by far more where nearly all scores lie in one or two groups.
"""
COARSE_GROUP = np.concatenate([[0], np.searchsorted(COARSE_EDGES, SCORE_EDGES, side="right")]).astype(np.int64)
"""Group (0 to 19) of each bin of SCORE_EDGES."""


def bin_middles(edges: Floats = SCORE_EDGES) -> Floats:
    """Middle of each of the len(edges) + 1 bins, clipped to [0, 1]: the score where only its bin is known.

    Parameters
    ----------
    edges : Floats
        Increasing edges in [0, 1].

    Returns
    -------
    Floats
    """
    bounds = np.concatenate([[0.0], edges, [1.0]])
    return np.asarray(np.clip((bounds[:-1] + bounds[1:]) / 2, 0.0, 1.0), np.float64)


SCORE_MIDDLES = bin_middles()
"""Score of each bin of SCORE_EDGES."""
for constant in (SCORE_EDGES, COARSE_EDGES, COARSE_GROUP, SCORE_MIDDLES):
    constant.setflags(write=False)
