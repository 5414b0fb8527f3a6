"""Checks how a study was searched: pruning, a best value at the edge of the tried range, noise, a lucky winner, repeats, failures, and use
of the test data.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb
from typing import Any

import numpy as np
from scipy.special import fdtri, gammaincinv, stdtr, stdtrit

from observability.core.finding import Severity
from observability.core.numerals import percent
from observability.detection.run_claims import RunClaim, counted_things, run_figure
from observability.detection.study_noise import noise_bands, parameters_text
from observability.detection.study_results import MIN_TRIALS, StudyResults, StudyTrial, results_of_studies
from observability.detection.training_signals import is_bounded
from observability.metrics.training_curves import MetricCurve, TrainingRun
from observability.metrics.training_metric_names import base_metric, data_prefix
from observability.stats.interval import Interval, wilson_interval

PRUNED, BOUND, NOISE = "study_pruned_share", "study_bound_share", "study_noise_ratio"
TEST, REPEATS, FAILED, WINNER = "study_test_ratio", "study_repeat_share", "study_failed_share", "study_winner_excess"
MIN_PRUNED = 5
"""Pruning is judged only if there are at least this many pruned trials, and at least this many complete trials with a value at the same
step.
"""
BEST_SHARE, MIN_BEST = 0.2, 8
EDGE, MIN_VALUES = 0.05, 8
"""The edge of a tried range is this share of it, at each end; a parameter's range has edges only if at least this many different values
were tried.
"""
MIN_REPEATS = 5
SURE = 0.05
"""The best settings crowd at an edge if the probability of this by chance, over all parameters and edges, is at most this."""
SURE_OF_LUCK = 0.02
"""A winner is called lucky if the probability of its first result by chance, over all settings, is at most this."""
LIMITS = {PRUNED: 0.15, BOUND: 0.5, NOISE: 0.7, TEST: 1.3, REPEATS: 0.2, FAILED: 0.1, WINNER: 3.0}
"""For each metric, the limit of its figure: a study is reported if the lower bound of the figure's interval is beyond it."""
ACT_LIMITS = {TEST: 2.0, FAILED: 0.5}
STEPS = {
    PRUNED: "Prune later, or after more warm-up steps; finish the pruned trials that led.",
    BOUND: "Widen the range of that parameter beyond the edge and go on.",
    NOISE: "Compare settings by the mean over several seeds.",
    TEST: "Check that no tuning row is in the training data; choose on fresh rows.",
    REPEATS: "Let the sampler leave out what was tried, or stop the search.",
    FAILED: "Read the errors of the failed trials; narrow the ranges that break.",
    WINNER: "Rate the winner by the mean of its repeats; look for what its first run did differently.",
}
"""For each metric, what to do next."""


@dataclass(frozen=True)
class SearchFigure:
    """A figure about a study. needs: words for what is missing if the severity is `unknown`, else empty. words: a clause with the figure,
    without its limits.

    tested: whether a separate test shows that the figure is larger than chance explains; None if its interval decides.
    """

    metric: str
    interval: Interval
    words: str
    needs: str = ""
    detail: str = ""
    tested: bool | None = None


def claims_about_searches(runs: Sequence[TrainingRun]) -> list[tuple[RunClaim, TrainingRun]]:
    """Return the claims about each study with at least MIN_TRIALS trials; each claim comes with one of the study's runs (for the model)."""
    found = []
    for study in results_of_studies(runs):
        if len(study.trials) < MIN_TRIALS:
            continue
        for figure_of in FIGURES:
            figure = figure_of(study)
            if figure is not None:
                found.append((search_claim(study, figure), study.trials[0].run))
    return found


