"""Is it just this one? The smallest rule of one to three conditions that covers this case and errs more than the rest.

Honest: the rule is searched for on one half of the labelled rows and its figures are counted on the other half, so they do not flatter it. The
search is by beam: rules that cover the case, by how far their rate lies beyond the overall one and its standard error, times n to the POWER (as in subgroup
discovery, n^a · (rate - overall): Klösgen 1996; a low power prefers few rows that err much); a condition more must earn its place.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.questions import Aggregate
from observability.investigation import comparison_rows
from observability.investigation.case_parts import Look
from observability.investigation.conditions import FIELDS, candidates, holds, level, search_text, slice_of
from observability.investigation.evidence_types import Condition, NotGivenError, Rate, Rule
from observability.stats.interval import rate_difference_interval, rate_interval
from observability.store.query import aggregates

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_CONDITIONS, BEAM = 3, 12
FEWEST_ROWS, FEWEST_LABELLED = 30, 200
"""A rule covers at least so many rows of the half it is searched on; below so many labelled rows in all there is none."""
POWER, MOST_SHARE = 0.25, 1 / 3
"""Of the size in a rule's worth; and the largest part of the rows that a rule may cover: what holds of more is the ordinary case, not a slice (but one of two
replicas may be the bad one)."""
EARNED = 1.15
"""A rule with a condition more must be better by this factor."""
MOST_GROUPS, MOST_WEEKS = 12, 26


def rule(look: Look) -> Rule:
    """The rule. Raises NotGivenError where the case is known to be right, where too little is labelled, or where nothing about it errs more."""
    row = look.row
    error = comparison_rows.bad(look)
    if error.of_row(row) is False:
        raise NotGivenError(f"this prediction was no error (an error is {error.text}), so there are none like it to look for")
    frame = comparison_rows.labelled(look)
    if len(frame) < FEWEST_LABELLED:
        raise NotGivenError(
            f"{len(frame)} other predictions of this version about this time have labels; about {FEWEST_LABELLED} are needed"
        )
    wrong = error.of(frame)
    search = searched(len(frame))
    given = {**comparison_rows.values(row), **{name: row.stored.get(name) for name in FIELDS}}
    options = candidates(row.model, frame, given)
    found = best(options, frame[search], wrong[search])
    if not found:
        rate = wrong.mean()
        raise NotGivenError(
            f"no part of the data that holds this case errs more than all of it: {100 * rate:.3g} % of {len(frame):,} labelled predictions are errors"
        )
    made = counted(row.model, found, frame[~search], wrong[~search], error.text)
    mask = np.logical_and.reduce([holds(each, frame) for each in found])
    every = int(aggregates.ask(look.store, Aggregate("outcomes"), comparison_rows.around(look))["n"].sum())
    return replace(made, all_errors=int(wrong[mask].sum()) if every <= comparison_rows.most(row.model) else None)


def searched(n: int) -> NDArray[np.bool_]:
    """The half of the rows (which come in the order of their hash) that is searched: every other one."""
    return np.arange(n) % 2 == 0


def best(options: list[Condition], frame: "DataFrame", wrong: NDArray[np.bool_]) -> tuple[Condition, ...]:
    """The best rule among the options on these rows; none where nothing errs more than all of them."""
    masks = [holds(each, frame) for each in options]
    overall = wrong.mean() if wrong.size else 0.0

    def worth(mask: NDArray[np.bool_]) -> float:
        n = int(mask.sum())
        if not FEWEST_ROWS <= n < mask.size:
            return -np.inf
        return float((wrong[mask].mean() - overall - np.sqrt(overall * (1 - overall) / n)) * n**POWER)

    def served(chosen: tuple[int, ...]) -> bool:
        return all(options[place].reference in FIELDS for place in chosen)

    winner: tuple[float, tuple[int, ...]] = (0.0, ())
    beam: list[tuple[float, tuple[int, ...], NDArray[np.bool_]]] = [(0.0, (), np.ones(len(frame), bool))]
    for _ in range(MOST_CONDITIONS):
        grown: dict[tuple[int, ...], tuple[float, NDArray[np.bool_]]] = {}
        for _, chosen, mask in beam:
            for place in range(len(options)):
                key = tuple(sorted((*chosen, place)))
                if place in chosen or key in grown or not compatible(options, chosen, place):
                    continue
                both = mask & masks[place]
                grown[key] = worth(both), both
        better = [(value, key, mask) for key, (value, mask) in grown.items() if value > 0]
        beam = sorted(better, key=lambda each: (-each[0], each[1]))
        small = next(
            (each for each in beam if each[2].mean() <= MOST_SHARE or served(each[1])), None
        )  # a large one may still lead to a small one
        if small is not None and small[0] > winner[0] * (EARNED if winner[1] else 1.0):
            winner = small[0], small[1]
        beam = beam[:BEAM]
    return tuple(options[place] for place in winner[1])


def compatible(options: list[Condition], chosen: tuple[int, ...], place: int) -> bool:
    """Whether an option says something new: another column, or the other side of a number that is bounded on one side."""
    new = options[place]
    same = [options[each] for each in chosen if options[each].reference == new.reference]
    if not same:
        return True
    bounded = new.low is not None or new.high is not None
    return bounded and len(same) == 1 and (same[0].low is None) != (new.low is None)


def counted(model: Model, conditions: tuple[Condition, ...], frame: "DataFrame", wrong: NDArray[np.bool_], error: str) -> Rule:
    """A rule's figures on rows that its search did not see."""
    mask = np.ones(len(frame), bool)
    for each in conditions:
        mask &= holds(each, frame)
    n, errors, all_errors = int(mask.sum()), int(wrong[mask].sum()), int(wrong.sum())
    rate, overall = rate_interval(errors, n), rate_interval(all_errors, len(frame))
    more = rate_difference_interval(errors, n, all_errors - errors, len(frame) - n)
    weak = more.low is not None and more.low > 0
    text = " and ".join(each.text for each in conditions)
    coverage = errors / all_errors if all_errors else None
    because = f"In the half that was counted, {n:,} are like this ({text}), of which {errors:,} are errors"
    if rate.value is not None and overall.value:
        because += f": {100 * rate.value:.3g} % ({100 * (rate.low or 0):.3g} to {100 * (rate.high or 0):.3g}), {rate.value / overall.value:.2g} times the overall {100 * overall.value:.3g} %"
    because += "." if weak else ", which is not beyond chance on rows that the search did not see."
    inside, inside_wrong = frame[mask], wrong[mask]
    return Rule(
        text=text, n=n, errors=errors, rate=rate.value, coverage=coverage, low=rate.low, high=rate.high, overall=overall.value, weak=weak,
        conditions=conditions, slice=slice_of(conditions), search=search_text(conditions), error=error, trend=trend(inside, inside_wrong),
        groups=groups(model, inside, inside_wrong, {each.reference for each in conditions}), because=because, counted=len(frame),
    )  # fmt: skip


