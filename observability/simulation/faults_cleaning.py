"""Faults of cleaning: a rule takes many rows of one group, drops more rows of all, or finds nothing any more."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.simulation.fault import NamedFault

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class CleaningFaultPlant:
    """Where and how strongly a fault is planted. runs: the runs of one rule from the onset on; column, level: the group that a fault
    concerns.
    """

    runs: "DataFrame"
    column: str
    level: str
    amount: float
    rng: np.random.Generator


@dataclass(frozen=True)
class CleaningFault(NamedFault):
    """A fault of a cleaning rule."""

    section: str = "data"


def group_lost(plant: CleaningFaultPlant) -> "DataFrame":
    """A cleaning rule drops a further share of the rows of one group."""
    groups, dropped = [], plant.runs["rows_dropped"].to_numpy("int64").copy()
    for place, told in enumerate(plant.runs["groups"]):
        found: dict[str, Any] = {column: dict(levels) for column, levels in (told or {}).items()}
        own = found.get(plant.column, {}).get(plant.level)
        if own:
            more = int(plant.rng.binomial(own["in"] - own["dropped"], plant.amount))
            found[plant.column][plant.level] = {"in": own["in"], "dropped": own["dropped"] + more}
            dropped[place] += more
        groups.append(found or None)
    return plant.runs.assign(groups=np.array(groups, object), rows_dropped=dropped)


def rule_drops_more(plant: CleaningFaultPlant) -> "DataFrame":
    """A cleaning rule drops an additional share of all rows, equally in each group."""
    kept = (plant.runs["rows_in"] - plant.runs["rows_dropped"]).to_numpy("int64")
    more = plant.rng.binomial(kept, plant.amount)

    def thinned(told: Any) -> Any:
        """The counts of groups, with a random share of the kept rows of each group dropped too."""
        return told and {
            column: {
                level: {"in": own["in"], "dropped": own["dropped"] + int(plant.rng.binomial(own["in"] - own["dropped"], plant.amount))}
                for level, own in levels.items()
            }
            for column, levels in told.items()
        }

    return plant.runs.assign(rows_dropped=plant.runs["rows_dropped"].to_numpy("int64") + more, groups=plant.runs["groups"].map(thinned))


FAULTS: dict[str, CleaningFault] = {
    each.name: each
    for each in (
        CleaningFault("group_lost", (0.07, 0.15, 0.4), "share of the group", "cleaning_group_gap", group_lost),
        CleaningFault("rule_drops_more", (0.04, 0.08, 0.3), "share of rows", "cleaning_drop_rate", rule_drops_more),
    )
}
