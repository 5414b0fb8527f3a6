"""Measures the energy of serving by batch size and form (such as the same model in another precision or runtime, or a smaller one), and
calibrates the power of a machine.
"""

import hashlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from observability.client.power import machine_busy_seconds
from observability.core.catalog import Model, Version
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.questions import Records
from observability.core.settings import ModelSettings
from observability.core.window import EPOCH, Window
from observability.enrichment.precision_audit import (
    SECONDS,
    LoadEnergy,
    Progress,
    measured_hardware,
    network_rows,
    probe_rows,
    processor_energy,
)
from observability.metrics.serving_power import CorePower, batch_joules, core_power, repeated_interval
from observability.stats.power_fit import PowerFit, fitted_power
from observability.worker.limits import WorkerError
from observability.worker.requests import LIBRARIES, artifact_kind

if TYPE_CHECKING:
    from observability.store.engine import Store
    from observability.worker.process import Worker

BATCHES = (1, 10, 100, 1000)
PROBES = 2_000
READINGS = Records(
    "resource", ("at", "device", "watts", "utilisation", "seconds", "energy_j", "source"), ever=True, only=(("source", "measured"),)
)
BLOCK = b"\0" * 1_000_000
"""The data that a load hashes. Hashing a large block releases the interpreter's lock, so each thread keeps one core busy."""


@dataclass(frozen=True)
class EnergyOptions:
    """The request for a measurement. forms: names of the forms (empty: all); network: whether a small network is trained to imitate the
    model; seconds: duration of the load of each form.
    """

    batches: tuple[int, ...] = BATCHES
    forms: tuple[str, ...] = ()
    network: bool = True
    seconds: float = 3.0
    seed: int = 0


def energy_audit(
    store: "Store", worker: "Worker", model: Model, version: Version, options: EnergyOptions, progress: Progress
) -> dict[str, Any]:
    """Measure the forms of a model version at several batch sizes, and return the audit as a record.

    Raises UsageError if the version has no model file or too few rows, and WorkerError if the model breaks.
    """
    artifact = store.artifact(version)
    if artifact is None:
        where, attempt = f"{model.name} {version.name}", "Register it again with --artifact FILE"
        raise UsageError("no model file is stored for this version", where=where, attempt=attempt)
    probes, origin = probe_rows(store, model, version, PROBES, datetime.now(UTC))
    reference, kind = network_rows(store, model, version), artifact_kind(artifact)
    features = [column.name for column in model.features()]
    frames = {"probes": probes[features]} | ({"reference": reference[features]} if len(reference) else {})
    arguments = {
        "task": model.task, "classes": list(model.classes), "kind": kind, "threshold": model.settings.threshold, "seconds": options.seconds,
        "forms": list(options.forms), "network": options.network, "providers": [], "seed": options.seed, "batches": list(options.batches),
    }  # fmt: skip
    counter = processor_energy()
    watch = LoadEnergy(counter, progress) if counter else None
    answer = worker.call(
        "observability.worker.energy_job:measure_batches",
        frames,
        arguments,
        files={"model": artifact},
        imports=(
            *LIBRARIES[kind],
            "onnx",
            "onnxruntime",
            "onnxruntime.quantization",
            "onnxruntime.transformers.float16",
            "sklearn.neural_network",
        ),
        seconds=SECONDS,
        progress=watch or progress,
    )
    power = core_power(model.settings)
    try:
        batches = [measured_batch(each, power, watch.joules if watch else {}) for each in answer.values["batches"]]
        missing = [dict(each) for each in answer.values["missing"]]
    except (KeyError, ValueError, TypeError) as error:
        raise WorkerError("the job's answer cannot be read", reason="garbage", got=f"{type(error).__name__}: {error}"[:300]) from error
    words = "a meter of the processor while the load ran" if watch else power.words
    results = {
        "batches": batches,
        "missing": missing,
        "probes": len(probes),
        "probes_from": origin,
        "power": words,
        "hardware": measured_hardware(),
    }
    now = datetime.now(UTC)
    about = {"kind": "audit", "model": model.name, "version": version.name, "at": iso(now), "audit": "energy"}
    return {**about, "results": results, "expires": iso(now + timedelta(days=model.settings.audit_days))}


