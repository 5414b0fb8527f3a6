"""Compute differences in decisions and errors between two sides.

The figures are computed as in the analyzers. The rows of the two sides are treated as independent, so the variances of their figures add
up.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.compare.difference import NO_INTERVAL, AskEngine, Difference, Section, unavailable_difference
from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, By
from observability.core.window import Slice, Window
from observability.detection.metric_changes import MINIMUM_LABELS, difference_p_value
from observability.metrics.measured_windows import MATURE
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import HEADLINE, class_performance, outcome_aggregates, performance_metrics, served_and_labelled
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pandas import DataFrame

MINIMUM_RATE_CHANGE = 0.02
"""The smallest change of a share of decisions that matters."""
MINIMUM_ROWS = 30
MAX_CLASSES = 20


def interval_difference(
    section: Section, subject: str, metric: str, unit: str, a: Interval, b: Interval, least: float, enough: float
) -> Difference:
    """The difference of one figure between both sides. enough: number of rows that each side needs for a verdict."""
    fewest = min(a.n, b.n)
    change = difference_interval(a, b)
    if fewest < enough:
        side = "A" if a.n <= b.n else "B"
        why = f"side {side} has {fewest:,.0f} rows for it, at least {enough:,.0f} are needed"
        return Difference(section, subject, metric, unit, a, b, change, least, float("nan"), why=why, more=max(round(enough - fewest), 1))
    if change.value is None or change.low is None or change.high is None:
        return unavailable_difference(section, subject, metric, unit, "it is not defined on these rows", a, b)
    return Difference(section, subject, metric, unit, a, b, change, least, difference_p_value(change))


def decision_differences(ask: AskEngine, model: Model, a: Window, b: Window) -> list[Difference]:
    """The selection rate of a binary model, or the share of each class of a multiclass model, over every row with a decision."""
    if model.task not in ("binary", "multiclass"):
        return []
    asked = Aggregate("predictions", keys=(By("decision"),))
    frames = [ask(asked, window) for window in (a, b)]
    places = [1] if model.task == "binary" else range(min(len(model.classes), MAX_CLASSES))
    found = []
    for place in places:
        one, other = (_share_interval(frame[frame["decision"] >= 0], frame["decision"].to_numpy() == place) for frame in frames)
        subject = "model" if model.task == "binary" else f"class={model.classes[place]}"
        found.append(interval_difference("decisions", subject, "selection_rate", "share", one, other, MINIMUM_RATE_CHANGE, MINIMUM_ROWS))
    return found


def _share_interval(rows: "DataFrame", hit: "ArrayLike") -> Interval:
    """Wilson's interval of the share of rows (with n, w, w2) that are hits."""
    among = np.asarray(hit)[rows.index] if len(rows) else np.zeros(0, bool)
    return rate_interval(float(rows["w"].to_numpy()[among].sum()), float(rows["w"].sum()), float(rows["w2"].sum()))


def performance_differences(
    ask: AskEngine, model: Model, a: Window, b: Window
) -> tuple[list[Difference], tuple[float, float], tuple[float, float]]:
    """The differences of every performance metric (with several classes, also of each class), and the number of served and labelled rows of
    A and of B.
    """
    if model.task is None:
        frames = [ask(Aggregate("outcomes", keys=(By("label"),)), window) for window in (a, b)]
        known = [served_and_labelled(frame) for frame in frames]
        why = "the task of this model is not known: register it to have its errors measured"
        return [unavailable_difference("performance", "model", "judged", "share", why)], known[0], known[1]
    asked = outcome_aggregates(model)
    counts, sums = ([ask(asked[name], window) for window in (a, b)] for name in ("counts", "sums"))
    now, then = (performance_metrics(model, *pair) for pair in zip(counts, sums, strict=True))
    ripe_a, ripe_b = (served_and_labelled(frame) for frame in counts)
    young = label_maturity_note(ripe_a, ripe_b)
    found = []
    for metric in now:
        if metric not in LIMITS:
            continue
        sides, least = (now[metric], then.get(metric, NO_INTERVAL)), _minimum_change(metric, then)
        each = interval_difference("performance", "model", metric, METRICS[metric].unit, *sides, least, MINIMUM_LABELS)
        found.append(each if each.why else replace(each, why=young))
    if model.task == "multiclass":
        found += [each if each.why else replace(each, why=young) for each in class_rate_differences(model, *counts)]
    return found, ripe_a, ripe_b


def class_rate_differences(model: Model, counts: "DataFrame", then: "DataFrame") -> list[Difference]:
    """The differences in recall and precision of each class."""
    one, other = class_performance(model, counts), class_performance(model, then)
    return [
        interval_difference(
            "decisions", f"class={name}", metric, "share", one[name][metric], other[name][metric], LIMITS[metric][1], MINIMUM_ROWS
        )
        for name in model.classes[:MAX_CLASSES]
        for metric in ("recall", "precision")
    ]


def watched_slice_differences(ask: AskEngine, model: Model, a: Window, b: Window) -> list[Difference]:
    """The main metric in each slice that the owner watches: one difference per slice, restricted to the slices of the windows."""
    if model.task is None:
        return []
    asked, metric, found = outcome_aggregates(model), HEADLINE[model.task], []
    for text in model.settings.slices:
        windows = [_intersected_window(window, text) for window in (a, b)]
        try:
            counts, sums = ([ask(asked[name], window) for window in windows] for name in ("counts", "sums"))
        except NotFoundError as error:  # if the model no longer has a column, only the slice on that column is skipped
            found.append(unavailable_difference("performance", text, metric, METRICS[metric].unit, str(error)))
            continue
        now, then = (performance_metrics(model, *pair) for pair in zip(counts, sums, strict=True))
        least = _minimum_change(metric, then) if metric in then else 0.0
        one, other = now.get(metric, NO_INTERVAL), then.get(metric, NO_INTERVAL)
        each = interval_difference("performance", text, metric, METRICS[metric].unit, one, other, least, MINIMUM_LABELS)
        found.append(each if each.why else replace(each, why=label_maturity_note(*map(served_and_labelled, counts))))
    return found


def _intersected_window(window: Window, text: str) -> Window:
    """The window restricted to a watched slice. If both have a condition on the same column, that of the watched slice counts."""
    part = Slice.parse(text)
    held = dict((*(window.slice.conditions if window.slice else ()), *(part.conditions if part else ())))
    return replace(window, slice=Slice(tuple(held.items())))


def _minimum_change(metric: str, base: dict[str, Interval]) -> float:
    """The smallest change of a metric that matters, in the unit of the metric: the `watch` limit of the performance analyzer."""
    kind, watch, _ = LIMITS[metric]
    if kind == "points":
        return watch
    held = base["mae" if kind == "of mae" else metric].value
    return watch * abs(held or 0.0)


def label_maturity_note(a: tuple[float, float], b: tuple[float, float]) -> str | None:
    """A note if a far smaller share of the labels has arrived on one side than on the other; else None."""
    if not (a[0] and b[0] and a[1] and b[1]):
        return None
    shares = a[1] / a[0], b[1] / b[0]
    if min(shares) >= MATURE * max(shares):
        return None
    young, old = ("A", "B") if shares[0] < shares[1] else ("B", "A")
    return f"labels of side {young} are still missing: {100 * min(shares):.0f} % have arrived, {100 * max(shares):.0f} % on side {old}"
