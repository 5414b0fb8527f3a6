"""Energy and carbon agree with hand calculations, count each reading once, and equal CodeCarbon's for the same readings."""

import json
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.core.numerals import with_si_prefix
from observability.metrics.energy import serving_energy
from observability.metrics.energy_readings import energy_by_phase, reading_energy
from observability.metrics.prices import ambiguous_regions, energy_factors, prices_at
from observability.metrics.run_energy import training_run_energy
from tests.support.operations_world import START, place, prices, resources, runs, served, use

GRID = {"resource": "kwh", "amount": 0.3, "carbon_g_per_kwh": 200.0, "pue": 1.5}


def joules(*rows: dict) -> float:
    return float(reading_energy(resources(*rows))["joules"].sum())


def test_the_energy_of_a_reading_is_its_joules_or_its_watts_times_seconds() -> None:
    assert joules({"at": 60, "device": "cpu", "energy_j": 100.0, "watts": 5.0, "seconds": 60.0}) == 100
    assert joules({"at": 60, "device": "cpu", "watts": 5.0, "seconds": 60.0}) == 300
    assert joules({"at": 60, "device": "cpu", "utilisation": 0.5}) == 0


def test_bare_watts_are_joined_by_trapezoids_and_gaps_are_not_bridged() -> None:
    ramp = [{"at": 10 * i, "device": "gpu0", "watts": 100.0 + i, "run": "a"} for i in range(7)]
    assert joules(*ramp) == pytest.approx(np.trapezoid([100 + i for i in range(7)], dx=10))
    later = [{"at": 1000 + 10 * i, "device": "gpu0", "watts": 50.0, "run": "a"} for i in range(3)]
    assert joules(*ramp, *later) == pytest.approx(np.trapezoid([100 + i for i in range(7)], dx=10) + 50 * 20)
    assert joules({"at": 0, "device": "gpu0", "watts": 100.0}) == 0


def test_overlapping_readings_of_one_device_are_counted_once() -> None:
    first = {"at": 60, "device": "cpu", "host": "h", "watts": 10.0, "seconds": 60.0, "run": "a"}
    other = {"at": 90, "device": "cpu", "host": "h", "watts": 10.0, "seconds": 60.0, "run": "b"}
    assert joules(first, other) == pytest.approx(900)
    assert joules(first, other | {"host": "g"}) == pytest.approx(1200)
    assert joules(first, other | {"device": "gpu0"}) == pytest.approx(1200)
    assert joules(first, first | {"run": "b"}) == pytest.approx(600)
    assert joules(first | {"host": None}, first | {"host": None, "run": "b"}) == pytest.approx(1200), (
        "it is not known whether unknown hosts are the same"
    )


def test_phases_share_the_energy_of_their_readings_and_name_their_steps() -> None:
    """The readings: 60 s at 100 W and 60 s at 50 W of computing, 60 s at 30 W of waiting for data, and a reading without a phase."""
    common = {"device": "gpu0", "host": "h", "seconds": 60.0, "run": "a"}
    told = [
        common | {"at": 60, "watts": 100.0, "phase": "compute", "step": 1},
        common | {"at": 120, "watts": 30.0, "phase": "data", "step": 2, "source": "assumed"},
        common | {"at": 180, "watts": 50.0, "phase": "compute", "step": 3},
        common | {"at": 240, "watts": 1.0},
    ]
    frame = resources(*told).assign(phase=[each.get("phase") for each in told], step=pd.array([each.get("step") for each in told], "Int64"))
    found = energy_by_phase(frame).set_index("phase")
    assert list(found.index) == ["compute", "data", ""] and found["joules"].tolist() == [9000, 1800, 60]
    assert found.loc["compute", ["readings", "seconds", "first", "last"]].tolist() == [2, 120, 1, 3]
    assert found["source"].tolist() == ["measured", "assumed", "measured"] and np.isnan(found.loc["", "first"])
    assert found["joules"].sum() == joules(*told)


def test_a_price_holds_until_the_next_one_and_a_more_specific_price_takes_precedence() -> None:
    rows = prices(
        {"resource": "kwh", "amount": 1.0, "from": 0},
        {"resource": "kwh", "amount": 2.0, "from": 2},
        {"resource": "cpu_hour", "amount": 9.0},
        {"resource": "kwh", "amount": 7.0, "from": 3, "model": "loan"},
        {"resource": "kwh", "amount": 8.0, "from": 0, "model": "other"},
    )
    at = pd.Series(pd.date_range(START, periods=5, freq="h")) - pd.Timedelta(hours=1)
    values, currencies = prices_at(rows, "amount", at, place(), resource="kwh")
    assert np.isnan(values[0]) and list(values[1:]) == [1, 1, 2, 7] and currencies[1] == "EUR"


