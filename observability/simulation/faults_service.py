"""Faults of the service: latency, failures, replicas, energy, cost."""

import numpy as np

from observability.simulation.fault import Fault, Plant, equal
from observability.simulation.faults_data import everywhere
from observability.simulation.log_rows import Array, Rows, texts


def times(rows: Rows, plant: Plant, name: str, where: Array) -> Rows:
    """A field that is `amount` times as large."""
    return rows.changed(name, where, rows[name][where] * plant.amount)


def failed(rows: Rows, plant: Plant, where: Array) -> Rows:
    """A share of the answers are errors: they have no score."""
    bad = plant.some(where, plant.amount)
    rows = rows if rows.get("status") is not None else rows.put({"status": texts("ok", len(rows))})
    return rows.changed("status", bad, "error").changed("score", bad, np.nan)


def slow_everywhere(rows: Rows, plant: Plant) -> Rows:
    """Every answer takes longer."""
    return times(rows, plant, "latency_ms", everywhere(rows))


def slow_replica(rows: Rows, plant: Plant) -> Rows:
    """One replica answers slowly."""
    return times(rows, plant, "latency_ms", equal(rows["replica"], plant.part("replica")))


def errors_everywhere(rows: Rows, plant: Plant) -> Rows:
    """Some answers fail."""
    return failed(rows, plant, everywhere(rows))


def failing_replica(rows: Rows, plant: Plant) -> Rows:
    """One replica fails."""
    return failed(rows, plant, equal(rows["replica"], plant.part("replica")))


def energy_change(rows: Rows, plant: Plant) -> Rows:
    """A prediction takes more energy."""
    return times(rows, plant, "energy_j", everywhere(rows))


def cost_change(rows: Rows, plant: Plant) -> Rows:
    """A prediction costs more."""
    return times(rows, plant, "cost", everywhere(rows))


FAULTS = (
    Fault("slow_everywhere", "serving", (1.3, 1.8, 4.0), "times", ("latency",), slow_everywhere),
    Fault("slow_replica", "serving", (1.5, 2.5, 6.0), "times", ("replica", "latency"), slow_replica),
    Fault("errors_everywhere", "serving", (0.02, 0.08, 0.3), "share of rows", (), errors_everywhere),
    Fault("failing_replica", "serving", (0.05, 0.2, 0.7), "share of its rows", ("replica",), failing_replica),
    Fault("energy_change", "operations", (1.3, 1.8, 3.0), "times", ("energy",), energy_change),
    Fault("cost_change", "operations", (1.3, 1.8, 3.0), "times", ("cost",), cost_change),
)  # fmt: skip
