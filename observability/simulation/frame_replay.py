"""Replay an analyzer on the frames that it reads, with a planted fault and without it. The store is only read."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers import discover
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.monitoring.check import serving_versions
from observability.monitoring.check_windows import model_check_window, question_window, record_check_window
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_frames import FrameFault, FramesPlant

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Engine


def replay_on_frames(
    engine: "Engine", fault: FrameFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in the data of the given model, or of the first suitable model. Raises UsageError if no model is suitable."""
    analyzer = next(each for each in discover() if each.name == fault.analyzer)
    why: UsageError | None = None
    for context in _contexts(engine, analyzer, now, model):
        frames = {name: engine.ask(wanted.aggregate, question_window(wanted, context)) for name, wanted in analyzer.needs(context).items()}
        if not frames:
            continue
        try:
            return replay_frame_fault(frames, context, fault, strength, seed)
        except UsageError as error:
            why = why or error
    raise why or UsageError(f"nothing to plant {fault.name} on", expected=f"a model that {fault.analyzer} reads")


def _contexts(engine: "Engine", analyzer: Analyzer, now: datetime, model: str | None) -> Iterator[Context]:
    """The contexts of the last window: a single one for all records, or one for each version that served, of one model or of every
    model.
    """
    if analyzer.about == "records":
        window = record_check_window(engine, analyzer, model, None, None, None, now)
        yield Context(EVERY_MODEL, NO_VERSION, window, window.end)
        return
    catalog, activity = engine.catalog(), engine.activity()
    for each in [catalog.model(model)] if model else catalog.models:
        window, _ = model_check_window(each, activity, start=None, end=None, as_of=None, now=now)
        for version in reversed(serving_versions(engine, each, window)):
            yield Context(each, version, window, window.end)


def replay_frame_fault(
    frames: Mapping[str, "DataFrame"], context: Context, fault: FrameFault, strength: Strength = "middle", seed: int = 0
) -> RecordDetection:
    """Plant the fault in the frames of its analyzer and evaluate them. Raises UsageError if the frames lack the columns that the fault
    needs.
    """
    analyzer = next(each for each in discover() if each.name == fault.analyzer)
    planted = fault.plant(FramesPlant(frames, context, fault.amount(strength), np.random.default_rng([seed, 59])))

    def evaluated(these: Mapping[str, "DataFrame"]) -> tuple[Finding, ...]:
        return tuple(worst_first(analyzer.analyze(these, planted.context)))

    look = DetectionLook(1, 0, evaluated(planted.faulty), evaluated(planted.clean))
    name = planted.context.model.name or planted.subject
    return RecordDetection(fault, strength, "check", name, "check", 1, planted.subject, "", 1, (look,), planted.about)
