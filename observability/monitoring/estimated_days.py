"""Estimated and measured performance for each day (or longer step) of a window. Pages and frozen weeks share it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from observability.core.catalog import Model
from observability.core.questions import Aggregate, Bucket, By, EstimatedErrors
from observability.core.window import Window
from observability.metrics.estimates import (
    EstimatedDay,
    error_variances,
    estimate_questions,
    estimates_by_day,
    regression_by_day,
    score_calibration,
)
from observability.metrics.performance import outcome_aggregates, regression_metrics

if TYPE_CHECKING:
    from pandas import DataFrame

AskFigures = Callable[[Aggregate | EstimatedErrors, Window], "DataFrame"]
"""A function that runs a query over a window."""
DAY = timedelta(days=1)


def estimated_days(ask: AskFigures, model: Model, window: Window, step: timedelta = DAY) -> Iterable[tuple[Any, EstimatedDay]]:
    """(start of the step, its figures), oldest first. window: window of one version that has a reference. Empty if the scores have no known
    meaning.
    """
    if model.task == "regression":
        counts = ask(Aggregate("outcomes", keys=(Bucket("day"), By("label"))), window)
        rows, reference = ask(EstimatedErrors(), window), ask(EstimatedErrors(), window.reference())
        sums = _with_step_start(ask(outcome_aggregates(model, Bucket("day"))["sums"], window), counts, step)
        sampled = regression_by_day(
            _with_step_start(rows, counts, step), _with_step_start(counts, counts, step), error_variances(reference)
        )
        return [
            (period, replace(each, measured=regression_metrics(sums[sums["period"] == period]), same_rows=each.measured))
            for period, each in sampled
        ]
    whole = {name: ask(each, window.reference()) for name, each in estimate_questions(model).items() if name != "sums"}
    known = score_calibration(model, whole["counts"], whole.get("classes"))
    if known is None:
        return []
    dated = {name: ask(each, window) for name, each in estimate_questions(model, Bucket("day")).items()}
    of = {name: _with_step_start(each, dated["counts"], step) for name, each in dated.items()}
    return estimates_by_day(known, of["counts"], of["sums"], of.get("classes"))


def _with_step_start(rows: "DataFrame", counts: "DataFrame", step: timedelta) -> "DataFrame":
    """The rows, with the start of their step as `period`. Steps are counted from the first day of the window."""
    if not len(rows) or step == DAY:
        return rows
    first = counts["period"].min()
    return rows.assign(period=first + ((rows["period"] - first) // step) * step)
