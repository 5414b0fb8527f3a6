"""Replay the analyzer training/selection on labelled answers of a model and of an invented shadow version. The store is only read.

The clean version corrects a tenth of the serving version's errors and makes the same number of new errors, so its loss is the same.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.training import selection
from observability.core.analyzer import Context
from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.core.questions import Sample
from observability.core.window import EPOCH, Window
from observability.metrics.challengers import row_losses
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_selection import SelectionFault, SelectionFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Sample, Window], "DataFrame"]
CHALLENGER, ROWS, SWAPPED = "challenger", 2500, 0.1


def replay_on_selection(ask: Ask, model: Model, fault: SelectionFault, strength: Strength, now: datetime, seed: int = 0) -> RecordDetection:
    """Plant the fault in a shadow version beside the newest version with enough labelled answers. Raises UsageError if no version has
    enough.
    """
    for version in reversed(model.versions):
        columns = (*selection.COLUMNS, *(each.reference for each in model.features()))
        rows = ask(Sample("outcomes", columns, ROWS), Window(model.name, EPOCH, now, version.name))
        if np.isfinite(row_losses(model, rows)).sum() >= selection.MIN_PAIRS:
            return replay_selection_fault(model, version, rows, fault, strength, now, seed)
    raise UsageError(f"no version to plant {fault.name} beside", where=model.name, expected=f"{selection.MIN_PAIRS} labelled answers")


def replay_selection_fault(
    model: Model, version: Version, rows: "DataFrame", fault: SelectionFault, strength: Strength, now: datetime, seed: int = 0
) -> RecordDetection:
    """Plant the fault in a shadow version made from labelled answers of a serving version, and evaluate the shadow with and without the
    fault.
    """
    rng = np.random.default_rng([seed, 53])
    known = rows[np.isfinite(row_losses(model, rows))].reset_index(drop=True)
    clean = equal_challenger(model, known, rng).assign(version=CHALLENGER)
    planted = fault.plant(SelectionFaultPlant(model, clean, fault.amount(strength), rng))
    context = Context(model, version, Window(model.name, now - timedelta(days=7), now, version.name), now)

    def evaluated(others: "DataFrame") -> tuple[Finding, ...]:
        return tuple(selection.analyze({"champion": known, "others": others}, context))

    look = DetectionLook(len(known), 0, evaluated(planted), evaluated(clean))
    about = f"Labelled answers of {model.name} {version.name}."
    target = f"challenger={CHALLENGER}"
    return RecordDetection(fault, strength, "comparison", model.name, "row", len(known), target, version.name, 1, (look,), about)


def equal_challenger(model: Model, rows: "DataFrame", rng: np.random.Generator) -> "DataFrame":
    """Answers with about the same loss as the logged answers: some errors are corrected, and the same number of right answers become
    errors.
    """
    if model.task == "regression":
        errors = (rows["score"] - rows["label_value"]).to_numpy()
        places = rng.permutation(len(rows))[: round(SWAPPED * len(rows))]
        moved = errors.copy()
        moved[places] = errors[rng.permutation(places)]
        return rows.assign(score=rows["label_value"] + moved)
    decision, label = (rows[name].to_numpy().copy() for name in ("decision", "label"))
    wrong = rng.permutation(np.flatnonzero(decision != label))
    for place in wrong[: round(SWAPPED * len(wrong))]:
        alike = np.flatnonzero((decision == label) & (label == label[place]))
        if alike.size:
            other = int(rng.choice(alike))
            decision[other], decision[place] = decision[place], label[place]
    return rows.assign(decision=decision)
