"""Faults of the energy of training and serving.

Training: a run that uses more energy, a hot or idle accelerator, start hours with much carbon, a power cap that is not used. Serving:
batches that use more energy than in the audit before.
"""

from dataclasses import dataclass, replace

from observability.core.settings import ModelSettings
from observability.metrics.serving_power import core_power
from observability.simulation.energy_world import CAP_NAME, KNEE_W, EnergyWorld, measured_size
from observability.simulation.fault import NamedFault


@dataclass(frozen=True)
class EnergyFaultPlant:
    """Where and how strongly a fault is planted. world: clean nightly runs, a sweep of a power cap and hourly prices."""

    world: EnergyWorld
    amount: float

    def newest(self, **changes: float) -> EnergyWorld:
        """The world after some columns of the newest run's readings are multiplied."""
        readings, mine = self.world.readings.copy(), self.world.readings["run"] == self.world.newest
        for name, times in changes.items():
            readings.loc[mine, name] *= times
        return replace(self.world, readings=readings)


@dataclass(frozen=True)
class EnergyFault(NamedFault):
    """A fault of the energy of training. subject: the subject of the finding that names it; empty for the newest run."""

    section: str = "operations"
    subject: str = ""


def dearer_run(plant: EnergyFaultPlant) -> EnergyWorld:
    """A training run draws a multiple of the energy of earlier runs of its kind."""
    return plant.newest(watts=plant.amount)


def hot_accelerator(plant: EnergyFaultPlant) -> EnergyWorld:
    """An accelerator gets some degrees hotter."""
    readings = plant.world.readings
    return replace(plant.world, readings=readings.assign(temperature_c=readings["temperature_c"] + plant.amount))


def idle_accelerator(plant: EnergyFaultPlant) -> EnergyWorld:
    """An accelerator waits: its utilisation falls by a share of what it was."""
    readings = plant.world.readings
    return replace(plant.world, readings=readings.assign(utilisation=readings["utilisation"] * (1 - plant.amount)))


def hour_of_much_carbon(plant: EnergyFaultPlant) -> EnergyWorld:
    """Runs start some hours later than at the hour of least carbon."""
    import pandas as pd

    later, nightly = pd.Timedelta(hours=plant.amount), plant.world.runs["study"].isna()
    runs, readings = plant.world.runs.copy(), plant.world.readings.copy()
    runs.loc[nightly, "at"] += later
    readings.loc[readings["run"].isin(set(runs.loc[nightly, "run"])), "at"] += later
    return replace(plant.world, runs=runs, readings=readings)


def unused_power_cap(plant: EnergyFaultPlant) -> EnergyWorld:
    """A sweep shows that a power cap saves a share of the energy, and no run uses it."""
    world = plant.world
    pairs = zip(world.runs["run"], world.runs["params"], strict=True)
    capped = {str(run) for run, params in pairs if isinstance(params, dict) and params.get(CAP_NAME) == KNEE_W}
    readings, mine = world.readings.copy(), world.readings["run"].isin(capped)
    readings.loc[mine, "watts"] *= 1 - plant.amount
    return replace(world, readings=readings)


def costlier_batches(plant: EnergyFaultPlant) -> EnergyWorld:
    """An audit finds a multiple of the energy of batches in the audit before."""
    batches = plant.world.batches.copy()
    results = batches["results"].iloc[-1]
    costs = [tuple(plant.amount * each["cpu_seconds"][name] for name in ("value", "low", "high")) for each in results["batches"]]
    sizes = [measured_size(each["batch"], cost, core_power(ModelSettings())) for each, cost in zip(results["batches"], costs, strict=True)]
    batches["results"] = [batches["results"].iloc[0], {**results, "batches": sizes}]
    return replace(plant.world, batches=batches)


FAULTS: dict[str, EnergyFault] = {
    each.name: each
    for each in (
        EnergyFault("dearer_run", (1.3, 2.0, 4.0), "times the energy", "run_energy", dearer_run),
        EnergyFault("hot_accelerator", (14.0, 20.0, 30.0), "°C", "temperature_c", hot_accelerator, subject="device=gpu0 on node1"),
        EnergyFault(
            "idle_accelerator", (0.7, 0.8, 0.95), "share of its use", "utilisation", idle_accelerator, subject="device=gpu0 on node1"
        ),
        EnergyFault("hour_of_much_carbon", (5.0, 7.0, 12.0), "hours later", "carbon_shift", hour_of_much_carbon, subject="model"),
        EnergyFault(
            "unused_power_cap", (0.08, 0.15, 0.3), "share of the energy", "power_cap_saving", unused_power_cap, subject="study:power caps"
        ),
        EnergyFault("costlier_batches", (1.6, 2.0, 4.0), "times the energy", "batch_energy", costlier_batches, subject="form=as served"),
    )
}
