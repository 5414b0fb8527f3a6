"""Decisions of a model that steers a queue, without faults or with a planted fault."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.operations import controllers
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.metrics.controllers import DECISION_COLUMNS

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)
WINDOW = Window("", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
GAIN = 0.9
"""The cost of the model's decisions, as a multiple of the cost of the heuristic's."""


def controller_decisions(
    rng: np.random.Generator, *, an_hour: int = 12, before: int = 28, gain: float = GAIN, pairs: bool = True, shares: bool = True
) -> pd.DataFrame:
    """Decisions in the form in which the store returns them. The load is correlated over hours; the heuristic steers a quarter of the
    six-hour periods, and a guardrail steers one decision in a hundred.
    """
    hours = 24 * (before + 7)
    load = np.empty(hours)
    load[0] = rng.normal(0, 0.3)
    for hour in range(1, hours):
        load[hour] = 0.8 * load[hour - 1] + rng.normal(0, 0.18)
    n = hours * an_hour
    hour = np.repeat(np.arange(hours), an_hour)
    at = START - timedelta(days=before) + pd.to_timedelta(np.sort(hour + rng.random(n)), unit="h")
    weeks = [rng.permutation(28) < 7 for _ in range(-(-hours // 168))]
    heuristic = np.repeat(np.concatenate(weeks)[-(hours // 6) :], 6 * an_hour) if shares else np.zeros(n, bool)
    expected = 40 * np.exp(load[hour])
    noise = rng.lognormal(-0.125, 0.5, n)
    base = expected * noise * rng.lognormal(-0.02, 0.2, n)
    outcome = np.where(heuristic, expected * noise, gain * expected * noise)
    predicted = gain * expected
    guarded = ~heuristic & (rng.random(n) < 0.01)
    rows: list[dict[str, Any]] = []
    for place in range(n):
        extra = {"baseline": "queue 1", "unit": "ms", "system": "scheduler"}
        extra |= {"score_low": predicted[place] * 0.388, "score_high": predicted[place] * 2.009}
        if heuristic[place]:
            extra["steered_by"] = "heuristic"
        label: dict[str, Any] = {"value": str(outcome[place])}
        if pairs and not heuristic[place]:
            label["baseline_outcome"] = base[place]
        features = {
            "load": float(load[hour[place]] + rng.normal(0, 0.3)),
            "waiting": int(rng.poisson(4)),
            "kind": str(rng.choice(["a", "b"])),
        }
        rows.append(
            {
                "id": f"d{place}", "at": at[place], "model": "queue-model", "version": "1",
                "status": "fallback" if guarded[place] else "ok",
                "prediction": f"queue {place % 3}", "score": float(predicted[place]), "features": features, "label": label, "extra": extra,
            }
        )  # fmt: skip
    return decision_frame(rows)


def decision_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Decisions in the form in which the store returns them."""
    frame = pd.DataFrame(rows, columns=list(DECISION_COLUMNS))
    frame["at"] = pd.to_datetime(frame["at"]).astype("datetime64[us]")
    return frame


def controller_findings(decisions: pd.DataFrame, budget: float = 0.0143) -> list[Finding]:
    """The findings about the decisions of the week."""
    context = Context(EVERY_MODEL, NO_VERSION, WINDOW, WINDOW.end, budget)
    return controllers.analyze({"decisions": decisions}, context)
