"""Keeps the decisions of the scheduler of enrichment steps for a while, so that the other outcome may become known; stores them, and learns
from stored ones.
"""

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from observability.core.catalog import OWN_CONTROLLER
from observability.core.errors import ObservabilityError
from observability.core.questions import CONTROLLER_DECISION, Records
from observability.core.window import EPOCH, Window
from observability.enrichment.step_schedule import (
    ScheduledStep,
    Step,
    StepScheduler,
    decision_records,
    is_switched_off,
)

if TYPE_CHECKING:
    from datetime import datetime

    from observability.store.engine import Store

LOG = logging.getLogger(__name__)
MAX_KEPT, RECALLED = 40, 500
"""Maximum number of decisions kept in memory, and number of stored decisions that a new process learns from."""


@dataclass
class KeptDecision:
    """A decision that is not stored yet, with the step that ran and the step that the rotation would have run (`rule_step`)."""

    decided: ScheduledStep
    step: Step
    seconds: float
    waiting: tuple[Step, ...]
    rule_step: Step
    rule_seconds: float | None = None


@dataclass
class ScheduleLog:
    """The scheduler of a process, and its decisions that are not stored yet."""

    scheduler: StepScheduler = field(default_factory=StepScheduler)
    kept: list[KeptDecision] = field(default_factory=list)
    idle: set[Step] = field(default_factory=set)
    generation: int = -1
    recalled: bool = False

    def scheduled(self, store: "Store", rotation: Sequence[Step]) -> ScheduledStep:
        """The next order of steps. Steps without work are remembered in `idle` until the store changes."""
        if not self.recalled:
            self.recalled = True
            recall_times(store, self.scheduler)
        if store.generation != self.generation:
            self.idle.clear()
        return self.scheduler.scheduled(rotation, is_switched_off(_settings_off(store)))

    def ran(self, store: "Store", decided: ScheduledStep, step: Step, seconds: float) -> None:
        """Record that a step did some work, and how long it took."""
        waiting = tuple(each for each in decided.rotation if each not in self.idle)
        rule_step = next((each for each in decided.rotation if each not in self.idle), step)
        self.scheduler.ran(decided, step, seconds, waiting)
        for each in self.kept:
            if each.rule_seconds is None and each.rule_step == step:
                each.rule_seconds = seconds
        own = seconds if rule_step == step else None
        self.kept.append(KeptDecision(decided, step, seconds, waiting, rule_step, own))
        self.generation = store.generation
        if len(self.kept) >= MAX_KEPT:
            self.stored(store)

    def stored(self, store: "Store") -> None:
        """Store the kept decisions. If the store refuses them, they are dropped with a warning and the schedule continues."""
        records = [
            record
            for each in self.kept
            for record in decision_records(
                each.decided, each.step, each.seconds, each.waiting, each.rule_step, each.rule_seconds, f"step-{uuid.uuid4().hex[:16]}"
            )
        ]
        self.kept.clear()
        if not records:
            return
        try:
            store.write_records(records)
        except ObservabilityError as error:
            LOG.warning("decisions of the scheduler were not stored: %s", error)
        self.generation = store.generation


def recall_times(store: "Store", scheduler: StepScheduler) -> None:
    """Learn the times of steps from the newest stored decisions. Does nothing if there are none or they cannot be read."""
    question = Records(CONTROLLER_DECISION, ("at", "features", "label"), ever=True, rows=RECALLED)
    try:
        if not any(model.name == OWN_CONTROLLER for model in store.catalog().models):
            return
        rows = store.ask(question, Window(OWN_CONTROLLER, EPOCH, _far_future()))
    except ObservabilityError as error:
        LOG.warning("earlier decisions of the scheduler cannot be read: %s", error)
        return
    for features, label in zip(rows["features"], rows["label"]):
        if (step := _step_of(features)) is not None and (seconds := _seconds_of(label)) is not None:
            scheduler.learned(step, seconds)


def _far_future() -> "datetime":
    """A day after now, so that every stored decision is before it."""
    from datetime import UTC, datetime, timedelta

    return datetime.now(UTC) + timedelta(days=1)


def _step_of(features: Any) -> Step | None:
    """The step of a stored decision. None if it is not readable."""
    if not isinstance(features, Mapping) or not isinstance(features.get("job"), str) or not isinstance(features.get("about"), str):
        return None
    return features["job"], features["about"]


def _seconds_of(label: Any) -> float | None:
    """The time in a stored outcome. None if it is not a positive, finite number."""
    try:
        seconds = float(label["value"])
    except (TypeError, KeyError, ValueError):
        return None
    return seconds if 0 < seconds < float("inf") else None


def _settings_off(store: "Store") -> bool:
    """Whether the settings of the controller turn it off."""
    return any(model.name == OWN_CONTROLLER and model.settings.kill_switch for model in store.catalog().models)
