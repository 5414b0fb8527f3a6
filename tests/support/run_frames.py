"""Frames of training runs (one process, several processes, a loss), and the analyzer's findings about them."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from observability.analyzers.training.runs import ANALYZER
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import Finding
from observability.core.window import Window
from observability.records.kinds import KINDS

START = datetime(2026, 3, 2, tzinfo=UTC)
END = START + timedelta(days=7)
FIELDS = {kind: [name for name in KINDS[kind].fields if name != "received_at"] for kind in ("run", "step", "resource", "event")}


def frame_of(kind: str, records: list[dict]) -> pd.DataFrame:
    """Records as the store returns them."""
    texts = {"rank", "seed"}
    rows = pd.DataFrame(index=range(len(records)))
    for name in FIELDS[kind]:
        values = [record.get(name) for record in records]
        if name == "at":
            rows[name] = pd.to_datetime(values, utc=True, format="ISO8601").tz_localize(None).astype("datetime64[us]")
        elif name == "step":
            rows[name] = pd.array(values, dtype="Int64")
        else:
            cells = [str(each) if each is not None and name in texts else each for each in values]
            rows[name] = pd.Series(cells, dtype=object, index=rows.index)
    return rows


def context(now: datetime = END, start: datetime = START) -> Context:
    return Context(EVERY_MODEL, NO_VERSION, Window("", start, END), now)


def said(records: list[dict], asked: Context | None = None) -> list[Finding]:
    """The analyzer's findings about some records."""
    frames = {
        name: frame_of(kind, [each for each in records if each["kind"] == kind])
        for name, kind in (("runs", "run"), ("steps", "step"), ("resources", "resource"), ("events", "event"))
    }
    return ANALYZER.analyze(frames, asked or context())


def only(found: list[Finding], metric: str) -> Finding:
    (one,) = [each for each in found if each.metric == metric]
    return one


def a_run(metrics: dict[str, object], name: str = "one", *, ended: str | None = "finished", every: float = 30.0, **fields) -> list[dict]:
    """A run with one value of each metric in every step."""
    common = {"run": name, "model": "loan"}
    records = [{"kind": "run", **common, "event": "start", "at": START.isoformat(), **fields}]
    n = len(next(iter(metrics.values()), []))
    for i in range(n):
        at = (START + timedelta(seconds=every * (i + 1))).isoformat()
        values = {key: word(series[i]) for key, series in metrics.items() if series[i] is not None}
        records.append({"kind": "step", "run": name, "at": at, "step": i + 1, "metrics": values})
    if ended:
        records.append(
            {"kind": "run", **common, "event": "end", "at": (START + timedelta(seconds=every * (n + 1))).isoformat(), "status": ended}
        )
    return records


def word(value: float) -> object:
    """A number in the form in which it is logged."""
    return "NaN" if np.isnan(value) else ("Infinity" if value > 0 else "-Infinity") if np.isinf(value) else float(value)


def loss(n: int = 120, seed: int = 0, sd: float = 0.01) -> np.ndarray:
    return 0.3 + 2 * np.arange(1, n + 1) ** -0.35 + np.random.default_rng(seed).normal(0, sd, n)


def distributed(
    slow: float = 1.0, phase: str = "data", n: int = 40, ranks: int = 4, seed: int = 0, *, wait: bool = True
) -> tuple[list[dict], dict[str, np.ndarray]]:
    """A run of several ranks that wait for each other; rank 2 is slow in one phase. Returns the records, and the working times from which
    they were made.
    """
    rng = np.random.default_rng(seed)
    work = {"compute": rng.normal(200, 6, (ranks, n)), "data": rng.normal(60, 3, (ranks, n))}
    work[phase][2] *= slow
    own = work["compute"] + work["data"]
    communication = 20 + (own.max(axis=0) - own if wait else 0)
    records = [{"kind": "run", "run": "many", "event": "start", "at": START.isoformat()}]
    curve = loss(n)
    for i in range(n):
        for rank in range(ranks):
            spent = {"compute": work["compute"][rank, i], "data": work["data"][rank, i], "communication": communication[rank, i]}
            records.append(
                {
                    "kind": "step", "run": "many", "step": i + 1, "at": (START + timedelta(seconds=i + rank / 100)).isoformat(), "rank": rank,
                    "metrics": {"train_loss": float(curve[i] + (rank - 1.5) / 10)}, "phase_ms": spent,
                }
            )  # fmt: skip
    records.append(
        {"kind": "run", "run": "many", "event": "end", "at": (START + timedelta(seconds=n + 1)).isoformat(), "status": "finished"}
    )
    return records, work
