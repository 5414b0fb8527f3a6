"""The smallest rule of one to three conditions that covers the case and whose rows have more errors in the same direction than their scores
explain.

The rule is searched on one half of the labelled rows. Its figures come from the other half, so they are unbiased. The search is a beam
search over rules that cover the case. The quality of a rule is (error rate − expected rate − standard error) · n^POWER, as in subgroup
discovery (n^a · (rate − overall): Klösgen 1996). A low power prefers few rows with many errors. The expected rate is the error rate of the
other rows with the nearest scores. Errors that uncertain scores already predict therefore make no rule. An additional condition must
improve the quality.
"""

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np

from observability.core.catalog import Model
from observability.core.formatting import format_span
from observability.core.numerals import format_figure, percent
from observability.core.questions import Aggregate
from observability.investigation import comparison_rows
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.conditions import FIELDS, condition_mask, conditions_met, search_text, slice_level, slice_of
from observability.investigation.evidence_types import Condition, ErrorRule, NotGivenError, Rate
from observability.investigation.excess_errors import excess_errors, expected_errors_by_score
from observability.stats.arrays import Bools
from observability.stats.difference_intervals import rate_difference_interval
from observability.stats.interval import rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MAX_CONDITIONS, BEAM = 3, 12
MIN_ROWS, MIN_LABELLED = 30, 200
"""Minimum number of rows that a rule covers in the search half; minimum number of labelled rows in both halves together."""
POWER, MAX_SHARE = 0.25, 1 / 3
"""Exponent of the number of rows in the quality; largest share of rows that a rule may cover. Rules on FIELDS alone, such as one of two
replicas, may cover more.
"""
EARNED = 1.15
"""Factor by which an additional condition must improve the quality."""
MAX_GROUPS, MAX_WEEKS = 12, 26


def error_rule_of_case(case: CaseInProgress) -> ErrorRule:
    """The error rule of a case. Raises NotGivenError if the case is correct, too few rows are labelled, or no rule has a higher
    error rate.
    """
    row = case.row
    error = comparison_rows.error_definition(case)
    if error.of_row(row) is False:
        raise NotGivenError(f"this prediction is no error (an error is {error.text}), so there are no similar errors")
    error = comparison_rows.similar_error(case)
    frame = enough_labelled_rows(case, comparison_rows.same_decision_rows(case))
    wrong = error.of(frame)
    search, decided = search_half(len(frame)), comparison_rows.decided_words(case)
    given = {**comparison_rows.values_by_reference(row), **{name: row.stored.get(name) for name in FIELDS}}
    options = conditions_met(row.model, frame, given)
    found = best_rule(options, frame[search], wrong[search])
    if not found:
        overall = f"{percent(float(wrong.mean()))} of {len(frame):,} {decided}predictions"
        what = "the search found no slice of this case with a higher error rate than rows of the same scores"
        raise NotGivenError(f"{what} ({overall} are {error.said})")
    made = rule_figures(row.model, found, frame[~search], wrong[~search], error, decided)
    mask = np.logical_and.reduce([condition_mask(each, frame) for each in found])
    every = int(case.store.ask(Aggregate("outcomes"), comparison_rows.window_around(case))["n"].sum())
    made = replace(
        made, rows=f"the {decided}rows of {comparison_rows.labelled_sample(case)}" if decided else comparison_rows.labelled_sample(case)
    )
    note = excess_note(made, frame[~search], mask[~search], wrong[~search])
    made = replace(made, because=f"{made.because}{note}", confirmed=not note)
    return replace(made, all_errors=int(wrong[mask].sum()) if every <= comparison_rows.row_limit(row.model) else None)


def excess_note(made: ErrorRule, frame: "DataFrame", inside: Bools, wrong: Bools) -> str:
    """A sentence if the errors are no significant excess over other rows with the same scores (tested with days as the unit), or cover too
    few days; else empty.
    """
    found = excess_errors(frame.reset_index(drop=True), inside, wrong, "such errors") if made.weak else None
    return f" {found.sentence}" if found is not None and found.part <= 0 else ""


def enough_labelled_rows(case: CaseInProgress, same: "DataFrame | None" = None) -> "DataFrame":
    """The labelled rows around the case, or `same`, the rows with the same decision. Raises NotGivenError if there are too few."""
    frame = comparison_rows.labelled_rows_about(case) if same is None else same
    if len(frame) < MIN_LABELLED:
        which = "predictions of this version" if same is None else f"{comparison_rows.decided_words(case)}predictions of this version"
        raise NotGivenError(f"{len(frame)} other {which}{comparison_rows.period_words(case)} have labels; about {MIN_LABELLED} are needed")
    return frame


def search_half(n: int) -> Bools:
    """Mask of the half of the rows that is searched: every other row (rows are ordered by their hash)."""
    return np.arange(n) % 2 == 0


