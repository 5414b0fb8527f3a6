"""Faults of labelling: annotators who answer at random, are slow, are tired or follow suggestions; changed guidelines, contradictions, a
growing queue, a higher price.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from observability.core.errors import UsageError
from observability.simulation.fault import DescribedFault
from observability.simulation.labelling_project import LabellingRecords
from observability.stats.arrays import Array

FOLLOWER_SHARE = 0.5
"""Share of the annotators who follow the new guideline."""
SITTINGS, SITTING_HOURS = (17.5, 21.0), 3.0
"""At how many hours after midnight the two sittings of tired annotators begin, and how many hours a sitting lasts."""
PAIR = ["project", "item", "annotator"]


@dataclass(frozen=True)
class LabelFaultPlant:
    """Where and how strongly a fault is planted. onset: the instant at which it begins (naive UTC); amount: in the fault's own unit."""

    project: LabellingRecords
    onset: datetime
    amount: float
    rng: np.random.Generator

    @property
    def later(self) -> Array:
        """A mask of the labels given after the fault began."""
        return (self.project.annotated["at"] >= self.onset).to_numpy()

    def unfit(self, got: str, expected: str | None = None) -> UsageError:
        """The error for a project that lacks what the fault needs."""
        return UsageError("the project cannot have this fault", got=got, expected=expected)

    def somebody(self) -> str:
        """A random annotator who gave labels before and after the onset, and after it at least half as many as the most active
        annotator.
        """
        rows = self.project.annotated
        found = rows.loc[self.later, "annotator"].value_counts()
        before = set(rows.loc[~self.later, "annotator"])
        often = sorted(str(each) for each in found[found >= found.max() / 2].index if each in before)
        if not often:
            raise self.unfit("no annotator of both before and after its beginning")
        return str(self.rng.choice(often))

    def classes(self) -> list[Any]:
        """The labels that occur, most frequent first."""
        found = list(self.project.annotated["label"].map(str).value_counts().index)
        if len(found) < 2:
            raise self.unfit(f"labels {found}", "two different labels at least")
        return found

    def relabelled(self, chosen: Array, labels: Any) -> LabellingRecords:
        """The records after the labels in some rows (a mask) are replaced."""
        after = self.project.annotated.copy()
        values = after["label"].astype(object).to_numpy(copy=True)
        values[chosen] = labels
        after["label"] = values
        return replace(self.project, annotated=after)

    def slower(self, people: set[str]) -> LabellingRecords:
        """The records if certain annotators take `amount` times as long for items that were assigned after the onset."""
        rows, given = self.project.annotated, self.project.assigned
        newest = given.sort_values("at").drop_duplicates(PAIR, keep="last").rename(columns={"at": "given"})
        begun = rows.merge(newest, on=PAIR, how="left")["given"].to_numpy("datetime64[us]")
        late = rows["annotator"].isin(people).to_numpy() & (begun >= np.datetime64(self.onset, "us")) & (rows["at"].to_numpy() >= begun)
        at = rows["at"].to_numpy("datetime64[us]")
        took = ((at - begun).astype("int64") * self.amount).astype("int64").astype("timedelta64[us]")
        after = rows.assign(at=np.where(late, begun + took, at))
        return replace(self.project, annotated=after[after["at"] < self.project.end].sort_values("at", ignore_index=True))


@dataclass(frozen=True)
class PlantedProject:
    """The records with the fault. target: the subject of the fault; detail: a further description of the target."""

    project: LabellingRecords
    target: str
    detail: str = ""


@dataclass(frozen=True)
class LabelFault(DescribedFault):
    """A fault of labelling.

    amounts: weak, middle, strong, in `unit`; weak is close to the smallest size that data/labels or data/labelling reports.
    """

    name: str
    amounts: tuple[float, float, float]
    unit: str
    plant: Callable[[LabelFaultPlant], PlantedProject]
    section: str = "data"


def annotator_at_random(plant: LabelFaultPlant) -> PlantedProject:
    """One annotator gives a share of the labels at random."""
    who, classes, rows = plant.somebody(), plant.classes(), plant.project.annotated
    chosen = plant.later & (rows["annotator"] == who).to_numpy() & (plant.rng.random(len(rows)) < plant.amount)
    return PlantedProject(plant.relabelled(chosen, plant.rng.choice(np.array(classes, object), int(chosen.sum()))), f"annotator={who}")


def slow_annotator(plant: LabelFaultPlant) -> PlantedProject:
    """One annotator takes many times as long to label assigned items."""
    who = plant.somebody()
    return PlantedProject(plant.slower({who}), f"annotator={who}")


def queue_grows(plant: LabelFaultPlant) -> PlantedProject:
    """All annotators take many times as long to label assigned items, and the queue grows."""
    return PlantedProject(plant.slower(set(plant.project.annotated["annotator"])), "model")


def guidelines_changed(plant: LabelFaultPlant) -> PlantedProject:
    """Half of the annotators follow a new guideline and relabel a share of the most frequent class; the rest do not."""
    classes, rows = plant.classes(), plant.project.annotated
    people = sorted(rows.loc[plant.later, "annotator"].unique())
    followers = set(plant.rng.permutation(np.array(people, object))[: max(int(FOLLOWER_SHARE * len(people)), 1)])
    items = rows["project"].astype(str) + rows["item"].astype(str)
    meant = {each: plant.rng.random() < plant.amount for each in sorted(set(items))}
    chosen = (
        plant.later
        & rows["annotator"].isin(followers).to_numpy()
        & (rows["label"].map(str) == classes[0]).to_numpy()
        & items.map(meant).to_numpy(bool)
    )
    return PlantedProject(plant.relabelled(chosen, classes[1]), "model", f"by {len(followers)} of {len(people)} annotators")


