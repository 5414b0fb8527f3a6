"""The store that pages read, the state of this store, and a cache of answers that is keyed by this state."""

import functools
import time
import weakref
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from observability.core.catalog import NOTED, UNNAMED
from observability.monitoring.kept_findings import model_generation, rows_generation

if TYPE_CHECKING:
    from observability.store.engine import Store

FRESH = 5.0
"""Pages may lag behind arriving data by this many seconds, so that a busy store is not analyzed again at every click."""
Stamp = tuple[str, int, Hashable]
"""The state of a store: its home folder, the number of its last commit, and which models the reader may see. In the stamp of one model, the
number is that of the last commit that may concern this model.
"""
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


_STORE_OF_RUN: "weakref.WeakKeyDictionary[object, Store]" = weakref.WeakKeyDictionary()
"""The store with which each run of a page began. Streamlit makes a new coordinator for each run, which is the key."""


def owned_store() -> "Store":
    """The store that this process owns or reads, without the limits of a person's role. It serves answers that are cached for all people;
    the caller checks the person's rights before it shows an answer.

    A run of a page keeps the same store object to its end, even if this process reads published states and a newer state arrives meanwhile.
    """
    from observability.server import process_lock

    newest, context = process_lock.current_store(), get_script_run_ctx(suppress_warning=True)
    run = None if context is None else context.parallel_coordinator
    return newest if run is None else _STORE_OF_RUN.setdefault(run, newest)


def store() -> "Store":
    """The store of this process, limited to what the signed-in person may see and do."""
    from observability.dashboard.sign_in import current_person
    from observability.server.guarded_store import guarded_store

    return guarded_store(owned_store(), current_person())


def _reader_rights() -> Hashable:
    """The rights of the signed-in person, as a part of cache keys; None for everybody who may see all models and small groups."""
    from observability.dashboard.sign_in import current_person
    from observability.server.access import may_do_everywhere

    person = current_person()
    return None if person.sees_all and may_do_everywhere(person, "reveal") else (person.role, person.models, person.for_a_file)


@dataclass
class DisplayedState:
    """The state of the store that pages show. generation: number of the store's last commit. models: number of the last commit of each
    model. awaited: number of commits for which a person waited. at: when the shown state last changed (monotonic seconds).
    """

    generation: int
    models: Mapping[str, int]
    awaited: int
    at: float


_DISPLAYED: "weakref.WeakKeyDictionary[Store, DisplayedState]" = weakref.WeakKeyDictionary()


def store_stamp(*, computed: bool = True) -> Stamp:
    """The stamp of the state that pages read: the newest state, or one at most FRESH seconds older that contains every change made by
    people.

    computed: whether the stamp also changes with explanations and estimates, which are computed from rows in the background.
    """
    shown = displayed_state()
    return str(owned_store().home), shown.generation if computed else rows_generation(shown.models), _reader_rights()


def model_stamp(model: str, *, computed: bool = True) -> Stamp:
    """The stamp of one model. Rows of other models do not change it."""
    models = displayed_state().models
    return str(owned_store().home), max(model_generation(models, model, computed=computed), models.get(UNNAMED, 0)), _reader_rights()


def notes_stamp() -> int:
    """The number of the last commit that contained entries of people, about any model."""
    return displayed_state().models.get(NOTED, 0)


def displayed_state() -> DisplayedState:
    """The state that pages read now; see `store_stamp`."""
    current, instant = owned_store(), time.monotonic()
    generation = current.generation  # read before the generations of the models, so that a commit in between is seen the next time
    models = dict(current.generations)
    awaited = generation - current.unhurried
    shown = _DISPLAYED.get(current)
    if shown is None:
        shown = _DISPLAYED[current] = DisplayedState(generation, models, awaited, instant - FRESH)
    elif shown.generation != generation and (shown.awaited != awaited or instant - shown.at >= FRESH):
        shown = _DISPLAYED[current] = DisplayedState(generation, models, awaited, instant)
    return shown


def cached_by_state(
    most: int,
    *,
    copied: bool = False,
    ttl: float | None = None,
    by_model: Callable[..., str] | None = None,
    computed: bool = True,
) -> Callable[[Callable[Arguments, Answer]], Callable[Arguments, Answer]]:
    """Cache the answers of a function by its arguments and by the state of the store.

    most: how many answers are kept. copied: each caller gets its own copy, as frames need; otherwise all sessions share one read-only
    object. ttl: seconds after which an answer is computed again. by_model: returns the only model on which an answer depends. computed:
    whether an answer depends on explanations or estimates, which are computed step by step in the background.
    """
    cache: Any = st.cache_data if copied else st.cache_resource

    def decorate(ask: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
        @functools.wraps(ask)
        def keyed(_stamp: Stamp, *args: Any, **kwargs: Any) -> Answer:
            return ask(*args, **kwargs)

        held = cache(max_entries=most, ttl=ttl, show_spinner=False)(keyed)

        @functools.wraps(ask)
        def current(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Answer:
            model = by_model(*args, **kwargs) if by_model else None
            stamp = store_stamp(computed=computed) if model is None else model_stamp(model, computed=computed)
            answer: Answer = held(stamp, *args, **kwargs)
            return answer

        return current

    return decorate
