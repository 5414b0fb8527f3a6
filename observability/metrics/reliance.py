"""How people rely on a model: whether they followed or overrode it, and whether it was right."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from observability.core.json_values import stored_json
from observability.stats.interval import Interval, rate_interval

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.core.catalog import Model

ACTION = "action"
"""The additional field of a prediction that holds the action: the class according to which a person acted."""


@dataclass(frozen=True)
class Reliance:
    """Predictions with a person's conclusion and a known outcome. They are counted by whether the person followed or overrode the model,
    and by whether the model was right.
    """

    followed_right: int
    followed_wrong: int
    overrode_right: int
    overrode_wrong: int

    @property
    def over_reliance(self) -> Interval:
        """Share of the model's errors that people followed."""
        return rate_interval(self.followed_wrong, self.followed_wrong + self.overrode_wrong)

    @property
    def under_reliance(self) -> Interval:
        """Share of the model's right answers that people overrode."""
        return rate_interval(self.overrode_right, self.followed_right + self.overrode_right)


def reliance_of(pairs: Sequence[tuple[bool, bool]]) -> Reliance:
    """The counts of (followed, model right) pairs."""
    counts = {key: sum(pair == key for pair in pairs) for key in ((True, True), (True, False), (False, True), (False, False))}
    return Reliance(counts[True, True], counts[True, False], counts[False, True], counts[False, False])


def all_simulated(extras: Iterable[str | None], field: str) -> bool:
    """Return whether all records that have a field declare it simulated.

    Parameters
    ----------
    extras : iterable of str or None
        Further fields of records as JSON text.
    field : str
        Name of a field; its further field `FIELD_source` says how it came about.

    Returns
    -------
    bool
        False where no record states a source of the field.
    """
    known = [stored_json(extra) for extra in extras if extra and (f'"{field}_source"' in extra or f'"{field}"' in extra)]
    return bool(known) and all(each.get(f"{field}_source") == "simulated" for each in known)


def acted_pairs(rows: "DataFrame", model: "Model") -> list[tuple[bool, bool]]:
    """Return (followed, model right) for each prediction that logs an action and has a decision and a label.

    Parameters
    ----------
    rows : DataFrame
        Columns `decision` and `label` (index of the class, -1 unknown) and `extra` (further fields as JSON text).
    model : Model
        Its classes give the words of actions.

    Returns
    -------
    list of tuple
        Empty for a regression, and if no action is logged.
    """
    known = rows[(rows["decision"] >= 0) & (rows["label"] >= 0) & rows["extra"].notna()] if model.classes else rows.iloc[:0]
    pairs = []
    for decision, label, extra in zip(known["decision"], known["label"], known["extra"], strict=True):
        action = stored_json(extra).get(ACTION) if f'"{ACTION}"' in extra else None
        if action is not None and str(action) in model.classes:
            pairs.append((str(action) == model.classes[int(decision)], int(decision) == int(label)))
    return pairs
