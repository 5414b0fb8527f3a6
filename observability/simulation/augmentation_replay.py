"""Replay the analyzer training/studies on an audit of an augmentation with a planted fault.

In the replay, the version counts as trained with the augmentation. The twin, for comparison, is the same audit without the fault. The store
is only read.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.training import studies
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.metrics.augmentation import AUGMENTATION_AUDITS, MIN_SEEDS, AugmentationAudit, augmentation_audits
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_augmentation import AugmentationFault, AugmentationFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
BUDGET = 0.0143


def replay_on_augmentation(
    ask: Ask, fault: AugmentationFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in an audit of an augmentation, for one model or for all. Raises UsageError if no audit is suitable."""
    audits = augmentation_audits(ask(AUGMENTATION_AUDITS, Window("", EPOCH, now)))
    return replay_augmentation_fault([each for each in audits if model in (None, each.model)], fault, strength, seed)


def replay_augmentation_fault(
    audits: list[AugmentationAudit], fault: AugmentationFault, strength: Strength = "middle", seed: int = 0
) -> RecordDetection:
    """Plant the fault in an audit and evaluate it. Raises UsageError if no audit is suitable."""
    targets = [audit for audit in audits if can_have_fault(audit)]
    if not targets:
        wanted = f"an audit of an augmentation with {MIN_SEEDS} seeds, two slices and copies, that raises nothing by itself"
        attempt = "Run the command audit-augmentation"
        raise UsageError(f"no audit to plant {fault.name} on", got=f"{len(audits)} audits", expected=wanted, attempt=attempt)
    rng = np.random.default_rng([seed, 31])
    audit = targets[int(rng.integers(len(targets)))]
    largest = sorted(range(len(audit.slices)), key=lambda place: -audit.slices[place].n)
    place = largest[1]
    assert audit.results is not None
    planted = fault.plant(AugmentationFaultPlant(audit.results, place, fault.amount(strength), rng))
    seen = [augmentation_findings_of(audit, each) for each in (planted, dict(audit.results))]
    part = audit.slices[place]
    detail = f"{part.column} {part.level}" if fault.metric == studies.SLICE_GAIN else ""
    about = f"Trainings of {audit.model} version {audit.version}; {audit.name} counts as in use."
    looks = (DetectionLook(1, 0, seen[0], seen[1]),)
    return RecordDetection(fault, strength, "augmentation", audit.name, "audit", 1, f"augmentation={audit.name}", detail, 1, looks, about)


def can_have_fault(audit: AugmentationAudit) -> bool:
    """Whether a fault can be planted in an audit: the audit has the figures that are needed, and would have no finding if the augmentation
    were in use.
    """
    results = audit.results or {}
    listed = results.get("slices")
    whole = isinstance(listed, list) and len(listed) == len(audit.slices) > 1 and all("row_variance" in each for each in listed)
    if not whole or "row_variance" not in results or audit.seeds < MIN_SEEDS or audit.consensus is None or not audit.right:
        return False
    return not any(each.needs_action for each in augmentation_findings_of(audit, dict(results)))


def augmentation_findings_of(audit: AugmentationAudit, results: dict[str, Any]) -> tuple[Finding, ...]:
    """Findings about an audit with the given results, as if the augmentation were in use."""
    import pandas as pd

    row = {"model": audit.model, "version": audit.version, "at": naive_utc(audit.at), "audit": "augmentation", "expires": None}
    frames = {"audits": pd.DataFrame([row | {"results": {**results, "in_use": True}}])}
    end = audit.at + timedelta(days=1)
    window = Window("", audit.at - timedelta(days=6), end)
    return tuple(worst_first(studies.analyze(frames, Context(EVERY_MODEL, NO_VERSION, window, end, BUDGET))))
