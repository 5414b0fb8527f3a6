"""Runs an audit of kind `precision`: it compares the forms of a registered model on the same probes, in the confined worker. A form is the
same model in another precision or runtime.

Energy is measured if this process can read the processor's counters (RAPL). It is then the energy of the whole processor while the form
works, including idle power. Otherwise it is the processor time multiplied by the assumed power of a busy core.
"""

import hashlib
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from observability.client.power import Rapl
from observability.core.catalog import Column, Model, Version
from observability.core.errors import UsageError
from observability.core.finding import iso
from observability.core.questions import Sample
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.enrichment.audit_rows import column_levels, slice_membership, watched_slices_of
from observability.enrichment.audit_steps import AuditSteps, Progress
from observability.enrichment.form_memory import form_memory_mb
from observability.metrics.prices import PRICES, PriceScope, prices_at
from observability.metrics.trade_offs import IN_SLICE, PRECISION_AUDITS, SERVED_FORM, compared_forms, form_results, trade_off_audits
from observability.worker.limits import WorkerError
from observability.worker.requests import LIBRARIES, artifact_kind, scores_from_frame
from observability.worker.trade_off_forms import is_network_form
from observability.worker.trade_off_job import BEGIN, END

if TYPE_CHECKING:
    from pandas import DataFrame

    from observability.store.engine import Store
    from observability.worker.process import Worker

PROBES, REFERENCE_ROWS, MIN_ROWS = 4_000, 8_000, 100
SECONDS = 500.0
VALID_DAYS = 180
"""Number of days after which an audit expires."""
SCORING_SHARE = 0.8
"""Share of the progress of measured forms that their scoring counts as; the rest is the measurement of their memory."""


@dataclass(frozen=True)
class AuditOptions:
    """The request for an audit of forms. forms: names (empty: all). network: whether a small network is trained to imitate the model.
    providers: devices of ONNX Runtime to measure in addition to the processor. seconds: seconds of load per form. in_use: the form that is
    served. days: days until the audit expires.
    """

    forms: tuple[str, ...] = ()
    network: bool = True
    providers: tuple[str, ...] = ()
    probes: int = PROBES
    seconds: float = 1.0
    seed: int = 0
    in_use: str = SERVED_FORM
    days: int = VALID_DAYS


class RisingProgress:
    """Passes progress on as a share of the whole work that never falls. `part`: the share of the work that is reported from 0 to 1; `done`:
    the share before it.
    """

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.done, self.part, self.highest = 0.0, 1.0, 0.0

    def begin(self, done: float, part: float) -> None:
        """Begin a part of the work."""
        self.done, self.part = done, part

    def __call__(self, share: float, text: str) -> None:
        """Handle one report of the current part."""
        self.highest = max(self.highest, self.done + self.part * min(max(share, 0.0), 1.0))
        self.progress(self.highest, text)


class LoadEnergy:
    """Counts the processor's joules while each form works, from the progress reports of the job. `read`: returns the joules since its last
    call.
    """

    def __init__(self, read: Callable[[], float], progress: Progress) -> None:
        self.read, self.progress = read, progress
        self.joules: dict[str, float] = {}

    def __call__(self, share: float, text: str) -> None:
        """Handle one progress report of the job, and pass it on."""
        if text.startswith(BEGIN):
            self.read()
        elif text.startswith(END):
            self.joules[text.removeprefix(END)] = self.read()
        self.progress(share, text)


def processor_energy(root: Path | None = None) -> Callable[[], float] | None:
    """A function that returns the joules of all processors since its last call. None if the counters cannot be read."""
    try:
        counters = Rapl() if root is None else Rapl(root)
    except (OSError, ValueError):
        return None
    return lambda: sum(reading.joules for reading in counters.read() if reading.device == "cpu")


