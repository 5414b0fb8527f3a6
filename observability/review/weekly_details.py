"""Details of a model that a frozen week stores in addition to its findings, so that no step of the meeting needs a computation.

Each part is computed once, when the week is frozen; page, file and JSON read it. If a part fails, it holds only the reason, and no other
part is affected.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

from observability.core.errors import ObservabilityError
from observability.metrics.performance import HEADLINE
from observability.monitoring.estimated_days import estimated_days
from observability.review import ranked_inputs
from observability.review.fairness_status import criteria_status
from observability.review.incident_stakes import stakes
from observability.review.judged_model import JudgedModel
from observability.review.label_intake import label_intake
from observability.store.engine import Store

LOG = logging.getLogger(__name__)
Body = dict[str, Any]


def weekly_details(store: Store, judged: JudgedModel) -> Body:
    """All details of a model by name. A detail that could not be computed holds only `why`."""
    return {name: part_or_reason(name, store, judged, make) for name, make in PARTS.items()}


def part_or_reason(name: str, store: Store, judged: JudgedModel, make: Callable[[Store, JudgedModel], Body]) -> Body:
    """One part; if it fails, only `why`, a sentence with the reason."""
    try:
        return make(store, judged)
    except ObservabilityError as error:
        if error.exit_code == 3:
            raise
        return {"why": error.what}
    except Exception as error:  # a part that fails must not stop the other parts
        LOG.exception("%s of %s could not be frozen", name, judged.model.name)
        return {"why": f"{name} could not be computed: {type(error).__name__}"}


def estimated_by_day(store: Store, judged: JudgedModel) -> Body:
    """The estimated main metric by day: rows of [day, value, low, high], for the version that has the estimate."""
    main = HEADLINE.get(judged.model.task or "")
    found = [
        finding
        for finding in judged.findings
        if (finding.analyzer, finding.metric) == ("serving/estimated_performance", main) and None not in (finding.value, finding.version)
    ]
    if not found:
        return {"why": "No estimates for this week."}
    version = max(found, key=lambda finding: finding.n).version
    rows = []
    for day, figures in estimated_days(store.ask, judged.model, replace(judged.window, version=version)):
        guess = figures.estimated.get(str(main))
        if guess is not None and guess.interval.value is not None:
            rows.append([str(day)[:10], guess.interval.value, guess.interval.low, guess.interval.high])
    return {"metric": main, "version": version, "by_day": rows}


def input_details(store: Store, judged: JudgedModel) -> Body:
    """Inputs ranked by drift × importance, and the histograms of the first one."""
    found = ranked_inputs.inputs_by_impact(judged.findings, judged.model)
    if "why" in found:
        return found
    return {**found, "overlay": ranked_inputs.input_overlay(store.ask, judged.window, found["rows"][0])}


PARTS: dict[str, Callable[[Store, JudgedModel], Body]] = {
    "estimates": estimated_by_day,
    "stakes": lambda store, judged: stakes(cache(store.ask), judged.model, judged.window, judged.incidents),
    "inputs": input_details,
    "labelling": lambda store, judged: label_intake(store.ask, judged.model, judged.window, judged.findings),
    "fairness": lambda _, judged: criteria_status(judged.findings),
}
"""The parts that are stored for each model, by name."""
