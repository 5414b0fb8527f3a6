"""Faults of audits, batches, dataset versions, stored forms and attributions are named by their analyzers; without the fault nothing is
raised.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.catalog import Column, Model, Version
from observability.core.errors import UsageError
from observability.core.finding import needs_action
from observability.core.settings import ModelSettings
from observability.core.window import Window
from observability.detection.audit_history import KINDS
from observability.enrichment.audit_curves import interval_json
from observability.metrics.form_decisions import FORM_DECISIONS
from observability.metrics.prices import PRICE_COLUMNS
from observability.simulation.faults_frames import AUDITS, DATASETS, EXPLANATIONS, FAULTS, GATE, GUARD, STORAGE
from observability.simulation.frame_replay import replay_frame_fault
from observability.stats.interval import rate_interval
from tests.support.attribution_frames import NAMES, START, attributions, served
from tests.support.length import repeats, some
from tests.support.storage_reports import storage_frame
from tests.support.stored_forms import media_audit, storage_audit, stored_form

RUNS, CLEAN = repeats(3, 50), repeats(5, 300)
END = START + timedelta(days=7)
VERSION = Version("3", START, NAMES, {}, reference_rows=500, artifact="artifacts/1/3/lightgbm-0.txt")
MODEL = Model(1, "loan", "binary", ("0", "1"), versions=(VERSION,))
CONTEXT = Context(MODEL, VERSION, Window("loan", START, END, "3"), END, budget=0.014)
HELD = {"robustness": 0.8, "membership": 0.02, "explanations": 0.9, "fairness": 0.05, "leakage": 0.3}
Frames = Mapping[str, pd.DataFrame]


def audits(seed: int) -> tuple[Frames, Context]:
    """One audit of each kind, on 400 rows."""
    rng, rows = np.random.default_rng(seed), []
    for kind in KINDS:
        head = {**interval_json(rate_interval(float(rng.binomial(400, HELD[kind])), 400)), "at": 0.1}
        results: dict[str, Any] = {"headline": head}
        if kind == "leakage":
            overlap = {**interval_json(rate_interval(float(rng.binomial(400, 0.02)), 400)), "at": "served"}
            sides = {"held": {"are": "rows"}, "training": {"are": "others"}, "among_training": {"value": 0.0}}
            results |= {"further": {"training_overlap": overlap}, "overlaps": [sides]}
        row = {"model": "loan", "version": "3", "at": START.replace(tzinfo=None), "audit": kind, "results": results}
        rows.append(row | {"expires": START.replace(tzinfo=None) + timedelta(days=90)})
    return {"audits": pd.DataFrame(rows)}, CONTEXT


def batches(seed: int) -> tuple[Frames, Context]:
    """Nights of 400 keys with scores around 0.4: eight nights before the week, and one in it."""
    rng, parts = np.random.default_rng(seed), []
    for night in range(9):
        at = START.replace(tzinfo=None) + timedelta(days=night - 8, hours=26)
        keys = [f"c{place}" for place in range(400)]
        row = {"id": [f"{night}-{key}" for key in keys], "subject": keys, "batch": f"night-{night}", "at": at, "arrived": at}
        parts.append(pd.DataFrame({**row, "score": rng.normal(0.4, 0.1, 400)}))
    counts = pd.DataFrame({"batch": [f"night-{night}" for night in range(9)], "n": 400, "w": 400.0})
    nothing = pd.DataFrame(columns=["batch", "at", "version", "rows", "keys", "due"])
    frames = {
        "rows": parts[-1], "past rows": pd.concat(parts[:-1], ignore_index=True), "counts": counts.tail(1), "past counts": counts.head(8),
        "expected": nothing, "past expected": nothing, "decisions": pd.DataFrame(columns=["decision", "at", "author", "choice", "state"]),
    }  # fmt: skip
    return frames, replace(CONTEXT, model=replace(MODEL, settings=ModelSettings(batch_key="subject")))


def datasets(seed: int) -> tuple[Frames, Context]:
    """Two versions of a dataset."""
    at = [START.replace(tzinfo=None) + timedelta(hours=seed % 20 + hour) for hour in range(2)]
    rows = pd.DataFrame({"dataset": "loans", "version": ["1", "2"], "at": at, "rows": [900, 950], "checksum": ["a1", "b2"]})
    return {"datasets": rows}, Context(EVERY_MODEL, NO_VERSION, Window("", START, END), END)


def stored(seed: int) -> tuple[Frames, Context]:
    """An audit of a dataset with three lossy forms; one of them changes too much."""
    rng = np.random.default_rng(seed)
    forms = {
        "float16": stored_form(rng, 0.003),
        "256 levels": stored_form(rng, 0.005, bytes=280),
        "3 digits": stored_form(rng, 0.05, bytes=200),
    }
    reports, prices = storage_frame([]), pd.DataFrame(columns=list(PRICE_COLUMNS)).astype({"from": "datetime64[us]"})
    decisions = pd.DataFrame(columns=list(FORM_DECISIONS.columns or ()))
    frames = {"reports": reports, "past reports": reports, "prices": prices, "decisions": decisions}
    frames["datasets"] = pd.DataFrame([storage_audit(forms), media_audit(seed)])
    return frames, Context(EVERY_MODEL, NO_VERSION, Window("", START, END), END, budget=0.014)


def explained(seed: int) -> tuple[Frames, Context]:
    """700 explained predictions of the week, and 1,000 of the reference."""
    rng = np.random.default_rng(seed)
    return {"current": attributions(rng, 700), "days": served(7), "reference": attributions(rng, 1000)}, CONTEXT


def acted(seed: int) -> tuple[Frames, Context]:
    """Requests like the reference, and 600 actions: people follow most right answers and override most wrong ones."""
    rng = np.random.default_rng(seed)
    columns = tuple(Column(place + 1, name, f"f{place + 1}", "number", "feature", False) for place, name in enumerate(("age", "income")))
    model = replace(MODEL, columns=columns)
    rows = [pd.DataFrame(rng.normal(size=(400, 2)), columns=[each.reference for each in columns]) for _ in range(2)]
    now, known = (each.assign(id=[f"r{place}" for place in range(400)], score=rng.random(400)) for each in rows)
    label, right = rng.integers(0, 2, 600), rng.random(600) < 0.8
    followed = rng.random(600) < np.where(right, 0.95, 0.3)
    decision = np.where(right, label, 1 - label)
    extra = [json.dumps({"action": str(each)}) for each in np.where(followed, decision, 1 - decision)]
    actions = pd.DataFrame({"id": [f"a{place}" for place in range(600)], "decision": decision, "label": label, "extra": extra})
    current = now.assign(subject=None, extra=None)
    past = current.drop(columns=["subject", "score", "extra"]).assign(at=pd.NaT)[:0]
    frames = {"current": current, "reference": known, "past": past, "past texts": current[["id", "extra"]], "actions": actions}
    return frames, replace(CONTEXT, model=model)


WORLDS: dict[str, Callable[[int], tuple[Frames, Context]]] = {
    AUDITS: audits,
    GATE: batches,
    DATASETS: datasets,
    EXPLANATIONS: explained,
    STORAGE: stored,
    GUARD: acted,
}


@pytest.mark.parametrize("name", some(list(FAULTS), 3))
def test_a_fault_of_middle_strength_is_named_in_nine_of_ten_runs(name: str) -> None:
    fault, named = FAULTS[name], 0
    for seed in range(RUNS):
        found = replay_frame_fault(*WORLDS[fault.analyzer](seed), fault, seed=seed)
        named += any((each.subject, each.metric) == (found.target, fault.metric) for each in found.looks[0].alarms[:3])
    assert named >= 0.9 * RUNS, named


@pytest.mark.parametrize("analyzer", some(list(WORLDS), 2))
def test_twins_without_the_fault_raise_nothing_critical(analyzer: str) -> None:
    faults = [fault for fault in FAULTS.values() if fault.analyzer == analyzer]
    found = [
        each
        for seed in range(1000, 1000 + CLEAN)
        for each in replay_frame_fault(*WORLDS[analyzer](seed), faults[seed % len(faults)], seed=seed).looks[0].twin
    ]
    assert found and [each.because for each in found if each.severity == "act"] == []
    assert sum(needs_action(each.severity) for each in found) <= max(0.03 * CLEAN, 1)


def test_planting_a_fault_without_the_rows_that_it_needs_raises_an_error() -> None:
    for fault in FAULTS.values():
        frames, context = WORLDS[fault.analyzer](1)
        with pytest.raises(UsageError, match="to plant a fault"):
            replay_frame_fault({name: frame.iloc[:0] for name, frame in frames.items()}, context, fault)
