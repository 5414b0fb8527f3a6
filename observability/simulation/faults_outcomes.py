"""Faults of outputs and outcomes: scores, decisions, labels, groups, versions."""

from collections.abc import Callable

import numpy as np

from observability.simulation.clean_log import NEXT, inverse_link_score, link_score
from observability.simulation.fault import FaultPlant, ServingFault
from observability.simulation.faults_data import all_rows
from observability.simulation.log_rows import LogRows
from observability.stats.arrays import Array

NEVER = np.datetime64("NaT", "us")


def _row_thresholds(rows: LogRows, plant: FaultPlant) -> Array:
    """The decision threshold of each row."""
    at = plant.scene.base.settings.threshold
    own = rows.get("threshold")
    return np.full(len(rows), at) if own is None else np.where(np.isnan(own), at, own)


def _error_measure(rows: LogRows, plant: FaultPlant, score: Array, label: Array) -> float:
    """The share of wrong decisions on labelled rows; for regression, the mean absolute error."""
    known = np.isfinite(label) & np.isfinite(score)
    if plant.scene.base.task == "regression":
        return float(np.abs(score - label)[known].mean())
    return float(((score >= _row_thresholds(rows, plant)) != (label == 1))[known].mean())


def _least_amount(target: float, figure: Callable[[float], float], most: float) -> float:
    """The smallest amount in [0, `most`] at which a figure that increases with the amount reaches the target (by bisection); `most` if it
    never does.
    """
    low, high = 0.0, most
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (middle, high) if figure(middle) < target else (low, middle)
    return high


def _drifted_labels(rows: LogRows, plant: FaultPlant, where: Array) -> LogRows:
    """Labels change in rows in which a number is above its mean, until the error within `where` has grown by the share `amount`."""
    label, score = rows["label"], rows["score"]
    name = plant.part("number")
    high = where & (np.nan_to_num(rows[name], nan=-np.inf) > plant.scale(name)[0])
    draw, inner = plant.rng.random(len(rows)), rows.take(where)

    def turned(amount: float) -> Array:
        if plant.scene.base.task == "regression":
            return np.where(high, label + amount * np.nanstd(label), label)
        return np.where(high & (draw < amount) & np.isfinite(label), 1 - label, label)

    before = _error_measure(inner, plant, inner["score"], inner["label"])
    amount = _least_amount(
        before * (1 + plant.amount),
        lambda each: _error_measure(inner, plant, score[where], turned(each)[where]),
        1.0 if plant.scene.base.task != "regression" else 10.0,
    )
    return rows.put({"label": turned(amount)})


def concept_drift(rows: LogRows, plant: FaultPlant) -> LogRows:
    """The relation of inputs and labels changes for one part of the inputs."""
    return _drifted_labels(rows, plant, all_rows(rows))


def concept_drift_in_slice(rows: LogRows, plant: FaultPlant) -> LogRows:
    """The relation of inputs and labels changes inside one slice."""
    return _drifted_labels(rows, plant, plant.inside(rows))


def concept_drift_on_weekday(rows: LogRows, plant: FaultPlant) -> LogRows:
    """The relation of inputs and labels changes on one weekday."""
    return concept_drift(rows, plant) if plant.is_weekday_of_onset else rows


def _noisier_scores(rows: LogRows, plant: FaultPlant) -> Array:
    """Scores after noise is added on the link scale; its size is chosen so that the error grows by the share `amount`."""
    task, score = plant.scene.base.task, rows["score"]
    linked = link_score(task, score)
    noise = plant.rng.normal(size=len(rows)) * np.nanstd(linked)
    before = _error_measure(rows, plant, score, rows["label"])
    amount = _least_amount(
        before * (1 + plant.amount),
        lambda each: _error_measure(rows, plant, inverse_link_score(task, linked + each * noise), rows["label"]),
        8.0,
    )
    return inverse_link_score(task, linked + amount * noise)


