"""What does a frozen week hold of a model beside its findings, so that a step of the meeting computes nothing?

Each part is made once, when the week is frozen; page, file and JSON read it. A part that cannot be made says why and takes nothing else along.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from observability.compare.comparison import asker
from observability.core.errors import ObservabilityError
from observability.metrics.performance import HEADLINE
from observability.monitoring.estimated_days import estimated_days
from observability.review import ranked_inputs
from observability.review.fairness_status import criteria
from observability.review.incident_stakes import stakes
from observability.review.label_intake import labelling

if TYPE_CHECKING:
    from observability.review.judged_model import Judged
    from observability.store.db.database import Store

LOG = logging.getLogger(__name__)
Body = dict[str, Any]


def beside(store: "Store", each: "Judged") -> Body:
    """Every part by its name."""
    return {name: safely(name, store, each, make) for name, make in PARTS.items()}


def safely(name: str, store: "Store", each: "Judged", make: "Callable[[Store, Judged], Body]") -> Body:
    """The part; where it cannot be made, only `why`, a sentence."""
    try:
        return make(store, each)
    except ObservabilityError as error:
        if error.exit_code == 3:
            raise
        return {"why": error.what}
    except Exception as error:  # one part that fails stops only itself
        LOG.exception("%s of %s could not be frozen", name, each.model.name)
        return {"why": f"{name} could not be computed: {type(error).__name__}"}


def estimates(store: "Store", each: "Judged") -> Body:
    """The main metric as it was estimated, by day: rows of [day, value, low, high], of the version that the frozen estimate is about."""
    main = HEADLINE.get(each.model.task or "")
    found = [
        one
        for one in each.findings
        if (one.analyzer, one.metric) == ("serving/estimated_performance", main) and one.value is not None and one.version is not None
    ]
    if not found:
        return {"why": "Nothing is estimated of this week."}
    version = max(found, key=lambda one: one.n).version
    rows = []
    for day, figures in estimated_days(asker(store), each.model, replace(each.window, version=version)):
        guess = figures.estimated.get(str(main))
        if guess is not None and guess.interval.value is not None:
            rows.append([str(day)[:10], guess.interval.value, guess.interval.low, guess.interval.high])
    return {"metric": main, "version": version, "by_day": rows}


def at_stake(store: "Store", each: "Judged") -> Body:
    """How many answers each incident touches, what they cost, and which groups bear more of it."""
    return stakes(cache(asker(store)), each.model, each.window, each.incidents)


def inputs(store: "Store", each: "Judged") -> Body:
    """Inputs by how far they moved times how much the model listens to them, and the first of them beside the reference."""
    found = ranked_inputs.ranked(each.findings, each.model)
    if "why" in found:
        return found
    return {**found, "overlay": ranked_inputs.overlay(asker(store), each.window, found["rows"][0])}


def labels(store: "Store", each: "Judged") -> Body:
    """The queue of labels, agreement, price and budget."""
    return labelling(asker(store), each.model, each.window, each.findings)


def fairness(store: "Store", each: "Judged") -> Body:
    """How alike groups are treated by the model's criterion."""
    return criteria(each.findings)


PARTS: "dict[str, Callable[[Store, Judged], Body]]" = {
    "estimates": estimates,
    "stakes": at_stake,
    "inputs": inputs,
    "labelling": labels,
    "fairness": fairness,
}
"""What is made of each model."""
