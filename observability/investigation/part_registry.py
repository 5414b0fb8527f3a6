"""Parts of a case by name, each with the function that computes it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from observability.investigation.case_parts import CaseInProgress, CasePart
from observability.investigation.evidence_types import NotGivenError


def resolved_function(place: str) -> Any:
    """The function at `module:function`. It is imported on first use, so a part that is not used costs no import."""
    module, _, function = place.partition(":")
    return getattr(import_module(module), function)


def imported_part(place: str) -> CasePart:
    """A part that calls `function(case)` from `module:function`."""

    def part(case: CaseInProgress) -> Any:
        return resolved_function(place)(case)

    return part


def imported_with_worker(place: str) -> CasePart:
    """A part that calls `function(store, row, worker=, progress=)` from `module:function`."""

    def part(case: CaseInProgress) -> Any:
        return resolved_function(place)(case.store, case.row, worker=case.worker, progress=case.progress)

    return part


def current_label(case: CaseInProgress) -> Any:
    """The current label and its revisions."""
    if case.row.label is None:
        raise NotGivenError("no label has arrived for this prediction yet")
    return case.row.label


PARTS: Mapping[str, CasePart] = {
    "happened": imported_part("observability.investigation.outcome_facts:outcome_story"),
    "label": current_label,
    "inputs": imported_part("observability.investigation.input_checks:checked_inputs"),
    "repair": imported_part("observability.investigation.input_repair:answer_with_repaired_inputs"),
    "findings": imported_part("observability.investigation.same_day_findings:same_day_findings"),
    "explanation": imported_with_worker("observability.investigation.score_explanation:explain"),
    "counterfactuals": imported_with_worker("observability.investigation.counterfactuals:counterfactuals"),
    "neighbours": imported_part("observability.investigation.neighbours:neighbours"),
    "label_check": imported_part("observability.investigation.label_evidence:label_check"),
    "rule": imported_part("observability.investigation.error_rule:error_rule_of_case"),
    "versions": imported_with_worker("observability.investigation.version_replay:version_scores"),
    "triage": imported_part("observability.investigation.source_triage:rank_sources"),
    "verdicts": imported_part("observability.investigation.verdicts:verdicts_about"),
}
"""All parts, in reading order."""
