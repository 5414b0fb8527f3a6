"""training/runs: every accident is found on curves with a known answer, and findings about the sample fleet's own training are right."""

import json
from datetime import datetime, timedelta

import numpy as np
import pytest

from observability.analyzers.training.runs import ANALYZER
from observability.core.analyzer import Context
from observability.core.finding import Finding
from observability.detection.run_claims import duration_words
from observability.metrics.training_metric_names import base_metric, better_direction, data_part
from observability.stats import curve
from tests.support.length import repeats
from tests.support.run_frames import END, START, a_run, context, frame_of, loss, only, said
from tests.support.sample_files import FOLDER


def test_a_clean_run_is_ok_and_lists_the_checked_metrics() -> None:
    curve = loss()
    (found,) = said(a_run({"train_loss": curve, "validation_loss": curve + 0.1, "learning_rate": np.full(120, 0.1)}))
    assert (found.severity, found.metric, found.subject, found.model) == ("ok", "best_metric", "run:one", "loan")
    assert found.value == pytest.approx(float((curve + 0.1).min())) and found.low <= found.value <= found.high and found.n == 120
    assert f"best at step {int(curve.argmin()) + 1}" in found.because and "2 metrics" in found.because
    assert "not judged" not in found.because, "a learning rate is judged by its own value"
    (other,) = said(a_run({"train_loss": curve, "thing": curve}))
    assert "`thing`: not judged" in other.because


def test_clean_runs_do_not_alarm() -> None:
    records, runs = [], repeats(20, 300)
    for seed in range(runs):
        metrics = {"train_loss": loss(60, seed), "val_loss": 0.1 + loss(60, 1000 + seed), "val_accuracy": 1 - 0.3 * loss(60, 2000 + seed)}
        records += a_run(metrics, f"clean-{seed}")
    found = said(records)
    assert len(found) == runs and {each.severity for each in found} == {"ok"}


def test_the_first_step_that_is_not_finite_is_named() -> None:
    curve = loss()
    curve[70:] = np.nan
    other = loss(seed=1)
    other[90] = np.inf
    found = only(said(a_run({"train_loss": curve, "grad_norm": other})), "non_finite_steps")
    assert found.severity == "act" and found.value == 50 and found.evidence["first_step"] == 71 and "first at step 71" in found.because
    assert found.onset == START + timedelta(seconds=30 * 71) and "`grad_norm`" in found.because
    passing = only(said(a_run({"train_loss": loss(), "grad_norm": other})), "non_finite_steps")
    assert passing.severity == "watch" and "finite again" in passing.because


@pytest.mark.parametrize(("lasts", "severity"), [(False, "watch"), (True, "act")])
def test_a_spike_says_whether_it_was_recovered_from(lasts: bool, severity: str) -> None:
    curve = loss()
    curve[80 : None if lasts else 84] += 0.3
    found = said(a_run({"train_loss": curve}))
    spike = only(found, "metric_spike")
    assert spike.severity == severity and spike.evidence["step"] == 81 and "at step 81" in spike.because
    assert spike.value == pytest.approx(0.3, abs=0.05) and spike.low <= spike.value <= spike.high
    assert ("was back at step 85" in spike.because) != lasts and ("did not come back" in spike.because) == lasts


def test_a_sudden_fall_of_a_higher_is_better_metric_is_a_spike() -> None:
    accuracy = 1 - 0.3 * loss(sd=0.003)
    accuracy[60:62] -= 0.3
    found = only(said(a_run({"accuracy": accuracy})), "metric_spike")
    assert "fell from" in found.because and found.evidence["step"] == 61


def test_a_run_whose_loss_rises_above_its_earlier_gain_diverged() -> None:
    curve = np.concatenate([np.linspace(1, 0.2, 80), np.linspace(0.2, 1.4, 60)]) + np.random.default_rng(1).normal(0, 0.01, 140)
    found = only(said(a_run({"loss": curve})), "divergence")
    assert found.severity == "act" and abs(found.evidence["step"] - 80) <= 8 and "diverged" in found.because


