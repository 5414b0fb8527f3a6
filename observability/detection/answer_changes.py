"""Find whether the answers of a round differ from a baseline or from the round before, and since when.

The baseline consists of at most BASELINE early rounds with similar answers: the first MIN_ROUNDS rounds, and each later round that differs
from the earlier baseline rounds no more than these differ from each other. A round that differs significantly never becomes part of the
baseline, so a change stays visible until a person accepts it. The same is true of a round with more refusals, format failures or failed
questions. To know how many answers usually differ, each of the first MIN_ROUNDS rounds is compared with the other first rounds, and each
later baseline round with the baseline before it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Protocol

import numpy as np

from observability.detection.probe_rounds import ProbeRounds
from observability.stats.arrays import Bools, Floats, Integers
from observability.stats.dispersion import MAD_TO_SD
from observability.stats.rate_change import count_dispersion, higher_rate_test

BASELINE, MIN_ROUNDS = 28, 5
"""Maximum and minimum number of rounds in a baseline."""
LEFT_OUT = 0.001
"""A round with a p-value of at most this does not become part of a baseline."""
CHANGED = 0.01
"""Rounds directly before a changed round belong to the same change if their p-value is at most this."""
ALIKE = 0.5
"""A free text counts as different if its similarity to the typical answer is less than this fraction of the usual similarity."""
SPREADS, EQUAL = 4.0, 1e-9
"""Two numbers differ if they are more than this many standard deviations apart; they are equal if their relative difference is below the
second number.
"""


@dataclass(frozen=True, eq=False)
class RoundCounts:
    """For each round, the number of hits among n questions. usual_hits, usual_n: these numbers for the rounds of the baseline."""

    hits: Integers
    n: Integers
    usual_hits: Integers
    usual_n: Integers

    @property
    def total(self) -> int:
        """Number of questions in the rounds of the baseline."""
        return int(self.usual_n.sum())

    @property
    def usual(self) -> float:
        """Share of hits in the rounds of the baseline; NaN if nothing was counted."""
        return float(self.usual_hits.sum() / self.total) if self.total else np.nan

    @cached_property
    def _spread(self) -> tuple[float, int]:
        return count_dispersion([(self.usual_hits, self.usual_n)])

    def p_value(self, place: int) -> float:
        """P-value of the hits of a round: the chance of at least this number of hits at the usual share."""
        return higher_rate_test(int(self.hits[place]), int(self.n[place]), int(self.usual_hits.sum()), self.total, self._spread)

    def onset(self, until: int, baseline: Sequence[int]) -> int:
        """The first round of the change to which the round `until` belongs. A change consists of `until` and of the consecutive rounds
        before it that also differ.
        """
        first = until
        while first > 0 and first - 1 not in baseline and self.p_value(first - 1) <= CHANGED:
            first -= 1
        return first


def first_round_beyond(figures: Floats, last: int, limit: float, *, above: bool) -> int:
    """The first round of the unbroken run up to `last` in which all known figures are beyond a limit, on the same side as that of
    `last`.
    """
    first = last
    for place in range(last - 1, -1, -1):
        if np.isnan(figure := figures[place]):
            continue
        if (figure < limit) if above else (figure > limit):
            break
        first = place
    return first


@dataclass(frozen=True, eq=False)
class AnswerChanges:
    """The comparison of each round with a baseline.

    baseline: the rounds of the baseline. differs: rounds × items, whether the answer differs from the typical answer of the baseline.
    typical: for each item, the baseline round that gave the typical answer; -1 if there is none. against_baseline, against_last: the counts
    of differing answers. similarity: similarity of free text to the typical answer, rounds × items; encoder: the encoder that measured it,
    None for hashed n-grams. gaps: for numbers, the answer minus the typical answer, rounds × items; tolerances: for each item, the gap
    above which a number counts as different.
    """

    baseline: tuple[int, ...]
    differs: Bools
    typical: Integers
    against_baseline: RoundCounts
    against_last: RoundCounts
    similarity: Floats | None = None
    encoder: str | None = None
    gaps: Floats | None = None
    tolerances: Floats | None = None


def usable_rounds(rounds: ProbeRounds, last: int, accepted: datetime | None = None) -> list[int]:
    """The rounds before `last` that may belong to its baseline: most of their questions were answered, they are not earlier than
    `accepted`, and they are comparable with `last`.
    """
    alike = rounds.comparable(last) if rounds.free_text else np.ones(len(rounds.times), bool)
    return [
        place
        for place, at in enumerate(rounds.times[:last])
        if alike[place] and (accepted is None or at >= accepted) and 2 * rounds.answered[place].sum() >= len(rounds.items)
    ]


def answer_changes(rounds: ProbeRounds, last: int, accepted: datetime | None = None) -> AnswerChanges | None:
    """Compare every round with the baseline. Returns None if fewer than MIN_ROUNDS usable rounds come before `last`, the round that is
    judged.

    accepted: the time from which a person accepted the answers; earlier rounds do not belong to the baseline.
    """
    usable = usable_rounds(rounds, last, accepted)
    if len(usable) < MIN_ROUNDS:
        return None
    compare: _Comparison = _ClassComparison(rounds)
    if rounds.free_text:
        compare = _TextComparison(rounds, last)
    elif rounds.values is not None:
        compare = _NumberComparison(rounds.values, rounds.tolerance)
    baseline = usable[:MIN_ROUNDS]
    counts = [_counted(compare.against([other for other in baseline if other != place])[place]) for place in baseline]
    rates = [_all_counted(values) for values in (rounds.refused, rounds.ill_formed, rounds.failed_share)]
    for place in usable[MIN_ROUNDS:]:
        if len(baseline) == BASELINE:
            break
        own = _counted(compare.against(baseline, place)[0])
        others = [(hits[place], n[place], hits[baseline], n[baseline]) for hits, n in rates]
        if all(_p_value(*each) > LEFT_OUT for each in ((*own, *np.array(counts).T), *others)):
            baseline.append(place)
            counts.append(own)
    found = compare.against(baseline)
    usual = np.array(counts, np.int64)
    steps = np.array([place for place in baseline if place - 1 in baseline], np.int64)
    of_steps = _all_counted(compare.steps())
    return AnswerChanges(
        tuple(baseline),
        found > 0,
        compare.typical(baseline),
        RoundCounts(*_all_counted(found), usual[:, 0], usual[:, 1]),
        RoundCounts(*of_steps, of_steps[0][steps], of_steps[1][steps]),
        compare.similarity(baseline),
        rounds.encoders[last] if rounds.free_text else None,
        compare.gaps(baseline) if isinstance(compare, _NumberComparison) else None,
        compare.tolerances(baseline) if isinstance(compare, _NumberComparison) else None,
    )


def rate_changes(values: Floats, baseline: Sequence[int]) -> RoundCounts:
    """The counts of a share (values 1, 0, or NaN if unknown) in each round, and in the rounds of the baseline."""
    hits, n = _all_counted(values)
    places = np.asarray(baseline)
    return RoundCounts(hits, n, hits[places], n[places])


def _counted(line: Floats) -> tuple[int, int]:
    """The number of hits, and the number of known values."""
    return int(np.nansum(line)), int(np.isfinite(line).sum())


def _all_counted(values: Floats) -> tuple[Integers, Integers]:
    """For each round, the number of hits and the number of known values."""
    return np.nansum(values, axis=1).astype(np.int64), np.isfinite(values).sum(axis=1).astype(np.int64)


def _p_value(hits: int, n: int, usual_hits: Integers, usual_n: Integers) -> float:
    """P-value of a number of hits among n, against the usual counts."""
    return higher_rate_test(int(hits), int(n), int(usual_hits.sum()), int(usual_n.sum()), count_dispersion([(usual_hits, usual_n)]))


class _Comparison(Protocol):
    """A way to compare the answers of a set of questions."""

    def typical(self, baseline: Sequence[int]) -> Integers:
        """For each item, the baseline round with the typical answer; -1 if there is none."""
        ...

    def against(self, baseline: Sequence[int], place: int | None = None) -> Floats:
        """For each item of each round (or of one round): 1 if the answer differs from the typical answer, 0 if not, NaN if either is
        missing.
        """
        ...

    def steps(self) -> Floats:
        """For each item of each round: 1 if the answer differs from the previous round's answer, 0 if not, NaN if either is missing."""
        ...

    def similarity(self, baseline: Sequence[int]) -> Floats | None:
        """The similarity of every answer to the typical answer; None if it is not measured."""
        ...


