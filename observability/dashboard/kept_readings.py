"""Training runs and labels of a window, which are read once for all sessions and stored from one process to the next."""

from datetime import datetime
from typing import TYPE_CHECKING

from observability.core.window import Window
from observability.dashboard import sign_in
from observability.dashboard.state_cache import cached_by_state, displayed_state, owned_store, store

if TYPE_CHECKING:
    from observability.analyzers.training.runs import JudgedRuns
    from observability.metrics.labelled_window import LabelledWindow


def judged_runs_of_window(window: Window) -> "JudgedRuns":
    """Return all runs of a model from their records up to the end of the window. People who may see every model share one result, which is
    kept up to date.
    """
    from observability.monitoring.kept_runs import keeper_of_runs

    if sign_in.current_person().sees_all:
        return keeper_of_runs(owned_store(), displayed_state().models)(window)
    return _visible_judged_runs(window.model, window.end)


@cached_by_state(4, computed=False)
def _visible_judged_runs(model: str, end: datetime) -> "JudgedRuns":
    """The runs of `judged_runs_of_window` for a person who may see only some models."""
    from observability.analyzers.training.runs import judged_runs

    return judged_runs(store().ask, model, end)


def labels_of_window(window: Window) -> "LabelledWindow":
    """Return the labels of a window and of the four weeks before it by project, read-only. People who may see every model share one result,
    which is kept up to date.
    """
    from observability.monitoring.kept_labels import keeper_of_labels

    if sign_in.current_person().sees_all:
        return keeper_of_labels(owned_store(), displayed_state().models)(window)
    return _visible_labels_of_window(window)


@cached_by_state(2, computed=False)
def _visible_labels_of_window(window: Window) -> "LabelledWindow":
    """The labels of `labels_of_window` for a person who may see only some models."""
    from observability.analyzers.data.labelling import read_labelled_window

    return read_labelled_window(store().ask, window)