def test_overfitting_names_the_best_step_and_what_stopping_would_have_saved() -> None:
    t, rng = np.arange(100), np.random.default_rng(2)
    training = 0.2 + np.exp(-t / 40) + rng.normal(0, 0.004, 100)
    held_out = 0.4 + np.exp(-t / 20) + 0.005 * np.clip(t - 50, 0, None) + rng.normal(0, 0.004, 100)
    found = only(said(a_run({"loss": training, "val_loss": held_out})), "overfitting_gap")
    best = int(held_out.argmin()) + 1
    assert found.evidence["best_step"] == best and f"best at step {best}" in found.because and found.likely_source == "model"
    assert found.evidence["steps_saved"] == 100 - best and found.evidence["seconds_saved"] == 30.0 * (100 - best)
    high = only(said(a_run({"train_auc": 1 - training / 3, "test_auc": 1 - held_out / 3})), "overfitting_gap")
    assert high.evidence["best_step"] == best


def test_a_bad_setting_of_a_search_is_ok_and_its_finding_starts_with_the_reason() -> None:
    """Regression: `Run r overfits` stood next to an OK, and the reason came only in the details."""
    t, rng = np.arange(100), np.random.default_rng(2)
    curves = {
        "loss": 0.2 + np.exp(-t / 40) + rng.normal(0, 0.004, 100),
        "val_loss": 0.4 + np.exp(-t / 20) + 0.005 * np.clip(t - 50, 0, None) + rng.normal(0, 0.004, 100),
    }
    alone = only(said(a_run(curves)), "overfitting_gap")
    records = [each for place in range(12) for each in a_run(curves, f"r{place}", study="search", params={"rate": place})]
    found = [each for each in said(records) if each.metric == "overfitting_gap"]
    assert alone.needs_action and alone.because.startswith("Run `")
    assert found and {each.severity for each in found} == {"ok"}
    assert all(each.because.startswith("As expected of a search, which tries bad settings (12 runs): run `r") for each in found)


def test_a_plateau_is_watched_only_where_no_held_out_metric_improves() -> None:
    t, rng = np.arange(150), np.random.default_rng(3)
    flat = 0.2 + np.clip(1 - t / 60, 0, None) + rng.normal(0, 0.005, 150)
    still = 1 - t / 200 + rng.normal(0, 0.005, 150)
    found = only(said(a_run({"train_loss": still, "val_loss": flat})), "plateau_share")
    assert found.severity == "watch" and 50 <= found.evidence["since_step"] <= 80
    assert found.evidence["steps_saved"] == 150 - found.evidence["since_step"]
    assert found.evidence["seconds_saved"] == 30 * found.evidence["steps_saved"]
    both = only(said(a_run({"train_loss": still, "val_loss": flat, "val_error": still})), "plateau_share")
    assert both.severity == "ok" and "`val_error` still did" in both.because
    noisy = 0.2 + np.clip(1 - t / 60, 0, None) + rng.normal(0, 0.035, 150)
    unsure = only(said(a_run({"val_loss": flat, "val_error": noisy})), "plateau_share")
    assert curve.plateau_start(noisy) is None, "the curve scatters too much to be called flat"
    assert unsure.severity == "watch" and "(`val_error`: no improvement beyond noise)" in unsure.because
    running = only(said(a_run({"val_loss": flat}, ended=None), context(START + timedelta(seconds=30 * 151))), "plateau_share")
    assert "it could be stopped" in running.because


def test_few_steps_are_unknown_and_say_how_many_more_are_needed() -> None:
    (found,) = said(a_run({"train_loss": loss(12)}))
    assert found.severity == "unknown" and "about 8 more" in found.because and found.value is None
    (unnamed,) = said(a_run({"thing": loss()}))
    assert unnamed.severity == "unknown" and "which direction is better" in unnamed.because
    (nothing,) = said(a_run({}))
    assert nothing.severity == "unknown" and "no metric" in nothing.because


