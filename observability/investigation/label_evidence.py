"""Evidence on whether a label is wrong, from the model, the neighbours and the annotators.

Classes: confident learning (Northcutt, Jiang and Chuang 2021; cleanlab's `filter_by="confident_learning"`). The threshold t_c of a class is
the mean probability of c over rows labelled c. A label is suspect if three conditions hold: the most probable of the classes that reach
their threshold is another class, the label is not the most probable class, and few neighbours have it. It is also suspect if a large
majority of neighbours disagrees and the model's probability is below the class's threshold. For measured outcomes the evidence only shows
that the label is unlikely (`measured`). A label of unknown origin is suspect only if it is wrong with a probability above EVEN
(label_noise.py). Regression: the label is far outside the spread of its neighbours' labels, while the score is not.
"""

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.numerals import format_figure, percent
from observability.investigation import comparison_rows, label_noise
from observability.investigation.case_parts import CaseInProgress
from observability.investigation.evidence_types import LabelCheck, NotGivenError
from observability.investigation.label_support import DOUBTED, SUPPORTED, annotator_votes, rater_support
from observability.investigation.label_types import class_words, outcome_words, with_unit
from observability.investigation.logged_prediction import Row
from observability.investigation.neighbours import nearest_labelled
from observability.investigation.sampled_rows import class_probabilities
from observability.stats.arrays import Floats, Integers

if TYPE_CHECKING:
    pass

MIN_LABELLED = 30
TOLERANCE = 1e-6
"""Probabilities that differ by at most this much count as equal, as in cleanlab."""
MEASURED = ("outcome", "correction")
"""Sources of labels that were measured or already corrected: a hard case is more likely than a wrong label."""
FEW_AGREE = 0.2
"""A large majority of neighbours disagrees if at most this share of them has the label, and the label is rarer among them than among all
rows.
"""
HARDLY = 0.02
"""The probability that a label is wrong counts as evidence against the label from this value on."""
MIN_VOTES, MAJORITY = 3, 0.75
"""Minimum number of annotators, and minimum share of them that must agree with a label to support it."""
FAR_OUT = 4.0
"""A number is far outside its neighbours' labels from this many robust standard deviations on."""


def label_check(case: CaseInProgress) -> LabelCheck:
    """Whether the label is suspect, with the evidence. Raises NotGivenError if there is no label."""
    row = case.row
    if row.label is None or row.label_code < 0:
        raise NotGivenError("there is no label" if row.label is None else f"the label {row.label.value!r} is not a class of the model")
    cast = annotator_votes(case)
    return number_check(case, cast) if row.model.task == "regression" else class_check(case, cast)


def own_probabilities(row: Row) -> Floats | None:
    """The model's probabilities of the case, (classes,); None if unknown."""
    if row.model.task == "multiclass":
        held = row.probabilities or {}
        return np.array([float(held.get(name, np.nan)) for name in row.model.classes]) if held else None
    return None if row.score is None or not np.isfinite(row.score) else np.array([1 - row.score, row.score])


def confidence_thresholds(chances: Floats, labels: Integers) -> Floats:
    """t_c of each class: the mean probability of c over rows labelled c; NaN if no row is labelled c."""
    return np.array(
        [chances[labels == each, each].mean() if (labels == each).any() else np.nan for each in range(chances.shape[1])], np.float64
    )


def confident_class(chances: Floats, limits: Floats) -> Integers:
    """For each row of (n, classes), the class that reaches its threshold; if several do, the most probable class. −1 if none does."""
    reached = chances >= limits - TOLERANCE
    several = np.where(reached.sum(axis=1) > 1, chances.argmax(axis=1), reached.argmax(axis=1))
    return np.where(reached.any(axis=1), several, -1)


def suspected_classes(chances: Floats, labels: Integers, limits: Floats) -> Integers:
    """For each row (n, classes), the class that the model is confident of instead of the label; −1 if the label is not suspect."""
    instead = confident_class(chances, np.where(np.isnan(limits), np.inf, limits))
    favoured = chances.copy()
    favoured[np.arange(len(labels)), labels] += TOLERANCE
    return np.where((instead == labels) | (favoured.argmax(axis=1) == labels), -1, instead)


