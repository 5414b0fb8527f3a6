"""Two sets of records without faults for the scenario lab: a synthetic one, and a real one (the flights of the sample fleet).

The model `credit` logs everything that a service can log: replicas, devices, subjects, groups, latency, energy, cost. Its labels are drawn
from a logistic model of its features and its scores are the same probabilities, so that it is calibrated and fair by construction.
"""

import tomllib
from pathlib import Path

import numpy as np

from observability.cli.demo_fleet import defaults_of, request_of
from observability.core.catalog import Column
from observability.simulation.clean_log import SimulationBase
from observability.simulation.log_from_store import simulation_base
from observability.simulation.log_rows import LogRows
from observability.store.db.database import Database
from observability.store.opener import open_store

SAMPLE = Path(__file__).parents[2] / "sample_data"

COLUMNS = tuple(
    Column(place + 1, name, f"f{place + 1}", kind, role, sensitive)
    for place, (name, kind, role, sensitive) in enumerate(
        [
            ("income", "number", "feature", False),
            ("age", "number", "feature", False),
            ("debt", "number", "feature", False),
            ("tenure", "number", "feature", False),
            ("hour", "number", "feature", False),
            ("region", "category", "feature", False),
            ("channel", "category", "feature", False),
            ("sex", "category", "group", True),
        ]
    )
)
REGIONS, CHANNELS = ("north", "south", "east", "west"), ("web", "app", "branch")
REPLICAS, DEVICES = ("r1", "r2", "r3", "r4"), ("phone", "tablet", "desktop", "kiosk")


def draw(rng: np.random.Generator, size: int) -> LogRows:
    """New applicants, drawn independently of each other."""
    income = rng.lognormal(10.3, 0.45, size)
    age = np.round(rng.normal(42, 12, size).clip(18, 90), 1)
    debt = np.round(0.4 * income * rng.gamma(2.0, 0.5, size), 2)
    tenure = rng.gamma(2.0, 3.0, size)
    hour = np.floor(rng.beta(3, 3, size) * 24)
    region = rng.choice(np.array(REGIONS, object), size, p=[0.4, 0.3, 0.2, 0.1])
    channel = rng.choice(np.array(CHANNELS, object), size, p=[0.5, 0.35, 0.15])
    linked = (
        -0.4
        - 1.1 * (np.log(income) - 10.3) / 0.45
        + 0.9 * (np.log(debt) - np.log(income) + 1.1) / 0.8
        - 0.5 * (age - 42) / 12
        - 0.04 * (tenure - 6)
        + 0.5 * (region == "south")
        - 0.4 * (channel == "branch")
        + 0.03 * (hour - 12)
    )
    score = 1 / (1 + np.exp(-linked))
    missing = rng.random(size) < 0.02
    return LogRows(
        {
            "feature.income": income,
            "feature.age": age,
            "feature.debt": debt,
            "feature.tenure": np.where(missing, np.nan, tenure),
            "feature.hour": hour,
            "feature.region": region,
            "feature.channel": channel,
            "group.sex": rng.choice(np.array(("F", "M"), object), size, p=[0.4, 0.6]),
            "score": np.round(score, 6),
            "label": (rng.random(size) < score).astype(float),
            "latency_ms": np.round(rng.lognormal(3.4, 0.4, size), 3),
            "energy_j": np.round(rng.gamma(20, 0.1, size), 5),
            "cost": np.round(rng.gamma(30, 1e-5, size), 8),
            "replica": rng.choice(np.array(REPLICAS, object), size),
            "device": rng.choice(np.array(DEVICES, object), size, p=[0.4, 0.2, 0.3, 0.1]),
            "subject": np.array([f"s{each}" for each in rng.zipf(2.0, size).clip(max=50_000)], object),
        }
    )


def credit(seed: int = 0, reference_rows: int = 10_000) -> SimulationBase:
    """The synthetic log."""
    rng = np.random.default_rng([seed, 3])
    return SimulationBase(
        "credit", "binary", ("0", "1"), COLUMNS, draw(rng, reference_rows), draw(rng, 20_000), draw=draw,
        hours=tuple((1 + 0.6 * np.sin((np.arange(24) - 8) / 24 * 2 * np.pi)).tolist()), source_note="Made of nothing, calibrated and fair by construction.",
    )  # fmt: skip


def fleet_store(name: str, home: Path) -> Database:
    """A store with the first version of one model of the sample fleet. The caller closes it."""
    fleet = tomllib.loads((SAMPLE / "fleet.toml").read_text(encoding="utf-8"))
    entry = next(each for each in fleet["model"] if each["name"] == name)
    store = open_store(home, threads=2)
    try:
        store.register(request_of(entry, SAMPLE))
        for each in fleet["file"]:
            if each.get("model") == name and each.get("version") in (None, entry["version"]):
                store.load_files([SAMPLE / each["path"]], defaults_of(each))
    except BaseException:
        store.close()
        raise
    return store


def of_the_fleet(name: str, home: Path, seed: int = 0) -> SimulationBase:
    """A model of the sample fleet as the basis of simulations: half of its reference rows are the baseline, and the days are drawn from the
    other half.
    """
    store = fleet_store(name, home)
    try:
        return simulation_base(store, name, source="reference", seed=seed)
    finally:
        store.close()
