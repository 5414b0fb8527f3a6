"""Since when is something as a finding says it is, as far as its counts by day tell?"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from observability.core.time import aware_utc
from observability.stats.onset import Known, onset


@dataclass(frozen=True)
class Since:
    """at: the first changed day; the first day that was looked at where that one was changed already ("open"), the window's start where no day
    stands out ("vague"). evidence: how it is known, for the finding.
    """

    at: datetime
    known: Known
    evidence: dict[str, Any]


def since(
    days: Sequence[Any],
    values: ArrayLike,
    errors: ArrayLike | None = None,
    *,
    start: datetime,
    before: tuple[float, float] | None = None,
    worse: int = 0,
) -> Since:
    """The day from which a series is changed (stats/onset.py), of a window from `start`.

    days: dates of the values, in order, the past first where there is one. before: level and standard error that it had before, where known.
    """
    found = onset(values, errors, before=before, worse=worse)
    if found is None or found.known == "vague":
        return Since(start, "vague", {"onset_known": "vague"})
    day = aware_utc(np.datetime64(days[found.at], "D").astype("datetime64[s]").item())
    at = start if day.date() == start.date() else day
    return Since(at, found.known, {"onset_known": found.known, "onset_shape": found.shape})
