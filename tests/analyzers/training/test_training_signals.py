"""Rules about the optimisation of a run: each planted accident is named, clean runs raise nothing, and alerts that the job itself logged
count.
"""

from datetime import timedelta

import numpy as np
import pytest

from observability.core.finding import Finding
from observability.detection.training_signals import signal_of
from tests.support.length import allowed, repeats
from tests.support.run_frames import START, a_run, loss, only, said

N = 200
SIGNALS = {"exploding_gradient", "vanishing_gradient", "dead_units", "update_ratio", "learning_rate_jump", "too_good_early"}


def clean(seed: int, n: int = N) -> dict[str, np.ndarray]:
    """The metrics of a run without accident: noisy gradient norms, a warm-up and a cosine schedule that ends at zero, few dead units."""
    rng, t = np.random.default_rng(seed), np.arange(n)
    rate = 0.01 * np.minimum((t + 1) / 10, 1) * (1 + np.cos(np.pi * t / (n - 1))) / 2
    return {
        "train_loss": loss(n, seed),
        "val_accuracy": np.minimum(0.98 - 0.3 * loss(n, seed + 1), 1.0),
        "grad_norm": rng.lognormal(0, 0.5, n) * (1 + 5 * np.exp(-t / 8)),
        "grad_norm/first": rng.lognormal(-4, 0.7, n),
        "dead_units": rng.normal(0.2, 0.03, n),
        "update_ratio": 1e-3 * rng.lognormal(0, 0.5, n) * rate / 0.01 + 1e-9,
        "learning_rate": rate,
    }


def of_signals(metrics: dict[str, object], **fields: object) -> list[Finding]:
    """The findings about one run from the rules that this module tests."""
    return [each for each in said(a_run(metrics, **fields)) if each.metric in SIGNALS]


def test_clean_runs_raise_nothing() -> None:
    runs = repeats(20, 300)
    records = [record for seed in range(runs) for record in a_run(clean(seed, 60), f"clean-{seed}")]
    found = said(records)
    assert len(found) == runs and [each.because for each in found if each.severity == "act"] == []
    assert sum(each.severity == "watch" for each in found) <= allowed(0.03, runs)


def test_an_explosion_that_stays_is_critical_and_one_that_passes_is_a_warning() -> None:
    metrics = clean(1)
    metrics["grad_norm"][120:] *= 1e4
    found = only(of_signals(metrics), "exploding_gradient")
    assert found.severity == "act" and found.evidence["step"] == 121 and "from step 121 on, and still stands there" in found.because
    metrics = clean(1)
    metrics["grad_norm"][120:130] *= 1e4
    assert only(of_signals(metrics), "exploding_gradient").severity == "watch"


def test_a_vanishing_layer_is_distinguished_from_a_converged_run() -> None:
    metrics = clean(2)
    metrics["grad_norm/first"][100:] = 1e-9
    found = only(of_signals(metrics), "vanishing_gradient")
    assert found.severity == "act" and found.evidence["metric"] == "grad_norm/first" and "these layers learn nothing" in found.because
    assert abs(found.evidence["step"] - 101) <= 2
    metrics = {"train_loss": loss(N), "grad_norm": np.exp(-np.arange(N) / 5)}
    assert only(of_signals(metrics), "vanishing_gradient").severity == "watch"
    never = only(of_signals({"train_loss": loss(N), "grad_norm": np.full(N, 1e-9)}), "vanishing_gradient")
    assert never.severity == "act" and "from the beginning" in never.because


@pytest.mark.parametrize(("share", "severity"), [(0.6, "watch"), (0.95, "act")])
def test_dead_units_are_named_with_their_step(share: float, severity: str) -> None:
    metrics = clean(3)
    metrics["dead_units"][80:] = share
    found = only(of_signals(metrics), "dead_units")
    assert found.severity == severity and found.value == share and abs(found.evidence["step"] - 81) <= 2


def test_too_large_or_too_small_updates_are_reported() -> None:
    metrics = clean(4)
    metrics["update_ratio"] *= 300
    assert only(of_signals(metrics), "update_ratio").severity == "act"
    metrics["update_ratio"] /= 1e8
    small = only(of_signals(metrics), "update_ratio")
    assert small.severity == "watch" and "hardly learns" in small.because


def test_a_learning_rate_that_jumps_is_critical_where_the_loss_got_worse() -> None:
    metrics = clean(5)
    metrics["learning_rate"][100:] *= 20
    found = only(of_signals(metrics), "learning_rate_jump")
    assert found.severity == "watch" and found.evidence["step"] == 101
    metrics["train_loss"][100:] += 0.5
    worse = only(of_signals(metrics), "learning_rate_jump")
    assert worse.severity == "act" and "`train_loss` became worse" in worse.because
    metrics = clean(5)
    metrics["learning_rate"][50:] = 0
    assert "zero in 75 % of its steps, first at step 51" in only(of_signals(metrics), "learning_rate_jump").because


def test_a_warm_restart_to_an_earlier_learning_rate_is_no_alarm() -> None:
    metrics = clean(6)
    metrics["learning_rate"] = 0.01 * (1 + np.cos(np.pi * (np.arange(N) % 50) / 49)) / 2 + 1e-6
    assert of_signals(metrics) == []


