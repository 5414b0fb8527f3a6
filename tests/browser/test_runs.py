"""The training pages show the figures of the training files, open a run by its link, link to its ranks, and follow an active run."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from statistics import median

import pandas as pd
import pytest

from observability import track_run
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import download, figure, said, settle, tables, words
from tests.support.running import Dashboard

pytestmark = pytest.mark.browser
ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "sample_data"
RUN, METRIC = "flights-delay-fold-3", "validation_mae"


def logged() -> dict[int, float]:
    """The values of the metric by step, read from the file itself."""
    records = [json.loads(line) for line in (SAMPLE / "training.jsonl").read_text(encoding="utf-8").splitlines()]
    return {each["step"]: each["metrics"][METRIC] for each in records if each["kind"] == "step" and each["run"] == RUN}


def data_medians(run: str) -> dict[int, float]:
    """The median milliseconds of the data phase of each rank, over the steps that all ranks logged, computed from the file itself."""
    logged_steps: dict[int, dict[int, float]] = {}
    for line in (SAMPLE / "distributed.jsonl").read_text(encoding="utf-8").splitlines():
        each = json.loads(line)
        if each["kind"] == "step" and each["run"] == run:
            logged_steps.setdefault(each["rank"], {})[each["step"]] = each["phase_ms"]["data"]
    common = set.intersection(*(set(own) for own in logged_steps.values()))
    assert len(common) == 60
    return {rank: median(own[step] for step in common) for rank, own in logged_steps.items()}


@pytest.mark.long  # tests/dashboard/test_runs.py
def test_the_best_value_and_its_step_are_those_of_the_file(fleet: Dashboard, visit: Visit) -> None:
    values = logged()
    best = min(values, key=values.__getitem__)
    page = visit(f"{fleet.url}/runs?run={RUN}&window=Everything")
    row = next(each for each in tables(page)["Training runs"] if each["Run"]["text"] == RUN)
    cell = next(each for title, each in row.items() if title.startswith("Best"))
    assert float(cell["text"]) == pytest.approx(values[best], abs=5e-3) and cell["sub"] == f"{METRIC} at step {best}"
    value, step = figure(rf"Best checkpoint: step (\d+) \({METRIC} ([\d.]+),", words(page))[::-1]
    assert int(step) == best and float(value) == pytest.approx(values[best], abs=5e-3)
    drawn = pd.read_csv(StringIO(download(page, "curves-csv")))
    assert dict(zip(drawn.loc[drawn["metric"] == METRIC, "step"], drawn.loc[drawn["metric"] == METRIC, "value"])) == values
    listed = pd.read_csv(StringIO(download(page, "runs-csv"))).set_index("run")
    assert listed.loc[RUN, "best"] == values[best] and listed.loc[RUN, "best_step"] == best
    accessible(page)


@pytest.mark.long  # tests/dashboard/test_runs.py
def test_a_run_opens_from_the_table_and_names_the_slow_process(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/runs?window=Everything")
    page.get_by_role("link", name="flights-late-mlp-4-processes").first.click()
    page.wait_for_url("**run=flights-late-mlp-4-processes**")
    settle(page)
    assert "Rank 2 of run flights-late-mlp-4-processes is slower than its peers in phase data" in words(page)
    page.get_by_role("link", name="Ranks of this run").click()
    page.wait_for_url("**/distributed?**")
    settle(page)
    assert page.get_by_text("Phases, median over steps").count() == 1
    phases = pd.read_csv(StringIO(download(page, "phases-csv")))
    of_rank = phases[phases["phase"] == "data"].set_index("rank")["ms"]
    assert of_rank.idxmax() == 2 and of_rank.to_dict() == pytest.approx(data_medians("flights-late-mlp-4-processes"))


def test_a_click_on_the_map_shows_the_phases_of_that_step(fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/distributed?run=flights-late-mlp-4-processes&window=Everything")
    box = page.locator(".st-key-ranks-map .nsewdrag").first.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.wait_for_url("**cell=**")
    settle(page)
    (step,) = figure(r"Phases of step (\d+)", words(page))
    assert f"cell={step}" in page.url and int(step) % 4 == 0
    accessible(page)


JOB = """
import sys
from itertools import chain
from observability import track_run
asked = iter(sys.stdin)
first_asked = next(asked)
with track_run(run="going", home=sys.argv[1], params={"rate": 0.1}) as run:
    for line in chain([first_asked], asked):
        first, last = map(int, line.split())
        for step in range(first, last + 1):
            for rank in range(2):
                run.step(step, rank=rank, phase_ms={"compute": 40, "data": 5}, train_loss=1 / step)
