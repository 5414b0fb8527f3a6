"""The path of a fault through the pipeline, and the next steps: the owner's runbook, or general steps for the suspected source."""

from collections.abc import Mapping

from observability.core.finding import Finding, worst_first
from observability.incidents.grouping import Incident
from observability.incidents.grouping_rules import STAGES, Stage, pipeline_stage, reports_broken_values

STAGE_WORDS: dict[Stage, str] = {
    "run": "Training run",
    "arrival": "Arrival of records",
    "service": "Service",
    "device": "Devices",
    "request": "Requests of a subject",
    "label": "Labels",
    "input": "Inputs",
    "slice": "Inputs in a slice",
    "score": "Scores",
    "outcome": "Outcomes",
    "fairness": "Fairness",
    "explanation": "Explanations",
    "energy": "Energy",
    "cost": "Cost",
    "dataset": "Dataset",
    "other": "Other",
}
STEPS: dict[str, tuple[str, ...]] = {
    "broken": (
        "Ask who sends {subject} what changed.",
        "Repair the feed, and send the affected values again.",
        "Until then, treat affected predictions as uncertain.",
    ),
    "input": (
        "Check whether the feed or the population changed.",
        "Compare the errors of affected predictions with the others.",
        "If the change is real and lasts, retrain or renew the reference.",
    ),
    "label": (
        "Check guideline, annotators and label feed since the onset.",
        "Relabel a sample blind.",
        "Judge performance again on the corrected labels.",
    ),
    "model": (
        "Compare with an earlier version, if there is one, on the same rows.",
        "Read the cases with the largest loss.",
        "Roll back or retrain{threshold}.",
    ),
    "system": (
        "Check sender, service and hosts since the onset.",
        "Restore them, and load what is missing.",
        "Check that the figures return to their usual range.",
    ),
    "run": (
        "Open the run: its curves, its slow ranks, its devices.",
        "Compare with the last run that was fine.",
        "Repair the host or the settings, and repeat the run.",
    ),
    "request": (
        "Limit the requests of {subject}, or block it.",
        "Open its requests, and ask who sends them.",
        "If the model was copied or misled, retrain it, or answer with rounded scores.",
    ),
    "dataset": (
        "Read the rows that the audit found.",
        "Correct them or leave them out, and audit the dataset again.",
        "If a model was fitted on them, fit it again and compare.",
    ),
    "standing": (
        "Decide whether this level is acceptable, and until when.",
        "If it is, renew the reference or set a limit of your own.",
        "If it is not, retrain.",
    ),
}
"""General next steps for each kind of fault."""
RECORDS = frozenset(("run", "project", "source", "dataset", "batch", "device", "place"))
"""Prefixes of subjects of findings that are not about predictions but about other records."""
ANY = "all"
"""The name of the runbook that applies to every incident of a model."""


def is_about_predictions(incident: Incident) -> bool:
    """Whether an incident concerns a model's predictions, not a training run, a batch, a dataset, the devices that serve it or another
    kind of record.
    """
    of_records = incident.lead.subject.partition(":")[0] in RECORDS or pipeline_stage(incident.lead) == "device"
    return incident.model is not None and not of_records


def pipeline_chain(incident: Incident) -> list[tuple[Stage, list[Finding]]]:
    """The findings of an incident by stage. The stage of the suspected source comes first, then the other stages in the order in which a
    fault propagates. The lead is the first finding of its stage; the other findings are sorted worst first.
    """
    by_stage: dict[Stage, list[Finding]] = {}
    for finding in (incident.lead, *worst_first(list(incident.collateral))):
        by_stage.setdefault(pipeline_stage(finding), []).append(finding)
    first = pipeline_stage(incident.lead)
    return [(stage, by_stage[stage]) for stage in (first, *(stage for stage in STAGES if stage != first)) if stage in by_stage]


def runbook_of(incident: Incident, runbooks: Mapping[str, str]) -> str | None:
    """The owner's runbook for an incident: the one for the leading analyzer, else for the suspected source, else for all incidents. None if
    there is none.
    """
    names = (incident.lead.analyzer, incident.source, ANY)
    return next((runbooks[name] for name in names if runbooks.get(name)), None)


def general_steps(incident: Incident, task: str | None = None) -> tuple[str, ...]:
    """The next steps if the owner wrote no runbook. task: the task of the model, because only a binary model has a threshold that can be
    changed.
    """
    lead = incident.lead
    kind: str = incident.source
    if incident.standing:
        kind = "standing"
    elif pipeline_stage(lead) in ("run", "request", "dataset"):
        kind = pipeline_stage(lead)
    elif kind == "input" and reports_broken_values(lead):
        kind = "broken"
    subject = "the inputs" if lead.subject in ("model", "score") else f"`{lead.subject}`"
    threshold = ", or change the threshold" if task == "binary" else ""
    return tuple(step.format(subject=subject, threshold=threshold) for step in STEPS[kind])
