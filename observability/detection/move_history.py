"""Finds whether earlier drift of the inputs mattered: how often such a drift coincided with a fall of this model's measured performance.

Inputs can drift while performance stays the same, and performance can fall without drift. The past weeks of a model show what happened to
it. A week counts if it had such a drift and its performance was measured. A fall is at least the smallest loss of the main metric that is
critical, compared with the reference and beyond the interval of the rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.analyzer import Ask, Context
from observability.core.metric_definitions import METRICS
from observability.core.questions import Bucket
from observability.core.window import EPOCH
from observability.detection.change import stated_limits
from observability.detection.estimate_sentences import metric_name_mid_sentence
from observability.detection.windows import WEEK
from observability.metrics.measured_windows import days_in, kept_answer_rows
from observability.metrics.metric_limits import LIMITS
from observability.metrics.performance import HEADLINE, answer_columns, outcome_aggregates, performance_metrics, primary_metric
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval

if TYPE_CHECKING:
    from pandas import DataFrame

WEEKS = 4
MIN_LABELS = 100
"""The performance of a week with fewer labels counts as not measured."""


@dataclass(frozen=True)
class MoveRecord:
    """weeks: number of past weeks with such a drift whose performance was measured; fell: number of these with a fall; measured: number of
    all measured weeks.

    fall: words for the smallest fall that counts, such as "a fall of at least 5 points".
    """

    weeks: int
    fell: int
    measured: int
    fall: str

    @property
    def in_words(self) -> str:
        """The effect of such a drift in the past, as a clause of a sentence."""
        if not self.measured:
            return "its effect on performance is unknown: no past week has labels"
        if not self.weeks:
            weeks = f"{self.measured} past weeks" if self.measured > 1 else "past week"
            return f"its effect on performance is unknown: none of the {weeks} with labels had such a shift"
        return f"{self.fell} of {self.weeks} past week{'s' if self.weeks > 1 else ''} with such a move had {self.fall}"

    @property
    def evidence(self) -> dict[str, Any]:
        """The counts, as evidence of a finding."""
        return {"such_moves": {"weeks": self.weeks, "fell": self.fell, "measured": self.measured, "fall": self.fall}}


def fall_asks(context: Context) -> dict[str, Ask]:
    """Return the queries for measured performance: by day over the WEEKS weeks before the window, and over the reference."""
    if context.model.task not in HEADLINE or not context.version.reference_rows:
        return {}
    dated, whole = outcome_aggregates(context.model, Bucket("day")), outcome_aggregates(context.model)
    asks = {f"past_outcome_{name}": Ask(each, span="past", days=WEEKS * WEEK) for name, each in dated.items()}
    return asks | {f"reference_outcome_{name}": Ask(each, span="reference") for name, each in whole.items()}


def weekly_falls(frames: "Mapping[str, DataFrame]", context: Context) -> list[bool | None]:
    """Return for each week before the window whether performance had fallen, newest first; None if it was not measured.

    frames: the answers to `fall_asks`; without them, all values are None.
    """
    unknown: list[bool | None] = [None] * WEEKS
    if "past_outcome_counts" not in frames:
        return unknown
    metric, fall = smallest_fall(context)
    reference = performance_metrics(
        context.model, *(answer_columns(frames[f"reference_outcome_{name}"]) for name in ("counts", "sums"))
    ).get(metric)
    if reference is None or reference.value is None:
        return unknown
    counts, sums = (answer_columns(frames[f"past_outcome_{name}"]) for name in ("counts", "sums"))
    ages = [((context.window.start - EPOCH).days - 1 - days_in(each)) // WEEK for each in (counts, sums)]
    found = []
    for week in range(WEEKS):
        own = kept_answer_rows(counts, ages[0] == week)
        now = performance_metrics(context.model, own, kept_answer_rows(sums, ages[1] == week)).get(metric) if own["n"].sum() else None
        found.append(None if now is None else has_fallen(metric, now, reference, fall))
    return found


def smallest_fall(context: Context) -> tuple[str, float]:
    """Return the main metric, and its smallest critical fall in points or relative."""
    metric = primary_metric(context.model)
    metric = metric if metric in LIMITS else HEADLINE[context.model.task or "binary"]
    return metric, stated_limits(context.model.settings, f"serving/performance/{metric}", *LIMITS[metric][1:])[1]


def has_fallen(metric: str, now: Interval, before: Interval, fall: float) -> bool | None:
    """Return whether a metric is worse by at least `fall`, and the interval of the difference excludes zero; None with too few labels."""
    if now.n < MIN_LABELS or now.value is None or before.value is None:
        return None
    change = difference_interval(now, before)
    if change.value is None or change.low is None or change.high is None:
        return None
    worse, least = (-change.value, -change.high) if METRICS[metric].better == "high" else (change.value, change.low)
    scale = 1.0 if LIMITS[metric][0] == "points" else abs(before.value)
    return bool(worse >= fall * scale and least > 0)


def move_record(moved: Sequence[bool | None], fell: Sequence[bool | None], context: Context) -> MoveRecord:
    """Return how often a drift like this one coincided with a fall in the past weeks.

    Parameters
    ----------
    moved : Sequence[bool | None]
        Whether the inputs of each past week had moved as much, newest first; None if that is not known.
    fell : Sequence[bool | None]
        Whether performance had fallen in the same weeks (`weekly_falls`).
    context : Context
        Context of the analyzer, for the smallest fall that counts.

    Returns
    -------
    MoveRecord
    """
    pairs = [(move, fall) for move, fall in zip(moved, fell) if move is not None and fall is not None]
    alike = [fall for move, fall in pairs if move]
    return MoveRecord(len(alike), int(np.sum(alike)), len(pairs), fall_in_words(context))


def fall_in_words(context: Context) -> str:
    """Return the smallest fall that counts in words: "a fall of at least 5 points"; for an error metric "a rise of MAE of at least 25
    %".
    """
    if context.model.task not in HEADLINE:
        return "a fall"
    metric, fall = smallest_fall(context)
    kind = "fall" if METRICS[metric].better == "high" else "rise"
    size = f"{100 * fall:.3g} points" if LIMITS[metric][0] == "points" else f"{100 * fall:.3g} %"
    return f"a {kind} of {metric_name_mid_sentence(metric)} of at least {size}"
