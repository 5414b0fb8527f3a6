"""operations/energy: the energy per thousand predictions is right and states its source, growth raises an alarm, and missing inputs are
named.
"""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.operations.energy import ANALYZER
from observability.core.analyzer import Context
from observability.core.finding import worst_first
from observability.core.settings import ModelSettings
from observability.core.window import Slice
from observability.metrics.form_decisions import FORM_DECISIONS
from observability.metrics.serving_power import ENERGY_AUDITS
from tests.support.analyzer_worlds import START, context_for
from tests.support.device_readings import device_rows
from tests.support.length import allowed, repeats, some
from tests.support.named_share import NamedShare
from tests.support.operations_world import prices, resources, run_steps, runs, served, use

HOURS, PAST_HOURS = 7 * 24, 28 * 24
GRID = prices({"resource": "kwh", "amount": 0.3, "carbon_g_per_kwh": 200.0, "pue": 1.5, "from": -24 * 40})


def week(joules: float, seed: int, hours: int = HOURS, measure: str = "energy_j") -> tuple[pd.DataFrame, pd.DataFrame]:
    """Predictions and energy sums of some hours: about 50 predictions an hour; the joules per prediction vary by day."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(50, hours).astype(float).tolist()
    by_day = np.repeat(rng.lognormal(0, 0.05, hours // 24 + 1), 24)[:hours]
    return served(counts), use(measure, counts, (joules * by_day).tolist())


def findings(
    now: tuple, past: tuple | None, *, price: pd.DataFrame = GRID, readings=None, past_readings=None, run=None, steps=None, settings=None
) -> dict:
    context = context_for(None, settings=settings or ModelSettings())
    before = past or (served([]), use("energy_j", [], []))
    shift = timedelta(days=28)
    frames = {
        "served": now[0], "use": now[1], "resources": resources() if readings is None else readings, "prices": price,
        "runs": runs() if run is None else run, "steps": run_steps() if steps is None else steps, "past served": before[0].assign(period=before[0]["period"] - shift),
        "past use": before[1].assign(period=before[1]["period"] - shift), "past resources": resources() if past_readings is None else past_readings,
        "readings": pd.concat([each for each in (past_readings, readings) if each is not None] or [resources()], ignore_index=True),
        "batches": pd.DataFrame(columns=list(ENERGY_AUDITS.columns)), "forms": pd.DataFrame(columns=list(FORM_DECISIONS.columns)),
    }  # fmt: skip
    assert set(frames) == set(ANALYZER.needs(context))
    return {(each.subject, each.metric): each for each in ANALYZER.analyze(frames, context)}


def test_energy_and_carbon_per_thousand_match_a_hand_computation_and_name_their_source() -> None:
    now = week(36.0, 1)
    found = findings(now, week(36.0, 2, PAST_HOURS))
    energy, carbon = found["model", "energy_per_thousand"], found["model", "sci"]
    wh = 1000 * now[1]["total"].sum() / now[0]["w"].sum() / 3600 * 1.5
    assert energy.value == pytest.approx(wh) and carbon.value == pytest.approx(wh * 0.2)
    assert energy.low < energy.value < energy.high and energy.n == now[0]["n"].sum()
    assert (energy.severity, energy.basis, energy.against) == ("ok", "measured", "past")
    assert "measured" in energy.because and f"{wh:.1f} Wh per thousand predictions" in energy.because
    assert energy.evidence["source"] == "measured" and carbon.evidence["per"] == "1,000 predictions"


@pytest.mark.parametrize(("times", "severity"), [(1.7, "act"), (1.3, "watch"), (1.1, "ok"), (0.6, "ok")])
def test_an_energy_rise_is_reported_if_it_exceeds_chance_and_a_minimum(times: float, severity: str) -> None:
    found = findings(week(36.0 * times, 3), week(36.0, 4, PAST_HOURS))["model", "energy_per_thousand"]
    assert found.severity == severity
    assert found.evidence["times_the_past"] == pytest.approx(times, rel=0.1)
    if severity == "act":
        assert "times the level of the 28 days before" in found.because and found.limit < found.value


def test_a_carbon_rise_is_split_into_energy_and_grid_carbon() -> None:
    dirty = prices(
        {"resource": "kwh", "pue": 1.5, "carbon_g_per_kwh": 200.0, "from": -2400},
        {"resource": "kwh", "pue": 1.2, "carbon_g_per_kwh": 400.0, "from": 0},
    )
    found = findings(week(36.0, 3), week(36.0, 4, PAST_HOURS), price=dirty)
    energy, carbon = found["model", "energy_per_thousand"], found["model", "sci"]
    assert (
        carbon.severity == "act"
        and "the energy of a prediction is 0.8 times as high and the carbon of a kWh is 2 times as high" in carbon.because
    )
    assert np.prod([each[3] for each in carbon.evidence["factors"]]) == pytest.approx(
        1000 * carbon.value / carbon.evidence["baseline"] / 1000
    )
    assert (
        energy.severity == "ok"
        and "(PUE) is 0.8 times as high" in energy.because
        and "draw for a prediction is unchanged" in energy.because
    )


def test_an_energy_rise_of_the_last_day_is_reported_and_dated() -> None:
    now, past = week(36.0, 3), week(36.0, 4, PAST_HOURS)
    late = now[1]["period"] >= now[1]["period"].iloc[-24]
    dearer = now[1].assign(total=now[1]["total"].where(~late, now[1]["total"] * 1.8))
    found = findings((now[0], dearer), past)["model", "energy_per_thousand"]
    assert (found.severity, found.onset) == ("act", START + timedelta(days=6)) and " on the last day, " in found.because
    wh = 1000 * dearer["total"][late].sum() / now[0]["w"][late].sum() / 3600 * 1.5
    assert found.value == pytest.approx(wh) and found.low < wh < found.high and found.limit < found.low
    assert [each["days"] for each in found.evidence["windows"]] == [1, 3, 7]


def test_energy_of_a_varying_model_is_compared_with_its_daily_variation() -> None:
    rng = np.random.default_rng(5)
    per = np.repeat(rng.lognormal(0, 0.5, 35), 24) * 36.0
    counts = [50.0] * (PAST_HOURS + HOURS)
    span = lambda a, b: (served(counts[a:b]), use("energy_j", counts[a:b], (50 * per[a:b] / 50).tolist()))
    now = span(PAST_HOURS, PAST_HOURS + HOURS)
    found = findings((now[0], now[1].assign(total=now[1]["total"] * 1.3)), span(0, PAST_HOURS))["model", "energy_per_thousand"]
    strays = float(np.log(per[::24][:28]).std(ddof=1))
    day = found.evidence["windows"][0]
    assert found.severity == "ok" and 2.0 < np.log(day["varies_up_to"]) / strays < 3.5


def test_an_owner_limit_sets_how_much_the_energy_per_prediction_may_rise() -> None:
    now, past = week(36.0 * 1.7, 3), week(36.0, 4, PAST_HOURS)
    usual = findings(now, past)["model", "energy_per_thousand"]
    settings = ModelSettings(limits={"operations/energy/energy_per_thousand": 3.0})
    found = findings(now, past, settings=settings)
    energy, carbon = found["model", "energy_per_thousand"], found["model", "sci"]
    assert (usual.severity, energy.severity, carbon.severity) == ("act", "watch", "act")
    assert "; the owner's limit is 3 times the past" in energy.because and "the owner's limit" not in carbon.because + usual.because
    assert energy.limit == pytest.approx(1.2 * energy.evidence["baseline"]), "the warning still begins at the same limit"
    tight = ModelSettings(limits={"operations/energy/energy_per_thousand": 1.05})
    slight = findings(week(36.0 * 1.1, 3), past, settings=tight)["model", "energy_per_thousand"]
    assert slight.severity in ("watch", "act") and slight.limit < slight.value


def week_severity(seed: int, times: float = 1.0) -> str:
    """The severity if the week's energy is the given multiple of the energy of the four weeks before."""
    return findings(week(36.0 * times, 100 + seed), week(36.0, 10_000 + seed, PAST_HOURS))["model", "energy_per_thousand"].severity


