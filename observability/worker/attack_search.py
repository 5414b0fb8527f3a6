"""Search the cheapest change of each row that gives another answer. There are two searches: changes of one feature (exact on trees), and
changes of any features (by decisions only).

For one feature, the score of trees is constant between neighbouring thresholds. So it is enough to try one value in each interval, the
nearest to the row's own, to find the cheapest change. Other models are asked on a grid of the reference's values. For any features, the
search starts at real rows with another answer and walks back to the row, as HopSkipJump and other attacks on decisions do. Changes that are
not needed are undone, and numbers are moved back by halving. The result is an upper bound of the cheapest change.
"""

from dataclasses import dataclass

import numpy as np

from observability.stats.arrays import Bools, Floats, Integers
from observability.worker.job import Report
from observability.worker.matrix_scorer import AnswerChange, AttackFeature, MatrixScorer

STARTS, HALVINGS, PASSES, GRID, BATCH = 8, 10, 2, 40, 100_000
"""Real rows from which each search starts; halvings of a number's change; rounds of undoing and halving; values of a grid; rows scored at
once."""


@dataclass
class CheapestChange:
    """The cheapest known change of each row: its cost (infinite if none was found) and the changed rows."""

    cost: Floats
    rows: Floats

    def keep(self, places: Integers, cost: Floats, rows: Floats) -> None:
        """Keep the changes that are cheaper than the known ones. Several changes may be about one row."""
        order = np.argsort(cost, kind="stable")
        places, cost, rows = places[order], cost[order], rows[order]
        first = np.unique(places, return_index=True)[1]
        better = first[cost[first] < self.cost[places[first]]]
        self.cost[places[better]], self.rows[places[better]] = cost[better], rows[better]


def no_change(own: Floats) -> CheapestChange:
    """The state before a search, without any known change."""
    return CheapestChange(np.full(len(own), np.inf), own.copy())


def candidate_values(feature: AttackFeature, thresholds: Floats | None, real: Floats) -> Floats:
    """The values of one feature that are tried for every row: on either side of each threshold, or a grid of real values; all levels."""
    if not feature.is_number:
        return np.arange(float(len(feature.levels)))
    if thresholds is None:
        known = real[np.isfinite(real)]
        return np.unique(feature.within(np.quantile(known, np.linspace(0, 1, GRID)))) if known.size else np.empty(0)
    grain = 10.0**-feature.decimals
    near = np.floor(thresholds / grain + 1e-6)
    return np.unique(feature.within(np.concatenate([near - 1, near, near + 1]) * grain))


