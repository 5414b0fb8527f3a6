"""Audit the rows of a dataset: which rows each check finds, and how dropping them affects the metric of a model."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.metrics import data_audit
from observability.metrics.audit_model import MAX_ALONE, AuditModel
from observability.metrics.data_audit import CONFLICTS, DUPLICATES, HELD_OUT, NEAR_DUPLICATES, OUTLIERS, SUSPECTS

if TYPE_CHECKING:
    from pandas import DataFrame, Series

Mask = np.ndarray[Any, np.dtype[np.bool_]]
Masks = dict[str, Mask]
EXAMPLES = 3
"""Number of examples of each check that a record stores."""


@dataclass(frozen=True)
class LabelledRows:
    """Rows to audit.

    names: the name of each row for examples; None: rows are numbered from 1. held_out: features and label of held-out rows. decided: a
    model, its version, and its decision for each row (None if unknown). rules: by the name of a person's own rule, which rows it drops.
    """

    features: "DataFrame"
    label: "Series[Any]"
    names: "Series[Any] | None" = None
    held_out: "tuple[DataFrame, Series[Any]] | None" = None
    decided: "tuple[str, str, Series[Any]] | None" = None
    rules: Masks = field(default_factory=dict)

    def name(self, place: int) -> str:
        """The name that a row has in examples."""
        return f"row {place + 1:,}" if self.names is None else str(self.names.iloc[place])


def audit_rows(
    rows: LabelledRows, *, seed: int = 0, effects: bool = True, say: Callable[[str], None] = lambda _: None
) -> tuple[dict[str, Any], Masks]:
    """Return the audit of the rows, in the form of `data_audit` in a dataset record; and masks of the rows that each check found and that
    each own rule drops.

    effects: whether models are fitted with and without the rows of each check and rule, which takes most of the time. If an own rule drops
    no row or all rows, no model is fitted for it. say: called with each step in words.
    """
    features, label = rows.features, rows.label
    say("comparing rows")
    table = features.assign(**{"label ": label.astype(str)})
    near, far = data_audit.near_duplicate_of(features), data_audit.outlying_values(features)
    masks: Masks = {
        DUPLICATES: data_audit.exact_duplicates(table),
        CONFLICTS: data_audit.conflicting_rows(features, label),
        NEAR_DUPLICATES: near >= 0,
        OUTLIERS: np.logical_or.reduce(list(far.values())) if far else np.zeros(len(features), bool),
    }
    held = None if rows.held_out is None else data_audit.held_out_overlap(features, label, *rows.held_out)
    model = AuditModel(features, label, seed)
    found: dict[str, Any] = {"rows": len(features), "seed": seed, "chance": data_audit.chance_of_equal_rows(features)}
    alone, own, answers = {}, None, None
    if model.obstacle is None:
        say("fitting a model for labels")
        answers, suspects = model.out_of_fold(), np.zeros(len(features), bool)
        suspects[model.places] = model.suspects(answers)
        if model.task != "regression":
            masks[SUSPECTS] = suspects
            own = _own_accuracy(rows, model, suspects)
        alone = dict(list(model.known_alone().items())[:MAX_ALONE])
        found |= {"model_rows": len(model.places), "measure": model.metric}
    masks |= rows.rules
    found |= {
        "rules": {name: int(mask.sum()) for name, mask in masks.items()},
        "near_duplicates_among": min(len(features), data_audit.MAX_NEAR),
        "outliers_by_column": {name: int(mask.sum()) for name, mask in far.items()},
        "columns_alone": {name: [share.value, share.low, share.high] for name, share in alone.items()},
        "held_out": None if held is None else held.record,
        "effects": {},
        "model_without_suspects": own,
        "no_model_because": model.obstacle,
        "examples": list(_examples(rows, masks, near, far, held, model, answers)),
    }
    if effects and answers is not None:
        for place, (name, mask) in enumerate(masks.items()):
            dropped = mask[model.places]
            if name in rows.rules and (dropped.all() or not dropped.any()):
                continue
            say(f"fitting with and without {name} ({place + 1} of {len(masks)})")
            found["effects"][name] = rule_effect_record(model, answers, dropped, seed)
    return found, masks


def rule_effect_record(model: AuditModel, answers: Any, dropped: Any, seed: int) -> dict[str, Any]:
    """Return how dropping rows affects the metric, in the form in which a record stores it. dropped: a mask of the model's rows."""
    effect = model.rule_effect(dropped)
    kept = np.flatnonzero(~dropped)
    without = model.score(kept, answers[kept]) if kept.size else float("nan")
    return {
        "metric": effect.metric,
        "before": effect.before,
        "after": effect.after if np.isfinite(effect.after) else None,
        "low": effect.low,
        "high": effect.high,
        "metric_of_kept_rows": without if np.isfinite(without) else None,
        "seeds": [seed],
    }


