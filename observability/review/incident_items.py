"""Make agenda items from incidents, with their exposure. Incidents that Home counts as one become one item."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from observability.core.finding import SEVERITIES, claim_text, needs_action
from observability.core.formatting import join_words, plural
from observability.core.metric_definitions import METRICS
from observability.incidents.action_counts import CountedIncident
from observability.incidents.grouping import metric_of_subject
from observability.incidents.incident_size import risen_share
from observability.incidents.shared_faults import SharedFault
from observability.monitoring.analyzer_runs import record_analyzers
from observability.monitoring.check import AcknowledgedClaims
from observability.review.agenda import WEIGHT_OF_CHANGE, Item, incident_change

Body = dict[str, Any]
HIGHER_IS_WORSE = {"low": True, "high": False}
"""Whether a higher value is worse, by which side of the metric is better."""
WITH_RECORDS = 7
"""The first format of frozen weeks that has incidents of records."""
QUIET = frozenset(("input", "explanation", "dataset"))
"""Stages whose faults have no effect on outcomes yet."""
BESIDE, AHEAD = 0.15, 0.6
"""Weights of incidents that are only at these stages: the first if performance was measured and did not fall, the second if it cannot be
measured yet.
"""


def of_incidents(part: Body, share: float, last: Body | None, acknowledged: AcknowledgedClaims = frozenset()) -> Iterable[Item]:
    """Agenda items for the incidents that need action. share: the model's share of the fleet's predictions; last: the body of last week's
    frozen week; acknowledged: claims on which a person has acted.
    """
    findings = {finding["id"]: finding for finding in part["findings"]}
    for incident in part["incidents"]:
        if not needs_action(incident["severity"]):
            continue
        key, severity = fault_key(incident), incident["severity"]
        unheld = incident["analyzer"] in record_analyzers() and (last or {}).get("format", 0) < WITH_RECORDS
        compared = None if unheld else last
        before = incidents_of(compared, part["model"])
        worse = HIGHER_IS_WORSE.get(METRICS[incident["metric"]].better or "")
        stands = key not in before and incident.get("standing", False)
        change = "as before" if stands else incident_change(severity, incident["value"], before.get(key), worse)
        fall, details = new_fall_within(incident, part), new_details_reason(incident, findings)
        if fall or details:
            stands, change = False, "worse" if key in before else "new"
        rows, weight = affected_share(incident, findings), exposure_weight(incident, part)
        new = "New this week." if compared is not None else FIRST_WEEK if last is None else WITHOUT_RECORDS
        why = rank_reasons(change, new, part, share, len(incident["findings"]) - 1, rows, weight, stands=stands)
        why = (details, *why[1:]) if details else why
        about = {"incident": incident["incident"], "finding": incident["lead"], "source": incident["source"] or ""}
        about |= {name: incident[name] for name in ("analyzer", "metric", "subject")}
        about |= {name: incident[name] for name in ("slice", "onset") if incident[name]}
        about |= {"fall": part["strip"]["performance"]["metric"]} if fall else {}
        name, exposure, model = f"incident:{part['model'] or ''}:{key}", round(share * rows, 6), part["model"]
        ranks = {"weight": weight, "rank": incident["rank"]}
        claim = claim_text(*(incident[name] for name in ("analyzer", "subject", "metric", "slice")))
        answered = severity == "act" and (model, claim) in acknowledged
        if answered:
            severity, why = "watch", ("Acknowledged.", *why)
        if fall:
            lead = findings.get(incident["lead"], {}).get("because") or incident["sentence"]
            why = (*why, f"Its incident: {lead.replace('`', '')}")
        title = fall or incident["sentence"]
        yield Item(name, "incident", title, severity, change, exposure, model, why, about=about, acknowledged=answered, **ranks)


def new_fall_within(incident: Body, part: Body) -> str:
    """The sentence about the model's main metric, if the metric became worse this week and its finding is in this incident without leading
    it; else empty.
    """
    cell = part["strip"]["performance"]
    if not needs_action(cell["severity"]) or cell["differs"] != "yes":
        return ""
    own = {finding["id"] for finding in part["findings"] if (finding["metric"], finding["because"]) == (cell["metric"], cell["because"])}
    higher = HIGHER_IS_WORSE.get(METRICS[cell["metric"]].better or "")
    worse = higher is not None and (cell["value"] > cell["before"]["value"]) == higher
    return str(cell["because"]) if worse and incident["lead"] not in own and own.intersection(incident["findings"]) else ""


def new_details_reason(incident: Body, findings: Mapping[str, Body]) -> str:
    """Names what is new in an incident besides its leading finding, as in `New in it: root mean squared error.` Empty if nothing is new, or
    if the leading finding itself is new.

    findings: the model's frozen findings by id.
    """
    fresh = [findings[name] for name in incident.get("new", ()) if name in findings]
    names = [metric_of_subject(each["metric"], None if each["subject"] in ("model", "score") else each["subject"]) for each in fresh]
    return f"New in it: {join_words(list(dict.fromkeys(names)), 3)}." if names else ""


FIRST_WEEK = "The week before is not frozen, so what is new is unknown."
WITHOUT_RECORDS = "The week before was frozen without incidents of records, so whether it is new is unknown."
"""The reason why it is unknown whether an item is new."""


def rank_reasons(
    change: str, new: str, part: Body, share: float, collateral: int, rows: float, weight: float, *, stands: bool
) -> tuple[str, ...]:
    """Why an incident has its rank, in short sentences. new: the words to use if no earlier week names the incident. stands: whether it is
    ongoing although no earlier week names its leading finding.
    """
    first = {
        "new": new,
        "worse": "Worse than last week.",
        "better": "Better than last week.",
    }
    affected = f"; {100 * rows:.0f} % affected" if rows < 1 else ""
    served = f"{part['model']} served {part['served']:,} predictions ({100 * share:.0f} % of the fleet){affected}." if part["model"] else ""
    quiet = {BESIDE: "No measured performance loss: lower weight.", AHEAD: "Performance cannot be measured yet."}
    related = f"{plural(collateral, 'related finding')}." if collateral else ""
    known = "Standing: not new to this model." if stands else first.get(change, "Unchanged from last week.")
    return tuple(filter(None, (known, served, quiet.get(weight, ""), related)))


def affected_share(incident: Body, findings: Mapping[str, Body]) -> float:
    """Share of the model's rows that an incident affects. It is 1, unless the metric is a rate of rows, or the incident is in a slice whose
    coverage is known.
    """
    lead = findings.get(incident["lead"], {})
    coverage = lead.get("evidence", {}).get("coverage")
    if isinstance(coverage, int | float):
        return float(coverage)
    others = (findings[name] for name in incident["findings"] if name in findings)
    return max([share_increase(lead), *(share_increase(other) for other in others if other["subject"] != incident["subject"])])


def share_increase(finding: Body) -> float:
    """How much a share of rows rose above its baseline; 1 for other metrics."""
    return risen_share(finding.get("metric"), finding.get("value"), finding.get("evidence", {}))


def exposure_weight(incident: Body, part: Body) -> float:
    """1 if outcomes are affected, if performance fell in that week, or if the incident belongs to no model; less if only inputs or
    explanations changed.
    """
    measured = part["strip"]["performance"]
    if part["model"] is None or not QUIET.issuperset(incident["stages"]) or needs_action(measured["severity"]):
        return 1.0
    return AHEAD if measured["value"] is None else BESIDE


def incidents_of(body: Body | None, model: str | None) -> Mapping[str, Body]:
    """The incidents of a model in a frozen week, by fault_key. If `model` is None: the incidents of the pipeline."""
    parts = [*body["models"], *filter(None, [body.get("pipeline")])] if body else []
    part = next((part for part in parts if part["model"] == model), None)
    return {fault_key(incident): incident for incident in part["incidents"]} if part else {}


def fault_key(incident: Body) -> str:
    """Identifies a fault across weeks. The onset is not part of the key, because its estimate may differ from week to week."""
    return "/".join([incident["analyzer"], incident["subject"], incident["metric"], incident["slice"] or ""])


def shared_incidents(items: Sequence[Item], counted: Iterable[CountedIncident]) -> list[Item]:
    """The items, where incidents that count as one (`counted_incidents`, as on Home) form one item.

    A joined item has the name of the first model, the exposure of all models together, and the worst severity. It counts as an item of each
    model.
    """
    entry_of = {incident.id: entry for entry in counted for incident in entry.incidents}
    groups: dict[str, list[Item]] = {}
    for item in sorted(items, key=lambda item: (item.model or "", item.item)):
        entry = entry_of.get(item.about["incident"])
        groups.setdefault(entry.lead.id if entry else item.about["incident"], []).append(item)
    return [shared_item(group, entry_of[name].fault) if len(group) > 1 else group[0] for name, group in groups.items()]


OF_EACH_MODEL = ("incident", "finding", "severity", "acknowledged")
"""The fields of each model's incident that a joined item keeps."""


