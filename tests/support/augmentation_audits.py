"""Audits of kind `augmentation`, made from simulated training runs without any effect or with chosen effects."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.training import studies
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.metrics.augmentation import augmentation_results

AT = datetime(2026, 3, 4, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 9, tzinfo=UTC)
REGIONS, SHARES = ("north", "south", "east"), (0.5, 0.3, 0.2)


def predictions(
    rng: np.random.Generator, *, rows: int = 2000, seeds: int = 8, gain: float = 0.0, harm: float = 0.0, changed: float = 0.0
) -> pd.DataFrame:
    """Decisions of models trained with and without an augmentation; each row has its own probability of a right decision.

    gain: share of the rows that become right through the augmentation; harm: share of the rows of `south` that become wrong; changed: share
    of copies whose label it changes.
    """
    label, region = rng.integers(0, 2, rows), rng.choice(REGIONS, size=rows, p=SHARES)
    chance = rng.beta(6, 1.2, rows)
    better, worse, other = rng.random(rows) < gain, (rng.random(rows) < harm) & (region == "south"), rng.random(rows) < changed
    tables = []
    for seed in range(seeds):
        without, copied = rng.random(rows) < chance, rng.random(rows) < 0.97 * chance
        with_it = ((rng.random(rows) < chance) | better) & ~worse
        decided = {key: np.where(right, label, 1 - label) for key, right in (("without", without), ("with", with_it))}
        decided["copy"] = np.where(copied & ~other, label, 1 - label)
        losses = {"loss_without": 0.30 + 0.01 * rng.random(), "loss_with": 0.36 + 0.01 * rng.random()}
        tables.append(pd.DataFrame({"row": np.arange(rows), "seed": seed, "label": label, "region": region, **decided}).assign(**losses))
    return pd.concat(tables, ignore_index=True)


def numeric_predictions(
    rng: np.random.Generator, *, rows: int = 1500, seeds: int = 8, gain: float = 0.0, harm: float = 0.0
) -> pd.DataFrame:
    """Predicted numbers of models trained with and without an augmentation. Each has an error of its row and an error of its seed.

    gain: share by which the augmentation shrinks the errors of all rows; harm: share by which errors in the rows of `south` grow. The
    errors of copies are a fifth larger.
    """
    label, region = rng.normal(100, 20, rows), rng.choice(REGIONS, size=rows, p=SHARES)
    own, size = rng.normal(0, 8, rows), (1 - gain) * np.where(region == "south", 1 + harm, 1.0)
    tables = []
    for seed in range(seeds):
        without, with_it, copied = (own + rng.normal(0, 1.5, rows) for _ in range(3))
        decided = {"without": label + without, "with": label + size * with_it, "copy": label + 1.2 * copied}
        tables.append(pd.DataFrame({"row": np.arange(rows), "seed": seed, "label": label, "region": region, **decided}))
    return pd.concat(tables, ignore_index=True)


def audit_row(results: dict[str, Any], **more: Any) -> dict[str, Any]:
    """An audit of version 3 of the model `loan`, in the form in which the store returns it."""
    about = {"model": "loan", "version": "3", "at": AT.replace(tzinfo=None), "audit": "augmentation", "expires": None}
    return {**about, "results": {"in_use": True, **results, **more}}


def simulated_audit(seed: int, **effects: Any) -> dict[str, Any]:
    """The audit of simulated training runs."""
    return audit_row(augmentation_results(predictions(np.random.default_rng(seed), **effects), "jitter", ("region",)))


def augmentation_findings(rows: list[dict[str, Any]], budget: float = 0.0143) -> list[Finding]:
    """The findings about some audits of the week."""
    frames = {"audits": pd.DataFrame(rows, columns=list(studies.AUDITS.columns or ()))}
    return studies.analyze(frames, Context(EVERY_MODEL, NO_VERSION, Window("", NOW - timedelta(days=7), NOW), NOW, budget))
