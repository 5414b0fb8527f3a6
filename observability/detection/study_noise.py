"""Measures the noise of a study: how much runs with the same setting differ because of another seed, fold or rows."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaincinv, stdtrit

from observability.core.formatting import plural
from observability.detection.run_claims import RunClaim, run_figure
from observability.metrics.training_curves import TrainingRun
from observability.metrics.training_metric_names import data_part, data_prefix

OF_CHANCE = frozenset(
    [
        "seed",
        "random_seed",
        "random_state",
        "data_seed",
        "bagging_seed",
        "feature_fraction_seed",
        "fold",
        "cv_fold",
        "split",
        "repeat",
        "trial",
        "rows",
        "n_rows",
        "n_samples",
        "samples",
    ]
)
"""Parameters that identify a random draw; they are not part of the setting."""
MIN_RUNS = 3


@dataclass(frozen=True)
class Band:
    """The runs of one setting. values: for each run, its last value of `metric`."""

    metric: str
    runs: tuple[TrainingRun, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean value over the runs."""
        return float(np.mean(self.values))

    @property
    def sd(self) -> float:
        """Standard deviation between the runs."""
        return float(np.std(self.values, ddof=1)) if len(self.values) > 1 else float("nan")

    def sd_interval(self) -> tuple[float, float]:
        """Return the 95 % interval of the standard deviation (chi-squared, normal values)."""
        free = len(self.values) - 1
        low, high = (float(np.sqrt(free / (2 * gammaincinv(free / 2, p)))) * self.sd for p in (0.975, 0.025))
        return low, high

    def reach(self, of: int = 1, among: int = 1) -> float:
        """Return how far, at most, the mean of `of` further runs is from this mean by chance, with 95 % confidence (Student's t).

        among: number of means among which that of the further runs is the best (Bonferroni).
        """
        n = len(self.values)
        return float(stdtrit(n - 1, 1 - 0.025 / among) * self.sd * np.sqrt(1 / n + 1 / of))

    @property
    def chance_range(self) -> tuple[float, float]:
        """The range of values that chance explains for a setting that was tried once: the mean minus and plus `reach`."""
        return self.mean - self.reach(), self.mean + self.reach()


def parameters_text(run: TrainingRun) -> str:
    """Return the parameters of a run as one text, without those that identify a random draw."""
    return setting_text(run.params)


def setting_text(params: Mapping[str, Any] | None) -> str:
    """Return parameters as one text, without those that identify a random draw."""
    kept = {name: value for name, value in (params or {}).items() if name.lower() not in OF_CHANCE}
    return json.dumps(kept, sort_keys=True, default=str)


def study_metrics(run: TrainingRun) -> set[str]:
    """Return the metrics by which a run can be compared: their better direction is known, and they were measured on held-out rows, in the
    run's steps or at its end.

    A metric that is stated only at the end of the run counts as held out, unless its name says otherwise.
    """
    stepped = {each.name for each in run.judged("held out")}
    final = {name for name in run.final if run.better(name) and name not in run.curves}
    return stepped | {name for name in final if data_part(name) == "held out" or not data_prefix(name)}


def noise_bands(runs: Sequence[TrainingRun]) -> Iterator[list[Band]]:
    """Yield the noise bands of each study, one for each setting, by the held-out metric that most runs have. Only finished runs count.

    Among metrics that equally many runs have, a metric on test data comes last, because settings are not chosen by it.
    """
    studies: dict[str, list[TrainingRun]] = defaultdict(list)
    for run in runs:
        if run.study and run.ended is not None and not run.failed and not run.pruned:
            studies[run.study].append(run)
    for _, members in sorted(studies.items()):
        counts: dict[str, int] = defaultdict(int)
        for run in members:
            for name in study_metrics(run):
                counts[name] += 1
        if not counts:
            continue
        metric = min(counts, key=lambda name: (-counts[name], data_prefix(name) == "test", name))
        settings: dict[str, list[tuple[TrainingRun, float]]] = defaultdict(list)
        for run in members:
            value = run.last_value(metric)
            if value is not None:
                settings[parameters_text(run)].append((run, value))
        yield [Band(metric, tuple(run for run, _ in each), tuple(value for _, value in each)) for _, each in sorted(settings.items())]


def widest_band(several: Sequence[Band]) -> Band | None:
    """Return the noise band of the setting with most runs; None if there are no bands."""
    return max(several, key=lambda each: len(each.values), default=None)


def claims_about_studies(runs: Sequence[TrainingRun]) -> list[tuple[RunClaim, TrainingRun]]:
    """Return a claim for each study in which some runs differ only by chance, together with one of its runs (for the model)."""
    found = []
    for several in noise_bands(runs):
        widest = widest_band(several)
        if widest is None or len(widest.values) < 2:
            continue
        found.append((claim_about(widest, several), widest.runs[0]))
    return found


def claim_about(band: Band, several: Sequence[Band]) -> RunClaim:
    """Return the claim about one study: how wide its noise band is, and whether the best other setting lies beyond it."""
    study, n = band.runs[0].study, len(band.values)
    subject = f"study:{study}"
    head = f"{n} runs of study `{study}` differ only in seed, fold or rows"
    if n < MIN_RUNS:
        because = f"{head}: too few to say how far chance alone moves `{band.metric}`, about {MIN_RUNS - n} more are needed."
        return RunClaim("seed_noise", n, "unknown", because, subject=subject, against="peers")
    low, high = band.sd_interval()
    because = (
        f"{head}; `{band.metric}` ends between {run_figure(min(band.values))} and {run_figure(max(band.values))} (sd "
        f"{run_figure(band.sd)}): a setting tried"
        f" once has to differ from their mean by more than {run_figure(band.reach())} to be more than chance."
    )
    others = [each for each in several if each is not band]
    evidence: dict[str, object] = {
        "metric": band.metric,
        "mean": band.mean,
        "reach": band.reach(),
        "runs": [run.name for run in band.runs[:50]],
        "settings": len(several),
    }
    if others:
        sign = -1.0 if band.runs[0].better(band.metric) == "high" else 1.0
        best = min(others, key=lambda each: sign * each.mean)
        gain = sign * (band.mean - best.mean)
        beyond = gain > band.reach(len(best.values), len(others))
        because += (
            f" The best of {plural(len(others), 'other setting')} ({run_figure(best.mean)}, run `{best.runs[0].name}`) is "
            f"{'' if beyond else 'not significantly '}better than expected from chance among this many settings."
        )
        evidence |= {"best_other": best.mean, "beyond_chance": beyond}
    return RunClaim("seed_noise", n, "ok", because, band.sd, low, high, subject=subject, against="peers", evidence=evidence)
