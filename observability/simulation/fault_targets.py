"""The targets of a fault: the feature, level, group, replica, device or subject in which it is planted.

The seed chooses a target among those that the base has. Over many seeds every eligible target is chosen. The same seed always gives the
same target.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from observability.simulation.clean_log import SimulationBase
from observability.simulation.score_response import ScoreResponse, fitted_score_response
from observability.stats.arrays import Array

Candidate = TypeVar("Candidate")
SMALLEST_SLICE, LARGEST_SLICE = 0.08, 0.55
"""Smallest and largest share of rows for a slice, group or device that is a target, so that a fault affects a part of the rows."""
TARGET_PARTS = {
    "number": "no feature is a number",
    "partner": "it has only one number",
    "category": "no feature is a category of two levels or more",
    "slice": f"no category has a level with {100 * SMALLEST_SLICE:.0f} % to {100 * LARGEST_SLICE:.0f} % of the rows",
    "hour": "no feature is an hour of the day",
    "group": f"no sensitive attribute has a level with {100 * SMALLEST_SLICE:.0f} % of the rows",
    "replica": "its records do not name two replicas",
    "device": "its records do not name two devices",
    "subject": "its records do not name subjects",
    "labels": "its predictions have no labels",
    "classes": "it does not decide between two classes",
    "score": "its scores are of several classes, and the lab changes single scores only",
    "latency": "its records have no latency_ms",
    "energy": "its records have no energy_j",
    "cost": "its records have no cost",
}
"""Every part that a fault may need, with the reason why a model may lack it."""


@dataclass(frozen=True)
class FaultTargets:
    """A base with its fault targets. number and the other parts: column references; slice, group: (reference, level). A part that the base
    lacks is None.

    scales: mean and standard deviation of each number in the pool.
    """

    base: SimulationBase
    response: ScoreResponse
    number: str | None
    partner: str | None
    category: str | None
    slice: tuple[str, str] | None
    hour: str | None
    group: tuple[str, str] | None
    replica: str | None
    device: str | None
    subject: str | None
    scales: dict[str, tuple[float, float]]

    def lacks(self, needs: tuple[str, ...]) -> str | None:
        """Why a fault that needs these parts cannot be planted; None if it can."""
        missing = [each for each in needs if not self.has(each)]
        return f"{TARGET_PARTS[missing[0]]}" if missing else None

    def has(self, part: str) -> bool:
        """Whether the base has a part."""
        pool, base = self.base.pool, self.base
        if part == "labels":
            return bool(np.isfinite(pool["label"]).mean() > 0.5)
        if part == "classes":
            return base.task == "binary"
        if part == "score":
            return base.task != "multiclass"
        if part in ("latency", "energy", "cost"):
            values = pool.get({"latency": "latency_ms", "energy": "energy_j", "cost": "cost"}[part])
            return values is not None and bool(np.isfinite(values).mean() > 0.5)
        return getattr(self, part) is not None

    def target(self, needs: tuple[str, ...]) -> dict[str, str]:
        """The targets of a fault that needs these parts, by name: {"number": "income", "slice": "region=north"}."""
        found = {}
        for part in needs:
            value = getattr(self, part, None)
            if isinstance(value, tuple):
                found[part] = f"{column_short_name(value[0])}={value[1]}"
            elif isinstance(value, str):
                found[part] = f"{part}={value}" if part in ("replica", "device", "subject") else column_short_name(value)
        return found


def column_short_name(reference: str) -> str:
    """The name of a column without its role."""
    return reference.partition(".")[2] or reference


def fault_targets(base: SimulationBase, seed: int, response: ScoreResponse | None = None) -> FaultTargets:
    """The fault targets of a base for a seed."""
    rng = np.random.default_rng([seed, 7])
    response = response or fitted_score_response(base)
    pool = base.pool
    scales = {
        each.reference: (float(np.nanmean(pool[each.reference])), float(np.nanstd(pool[each.reference])))
        for each in base.features
        if each.kind == "number" and np.isfinite(pool[each.reference]).any()
    }
    numbers = _by_importance([name for name, (_, spread) in scales.items() if spread > 0 and _distinct_values(pool[name]) > 10], response)
    number = _random_choice(rng, numbers[: max(len(numbers) // 2, 1)])
    others = [each for each in numbers if each != number]
    categories = _by_importance(
        [each.reference for each in base.features if each.kind == "category" and len(frequent_levels(pool[each.reference])) >= 2], response
    )
    category = _random_choice(rng, categories)
    slices = [(name, level) for name in categories for level in _middle_share_levels(pool[name])]
    groups = [
        (each.reference, level)
        for each in base.columns
        if each.sensitive and each.kind != "number"
        for level in _middle_share_levels(pool[each.reference])
    ]
    hours = [name for name in scales if _is_hour_of_day(name, pool[name])]
    return FaultTargets(
        base,
        response,
        number,
        _random_choice(rng, others[: max(len(others) // 2, 1)]),
        category,
        _random_choice(rng, slices),
        _random_choice(rng, hours),
        _random_choice(rng, groups),
        _random_choice(rng, _frequent_servers(pool.get("replica"))),
        _random_choice(rng, _frequent_servers(pool.get("device"))),
        _random_choice(rng, _frequent_subjects(pool.get("subject"))),
        scales,
    )


def _by_importance(names: list[str], response: ScoreResponse) -> list[str]:
    """The names, most important first."""
    return sorted(names, key=lambda name: (-response.effects[name].importance, name))


def _random_choice(rng: np.random.Generator, choices: list[Candidate]) -> Candidate | None:
    """One of the choices; None if there are none. A random number is drawn in both cases, so that later choices stay the same."""
    place = rng.random()
    return choices[int(place * len(choices))] if choices else None


def _distinct_values(values: Array) -> int:
    """The number of distinct numbers."""
    return int(np.unique(values[np.isfinite(values)]).size)


def column_level_shares(values: Array | None) -> dict[str, float]:
    """The share of each level among all rows; nulls are not a level."""
    if values is None:
        return {}
    import pandas as pd

    shares = pd.Series(values, dtype=object).value_counts(dropna=True) / max(values.size, 1)
    return {str(name): float(share) for name, share in sorted(shares.items())}


def frequent_levels(values: Array | None) -> list[str]:
    """Levels whose share is large enough for a fault to matter."""
    return [name for name, share in column_level_shares(values).items() if share >= 0.02]


def _middle_share_levels(values: Array) -> list[str]:
    """Levels whose share of the rows is between SMALLEST_SLICE and LARGEST_SLICE."""
    return [name for name, share in column_level_shares(values).items() if SMALLEST_SLICE <= share <= LARGEST_SLICE]


def _frequent_servers(values: Array | None) -> list[str]:
    """The replicas or devices whose share is large enough to matter; empty if there are fewer than two."""
    found = frequent_levels(values)
    return found if len(found) >= 2 else []


def _frequent_subjects(values: Array | None) -> list[str]:
    """The 20 subjects with most rows, most frequent first."""
    found = column_level_shares(values)
    return sorted(found, key=lambda name: (-found[name], name))[:20]


def _is_hour_of_day(reference: str, values: Array) -> bool:
    """Whether a number is an hour of the day, by its name and its range."""
    known = values[np.isfinite(values)]
    return (
        "hour" in reference.lower() and bool(known.size) and known.min() >= 0 and 20 <= known.max() <= 24 and _distinct_values(known) >= 12
    )
