"""Computes the result of an audit (curves with intervals) from the result of each row."""

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
"""A group gets its own curve if it has at least this many rows."""
MAX_EXPOSED, MAX_FLIPS = 20, 20
BLIND = 0.55
"""If a plain model separates members from other records with an AUC above this, without the audited model, an attack proves nothing."""


def interval_json(found: Interval, **more: Any) -> dict[str, Any]:
    """Return the interval as a JSON object: first the fields in `more`, then value, low, high and n."""
    parts = {"value": found.value, "low": found.low, "high": found.high}
    return {**more, **{name: None if part is None else round(float(part), 6) for name, part in parts.items()}, "n": int(found.n)}


def judged_figure(metric: str, found: Mapping[str, Any] | None, why: str | None = None, **more: Any) -> dict[str, Any]:
    """Return a judged figure of an audit as a JSON object. found: value, low, high, n. why: the reason if there is no value, or a
    limitation of the value.
    """
    body: dict[str, Any] = {"metric": metric, **more}
    body |= {name: None if found is None else found.get(name) for name in ("value", "low", "high")}
    body["n"] = 0 if found is None else found["n"]
    return body | ({"why": why} if why else {})


def held_share(right: Bools) -> Interval:
    """Return the share of rows that are right, with its interval."""
    return rate_interval(float(right.sum()), float(len(right)))


def measured_mean(values: Floats, task: str) -> Interval:
    """Return the accuracy with its interval, from flags of right rows. For regression, the mean absolute error."""
    return mean_of(values) if task == "regression" else held_share(values > 0.5)


def mean_of(values: Floats) -> Interval:
    """Return the mean of values with its interval."""
    return mean_interval(Moments(float(len(values)), float(values.sum()), float((values**2).sum())))


def attack_curves(right: Bools, single: Floats, several: Floats) -> list[dict[str, Any]]:
    """Return the accuracy for each budget of an attacker: the share of rows that are right and whose cheapest change costs more than the
    budget. `single`: the same if only one feature may change.
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
    """Return the curves of each level of each attribute. Levels with fewer than MIN_ROWS rows are left out."""
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for name, values in groups.items():
        texts = np.array([str(value) for value in values])
        for level in np.unique(texts[np.array([value is not None for value in values], np.bool_)]):
            own = texts == level
            if own.sum() >= MIN_ROWS:
                found.setdefault(name, {})[str(level)] = attack_curves(right[own], single[own], several[own])
    return found


def cheapest_flips(ids: Sequence[str], costs: Floats, changes: Sequence[Mapping[str, Any]], right: Bools) -> list[dict[str, Any]]:
    """Return the right answers that can be changed at the least cost, cheapest first."""
    order = [int(place) for place in np.argsort(costs, kind="stable") if np.isfinite(costs[place]) and right[place]][:MAX_FLIPS]
    return [{"id": ids[place], "cost": round(float(costs[place]), 4), "changes": dict(changes[place])} for place in order]


def exposure_results(statistic: Floats, members: Bools) -> dict[str, Any]:
    """Return an attack's AUC, its true positive rates at FALSE_POSITIVES and its ROC curve, as JSON."""
    inside, outside = statistic[members], statistic[~members]
    curve = attack_curve(inside, outside)
    rates = [interval_json(attack_true_positive_rate(inside, outside, rate), false_positive_rate=rate) for rate in FALSE_POSITIVES]
    return {"auc": interval_json(curve.auc), "true_positive_rates": rates, "roc": thinned_curve(curve)}


def generalisation_gap(confidence: Floats, members: Bools, task: str) -> dict[str, Any]:
    """Return the mean loss of members, the mean loss of non-members, and their difference, as JSON. The loss is the log loss; for a
    regression, the absolute error.

    confidence: log odds of the true class; for a regression, minus the absolute error. For a classification, the result also has
    `advantage`: the share of members whose true class has a probability above one half, minus the same share of non-members. An attacker
    who takes such rows for members gains this much (Yeom and others 2018).
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
    """Return, for each level of each attribute, the share of its members that the attack finds at 1 % false positives. The threshold is
    that of all records.
    """
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
    """Return the members with the highest scores of the attack, with their ids."""
    places = [int(place) for place in np.argsort(-statistic, kind="stable") if members[place]][:MAX_EXPOSED]
    return [{"id": ids[place], "statistic": round(float(statistic[place]), 4)} for place in places]


def rank_stability(draws: Sequence[Floats]) -> tuple[Interval, Floats]:
    """Return the mean rank correlation of attributions between backgrounds, with an interval over rows, and the correlation of each row.

    draws: attributions (rows, features) for each background. A row whose attributions are all equal in a draw counts as 0 there.
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
    """Return ranks within each row, scaled to mean 0 and variance 1. Ties share a rank."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(np.round(values, 12), axis=1), np.float64)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=1, keepdims=True))
    return np.asarray(np.where(spread > 0, centred / np.where(spread > 0, spread, 1.0), 0.0))
