"""Replay the analyzer operations/controllers on decisions in which a fault is planted in their last week. The store is only read."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.operations import controllers
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Window
from observability.metrics.controllers import DECISIONS, MODEL, PAST_DAYS, decision_rows
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_controllers import ControllerFault, ControllerFaultPlant, moved_feature

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
WEEK = timedelta(days=7)
BUDGET = 0.0143
MIN_DECISIONS = 200


def replay_on_controller(
    ask: Ask, fault: ControllerFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in the decisions of a model; without a model, in those of the model with most decisions. Raises UsageError if there
    is no suitable model.
    """
    decisions = ask(DECISIONS, Window("", EPOCH, now))
    return replay_controller_fault(decisions[decisions["model"] == model] if model else decisions, fault, strength, seed)


def replay_controller_fault(
    decisions: "DataFrame", fault: ControllerFault, strength: Strength = "middle", seed: int = 0
) -> RecordDetection:
    """Plant the fault in the newest week of a controller, and evaluate it. Raises UsageError if there is no suitable controller."""
    wanted = f"a controller with {MIN_DECISIONS} decisions of its model in a week"
    if decisions.empty:
        raise UsageError(f"no controller to plant {fault.name} on", got="no decisions", expected=wanted)
    model = str(decisions["model"].mode().iloc[0])
    own = decisions[decisions["model"] == model]
    end = own["at"].max() + timedelta(seconds=1)
    start = end - WEEK
    own = own[own["at"] >= start - timedelta(days=PAST_DAYS)].reset_index(drop=True)
    late = (own["at"] >= start).to_numpy()
    week = own[late].reset_index(drop=True)
    steers = (decision_rows(week)["by"] == MODEL).to_numpy()
    feature = moved_feature(week)[0]
    without_interval = fault.name == "narrow_intervals" and not any(
        isinstance(each, Mapping) and "score_low" in each for each in week["extra"]
    )
    if steers.sum() < MIN_DECISIONS or (fault.feature and not feature) or without_interval:
        raise UsageError(f"no controller to plant {fault.name} on", got=f"{int(steers.sum()):,} decisions of {model}", expected=wanted)
    rng = np.random.default_rng([seed, 43])
    changed = fault.plant(ControllerFaultPlant(week, steers, fault.amount(strength), rng))
    window = Window("", aware_utc(start.to_pydatetime()), aware_utc(end.to_pydatetime()))
    seen = [_controller_findings(_joined(own[~late], each), window) for each in (changed, week)]
    target = feature if fault.feature else controllers.SUBJECT
    look = DetectionLook(1, 0, seen[0], seen[1])
    return RecordDetection(fault, strength, "controller", model, "week", 1, target, fault.metric, 1, (look,), f"Decisions of {model}.")


def _joined(before: "DataFrame", week: "DataFrame") -> "DataFrame":
    """The earlier decisions, followed by the decisions of the week."""
    import pandas as pd

    return pd.concat([before, week], ignore_index=True) if len(before) else week


def _controller_findings(decisions: "DataFrame", window: Window) -> tuple[Finding, ...]:
    """Findings about the decisions in a window."""
    context = Context(EVERY_MODEL, NO_VERSION, window, window.end, BUDGET)
    return tuple(worst_first(controllers.analyze({"decisions": decisions}, context)))
