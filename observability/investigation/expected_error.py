"""Compare an error with the errors of stored rows with similar scores, and rank it among the errors of all rows."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.formatting import plural
from observability.core.numerals import format_figure, percent
from observability.core.window import EPOCH
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress, computed_once
from observability.investigation.label_types import class_words, with_unit
from observability.stats.arrays import Bools, Floats
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MIN_SURE, MAX_SURE, NEAREST = 25, 200, 100
"""The rows with at least the case's probability are compared if there are MIN_SURE to MAX_SURE of them; else the NEAREST rows by score."""
WIDE, WIDE_PART = 1_000, 0.25
"""Scores are also checked on the WIDE nearest rows (at most this part of all rows), because few rows cannot reveal a miscalibration."""
RANKED = 100
"""Largest rank of an error that is stated."""


@dataclass(frozen=True)
class SimilarScores:
    """Labelled rows with a similar score and the same decision, without the case. errors: number of them with an error in the same
    direction as the case; for a regression, only errors that are at least as large. stated: the error rate that their scores imply; for a
    regression, the rate of such errors in reference rows with similar values; None if unknown. low, high: interval of the error rate. text:
    which rows they are. size: size of a regression's errors, in words. wider: the same figures for more rows, if their error rate is
    significantly above the stated one. unseen: number of reference rows with similar values, if a regression's error is larger than all of
    theirs; else 0.
    """

    text: str
    n: int
    errors: int
    stated: float | None
    low: float
    high: float
    size: str = ""
    wider: "SimilarScores | None" = None
    unseen: int = 0

    @property
    def rate(self) -> float:
        """The share of the rows whose decision is wrong."""
        return self.errors / self.n

    @property
    def stated_part(self) -> float:
        """The share of the errors that the scores explain, 0 to 1. It is 1 if the error rate is not significantly higher than the scores
        state.
        """
        if self.unseen:
            return 0.0
        own = 1.0 if self.stated is None or self.low <= self.stated else self.stated * self.n / self.errors
        return own if self.wider is None else min(own, self.wider.stated_part)


@computed_once
def similar_scores(case: CaseInProgress) -> SimilarScores | None:
    """The labelled rows with a similar score; None if the case is not an error, or too few rows are labelled."""
    row, frame = case.row, comparison_rows.labelled_rows_of(case)
    if row.score is None or not comparison_rows.error_definition(case).of_row(row):
        return None
    if row.model.task == "regression":
        return similar_values(case, frame)
    same = frame[(frame["decision"] == row.decision) & frame["score"].notna()]
    if len(same) < MIN_SURE:
        return None
    sure, own = decided_probability(same, row.decision, row.model.task), own_probability(case)
    chosen, least, most = rows_of_similar_score(sure, own)
    every = np.asarray(same["label"] != row.decision, bool)
    wrong = every[chosen]
    decided = class_words(row.model, row.model.classes[row.decision])
    found = rate_interval(int(wrong.sum()), int(wrong.size))
    text = f"rows predicted {decided} with probability {format_figure(least, 3)} or above"
    if most is not None:
        ends = f"{format_figure(least, 3)} to {format_figure(most, 3)}"
        text = f"rows predicted {decided} with the nearest probabilities ({ends})"
    wider = wider_scores(sure, own, every)
    return SimilarScores(
        text, int(wrong.size), int(wrong.sum()), float(1 - sure[chosen].mean()), found.low or 0.0, found.high or 1.0, wider=wider
    )


def wider_scores(sure: Floats, own: float, wrong: Bools) -> SimilarScores | None:
    """The rows with the WIDE nearest scores; None if their error rate is not significantly higher than their scores state."""
    near = np.argsort(np.abs(sure - own), kind="stable")[: min(WIDE, int(WIDE_PART * sure.size))]
    if near.size < NEAREST:
        return None
    rate, stated = rate_interval(int(wrong[near].sum()), int(near.size)), float(1 - sure[near].mean())
    if (rate.low or 0.0) <= stated:
        return None
    ends = f"{format_figure(sure[near].min(), 3)} to {format_figure(sure[near].max(), 3)}"
    return SimilarScores(
        f"rows with the nearest probabilities ({ends})", int(near.size), int(wrong[near].sum()), stated, rate.low or 0.0, rate.high or 1.0
    )


def decided_probability(frame: "DataFrame", decision: int, task: str | None) -> Floats:
    """The probability of the decided class, for rows with the same decision. For a multiclass model, `score` is already the score of the
    decided class.
    """
    score = frame["score"].to_numpy(np.float64)
    return 1 - score if task == "binary" and decision == 0 else score


def own_probability(case: CaseInProgress) -> float:
    """The case's probability of its decided class."""
    row = case.row
    assert row.score is not None
    return 1 - row.score if row.model.task == "binary" and row.decision == 0 else row.score


def rows_of_similar_score(sure: Floats, own: float) -> tuple[Bools, float, float | None]:
    """The rows with at least this probability if there are MIN_SURE to MAX_SURE of them, else the nearest rows; their smallest and largest
    probability (None: no upper end).
    """
    above = sure >= own
    if MIN_SURE <= above.sum() <= MAX_SURE:
        return above, float(sure[above].min()), None
    near = np.zeros(sure.size, bool)
    near[np.argsort(np.abs(sure - own), kind="stable")[:NEAREST]] = True
    return near, float(sure[near].min()), float(sure[near].max())