def test_clean_weeks_do_not_alarm() -> None:
    weeks = repeats(6, 300)
    said = [week_severity(seed) for seed in range(weeks)]
    assert said.count("act") == 0 and said.count("watch") <= allowed(0.01, weeks)


def doubled_run(rng: np.random.Generator) -> dict:
    """Five runs with the same parameters, whose energies differ by 5 %; the last run has twice the energy."""
    records, readings = a_model_trained_again([*(36000 * rng.lognormal(0, 0.05, 5)), float(72000 * rng.lognormal(0, 0.05))])
    return findings(week(36.0, int(rng.integers(1e6))), None, run=records, readings=readings)


def devices_of_a_run(rng: np.random.Generator, **faulty: tuple[float, float]) -> dict:
    """A busy and a cool accelerator, and optionally a third; given are mean and deviation of its readings."""
    usual = {"utilisation": (0.8, 0.08), "temperature_c": (66.0, 3.0)}
    rows = [
        {"at": 60 * (i + 1), "device": name, "run": "one", **{key: float(rng.normal(*each)) for key, each in (usual | own).items()}}
        for name, own in (("gpu0", faulty), ("gpu1", {}))
        for i in range(60)
    ]
    return findings(week(36.0, int(rng.integers(1e6))), None, readings=resources(*rows))


