"""What an explanation says, in three sentences: what pushed the score up, what pushed it down, and where that leads."""

import math
from collections.abc import Sequence
from typing import Any

from observability.core.numerals import figure
from observability.investigation.model_answers import Bar

NAMED = 3
UNITS = {"logit": "log-odds", "log": "on the log scale", "raw": "raw class score", "identity": ""}
"""The space in which attributions add up, in words."""
METHODS = {
    "native pred_contrib": "exact TreeSHAP of the model's library", "shap tree": "TreeSHAP", "shap linear": "exact SHAP of a linear model",
    "shap permutation": "SHAP by permutations, sampled",
}  # fmt: skip
"""How attributions are made, in words."""


def words(bars: Sequence[Bar], base: float, output: float, link: str, against: str, of_class: str | None = None) -> tuple[str, ...]:
    """Three sentences with the numbers in the space of the link, turned into a probability (or the value) at the end.

    bars: largest first. against: what the base value is the mean of. A feature without any effect is not named.
    """
    up, down = [each for each in bars if each.attribution > 0], [each for each in bars if each.attribution < 0]
    return (
        pushed(up, "up", link),
        pushed(down, "down", link),
        f"From {figure(base)} for {against} they lead to {figure(output)}{unit(link)}{meaning(base, output, link)}"
        f"{f', for the class {of_class}' if of_class else ''}.",
    )


def pushed(bars: Sequence[Bar], where: str, link: str) -> str:
    """What pushed the score in one direction: the largest by name, the rest together."""
    if not bars:
        return f"Nothing pushed it {where}."
    named = [f"{each.feature} = {value(each.value)} ({figure(each.attribution, 3, sign=True)})" for each in bars[:NAMED]]
    rest = bars[NAMED:]
    if rest:
        named.append(f"{len(rest)} other{'s' if len(rest) > 1 else ''} ({figure(sum(each.attribution for each in rest), 3, sign=True)})")
    total = sum(each.attribution for each in bars)
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    return f"Pushed {where} by {figure(abs(total), 3)}{unit(link)}: {listed}."


def unit(link: str) -> str:
    """A unit behind a number."""
    return f" {UNITS[link]}" if UNITS.get(link) else ""


def meaning(base: float, output: float, link: str) -> str:
    """What the two ends are as scores: probabilities from log-odds, values from logarithms."""
    if link == "logit":
        return f": a probability of {share(output)} instead of {share(base)}"
    if link == "log":
        return f": {figure(math.exp(min(output, 700.0)))} instead of {figure(math.exp(min(base, 700.0)))}"
    return ""


def share(output: float) -> str:
    """The probability of log-odds."""
    chance = 1 / (1 + math.exp(-output)) if output > -700 else 0.0
    return f"{100 * chance:.1f} %" if 0.001 <= chance <= 0.999 else figure(chance, 2)


def method(name: str) -> str:
    """How the attributions were made, as the field calls it."""
    return METHODS.get(name, name)


def left_over(residual: float) -> str:
    """What the bars leave over, in words."""
    return "nothing left over" if abs(residual) < 1e-4 else f"{figure(residual)} left over"


def value(given: Any) -> str:
    """An input's value, as a reader knows it."""
    if given is None or given != given:
        return "missing"
    if isinstance(given, bool):
        return "true" if given else "false"
    return figure(given, 6) if isinstance(given, float) else str(given)[:60]
