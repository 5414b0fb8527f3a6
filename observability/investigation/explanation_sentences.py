"""An attribution as three sentences: features that raise the score, features that lower it, and the resulting score."""

import math
from collections.abc import Sequence
from typing import Any

from observability.core.formatting import join_words, plural
from observability.core.numerals import format_figure
from observability.investigation.latent_inputs import TOGETHER, latent_bars_by_side, named_and_other_bars
from observability.investigation.model_answers import Bar

NAMED = 3
UNITS = {"logit": "log-odds", "log": "on the log scale", "raw": "raw class score", "identity": ""}
"""The words for the unit in each link space."""
METHODS = {
    "native pred_contrib": "exact TreeSHAP of the model's library",
    "shap tree": "TreeSHAP",
    "shap linear": "exact SHAP of a linear model",
    "shap permutation": "SHAP by permutations, sampled",
}
"""Names of attribution methods."""


def explanation_sentences(
    bars: Sequence[Bar], base: float, output: float, link: str, against: str, of_class: str | None = None, label_unit: str = ""
) -> tuple[str, ...]:
    """Three sentences with the numbers in the link space, and the resulting probability (or value).

    bars: largest first; latent features that move the score in the same direction are one bar. against: the rows whose mean is the base
    value. label_unit: the unit of a regression's values. Features without effect are not named.
    """
    up, down = latent_bars_by_side(bars)
    return (
        pushing_features_sentence(up, "up", link, label_unit),
        pushing_features_sentence(down, "down", link, label_unit),
        f"Base value {format_figure(base)} ({against}), output {format_figure(output)}{link_unit(link, label_unit)}"
        f"{scores_clause(base, output, link)}{f', for the class {of_class}' if of_class else ''}.",
    )


def pushing_features_sentence(bars: Sequence[Bar], where: str, link: str, label_unit: str = "") -> str:
    """A sentence on the features that move the score in one direction: the largest ones by name, the rest as a sum."""
    if not bars:
        return f"No feature {'raises' if where == 'up' else 'lowers'} the output."
    shown, others = named_and_other_bars(bars, NAMED)
    named = [f"{bar.feature}{_equals(bar)} ({format_figure(bar.attribution, 3, sign=True)})" for bar in shown]
    rest = [bar.attribution for bar in others]
    if rest:
        named.append(f"{plural(len(rest), 'other')} ({format_figure(sum(rest), 3, sign=True)})")
    total = sum(bar.attribution for bar in bars)
    return f"Pushed {where} by {format_figure(abs(total), 3)}{link_unit(link, label_unit)}: {join_words(named)}."


def _equals(bar: Bar) -> str:
    """The text after a bar's name that gives its value; empty for a bar that stands for several inputs."""
    return "" if bar.value is TOGETHER else f" = {input_words(bar.value)}"


def link_unit(link: str, label_unit: str = "") -> str:
    """The unit after a number in the link space; for the identity link, the unit of the label."""
    words = label_unit if link == "identity" else UNITS.get(link)
    return f" {words}" if words else ""


def scores_clause(base: float, output: float, link: str) -> str:
    """Base value and output as scores: probabilities for a logit link, values for a log link; else empty.

    The probability of the mean log-odds is not the mean probability.
    """
    if link == "logit":
        return f": a probability of {probability_of_logit(output)}, where the base value stands for {probability_of_logit(base)}"
    if link == "log":
        return (
            f": {format_figure(math.exp(min(output, 700.0)))}, where the base value stands for {format_figure(math.exp(min(base, 700.0)))}"
        )
    return ""


def probability_of_logit(output: float) -> str:
    """The probability that belongs to a value in log-odds, as text."""
    chance = 1 / (1 + math.exp(-output)) if output > -700 else 0.0
    return f"{100 * chance:.1f} %" if 0.001 <= chance <= 0.999 else format_figure(chance, 2)


def method_name(name: str) -> str:
    """The name of an attribution method in the field."""
    return METHODS.get(name, name)


def residual_words(residual: float) -> str:
    """The residual of an explanation in words; `no residual` below 0.0001."""
    return "no residual" if abs(residual) < 1e-4 else f"residual {format_figure(residual)}"


def input_words(given: Any) -> str:
    """An input's value as text."""
    if given is None or given != given:
        return "missing"
    if isinstance(given, bool):
        return "true" if given else "false"
    return format_figure(given, 6) if isinstance(given, float) else str(given)[:60]
