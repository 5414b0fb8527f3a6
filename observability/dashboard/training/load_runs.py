"""Loads the training runs that pages show; cached until the store changes."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from observability.dashboard import load
from observability.dashboard.kept_readings import judged_runs_of_window
from observability.dashboard.state_cache import cached_by_state, store
from observability.monitoring.short_claims import with_short_claim

if TYPE_CHECKING:
    from observability.analyzers.training.runs import RunVerdict


def analyzed_training_runs(model: str | None) -> "tuple[RunVerdict, ...]":
    """Every training run of a model (None: of all models), with its curves and findings, newest first. Read-only, because sessions share
    the result.
    """
    return _training_runs(model, load.page_clock())


def followed_training_runs(names: tuple[str, ...], searches: Mapping[str, int] | None = None) -> "tuple[RunVerdict, ...]":
    """The named runs as they are in the store now. They are read again at each call, so that a running job can be followed without the
    delay of other pages.

    searches: for each study that is a search, its number of runs.
    """
    from observability.analyzers.training.runs import judged_runs

    instant = load.no_later_than_now(load.page_clock())
    return _with_short_claims(judged_runs(store().ask, "", instant, names, searches).verdicts(instant))


def runs_read_alone(names: tuple[str, ...], searches: Mapping[str, int]) -> "tuple[RunVerdict, ...]":
    """The named runs, read without any other run, so that more steps of each are read. searches: for each study that is a search, its
    number of runs.
    """
    return _runs_read_alone(names, tuple(sorted(searches.items())), load.page_clock())


@cached_by_state(4, computed=False)
def _runs_read_alone(names: tuple[str, ...], searches: tuple[tuple[str, int], ...], instant: datetime) -> "tuple[RunVerdict, ...]":
    """The cached result of `runs_read_alone`."""
    from observability.analyzers.training.runs import judged_runs

    return _with_short_claims(judged_runs(store().ask, "", instant, names, dict(searches)).verdicts(load.no_later_than_now(instant)))


@cached_by_state(4, computed=False)
def _training_runs(model: str | None, instant: datetime) -> "tuple[RunVerdict, ...]":
    """The cached result of `analyzed_training_runs`. The runs and the findings about them come from the same reading of the store."""
    from observability.analyzers.training.runs import ANALYZER
    from observability.monitoring import check_windows

    window = check_windows.record_check_window(store(), ANALYZER, model, None, None, None, instant)
    return _with_short_claims(judged_runs_of_window(window).verdicts(load.no_later_than_now(instant)))


def _with_short_claims(verdicts: "Iterable[RunVerdict]") -> "tuple[RunVerdict, ...]":
    """The runs, with their claims shortened like the sentences of findings. The remaining clauses of a claim are in its details."""
    return tuple(each if each.claims is None else replace(each, claims=tuple(map(with_short_claim, each.claims))) for each in verdicts)