def duplicates_disagree(plant: LabelFaultPlant) -> PlantedProject:
    """For a share of the labels, the same annotator gives the item another label some hours later."""
    import pandas as pd

    classes, rows = plant.classes(), plant.project.annotated
    again = rows[plant.later & (plant.rng.random(len(rows)) < plant.amount)].copy()
    place = again["label"].map(str).map(classes.index).to_numpy(int)
    again["label"] = [
        classes[(each + 1 + step) % len(classes)]
        for each, step in zip(place, plant.rng.integers(0, len(classes) - 1, len(again)), strict=True)
    ]
    again["at"] = again["at"] + pd.to_timedelta(plant.rng.uniform(0.1, 6, len(again)), unit="h")
    both = pd.concat([rows, again[again["at"] < plant.project.end]], ignore_index=True).astype({"at": "datetime64[us]"})
    return PlantedProject(replace(plant.project, annotated=both.sort_values("at", ignore_index=True)), "model")


def suggestions_accepted(plant: LabelFaultPlant) -> PlantedProject:
    """Annotators accept a machine's suggestion, right or wrong, in a share of the labels with a suggestion."""
    rows = plant.project.annotated
    shown = rows["suggestion"].notna().to_numpy()
    if not (shown & plant.later & rows["gold"].notna().to_numpy()).any():
        raise plant.unfit("no suggestion", "records of kind annotation with suggestion and gold")
    chosen = plant.later & shown & (plant.rng.random(len(rows)) < plant.amount)
    projects = sorted(set(rows.loc[chosen, "project"]))
    return PlantedProject(
        plant.relabelled(chosen, rows.loc[chosen, "suggestion"].to_numpy(object)), f"project:{projects[0]}" if projects else "model"
    )


def follower(plant: LabelFaultPlant) -> PlantedProject:
    """One annotator accepts a machine's suggestion, right or wrong, in a share of their labels with a suggestion."""
    who, rows = plant.somebody(), plant.project.annotated
    mine = plant.later & rows["suggestion"].notna().to_numpy() & (rows["annotator"] == who).to_numpy()
    if not mine.any():
        raise plant.unfit("no suggestion", "records of kind annotation with suggestion")
    chosen = mine & (plant.rng.random(len(rows)) < plant.amount)
    return PlantedProject(plant.relabelled(chosen, rows.loc[chosen, "suggestion"].to_numpy(object)), f"annotator={who}")


def tired_annotators(plant: LabelFaultPlant) -> PlantedProject:
    """Annotators label in two sittings of three hours a day, and make more errors the longer they sit."""
    rows, classes = plant.project.annotated, plant.classes()
    later = rows[plant.later].sort_values("at", kind="stable")
    day = later["at"].dt.floor("D")
    place = later.groupby([later["annotator"], day], sort=False).cumcount().to_numpy()
    size = later.groupby([later["annotator"], day], sort=False)["at"].transform("size").to_numpy()
    half = (size + 1) // 2
    hours = SITTING_HOURS * (place % half) / np.maximum(half, 1)
    begin = np.where(place < half, *SITTINGS)
    at = day.to_numpy("datetime64[us]") + (3.6e9 * (begin + hours)).astype("timedelta64[us]")
    moved = rows.copy()
    moved.loc[later.index, "at"] = at
    wrong = plant.rng.random(len(later)) < plant.amount * hours
    places = later["label"].map(str).map(classes.index).to_numpy(int)
    steps = plant.rng.integers(1, max(len(classes), 2), len(later))
    others = np.array(classes, object)[(places + steps) % len(classes)]
    moved.loc[later.index[wrong], "label"] = others[wrong]
    project = replace(plant.project, annotated=moved.sort_values("at", kind="stable", ignore_index=True))
    return PlantedProject(project, f"project:{min(set(later['project']))}")


def dearer_label(plant: LabelFaultPlant) -> PlantedProject:
    """A label costs more."""
    import pandas as pd

    prices = plant.project.prices
    old = prices[(prices["resource"] == "label") & (prices["from"] < plant.onset)].sort_values("from").tail(1)
    if old.empty:
        raise plant.unfit("no price record of a label", "a record of kind price, resource label")
    new = old.assign(amount=old["amount"] * plant.amount)
    new["from"] = pd.Timestamp(plant.onset + timedelta(hours=1))
    return PlantedProject(replace(plant.project, prices=pd.concat([prices, new], ignore_index=True)), "model")


FAULTS: dict[str, LabelFault] = {
    each.name: each
    for each in (
        LabelFault("annotator_at_random", (0.3, 0.6, 1.0), "of the annotator's labels", annotator_at_random),
        LabelFault("slow_annotator", (4.0, 10.0, 40.0), "times as long", slow_annotator),
        LabelFault("queue_grows", (3.0, 6.0, 20.0), "times as long", queue_grows),
        LabelFault("guidelines_changed", (0.3, 0.7, 1.0), "of the most frequent class", guidelines_changed),
        LabelFault("duplicates_disagree", (0.03, 0.1, 0.3), "of the labels", duplicates_disagree),
        LabelFault("suggestions_accepted", (0.15, 0.4, 1.0), "of the labels that see a suggestion", suggestions_accepted),
        LabelFault("follower", (0.4, 0.8, 1.0), "of the annotator's labels that see a suggestion", follower),
        LabelFault("tired_annotators", (0.08, 0.16, 0.3), "of the labels more an hour", tired_annotators),
        LabelFault("dearer_label", (1.25, 2.0, 4.0), "times the price", dearer_label),
    )
}
