"""Read data about one prediction from the store, cached by the store's state."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

from observability.alerts import alarm_rules
from observability.core.errors import NotFoundError, ObservabilityError, UsageError
from observability.core.formatting import capitalized_sentence
from observability.core.window import Slice, Window
from observability.dashboard import load
from observability.dashboard.state_cache import cached_by_state
from observability.investigation import churn as churning
from observability.investigation import (
    comparison_rows,
    decision_boundary,
    expected_error,
    input_faults,
    known_attributions,
    offline_values,
    queues,
    relabel_queue,
    score_explanation,
    version_replay,
)
from observability.investigation import counterfactuals as flipping
from observability.investigation import error_tree as growing
from observability.investigation import word_effects as word_effects_of
from observability.investigation.case import open_case
from observability.investigation.case_parts import CaseInProgress, Progress
from observability.investigation.counterfactuals import Found
from observability.investigation.error_tree import Node
from observability.investigation.evidence_types import Case, NotGivenError
from observability.investigation.expected_error import SimilarScores
from observability.investigation.logged_content import LoggedText
from observability.investigation.model_answers import Answered, AttributionContrast, Churn, Contrasts, Curve, Margin, Opposite, WhatIf
from observability.investigation.offline_values import Twin
from observability.investigation.prediction_map import PredictionMap, prediction_map
from observability.investigation.word_effects import WordEffects
from observability.store.types import decision_items, search_terms

if TYPE_CHECKING:
    from observability.worker.process import Worker

Answer = TypeVar("Answer")
COMPUTED, REPAIR_TRIED, WORDS_FAILED = "page:average", "page:repair", "page:words"


@dataclass
class OpenedCase:
    """One prediction in one state of the store. Each of its parts is computed once. All sessions share the object; one at a time can use
    it.
    """

    look: CaseInProgress
    lock: threading.RLock = field(default_factory=threading.RLock)

    def part(self, name: str) -> Any:
        """A part of the case (investigation/case_parts.py); None if it is not available, with the reason in `why`."""
        with self.lock, self.look.store.snapshot():
            return self.look.part(name)

    def span(self) -> tuple[datetime, datetime]:
        """The half-open period from which the evidence of the case is taken."""
        with self.lock, self.look.store.snapshot():
            window = comparison_rows.window_around(self.look)
        return window.start, window.end

    def error_limit(self) -> float | None:
        """The absolute error above which a regression counts as an error; None for classifiers."""
        with self.lock, self.look.store.snapshot():
            return comparison_rows.error_definition(self.look).limit

    def is_error(self) -> bool | None:
        """Whether the prediction is an error; None if its outcome, or the limit of a regression, is unknown."""
        with self.lock, self.look.store.snapshot():
            try:
                return comparison_rows.error_definition(self.look).of_row(self.look.row)
            except ObservabilityError:
                return None

    def similar_errors_search(self) -> str:
        """A search condition that selects errors like this one."""
        with self.lock, self.look.store.snapshot():
            return comparison_rows.similar_error(self.look).search(self.look.row.model)

    def similar_error_words(self) -> str:
        """The definition of an error like this one, in words."""
        with self.lock, self.look.store.snapshot():
            return comparison_rows.similar_error(self.look).text

    def decided_words(self) -> str:
        """The decision of the case, in words that can stand before a noun; empty for a regression."""
        return comparison_rows.decided_words(self.look)

    def similar_labelled_search(self) -> str:
        """A search condition that selects labelled rows with the same decision as this case."""
        row = self.look.row
        return "label != null" if row.decision < 0 else f'answer = "{row.model.classes[row.decision]}" and label != null'

    def whole(self) -> Case:
        """The case with every part that can be computed, and the reasons for the missing ones."""
        with self.lock, self.look.store.snapshot():
            parts = {name: self.look.part(name) for name in self.look.parts}
        return Case(self.look.row, **parts, why=dict(self.look.why), also_in=self.look.row.also_in)

    def why(self, name: str) -> str:
        """The reason why a part is not available."""
        return capitalized_sentence(self.look.why.get(name, ""))


@cached_by_state(32)
def opened_case(prediction: str, model: str | None, answer: str | None = None) -> OpenedCase:
    """The prediction with this id, from the given model, or from any model if none is given. answer: environment and version, such as
    `shadow/2`, to select one of several predictions with the id; by default the prediction in production. Raises NotFoundError.
    """
    environment, _, version = (answer or "").partition("/")
    return OpenedCase(open_case(load.store(), prediction, model=model, version=version or None, environment=environment or None))


def model_holding(prediction: str) -> str | None:
    """The model with the newest prediction of this id; None if there is none."""
    try:
        return opened_case(prediction, None).look.row.model.name
    except NotFoundError:
        return None


def known_contrast(held: OpenedCase) -> AttributionContrast | None:
    """Attributions that were logged, precomputed, or computed in another session; None if there are none."""
    store, row = held.look.store, held.look.row
    with held.lock, store.snapshot():
        found = held.look.known.get(COMPUTED) or known_attributions.logged_or_stored_contrast(store, row)
        if found is None:
            with suppress(ObservabilityError):  # the model was not asked yet, and cannot be asked without a worker
                found = held.look.known[COMPUTED] = score_explanation.computed_attributions(store, row, None, None)
        return found


def average_contrast(held: OpenedCase, progress: Progress) -> AttributionContrast:
    """Attributions relative to the average, computed in the worker and cached. Raises what the worker raises."""
    found = score_explanation.computed_attributions(held.look.store, held.look.row, _shared_worker(), progress)
    with held.lock:
        held.look.known[COMPUTED] = found
    return found


def known_word_effects(held: OpenedCase, text: LoggedText) -> WordEffects | None:
    """The effects of a text's words that were computed before; None if they were not computed yet. If the last attempt failed, raises its
    error.
    """
    failed = held.look.known.get(WORDS_FAILED)
    if failed is not None:
        raise failed
    with held.lock, held.look.store.snapshot():
        try:
            return word_effects_of.word_effects(held.look.store, held.look.row, text)
        except NotGivenError:
            return None


def case_word_effects(held: OpenedCase, text: LoggedText, progress: Progress) -> WordEffects:
    """The effects of a text's words, computed in the worker and stored. Raises what the worker raises, and remembers that it failed."""
    try:
        return word_effects_of.word_effects(held.look.store, held.look.row, text, worker=_shared_worker(), progress=progress)
    except UsageError as error:
        with held.lock:
            held.look.known[WORDS_FAILED] = error
        raise


