"""Faults of an augmentation of training data: it harms one group, lowers accuracy everywhere, or changes labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from observability.simulation.fault import NamedFault

Counts = dict[str, Any]


@dataclass(frozen=True)
class AugmentationFaultPlant:
    """Where and how strongly a fault is planted. results: the results of an audit; slice_place: position of the slice that a fault of one
    group affects.
    """

    results: Mapping[str, Any]
    slice_place: int
    amount: float
    rng: np.random.Generator

    def harmed(self, counts: Mapping[str, Any], n: int, hit: int) -> Counts:
        """The counts if, with the augmentation, every seed decides `hit` of n rows wrongly; rows that were wrong anyway stay wrong."""
        right_before = [before / n for before in self.results["right"]] if n == self.results["rows"] else None
        mean = float(np.mean(self.results["right"])) / self.results["rows"]
        lost, gained = [], []
        for place, (down, up) in enumerate(zip(counts["lost"], counts["gained"], strict=True)):
            right = right_before[place] if right_before else mean
            losable, gainable = max(right - down / n, 0.0), up / n
            lost.append(int(down + self.rng.binomial(hit, min(losable, 1.0))))
            gained.append(int(up - min(self.rng.binomial(hit, min(gainable, 1.0)), up)))
        share = hit / n
        variance = (1 - share) * float(counts["row_variance"]) + share * (1 - share) * mean**2
        return {**counts, "lost": lost, "gained": gained, "row_variance": min(variance, 1.0)}


@dataclass(frozen=True)
class AugmentationFault(NamedFault):
    """A fault of an augmentation."""

    section: str = "training"


def augmentation_harms_a_group(plant: AugmentationFaultPlant) -> Counts:
    """An augmentation turns a share of the rows of one group wrong."""
    slices = [dict(each) for each in plant.results["slices"]]
    own = slices[plant.slice_place]
    hit = int(plant.rng.binomial(own["n"], plant.amount))
    slices[plant.slice_place] = plant.harmed(own, own["n"], hit)
    added = [after - before for after, before in zip(slices[plant.slice_place]["lost"], own["lost"], strict=True)]
    lost = [before + more for before, more in zip(plant.results["lost"], added, strict=True)]
    return {**plant.results, "slices": slices, "lost": lost}


def augmentation_lowers_accuracy(plant: AugmentationFaultPlant) -> Counts:
    """An augmentation turns a share of all rows wrong."""
    rows = plant.results["rows"]
    slices = [plant.harmed(each, each["n"], int(plant.rng.binomial(each["n"], plant.amount))) for each in plant.results["slices"]]
    return {**plant.results, **plant.harmed(plant.results, rows, int(plant.rng.binomial(rows, plant.amount))), "slices": slices}


def augmentation_changes_labels(plant: AugmentationFaultPlant) -> Counts:
    """An augmentation changes the label of a share of the copies, as every seed that knows the original decides."""
    found = dict(plant.results)
    for key in ("consensus", "checked"):
        if isinstance(found.get(key), Mapping):
            left = found[key]["n"] - found[key]["changed"]
            found[key] = {**found[key], "changed": found[key]["changed"] + int(plant.rng.binomial(left, plant.amount))}
    share = 1 - plant.amount
    return found | {"copies_right": [int(plant.rng.binomial(right, share)) for right in found.get("copies_right", [])]}


FAULTS: dict[str, AugmentationFault] = {
    each.name: each
    for each in (
        AugmentationFault(
            "augmentation_harms_a_group", (0.04, 0.12, 0.3), "share of the group", "augmentation_slice_gain", augmentation_harms_a_group
        ),
        AugmentationFault(
            "augmentation_lowers_accuracy", (0.02, 0.06, 0.2), "share of rows", "augmentation_gain", augmentation_lowers_accuracy
        ),
        AugmentationFault(
            "augmentation_changes_labels", (0.06, 0.15, 0.4), "share of copies", "augmentation_label_changes", augmentation_changes_labels
        ),
    )
}
