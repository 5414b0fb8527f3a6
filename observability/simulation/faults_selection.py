"""Faults of model selection: a version in shadow is better than the serving one, or is worse in one slice."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.detection.regressed_slices import candidate_slices
from observability.simulation.fault import NamedFault

if TYPE_CHECKING:
    from pandas import DataFrame


MIN_OF_ROWS, MAX_OF_ROWS = 0.08, 0.6
"""A fault is planted in a slice that has at least the first and at most the second share of the rows."""


@dataclass(frozen=True)
class SelectionFaultPlant:
    """Where and how strongly a fault is planted. rows: the answers of the challenger with decision, label, score, label_value, features."""

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
    """A version in shadow avoids a share of the serving version's errors, and nobody decides about it."""
    if plant.model.task == "regression":
        left = 1 - plant.amount
        return plant.rows.assign(score=plant.rows["label_value"] + left * (plant.rows["score"] - plant.rows["label_value"]))
    wrong = np.flatnonzero((plant.rows["decision"] != plant.rows["label"]).to_numpy())
    mended = plant.rng.permutation(wrong)[: round(plant.amount * len(wrong))]
    decision = plant.rows["decision"].to_numpy().copy()
    decision[mended] = plant.rows["label"].to_numpy()[mended]
    return plant.rows.assign(decision=decision)


def regressed_slice(plant: SelectionFaultPlant) -> "DataFrame":
    """A version in shadow gives wrong answers to a share of the requests in one slice; its other answers stay the same."""
    rows, held = plant.rows, []
    for name, _, inside in candidate_slices(plant.model, plant.rows):
        if MIN_OF_ROWS * len(rows) <= inside.sum() <= MAX_OF_ROWS * len(rows):
            held.append((name, inside))
    if not held:
        wanted = f"a slice of {MIN_OF_ROWS:.0%} to {MAX_OF_ROWS:.0%} of the rows"
        raise UsageError("no slice to plant regressed_slice in", got=f"{len(rows):,} rows", expected=wanted)
    _, inside = held[int(plant.rng.integers(len(held)))]
    hit = inside & (plant.rng.random(len(rows)) < plant.amount)
    if plant.model.task == "regression":
        error = rows["score"] - rows["label_value"]
        further = 3 * float(error.abs().mean()) * np.where(error < 0, -1, 1)
        return rows.assign(score=np.where(hit, rows["score"] + further, rows["score"]))
    wrong = (rows["label"] + 1) % max(len(plant.model.classes), 2)
    return rows.assign(decision=np.where(hit, wrong, rows["decision"]))


FAULTS: dict[str, SelectionFault] = {
    each.name: each
    for each in (
        SelectionFault("beaten_champion", (0.08, 0.2, 0.4), "share of the loss", "challenger_gain", beaten_champion),
        SelectionFault("regressed_slice", (0.08, 0.2, 0.5), "share of the slice", "challenger_slice_loss", regressed_slice),
    )
}