def test_with_several_regions_the_region_of_the_settings_gives_the_carbon_intensity() -> None:
    rows = prices(GRID | {"region": "north", "carbon_g_per_kwh": 20.0}, GRID | {"region": "south", "carbon_g_per_kwh": 700.0})
    at = pd.Series([pd.Timestamp(START)])
    assert energy_factors(rows, at, place(region="south")).intensity[0] == 700
    unclear = energy_factors(rows, at, place())
    assert unclear.intensity[0] == 475 and unclear.assumed_intensity[0] and unclear.pue[0] == 1
    assert ambiguous_regions(rows, place().settings) == ["north", "south"] and not ambiguous_regions(rows, place(region="north").settings)
    assert energy_factors(rows[rows["region"] == "north"], at, place()).intensity[0] == 20, "the only intensity that there is"
    own = energy_factors(rows, at, place(pue=1.1, carbon_g_per_kwh=300.0))
    assert (own.pue[0], own.intensity[0]) == (1.1, 300) and not own.assumed_intensity[0]


def test_energy_logged_with_predictions_is_multiplied_by_pue_and_the_hourly_intensity() -> None:
    rows = prices(GRID, GRID | {"from": 1, "carbon_g_per_kwh": 400.0})
    found = serving_energy(served([100, 300]), use("energy_j", [100, 300], [36.0, 72.0]), resources(), rows, place())
    wh = [100 * 36 / 3600 * 1.5, 300 * 72 / 3600 * 1.5]
    assert list(found.hours["wh"]) == pytest.approx(wh)
    assert found.grams == pytest.approx(wh[0] * 0.2 + wh[1] * 0.4)
    assert (found.method, found.source, found.carbon_source, found.covered, found.rows) == ("predictions", "measured", "measured", 1.0, 400)


def test_predictions_without_energy_are_taken_to_draw_the_same() -> None:
    found = serving_energy(served([1000]), use("energy_j", [250], [36.0]), resources(), prices(GRID), place())
    assert found.covered == 0.25 and found.wh == pytest.approx(1000 * 36 / 3600 * 1.5)


def test_service_readings_include_the_energy_of_predictions_and_give_the_idle_share() -> None:
    readings = resources(*[{"at": 900 * (i + 1), "device": "cpu", "watts": 4.0, "seconds": 900.0, "source": "measured"} for i in range(4)])
    training = resources({"at": 900, "device": "gpu0", "watts": 900.0, "seconds": 900.0, "run": "r"})
    found = serving_energy(served([100]), use("energy_j", [100], [36.0]), pd.concat([readings, training]), prices(GRID), place())
    assert found.method == "resources" and found.wh == pytest.approx(4 * 3600 / 3600 * 1.5), (
        "neither the 900 W of the run nor energy_j is counted in addition"
    )
    assert found.idle_share == pytest.approx(1 - 100 * 36 / (4 * 3600))


def test_readings_without_a_version_are_divided_by_what_each_served() -> None:
    both = pd.concat([served([30]), served([90], "2")])
    readings = resources(
        {"at": 3600, "device": "cpu", "watts": 4.0, "seconds": 3600.0},
        {"at": 3600, "device": "gpu0", "watts": 1.0, "seconds": 3600.0, "version": "2"},
    )
    nothing = use("energy_j", [], [])
    of = {version: serving_energy(both, nothing, readings, prices(), place(), version=version).wh for version in ("1", "2", None)}
    assert of["1"] == pytest.approx(1.0) and of["2"] == pytest.approx(4.0) and of[None] == pytest.approx(5.0)


def test_energy_estimated_from_latency_alone_is_marked_as_assumed() -> None:
    found = serving_energy(served([10]), use("latency_ms", [10], [200.0]), resources(), prices(), place(watts_per_core=8.0))
    assert found.wh == pytest.approx(10 * 0.2 * 8 / 3600) and found.source == "assumed" == found.carbon_source
    assert found.grams == pytest.approx(found.wh * 0.475) and found.assumed_carbon and found.assumed_pue
    assert serving_energy(served([10]), use("latency_ms", [], []), resources(), prices(), place()).method is None


def test_embodied_carbon_is_the_sum_of_requests_cores_and_energy() -> None:
    rows = prices(GRID | {"embodied_g": 50.0}, {"resource": "request", "embodied_g": 0.01}, {"resource": "cpu_hour", "embodied_g": 3.0})
    usage = pd.concat([use("energy_j", [100], [36.0]), use("latency_ms", [100], [36_000.0])])
    found = serving_energy(served([100]), usage, resources(), rows, place())
    assert found.hours["embodied"].sum() == pytest.approx(0.01 * 100 + 3.0 * 1.0 + 50.0 * found.wh / 1000)


