"""The energy of serving is measured in the confined worker, with a meter if there is one, and a machine is calibrated from readings."""

import itertools
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest

from observability.cli.execute import execute
from observability.enrichment import energy_audit
from observability.metrics.serving_power import core_power, energy_audits
from observability.store.types.registration import RegistrationRequest
from tests.support.new_store import new_store

NOW = datetime(2026, 3, 2, tzinfo=UTC)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store with a LightGBM model and its model file."""
    lightgbm = pytest.importorskip("lightgbm")
    folder, rng = tmp_path_factory.mktemp("energy"), np.random.default_rng(4)
    frame = pd.DataFrame({"age": rng.normal(40, 9, 1500), "income": rng.normal(3, 1, 1500)})
    frame["label"] = (frame["age"] + 9 * rng.normal(size=1500) > 40).astype(int)
    booster = lightgbm.train(
        {"objective": "binary", "verbose": -1, "num_threads": 1}, lightgbm.Dataset(frame[["age", "income"]], frame["label"]), 60
    )
    booster.save_model(folder / "model.txt")
    frame.assign(score=booster.predict(frame[["age", "income"]])).to_parquet(folder / "reference.parquet")
    with closing(new_store(folder / "home", threads=1)) as opened:
        opened.register(
            RegistrationRequest(
                model="loan", version="1", task="binary", reference=folder / "reference.parquet", label="label", score=("score",),
                artifact=folder / "model.txt",
            )
        )  # fmt: skip
        yield opened


def run(store: Any, *argv: str) -> Any:
    found = execute(store, ["energy", *argv, "--json"], lambda _: None)
    assert found.exit_code == 0, found.error
    return json.loads(found.out)


def test_batches_cost_less_processor_time_than_single_rows_and_the_audit_is_kept(store: Any) -> None:
    made = run(store, "measure", "loan", "--batches", "1,100,9000", "--without-network", "--forms", "as served", "--seconds", "1.2")
    found = {each["batch"]: each for each in made["results"]["batches"]}
    assert set(found) == {1, 100}, "a batch size above the number of rows is left out"
    assert found[100]["cpu_seconds"]["value"] < found[1]["cpu_seconds"]["value"] / 2
    settings = store.catalog().model("loan").settings
    power, dates = core_power(settings), [datetime.fromisoformat(made[name]) for name in ("at", "expires")]
    assert dates[1] - dates[0] == timedelta(days=settings.audit_days), "it expires as other audits do"
    if "meter" not in made["results"]["power"]:
        assert all(each["source"] == "assumed" for each in found.values()) and "assumed 4 W" in made["results"]["power"]
        for each in found.values():
            assert each["joules"]["value"] == pytest.approx(4 * each["cpu_seconds"]["value"])
            assert each["joules"]["high"] == pytest.approx(power.high * each["cpu_seconds"]["high"])
    from observability.core.window import EPOCH, Window
    from observability.metrics.serving_power import ENERGY_AUDITS

    (kept,) = energy_audits(store.ask(ENERGY_AUDITS, Window("loan", EPOCH, datetime.now(UTC) + timedelta(minutes=1))))
    assert [each.batch for each in kept.batches] == [1, 100]


def test_metered_joules_are_scaled_by_processor_seconds() -> None:
    body = {
        "form": "as served",
        "precision": "fp64",
        "batch": 10,
        "rows": 100,
        "repeats": 3,
        "costs": [1.0, 1.1, 0.9],
        "load_cpu_seconds": 2.0,
    }
    from observability.core.settings import ModelSettings

    measured = energy_audit.measured_batch(body, core_power(ModelSettings()), {"as served": 14.0})
    assert measured["source"] == "measured" and measured["joules"]["value"] == pytest.approx(7.0)
    assert energy_audit.measured_batch(body, core_power(ModelSettings()), {})["source"] == "assumed"


def test_a_machine_is_calibrated_from_stored_readings_and_energy_is_estimated_from_then_on(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy_audit, "processor_energy", lambda: None)
    none = run(store, "calibrate", "loan")
    assert none["calibrated"] is False and (none["low"], none["high"]) == (2.0, 10.0)
    rng = np.random.default_rng(6)
    lines = [
        {"kind": "resource", "at": NOW + timedelta(minutes=place), "device": "cpu", "host": "h", "utilisation": load, "seconds": 60, "source": "measured"}
        | {"watts": float((20 + 4 * 5.0 * load) * (1 + 0.03 * rng.standard_normal()))}
        for place, load in enumerate(rng.uniform(0, 1, 40).round(3).tolist())
    ]  # fmt: skip
    store.write_records(lines)
    fitted = run(store, "calibrate", "loan", "--cores", "4")
    assert fitted["watts_per_core"] == pytest.approx(5.0, rel=0.1) and fitted["idle_watts"] == pytest.approx(20, rel=0.05)
    settings = store.catalog().model("loan").settings
    assert core_power(settings).source == "estimated" and settings.watts_per_core_error == pytest.approx(0.06, abs=0.04)


@pytest.mark.long  # test_batches_cost_less_processor_time_than_single_rows_…
def test_a_meter_under_an_artificial_load_calibrates_the_machine() -> None:
    """The meter is simulated: 10 W, and 3 W more for each busy core of this machine."""
    from observability.client.power import machine_busy_seconds

    if machine_busy_seconds() is None:
        pytest.skip("this system does not tell its busy seconds")
    import time

    state = {"at": time.perf_counter(), "busy": machine_busy_seconds() or 0.0}

    def read() -> float:
        at, busy = time.perf_counter(), machine_busy_seconds() or 0.0
        joules = 10 * (at - state["at"]) + 3 * (busy - state["busy"])
        state.update(at=at, busy=busy)
        return joules

    found = energy_audit.calibrated_power(None, 4.5, 2, lambda *_: None, read)  # type: ignore[arg-type]
    if found.fit is not None:  # it is None if other work keeps all cores busy throughout
        assert found.fit.per_core == pytest.approx(3, abs=1.5) and found.fit.idle == pytest.approx(10, abs=3)


def test_wrong_use_is_refused_with_a_message(store: Any) -> None:
    for argv in (["measure"], ["measure", "loan", "--batches", "a"], ["measure", "loan", "--seconds", "0"], ["measure", "nobody"]):
        assert execute(store, ["energy", *argv], lambda _: None).exit_code == 2
    assert list(itertools.chain(energy_audit.BATCHES)) == [1, 10, 100, 1000]
