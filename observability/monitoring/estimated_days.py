"""What was estimated and what was measured of each day (or of each longer step) of a window, by one computation for pages and frozen weeks?"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By, EstimatedErrors
from observability.core.window import Window
from observability.metrics.estimates import Day, by_day, meaning, questions, regression_by_day, spreads
from observability.metrics.performance import outcome_aggregates, regression

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Aggregate | EstimatedErrors, Window], "DataFrame"]
"""Answers a question about a window."""
DAY = timedelta(days=1)


def estimated_days(ask: Ask, model: Model, window: Window, step: timedelta = DAY) -> Iterable[tuple[Any, Day]]:
    """(start of the step, its figures), oldest first. window: of one version with a reference; nothing where its scores cannot be given a meaning."""
    if model.task == "regression":
        counts = ask(Aggregate("outcomes", keys=(Bucket("day"), By("label"))), window)
        rows, reference = ask(EstimatedErrors(), window), ask(EstimatedErrors(), window.reference())
        sums = stepped(ask(outcome_aggregates(model, Bucket("day"))["sums"], window), counts, step)
        sampled = regression_by_day(stepped(rows, counts, step), stepped(counts, counts, step), spreads(reference))
        return [
            (period, replace(each, measured=regression(sums[sums["period"] == period]), same_rows=each.measured))
            for period, each in sampled
        ]
    whole = {name: ask(each, window.reference()) for name, each in questions(model).items() if name != "sums"}
    known = meaning(model, whole["counts"], whole.get("classes"))
    if known is None:
        return []
    dated = {name: ask(each, window) for name, each in questions(model, Bucket("day")).items()}
    of = {name: stepped(each, dated["counts"], step) for name, each in dated.items()}
    return by_day(known, of["counts"], of["sums"], of.get("classes"))


def stepped(rows: "DataFrame", counts: "DataFrame", step: timedelta) -> "DataFrame":
    """The rows with the start of their step, counted from the first day of the window, as period."""
    if not len(rows) or step == DAY:
        return rows
    first = counts["period"].min()
    return rows.assign(period=first + ((rows["period"] - first) // step) * step)
