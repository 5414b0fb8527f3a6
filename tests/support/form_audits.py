"""Audits of kind `precision` with forms of a model (other precisions or runtimes), without faults or with chosen figures."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.operations import trade_offs
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.metrics.form_decisions import FORM_DECISIONS
from observability.metrics.trade_offs import TradeOffAudit, trade_off_audits

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 9, tzinfo=UTC)
LEVELS = {"carrier": {"AA": 0.5, "DL": 0.3, "HA": 0.2}, "origin": {"JFK": 0.6, "EWR": 0.4}}


def clean_form(rng: np.random.Generator, name: str, rate: float = 0.004, probes: int = 4000) -> dict[str, Any]:
    """A form that changes the same small share of decisions in every slice."""
    changed = rng.random(probes) < rate
    slices = []
    for column, shares in LEVELS.items():
        level = rng.choice(list(shares), size=probes, p=list(shares.values()))
        slices += [
            {"column": column, "level": each, "n": int((level == each).sum()), "flips": int(changed[level == each].sum())}
            for each in shares
        ]
    figures = {"latency_p50_ms": 0.2, "latency_p99_ms": 0.5, "energy_j": 0.01, "energy_source": "assumed", "bytes": 40_000}
    about = {"form": name, "parent": "as served", "runtime": "ONNX Runtime", "precision": "int8", "provider": "cpu", "used_provider": "cpu"}
    return about | figures | {"probes": probes, "flips": int(changed.sum()), "unstable": 0, "max_delta": 0.03, "slices": slices}


def audit_row(forms: list[dict[str, Any]], **results: Any) -> dict[str, Any]:
    """An audit of version 3 of the model `loan`, with its served form and other forms, in the form in which the store returns it."""
    served = clean_form(np.random.default_rng(0), "as served", 0.0) | {
        "parent": None,
        "latency_p50_ms": 0.9,
        "latency_p99_ms": 2.0,
        "bytes": 400_000,
    }
    return {
        "model": "loan",
        "version": "3",
        "at": AT.replace(tzinfo=None),
        "audit": "precision",
        "results": {"probes": 4000, "probes_from": "predictions", "forms": [served, *forms]} | results,
        "expires": (AT + timedelta(days=180)).replace(tzinfo=None),
    }


def form_audits(rows: list[dict[str, Any]]) -> list[TradeOffAudit]:
    """The audits in these rows."""
    return trade_off_audits(pd.DataFrame(rows))


def trade_off_findings(
    rows: list[dict[str, Any]], decisions: list[dict[str, Any]] | None = None, *, now: datetime = NOW, budget: float = 0.0143
) -> list[Finding]:
    """The findings about some audits of the week."""
    columns = {"audits": list(trade_offs.PRECISION_AUDITS.columns or ()), "decisions": list(FORM_DECISIONS.columns or ())}
    frames = {
        "audits": pd.DataFrame(rows, columns=columns["audits"]),
        "decisions": pd.DataFrame(decisions or [], columns=columns["decisions"]),
    }
    return trade_offs.analyze(frames, Context(EVERY_MODEL, NO_VERSION, Window("", NOW - timedelta(days=7), NOW), now, budget))
