"""Faults of models that steer a system, planted on the decisions of the last week."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.simulation.fault import NamedFault
from observability.stats.arrays import Bools

if TYPE_CHECKING:
    from pandas import DataFrame

SHARE = "share of the model's decisions"
NEWEST = "share of the newest decisions"
TAIL_FACTOR = 30.0
"""A harmful decision costs this many times as much as before."""


@dataclass(frozen=True)
class ControllerFaultPlant:
    """Where and how strongly a fault is planted. decisions: the decisions of one week, oldest first; model: mask of the decisions that the
    model made.
    """

    decisions: "DataFrame"
    model: Bools
    amount: float
    rng: np.random.Generator

    def changed(self, where: Bools, column: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> "DataFrame":
        """The decisions, with the object in one column changed in the rows of `where`."""
        values = [change(each) if mark and isinstance(each, Mapping) else each for mark, each in zip(where, self.decisions[column])]
        replacement: Any = {column: values}
        return self.decisions.assign(**replacement)

    def some(self) -> Bools:
        """A random share of the model's decisions, as a mask."""
        return self.model & (self.rng.random(len(self.decisions)) < self.amount)

    def newest(self) -> Bools:
        """The newest share of all decisions, as a mask."""
        return np.arange(len(self.decisions)) >= round((1 - self.amount) * len(self.decisions))


@dataclass(frozen=True)
class ControllerFault(NamedFault):
    """A fault of a model that steers a system. feature: whether the finding that names it is about an input."""

    feature: bool = False
    section: str = "operations"


def _times(record: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """A label with its value multiplied by a factor."""
    return {**record, "value": float(record["value"]) * factor}


def worse_decisions(plant: ControllerFaultPlant) -> "DataFrame":
    """The model's decisions cost more than before."""
    return plant.changed(plant.model, "label", lambda label: _times(label, 1 + plant.amount))


def harmful_tail(plant: ControllerFaultPlant) -> "DataFrame":
    """A few of the model's decisions cost very much more."""
    return plant.changed(plant.some(), "label", lambda label: _times(label, TAIL_FACTOR))


def guardrail_surge(plant: ControllerFaultPlant) -> "DataFrame":
    """A guardrail gives decisions of the model back to the heuristic."""
    return plant.decisions.assign(status=np.where(plant.some(), "fallback", plant.decisions["status"]))


def low_predictions(plant: ControllerFaultPlant) -> "DataFrame":
    """The model predicts lower outcomes than occur."""
    factor = np.where(plant.model, 1 - plant.amount, 1.0)
    return plant.decisions.assign(score=plant.decisions["score"].astype(float) * factor)


def narrow_intervals(plant: ControllerFaultPlant) -> "DataFrame":
    """The model predicts intervals that are too narrow."""

    def narrowed(extra: Mapping[str, Any]) -> dict[str, Any]:
        low, high = float(extra["score_low"]), float(extra["score_high"])
        cut = plant.amount * (high - low) / 2
        return {**extra, "score_low": low + cut, "score_high": high - cut}

    with_interval = np.array([isinstance(each, Mapping) and {"score_low", "score_high"} <= set(each) for each in plant.decisions["extra"]])
    return plant.changed(plant.model & with_interval, "extra", narrowed)


def feedback_loop(plant: ControllerFaultPlant) -> "DataFrame":
    """A number among the inputs rises while the model steers."""
    name, scale = moved_feature(plant.decisions)
    step = plant.amount * scale

    def moved(features: Mapping[str, Any]) -> dict[str, Any]:
        return {**features, name: features[name] + step} if isinstance(features.get(name), int | float) else dict(features)

    return plant.changed(plant.model, "features", moved)


def moved_feature(decisions: "DataFrame") -> tuple[str, float]:
    """The first number, by name, among those inputs that vary, and its standard deviation; an empty name if there is none."""
    import pandas as pd

    table = pd.DataFrame([each if isinstance(each, Mapping) else {} for each in decisions["features"]])
    numbers = table.select_dtypes("number")
    spread = numbers.std()
    names = sorted(name for name in numbers.columns if spread[name] > 0 and numbers[name].nunique() > 2)
    return (str(names[0]), float(spread[names[0]])) if names else ("", 0.0)


def kill_switch_on(plant: ControllerFaultPlant) -> "DataFrame":
    """Somebody turned the model off, and it stays off."""
    return plant.changed(plant.newest(), "extra", lambda extra: {**extra, "kill_switch": True})


def silent_model(plant: ControllerFaultPlant) -> "DataFrame":
    """The model no longer steers, although nobody turned it off."""
    return plant.changed(plant.newest(), "extra", lambda extra: {**extra, "steered_by": "heuristic"})


FAULTS: dict[str, ControllerFault] = {
    each.name: each
    for each in (
        ControllerFault("worse_decisions", (0.2, 0.5, 1.0), "growth of the outcome", "controller_regret", worse_decisions),
        ControllerFault("harmful_tail", (0.01, 0.04, 0.08), SHARE, "controller_tail_ratio", harmful_tail),
        ControllerFault("guardrail_surge", (0.03, 0.1, 0.3), SHARE, "controller_guardrail_rate", guardrail_surge),
        ControllerFault("low_predictions", (0.12, 0.4, 0.6), "share of the predicted outcome", "controller_bias", low_predictions),
        ControllerFault("narrow_intervals", (0.15, 0.5, 0.8), "share of the interval", "controller_coverage", narrow_intervals),
        ControllerFault("feedback_loop", (0.7, 2.0, 4.0), "standard deviations", "controller_feedback", feedback_loop, feature=True),
        ControllerFault("kill_switch_on", (0.05, 0.2, 0.5), NEWEST, "controller_off_share", kill_switch_on),
        ControllerFault("silent_model", (0.1, 0.3, 0.6), NEWEST, "controller_off_share", silent_model),
    )
}
