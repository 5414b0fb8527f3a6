"""What is at stake in each incident of a week: how many answers it touches, what errors on them cost, and which groups of people bear more of it?

Money is estimated: what the labelled ones among the touched answers lost at the owner's costs of errors, taken for all of them. It stands beside what
the other answers of the week lost, since answers cost something where nothing is wrong, too. A group is named where its share among the touched answers differs
from its share among the others beyond chance (false discovery rate 5 % over the incident's groups) and by LEAST or more.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.finding import Finding, needs_action
from observability.core.questions import Aggregate, By
from observability.core.window import Slice, Window
from observability.incidents.grouping import Incident
from observability.metrics.cost import money_of_errors
from observability.metrics.groups import attributes, levels_of
from observability.metrics.performance import confusion_matrix
from observability.review.incident_items import rose
from observability.stats.interval import Interval
from observability.stats.multiple import benjamini_hochberg

if TYPE_CHECKING:
    from pandas import DataFrame

Body = dict[str, Any]
Ask = Callable[[Aggregate, Window], "DataFrame"]
MOST = 10
"""Incidents of a model whose stakes are counted, the worst."""
LEAST, LEAST_ROWS = 0.05, 100
"""Points by which a group's share has to differ, and answers on each side below which it cannot be told."""
GROUPS = 4
"""Groups that are named, those that differ most."""
OUTCOMES = Aggregate("outcomes", keys=(By("decision"), By("label")))


def stakes(ask: Ask, model: Model, window: Window, incidents: tuple[Incident, ...]) -> Body:
    """{"incidents": {id of the incident: its stake}} of those that need a person, the worst MOST. window: the week."""
    needy = [each for each in incidents if needs_action(each.severity)][:MOST]
    return {"incidents": {each.id: stake(ask, model, window, each) for each in needy}}


def stake(ask: Ask, model: Model, window: Window, incident: Incident) -> Body:
    """rows: touched answers, weighted; of: answers of the week; where: which ones, in words; money, groups: None with why they are not told."""
    lead = incident.lead
    part, began = part_of(lead), since(window, incident.onset)
    try:
        whole = ask(OUTCOMES, window)
        touched = ask(OUTCOMES, replace(window, start=began, slice=part)) if part or began > window.start else whole
    except ObservabilityError as error:
        return {"why": error.what}
    share = 1.0 if part else rose(lead.to_json())
    rows, served = float(touched["w"].sum()) * share, float(whole["w"].sum())
    made: Body = {"rows": rows, "of": served, "since": began.isoformat(), "slice": str(part) if part else None}
    return made | money(model, whole, touched, rows) | groups(ask, model, window, began, lead, part)


def part_of(lead: Finding) -> Slice | None:
    """The slice of the answers that a finding is about: its own, or the rows without the value that is missing; None where it is no slice."""
    if lead.slice:
        return Slice.parse(lead.slice)
    return Slice(((lead.subject, "null"),)) if lead.metric == "null_rate" and lead.subject != "model" else None


def since(window: Window, onset: datetime | None) -> datetime:
    """From when in the week on answers are touched."""
    return window.start if onset is None else min(max(window.start, onset), window.end)


def money(model: Model, whole: "DataFrame", touched: "DataFrame", rows: float) -> Body:
    """What errors on the touched answers cost, estimated from the labelled ones among them; `an_answer` and `elsewhere` are for one answer."""
    settings = model.settings
    if model.task != "binary":
        return {"money": None, "no_money": "Costs of errors can be set for binary models only."}
    if settings.cost_false_positive is None or settings.cost_false_negative is None:
        return {"money": None, "no_money": "The settings state no cost of errors."}
    here, labelled = loss(model, touched)
    if here is None or here.value is None:
        return {"money": None, "no_money": "None of the touched answers is labelled yet."}
    elsewhere = loss(model, less(whole, touched))[0]
    return {
        "money": {
            "value": here.value * rows,
            "low": None if here.low is None else max(here.low, 0.0) * rows,
            "high": None if here.high is None else here.high * rows,
            "currency": settings.cost_currency or "",
            "n": labelled,
            "an_answer": here.value,
            "elsewhere": elsewhere.value if elsewhere else None,
            "basis": "estimated",
        }
    }


