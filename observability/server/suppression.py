"""Query results for people who may not see masked values: without figures of groups with few rows (core/small_groups.py)."""

import weakref
from dataclasses import replace
from typing import TYPE_CHECKING

from observability.core.errors import ForbiddenError
from observability.core.questions import Aggregate, Question, Records
from observability.core.small_groups import FEWER, folded_groups, leaves_few, without_few_groups, without_small_levels
from observability.core.window import Slice, Window

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store

MAX_COUNTED = 256
_COUNTED: "weakref.WeakKeyDictionary[Store, dict[tuple[int, Window], bool]]" = weakref.WeakKeyDictionary()


def suppressed_answer(store: "Store", question: Question, window: Window, answer: "DataFrame") -> "DataFrame":
    """The result of a query, without figures of groups with few rows; empty if the slice itself has few rows."""
    if isinstance(question, Records):
        return _suppressed_records(question, answer)
    if window.slice is not None and is_small_slice(store, window):
        return answer.iloc[:0]
    if not isinstance(question, Aggregate):
        return answer
    kinds = {each.reference: each.kind for each in store.catalog().model(window.model).columns}
    levels = [name for name in question.histogram if kinds.get(name, "number") != "number"]
    return without_small_levels(folded_groups(question, answer), levels)


def _suppressed_records(question: Records, answer: "DataFrame") -> "DataFrame":
    """Records without nested figures of small groups."""
    if question.kind != "audit" or "results" not in answer:
        return answer
    return answer.assign(results=answer["results"].map(lambda each: without_few_groups(each) if isinstance(each, dict) else each))


def is_small_slice(store: "Store", window: Window) -> bool:
    """Whether the slice of a window has few rows (but not zero). Also True if only few rows remain when the slice is subtracted from the
    slice with one condition less.
    """
    if window.slice is None:
        return False
    held = _COUNTED.setdefault(store, {})
    key = (store.generation, window)
    if key not in held:
        if len(held) >= MAX_COUNTED:
            held.clear()
        conditions = window.slice.conditions
        wider = [tuple(each for each in conditions if each != left) for left in conditions]
        parts = [window, *(replace(window, slice=Slice(kept) if kept else None) for kept in wider)]
        held[key] = leaves_few([int(store.ask(Aggregate("predictions"), part)["n"].sum()) for part in parts])
    return held[key]


def require_shown_slice(store: "Store", window: Window) -> None:
    """Raise ForbiddenError if the slice of a window has few rows, or leaves only few rows outside itself."""
    if is_small_slice(store, window):
        raise ForbiddenError(
            f"the slice {window.slice} has, or leaves out, {FEWER} rows in this window, which your role does not show",
            attempt="Choose a wider slice or a longer window, or ask an administrator",
        )