def test_a_result_too_good_too_early_is_a_warning() -> None:
    metrics = clean(7)
    metrics["val_accuracy"] = 0.997 + np.random.default_rng(0).normal(0, 0.0005, N)
    found = only(of_signals(metrics), "too_good_early")
    assert found.severity == "watch" and found.likely_source == "input" and "holds the label" in found.because
    metrics["val_accuracy"] = np.minimum(0.7 + np.arange(N) / 200, 0.997)
    assert of_signals(metrics) == []


def with_batches(curve: np.ndarray, count: int) -> list[dict]:
    """A run whose steps read `count` batches of data in turn."""
    records = a_run({"train_loss": curve})
    for each in records:
        if each["kind"] == "step":
            each["batch"] = f"b{each['step'] % count}"
    return records


def test_a_spike_is_traced_to_its_batch() -> None:
    curve = loss(N)
    curve[[59, 109, 159]] += 1.0
    found = only(said(with_batches(curve, 50)), "metric_spike")
    assert found.likely_source == "input" and found.evidence["batch"] == "b10" and "look at the rows of this batch" in found.because
    assert sorted([found.evidence["step"], *found.evidence["batch_spiked_again"]]) == [60, 110, 160]
    curve = loss(N)
    curve[109] += 1.0
    once = only(said(with_batches(curve, 50)), "metric_spike")
    assert once.likely_source == "model" and "the rows of this batch are not the cause" in once.because
    assert "which no other step read" in only(said(with_batches(curve, N)), "metric_spike").because


def of_two_ranks(curve: np.ndarray, second: int) -> list[dict]:
    """A run of two ranks: one reads 50 batches in turn, the other reads `second` different batches in turn."""
    records = []
    for each in a_run({"train_loss": curve}):
        of = [{}] if each["kind"] != "step" else [{"rank": r, "batch": f"{r}-{each['step'] % n}"} for r, n in enumerate((50, second))]
        records += [{**each, **own} for own in of]
    return records


def test_the_spike_of_a_step_of_two_ranks_is_replayed_to_the_batch_of_one() -> None:
    curve = loss(N)
    curve[[59, 109, 159]] += 1.0
    found = only(said(of_two_ranks(curve, 47)), "metric_spike")
    assert found.likely_source == "input" and found.evidence["batch"] == found.evidence["batches"][0] == "0-10"
    assert found.evidence["batches"][1] == f"1-{found.evidence['step'] % 47}"
    assert sorted([found.evidence["step"], *found.evidence["batch_spiked_again"]]) == [60, 110, 160]
    assert "`0-10` was also read at steps 10, " in found.because and "in 2 of 3: look at the rows of this batch." in found.because
    alike = only(said(of_two_ranks(curve, 50)), "metric_spike")
    assert "data batches `0-10`, `1-10`, as did steps " in alike.because and "look at the rows of these batches." in alike.because


def test_a_spike_that_does_not_recur_with_its_rows_blames_no_batch_of_two_ranks() -> None:
    curve = loss(N)
    curve[109] += 1.0
    found = only(said(of_two_ranks(curve, 47)), "metric_spike")
    assert found.likely_source == "model" and found.evidence["batch_spiked_again"] == []
    assert "6 other steps read some of them without a spike: the rows of those are not the cause." in found.because
    partly = only(said(of_two_ranks(curve, N + 1)), "metric_spike")
    assert "3 other steps read some of them without a spike" in partly.because and "No other step read `1-110`." in partly.because
    curve[15] += 0.9  # one of the four other steps that read the batch of the other rank
    met = only(said(of_two_ranks(curve, 47)), "metric_spike")
    assert met.likely_source == "model" and "Of 6 other steps that read some of them, 1 had a spike: too few to blame" in met.because


def test_a_declared_metric_direction_is_used() -> None:
    curve = loss(N)
    curve[100:] += 1.0
    assert said(a_run({"thing": curve}))[0].severity == "unknown"
    worse = only(said(a_run({"val_thing": curve}, directions={"thing": "minimize"})), "metric_spike")
    assert worse.severity == "act" and "`val_thing` rose" in worse.because
    best = said(a_run({"thing": -loss(N)}, directions={"thing": "high"}))[0]
    assert best.metric == "best_metric" and best.value == pytest.approx(float(-loss(N).min()))


def test_an_alert_logged_by_the_job_is_a_finding() -> None:
    alert = {
        "kind": "event",
        "at": (START + timedelta(minutes=5)).isoformat(),
        "what": "note",
        "text": "Restarted from step 40",
        "run": "one",
    }
    other = {**alert, "text": "about a deployment", "run": None}
    found = only(said([*a_run({"train_loss": loss()}), alert, other]), "run_alerts")
    assert found.severity == "watch" and "Run `one` logged the alert: Restarted from step 40." in found.because and found.value == 1


def test_metric_names_determine_the_training_signal() -> None:
    wanted = {"grad_norm": "gradient", "train/grad_norm": "gradient", "gradient_norm/layer1": "gradient", "lr": "learning_rate"}
    wanted |= {
        "learning_rate": "learning_rate",
        "dead_relu": "dead_units",
        "update_to_weight": "update_ratio",
        "loss": None,
        "upgrade": None,
    }
    assert {name: signal_of(name) for name in wanted} == wanted