def search_claim(study: StudyResults, figure: SearchFigure) -> RunClaim:
    """Return the claim about one figure of a study."""
    subject, evidence = f"study:{study.name}", dict[str, Any](study=study.name, metric=study.metric, better=study.better)
    evidence |= {"next": STEPS[figure.metric]} | study_stride(study)
    n, limit = int(figure.interval.n), LIMITS[figure.metric]
    if figure.needs:
        because = f"{figure.words}; to decide, the study needs about {figure.needs}."
        return RunClaim(figure.metric, n, "unknown", because, subject=subject, evidence=evidence)
    value, low, high = figure.interval.triple
    severity = search_severity(figure)
    if severity == "act":
        limit = ACT_LIMITS[figure.metric]
    told = percent(limit) if figure.metric.endswith("share") else f"{limit:g}"
    because = f"{figure.words}; the limit is {told}."
    shown = evidence | ({"detail": figure.detail} if figure.detail else {})
    return RunClaim(figure.metric, n, severity, because, value, low, high, limit, source="model", rank=2.5, subject=subject, evidence=shown)


def study_stride(study: StudyResults) -> dict[str, int]:
    """Return `stride`, the largest stride of the trials, or 0 if some trials were not read at all and all others were read in full; empty
    if every step was read.
    """
    strides = [each.run.stride for each in study.trials]
    stride = max(strides) if max(strides) > 1 else min(strides)
    return {} if stride == 1 else {"stride": stride}


def search_severity(figure: SearchFigure) -> Severity:
    """Return the severity of a figure. It is reported if its lower bound is beyond the limit. If it has a separate test, it is reported if
    the test is significant and its value is beyond the limit.
    """
    low = figure.interval.low if figure.tested is None else figure.interval.value if figure.tested else None
    if low is None or low <= LIMITS[figure.metric]:
        return "ok"
    return "act" if low > ACT_LIMITS.get(figure.metric, np.inf) else "watch"


def pruned_figure(study: StudyResults) -> SearchFigure | None:
    """The share of pruned trials that were better, at the step where they were pruned, than three quarters of the completed trials at that
    step.
    """
    whole = [curve for each in study.done if (curve := each.run.curves.get(study.metric)) is not None]
    pruned = [curve for each in study.trials if each.run.pruned and (curve := each.run.curves.get(study.metric)) is not None]
    if not pruned:
        return None
    led, n = 0, 0
    for curve in pruned:
        rivals = [cost for each in whole if (cost := cost_at(study, each, int(curve.steps[-1]))) is not None]
        own = cost_at(study, curve, int(curve.steps[-1]))
        if own is not None and len(rivals) >= MIN_PRUNED:
            n += 1
            led += own < float(np.quantile(rivals, 0.25))
    rate = wilson_interval(led, n) if n else Interval(None, None, None, 0)
    were = "was" if led == 1 else "were"
    words = f"{led} of {counted_things(n, 'pruned trial')} of study `{study.name}` {were} better, when pruned, than three quarters of the "
    words += "completed trials were at that step"
    needs = f"{counted_things(MIN_PRUNED - n, 'more pruned trial')} beside {MIN_PRUNED} completed ones" if n < MIN_PRUNED else ""
    return SearchFigure(PRUNED, rate, words, needs)


def cost_at(study: StudyResults, curve: MetricCurve, step: int) -> float | None:
    """Return the cost of a run at a step, or at the last logged step before it; None if its first cost was logged later."""
    finite = curve.finite
    place = int(np.searchsorted(finite.steps, step, side="right")) - 1
    return study.sign * float(finite.values[place]) if place >= 0 else None


