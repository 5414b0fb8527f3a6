"""The lines of `trade-offs` state the divergence and the peak memory of each form, with the figures of its JSON; `audit` measures both."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pytest

from observability.cli.execute import execute
from observability.core.numerals import format_figure
from observability.store.engine import Store
from observability.store.types.registration import RegistrationRequest
from tests.support.new_store import new_store
from tests.support.sample_home import ROOT

ROWS = 300


def silent(_: str) -> None:
    """Drops what a command says while it works."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store with a small binary model and its file."""
    folder = tmp_path_factory.mktemp("forms")
    rng = np.random.default_rng(4)
    rows = pd.DataFrame(rng.normal(size=(ROWS, 2)).round(2), columns=["income", "debt"])
    label = (rows.income - rows.debt + rng.normal(0, 0.5, ROWS) > 0).astype(int)
    params = {"objective": "binary", "num_leaves": 4, "verbosity": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(params, lightgbm.Dataset(rows, label), num_boost_round=20)
    booster.save_model(folder / "model.txt")
    rows.assign(score=booster.predict(rows), label=label).to_csv(folder / "reference.csv", index=False)
    with new_store(folder / "home", threads=1) as opened:
        opened.register(
            RegistrationRequest(
                model="loan", version="1", reference=folder / "reference.csv", task="binary", label="label", score=("score",),
                features=("income", "debt"), artifact=folder / "model.txt",
            )
        )  # fmt: skip
        yield opened


def test_each_form_has_a_line_with_its_divergence_and_peak_memory(store: Store, tmp_path: Path) -> None:
    command = ["trade-offs", "loan", "--without-network", "--forms", "25 % of the trees", "--seconds", "0.01", "--dry-run"]
    done = execute(store, [*command, "--json"], silent)
    assert done.exit_code == 0, done.error
    results = json.loads(done.out)["results"]
    served, fewer = results["forms"]
    booster = lightgbm.Booster(model_file=str(store.artifact(store.catalog().model("loan").version("1"))))
    reference = pd.read_csv(next(tmp_path.parent.glob("forms*/reference.csv")))[["income", "debt"]]
    p, q = booster.predict(reference), booster.predict(reference, num_iteration=5)
    by_hand = [a * math.log(a / b) + (1 - a) * math.log((1 - a) / (1 - b)) for a, b in zip(p, q, strict=True)]
    assert served["kl_divergence"] == 0 and fewer["kl_divergence"] == pytest.approx(np.mean(by_hand), rel=1e-6)
    assert 0 < fewer["memory_peak_mb"] <= 1.1 * served["memory_peak_mb"] < 200, "both hold the same small file"
    (tmp_path / "forms.json").write_text(json.dumps(results), encoding="utf-8")
    printed = execute(store, ["trade-offs", "loan", "--import", str(tmp_path / "forms.json")], silent)
    lines = printed.out.splitlines()
    for form in (served, fewer):
        (line,) = [each for each in lines if each.strip().startswith(form["form"])]
        assert f"KL {format_figure(form['kl_divergence'], 3)} nats" in line
        assert f"peak memory {format_figure(form['memory_peak_mb'], 3)} MB" in line


def test_a_form_without_these_figures_has_a_line_without_them(store: Store, tmp_path: Path) -> None:
    (tmp_path / "forms.json").write_text('{"forms": [{"form": "int8", "probes": 100, "flips": 3}]}', encoding="utf-8")
    done = execute(store, ["trade-offs", "loan", "--import", str(tmp_path / "forms.json")], silent)
    assert "int8" in done.out and "KL" not in done.out and "peak memory" not in done.out


def test_an_audit_of_precision_measures_both(store: Store) -> None:
    done = execute(store, ["audit", "loan", "--kind", "precision", "--rows", "120", "--json"], silent)
    assert done.exit_code == 0, done.error
    (audit,) = json.loads(done.out)["audits"]
    forms = {form["form"]: form for form in audit["results"]["forms"]}
    assert len(forms) >= 5 and all(form["memory_peak_mb"] > 0 and form["kl_divergence"] >= 0 for form in forms.values()), forms


def test_the_documented_example_of_results_from_elsewhere_is_imported_with_its_form_in_use(store: Store, tmp_path: Path) -> None:
    """Regression: the number of rows was read from the whole file, where only its forms state it, after the record was stored."""
    example = (ROOT / "docs" / "trade-offs.md").read_text(encoding="utf-8").split("```json\n")[1].split("```")[0]
    (tmp_path / "results.json").write_text(example, encoding="utf-8")
    command = ["trade-offs", "loan", "--import", str(tmp_path / "results.json"), "--in-use"]
    printed = execute(store, [*command, "int8 on board"], silent)
    assert printed.exit_code == 0 and "loan version 1: 2 forms on 5,000 rows of its calibration set." in printed.out, printed.error
    body = json.loads(execute(store, [*command, "int8 on board", "--json", "--dry-run"], silent).out)
    assert body["results"]["in_use"] == "int8 on board"
    refused = execute(store, [*command, "int4"], silent)
    assert refused.exit_code == 2 and "int4" in refused.error
