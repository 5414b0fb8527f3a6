"""Export events in the form in which a store returns them, and the findings of trust/exports about them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from observability.analyzers.trust import exports
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.metrics.exports import EXPORT_COLUMNS

START = datetime(2026, 3, 2)
END = START + timedelta(days=7)
TAGS = {"name": {"tag": "personal"}, "age": {"tag": "quasi"}, "spend": {}}
ATTESTED = "sha256:5f2c"


def export(day: float = 1, **fields: Any) -> dict[str, Any]:
    """An export without faults, the given number of days after the start."""
    plain = {
        "text": "monthly extract", "recipient": "acme", "dataset": "customers", "columns": TAGS, "rows": 900, "transform": "hashed",
        "legal_basis": "contract", "k": 12.0,
    }  # fmt: skip
    return {"at": START + timedelta(days=day), **plain, **fields}


def noised(day: float = 1, **fields: Any) -> dict[str, Any]:
    """A release of noised counts: ε = 0.652 at δ = 1e-5."""
    mechanism = {"noise_multiplier": 6.0}
    return export(day, transform="noised", k=None, delta=1e-5, mechanism=mechanism, columns={"age": {}, "count": {}}, **fields)


def export_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Exports in the form in which the store returns `EXPORTS`."""
    frame = pd.DataFrame([dict.fromkeys(EXPORT_COLUMNS) | dict(row) for row in rows], columns=list(EXPORT_COLUMNS), dtype=object)
    return frame.assign(at=pd.to_datetime(frame["at"]).astype("datetime64[us]"))


def levels(*stated: Mapping[str, Any]) -> pd.DataFrame:
    """Owners' decisions about recipients, in the form in which the store returns `LEVELS`."""
    rows = [
        {"decision": f"d{place}", "at": START - timedelta(days=30 - place), "state": None, "extra": {"recipient": "acme", **extra}}
        for place, extra in enumerate(stated)
    ]
    frame = pd.DataFrame(rows, columns=["decision", "at", "state", "extra"], dtype=object)
    return frame.assign(at=pd.to_datetime(frame["at"]).astype("datetime64[us]"))


def stated_levels() -> pd.DataFrame:
    """The limits that the owner set for `acme`; exports without faults meet them."""
    return levels({"epsilon": 8.0, "k": 5, "attestation": ATTESTED})


def clean_exports(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Six extracts and three releases of noised counts within five weeks, at random times and with random k."""
    rows = [
        export(day, k=float(rng.integers(5, 40)), rows=int(rng.integers(50, 900)), attestation=ATTESTED) for day in rng.uniform(-25, 7, 6)
    ]
    return rows + [noised(day, dataset="counts", attestation=ATTESTED) for day in rng.uniform(-25, 7, 3)]


def export_findings(rows: Sequence[Mapping[str, Any]], decisions: pd.DataFrame | None = None, **counters: Any) -> list[Finding]:
    """The findings about the week that begins at START."""
    window = Window("", START.replace(tzinfo=UTC), END.replace(tzinfo=UTC))
    frames = {"exports": export_frame(rows), "decisions": levels() if decisions is None else decisions}
    return exports.analyze(frames, Context(EVERY_MODEL, NO_VERSION, window, window.end, 0.1, counters))
