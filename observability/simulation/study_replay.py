"""Replay the checks of studies (analyzer training/runs) on a study with a planted fault. The store is only read."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.training import runs as judged
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, needs_action, worst_first
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from observability.detection.study_checks import MIN_PRUNED, MIN_REPEATS, claims_about_searches, held_back_figure
from observability.detection.study_noise import noise_bands
from observability.detection.study_results import MIN_TRIALS, StudyResults, results_of_studies
from observability.metrics.training_curves import TrainingRun
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_studies import StudyFault, StudyFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]


def replay_on_study(
    ask: Ask, fault: StudyFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in a study of the model, or of any model, and evaluate it. Raises UsageError if no study fits the fault."""
    return replay_study_fault(judged.judged_runs(ask, model or "", now).runs, fault, strength, seed)


def replay_study_fault(runs: Sequence[TrainingRun], fault: StudyFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in a study and evaluate it. Raises UsageError if no study fits the fault."""
    known = results_of_studies(runs)
    targets = [study for study in known if can_have_study_fault(study, fault)]
    if not targets:
        wanted = f"a study of {MIN_TRIALS} settings or more that raises nothing, with what the fault changes"
        raise UsageError(f"no study to plant {fault.name} on", got=f"{len(known)} studies", expected=wanted)
    rng = np.random.default_rng([seed, 47])
    study = targets[int(rng.integers(len(targets)))]
    clean = [each.run for each in study.trials]
    planted = fault.plant(StudyFaultPlant(study, fault.amount(strength), rng))
    look = DetectionLook(len(clean), 0, _study_findings(planted), _study_findings(clean))
    target = f"study:{study.name}"
    return RecordDetection(fault, strength, "study", study.name, "trial", len(clean), target, "", 1, (look,), f"Trials of {study.name}.")


def can_have_study_fault(study: StudyResults, fault: StudyFault) -> bool:
    """Whether a fault can be planted in a study: the study is a search, has the fields that the fault needs, and has no finding of
    its own.
    """
    clean = [each.run for each in study.trials]
    if len(study.settings) < MIN_TRIALS or any(needs_action(each.severity) for each in _study_findings(clean)):
        return False
    if fault.metric == "study_pruned_share":
        pruned = sum(run.pruned and study.metric in run.curves for run in clean)
        return pruned >= MIN_PRUNED and all(study.metric in each.run.curves for each in study.done)
    if fault.metric == "study_noise_ratio":
        several = next(iter(noise_bands(clean)), [])
        widest = max((len(each.values) for each in several), default=0)
        return widest >= MIN_REPEATS and len(several) > MIN_TRIALS
    if fault.metric == "study_winner_excess":
        several = next(iter(noise_bands(clean)), [])
        return max((len(each.values) for each in several), default=0) > MIN_REPEATS
    if fault.metric == "study_test_ratio":
        return held_back_figure(study) is None
    if fault.metric == "study_bound_share":
        return len(study.settings) >= 16 and any(isinstance(value, float) for value in study.settings[0].run.params.values())
    return True


def _study_findings(runs: Sequence[TrainingRun]) -> tuple[Finding, ...]:
    """Findings about the studies of these runs."""
    now = max(run.last for run in runs) + timedelta(seconds=1)
    context = Context(EVERY_MODEL, NO_VERSION, Window("", EPOCH, now), now)
    return tuple(worst_first([judged.run_finding(context, claim, run) for claim, run in claims_about_searches(runs)]))
