"""training/runs on distributed runs: slow ranks are named with phase, host and cost, and waiting is not mistaken for slowness."""

from datetime import timedelta

import numpy as np
import pandas as pd
import pytest

from observability.core.finding import Finding
from observability.detection.stragglers import recent_slowness, slow_ranks, straggler_spans
from observability.metrics.training_curves import runs_from_records
from observability.stats.rank_times import RANK, STEP, ranks_from
from tests.support.length import repeats
from tests.support.run_frames import START, distributed, frame_of, loss, only, said


def test_the_slow_rank_its_phase_and_its_summed_cost_are_stated() -> None:
    records, work = distributed(3.0)
    found = [each for each in said(records) if each.metric == "straggler_score"]
    assert [each.subject for each in found] == ["run:many/rank:2"] and found[0].severity == "act" and "in phase data" in found[0].because
    medians = np.median(work["data"], axis=1)
    fastest = int(medians.argmin())
    assert found[0].value == pytest.approx(np.median(work["data"][fastest] / work["data"][2])) and found[0].high < 0.75
    own = work["compute"] + work["data"]
    assert found[0].evidence["lost_rank_seconds"] == pytest.approx((own.max(axis=0) - np.median(own, axis=0)).sum() * 4 / 1000)


@pytest.mark.parametrize(("where", "host"), [("abab", "a"), ("aabb", None), ("aaaa", None)])
def test_slow_ranks_on_the_same_machine_are_reported_as_such(where: str, host: str | None) -> None:
    """Ranks 0 and 2 are slow. They run on one of two machines, on both machines, or on the only machine."""
    records, _ = distributed(3.0)
    for each in records:
        if each["kind"] == "step":
            each["host"] = f"node-{where[each['rank']]}"
            each["phase_ms"]["data"] *= 3.2 if each["rank"] == 0 else 1.0
    found = [each for each in said(records) if each.metric == "straggler_score"]
    assert {each.subject for each in found} == {"run:many/rank:0", "run:many/rank:2"}
    assert all(("look at that machine first" in each.because) == (host is not None) for each in found)
    (two,) = (each for each in found if each.subject.endswith("rank:2"))
    assert two.evidence["host"] == f"node-{where[2]}" and f" on host `node-{where[2]}`" in two.because and "device" not in two.evidence


def test_a_straggler_is_named_with_its_device_and_host_where_they_are_known() -> None:
    records, _ = distributed(2.0, "compute")
    for each in records:
        if each["kind"] == "step":
            each |= {"host": "node-1", "device": f"gpu{each['rank']}"}
    found = only(said(records), "straggler_score")
    assert "Rank 2 of run `many` on device `gpu2` of host `node-1` is slower" in found.because and "Look at `gpu2`" in found.because
    assert (found.evidence["device"], found.evidence["host"]) == ("gpu2", "node-1")


@pytest.mark.parametrize(
    ("phase", "cause", "words"),
    [
        ("data", "storage", "in phase data (likely its storage or input pipeline): "),
        ("compute", "device", "in phase compute (likely its device or host, or more work than the others have): "),
    ],
)
def test_a_straggler_is_named_with_the_likely_cause_of_its_phase(phase: str, cause: str, words: str) -> None:
    found = only(said(distributed(3.0, phase)[0]), "straggler_score")
    assert (found.evidence["phase"], found.evidence["likely_cause"]) == (phase, cause) and words in found.because
    assert only(said(distributed(1.0, phase)[0]), "straggler_score").evidence.get("likely_cause") is None


def test_a_straggler_in_a_phase_of_unknown_kind_has_no_likely_cause() -> None:
    records, _ = distributed(3.0)
    for each in records:
        if each["kind"] == "step":
            each["phase_ms"]["evaluation"] = each["phase_ms"].pop("data")
    found = only(said(records), "straggler_score")
    assert found.evidence["phase"] == "evaluation" and found.evidence["likely_cause"] is None and "likely" not in found.because


def slowed_late(begins: int, slow: float = 2.0, n: int = 200, seed: int = 0) -> tuple[list[dict], np.ndarray]:
    """A run in which rank 2 loads data slowly from a step on. Returns the records, and the working time of each rank without waiting."""
    records, work = distributed(n=n, seed=seed)
    for each in records:
        if each["kind"] == "step" and each["step"] > begins:
            longer = (slow - 1) * work["data"][2, each["step"] - 1]
            each["phase_ms"]["data" if each["rank"] == 2 else "communication"] += longer
    work["data"][2, begins:] *= slow
    return records, work["compute"] + work["data"]


@pytest.mark.parametrize("begins", [110, 150, 164])
def test_a_rank_that_became_slow_late_is_named_with_the_step_and_what_it_costs_since(begins: int) -> None:
    records, own = slowed_late(begins)
    assert begins > 100  # so the median of all steps still shows the old speed
    found = only(said(records), "straggler_score")
    assert (
        found.subject == "run:many/rank:2"
        and found.n == 50
        and found.high < 0.75
        and "At the median rank's speed the last 50 steps" in found.because
        and "Waiting" not in found.because
    )
    assert abs(found.evidence["since_step"] - (begins + 1)) <= 1 and f"at about step {found.evidence['since_step']}" in found.because
    late = own[:, -50:]
    assert found.evidence["lost_rank_seconds"] == pytest.approx((late.max(axis=0) - np.median(late, axis=0)).sum() * 4 / 1000)