def bound_figure(study: StudyResults) -> SearchFigure | None:
    """The share of the best settings that lie at the edge of the tried range of one parameter."""
    trials = sorted(study.settings, key=study.cost)
    best = trials[: max(int(np.ceil(BEST_SHARE * len(trials))), MIN_BEST)]
    if len(trials) < 2 * MIN_BEST:
        words = f"Study `{study.name}` has {len(trials)} settings with a value"
        return SearchFigure(
            BOUND, Interval(None, None, None, len(trials)), words, counted_things(2 * MIN_BEST - len(trials), "more setting")
        )
    found: list[tuple[int, int, str, str]] = []
    for name in dict.fromkeys(name for each in trials for name in each.run.params):
        places = range_places(trials, name)
        if places is None:
            continue
        own = places[: len(best)]
        for side, inside in (("lower", own <= EDGE), ("upper", own >= 1 - EDGE)):
            elsewhere = places[len(best) :]
            found.append((int(inside.sum()), int(np.sum(elsewhere <= EDGE if side == "lower" else elsewhere >= 1 - EDGE)), name, side))
    if not found:
        return None
    hits, usual, name, side = max(found, key=lambda each: (each[0], -each[1], each[2]))
    others = len(trials) - len(best)
    words = f"{hits} of the {len(best)} best settings of study `{study.name}` lie at the {side} edge of the tried range of `{name}`"
    words += f", and {percent(usual / others)} of the others"
    p_value = fisher_upper_p_value(hits, len(best), usual, others)
    apart = usual / others < 0.5 * hits / len(best) and p_value * len(found) <= SURE
    return SearchFigure(BOUND, wilson_interval(hits, len(best)), words, detail=name, tested=bool(apart))


def fisher_upper_p_value(hits: int, n: int, usual: int, others: int) -> float:
    """Return Fisher's exact p-value for a share, `hits` of `n`, that is larger than another, `usual` of `others`. The counts are small, so
    the binomials are exact.
    """
    total = hits + usual
    ways = sum(comb(n, each) * comb(others, total - each) for each in range(hits, min(n, total) + 1))
    return ways / comb(n + others, total)


def range_places(trials: Sequence[StudyTrial], name: str) -> "np.ndarray[Any, np.dtype[np.float64]] | None":
    """Return the position of each value of a parameter in its tried range, from the lowest (0) to the highest (1); None if the parameter is
    not a number with such a range.
    """
    values = [each.run.params.get(name) for each in trials]
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in values):
        return None
    numbers = np.array(values, float)
    if len(set(numbers.tolist())) < MIN_VALUES or not np.isfinite(numbers).all():
        return None
    low, high = float(numbers.min()), float(numbers.max())
    if low > 0 and high > 10 * low:
        numbers, low, high = np.log(numbers), float(np.log(low)), float(np.log(high))
    return (numbers - low) / (high - low)


def noise_figure(study: StudyResults) -> SearchFigure | None:
    """The spread between seeds of one setting, divided by the spread between settings."""
    several = next(iter(noise_bands([each.run for each in study.trials])), [])
    widest = max(several, key=lambda band: len(band.values), default=None)
    if widest is None or len(widest.values) < 2:
        return None
    single = np.array([band.values[0] for band in several if band is not widest])
    n, others = len(widest.values), len(single)
    words = f"{counted_things(n, 'seed')} of one setting of study `{study.name}`"
    if n < MIN_REPEATS or others < MIN_TRIALS:
        missing = [counted_things(MIN_REPEATS - n, "more seed")] if n < MIN_REPEATS else []
        missing += [counted_things(MIN_TRIALS - others, "more setting")] if others < MIN_TRIALS else []
        return SearchFigure(NOISE, Interval(None, None, None, n), words, " and ".join(missing))
    spread = float(np.std(single, ddof=1))
    if spread <= 0:
        return None
    ratio = widest.sd / spread
    low, high = (ratio / float(np.sqrt(fdtri(n - 1, others - 1, p))) for p in (0.975, 0.025))
    words += f" differ {run_figure(ratio)} times as much in `{study.metric}` as the {others} other settings do"
    return SearchFigure(NOISE, Interval(ratio, min(low, ratio), max(high, ratio), n), words)


