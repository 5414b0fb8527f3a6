"""Devices of a run are compared with their peers at the same time and with earlier runs: deviating devices are named, ordinary ones raise
nothing.
"""

import pandas as pd
import pytest

from observability.core.finding import needs_action
from observability.detection.device_figures import device_kind, device_unit, lasting_unit, readings_of_runs, use_of_run
from observability.detection.device_past import MIN_EARLIER, claims_about_own_past
from observability.detection.device_peers import claims_about_peers
from observability.detection.run_claims import RunClaim
from tests.support.device_readings import device_rows, plain_run
from tests.support.length import repeats, some

RUNS = repeats(12, 300)
MOVED = {
    "device_temperature_gap": ({"temperature_c": 16.0}, "hotter", "°C"),
    "device_utilisation_gap": ({"utilisation": -0.35}, "less", "points"),
    "device_memory_gap": ({"memory_gb": 18.0}, "of its memory more memory", "%"),
    "device_power_gap": ({"watts": -90.0}, "less at the same utilisation", "W"),
}


def of_peers(seed: int, **options: float) -> list[RunClaim]:
    rows = device_rows("one", seed, **options)
    run = plain_run("one", device_memory_gb=80)
    return claims_about_peers(use_of_run(run), readings_of_runs([run], rows)["one"].rows)


def of_past(seed: int, earlier: int = 8, *, before: dict[str, float] | None = None, **moved: float) -> list[RunClaim]:
    """Claims about the last of several runs. Each run has other readings; those of the last run are changed by `moved`, those of the last
    earlier run by `before`.
    """
    runs = [plain_run(f"run-{place}", place, device_memory_gb=80) for place in range(earlier + 1)]
    rows = [
        device_rows(
            run.name, 1000 * seed + place, devices=1, start=place, n=60,
            **(moved if place == earlier else before or {} if place == earlier - 1 else {}),
        )
        for place, run in enumerate(runs)
    ]  # fmt: skip
    found = readings_of_runs(runs, pd.concat(rows, ignore_index=True))[runs[-1].name]
    assert found.earlier is not None and len(found.earlier) == earlier
    return claims_about_own_past(use_of_run(runs[-1]), found.figures, found.earlier)


@pytest.mark.parametrize("metric", some(MOVED, 2))
def test_a_device_that_differs_from_its_peers_is_named(metric: str) -> None:
    moved, words, unit = MOVED[metric]
    hit = 0
    for seed in range(10):
        found = of_peers(seed, **moved)
        hit += found[0].metric == metric and found[0].subject == "run:one/device:gpu0 on node-1"
    first = of_peers(3, **moved)[0]
    assert hit >= 9 and first.severity == "watch" and first.against == "peers"
    assert words in first.because and unit in first.because and "3 peers" in first.because and "`gpu0` on host `node-1`" in first.because
    assert first.low <= first.value <= first.high and (first.value < 0) == (min(moved.values()) < 0)


@pytest.mark.parametrize("metric", some(MOVED, 2))
def test_a_device_that_differs_from_its_earlier_runs_is_named(metric: str) -> None:
    moved, words, _ = MOVED[metric]
    found = [of_past(seed, **moved)[0] for seed in range(10)]
    assert sum(each.metric == metric and each.severity == "watch" for each in found) >= 9
    assert words in found[0].because and "8 earlier runs of its kind" in found[0].because and found[0].against == "past"


def test_ordinary_devices_raise_nothing() -> None:
    raised = [seed for seed in range(RUNS) if any(needs_action(each.severity) for each in of_peers(seed, each=4.0))]
    raised += [seed for seed in range(RUNS) if any(needs_action(each.severity) for each in of_past(seed))]
    assert len(raised) <= max(0.03 * 2 * RUNS, 1), raised
    assert [each.severity for each in of_peers(1)] == ["ok"] and [each.severity for each in of_past(1)] == ["ok"]


def test_a_gradual_temperature_order_of_devices_has_no_outlier() -> None:
    parts = [device_rows("one", 5, devices=4)]
    rows = parts[0]
    place = rows["device"].str.removeprefix("gpu").astype(int)
    rows["temperature_c"] += 6.0 * place
    run = plain_run("one")
    assert not any(needs_action(each.severity) for each in claims_about_peers(use_of_run(run), readings_of_runs([run], rows)["one"].rows))


def test_an_earlier_difference_is_ongoing_and_too_few_readings_state_how_many_more() -> None:
    assert of_past(2, before={"temperature_c": 16.0}, temperature_c=17.0)[0].evidence["standing"]
    assert not of_past(2, temperature_c=17.0)[0].evidence["standing"]
    (few,) = of_past(2, earlier=2, temperature_c=17.0)
    assert few.severity == "unknown" and f"about {MIN_EARLIER - 2} more are needed" in few.because
    (short,) = of_peers(2, n=12, temperature_c=30.0)
    assert short.severity == "unknown" and "about 28 more at the same times" in short.because
    assert of_peers(2, devices=1) == []


def test_runs_of_another_kind_and_devices_of_another_kind_are_not_compared() -> None:
    runs = [plain_run(f"run-{place}", place) for place in range(7)]
    runs[2] = runs[2].__class__(**{**runs[2].__dict__, "params": {"depth": 9}})
    rows = pd.concat([device_rows(run.name, place, devices=1, n=30, start=place) for place, run in enumerate(runs)], ignore_index=True)
    found = readings_of_runs(runs, rows)
    assert [len(found[run.name].earlier or ()) for run in runs] == [0, 1, 0, 2, 3, 4, 5]
    assert readings_of_runs(runs, rows, earlier=False)["run-6"].earlier is None
    assert [device_kind(each) for each in ("gpu0 on a", "cuda:1", "cpu", "gpu12")] == ["gpu", "cuda", "cpu", "gpu"]
    process = device_unit("cpu process 4711", "a")
    assert (device_unit("gpu0", None), device_kind(process), lasting_unit(process)) == ("gpu0", "cpu process", "cpu process on a")