def test_metric_names_determine_direction_and_data_split() -> None:
    assert {name: better_direction(name) for name in ("train_loss", "val_mae", "test_roc_auc", "eval_f1", "valid_r2", "rmse", "log_loss", "perplexity")} == {
        "train_loss": "low", "val_mae": "low", "test_roc_auc": "high", "eval_f1": "high", "valid_r2": "high", "rmse": "low", "log_loss": "low",
        "perplexity": "low",
    }  # fmt: skip
    assert (
        better_direction("learning_rate") is None
        and better_direction("accuracy_loss") is None
        and better_direction("validation_thing") is None
    )
    assert [data_part(name) for name in ("loss", "train_loss", "validation_loss", "val.loss", "valuation")] == [
        "train", "train", "held out", "held out", "train",
    ]  # fmt: skip
    assert base_metric("validation_LOSS") == base_metric("train_loss") == "loss"


def test_a_failed_run_and_a_silent_run_are_reported() -> None:
    failed = only(said(a_run({"train_loss": loss(50)}, ended="failed")), "failed_runs")
    assert failed.severity == "act" and "ended as failed after 50 steps" in failed.because
    records = a_run({"train_loss": loss(50)}, ended=None)
    last = START + timedelta(seconds=1500)
    silent = only(said(records, context(last + timedelta(hours=2))), "run_silence")
    assert silent.severity == "act" and silent.value == 7200 and silent.limit == 300 and silent.onset == last
    assert "is lost" in silent.because and "Its 50 steps are kept." in silent.because
    assert "run_silence" not in {each.metric for each in said(records, context(last + timedelta(seconds=250)))}
    alive = [
        *records,
        {"kind": "resource", "run": "one", "at": (last + timedelta(minutes=118)).isoformat(), "device": "gpu0", "watts": 80.0},
    ]
    assert "run_silence" not in {each.metric for each in said(alive, context(last + timedelta(hours=2)))}
    fresh = a_run({"train_loss": loss(3)}, ended=None)
    assert only(said(fresh, context(START + timedelta(hours=3))), "run_silence").severity == "unknown"


def test_the_last_values_of_a_restarted_run_count() -> None:
    records = a_run({"train_loss": np.full(40, 9.0)}, ended="failed")
    again = [
        {**each, "at": (datetime.fromisoformat(each["at"]) + timedelta(hours=1)).isoformat()} for each in a_run({"train_loss": loss(40)})
    ]
    found = said([*again, *records])
    assert {each.metric for each in found} == {"best_metric"} and found[0].value == pytest.approx(loss(40).min())


def study(values: list[float], rates: list[float], n: int = 30) -> list[dict]:
    records = []
    for i, (value, rate) in enumerate(zip(values, rates)):
        curve = value + np.linspace(0.5, 0, n)
        records += a_run({"val_loss": curve}, f"r{i}", study="search", params={"rate": rate, "rows": 100 + i}, seed=str(i))
    return records


def test_the_seed_noise_band_must_be_exceeded_by_a_better_setting() -> None:
    same = [0.50, 0.52, 0.48, 0.51, 0.49]
    found = only(said(study(same, [0.1] * 5)), "seed_noise")
    assert found.severity == "ok" and found.subject == "study:search" and found.n == 5
    assert found.value == pytest.approx(np.std(same, ddof=1)) and found.low < found.value < found.high
    reach = 2.776445 * np.std(same, ddof=1) * np.sqrt(1 + 1 / 5)  # t(0.975, 4) from a table
    assert found.evidence["reach"] == pytest.approx(reach, rel=1e-5)
    near = only(said(study([*same, 0.47], [0.1] * 5 + [0.2])), "seed_noise")
    far = only(said(study([*same, 0.30], [0.1] * 5 + [0.2])), "seed_noise")
    assert "is not significantly better" in near.because and ") is better than expected from chance" in far.because
    many = only(said(study([*same, 0.45, *[0.55] * 39], [0.1] * 5 + [0.2 + i / 100 for i in range(40)])), "seed_noise")
    alone = only(said(study([*same, 0.45], [0.1] * 5 + [0.2])), "seed_noise")
    assert alone.evidence["beyond_chance"] and not many.evidence["beyond_chance"], "the best of 40 settings may be lucky"
    two = only(said(study(same[:2], [0.1] * 2)), "seed_noise")
    assert two.severity == "unknown" and "about 1 more" in two.because
    assert "seed_noise" not in {each.metric for each in said(study([0.5, 0.4, 0.3], [0.1, 0.2, 0.3]))}


