"""Streams without faults, on which false alarms are counted: any number of weeks, loaded into a real store and checked week by week.

iid: every row is drawn from the same distribution. varied: traffic and values have a weekly pattern; days are correlated (intra-day
correlation 0.05 of every feature, of the label given the score, and of latency); and a yearly season stays below the smallest effect that
matters (0.1 standard deviations, half a point of the label's probability).
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from observability.core.finding import Finding
from observability.monitoring import check
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest

START = datetime(2020, 1, 6, tzinfo=UTC)
WARM_UP = 5
"""The number of weeks before the first judged week."""
NUMBERS, CATEGORIES = ("age", "income", "balance", "tenure", "usage"), ("region", "plan")
FEATURES = (*NUMBERS, *CATEGORIES)
JUDGED = (
    "data/quality", "serving/calibration", "serving/drift", "serving/estimated_performance", "serving/latency", "serving/performance",
    "trust/fairness",
)  # fmt: skip
CORRELATION, SEASON = 0.05, 0.1
SETTINGS = '[settings]\nfairness_criterion = "equalized_odds"\n'


def latent(rng: np.random.Generator, day: np.ndarray, *, varied: bool) -> np.ndarray:
    """A standard normal number for each row. varied: rows of the same day, the same weekday and the same season share a part of it."""
    own = rng.normal(0, 1, day.size)
    if not varied:
        return own
    shared = rng.normal(0, 1, int(day.max()) + 1)
    phase, lift = rng.uniform(0, 2 * np.pi), rng.uniform(-0.15, 0.15)
    season = SEASON * np.sin(2 * np.pi * day / 365.25 + phase)
    return np.sqrt(1 - CORRELATION) * own + np.sqrt(CORRELATION) * shared[day] + season + np.where(day % 7 >= 5, lift, 0.0)


def rows(seed: int, *, task: str, weeks: int, a_day: int, varied: bool) -> pd.DataFrame:
    """Predictions with their labels, for `weeks` weeks from START on."""
    rng = np.random.default_rng(seed)
    usual = np.full(7, a_day) if not varied else a_day * np.array([1.15, 1.1, 1.1, 1.1, 1.05, 0.8, 0.7])
    size = rng.poisson(np.tile(usual, weeks))
    day = np.repeat(np.arange(7 * weeks), size)
    hidden = [latent(rng, day, varied=varied) for _ in range(9)]
    frame = pd.DataFrame({
        "at": pd.Timestamp(START) + pd.to_timedelta(day * 86_400 + np.sort(rng.uniform(0, 86_400, day.size)), unit="s"),
        "age": 40 + 12 * hidden[0], "income": np.exp(10 + 0.6 * hidden[1]), "balance": np.round(hidden[2] * 3, 1),
        "tenure": np.where(hidden[3] < -0.5, 0.0, hidden[3] ** 2), "usage": hidden[4],
        "region": np.array(["north", "south", "east", "west"])[np.digitize(hidden[5], [-0.7, 0.2, 1.2])],
        "plan": np.array(["basic", "plus", "gold"])[np.digitize(hidden[6], [0.0, 1.3])],
        "sex": np.array(["F", "M"])[(rng.random(day.size) < 0.45).astype(int)],
        "replica": np.array(["r1", "r2", "r3"])[rng.integers(0, 3, day.size)],
        "latency_ms": np.exp(3 + 0.5 * hidden[7]), "status": np.where(rng.random(day.size) < 0.003, "timeout", "ok"),
    }).sort_values("at", ignore_index=True)  # fmt: skip
    line = 0.9 * hidden[0] + 0.7 * hidden[4] - 0.5 * hidden[3] + np.where(frame["plan"] == "gold", 0.6, 0.0) - 0.4
    luck = hidden[8]
    if task == "regression":
        frame["score"] = 50 + 10 * line
        frame["label"] = frame["score"] + 8 * luck
    else:
        frame["score"] = 1 / (1 + np.exp(-line))
        from scipy.special import ndtr

        frame["label"] = (ndtr(luck) < frame["score"]).astype(int)
    return frame.assign(id=[f"p{seed}-{place}" for place in range(day.size)])


def build(home: Path, *, task: str = "binary", weeks: int, a_day: int = 500, varied: bool = False, seed: int = 1) -> Database:
    """A store with one model of such a stream. The reference is 60 days of the same stream, a year earlier."""
    store = open_store(home, threads=2)
    reference = rows(seed + 1000, task=task, weeks=9, a_day=max(a_day, 200), varied=varied)
    reference.drop(columns=["id", "latency_ms", "status", "replica", "at"]).to_parquet(home / "reference.parquet")
    (home / "settings.toml").write_text(SETTINGS)
    request = RegistrationRequest(
        model="clean", version="1", reference=home / "reference.parquet", task=task, label="label", score=("score",), features=FEATURES,
        sensitive=("sex",), settings=home / "settings.toml" if task == "binary" else None,
    )  # fmt: skip
    store.register(request)
    stream = rows(seed, task=task, weeks=weeks + WARM_UP, a_day=a_day, varied=varied)
    stream.to_parquet(home / "rows.parquet")
    report = store.load_files([home / "rows.parquet"], LoadDefaults("prediction", "clean", "1", FEATURES))
    assert report.rejected == 0, report.reasons
    (home / "rows.parquet").unlink()
    return store


def checked(store: Database, weeks: int, only: tuple[str, ...] = JUDGED) -> Iterator[tuple[int, list[Finding]]]:
    """Each week after the warm-up, with its findings as of the end of the week."""
    for week in range(WARM_UP, WARM_UP + weeks):
        start, end = START + timedelta(weeks=week), START + timedelta(weeks=week + 1)
        report = check.check(store, model="clean", start=start, end=end, now=end, only=only, with_records=False, reads="counts")
        yield week, list(report.findings)


def alarms(found: list[Finding]) -> Counter[tuple[str, str]]:
    """The number of `act` and `watch` findings of a week, by severity and analyzer."""
    return Counter((each.severity, each.analyzer) for each in found if each.severity in ("act", "watch"))
