"""Estimates the date on which a change began, from a series of daily values."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from observability.core.time import aware_utc
from observability.stats.onset import Known, Onset, change_onsets


@dataclass(frozen=True)
class OnsetEstimate:
    """The estimated onset (start) of a change.

    at: the first changed day. If it is the first day of the series ("open"), the change may be older. If no day is significant ("vague"),
    it is the start of the window. evidence: how the onset is known, for use in a finding.
    """

    at: datetime
    known: Known
    evidence: dict[str, Any]


def estimate_onset(
    days: Sequence[Any] | NDArray[Any],
    values: ArrayLike,
    errors: ArrayLike | None = None,
    *,
    start: datetime,
    before: tuple[float, float] | None = None,
    worse: int = 0,
) -> OnsetEstimate:
    """Estimate the onset date of a change in a series (stats/onset.py), in a window that begins at `start`.

    days: dates of the values, or numbers of days since 1970, rising; the past comes first if there is one. before: level and standard error
    before the first day, if known. worse: 1 if only an increase counts, -1 if only a decrease counts, 0 for both.
    """
    errors_of = None if errors is None else [errors]
    return estimate_onsets([days], [values], errors_of, start=start, before=None if before is None else [before], worse=worse)[0]


def estimate_onsets(
    days: Sequence[Sequence[Any] | NDArray[Any]],
    values: Sequence[ArrayLike],
    errors: Sequence[ArrayLike] | None = None,
    *,
    start: datetime,
    before: Sequence[tuple[float, float] | None] | None = None,
    worse: int = 0,
) -> list[OnsetEstimate]:
    """Estimate the onset date in each of many series, as `estimate_onset` does for one; they are computed at once."""
    return [_dated(found, own, start) for found, own in zip(change_onsets(values, errors, before=before, worse=worse), days, strict=True)]


def _dated(found: Onset | None, days: Sequence[Any] | NDArray[Any], start: datetime) -> OnsetEstimate:
    """Convert the position of an onset in a series with these days to an estimate with a date."""
    if found is None or found.known == "vague":
        return OnsetEstimate(start, "vague", {"onset_known": "vague"})
    first = days[found.at]
    day = aware_utc(np.datetime64(int(first) if isinstance(first, int | np.integer) else first, "D").astype("datetime64[s]").item())
    at = start if day.date() == start.date() else day
    return OnsetEstimate(at, found.known, {"onset_known": found.known, "onset_shape": found.shape})
