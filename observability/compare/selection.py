"""Recommend whether a challenger should replace the champion (promote, hold or reject), from a comparison and from the slices in which the
challenger is worse.

Side A of the comparison is the challenger. A criterion is worse or better only if the difference is significant and relevant.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from observability.compare.comparison_types import WindowComparison
from observability.compare.difference import Difference
from observability.compare.sentences import basis_words, change_interval_words, change_words
from observability.core.catalog import Model
from observability.core.formatting import metric_title
from observability.core.metric_definitions import METRICS
from observability.metrics.performance import HEADLINE

Choice = Literal["promote", "hold", "reject"]
State = Literal["better", "worse", "alike", "undecided", "differs"]
QUALITY = ("mae", "rmse", "accuracy", "precision", "recall", "f1", "roc_auc", "log_loss", "brier")
CALIBRATION = ("brier", "log_loss", "bias")
UNPAIRED = " (on all labelled rows of each)"
"""Words for a figure that is measured on all rows of each version, while other figures are measured on the rows that both versions
answered.
"""


@dataclass(frozen=True)
class SelectionCriterion:
    """One criterion. name: name of the group of metrics; state: the worst state among its metrics; words: the deciding metric with its
    change; how: the 95 % interval of that change, the paired test, and the basis of the figure if it is not measured; "" if nothing of this
    is known.
    """

    name: str
    state: State
    words: str
    how: str = ""


@dataclass(frozen=True)
class Recommendation:
    """The decision that the comparison supports. because: one sentence; more: how many more labelled pairs would be needed to decide about
    the main metric.
    """

    choice: Choice
    because: str
    criteria: tuple[SelectionCriterion, ...]
    more: int | None = None


def challenger_state(difference: Difference) -> State:
    """The state of the challenger in one metric."""
    if difference.verdict in ("alike", "slight"):
        return "alike"
    if difference.verdict == "unknown" or difference.change.value is None:
        return "undecided"
    better = METRICS[difference.metric].better
    if difference.distance or better not in ("low", "high"):
        return "differs"
    return "better" if (difference.change.value > 0) == (better == "high") else "worse"


def worst_of_group(name: str, found: Sequence[Difference]) -> SelectionCriterion | None:
    """The criterion of a group of metrics; None if the group has no metrics."""
    order: tuple[State, ...] = ("worse", "differs", "better", "undecided", "alike")
    ranked = sorted(found, key=lambda each: (order.index(challenger_state(each)), -abs(each.relative or 0.0)))
    if not ranked:
        return None
    first = ranked[0]
    subject = "" if first.subject == "model" else f" ({first.subject})"
    said = change_words(first) if first.change.value is not None else first.why or "not known"
    how = "; ".join(filter(None, (change_interval_words(first), basis_words(first))))
    return SelectionCriterion(name, challenger_state(first), f"{metric_title(first.metric)}{subject}: {said}", how)


def selection_criteria(found: WindowComparison, regressed_slices: int, tested: int) -> tuple[SelectionCriterion, ...]:
    """The criteria of a selection, in display order. regressed_slices: number of slices in which the challenger is worse. tested: number of
    slices that were compared.
    """
    everything = [each for each in found.of("performance") if each.subject == "model"]
    quality = [each for each in found.of("pairs") if each.subject == "model"] or everything
    fair = found.of("fairness")
    groups = {
        "Errors": [each for each in quality if each.metric in QUALITY and each.metric not in CALIBRATION],
        "Calibration": [each for each in quality if each.metric in CALIBRATION],
        "Fairness": fair,
        "Latency and failures": found.of("latency"),
        "Cost and energy": found.of("cost"),
    }
    told = [worst_of_group(name, own) for name, own in groups.items()]
    error = worst_of_group("Calibration error", [each for each in everything if each.metric == "ece"])
    if error and found.of("pairs"):
        error = replace(error, words=error.words + UNPAIRED)
    told.insert(2, error)
    if tested:
        state: State = "worse" if regressed_slices else "alike"
        words = (
            f"worse in {regressed_slices} of {tested} slices on the same rows" if regressed_slices else f"worse in none of {tested} slices"
        )
        told.insert(3, SelectionCriterion("Slices", state, words))
    return tuple(each for each in told if each is not None)


def recommendation(model: Model, found: WindowComparison, regressed_slices: int = 0, tested: int = 0) -> Recommendation:
    """Promote if the challenger is worse neither in the main metric nor in anything else. Reject if it is worse in the main metric.
    Otherwise hold.
    """
    main = model.settings.primary_metric or HEADLINE.get(model.task or "binary", "accuracy")
    quality = [each for each in (*found.of("pairs"), *found.of("performance")) if each.subject == "model" and each.metric == main]
    criteria = selection_criteria(found, regressed_slices, tested)
    title = metric_title(main)
    if not quality:
        return Recommendation("hold", f"Hold: {title} of the two cannot be compared in this window.", criteria)
    head = quality[0]
    state = challenger_state(head)
    if state == "worse":
        return Recommendation("reject", f"Reject: it is worse in {title} ({change_words(head)}).", criteria)
    if state == "undecided":
        why = head.why or (
            f"about {head.more:,} more labelled pairs would tell" if head.more else "its interval holds both no and a relevant change"
        )
        return Recommendation("hold", f"Hold: whether {title} changes is unknown: {why}.", criteria, head.more)
    worse = [each for each in criteria if each.state == "worse"]
    if worse:
        said = "; ".join(each.words for each in worse)
        return Recommendation(
            "hold", f"Hold: {title} is {'similar' if state == 'alike' else state}, but other criteria are worse ({said}).", criteria
        )
    return Recommendation(
        "promote",
        f"Promote: {title} is {'similar' if state == 'alike' else state} ({change_words(head)}), and no other criterion is worse.",
        criteria,
    )