def hot_server(rng: np.random.Generator) -> dict:
    """Findings about the devices of a service, one of which is 16 degrees hotter than its peers."""
    rows = device_rows("serving", int(rng.integers(1e6)), temperature_c=16.0)
    at = (rows["at"] - rows["at"].min()).dt.total_seconds() + 60
    plain = rows.drop(columns=["run", "model"]).assign(at=at).to_dict("records")
    return findings(week(36.0, int(rng.integers(1e6))), None, readings=resources(*plain))


def grown_energy(rng: np.random.Generator) -> dict:
    """A week at 1.7 times the energy of the four weeks before."""
    seed = int(rng.integers(1e6))
    return findings(week(36.0 * 1.7, seed), week(36.0, seed + 1, PAST_HOURS))


FAULTY = {
    "grown_energy": (grown_energy, ("model", "energy_per_thousand")),
    "doubled_run": (doubled_run, ("run:r5", "run_energy")),
    "running_run_beyond": (lambda rng: with_a_running_run(60, float(rng.normal(165, 5))), ("run:r4", "run_energy_forecast")),
    "idle_device": (lambda rng: devices_of_a_run(rng, utilisation=(0.2, 0.06)), ("device=gpu0", "utilisation")),
    "hot_device": (lambda rng: devices_of_a_run(rng, temperature_c=(88.0, 3.0)), ("device=gpu0", "temperature_c")),
    "hot_server": (hot_server, ("device=gpu0 on node-1", "device_temperature_gap")),
}


@pytest.mark.parametrize("name", some(FAULTY, 3))
def test_a_planted_energy_fault_is_among_the_top_three_findings_in_nine_of_ten_draws(name: str, named_share: NamedShare) -> None:
    (plant, target), draws = FAULTY[name], repeats(3, 40)
    named = 0
    for seed in range(draws):
        needy = [each for each in worst_first(list(plant(np.random.default_rng([seed, 7])).values())) if each.needs_action]
        named += target in [(each.subject, each.metric) for each in needy[:3]]
    named_share(name, named, draws)


def test_energy_from_an_assumed_power_is_never_an_act() -> None:
    found = findings(week(60.0, 5, measure="latency_ms"), week(20.0, 6, PAST_HOURS, "latency_ms"))
    assert {found["model", metric].severity for metric in ("energy_per_thousand", "sci")} == {"watch"}


def test_energy_computed_from_latency_is_estimated_and_names_its_assumptions() -> None:
    found = findings(
        week(20.0, 5, measure="latency_ms"),
        week(20.0, 6, PAST_HOURS, "latency_ms"),
        price=prices(),
        settings=ModelSettings(watts_per_core=10.0),
    )
    energy, carbon = found["model", "energy_per_thousand"], found["model", "sci"]
    assert energy.basis == "estimated" and "assumed 10 W per busy core" in energy.because and "PUE 1 assumed" in energy.because
    assert "475 g a kWh assumed" in carbon.because and carbon.evidence["assumed_carbon_g_per_kwh"] == 475
    assert energy.value == pytest.approx(1000 * 0.02 * 10 / 3600, rel=0.1)


