"""What does a page read about one prediction, and how does it write what a person says about it?

The part of `load` that is about single predictions: it asks the store, and caches by the store's state.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import streamlit as st

from observability.alerts import alarm_rules
from observability.core.errors import NotFoundError, ObservabilityError
from observability.core.window import Slice, Window
from observability.dashboard import load
from observability.dashboard.load import Stamp
from observability.investigation import churn as churning
from observability.investigation import (
    comparison_rows,
    decision_boundary,
    known_attributions,
    offline_values,
    queues,
    relabel_queue,
    score_explanation,
    version_replay,
)
from observability.investigation import counterfactuals as flipping
from observability.investigation import error_tree as growing
from observability.investigation.case import open_case
from observability.investigation.case_parts import Look, Progress
from observability.investigation.counterfactuals import Found
from observability.investigation.error_tree import Node
from observability.investigation.evidence_types import Case
from observability.investigation.model_answers import Answered, Churn, Contrast, Contrasts, Curve, Margin, Opposite, WhatIf
from observability.investigation.offline_values import Twin
from observability.store.ingest import record_writer
from observability.store.query import decision_log, search
from observability.store.query.source import snapshot

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.worker.process import Worker

Answer = TypeVar("Answer")
COMPUTED = "page:average"


@dataclass
class Opened:
    """One prediction as the store has it at one state, its parts worked out once each. Sessions share it, one at a time."""

    look: Look
    lock: threading.RLock = field(default_factory=threading.RLock)

    def part(self, name: str) -> Any:
        """A part of the case (investigation/case_parts.py), None where it cannot be given; `why` then says why."""
        with self.lock, snapshot(self.look.store):
            return self.look.part(name)

    def span(self) -> tuple[datetime, datetime]:
        """The time about the case from which its evidence is taken, half open."""
        with self.lock, snapshot(self.look.store):
            window = comparison_rows.around(self.look)
        return window.start, window.end

    def error_limit(self) -> float | None:
        """Of a regression, the absolute error from which the evidence speaks of an error; None of a classifier."""
        with self.lock, snapshot(self.look.store):
            return comparison_rows.bad(self.look).limit

    def whole(self) -> Case:
        """Every part, as far as it can be given."""
        with self.lock, snapshot(self.look.store):
            parts = {name: self.look.part(name) for name in self.look.parts}
        return Case(self.look.row, **parts, why=dict(self.look.why), also_in=self.look.row.also_in)

    def why(self, name: str) -> str:
        """Why a part cannot be given."""
        return self.look.why.get(name, "")


def opened(prediction: str, model: str | None) -> Opened:
    """A prediction by its id, of one model or of the one that holds it. Raises NotFoundError."""
    return cached_case(load.stamp(), prediction, model)


def holder(prediction: str) -> str | None:
    """The model that holds a prediction of this id, the newest where several do; None where none does."""
    try:
        return opened(prediction, None).look.row.model.name
    except NotFoundError:
        return None


def known_contrast(held: Opened) -> Contrast | None:
    """The attributions that were logged, explained ahead, or computed for anybody since; None where there are none."""
    store, row = held.look.store, held.look.row
    with held.lock, snapshot(store):
        found = held.look.known.get(COMPUTED) or known_attributions.known(store, row)
        if found is None:
            with suppress(ObservabilityError):  # nobody asked the model yet, and without a worker nobody does now
                found = held.look.known[COMPUTED] = score_explanation.computed(store, row, None, None)
        return found


def average(held: Opened, progress: Progress) -> Contrast:
    """The attributions against the average, computed in the worker and kept. Raises what the worker raises."""
    found = score_explanation.computed(held.look.store, held.look.row, shared_worker(), progress)
    with held.lock:
        held.look.known[COMPUTED] = found
    return found


def contrasts(held: Opened, progress: Progress) -> Contrasts:
    """The attributions against every background, computed in the worker where they are not known. Raises what the worker raises."""
    return score_explanation.contrasts(held.look.store, held.look.row, worker=shared_worker(), progress=progress)


def top_features(held: Opened) -> tuple[str, ...]:
    """The features that matter most for the case."""
    with held.lock, snapshot(held.look.store):
        return decision_boundary.top_features(held.look.store, held.look.row)


def margin(held: Opened) -> Margin:
    """How far the score is from another answer."""
    return asked_once(held, "margin", lambda: decision_boundary.margin(held.look.store, held.look.row))


def opposite(held: Opened) -> Opposite:
    """The nearest real row that was answered otherwise."""
    return asked_once(held, "opposite", lambda: decision_boundary.opposite(held.look.store, held.look.row))


def asked_once(held: Opened, name: str, ask: Callable[[], Answer]) -> Answer:
    """Something about the case that its parts do not have, worked out once."""
    with held.lock, snapshot(held.look.store):
        found: Answer = held.look.shared(f"page:{name}", ask)
        return found


def twin(held: Opened) -> Twin | None:
    """The same request as it was logged offline (of an offline record: online); None where it was not."""
    row = held.look.row
    return asked_once(
        held,
        "twin",
        lambda: offline_values.twin(held.look.store, row, [each for each in row.model.features() if each.name in row.features]),
    )


def tree(held: Opened) -> tuple[Node, ...]:
    """Where errors gather about the case. Raises NotGivenError."""
    return asked_once(held, "tree", lambda: growing.tree(held.look))


def curves(held: Opened, progress: Progress) -> tuple[Curve, ...]:
    """The score along the features that matter most."""
    return decision_boundary.curves(held.look.store, held.look.row, worker=shared_worker(), progress=progress)


def flips(held: Opened, progress: Progress) -> Found:
    """Changes that the model answers otherwise."""
    found = flipping.search(held.look.store, held.look.row, worker=shared_worker(), progress=progress)
    renewed(held)
    return found


def known_flips(held: Opened) -> Found | None:
    """Changes that were found for anybody before, under the same settings; None where nobody looked yet, or nothing was found."""
    with held.lock, snapshot(held.look.store), suppress(ObservabilityError):
        return flipping.search(held.look.store, held.look.row)
    return None


def what_if(held: Opened, changes: Mapping[str, Any]) -> WhatIf:
    """The model's answer to the case with some values changed."""
    return decision_boundary.what_if(held.look.store, held.look.row, changes, worker=shared_worker())