"""


FOLLOWED_WITHIN_S = 10.0
"""The quickest of four rounds of new steps must be on the page within this time. The goal is 3 s. While other work ran (load 10 on two
cores) the rounds took 2.5, 2.6, 6.0 and 4.1 s, so a limit for each round would fail because of the other work.
"""


def test_a_job_that_is_started_is_followed_until_it_ends(
    own: Dashboard, visit: Visit, record_property: Callable[[str, object], None]
) -> None:
    before, spent = own.status(), []
    with track_run(run="beside", home=str(own.home), params={"rate": 0.2}) as beside:
        beside.step(1, train_loss=1.0)
    before = own.wait_until_loaded(before)
    with subprocess.Popen([sys.executable, "-c", JOB, str(own.home)], stdin=subprocess.PIPE, text=True, cwd=ROOT) as job:

        def log_steps(first: int, last: int) -> None:
            """Log these steps as the job does. Nothing tells the logger to publish them."""
            print(first, last, file=job.stdin, flush=True)

        def follow(first: int, last: int) -> None:
            """Log these steps as the job does, and check that the page shows them without any click."""
            began = time.monotonic()
            log_steps(first, last)
            said(page, f"going is active: {last} steps")
            spent.append(round(time.monotonic() - began, 2))

        log_steps(1, 25)
        own.wait_until_loaded(before)
        page = visit(f"{own.url}/runs?run=going")
        said(page, "going is active: 25 steps")
        follow(26, 40)
        follow(41, 55)
        for logged_before, address in ((55, "distributed?run=going"), (70, "compare_runs?run=going&run=beside")):
            page.goto(f"{own.url}/{address}")  # on a busy machine, a page that is redrawn every second may never come to rest
            said(page, f"going is active: {logged_before} steps")
            follow(logged_before + 1, logged_before + 15)
        job.stdin.close()
        page.wait_for_function("() => !document.body.innerText.includes('is active')")
    record_property("seconds until new steps are on the page", spent)
    print("seconds until new steps are on the page:", spent)
    assert min(spent) < FOLLOWED_WITHIN_S, spent


@pytest.mark.long  # tests/dashboard/test_studies.py
def test_the_study_of_the_fleet_shows_its_winner_and_what_pruning_saved(fleet: Dashboard, visit: Visit) -> None:
    records = [json.loads(line) for line in (SAMPLE / "study.jsonl").read_text(encoding="utf-8").splitlines()]
    ends = [each for each in records if each["kind"] == "run" and each["event"] == "end"]
    pruned = sum(each["status"] == "pruned" for each in ends)
    page = visit(f"{fleet.url}/studies?window=Everything")
    assert f"{len(ends)} runs, 23 settings with validation_log_loss (low is better)" in words(page)
    row = next(each for each in tables(page)["Figures of flights-late search"] if each["Question"]["text"] == "Saved by pruning")
    assert row["Question"]["sub"].startswith(f"{pruned} trials were given up")
    drawn = pd.read_csv(StringIO(download(page, "budget-csv")))
    finished = {each["run"]: each["metrics"]["validation_log_loss"] for each in ends if each["status"] == "finished"}
    shown = drawn[drawn["value"].notna()]
    assert dict(zip(shown["run"], shown["value"])) == pytest.approx(finished, abs=1e-5)
    accessible(page)