def similar_values(case: CaseInProgress, frame: "DataFrame") -> SimilarScores | None:
    """The rows with the nearest predicted values of a regression."""
    row, known = case.row, frame[frame["score"].notna() & frame["label_value"].notna()]
    if row.error is None or row.score is None or len(known) < MIN_SURE:
        return None
    values = known["score"].to_numpy(np.float64)
    near = np.argsort(np.abs(values - row.score), kind="stable")[:MAX_SURE]
    errors = (values - known["label_value"].to_numpy(np.float64)) * np.sign(row.error)
    large, past = errors >= abs(row.error), reference_errors(case, row.score, row.error)
    n, beyond = int(near.size), int(large[near].sum())
    found = rate_interval(beyond, n)
    side = "high" if row.error > 0 else "low"
    return SimilarScores(
        f"rows with the nearest predicted values ({value_range(case, values[near])})",
        n,
        beyond,
        None if past is None else float(past[:MAX_SURE].mean()),
        found.low or 0.0,
        found.high or 1.0,
        f"at least {with_unit(row.model, format_figure(abs(row.error), 3))} too {side}",
        None if past is None else wider_values(case, values, large, past),
        0 if past is None or past.any() else int(past.size),
    )


def value_range(case: CaseInProgress, values: Floats) -> str:
    """The least and the largest of some predicted values, in words."""
    return f"{format_figure(values.min(), 3)} to {with_unit(case.row.model, format_figure(values.max(), 3))}"


def wider_values(case: CaseInProgress, values: Floats, large: Bools, past: Bools) -> SimilarScores | None:
    """The rows with the WIDE nearest predicted values; None if errors as large as the case's are not significantly more frequent there than
    among equally near reference rows. large: mask of the current rows with such an error; past: the result of reference_errors.
    """
    assert case.row.score is not None
    near = np.argsort(np.abs(values - case.row.score), kind="stable")[: min(WIDE, int(WIDE_PART * values.size))]
    if near.size < NEAREST:
        return None
    n, beyond = int(near.size), int(large[near].sum())
    more = rate_difference_interval(beyond, n, int(past.sum()), int(past.size))
    if more.low is None or more.low <= 0:
        return None
    rate = rate_interval(beyond, n)
    text = f"rows with the nearest predicted values ({value_range(case, values[near])})"
    return SimilarScores(text, n, beyond, float(past.mean()), rate.low or 0.0, rate.high or 1.0)


def reference_errors(case: CaseInProgress, value: float, error: float) -> Bools | None:
    """One flag for each of the reference rows with the nearest predicted values, nearest first: whether its error is on the same side and
    at least as large. None if too few are labelled.
    """
    frame = comparison_rows.rows_of_reference(case)
    frame = frame[frame["score"].notna() & frame["label_value"].notna()]
    if len(frame) < NEAREST:
        return None
    near = np.argsort(np.abs(frame["score"].to_numpy(np.float64) - value), kind="stable")[
        : max(MAX_SURE, min(WIDE, int(WIDE_PART * len(frame))))
    ]
    errors = (frame["score"] - frame["label_value"]).to_numpy(np.float64)[near] * np.sign(error)
    return np.asarray(errors >= abs(error), bool)


def expected_sentence(case: CaseInProgress, found: SimilarScores) -> str:
    """A sentence that states how often rows with a similar score have such errors, which rate their scores imply, and the error's rank
    among all errors.
    """
    what = found.size or ("an error" if found.errors == 1 else "errors")
    because = f"{found.errors:,} of {found.n:,} other {found.text} were {what} ({percent(found.low)} to {percent(found.high)})"
    if found.stated is not None:
        rows = f"of the {MAX_SURE} nearest of {comparison_rows.reference_sample(case.row, len(comparison_rows.rows_of_reference(case)))}"
        because += f"; {rows if found.size else 'their scores state'} {percent(found.stated)}"
    if found.wider is not None and found.wider.stated is not None:
        states = f"{percent(found.wider.stated)} of equally near reference rows were"
        states = states if found.size else f"their scores state {percent(found.wider.stated)}"
        because += f"; {percent(found.wider.rate)} of {found.wider.n:,} {found.wider.text} were; {states}"
    rank = error_rank(case)
    return f"{because}.{f' {rank}' if rank else ''}"


def unseen_sentence(case: CaseInProgress) -> str:
    """A sentence if a regression's error is larger than the errors of all reference rows with similar values, with its rank; else empty."""
    found = similar_scores(case)
    if found is None or not found.unseen:
        return ""
    rank, sample = error_rank(case), comparison_rows.reference_sample(case.row, len(comparison_rows.rows_of_reference(case)))
    return f"None of the {found.unseen:,} rows with the nearest predicted values in {sample} is {found.size}.{f' {rank}' if rank else ''}"


@computed_once
def error_rank(case: CaseInProgress) -> str:
    """The rank of the error among all labelled predictions of the version, as a sentence; empty if it is not among the largest."""
    row, regression = case.row, case.row.model.task == "regression"
    every = replace(comparison_rows.window_around(case), start=EPOCH, end=max(case.now, EPOCH))
    frame = case.store.search(every, (), RANKED, "-absolute_error" if regression else "-log_loss")
    places = np.flatnonzero((frame["id"] == row.id).to_numpy(bool))
    if not places.size:
        return ""
    total = comparison_rows.labelled_in(case, every)
    place = int(places[0]) + 1
    which = "largest" if place == 1 else f"{place}{ordinal_ending(place)} largest"
    return f"Its {'error' if regression else 'log loss'} is the {which} of {plural(total, 'labelled prediction')}."


def ordinal_ending(number: int) -> str:
    """The ending of an ordinal: 1st, 2nd, 3rd, 11th."""
    return "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
