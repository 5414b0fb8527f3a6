"""Each fault of a training run is named at middle strength on runs with a known answer, and a clean run raises nothing."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.cli import execute
from observability.core.errors import NotFoundError, UsageError
from observability.simulation.fault import STRENGTHS
from observability.simulation.faults_training import FAULTS, RunFaultPlant
from observability.simulation.training_replay import LOOKS, replay_on_run, replay_training_fault, run_records
from observability.store.db.database import Database
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.support.length import repeats, some
from tests.support.named_share import NamedShare
from tests.support.simulated_runs import STEPS, accelerator_run_records, run_that_can_have, simulated_run_frames, simulated_run_records
from tests.support.simulation_key import RUN_KEY, right_of_run

START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = START + timedelta(days=2)
DRAWS = repeats(2, 40)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory):
    home: Path = tmp_path_factory.mktemp("lab-runs")
    path = home / "runs.jsonl"
    path.write_text("\n".join(map(json.dumps, [*accelerator_run_records(), *simulated_run_records()])), encoding="utf-8")
    with open_store(home / "home", threads=2) as opened:
        assert opened.load_files([path], LoadDefaults()).rejected == 0
        yield opened


def ask(store: Database):
    return lambda question, window: store.ask(question, window)


def records_of(store: Database, run: str):
    """The records of a run; for the run on accelerators, also those of its earlier runs."""
    return run_records(ask(store), run, NOW, [f"accelerators-{place}" for place in range(6)] if run == "accelerators" else ())


def test_the_key_has_each_fault() -> None:
    assert RUN_KEY.keys() == FAULTS.keys()
    assert all(sorted(each.amounts) == list(each.amounts) and each.description.endswith(".") for each in FAULTS.values())


@pytest.mark.parametrize("name", some(FAULTS, 2))
def test_a_fault_of_middle_strength_is_named_and_the_clean_run_is_silent(store: Database, name: str) -> None:
    run = run_that_can_have(name)
    frames = records_of(store, run)
    before = [frames[kind].to_json(date_format="iso") for kind in ("steps", "resources")]
    told = replay_training_fault(frames, run, FAULTS[name], "middle", 2)
    assert len(told.looks) == LOOKS and told.looks[-1].at == STEPS
    right = right_of_run(name, told.target)
    assert any(right.holds(each) for look in told.looks for each in look.alarms), told.sentence
    assert right.holds(told.looks[-1].alarms[0])
    assert told.first_named is not None and 0 <= told.first_named <= STEPS - told.onset
    assert not [each for look in told.looks for each in look.twin if each.severity in ("act", "watch")]
    assert [frames[kind].to_json(date_format="iso") for kind in ("steps", "resources")] == before
    if "slow_rank" in name or name.endswith(("_peers", "_past")) or name in ("bad_batch", "throttled_accelerator"):
        assert told.detail in told.looks[-1].alarms[0].because


@pytest.fixture(scope="module")
def clean_runs() -> Callable[[str, int], dict[str, pd.DataFrame]]:
    return cache(simulated_run_frames)


@pytest.mark.parametrize("name", some(FAULTS, 4))
def test_a_fault_of_middle_strength_is_named_in_nine_of_ten_runs_at_their_end(
    clean_runs: Callable, named_share: NamedShare, name: str
) -> None:
    run, named = run_that_can_have(name), 0
    for seed in range(10, 10 + DRAWS):
        told = replay_training_fault(clean_runs(run, seed), run, FAULTS[name], "middle", seed, looks=1)
        named += any(map(right_of_run(name, told.target).holds, told.looks[-1].alarms[:3]))
    named_share(name, named, DRAWS)


@pytest.mark.parametrize("name", ["throttled_accelerator", "hot_among_peers"])
def test_a_fault_of_a_device_falls_on_the_device_that_its_finding_names(clean_runs: Callable, name: str) -> None:
    """Regression: a throttled device was named at every evaluation, but the lab said that the target of the fault was never named."""
    run = run_that_can_have(name)
    told = replay_training_fault(clean_runs(run, 10), run, FAULTS[name], "middle", 10, looks=1)
    assert told.target in {each.subject for each in told.looks[-1].alarms} and "/device:" in told.target
    assert "never named" not in told.sentence and told.first_named is not None


@pytest.mark.parametrize("name", some(FAULTS, 1))
def test_each_evaluation_of_a_replay_sees_only_what_had_been_logged(store: Database, name: str) -> None:
    run = run_that_can_have(name)
    frames = records_of(store, run)
    whole = replay_training_fault(frames, run, FAULTS[name], "strong")
    for strength in STRENGTHS:
        amount, rng = FAULTS[name].amount(strength), np.random.default_rng(1)
        planted = FAULTS[name].plant(RunFaultPlant(run, frames["steps"], frames["resources"], amount, rng))
        steps, old = planted.steps, frames["steps"]["step"] < planted.onset
        clean = frames["steps"]
        if planted.readings is not None:
            onset = clean.loc[~old, "at"].min()
            assert steps.equals(clean)
            steps, clean = planted.readings, frames["resources"]
            old = clean["at"] < onset
        assert old.any() or name == "leaked_label", "a leaked label is there from the first step on"
        assert steps.loc[old].to_json(date_format="iso") == clean.loc[old].to_json(date_format="iso")
        assert steps.to_json(date_format="iso") != clean.to_json(date_format="iso")
    assert all(each.n <= look.at for look in whole.looks for each in look.findings)


@pytest.mark.long  # test_a_fault_of_middle_strength_is_named_and_the_clean_run_is_silent
def test_the_newest_clean_run_that_can_have_the_fault_is_used(store: Database) -> None:
    assert replay_on_run(ask(store), FAULTS["slow_rank"], "middle", NOW).name == "ranks"
    found = replay_on_run(ask(store), FAULTS["memory_beyond_past"], "middle", NOW)
    assert found.name == "accelerators" and found.first_named is not None, "earlier runs of the same kind are read as well"
    with pytest.raises(NotFoundError, match="nowhere"):
        replay_on_run(ask(store), FAULTS["slow_rank"], "middle", NOW, name="nowhere")
    for fault, run, lack in (("slow_rank", "curves", "ranks"), ("throttled_accelerator", "ranks", "no busy device")):
        with pytest.raises(UsageError, match=lack):
            replay_on_run(ask(store), FAULTS[fault], "middle", NOW, name=run)


def test_the_lab_command_reports_the_first_step_at_which_the_fault_is_named(store: Database) -> None:
    said = execute.execute(store, ["lab", "--fault", "loss_not_finite", "--run", "curves"], lambda text: None)
    assert said.exit_code == 0 and "Simulated" in said.out and "first at step 101" in said.out
    body = json.loads(execute.execute(store, ["lab", "--fault", "loss-spike", "--run", "curves", "--json"], lambda text: None).out)
    assert body["basis"] == "simulated" and body["falls_on"] == "run:curves" and body["first_named"] is not None
    assert execute.execute(store, ["lab", "--fault", "null_surge", "--run", "curves"], lambda text: None).exit_code == 2