def test_metrics_that_only_the_end_of_a_run_gives_are_enough_for_a_study() -> None:
    records = study([0.50, 0.52, 0.48, 0.51, 0.49, 0.30], [0.1] * 5 + [0.2])
    stepped = only(said(records), "seed_noise")
    last = {each["run"]: each["metrics"]["val_loss"] for each in records if each["kind"] == "step"}
    for name in ("val_loss", "loss"):
        ended = [
            each | ({"metrics": {name: last[each["run"]]}} if each.get("event") == "end" else {})
            for each in records
            if each["kind"] == "run"
        ]
        found = only(said(ended), "seed_noise")
        assert (found.severity, found.n, found.value) == ("ok", stepped.n, pytest.approx(stepped.value))
        assert found.because == stepped.because.replace("val_loss", name)
    assert "it ended with `loss` 0.5" in next(each.because for each in said(ended) if each.subject == "run:r0")


def test_a_pruned_trial_is_treated_as_finished() -> None:
    diverging = np.concatenate([loss(60), np.linspace(0.8, 6, 40)])
    records = [*a_run({"train_loss": loss(50)}, ended="PRUNED"), *a_run({"train_loss": diverging}, "two", ended="pruned")]
    found = said(records)
    assert "failed_runs" not in {each.metric for each in found} and "act" not in {each.severity for each in found}
    assert any("The study pruned this trial." in each.because for each in found)
    assert only(said(a_run({"train_loss": loss(50)}, ended="fail")), "failed_runs").severity == "act"


def test_a_pruned_trial_does_not_widen_the_noise_of_its_study() -> None:
    records = study([0.50, 0.52, 0.48, 0.51, 0.49], [0.1] * 5)
    pruned = [each | ({"status": "pruned"} if each["run"] == "r1" and each.get("event") == "end" else {}) for each in records]
    assert only(said(pruned), "seed_noise").n == 4


def test_a_resource_reading_gives_the_model_of_a_run_without_one() -> None:
    records = [{name: value for name, value in each.items() if name != "model"} for each in a_run({"train_loss": loss()})]
    reading = {"kind": "resource", "run": "one", "model": "loan", "device": "gpu0", "watts": 80.0, "at": START.isoformat()}
    assert said(records)[0].model is None and said([*records, reading])[0].model == "loan"


def test_only_runs_with_a_record_in_the_window_are_judged() -> None:
    later = context(END, START + timedelta(days=2))
    assert said(a_run({"train_loss": loss()}), later) == [] and said([]) == []


def test_a_duration_is_given_in_a_suitable_unit() -> None:
    durations = [duration_words(seconds) for seconds in (0.0, 1.1e-5, 0.5, 99.0, 150.0, 8000.0, 200_000.0)]
    assert durations == ["0 s", "0.011 ms", "0.5 s", "99 s", "2.5 min", "2.22 h", "2.31 days"]


def thinned(records: list[dict], stride: int, now: Context) -> dict[str, Finding]:
    """Findings about a run if only every n-th step and the last one were read. With n = 0: only the first and the last step, without
    metrics.
    """
    steps = frame_of("step", [each for each in records if each["kind"] == "step"])
    rows = [0, -1] if stride == 0 else sorted({*range(0, len(steps), stride), len(steps) - 1})
    read = steps.iloc[rows].reset_index(drop=True).assign(stride=stride)
    frames = {
        "steps": read if stride else read.assign(metrics=None),
        "runs": frame_of("run", [each for each in records if each["kind"] == "run"]),
    }
    frames |= {"resources": frame_of("resource", []), "events": frame_of("event", [])}
    return {each.metric: each for each in ANALYZER.analyze(frames, now)}


