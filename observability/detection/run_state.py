"""Detects training runs that failed or were lost."""

from datetime import datetime

import numpy as np

from observability.detection.run_claims import RunClaim, counted_things, duration_words
from observability.metrics.training_curves import TrainingRun

INTERVALS = 10.0
"""A run counts as silent after this many usual step intervals. The silence must also last at least three times the run's longest interval,
and MIN_SILENCE_S.
"""
LONGEST_GAPS = 3.0
MIN_SILENCE_S = 300.0
MIN_INTERVALS = 5
HOUR_S = 3600.0


def claim_about_state(run: TrainingRun, now: datetime) -> RunClaim | None:
    """Return the claim that a run failed, or was lost (killed without an end record), as of `now`; None if it ended well or still
    reports.
    """
    if run.failed:
        because = f"Run `{run.name}` ended as {run.status} after {counted_things(run.steps, 'step')} and {duration_words(run.seconds)}."
        return RunClaim(
            "failed_runs",
            max(run.steps, 1),
            "act",
            because,
            value=1,
            low=1,
            high=1,
            limit=0.0,
            onset=run.ended,
            source="system",
            rank=9.5,
            evidence={"status": run.status, "steps": run.steps, "seconds": run.seconds},
        )
    if run.ended is not None:
        return None
    silence = (now - run.last).total_seconds()
    gaps = np.diff(np.unique(run.step_times)).astype(float) / 1e6
    gaps = gaps[gaps > 0]
    if not run.is_read and silence >= HOUR_S:
        because = (
            f"The state of run `{run.name}` is unknown: it has no end, and nothing came for {duration_words(silence)}. Its steps were not "
            "read, since newer runs have too many."
        )
        return RunClaim("run_silence", run.steps, "unknown", because, evidence={"silence_s": silence})
    if len(gaps) < MIN_INTERVALS:
        if silence < HOUR_S:
            return None
        because = (
            f"The state of run `{run.name}` is unknown: it has no end, {counted_things(run.steps, 'step')}, and nothing came for"
            f" {duration_words(silence)}; about {MIN_INTERVALS + 1 - run.steps if run.steps <= MIN_INTERVALS else 1} more "
            "steps would show its usual interval."
        )
        return RunClaim("run_silence", run.steps, "unknown", because, evidence={"silence_s": silence})
    usual = float(np.median(gaps)) / run.stride
    longest = float(gaps.max()) - (run.stride - 1) * usual
    limit = max(INTERVALS * usual, LONGEST_GAPS * longest, MIN_SILENCE_S)
    if silence <= limit:
        return None
    because = (
        f"Run `{run.name}` is lost: it has no end, and nothing came for {duration_words(silence)} after step {last_step(run):,}, where "
        f"steps usually come every {duration_words(usual)}. Its {counted_things(run.steps, 'step')} are kept."
    )
    return RunClaim(
        "run_silence",
        len(gaps),
        "act",
        because,
        value=silence,
        low=silence,
        high=silence,
        limit=limit,
        onset=run.last,
        source="system",
        rank=9.0,
        evidence={"usual_interval_s": usual, "longest_interval_s": longest},
    )


def last_step(run: TrainingRun) -> int:
    """Return the largest step number that was logged."""
    tops = [int(each.steps[-1]) for each in run.curves.values() if len(each.steps)]
    return max(tops, default=run.steps)
