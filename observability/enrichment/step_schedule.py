"""Chooses the next enrichment step by its predicted time. The product uses a small model for this, and monitors it like any other
controller.

The step with the shortest expected time comes first. Before this model, the rule was a rotation of jobs and models. Each round of waiting
reduces the time by which a step is ranked, and after MAX_SKIPS rounds the step goes first, so that no step waits for ever. The caller tries
every step in this order, so no step is lost. The rotation steers in three cases: while the kill switch is on, in its share of the time, and
while the guardrail stops the model. The guardrail stops the model until MIN_MEASURED steps are measured. It also stops the model for
GUARD_REST decisions if its predictions were wrong by more than a factor of GUARD_ERROR.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from statistics import median
from typing import Any, Literal

from observability.core.catalog import OWN_CONTROLLER
from observability.core.switches import is_disabled

Step = tuple[str, str]
"""The name of a job and the name of a model."""
Steering = Literal["model", "heuristic", "guardrail", "off"]
VERSION = "1"
SWITCH = "OBSERVABILITY_SCHEDULE"
MIN_MEASURED, MAX_SKIPS, AGEING = 10, 8, 0.75
"""Number of steps that must be measured before the model steers; number of rounds after which a step goes first; factor on the ranked time
of a step for each round of waiting.
"""
GUARD_LAST, GUARD_ERROR, GUARD_REST = 12, 3.0, 20
"""The guardrail uses the last GUARD_LAST predictions. If their median error exceeds a factor of GUARD_ERROR, it takes over for GUARD_REST
decisions.
"""
SHARE_SECONDS, SHARE = 120, 5
"""Time is divided into blocks of this many seconds. The rotation steers one in SHARE of the blocks, chosen by a hash."""
LEARNING, SHRINKAGE, FIRST_SECONDS, MIN_SPREAD = 0.2, 2.0, 5.0, 0.15
"""Weight of the newest time; weight of the mean of all steps within a step's mean, as a number of measurements; first guess in seconds;
minimum spread of the logarithms.
"""
Z_90 = 1.645


@dataclass
class TimeMean:
    """A mean of logarithms of seconds, with their spread and their number. Newer values weigh more."""

    mean: float = math.log(FIRST_SECONDS)
    square: float = 0.5
    n: int = 0

    def add(self, value: float) -> None:
        """Add a logarithm of seconds to the mean."""
        if not self.n:
            self.mean = value
        weight = max(LEARNING, 1 / (self.n + 1))
        error = value - self.mean
        self.mean += weight * error
        self.square += weight * (error**2 - self.square)
        self.n += 1


@dataclass(frozen=True)
class PredictedTime:
    """The expected time of a step in seconds, and the interval that contains nine of ten times."""

    seconds: float
    low: float
    high: float


@dataclass(frozen=True)
class ScheduledStep:
    """A decision: the order in which steps are tried, what chose this order, and the order of the rotation. at: UTC."""

    order: tuple[Step, ...]
    rotation: tuple[Step, ...]
    by: Steering
    predicted: Mapping[Step, PredictedTime]
    skips: Mapping[Step, int]
    at: datetime


@dataclass
class StepScheduler:
    """The state of the schedule. times: mean time by step, and of all steps under the key None; skips: number of rounds that a step with
    work has waited.
    """

    times: dict[Step | None, TimeMean] = field(default_factory=dict)
    skips: dict[Step, int] = field(default_factory=dict)
    errors: deque[float] = field(default_factory=lambda: deque(maxlen=GUARD_LAST))
    rest: int = 0

    def predicted(self, step: Step) -> PredictedTime:
        """The expected time of a step: its own mean, mixed with the mean of all steps."""
        own, every = self.times.get(step, TimeMean()), self.times.get(None, TimeMean())
        mean = (own.n * own.mean + SHRINKAGE * every.mean) / (own.n + SHRINKAGE)
        square = (own.n * own.square + SHRINKAGE * every.square) / (own.n + SHRINKAGE)
        spread = max(math.sqrt(square), MIN_SPREAD)
        return PredictedTime(math.exp(mean + spread**2 / 2), math.exp(mean - Z_90 * spread), math.exp(mean + Z_90 * spread))

    def learned(self, step: Step, seconds: float) -> None:
        """Learn how long a step took."""
        value = math.log(max(seconds, 1e-3))
        for name in (step, None):
            self.times.setdefault(name, TimeMean()).add(value)

    def scheduled(self, rotation: Sequence[Step], off: bool, now: datetime | None = None) -> ScheduledStep:
        """The order in which the steps of a rotation are tried. off: whether the kill switch is on."""
        at, predicted = now or datetime.now(UTC), {step: self.predicted(step) for step in rotation}
        by = self._steering(off, at)
        order = list(rotation)
        if by == "model":
            place = {step: index for index, step in enumerate(rotation)}
            order.sort(key=lambda step: (self._late(step), predicted[step].seconds * AGEING ** self.skips.get(step, 0), place[step]))
        return ScheduledStep(tuple(order), tuple(rotation), by, predicted, dict(self.skips), at)

    def ran(self, decided: ScheduledStep, step: Step, seconds: float, waiting: Sequence[Step]) -> None:
        """Learn from the step that ran, and count a round of waiting for the others. waiting: steps that may have work."""
        if decided.by != "off":
            self.errors.append(abs(math.log(max(seconds, 1e-3) / decided.predicted[step].seconds)))
        self.rest = max(self.rest - 1, 0)
        if len(self.errors) == GUARD_LAST and median(self.errors) > math.log(GUARD_ERROR):
            self.rest = GUARD_REST
            self.errors.clear()
        self.learned(step, seconds)
        self.skips = {other: self.skips.get(other, 0) + 1 for other in waiting if other != step}

    def _late(self, step: Step) -> tuple[int, int]:
        """A sort key that puts steps that were passed over too often before all others, the longest wait first."""
        waited = self.skips.get(step, 0)
        return (0, -waited) if waited >= MAX_SKIPS else (1, 0)

    def _steering(self, off: bool, at: datetime) -> Steering:
        """What chooses the next step: the model, the rotation in its share of the time (`heuristic`), the guardrail, or the rotation
        because the model is switched off.
        """
        if off:
            return "off"
        if self.rest or self.times.get(None, TimeMean()).n < MIN_MEASURED:
            return "guardrail"
        return "heuristic" if is_share_of_rotation(at) else "model"


def is_share_of_rotation(at: datetime) -> bool:
    """Whether the rotation steers the block of time that contains `at`."""
    block = int(at.timestamp() // SHARE_SECONDS)
    return md5(str(block).encode(), usedforsecurity=False).digest()[0] % SHARE == 0


def is_switched_off(settings_off: bool) -> bool:
    """Whether the kill switch is on: in the settings of the controller, or in the environment."""
    return settings_off or is_disabled(SWITCH)


def decision_records(
    decided: ScheduledStep, step: Step, seconds: float, waiting: Sequence[Step], rule_step: Step, rule_seconds: float | None, name: str
) -> list[dict[str, Any]]:
    """A decision and its outcome as records: a prediction with environment `controller`, and its label.

    rule_step: the step that the rotation would have run; rule_seconds: how long that step took, None if it did not run. name: the id.
    """
    expected = decided.predicted[step]
    prediction: dict[str, Any] = {
        "kind": "prediction", "id": name, "at": decided.at.isoformat(), "model": OWN_CONTROLLER, "version": VERSION,
        "environment": "controller",
        "features": {
            "job": step[0], "about": step[1], "waiting": len(waiting), "skipped": decided.skips.get(step, 0),
            "longest_wait": max(decided.skips.values(), default=0),
        },
        "prediction": "/".join(step), "score": expected.seconds, "score_low": expected.low, "score_high": expected.high,
        "interval_level": 0.9, "baseline": "/".join(rule_step), "unit": "s", "system": "scheduler",
        "steered_by": "model" if decided.by == "model" else "heuristic",
    }  # fmt: skip
    if decided.by == "guardrail":
        prediction["status"] = "fallback"
    if decided.by == "off":
        prediction["kill_switch"] = True
    label: dict[str, Any] = {"kind": "label", "id": name, "at": datetime.now(UTC).isoformat(), "model": OWN_CONTROLLER, "value": seconds}
    if rule_seconds is not None:
        label["baseline_outcome"] = rule_seconds
    return [prediction, label]