def winner_figure(study: StudyResults) -> SearchFigure | None:
    """By how many standard deviations (between the winner's repeats) the winner's first run is better than the mean of the repeats; None
    without repeats.

    The first run of the best of many settings is biased because it was selected, so its test is corrected for the number of settings
    (Bonferroni).
    """
    if not study.done:
        return None
    best = study.best.run
    chosen, *repeats = [study.cost(each) for each in study.done if parameters_text(each.run) == parameters_text(best)]
    n, free = len(repeats), len(repeats) - 1
    if not repeats:
        return None
    words = f"The best run of study `{study.name}`, `{best.name}`, has {counted_things(n, 'repeat')} with other seeds"
    if n < MIN_REPEATS:
        return SearchFigure(WINNER, Interval(None, None, None, n), words, counted_things(MIN_REPEATS - n, "more repeat"))
    spread = float(np.std(repeats, ddof=1))
    if spread <= 0:
        return None
    excess = (float(np.mean(repeats)) - chosen) / spread
    ends = sorted(excess * float(np.sqrt(2 * gammaincinv(free / 2, p) / free)) for p in (0.025, 0.975))
    p_value = len(study.settings) * float(stdtr(free, -excess / np.sqrt(1 + 1 / n)))
    side = "better" if excess >= 0 else "worse"
    words += f" and is {run_figure(abs(excess))} of their standard deviations {side} than their mean in `{study.metric}`"
    return SearchFigure(WINNER, Interval(excess, ends[0], ends[1], n), words, detail=best.name, tested=p_value <= SURE_OF_LUCK)


def held_back_figure(study: StudyResults) -> SearchFigure | None:
    """The error of the better half of the settings on test data, divided by their error on the data that were used to choose them."""
    name = base_metric(study.metric)
    tested = next(
        (
            each
            for run in (trial.run for trial in study.done)
            for each in (*run.final, *run.curves)
            if data_prefix(each) == "test" and base_metric(each) == name
        ),
        None,
    )
    if tested is None or data_prefix(study.metric) == "test" or (study.better == "high" and not is_bounded(name)):
        return None
    done = sorted(study.done, key=study.cost)
    ratios = []
    for trial in done[: max(len(done) // 2, MIN_REPEATS)]:
        other = trial.run.last_value(tested)
        own, held = (
            (1 - value if study.better == "high" else value) for value in (trial.value or 0.0, other if other is not None else np.nan)
        )
        if np.isfinite(held) and own > 0 and held > 0:
            ratios.append(float(np.log(held / own)))
    words = f"{counted_things(len(ratios), 'setting')} of study `{study.name}` {'has' if len(ratios) == 1 else 'have'} `{tested}`"
    if len(ratios) < MIN_REPEATS:
        return SearchFigure(TEST, Interval(None, None, None, len(ratios)), words, counted_things(MIN_REPEATS - len(ratios), "more setting"))
    mean, sd = float(np.mean(ratios)), float(np.std(ratios, ddof=1))
    half = float(stdtrit(len(ratios) - 1, 0.975)) * sd / np.sqrt(len(ratios))
    value, low, high = (float(np.exp(each)) for each in (mean, mean - half, mean + half))
    words = f"The error in `{tested}` of the better settings of study `{study.name}` is {run_figure(value)} times that in `{study.metric}`"
    return SearchFigure(TEST, Interval(value, low, high, len(ratios)), words)


def repeat_figure(study: StudyResults) -> SearchFigure:
    """The share of trials that repeat both the setting and the seed of an earlier trial."""
    seen: set[tuple[str, str]] = set()
    again = 0
    for each in study.trials:
        told = str(each.value) if each.run.seed is None else each.run.seed
        key = (repr(sorted(each.run.params.items(), key=lambda pair: pair[0])), told)
        again += key in seen
        seen.add(key)
    n = len(study.trials)
    words = f"{again} of {counted_things(n, 'trial')} of study `{study.name}` repeat setting and seed of an earlier one"
    return SearchFigure(REPEATS, wilson_interval(again, n), words)


def failed_figure(study: StudyResults) -> SearchFigure:
    """The share of failed trials of a study, with its interval and a sentence."""
    n, failed = len(study.trials), sum(each.run.failed for each in study.trials)
    words = f"{failed} of {counted_things(n, 'trial')} of study `{study.name}` failed"
    return SearchFigure(FAILED, wilson_interval(failed, n), words)


FIGURES: tuple[Callable[[StudyResults], SearchFigure | None], ...] = (
    pruned_figure,
    bound_figure,
    noise_figure,
    winner_figure,
    held_back_figure,
    repeat_figure,
    failed_figure,
)
