"""Summarise the times of the ranks of a long run by blocks of steps, so that every step counts and few numbers are read.

A block holds means over the steps that all ranks logged: for each rank its own time in each phase and its wait, and the own time of the
slowest and of the median rank. Waits and the slowest rank are found in each single step, because the mean of maxima is not the maximum of
means.
"""

import json
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.stats.rank_times import RANK, STEP, RankTimes, rank_order, ranks_from

if TYPE_CHECKING:
    from pandas import DataFrame

BLOCK = 16
"""Length of a block, in step numbers."""
MIN_RECORDS, MIN_BLOCKS = 2_500, 40
"""Minimum number of step records, and minimum number of blocks, of a run for which blocks are kept; of shorter runs the steps are read."""
MAX_COLUMNS = 200
"""Maximum number of columns into which the blocks of a run are joined."""
NUMBERS = np.dtype("<f4")


def rank_blocks(frame: "DataFrame") -> Iterator[dict[str, Any]]:
    """Yield the summary of each block of steps.

    A summary has `block`, `first` (its first step), `steps` (those that all ranks of the block logged; 0 if none), `ranks` and
    `phases` (names as a JSON list), `own` (mean ms as bytes, phases × ranks), `wait` (by rank), `longest` and `middle` (own time of the
    slowest and of the median rank, means).

    Parameters
    ----------
    frame : DataFrame
        Columns RANK, STEP and milliseconds by the name of the phase, each pair of rank and step once.

    Returns
    -------
    Iterator[dict[str, Any]]
        Blocks of the same ranks follow one another.
    """
    blocks, of_row = np.unique(frame[STEP].to_numpy("int64") // BLOCK, return_inverse=True)
    codes, labels = frame[RANK].factorize()
    held = np.unique(of_row * len(labels) + codes)
    ranks_of_block = np.split(held % max(len(labels), 1), np.searchsorted(held, np.arange(1, len(blocks)) * len(labels)))
    numbers: dict[bytes, int] = {}
    of_block = np.array([numbers.setdefault(ranks.tobytes(), len(numbers)) for ranks in ranks_of_block[: len(blocks)]], int)
    of_group = of_block[of_row]
    order = np.argsort(of_group, kind="stable")
    bounds = np.searchsorted(of_group[order], np.arange(len(numbers) + 1))
    for number, (begin, end) in enumerate(pairwise(bounds)):
        yield from _blocks_of_ranks(blocks[of_block == number], frame if len(numbers) == 1 else frame.iloc[order[begin:end]])


def _blocks_of_ranks(blocks: np.ndarray, frame: "DataFrame") -> Iterator[dict[str, Any]]:
    """Yield the summaries of blocks that have the same ranks. frame: their rows."""
    times = ranks_from(frame)
    if times is None:
        yield from (empty_block(block) for block in blocks.tolist())
        return
    names = sorted(times.phases)
    of_step = times.steps // BLOCK
    begins = np.flatnonzero(np.append(True, of_step[1:] != of_step[:-1]))
    counts = np.diff([*begins, len(of_step)])
    table = np.stack([*(times.phases[name] for name in names), times.wait])
    means = np.moveaxis(np.add.reduceat(table, begins, axis=2) / counts, 2, 0).astype(NUMBERS)
    longest, middle = (np.add.reduceat(each, begins) / counts for each in (times.longest, times.middle))
    words = {"ranks": json.dumps(times.ranks), "phases": json.dumps(names)}
    whole = of_step[begins].tolist()
    for place, block in enumerate(whole):
        yield {
            "block": block,
            "first": int(times.steps[begins[place]]),
            "steps": int(counts[place]),
            **words,
            "own": means[place, :-1].tobytes(),
            "wait": means[place, -1].tobytes(),
            "longest": float(longest[place]),
            "middle": float(middle[place]),
        }
    yield from (empty_block(block) for block in sorted(set(blocks.tolist()) - set(whole)))


def blocks_frame(rows: Iterable[dict[str, Any]]) -> "DataFrame":
    """Return summaries of blocks with the name of their `run` as a table.

    Parameters
    ----------
    rows : Iterable[dict[str, Any]]
        Summaries as `rank_blocks` gives them, each with `run`.

    Returns
    -------
    DataFrame
    """
    import pandas as pd

    types = {
        "run": "object",
        "ranks": "object",
        "phases": "object",
        "block": "int64",
        "first": "int64",
        "steps": "int64",
        "longest": "float64",
        "middle": "float64",
    }
    names = ("run", "block", "first", "steps", "ranks", "phases", "own", "wait", "longest", "middle")
    return pd.DataFrame(list(rows), columns=list(names)).astype(types)


def empty_block(block: int) -> dict[str, Any]:
    """Return the summary of a block in which no step was logged by all ranks.

    Parameters
    ----------
    block : int
        Number of the block.

    Returns
    -------
    dict[str, Any]
    """
    texts = {"ranks": "[]", "phases": "[]", "own": b"", "wait": b""}
    return {"block": block, "first": block * BLOCK, "steps": 0, **texts, "longest": 0.0, "middle": 0.0}


def times_from_blocks(blocks: "DataFrame") -> RankTimes | None:
    """Return the times of a run from the summaries of its blocks.

    Consecutive blocks are joined, so that there are at most MAX_COLUMNS. Blocks without all ranks of the run are left out.

    Parameters
    ----------
    blocks : DataFrame
        Summaries of the blocks of one run, as `blocks_frame`.

    Returns
    -------
    RankTimes | None
        None if no block has a step of all ranks.
    """
    ranks = tuple(sorted({rank for text in blocks["ranks"].unique() for rank in json.loads(text)}, key=rank_order))
    kept = blocks[(blocks["steps"] > 0) & (blocks["ranks"] == json.dumps(ranks))].sort_values("block")
    if len(ranks) < 2 or kept.empty:
        return None
    names = sorted({name for text in kept["phases"].unique() for name in json.loads(text)})
    steps = kept["steps"].to_numpy("int64")
    own = {name: np.zeros((len(kept), len(ranks))) for name in names}
    for text in kept["phases"].unique():
        places, held = np.flatnonzero(kept["phases"] == text), json.loads(text)
        values = np.frombuffer(b"".join(kept["own"].iloc[places]), NUMBERS).reshape(len(places), len(held), len(ranks))
        for place, name in enumerate(held):
            own[name][places] = values[:, place]
    wait = np.frombuffer(b"".join(kept["wait"]), NUMBERS).reshape(len(kept), len(ranks)).astype(float)
    begins = np.arange(0, len(kept), -(-len(kept) // MAX_COLUMNS))
    counts = np.add.reduceat(steps, begins)

    def joined(table: Any) -> Any:
        """Means over the steps of the joined blocks."""
        weighted = table * (steps[:, None] if table.ndim == 2 else steps)
        return np.add.reduceat(weighted, begins, axis=0).T / counts

    return RankTimes(
        ranks,
        kept["first"].to_numpy("int64")[begins],
        {name: joined(table) for name, table in own.items()},
        joined(wait),
        joined(kept["longest"].to_numpy(float)),
        joined(kept["middle"].to_numpy(float)),
        counts,
    )
