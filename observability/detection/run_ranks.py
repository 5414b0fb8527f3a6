"""The times of the ranks of a training run by step or, for a long run, by block of steps."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from observability.detection.run_claims import MIN_STEPS
from observability.metrics.training_curves import TrainingRun, phase_times
from observability.stats.rank_blocks import BLOCK, MIN_BLOCKS, MIN_RECORDS, blocks_frame, empty_block, rank_blocks, times_from_blocks
from observability.stats.rank_times import RankTimes, ranks_from

if TYPE_CHECKING:
    from pandas import DataFrame


def ranks_of(run: TrainingRun) -> RankTimes | None:
    """Return the times of a run of several ranks, over the steps that all ranks have; None if there are none.

    They are the times of blocks of all steps, if these are known. If there are too few blocks, and the single steps that were read give
    more columns (for example because a rank joined late), they are the times of these steps.
    """
    of_blocks = None if run.blocks is None else times_from_blocks(run.blocks)
    if of_blocks is not None and len(of_blocks.steps) >= MIN_STEPS:
        return of_blocks
    if run.phases is None or len(run.ranks) < 2 or (times := ranks_from(run.phases)) is None:
        return of_blocks
    return replace(times, stride=run.stride) if of_blocks is None or len(times.steps) > len(of_blocks.steps) else of_blocks


def blocks_of_runs(steps: "DataFrame") -> "DataFrame":
    """Return summaries of the blocks of each long run, from step records (run, at, step, rank, phase_ms), in the format of
    `blocks_frame`.
    """
    of_ranks = steps[steps["rank"].notna() & steps["phase_ms"].notna()]
    rows: list[dict[str, Any]] = []
    for run, own in of_ranks.groupby("run"):
        blocks = own["step"].astype("int64") // BLOCK
        if len(own) < MIN_RECORDS or blocks.nunique() < MIN_BLOCKS:
            continue
        for _, part in own.groupby(blocks):
            times = phase_times(part)
            found = [empty_block(int(part["step"].iloc[0]) // BLOCK)] if times is None else rank_blocks(times)
            rows += [{"run": run, **summary} for summary in found]
    return blocks_frame(rows)
