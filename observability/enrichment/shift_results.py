"""Computes the results of an audit of fairness under shift: the gaps between groups for each shift of a family, and the worst shift."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.enrichment.audit_curves import interval_json
from observability.metrics.shifted_fairness import (
    COLUMNS,
    DIVERGENCE,
    MIN_EFFECTIVE_ROWS,
    DecidedRows,
    GroupGap,
    Shift,
    group_gaps,
    group_rate,
    most_drifted,
    part_shifts,
    served_shift,
    worst_shift,
)
from observability.stats.arrays import Array
from observability.stats.interval import rate_interval
from observability.stats.reweighting import effective_rows

if TYPE_CHECKING:
    from pandas import DataFrame

CRITERION_RATES = {
    "demographic_parity": ("selection_rate",),
    "equalized_odds": ("true_positive_rate", "false_positive_rate"),
    "equal_opportunity": ("true_positive_rate",),
    "predictive_parity": ("precision",),
}
VISIBLE = 0.005
"""The shift of a single column to its served values is included if its divergence is at least this (in nats)."""
SHOWN_RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")
"""Rates whose gaps are reported in addition to those of the criterion."""


def column_arrays(inputs: "DataFrame") -> dict[str, Array]:
    """Features as arrays: floats with NaN, or objects with None if a value is missing."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    found: dict[str, Array] = {}
    for name in inputs:
        values = inputs[name]
        is_number = is_numeric_dtype(values.dtype) and not is_bool_dtype(values.dtype)
        found[str(name)] = values.to_numpy(np.float64) if is_number else values.astype(object).where(values.notna(), None).to_numpy(object)
    return found


def shift_family(rows: DecidedRows, inputs: "DataFrame", served: "DataFrame | None") -> list[Shift]:
    """The unweighted rows, then the shifts: of groups, of classes, to the served inputs, and of parts of the columns that drifted most.

    served: served rows with the same features. Without served rows, parts of the first columns are used.
    """
    columns = column_arrays(inputs)
    found = [Shift("none", "", "", np.ones(len(inputs)))]
    for name, values in rows.groups.items():
        found += part_shifts(name, "group", values)
    found += part_shifts("label", "class", np.where(rows.label, "positive", "negative").astype(object))
    names = list(columns)[:COLUMNS]
    if served is not None and len(served):
        asked = column_arrays(served.astype({name: inputs[name].dtype for name in inputs}))
        together = served_shift(columns, asked)
        drifted = most_drifted(columns, asked)
        found += [together] if together is not None else []
        found += [shift for _, shift in drifted if shift.divergence >= VISIBLE]
        names = [name for name, _ in drifted]
    for name in names:
        if name not in rows.groups:
            found += part_shifts(name, "column", columns[name])
    return found


def within_divergence(shift: Shift) -> bool:
    """Whether the divergence of a shift is small enough for the search of the worst shift."""
    return shift.divergence <= DIVERGENCE + 1e-6


def shift_words(shift: Shift) -> str:
    """The simulated shift of the inputs in words, for example `more night flights`."""
    if shift.kind == "none":
        return "as in the reference"
    if shift.kind == "served":
        return f"{shift.column} as served" if shift.column else "all inputs as served"
    return f"more {shift.part}" if shift.kind == "class" else f"more {shift.column} {shift.part}"


def shift_results(rows: DecidedRows, shifts: Sequence[Shift], criterion: str, seed: int) -> dict[str, Any]:
    """The results without their headline: `shifts`, each with its gaps by attribute and rate; `worst`, the worst shift with its measured
    gap (None if no groups can be compared); `groups`, the rates of the groups in the reference and under the worst shift.
    """
    rates = CRITERION_RATES[criterion]
    shown = tuple(dict.fromkeys((*rates, *SHOWN_RATES)))
    found = worst_shift(rows, [shift for shift in shifts if within_divergence(shift)], rates, seed)
    results: dict[str, Any] = {
        "criterion": criterion,
        "rates": list(rates),
        "divergence": DIVERGENCE,
        "shifts": [_shift_json(shift, group_gaps(rows, shift.weights, shown)) for shift in shifts],
        "worst": None,
    }
    if found is not None:
        shift, gap = found
        about = {"attribute": gap.attribute, "rate": gap.rate, "lowest": gap.lowest, "highest": gap.highest}
        results["worst"] = {**_shift_json(shift, ()), **about, "gap": interval_json(gap.difference)}
        results["groups"] = {gap.attribute: _group_rates(rows, shift, gap)}
    return results


def _shift_json(shift: Shift, gaps: Sequence[GroupGap]) -> dict[str, Any]:
    """The shift as a JSON object, with the gaps between groups under this shift."""
    made: dict[str, Any] = {"shift": shift_words(shift), "kind": shift.kind, "column": shift.column, "part": shift.part}
    facts = {"before": shift.before, "after": shift.after, "divergence": shift.divergence, "effective_rows": effective_rows(shift.weights)}
    made |= {name: None if value is None else round(value, 4) for name, value in facts.items()}
    for gap in gaps:
        ends = {"value": gap.difference.value, "low": gap.difference.low, "high": gap.difference.high}
        own = {name: None if value is None else round(value, 4) for name, value in ends.items()}
        made.setdefault("gaps", {}).setdefault(gap.attribute, {})[gap.rate] = own | {"lowest": gap.lowest, "highest": gap.highest}
    return made


def _group_rates(rows: DecidedRows, shift: Shift, gap: GroupGap) -> dict[str, Any]:
    """The rate of each group in the reference and under the shift. A group is left out if its rate in the reference is based on fewer than
    MIN_EFFECTIVE_ROWS rows.
    """
    levels = sorted({str(level) for level in rows.groups[gap.attribute] if level is not None})
    made: Mapping[str, Any] = {
        level: {
            name: interval_json(rate_interval(*group_rate(rows, weights, gap.attribute, level, gap.rate)))
            for name, weights in (("reference", np.ones(len(rows.label))), ("shifted", shift.weights))
        }
        for level in levels
    }
    return {
        level: {**each["reference"], "shifted": each["shifted"]}
        for level, each in made.items()
        if each["reference"]["n"] >= MIN_EFFECTIVE_ROWS
    }
