"""The effect of a cleaning rule on a model, as the record of the rule's run states it in its additional field `effect`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from observability.metrics.audited_data import stored_number


@dataclass(frozen=True)
class CleaningEffect:
    """How much a rule changes a metric. metric: None if it is not named. low, high: interval of the change, None if no interval is stated.

    before, after: the metric without and with the rule, None if only the change is stated.
    """

    metric: str | None
    change: float
    low: float | None
    high: float | None
    before: float | None = None
    after: float | None = None


def stated_effect(further: Any) -> CleaningEffect | None:
    """Return the effect that the additional fields of a `cleaning` record state; None if they state none.

    Parameters
    ----------
    further : Any
        Further fields of the record. `effect` is the change, or an object with `before` and `after` or with `value`, and if they are
        known `metric`, `low` and `high` of the change.

    Returns
    -------
    CleaningEffect | None
        None too where a number is missing.
    """
    stated = further.get("effect") if isinstance(further, Mapping) else None
    if not isinstance(stated, Mapping):
        change = stored_number(stated)
        return None if change is None else CleaningEffect(None, change, None, None)
    before, after, change, low, high = (stored_number(stated.get(name)) for name in ("before", "after", "value", "low", "high"))
    if before is None or after is None:
        before = after = None
    else:
        change = after - before
    if change is None:
        return None
    if low is None or high is None or low > high:
        low = high = None
    return CleaningEffect(str(stated["metric"]) if stated.get("metric") else None, change, low, high, before, after)
