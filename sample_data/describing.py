"""Write the description of the fleet: each model's settings, and the content of each file.

Both are TOML files that the product reads: the settings of a model (contract section 3, `--settings`), and fleet.toml, from which the
`demo` command registers the models and loads the files. So no model of the fleet is named in the product's code.
"""

import json
from dataclasses import replace
from datetime import date
from pathlib import Path

from sample_data import (
    audited,
    augmentation,
    cache,
    calls,
    canaries,
    clients,
    crew,
    deliveries,
    device_answers,
    edge,
    energy,
    exports,
    flights,
    meetings,
    nightly,
    places,
    prices,
    provenance,
    revised,
    savings,
    sensors,
    signals,
    signed,
    simulated_runs,
    stored,
    trade_offs,
    vendor,
    vendor_scores,
    vendor_texts,
)
from sample_data.spec import Spec

HEAD = "# Written by sample_data/make.py.\n"
VENDOR = (vendor.FILE, vendor_scores.FILE, vendor_texts.FILE)
PERIODS: tuple[dict[str, object], ...] = (
    {"years": "2013", "since": date(2013, 1, 1), "ends": "flights-late.predictions.parquet", "weeks_ahead": 4},
    {"years": "2014", "since": date(2014, 4, 1), "ends": "sentiment.predictions.parquet", "weeks_ahead": 2},
    {"years": "2025", "since": date(2025, 1, 1), "ends": calls.CALLS, "weeks_ahead": 2, "only": [calls.CALLS, calls.FEEDBACK]},
    {"years": "2016–2018", "since": date(2015, 1, 1), "ends": "employment.predictions.parquet", "weeks_ahead": 4},
    {"years": "2024", "since": date(2024, 1, 1), "ends": energy.FILE, "weeks_ahead": 0},
    {"years": "2024", "since": date(2024, 1, 1), "ends": vendor.FILE, "weeks_ahead": 2, "only": list(VENDOR)},
)
"""How `demo --live` moves the sample to today. The records since a given day are moved together, so that those of the file in `ends` end
the given number of weeks after the start. Half of each short period is already in the past at the start, and all training runs are. Prices
keep their dates.
"""


def toml(value: object) -> str:
    """A text, number, boolean, date, list or table in TOML; all but tables and dates are written as in JSON."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{toml(name)} = {toml(held)}" for name, held in value.items()) + " }"
    return value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)


def write_settings(spec: Spec, importance: dict[str, float], path: Path) -> None:
    """The settings file of one model."""
    lines = [HEAD, "[settings]", *(f"{name} = {toml(value)}" for name, value in spec.settings.items()), ""]
    if spec.limits:
        lines += ["[limits]", *(f"{toml(name)} = {toml(level)}" for name, level in spec.limits.items()), ""]
    lines += ["# Share of each feature in the mean absolute SHAP value over reference rows.", "[importance]"]
    lines += [f"{name} = {share:.4f}" for name, share in importance.items()]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_fleet(specs: list[Spec], out: Path) -> None:
    """fleet.toml: the models to register, in order, the files to load after them, and the settings of models that are not registered."""
    parts = [HEAD + "# Paths are relative to this file."]
    parts += ["\n".join(["[[period]]", *(f"{name} = {toml(value)}" for name, value in period.items())]) for period in PERIODS]
    for spec in specs:
        fields = {
            "name": spec.name,
            "task": spec.task,
            "version": spec.version,
            "reference": spec.reference,
            "label": "label",
            "score": [f"{name}={column}" for name, column in spec.score_columns.items()] if spec.classes else "score",
            "at": "at",
            "features": list(spec.features),
            "sensitive": list(spec.sensitive),
            "artifact": spec.artifact,
            "settings": spec.settings_file,
        }
        parts.append("\n".join(["[[model]]", *(f"{name} = {toml(value)}" for name, value in fields.items())]))
        for kind in ("prediction", "label"):
            path = out / f"{spec.stem}.{kind}s.parquet"
            if path.exists():
                parts.append(file_entry(path.name, kind, spec))
    records = (
        "training.jsonl",
        "distributed.jsonl",
        signals.FILE,
        simulated_runs.RUNS,
        "study.jsonl",
        "events.jsonl",
        prices.FILE,
        provenance.FILE,
        stored.FILE,
        revised.FILE,
        audited.FILE,
        "audits.jsonl",
        signed.FILE,
        trade_offs.FILE,
        nightly.FILE,
        exports.FILE,
        energy.FILE,
        augmentation.FILE,
        savings.SWEEP,
        canaries.FILE,
    )
    parts += [file_entry(name) for name in records]
    parts += [file_entry(deliveries.FILE, "batch"), file_entry(sensors.FILE, "batch")]
    parts += [file_entry(simulated_runs.STEPS, "step"), file_entry(simulated_runs.READINGS, "resource")]
    parts.append(file_entry(edge.FILE, "device_report"))
    parts.append(file_entry(device_answers.FILE, "prediction", replace(flights.LATE, version=edge.NEW)))
    parts.append(file_entry(places.FILE, "storage_report"))
    parts.append(file_entry(savings.INTENSITIES, "price"))
    for name in VENDOR:
        parts.append(f'[[file]]\npath = "{name}"\nkind = "prediction"\nfeatures = {toml(list(vendor.FEATURES))}')
    parts.append(f'[[file]]\npath = "{calls.CALLS}"\nkind = "prediction"\nfeatures = {toml(list(calls.FEATURES))}')
    parts.append(file_entry(calls.FEEDBACK, "label"))
    parts.append(file_entry(clients.FILE, "prediction", flights.LATE))
    parts.append(f'[[file]]\npath = "{cache.DECISIONS}"\nkind = "prediction"\nfeatures = {toml(list(cache.FEATURES))}')
    parts.append(f'[[file]]\npath = "{cache.OUTCOMES}"\nkind = "label"\nmodel = "{cache.MODEL}"')
    parts += [file_entry(crew.ANNOTATIONS, "annotation"), file_entry(crew.ASSIGNMENTS, "assignment")]
    parts.append(f'[[file]]\npath = "{meetings.FILE}"\nlive = false')
    parts.append(f'[[settings]]\nmodel = "{vendor.MODEL}"\nsettings = "{vendor.SETTINGS}"')
    (out / "fleet.toml").write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def file_entry(name: str, kind: str | None = None, spec: Spec | None = None) -> str:
    """One [[file]] entry of fleet.toml. JSONL needs no kind, because each of its lines states its kind."""
    fields: dict[str, object] = {"path": name}
    if kind:
        fields["kind"] = kind
    if name == prices.FILE:
        fields["moved"] = False
    if spec:
        fields["model"] = spec.name
        if kind == "prediction":
            fields |= {"version": spec.version, "features": list(spec.features)}
    return "\n".join(["[[file]]", *(f"{key} = {toml(value)}" for key, value in fields.items())])
