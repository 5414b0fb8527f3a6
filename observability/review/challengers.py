"""Compare each shadow version with the serving version on the same rows."""

from dataclasses import asdict, replace
from typing import Any

from observability.compare import paired_rows
from observability.compare.comparison import compare_windows
from observability.compare.difference import Difference
from observability.core.catalog import Model
from observability.core.errors import ObservabilityError
from observability.core.weeks import Week
from observability.core.window import Window
from observability.detection.regressed_slices import find_regressed_slices
from observability.metrics.performance import HEADLINE
from observability.review.paired_versions import predictions_by_version, version_with_most
from observability.store.engine import Store

Body = dict[str, Any]
SHOWN = 12
"""Maximum number of significant differences on a card."""


def challengers(store: Store, week: Week) -> list[Body]:
    """A card for each version that answered only in shadow in the week, as known at the end of the week. If the version cannot be compared,
    the card states the reason.
    """
    return [
        challenger_card(store, model, week, name, then)
        for model in store.catalog().models
        for name, then in waiting_challengers(store, model, week)
    ]


def waiting_challengers(store: Store, model: Model, week: Week) -> list[tuple[str, str]]:
    """For one model: (version that answered only in shadow, version with the most production predictions)."""
    serves = predictions_by_version(store, model, week, "production")
    then = version_with_most(serves)
    return [
        (name, then) for name in sorted(predictions_by_version(store, model, week, "shadow")) if then is not None and name not in serves
    ]


def challenger_card(store: Store, model: Model, week: Week, new: str, then: str) -> Body:
    """The comparison as JSON. Changes are `new` minus `then`."""
    b = Window(model.name, week.start, week.end, version=then, as_of=week.end)
    head: Body = {"model": model.name, "version": new, "serves": then}
    try:
        done = compare_windows(store.ask, model, replace(b, version=new, environment="shadow"), b)
    except ObservabilityError as error:
        empty: Body = {"pairs": None, "headline": None, "differences": [], "notes": [], "slices": None}
        return head | empty | {"sentence": error.what}
    versions = [[version for version in model.versions if version.name == name] for name in (new, then)]
    main = HEADLINE.get(model.task or "")
    paired = next((found for found in done.differences if found.section == "pairs" and found.metric == main), None)
    differing = [found for found in done.differences if found.verdict == "differs"]
    return head | {
        "pairs": asdict(done.pairs) if done.pairs else None,
        "headline": difference_json(paired) if paired else None,
        "differences": [difference_json(found) for found in differing[:SHOWN]],
        "sentence": done.sentence,
        "notes": list(done.notes),
        "slices": find_regressed_slices(
            model,
            paired_rows.matched_rows(store.ask, model, replace(b, version=new, environment="shadow"), b, *versions),
            model.settings.slices,
        ),
    }


def difference_json(difference: Difference) -> Body:
    """The difference as a JSON object."""
    change = difference.change
    return {
        **{name: getattr(difference, name) for name in ("section", "subject", "metric", "unit", "verdict", "why", "distance")},
        "new": difference.a.value,
        "then": difference.b.value,
        "change": change.value,
        "low": change.low,
        "high": change.high,
    }
