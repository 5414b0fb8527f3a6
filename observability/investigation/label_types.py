"""The label of a prediction and its revisions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from observability.core.catalog import Model
from observability.core.numerals import measured_value_text


@dataclass(frozen=True)
class Revision:
    """One label as it arrived: event time and arrival (UTC), canonical text, number where it is one. current: it is the valid one."""

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
    """A label or decision as text: the name of the class, or the number of a regression; None where unknown."""
    if not classes:
        return None if number != number else f"{number:.12g}"
    return classes[code] if 0 <= code < len(classes) else None


def class_words(model: Model, name: str) -> str:
    """A class in the words of the model's settings; its name without them."""
    return model.settings.class_names.get(name, name)


def outcome_words(model: Model, text: str) -> str:
    """A label or decision for people: the class in the words of the settings, or a number of at most six digits with its unit."""
    if model.classes:
        return class_words(model, text)
    return with_unit(model, measured_value_text(text))


def with_unit(model: Model, figure: str) -> str:
    """A figure of a regression with the unit of the model's settings."""
    return f"{figure} {model.settings.unit}" if model.settings.unit else figure
