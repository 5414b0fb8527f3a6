"""Check what a training run logs about its optimisation: gradients, dead units, updates, learning rate, and a result that is too good.

The words in a metric's name show which signal it measures, for example `grad_norm`, `gradient_norm/layer1`; `dead_units`,
`dead_share/relu2`; `update_ratio`, `update_to_weight/layer1`; `lr`, `learning_rate`. There is at most one claim about each signal, for the
curve where the problem is worst.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from observability.core.finding import Severity
from observability.detection.run_claims import MIN_STEPS, RunClaim, counted_things, run_figure, run_name
from observability.metrics.training_curves import MetricCurve, TrainingRun
from observability.metrics.training_metric_names import base_metric, data_part

Array = np.ndarray[Any, np.dtype[Any]]
EXPLODED = 100.0
"""A gradient explodes if the median of five neighbouring norms is at least this multiple of the median of all earlier steps."""
VANISHED, VANISHED_SHARE = 1e-7, 1e-4
"""A gradient vanishes if its norm is at most VANISHED (SageMaker Debugger's rule), or at most VANISHED_SHARE times the norm early in the
run.
"""
DEAD_WATCH, DEAD_ACT = 0.5, 0.9
RATIO_WATCH, RATIO_ACT, RATIO_LOW = 0.03, 0.1, 1e-6
"""Limits of the update ratio: the size of an update divided by the size of the weight. A ratio of about 0.001 is usual."""
RATE_JUMP, WARM_UP = 5.0, 0.1
"""A learning rate jumps if it rises by this factor within one step, after the warm-up (the first tenth of the steps)."""
NO_RATE = 0.1
"""A claim is made if the learning rate is zero in at least this share of the steps."""
TOO_GOOD, TOO_EARLY = 0.99, 0.1
BOUNDED = frozenset(["accuracy", "acc", "auc", "auroc", "auprc", "f1", "r2", "precision", "recall", "kappa", "dice", "iou"])
"""Words of metrics whose best value is 1."""
SIGNALS = ("gradient", "dead_units", "update_ratio", "learning_rate")


def signal_of(metric: str) -> str | None:
    """Return which of SIGNALS a metric measures, recognized by the words of its name. None for any other metric."""
    words = set(re.split(r"[^a-z0-9]+", base_metric(metric)))
    if {"update", "updates"} & words and {"ratio", "weight", "weights"} & words:
        return "update_ratio"
    if {"grad", "grads", "gradient", "gradients"} & words:
        return "gradient"
    if "dead" in words:
        return "dead_units"
    return "learning_rate" if "lr" in words or {"learning", "rate"} <= words else None


def is_bounded(metric: str) -> bool:
    """Return whether 1 is the best possible value of a metric, by the words of its name."""
    return bool(BOUNDED & set(re.split(r"[^a-z0-9]+", base_metric(metric))))


def claims_about_signals(run: TrainingRun) -> list[RunClaim]:
    """Return the claims about problems in the optimisation of a run; empty if there are none or no signal was logged."""
    curves = {kind: list(signal_curves(run, kind)) for kind in SIGNALS}
    return [
        *worst_signal(run, curves["gradient"], exploding_gradient),
        *vanishing_gradients(run, curves["gradient"]),
        *worst_signal(run, curves["dead_units"], dead_units),
        *worst_signal(run, curves["update_ratio"], update_ratio),
        *worst_signal(run, curves["learning_rate"], learning_rate_accident),
        *worst_signal(run, [each.finite for each in run.judged("held out")], too_good_early),
    ]


def signal_curves(run: TrainingRun, kind: str) -> Iterator[MetricCurve]:
    """Yield the curves of a signal with enough finite values."""
    for name, each in run.curves.items():
        if signal_of(name) == kind and len(each.finite.values) >= MIN_STEPS:
            yield each.finite


def worst_signal(
    run: TrainingRun, curves: list[MetricCurve], check: Callable[[TrainingRun, MetricCurve], RunClaim | None]
) -> list[RunClaim]:
    """Return the worst of the claims that `check` makes about several curves, as a list of one claim. Empty if there is no claim."""
    found = [claim for each in curves if len(each.values) >= MIN_STEPS and (claim := check(run, each)) is not None]
    return [min(found, key=lambda claim: (claim.severity != "act", -claim.rank))] if found else []


def medians_of_five(values: Array) -> Array:
    """Return the running median over windows of five values: four medians fewer than values."""
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(values, 5), axis=1))


def medians_before(values: Array, first: int, last: int, most: int = 200) -> Array:
    """Return, for each position from `first` to before `last`, the median of all values before it.

    The median is computed at no more than `most` positions. Every other position gets the median of the nearest computed position before
    it.
    """
    places = np.unique(np.linspace(first, max(last - 1, first), min(max(last - first, 1), most)).astype(int))
    known = np.array([np.median(values[:place]) for place in places])
    return np.asarray(known[np.searchsorted(places, np.arange(first, last), side="right") - 1])


def exploding_gradient(run: TrainingRun, curve: MetricCurve) -> RunClaim | None:
    """Return the claim that a gradient norm rose far above all earlier values, judged by the median of five steps. None if it did not."""
    norms = np.abs(curve.values)
    middle = medians_of_five(norms)
    first = max(len(norms) // 20, 10)
    usual = medians_before(norms, first, len(middle))
    above = np.flatnonzero(middle[first:] >= EXPLODED * np.maximum(usual, 1e-300))
    if not len(above) or usual[above[0]] <= 0:
        return None
    before = float(usual[above[0]])
    at = first + int(above[0]) + 2
    at = next((place for place in range(first + int(above[0]), at) if norms[place] >= EXPLODED * before), at)
    lasting = bool(np.median(norms[-5:]) >= EXPLODED * before)
    peak = float(norms[at:].max())
    because = (
        f"The gradient of run `{run.name}` explodes: `{curve.name}` rose from {run_figure(before)} to {run_figure(peak)} from step "
        f"{int(curve.steps[at]):,} on"
    )
    because += ", and still stands there." if lasting else ", and came back."
    because += " Clip the gradient, or lower the learning rate."
    severity: Severity = "act" if lasting else "watch"
    ratio = peak / before
    return signal_claim(curve, "exploding_gradient", severity, because, ratio, EXPLODED, at, 8.5)


def vanishing_gradients(run: TrainingRun, curves: list[MetricCurve]) -> list[RunClaim]:
    """Return the claim that gradients are near zero until the end of the run, as a list of one claim. Empty if none of them vanishes.

    Its severity is `act` if only some layers vanish, or if the gradient was near zero from the beginning. Otherwise it is `watch`, because
    a run that has converged looks the same.
    """
    gone = [(each, place) for each in curves if (place := vanished_from(each)) is not None]
    if not gone:
        return []
    curve, at = min(gone, key=lambda each: (each[1], each[0].name))
    always = at <= len(curve.values) // 4 and float(np.median(np.abs(curve.values[len(curve.values) // 20 :]))) <= VANISHED
    partly = len(gone) < len(curves)
    last = float(np.median(np.abs(curve.values[-5:])))
    because = (
        f"The gradient of run `{run.name}` vanishes: `{curve.name}` is {run_figure(last)} from step {int(curve.steps[at]):,} on"
        f"{f' (as are {run_name(sorted(each.name for each, _ in gone if each is not curve))})' if len(gone) > 1 else ''}"
    )
    because += (
        f", while {counted_things(len(curves) - len(gone), 'other gradient')} did not vanish: these layers learn nothing."
        if partly
        else ", and was so from the beginning: nothing is learned."
        if always
        else ". Training has converged, or the gradient no longer reaches the weights."
    )
    return [signal_claim(curve, "vanishing_gradient", "act" if partly or always else "watch", because, last, VANISHED, at, 7.5)]


def vanished_from(curve: MetricCurve) -> int | None:
    """Return the position from which a gradient norm stays near zero until the end of the run. None if there is none."""
    norms = np.abs(curve.values)
    early = float(np.median(norms[len(norms) // 20 : max(len(norms) * 3 // 10, 5)]))
    limit = max(VANISHED, VANISHED_SHARE * early)
    middle = medians_of_five(norms)
    stays = middle <= limit
    if not stays[-max(len(norms) // 10, 5) :].all():
        return None
    return 0 if stays.all() else int(len(stays) - np.argmin(stays[::-1]))


def dead_units(run: TrainingRun, curve: MetricCurve) -> RunClaim | None:
    """Return the claim that a large share of units outputs only zeros. None if the share is small."""
    middle = medians_of_five(curve.values)
    last = float(np.median(curve.values[-max(len(curve.values) // 10, 5) :]))
    if not DEAD_WATCH <= last <= 1.0:
        return None
    reached = middle >= DEAD_WATCH
    at = 0 if reached.all() else int(len(reached) - np.argmin(reached[::-1]))
    because = (
        f"{100 * last:.0f} % of the units of run `{run.name}` are dead by `{curve.name}`, at least {100 * DEAD_WATCH:.0f} % from step "
        f"{int(curve.steps[min(at, len(curve.steps) - 1)]):,} on: their output and gradient are zero. "
        "Lower the learning rate, or use a leaky activation."
    )
    severity: Severity = "act" if last >= DEAD_ACT else "watch"
    return signal_claim(curve, "dead_units", severity, because, last, DEAD_WATCH, min(at, len(curve.steps) - 1), 6.0 + last)


def update_ratio(run: TrainingRun, curve: MetricCurve) -> RunClaim | None:
    """Return the claim that updates are far too large or too small in relation to the weights. None if they are neither."""
    values = np.abs(curve.values)
    quarter = max(len(values) // 4, 5)
    parts = [values[begin : begin + quarter] for begin in range(quarter, len(values) - quarter + 1, quarter)]
    level = [float(np.median(part)) for part in parts]
    high, low = max(level), float(np.median(values[quarter : 3 * quarter]))
    if high >= RATIO_WATCH:
        place = quarter * (1 + level.index(high))
        severity: Severity = "act" if high >= RATIO_ACT else "watch"
        because = (
            f"A step of run `{run.name}` changes its weights by {100 * high:.3g} % (`{curve.name}`, median from step "
            f"{int(curve.steps[place]):,} on), where about 0.1 % is usual: lower the learning rate."
        )
        return signal_claim(curve, "update_ratio", severity, because, high, RATIO_WATCH, place, 6.5)
    if low <= RATIO_LOW:
        because = (
            f"A step of run `{run.name}` changes its weights by {100 * low:.3g} % (`{curve.name}`, median), where about 0.1 % is usual: "
            "it hardly learns. Raise the learning rate, or look for frozen weights."
        )
        return signal_claim(curve, "update_ratio", "watch", because, low, RATIO_LOW, quarter, 5.0)
    return None


def learning_rate_accident(run: TrainingRun, curve: MetricCurve) -> RunClaim | None:
    """Return the claim that the learning rate jumped above every earlier value, or that it is zero in many steps. None if neither holds."""
    rates = curve.values
    n = len(rates)
    none = rates <= 0
    if none.mean() >= NO_RATE:
        at = int(np.argmax(none))
        because = (
            f"The learning rate of run `{run.name}` is zero in {100 * none.mean():.0f} % of its steps, first at step "
            f"{int(curve.steps[at]):,}: nothing is learned in them."
        )
        return signal_claim(curve, "learning_rate_jump", "watch", because, 0.0, 0.0, at, 5.5)
    highest = np.maximum.accumulate(rates)
    before = np.maximum(rates[:-1], 1e-300)
    jumped = np.flatnonzero((rates[1:] >= RATE_JUMP * before) & (rates[1:] >= 1.5 * highest[:-1]) & (rates[:-1] > 0)) + 1
    jumped = jumped[jumped > max(WARM_UP * n, 5)]
    if not len(jumped):
        return None
    at = int(jumped[0])
    hurt = worse_after(run, int(curve.steps[at]))
    because = (
        f"The learning rate of run `{run.name}` jumped from {run_figure(rates[at - 1])} to {run_figure(rates[at])} at step "
        f"{int(curve.steps[at]):,}, above every earlier value"
    )
    because += f"; `{hurt}` became worse from then on." if hurt else "."
    return signal_claim(
        curve, "learning_rate_jump", "act" if hurt else "watch", because, float(rates[at] / rates[at - 1]), RATE_JUMP, at, 8.2
    )


def worse_after(run: TrainingRun, step: int) -> str | None:
    """Return the first training metric that becomes worse at a step by more than its noise. None if there is none."""
    from observability.stats.curve import curve_noise

    for each in (curve.finite for curve in run.judged("train")):
        place = int(np.searchsorted(each.steps, step))
        k = max(5, len(each.values) // 20)
        before, after = each.cost[max(place - k, 0) : place], each.cost[place + 1 : place + 1 + k]
        if len(before) < 5 or len(after) < 5 or len(each.values) < MIN_STEPS:
            continue
        if float(np.median(after) - np.median(before)) > 4 * curve_noise(each.cost[:place]).of_mean(5):
            return each.name
    return None


def too_good_early(run: TrainingRun, curve: MetricCurve) -> RunClaim | None:
    """Return the claim that a held-out metric with a best value of 1 is too good: it reaches 0.99 within the first tenth of the run, and
    its median over the whole run is at least 0.99. None otherwise.
    """
    if curve.better != "high" or not is_bounded(curve.name) or data_part(curve.name) != "held out":
        return None
    n = len(curve.values)
    early = curve.values[: max(int(TOO_EARLY * n), 2)]
    if not (early.max() >= TOO_GOOD and np.median(curve.values) >= TOO_GOOD and curve.values.max() <= 1.0):
        return None
    at = int(np.argmax(early >= TOO_GOOD))
    because = (
        f"Run `{run.name}` is too good too fast: `{curve.name}` is {run_figure(curve.values[at])} at step {int(curve.steps[at]):,} of "
        f"{int(curve.steps[-1]):,} already. Look for a feature that holds the label, and for training rows among the held-out ones."
    )
    return signal_claim(curve, "too_good_early", "watch", because, float(curve.values[at]), TOO_GOOD, at, 6.8)


def signal_claim(
    curve: MetricCurve, metric: str, severity: Severity, because: str, value: float, limit: float, at: int, rank: float
) -> RunClaim:
    """Return a claim about a curve that holds from position `at` on. A logged value has no interval, so `low` and `high` equal it."""
    step = int(curve.steps[at])
    return RunClaim(
        metric,
        len(curve.values),
        severity,
        because,
        value=value,
        low=value,
        high=value,
        limit=limit,
        onset=curve.when(at),
        source="input" if metric == "too_good_early" else "model",
        rank=rank,
        evidence={"metric": curve.name, "step": step},
    )


def claims_of_alerts(run: TrainingRun) -> list[RunClaim]:
    """Return one claim that quotes the newest message of the job about its run (`run.alert`) and counts the earlier ones. Empty without
    messages.
    """
    if not run.alerts:
        return []
    at, text = max(run.alerts)
    others = len(run.alerts) - 1
    said = text.strip().rstrip(".").replace("`", "'")
    because = f"Run `{run.name}` logged the alert: {said[:300]}." + (
        f" It logged {counted_things(others, 'earlier alert')}." if others else ""
    )
    n = len(run.alerts)
    return [RunClaim("run_alerts", n, "watch", because, value=n, low=n, high=n, limit=0.0, onset=at, source="model", rank=6.9)]
