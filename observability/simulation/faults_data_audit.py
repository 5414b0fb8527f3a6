"""Faults of the rows of a dataset: a column that gives the label, held-out rows in the training data, contradicted labels, copied rows.

Each fault is planted in a simulated table, which is audited as `audit-data` does it. The twin, for comparison, is the same table without
the fault.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.time import naive_utc
from observability.metrics.audited_data import DATA_AUDITS
from observability.metrics.table_audit import LabelledRows, audit_rows
from observability.simulation.faults_frames import FrameFault, FramesPlant, PlantedFrames

if TYPE_CHECKING:
    from pandas import DataFrame

CLEANING = "data/cleaning"
DATASET = "simulated people"
ROWS, HELD_OUT_ROWS = 400, 300
COARSE_EVERY = 4
"""Every nth simulated table has columns with only a few values, so that some of its rows are equal by chance."""


@dataclass(frozen=True)
class TablePlant:
    """Where and how strongly a fault is planted. train, held: rows with a column `label`; amount: share of rows."""

    train: "DataFrame"
    held: "DataFrame"
    amount: float
    rng: np.random.Generator

    def some(self, table: "DataFrame") -> "DataFrame":
        """A random share of the rows of a table."""
        return table.iloc[np.sort(self.rng.choice(len(table), round(self.amount * len(table)), replace=False))]


Tables = tuple["DataFrame", "DataFrame"]


def simulated_table(rng: np.random.Generator, rows: int, coarse: bool = False) -> "DataFrame":
    """Return rows with two numbers, a category, and a label of two classes that depends on the numbers, with noise. coarse: whether the
    columns have only a few values.
    """
    import pandas as pd

    numbers = rng.normal(size=(rows, 2))
    chance = 1 / (1 + np.exp(-1.6 * numbers[:, 0] - 0.9 * numbers[:, 1]))
    table = pd.DataFrame(np.round(numbers) if coarse else numbers.round(4), columns=["income", "age"])
    table["region"] = rng.choice(["north", "east", "south", "west"], rows, p=(0.4, 0.3, 0.2, 0.1))
    return table.assign(label=np.where(rng.random(rows) < chance, "yes", "no"))


def audited_frame(train: "DataFrame", held: "DataFrame", plant: FramesPlant, seed: int = 0) -> "DataFrame":
    """Return the record of a real audit of a table, in the form that the analyzer reads. Models are fitted only for labels and columns."""
    import pandas as pd

    parts = [(table.drop(columns="label"), table["label"]) for table in (train, held)]
    found, _ = audit_rows(LabelledRows(*parts[0], held_out=parts[1]), seed=seed, effects=False)
    row = {"dataset": DATASET, "version": "1", "at": naive_utc(plant.context.window.end) - timedelta(hours=1), "rows": len(train)}
    return pd.DataFrame([row | {"extra": {"data_audit": found}}], columns=list(DATA_AUDITS.columns or ()))


def clean_audit(plant: FramesPlant, coarse: bool = False) -> "DataFrame":
    """Return the record of the audit of a simulated table without a fault."""
    train = simulated_table(plant.rng, ROWS, coarse)
    return audited_frame(train, simulated_table(plant.rng, HELD_OUT_ROWS, coarse), plant)


def column_gives_label(plant: TablePlant) -> Tables:
    """A column reveals the label in a share of the rows, and holds a random label in all other rows."""

    def leaked(table: "DataFrame") -> "DataFrame":
        given = np.where(plant.rng.random(len(table)) < plant.amount, table["label"], plant.rng.choice(["yes", "no"], len(table)))
        return table.assign(outcome_code=given)

    return leaked(plant.train), leaked(plant.held)


def held_out_leak(plant: TablePlant) -> Tables:
    """A share of the held-out rows is also in the training data."""
    import pandas as pd

    return pd.concat([plant.train, plant.some(plant.held)], ignore_index=True), plant.held


def conflicting_labels(plant: TablePlant) -> Tables:
    """A share of the rows stands in the data once more, with another label."""
    import pandas as pd

    other = plant.some(plant.train)
    return pd.concat([plant.train, other.assign(label=np.where(other["label"] == "yes", "no", "yes"))], ignore_index=True), plant.held


def duplicate_rows(plant: TablePlant) -> Tables:
    """A share of the rows stands in the data twice."""
    import pandas as pd

    return pd.concat([plant.train, plant.some(plant.train)], ignore_index=True), plant.held


def audited_with(fault: Callable[[TablePlant], Tables]) -> Callable[[FramesPlant], PlantedFrames]:
    """Return a function that plants a fault in a simulated table, and audits the table with and without the fault."""

    def planted(plant: FramesPlant) -> PlantedFrames:
        train, held = simulated_table(plant.rng, ROWS), simulated_table(plant.rng, HELD_OUT_ROWS)
        clean = audited_frame(train, held, plant)
        faulty = audited_frame(*fault(TablePlant(train, held, plant.amount, plant.rng)), plant)
        frames = {name: frame.iloc[:0] for name, frame in plant.frames.items()}
        about = f"A simulated table of {ROWS:,} training and {HELD_OUT_ROWS:,} held-out rows."
        return PlantedFrames(frames | {"audits": faulty}, frames | {"audits": clean}, plant.context, f"dataset:{DATASET}", about)

    planted.__doc__ = fault.__doc__
    return planted


FAULTS: dict[str, FrameFault] = {
    name: FrameFault(name, amounts, "share of rows", metric, audited_with(fault), CLEANING)
    for name, amounts, metric, fault in (
        ("column_gives_label", (0.96, 0.99, 1.0), "audited_leak", column_gives_label),
        ("held_out_leak", (0.03, 0.1, 0.4), "audited_overlap", held_out_leak),
        ("conflicting_labels", (0.02, 0.05, 0.2), "audited_conflicts", conflicting_labels),
        ("duplicate_rows", (0.08, 0.15, 0.4), "audited_duplicates", duplicate_rows),
    )
}
