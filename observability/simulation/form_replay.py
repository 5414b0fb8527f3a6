"""Replay the analyzer operations/trade_offs on an audit of forms in which a fault is planted.

The fault is planted in one form, which then counts as the form in use. The twin, for comparison, is the same audit and form without the
fault. The store is only read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.analyzers.operations import trade_offs
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.metrics.form_decisions import FORM_DECISIONS
from observability.metrics.trade_offs import MIN_PROBES, PRECISION_AUDITS, TradeOffAudit, latest_audits, trade_off_audits
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_forms import FormFault, FormFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
BUDGET = 0.0143
MAX_FLIPS = 0.01
"""A form with a larger share of changed decisions is not a target, because it would be reported even without the fault."""


@dataclass(frozen=True)
class FormTarget:
    """A form in which a fault can be planted: its audit, its position in the audit, and the position of its second-largest slice."""

    audit: TradeOffAudit
    place: int
    slice_place: int


def replay_on_form(
    ask: Ask, fault: FormFault, strength: Strength, now: datetime, *, model: str | None = None, seed: int = 0
) -> RecordDetection:
    """Plant the fault in a form of the newest audits, for one model or for all. Raises UsageError if no form is suitable."""
    audits = latest_audits(trade_off_audits(ask(PRECISION_AUDITS, Window("", EPOCH, now))))
    return replay_form_fault([each for each in audits if model in (None, each.model)], fault, strength, seed)


def replay_form_fault(audits: list[TradeOffAudit], fault: FormFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in a form and evaluate its audit. Raises UsageError if no form is suitable."""
    targets = [target for audit in audits for target in form_targets(audit)]
    if not targets:
        wanted = f"a form beside the served one that changes at most {MAX_FLIPS:.0%} of decisions, with slices of {MIN_PROBES} rows"
        raise UsageError(
            f"no form to plant {fault.name} on", got=f"{len(audits)} audits", expected=wanted, attempt="Run the command trade-offs"
        )
    rng = np.random.default_rng([seed, 29])
    target = targets[int(rng.integers(len(targets)))]
    form = target.audit.results["forms"][target.place]
    planted = fault.plant(FormFaultPlant(form, target.slice_place, fault.amount(strength), rng))
    name = target.audit.forms[target.place].name
    again = [planted, chance_alone(form, rng)] if fault.repeated else [planted, form]
    seen = [form_findings(target.audit, target.place, each, before=form if fault.repeated else None) for each in again]
    part = target.audit.forms[target.place].slices[target.slice_place]
    detail = f"{part.column} {part.level}" if fault.metric == trade_offs.GAP else ""
    about = f"Forms of {target.audit.model} version {target.audit.version}; {name} counts as the form in use."
    return RecordDetection(
        fault, strength, "form", name, "audit", 1, f"form={name}", detail, 1, (DetectionLook(1, 0, seen[0], seen[1]),), about
    )


def form_targets(audit: TradeOffAudit) -> list[FormTarget]:
    """The forms of an audit (except the first) that have no finding of their own and at least two slices."""
    found = []
    for place, form in enumerate(audit.forms):
        rate = form.flip_rate
        if place == 0 or rate is None or rate.value is None or rate.value > MAX_FLIPS or len(form.slices) < 2 or form.fell_back:
            continue
        order = sorted(range(len(form.slices)), key=lambda each: -form.slices[each].n)
        found.append(FormTarget(audit, place, order[1]))
    return found


def chance_alone(form: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """The form as if it were measured again on other rows, so that it differs only by chance."""
    return {**form, "flips": int(rng.binomial(form["probes"], form["flips"] / form["probes"]))}


def form_findings(audit: TradeOffAudit, place: int, form: dict[str, Any], before: dict[str, Any] | None = None) -> tuple[Finding, ...]:
    """Findings about an audit in which one form is replaced and counts as the form in use. before: that form in an audit a day earlier."""
    import pandas as pd

    def row(own: dict[str, Any], days: int) -> dict[str, Any]:
        forms = [own if each == place else other for each, other in enumerate(audit.results["forms"])]
        results = {**audit.results, "forms": forms, "in_use": own["form"]}
        about = {"model": audit.model, "version": audit.version, "at": naive_utc(audit.at - timedelta(days=days)), "audit": "precision"}
        return about | {"results": results, "expires": None}

    frames = {
        "audits": pd.DataFrame([row(form, 0), *([row(before, 1)] if before is not None else [])]),
        "decisions": pd.DataFrame(columns=list(FORM_DECISIONS.columns or ())),
    }
    end = audit.at + timedelta(days=1)
    window = Window("", audit.at - timedelta(days=6), end)
    return tuple(worst_first(trade_offs.analyze(frames, Context(EVERY_MODEL, NO_VERSION, window, end, BUDGET))))