def test_a_run_whose_steps_were_not_read_is_unknown_and_not_called_empty() -> None:
    (found,) = thinned(a_run({"train_loss": loss(100)}), 0, context()).values()
    assert found.severity == "unknown" and "newer runs have so many steps that its steps were not read" in found.because
    going = thinned(a_run({"train_loss": loss(100)}, ended=None), 0, context())["run_silence"]
    assert going.severity == "unknown" and "Its steps were not read" in going.because


def test_steps_and_interval_of_a_thinned_run_are_those_of_all_its_steps() -> None:
    failed = thinned(a_run({"train_loss": loss(100)}, ended="failed"), 7, context())["failed_runs"]
    assert "ended as failed after 100 steps" in failed.because
    lost = thinned(a_run({"train_loss": loss(100)}, ended=None), 7, context(START + timedelta(seconds=3000 + 1000)))["run_silence"]
    assert lost.severity == "act" and "usually come every 30 s" in lost.because and "Its 100 steps are kept" in lost.because


def logged(run: str, metric: str) -> dict[int, float]:
    """The values of a metric by step, read from the file itself."""
    records = [json.loads(line) for line in (FOLDER / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    return {each["step"]: each["metrics"][metric] for each in records if each["kind"] == "step" and each["run"] == run}


def test_the_sample_lightgbm_runs_are_ok_with_their_true_best_values(fleet: dict[tuple[str, str], Finding]) -> None:
    """150 trees at a low learning rate, without spikes, divergence or overfitting. The stated best value is the smallest in the file."""
    boosted = {each for each in fleet if each[0].startswith(("run:employment", "run:flights-delay", "run:flights-late-f"))}
    assert {fleet[each].severity for each in boosted if each[1] == "best_metric"} == {"ok"}
    assert {metric for _, metric in boosted} <= {"best_metric", "plateau_share"}
    for run, metric in (("flights-delay-fold-1", "validation_mae"), ("employment-fold-3", "validation_log_loss")):
        values = logged(run, metric)
        best = min(values, key=values.__getitem__)
        found = fleet[f"run:{run}", "best_metric"]
        assert found.value == values[best] and found.evidence["best_step"] == best and found.evidence["metric"] == metric


def test_a_training_metric_plateau_is_no_alarm_while_a_held_out_metric_improves(fleet: dict[tuple[str, str], Finding]) -> None:
    """In fold 3 of flights-delay, MAE stays at 21.9 from about tree 55 on (its best is 21.8855 at tree 80), while RMSE keeps falling to the
    end.
    """
    found = fleet["run:flights-delay-fold-3", "plateau_share"]
    assert found.severity == "ok" and found.evidence["metric"] == "validation_mae" and "`validation_rmse` still did" in found.because
    mae, rmse = logged("flights-delay-fold-3", "validation_mae"), logged("flights-delay-fold-3", "validation_rmse")
    since = found.evidence["since_step"]
    assert mae[since] - min(mae.values()) < 0.05 and mae[150] > min(mae.values()) and mae[5] - mae[since] > 1.5
    assert rmse[since] - rmse[150] > 0.4 and min(rmse, key=rmse.__getitem__) == 150


def test_folds_of_the_fleet_give_the_noise_between_folds(fleet: dict[tuple[str, str], Finding]) -> None:
    found = fleet["study:flights-delay cross-fitting", "seed_noise"]
    ends = [logged(f"flights-delay-fold-{fold}", "validation_mae")[150] for fold in range(1, 6)]
    assert found.n == 5 and found.value == pytest.approx(np.std(ends, ddof=1))
