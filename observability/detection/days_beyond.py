"""Finds the first day of an ongoing excess over a level, from the days that a detector checked."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.core.standing_since import StandingSince
from observability.core.window import EPOCH
from observability.stats.lasting_excess import lasting_excess_starts


def days_beyond(days: Sequence[int] | NDArray[np.int64], excess: ArrayLike, errors: ArrayLike) -> StandingSince | None:
    """Return the day since which a figure has been significantly beyond its level (stats/lasting_excess.py); None if it is not beyond it
    now.

    days: number of each day since 1970, rising. excess: how far the figure of each day is beyond the level, NaN if nothing was measured.
    errors: standard errors of these figures. `earlier` is true only if the result is the first of `days`, which must have been measured.
    """
    return days_beyond_of_series([days], [excess], [errors])[0]


def days_beyond_of_series(
    days: Sequence[Sequence[int] | NDArray[np.int64]], excess: Sequence[ArrayLike], errors: Sequence[ArrayLike]
) -> list[StandingSince | None]:
    """Return the result of `days_beyond` for each of many series; they are computed at once."""
    starts = zip(lasting_excess_starts(excess, errors), days, strict=True)
    return [
        None if first is None else StandingSince((EPOCH + timedelta(days=int(own[first]))).date(), earlier=first == 0)
        for first, own in starts
    ]


def evidence_of_days_beyond(days: Sequence[int] | NDArray[np.int64], excess: ArrayLike, errors: ArrayLike) -> dict[str, Any]:
    """Return the result of `days_beyond` as evidence of a finding; empty if the result is None."""
    since = days_beyond(days, excess, errors)
    return {} if since is None else since.evidence
