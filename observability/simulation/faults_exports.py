"""Faults of exports: an overspent privacy budget, groups that are too small, untransformed personal columns, a wrong hash, checklist items
that are not met, a canary that returns.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from observability.simulation.fault import NamedFault

Row = dict[str, Any]


@dataclass(frozen=True)
class ExportFaultPlant:
    """Where and how strongly a fault is planted.

    rows: the exports to the recipient in the last week. level: what the owner allows this recipient. amount: the amount of the fault.
    spent: ε of all exports to the recipient. sightings: predictions that contain a canary; planted faults add to them.
    """

    rows: Sequence[Row]
    level: Mapping[str, Any]
    amount: float
    rng: np.random.Generator
    sightings: Sequence[Row] = field(default_factory=tuple)

    def with_rows(self, change: Callable[[Row], Row]) -> "ExportFaultPlant":
        """The plant with its newest export changed."""
        *before, last = self.rows
        return replace(self, rows=[*before, change(dict(last))])

    def with_last_fields(self, **fields: Any) -> "ExportFaultPlant":
        """The same plant, with some fields of its newest export replaced."""
        return self.with_rows(lambda row: {**row, **fields})


@dataclass(frozen=True)
class ExportFault(NamedFault):
    """A fault of exports."""

    section: str = "trust"


def overspent_budget(plant: ExportFaultPlant) -> ExportFaultPlant:
    """A release takes the privacy loss of a recipient beyond its budget."""
    return plant.with_last_fields(epsilon=plant.amount * float(plant.level["epsilon"]), delta=1e-6, mechanism=None, transform="noised")


def small_groups_exported(plant: ExportFaultPlant) -> ExportFaultPlant:
    """An export has groups that are smaller than the owner allows."""
    return plant.with_last_fields(k=float(max(1, int((1 - plant.amount) * float(plant.level["k"])))))


def bare_personal_columns(plant: ExportFaultPlant) -> ExportFaultPlant:
    """Personal columns leave without a transform or a legal basis."""

    def change(row: Row) -> Row:
        added = {f"personal {place + 1}": {"tag": "personal"} for place in range(int(plant.amount))}
        return {**row, "columns": {**(row["columns"] or {}), **added}, "transform": None, "legal_basis": None}

    return plant.with_rows(change)


def other_attestation(plant: ExportFaultPlant) -> ExportFaultPlant:
    """In a share of the exports, the recipient's enclave attests another hash than expected."""
    count = max(round(plant.amount * len(plant.rows)), 1)
    rows = [{**row, "attestation": "sha256:another"} if place >= len(plant.rows) - count else row for place, row in enumerate(plant.rows)]
    return replace(plant, rows=rows)


def unmet_checklist(plant: ExportFaultPlant) -> ExportFaultPlant:
    """Training on another party's machines does not meet some items of its checklist."""
    items = [str(name) for name in plant.level["checklist"]]
    failing = set(plant.rng.permutation(items)[: int(plant.amount)].tolist())
    return plant.with_last_fields(checklist={name: name not in failing for name in items})


def returning_canary(plant: ExportFaultPlant) -> ExportFaultPlant:
    """Predictions of a model contain a canary that was part of an earlier export."""
    seen = [
        {
            "canary": plant.level["canary"],
            "model": "a model",
            "version": "1",
            "environment": "production",
            "id": f"p{place}",
            "place": "the answer",
            "at": plant.rows[-1]["at"],
        }
        for place in range(int(plant.amount))
    ]
    return replace(plant, sightings=[*plant.sightings, *seen])


FAULTS: dict[str, ExportFault] = {
    each.name: each
    for each in (
        ExportFault("overspent_budget", (1.02, 1.2, 3.0), "times the budget", "export_epsilon", overspent_budget),
        ExportFault("small_groups_exported", (0.1, 0.5, 0.9), "of the smallest k too few", "export_k", small_groups_exported),
        ExportFault("bare_personal_columns", (1, 2, 5), "columns", "export_personal_columns", bare_personal_columns),
        ExportFault("other_attestation", (0.1, 0.5, 1.0), "share of exports", "export_attestation", other_attestation),
        ExportFault("unmet_checklist", (1, 2, 4), "items", "export_checklist", unmet_checklist),
        ExportFault("returning_canary", (1, 3, 20), "predictions", "canary_sightings", returning_canary),
    )
}
