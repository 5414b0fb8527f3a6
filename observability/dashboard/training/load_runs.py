"""The training runs that pages show, cached by the state of the store."""

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
    """Every training run of a model, or of all models, with its curves and findings, newest first. Read-only, because sessions share the
    runs.
    """
    return _training_runs(model, load.page_clock())


def followed_training_runs(names: tuple[str, ...], searches: Mapping[str, int] | None = None) -> "tuple[RunVerdict, ...]":
    """The named runs as the store has them now. They are read again at each call, so that a running job is followed without the lag of
    other pages.

    searches: the number of runs of each study that is a search.
    """
    from observability.analyzers.training.runs import judged_runs

    instant = load.no_later_than_now(load.page_clock())
    return _with_short_claims(judged_runs(store().ask, "", instant, names, searches).verdicts(instant))


def runs_read_alone(names: tuple[str, ...], searches: Mapping[str, int]) -> "tuple[RunVerdict, ...]":
    """Return the named runs. Each is read without other runs, and therefore with more of its steps. searches: the number of runs of each
    study that is a search.
    """
    return _runs_read_alone(names, tuple(sorted(searches.items())), load.page_clock())


@cached_by_state(4, computed=False)
def _runs_read_alone(names: tuple[str, ...], searches: tuple[tuple[str, int], ...], instant: datetime) -> "tuple[RunVerdict, ...]":
    """The cached result of `runs_read_alone`."""
    from observability.analyzers.training.runs import judged_runs

    return _with_short_claims(judged_runs(store().ask, "", instant, names, dict(searches)).verdicts(load.no_later_than_now(instant)))


@cached_by_state(4, computed=False)
def _training_runs(model: str | None, instant: datetime) -> "tuple[RunVerdict, ...]":
    """The cached result of `analyzed_training_runs`: the runs as the findings about them were computed from one reading."""
    from observability.analyzers.training.runs import ANALYZER
    from observability.monitoring import check_windows

    window = check_windows.record_check_window(store(), ANALYZER, model, None, None, None, instant)
    return _with_short_claims(judged_runs_of_window(window).verdicts(load.no_later_than_now(instant)))


def _with_short_claims(verdicts: "Iterable[RunVerdict]") -> "tuple[RunVerdict, ...]":
    """The runs with their claims shortened like the sentences of findings. The further clauses are in the details of a claim."""
    return tuple(each if each.claims is None else replace(each, claims=tuple(map(with_short_claim, each.claims))) for each in verdicts)
