"""What counts as another answer, and how far is the score from it? The other side of the threshold, another class, outside the band of usual errors."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from observability.core.numerals import figure, percent
from observability.investigation.model_answers import Goal, Margin
from observability.worker.target_scores import reaches

if TYPE_CHECKING:
    from observability.investigation.logged_prediction import Row
    from observability.investigation.sampled_rows import RealRows

Floats = NDArray[np.float64]


def decided(row: "Row", scores: Floats | None = None) -> int:
    """The class index of an answer: of the first of the model's scores where they are given, else as logged; -1 where neither says it."""
    if scores is not None and row.model.classes:
        return int(scores[0].argmax()) if scores.ndim == 2 else int(scores[0] >= row.threshold)
    return row.decision


def usual_error(rows: "RealRows | None") -> float | None:
    """Of a regression: the absolute error that half of the labelled rows stay below; half a standard deviation of the scores where there are no labels."""
    if rows is None:
        return None
    errors = rows.absolute_error[np.isfinite(rows.absolute_error)]
    if errors.size:
        return float(np.median(errors))
    scores = rows.facts["score"].to_numpy(np.float64)
    scores = scores[np.isfinite(scores)]
    return float(scores.std()) / 2 if scores.size else None


def goal_of(row: "Row", rows: "RealRows | None", scores: Floats | None = None) -> Goal:
    """What counts as another answer to this prediction.

    scores: the model's own answer to the stored input, which counts where it is given. Regression: a score that the usual error cannot explain; where the
    label is known and farther than that, a score as near to the label as half of all rows come.
    """
    if row.model.task == "multiclass":
        place = decided(row, scores)
        if place < 0:
            chances = row.probabilities or {}
            place = int(np.argmax([chances.get(name, 0.0) for name in row.model.classes])) if row.model.classes else 0
        return Goal("other", f"another class than {row.model.classes[place]} is the most probable", place=place)
    score = float(scores[0]) if scores is not None else row.score
    if row.model.task == "binary":
        edge = row.threshold
        above = score >= edge if score is not None else row.decision == 1
        if above:
            return Goal("below", f"a score below {figure(edge, 6)}, decided {row.model.classes[0]}", high=edge)
        return Goal("above", f"a score of at least {figure(edge, 6)}, decided {row.model.classes[-1]}", low=edge)
    band = usual_error(rows)
    centre = score if score is not None else 0.0
    band = band if band is not None and band > 0 else max(abs(centre) * 0.1, 1e-9)
    label = row.label_number
    if label is not None and abs(centre - label) > band:
        text = f"a score within {band:.4g} of the label {figure(label, 6)}, as near as half of all rows come"
        return Goal("inside", text, label - band, label + band)
    return Goal("outside", f"a score more than {band:.4g} (the usual error) away from {figure(centre, 6)}", centre - band, centre + band)


def reached(goal: Goal, scores: Floats) -> NDArray[np.bool_]:
    """Which scores are another answer."""
    return reaches(as_json(goal), scores)


def as_json(goal: Goal) -> dict[str, Any]:
    """A goal as the worker's job reads it."""
    return {"kind": goal.kind, "low": goal.low, "high": goal.high, "place": goal.place}


def margin_of(row: "Row", rows: "RealRows | None") -> Margin:
    """The margin of a logged score. rows: of the reference."""
    if row.model.task == "multiclass":
        chances = sorted((row.probabilities or {}).items(), key=lambda each: -each[1])
        if len(chances) < 2:
            return Margin(float("nan"), None, "No probabilities were logged, so its margin is not known")
        (first, most), (second, next_most) = chances[:2]
        text = f"{first} has {most:.3g}, the next class {second} has {next_most:.3g}: {most - next_most:.3g} less"
        return Margin(most - next_most, None, text, runner_up=second)
    if row.score is None:
        return Margin(float("nan"), None, "No score was logged, so its margin is not known")
    if row.model.task == "binary":
        margin = row.score - row.threshold
        nearer, count = None, 0
        if rows is not None:
            others = np.abs(rows.facts["score"].to_numpy(np.float64) - row.threshold)
            others = others[np.isfinite(others)]
            count = len(others)
            nearer = float((others <= abs(margin)).mean()) if count else None
        side = "above" if margin >= 0 else "below"
        text = f"The score {figure(row.score)} is {abs(margin):.3g} {side} the threshold of {figure(row.threshold, 6)}"
        text += f"; {percent(nearer, 2)} of {count:,} rows of the reference stand as near or nearer" if nearer is not None else ""
        return Margin(margin, row.threshold, text, share_nearer=nearer, rows=count)
    band = usual_error(rows)
    if band is None:
        return Margin(float("nan"), None, "There is no reference, so it is not known how far such scores usually miss")
    text = f"Half of the reference's rows miss by at most {band:.4g}, so about {figure(row.score - band)} to {figure(row.score + band)} stands for the same answer as {figure(row.score)}"
    return Margin(band, row.score, text, low=row.score - band, high=row.score + band, rows=len(rows) if rows is not None else 0)
