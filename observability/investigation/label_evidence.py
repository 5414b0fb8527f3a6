"""Is it the label that is wrong? How much do the model, the neighbours and the annotators believe it?

Classes: confident learning (Northcutt, Jiang and Chuang 2021; cleanlab's `filter_by="confident_learning"`). The threshold t_c of a class is the mean
probability that the model gives to c over rows labelled c. A label is suspect where, of the classes whose probability reaches their own threshold, the
most probable one is another class, and the label is not what the model finds most probable of all; and few neighbours have it. It is suspect as well where
the neighbours speak against it by a large majority and the model believes it less than usual. What was measured stays measured: of such a label the
evidence only says that it is unlikely (`measured`). Numbers: the label lies far outside of what its neighbours' labels spread over, while the score does not.
"""

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from observability.core.numerals import figure
from observability.investigation import comparison_rows
from observability.investigation.case_parts import Look
from observability.investigation.evidence_types import LabelCheck, NotGivenError
from observability.investigation.logged_prediction import Row
from observability.investigation.neighbours import near
from observability.investigation.verdicts import votes

if TYPE_CHECKING:
    from pandas import DataFrame

FEWEST_LABELLED = 30
TOLERANCE = 1e-6
"""Probabilities that are nearer to each other are equal, as in cleanlab."""
MEASURED = ("outcome", "correction")
"""Sources of a label that nobody judged, or that somebody put right already: evidence against it speaks of a hard case rather than of a wrong label."""
FEW_AGREE = 0.2
"""At most this share of the neighbours has the label where they disagree by a large majority; and a smaller share than of all rows, or they speak for it."""
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
    """Of each row (n, classes) the class whose probability reaches its threshold, the most probable one of all where several do; -1 where none does."""
    reached = chances >= limits - TOLERANCE
    several = np.where(reached.sum(axis=1) > 1, chances.argmax(axis=1), reached.argmax(axis=1))
    return np.where(reached.any(axis=1), several, -1)


def suspected(chances: NDArray[np.float64], labels: NDArray[np.int64], limits: NDArray[np.float64]) -> NDArray[np.int64]:
    """Of each row (n, classes) the class that the model is confident of instead of its label; -1 where its label is not suspect."""
    instead = confident_class(chances, np.where(np.isnan(limits), np.inf, limits))
    favoured = chances.copy()
    favoured[np.arange(len(labels)), labels] += TOLERANCE
    return np.where((instead == labels) | (favoured.argmax(axis=1) == labels), -1, instead)


def class_check(look: Look, cast: "Counter[str]") -> LabelCheck:
    """The check of a class."""
    row, names = look.row, look.row.model.classes
    assert row.label is not None
    own = own_probabilities(row)
    labelled = comparison_rows.labelled_rows_of(look)
    given = labelled["label"].to_numpy(np.int64)
    confidence, limit, instead, first = None, None, None, False
    sentences = []
    if own is not None and len(labelled) >= FEWEST_LABELLED:
        chances = probabilities(labelled, row)
        usable = np.isfinite(chances).all(axis=1)
        limits = thresholds(chances[usable], given[usable])
        confidence, limit = float(own[row.label_code]), none_if_nan(limits[row.label_code])
        first = int(own.argmax()) == row.label_code
        other = int(suspected(own[None, :], np.array([row.label_code]), limits)[0])
        instead = names[other] if other != -1 else None
        sentences.append(f"The model gives the label, {row.label.value}, a chance of {percent(confidence)}")
        sentences[-1] += f" (rows with this label get {percent(limit)} on average)" if limit is not None else ""
        if instead is not None:
            sentences[-1] += f", and {instead} one of {percent(own[other])} (rows labelled {instead} get {percent(limits[other])})"
    around = near(look).frame
    same = int((around["label"] == row.label_code).sum())
    agree = same / len(around)
    sentences.append(f"{same} of the {len(around)} nearest labelled rows have the same label")
    voted = cast[row.label.value] if cast else None
    if voted is not None:
        sentences.append(f"{voted} of {sum(cast.values())} annotators said {row.label.value}")
    outvoted = voted is not None and cast.most_common(1)[0][1] > voted
    at_large = float((given == row.label_code).mean()) if given.size else 0.0
    against = agree <= FEW_AGREE and agree < at_large
    unlikely = confidence is not None and limit is not None and confidence < limit and not first
    suspect = outvoted or (instead is not None and agree < 0.5) or (against and unlikely)
    current = next((each for each in row.revisions if each.current), None)
    measured = not outvoted and current is not None and current.source in MEASURED
    unclear = not suspect and (against or (instead is not None and agree <= 0.5))
    if against and suspect and not outvoted:
        sentences[-1] += f", where {percent(at_large)} of all rows have it"
    return LabelCheck(
        suspect, f"{'; '.join(sentences)}: {concluded(suspect, measured, unclear)}.", confidence, limit, instead, dict(cast), agree,
        measured=measured, unclear=unclear,
    )  # fmt: skip


def concluded(suspect: bool, measured: bool, unclear: bool) -> str:
    """What follows for a label, in words."""
    if suspect:
        return (
            "so the label is unlikely for the model, but it was measured, so a hard case is more likely than a wrong label"
            if measured
            else "so the label is suspect"
        )
    return "which speaks against the label, but not enough to call it suspect" if unclear else "so nothing speaks against the label"


def percent(share: float) -> str:
    """A chance in words, as `5 %`; below one in a hundred with a digit that says something."""
    return f"{100 * share:.2g} %" if share < 0.995 else f"{100 * share:.3g} %"


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
    because = (
        f"The label {figure(value, 6)} lies {abs(away):.1f} robust standard deviations from its neighbours' median {figure(middle, 6)}"
    )
    if score_away is not None:
        because += f", the score {abs(score_away):.1f}"
    current = next((each for each in row.revisions if each.current), None)
    measured = current is not None and current.source in MEASURED
    return LabelCheck(suspect, f"{because}: {concluded(suspect, measured, False)}.", away=abs(away), votes=dict(cast), measured=measured)


def usual_error(look: Look) -> float:
    """Robust standard deviation of the model's errors about this time: neighbours are never taken to agree more closely than the model does; 0 unknown."""
    frame = comparison_rows.labelled_rows_of(look)
    errors = (frame["score"] - frame["label_value"]).dropna().to_numpy(np.float64)
    return 1.4826 * float(np.median(np.abs(errors - np.median(errors)))) if errors.size else 0.0


def none_if_nan(value: float) -> float | None:
    """The number, None for NaN."""
    return None if np.isnan(value) else float(value)
