"""Faults of what a model says and of what turns out: scores, decisions, labels, groups, versions."""

from collections.abc import Callable

import numpy as np

from observability.simulation.clean_log import NEXT, link, unlink
from observability.simulation.fault import Fault, Plant
from observability.simulation.faults_data import everywhere
from observability.simulation.log_rows import Array, Rows

Moved = Callable[[float], Array]
NEVER = np.datetime64("NaT", "us")


def threshold_of(rows: Rows, plant: Plant) -> Array:
    """The score from which each row is decided for the positive class."""
    at = plant.scene.base.settings.threshold
    own = rows.get("threshold")
    return np.full(len(rows), at) if own is None else np.where(np.isnan(own), at, own)


def is_positive(plant: Plant, values: Array) -> Array:
    """Labels of the positive class."""
    return values == 1


def errors(rows: Rows, plant: Plant, score: Array, label: Array) -> float:
    """The share of wrong decisions, of a regression the mean absolute error; on the rows that have a label."""
    known = np.isfinite(label) & np.isfinite(score)
    if plant.scene.base.task == "regression":
        return float(np.abs(score - label)[known].mean())
    return float(((score >= threshold_of(rows, plant)) != is_positive(plant, label))[known].mean())


def reaching(target: float, figure: Callable[[float], float], most: float) -> float:
    """The least amount, of 0 to `most`, at which a figure that grows with it reaches the target (bisection; `most` where it never does)."""
    low, high = 0.0, most
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (middle, high) if figure(middle) < target else (low, middle)
    return high


def drifted(rows: Rows, plant: Plant, where: Array) -> Rows:
    """The truth changes for the half of the rows in which a number is high, until the error among `where` has grown by the share `amount`."""
    label, score = rows["label"], rows["score"]
    name = plant.part("number")
    high = where & (np.nan_to_num(rows[name], nan=-np.inf) > plant.scale(name)[0])
    draw, inner = plant.rng.random(len(rows)), rows.take(where)

    def turned(amount: float) -> Array:
        if plant.scene.base.task == "regression":
            return np.where(high, label + amount * np.nanstd(label), label)
        return np.where(high & (draw < amount) & np.isfinite(label), 1 - label, label)

    before = errors(inner, plant, inner["score"], inner["label"])
    amount = reaching(
        before * (1 + plant.amount),
        lambda each: errors(inner, plant, score[where], turned(each)[where]),
        1.0 if plant.scene.base.task != "regression" else 10.0,
    )
    return rows.put({"label": turned(amount)})


def concept_drift(rows: Rows, plant: Plant) -> Rows:
    """The truth changes for one part of the inputs."""
    return drifted(rows, plant, everywhere(rows))


def concept_drift_in_slice(rows: Rows, plant: Plant) -> Rows:
    """The truth changes inside one slice."""
    return drifted(rows, plant, plant.inside(rows))


def noisier(rows: Rows, plant: Plant) -> Array:
    """Scores with noise on the link scale, so much that the error grows by the share `amount`."""
    task, score = plant.scene.base.task, rows["score"]
    linked = link(task, score)
    noise = plant.rng.normal(size=len(rows)) * np.nanstd(linked)
    before = errors(rows, plant, score, rows["label"])
    amount = reaching(
        before * (1 + plant.amount), lambda each: errors(rows, plant, unlink(task, linked + each * noise), rows["label"]), 8.0
    )
    return unlink(task, linked + amount * noise)


def worse_version(rows: Rows, plant: Plant) -> Rows:
    """A deploy brings a version that errs more, to half of the traffic."""
    new = plant.some(everywhere(rows), 0.5)
    return rows.changed("version", new, NEXT).changed("score", new, noisier(rows, plant)[new])


def worse_scores(rows: Rows, plant: Plant) -> Rows:
    """The same version errs more: its scores are noisier."""
    return rows.put({"score": noisier(rows, plant)})


def miscalibration(rows: Rows, plant: Plant) -> Rows:
    """Scores are too high throughout."""
    task, score = plant.scene.base.task, rows["score"]
    if task == "regression":
        return rows.put({"score": score + plant.amount * np.nanstd(rows["label"])})
    linked = link(task, score)
    target = min(float(np.nanmean(score)) + plant.amount, 0.98)
    amount = reaching(target, lambda each: float(np.nanmean(unlink(task, linked + each))), 12.0)
    return rows.put({"score": unlink(task, linked + amount)})


