"""Checks whether a batch of predictions is complete, in time, without duplicates, and like the batches before it.

Each check returns a value, the usual value or the limit, and a level: ok (release), watch (review) or act (hold). The decision itself is
made elsewhere.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from observability.core.finding import Severity
from observability.stats.distance import psi, psi_by_row, psi_null_quantile

if TYPE_CHECKING:
    from pandas import DataFrame

MISSING, DUPLICATES, LATE, DEFAULTS, DRIFT = (
    "missing_key_rate",
    "duplicate_key_rate",
    "batch_late_hours",
    "batch_default_rate",
    "batch_score_drift",
)
LIMITS: dict[str, tuple[float, float]] = {
    MISSING: (0.0, 0.01),
    DUPLICATES: (0.0, 0.01),
    LATE: (0.0, 1.0),
    DEFAULTS: (0.02, 0.10),
    DRIFT: (0.1, 0.25),
}
"""For each check, the values above which a batch is reviewed and held. The limits for default scores apply to the increase of their share.
For drift, the usual drift between batches counts as well.
"""
MIN_BATCHES, MIN_ROWS, MAX_BINS = 5, 100, 20
"""Minimum number of earlier batches and of rows for a comparison of scores; maximum number of bins of scores."""
BEYOND_USUAL = (1.5, 2.0)
"""For drift, a batch is reviewed or held only if its distance is more than this multiple of the largest distance of an earlier batch."""
MIN_REPEATS, COMMON = 5, 0.9
"""A score counts as a default only if at least this many more rows have it than expected. Expected is the larger of two shares: the earlier
share of this score, and the share of the most frequent score that nine in ten earlier batches do not exceed (because equal rows have equal
scores).
"""
Kind = Literal["keys", "rows"]


@dataclass(frozen=True)
class ExpectedBatch:
    """What is expected of a batch. keys: None if only their number is known; rows: None if the number is not known either; due: naive UTC
    or None.
    """

    batch: str
    keys: frozenset[str] | None = None
    rows: int | None = None
    due: datetime | None = None


@dataclass(frozen=True, eq=False)
class EarlierScores:
    """The finite scores of earlier batches. batches: for each score, the number of its batch; parts: for each slice, a mask of the scores
    in it; places: for each row, how many scores come before it.
    """

    scores: "np.ndarray[Any, np.dtype[np.float64]]"
    batches: "np.ndarray[Any, np.dtype[np.intp]]"
    parts: Mapping[str, "np.ndarray[Any, np.dtype[np.bool_]]"]
    places: "np.ndarray[Any, np.dtype[np.intp]]"

    def between(self, first: int, end: int) -> "EarlierScores":
        """The scores of the rows from `first` up to but not including `end`, without a copy."""
        start, stop = int(self.places[first]), int(self.places[end])
        parts = {part: belongs[start:stop] for part, belongs in self.parts.items()}
        return EarlierScores(self.scores[start:stop], self.batches[start:stop], parts, self.places[first : end + 1] - start)


@dataclass(frozen=True)
class GateCheck:
    """The result of one check of a batch. limit: the value above which the level begins; n: number of rows or keys behind the value; slice:
    `a=x`, or None for all rows.
    """

    metric: str
    value: float
    n: int
    level: Severity
    limit: float
    sentence: str
    slice: str | None = None
    usual: float | None = None


def gate_checks(
    expected: ExpectedBatch,
    rows: "DataFrame",
    n: int,
    earlier: EarlierScores,
    now: datetime,
    holds: Mapping[str, float],
    slices: Sequence[str] = (),
) -> list[GateCheck]:
    """The results of all checks that can be made for a batch.

    rows: the rows of the batch, or a sample of its n rows: key (text), arrived, score, and a Boolean column for each of `slices`. earlier:
    scores of earlier batches. now: naive UTC. holds: the owner's limits above which a batch is held, by metric.
    """
    complete = _completeness(expected, rows, n, now, holds)
    found = [*complete, *_lateness(expected, rows, now, holds, whole=not any(each.value for each in complete))]
    if len(rows):
        found += [
            _duplicates(expected, rows, n, holds),
            *_default_scores(expected, rows, earlier, holds),
            *_drift(expected, rows, earlier, holds, slices),
        ]
    return found


def scores_of_batches(rows: "DataFrame", slices: Sequence[str] = ()) -> EarlierScores:
    """The finite scores of batches. rows: `batch`, `score`, and a Boolean column for each of `slices`."""
    scores = rows["score"].to_numpy(float)
    finite = np.isfinite(scores)
    numbers, _ = rows["batch"].factorize()
    places = np.append(0, np.cumsum(finite))
    return EarlierScores(scores[finite], numbers[finite], {part: rows[part].to_numpy(bool)[finite] for part in slices}, places)


def level_of(metric: str, value: float, holds: Mapping[str, float]) -> tuple[Severity, float]:
    """The level of a value, and the limit above which that level begins. For a batch that passes, the limit above which it would be
    reviewed.
    """
    look, hold = LIMITS[metric][0], holds.get(metric, LIMITS[metric][1])
    if value > hold:
        return "act", hold
    return ("watch" if value > min(look, hold) else "ok"), min(look, hold)


def _completeness(expected: ExpectedBatch, rows: "DataFrame", n: int, now: datetime, holds: Mapping[str, float]) -> list[GateCheck]:
    """The check for expected keys or rows that were not delivered. It is not made before the batch is due, because the rows may still
    arrive.
    """
    name, waiting = expected.batch, expected.due is not None and now < expected.due
    if waiting or (expected.keys is None and expected.rows is None):
        return []
    if expected.keys is not None:
        if n > len(rows):
            return []
        delivered = set(rows["key"])
        missing, others, total, noun = sorted(expected.keys - delivered), len(delivered - expected.keys), len(expected.keys), "keys"
        lost = len(missing)
        more = f" Missing are {', '.join(missing[:5])}{f' and {lost - 5:,} more' if lost > 5 else ''}." if missing else ""
        more += f" {others:,} delivered keys were not expected." if others else ""
    else:
        assert expected.rows is not None
        total, noun, more = expected.rows, "rows", f" {n - expected.rows:,} more were delivered." if n > expected.rows else ""
        lost = max(total - n, 0)
    if not total:
        return []
    level, limit = level_of(MISSING, lost / total, holds)
    sentence = (
        f"Batch `{name}` lacks {lost:,} of {total:,} expected {noun}.{more}"
        if n
        else f"Nothing of batch `{name}` has arrived; {total:,} {noun} were expected."
    )
    return [GateCheck(MISSING, lost / total, total, level, limit, sentence)]


def _lateness(expected: ExpectedBatch, rows: "DataFrame", now: datetime, holds: Mapping[str, float], *, whole: bool) -> list[GateCheck]:
    """The check for lateness: the hours from the due time of the batch to its last row, or to now if nothing arrived; empty before the due
    time.

    whole: whether, as far as is known, nothing is missing.
    """
    if expected.due is None or now < expected.due:
        return []
    last = rows["arrived"].max().to_pydatetime() if len(rows) else now
    hours = max((last - expected.due).total_seconds() / 3600, 0.0)
    level, limit = level_of(LATE, hours, holds)
    when = f"{expected.due:%Y-%m-%d %H:%M} UTC"
    came = "was complete in time" if whole else "is incomplete; what came, came in time"
    sentence = f"Batch `{expected.batch}` {came} (due {when})."
    if hours:
        sentence = f"The last row of batch `{expected.batch}` came {hours:.1f} hours after it was due ({when})."
    if rows.empty:
        sentence = f"Batch `{expected.batch}` has been due for {hours:.1f} hours (since {when})."
    return [GateCheck(LATE, hours, len(rows), level, limit, sentence)]


def _duplicates(expected: ExpectedBatch, rows: "DataFrame", n: int, holds: Mapping[str, float]) -> GateCheck:
    """The check for rows that repeat a key of an earlier row in the batch."""
    repeated = rows["key"].duplicated()
    share = float(repeated.mean())
    level, limit = level_of(DUPLICATES, share, holds)
    names = sorted(set(rows.loc[repeated, "key"]))[:3]
    of = f"{len(rows):,} rows" if n == len(rows) else f"a sample of {len(rows):,} of {n:,} rows"
    named = f" (as {', '.join(names)})" if names else ""
    sentence = f"{int(repeated.sum()):,} of {of} of batch `{expected.batch}` repeat a key{named}."
    return GateCheck(DUPLICATES, share, len(rows), level, limit, sentence)


def _scores(rows: "DataFrame", part: str | None = None) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """The finite scores of a slice, or of all rows."""
    values = rows["score"].to_numpy(float)
    values = values if part is None else values[rows[part].to_numpy(bool)]
    return values[np.isfinite(values)]


def _default_scores(expected: ExpectedBatch, rows: "DataFrame", earlier: EarlierScores, holds: Mapping[str, float]) -> list[GateCheck]:
    """The check for default scores: the share of the most frequent score, compared with the share of this score in earlier batches."""
    scores, before = _scores(rows), earlier.scores
    if scores.size < MIN_ROWS or before.size < MIN_ROWS:
        return []
    values, counts = np.unique(scores, return_counts=True)
    value, most = float(values[counts.argmax()]), int(counts.max())
    share, usual = most / scores.size, float((before == value).mean())
    common = max(usual, _common_repeats(earlier))
    level, limit = level_of(DEFAULTS, share - common, holds)
    if most - common * scores.size < MIN_REPEATS:
        level, limit = "ok", max(limit, MIN_REPEATS / scores.size)
    sentence = (
        f"{share:.1%} of the rows of batch `{expected.batch}` have the score {value:.6g}; {usual:.1%} had it in earlier batches.".replace(
            "%", " %"
        )
    )
    return [GateCheck(DEFAULTS, share, scores.size, level, min(common + limit, 1.0), sentence, usual=usual)]


def _common_repeats(earlier: EarlierScores) -> float:
    """The 90th percentile of the share of the most frequent score, over earlier batches; 0 if no batch has enough rows."""
    sizes = np.bincount(earlier.batches)
    ordered = np.lexsort((earlier.scores, earlier.batches))
    codes, scores = earlier.batches[ordered], earlier.scores[ordered]
    begins = np.flatnonzero(np.append(True, (np.diff(codes) != 0) | (np.diff(scores) != 0))[: len(codes)])
    repeats = np.zeros(len(sizes))
    np.maximum.at(repeats, codes[begins], np.diff(np.append(begins, len(codes))))
    enough = sizes >= MIN_ROWS
    return float(np.quantile(repeats[enough] / sizes[enough], COMMON)) if enough.any() else 0.0


def _drift(
    expected: ExpectedBatch, rows: "DataFrame", earlier: EarlierScores, holds: Mapping[str, float], slices: Sequence[str]
) -> list[GateCheck]:
    """The check for drift: the population stability index of the scores against earlier batches, for all rows and for the slice with the
    largest drift.
    """
    found = [check for part in (None, *slices) if (check := _slice_drift(expected, rows, earlier, holds, part)) is not None]
    order = {"act": 0, "watch": 1}
    moved = sorted((check for check in found if check.slice is not None), key=lambda check: (order.get(check.level, 2), -check.value))
    return [check for check in found if check.slice is None] + moved[:1]


def _slice_drift(
    expected: ExpectedBatch, rows: "DataFrame", earlier: EarlierScores, holds: Mapping[str, float], part: str | None
) -> GateCheck | None:
    """The drift check of one slice (or of all rows); None if there are too few rows or earlier batches."""
    now = _scores(rows, part)
    pooled, code = earlier.scores, earlier.batches
    if part is not None:
        pooled, code = pooled[earlier.parts[part]], code[earlier.parts[part]]
    sizes = np.bincount(code)
    before = int((sizes >= MIN_ROWS).sum())
    if now.size < MIN_ROWS or before < MIN_BATCHES:
        return None
    enough = sizes[code] >= MIN_ROWS
    pooled, code = pooled[enough], code[enough]
    edges = np.unique(np.quantile(pooled, np.linspace(0, 1, MAX_BINS + 1)[1:-1]))
    bins = len(edges) + 1
    counts = np.bincount(code * bins + _bins(pooled, edges), minlength=len(sizes) * bins).reshape(-1, bins)[sizes >= MIN_ROWS]
    total = counts.sum(axis=0)
    value = psi(total, np.bincount(_bins(now, edges), minlength=bins))
    usual = float(psi_by_row(total - counts, counts).max())
    chance = psi_null_quantile(pooled.size, now.size, bins, 0.999)
    level, limit = level_of(DRIFT, value, holds)
    look, hold = (times * usual for times in BEYOND_USUAL)
    if value <= max(look, chance):
        level = "ok"
    elif level == "act" and value <= hold:
        level = "watch"
    where = "" if part is None else f" where {part}"
    sentence = (
        f"The scores of batch `{expected.batch}`{where} differ from those of {before} earlier batches by a PSI of {value:.2g}; "
        f"the most unusual of those has {usual:.2g}."
    )
    return GateCheck(DRIFT, value, int(now.size), level, max(limit, look, chance) if level == "ok" else limit, sentence, part, usual)


def _bins(
    values: "np.ndarray[Any, np.dtype[np.float64]]", edges: "np.ndarray[Any, np.dtype[np.float64]]"
) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """For each value, the index of its bin between the edges."""
    return np.searchsorted(edges, values, side="right")