@pytest.mark.parametrize("begins", [176, 180])
def test_a_rank_that_is_slow_in_only_the_last_steps_is_named(begins: int) -> None:
    found = only(said(slowed_late(begins)[0]), "straggler_score")
    assert (
        found.subject == "run:many/rank:2"
        and found.n == 20
        and found.severity == "act"
        and "the last 20 steps that were logged" in found.because
    )


@pytest.mark.parametrize("begins", [189, 192])
def test_a_rank_slow_in_too_few_of_the_last_steps_is_unknown(begins: int) -> None:
    found = only(said(slowed_late(begins)[0]), "straggler_score")
    assert (
        found.severity == "unknown"
        and f"Rank 2 of run `many` was the slowest in data in each of the last {200 - begins} steps" in found.because
    )
    assert f"about {begins - 180} more are needed" in found.because


def of_many_ranks(slow: dict[int, float], ranks: int = 64, n: int = 40, own: str = "compute") -> list[dict]:
    """A run of many ranks with 100 ms of work per step; communication takes 30 ms, or the time in `slow` for some ranks."""
    rng = np.random.default_rng(7)
    records: list[dict] = [{"kind": "run", "run": "many", "event": "start", "at": START.isoformat()}]
    for step in range(n):
        for rank in range(ranks):
            spent = {own: rng.normal(100, 1), "communication": rng.normal(slow.get(rank, 30.0), 1)}
            at = (START + timedelta(seconds=step + rank / 1000)).isoformat()
            records.append({"kind": "step", "run": "many", "step": step, "at": at, "rank": rank, "metrics": {}, "phase_ms": spent})
    return [*records, {"kind": "run", "run": "many", "event": "end", "at": at, "status": "finished"}]


def test_a_straggler_in_communication_is_named() -> None:
    found = only(said(of_many_ranks({13: 150.0})), "straggler_score")
    assert found.subject == "run:many/rank:13" and found.severity == "act" and found.high < 0.75
    assert (
        "in phase communication (likely its network or host): 148 ms a step where the median of the other 63 takes 27.8 ms" in found.because
    )
    assert found.evidence["likely_cause"] == "network"
    assert found.evidence["lost_share"] == pytest.approx(0.48, abs=0.02)


def test_a_slow_link_is_found_if_waiting_time_is_logged_separately() -> None:
    """Rank 13 takes 52 ms to send, the others 30 ms, so they wait 22 ms in each step; a step takes 153 ms."""
    records = of_many_ranks({13: 52.0})
    steps: dict[int, list[dict]] = {}
    for each in records:
        if each["kind"] == "step":
            steps.setdefault(each["step"], []).append(each["phase_ms"])
    for own in steps.values():
        last = max(sum(phases.values()) for phases in own)
        for phases in own:
            phases["sync"] = last - sum(phases.values())
    found = only(said(records), "straggler_score")
    assert found.subject == "run:many/rank:13" and found.evidence["phase"] == "communication" and found.severity == "act"
    assert found.evidence["lost_share"] == pytest.approx(22 / 153, abs=0.01) and found.evidence["time_ms"] == pytest.approx(52, abs=0.5)
    times = ranks_from(gather_one(records).phases)
    assert not times.phases["sync"].any() and np.median(times.wait[:13]) == pytest.approx(22, abs=1)


def test_the_phase_in_which_the_slow_rank_loses_most_is_named_if_communication_contains_no_waiting() -> None:
    """The short communication of the other ranks is then taken for waiting, so the slow rank's own communication seems long."""
    records, rng = of_many_ranks(dict.fromkeys(range(64), 3.5)), np.random.default_rng(8)
    for each in records:
        if each["kind"] == "step":
            each["phase_ms"]["data"] = (30 if each["rank"] == 13 else 5) * rng.normal(1, 0.02)
    found = only(said(records), "straggler_score")
    assert found.subject == "run:many/rank:13" and found.evidence["phase"] == "data"
    assert found.evidence["time_ms"] == pytest.approx(30, rel=0.02) and "Look at its storage" in found.because


def test_a_rank_that_arrives_last_without_a_logged_reason_is_named_and_the_others_are_not() -> None:
    found = only(said(of_many_ranks({rank: 150.0 for rank in range(8) if rank != 5}, ranks=8)), "straggler_score")
    assert found.subject == "run:many/rank:5" and found.severity == "watch" and "arrives last" in found.because
    assert (
        "arrives last (likely its host or network, or work outside of the logged phases): " in found.because
        and found.evidence["likely_cause"] == "host"
    )
    assert "the others are not slow" in found.because and found.value == pytest.approx(30 / 150, abs=0.02)


