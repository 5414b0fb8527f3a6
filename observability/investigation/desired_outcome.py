"""Define which outcomes count as another outcome for a prediction, and how far its score is from them. Another outcome is on the other side
of the threshold, another class, or outside the band of usual errors.
"""

from typing import Any

import numpy as np

from observability.core.numerals import format_figure, percent, score_beside_threshold
from observability.investigation.comparison_rows import reference_sample
from observability.investigation.label_types import class_words, with_unit
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import Goal, Margin
from observability.investigation.sampled_rows import RealRows
from observability.stats.arrays import Bools, Floats
from observability.worker.target_scores import reaches_goal

TIE = 1e-9
"""Margins that differ by less count as equal. For example, 0.711 and 0.289 are equally far from 0.5, but their floating-point margins
differ.
"""


def decided_class(row: Row, scores: Floats | None = None) -> int:
    """Class index of the decision: from the first row of `scores` if given, else the logged decision; −1 if unknown."""
    if scores is not None and row.model.classes:
        return int(scores[0].argmax()) if scores.ndim == 2 else int(scores[0] >= row.threshold)
    return row.decision


def median_error(rows: RealRows | None) -> float | None:
    """For a regression: the median absolute error of the labelled rows. If no row has a label: half a standard deviation of the scores."""
    if rows is None:
        return None
    errors = rows.absolute_error[np.isfinite(rows.absolute_error)]
    if errors.size:
        return float(np.median(errors))
    scores = rows.facts["score"].to_numpy(np.float64)
    scores = scores[np.isfinite(scores)]
    return float(scores.std()) / 2 if scores.size else None


def usual_error_words(rows: RealRows | None) -> str:
    """Words on how the band of usual errors of a regression was measured, and on how many rows."""
    if rows is None:
        return "a tenth of the score"
    labelled = int(np.isfinite(rows.absolute_error).sum())
    if labelled:
        return f"the median absolute error of {labelled:,} sampled rows"
    return f"half a standard deviation of the scores of {len(rows):,} sampled rows, since none has a label"


def goal_of(row: Row, rows: RealRows | None, scores: Floats | None = None) -> Goal:
    """The definition of the outcomes that count as another outcome for this prediction.

    scores: the model's score of the stored input; if given, it replaces the logged score. For a regression, another outcome is a score
    outside the band of the median error. If the label is known and lies outside the band, another outcome is a score within the median
    error of the label.
    """
    if row.model.task == "multiclass":
        place = decided_class(row, scores)
        if place < 0:
            chances = row.probabilities or {}
            place = int(np.argmax([chances.get(name, 0.0) for name in row.model.classes])) if row.model.classes else 0
        return Goal("other", f"a most probable class other than {class_words(row.model, row.model.classes[place])}", place=place)
    score = float(scores[0]) if scores is not None else row.score
    if row.model.task == "binary":
        edge = row.threshold
        above = score >= edge if score is not None else row.decision == 1
        if above:
            return Goal(
                "below", f"a score below {format_figure(edge, 6)}, decided {class_words(row.model, row.model.classes[0])}", high=edge
            )
        return Goal(
            "above", f"a score of at least {format_figure(edge, 6)}, decided {class_words(row.model, row.model.classes[-1])}", low=edge
        )
    band = median_error(rows)
    centre = score if score is not None else 0.0
    usual = usual_error_words(rows if band else None)
    band = band if band is not None and band > 0 else max(abs(centre) * 0.1, 1e-9)
    label, width = row.label_number, with_unit(row.model, format_figure(band))
    if label is not None and abs(centre - label) > band:
        text = f"a score within {width} ({usual}) of the label {format_figure(label, 6)}"
        return Goal("inside", text, label - band, label + band, short=f"a score within {width} of the label {format_figure(label, 6)}")
    text = f"a score more than {width} ({usual}) away from {format_figure(centre)}"
    short = f"a score more than {width} away from {format_figure(centre)}"
    return Goal("outside", text, centre - band, centre + band, short=short)


def meets_goal(goal: Goal, scores: Floats) -> Bools:
    """Mask of the scores that reach the goal."""
    return reaches_goal(goal_json(goal), scores)


def goal_json(goal: Goal) -> dict[str, Any]:
    """A goal in the form that the worker's job expects."""
    return {"kind": goal.kind, "low": goal.low, "high": goal.high, "place": goal.place}


def margin_of(row: Row, rows: RealRows | None) -> Margin:
    """The margin of a logged score. rows: rows of the reference."""
    if row.model.task == "multiclass":
        chances = sorted((row.probabilities or {}).items(), key=lambda each: -each[1])
        if len(chances) < 2:
            return Margin(float("nan"), None, "No probabilities were logged, so the margin is unknown")
        (first, most), (second, next_most) = chances[:2]
        names = [class_words(row.model, name) for name in (first, second)]
        text = f"{names[0]} has probability {most:.3g}, the runner-up {names[1]} {next_most:.3g}: margin {most - next_most:.3g}"
        return Margin(most - next_most, None, text, runner_up=second)
    if row.score is None:
        return Margin(float("nan"), None, "No score was logged, so the margin is unknown")
    if row.model.task == "binary":
        margin = row.score - row.threshold
        nearer, count = None, 0
        if rows is not None:
            others = np.abs(rows.facts["score"].to_numpy(np.float64) - row.threshold)
            others = others[np.isfinite(others)]
            count = len(others)
            nearer = float((others <= abs(margin) + TIE).mean()) if count else None
        side = "above" if margin >= 0 else "below"
        shown = score_beside_threshold(row.score, row.threshold, format_figure(row.score))
        text = f"The score {shown} is {abs(margin):.3g} {side} the threshold of {format_figure(row.threshold, 6)}"
        text += f"; {percent(nearer, 2)} of {reference_sample(row, count)} are at least as near" if nearer is not None else ""
        return Margin(margin, row.threshold, text, share_nearer=nearer, rows=count)
    band = median_error(rows)
    if band is None:
        return Margin(float("nan"), None, "There is no reference, so the usual error is unknown")
    low, high = row.score - band, row.score + band
    labelled = int(np.isfinite(rows.absolute_error).sum()) if rows is not None else 0
    what, of = "Median absolute error", reference_sample(row, labelled)
    if rows is not None and not labelled:
        what, of = "Half a standard deviation of the scores", f"{reference_sample(row, len(rows))}, without labels"
    text = (
        f"{what} {with_unit(row.model, format_figure(band))} ({of}): {format_figure(low)} to {format_figure(high)} around this prediction"
    )
    return Margin(band, row.score, text, low=low, high=high, rows=len(rows) if rows is not None else 0)
