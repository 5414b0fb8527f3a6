"""Explanations of a model with many columns: the hundred largest attributions and the sum of the others are kept, and together they add up
to the output.
"""

import json
import threading
from datetime import timedelta
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest

from observability.core.questions import Attributions
from observability.core.window import Window
from observability.enrichment import enrich, explanations
from observability.enrichment.explanations import explain_rows
from observability.investigation.find_prediction import prediction_row
from observability.investigation.known_attributions import contrast_from_numbers, logged_or_stored_contrast
from observability.monitoring.check import check
from observability.stats.attribution import MOST_EXPLAINED
from observability.store.types.explanations import ExplanationState, RowsToExplain
from observability.store.types.registration import RegistrationRequest
from observability.worker.explanation import Explanation
from tests.support.explained_model import START, load
from tests.support.new_store import new_store

COLUMNS, ROWS, OTHERS = 500, 200, "400 other inputs"
NAMES = tuple(f"f{place:03d}" for place in range(COLUMNS))
WINDOW = Window("loan", START, START + timedelta(days=1), "1")
STEP_ROWS = 50
ASKED: list[int] = []
"""The number of rows in each call to the model."""
WEIGHTS = np.random.default_rng(5).permutation(np.linspace(0.01, 5, COLUMNS))
INPUTS = np.random.default_rng(6).normal(size=(ROWS, COLUMNS)).round(3)
LARGEST = set(np.array(NAMES)[np.argsort(-np.abs(INPUTS * WEIGHTS).mean(axis=0))[:MOST_EXPLAINED]])


def linear(_worker, _artifact, rows, **_options) -> Explanation:
    """A linear model: its output is the weighted sum of its inputs."""
    ASKED.append(len(rows))
    values = rows[list(NAMES)].to_numpy(float) * WEIGHTS
    output = values.sum(axis=1) + 2
    return Explanation(
        values=values, base_value=2.0, output=output, link="identity", predictions=output, residual=output * 0, features=NAMES,
        method="shap linear", background="the rows given", background_rows=100, standard_error=None, seconds=0.01, note="", network_blocked=True,
    )  # fmt: skip


@pytest.fixture(scope="module", params=["computed", "logged"])
def store(request, tmp_path_factory):
    home = tmp_path_factory.mktemp("wide")
    scores = (INPUTS * WEIGHTS).sum(axis=1) + 2
    table = pd.DataFrame(INPUTS, columns=list(NAMES)).assign(score=scores, label=scores)
    table.to_parquet(home / "reference.parquet")
    (home / "model.txt").write_text("tree\nversion=v4\n", encoding="utf-8")
    with new_store(home / "home") as found:
        artifact = home / "model.txt" if request.param == "computed" else None
        found.register(
            RegistrationRequest(
                "loan",
                "1",
                home / "reference.parquet",
                task="regression",
                label="label",
                score=("score",),
                features=NAMES,
                artifact=artifact,
            )
        )
        records = []
        for place, row in enumerate(INPUTS):
            at = (START + timedelta(minutes=place)).isoformat()
            record = {"kind": "prediction", "id": f"p{place}", "at": at, "model": "loan", "version": "1", "received_at": at}
            record |= {"features": dict(zip(NAMES, row.tolist(), strict=True)), "score": float(scores[place])}
            if artifact is None:
                record |= {"attributions": dict(zip(NAMES, (row * WEIGHTS).tolist(), strict=True)), "base_value": 2.0}
            records.append(record)
        load(found, records)
        ASKED.clear()
        cells = mock.patch.object(explanations, "STEP_CELLS", STEP_ROWS * COLUMNS)
        with cells, mock.patch("observability.worker.requests.explain_scores", linear):
            while explain_rows(found, None, found.catalog().model("loan"), enrich.no_progress, threading.Event()):
                pass
        yield found


def test_stored_attributions_are_bounded_and_add_up(store):
    rows = store.cursor().execute('SELECT "values", base, output, adds_up, id FROM attributions_1').fetchall()
    assert len(rows) >= 100
    assert {len(values) for values, *_ in rows} == {MOST_EXPLAINED + 1}
    for values, base, output, adds_up, _ in rows:
        assert adds_up and base + sum(values) == pytest.approx(output, abs=1e-3)
    state = store.explanation_state("loan", "1")
    assert (
        state.features[-1] == OTHERS and len(LARGEST & set(state.features)) >= 0.75 * MOST_EXPLAINED
    )  # they were chosen from the rows of the first step