def class_check(case: CaseInProgress, cast: "Counter[str]") -> LabelCheck:
    """The check of a label that is a class."""
    row, names = case.row, case.row.model.classes
    assert row.label is not None
    own = own_probabilities(row)
    labelled = comparison_rows.labelled_rows_of(case)
    given = labelled["label"].to_numpy(np.int64)
    confidence, limit, instead, first, wrong = None, None, None, False, None
    sentences = []
    if own is not None and len(labelled) >= MIN_LABELLED:
        chances = class_probabilities(labelled, row.model)
        usable = np.isfinite(chances).all(axis=1)
        limits = confidence_thresholds(chances[usable], given[usable])
        confidence, limit = float(own[row.label_code]), None if np.isnan(limits[row.label_code]) else float(limits[row.label_code])
        first = int(own.argmax()) == row.label_code
        other = int(suspected_classes(own[None, :], np.array([row.label_code]), limits)[0])
        instead = names[other] if other != -1 else None
        sentences.append(f"Model probability of the label {outcome_words(row.model, row.label.value)}: {chance_text(confidence)}")
        sentences[-1] += f" (average of rows with this label: {chance_text(limit)})" if limit is not None else ""
        if instead is not None:
            sentences[-1] += f"; of {class_words(row.model, instead)}: {chance_text(own[other])} (average {chance_text(limits[other])})"
    around = nearest_labelled(case).frame
    same = int((around["label"] == row.label_code).sum())
    agree = same / len(around)
    sentences.append(f"{same} of the {len(around)} nearest labelled rows {'has' if same == 1 else 'have'} the same label")
    voted = cast[row.label.value] if cast else None
    if voted is not None:
        sentences.append(f"{voted} of {sum(cast.values())} annotators chose {outcome_words(row.model, row.label.value)}")
    people = rater_support(case)
    if people is not None:
        sentences.append(people.text)
    outvoted = voted is not None and cast.most_common(1)[0][1] > voted
    agreed = voted is not None and sum(cast.values()) >= MIN_VOTES and voted >= MAJORITY * sum(cast.values())
    supported = people.doubt <= SUPPORTED if people is not None else agreed
    at_large = float((given == row.label_code).mean()) if given.size else 0.0
    against = agree <= FEW_AGREE and agree < at_large
    unlikely = confidence is not None and limit is not None and confidence < limit and not first
    suspect = (instead is not None and agree < 0.5) or (against and unlikely)
    unclear = not suspect and (against or (instead is not None and agree <= 0.5))
    if people is not None:
        suspect, unclear = people.doubt >= DOUBTED, SUPPORTED < people.doubt < DOUBTED
    elif outvoted or supported:
        suspect, unclear = outvoted, False
    if suspect and people is None and len(cast) <= 1 and row.label_source not in label_noise.JUDGED and confidence is not None:
        odds = label_noise.wrong_label_odds(case, confidence)
        if odds is not None:
            sentences.append(odds.text)
            wrong = odds.probability
            suspect, unclear = wrong > label_noise.EVEN, HARDLY <= wrong <= label_noise.EVEN
    measured = not outvoted and row.label_source in MEASURED
    if against and not outvoted:
        sentences.append(f"of all rows {chance_text(at_large)} have it")
    found = LabelCheck(
        suspect,
        "",
        confidence,
        limit,
        instead,
        dict(cast),
        agree,
        measured=measured,
        unclear=unclear,
        doubt=people.doubt if people is not None else None,
        supported=supported,
    )
    rival = names[int(own.argmax())] if own is not None and not first else ""
    return replace(found, because=f"{'; '.join(sentences)}: {label_conclusion(found, class_words(row.model, rival), wrong)}.")


def label_conclusion(check: LabelCheck, rival: str = "", wrong: float | None = None) -> str:
    """The conclusion on a label, as the end of a sentence. rival: the class that the model finds most probable, if it is another one.
    wrong: the probability that the label is wrong, if it was estimated.
    """
    if check.suspect and check.measured:
        standing = f"less likely than {rival or 'another class'}" if check.standing == "less likely" else check.standing
        return f"the label is {standing} but was measured, so a hard case is more likely than a wrong label"
    if check.suspect:
        return "the label is suspect"
    if check.supported:
        return "people support the label"
    if wrong is not None:
        return f"an ordinary error of the model is {'far ' if wrong < HARDLY else ''}more likely than a wrong label"
    return "some evidence against the label, too little to call it suspect" if check.unclear else "no evidence against the label"


def chance_text(share: float) -> str:
    """A probability as text, such as `5 %`, with two digits, or three from 99.5 % on."""
    return percent(share, 2 if share < 0.995 else 3)


def number_check(case: CaseInProgress, cast: "Counter[str]") -> LabelCheck:
    """The check of a label that is a number."""
    row = case.row
    value = row.label_number
    around = nearest_labelled(case).frame["label_value"].dropna().to_numpy(np.float64)
    if value is None or around.size < 3:
        raise NotGivenError("too few neighbours have labels for a comparison")
    middle = float(np.median(around))
    theirs, errors = 1.4826 * float(np.median(np.abs(around - middle))), float(robust_error_deviation(case))
    spread = max(theirs, errors, 1e-12)
    away = (value - middle) / spread
    score_away = None if row.score is None else (row.score - middle) / spread
    suspect = abs(away) > FAR_OUT and score_away is not None and abs(score_away) <= FAR_OUT / 2
    because = f"The label {with_unit(row.model, format_figure(value, 6))} is {abs(away):.1f} robust standard deviations "
    of_what = "the model's errors" if errors > theirs else "its neighbours' labels"
    because += f"({with_unit(row.model, format_figure(spread, 3))}, that of {of_what}) "
    because += "from its neighbours' median"
    because += f" {format_figure(middle, 6)}" + ("" if score_away is None else f", the score {abs(score_away):.1f}")
    measured = row.label_source in MEASURED
    found = LabelCheck(suspect, "", away=abs(away), votes=dict(cast), measured=measured)
    return replace(found, because=f"{because}: {label_conclusion(found)}.")


def robust_error_deviation(case: CaseInProgress) -> float:
    """Robust standard deviation of the model's errors in the period, which is a lower limit for the neighbours' spread; 0 if unknown."""
    frame = comparison_rows.labelled_rows_of(case)
    errors = (frame["score"] - frame["label_value"]).dropna().to_numpy(np.float64)
    return 1.4826 * float(np.median(np.abs(errors - np.median(errors)))) if errors.size else 0.0
