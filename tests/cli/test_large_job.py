"""The long simulated job of `demo --large` is the same however it is split into parts, is declared as simulated, and its slow rank is
named.
"""

import json
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from observability.analyzers.training import runs
from observability.cli import large_job
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.questions import Records
from observability.core.window import EPOCH, Window
from tests.support.new_store import new_store

STEPS = 150
"""Steps of the job in these tests, loaded in parts of 100."""


def test_lines_do_not_depend_on_where_a_part_begins() -> None:
    whole = list(large_job.step_lines(1, 30, STEPS))
    assert whole == [*large_job.step_lines(1, 10, STEPS), *large_job.step_lines(11, 30, STEPS)] and len(whole) == 30 * 64
    assert {json.loads(line)["run"] for line in whole} == {large_job.LARGE_RUN} and large_job.LARGE_RUN.startswith("simulated-")


def test_all_ranks_leave_a_step_together_and_the_slow_one_reads_its_data_six_times_as_slowly() -> None:
    lines = [json.loads(line) for line in large_job.step_lines(1, STEPS, STEPS)]
    phases = {
        name: np.array([line["phase_ms"][name] for line in lines]).reshape(STEPS, 64)
        for name in ("data", "compute", "communication", "sync")
    }
    lasted = sum(phases.values())
    assert np.ptp(lasted, axis=1).max() < 1.0
    early, late = phases["data"][:75], phases["data"][75:]
    slow = large_job.SLOW_RANK
    assert np.median(early[:, slow]) == pytest.approx(np.median(early), rel=0.05)
    assert np.median(late[:, slow]) == pytest.approx(large_job.SLOWER * np.median(late), rel=0.05)


def test_the_job_is_loaded_in_parts_and_its_slow_rank_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_job, "AT_ONCE", 100)
    told: list[str] = []
    store = new_store(tmp_path / "home")
    try:
        report = large_job.load_large_job(store, told.append, STEPS)
        assert (report.stored, report.rejected) == (64 * STEPS + 2, 0)
        assert told[-1] == f"{large_job.LARGE_RUN}: 100 %, {64 * STEPS + 2:,} lines"
        assert not list((store.home / "tmp").iterdir()), "loaded parts are removed from the temporary folder"
        stated = store.ask(Records("run", ("params", "extra"), ever=True), Window("", EPOCH, large_job.BEGIN + timedelta(days=1)))
        assert all(extra["simulated"] for extra in stated["extra"]) and "simulated" in stated["params"].dropna().iloc[0]
        end = large_job.BEGIN + timedelta(hours=11)
        window = Window("", EPOCH, end)
        context = Context(EVERY_MODEL, NO_VERSION, window, end, 0.0143)
        frames = {name: store.ask(asked.aggregate, window) for name, asked in runs.needs(context).items()}
        found = [finding for finding in runs.analyze(frames, context) if finding.metric == "straggler_score" and finding.needs_action]
    finally:
        store.close()
    assert found and f"ank {large_job.SLOW_RANK}" in found[0].because and "data" in found[0].because
