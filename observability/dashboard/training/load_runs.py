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
    """Every training run of a model, or of all, with its curves and findings, newest first. Read-only: sessions share them."""
    return _training_runs(model, load.page_clock())


def followed_training_runs(names: tuple[str, ...], searches: Mapping[str, int] | None = None) -> "tuple[RunVerdict, ...]":
    """These runs as the store has them at this moment, read anew at each call: a running job is followed without the lag of other pages.

    searches: the number of runs of each study that is a search.
    """
    from observability.analyzers.training.runs import judged_runs

    instant = load.no_later_than_now(load.page_clock())
    return _with_short_claims(judged_runs(store().ask, "", instant, names, searches).verdicts(instant))


def runs_read_alone(names: tuple[str, ...], searches: Mapping[str, int]) -> "tuple[RunVerdict, ...]":
    """Return these runs, read without the others and so with more of their steps. searches: the runs of each study that is a search."""
    return _runs_read_alone(names, tuple(sorted(searches.items())), load.page_clock())


@cached_by_state(4, computed=False)
def _runs_read_alone(names: tuple[str, ...], searches: tuple[tuple[str, int], ...], instant: datetime) -> "tuple[RunVerdict, ...]":
    """The cached result of `runs_read_alone`."""
    from observability.analyzers.training.runs import judged_runs

    return _with_short_claims(judged_runs(store().ask, "", instant, names, dict(searches)).verdicts(load.no_later_than_now(instant)))


@cached_by_state(4, computed=False)
def _training_runs(model: str | None, instant: datetime) -> "tuple[RunVerdict, ...]":
    """See `analyzed_training_runs`. They are the runs of the findings, read and judged once."""
    from observability.analyzers.training.runs import ANALYZER
    from observability.monitoring import check_windows

    window = check_windows.record_check_window(store(), ANALYZER, model, None, None, None, instant)
    return _with_short_claims(judged_runs_of_window(window).verdicts(load.no_later_than_now(instant)))


def _with_short_claims(verdicts: "Iterable[RunVerdict]") -> "tuple[RunVerdict, ...]":
    """The runs with their claims shortened like findings; further clauses are in the details of a claim."""
    return tuple(each if each.claims is None else replace(each, claims=tuple(map(with_short_claim, each.claims))) for each in verdicts)
