"""Whether a search should go on is stated in plain words."""

from dataclasses import replace

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from observability.analyzers.training.runs import RunVerdict
from observability.dashboard.scope import Scope
from observability.dashboard.training import studies
from observability.dashboard.training.runs import RunUse
from observability.dashboard.training.studies import further_words, gain_in_words
from observability.detection.study_results import FurtherTrials, results_of_studies
from observability.metrics.energy import RESOURCES
from observability.stats.interval import Interval
from tests.support.simulated_studies import simulated_study


def test_the_gain_and_cost_of_more_trials_are_one_sentence_with_equal_decimals() -> None:
    found = FurtherTrials(10, Interval(0.004, 0.001, 0.009, 40), 0.02, 3600.0, True, "no more than seeds of one setting differ")
    assert further_words(found, "val_loss") == (
        "10 more trials would take 60 min and improve the best val_loss by at most 0.0040 (0.0010 to 0.0090) on average: "
        "no more than seeds of one setting differ."
    )
    assert gain_in_words(Interval(0.0004104, -0.0007434, 0.001564, 25)) == "0.0004 (−0.0007 to 0.0016)"
    assert gain_in_words(Interval(12.0, -30.0, 54.0, 5)) == "12 (−30 to 54)" and gain_in_words(Interval(0.0, 0.0, 0.0, 5)) == "0 (0 to 0)"


def test_studies_side_by_side_have_energy_and_cost_only_where_they_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    (study,) = results_of_studies(simulated_study(np.random.default_rng(3), trials=20))
    names, drawn = [each.run.name for each in study.trials], []
    monkeypatch.setattr(studies, "draw_table", lambda *told, **_: drawn.append(told[2:]))
    monkeypatch.setattr(studies, "records_of_energy", lambda _: (None, ()))
    for use in (RunUse(wh=2.0, source="measured", amount=0.5, currency="EUR"), RunUse()):
        monkeypatch.setattr(studies, "energy_and_cost_of_runs", lambda _, use=use: dict.fromkeys(names, use))
        studies.all_studies_table([study], Scope(), studies.use_of_studies([study]))
    (known, (row,)), (unknown, _) = drawn
    assert [each["key"] for each in known][-2:] == ["energy", "cost"] and [each["key"] for each in unknown][-1] == "time"
    assert row["cells"]["energy"]["t"] == f"{2 * len(names):.1f} Wh" and row["cells"]["cost"]["t"].split() == [
        f"{len(names) / 2:.1f}",
        "EUR",
    ]


def test_studies_of_one_metric_share_one_figure_of_at_most_six_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    runs = [
        run
        for place in range(8)
        for run in simulated_study(np.random.default_rng(place), trials=10 + place, seeds=0, name=f"search {place}")
    ]
    *known, other = results_of_studies(runs)
    elsewhere = tuple(replace(each, run=replace(each.run, model="other")) for each in known[0].trials)
    others = [replace(other, metric="accuracy", better="high"), replace(known[0], name="elsewhere", trials=elsewhere)]
    chosen = known[-1]
    drawn: list[tuple[go.Figure, pd.DataFrame, str]] = []
    said: list[str] = []
    monkeypatch.setattr(studies.frame, "chart_with_table", lambda figure, rows, alt, **_: drawn.append((figure, rows, alt)))
    monkeypatch.setattr(studies, "plain_caption", said.append)
    for other in others:
        studies.studies_side_by_side(other, [*known, *others])
    studies.studies_side_by_side(chosen, [chosen])
    assert not drawn, "no other study of the model has the metric"
    studies.studies_side_by_side(chosen, [*known, *others])
    ((figure, rows, alt),) = drawn
    lines = {line.name: line for line in figure.data}
    rest = sorted((each for each in known if each is not chosen), key=lambda each: (-len(each.settings), each.name))
    assert set(lines) == {chosen.name, *(each.name for each in rest[:5])} and figure.data[-1].name == chosen.name
    assert set(rows["study"]) == {each.name for each in known} and said == [
        "6 of 7 studies are drawn, those with most settings; the table has all."
    ]
    best = {each.name: min(trial.value for trial in each.done) for each in known}
    assert {name: line.y[-1] for name, line in lines.items()} == {name: best[name] for name in lines}
    assert f"{min(best, key=best.__getitem__)} comes furthest" in alt
    assert len({(line.line.color, line.line.dash) for line in figure.data}) == 6, "each line has its own colour and dash"


@pytest.mark.parametrize(("readings", "apart"), [(RESOURCES.rows, True), (RESOURCES.rows - 1, False)])
def test_studies_are_queried_separately_only_if_one_query_would_truncate_their_readings(
    monkeypatch: pytest.MonkeyPatch, readings: int, apart: bool
) -> None:
    several = [simulated_study(np.random.default_rng(seed), trials=20) for seed in (3, 4)]
    renamed = [replace(run, name=f"other {run.name}", study="other") for run in several[1]]
    known = results_of_studies([*several[0], *renamed])
    asked: list[set[str]] = []

    def noted(runs: list[RunVerdict]) -> dict[str, RunUse]:
        asked.append({each.run.name for each in runs})
        return {each.run.name: RunUse(wh=float(len(each.run.name))) for each in runs}

    monkeypatch.setattr(studies, "energy_and_cost_of_runs", noted)
    monkeypatch.setattr(studies, "records_of_energy", lambda _: (None, range(readings)))
    uses = studies.use_of_studies(known)
    names = {study.name: {each.run.name for each in study.trials} for study in known}
    assert len(names) == 2 and asked == ([*names.values()] if apart else [set.union(*names.values())])
    assert {name: {run: use.wh for run, use in own.items()} for name, own in uses.items()} == {
        name: {run: float(len(run)) for run in own} for name, own in names.items()
    }