def _own_accuracy(rows: LabelledRows, model: AuditModel, suspects: Any) -> dict[str, Any] | None:
    """The accuracy of the served version with and without suspect labels; None if it cannot be computed."""
    if rows.decided is None:
        return None
    name, version, decision = rows.decided
    parts = (decision.iloc[model.places], rows.label.iloc[model.places], suspects[model.places])
    return data_audit.accuracy_without_suspects(name, version, *parts)


def _examples(
    rows: LabelledRows, masks: Masks, near: Any, far: Mapping[str, Any], held: Any, model: AuditModel, answers: Any
) -> Iterator[dict[str, Any]]:
    """Yield up to EXAMPLES rows for each check: the row, the row that it is compared with, and the values in which the two differ."""
    features, label = rows.features, rows.label
    table = features.assign(label=label) if "label" not in features else features
    first = _first_of(data_audit.row_keys(features.assign(**{"label ": label.astype(str)})))
    for place in np.flatnonzero(masks[DUPLICATES])[:EXAMPLES]:
        yield {"check": DUPLICATES, "row": rows.name(place), "with": rows.name(first[place]), "differs": {}}
    keys, texts = data_audit.row_keys(features), data_audit.label_texts(label)
    for place in np.flatnonzero(masks[CONFLICTS] & (_first_of(keys) < np.arange(len(keys))))[:EXAMPLES]:
        others = np.flatnonzero(keys == keys[place]).tolist()
        other = next(each for each in others if texts[each] != texts[place])
        both = {"label": [texts[place], texts[other]]}
        yield {"check": CONFLICTS, "row": rows.name(place), "with": rows.name(other), "differs": both}
    for place in np.flatnonzero(masks[NEAR_DUPLICATES])[:EXAMPLES]:
        yield {
            "check": NEAR_DUPLICATES,
            "row": rows.name(place),
            "with": rows.name(near[place]),
            "differs": _differences(table, place, near[place]),
        }
    for name, mask in sorted(far.items(), key=lambda item: -int(item[1].sum()))[:EXAMPLES]:
        place = int(np.flatnonzero(mask)[0])
        yield {"check": OUTLIERS, "row": rows.name(place), "with": None, "differs": {name: [_plain(features[name].iloc[place]), None]}}
    if SUSPECTS in masks and answers is not None:
        own = np.flatnonzero(masks[SUSPECTS][model.places])
        for place in own[np.argsort(answers[own, model.y[own]], kind="stable")][:EXAMPLES]:
            said, likely = model.classes[model.y[place]], model.classes[int(answers[place].argmax())]
            yield {"check": SUSPECTS, "row": rows.name(int(model.places[place])), "with": None, "differs": {"label": [said, likely]}}
    if held is not None and rows.held_out is not None:
        held_texts = data_audit.label_texts(rows.held_out[1])
        for place, twin in held.pairs[:EXAMPLES]:
            differs = {} if held_texts[place] == texts[twin] else {"label": [held_texts[place], texts[twin]]}
            yield {"check": HELD_OUT, "row": f"held-out row {place + 1:,}", "with": rows.name(twin), "differs": differs}


def _first_of(keys: Any) -> Any:
    """For each row, the place of the first row with the same key."""
    _, first, place = np.unique(keys, return_index=True, return_inverse=True)
    return first[place]


def _differences(table: "DataFrame", place: int, other: int) -> dict[str, list[Any]]:
    """For each column in which two rows differ, both values."""
    pairs = ((str(name), _plain(table[name].iloc[place]), _plain(table[name].iloc[other])) for name in table)
    return {name: [one, two] for name, one, two in pairs if one != two}


def _plain(value: Any) -> Any:
    """A value in a form that JSON can hold; None if it is missing."""
    if value is None or value != value:
        return None
    value = value.item() if isinstance(value, np.generic) else value
    return value if isinstance(value, str | int | float | bool) else str(value)
