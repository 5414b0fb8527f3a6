"""The label of a prediction and its revisions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from observability.core.catalog import Model
from observability.core.formatting import DASH, format_number
from observability.core.numerals import format_figure, measured_value_text, score_beside_threshold

PLURAL = re.compile(r"[a-z]*[aeiou][a-z]*(?<![sui])s")
"""Plural units that lose their last letter after 1, such as `minutes`, but not `ms`, `kbps` or `celsius`."""


@dataclass(frozen=True)
class Revision:
    """One label as it arrived: event time and arrival (UTC), canonical text, and the number if the label is one. current: whether this
    revision is the valid label.
    """

    value: str
    at: datetime
    arrived: datetime
    number: float | None = None
    source: str | None = None
    annotator: str | None = None
    guideline: str | None = None
    current: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Label:
    """The current label, and all revisions in order of arrival."""

    value: str
    at: datetime
    revisions: tuple[Revision, ...]


def outcome_text(classes: Sequence[str], code: int, number: float) -> str | None:
    """A label or decision as text: the name of the class, or the number of a regression; None if unknown."""
    if not classes:
        return None if number != number else f"{number:.12g}"
    return classes[code] if 0 <= code < len(classes) else None


def class_words(model: Model, name: str) -> str:
    """A class as the model's settings name it; its own name if they do not."""
    return model.settings.class_names.get(name, name)


def outcome_words(model: Model, text: str) -> str:
    """A label or decision for people: the class as the settings name it, or a number of at most six digits with its unit."""
    if model.classes:
        return class_words(model, text)
    return with_unit(model, measured_value_text(text))


def with_unit(model: Model, figure: str) -> str:
    """A figure of a regression with the unit of the model's settings: `2 minutes`, `1 minute`."""
    unit = model.settings.unit
    if not unit:
        return figure
    return f"{figure} {unit[:-1] if figure == '1' and PLURAL.fullmatch(unit) else unit}"


def score_name(model: Model, place: int = -1) -> str:
    """The name of a score. Binary model: the score of its second class. Several classes: the probability of the class at `place`."""
    if model.task == "binary":
        return f"score of {class_words(model, model.classes[1])}"
    return f"probability of {class_words(model, model.classes[place])}" if model.classes and place >= 0 else "score"


def prediction_with_score(model: Model, prediction: str | None, score: float | None) -> str:
    """A decision with its score. If the score belongs to another class, that class is named too: `late (0.553)`, `on time (late 0.238)`.
    For a regression, the value with its unit.
    """
    if model.task == "regression":
        return DASH if score is None or score != score else with_unit(model, format_number(score))
    said = class_words(model, prediction) if prediction is not None else DASH
    if score is None or score != score:
        return said
    if model.task != "binary":
        return f"{said} ({format_number(score)})"
    of_class = "" if prediction == model.classes[1] else f"{class_words(model, model.classes[1])} "
    return f"{said} ({of_class}{score_beside_threshold(score, model.settings.threshold, format_number(score))})"


def version_answer_text(model: Model, prediction: str | None, score: Any) -> str:
    """A version's prediction with its score; for several classes with the probability of the predicted one."""
    return prediction_with_score(model, prediction, score.get(prediction) if isinstance(score, Mapping) else score)


def answer_score_text(model: Model, score: Any) -> str:
    """A score with its class, or with its unit for a regression; for several classes, the largest score."""
    if isinstance(score, Mapping):
        name = max(score, key=lambda label: score[label])
        return f"{class_words(model, name)} {format_figure(score[name])}"
    if score is None:
        return "none"
    return f"{class_words(model, model.classes[1])} {format_figure(score)}" if model.classes else with_unit(model, format_figure(score))