def loss(model: Model, counts: "DataFrame") -> tuple[Interval | None, float]:
    """Money lost for one labelled answer, and how many there are."""
    known = counts[(counts["label"] >= 0) & (counts["decision"] >= 0)]
    if not float(known["w"].sum()) > 0:
        return None, 0.0
    return money_of_errors(model, confusion_matrix(model, counts), float(known["w2"].sum()))[0], float(known["w"].sum())


def less(whole: "DataFrame", part: "DataFrame") -> "DataFrame":
    """Counts of the rows that are not in a part of them."""
    keys = [name for name in whole.columns if name not in ("n", "w", "w2")]
    left = whole.groupby(keys, dropna=False)[["n", "w", "w2"]].sum()
    return left.sub(part.groupby(keys, dropna=False)[["n", "w", "w2"]].sum(), fill_value=0.0).clip(lower=0.0).reset_index()


def groups(ask: Ask, model: Model, window: Window, began: datetime, lead: Finding, part: Slice | None) -> Body:
    """Levels of sensitive attributes whose share among the touched answers is another than among the others of the same time, the largest difference first."""
    if lead.analyzer == "trust/fairness" and "=" in lead.subject:
        return {"groups": None, "no_groups": f"It is about the group {lead.subject} itself."}
    versions = [each for each in model.versions if each.registered]
    chosen = attributes(model, model.version(lead.version) or (versions[-1] if versions else None))
    if not chosen:
        return {"groups": None, "no_groups": "The model has no sensitive attribute."}
    if part is None:
        return {"groups": None, "no_groups": "No part of the answers stands out, so no group is touched more than others."}
    own = {name for name, _ in part.conditions}
    rows = []
    for each in chosen:
        if each.name in own:
            continue
        question, around = Aggregate("predictions", keys=(By(each.reference),)), replace(window, start=began)
        sides = [ask(question, around), ask(question, replace(around, slice=part))]
        by = [side.assign(level=levels_of(side, each)).groupby("level")[["w", "w2"]].sum() for side in sides]
        rows += differing(each.name, by[1], by[0].sub(by[1], fill_value=0.0).clip(lower=0.0))
    if not rows:
        few = f"Fewer than {LEAST_ROWS} answers stand on one side, so no group can be told from another."
        return {"groups": None, "no_groups": few}
    adjusted = benjamini_hochberg([each["p_value"] for each in rows])[0]
    found = [
        each | {"p_adjusted": float(p)} for each, p in zip(rows, adjusted) if p <= 0.05 and abs(each["touched"] - each["others"]) >= LEAST
    ]
    return {"groups": sorted(found, key=lambda each: -abs(each["touched"] - each["others"]))[:GROUPS]}


def differing(name: str, touched: "DataFrame", others: "DataFrame") -> list[Body]:
    """Each level's share on both sides with the p-value of the two-proportion z test on effective rows; none where a side is too small."""
    from scipy.special import ndtr

    sums = [(float(each["w"].sum()), float(each["w2"].sum())) for each in (touched, others)]
    n = [total**2 / squares if squares > 0 else 0.0 for total, squares in sums]
    if min(n) < LEAST_ROWS:
        return []
    found = []
    for level in sorted({*touched.index, *others.index}):
        share, rest = (float(each["w"].get(level, 0.0)) / total for each, (total, _) in zip((touched, others), sums))
        pooled = (share * n[0] + rest * n[1]) / sum(n)
        error = float(np.sqrt(pooled * (1 - pooled) * (1 / n[0] + 1 / n[1])))
        p_value = float(2 * ndtr(-abs(share - rest) / error)) if error > 0 else 1.0
        found.append({"group": f"{name}={level}", "touched": share, "others": rest, "p_value": p_value})
    return found
