"""The parts of a case by name, each with the function that computes it."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from observability.investigation.case_parts import Look, Part
from observability.investigation.evidence_types import NotGivenError


def imported(place: str) -> Part:
    """A part at `module:function`, called with the look. The module is imported on first use, so an unused part costs no import."""

    def part(look: Look) -> Any:
        module, _, function = place.partition(":")
        return getattr(import_module(module), function)(look)

    return part


def imported_with_worker(place: str) -> Part:
    """A part that needs the model: `function(store, row, worker=, progress=)` at `module:function`."""

    def part(look: Look) -> Any:
        module, _, function = place.partition(":")
        return getattr(import_module(module), function)(look.store, look.row, worker=look.worker, progress=look.progress)

    return part


def label(look: Look) -> Any:
    """The current label and its revisions."""
    if look.row.label is None:
        raise NotGivenError("no label has arrived for this prediction yet", attempt="It counts as soon as it is loaded")
    return look.row.label


PARTS: Mapping[str, Part] = {
    "happened": imported("observability.investigation.outcome_facts:happened"),
    "label": label,
    "inputs": imported("observability.investigation.input_checks:inputs"),
    "findings": imported("observability.investigation.same_day_findings:findings"),
    "explanation": imported_with_worker("observability.investigation.score_explanation:explain"),
    "counterfactuals": imported_with_worker("observability.investigation.counterfactuals:counterfactuals"),
    "neighbours": imported("observability.investigation.neighbours:neighbours"),
    "label_check": imported("observability.investigation.label_evidence:label_check"),
    "rule": imported("observability.investigation.error_rule:rule"),
    "versions": imported_with_worker("observability.investigation.version_replay:versions"),
    "triage": imported("observability.investigation.source_triage:triage"),
    "verdicts": imported("observability.investigation.verdicts:verdicts"),
}
"""How each part is computed, in the order in which a reader asks."""