def test_an_answer_holds_the_hundred_largest_attributions_and_the_sum_of_the_others(store):
    found = store.ask(Attributions(1000), WINDOW)
    names = [name for name in found.columns if name.startswith("attribution.")]
    assert len(names) == MOST_EXPLAINED + 1 and f"attribution.{OTHERS}" in names
    assert found[names].sum(axis=1).to_numpy() + found["base"].to_numpy() == pytest.approx(found["output"].to_numpy(), abs=1e-3)


def test_a_case_shows_the_hundred_largest_attributions_and_the_sum_of_the_others(store):
    (name,) = store.ask(Attributions(1), WINDOW)["id"]
    row = prediction_row(store, name, model="loan")
    found = logged_or_stored_contrast(store, row)
    assert found.adds_up and len(found.bars) == MOST_EXPLAINED + 1 and abs(found.residual) < 1e-3
    (others,) = [bar for bar in found.bars if bar.feature == OTHERS]
    named = {bar.feature for bar in found.bars} - {OTHERS}
    rest = sum(value for feature, value in zip(NAMES, INPUTS[int(name[1:])] * WEIGHTS, strict=True) if feature not in named)
    assert others.attribution == pytest.approx(rest, abs=1e-3) and str(others.value) == "added up"


def test_attributions_computed_for_a_case_are_its_hundred_largest_and_the_sum_of_the_others(store):
    row = prediction_row(store, "p7", model="loan")
    moved = dict(zip(NAMES, (INPUTS[7] * WEIGHTS).tolist(), strict=True))
    output = 2 + sum(moved.values())
    errors = dict.fromkeys(NAMES, 0.1)
    found = contrast_from_numbers(
        row, "average", moved, 2.0, output, "identity", "shap permutation", "computed", "rows", 100, errors=errors
    )
    largest = sorted(moved, key=lambda name: -abs(moved[name]))[:MOST_EXPLAINED]
    assert {bar.feature for bar in found.bars} == {*largest, OTHERS} and found.adds_up and abs(found.residual) < 1e-9
    (others,) = [bar for bar in found.bars if bar.feature == OTHERS]
    assert others.standard_error == pytest.approx(0.1 * np.sqrt(COLUMNS - MOST_EXPLAINED))


def test_explained_rows_keep_their_values_under_the_stored_feature_names():
    logged, features = {"z": 7.0, "f499": 1.0}, tuple(f"f{place}" for place in range(3))
    rows = pd.DataFrame({"id": ["a", "b"], "stream": 1, "sampled": True, "known": False, "score": 0.0, "decision": -1})
    rows = rows.assign(attributions=[json.dumps(logged), None], base_value=["0.0", None], attributions_link=None)
    values = (INPUTS[1] * WEIGHTS)[None, :]
    work = SimpleNamespace(
        store=SimpleNamespace(artifact=lambda _version: "model.txt"), worker=None, usable=True, stopping=threading.Event(),
        model=SimpleNamespace(task="regression", classes=(), column=lambda _name: None),
        version=SimpleNamespace(features=features, reference_rows=0, name="1"),
        state=ExplanationState(features=features),
    )  # fmt: skip
    with mock.patch("observability.worker.requests.explain_scores", linear), mock.patch(f"{__name__}.ASKED", []):
        found = explanations._attribution_batch(work, RowsToExplain(rows, pd.DataFrame(INPUTS[:2], columns=list(NAMES))), ())
    first, second = (dict(zip(found.state.features, each, strict=False)) for each in found.batch["values"].to_pylist())
    assert {name: value for name, value in first.items() if value} == logged and found.state.rows == 2
    assert second["f499"] == pytest.approx(values[0, -1], abs=1e-4) and sum(second.values()) == pytest.approx(values.sum(), abs=1e-3)


def test_explanation_findings_concern_the_hundred_largest_features_and_the_sum_of_the_others(store):
    end = START + timedelta(days=1)
    found = check(store, model="loan", start=START, end=end, now=end, with_records=False, only=("trust/explanations",)).findings
    assert not any(finding.severity == "unknown" and "failed" in finding.because for finding in found)
    named = {finding.subject for finding in found if finding.metric == "attribution_share"}
    assert named <= set(store.explanation_state("loan", "1").features)
    assert any(finding.metric == "additivity_residual" and finding.severity == "ok" for finding in found)


def test_a_step_explains_few_rows_of_a_wide_model(store):
    assert not ASKED or max(ASKED) == STEP_ROWS
    assert bool(ASKED) == bool(store.catalog().model("loan").version("1").artifact)
