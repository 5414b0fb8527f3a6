"""Findings about figures of the newest round of a set of fixed questions (called levels): latency, tokens, similarity and rubric scores."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from observability.core.finding import Finding, Severity, needs_action
from observability.core.formatting import format_day
from observability.core.numerals import format_figure, percent
from observability.detection.answer_changes import MIN_ROUNDS, first_round_beyond
from observability.detection.own_history import usual_values
from observability.detection.probe_claims import LATENCY, RUBRIC, SIMILAR, SURER, TOKENS, JudgedSet, chance_words
from observability.detection.probe_rounds import day_of_round
from observability.stats.arrays import Floats

FACTORS = {LATENCY: (1.5, 3.0), TOKENS: (1.25, 2.0)}
"""A level is `watch` and `act` from these ratios of the newest to the usual value."""
STEPS = {SIMILAR: (0.05, 0.15), RUBRIC: (0.05, 0.15)}
"""A level is `watch` and `act` if it falls by at least these fractions of the usual value."""
MIN_SPREAD_OF_MEANS = 0.02
"""Minimum standard deviation of a mean similarity or score, as a fraction of it."""


@dataclass(frozen=True)
class LevelHistory:
    """The mean or median of the newest round, and the usual value. p_value: the probability of a value at least this extreme. figures: the
    level of each round, NaN if unknown. name: the name of a rubric's score.
    """

    newest: float
    usual: float
    p_value: float
    rounds: int
    n: int
    figures: Floats
    name: str = ""

    def onset(self, last: int, limit: float) -> int:
        """The first round of the change to which the round `last` belongs: since then, all rounds with a known figure lie beyond the limit,
        on the same side of the usual value. Rounds of the baseline are included, because a level does not exclude a round from the
        baseline.
        """
        return first_round_beyond(self.figures, last, limit, above=limit >= self.usual)


def level_histories(judged: JudgedSet) -> dict[str, LevelHistory]:
    """The known levels of the newest round (latency, tokens, similarity, rubric scores), compared with the rounds of the baseline."""
    rounds = judged.rounds
    found = {
        LATENCY: compared_level(judged, rounds.latency, np.nanmedian, logs=True),
        TOKENS: compared_level(judged, rounds.output_tokens, np.nanmean, logs=True),
    }
    if judged.changes.similarity is not None:
        found[SIMILAR] = compared_level(judged, judged.changes.similarity, np.nanmean, logs=False)
    scores = [
        replace(each, name=name)
        for name, values in sorted(rounds.rubric.items())
        if (each := compared_level(judged, values, np.nanmean, logs=False))
    ]
    if scores:
        fell = [each for each in scores if each.newest <= each.usual * (1 - STEPS[RUBRIC][0])]
        worst = min(fell or scores, key=lambda each: each.p_value)
        found[RUBRIC] = replace(worst, p_value=min(worst.p_value * len(scores), 1.0))
    return {metric: each for metric, each in found.items() if each is not None}


def compared_level(judged: JudgedSet, values: Floats, of_round: Any, *, logs: bool) -> LevelHistory | None:
    """The figure of the newest round, compared with the figures of the baseline's rounds; None if either is missing."""
    known = np.isfinite(values).any(axis=1)
    past = [place for place in judged.changes.baseline if known[place]]
    if not known[judged.last] or len(past) < MIN_ROUNDS:
        return None
    figures = np.array([float(of_round(line)) if there else np.nan for line, there in zip(values, known, strict=True)])
    middle = float(np.median(figures[past]))
    if middle <= 0 or figures[judged.last] <= 0:
        return None
    scale = np.log if logs else np.asarray
    days = np.array([(day_of_round(judged.rounds.times[place])) for place in (*past, judged.last)])
    transformed = scale(figures[[*past, judged.last]])
    least = {} if logs else {"least": MIN_SPREAD_OF_MEANS * middle}
    usual = usual_values(transformed[-1:], days[-1:], transformed[:-1], days[:-1], **least)
    if not usual.known:
        return None
    p = float(min(usual.low[0], usual.high[0])) if logs else float(usual.low[0])
    return LevelHistory(float(figures[judged.last]), middle, p, len(past), int(np.isfinite(values[judged.last]).sum()), figures)


def level_finding(judged: JudgedSet, metric: str, history: LevelHistory, p: float) -> Finding:
    """The finding about a level of the newest round."""
    if metric in FACTORS:
        ratio = history.newest / history.usual
        size, bounds = max(ratio, 1 / ratio if metric == TOKENS else 0.0), FACTORS[metric]
        limits = [history.usual * bound if ratio >= 1 or metric == LATENCY else history.usual / bound for bound in bounds]
    else:
        size, bounds = 1 - history.newest / history.usual, STEPS[metric]
        limits = [history.usual * (1 - bound) for bound in bounds]
    sure = p <= judged.context.budget / SURER
    severity: Severity = "ok" if size < bounds[0] else "unknown" if not sure else "act" if size >= bounds[1] else "watch"
    asks = needs_action(severity)
    first = history.onset(judged.last, limits[0]) if asks else judged.last
    since = f", since {format_day(judged.rounds.times[first])}" if first < judged.last else ""
    because = (
        f"{level_words(metric, history)} in the newest round of set `{judged.rounds.name}`; "
        f"usually {figure_words(metric, history.usual)}{since}."
    )
    because += chance_words(severity)
    return judged.finding(
        metric,
        history.n,
        because,
        severity=severity,
        value=history.newest,
        low=history.newest,
        high=history.newest,
        limit=limits[severity == "act"],
        evidence={
            "set": judged.rounds.name,
            "baseline": history.usual,
            "baseline_rounds": history.rounds,
            "p_adjusted": p,
            **({"score": history.name} if history.name else {}),
            **(judged.compared_by if metric == SIMILAR else {}),
            **({"onset_known": "dated"} if asks else {}),
        },
        **judged.dated(first, severity),
    )


def level_words(metric: str, history: LevelHistory) -> str:
    """The level of the newest round in words."""
    value = figure_words(metric, history.newest)
    return {
        LATENCY: f"The median latency is {value}",
        TOKENS: f"An answer has {value} on average",
        SIMILAR: f"Answers are {value} similar to the baseline on average",
    }.get(metric, f"The mean score `{history.name}` is {value}")


def figure_words(metric: str, value: float) -> str:
    """A level with its unit."""
    if metric == LATENCY:
        return f"{value:,.0f} ms"
    return percent(value) if metric == SIMILAR else f"{format_figure(value)} tokens" if metric == TOKENS else format_figure(value)
