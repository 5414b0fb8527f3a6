"""Compute what is at stake in each incident of a week: the affected predictions, the cost of their errors, and the groups that are affected
more than others.

The cost is estimated: the mean loss of labelled affected predictions minus the mean loss of the reference, at the owner's error costs,
times the number of affected predictions. Ordinary errors belong to no incident, and neither do errors of a service or its energy. A group
is named if its share among the affected predictions differs from its share among all others significantly (false discovery rate 5 % over
the incident's groups) and by at least MIN_SHARE_DIFFERENCE.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding, needs_action
from observability.core.formatting import format_number
from observability.core.metric_definitions import LABEL_UNIT
from observability.core.questions import Aggregate, By
from observability.core.window import Slice, Window
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import pipeline_stage
from observability.metrics.error_cost import UNPRICED_TASK, decision_loss
from observability.metrics.groups import attribute_levels, sensitive_attributes
from observability.metrics.performance import confusion_matrix
from observability.monitoring.analyzer_runs import record_analyzers
from observability.review.incident_items import share_increase
from observability.stats.difference_intervals import difference_interval
from observability.stats.interval import Interval
from observability.stats.multiple_testing import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
Ask = Callable[[Aggregate, Window], "DataFrame"]
MAX_STAKES = 10
"""Maximum number of incidents of a model whose stakes are computed, worst first."""
MIN_SHARE_DIFFERENCE, MIN_ROWS = 0.05, 100
"""Minimum difference between a group's two shares, and minimum number of predictions on each side."""
WITHOUT_ERRORS = frozenset(("run", "arrival", "service", "energy"))
"""Stages of the pipeline whose faults do not make any answer wrong."""
GROUPS = 4
"""Maximum number of groups that are named, largest difference first."""
OUTCOMES = Aggregate("outcomes", keys=(By("decision"), By("label")))


def stakes(ask: Ask, model: Model, window: Window, incidents: tuple[Incident, ...]) -> Body:
    """{"incidents": {incident id: its stake}} of the MAX_STAKES worst incidents that need action and are about predictions. window: the
    week.
    """
    of_rows = (incident for incident in incidents if incident.lead.analyzer not in record_analyzers())
    needy = [incident for incident in of_rows if needs_action(incident.severity)][:MAX_STAKES]
    return {"incidents": {incident.id: incident_stake(ask, model, window, incident) for incident in needy}}


def incident_stake(ask: Ask, model: Model, window: Window, incident: Incident) -> Body:
    """rows: number of affected predictions, weighted; of: number of predictions in the week; slice: the affected slice; money, groups: None
    if unknown, with the reason.
    """
    lead = incident.lead
    part, began = touched_slice(lead), min(max(window.start, incident.onset or window.start), window.end)
    try:
        whole = ask(OUTCOMES, window)
        touched = ask(OUTCOMES, replace(window, start=began, slice=part)) if part or began > window.start else whole
    except ObservabilityError as error:
        return {"why": error.what}
    share = 1.0 if part else share_increase(lead.to_json())
    rows, served = float(touched["w"].sum()) * share, float(whole["w"].sum())
    made: Body = {"rows": rows, "of": served, "since": began.isoformat(), "slice": str(part) if part else None}
    cost: Body = {"money": None, "no_money": ""}
    if pipeline_stage(lead) not in WITHOUT_ERRORS:
        cost = touched_error_cost(model, touched, rows, lambda: reference_outcomes(ask, window, lead, part))
        if words := excess_error_words(incident, model.settings.unit):
            cost = {"money": cost["money"], "no_money": words}
    return made | cost | overrepresented_groups(ask, model, window, began, lead, part)


def touched_slice(lead: Finding) -> Slice | None:
    """The slice that a finding is about: its own slice, or the rows in which the value is missing; None if there is no slice."""
    if lead.slice:
        return Slice.parse(lead.slice)
    return Slice(((lead.subject, "null"),)) if lead.metric == "null_rate" and lead.subject != "model" else None


def excess_error_words(incident: Incident, unit: str | None) -> str:
    """By how much the absolute error summed over the labelled predictions exceeds what the reference's mean error would give, in the
    label's unit; empty if the incident has no such finding.
    """
    about = (each for each in incident.findings if each.metric == "mae" and not each.slice and each.against == "reference")
    finding = next((each for each in about if each.value is not None and isinstance(each.evidence.get("baseline"), int | float)), None)
    if finding is None or finding.value is None or finding.value <= finding.evidence["baseline"]:
        return ""
    more, low, high = (
        None if end is None else (end - finding.evidence["baseline"]) * finding.n for end in (finding.value, finding.low, finding.high)
    )
    span = f" ({format_number(low)} to {format_number(high)})" if low is not None and high is not None else ""
    return (
        f"{format_number(more)} {unit or LABEL_UNIT} of absolute error beyond the reference{span}, on {finding.n:,} labelled predictions."
    )


