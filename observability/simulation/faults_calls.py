"""Faults in the calls of a language model that has no reference: other questions, longer questions and answers, refusals, kinds of answers
that vanish.

They are planted in the calls of the window. The twin, for comparison, is the window without them.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from observability.core.errors import UsageError
from observability.detection.call_drift import ANSWER, REFUSED, is_of_answers
from observability.detection.histogram_distance import MINIMUM_ROWS
from observability.simulation.faults_frames import FrameFault, FramesPlant, PlantedFrames

if TYPE_CHECKING:
    from pandas import DataFrame

CALLS, METRIC = "serving/call_drift", "call_psi"
INPUT_TOKENS, OUTPUT_TOKENS = "feature.input_tokens", "feature.output_tokens"
MIN_SHARE = 0.02
"""A level of a category is rare if it has less than this share of the calls. Faults move calls only to levels that are not rare."""
MAX_TOPICS = 20
"""A category counts as topics or kinds if it has at most this many levels."""


def _changed_calls(plant: FramesPlant, column: str, change: "Callable[[DataFrame], DataFrame]") -> PlantedFrames:
    """The frames after the calls of the window are changed. column: the subject that the finding should name."""
    now = plant.frames["current"]
    if len(now) < MINIMUM_ROWS:
        wanted = f"{MINIMUM_ROWS} calls of a language model"
        raise UsageError("no calls to plant a fault in", got=f"{len(now):,} calls", expected=wanted)
    about = f"{len(now):,} calls of {plant.context.model.name}."
    return PlantedFrames({**plant.frames, "current": change(now)}, plant.frames, plant.context, column, about)


def _hit(plant: FramesPlant, rows: "DataFrame") -> np.ndarray:
    """A mask of the rows that the fault affects: a random share of the calls, as large as the amount."""
    return plant.rng.random(len(rows)) < plant.amount


def _levels(plant: FramesPlant, column: str) -> list[str]:
    """The levels that a column has in the calls of the window, most frequent first, without rare ones."""
    shares = plant.frames["current"][column].value_counts(normalize=True).sort_index().sort_values(ascending=False, kind="stable")
    return [str(name) for name, share in shares.items() if share >= MIN_SHARE]


def questions_of_another_mix(plant: FramesPlant) -> PlantedFrames:
    """A share of the questions comes from the rarest of their topics, languages or routes."""
    offered = [
        each.reference
        for each in plant.context.model.features()
        if each.kind == "category" and not is_of_answers(each.name) and 2 <= len(_levels(plant, each.reference)) <= MAX_TOPICS
    ]
    if not offered:
        raise UsageError(
            "no calls to plant a fault in", expected="a language model with a category of two levels or more among its features"
        )
    column = max(offered, key=lambda name: (len(_levels(plant, name)), name))
    rarest = _levels(plant, column)[-1]
    return _changed_calls(
        plant, column.removeprefix("feature."), lambda own: own.assign(**{column: own[column].mask(_hit(plant, own), rarest)})
    )


def _tokens(plant: FramesPlant, column: str) -> PlantedFrames:
    """Every call has a multiple of the tokens."""
    if plant.context.model.column(column) is None:
        raise UsageError("no calls to plant a fault in", expected=f"a language model with {column}")
    name = column.removeprefix("feature.")
    return _changed_calls(plant, name, lambda own: own.assign(**{column: (own[column] * plant.amount).round()}))


def longer_questions(plant: FramesPlant) -> PlantedFrames:
    """Questions have a multiple of the tokens."""
    return _tokens(plant, INPUT_TOKENS)


def longer_answers(plant: FramesPlant) -> PlantedFrames:
    """Answers have a multiple of the tokens."""
    return _tokens(plant, OUTPUT_TOKENS)


def answers_of_one_kind_vanish(plant: FramesPlant) -> PlantedFrames:
    """A share of the answers of one kind becomes answers of the most frequent one."""
    kinds = _levels(plant, "prediction")
    if not 2 <= len(kinds) <= MAX_TOPICS:
        raise UsageError("no calls to plant a fault in", got=f"{len(kinds)} kinds of answers", expected="two kinds of answers or more")

    def without(own: "DataFrame") -> "DataFrame":
        gone = (own["prediction"] == kinds[1]) & _hit(plant, own)
        return own.assign(prediction=own["prediction"].mask(gone, kinds[0]))

    return _changed_calls(plant, ANSWER, without)


def answers_that_refuse(plant: FramesPlant) -> PlantedFrames:
    """A share of the answers refuses, as the records say."""
    if not plant.frames["past"]["extra"].astype(str).str.contains(f'"{REFUSED}"').any():
        raise UsageError("no calls to plant a fault in", expected=f"calls that log `{REFUSED}`")
    stated = f'{{"{REFUSED}": true}}'
    return _changed_calls(plant, REFUSED, lambda own: own.assign(extra=own["extra"].mask(_hit(plant, own), stated)))


FAULTS: dict[str, FrameFault] = {
    each.name: each
    for each in (
        FrameFault("questions_of_another_mix", (0.2, 0.4, 0.8), "share of questions", METRIC, questions_of_another_mix, CALLS),
        FrameFault("longer_questions", (1.3, 2.0, 4.0), "times as many tokens", METRIC, longer_questions, CALLS),
        FrameFault("longer_answers", (1.3, 2.0, 4.0), "times as many tokens", METRIC, longer_answers, CALLS),
        FrameFault("answers_of_one_kind_vanish", (0.5, 0.9, 1.0), "share of the kind", METRIC, answers_of_one_kind_vanish, CALLS),
        FrameFault("answers_that_refuse", (0.1, 0.2, 0.5), "share of answers", METRIC, answers_that_refuse, CALLS),
    )
}