def test_energy_is_not_compared_with_a_past_measured_another_way() -> None:
    found = findings(week(36.0, 7), week(20.0, 8, PAST_HOURS, "latency_ms"))["model", "energy_per_thousand"]
    assert found.severity == "unknown" and found.value is not None and "about 7 more days of past are needed" in found.because


def test_an_empty_window_or_a_service_without_readings_says_what_to_log() -> None:
    empty = findings((served([]), use("energy_j", [], [])), week(36.0, 9, PAST_HOURS))
    assert {each.severity for each in empty.values()} == {"unknown"}
    mute = findings((served([50.0] * HOURS), use("energy_j", [], [])), None)
    assert all("track_run(power=True)" in each.because and "latency_ms" in each.because for each in mute.values())


def test_readings_of_the_service_tell_the_idle_share() -> None:
    rows = [{"at": 3600 * (i + 1), "device": "cpu", "watts": 2.0, "seconds": 3600.0, "source": "estimated"} for i in range(HOURS)]
    now = (served([50.0] * HOURS), use("energy_j", [50.0] * HOURS, [36.0] * HOURS))
    found = findings(now, None, readings=resources(*rows))
    idle, energy = found["model", "idle_share"], found["model", "energy_per_thousand"]
    assert idle.value == pytest.approx(1 - 50 * 36 / 7200) and idle.severity == "ok" and idle.basis == "estimated"
    assert energy.value == pytest.approx(1000 * 2 * 1.5 / 50) and "readings of the service" in energy.because
    strict = findings(now, None, readings=resources(*rows), settings=ModelSettings(limits={"operations/energy/idle_share": 0.5}))
    assert strict["model", "idle_share"].severity == "watch" and strict["model", "idle_share"].limit == 0.5
    silent = findings((now[0], use("energy_j", [], [])), None, readings=resources(*rows))["model", "idle_share"]
    assert silent.severity == "unknown" and "energy_j" in silent.because


def test_runs_that_ended_in_the_window_have_a_finding_each() -> None:
    rows = runs(
        {"run": "told", "event": "start", "at": 0, "hardware": {"cores": 8}}, {"run": "told", "event": "end", "at": 3600},
        {"run": "read", "event": "end", "at": 60}, {"run": "lost", "event": "end", "at": 90}, {"run": "before", "event": "end", "at": -60},
    )  # fmt: skip
    readings = resources({"at": 60, "device": "gpu0", "run": "read", "energy_j": 7200.0, "seconds": 60.0, "source": "measured"})
    found = findings(week(36.0, 10), None, run=rows, readings=readings)
    told, read, lost = (found[f"run:{name}", "run_energy"] for name in ("told", "read", "lost"))
    assert told.value == pytest.approx(8 * 4 * 1.5) and "8 cores at an assumed 4 W each" in told.because and told.basis == "estimated"
    assert read.value == pytest.approx(2 * 1.5) and read.basis == "measured" and read.evidence["grams"] == pytest.approx(3 * 0.2)
    assert lost.severity == "unknown" and "power=True" in lost.because
    assert ("run:before", "run_energy") not in found and ("model", "idle_share") not in found


