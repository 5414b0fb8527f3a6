"""Weeks of calls to a language model, in the form of a Sample: variation between weeks and weekdays, topics, tokens, kinds of answers,
refusals.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from observability.analyzers.serving import call_drift
from observability.core.analyzer import Context
from observability.core.catalog import Column, Model, Version
from observability.core.finding import Finding
from observability.core.settings import ModelSettings
from observability.core.window import Window

START = datetime(2026, 3, 30, tzinfo=UTC)
"""The Monday on which the window begins."""
END = START + timedelta(days=7)
COLUMNS = (
    Column(1, "operation", "f1", "category"),
    Column(2, "topic", "f2", "category"),
    Column(3, "input_tokens", "f3", "number"),
    Column(4, "output_tokens", "f4", "number"),
    Column(5, "temperature", "f5", "number"),
)
MODEL = Model(1, "chat", columns=COLUMNS, versions=(Version("chat-1"),))
FEATURES = tuple(each.reference for each in COLUMNS)
TOPICS, KINDS = ("billing", "delivery", "refund", "account"), ("stop", "tool_calls", "length")
CONTEXT = Context(MODEL, MODEL.versions[0], Window("chat", START, END), END, budget=0.1 / 7 / 18)


def calls(
    rng: np.random.Generator,
    weeks: int = 8,
    a_day: int = 100,
    *,
    first_week: int | None = None,
    variation: float = 0.1,
    restless: float | None = None,
) -> pd.DataFrame:
    """Calls of the given number of weeks. They end at the start of the window, or begin `first_week` weeks after it.

    variation: the standard deviation between weeks of the logits of shares and of the logarithms of tokens; restless: that of the
    questions' tokens, if it differs.
    """
    parts = []
    for week in range(weeks):
        begin = START + timedelta(days=7 * (week - weeks if first_week is None else first_week + week))
        moved = rng.normal(0, variation, 6)
        moved[4] *= 1.0 if restless is None else restless / variation
        days = np.repeat(np.arange(7), rng.poisson(a_day * np.array([1.1, 1.1, 1.1, 1.1, 1.0, 0.5, 0.4])))
        n = len(days)
        parts.append(
            pd.DataFrame(
                {
                    "at": pd.Timestamp(begin.replace(tzinfo=None)) + pd.to_timedelta(days * 86400 + rng.integers(0, 86400, n), unit="s"),
                    "status": np.where(rng.random(n) < 0.02, "error", "ok").astype(object),
                    "prediction": rng.choice(np.array(KINDS, object), n, p=shares((0.7, 0.2, 0.1), moved[:3])),
                    "extra": np.where(rng.random(n) < 0.03, '{"refused": true}', '{"refused": false}').astype(object),
                    "feature.operation": rng.choice(np.array(["chat", "embeddings"], object), n, p=(0.8, 0.2)),
                    "feature.topic": rng.choice(np.array(TOPICS, object), n, p=shares((0.4, 0.3, 0.2, 0.1), moved[:4])),
                    "feature.input_tokens": np.round(rng.lognormal(5 + moved[4], 0.8, n) * np.where(days > 4, 1.2, 1.0)),
                    "feature.output_tokens": np.round(rng.lognormal(4 + moved[5], 0.7, n)),
                    "feature.temperature": 0.2,
                }
            )
        )
    found = pd.concat(parts, ignore_index=True).assign(
        **{"feature.output_tokens": lambda own: own["feature.output_tokens"].where(own["status"] == "ok")}
    )
    found["at"] = found["at"].astype("datetime64[us]")
    return found.assign(id=[f"c{place}" for place in range(len(found))])


def shares(usual: tuple[float, ...], moved: np.ndarray) -> np.ndarray:
    """The shares after their logits are moved by these amounts."""
    found = np.array(usual) * np.exp(moved)
    return found / found.sum()


def frames_of(
    seed: int, a_day: int = 100, variation: float = 0.1, weeks: int = 8, restless: float | None = None
) -> tuple[dict[str, pd.DataFrame], Context]:
    """Frames with a window in which nothing changes, and with the given number of weeks before it."""
    rng = np.random.default_rng(seed)
    past = calls(rng, weeks, a_day, variation=variation, restless=restless)
    return {"past": past, "current": calls(rng, 1, a_day, first_week=0, variation=variation, restless=restless)}, CONTEXT


def drift_findings(frames: Mapping[str, pd.DataFrame], **limits: float) -> dict[str, Finding]:
    """The findings by subject. limits: the owner's limits, by metric."""
    settings = ModelSettings(limits={f"{call_drift.NAME}/{name}": value for name, value in limits.items()})
    context = replace(CONTEXT, model=replace(MODEL, settings=settings))
    return {each.subject: each for each in call_drift.analyze(frames, context)}
