"""How well people support a label: by the mean and spread of its raters, which are logged with it, or by several annotators.

The class of a mean rating is decided by borders, which are estimated from stored labels: the means of neighbouring classes lie on either
side of a border. The doubt is the probability that the same number of new raters would give another class. The mean of new raters is taken
as normal around the known mean; both means have the standard error spread / √raters.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from observability.core.numerals import format_figure, percent
from observability.core.questions import Records
from observability.investigation.case_parts import CaseInProgress, computed_once
from observability.investigation.label_types import class_words
from observability.investigation.verdicts import votes_of_item, window_until_now
from observability.stats.arrays import Floats

SAMPLE, MIN_OF_CLASS, MAX_OVERLAP = 4000, 10, 0.02
"""Number of newest labels from which the borders of classes are estimated; minimum number for each class; share of labels that may lie on
the wrong side of a border.
"""
NAMES = {"raters": r"raters|annotators", "mean": r"mean|average", "spread": r"spread|std|deviation"}
"""Regular expressions that recognise the fields by their names."""
SUPPORTED, DOUBTED = 0.1, 0.2
"""Raters support a label up to the first value of the doubt; from the second value on, the label is suspect."""


@dataclass(frozen=True)
class RaterSupport:
    """How well raters support a label. doubt: probability that the same number of new raters would give another class. decided: probability
    that they would give the class that the wrong prediction decided. text: the start of a sentence.
    """

    raters: float
    mean: float
    spread: float
    doubt: float
    decided: float
    text: str


def rating_fields(extra: Mapping[str, Any]) -> dict[str, float]:
    """The number of raters, the mean and the spread, from the fields that were logged with a label; missing ones are left out."""
    numbers = {name: float(value) for name, value in extra.items() if isinstance(value, int | float) and not isinstance(value, bool)}
    found = {}
    for wanted, pattern in NAMES.items():
        value = next((value for name, value in numbers.items() if re.search(pattern, name)), None)
        if value is not None and np.isfinite(value):
            found[wanted] = value
    return found


@computed_once
def rater_support(case: CaseInProgress) -> RaterSupport | None:
    """How well raters support the current label; None if raters were not logged, or the borders of the classes are unknown."""
    revision, classes = case.row.current_revision, case.row.model.classes
    if revision is None or not classes:
        return None
    given = rating_fields(revision.extra)
    if given.keys() < NAMES.keys() or given["raters"] < 2:
        return None
    borders = rating_borders(case)
    span = borders.get(revision.value)
    if span is None or not span[0] <= given["mean"] <= span[1]:
        return None
    error = given["spread"] / float(np.sqrt(given["raters"]))
    both = error * float(np.sqrt(2))
    doubt = 1 - probability_within(span, given["mean"], both)
    answer = case.row.answer if case.row.wrong else None
    decided = probability_within(borders[answer], given["mean"], both) if answer in borders else 0.0
    border = min((end for end in span if np.isfinite(end)), key=lambda end: abs(end - given["mean"]))
    text = f"{given['raters']:.0f} raters: mean {format_figure(given['mean'], 3)} ± {format_figure(error, 2)}, class border at "
    text += f"{format_figure(border, 3)}; as many others would give another class with probability {small_chance(doubt)}"
    text += f", {class_words(case.row.model, answer)} with {small_chance(decided)}" if answer in borders else ""
    return RaterSupport(given["raters"], given["mean"], given["spread"], doubt, decided, text)


def small_chance(share: float) -> str:
    """A probability in words, with two digits. Below 0.1 %, the words only state that bound."""
    return "under 0.1 %" if share < 0.001 else percent(share, 2)


def probability_within(span: tuple[float, float], mean: float, error: float) -> float:
    """Probability that a mean with this standard error lies within a span."""
    from scipy.stats import norm

    return (
        float(norm.cdf((span[1] - mean) / error) - norm.cdf((span[0] - mean) / error)) if error > 0 else float(span[0] <= mean <= span[1])
    )


def rating_borders(case: CaseInProgress) -> dict[str, tuple[float, float]]:
    """Lowest and highest mean rating of each class, by the newest labels of the model; empty if the classes overlap."""
    question = Records("label", columns=("value", "extra"), ever=True, rows=SAMPLE)
    frame = case.store.ask(question, window_until_now(case, case.row.model.name))
    means: dict[str, list[float]] = {}
    for value, extra in zip(frame["value"], frame["extra"], strict=True):
        mean = rating_fields(extra).get("mean") if isinstance(extra, dict) else None
        if mean is not None:
            means.setdefault(str(value), []).append(mean)
    kept = {name: np.array(held) for name, held in means.items() if len(held) >= MIN_OF_CLASS}
    order = sorted(kept, key=lambda name: float(np.median(kept[name])))
    borders = [border_between(kept[low], kept[high]) for low, high in pairwise(order)]
    if len(order) < 2 or any(border is None for border in borders):
        return {}
    ends = [-np.inf, *(border for border in borders if border is not None), np.inf]
    return {name: (float(ends[place]), float(ends[place + 1])) for place, name in enumerate(order)}


def border_between(low: Floats, high: Floats) -> float | None:
    """The border between the mean ratings of two classes; None if more than MAX_OVERLAP of a class lies on the wrong side."""
    border = (np.quantile(low, 1 - MAX_OVERLAP / 2) + np.quantile(high, MAX_OVERLAP / 2)) / 2
    if low.max() <= high.min():
        border = (low.max() + high.min()) / 2
    wrong = (low > border).mean(), (high < border).mean()
    return float(border) if max(wrong) <= MAX_OVERLAP else None


def annotator_votes(case: CaseInProgress) -> Counter[str]:
    """The labels of annotators: those of the item in the model's labelling projects, else each annotator's newest label among the
    revisions.
    """
    cast = votes_of_item(case)
    newest = {revision.annotator: revision.value for revision in case.row.revisions if revision.annotator}
    return cast if cast or len(newest) < 2 else Counter(newest.values())