def worse_version(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A deploy sends half of the traffic to a version with more errors."""
    new = plant.some(all_rows(rows), 0.5)
    return rows.changed("version", new, NEXT).changed("score", new, _noisier_scores(rows, plant)[new])


def worse_scores(rows: LogRows, plant: FaultPlant) -> LogRows:
    """The same version makes more errors: its scores are noisier."""
    return rows.put({"score": _noisier_scores(rows, plant)})


def miscalibration(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Scores are too high throughout."""
    task, score = plant.scene.base.task, rows["score"]
    if task == "regression":
        return rows.put({"score": score + plant.amount * np.nanstd(rows["label"])})
    linked = link_score(task, score)
    target = min(float(np.nanmean(score)) + plant.amount, 0.98)
    amount = _least_amount(target, lambda each: float(np.nanmean(inverse_link_score(task, linked + each))), 12.0)
    return rows.put({"score": inverse_link_score(task, linked + amount)})


def _lowered_scores(rows: LogRows, plant: FaultPlant, where: Array) -> LogRows:
    """The scores of some rows fall until the selection rate of these rows is lower by `amount`."""
    task, score = plant.scene.base.task, rows["score"]
    if not where.any():
        return rows
    linked, limit = link_score(task, score[where]), _row_thresholds(rows, plant)[where]
    share = float((score[where] >= limit).mean())
    amount = _least_amount(
        -max(share - plant.amount, 0.0), lambda each: -float((inverse_link_score(task, linked - each) >= limit).mean()), 14.0
    )
    return rows.changed("score", where, inverse_link_score(task, linked - amount))


def selection_gap(rows: LogRows, plant: FaultPlant) -> LogRows:
    """One group is selected less often."""
    return _lowered_scores(rows, plant, plant.inside(rows, "group"))


def tpr_gap(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Positives of one group are found less often."""
    return _lowered_scores(rows, plant, plant.inside(rows, "group") & (rows["label"] == 1))


def default_scores(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A share of the requests gets a fallback score."""
    usual = float(np.nanmedian(plant.scene.base.pool["score"]))
    return rows.changed("score", plant.some(all_rows(rows), plant.amount), usual)


def threshold_changed(rows: LogRows, plant: FaultPlant) -> LogRows:
    """The threshold is changed, but no event records it."""
    score = rows["score"]
    share = float((score >= _row_thresholds(rows, plant)).mean())
    return rows.put({"threshold": np.full(len(rows), np.nanquantile(score, max(1 - share - plant.amount, 0.0)))})


def label_noise(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Labels are wrong at random."""
    label = rows["label"]
    if plant.scene.base.task == "regression":
        noise = plant.rng.normal(size=len(rows)) * np.nanstd(label)
        before = _error_measure(rows, plant, rows["score"], label)
        amount = _least_amount(
            before * (1 + plant.amount), lambda each: _error_measure(rows, plant, rows["score"], label + each * noise), 10.0
        )
        return rows.put({"label": label + amount * noise})
    return rows.put({"label": np.where(plant.some(np.isfinite(label), plant.amount), 1 - label, label)})


def label_flip_in_class(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Positives get a negative label."""
    return rows.changed("label", plant.some(rows["label"] == 1, plant.amount), 0.0)


def labels_stop(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Labels stop arriving."""
    return rows.changed("label_arrived", plant.some(all_rows(rows), plant.amount), NEVER)


GROWTH, POINTS = "growth of the error", "points"
FAULTS = (
    ServingFault("concept_drift", "serving", (0.15, 0.5, 1.5), GROWTH, ("labels", "score", "number"), concept_drift),
    ServingFault(
        "concept_drift_in_slice", "serving", (0.3, 1.0, 2.5), GROWTH, ("labels", "score", "number", "slice"), concept_drift_in_slice
    ),
    ServingFault("concept_drift_on_weekday", "serving", (0.3, 1.0, 2.5), GROWTH, ("labels", "score", "number"), concept_drift_on_weekday),
    ServingFault("worse_version", "serving", (0.15, 0.5, 1.5), GROWTH, ("labels", "score"), worse_version),
    ServingFault("worse_scores", "serving", (0.15, 0.5, 1.5), GROWTH, ("labels", "score"), worse_scores),
    ServingFault("miscalibration", "serving", (0.05, 0.12, 0.25), POINTS, ("labels", "score"), miscalibration),
    ServingFault("selection_gap", "trust", (0.1, 0.2, 0.4), POINTS, ("group", "classes"), selection_gap),
    ServingFault("tpr_gap", "trust", (0.1, 0.2, 0.4), POINTS, ("group", "classes", "labels"), tpr_gap),
    ServingFault("default_scores", "serving", (0.05, 0.2, 0.6), "share of rows", ("score",), default_scores),
    ServingFault("threshold_changed", "serving", (0.05, 0.12, 0.3), POINTS, ("classes",), threshold_changed),
    ServingFault("label_noise", "serving", (0.05, 0.15, 0.3), "share of labels", ("labels", "score"), label_noise),
    ServingFault("label_flip_in_class", "serving", (0.1, 0.3, 0.7), "share of positives", ("labels", "classes"), label_flip_in_class),
    ServingFault("labels_stop", "serving", (0.4, 0.8, 1.0), "share of labels", ("labels",), labels_stop),
)
