"""A fault of model selection: the version that serves is beaten by one in its shadow."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model
from observability.simulation.fault import NamedFault

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class SelectionFaultPlant:
    """Where and how strongly a fault is planted. rows: the answers of the challenger with decision, label, score and label_value."""

    model: Model
    rows: "DataFrame"
    amount: float
    rng: np.random.Generator


@dataclass(frozen=True)
class SelectionFault(NamedFault):
    """A fault of model selection."""

    plant: Callable[[SelectionFaultPlant], "DataFrame"]
    section: str = "training"


def beaten_champion(plant: SelectionFaultPlant) -> "DataFrame":
    """A version in shadow avoids a share of the errors of the one that serves, and nobody decides."""
    if plant.model.task == "regression":
        left = 1 - plant.amount
        return plant.rows.assign(score=plant.rows["label_value"] + left * (plant.rows["score"] - plant.rows["label_value"]))
    wrong = np.flatnonzero((plant.rows["decision"] != plant.rows["label"]).to_numpy())
    mended = plant.rng.permutation(wrong)[: round(plant.amount * len(wrong))]
    decision = plant.rows["decision"].to_numpy().copy()
    decision[mended] = plant.rows["label"].to_numpy()[mended]
    return plant.rows.assign(decision=decision)


FAULTS: dict[str, SelectionFault] = {
    each.name: each
    for each in (SelectionFault("beaten_champion", (0.08, 0.2, 0.4), "share of the loss", "challenger_gain", beaten_champion),)
}
