"""Units of the limits that are not stated in the unit of their metric: multiples of the usual value, and rises."""

from observability.core.errors import UsageError

TIMES_PAST, TIMES_RUNS, RISE = "times the past four weeks", "times earlier runs", "rise of the share"
MULTIPLES = (TIMES_PAST, TIMES_RUNS)
LIMIT_UNITS = {
    "operations/cost/cost_per_thousand": TIMES_PAST,
    "operations/energy/energy_per_thousand": TIMES_PAST,
    "operations/energy/sci": TIMES_PAST,
    "operations/energy/run_energy": TIMES_RUNS,
    "data/requests/default_score_rate": RISE,
}
"""Unit of a limit, by the name of its rule (`analyzer/metric`)."""


def checked_limit(name: str, limit: float, where: str | None) -> float:
    """A limit as stated. Raises UsageError for a multiple of 1 or less, because such a limit would report usual values as faults."""
    unit = LIMIT_UNITS.get(name)
    if unit in MULTIPLES and not limit > 1:
        raise UsageError(
            f"the limit of {name} is a multiple",
            where=f"{where}, limits.{name}" if where else f"limits.{name}",
            got=f"{limit:g}",
            expected=f"a number above 1, as 1.5 {unit}",
            attempt="State how many times as much is critical, not an amount",
        )
    return limit