def shared_item(group: Sequence[Item], fault: SharedFault | None) -> Item:
    """One item for incidents of several models that are the same problem. fault: what the models have in common, if there are many."""
    first, names = group[0], list(dict.fromkeys(str(item.model) for item in group[1:]))
    severity = next(name for name in SEVERITIES if name in {item.severity for item in group})
    title = f"{first.title.rstrip('.')}; also in {join_words([f'`{name}`' for name in names], 3)}."
    own = [item.about | _own_state(item) for item in group]
    return replace(
        first,
        title=f"{fault.sentence} The worst: {fault.lead.sentence}" if fault else title,
        severity=severity,
        acknowledged=severity != "act" and any(item.acknowledged for item in group),
        change=max((item.change for item in group), key=lambda name: WEIGHT_OF_CHANGE[name]),
        exposure=round(min(sum(item.exposure for item in group), 1.0), 6),
        weight=max(item.weight for item in group),
        reasons=(*first.reasons, f"The same problem in {join_words(names, 3)}."),
        about=own[0],
        also=tuple(
            {"model": str(item.model), "item": item.item} | {name: about[name] for name in OF_EACH_MODEL if name in about}
            for item, about in zip(group[1:], own[1:], strict=True)
        ),
    )


def _own_state(item: Item) -> dict[str, str]:
    """The severity of an item before it was joined with other models' items, and whether it was acknowledged."""
    return {"severity": item.severity} | ({"acknowledged": "yes"} if item.acknowledged else {})
