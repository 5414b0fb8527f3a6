"""Sentences of the findings that split a change of performance into its causes."""

from typing import Any

from observability.core.analyzer import Context
from observability.core.finding import Against
from observability.detection.slice_sentences import HAD, slice_percent
from observability.stats.decompose import Decomposition
from observability.stats.interval import Interval

SAMPLED = {"reference": "in a sample of the reference", "past": "in a sample of the month before"}
"""Words for the baseline of an attribution. It is a sample of limited size, so its figure differs from that of the whole reference.
"""
FEW = 0.02
"""Rows without a counterpart are mentioned only from this share on."""


def attribution_split_sentence(
    metric: str, value: Interval, found: Decomposition, carried: list[dict[str, Any]], context: Context, against: Against
) -> str:
    """Return the sentence about one part of the change, with its interval and main contributor."""
    assert value.value is not None and value.low is not None and value.high is not None
    share, unit = context.model.task != "regression", context.model.settings.unit
    assert found.before.value is not None and found.now.value is not None
    whole = (
        f"the {loss_in_words(share)} went from {mean_loss_text(found.before.value, share)} {SAMPLED[against]} to "
        f"{mean_loss_text(found.now.value, share)}{f' {unit}' if unit and not share else ''} "
        f"({signed_loss(found.change, share)}; samples of {found.before.n:,.0f} and {found.now.n:,.0f} labelled rows)"
    )
    said = f"{signed_loss(value.value, share)} ({signed_loss(value.low, share)} to {signed_loss(value.high, share)})"
    nothing = value.low <= 0 <= value.high
    if metric == "change_from_label_mix":
        return f"The label mix alone changes the {loss_in_words(share)} by {said}; {whole}."
    if metric == "change_from_inputs":
        told = f"Covariate shift {'has no significant effect' if nothing else 'explains a part'}, {said}"
        most = "" if nothing or not carried else f", most by `{carried[0]['name']}`"
        return f"{whole[0].upper()}{whole[1:]}. {told}{most}{rows_without_counterpart_clause(found, against)}."
    told = "no significant difference" if nothing else f"a {'higher' if value.value > 0 else 'lower'} {loss_in_words(share)}"
    most = "" if nothing or not carried else f", most where `{carried[0]['name']}` is {outcome_level(carried[0])}"
    return f"{'No evidence of concept drift' if nothing else 'Concept drift'}: {told} at equal inputs, {said}{most}; {whole}."


def outcome_level(carrier: dict[str, Any]) -> str:
    """Return a level in words, with its share of the drift and its share of the rows."""
    name = "missing" if carrier["level"] == "null" else f"`{carrier['level']}`"
    return f"{name} ({slice_percent(carrier['of_part'])} of the drift, {slice_percent(carrier['share'])} of the rows)"


def rows_without_counterpart_clause(found: Decomposition, against: Against) -> str:
    """Return a clause about the rows that have no counterpart in the baseline; empty if their share is below FEW."""
    if found.alone_now < FEW:
        return ""
    return f"; {slice_percent(found.alone_now)} of the window has no counterpart {HAD[against]}, and counts as covariate shift"


def too_little_overlap_sentence(found: Decomposition, against: Against) -> str:
    """Return a sentence that the rows of window and baseline overlap too little to be compared."""
    return (
        f"{slice_percent(found.alone_now)} of the window has inputs that did not occur {HAD[against]}, so covariate shift and concept "
        f"drift cannot be separated: that needs a reference with such rows."
    )


def loss_in_words(share: bool) -> str:
    """Return the name of the loss. share: whether the loss is a share of errors."""
    return "share of wrong decisions" if share else "mean absolute error"


def mean_loss_text(value: float, share: bool) -> str:
    """Return a mean loss as text."""
    return slice_percent(value) if share else f"{value:.3g}"


def signed_loss(value: float, share: bool) -> str:
    """Return a difference of mean losses as text."""
    return f"{100 * value:+.1f} points" if share else f"{value:+.3g}"


def too_few_for_attribution(now: int, before: int, wanted: int) -> str:
    """Return a sentence that the window or the baseline has too few labelled rows."""
    if before < wanted:
        return (
            f"Attributing a performance change needs {wanted:,} labelled baseline rows, not {before:,}: register this version with "
            f"held-out predictions."
        )
    return f"A performance change cannot be attributed on {now:,} labelled rows: it needs about {wanted - now:,} more."