@dataclass(frozen=True)
class FormQuestion:
    """What an audit of forms needs: the model version, its file, the options, and the rows (probes) on which its forms are compared.
    origin: where the probes come from. reference: rows from which the network learns.
    """

    model: Model
    version: Version
    artifact: Path
    options: AuditOptions
    probes: "DataFrame"
    origin: str
    reference: "DataFrame"

    @property
    def digest(self) -> str:
        """A digest of the probes. It separates the answers of forms to these rows from answers to other rows."""
        from pandas.util import hash_pandas_object

        return hashlib.sha256(hash_pandas_object(self.probes.astype(str)).to_numpy().tobytes()).hexdigest()[:16]


def form_question(store: "Store", model: Model, version: Version, options: AuditOptions, until: datetime) -> FormQuestion:
    """The question about the forms of a version. Its probes are a sample of the version's predictions before `until`. Raises UsageError if
    there is no model file or too few rows.
    """
    artifact = store.artifact(version)
    if artifact is None:
        raise UsageError(
            "no model file is stored for this version",
            where=f"{model.name} {version.name}",
            attempt="Register it again with --artifact FILE",
        )
    probes, origin = probe_rows(store, model, version, options.probes, until)
    return FormQuestion(model, version, artifact, options, probes, origin, network_rows(store, model, version))


def precision_audit(
    store: "Store", worker: "Worker", model: Model, version: Version, options: AuditOptions, progress: Progress
) -> dict[str, Any]:
    """Run the forms of a model version on a sample of its predictions, and return the audit as a record.

    Raises UsageError if the version has no model file or too few rows, and WorkerError if the model breaks.
    """
    question = form_question(store, model, version, options, datetime.now(UTC))
    part = answered_forms(worker, question, progress)
    names, missing = ({each["form"] for each in part[kind]} for kind in ("forms", "missing"))
    if unknown := sorted({*options.forms, options.in_use} - names - missing):
        raise UsageError("the model has no such form", got=", ".join(unknown), expected=", ".join(sorted(names)))
    results = compared_results(store, question, [part])
    return audit_record(model.name, version.name, datetime.now(UTC), results, options.days)


def answered_forms(worker: "Worker", question: FormQuestion, progress: Progress, place: int | None = None) -> dict[str, Any]:
    """The results of all forms, as JSON. With `place`, only a part of the forms from this position on (`trade_off_job.forms_from_place`).

    Keys: `forms` and `missing`, as the job returns them, with the peak memory of each form; `scores`, the scores of the probes by form;
    `joules` by form, if counted.
    Raises WorkerError if the model breaks.
    """
    model, options = question.model, question.options
    features = [column.name for column in model.features()]
    frames = {"probes": question.probes[features]}
    frames |= {"reference": question.reference[features]} if len(question.reference) else {}
    kind = artifact_kind(question.artifact)
    arguments = {
        "task": model.task,
        "classes": list(model.classes),
        "kind": kind,
        "threshold": model.settings.threshold,
        "seconds": options.seconds,
        "forms": list(options.forms),
        "network": options.network,
        "providers": list(options.providers),
        "seed": options.seed,
        "place": place,
    }
    counter = processor_energy()
    rising = RisingProgress(progress)
    rising.begin(0.0, SCORING_SHARE)
    watch = LoadEnergy(counter, rising) if counter else None
    libraries = ("onnx", "onnxruntime", "onnxruntime.quantization", "onnxruntime.transformers.float16", "sklearn.neural_network")
    imports = (*LIBRARIES[kind], *libraries)
    answer = worker.call(
        "observability.worker.trade_off_job:measure_forms",
        frames,
        arguments,
        files={"model": question.artifact},
        imports=imports,
        seconds=SECONDS,
        progress=watch or rising,
    )
    try:
        measured = [dict(form) for form in answer.values["forms"]]
        scores = {}
        for number, form in enumerate(measured):
            table = answer.frames[f"form {number}"]
            form |= {"unstable": int(table["changed"].sum()), "max_spread": float(table["spread"].max())}
            own = scores_from_frame(
                table.drop(columns=["spread", "changed"]), len(question.probes), {"task": str(model.task), "classes": model.classes}
            )
            scores[str(form["form"])] = own.tolist()
        missing = [{name: str(each[name]) for name in ("form", "why")} for each in answer.values["missing"]]
        task = {"task": str(model.task), "classes": list(model.classes)}
        rising.begin(SCORING_SHARE, 1.0 - SCORING_SHARE)
        peaks = form_memory_mb(worker, answer, question.artifact, frames["probes"], task, imports, rising)
        measured = [form | ({"memory_peak_mb": peaks[form["form"]]} if form["form"] in peaks else {}) for form in measured]
    except (KeyError, ValueError, TypeError) as error:
        raise _unreadable(error) from error
    return {"forms": measured, "missing": missing, "scores": scores, "joules": watch.joules if watch else None}