def a_model_trained_again(joules: list[float], source: str = "measured", **fields) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Records and readings of runs with the same parameters, one run per day; the last one ends in the window."""
    records, readings = [], []
    for place, each in enumerate(joules):
        end = 3600 - 86400 * (len(joules) - 1 - place)
        of_run = {"run": f"r{place}", **fields}
        records.append({**of_run, "event": "start", "at": end - 600, "params": {"rate": 0.1, "seed": place}})
        records.append({**of_run, "event": "end", "at": end, "status": "finished"})
        readings.append({"run": f"r{place}", "device": "gpu0", "at": end, "energy_j": each, "seconds": 600.0, "source": source})
    return runs(*records), resources(*readings)


@pytest.mark.parametrize(("times", "severity"), [(2.0, "act"), (1.35, "watch"), (1.1, "ok"), (0.5, "ok")])
def test_a_run_is_compared_with_earlier_runs_of_the_same_parameters(times: float, severity: str) -> None:
    usual = [36000.0, 37000.0, 35000.0, 36500.0]
    records, readings = a_model_trained_again([*usual, 36000.0 * times])
    found = findings(week(36.0, 10), None, run=records, readings=readings)["run:r4", "run_energy"]
    assert (found.severity, found.against) == (severity, "past")
    mean = float(np.exp(np.mean(np.log(usual)))) / 3600 * 1.5
    assert found.evidence["baseline"] == pytest.approx(mean) and found.evidence["times_the_past"] == pytest.approx(found.value / mean)
    assert f"{found.value / mean:.2f} times that of 4 earlier runs with the same parameters" in found.because
    assert (found.value > found.limit) == (severity != "ok")
    accepted = ModelSettings(limits={"operations/energy/run_energy": 2.5})
    owners = findings(week(36.0, 10), None, run=records, readings=readings, settings=accepted)["run:r4", "run_energy"]
    assert owners.severity != "act"


def test_a_run_without_similar_earlier_runs_is_not_compared_with_others() -> None:
    records, readings = a_model_trained_again([36000.0] * 3 + [90000.0])
    records.loc[records["run"] == "r3", "params"] = pd.Series([{"rate": 0.9}] * len(records))
    found = findings(week(36.0, 10), None, run=records, readings=readings)["run:r3", "run_energy"]
    assert found.severity == "unknown" and "it needs about 3 more earlier runs with the same parameters" in found.because
    records, readings = a_model_trained_again([36000.0] * 3 + [90000.0])
    records.loc[(records["run"] != "r3") & (records["event"] == "end"), "status"] = "failed"
    assert findings(week(36.0, 10), None, run=records, readings=readings)["run:r3", "run_energy"].severity == "unknown"


WEEK_END = 7 * 86400


def with_a_running_run(done: int, watts: float, *, runs_before: int = 4, silent: float = 0.0, **params) -> dict:
    """Finished runs of 100 one-minute steps, a day apart, each with twice the power in its second half; and one run that is still going on
    when the week ends.
    """
    records, read, logged = [], [], []
    for place in range(runs_before + 1):
        name, running = f"r{place}", place == runs_before
        start = WEEK_END - (60 * done + silent if running else 86400 * (runs_before - place))
        records.append({"run": name, "event": "start", "at": start, "params": {"rate": 0.1, "seed": place, **params}})
        if not running:
            records.append({"run": name, "event": "end", "at": start + 6001, "status": "finished"})
        for step in range(1, (done if running else 100) + 1):
            own = watts if running else 100.0 + 2 * place
            drawn = {"device": "gpu0", "energy_j": 60 * own * (1 if step <= 50 else 2), "seconds": 60.0, "source": "measured"}
            read.append({"run": name, "at": start + 60 * step - 1, **drawn})
            logged.append({"run": name, "at": start + 60 * step - 1, "step": step})
    return findings(week(36.0, 10), None, run=runs(*records), readings=resources(*read), steps=run_steps(*logged))


def test_energy_of_an_active_run_is_forecast_from_its_steps_and_earlier_runs() -> None:
    found = with_a_running_run(40, 103.0)["run:r4", "run_energy_forecast"]
    by_hand = 60 * 103.0 * (50 + 2 * 50) / 3600 * 1.5
    assert found.value == pytest.approx(by_hand) and found.low == pytest.approx(found.value) == found.high
    assert (found.severity, found.basis, found.n) == ("ok", "estimated", 40)
    assert "after 40 of 100 steps" in found.because and "1.00 times that of 4 earlier runs" in found.because
    stated = with_a_running_run(40, 103.0, runs_before=0, total_steps=80)["run:r0", "run_energy_forecast"]
    assert "measured) after 40 of 80 steps; no interval yet: it needs about 3 more earlier runs" in stated.because
    assert stated.value == pytest.approx(60 * 103.0 * 80 / 3600 * 1.5) and stated.low is None and stated.severity == "unknown"


@pytest.mark.parametrize(("watts", "severity"), [(103.0 * 1.15, "ok"), (103.0 * 1.4, "watch"), (103.0 * 4, "watch")])
def test_an_active_run_whose_forecast_surely_exceeds_earlier_runs_is_a_warning(watts: float, severity: str) -> None:
    found = with_a_running_run(60, watts)["run:r4", "run_energy_forecast"]
    assert found.severity == severity and (found.low >= found.limit) == (severity == "watch")


def test_the_energy_forecast_is_unknown_without_a_total_and_absent_for_a_silent_run() -> None:
    alone = with_a_running_run(40, 103.0, runs_before=0)["run:r0", "run_energy_forecast"]
    beyond = with_a_running_run(120, 103.0)["run:r4", "run_energy_forecast"]
    assert {alone.severity, beyond.severity} == {"unknown"} and alone.value is beyond.value is None
    assert "total_steps" in alone.because and "more steps than earlier runs" in beyond.because
    assert ("run:r4", "run_energy_forecast") not in with_a_running_run(40, 103.0, silent=3600)


def device_finding(metric: str, values: list[float], device: str = "gpu0", **settings) -> dict:
    rows = [{"at": 60 * (i + 1), "device": device, metric: value, "run": "one"} for i, value in enumerate(values)]
    found = findings(week(36.0, 10), None, readings=resources(*rows), settings=ModelSettings(**settings))
    return {key: each for key, each in found.items() if key[0].startswith("device=")}


def test_an_accelerator_that_idles_is_a_warning() -> None:
    low = device_finding("utilisation", [0.1, 0.2] * 30)["device=gpu0", "utilisation"]
    assert low.severity == "watch" and low.value == pytest.approx(0.15) and low.high < low.limit == 0.3 and "15 %" in low.because
    assert device_finding("utilisation", [0.7, 0.9] * 30)["device=gpu0", "utilisation"].severity == "ok"
    assert device_finding("utilisation", [0.15] * 60, device="cpu") == {}
    few = device_finding("utilisation", [0.15] * 5)["device=gpu0", "utilisation"]
    assert few.severity == "unknown" and "about 15 more" in few.because
    percent = device_finding("utilisation", [15.0] * 60)["device=gpu0", "utilisation"]
    assert percent.severity == "unknown" and "a share from 0 to 1" in percent.because
    accepted = device_finding("utilisation", [0.1, 0.2] * 30, limits={"operations/energy/utilisation": 0.1})
    assert accepted["device=gpu0", "utilisation"].severity == "ok"


@pytest.mark.parametrize(("degrees", "severity"), [(97.0, "act"), (92.0, "watch"), (70.0, "ok")])
def test_a_hot_device_is_reported(degrees: float, severity: str) -> None:
    found = device_finding("temperature_c", [degrees] * 60)["device=gpu0", "temperature_c"]
    assert (found.severity, found.value, found.unit) == (severity, degrees, "°C") and f"{degrees:.0f} °C" in found.because
    one = device_finding("temperature_c", [70.0] * 59 + [95.0])["device=gpu0", "temperature_c"]
    assert one.severity == "ok" and one.high == 95.0
    owners = device_finding("temperature_c", [degrees] * 60, limits={"operations/energy/temperature_c": 60.0})
    assert owners["device=gpu0", "temperature_c"].severity == "act"
    assert device_finding("temperature_c", [99.0] * 5)["device=gpu0", "temperature_c"].severity == "unknown"


def test_several_grid_regions_ask_the_owner_to_choose_one() -> None:
    rows = prices(
        *[
            {"resource": "kwh", "carbon_g_per_kwh": g, "pue": 1.2, "region": name, "from": -1000}
            for name, g in (("north", 20.0), ("south", 700.0))
        ]
    )
    assert "choose one in the settings" in findings(week(36.0, 11), None, price=rows)["model", "sci"].because
    chosen = findings(week(36.0, 11), None, price=rows, settings=ModelSettings(region="north"))["model", "sci"]
    assert chosen.evidence["carbon_source"] == "measured"


def test_a_slice_has_no_energy_findings() -> None:
    context: Context = context_for(None)
    sliced = replace(context, window=replace(context.window, slice=Slice((("sex", "F"),))))
    assert ANALYZER.needs(sliced) == {} and ANALYZER.analyze({}, sliced) == []
    assert START == context.window.start


def test_the_idle_share_is_a_warning_from_four_fifths_on_and_stated_without_a_verdict_where_power_is_assumed() -> None:
    rows = [{"at": 3600 * (i + 1), "device": "cpu", "watts": 10.0, "seconds": 3600.0, "source": "measured"} for i in range(HOURS)]
    now = (served([50.0] * HOURS), use("energy_j", [50.0] * HOURS, [36.0] * HOURS))
    idle = findings(now, None, readings=resources(*rows))["model", "idle_share"]
    assert idle.value == pytest.approx(1 - 50 * 36 / 36000) and idle.severity == "watch" and "a warning from 80 % on" in idle.because
    assumed = findings(week(20.0, 5, measure="latency_ms"), None)["model", "idle_share"]
    assert assumed.severity == "unknown" and "calibrate the machine" in assumed.because and assumed.evidence["source"] == "assumed"
    busy = 50 * 20.0 / 1000 / 3600
    ends = [idle / (idle + busy) for idle in (1 / 9, 1 / 3)]
    assert [assumed.low, assumed.value, assumed.high] == pytest.approx([*ends, 1.0], rel=1e-3)
    assert f"At least {int(1000 * assumed.low) / 10} % of the service's energy was idle" in assumed.because and assumed.basis == "estimated"
    known = ModelSettings(watts_per_core=8.0, watts_per_core_error=0.1)
    no_idle = findings(week(20.0, 5, measure="latency_ms"), None, settings=known)["model", "idle_share"]
    assert "and idle power is as assumed. Not judged: set `idle_watts`" in no_idle.because
    assert no_idle.value == pytest.approx(assumed.value), "Regression: a calibrated core was said to have assumed power"


def test_a_calibrated_machine_has_an_estimated_energy_and_idle_share_with_its_error() -> None:
    calibrated = ModelSettings(watts_per_core=5.0, watts_per_core_error=0.12, idle_watts=20.0)
    found = findings(week(20.0, 5, measure="latency_ms"), week(20.0, 6, PAST_HOURS, "latency_ms"), settings=calibrated)
    energy, idle = found["model", "energy_per_thousand"], found["model", "idle_share"]
    assert "(estimated, from latency and a calibrated 5 W per busy core, within 12 %" in energy.because
    assert energy.evidence["power_band"] == [pytest.approx(4.4), pytest.approx(5.6)] and energy.evidence["source"] == "estimated"
    assert idle.severity == "watch" and idle.value > 0.99 and idle.low < idle.value < idle.high and idle.basis == "estimated"


def hourly_grid(swing: float) -> pd.DataFrame:
    """Hourly carbon intensity in the window and in the weeks before, lowest at about 02:00."""
    rng = np.random.default_rng(8)
    rows = []
    for hour in range(-24 * 22, 24 * 8):
        base = 300 - swing * np.cos(2 * np.pi * (hour - 2) / 24) + rng.normal(0, 5)
        rows.append({"resource": "kwh", "from": hour, "carbon_g_per_kwh": float(base), "pue": 1.0})
    return prices(*rows)


def runs_at(hour: float, price: pd.DataFrame, **settings: object) -> dict:
    """The findings about a two-hour run that starts at the given hour of the third day."""
    began = int((48 + hour) * 3600)
    rows = runs({"run": "a", "event": "start", "at": began, "hardware": {"cores": 2}}, {"run": "a", "event": "end", "at": began + 7200})
    return findings(week(36.0, 1), week(36.0, 2, PAST_HOURS), price=price, run=rows, settings=ModelSettings(**settings))


def test_training_at_a_high_carbon_hour_suggests_a_better_hour() -> None:
    found = runs_at(13, hourly_grid(100.0))["model", "carbon_shift"]
    assert (found.severity, found.basis, found.limit) == ("watch", "estimated", 0.2) and found.evidence["next"].startswith(
        "Start training at 0"
    )
    assert found.value == pytest.approx(0.5, abs=0.02) and 0.2 < found.low < found.value < found.high
    assert "would emit" in found.because and "less carbon" in found.because
    fine = runs_at(1, hourly_grid(100.0))["model", "carbon_shift"]
    assert (
        fine.severity == "ok"
        and fine.value < 0.02
        and runs_at(13, hourly_grid(100.0), limits={"operations/energy/carbon_shift": 0.6})["model", "carbon_shift"].severity == "ok"
    )


def test_no_better_hour_is_suggested_without_hourly_carbon_and_few_days_are_unknown() -> None:
    assert ("model", "carbon_shift") not in runs_at(13, GRID)
    few = runs_at(13, hourly_grid(100.0).iloc[-24 * 6 :])["model", "carbon_shift"]
    assert (few.severity, few.value) == ("unknown", None) and "at least 7" in few.because


@pytest.mark.parametrize(("repeats", "later", "severity"), [(3, None, "watch"), (3, 300.0, "ok"), (1, None, "unknown")])
def test_a_power_cap_sweep_suggests_the_best_cap_until_it_is_in_use(repeats: int, later: float | None, severity: str) -> None:
    rows, read, at = [], [], 0
    caps = [
        (cap, watts, seconds, "caps") for cap, watts, seconds in ((400, 380, 600), (300, 290, 615), (200, 195, 800)) for _ in range(repeats)
    ]
    for place, (cap, watts, seconds, study) in enumerate(caps + ([(later, 290, 615, None)] if later else [])):
        about = {"run": f"r{place}", "study": study, "params": {"power_cap_w": cap}}
        rows += [about | {"event": "start", "at": at}, about | {"event": "end", "at": at + seconds}]
        read.append(
            {"run": f"r{place}", "at": at + seconds, "device": "gpu0", "watts": watts + place % 3, "seconds": seconds, "source": "measured"}
        )
        at += 1000
    found = findings(week(36.0, 1), week(36.0, 2, PAST_HOURS), readings=resources(*read), run=runs(*rows))["study:caps", "power_cap_saving"]
    assert found.severity == severity
    if severity == "watch":
        assert found.value == pytest.approx(1 - 290 * 615 / (380 * 600), abs=0.01) and "a cap of 300 W takes" in found.because
        assert found.basis == "measured" and found.evidence["next"] == "Cap training at 300 W."


def test_memory_is_judged_where_the_owner_states_a_limit() -> None:
    assert ("device=gpu0", "memory_gb") not in device_finding("memory_gb", [70.0] * 60)
    limit = {"limits": {"operations/energy/memory_gb": 64.0}}
    full = device_finding("memory_gb", [70.0] * 60, **limit)["device=gpu0", "memory_gb"]
    assert (full.severity, full.value, full.limit, full.unit) == ("act", 70.0, 64.0, "GB") and "beyond the limit of 64 GB" in full.because
    assert device_finding("memory_gb", [40.0] * 60, **limit)["device=gpu0", "memory_gb"].severity == "ok"
    assert "about 15 more" in device_finding("memory_gb", [70.0] * 5, **limit)["device=gpu0", "memory_gb"].because


def test_a_serving_device_hotter_than_its_peers_is_reported_and_run_readings_are_ignored() -> None:
    rows = device_rows("serving", 3, temperature_c=16.0)
    seconds = (rows["at"] - rows["at"].min()).dt.total_seconds()
    plain = rows.drop(columns=["run", "model"]).assign(at=seconds + 60).to_dict("records")
    found = findings(week(36.0, 10), None, readings=resources(*plain))
    hot = found["device=gpu0 on node-1", "device_temperature_gap"]
    assert (hot.severity, hot.against, hot.likely_source, hot.basis) == ("watch", "peers", "system", "measured")
    assert "Device `gpu0` on host `node-1` of the service of `loan`" in hot.because and "hotter" in hot.because
    of_run = findings(week(36.0, 10), None, readings=resources(*({**row, "run": "one"} for row in plain)))
    assert not any(metric.endswith("_gap") for _, metric in of_run)
