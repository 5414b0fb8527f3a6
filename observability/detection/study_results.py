"""The results of a study of training runs: best value by budget, importance of parameters, winner compared with chance, pruning, further
trials.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from observability.detection.study_noise import MIN_RUNS, Band, noise_bands, parameters_text, widest_band
from observability.metrics.training_curves import TrainingRun
from observability.stats.interval import Interval
from observability.stats.parameter_importance import (
    GRID,
    best_quantile,
    expected_best,
    importance_p_value,
    number_cells,
    ped_anova_importance,
)

Array = np.ndarray[Any, np.dtype[Any]]
MIN_TRIALS = 10
"""Importance and expected gain need at least this many settings with a value."""
MIN_REPEATS = 3
NEXT_SHARE = 0.25
"""The forecast covers this share of the number of trials made so far."""


@dataclass(frozen=True)
class StudyTrial:
    """One run of a study. value: its last value of the metric; None if it was pruned, failed, or logged no value."""

    run: TrainingRun
    value: float | None


@dataclass(frozen=True)
class StudyResults:
    """The runs of a study in the order in which they started. better: which direction of the metric is better."""

    name: str
    metric: str
    better: str
    trials: tuple[StudyTrial, ...]

    @property
    def sign(self) -> float:
        """1 if lower is better, else -1, so that value × sign is a cost."""
        return -1.0 if self.better == "high" else 1.0

    @cached_property
    def done(self) -> list[StudyTrial]:
        """The trials that reported a value."""
        return [each for each in self.trials if each.value is not None]

    @cached_property
    def settings(self) -> list[StudyTrial]:
        """One trial for each setting: its first run, with the mean value over all runs of the setting, so that a lucky seed does
        not count.
        """
        runs: dict[str, list[StudyTrial]] = {}
        for each in self.done:
            runs.setdefault(parameters_text(each.run), []).append(each)
        return [StudyTrial(own[0].run, float(np.mean([each.value for each in own if each.value is not None]))) for own in runs.values()]

    def cost(self, trial: StudyTrial) -> float:
        """The value of a trial as a cost (lower is better)."""
        return self.sign * float(trial.value if trial.value is not None else np.nan)

    @cached_property
    def best(self) -> StudyTrial:
        """The setting that the search chose: the one whose first run is best. Its value is the mean of all its runs."""
        first = {each.run.name: each for each in self.done}
        return min(self.settings, key=lambda each: self.cost(first[each.run.name]))


def results_of_studies(runs: Sequence[TrainingRun]) -> list[StudyResults]:
    """Return each study that has at least two runs and a metric by which they can be compared, newest first."""
    found = []
    for name in sorted({run.study for run in runs if run.study}):
        members = [run for run in runs if run.study == name]
        several = next(iter(noise_bands(members)), [])
        if len(members) < 2 or not several:
            continue
        metric = several[0].metric
        better = next((str(each) for run in members if (each := run.better(metric))), "low")
        ended = {run.name for run in members if run.ended is not None and not run.failed and not run.pruned}
        trials = tuple(
            StudyTrial(run, run.last_value(metric) if run.name in ended else None)
            for run in sorted(members, key=lambda run: (run.first, run.name))
        )
        found.append(StudyResults(name, metric, better, trials))
    return sorted(found, key=lambda each: max(trial.run.last for trial in each.trials), reverse=True)


@dataclass(frozen=True)
class BudgetPoint:
    """The state of a study after a trial. seconds: time of all trials so far; value: value of this trial; best: best value so far, not
    counting repeats.

    repeat: whether an earlier trial had the same setting. chance_low, chance_high: the range within which chance alone moves a run of the
    setting with most seeds; None if there are too few seeds.
    """

    run: str
    trial: int
    seconds: float
    value: float | None
    best: float | None
    repeat: bool = False
    chance_low: float | None = None
    chance_high: float | None = None


def seed_band(study: StudyResults) -> Band | None:
    """Return the runs of the setting with most seeds, which the finding `seed_noise` is about; None if there are too few."""
    found = widest_band(next(iter(noise_bands([each.run for each in study.trials])), []))
    return found if found is not None and len(found.values) >= MIN_RUNS else None


def best_by_budget(study: StudyResults) -> list[BudgetPoint]:
    """Return, for each trial, the best value and the time spent so far; the time includes pruned and failed trials.

    A run that repeats a setting with another seed does not set a new best value, because a lucky seed is not a result of the search.
    """
    found: list[BudgetPoint] = []
    seconds, best = 0.0, None
    band = seed_band(study)
    chance = band.chance_range if band else (None, None)
    seen: set[str] = set()
    for number, each in enumerate(study.trials, 1):
        seconds += each.run.seconds
        new = parameters_text(each.run) not in seen
        if each.value is not None and new and (best is None or study.cost(each) < study.sign * best):
            best = each.value
        seen |= {parameters_text(each.run)} if each.value is not None else set()
        found.append(BudgetPoint(each.run.name, number, seconds, each.value, best, not new, *chance))
    return found


@dataclass(frozen=True)
class ParameterImportance:
    """How important a parameter is for being among the best settings. share: its share of the sum of all importances. p_value: from
    permutations.
    """

    name: str
    importance: float
    share: float
    p_value: float


def parameter_importances(study: StudyResults) -> list[ParameterImportance]:
    """Return the importance of each parameter whose values differ, largest first; empty with fewer than MIN_TRIALS settings.

    Numbers are binned between the smallest and the largest tried value, on a log scale if they span more than a factor of ten.
    """
    trials = study.settings
    if len(trials) < MIN_TRIALS:
        return []
    cost, quantile = np.array([study.cost(each) for each in trials]), best_quantile(len(trials))
    found = []
    for name in dict.fromkeys(name for each in trials for name in each.run.params):
        placed = parameter_cells([each.run.params.get(name) for each in trials])
        if placed is not None:
            cells, size, levels = placed
            value = ped_anova_importance(cells, size, cost, quantile, levels=levels)
            found.append((name, value, importance_p_value(cells, size, cost, quantile, levels=levels)))
    total = sum(value for _, value, _ in found)
    told = [ParameterImportance(name, value, value / total if total > 0 else 0.0, p) for name, value, p in found]
    return sorted(told, key=lambda each: (-each.importance, each.name))


def parameter_cells(values: Sequence[Any]) -> tuple[Array, int, bool] | None:
    """Return the cell of each value of a parameter, the number of cells, and whether the cells are levels without an order; None if all
    values are equal.
    """
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and np.isfinite(numbers).all():
        known = np.array(numbers)
        low, high = float(known.min()), float(known.max())
        return (number_cells(known, low, high, log=low > 0 and high > 10 * low), GRID, False) if high > low else None
    texts = [str(value) for value in values]
    levels = sorted(set(texts))
    return (np.array([levels.index(text) for text in texts]), len(levels), True) if len(levels) > 1 else None


@dataclass(frozen=True)
class WinnerComparison:
    """The best setting compared with another setting that was repeated with several seeds, which shows the effect of chance.

    gain: how much better the winner is (positive), with its 95 % interval. repeats: number of the winner's runs, not counting the trial by
    which it was chosen. If there are 0 repeats, the interval takes into account that the best of `among` settings was chosen.
    """

    winner: str
    reference: Band
    gain: Interval
    repeats: int
    among: int

    @property
    def beyond_chance(self) -> bool:
        """Whether the winner is better than chance explains."""
        return self.gain.low is not None and self.gain.low > 0


def winner_against_chance(study: StudyResults) -> WinnerComparison | None:
    """Return the comparison of the best setting with the other setting that has most repeats; None if no other setting has three repeats.

    A winner that was repeated is compared only by its repeats (Welch's t), because the trial by which it was chosen is biased by that
    choice.
    """
    several = next(iter(noise_bands([each.run for each in study.trials])), [])
    if not several:
        return None
    reference = max(several, key=lambda band: len(band.values))
    best = parameters_text(study.best.run)
    if parameters_text(reference.runs[0]) == best:
        others = [band for band in several if band is not reference and len(band.values) >= MIN_REPEATS]
        if not others:
            return None
        reference = max(others, key=lambda band: len(band.values))
    if len(reference.values) < MIN_REPEATS:
        return None
    winner = next(band for band in several if parameters_text(band.runs[0]) == best)
    by_start = sorted(zip(winner.runs, winner.values, strict=True), key=lambda pair: (pair[0].first, pair[0].name))
    repeats = np.array([value for _, value in by_start[1:]])
    among = len(several) - 1
    values = np.array(reference.values)
    if len(repeats) >= MIN_REPEATS:
        from scipy.stats import ttest_ind

        found = ttest_ind(study.sign * values, study.sign * repeats, equal_var=False)
        interval = found.confidence_interval(0.95)
        gain = study.sign * float(values.mean() - repeats.mean())
        return WinnerComparison(
            study.best.run.name, reference, Interval(gain, float(interval.low), float(interval.high), len(repeats)), len(repeats), among
        )
    gain = study.sign * (reference.mean - float(by_start[0][1]))
    reach = reference.reach(among=max(among, 1))
    return WinnerComparison(study.best.run.name, reference, Interval(gain, gain - reach, gain + reach, len(values)), 0, among)


@dataclass(frozen=True)
class PruningSavings:
    """The steps saved by stopping trials early, compared with running each trial for the number of steps of a complete trial. share: share
    of the time that the whole search would have taken.
    """

    pruned: int
    steps: int
    seconds: float
    share: float


def pruning_savings(study: StudyResults) -> PruningSavings | None:
    """Return what pruning saved; None if no trial was pruned, or no trial was completed."""
    pruned = [each.run for each in study.trials if each.run.pruned]
    whole = [last_logged_step(each.run) for each in study.done]
    if not pruned or not whole:
        return None
    full = int(np.median(whole))
    steps, seconds = 0, 0.0
    for run in pruned:
        last = last_logged_step(run)
        left = max(full - last, 0)
        steps += left
        seconds += run.seconds / last * left if last > 0 else 0.0
    spent = sum(each.run.seconds for each in study.trials)
    return PruningSavings(len(pruned), steps, seconds, seconds / (spent + seconds) if spent + seconds > 0 else 0.0)


def last_logged_step(run: TrainingRun) -> int:
    """Return the largest step number of a run; 0 if it logged none."""
    return max((int(curve.steps[-1]) for curve in run.curves.values() if len(curve.steps)), default=0)


@dataclass(frozen=True)
class FurtherTrials:
    """The expected gain of more trials.

    trials: number of further trials. gain: upper bound of their mean improvement, with its 95 % interval (bootstrap over trials). noise:
    standard deviation between repeats of one setting; None if no setting was repeated. seconds: expected time of the further trials. stop:
    whether it is advised to stop now. because: the reason.
    """

    trials: int
    gain: Interval
    noise: float | None
    seconds: float
    stop: bool
    because: str


def further_trials(study: StudyResults, draws: int = 200, seed: int = 0) -> FurtherTrials | None:
    """Return the expected gain of a quarter more trials, that is the expected regret of stopping now; None with too few settings.

    The expected best value of k trials is convex in k: each further trial improves it less. Therefore the next m trials are expected to
    gain at most as much as the last m trials did. The bound holds for independent trials from one distribution. A sampler that learns can
    exceed it; in that case its later trials are already among the best.
    """
    trials = study.settings
    n = len(trials)
    if n < MIN_TRIALS:
        return None
    cost = np.array([study.cost(each) for each in trials])
    more = max(int(NEXT_SHARE * n), 1)
    gain = _last_gain(cost, more)
    rng = np.random.default_rng(seed)
    drawn = [_last_gain(rng.choice(cost, n), more) for _ in range(draws)]
    low, high = (float(each) for each in np.quantile(drawn, [0.025, 0.975]))
    several = next(iter(noise_bands([each.run for each in study.trials])), [])
    widest = max(several, key=lambda band: len(band.values))
    noise = widest.sd if len(widest.values) >= MIN_REPEATS else None
    brought = float(cost[0] - cost.min())
    limit = noise if noise is not None else 0.01 * brought
    stop = gain <= limit
    what = "seeds of one setting differ" if noise is not None else "1 % of the improvement so far"
    because = f"{'no more than' if stop else 'more than'} {what}"
    seconds = float(np.mean([each.run.seconds for each in study.trials])) * more
    return FurtherTrials(more, Interval(gain, low, high, n), noise, seconds, stop, because)


def _last_gain(cost: Array, more: int) -> float:
    """By how much the last `more` trials improved the expected best value."""
    ordered = np.sort(cost)
    return expected_best(ordered, len(ordered) - more) - float(ordered[0])


def study_gain(study: StudyResults) -> tuple[float, str] | None:
    """Return how much better the best setting is than the repeated setting (if there is none, than the first trial), and words for which of
    the two it was compared with.
    """
    comparison = winner_against_chance(study)
    if comparison is not None:
        return float(comparison.gain.value or 0.0), "the repeated setting"
    first = next(iter(study.settings), None)
    return None if first is None else (study.cost(first) - study.cost(study.best), "the first trial")


def energy_of_runs(study: StudyResults, energy: Mapping[str, float | None]) -> float | None:
    """Return the energy of all runs of a study, Wh; None if the energy of any run is unknown."""
    held = [energy.get(each.run.name) for each in study.trials]
    known = [each for each in held if each is not None]
    return sum(known) if len(known) == len(held) else None