def reference_outcomes(ask: Ask, window: Window, lead: Finding, part: Slice | None) -> "DataFrame":
    """Counts of the reference by decision and label: from the same slice if it has at least MIN_ROWS labelled decisions, else from all
    rows.
    """
    whole = replace(window, version=lead.version, slice=None).reference()
    within = ask(OUTCOMES, replace(whole, slice=part)) if part else None
    if within is not None and float(labelled_decisions(within)["n"].sum()) >= MIN_ROWS:
        return within
    return ask(OUTCOMES, whole)


def touched_error_cost(model: Model, touched: "DataFrame", rows: float, reference: Callable[[], "DataFrame"]) -> Body:
    """Estimated cost of errors on affected predictions beyond the cost that the reference implies. `an_answer`, `usual`: cost per
    prediction among the affected predictions and in the reference.
    """
    settings = model.settings
    if model.task != "binary":
        return {"money": None, "no_money": UNPRICED_TASK}
    if settings.cost_false_positive is None or settings.cost_false_negative is None:
        return {"money": None, "no_money": "No error costs are set."}
    here, labelled = loss_per_answer(model, touched)
    if here is None or here.value is None:
        return {"money": None, "no_money": "No affected prediction is labelled yet."}
    usual = loss_per_answer(model, reference())[0]
    if usual is None or usual.value is None:
        return {"money": None, "no_money": "Cost of errors unknown: the reference has no labelled decision to compare with."}
    more = difference_interval(here, usual)
    low, high = (None if end is None else end * rows for end in (more.low, more.high))
    money: Body = {"value": (here.value - usual.value) * rows, "low": low, "high": high, "basis": "estimated"}
    money |= {"currency": settings.cost_currency or "", "n": labelled, "an_answer": here.value, "usual": usual.value}
    return {"money": money}


def labelled_decisions(counts: "DataFrame") -> "DataFrame":
    """The counts of decisions whose label is known."""
    return counts[(counts["label"] >= 0) & (counts["decision"] >= 0)]


def loss_per_answer(model: Model, counts: "DataFrame") -> tuple[Interval | None, float]:
    """Mean loss per labelled prediction, and the number of labelled predictions."""
    known = labelled_decisions(counts)
    if not float(known["w"].sum()) > 0:
        return None, 0.0
    return decision_loss(model, confusion_matrix(model, counts), float(known["w2"].sum()))[0], float(known["w"].sum())


def overrepresented_groups(ask: Ask, model: Model, window: Window, began: datetime, lead: Finding, part: Slice | None) -> Body:
    """Levels of sensitive attributes whose share among affected predictions differs from their share among all other predictions of the
    same period, largest difference first.
    """
    if lead.analyzer == "trust/fairness" and "=" in lead.subject:
        return {"groups": None, "no_groups": f"The incident is about the group {lead.subject} itself."}
    versions = [version for version in model.versions if version.registered]
    chosen = sensitive_attributes(model, model.version(lead.version) or (versions[-1] if versions else None))
    if not chosen:
        return {"groups": None, "no_groups": "The model has no sensitive attribute."}
    if part is None:
        return {"groups": None, "no_groups": "The incident has no slice, so groups cannot be compared."}
    own = {name for name, _ in part.conditions}
    rows = []
    for attribute in chosen:
        if attribute.name in own:
            continue
        question, around = Aggregate("predictions", keys=(By(attribute.reference),)), replace(window, start=began)
        sides = [ask(question, around), ask(question, replace(around, slice=part))]
        by = [side.assign(level=attribute_levels(side, attribute)).groupby("level")[["w", "w2"]].sum() for side in sides]
        rows += level_shares(attribute.name, by[1], by[0].sub(by[1], fill_value=0.0).clip(lower=0.0))
    if not rows:
        few = f"Fewer than {MIN_ROWS} predictions on one side: groups cannot be compared."
        return {"groups": None, "no_groups": few}
    adjusted = benjamini_hochberg([row["p_value"] for row in rows])[0]
    found = [
        each | {"p_adjusted": float(p)}
        for each, p in zip(rows, adjusted)
        if p <= 0.05 and abs(each["touched"] - each["others"]) >= MIN_SHARE_DIFFERENCE
    ]
    return {"groups": sorted(found, key=lambda each: -abs(each["touched"] - each["others"]))[:GROUPS]}


def level_shares(name: str, touched: "DataFrame", others: "DataFrame") -> list[Body]:
    """For each level, its share on both sides and the p-value of a two-proportion z test on effective sample sizes; empty if a side is too
    small.
    """
    from scipy.special import ndtr

    sums = [(float(side["w"].sum()), float(side["w2"].sum())) for side in (touched, others)]
    n = [total**2 / squares if squares > 0 else 0.0 for total, squares in sums]
    if min(n) < MIN_ROWS:
        return []
    found = []
    for level in sorted({*touched.index, *others.index}):
        share, rest = (float(side["w"].get(level, 0.0)) / total for side, (total, _) in zip((touched, others), sums))
        pooled = (share * n[0] + rest * n[1]) / sum(n)
        error = float(np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1])))
        p_value = float(2 * ndtr(-abs(share - rest) / error)) if error > 0 else 1.0
        found.append({"group": f"{name}={level}", "touched": share, "others": rest, "p_value": p_value})
    return found