class _NumberComparison:
    """Two numbers differ if their distance is larger than the stated tolerance; without a stated tolerance, larger than SPREADS standard
    deviations of the baseline.

    The typical answer is the lower median. For an item that hardly varies, the median relative spread of all items is used, so that a
    baseline of few rounds does not lead to a tolerance of 0. If all answers of a set repeat exactly, the tolerance is 0.
    """

    def __init__(self, values: Floats, tolerance: float | None) -> None:
        self._values, self._stated = values, tolerance

    def typical(self, baseline: Sequence[int]) -> Integers:
        """For each item, the first baseline round whose answer is the lower median; -1 if there is none."""
        places = np.asarray(baseline)
        known = self._values[places]
        order = np.argsort(known, axis=0, kind="stable")
        n = np.isfinite(known).sum(axis=0)
        middle = order[np.maximum(n - 1, 0) // 2, np.arange(known.shape[1])]
        return np.where(n > 0, places[middle], -1)

    def gaps(self, baseline: Sequence[int]) -> Floats:
        """The answers minus the typical answers, rounds × items."""
        typical = self.typical(baseline)
        usual = np.where(typical >= 0, self._values[typical, np.arange(typical.size)], np.nan)
        return self._values - usual

    def tolerances(self, baseline: Sequence[int]) -> Floats:
        """For each item, the largest difference from the typical answer that does not count as different."""
        typical = self.typical(baseline)
        usual = np.abs(np.where(typical >= 0, self._values[typical, np.arange(typical.size)], np.nan))
        if self._stated is not None:
            return self._stated + EQUAL * usual
        return SPREADS * _own_spreads(self._values[np.asarray(baseline)], usual) + EQUAL * usual

    def against(self, baseline: Sequence[int], place: int | None = None) -> Floats:
        """For each item of each round (or of one round): 1 if the answer differs, 0 if not, NaN if either answer is missing."""
        gaps = self.gaps(baseline)
        own = gaps if place is None else gaps[place : place + 1]
        return np.where(np.isfinite(own), (np.abs(own) > self.tolerances(baseline)).astype(float), np.nan)

    def steps(self) -> Floats:
        """For each item of each round: 1 if the answer differs from the previous round's answer by more than the tolerance (without one, by
        more than usual steps), 0 if not, NaN if either is missing.
        """
        steps = np.vstack([np.full_like(self._values[:1], np.nan), np.diff(self._values, axis=0)])
        usual = np.abs(_middles(self._values))
        limit = self._stated if self._stated is not None else SPREADS * _robust_steps(steps, usual)
        return np.where(np.isfinite(steps), (np.abs(steps) > limit + EQUAL * usual).astype(float), np.nan)

    def similarity(self, baseline: Sequence[int]) -> None:
        """None, because similarity is not measured for numbers."""


def _middles(values: Floats) -> Floats:
    """Median of the known values of each column; NaN if none is known."""
    return np.array([np.median(known) if (known := line[np.isfinite(line)]).size else np.nan for line in values.T])


def _own_spreads(values: Floats, usual: Floats) -> Floats:
    """Standard deviation of each column, but at least the column's usual value times the median relative standard deviation of all columns;
    0 if unknown.
    """
    own = np.array([known.std(ddof=1) if (known := line[np.isfinite(line)]).size > 1 else 0.0 for line in values.T])
    return _at_least_relative(own, usual)


def _robust_steps(steps: Floats, usual: Floats) -> Floats:
    """Robust standard deviation of the steps of each column, but at least the column's usual value times the median relative one of all
    columns.
    """
    return _at_least_relative(MAD_TO_SD * np.nan_to_num(_middles(np.abs(steps))), usual)


def _at_least_relative(own: Floats, usual: Floats) -> Floats:
    """The spreads, each raised to at least its usual value times the median relative spread (spread divided by usual value) of all
    columns.
    """
    known = usual > 0
    share = float(np.median(own[known] / usual[known])) if known.any() else 0.0
    return np.maximum(own, share * np.nan_to_num(usual))


class _ClassComparison:
    """Two answers differ if their normalised texts differ. The typical answer is the most frequent answer; among equally frequent answers,
    the earliest.
    """

    def __init__(self, rounds: ProbeRounds) -> None:
        self._codes = rounds.codes

    def typical(self, baseline: Sequence[int]) -> Integers:
        """For each item, the first baseline round with the most frequent answer; -1 if there is none."""
        places = np.asarray(baseline)
        codes = self._codes[places]
        votes = (codes[:, None, :] == codes[None, :, :]).sum(axis=1)
        votes[codes < 0] = 0
        best = votes.argmax(axis=0)
        return np.where(votes.max(axis=0) > 0, places[best], -1)

    def against(self, baseline: Sequence[int], place: int | None = None) -> Floats:
        """For each item of each round (or of one round): 1 if the answer differs from the typical answer, 0 if not, NaN if either is
        missing.
        """
        typical = self.typical(baseline)
        usual = np.where(typical >= 0, self._codes[typical, np.arange(typical.size)], -1)
        return self._unequal(usual[None, :], self._codes if place is None else self._codes[place : place + 1])

    def steps(self) -> Floats:
        """For each item of each round: 1 if the answer differs from the previous round's answer, 0 if not, NaN if either is missing."""
        before = np.concatenate([np.full_like(self._codes[:1], -1), self._codes[:-1]])
        return self._unequal(before, self._codes)

    def similarity(self, baseline: Sequence[int]) -> None:
        """None, because similarity is not measured for classes."""

    def _unequal(self, one: Integers, other: Integers) -> Floats:
        return np.where((one < 0) | (other < 0), np.nan, (one != other).astype(float))


class _TextComparison:
    """An answer counts as different if it is much less similar to the typical answer than the answers of the baseline are."""

    def __init__(self, rounds: ProbeRounds, last: int) -> None:
        self._similar = rounds.similarities(last)

    def typical(self, baseline: Sequence[int]) -> Integers:
        """For each item, the baseline round whose answer is most similar to the answers of the other baseline rounds; -1 if there
        is none.
        """
        places = np.asarray(baseline)
        among = self._similar[:, places[:, None], places[None, :]]
        total = np.where(np.isnan(among[:, range(len(places)), range(len(places))]), -1.0, np.nansum(among, axis=2))
        best = total.argmax(axis=1)
        return np.where(total.max(axis=1) < 0, -1, places[best])

    def similarity(self, baseline: Sequence[int]) -> Floats:
        """The similarity of every answer to the typical answer, rounds × items."""
        typical = self.typical(baseline)
        found = self._similar[np.arange(typical.size), typical].T.copy()
        found[:, typical < 0] = np.nan
        return found

    def against(self, baseline: Sequence[int], place: int | None = None) -> Floats:
        """For each item of each round (or of one round): 1 if the answer differs, 0 if not, NaN if either answer is missing."""
        similar, typical = self.similarity(baseline), self.typical(baseline)
        others = np.array([[similar[row, item] if row != best else np.nan for row in baseline] for item, best in enumerate(typical)])
        usual = np.array([np.median(known) if (known := line[np.isfinite(line)]).size else 1.0 for line in others])
        own = similar if place is None else similar[place : place + 1]
        return np.where(np.isnan(own), np.nan, (own < ALIKE * usual).astype(float))

    def steps(self) -> Floats:
        """For each item of each round: 1 if the similarity to the previous round's answer is below half the median similarity of
        neighbouring rounds, 0 if not, NaN if unknown.
        """
        rounds = self._similar.shape[1]
        steps = self._similar[:, np.arange(rounds - 1), np.arange(1, rounds)]
        usual = np.array([np.median(known) if (known := line[np.isfinite(line)]).size else 1.0 for line in steps])
        found = np.full((rounds, self._similar.shape[0]), np.nan)
        found[1:] = np.where(np.isnan(steps), np.nan, (steps < ALIKE * usual[:, None]).astype(float)).T
        return found
