"""The clean log in which the lab plants faults, cached by the state of the store."""

from typing import TYPE_CHECKING

from observability.dashboard.state_cache import cached_by_state, store

if TYPE_CHECKING:
    from observability.simulation.fault_targets import FaultTargets


@cached_by_state(4)
def lab_scene(model: str, seed: int) -> "FaultTargets":
    """Return the clean log of a model with the targets of faults. Callers must not change it, because sessions share it. Raises UsageError
    if there is no reference.
    """
    from observability.simulation.fault_targets import fault_targets
    from observability.simulation.log_from_store import simulation_base

    return fault_targets(simulation_base(store(), model, seed=seed), seed)
