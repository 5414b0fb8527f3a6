"""The clean log in which the lab plants faults, cached by the store's state."""

from typing import TYPE_CHECKING

from observability.dashboard.state_cache import cached_by_state, store

if TYPE_CHECKING:
    from observability.simulation.fault_targets import FaultTargets


@cached_by_state(4)
def lab_scene(model: str, seed: int) -> "FaultTargets":
    """The clean log of a model and the targets of faults. Read-only: sessions share it. Raises UsageError without a reference."""
    from observability.simulation.fault_targets import fault_targets
    from observability.simulation.log_from_store import simulation_base

    return fault_targets(simulation_base(store(), model, seed=seed), seed)
