"""Compute differences in latency, failed requests, energy and cost between two sides.

The figures are computed as in the analyzers of latency, energy and cost. Device readings are about a whole service, so the energy of a
slice or of a shadow is computed from the fields of its predictions.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.compare.difference import AskEngine, Difference, Section, unavailable_difference
from observability.compare.outcomes import interval_difference
from observability.core.catalog import Model
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import Window
from observability.detection.metric_changes import difference_p_value
from observability.detection.ratio_changes import scaled_interval
from observability.metrics.cost import CostPart, serving_cost
from observability.metrics.cost_periods import cost_by_period, spent_currencies
from observability.metrics.energy import RESOURCES, ServingEnergy, consumption_question, served_question, serving_energy
from observability.metrics.energy_readings import worst_source
from observability.metrics.prices import PRICES, PriceScope
from observability.metrics.token_prices import CallFrames, call_sample, cost_columns, currency_question, logs_tokens
from observability.metrics.traffic import NEEDED, QUANTILES, request_counts
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval
from observability.stats.ratio import ratio_of_totals_change, ratio_of_totals_interval

if TYPE_CHECKING:
    from pandas import DataFrame

MINIMUM_RELATIVE_CHANGE = 0.1
"""The smallest change of a latency, an energy or a cost that matters, as a share of side B's value."""
MIN_FAILURES = 0.01
ROUNDING = 1e-9
"""If two sums differ by at most this share, they count as equal: the difference is rounding."""
THOUSAND = 1000.0
HOW = {"resources": "readings of devices", "predictions": "what predictions carry", "latency": "latency and an assumed power"}


def latency_differences(ask: AskEngine, a: Window, b: Window) -> list[Difference]:
    """p50, p95, p99 of answered requests, and the failure rate; empty if neither side logs latency or failures."""
    found = []
    for window in (a, b):
        counts = ask(Aggregate("predictions", keys=(Bucket("day"), By("status"))), window)
        timed = ask(Aggregate("predictions", keys=(Bucket("day"), By("status")), histogram=("latency_ms",)), window)
        found.append(request_counts(counts, timed))
    now, then = found
    differences = []
    if now.bins.sum() and then.bins.sum():
        for metric, q in QUANTILES.items():
            sides = now.quantile(q), then.quantile(q)
            differences.append(
                interval_difference(
                    "latency", "model", metric, "ms", *sides, MINIMUM_RELATIVE_CHANGE * (sides[1].value or 0.0), NEEDED[metric]
                )
            )
    if now.failed.sum() or then.failed.sum():
        rates = now.error_rate(), then.error_rate()
        differences.append(interval_difference("latency", "model", "error_rate", "share", *rates, MIN_FAILURES, NEEDED["error_rate"]))
    return differences


@dataclass(frozen=True)
class ServingFrames:
    """Frames of one side: predictions by hour, their usage fields, and device readings (empty if the readings cover more than this
    side).
    """

    served: "DataFrame"
    use: "DataFrame"
    resources: "DataFrame"
    prices: "DataFrame"
    calls: CallFrames | None = None


def _serving_frames(ask: AskEngine, model: Model, window: Window) -> ServingFrames:
    """The frames from which energy and cost are computed."""
    readings = ask(RESOURCES, replace(window, slice=None, version=None))
    whole = window.slice is None and window.version is None and window.environment == "production"
    return ServingFrames(
        ask(served_question(), window), ask(consumption_question(*cost_columns(model)), window), readings if whole else readings.iloc[:0],
        ask(PRICES, replace(window, slice=None, version=None)),
        CallFrames(ask(currency_question(), window), ask(call_sample(model), window) if logs_tokens(model) else None),
    )  # fmt: skip


def consumption_differences(ask: AskEngine, model: Model, a: Window, b: Window) -> list[Difference]:
    """The differences in energy and cost of a thousand predictions; empty if neither side has any, or if a side is a reference."""
    if "reference" in (a.environment, b.environment):
        return []
    place, now, then = PriceScope(model.name, model.settings), _serving_frames(ask, model, a), _serving_frames(ask, model, b)
    parts = [serving_cost(each.served, each.use, each.resources, each.prices, place, each.calls) for each in (now, then)]
    drawn = [serving_energy(each.served, each.use, each.resources, each.prices, place) for each in (now, then)]
    return [*_cost_differences(model, (now, then), (parts[0], parts[1])), *energy_differences((drawn[0], drawn[1]))]


def _cost_differences(model: Model, sides: tuple[ServingFrames, ServingFrames], parts: tuple[CostPart, CostPart]) -> list[Difference]:
    """The difference in the cost of a thousand predictions, in the first currency that both sides have."""
    if not any(each.method for each in parts):
        return []
    known = [spent_currencies([each], model.settings) for each in parts]
    shared = next((each for each in known[0] if each in known[1]), None)
    if shared is None or parts[0].method != parts[1].method:
        why = "the two sides are priced in different ways" if all(known) else "one side has no price"
        return [unavailable_difference("cost", "model", "cost_per_thousand", shared or "money", why)]
    frames = [cost_by_period(each.served, part, shared) for each, part in zip(sides, parts, strict=True)]
    return [per_thousand_difference("cost_per_thousand", shared or "money", (frames[0], frames[1]), "amount", parts[0].source)]


def energy_differences(sides: tuple[ServingEnergy, ServingEnergy]) -> list[Difference]:
    """The difference in the Wh of a thousand predictions, with the less certain source of both sides; empty if neither side has any."""
    if not any(each.method for each in sides):
        return []
    unit = METRICS["energy_per_thousand"].unit
    if sides[0].method != sides[1].method:
        ways = " and ".join(HOW.get(each.method or "", "nothing") for each in sides)
        return [unavailable_difference("cost", "model", "energy_per_thousand", unit, f"the energy of the two sides comes from {ways}")]
    frames = [each.parts("wh") for each in sides]
    found = per_thousand_difference(
        "energy_per_thousand", unit, (frames[0], frames[1]), "wh", worst_source([each.source for each in sides])
    )
    return [replace(found, evidence={**found.evidence, "method": sides[0].method})]


def per_thousand_difference(metric: str, unit: str, frames: "tuple[DataFrame, DataFrame]", column: str, source: str) -> Difference:
    """The difference of an amount per thousand predictions served. Its interval uses days as units (hours for a short window)."""
    section: Section = "cost"
    a, b = (scaled_interval(ratio_of_totals_interval(each[column], each["served"]), THOUSAND) for each in frames)
    change, tested = (
        difference_interval(a, b),
        ratio_of_totals_change(frames[0][column], frames[0]["served"], frames[1][column], frames[1]["served"]),
    )
    if change.value is None or change.low is None or change.high is None:
        return replace(
            unavailable_difference(section, "model", metric, unit, "it needs at least two days or hours on each side", a, b),
            evidence={"source": source},
        )
    least = MINIMUM_RELATIVE_CHANGE * abs(b.value or 0.0)
    p_value = difference_p_value(change) if tested.p_value is None else tested.p_value
    if abs(change.value) <= ROUNDING * abs(b.value or 0.0):  # the same prices of requests, summed in another order
        change, p_value = Interval(0.0, 0.0, 0.0, change.n), 1.0
    return Difference(section, "model", metric, unit, a, b, change, least, float(np.clip(p_value, 0, 1)), evidence={"source": source})
