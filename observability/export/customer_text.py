"""Writes what may be communicated to the person whom a prediction is about: one plain paragraph of facts from the case, to copy."""

from collections.abc import Collection, Sequence

from observability.core import formatting
from observability.core.numerals import format_figure
from observability.investigation.label_types import outcome_words, with_unit
from observability.investigation.latent_inputs import TOGETHER, latent_features
from observability.investigation.logged_prediction import Row
from observability.investigation.model_answers import AttributionContrast
from observability.investigation.outcome_facts import binary_score_text
from observability.store.types.decision_items import DecisionItem

MAX_INPUTS = 2
"""Maximum number of inputs that are named in each direction."""
LONGEST_VALUE = 40
REVIEWED = {"yes": "the prediction was wrong", "no": "the prediction was right", "label_wrong": "the recorded outcome is wrong"}


def customer_paragraph(
    row: Row, contrast: AttributionContrast | None, verdicts: Sequence[DecisionItem], masked: Collection[str] = frozenset()
) -> str:
    """The paragraph with the prediction and its time, the recorded outcome, missing inputs, the inputs that moved the score, and whether a
    person reviewed the prediction. It states what is unknown, and claims nothing about the cause of the outcome.

    contrast: the attributions compared with the average, None if they are unknown. verdicts: the verdicts of the case, newest first.
    masked: inputs whose values are left out.
    """
    parts = [
        _prediction_sentence(row),
        _outcome_sentence(row),
        _missing_sentence(row),
        _inputs_sentence(contrast, masked),
        _review_sentence(verdicts),
    ]
    return " ".join(part for part in parts if part)


def _prediction_sentence(row: Row) -> str:
    """A sentence with the prediction, the model that made it, and the time."""
    began = f"On {formatting.format_minute(row.at)} UTC an automated system ({row.model.name}, version {row.version.name})"
    if row.answer is None:
        return f"{began} gave no prediction; the request ended with status {row.status}."
    said = f"{began} predicted {outcome_words(row.model, row.answer)}"
    if row.status != "ok":
        return f"{said}; the request did not end normally (status {row.status})."
    if row.model.task == "binary" and row.score is not None:
        positive = outcome_words(row.model, row.model.classes[-1])
        return (
            f"{said}. Its score for {positive} was {binary_score_text(row)}; from {format_figure(row.threshold)} on it predicts {positive}."
        )
    return f"{said}, with a score of {row.score:.2f}." if row.model.task == "multiclass" and row.score is not None else f"{said}."


def _outcome_sentence(row: Row) -> str:
    """A sentence with the recorded outcome, and how the prediction compares with it."""
    if row.label is None:
        return "No outcome is recorded yet, so it is not known whether the prediction was right."
    said = f"The recorded outcome is {outcome_words(row.model, row.label.value)} ({formatting.format_day(row.label.at)})"
    if row.error is not None:
        size = with_unit(row.model, format_figure(abs(row.error)))
        said += f"; the prediction was {size} too {'high' if row.error > 0 else 'low'}" if row.error else "; the prediction was exact"
    elif row.wrong is not None:
        said += f"; the prediction was {'wrong' if row.wrong else 'right'}"
    changes = len(row.revisions) - 1
    return f"{said}. The record of it was changed {formatting.plural(changes, 'time')}." if changes > 0 else f"{said}."


def _missing_sentence(row: Row) -> str:
    """A sentence with the number of missing inputs. Empty if none is missing."""
    missing = sum(value is None for value in row.features.values())
    return f"{missing} of {len(row.features)} inputs were missing." if missing else ""


def _inputs_sentence(contrast: AttributionContrast | None, masked: Collection[str]) -> str:
    """A sentence with the inputs that moved the score most in each direction."""
    if contrast is None or not contrast.adds_up or contrast.mismatch:
        return "How much each input weighed in it is not known."
    latent = latent_features([bar.feature for bar in contrast.bars])
    bars = [bar for bar in contrast.bars if bar.feature not in latent and bar.value is not TOGETHER and bar.attribution]

    def named(up: bool) -> str:
        chosen = [bar for bar in bars if (bar.attribution > 0) == up][:MAX_INPUTS]
        return " and ".join(bar.feature if bar.feature in masked else f"{bar.feature} ({_value_words(bar.value)})" for bar in chosen)

    raised, lowered = named(True), named(False)
    said = [f"{names} {verb} the score" for names, verb in ((raised, "raised"), (lowered, "lowered")) if names]
    if not said:
        return ""
    of = f" for {contrast.class_name}" if contrast.class_name else ""
    moved = f"Of the inputs, {' and '.join(said)}{of} most, compared with an average case."
    return f"{moved} This describes the calculation, not the cause of the outcome."


def _value_words(value: object) -> str:
    """A value in a few words."""
    if value is None:
        return "missing"
    if isinstance(value, bool):
        return "true" if value else "false"
    return format_figure(value) if isinstance(value, int | float) else formatting.truncate(str(value), LONGEST_VALUE)


def _review_sentence(verdicts: Sequence[DecisionItem]) -> str:
    """A sentence with the newest verdict of a person that was not withdrawn."""
    standing = next(
        (verdict for verdict in verdicts if verdict.state != "withdrawn" and str(verdict.fields.get("wrong")) in REVIEWED), None
    )
    if standing is None:
        return "No person has recorded a review of it yet."
    return (
        f"A person reviewed it on {formatting.format_day(standing.first.at)} and concluded that {REVIEWED[str(standing.fields['wrong'])]}."
    )