def answers(held: Opened, progress: Progress | None) -> tuple[Answered, ...]:
    """What every version says to the stored input; with progress, model files are asked, else only what was logged."""
    worker = shared_worker() if progress is not None else None
    found = version_replay.answers(held.look.store, held.look.row, worker=worker, progress=progress)
    if worker is not None:
        renewed(held)
    return found


def renewed(held: Opened) -> None:
    """Have the parts that a model's answer changes worked out again: what was computed is remembered, so they find it without a worker."""
    with held.lock:
        for name in ("versions", "counterfactuals", "triage"):
            held.look.known.pop(name, None)
            held.look.why.pop(name, None)


def churn(held: Opened, other: str, part: str | None, progress: Progress) -> Churn:
    """How another version answers rows like the case."""
    return churning.churn(held.look.store, held.look.row, other, slice=part, worker=shared_worker(), progress=progress)


def shared_worker() -> "Worker":
    """The process that runs models."""
    from observability.worker import process

    return process.shared()


def inbox(name: str, asked: Window) -> queues.Inbox:
    """One list of cases that deserve a look. Raises NotGivenError where it cannot be given."""
    return cached_inbox(load.stamp(), name, asked)


def matching(asked: Window, typed: str, limit: int, order: str) -> "DataFrame":
    """Predictions of a window that meet typed conditions (store/query/search.py). Raises UsageError, NotFoundError."""
    return cached_matching(load.stamp(), asked, typed, limit, order)


def about(typed: str, limit: int) -> "tuple[DataFrame, DataFrame]":
    """Predictions whose subject is what was typed, and those whose id begins with it."""
    return cached_about(load.stamp(), typed, limit)


def verdicts(model: str | None = None, prediction: str | None = None) -> tuple[decision_log.Item, ...]:
    """What people concluded, the newest first."""
    return cached_said(load.stamp(), "verdict", model, prediction)


def actions(model: str | None = None, prediction: str | None = None) -> tuple[decision_log.Item, ...]:
    """What is to be done, the newest first."""
    return cached_said(load.stamp(), "action", model, prediction)


def what_ifs(model: str, prediction: str) -> tuple[decision_log.Item, ...]:
    """What-ifs that people saved, the newest first."""
    return cached_what_ifs(load.stamp(), model, prediction)


@st.cache_resource(max_entries=64, show_spinner=False)
def cached_what_ifs(key: Stamp, model: str, prediction: str) -> tuple[decision_log.Item, ...]:
    """See `what_ifs`."""
    return decision_log.what_ifs(load.store(), model, prediction)


def write(records: Sequence[Mapping[str, object]]) -> None:
    """Store what a person says; it shows at the next rerun. Raises UsageError, StoreBrokenError."""
    record_writer.write(load.store(), records)


def watch(model: str, part: Slice, author: str, *, on: bool) -> None:
    """Have the model's owner watch a slice, or watch it no longer; the ledger says who. Raises what rules.watch raises."""
    alarm_rules.watch(load.store(), model, part, author=author, on=on)


def relabelling(model: str | None = None, prediction: str | None = None) -> tuple[relabel_queue.Wanted, ...]:
    """What was sent to be labelled again: what is open first."""
    return cached_relabelling(load.stamp(), model, prediction)


def worksheet(waiting: Sequence[relabel_queue.Wanted]) -> "DataFrame":
    """The blind worksheet of what is open."""
    return relabel_queue.worksheet(load.store(), waiting, load.now())


@st.cache_resource(max_entries=32, show_spinner=False)
def cached_relabelling(key: Stamp, model: str | None, prediction: str | None) -> tuple[relabel_queue.Wanted, ...]:
    """See `relabelling`."""
    return relabel_queue.queue(load.store(), model, prediction)


@st.cache_resource(max_entries=32, show_spinner=False)
def cached_case(key: Stamp, prediction: str, model: str | None) -> Opened:
    """See `opened`."""
    return Opened(open_case(load.store(), prediction, model=model))


@st.cache_data(max_entries=32, show_spinner=False)
def cached_matching(key: Stamp, asked: Window, typed: str, limit: int, order: str) -> "DataFrame":
    """See `matching`."""
    return search.matching(load.store(), asked, search.parse(typed) if typed else (), limit, order)


@st.cache_data(max_entries=32, show_spinner=False)
def cached_about(key: Stamp, typed: str, limit: int) -> "tuple[DataFrame, DataFrame]":
    """See `about`."""
    store = load.store()
    return search.of_subject(store, typed, limit), search.beginning_with(store, typed, limit)


@st.cache_resource(max_entries=64, show_spinner=False)
def cached_said(key: Stamp, kind: decision_log.What, model: str | None, prediction: str | None) -> tuple[decision_log.Item, ...]:
    """See `verdicts` and `actions`."""
    return (decision_log.verdicts if kind == "verdict" else decision_log.actions)(load.store(), model, prediction)


@st.cache_resource(max_entries=32, show_spinner=False)
def cached_inbox(key: Stamp, name: str, asked: Window) -> queues.Inbox:
    """See `inbox`."""
    return queues.INBOXES[name](load.store(), asked, queues.MOST)