def case_contrasts(held: OpenedCase, progress: Progress) -> Contrasts:
    """Attributions relative to every background, computed in the worker if they are unknown. Raises what the worker raises."""
    return score_explanation.attribution_contrasts(held.look.store, held.look.row, worker=_shared_worker(), progress=progress)


def top_case_features(held: OpenedCase) -> tuple[str, ...]:
    """The most important features of the case."""
    with held.lock, held.look.store.snapshot():
        return decision_boundary.top_features(held.look.store, held.look.row)


def case_margin(held: OpenedCase) -> Margin:
    """The margin between the score and another decision."""
    return _computed_once(held, "margin", lambda: decision_boundary.margin(held.look.store, held.look.row))


def opposite_case(held: OpenedCase) -> Opposite:
    """The nearest logged row with another decision."""
    return _computed_once(held, "opposite", lambda: decision_boundary.nearest_opposite_row(held.look.store, held.look.row))


def _computed_once(held: OpenedCase, name: str, ask: Callable[[], Answer]) -> Answer:
    """The result of `ask`, which is not a part of the case; computed once per case."""
    with held.lock, held.look.store.snapshot():
        found: Answer = held.look.shared(f"page:{name}", ask)
        return found


def offline_twin(held: OpenedCase) -> Twin | None:
    """The offline record of the same request, or the online record if the case itself is offline. None if there is none."""
    row = held.look.row
    return _computed_once(
        held,
        "twin",
        lambda: offline_values.offline_record(held.look.store, row, [each for each in row.model.features() if each.name in row.features]),
    )


def case_error_tree(held: OpenedCase) -> tuple[Node, ...]:
    """The error tree of the case. Raises NotGivenError."""
    return _computed_once(held, "tree", lambda: growing.error_tree_nodes(held.look))


def repair_pending(held: OpenedCase) -> bool:
    """Whether inputs are suspected and the model has not yet scored the case with repaired values."""
    look = held.look
    if look.row.version.artifact is None or held.part("repair") is not None or REPAIR_TRIED in look.known:
        return False
    with held.lock, look.store.snapshot():
        return bool(input_faults.suspected_features(look))


def try_repair(held: OpenedCase, progress: Progress) -> None:
    """Replace the suspected inputs by repaired values, and let the model score these in the worker. The triage is then computed again with
    the result.
    """
    look = held.look
    tried = replace(look, worker=_shared_worker(), progress=progress, known={}, why={})
    with look.store.snapshot():
        found = tried.part("repair")
    with held.lock:
        look.known |= {"repair": found, REPAIR_TRIED: True}
        look.why |= tried.why
    _forget_derived_parts(held)


def response_curves(held: OpenedCase, progress: Progress) -> tuple[Curve, ...]:
    """Response curves of the most important features."""
    return decision_boundary.ice_curves(held.look.store, held.look.row, worker=_shared_worker(), progress=progress)


def case_counterfactuals(held: OpenedCase, progress: Progress) -> Found:
    """Counterfactuals of the case, computed in the worker."""
    found = flipping.search(held.look.store, held.look.row, worker=_shared_worker(), progress=progress)
    _forget_derived_parts(held)
    return found


