"""A training run records its start, its steps and its end, also after failures."""

import os
import platform
from collections.abc import Callable
from pathlib import Path

import pytest

import observability as obs

Records = Callable[[], list[dict]]


def test_a_finished_run_writes_start_steps_and_end(tmp_path: Path, records: Records) -> None:
    given = {"version": "2", "params": {"depth": 3, "rate": 0.1}, "dataset": "loans@7", "study": "s", "seed": 4}
    with obs.track_run(model="loan", home=tmp_path, hardware={"gpu": "none"}, **given) as run:
        assert run.step(10, loss=0.3, auc=float("nan"))
        assert run.step(20, rank=1, phase_ms={"compute": 5, "communication": 1}, loss=0.2)
        assert run.resource(device="cpu0", watts=30.5, phase="train")
        run.metrics(auc=0.7)
        run.metrics(auc=0.8, loss=0.2)
    start, first, second, resource, end = records()
    assert {record["run"] for record in records()} == {run.run}
    hardware = start.pop("hardware")
    assert hardware["gpu"] == "none" and hardware["cores"] == os.cpu_count() and hardware["python"] == platform.python_version()
    assert {name: start[name] for name in ("kind", "event", "model", *given)} == {"kind": "run", "event": "start", "model": "loan", **given}
    assert (first["kind"], first["step"], first["metrics"]) == ("step", 10, {"loss": 0.3, "auc": "NaN"})
    assert (second["rank"], second["phase_ms"], second["metrics"]) == (1, {"compute": 5, "communication": 1}, {"loss": 0.2})
    assert (resource["device"], resource["watts"], resource["phase"], resource["model"], resource["version"]) == (
        "cpu0",
        30.5,
        "train",
        "loan",
        "2",
    )
    assert (end["event"], end["status"], end["metrics"]) == ("end", "finished", {"auc": 0.8, "loss": 0.2})
    assert list((tmp_path / "landing" / "open").iterdir()) == []


def test_a_step_number_may_be_given_by_keyword(tmp_path: Path, records: Records) -> None:
    with obs.track_run(home=tmp_path) as run:
        assert run.step(step=3, loss=0.3)
        assert run.step(4, step=0.5)
    _, named, metric, _ = records()
    assert (named["step"], named["metrics"], metric["step"], metric["metrics"]) == (3, {"loss": 0.3}, 4, {"step": 0.5})


class Unprintable(RuntimeError):
    def __str__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("loss is NaN"), "failed"),
        (KeyboardInterrupt(), "failed"),
        (SystemExit(2), "failed"),
        (SystemExit(0), "finished"),
        (Unprintable(), "failed"),
    ],
)
def test_an_exception_in_a_run_is_raised_unchanged_and_logged(tmp_path: Path, records: Records, error: BaseException, status: str) -> None:
    with pytest.raises(type(error)) as raised, obs.track_run(model="loan", home=tmp_path, run="r1") as run:
        run.metrics(loss=1)
        raise error
    assert raised.value is error and run.run == "r1"
    end = records()[-1]
    assert (end["run"], end["event"], end["status"], end["metrics"]) == ("r1", "end", status, {"loss": 1})
    assert end.get("error", "").startswith(type(error).__name__ if status == "failed" else "")


def test_ranks_share_one_run(tmp_path: Path, records: Records) -> None:
    with obs.track_run(home=tmp_path, run="r", rank=0, device="gpu0") as first, obs.track_run(home=tmp_path, run="r", rank=5) as other:
        first.step(1, loss=1)
        other.step(1, loss=2, host="node-7", device="cuda:1")
    places = {record["rank"]: (record["host"], record["device"]) for record in records() if record["kind"] == "step"}
    assert places == {0: (platform.node(), "gpu0"), 5: ("node-7", "cuda:1")}, "the machine's name is the default"
    found = sorted((record["kind"], record.get("event", ""), record.get("rank")) for record in records() if record.get("event") != "start")
    assert found == [("run", "end", 0), ("step", "", 0), ("step", "", 5)]
    with pytest.raises(ValueError), obs.track_run(home=tmp_path, run="q", rank=5):
        raise ValueError
    (failure,) = [record for record in records() if record["run"] == "q"]
    assert (failure["event"], failure["status"], failure["rank"]) == ("end", "failed", 5)


def test_a_run_that_cannot_be_written_raises_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with obs.track_run(model="loan", home=tmp_path / "file", params={"x": object()}) as run:
        assert run.step(1, loss=0.1) is False
    assert run.log.dropped == 3


def test_a_given_logger_stays_usable(tmp_path: Path, records: Records) -> None:
    with obs.Logger(tmp_path) as log:
        with obs.track_run(logger=log) as run:
            run.step(1, loss=1)
        log.event(what="note", text="after")
    assert [record["kind"] for record in records()] in (["run", "step", "run", "event"], ["event", "run", "step", "run"])
