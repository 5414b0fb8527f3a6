"""Which clean log does the lab page plant faults on? Kept by the store's state, as everything that pages read."""

from typing import TYPE_CHECKING

import streamlit as st

from observability.dashboard.load import Stamp, stamp, store

if TYPE_CHECKING:
    from observability.simulation.fault_targets import Scene


def scene(model: str, seed: int) -> "Scene":
    """The clean log of a model, and on whom faults fall. Read-only: sessions share it. Raises UsageError where the model has no reference."""
    return cached_scene(stamp(), model, seed)


@st.cache_resource(max_entries=4, show_spinner=False)
def cached_scene(key: Stamp, model: str, seed: int) -> "Scene":
    """See `scene`."""
    from observability.simulation.fault_targets import cast
    from observability.simulation.log_from_store import base_of

    return cast(base_of(store(), model, seed=seed), seed)