def trend(frame: "DataFrame", wrong: NDArray[np.bool_]) -> tuple[Rate, ...]:
    """The rate by week (Monday, UTC), the newest MOST_WEEKS; by day where all lie within two weeks."""
    if frame.empty:
        return ()
    at = frame["at"]
    weekly = (at.max() - at.min()).days > 14
    period = at.dt.floor("D")
    if weekly:
        period = period - (at.dt.dayofweek * np.timedelta64(1, "D")).astype("timedelta64[us]")
    counts = [(f"{when:%Y-%m-%d}", wrong[np.asarray(period == when)]) for when in sorted(period.unique())[-MOST_WEEKS:]]
    return tuple(rated(name, part) for name, part in counts)


def groups(model: Model, frame: "DataFrame", wrong: NDArray[np.bool_], fixed: Collection[str] = ()) -> tuple[Rate, ...]:
    """The rate by level of each sensitive attribute that is no number, the most frequent levels first; not of those that the rule fixes itself."""
    found: list[Rate] = []
    for column in model.columns:
        if not column.sensitive or column.kind == "number" or column.reference in fixed:
            continue
        levels = frame[column.reference].map(lambda each: "null" if each is None else level(each))
        common = levels.value_counts().index[:MOST_GROUPS]
        found += [rated(f"{column.name}={name}", wrong[np.asarray(levels == name)]) for name in common]
    return tuple(found)


def rated(name: str, wrong: NDArray[np.bool_]) -> Rate:
    """A rate with its interval."""
    found = rate_interval(int(wrong.sum()), wrong.size)
    return Rate(name, int(wrong.size), int(wrong.sum()), found.value, found.low, found.high)
