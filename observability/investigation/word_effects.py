"""Measure how much each word of a logged text moves the model's answer: the text is scored without the word (occlusion)."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from observability.investigation.cached_answers import cached_answer
from observability.investigation.known_attributions import class_of
from observability.investigation.logged_content import LoggedText
from observability.investigation.logged_prediction import Row
from observability.investigation.sampled_rows import artifact_of, required_worker, stored_input, task_and_classes

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.worker.process import Worker

Progress = Callable[[float, str], None]
WORD = re.compile(r"\S+")
MAX_WORDS = 200
"""Maximum number of words, from the beginning of a text, that are left out one at a time."""
SECONDS = 60.0


@dataclass(frozen=True)
class WordEffects:
    """Effects of words. words: (start, end, effect) in the text; effect: score of the text less score without the word, in probability (of
    `class_name`, None for the positive class) or in units of a regression. score: the score of the whole text. through: the features
    through which the words reach the model. kept: the number of other features, which keep their logged values. left: the number of words
    beyond the limit, whose effects are not computed.
    """

    words: tuple[tuple[int, int, float], ...]
    score: float
    through: tuple[str, ...]
    kept: int
    class_name: str | None = None
    left: int = 0


def word_effects(
    store: "Store", row: Row, text: LoggedText, *, worker: "Worker | None" = None, progress: Progress | None = None
) -> WordEffects:
    """The effects of a text's words. Raises NotGivenError if there is no model file or no worker, UsageError if the model file does not
    include the step that turns words into features, and the worker's errors.
    """
    artifact_of(store, row.version)
    spans = [found.span() for found in WORD.finditer(text.text)]
    place, inputs = class_of(row), stored_input(row)
    texts = [text.text, *(text.text[:start] + text.text[end:] for start, end in spans[:MAX_WORDS])]

    def ask() -> dict[str, object]:
        from observability.worker.requests import score_without_words

        through, scores = score_without_words(
            required_worker(worker),
            artifact_of(store, row.version),
            inputs,
            texts,
            feature=text.name if text.feature else None,
            **task_and_classes(row.model),
            progress=progress,
            seconds=SECONDS,
        )
        return {"through": list(through), "scores": (scores[:, max(place, 0)] if scores.ndim == 2 else scores).tolist()}

    found = cached_answer(store, row, row.version, "words", [text.name, text.feature, texts[0], row.features, place], ask)
    scores = np.asarray(found["scores"], np.float64)
    effects = scores[0] - scores[1:]
    words = tuple((start, end, float(effect)) for (start, end), effect in zip(spans, effects, strict=False))
    class_name = row.model.classes[place] if place >= 0 else None
    through = tuple(found["through"])
    return WordEffects(words, float(scores[0]), through, inputs.shape[1] - len(through), class_name, max(len(spans) - MAX_WORDS, 0))
