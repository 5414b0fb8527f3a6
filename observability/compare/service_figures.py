"""How do two sides differ in what serving took: latency, failed requests, energy and money?

Every figure is computed as the analyzers of latency, energy and cost compute it. What readings of devices say belongs to a whole service, so a slice or
a shadow is told from what its predictions carry.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from observability.compare.difference import Asker, Difference, Section, blocked
from observability.compare.outcomes import difference
from observability.core.catalog import Model
from observability.core.metric_definitions import METRICS
from observability.core.questions import Aggregate, Bucket, By
from observability.core.window import Window
from observability.detection.metric_changes import chance
from observability.detection.ratio_changes import scaled
from observability.metrics.cost import Part, by_parts, currencies, serving_part
from observability.metrics.energy import RESOURCES, Serving, served_question, serving, use_question
from observability.metrics.prices import PRICES, Place
from observability.metrics.traffic import NEEDED, QUANTILES, requests_of
from observability.stats.interval import Interval, difference_interval
from observability.stats.ratio import ratio_change, ratio_interval

if TYPE_CHECKING:
    from pandas import DataFrame

LEAST_RELATIVE = 0.1
"""The smallest change of a latency, an energy or a cost that matters, as a share of side B's."""
LEAST_FAILURES = 0.01
ROUNDING = 1e-9
"""Sums that are nearer to each other than this share of them are the same: what is left is the rounding of the sums."""
THOUSAND = 1000.0
HOW = {"resources": "readings of devices", "predictions": "what predictions carry", "latency": "latency and an assumed power"}


def latency(ask: Asker, a: Window, b: Window) -> list[Difference]:
    """p50, p95, p99 of those who waited for an answer, and the share that failed; nothing where no side says how long it took or failed."""
    found = []
    for window in (a, b):
        counts = ask(Aggregate("predictions", keys=(Bucket("day"), By("status"))), window)
        timed = ask(Aggregate("predictions", keys=(Bucket("day"), By("status")), histogram=("latency_ms",)), window)
        found.append(requests_of(counts, timed))
    now, then = found
    differences = []
    if now.bins.sum() and then.bins.sum():
        for metric, q in QUANTILES.items():
            sides = now.quantile(q), then.quantile(q)
            differences.append(
                difference("latency", "model", metric, "ms", *sides, LEAST_RELATIVE * (sides[1].value or 0.0), NEEDED[metric])
            )
    if now.failed.sum() or then.failed.sum():
        rates = now.error_rate(), then.error_rate()
        differences.append(difference("latency", "model", "error_rate", "share", *rates, LEAST_FAILURES, NEEDED["error_rate"]))
    return differences


@dataclass(frozen=True)
class Used:
    """What one side was served with: predictions by hour, what they carry, readings of devices (none where they belong to more than this side)."""

    served: "DataFrame"
    use: "DataFrame"
    resources: "DataFrame"
    prices: "DataFrame"


def used(ask: Asker, window: Window) -> Used:
    """The frames that energy and cost are computed from."""
    readings = ask(RESOURCES, replace(window, slice=None, version=None))
    whole = window.slice is None and window.version is None and window.environment == "production"
    return Used(
        ask(served_question(), window), ask(use_question("cost"), window), readings if whole else readings.iloc[:0],
        ask(PRICES, replace(window, slice=None, version=None)),
    )  # fmt: skip


def spent(ask: Asker, model: Model, a: Window, b: Window) -> list[Difference]:
    """Energy and cost of a thousand predictions; nothing where neither side tells, or of a reference, which nobody served."""
    if "reference" in (a.environment, b.environment):
        return []
    place, now, then = Place(model.name, model.settings), used(ask, a), used(ask, b)
    parts = [serving_part(each.served, each.use, each.resources, each.prices, place) for each in (now, then)]
    drawn = [serving(each.served, each.use, each.resources, each.prices, place) for each in (now, then)]
    return [*costs(model, (now, then), (parts[0], parts[1])), *energy((drawn[0], drawn[1]))]


def costs(model: Model, sides: tuple[Used, Used], parts: tuple[Part, Part]) -> list[Difference]:
    """Money for a thousand predictions, in the first currency of both sides."""
    if not any(each.method for each in parts):
        return []
    known = [currencies([each], model.settings) for each in parts]
    shared = next((each for each in known[0] if each in known[1]), None)
    if shared is None or parts[0].method != parts[1].method:
        why = "the two sides are priced in different ways" if all(known) else "one side has no price"
        return [blocked("cost", "model", "cost_per_thousand", shared or "money", why)]
    frames = [by_parts(each.served, part, shared) for each, part in zip(sides, parts, strict=True)]
    return [per_thousand("cost_per_thousand", shared or "money", (frames[0], frames[1]), "amount", parts[0].source)]


def energy(sides: tuple[Serving, Serving]) -> list[Difference]:
    """Wh for a thousand predictions."""
    if not any(each.method for each in sides):
        return []
    unit = METRICS["energy_per_thousand"].unit
    if sides[0].method != sides[1].method:
        ways = " and ".join(HOW.get(each.method or "", "nothing") for each in sides)
        return [blocked("cost", "model", "energy_per_thousand", unit, f"the two sides are told from {ways}")]
    frames = [each.parts("wh") for each in sides]
    return [per_thousand("energy_per_thousand", unit, (frames[0], frames[1]), "wh", sides[0].source)]


def per_thousand(metric: str, unit: str, frames: "tuple[DataFrame, DataFrame]", column: str, source: str) -> Difference:
    """A ratio to the predictions served, on days (hours of a short window) as the units."""
    section: Section = "cost"
    a, b = (scaled(ratio_interval(each[column], each["served"]), THOUSAND) for each in frames)
    change, tested = difference_interval(a, b), ratio_change(frames[0][column], frames[0]["served"], frames[1][column], frames[1]["served"])
    if change.value is None or change.low is None or change.high is None:
        return replace(
            blocked(section, "model", metric, unit, "it needs at least two days or hours on each side", a, b), evidence={"source": source}
        )
    least = LEAST_RELATIVE * abs(b.value or 0.0)
    p_value = chance(change) if tested.p_value is None else tested.p_value
    if abs(change.value) <= ROUNDING * abs(b.value or 0.0):  # the same price of each request, added up in another order
        change, p_value = Interval(0.0, 0.0, 0.0, change.n), 1.0
    return Difference(
        section,
        "model",
        metric,
        unit,
        a,
        b,
        change,
        least,
        float(np.clip(p_value, 0, 1)),
        evidence={"source": source},
    )