def known_counterfactuals(held: OpenedCase) -> Found | None:
    """Counterfactuals cached under the same settings; None if there are none."""
    with held.lock, held.look.store.snapshot(), suppress(ObservabilityError):
        return flipping.search(held.look.store, held.look.row)
    return None


def what_if_answer(held: OpenedCase, changes: Mapping[str, Any]) -> WhatIf:
    """The score of the case with some values changed."""
    return decision_boundary.what_if(held.look.store, held.look.row, changes, worker=_shared_worker())


def similar_scores(held: OpenedCase) -> SimilarScores | None:
    """The labelled rows with a similar score; None if there are too few, or if the case is not an error."""
    return _computed_once(held, "similar scores", lambda: expected_error.similar_scores(held.look))


def version_answers(held: OpenedCase, progress: Progress | None) -> tuple[Answered, ...]:
    """The prediction of every version for the stored input. With `progress`, model files are used too; without it, only logs."""
    worker = _shared_worker() if progress is not None else None
    found = version_replay.replayed_answers(held.look.store, held.look.row, worker=worker, progress=progress)
    if worker is not None:
        _forget_derived_parts(held)
    return found


def _forget_derived_parts(held: OpenedCase) -> None:
    """Drop the parts that depend on computed scores, so that they are computed again from cached scores."""
    with held.lock:
        for name in ("versions", "counterfactuals", "triage"):
            held.look.known.pop(name, None)
            held.look.why.pop(name, None)


def version_churn(held: OpenedCase, other: str, part: str | None, progress: Progress) -> Churn:
    """The predictions of another version for rows similar to the case."""
    return churning.churn(held.look.store, held.look.row, other, slice=part, worker=_shared_worker(), progress=progress)


def _shared_worker() -> "Worker":
    """The process that runs models, shared by all sessions."""
    from observability.worker import process

    return process.warm_worker()


@cached_by_state(32)
def queue_cases(name: str, asked: Window) -> queues.Inbox:
    """The cases of a queue (investigation/queues.py). Raises NotGivenError if the queue is not available."""
    return queues.INBOXES[name](load.store(), asked, queues.MAX_QUEUE)


@cached_by_state(8, by_model=lambda asked, *, embedding: asked.model, computed=False)
def window_map(asked: Window, *, embedding: bool) -> PredictionMap:
    """The map of a window's predictions. Read-only: sessions share it. Raises NotGivenError."""
    return prediction_map(load.store(), load.catalog().model(asked.model), asked, embedding=embedding)


@cached_by_state(32, copied=True)
def matching_predictions(asked: Window, typed: str, limit: int, order: str) -> pd.DataFrame:
    """Predictions of a window that meet typed conditions (store/query/search.py). Raises UsageError, NotFoundError."""
    return load.store().search(asked, search_terms.parse_search_terms(typed) if typed else (), limit, order)


@cached_by_state(32, copied=True)
def predictions_by_name(typed: str, limit: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The predictions whose subject is the typed text, and those whose id begins with it."""
    store = load.store()
    return store.rows_of_subject(typed, limit), store.rows_by_id_prefix(typed, limit)


@cached_by_state(64)
def case_verdicts(model: str | None = None, prediction: str | None = None) -> tuple[decision_items.DecisionItem, ...]:
    """Verdicts of people, newest first."""
    return load.store().verdicts(model, prediction)


@cached_by_state(64)
def case_actions(model: str | None = None, prediction: str | None = None) -> tuple[decision_items.DecisionItem, ...]:
    """The action items of a model or a prediction, newest entry first."""
    return load.store().actions(model, prediction)


@cached_by_state(64)
def saved_what_ifs(model: str, prediction: str) -> tuple[decision_items.DecisionItem, ...]:
    """Saved what-if inputs, newest first."""
    return load.store().what_ifs(model, prediction)


@cached_by_state(32)
def saved_case_items(model: str | None = None) -> tuple[decision_items.DecisionItem, ...]:
    """Saved cases of one model, or of all that the person may see, newest entry first."""
    return load.store().saved_cases(model)


def watch_slice(model: str, part: Slice, author: str, *, on: bool) -> None:
    """Add a slice to the model's watched slices, or remove it; the ledger of changes names the author. Raises the errors of
    `alarm_rules.set_watched_slice`.
    """
    alarm_rules.set_watched_slice(load.store(), model, part, author=author, on=on)


@cached_by_state(32)
def relabel_requests(model: str | None = None, prediction: str | None = None) -> tuple[relabel_queue.Wanted, ...]:
    """Requests to relabel predictions, open ones first."""
    return relabel_queue.relabel_queue(load.store(), model, prediction)


def relabel_worksheet(waiting: Sequence[relabel_queue.Wanted]) -> pd.DataFrame:
    """The blind worksheet of open requests."""
    return relabel_queue.requests_worksheet(load.store(), waiting, load.page_clock())
