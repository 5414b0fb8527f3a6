"""Goodput, scaling efficiency and FLOPs utilisation equal a computation by hand."""

import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from observability.detection.run_efficiency import (
    model_flops_utilisation,
    phase_shares,
    productive_share,
    roofline_position,
    roofline_words,
    scaling_points,
    seconds_per_step,
)
from observability.detection.run_ranks import ranks_of
from observability.detection.stragglers import arrives_last, cause_words, likely_cause, phase_hint
from observability.metrics.training_curves import TrainingRun, runs_from_records
from tests.support.run_frames import a_run, distributed, frame_of, loss


def runs_of(records: list[dict]) -> dict[str, TrainingRun]:
    kinds = {kind: frame_of(kind, [each for each in records if each["kind"] == kind]) for kind in ("run", "step")}
    return {run.name: run for run in runs_from_records(kinds["run"], kinds["step"])}


def test_phase_shares_sum_to_one_and_goodput_is_the_compute_share() -> None:
    records, work = distributed(3.0)
    times = ranks_of(runs_of(records)["many"])
    own = work["compute"] + work["data"]
    waiting = own.max(axis=0) - own
    total = own.sum() + waiting.sum() + 20 * own.size
    shares = phase_shares(times)
    assert sum(shares.values()) == pytest.approx(1) and shares["waiting"] == pytest.approx(waiting.sum() / total)
    assert productive_share(times) == pytest.approx(work["compute"].sum() / total)


def of_processes(count: int, every: float, name: str, **params: float) -> list[dict]:
    """A run of several processes, whose steps take `every` seconds each."""
    records = a_run({"loss": loss(20)}, name, every=every, study="scaling", params=params)
    steps = [each for each in records if each["kind"] == "step"]
    others = [each for each in records if each["kind"] != "step"]
    return others + [each | {"rank": rank} for each in steps for rank in range(count)]


def test_scaling_is_relative_to_the_run_with_the_fewest_processes() -> None:
    records = (
        of_processes(1, 8.0, "one", batch_rows=100)
        + of_processes(4, 4.0, "four", batch_rows=100)
        + of_processes(2, 8.0, "two", batch_rows=200)
    )
    runs = runs_of(records)
    points = scaling_points(runs["four"], runs.values())
    assert [(each.run, each.ranks) for each in points] == [("one", 1), ("two", 2), ("four", 4)]
    assert [each.efficiency for each in points] == pytest.approx([1.0, 1.0, 0.5]) and points[1].rate == pytest.approx(25)
    assert seconds_per_step(runs["four"]) == pytest.approx(4.0)
    assert scaling_points(runs["four"], [runs["four"]]) == []


def test_flops_utilisation_needs_both_numbers() -> None:
    known = runs_of(of_processes(4, 2.0, "known", flops_per_step=8e12, peak_flops=2e12))["known"]
    assert model_flops_utilisation(known) == pytest.approx(8e12 / (2.0 * 4 * 2e12))
    assert model_flops_utilisation(runs_of(of_processes(4, 2.0, "less", flops_per_step=8e12))["less"]) is None


def test_equal_ranks_have_no_late_rank_in_50_runs_and_each_phase_has_a_hint() -> None:
    for seed in range(50):
        run = runs_of(distributed(1.0, seed=seed)[0])["many"]
        assert arrives_last(run, ranks_of(run)) is None
    assert (
        "storage" in phase_hint("data")
        and "network" in phase_hint("allreduce")
        and "device" in phase_hint("compute")
        and not phase_hint("x")
    )
    assert np.isfinite(ranks_of(run).lost_share)


def test_each_known_phase_has_one_likely_cause_in_words() -> None:
    causes = {phase: likely_cause(phase) for phase in ("data", "IO", "sync", "allreduce", "forward", "optimizer", "evaluation")}
    assert causes == {
        **dict.fromkeys(("data", "IO"), "storage"),
        **dict.fromkeys(("sync", "allreduce"), "network"),
        **dict.fromkeys(("forward", "optimizer"), "device"),
        "evaluation": None,
    }
    assert cause_words("storage") == " (likely its storage or input pipeline)" and cause_words(None) == ""


def test_the_roofline_states_what_limits_a_run() -> None:
    stated = {"flops_per_step": 8e12, "peak_flops": 4e12, "peak_bytes_per_second": 1e12}
    step = seconds_per_step(runs_of(of_processes(4, 2.0, "known", **stated))["known"])
    assert step is not None
    for moved, bound, roof in ((1e12, "compute", 4e12), (8e12, "memory", 1e12)):
        found = roofline_position(runs_of(of_processes(4, 2.0, "known", **stated, bytes_per_step=moved))["known"])
        assert found is not None and (found.bound, found.roof, found.ridge) == (bound, roof, 4.0)
        assert found.achieved == pytest.approx(8e12 / (step * 4)) and found.share == pytest.approx(found.achieved / roof)
        assert f"{bound} is the limit" in roofline_words(found)
    assert roofline_position(runs_of(of_processes(4, 2.0, "known", **stated))["known"]) is None, "the run does not state its bytes"
    impossible = roofline_position(runs_of(of_processes(4, 2.0, "known", **stated | {"peak_flops": 1e9}, bytes_per_step=1e12))["known"])
    assert impossible is not None and "check the stated figures" in roofline_words(impossible)


def test_scaling_of_the_real_job_matches_its_logged_lines() -> None:
    """Rates are computed from the times in the file, operations and bytes from the shapes that the job states. On two cores, four processes
    gain nothing.
    """
    lines = map(json.loads, (Path(__file__).parents[2] / "sample_data" / "distributed.jsonl").read_text(encoding="utf-8").splitlines())
    records = [each for each in lines if "scaling" in each["run"]]
    rate = {}
    for count in (1, 2, 4):
        own = [each for each in records if each["run"].endswith(f"-{count}") and each["kind"] == "step" and each["rank"] == 0]
        times = [datetime.fromisoformat(each["at"]) for each in own]
        rate[count] = (own[-1]["step"] - own[0]["step"]) / (times[-1] - times[0]).total_seconds()
    runs = runs_of(records)
    points = scaling_points(next(iter(runs.values())), runs.values())
    assert [point.ranks for point in points] == [1, 2, 4]
    assert [point.rate for point in points] == pytest.approx([4096 * each for each in rate.values()], rel=0.02)
    assert [point.efficiency for point in points] == pytest.approx([rate[n] / n / rate[1] for n in (1, 2, 4)], rel=0.02)
    four = runs["flights-late-mlp-scaling-4"]
    found, rows, hidden, columns = roofline_position(four), 4096, 192, 34
    assert found is not None and four.params["flops_per_step"] == rows * (2 * 2 * columns * hidden + 12 * hidden)
    assert found.intensity == pytest.approx(four.params["flops_per_step"] / (8 * rows * (17 * hidden + 4 * columns)))
    assert found.roof == pytest.approx(min(four.hardware["peak_flops"], found.intensity * four.hardware["peak_bytes_per_second"]))
    assert found.achieved == pytest.approx(four.params["flops_per_step"] * rate[4] / 4, rel=0.02) and found.share < 1
