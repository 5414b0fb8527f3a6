"""Reports of devices that serve a model, without faults or with a planted fault."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.serving import edge_fleet
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.metrics.edge_fleet import REPORT_COLUMNS

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)


def device_reports(rng: np.random.Generator, *, fleet: int = 120, before: int = 28) -> list[dict[str, Any]]:
    """One report per device and day, in three device classes, with two firmware versions and one version of the model."""
    found = []
    for place in range(fleet):
        kind = ("phone", "tablet", "kiosk")[place % 3]
        clumsy = 0.006 * float(rng.gamma(0.5, 2.0))
        for day in range(-before, 7):
            at = START + timedelta(days=day, hours=20, minutes=float(rng.uniform(0, 60)))
            lag = float(rng.exponential(3.0)) + (30.0 if rng.random() < 0.01 else 0.0)
            answers = int(rng.poisson(60))
            compared = int(rng.binomial(answers, 0.3))
            found.append(
                {
                    "device": f"d{place:03}",
                    "at": at,
                    "model": "cough",
                    "version": "2",
                    "synced_at": at + timedelta(hours=lag),
                    "oldest_at": at - timedelta(hours=1),
                    "device_class": kind,
                    "firmware": ("5.1", "5.2")[place % 2],
                    "ring": f"ring {place % 4}",
                    "answers": answers,
                    "crashes": int(rng.random() < clumsy),
                    "out_of_memory": int(rng.random() < 0.002),
                    "compared": compared,
                    "agreed": compared - int(rng.binomial(compared, 0.004)),
                    "battery": float(rng.uniform(0.2, 1.0)),
                    "memory_peak_mb": float(rng.normal(180, 10)),
                    "latency_p99_ms": 40.0 + place % 7 + 3.0 * float(np.sin(7.0 * place + 3.0 * day)),
                    "source": "simulated",
                }
            )
    return found


def rolled_out_reports(rows: list[dict[str, Any]], *, days: int, crashes: float, ring: str = "ring 2") -> list[dict[str, Any]]:
    """The reports, after version 7 reached a ring the given number of days before the end of the week; a share of its devices crashes every
    day.
    """
    names = sorted({each["device"] for each in rows if each["ring"] == ring})
    bad = set(names[: round(crashes * len(names))])
    begins = START + timedelta(days=7 - days)
    return [
        each | {"version": "7", "crashes": int(each["device"] in bad)} if each["ring"] == ring and each["at"] >= begins else each
        for each in rows
    ]


def report_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Reports in the form in which the store returns them."""
    return pd.DataFrame(rows, columns=list(REPORT_COLUMNS)).astype(dict.fromkeys(("at", "synced_at", "oldest_at"), "datetime64[us]"))


def edge_findings(rows: list[dict[str, Any]], budget: float = 0.0143, counters: dict[str, Any] | None = None) -> list[Finding]:
    """The findings about the devices of the week."""
    frame = report_frame(rows)
    frames = {"reports": frame[frame["at"] >= START], "past reports": frame[frame["at"] < START], "versions": frame}
    end = END.replace(tzinfo=UTC)
    return edge_fleet.analyze(
        frames, Context(EVERY_MODEL, NO_VERSION, Window("", START.replace(tzinfo=UTC), end), end, budget, counters or {})
    )
