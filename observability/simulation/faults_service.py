"""Faults of the service: latency, failures, replicas, energy, cost."""

import numpy as np

from observability.simulation.fault import FaultPlant, ServingFault, equals_level
from observability.simulation.faults_data import all_rows
from observability.simulation.log_rows import LogRows, constant_text_column
from observability.stats.arrays import Array


def _multiplied_field(rows: LogRows, plant: FaultPlant, name: str, where: Array) -> LogRows:
    """A field is multiplied by `amount` in some rows."""
    return rows.changed(name, where, rows[name][where] * plant.amount)


def _failed_answers(rows: LogRows, plant: FaultPlant, where: Array) -> LogRows:
    """A share of the answers are errors without a score."""
    bad = plant.some(where, plant.amount)
    rows = rows if rows.get("status") is not None else rows.put({"status": constant_text_column("ok", len(rows))})
    return rows.changed("status", bad, "error").changed("score", bad, np.nan)


def slow_everywhere(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Every answer takes longer."""
    return _multiplied_field(rows, plant, "latency_ms", all_rows(rows))


def slow_replica(rows: LogRows, plant: FaultPlant) -> LogRows:
    """One replica answers slowly."""
    return _multiplied_field(rows, plant, "latency_ms", equals_level(rows["replica"], plant.part("replica")))


def errors_everywhere(rows: LogRows, plant: FaultPlant) -> LogRows:
    """Some answers fail."""
    return _failed_answers(rows, plant, all_rows(rows))


def failing_replica(rows: LogRows, plant: FaultPlant) -> LogRows:
    """One replica fails."""
    return _failed_answers(rows, plant, equals_level(rows["replica"], plant.part("replica")))


def energy_change(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A prediction uses more energy."""
    return _multiplied_field(rows, plant, "energy_j", all_rows(rows))


def cost_change(rows: LogRows, plant: FaultPlant) -> LogRows:
    """A prediction costs more."""
    return _multiplied_field(rows, plant, "cost", all_rows(rows))


FAULTS = (
    ServingFault("slow_everywhere", "serving", (1.3, 1.8, 4.0), "times", ("latency",), slow_everywhere),
    ServingFault("slow_replica", "serving", (1.5, 2.5, 6.0), "times", ("replica", "latency"), slow_replica),
    ServingFault("errors_everywhere", "serving", (0.02, 0.08, 0.3), "share of rows", (), errors_everywhere),
    ServingFault("failing_replica", "serving", (0.05, 0.2, 0.7), "share of its rows", ("replica",), failing_replica),
    ServingFault("energy_change", "operations", (1.3, 1.8, 3.0), "times", ("energy",), energy_change),
    ServingFault("cost_change", "operations", (1.3, 1.8, 3.0), "times", ("cost",), cost_change),
)  # fmt: skip