def test_waiting_that_no_rank_explains_is_unknown() -> None:
    two = only(said(of_many_ranks({1: 150.0}, ranks=2)), "straggler_score")
    assert two.severity == "unknown" and "which rank holds up the others is unknown" in two.because and two.evidence["lost_share"] > 0.2
    records, _ = distributed(ranks=4)
    rng = np.random.default_rng(3)
    for each in records:
        if each["kind"] == "step":
            each["phase_ms"] = {"data": 60 * rng.lognormal(0, 0.6), "compute": 100.0}
    wild = only(said(records), "straggler_score")
    assert wild.severity == "unknown" and "most often the slowest" in wild.because


def test_a_rank_slow_only_in_early_steps_is_ok() -> None:
    records, _ = distributed(n=200)
    for each in records:
        if each["kind"] == "step" and each["rank"] == 2 and each["step"] <= 60:
            each["phase_ms"]["data"] *= 2
    assert only(said(records), "straggler_score").severity == "ok"


def test_equal_ranks_with_highly_variable_steps_raise_no_alarm() -> None:
    """Eight ranks with lognormal data loading (standard deviation of the logarithm 0.6): single steps may take three times as long, but no
    rank is slower on average.
    """
    for seed in range(repeats(20, 300)):
        rng = np.random.default_rng(seed)
        frame = pd.DataFrame({RANK: np.tile([str(each) for each in range(8)], 90), STEP: np.repeat(np.arange(90), 8)})
        frame["data"], frame["compute"] = 60 * rng.lognormal(0, 0.6, len(frame)), rng.normal(200, 6, len(frame))
        times = ranks_from(frame)
        found = [each for part, late in straggler_spans(times) for each in slow_ranks(part, late=late, among=2)]
        assert {each.late for each in found} == {False, True} and not [each for each in found if each.surely]
        assert recent_slowness(times) is None


def test_waiting_for_the_slow_rank_is_not_taken_for_slowness_of_the_others() -> None:
    records, work = distributed(3.0)
    times = ranks_from(gather_one(records).phases)
    assert times.phases["communication"] == pytest.approx(np.full((4, 40), 20.0))
    own = work["compute"] + work["data"]
    assert times.wait == pytest.approx(own.max(axis=0) - own)


def gather_one(records: list[dict]):
    (one,) = runs_from_records(
        frame_of("run", [each for each in records if each["kind"] == "run"]),
        frame_of("step", [each for each in records if each["kind"] == "step"]),
    )
    return one


@pytest.mark.parametrize(("slow", "phase"), [(1.0, "data"), (1.05, "compute")])
def test_equal_ranks_are_fine(slow: float, phase: str) -> None:
    for seed in range(8):
        found = only(said(distributed(slow, phase, seed=seed)[0]), "straggler_score")
        assert found.severity == "ok" and found.subject == "run:many" and found.low <= found.value <= found.high


def test_a_rank_slow_in_a_negligible_phase_is_ok() -> None:
    records, _ = distributed()
    for each in records:
        if each["kind"] == "step":
            each["phase_ms"]["data"] = 3.0 if each["rank"] == 2 else 1.0
    assert only(said(records), "straggler_score").severity == "ok"


def test_too_few_steps_of_all_ranks_are_unknown() -> None:
    found = only(said(distributed(3.0, n=12)[0]), "straggler_score")
    assert found.severity == "unknown" and "about 8 more" in found.because


def test_metrics_of_several_ranks_are_summarised_by_their_median() -> None:
    records, _ = distributed()
    for each in records:
        if each["kind"] == "step" and each["rank"] == 3:
            each["metrics"]["train_loss"] = 1e6
    curve = gather_one(records).curves["train_loss"]
    assert curve.values == pytest.approx(
        loss(40) + 0.0
    )  # ranks at -.15, -.05, +.05 and one far out: the median is the middle of the inner two
    assert len(curve.steps) == 40


@pytest.mark.parametrize(
    ("run", "rank", "phase"),
    [("mlp-4-processes", 2, "data"), ("mlp-slow-compute", 1, "compute"), ("mlp-slow-link", 3, "communication")],
)
def test_a_deliberately_slowed_process_is_found_with_its_phase(
    run: str, rank: int, phase: str, fleet: dict[tuple[str, str], Finding]
) -> None:
    name = f"run:flights-late-{run}"
    found = {subject: each for (subject, metric), each in fleet.items() if metric == "straggler_score" and subject.startswith(name)}
    assert list(found) == [f"{name}/rank:{rank}"]
    (slow,) = found.values()
    assert slow.severity == "act" and slow.evidence["phase"] == phase and slow.value < 0.2


def test_separately_logged_waiting_time_is_subtracted_from_communication(fleet: dict[tuple[str, str], Finding]) -> None:
    """The wait is subtracted in the phase `sync`. Subtracted from communication, it would leave 0 ms for the other ranks, and a slow link
    would look infinitely slow.
    """
    (slow,) = [each for (subject, _), each in fleet.items() if subject.startswith("run:flights-late-mlp-slow-link/rank")]
    assert 0.05 < slow.evidence["median_ms"] < 0.2 and slow.evidence["time_ms"] > 10
