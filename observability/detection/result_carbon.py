"""Compares the results of training runs with the carbon they emitted, and finds the runs that no other run beats in both."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from observability.detection.study_noise import study_metrics
from observability.metrics.training_curves import TrainingRun
from observability.metrics.training_metric_names import data_prefix

NEAR = 0.01
"""A run counts as equally good if its value is within this share of the best value."""


@dataclass(frozen=True)
class CarbonResult:
    """A run with its value of the metric and the grams that it emitted. best: whether no other run beats it in both."""

    run: str
    value: float
    grams: float
    best: bool


@dataclass(frozen=True)
class CarbonResults:
    """The runs of one study that can be compared by one metric, least carbon first. study: None for runs without a study. better: `high` or
    `low`.
    """

    study: str | None
    metric: str
    better: str
    results: tuple[CarbonResult, ...]

    @property
    def top(self) -> CarbonResult:
        """The run with the best value; among equals, the one with the least carbon."""
        sign = -1 if self.better == "high" else 1
        return min(self.results, key=lambda each: (sign * each.value, each.grams))

    @property
    def near(self) -> CarbonResult:
        """The run with the least carbon among those within NEAR of the best value."""
        room = NEAR * abs(self.top.value)
        return min((each for each in self.results if abs(each.value - self.top.value) <= room), key=lambda each: each.grams)


def results_against_carbon(runs: Sequence[TrainingRun], grams: Mapping[str, float | None]) -> CarbonResults | None:
    """Return the finished runs that have the most frequent held-out metric, with their carbon; None if there are fewer than two such runs.

    Only runs of the study with most such runs are used, because other studies are measured on other rows. All runs without a study count as
    one study. grams: grams of each run by its name, None if unknown.
    """
    done = [run for run in runs if run.ended is not None and not run.failed and not run.pruned and (grams.get(run.name) or 0) > 0]
    sizes = Counter(run.study for run in done if study_metrics(run))
    study = max(sizes, key=lambda name: (sizes[name], name or ""), default=None)
    done = [run for run in done if run.study == study]
    counts = Counter(name for run in done for name in study_metrics(run))
    if not counts:
        return None
    metric = min(counts, key=lambda name: (-counts[name], data_prefix(name) == "test", name))
    better = next((str(each) for run in done if (each := run.better(metric))), "low")
    known = [(run.name, value, float(grams[run.name] or 0)) for run in done if (value := run.last_value(metric)) is not None]
    known = sorted((each for each in known if np.isfinite(each[1])), key=lambda each: (each[2], each[0]))
    if len(known) < 2:
        return None
    cost = np.array([value for _, value, _ in known]) * (-1 if better == "high" else 1)
    front = unbeaten_results(cost, np.array([each[2] for each in known]))
    return CarbonResults(study, metric, better, tuple(CarbonResult(*each, bool(best)) for each, best in zip(known, front, strict=True)))


def unbeaten_results(cost: NDArray[np.float64], grams: NDArray[np.float64]) -> NDArray[np.bool_]:
    """For each result, whether it is unbeaten: no other result has a lower or equal cost and fewer or equal grams, with at least one of the
    two strictly lower.
    """
    found = np.zeros(cost.size, bool)
    least, at = np.inf, np.nan
    for place in np.lexsort((cost, grams)):
        if cost[place] < least or (cost[place] == least and grams[place] == at):
            found[place], least, at = True, cost[place], grams[place]
    return found
