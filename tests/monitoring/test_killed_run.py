"""A killed training job is found lost, and its logged steps are kept."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from observability.client.runs import RUN_SEGMENT_SECONDS
from observability.dashboard.training import runs
from observability.monitoring.check import record_findings
from observability.server import process_lock
from tests.support.new_store import new_store

STEPS = 20
JOB = f"""
import signal
import sys
from observability import track_run
with track_run(run="killed", home=sys.argv[1]) as run:
    for step in range(1, {STEPS} + 1):
        run.step(step, train_loss=1 / step)
    print("logged", flush=True)
    signal.pause()
"""


def test_a_job_that_is_killed_is_lost_and_keeps_its_steps(tmp_path: Path) -> None:
    with new_store(tmp_path / "home") as store:
        with subprocess.Popen([sys.executable, "-c", JOB, str(store.home)], stdout=subprocess.PIPE, text=True) as job:
            assert job.stdout is not None and job.stdout.readline() == "logged\n"
            job.kill()
        assert job.returncode == -9
        store.load_landing()
        now = datetime.now(UTC)
        steps = store.query_views("SELECT step FROM steps WHERE run = 'killed' ORDER BY step")
        assert [step for (step,) in steps.rows] == list(range(1, STEPS + 1))
        (silent,) = [each for each in record_findings(store, None, now=now + timedelta(hours=2)) if each.metric == "run_silence"]
    assert silent.severity == "act" and silent.subject == "run:killed", silent
    assert f"Its {STEPS} steps are kept." in silent.because


def test_logged_steps_wait_less_than_three_seconds_until_the_page_of_their_run_shows_them() -> None:
    """The sum of the waits until a segment is published, loaded and drawn, without the time of the work itself."""
    assert RUN_SEGMENT_SECONDS + process_lock.LOAD_EVERY + runs.FOLLOW_SECONDS <= 2.5
