"""Which versions ask to be promoted: how does each that answers in the shadow compare with the one that serves, on the same rows?"""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from observability.compare import paired_rows
from observability.compare.comparison import asker, compare
from observability.compare.difference import Difference
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.weeks import Week
from observability.core.window import Window
from observability.metrics.performance import HEADLINE
from observability.review.paired_versions import answers, most
from observability.review.regressed_slices import regressed

if TYPE_CHECKING:
    from observability.store.db.database import Store

Body = dict[str, Any]
SHOWN = 12
"""Differences beyond chance that a card shows."""


def challengers(store: "Store", week: Week) -> list[Body]:
    """A card for each version that answered in the shadow in the week and does not serve, as known at its end. One that cannot be compared says why."""
    return [card(store, model, week, name, then) for model in store.catalog().models for name, then in waiting(store, model, week)]


def waiting(store: "Store", model: Model, week: Week) -> list[tuple[str, str]]:
    """(version that answers in the shadow and does not serve, version that serves most), of one model."""
    serves = answers(store, model, week, "production")
    then = most(serves)
    return [(name, then) for name in sorted(answers(store, model, week, "shadow")) if then is not None and name not in serves]


def card(store: "Store", model: Model, week: Week, new: str, then: str) -> Body:
    """The comparison as JSON. Positive changes are new less then."""
    b = Window(model.name, week.start, week.end, version=then, as_of=week.end)
    made: Body = {
        "model": model.name,
        "version": new,
        "serves": then,
        "pairs": None,
        "headline": None,
        "differences": [],
        "sentence": "",
        "notes": [],
        "slices": None,
    }
    try:
        done = compare(asker(store), model, replace(b, version=new, environment="shadow"), b)
    except ObservabilityError as error:
        return made | {"sentence": error.what}
    versions = [[each for each in model.versions if each.name == name] for name in (new, then)]
    paired = next((each for each in done.differences if each.section == "pairs" and each.metric == HEADLINE.get(model.task or "")), None)
    differing = [each for each in done.differences if each.verdict == "differs"]
    return made | {
        "pairs": asdict(done.pairs) if done.pairs else None,
        "headline": difference(paired) if paired else None,
        "differences": [difference(each) for each in differing[:SHOWN]],
        "sentence": done.sentence,
        "notes": list(done.notes),
        "slices": regressed(model, paired_rows.rows_of(asker(store), model, replace(b, version=new, environment="shadow"), b, *versions)),
    }


def difference(each: Difference) -> Body:
    """One difference as JSON."""
    return {
        "section": each.section, "subject": each.subject, "metric": each.metric, "unit": each.unit, "verdict": each.verdict, "why": each.why,
        "new": each.a.value, "then": each.b.value, "change": each.change.value, "low": each.change.low, "high": each.change.high, "distance": each.distance,
    }  # fmt: skip
