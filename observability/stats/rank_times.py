"""Times of the ranks of a distributed run by phase and step, with the wait for the slowest rank taken out of communication."""

import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from pandas import DataFrame

Array = np.ndarray[Any, np.dtype[Any]]
COMMUNICATION = frozenset(("communication", "comm", "allreduce", "all_reduce", "sync"))
WAITING = "sync"
"""The phase that holds the wait if a job logs the wait separately from its communication."""
RANK, STEP, AT = range(3)
"""Columns of tables of phases. They are numbers, because a phase may have any name."""
LONGEST_MS = 1e15
"""Longest time in ms that is accepted (30,000 years), so that sums over all ranks and steps are finite."""


def rank_order(rank: str) -> tuple[float, str]:
    """Sort key of ranks: by number; ranks without a number come last.

    Parameters
    ----------
    rank : str
        Rank.

    Returns
    -------
    tuple[float, str]
    """
    return (float(rank), rank) if re.fullmatch(r"\d{1,9}", rank) else (math.inf, rank)


@dataclass(frozen=True)
class RankTimes:
    """Times by rank and step, over common steps. ranks, steps: labels of rows and columns. phases: name to ms (ranks × steps).

    Communication excludes the wait for the slowest rank. wait: this wait, in ms. own: time of a rank in all phases, without the wait.
    longest, middle: own time of the slowest and of the median rank. counts: number of steps in each column; it is 1 unless the column is
    the mean of a block of steps that begins with its label (rank_blocks.py). stride: n if only every n-th step was read.
    """

    ranks: tuple[str, ...]
    steps: Array
    phases: dict[str, Array]
    wait: Array
    longest: Array
    middle: Array
    counts: Array
    stride: int = 1

    @property
    def own(self) -> Array:
        """Own work of each rank and step, ms."""
        return np.asarray(sum(self.phases.values()))

    @property
    def total(self) -> int:
        """Number of steps in all columns."""
        return int(self.counts.sum())

    @property
    def slowest_over_median(self) -> Array:
        """Own time of the slowest rank divided by that of the median rank, for each column."""
        return np.asarray(self.longest / np.maximum(self.middle, 1e-9))

    @property
    def lost_ms(self) -> Array:
        """(slowest − median) × ranks of a step, by column: rank-milliseconds that a step at the median rank's speed would save."""
        return np.asarray((self.longest - self.middle) * len(self.ranks))

    @property
    def lost_total_ms(self) -> float:
        """Rank-milliseconds that all steps at the median rank's speed would save."""
        return float((self.lost_ms * self.counts).sum())

    @property
    def spent_ms(self) -> float:
        """Rank-milliseconds of all steps; a step takes as long as its slowest rank."""
        return float((self.longest * self.counts).sum() * len(self.ranks))

    @property
    def lost_share(self) -> float:
        """The time that steps at the median rank's speed would save, as a share of all ranks' step time."""
        return self.lost_total_ms / self.spent_ms if self.spent_ms > 0 else 0.0

    def last(self, n: int) -> "RankTimes":
        """Return the times of the last n columns."""
        return replace(
            self,
            steps=self.steps[-n:],
            phases={name: table[:, -n:] for name, table in self.phases.items()},
            wait=self.wait[:, -n:],
            longest=self.longest[-n:],
            middle=self.middle[-n:],
            counts=self.counts[-n:],
        )


def ranks_from(frame: "DataFrame") -> RankTimes | None:
    """Return the times of ranks over common steps. A missing phase counts as 0 ms. Steps with a time above LONGEST_MS are left out.

    If the wait is logged separately (WAITING beside another phase of communication), it is the wait for the rank that is slowest in all
    other phases, communication included. Otherwise the wait is part of communication, and it is the wait for the rank that is slowest in
    the other phases.

    Parameters
    ----------
    frame : DataFrame
        Columns RANK, STEP and milliseconds by the name of the phase, each pair of rank and step once.

    Returns
    -------
    RankTimes | None
        None with fewer than two ranks or without a common step.
    """
    names = [name for name in frame.columns if isinstance(name, str)]
    of_rank, labels = frame[RANK].factorize()
    known, of_step, logged = np.unique(frame[STEP].to_numpy("int64"), return_inverse=True, return_counts=True)
    whole = logged == len(labels)
    whole[of_step[(frame[names].to_numpy(float) > LONGEST_MS).any(axis=1)]] = False
    steps = known[whole]
    if len(labels) < 2 or not len(steps):
        return None
    ranks = tuple(sorted(labels, key=rank_order))
    rows = np.array([ranks.index(label) for label in labels])[of_rank]
    kept, columns = whole[of_step], np.cumsum(whole) - 1
    tables = {name: np.zeros((len(ranks), len(steps))) for name in names}
    for name, table in tables.items():
        table[rows[kept], columns[of_step[kept]]] = np.nan_to_num(frame[name].to_numpy(float)[kept])
    communicating = [name for name in names if name.lower() in COMMUNICATION]
    apart = [name for name in communicating if name.lower() == WAITING]
    holding = apart if 0 < len(apart) < len(communicating) else communicating
    work = np.asarray(sum([table for name, table in tables.items() if name not in holding], np.zeros((len(ranks), len(steps)))))
    gap = work.max(axis=0) - work
    wait = np.zeros_like(work)
    for name in holding:
        waited = np.minimum(tables[name], gap - wait)
        tables[name], wait = tables[name] - waited, wait + waited
    own = np.asarray(sum(tables.values()))
    return RankTimes(ranks, steps, tables, wait, own.max(axis=0), np.median(own, axis=0), np.ones(len(steps), int))