def _unreadable(error: Exception) -> WorkerError:
    """The error about an answer of the job with an unexpected structure."""
    return WorkerError("the job's answer cannot be read", reason="garbage", got=f"{type(error).__name__}: {error}"[:300])


def all_parts(answer: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The answers of all parts: one part for each form, and one part for all forms of the network. answer: a function that returns the part
    that begins at a given position.
    """
    parts: list[dict[str, Any]] = []
    while True:
        place = sum(len(part["forms"]) + len(part["missing"]) for part in parts)
        parts.append(answer(place))
        names = [each["form"] for each in (*parts[-1]["forms"], *parts[-1]["missing"])]
        if not names or any(map(is_network_form, names)):
            return parts


def compared_results(store: "Store", question: FormQuestion, parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The results of an audit, from the answers of its forms (`answered_forms`). Raises WorkerError if the answers cannot be read."""
    model, options = question.model, question.options
    measured, missing = ([dict(each) for part in parts for each in part[name]] for name in ("forms", "missing"))
    scores = {name: np.array(values) for part in parts for name, values in part["scores"].items()}
    counted = all(part["joules"] is not None for part in parts)
    joules = {name: value for part in parts for name, value in (part["joules"] or {}).items()} if counted else {}
    try:
        forms = compared_forms(
            measured, scores, str(model.task), model.settings.threshold, probe_levels(question.probes, model, question.version)
        )
    except (KeyError, ValueError, TypeError) as error:
        raise _unreadable(error) from error
    now = datetime.now(UTC)
    prices, place = store.ask(PRICES, Window("", EPOCH, now)), PriceScope(model.name, model.settings)
    currency = priced_forms(forms, joules, prices, place, now)
    return {
        "probes": len(question.probes),
        "probes_from": question.origin,
        "threshold": model.settings.threshold,
        "task": model.task,
        "in_use": options.in_use,
        "hardware": measured_hardware(),
        "watts_per_core": None if counted else place.watts_per_core,
        "currency": currency,
        "forms": forms,
        "missing": missing,
        "seed": options.seed,
        "artifact": question.version.artifact,
    }


def stated_form_in_use(store: "Store", model: str, version: str, until: datetime) -> str:
    """The form in use according to the newest audit of a version's forms. Without an audit, the served form."""
    audits = trade_off_audits(store.ask(PRECISION_AUDITS, Window("", EPOCH, until)))
    own = [audit for audit in audits if (audit.model, audit.version) == (model, version)]
    return own[-1].in_use if own else SERVED_FORM


def audit_record(model: str, version: str, now: datetime, results: Mapping[str, Any], days: int) -> dict[str, Any]:
    """The record of an audit of kind `precision`."""
    about = {"kind": "audit", "model": model, "version": version, "at": now.isoformat(), "audit": "precision"}
    return about | {"results": results, "expires": (now + timedelta(days=days)).isoformat()}


def probe_rows(store: "Store", model: Model, version: Version, rows: int, until: datetime) -> "tuple[DataFrame, str]":
    """A sample of the version's predictions before `until`, drawn by the hash of their ids. If there are too few, rows of its reference.
    Also returns which of the two it is. Raises UsageError if both have too few rows.
    """
    columns = [*model.columns]
    window = Window(model.name, EPOCH, until, version.name)
    question = Sample("predictions", ("id", *(column.reference for column in columns)), rows)
    for origin, place in (("predictions", window), ("reference", window.reference())):
        frame = store.ask(question, place)
        if len(frame) >= MIN_ROWS:
            return frame.rename(columns=_plain_names(columns)), origin
    raise UsageError("too few rows to compare forms on", where=f"{model.name} {version.name}", expected=f"{MIN_ROWS} predictions")


def _plain_names(columns: Sequence[Column]) -> dict[str, str]:
    """The name in a table of features for each column reference. Sensitive attributes that are not features keep their reference."""
    return {column.reference: column.name if column.role == "feature" else column.reference for column in columns}


def network_rows(store: "Store", model: Model, version: Version) -> "DataFrame":
    """Rows of the version's reference, for training the network."""
    window = Window(model.name, EPOCH, EPOCH, version.name).reference()
    columns = model.features()
    frame = store.ask(Sample("predictions", ("id", *(column.reference for column in columns)), REFERENCE_ROWS), window)
    return frame.rename(columns=_plain_names(columns))


def probe_levels(probes: "DataFrame", model: Model, version: Version) -> dict[str, list[str | None]]:
    """The level of each probe in each category and sensitive attribute. For a sensitive number, the level is its band, if the version has
    bands.

    Each watched slice also has an entry under its text, if the probes have its columns: IN_SLICE inside the slice, None outside. A slice
    that equals a single level has no entry of its own.
    """
    bands = {column.name for column in model.columns if (edges := version.edges.get(f"band.{column.name}")) and edges.edges}
    chosen = [column for column in model.columns if column.kind != "number" or (column.sensitive and column.name in bands)]
    places = {column: _plain_names([column])[column.reference] for column in chosen}
    found: dict[str, list[str | None]] = {
        column.name: ["null" if level is None else str(level) for level in column_levels(column, version, probes[place])]
        for column, place in places.items()
        if place in probes
    }
    rows = probes.rename(columns={plain: reference for reference, plain in _plain_names(model.columns).items()})
    for slice_ in watched_slices_of(model):
        inside = slice_membership(model, slice_, rows)
        if not (len(slice_.conditions) == 1 and slice_.conditions[0][0] in found) and (inside == IN_SLICE).any():
            found[str(slice_)] = [IN_SLICE if level == IN_SLICE else None for level in inside]
    return found


def priced_forms(
    forms: Sequence[dict[str, Any]], joules: Mapping[str, float], prices: "DataFrame", place: PriceScope, now: datetime
) -> str | None:
    """Add to each form its energy per thousand answers and, if a price is known, the cost. Returns the currency, None without a price.

    The cost uses the price of a processor hour, which includes its energy. If it is unknown, the cost uses the price of the energy.
    """
    at = np.array([naive_utc(now)], "datetime64[us]")
    (hour,), (hours_in,) = prices_at(prices, "amount", at, place, resource="cpu_hour")
    (kwh,), (kwh_in,) = prices_at(prices, "amount", at, place, resource="kwh")
    by_hour = bool(np.isfinite(hour))
    for form in forms:
        name, measured = form["form"], form["form"] in joules
        cpu = form["cpu_seconds_per_thousand"]
        form["energy_j"] = 1000 * joules[name] / form["load_rows"] if measured else cpu * place.watts_per_core
        form["energy_source"] = "measured" if measured else "assumed"
        if by_hour:
            form["cost_per_thousand"] = cpu / 3600 * float(hour)
        elif np.isfinite(kwh):
            form["cost_per_thousand"] = form["energy_j"] / 3.6e6 * float(kwh)
    currency = hours_in if by_hour else kwh_in
    return None if currency is None else str(currency)


def measured_hardware() -> dict[str, Any]:
    """The processor and the system of this machine, on which forms are measured."""
    name = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    return {"processor": name, "cores": os.cpu_count(), "system": platform.system(), "machine": platform.machine()}


def imported_audit(path: Path, model: str, version: str, days: int, in_use: str | None = None) -> dict[str, Any]:
    """An audit from a file of results that were measured elsewhere.

    The file is a JSON object with a list `forms` (docs/trade-offs.md), or the list of results that MLPerf inference publishes
    (`summary_results.json`). in_use: the form in production, if it is one of these; None for what the file states. Raises UsageError if the
    file is neither of both, or lacks this form.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError("the results cannot be read", where=path.name, got=str(error)[:200], expected="a JSON file") from None
    about = dict(content) if isinstance(content, dict) else {}
    listed = about.get("forms") if about else content
    rows = [dict(row) for row in listed if isinstance(row, Mapping)] if isinstance(listed, list) else []
    if not about:
        rows = mlperf_forms(rows)
    names = [form.name for form in form_results(rows)]
    if not names:
        raise UsageError(
            "the file holds no measured form",
            where=path.name,
            expected='{"forms": [{"form": "int8", "latency_p99_ms": 1.8, "probes": 5000, "flips": 12}]}, or results of MLPerf inference',
        )
    if in_use not in (None, *names):
        raise UsageError("the file has no such form", where=path.name, got=in_use, expected=", ".join(names))
    stated = {"in_use": in_use} if in_use else {}
    return audit_record(model, version, datetime.now(UTC), about | stated | {"forms": rows, "imported_from": path.name}, days)


def mlperf_forms(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Forms from published results of MLPerf inference. There is one form per platform and software, with its latency and throughput by
    scenario.

    A result in milliseconds is a percentile of latency: the 99th for MultiStream, the 90th for SingleStream. A result in samples per second
    is a throughput.
    """
    forms: dict[str, dict[str, Any]] = {}
    for row in rows:
        result = row.get("Result")
        platform_name, software = (str(row.get(key) or "").strip() for key in ("Platform", "Software"))
        if not platform_name or not isinstance(result, int | float) or result <= 0:
            continue
        name = ", ".join(part for part in (platform_name, software) if part)
        form = forms.setdefault(name, {"form": name, "runtime": software or None, "precision": row.get("weight_data_types")})
        form["hardware"] = row.get("Accelerator") or row.get("Processor")
        scenario = str(row.get("Scenario") or "").lower()
        units = str(row.get("Result_Units") or row.get("Units") or "").lower()
        if "latency" in units or units.endswith("ms") or units.startswith("milli"):
            form["latency_p99_ms" if scenario == "multistream" else "latency_p90_ms"] = float(result)
        elif "/s" in units or "per second" in units:
            form["ms_per_thousand"] = 1e6 / float(result)
    return list(forms.values())


def run_precision(steps: AuditSteps) -> dict[str, Any]:
    """The results of an audit of forms, the same as from the command `trade-offs`. There is one step per form, and one for all forms of the
    network.
    """
    until = datetime.fromisoformat(steps.step("until", "sampling rows", lambda: iso(datetime.now(UTC))))
    in_use = stated_form_in_use(steps.store, steps.model.name, steps.version.name, until)
    options = AuditOptions(probes=steps.most(PROBES), seed=steps.request.seed, in_use=in_use)
    question = form_question(steps.store, steps.model, steps.version, options, until)

    def answer(place: int) -> dict[str, Any]:
        steps.total = steps.done + 2  # how many forms a model has is unknown until they are built

        def note(_share: float, text: str) -> None:
            steps.progress(steps.done / steps.total, text)

        make = partial(answered_forms, steps.worker, question, note, place)
        part: dict[str, Any] = steps.step(f"{question.digest} {place}", f"running form {place + 1}", make)
        return part

    return compared_results(steps.store, question, all_parts(answer))
