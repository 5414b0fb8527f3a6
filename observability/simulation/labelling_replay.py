"""Replay the labelling analyzers on records with a planted fault.

The records come from the model's own labelling projects if these have enough of them; otherwise they are simulated. The fault begins a week
before the records end. From then on, data/labels and data/labelling evaluate each day as of its end, with only the records up to that time.
The twin is the project without the fault. The store is only read.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers import discover
from observability.analyzers.data import labelling, labels
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Analyzer, Ask, Context
from observability.core.catalog import Model
from observability.core.finding import Finding, worst_first
from observability.core.questions import Aggregate, By, Records
from observability.core.time import aware_utc, naive_utc
from observability.core.window import EPOCH, Window
from observability.incidents.labelling_causes import causes_first
from observability.metrics.prices import PRICES
from observability.monitoring.check import RUNS_A_WEEK, WEEKLY_FALSE_DISCOVERIES
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_labelling import LabelFault, LabelFaultPlant
from observability.simulation.labelling_project import LabellingRecords, simulated_labelling_records
from observability.stats.multiple_testing import fdr_per_look

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

DAYS, WINDOW_DAYS = 7, 7
MINIMUM_DAYS, MINIMUM_LABELS = 35, 1000
"""What a model's own labelling records need in order to be used: the days that they span (four weeks before the fault and the week of it),
and the number of labels.
"""
ITEMS_A_DAY = 60
REGRESSION_CLASSES = {"low": 1.0, "middle": 1.0, "high": 1.0}
"""Simulated labels for a regression model: classes with their relative frequencies."""


def labelling_records(store: "Store", model: Model, now: datetime, seed: int = 0, items_a_day: int = ITEMS_A_DAY) -> LabellingRecords:
    """The model's own labelling records if there are enough; otherwise simulated clean records."""
    window = Window(model.name, EPOCH, now)
    projects = model.settings.projects or (model.name,)
    only = (("project", projects),)

    def fetched(question: Records) -> "DataFrame":
        """The store's answer to a question, over all time up to `now`."""
        return store.ask(question, window)

    annotated, assigned = fetched(replace(labelling.ANNOTATED, only=only, ever=True)), fetched(replace(labels.ASSIGNED, only=only))
    if len(annotated) >= MINIMUM_LABELS and annotated["at"].max() - annotated["at"].min() >= timedelta(days=MINIMUM_DAYS):
        end = annotated["at"].max().to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0)
        source_note = f"The model's own labelling records ({len(annotated):,} labels, to {end:%Y-%m-%d})."
        return LabellingRecords(annotated[annotated["at"] < end], assigned[assigned["at"] < end], fetched(PRICES), end, source_note)
    end = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return simulated_labelling_records(projects[0], _class_shares(store, model, window), items_a_day, seed, end)


def _class_shares(store: "Store", model: Model, window: Window) -> dict[str, float]:
    """Relative frequency of each class in the model's labels; equal frequencies if a class has no label."""
    if not model.classes:
        return REGRESSION_CLASSES
    found = store.ask(Aggregate("outcomes", keys=(By("label"),)), window)
    counted = {int(label): float(n) for label, n in zip(found["label"], found["n"], strict=True)}
    shares = {name: counted.get(place, 0.0) for place, name in enumerate(model.classes)}
    return shares if min(shares.values()) > 0 else dict.fromkeys(model.classes, 1.0)


def replay_labelling_fault(
    project: LabellingRecords, model: Model, fault: LabelFault, strength: Strength = "middle", seed: int = 0, *, looks: int = DAYS
) -> RecordDetection:
    """Plant the fault in the records and evaluate it day by day. Raises UsageError if the records lack what the fault needs.

    looks: how many of the last days are evaluated.
    """
    onset = project.end - timedelta(days=DAYS)
    planted = fault.plant(LabelFaultPlant(project, onset, fault.amount(strength), np.random.default_rng([seed, 23])))
    found = []
    for day in range(DAYS - looks + 1, DAYS + 1):
        end = onset + timedelta(days=day)
        found.append(DetectionLook(day, day, labelling_findings(planted.project, model, end), labelling_findings(project, model, end)))
    name = ", ".join(model.settings.projects or (model.name,))
    return RecordDetection(
        fault, strength, "project", name, "day", DAYS, planted.target, planted.detail, 1, tuple(found), project.source_note
    )


def labelling_findings(project: LabellingRecords, model: Model, end: datetime) -> tuple[Finding, ...]:
    """Findings as of the end of a day (naive UTC) about the week before it, from only the records up to that time. A cause comes before its
    consequences.
    """
    until = aware_utc(end)
    questions = max(sum(each.about == "model" for each in discover()), 1)
    window = Window(model.name, until - timedelta(days=WINDOW_DAYS), until)
    own = Context(model, NO_VERSION, window, until, fdr_per_look(WEEKLY_FALSE_DISCOVERIES, RUNS_A_WEEK, 1, questions))
    known = {"model_projects": frozenset(model.settings.projects or (model.name,))}
    of_all = Context(EVERY_MODEL, NO_VERSION, replace(window, model=""), until, WEEKLY_FALSE_DISCOVERIES / RUNS_A_WEEK, known)
    found = [*_analyzer_findings(project, labels.ANALYZER, own), *_analyzer_findings(project, labelling.ANALYZER, of_all)]
    return tuple(causes_first(worst_first(found)))


def _analyzer_findings(project: LabellingRecords, analyzer: Analyzer, context: Context) -> list[Finding]:
    """Findings of one analyzer about the records."""
    return analyzer.analyze({name: _labelling_answer(project, each, context) for name, each in analyzer.needs(context).items()}, context)


def _labelling_answer(project: LabellingRecords, wanted: Ask, context: Context) -> "DataFrame":
    """The records that answer one question of the analyzer."""
    question: Any = wanted.aggregate
    frame = {"annotation": project.annotated, "assignment": project.assigned, "price": project.prices}[question.kind]
    moment = "from" if question.kind == "price" else "at"
    span = context.window.past(wanted.days) if wanted.span == "past" else context.window
    inside = frame[moment] < naive_utc(span.end)
    rows = frame[inside if question.ever else inside & (frame[moment] >= naive_utc(span.start))]
    return rows[list(question.columns)]
