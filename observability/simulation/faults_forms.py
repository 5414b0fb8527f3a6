"""Faults of a form of a model (such as the same model as fp16 or int8, in another runtime, or a smaller one): decisions that change
everywhere, in one group or since the previous audit; answers that cannot be repeated; another device than requested.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from observability.simulation.fault import NamedFault

FormRow = dict[str, Any]


@dataclass(frozen=True)
class FormFaultPlant:
    """Where and how strongly a fault is planted. form: a form in the results of an audit; slice_place: position of the slice that a fault
    of one group affects.
    """

    form: Mapping[str, Any]
    slice_place: int
    amount: float
    rng: np.random.Generator

    def with_flips(self, shares: Mapping[int, float], everywhere: float = 0.0) -> FormRow:
        """The form with additional changed decisions: a share of all decisions, and shares of the decisions in some slices."""
        slices, added, form = [dict(each) for each in self.form["slices"]], 0, dict(self.form)
        column = slices[self.slice_place]["column"] if slices else None
        for place, each in enumerate(slices):
            left = each["n"] - each["flips"]
            new = int(self.rng.binomial(left, min(shares.get(place, 0.0) + everywhere, 1.0)))
            each["flips"] += new
            added += new if each["column"] == column else 0
        if not shares:
            added = int(self.rng.binomial(form["probes"] - form["flips"], everywhere))
        most = max((each["flips"] for each in slices), default=0)
        flips = max(form["flips"] + added, most)
        return form | {"flips": min(flips, form["probes"]), "slices": slices}


@dataclass(frozen=True)
class FormFault(NamedFault):
    """A fault of a form of a model. repeated: whether an audit without the fault comes first and the fault is planted in a later audit."""

    section: str = "operations"
    repeated: bool = False


def lossy_form(plant: FormFaultPlant) -> FormRow:
    """A form changes a share of all decisions."""
    return plant.with_flips({}, plant.amount)


def form_hurts_a_group(plant: FormFaultPlant) -> FormRow:
    """A form changes a share of the decisions of one group."""
    return plant.with_flips({plant.slice_place: plant.amount})


def form_worse_than_before(plant: FormFaultPlant) -> FormRow:
    """A repeated audit finds that a form changes a larger share of all decisions than before."""
    return plant.with_flips({}, plant.amount)


def unstable_form(plant: FormFaultPlant) -> FormRow:
    """A form decides a share of the rows differently in another pass over them."""
    return {**plant.form, "unstable": max(int(plant.rng.binomial(plant.form["probes"], plant.amount)), 1)}


def silent_fallback(plant: FormFaultPlant) -> FormRow:
    """A form runs on the CPU although an accelerator was requested, and takes a multiple of the time."""
    slower = {name: plant.amount * plant.form[name] for name in ("latency_p50_ms", "latency_p99_ms") if name in plant.form}
    return {**plant.form, **slower, "provider": "cuda", "used_provider": "cpu"}


FAULTS: dict[str, FormFault] = {
    each.name: each
    for each in (
        FormFault("lossy_form", (0.012, 0.03, 0.1), "share of decisions", "form_flip_rate", lossy_form),
        FormFault("form_hurts_a_group", (0.05, 0.15, 0.4), "share of the group", "form_slice_gap", form_hurts_a_group),
        FormFault(
            "form_worse_than_before", (0.004, 0.008, 0.05), "share of decisions", "form_flip_rate", form_worse_than_before, repeated=True
        ),
        FormFault("unstable_form", (0.001, 0.01, 0.05), "share of rows", "form_unstable_rate", unstable_form),
        FormFault("silent_fallback", (2.0, 5.0, 20.0), "times the latency", "form_fallbacks", silent_fallback),
    )
}
