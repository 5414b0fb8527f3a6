"""Replay the analyzer operations/energy, without its part about live traffic, on a simulated month with a fault. No store is read."""

from datetime import timedelta

from observability.analyzers.operations.energy import of_batches, of_training
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding, worst_first
from observability.core.window import Window
from observability.metrics.form_decisions import FORM_DECISIONS
from observability.metrics.prices import PriceScope
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.energy_world import END, NIGHTS, EnergyWorld, simulated_energy
from observability.simulation.fault import Strength
from observability.simulation.faults_energy import EnergyFault, EnergyFaultPlant

ABOUT = (
    "In a simulated month: a run each night on one accelerator, a carbon intensity each hour, a sweep of a power cap, and two audits of "
    "the energy of batches."
)


def replay_energy_fault(fault: EnergyFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in a simulated month of training and evaluate its last week."""
    clean = simulated_energy(seed)
    planted = fault.plant(EnergyFaultPlant(clean, fault.amount(strength)))
    look = DetectionLook(NIGHTS, 0, training_energy_findings(planted), training_energy_findings(clean))
    target = fault.subject or f"run:{clean.newest}"
    return RecordDetection(fault, strength, "training", clean.newest, "night", NIGHTS, target, "", NIGHTS, (look,), ABOUT)


def training_energy_findings(world: EnergyWorld) -> tuple[Finding, ...]:
    """Findings about the training of the last week and about batches, worst first."""
    import pandas as pd

    forms = pd.DataFrame(columns=list(FORM_DECISIONS.columns or ()))
    frames = {"runs": world.runs, "readings": world.readings, "prices": world.prices, "steps": world.steps, "batches": world.batches}
    frames["forms"] = forms
    context = Context(EVERY_MODEL, NO_VERSION, Window("", END - timedelta(days=7), END), END)
    found = of_training(frames, context, PriceScope("", EVERY_MODEL.settings)) + of_batches(frames, context)
    return tuple(worst_first(found))