def lowered(rows: Rows, plant: Plant, where: Array) -> Rows:
    """Scores of some rows fall until the share that is decided for is `amount` lower among them."""
    task, score = plant.scene.base.task, rows["score"]
    if not where.any():
        return rows
    linked, limit = link(task, score[where]), threshold_of(rows, plant)[where]
    share = float((score[where] >= limit).mean())
    amount = reaching(-max(share - plant.amount, 0.0), lambda each: -float((unlink(task, linked - each) >= limit).mean()), 14.0)
    return rows.changed("score", where, unlink(task, linked - amount))


def selection_gap(rows: Rows, plant: Plant) -> Rows:
    """One group is decided for less often."""
    return lowered(rows, plant, plant.inside(rows, "group"))


def tpr_gap(rows: Rows, plant: Plant) -> Rows:
    """Positives of one group are found less often."""
    return lowered(rows, plant, plant.inside(rows, "group") & is_positive(plant, rows["label"]))


def default_scores(rows: Rows, plant: Plant) -> Rows:
    """A share of the requests gets a fallback score."""
    usual = float(np.nanmedian(plant.scene.base.pool["score"]))
    return rows.changed("score", plant.some(everywhere(rows), plant.amount), usual)


def threshold_changed(rows: Rows, plant: Plant) -> Rows:
    """The cut-off is moved and nobody says so."""
    score = rows["score"]
    share = float((score >= threshold_of(rows, plant)).mean())
    return rows.put({"threshold": np.full(len(rows), np.nanquantile(score, max(1 - share - plant.amount, 0.0)))})


def label_noise(rows: Rows, plant: Plant) -> Rows:
    """Labels are wrong at random."""
    label = rows["label"]
    if plant.scene.base.task == "regression":
        noise = plant.rng.normal(size=len(rows)) * np.nanstd(label)
        before = errors(rows, plant, rows["score"], label)
        amount = reaching(before * (1 + plant.amount), lambda each: errors(rows, plant, rows["score"], label + each * noise), 10.0)
        return rows.put({"label": label + amount * noise})
    return rows.put({"label": np.where(plant.some(np.isfinite(label), plant.amount), 1 - label, label)})


def label_flip_in_class(rows: Rows, plant: Plant) -> Rows:
    """Positives are labelled negative."""
    return rows.changed("label", plant.some(is_positive(plant, rows["label"]), plant.amount), 0.0)


def labels_stop(rows: Rows, plant: Plant) -> Rows:
    """Labels stop coming."""
    return rows.changed("label_arrived", plant.some(everywhere(rows), plant.amount), NEVER)


GROWTH, POINTS = "growth of the error", "points"
FAULTS = (
    Fault("concept_drift", "serving", (0.15, 0.5, 1.5), GROWTH, ("labels", "score", "number"), concept_drift),
    Fault("concept_drift_in_slice", "serving", (0.3, 1.0, 2.5), GROWTH, ("labels", "score", "number", "slice"), concept_drift_in_slice),
    Fault("worse_version", "serving", (0.15, 0.5, 1.5), GROWTH, ("labels", "score"), worse_version),
    Fault("worse_scores", "serving", (0.15, 0.5, 1.5), GROWTH, ("labels", "score"), worse_scores),
    Fault("miscalibration", "serving", (0.05, 0.12, 0.25), POINTS, ("labels", "score"), miscalibration),
    Fault("selection_gap", "trust", (0.1, 0.2, 0.4), POINTS, ("group", "classes"), selection_gap),
    Fault("tpr_gap", "trust", (0.1, 0.2, 0.4), POINTS, ("group", "classes", "labels"), tpr_gap),
    Fault("default_scores", "serving", (0.05, 0.2, 0.6), "share of rows", ("score",), default_scores),
    Fault("threshold_changed", "serving", (0.05, 0.12, 0.3), POINTS, ("classes",), threshold_changed),
    Fault("label_noise", "serving", (0.05, 0.15, 0.3), "share of labels", ("labels", "score"), label_noise),
    Fault("label_flip_in_class", "serving", (0.1, 0.3, 0.7), "share of positives", ("labels", "classes"), label_flip_in_class),
    Fault("labels_stop", "serving", (0.4, 0.8, 1.0), "share of labels", ("labels",), labels_stop),
)  # fmt: skip
