"""Compare a measured value with the level that the model's owner states, if there is no other baseline for it."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from observability.core.finding import Finding, Severity
from observability.core.metric_definitions import METRICS
from observability.core.numerals import format_figure, percent


def level_name(finding: Finding) -> str:
    """The name under which an owner states the level of a finding's metric, in the table `[limits]` of the settings."""
    return f"{finding.analyzer}/{finding.metric}"


def level_words(metric: str, level: float) -> str:
    """The owner's level of a metric as the end of a sentence, with shares in per cent: `the owner's level is 80 %`."""
    return f"the owner's level is {percent(level) if METRICS[metric].unit == 'share' else format_figure(level)}"


def owner_limit_words(limits: Mapping[str, float], name: str, words: Callable[[float], str] = percent) -> str:
    """The owner's limit of a metric as the end of a sentence, such as `; the owner's limit is 20 %`; empty if none is stated.

    limits: limits of the model's settings; name: a name as from `level_name`; words: a function that formats the limit.
    """
    return f"; the owner's limit is {words(limits[name])}" if name in limits else ""


def beyond_level(finding: Finding, level: float) -> Severity:
    """The severity of a finding's value compared with a level, in the direction that is worse for its metric.

    `act` if the whole interval is beyond the level, `watch` if only the value is, else `ok`.
    """
    value, low, high = finding.value, finding.low, finding.high
    if value is None:
        return "unknown"
    if METRICS[finding.metric].better == "low":
        return "act" if low is not None and low > level else "watch" if value > level else "ok"
    return "act" if high is not None and high < level else "watch" if value < level else "ok"


def held_against_level(measured: Finding, limits: Mapping[str, float], words: Callable[[float], str] | None = None) -> Finding:
    """A finding about a measured value that only the owner's level can judge. If no level is stated, the severity is `unknown`, and the
    sentence names the limit to set.

    If neither direction of the metric is better, the severity is always `unknown`. measured: a finding whose sentence states only the
    value. limits: limits of the model's settings. words: how the level is written, if not as in `level_words`.
    """
    level, said = limits.get(level_name(measured)), measured.because.removesuffix(".")
    if METRICS[measured.metric].better is None:
        because = f"{said}. Neither more nor less is better, so it is not judged."
        return replace(measured, severity="unknown", against="level", because=because)
    if level is None:
        because = f"{said}; no level set: set `{level_name(measured)}`."
        return replace(measured, severity="unknown", against="level", because=because)
    stated = level_words(measured.metric, level) if words is None else f"the owner's level is {words(level)}"
    because = f"{said}; {stated}."
    return replace(measured, severity=beyond_level(measured, level), limit=level, against="level", because=because)
