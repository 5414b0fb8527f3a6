"""Compute the results of an audit, which are curves with intervals, from the result of each row."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from observability.stats.arrays import Array, Bools, Floats
from observability.stats.difference_intervals import difference_interval, rate_difference_interval
from observability.stats.exposure import attack_curve, attack_true_positive_rate, thinned_curve
from observability.stats.interval import Interval, Moments, mean_interval, ordered_interval, rate_interval

EPSILONS = (0.0, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
HEADLINE_EPSILON = 0.25
FALSE_POSITIVES = (0.01, 0.001)
MIN_ROWS = 30
"""Minimum number of rows of a group with its own curve."""
MAX_EXPOSED, MAX_FLIPS = 20, 20
BLIND = 0.55
"""If a plain model, without the audited model, separates members from other records with this AUC, an attack proves nothing."""


def interval_json(found: Interval, **more: Any) -> dict[str, Any]:
    """The interval as a JSON object with value, low, high and n, after the fields in `more`."""
    parts = {"value": found.value, "low": found.low, "high": found.high}
    return {**more, **{name: None if part is None else round(float(part), 6) for name, part in parts.items()}, "n": int(found.n)}


def judged_figure(metric: str, found: Mapping[str, Any] | None, why: str | None = None, **more: Any) -> dict[str, Any]:
    """A judged figure of an audit. found: value, low, high, n. why: the reason if there is no value, or a limitation of the value."""
    body: dict[str, Any] = {"metric": metric, **more}
    body |= {name: None if found is None else found.get(name) for name in ("value", "low", "high")}
    body["n"] = 0 if found is None else found["n"]
    return body | ({"why": why} if why else {})


def held_share(right: Bools) -> Interval:
    """A share of rows with its interval."""
    return rate_interval(float(right.sum()), float(len(right)))


def measured_mean(values: Floats, task: str) -> Interval:
    """Accuracy from flags with its interval; for regression the mean absolute error."""
    return mean_of(values) if task == "regression" else held_share(values > 0.5)


def mean_of(values: Floats) -> Interval:
    """A mean with its interval."""
    return mean_interval(Moments(float(len(values)), float(values.sum()), float((values**2).sum())))


def attack_curves(right: Bools, single: Floats, several: Floats) -> list[dict[str, Any]]:
    """Accuracy against an attacker's budget: the share of rows that are right and whose cheapest change costs more than the budget.
    `single`: with changes of one feature only.
    """
    return [
        interval_json(
            held_share(right & (several > epsilon)),
            epsilon=epsilon,
            single=interval_json(held_share(right & (single > epsilon))),
        )
        for epsilon in EPSILONS
    ]


def curves_by_group(
    groups: Mapping[str, Array], right: Bools, single: Floats, several: Floats
) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """The curves of each level of each attribute with at least MIN_ROWS rows."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, values in groups.items():
        texts = np.array([str(value) for value in values])
        for level in np.unique(texts[np.array([value is not None for value in values], np.bool_)]):
            own = texts == level
            if own.sum() >= MIN_ROWS:
                found.setdefault(name, {})[str(level)] = attack_curves(right[own], single[own], several[own])
    return found


def cheapest_flips(ids: Sequence[str], costs: Floats, changes: Sequence[Mapping[str, Any]], right: Bools) -> list[dict[str, Any]]:
    """The right answers that change at the least cost, cheapest first."""
    order = [int(place) for place in np.argsort(costs, kind="stable") if np.isfinite(costs[place]) and right[place]][:MAX_FLIPS]
    return [{"id": ids[place], "cost": round(float(costs[place]), 4), "changes": dict(changes[place])} for place in order]


def exposure_results(statistic: Floats, members: Bools) -> dict[str, Any]:
    """The ROC curve of an attack, its AUC, and the true positive rates at FALSE_POSITIVES, as JSON."""
    inside, outside = statistic[members], statistic[~members]
    curve = attack_curve(inside, outside)
    rates = [interval_json(attack_true_positive_rate(inside, outside, rate), false_positive_rate=rate) for rate in FALSE_POSITIVES]
    return {"auc": interval_json(curve.auc), "true_positive_rates": rates, "roc": thinned_curve(curve)}


def generalisation_gap(confidence: Floats, members: Bools, task: str) -> dict[str, Any]:
    """Mean loss of members, mean loss of others, and the difference, as JSON. The loss is the log loss; for a regression, the absolute
    error.

    confidence: log odds of the truth; for a regression, minus the absolute error. The result has `advantage` for a classification: the
    share of members whose truth has more than half of the probability, minus the share of others. It is the gain of an attacker who calls
    such rows members (Yeom and others 2018).
    """
    loss = -confidence if task == "regression" else np.logaddexp(0.0, -confidence)
    inside, outside = mean_of(loss[members]), mean_of(loss[~members])
    found = {"members": inside, "others": outside, "difference": difference_interval(outside, inside)}
    if task != "regression":
        right, n = confidence > 0, int(members.sum())
        counts = float(right[members].sum()), float(n), float(right[~members].sum()), float(len(right) - n)
        found["advantage"] = rate_difference_interval(*counts)
    return {name: interval_json(each) for name, each in found.items()}


def exposure_by_group(statistic: Floats, members: Bools, groups: Mapping[str, Array]) -> dict[str, dict[str, dict[str, Any]]]:
    """The share of members of each level that are found at 1 % false positives, at the threshold of all records."""
    threshold = np.quantile(statistic[~members], 1 - FALSE_POSITIVES[0], method="higher")
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for name, values in groups.items():
        texts = np.array([str(value) for value in values])
        known = np.array([value is not None for value in values], np.bool_)
        for level in np.unique(texts[known & members]):
            own = (texts == level) & members
            if own.sum() >= MIN_ROWS:
                found.setdefault(name, {})[str(level)] = interval_json(held_share(statistic[own] > threshold))
    return found


def most_exposed(ids: Sequence[str], statistic: Floats, members: Bools) -> list[dict[str, Any]]:
    """The members with the highest scores of the attack, with their ids."""
    places = [int(place) for place in np.argsort(-statistic, kind="stable") if members[place]][:MAX_EXPOSED]
    return [{"id": ids[place], "statistic": round(float(statistic[place]), 4)} for place in places]


def rank_stability(draws: Sequence[Floats]) -> tuple[Interval, Floats]:
    """Mean rank correlation of attributions between backgrounds, with an interval over rows, and the correlation of each row.

    draws: (rows, features) of each background. A row whose attributions are all equal in a draw counts as 0.
    """
    ranks = [_standard_ranks(each) for each in draws]
    pairs = [(a * b).mean(axis=1) for place, a in enumerate(ranks) for b in ranks[place + 1 :]]
    by_row = np.mean(pairs, axis=0)
    found = mean_of(by_row)
    if found.value is None:
        return found, by_row
    low, high = (found.value if end is None else end for end in (found.low, found.high))
    return ordered_interval(found.value, max(low, -1.0), min(high, 1.0), found.n), by_row


def _standard_ranks(values: Floats) -> Floats:
    """Ranks within each row with mean 0 and variance 1; ties share a rank."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(np.round(values, 12), axis=1), np.float64)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    return np.asarray(np.where(spread > 0, centred / np.where(spread > 0, spread, 1.0), 0.0))