def single_changes(
    scorer: MatrixScorer, outcome: AnswerChange, free: dict[int, AttackFeature], thresholds: dict[int, Floats] | None, real: Floats
) -> CheapestChange:
    """For each row, the cheapest change of one feature. thresholds: the thresholds of a forest; None if other models are asked on a
    grid.
    """
    own, found = scorer.own, no_change(scorer.own)
    scores = scorer.scores(own)
    for place, feature in free.items():
        if thresholds is not None and place not in thresholds and feature.is_number:
            continue
        values = candidate_values(feature, None if thresholds is None else thresholds.get(place), real[:, place])
        step = max(BATCH // max(len(values), 1), 1)
        for start in range(0, len(own), step):
            rows = np.arange(start, min(start + step, len(own)))
            places, tried = np.repeat(rows, len(values)), np.tile(values, len(rows))
            cost = feature.costs(own[places, place], tried)
            possible = np.isfinite(cost) & (cost > 0) & (cost < found.cost[places])
            places, tried, cost = places[possible], tried[possible], cost[possible]
            changed = own[places]
            changed[:, place] = tried
            hit = outcome.flipped(scores[places], scorer.scores(changed))
            found.keep(places[hit], cost[hit], changed[hit])
    return found


def any_changes(
    scorer: MatrixScorer, outcome: AnswerChange, free: dict[int, AttackFeature], real: Floats, start: CheapestChange, report: Report
) -> CheapestChange:
    """For each row, the cheapest change of any features that the search finds. start: changes from which the search also starts, such as
    changes of one feature.
    """
    own, scores = scorer.own, scorer.scores(scorer.own)
    found = CheapestChange(start.cost.copy(), start.rows.copy())
    if not free:
        return found
    places, rows = _starting_points(scorer, outcome, free, real, scores)
    known = np.flatnonzero(np.isfinite(start.cost))
    places, rows = np.concatenate([places, known]), np.concatenate([rows, start.rows[known]])
    for turn in range(PASSES if len(places) else 0):
        rows = _undone(scorer, outcome, free, scores, own[places], rows, places)
        rows = _halved(scorer, outcome, free, scores, own[places], rows, places)
        found.keep(places, total_costs(free, own[places], rows), rows)
        report((turn + 1) / PASSES, f"searching changes of several features, round {turn + 1} of {PASSES}")
    return found


def total_costs(free: dict[int, AttackFeature], own: Floats, rows: Floats) -> Floats:
    """The cost of each changed row: the sum over its features."""
    return np.asarray(sum((feature.costs(own[:, place], rows[:, place]) for place, feature in free.items()), np.zeros(len(own))))


def _starting_points(
    scorer: MatrixScorer, outcome: AnswerChange, free: dict[int, AttackFeature], real: Floats, scores: Floats
) -> tuple[Integers, Floats]:
    """For each row, the nearest real rows that still give another answer when their locked features are replaced by the row's own."""
    all_places, all_rows = [], []
    for row in range(len(scorer.own)):
        own = np.repeat(scorer.own[[row]], len(real), axis=0)
        mixed = own.copy()
        for place, feature in free.items():
            values = feature.within(real[:, place]) if feature.is_number else real[:, place]
            mixed[:, place] = np.where(np.isfinite(feature.costs(own[:, place], values)), values, own[:, place])
        order = np.argsort(total_costs(free, own, mixed), kind="stable")
        for begin in (0, len(order) // 4):
            some = mixed[order[begin : len(order) // 4 if begin == 0 else None]]
            hit = np.flatnonzero(outcome.flipped(np.repeat(scores[[row]], len(some), axis=0), scorer.scores(some)))[:STARTS]
            if len(hit):
                all_places.append(np.full(len(hit), row))
                all_rows.append(some[hit])
                break
    if not all_places:
        return np.zeros(0, np.int64), np.empty((0, scorer.own.shape[1]))
    return np.concatenate(all_places), np.concatenate(all_rows)


def _by_cost(free: dict[int, AttackFeature], own: Floats, rows: Floats) -> tuple[Integers, Bools]:
    """The places of the free features of each row, the most expensive change first, and whether each feature is changed."""
    places = np.array(list(free), np.int64)
    costs = np.column_stack([feature.costs(own[:, place], rows[:, place]) for place, feature in free.items()])
    order = np.argsort(-costs, axis=1, kind="stable")
    return places[order], np.take_along_axis(costs, order, axis=1) > 0


def _undone(
    scorer: MatrixScorer, outcome: AnswerChange, free: dict[int, AttackFeature], scores: Floats, own: Floats, rows: Floats, places: Integers
) -> Floats:
    """Undo each change that is not needed, the most expensive first."""
    rows = rows.copy()
    order, changed = _by_cost(free, own, rows)
    for rank in range(order.shape[1]):
        some = np.flatnonzero(changed[:, rank])
        trial = rows[some]
        at = order[some, rank]
        trial[np.arange(len(some)), at] = own[some, at]
        hit = outcome.flipped(scores[places[some]], scorer.scores(trial))
        rows[some[hit]] = trial[hit]
    return rows


def _halved(
    scorer: MatrixScorer, outcome: AnswerChange, free: dict[int, AttackFeature], scores: Floats, own: Floats, rows: Floats, places: Integers
) -> Floats:
    """Move each changed number back towards the row's own by halving, the most expensive first, as long as the row keeps another answer."""
    rows = rows.copy()
    order, changed = _by_cost(free, own, rows)
    for rank in range(order.shape[1]):
        some = np.flatnonzero(changed[:, rank] & np.isin(order[:, rank], [place for place, each in free.items() if each.is_number]))
        at = order[some, rank]
        near, far = own[some, at].copy(), rows[some, at].copy()
        for _ in range(HALVINGS if len(some) else 0):
            middle = (near + far) / 2
            for place in np.unique(at):
                middle[at == place] = free[int(place)].within(middle[at == place])
            trial = rows[some]
            trial[np.arange(len(some)), at] = middle
            hit = outcome.flipped(scores[places[some]], scorer.scores(trial)) & (middle != own[some, at])
            far, near = np.where(hit, middle, far), np.where(hit, near, middle)
        rows[some, at] = far
    return rows