def measured_batch(body: dict[str, Any], power: CorePower, joules: dict[str, float]) -> dict[str, Any]:
    """The result of one batch size: processor time and joules of a thousand predictions. joules: energy of the load by form, if a meter was
    read.
    """
    cpu = repeated_interval(body["costs"])
    drawn = joules.get(str(body["form"]))
    if drawn is not None and body["load_cpu_seconds"] > 0:
        watts = drawn / float(body["load_cpu_seconds"])
        power = CorePower(watts, watts, watts, None, "measured")
    ends = {
        name: dict(zip(("value", "low", "high"), values, strict=True))
        for name, values in (("cpu_seconds", cpu), ("joules", batch_joules(cpu, power)))
    }
    return {name: body[name] for name in ("form", "precision", "batch", "rows", "repeats")} | ends | {"source": power.source}


@dataclass(frozen=True)
class Calibration:
    """The fitted power of a machine. fit: None if no meter can be read and no readings are stored. origin: where the readings come from, in
    words.
    """

    fit: PowerFit | None
    origin: str


def calibrated_power(
    store: "Store", seconds: float, cores: int, progress: Progress, read: Callable[[], float] | None = None
) -> Calibration:
    """Fit the power of this machine from loads of several sizes. If no meter can be read, fit it from stored readings of a meter.

    read: returns the joules since its last call; by default from the processor's own counters. cores: number of cores of the machine whose
    readings are stored.
    """
    counter = processor_energy() if read is None else read
    if counter is not None:
        return Calibration(
            fitted_power(*_readings_under_load(counter, seconds, progress)), "a meter of this processor under a load of its own"
        )
    rows = store.ask(READINGS, Window("", EPOCH, datetime.now(UTC)))
    rows = rows[
        rows["utilisation"].notna()
        & rows["seconds"].gt(0)
        & ~rows["device"].astype(str).str.lower().str.startswith(("gpu", "cuda", "memory"))
    ]
    joules = rows["energy_j"].where(rows["energy_j"].notna(), rows["watts"] * rows["seconds"])
    fit = fitted_power(rows["utilisation"] * cores * rows["seconds"], rows["seconds"], joules)
    return Calibration(fit, f"{len(rows):,} stored readings of a meter" if len(rows) else "no meter and no stored readings")


def _readings_under_load(read: Callable[[], float], seconds: float, progress: Progress) -> tuple[list[float], list[float], list[float]]:
    """CPU seconds, seconds and joules of the parts of a load. The parts keep from none to all of the cores busy, three times over."""
    cores = os.cpu_count() or 1
    steps = [share * cores for share in (0.0, 0.25, 0.5, 0.75, 1.0)] * 3
    part, found = seconds / len(steps), ([], [], [])  # type: tuple[float, tuple[list[float], list[float], list[float]]]
    with ThreadPoolExecutor(cores) as pool:
        for place, load in enumerate(steps):
            progress(place / len(steps), f"{load:g} busy cores")
            busy, begun = machine_busy_seconds() or time.process_time(), time.perf_counter()
            read()
            tasks = [pool.submit(_keep_busy, part, min(max(load - core, 0.0), 1.0)) for core in range(cores)]
            for task in tasks:
                task.result()
            joules, wall = read(), time.perf_counter() - begun
            spent = (machine_busy_seconds() or time.process_time()) - busy
            for values, value in zip(found, (spent, wall, joules), strict=True):
                values.append(value)
    return found


def _keep_busy(seconds: float, share: float) -> None:
    """Keep a core busy for a share of the given seconds."""
    until = time.perf_counter() + seconds
    while (now := time.perf_counter()) < until:
        while time.perf_counter() < min(now + 0.05 * share, until):
            hashlib.sha256(BLOCK).digest()
        time.sleep(max(min(0.05 * (1 - share), until - time.perf_counter()), 0.0))  # idle for the rest of 50 ms: the load is a share


def with_calibration(model: Model, fit: PowerFit) -> ModelSettings:
    """The settings of a model with the calibrated power of its machine."""
    return replace(
        model.settings, watts_per_core=round(fit.per_core, 4), watts_per_core_error=round(fit.error, 4), idle_watts=round(fit.idle, 4)
    )
