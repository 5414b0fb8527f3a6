"""An audit of precision: the energy of each form, prices, and results measured elsewhere."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.cli.commands_trade_offs import form_figures
from observability.core.catalog import Column, Edges, Model, Version
from observability.core.errors import UsageError
from observability.core.formatting import slice_in_words
from observability.core.settings import ModelSettings
from observability.enrichment import precision_audit
from observability.metrics.prices import PRICE_COLUMNS, PriceScope
from observability.metrics.trade_offs import compared_forms, form_results
from tests.support.form_audits import audit_row, trade_off_findings

NOW = datetime(2026, 3, 4, tzinfo=UTC)


def test_energy_is_counted_only_while_a_form_is_working(tmp_path: Path) -> None:
    zone = tmp_path / "intel-rapl:0"
    zone.mkdir()
    for name, text in (("name", "package-0"), ("max_energy_range_uj", "10000000"), ("energy_uj", "9000000")):
        (zone / name).write_text(text)
    read = precision_audit.processor_energy(tmp_path)
    assert read is not None and precision_audit.processor_energy(tmp_path / "none") is None
    seen: list[str] = []
    watch = precision_audit.LoadEnergy(read, lambda share, text: seen.append(text))
    for text, counter in (("scoring", 9_500_000), ("load begins: int8", 9_800_000), ("load ends: int8", 800_000)):
        (zone / "energy_uj").write_text(str(counter))
        watch(0.5, text)
    assert watch.joules == {"int8": pytest.approx(1.0)} and len(seen) == 3


def test_hourly_prices_take_precedence_over_energy_prices() -> None:
    place = PriceScope("m", ModelSettings())
    form = {"form": "int8", "cpu_seconds_per_thousand": 36.0, "load_rows": 500}
    prices = pd.DataFrame(
        [{"from": pd.Timestamp("2026-01-01"), "resource": "cpu_hour", "amount": 0.5, "currency": "EUR"}], columns=list(PRICE_COLUMNS)
    )
    priced = dict(form)
    assert precision_audit.priced_forms([priced], {"int8": 2.0}, prices, place, NOW) == "EUR"
    assert (priced["energy_j"], priced["energy_source"], priced["cost_per_thousand"]) == (4.0, "measured", pytest.approx(0.005))
    unpriced = dict(form)
    assert precision_audit.priced_forms([unpriced], {}, prices.iloc[:0], place, NOW) is None
    assert (unpriced["energy_j"], unpriced["energy_source"]) == (144.0, "assumed") and "cost_per_thousand" not in unpriced


def test_results_measured_elsewhere_are_imported_as_an_audit(tmp_path: Path) -> None:
    own = tmp_path / "edge.json"
    own.write_text(json.dumps({"probes_from": "calibration set", "forms": [{"form": "int8 on NPU", "probes": 5000, "flips": 12}]}))
    record = precision_audit.imported_audit(own, "loan", "3", 30)
    assert (record["audit"], record["model"], record["results"]["imported_from"]) == ("precision", "loan", "edge.json")
    (form,) = form_results(record["results"]["forms"])
    assert (form.name, form.probes, form.flips) == ("int8 on NPU", 5000, 12)


def test_published_results_of_mlperf_are_read_by_platform_and_scenario(tmp_path: Path) -> None:
    about = {"Platform": "Board X", "Software": "TensorRT 10", "Accelerator": "NPU", "weight_data_types": "int8"}
    rows = [
        about | {"Scenario": "Offline", "Result": 2000.0, "Result_Units": "Samples/s"},
        about | {"Scenario": "MultiStream", "Result": 1.5, "Result_Units": "Latency (ms)"},
        about | {"Scenario": "SingleStream", "Result": 0.75, "Result_Units": "Latency (ms)"},
        about | {"Scenario": "Offline", "Result": "n/a", "Result_Units": "Samples/s"},
    ]
    path = tmp_path / "summary_results.json"
    path.write_text(json.dumps(rows))
    (form,) = form_results(precision_audit.imported_audit(path, "loan", "3", 30)["results"]["forms"])
    assert (form.name, form.precision, form.hardware) == ("Board X, TensorRT 10", "int8", "NPU")
    assert (form.ms_per_thousand, form.latency_p90_ms, form.latency_p99_ms) == (500.0, 0.75, 1.5)
    assert form_figures(form, "EUR", (1.0, "thousand")) == "0.75 ms p90, 1.5 ms p99, 500 ms per thousand"


@pytest.mark.parametrize("missing", [[], [{"form": "network fp32", "why": "onnx is not installed"}]])
def test_a_model_without_other_forms_ends_after_the_served_form(missing: list[dict[str, str]]) -> None:
    given = [{"forms": [{"form": "as served"}], "missing": []}, {"forms": [], "missing": missing}]
    asked: list[int] = []

    def answer(place: int) -> dict[str, Any]:
        asked.append(place)
        return given[len(asked) - 1]

    assert precision_audit.all_parts(answer) == given and asked == [0, 1]


@pytest.mark.parametrize("text", ["no json", "{}", "[]", '{"forms": [{"name": "int8"}]}'])
def test_a_file_without_forms_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(UsageError, match=r"bad\.json"):
        precision_audit.imported_audit(path, "loan", "3", 30)


def test_probes_are_split_by_categories_and_bands_of_sensitive_numbers() -> None:
    columns = (
        Column(1, "job", "f1", "category"),
        Column(2, "age", "f2", "number", sensitive=True),
        Column(3, "income", "f3", "number"),
        Column(4, "years", "g4", "number", role="group", sensitive=True),
        Column(5, "sex", "g5", "category", role="group", sensitive=True),
    )
    model = Model(1, "loan", "binary", ("0", "1"), columns=columns)
    probes = pd.DataFrame(
        {
            "job": ["cook", None, "clerk"],
            "age": [24.9, 25.0, float("nan")],
            "income": [1.0, 2.0, 3.0],
            "group.years": [3.0, 1.0, 2.0],
            "group.sex": ["F", "M", None],
        }
    )
    plain = {"job": ["cook", "null", "clerk"], "sex": ["F", "M", "null"]}
    assert precision_audit.probe_levels(probes, model, Version("1")) == plain
    cut = Version(
        "2", edges={"band.age": Edges(edges=(25.0, 40.0)), "band.years": Edges(edges=(2.0,)), "feature.income": Edges(edges=(2.0,))}
    )
    assert precision_audit.probe_levels(probes, model, cut) == plain | {
        "age": ["below 25", "25 to below 40", "null"],
        "years": ["2 and above", "below 2", "2 and above"],
    }
    watched = ModelSettings(slices=("job=cook&sex=F", "sex=F", "job=pilot&sex=M", "device=d1"))
    own = replace(model, settings=watched)
    assert precision_audit.probe_levels(probes, own, Version("1")) == plain | {"job=cook&sex=F": ["in it", None, None]}


def test_flips_are_counted_in_watched_slices_and_the_worst_is_named_as_written() -> None:
    """By hand: 50 of 400 rows are in the slice; 20 of these and 4 other rows change."""
    inside = np.arange(400) < 50
    changed = (np.arange(400) < 20) | (np.arange(400) >= 396)
    scores = {"as served": np.zeros(400), "int8": changed.astype(float)}
    columns = {"job=cook&sex=F": ["in it" if each else None for each in inside]}
    forms = compared_forms([{"form": "as served", "parent": None}, {"form": "int8", "parent": "as served"}], scores, "binary", 0.5, columns)
    (part,) = list(form_results(forms))[1].slices
    assert (part.n, part.flips, part.slice_text, part.name) == (50, 20, "job=cook&sex=F", slice_in_words("job=cook&sex=F"))
    found = trade_off_findings([audit_row(forms[1:], in_use="int8")])
    (gap,) = [each for each in found if each.metric == "form_slice_gap"]
    assert gap.severity == "act" and gap.slice == "job=cook&sex=F" and gap.value == pytest.approx(20 / 50 - 4 / 350)
    assert gap.low is not None and gap.low < gap.value
