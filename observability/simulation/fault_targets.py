"""On whom does a fault fall: which feature, level, group, replica, device, subject?

Chosen by the seed among what the base has, so that over many seeds every eligible one comes up, and the same seed always gives the same.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from observability.core.catalog import Column
from observability.simulation.clean_log import Base
from observability.simulation.log_rows import Array
from observability.simulation.score_response import Response, fitted

Choice = TypeVar("Choice")
SMALLEST_SLICE, LARGEST_SLICE = 0.08, 0.55
"""Share of the rows that a slice, a group or a device has, so that a fault in it is one of a part."""
CAST = {
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
"""Every part that a fault may need, and why a model may lack it."""


@dataclass(frozen=True)
class Scene:
    """A base with its cast. number and the others: column references; slice, group: (reference, level); None where the base has none.

    scales: mean and standard deviation of each number in the pool.
    """

    base: Base
    response: Response
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
        """Why a fault that needs these parts cannot be planted; None where it can."""
        missing = [each for each in needs if not self.has(each)]
        return f"{CAST[missing[0]]}" if missing else None

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
        """Who a fault that needs these parts falls on, in plain names: {"number": "income", "slice": "region=north"}."""
        found = {}
        for part in needs:
            value = getattr(self, part, None)
            if isinstance(value, tuple):
                found[part] = f"{plain(value[0])}={value[1]}"
            elif isinstance(value, str):
                found[part] = f"{part}={value}" if part in ("replica", "device", "subject") else plain(value)
        return found


def plain(reference: str) -> str:
    """A column's own name."""
    return reference.partition(".")[2] or reference


def cast(base: Base, seed: int, response: Response | None = None) -> Scene:
    """The scene of a base for a seed."""
    rng = np.random.default_rng([seed, 7])
    response = response or fitted(base)
    pool = base.pool
    scales = {
        each.reference: (float(np.nanmean(pool[each.reference])), float(np.nanstd(pool[each.reference])))
        for each in base.features
        if each.kind == "number" and np.isfinite(pool[each.reference]).any()
    }
    numbers = by_importance([name for name, (_, spread) in scales.items() if spread > 0 and distinct(pool[name]) > 10], response)
    number = one(rng, numbers[: max(len(numbers) // 2, 1)])
    others = [each for each in numbers if each != number]
    categories = by_importance([each.reference for each in base.features if is_category(each, pool[each.reference])], response)
    category = one(rng, categories)
    slices = [(name, level) for name in categories for level in middling(pool[name])]
    groups = [
        (each.reference, level)
        for each in base.columns
        if each.sensitive and each.kind != "number"
        for level in middling(pool[each.reference])
    ]
    hours = [name for name in scales if is_hour(name, pool[name])]
    return Scene(
        base, response, number, one(rng, others[: max(len(others) // 2, 1)]), category, one(rng, slices), one(rng, hours), one(rng, groups),
        one(rng, several(pool.get("replica"))), one(rng, several(pool.get("device"))), one(rng, frequent(pool.get("subject"))), scales,
    )  # fmt: skip


def by_importance(names: list[str], response: Response) -> list[str]:
    """The most important first."""
    return sorted(names, key=lambda name: (-response.effects[name].importance, name))


def one(rng: np.random.Generator, choices: list[Choice]) -> Choice | None:
    """One of them, None of none. A number is drawn either way, so that one choice does not depend on another."""
    place = rng.random()
    return choices[int(place * len(choices))] if choices else None


def distinct(values: Array) -> int:
    """How many different numbers there are."""
    return int(np.unique(values[np.isfinite(values)]).size)


def counts(values: Array | None) -> dict[str, float]:
    """Share of each level among all rows, null left out, by name."""
    if values is None:
        return {}
    import pandas as pd

    shares = pd.Series(values, dtype=object).value_counts(dropna=True) / max(values.size, 1)
    return {str(name): float(share) for name, share in sorted(shares.items())}


def is_category(column: Column, values: Array) -> bool:
    """Whether a feature is a category of a few levels."""
    return column.kind == "category" and len([share for share in counts(values).values() if share >= 0.02]) >= 2


def middling(values: Array) -> list[str]:
    """Levels that are a part of the rows."""
    return [name for name, share in counts(values).items() if SMALLEST_SLICE <= share <= LARGEST_SLICE]


def several(values: Array | None) -> list[str]:
    """Replicas or devices, where there are two or more with a share that matters."""
    found = [name for name, share in counts(values).items() if share >= 0.02]
    return found if len(found) >= 2 else []


def frequent(values: Array | None) -> list[str]:
    """Subjects, the most frequent of them."""
    found = counts(values)
    return sorted(found, key=lambda name: (-found[name], name))[:20]


def is_hour(reference: str, values: Array) -> bool:
    """Whether a number is an hour of the day, by its name and its range."""
    known = values[np.isfinite(values)]
    return "hour" in reference.lower() and bool(known.size) and known.min() >= 0 and 20 <= known.max() <= 24 and distinct(known) >= 12
