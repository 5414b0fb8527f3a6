"""What would have been said of a model's labelling, had this fault been in it?

The records are those of the model's own projects where they tell enough, else of a simulated clean project. The fault begins a week before their end, and
every day from there is judged as of its end by the analyzers data/labels and data/labelling, with only the records up to it. Its twin is the project as it was. The store is only read.
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
from observability.metrics.prices import PRICES
from observability.monitoring.check import RUNS_A_WEEK, WEEKLY_FALSE_DISCOVERIES, put
from observability.simulation.detection_result import Look, Told
from observability.simulation.fault import Strength
from observability.simulation.faults_labelling import FAULTS, LabelFault, ProjectPlant
from observability.simulation.labelling_project import Project, simulated
from observability.stats.multiple import spend

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.db.database import Store

DAYS, WINDOW_DAYS = 7, 7
LEAST_DAYS, LEAST_LABELS = 35, 1000
"""What a project of one's own needs: four weeks before the fault and its week, and so many labels in them."""
ITEMS_A_DAY = 60
MIDDLING = {"low": 1.0, "middle": 1.0, "high": 1.0}
"""Labels of a simulated project of a model that predicts a number."""


def project_of(store: "Store", model: Model, now: datetime, seed: int = 0, items_a_day: int = ITEMS_A_DAY) -> Project:
    """The model's own records where they tell enough, else a simulated clean project."""
    window = Window(model.name, EPOCH, now)
    projects = model.settings.projects or (model.name,)
    only = (("project", projects),)

    def fetched(question: Records) -> "DataFrame":
        """The answer to a question about all that ever came."""
        return put(store, question, window)

    annotated, assigned = fetched(replace(labelling.ANNOTATED, only=only, ever=True)), fetched(replace(labels.ASSIGNED, only=only))
    if len(annotated) >= LEAST_LABELS and annotated["at"].max() - annotated["at"].min() >= timedelta(days=LEAST_DAYS):
        end = annotated["at"].max().to_pydatetime().replace(hour=0, minute=0, second=0, microsecond=0)
        told = f"The model's own labelling records ({len(annotated):,} labels, to {end:%Y-%m-%d})."
        return Project(annotated[annotated["at"] < end], assigned[assigned["at"] < end], fetched(PRICES), end, told)
    end = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    return simulated(projects[0], class_shares(store, model, window), items_a_day, seed, end)


def class_shares(store: "Store", model: Model, window: Window) -> dict[str, float]:
    """How often each class is right, by the labels of the model; alike where there are none."""
    if not model.classes:
        return MIDDLING
    found = put(store, Aggregate("outcomes", keys=(By("label"),)), window)
    counted = {int(label): float(n) for label, n in zip(found["label"], found["n"], strict=True)}
    shares = {name: counted.get(place, 0.0) for place, name in enumerate(model.classes)}
    return shares if min(shares.values()) > 0 else dict.fromkeys(model.classes, 1.0)


def tell(project: Project, model: Model, fault: LabelFault, strength: Strength = "middle", seed: int = 0) -> Told:
    """Plants the fault in the records of a project and judges it day by day. Raises UsageError where the project lacks what the fault needs."""
    onset = project.end - timedelta(days=DAYS)
    planted = fault.plant(ProjectPlant(project, onset, fault.amount(strength), np.random.default_rng([seed, 23])))
    found = []
    for day in range(1, DAYS + 1):
        end = onset + timedelta(days=day)
        found.append(Look(day, day, judged(planted.project, model, end), judged(project, model, end)))
    name = ", ".join(model.settings.projects or (model.name,))
    return Told(fault, strength, "project", name, "day", DAYS, planted.target, planted.detail, 1, tuple(found), project.told)


def judged(project: Project, model: Model, end: datetime) -> tuple[Finding, ...]:
    """What is said at the end of a day about the week before it, with only the records up to it (naive UTC)."""
    until = aware_utc(end)
    questions = max(sum(each.about == "model" for each in discover()), 1)
    window = Window(model.name, until - timedelta(days=WINDOW_DAYS), until)
    own = Context(model, NO_VERSION, window, until, spend(WEEKLY_FALSE_DISCOVERIES, RUNS_A_WEEK, 1, questions))
    of_all = Context(EVERY_MODEL, NO_VERSION, replace(window, model=""), until, WEEKLY_FALSE_DISCOVERIES / RUNS_A_WEEK)
    return tuple(worst_first([*asked(project, labels.ANALYZER, own), *asked(project, labelling.ANALYZER, of_all)]))


def asked(project: Project, analyzer: Analyzer, context: Context) -> list[Finding]:
    """What one analyzer says of a project."""
    return analyzer.analyze({name: answer(project, each, context) for name, each in analyzer.needs(context).items()}, context)


def answer(project: Project, wanted: Ask, context: Context) -> "DataFrame":
    """A project's answer to what the analyzer asks."""
    question: Any = wanted.aggregate
    frame = {"annotation": project.annotated, "assignment": project.assigned, "price": project.prices}[question.kind]
    moment = "from" if question.kind == "price" else "at"
    span = context.window.past(wanted.days) if wanted.span == "past" else context.window
    inside = frame[moment] < naive_utc(span.end)
    rows = frame[inside if question.ever else inside & (frame[moment] >= naive_utc(span.start))]
    return rows[list(question.columns)]


def fault_of(name: str) -> LabelFault | None:
    """The fault of labelling with that name, None where it is none."""
    return FAULTS.get(name.replace("-", "_"))
