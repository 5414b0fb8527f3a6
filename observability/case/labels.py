"""Is it the label that is wrong? How much do the model, the neighbours and the annotators believe it?

Classes: confident learning (Northcutt, Jiang and Chuang 2021; cleanlab's `filter_by="confident_learning"`). The threshold t_c of a class is the mean
probability that the model gives to c over rows labelled c. A label is suspect where, of the classes whose probability reaches their own threshold, the
most probable one is another class. Numbers: the label lies far outside of what its neighbours' labels spread over, while the score does not.
"""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.case import rows
from observability.case.look import Look
from observability.case.neighbours import near
from observability.case.row import Row
from observability.case.shapes import LabelCheck, NotGivenError
from observability.case.verdicts import votes

if TYPE_CHECKING:
    from pandas import DataFrame

FEWEST_LABELLED = 30
FAR_OUT = 4.0
"""Robust standard deviations from which a number is far outside of its neighbours' labels."""


def label_check(look: Look) -> LabelCheck:
    """Whether the label is suspect, and by what. Raises NotGivenError without a label."""
    row = look.row
    if row.label is None or row.label_code < 0:
        raise NotGivenError(
            "there is no label to doubt" if row.label is None else f"the label {row.label.value!r} is none of the model's classes"
        )
    cast = votes(look)
    return number_check(look, cast) if row.model.task == "regression" else class_check(look, cast)


def probabilities(frame: "DataFrame", row: Row) -> NDArray[np.float64]:
    """(n, classes) of a frame of outcomes."""
    if row.model.task == "multiclass":
        return np.stack([frame[f"score.{place}"].to_numpy(np.float64) for place in range(len(row.model.classes))], axis=1)
    positive = frame["score"].to_numpy(np.float64)
    return np.stack([1 - positive, positive], axis=1)


def own_probabilities(row: Row) -> NDArray[np.float64] | None:
    """(classes,) of the case, None where it has none."""
    if row.model.task == "multiclass":
        held = row.probabilities or {}
        return np.array([float(held.get(name, np.nan)) for name in row.model.classes]) if held else None
    return None if row.score is None or not np.isfinite(row.score) else np.array([1 - row.score, row.score])


def thresholds(chances: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """t_c of each class: the mean probability of c over the rows labelled c; NaN of a class without any."""
    return np.array(
        [chances[labels == each, each].mean() if (labels == each).any() else np.nan for each in range(chances.shape[1])], np.float64
    )


def confident_class(chances: NDArray[np.float64], limits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of each row (n, classes) the most probable class among those whose probability reaches their threshold; -1 where none does."""
    reached = np.where(chances >= limits - 1e-6, chances, -np.inf)  # cleanlab's own tolerance
    return np.where(np.isfinite(reached.max(axis=1)), reached.argmax(axis=1), -1)


def class_check(look: Look, cast: "Counter[str]") -> LabelCheck:
    """The check of a class."""
    row, names = look.row, look.row.model.classes
    assert row.label is not None
    own = own_probabilities(row)
    labelled = rows.labelled_rows_of(look)
    confidence, limit, instead = None, None, None
    sentences = []
    if own is not None and len(labelled) >= FEWEST_LABELLED:
        chances = probabilities(labelled, row)
        usable = np.isfinite(chances).all(axis=1)
        limits = thresholds(chances[usable], labelled["label"].to_numpy(np.int64)[usable])
        confidence, limit = float(own[row.label_code]), none_if_nan(limits[row.label_code])
        other = int(confident_class(own[None, :], np.where(np.isnan(limits), np.inf, limits))[0])
        instead = names[other] if other not in (-1, row.label_code) else None
        sentences.append(
            f"The model gives {row.label.value} {confidence:.2f}, while rows labelled so get {limit:.2f} on average"
            if limit is not None
            else f"The model gives {row.label.value} {confidence:.2f}"
        )
        if instead is not None:
            sentences[-1] += f"; {instead} gets {own[other]:.2f}, at least the {limits[other]:.2f} of rows labelled so"
    around = near(look).frame
    same = int((around["label"] == row.label_code).sum())
    sentences.append(f"{same} of the {len(around)} nearest labelled rows have the same label")
    agree = cast[row.label.value] if cast else None
    if agree is not None:
        sentences.append(f"{agree} of {sum(cast.values())} annotators said {row.label.value}")
    outvoted = agree is not None and cast.most_common(1)[0][1] > agree
    few = 2 * same < len(around)
    suspect = outvoted or (instead is not None and few)
    ending = (
        "so the label is suspect" if suspect else "so nothing speaks against the label" if instead is None else "so the label is plausible"
    )
    return LabelCheck(suspect, f"{'; '.join(sentences)}: {ending}.", confidence, limit, instead, dict(cast), same / len(around))


def number_check(look: Look, cast: "Counter[str]") -> LabelCheck:
    """The check of a number."""
    row = look.row
    value = row.label_number
    around = near(look).frame["label_value"].dropna().to_numpy(np.float64)
    if value is None or around.size < 3:
        raise NotGivenError("too few neighbours have labels to hold this one against")
    middle = float(np.median(around))
    spread = max(1.4826 * float(np.median(np.abs(around - middle))), float(usual_error(look)), 1e-12)
    away = (value - middle) / spread
    score_away = None if row.score is None else (row.score - middle) / spread
    suspect = abs(away) > FAR_OUT and score_away is not None and abs(score_away) <= FAR_OUT / 2
    because = f"The label {value:.6g} lies {abs(away):.1f} robust standard deviations from its neighbours' median {middle:.6g}"
    if score_away is not None:
        because += f", the score {abs(score_away):.1f}"
    ending = "so the label is suspect" if suspect else "so nothing speaks against the label"
    return LabelCheck(suspect, f"{because}: {ending}.", away=abs(away), votes=dict(cast))


def usual_error(look: Look) -> float:
    """Robust standard deviation of the model's errors about this time: neighbours are never taken to agree more closely than the model does; 0 unknown."""
    frame = rows.labelled_rows_of(look)
    errors = (frame["score"] - frame["label_value"]).dropna().to_numpy(np.float64)
    return 1.4826 * float(np.median(np.abs(errors - np.median(errors)))) if errors.size else 0.0


def none_if_nan(value: float) -> float | None:
    """The number, None for NaN."""
    return None if np.isnan(value) else float(value)
