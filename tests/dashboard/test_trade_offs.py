"""The page of trade-offs compares the forms of a model (such as other precisions), and saves which form was chosen, with the reason."""

import math
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.dashboard import load
from observability.dashboard.charts.trade_offs import form_scatter
from observability.dashboard.operations.trade_offs import HELP
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, unfolded_words, words
from tests.support.form_audits import NOW, audit_row, clean_form


@pytest.fixture
def audited(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with an audit of three forms of the model `loan`."""
    rng = np.random.default_rng(1)
    forms = [clean_form(rng, "int8"), clean_form(rng, "small", 0.1) | {"latency_p50_ms": 0.1}]
    forms.append(clean_form(rng, "on CUDA") | {"provider": "cuda"})
    for form, cost in zip(forms, (6.24e-8, 3e-8, 9e-8), strict=True):
        form |= {"cost_per_thousand": cost, "kl_divergence": 100 * cost, "memory_peak_mb": 61}
    row = {**audit_row(forms), "kind": "audit"}
    row["results"] = {**row["results"], "currency": "USD"}
    for name in ("at", "expires"):
        row[name] = row[name].replace(tzinfo=UTC).isoformat()
    land(empty, [row], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: NOW)
    return empty


def test_the_page_says_how_to_compare_forms(empty: Database) -> None:
    assert "No form of a model has been compared yet." in words(opened("trade_offs"))


def test_forms_are_compared_within_budgets_and_one_is_chosen(audited: Database) -> None:
    app = opened("trade_offs")
    rows = {row["cells"]["form"]["t"]: row["cells"] for row in tables(app)["Forms and their figures"]["rows"]}
    assert [rows[name]["state"]["t"] for name in ("as served", "int8", "small", "on CUDA")] == [
        "Pareto front",
        "Pareto front",
        "Pareto front",
        "Other device",
    ]
    assert "ran on CPU although CUDA was requested" in words(app) and unfolded_words(app, before="plotly_chart") <= 60
    titles = [each["label"] for each in tables(app)["Forms and their figures"]["columns"]]
    assert "Cost per billion (USD)" in titles and rows["int8"]["cost"]["t"] == "0.0624"
    assert (rows["int8"]["kl"]["t"], rows["int8"]["memory"]["t"]) == ("6.24e−06", "61") and {"KL", "Peak MB"} <= set(titles)
    app.selectbox(key="cost_axis-box").set_value("cost").run()
    app.number_input(key="budget-cost").set_value(0.05).run()
    rows = {row["cells"]["form"]["t"]: row["cells"] for row in tables(app)["Forms and their figures"]["rows"]}
    assert (rows["int8"]["state"]["t"], rows["small"]["state"]["t"]) == ("Over budget", "Pareto front")
    app.number_input(key="budget-cost").set_value(None).run()
    app.number_input(key="most-flips").set_value(1.0).run()
    rows = {row["cells"]["form"]["t"]: row["cells"] for row in tables(app)["Forms and their figures"]["rows"]}
    assert rows["small"]["state"]["t"] == "Over budget"
    app.text_input(key="form-author-box").set_value("Ana").run()
    app.selectbox(key="form-choice-0").set_value("small")
    app.button(key="form-save-0").click().run()
    assert "A decision needs a reason." in " ".join(each.value for each in app.warning)
    app.selectbox(key="form-choice-0").set_value("small")
    app.text_input(key="form-reason-0").set_value("memory")
    app.button(key="form-save-0").click().run()
    (kept,) = load.store().decisions("loan")
    assert kept.fields["statement"] == "Serve form small: memory" and kept.fields["version"] == "3"
    assert kept.first.at <= datetime.now(UTC)


def test_pareto_names_that_do_not_overlap_are_shown_and_marks_at_zero_are_not_clipped() -> None:
    points = pd.DataFrame(
        [("slow", 0.02, 0.0), ("half", 0.015, 0.02), ("near", 0.0149, 0.021), ("small", 0.008, 0.06)], columns=["form", "x", "value"]
    ).assign(low=0.0, high=lambda rows: rows["value"], group="Pareto front", text="")
    points.loc[len(points)] = ["beaten", 0.13, 0.01, 0.0, 0.01, "dominated", ""]
    figure = form_scatter(points, x="ms", y="changed", share=True, budget=None, most_flips=None)
    assert {note.text for note in figure.layout.annotations} == {"small", "near", "slow"}
    assert sorted(note.x for note in figure.layout.annotations) == pytest.approx([math.log10(x) for x in (0.008, 0.0149, 0.02)])
    assert {note.text: note.y for note in figure.layout.annotations}["small"] == 0.06, (
        "the label `small` is not shifted, because no other label is near"
    )
    assert figure.layout.yaxis.range[0] < 0 and list(figure.layout.xaxis.ticktext) == ["0.01", "0.02", "0.05", "0.1"]


def test_a_form_name_is_moved_above_the_intervals_it_would_cover() -> None:
    """Regression: the name of the fastest form covered the marks of two others."""
    columns = ["form", "x", "value", "low", "high", "group", "text"]
    fast, slow = ("fast", 0.01, 0.025, 0.02, 0.03, "Pareto front", ""), ("slow", 0.05, 0.0, 0.0, 0.001, "Pareto front", "")
    beside, above, far = (
        (name, x, value, value - 0.005, value + 0.007, "dominated", "")
        for name, x, value in (("b", 0.0105, 0.025), ("c", 0.0108, 0.066), ("d", 0.03, 0.025))
    )
    for others, height in (((), 0.025), ((far,), 0.025), ((beside, above), 0.032)):
        points = pd.DataFrame([fast, slow, *others], columns=columns)
        figure = form_scatter(points, x="ms", y="changed", share=True, budget=None, most_flips=None)
        heights = {note.text: note.y for note in figure.layout.annotations}
        assert heights == pytest.approx({"fast": height, "slow": 0.0})


def test_the_help_on_memory_tells_measured_and_imported_figures_apart() -> None:
    assert HELP["memory"].startswith("Measured here:") and HELP["memory"].endswith("Imported results state their own")
