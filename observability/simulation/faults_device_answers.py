"""Faults in the answers of devices: they differ from the server's answers with the same id, and devices may count their answers wrongly."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.serving.device_agreement import GAP, MIN_COMPARED_ANSWERS, NAME, SHARE
from observability.core.errors import UsageError
from observability.core.settings import ModelSettings
from observability.simulation.faults_frames import FrameFault, FramesPlant, PlantedFrames
from observability.stats.arrays import Bools

if TYPE_CHECKING:
    from pandas import DataFrame

DEVICES, FORM, CLEAN_SHARE = 30, "on devices", 0.003
"""Number of invented devices, name of the version that they serve, and share of their answers that differ even without a fault."""


def devices_answer_otherwise(plant: FramesPlant) -> PlantedFrames:
    """A share of the devices' answers differs from the server's answers with the same id."""
    return _planted(plant, counts=True)


def devices_count_wrongly(plant: FramesPlant) -> PlantedFrames:
    """A share of the devices' answers differs from the server's, but the devices do not count these answers."""
    return _planted(plant, counts=False)


def _planted(plant: FramesPlant, *, counts: bool) -> PlantedFrames:
    """The answers of a model, and as its shadow the answers of invented devices to the same requests. counts: whether the devices notice
    the fault.
    """
    rows = _server_answers(plant).assign(device=None)
    names = np.array([f"d{place:02}" for place in plant.rng.integers(0, DEVICES, len(rows))])
    few, many = (plant.rng.random(len(rows)) < share for share in (CLEAN_SHARE, plant.amount))
    regression = plant.context.model.task == "regression"

    def frames(changed: Bools, seen: Bools) -> "dict[str, DataFrame]":
        shadow = rows.assign(device=names, version=FORM)
        if regression:
            shadow["score"] += np.where(changed, 0.5 * rows["score"].std(), 0.0)
        else:
            shadow["decision"] = np.where(changed, (rows["decision"] + 1) % max(len(plant.context.model.classes), 2), rows["decision"])
        counted = shadow.assign(seen=seen).groupby("device").agg(at=("at", "max"), compared=("seen", "size"), hits=("seen", "sum"))
        counted = counted.reset_index().assign(version=FORM, agreed=lambda table: table["compared"] - table["hits"])
        return {"answers": rows, "shadow": shadow, "counts": counted}

    context = replace(plant.context, model=replace(plant.context.model, settings=ModelSettings()))
    about = f"{len(rows):,} answers of {context.model.name}, beside those of {DEVICES} invented devices."
    return PlantedFrames(frames(many, many if counts else few), frames(few, few), context, f"version={FORM}", about)


def _server_answers(plant: FramesPlant) -> "DataFrame":
    """The answers of a model that can be compared. Raises UsageError if they are too few."""
    rows, task = plant.frames["answers"], plant.context.model.task
    known = rows["score"].notna() if task == "regression" else rows["decision"] >= 0
    if task is None or known.sum() < 10 * MIN_COMPARED_ANSWERS:
        expected = f"a registered model with {10 * MIN_COMPARED_ANSWERS} answers in its last week"
        raise UsageError("no answers to compare those of devices with", where=plant.context.model.name, expected=expected)
    return rows[known].reset_index(drop=True)


ANSWERS = "share of the answers"
FAULTS: dict[str, FrameFault] = {
    each.name: each
    for each in (
        FrameFault("devices_answer_otherwise", (0.02, 0.08, 0.3), ANSWERS, SHARE, devices_answer_otherwise, NAME),
        FrameFault("devices_count_wrongly", (0.02, 0.08, 0.3), ANSWERS, GAP, devices_count_wrongly, NAME),
    )
}