def best_rule(options: list[Condition], frame: "DataFrame", wrong: Bools) -> tuple[Condition, ...]:
    """The best rule that these conditions form on these rows; empty if no rule has a higher error rate than other rows with the same
    scores.
    """
    masks = [condition_mask(each, frame) for each in options]
    expected = expected_errors_by_score(frame, wrong)

    def worth(mask: Bools) -> float:
        n = int(mask.sum())
        if not MIN_ROWS <= n < mask.size:
            return -np.inf
        usual = expected[mask]
        error = np.sqrt(float((usual * (1 - usual)).sum())) / n
        return float((wrong[mask].mean() - usual.mean() - error) * n**POWER)

    def served(chosen: tuple[int, ...]) -> bool:
        return all(options[place].reference in FIELDS for place in chosen)

    winner: tuple[float, tuple[int, ...]] = (0.0, ())
    beam: list[tuple[float, tuple[int, ...], Bools]] = [(0.0, (), np.ones(len(frame), bool))]
    for _ in range(MAX_CONDITIONS):
        grown: dict[tuple[int, ...], tuple[float, Bools]] = {}
        for _, chosen, mask in beam:
            for place in range(len(options)):
                key = tuple(sorted((*chosen, place)))
                if place in chosen or key in grown or not adds_information(options, chosen, place):
                    continue
                both = mask & masks[place]
                grown[key] = worth(both), both
        better = [(value, key, mask) for key, (value, mask) in grown.items() if value > 0]
        beam = sorted(better, key=lambda each: (-each[0], each[1]))
        small = next(
            (each for each in beam if each[2].mean() <= MAX_SHARE or served(each[1])), None
        )  # a rule with many rows stays in the beam, because a further condition may make it small
        if small is not None and small[0] > winner[0] * (EARNED if winner[1] else 1.0):
            winner = small[0], small[1]
        beam = beam[:BEAM]
    return tuple(options[place] for place in winner[1])


def adds_information(options: list[Condition], chosen: tuple[int, ...], place: int) -> bool:
    """Whether a condition adds information: it is on another column, or is the other bound of a number."""
    new = options[place]
    same = [options[each] for each in chosen if options[each].reference == new.reference]
    if not same:
        return True
    bounded = new.low is not None or new.high is not None
    return bounded and len(same) == 1 and (same[0].low is None) != (new.low is None)


def rule_figures(
    model: Model,
    conditions: tuple[Condition, ...],
    frame: "DataFrame",
    wrong: Bools,
    error: comparison_rows.ErrorDefinition,
    decided: str = "",
) -> ErrorRule:
    """Figures of a rule, measured on rows that the search did not use."""
    mask = np.logical_and.reduce([condition_mask(each, frame) for each in conditions])
    n, errors, all_errors = int(mask.sum()), int(wrong[mask].sum()), int(wrong.sum())
    rate, overall = rate_interval(errors, n), rate_interval(all_errors, len(frame))
    more = rate_difference_interval(errors, n, all_errors - errors, len(frame) - n)
    weak = more.low is not None and more.low > 0
    text = " and ".join(each.text for each in conditions)
    coverage = errors / all_errors if all_errors else None
    because = f"In the held-out half, {errors:,} of {n:,} {decided}rows like this ({text}) are {error.said}"
    if rate.value is not None and overall.value:
        ends = " to ".join(percent(end or 0.0).removesuffix(" %") for end in (rate.low, rate.high))
        because += (
            f": {percent(rate.value)} ({ends}), {format_figure(rate.value / overall.value, 2)} times the overall {percent(overall.value)}"
        )
    fewer = more.high is not None and more.high < 0
    because += "." if weak else ", significantly less often than the other rows." if fewer else ", which is not significant."
    inside, inside_wrong = frame[mask], wrong[mask]
    return ErrorRule(
        text=text,
        n=n,
        errors=errors,
        rate=rate.value,
        coverage=coverage,
        low=rate.low,
        high=rate.high,
        overall=overall.value,
        weak=weak,
        conditions=conditions,
        slice=slice_of(conditions),
        search=search_text(conditions),
        error=error.text,
        trend=error_trend(inside, inside_wrong),
        by=trend_period(inside),
        groups=rates_by_group(model, inside, inside_wrong, {each.reference for each in conditions}),
        because=because,
        counted=len(frame),
    )


def trend_period(frame: "DataFrame") -> Literal["day", "week"]:
    """The period of a trend: a week, or a day if all rows are from at most two weeks."""
    return "week" if len(frame) and (frame["at"].max() - frame["at"].min()).days > 14 else "day"


def error_trend(frame: "DataFrame", wrong: Bools) -> tuple[Rate, ...]:
    """The error rate by week (Monday, UTC) in the newest MAX_WEEKS weeks, or by day if all rows are from at most two weeks."""
    if frame.empty:
        return ()
    day = frame["at"].dt.floor("D")
    period = day
    if trend_period(frame) == "week":
        period = day - (day.dt.dayofweek * np.timedelta64(1, "D")).astype("timedelta64[us]")
    found = []
    for when in sorted(period.unique())[-MAX_WEEKS:]:
        inside = np.asarray(period == when)
        days = format_span(day[inside].min().to_pydatetime(), day[inside].max().to_pydatetime() + timedelta(days=1))
        found.append(replace(error_rate_of(f"{when:%Y-%m-%d}", wrong[inside]), days=days))
    return tuple(found)


def rates_by_group(model: Model, frame: "DataFrame", wrong: Bools, fixed: Collection[str] = ()) -> tuple[Rate, ...]:
    """Error rate by level of each categorical sensitive attribute that the rule does not use, most frequent levels first."""
    found: list[Rate] = []
    for column in model.columns:
        if not column.sensitive or column.kind == "number" or column.reference in fixed:
            continue
        levels = frame[column.reference].map(lambda each: "null" if each is None else slice_level(each))
        common = levels.value_counts().index[:MAX_GROUPS]
        found += [error_rate_of(f"{column.name}={name}", wrong[np.asarray(levels == name)]) for name in common]
    return tuple(found)


def error_rate_of(name: str, wrong: Bools) -> Rate:
    """An error rate with its interval."""
    n, errors = int(wrong.size), int(wrong.sum())
    return Rate(name, n, errors, *rate_interval(errors, n).triple)
