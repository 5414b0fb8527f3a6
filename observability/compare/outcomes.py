"""How do two sides differ in what came out: decisions and errors?

Every figure is computed as the analyzers compute it; the rows of the two sides are other rows, so their errors add up.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.compare.difference import NONE, Asker, Difference, Section, blocked
from observability.core.catalog import Model
from observability.core.errors import NotFoundError
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, By
from observability.core.window import Slice, Window
from observability.detection.metric_changes import MINIMUM_LABELS, chance
from observability.metrics.measured_windows import MATURE
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import HEADLINE, by_class, maturity, outcome_aggregates, performance
from observability.stats.interval import Interval, difference_interval, rate_interval

if TYPE_CHECKING:
    from numpy.typing import ArrayLike
    from pandas import DataFrame

LEAST_RATE = 0.02
"""The smallest change of a share of decisions that matters."""
MINIMUM_ROWS = 30
MOST_CLASSES = 20


def difference(section: Section, subject: str, metric: str, unit: str, a: Interval, b: Interval, least: float, enough: float) -> Difference:
    """One figure of both sides. enough: rows that each side needs for anything to be said."""
    fewest = min(a.n, b.n)
    change = difference_interval(a, b)
    if fewest < enough:
        side = "A" if a.n <= b.n else "B"
        why = f"side {side} has {fewest:,.0f} rows for it, at least {enough:,.0f} are needed"
        return Difference(section, subject, metric, unit, a, b, change, least, float("nan"), why=why, more=max(round(enough - fewest), 1))
    if change.value is None or change.low is None or change.high is None:
        return blocked(section, subject, metric, unit, "it is not defined on these rows", a, b)
    return Difference(section, subject, metric, unit, a, b, change, least, chance(change))


def decisions(ask: Asker, model: Model, a: Window, b: Window) -> list[Difference]:
    """Selection rate of a binary model, share of each class of others, over every decided row."""
    if model.task not in ("binary", "multiclass"):
        return []
    asked = Aggregate("predictions", keys=(By("decision"),))
    frames = [ask(asked, window) for window in (a, b)]
    places = [1] if model.task == "binary" else range(min(len(model.classes), MOST_CLASSES))
    found = []
    for place in places:
        sides = [share(frame[frame["decision"] >= 0], frame["decision"].to_numpy() == place) for frame in frames]
        subject = "model" if model.task == "binary" else f"class={model.classes[place]}"
        found.append(difference("decisions", subject, "selection_rate", "share", sides[0], sides[1], LEAST_RATE, MINIMUM_ROWS))
    return found


def share(rows: "DataFrame", hit: "ArrayLike") -> Interval:
    """Wilson's interval of the share of rows (an answer's, with n, w, w2) that are hits."""
    among = np.asarray(hit)[rows.index] if len(rows) else np.zeros(0, bool)
    return rate_interval(float(rows["w"].to_numpy()[among].sum()), float(rows["w"].sum()), float(rows["w2"].sum()))


def errors(ask: Asker, model: Model, a: Window, b: Window) -> tuple[list[Difference], tuple[float, float], tuple[float, float]]:
    """Every performance metric, of several classes those of each too; and rows served and labelled of A and of B."""
    if model.task is None:
        frames = [ask(Aggregate("outcomes", keys=(By("label"),)), window) for window in (a, b)]
        known = [maturity(frame) for frame in frames]
        why = "the task of this model is not known: register it to have its errors measured"
        return [blocked("performance", "model", "judged", "share", why)], known[0], known[1]
    asked = outcome_aggregates(model)
    counts, sums = ([ask(asked[name], window) for window in (a, b)] for name in ("counts", "sums"))
    now, then = (performance(model, *pair) for pair in zip(counts, sums, strict=True))
    ripe_a, ripe_b = (maturity(frame) for frame in counts)
    young = youth(ripe_a, ripe_b)
    found = []
    for metric in now:
        if metric not in LIMITS:
            continue
        one, other = now[metric], then.get(metric, NONE)
        each = difference("performance", "model", metric, METRICS[metric].unit, one, other, least_of(metric, then), MINIMUM_LABELS)
        found.append(each if each.why else replace(each, why=young))
    if model.task == "multiclass":
        found += [each if each.why else replace(each, why=young) for each in classes(model, *counts)]
    return found, ripe_a, ripe_b


def classes(model: Model, counts: "DataFrame", then: "DataFrame") -> list[Difference]:
    """How many of the labels of each class are found, and how many of its decisions are right."""
    one, other = by_class(model, counts), by_class(model, then)
    return [
        difference("decisions", f"class={name}", metric, "share", one[name][metric], other[name][metric], LIMITS[metric][1], MINIMUM_ROWS)
        for name in model.classes[:MOST_CLASSES]
        for metric in ("recall", "precision")
    ]


def watched(ask: Asker, model: Model, a: Window, b: Window) -> list[Difference]:
    """The main metric in each slice that the owner watches, one difference a slice; a window's own slice holds as well."""
    if model.task is None:
        return []
    asked, metric, found = outcome_aggregates(model), HEADLINE[model.task], []
    for text in model.settings.slices:
        windows = [inside(window, text) for window in (a, b)]
        try:
            counts, sums = ([ask(asked[name], window) for window in windows] for name in ("counts", "sums"))
        except NotFoundError as error:  # a column that the model no longer has costs its own slice only
            found.append(blocked("performance", text, metric, METRICS[metric].unit, str(error)))
            continue
        now, then = (performance(model, *pair) for pair in zip(counts, sums, strict=True))
        least = least_of(metric, then) if metric in then else 0.0
        each = difference(
            "performance", text, metric, METRICS[metric].unit, now.get(metric, NONE), then.get(metric, NONE), least, MINIMUM_LABELS
        )
        found.append(each if each.why else replace(each, why=youth(maturity(counts[0]), maturity(counts[1]))))
    return found


def inside(window: Window, text: str) -> Window:
    """The window's rows that a watched slice holds too; where both name a column, the watched slice's condition holds."""
    part = Slice.parse(text)
    held = dict((*(window.slice.conditions if window.slice else ()), *(part.conditions if part else ())))
    return replace(window, slice=Slice(tuple(held.items())))


def least_of(metric: str, base: dict[str, Interval]) -> float:
    """The smallest change of a metric that matters, in its own unit: what the performance analyzer watches for."""
    kind, watch, _ = LIMITS[metric]
    if kind == "points":
        return watch
    held = base["mae" if kind == "of mae" else metric].value
    return watch * abs(held or 0.0)


def youth(a: tuple[float, float], b: tuple[float, float]) -> str | None:
    """What is said where one side has far fewer of its labels than the other; None where both are as ripe."""
    if not (a[0] and b[0] and a[1] and b[1]):
        return None
    shares = a[1] / a[0], b[1] / b[0]
    if min(shares) >= MATURE * max(shares):
        return None
    young, old = ("A", "B") if shares[0] < shares[1] else ("B", "A")
    return f"the labels of side {young} are young: {100 * min(shares):.0f} % are in, {100 * max(shares):.0f} % of side {old}'s"