def test_the_energy_of_a_run_comes_from_its_readings_or_from_its_cores_and_duration() -> None:
    rows = runs(
        {"run": "read", "event": "start", "at": 0, "hardware": {"cores": 8, "gpus": 2}},
        {"run": "read", "event": "end", "at": 7200, "version": "3"},
        {"run": "told", "event": "start", "at": 0, "hardware": {"cores": 8, "cores_usable": 2}},
        {"run": "told", "event": "end", "at": 3600},
        {"run": "lost", "event": "end", "at": 60},
    )
    readings = resources(
        *[
            {"at": 3600 * (i + 1), "device": "gpu0", "run": "read", "watts": 250.0, "seconds": 3600.0, "source": "measured"}
            for i in range(2)
        ]
    )
    found = training_run_energy(rows, readings, prices(GRID), place()).set_index("run")
    assert found.loc["read", "wh"] == pytest.approx(500 * 1.5) and found.loc["read", "grams"] == pytest.approx(500 * 1.5 * 0.2)
    assert (found.loc["read", "source"], found.loc["read", "devices"], found.loc["read", "version"]) == ("measured", 1, "3")
    assert found.loc["told", "wh"] == pytest.approx(2 * 4 * 1.5) and found.loc["told", "source"] == "assumed"
    assert np.isnan(found.loc["lost", "wh"])
    assert training_run_energy(rows.iloc[:0], readings, prices(GRID), place()).empty


def test_figures_get_a_readable_si_prefix() -> None:
    told = [with_si_prefix(value, "Wh") for value in (0.0000541, 0.0129, 0.99999, 12.34, 1234567.0, 0.0, None)]
    assert told == ["54.1 µWh", "12.9 mWh", "1.00 Wh", "12.3 Wh", "1.23 MWh", "0 Wh", "unknown"]


@pytest.mark.long  # the other tests of this file cover it in every run
def test_codecarbons_reading_is_reproduced(monkeypatch: pytest.MonkeyPatch) -> None:
    codecarbon = pytest.importorskip("codecarbon")
    from codecarbon.output import BaseOutput

    class Kept(BaseOutput):
        """An output for CodeCarbon that collects every reading, and the total."""

        def __init__(self) -> None:
            self.readings, self.total = [], None

        def live_out(self, total, delta) -> None:
            self.readings.append(delta)

        def out(self, total, delta) -> None:
            self.readings.append(delta)
            self.total = total

    kept, pue = Kept(), 1.3
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tracker = codecarbon.OfflineEmissionsTracker(
            country_iso_code="FRA",
            pue=pue,
            measure_power_secs=0.3,
            api_call_interval=1,
            save_to_file=False,
            output_handlers=[kept],
            log_level="critical",
            allow_multiple_runs=True,
        )
        tracker.start()
        until = time.monotonic() + 2
        while time.monotonic() < until:
            sum(i * i for i in range(10_000))
        tracker.stop()
    at, power, exact = 0.0, [], []
    for each in kept.readings:
        at += each.duration
        for device, watts, kwh in (("cpu", each.cpu_power, each.cpu_energy), ("memory", each.ram_power, each.ram_energy)):
            power.append({"at": at, "device": device, "run": "r", "watts": watts / pue, "seconds": each.duration})
            exact.append(power[-1] | {"energy_j": kwh * 3.6e6 / pue})
    mixes = Path(codecarbon.__file__).parent / "data" / "private_infra" / "global_energy_mix.json"
    grid = prices({"resource": "kwh", "pue": pue, "carbon_g_per_kwh": json.loads(mixes.read_text())["FRA"]["carbon_intensity"]})
    rows = runs({"run": "r", "event": "start", "at": 0}, {"run": "r", "event": "end", "at": at})
    # CodeCarbon measures the processor's load with a separate clock, so its watts times our seconds are only close to its energy. Times of
    # readings are whole microseconds, so a run may lose one microsecond per reading.
    for readings, near in ((power, 0.25), (exact, 1e-5)):
        (found,) = training_run_energy(rows, resources(*readings), grid, place()).to_dict("records")
        assert found["wh"] / 1000 == pytest.approx(kept.total.energy_consumed, rel=near)
        assert found["grams"] / 1000 == pytest.approx(kept.total.emissions, rel=near)
    assert kept.total.energy_consumed > 0


def test_carbon_of_a_run_is_that_of_each_of_its_hours() -> None:
    grid = prices({"resource": "kwh", "from": 0, "carbon_g_per_kwh": 100.0}, {"resource": "kwh", "from": 1, "carbon_g_per_kwh": 400.0})
    rows = runs({"run": "r", "event": "start", "at": 1800, "hardware": {"cores": 1}}, {"run": "r", "event": "end", "at": 9000})
    (found,) = training_run_energy(rows, resources(), grid, place()).to_dict("records")
    assert found["grams"] == pytest.approx(found["wh"] / 1000 * (0.5 * 100 + 1.5 * 400) / 2) and not found["assumed_carbon"]
    typical = place(carbon_by_hour=(100.0, *(400.0,) * 23))
    (same,) = training_run_energy(rows, resources(), prices(), typical).to_dict("records")
    assert same["grams"] == pytest.approx(found["grams"]) and not same["assumed_carbon"]
