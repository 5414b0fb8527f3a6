"""Parts of a case by name, each with the function that computes it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from observability.investigation.case_parts import CaseInProgress, CasePart
from observability.investigation.evidence_types import NotGivenError


def resolve(place: str) -> Any:
    """The function at `module:function`, imported on first use, so an unused part costs no import."""
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)


def imported(place: str) -> CasePart:
    """The part `function(case)` at `module:function`."""

    def part(case: CaseInProgress) -> Any:
        return resolve(place)(case)

    return part


def imported_with_worker(place: str) -> CasePart:
    """The part `function(store, row, worker=, progress=)` at `module:function`."""

    def part(case: CaseInProgress) -> Any:
        return resolve(place)(case.store, case.row, worker=case.worker, progress=case.progress)

    return part


def current_label(case: CaseInProgress) -> Any:
    """The current label and its revisions."""
    if case.row.label is None:
        raise NotGivenError("no label has arrived for this prediction yet")
    return case.row.label


PARTS: Mapping[str, CasePart] = {
    "happened": imported("observability.investigation.outcome_facts:happened"),
    "label": current_label,
    "inputs": imported("observability.investigation.input_checks:checked_inputs"),
    "repair": imported("observability.investigation.input_repair:repair"),
    "findings": imported("observability.investigation.same_day_findings:same_day_findings"),
    "explanation": imported_with_worker("observability.investigation.score_explanation:explain"),
    "counterfactuals": imported_with_worker("observability.investigation.counterfactuals:counterfactuals"),
    "neighbours": imported("observability.investigation.neighbours:neighbours"),
    "label_check": imported("observability.investigation.label_evidence:label_check"),
    "rule": imported("observability.investigation.error_rule:rule"),
    "versions": imported_with_worker("observability.investigation.version_replay:versions"),
    "triage": imported("observability.investigation.source_triage:triage"),
    "verdicts": imported("observability.investigation.verdicts:verdicts_about"),
}
"""All parts, in reading order."""
