"""Decisions about a rule, a search and a host are saved on their pages, and shown there with later results."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from observability.analyzers.training.runs import JudgedRuns
from observability.dashboard import load
from observability.dashboard.data import cleaning
from observability.dashboard.training import distributed as slow_ranks
from observability.dashboard.training import studies
from observability.detection.study_results import results_of_studies
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, words
from tests.support.run_frames import START, a_run, distributed, frame_of, loss
from tests.support.simulated_studies import simulated_study

NOW = START + timedelta(hours=1)


def logged() -> list[dict]:
    """Records of a run of a rule, a study of two runs, and a job whose rank 2 is slow on its own host."""
    rule = {"kind": "cleaning", "rule": "adults", "dataset": "people", "version": "7", "rows_in": 1000, "rows_changed": 0}
    job, _ = distributed(3.0)
    hosted = [each | {"host": f"node-{each['rank'] // 2}"} if each["kind"] == "step" else each for each in job]
    runs = [each for seed in (1, 2) for each in a_run({"val_loss": loss(30, seed)}, f"trial-{seed}", study="search", params={"seed": seed})]
    return [rule | {"rows_dropped": 100, "at": (START + timedelta(minutes=1)).isoformat()}, *hosted, *runs]


@pytest.mark.parametrize(
    ("page", "link", "key", "verb", "text", "after"),
    [
        ("cleaning", {}, "rule", "Undo", "Undo rule adults, on people", "no run since then in these dates"),
        ("studies", {"study": "search"}, "search", "Stop", "Stop study search", "no trial since"),
        ("distributed", {"run": "many"}, "host-0", "Drain", "Drain host node-1", "no run on it since"),
    ],
)
def test_a_saved_decision_is_shown_on_its_page(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str, link: dict, key: str, verb: str, text: str, after: str
) -> None:
    land(empty, logged(), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: NOW)
    app = opened(page, window="Everything", **link)
    assert text not in words(app)
    app.text_input(key=f"{key}-author-box").set_value("Ana").run()
    app.radio(key=f"{key}-what-0").set_value(verb)
    app.text_input(key=f"{key}-note-0").set_value("seen twice")
    app.button(key=f"{key}-submit-0").click().run()
    assert not app.exception
    (kept,) = load.store().actions(None, None)
    assert kept.fields["text"] == f"{text}: seen twice" and kept.first.author == "Ana"
    (line,) = [each.value.replace("\\", "") for each in app.markdown if text in each.value.replace("\\", "")]
    assert "(open, due " in line and line.endswith(f"UTC): {after}.")


def test_rule_runs_since_a_decision_are_compared_with_those_before() -> None:
    at = [datetime(2026, 3, day) for day in (1, 2, 3)]
    own = pd.DataFrame({"at": at, "rows_in": [1000, 500, 500], "rows_dropped": [100, 20, 30]})
    assert cleaning.rule_runs_since(datetime(2026, 3, 1, 12, tzinfo=UTC), own) == "2 runs since drop 5 % of the rows, 10 % before"
    assert cleaning.rule_runs_since(datetime(2026, 3, 2, 12, tzinfo=UTC), own).startswith("1 run since drops 6 % of the rows, ")
    assert cleaning.rule_runs_since(datetime(2026, 2, 1, tzinfo=UTC), own) == "3 runs since drop 7.5 % of the rows"


def test_trials_since_a_decision_are_those_that_began_later() -> None:
    (study,) = results_of_studies(simulated_study(np.random.default_rng(3), trials=20))
    began = sorted(each.run.started for each in study.trials)
    assert studies.trials_since(study, began[-4]) == "3 trials since"
    assert studies.trials_since(study, began[-1]) == "no trial since"


def test_runs_on_a_host_since_a_decision_are_counted_with_those_that_are_slow_there() -> None:
    of_kind = {"runs": "run", "steps": "step", "resources": "resource", "events": "event"}
    frames = {name: frame_of(kind, [each for each in logged() if each["kind"] == kind]) for name, kind in of_kind.items()}
    verdicts, before = JudgedRuns(frames).verdicts(NOW), START - timedelta(minutes=1)
    (job,) = [each for each in verdicts if each.run.name == "many"]
    assert slow_ranks.slow_hosts(job) == ["node-1"]
    assert slow_ranks.host_runs_since("node-1", verdicts, before) == "1 run on it since, 1 with a slow rank there"
    assert slow_ranks.host_runs_since("node-0", verdicts, before) == "1 run on it since, none with a slow rank there"
    assert slow_ranks.host_runs_since("node-1", verdicts, START) == "no run on it since"
