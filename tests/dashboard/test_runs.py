"""The page of training runs lists, draws and compares the logged runs, and never interprets hostile names as markup."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import numpy as np
import pandas as pd
import pytest

from observability import track_run
from observability.analyzers.training import runs
from observability.core import formatting
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.finding import finding_details, needs_action
from observability.core.window import Window
from observability.dashboard import links, load, load_findings, theme
from observability.dashboard.charts import runs as charts_runs
from observability.dashboard.scope import Scope
from observability.dashboard.training import load_runs, runs_curves, runs_energy, runs_ranks
from observability.dashboard.training import runs as runs_page
from observability.detection.run_ranks import ranks_of
from observability.monitoring import check
from observability.monitoring.short_claims import MAX_WORDS
from observability.proofs.records import alerts_proof
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from tests.support.dashboard_pages import opened, tables, words
from tests.support.dashboard_world import HOSTILE
from tests.support.new_store import new_store
from tests.support.run_frames import a_run, distributed, loss, only
from tests.support.run_frames import said as analyzed

START = datetime(2026, 3, 2, tzinfo=UTC)
NOW = START + timedelta(hours=1)
FLOPS = {"flops_per_step": 6e12, "bytes_per_step": 6e10, "peak_flops": 1e12, "peak_bytes_per_second": 1e10}
Logged = list[dict]


def logged() -> Logged:
    """Three plain runs of one study, a run with hostile names, a run of four ranks, and a run that has not ended."""
    spiked = loss(60)
    spiked[40:43] += 0.5
    records = a_run({"train_loss": spiked, "val_loss": loss(60) + 0.1}, "spiked", study="s", params={"rate": 0.1, "depth": 3})
    records[41]["batch"] = "night"
    records += [{**records[41], "rank": 1, "batch": "day"}]
    records.append({"kind": "batch", "batch": "night", "source": "bay", "device": "cam", "at": START.isoformat(), "rows": 9})
    for i in (1, 2, 3):
        records += a_run(
            {"train_loss": loss(60, i), "val_loss": loss(60, i) + 0.1},
            f"plain-{i}",
            study="s",
            params={"rate": 0.1 * i, "depth": 3},
            hardware=FLOPS if i == 3 else {},
        )
    records += a_run({HOSTILE: loss(60), "loss": loss(60)}, HOSTILE, study=HOSTILE, params={HOSTILE: HOSTILE})
    going = a_run({"loss": loss(110)}, "going", ended=None)
    return records + going + distributed(3.0)[0]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    folder = tmp_path_factory.mktemp("runs")
    lines = folder / "runs.jsonl"
    lines.write_text("\n".join(json.dumps(each) for each in logged()) + "\n", encoding="utf-8")
    store = new_store(folder / "home")
    assert store.load_files([lines], LoadDefaults()).rejected == 0
    yield store
    store.close()


@pytest.fixture
def page(store: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: NOW)
    return store


def test_only_the_readings_of_the_listed_runs_are_read(page: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, ask = [], load.ask_store
    monkeypatch.setattr(load, "ask_store", lambda question, window: asked.append(question) or ask(question, window))
    opened("runs")
    of_runs = [dict(each.only).get("run") for each in asked if getattr(each, "kind", None) == "resource"]
    assert of_runs and None not in of_runs
    assert [{"going", "plain-1"} <= set(names) for names in of_runs if not isinstance(names, str)] == [True], (
        "one query reads all listed runs"
    )
    assert [names for names in of_runs if isinstance(names, str)] == ["many"], "a second query reads the devices of the open run"


def test_the_runs_page_and_the_findings_judge_each_run_only_once(page: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: page and findings judged the runs separately. The state of a run is as of the same moment in both."""
    judged, asked = [], []
    of_run, ask = runs.claims_about_run, page.ask
    monkeypatch.setattr(load, "page_clock", lambda: NOW + timedelta(minutes=5))
    monkeypatch.setattr(runs, "claims_about_run", lambda run, *rest: judged.append(run.name) or of_run(run, *rest))
    monkeypatch.setattr(
        page,
        "ask",
        lambda question, window: (
            asked.append((getattr(question, "kind", None), getattr(question, "blocks", False))) or ask(question, window)
        ),
    )
    found = load_findings.scope_record_findings(Scope(), runs.ANALYZER.name)
    verdicts = load_runs.analyzed_training_runs(None)
    assert len(verdicts) == 7 and sorted(judged) == sorted(each.run.name for each in verdicts)
    assert asked.count(("step", False)) == 1 and asked.count(("step", True)) == 1
    told = {(each.subject, each.metric, each.value) for each in found}
    assert {
        (claim.subject or f"run:{each.run.name}", claim.metric, claim.value) for each in verdicts for claim in each.claims or ()
    } <= told


def test_an_ended_run_that_was_not_judged_is_unknown(page: Database) -> None:
    """Regression: the table called it OK, although its page said that it was not judged."""
    known = {each.run.name: each for each in load_runs.analyzed_training_runs(None)}
    plain = known["plain-1"]
    few = tuple(replace(claim, severity="unknown") for claim in plain.claims if claim.severity == "ok")
    for claims in (None, (), few):
        cell = runs_page._run_row(replace(plain, claims=claims), runs_page.RunUse(), (), Scope())["cells"]["status"]
        assert cell == {"s": "unknown", "t": "Unknown", "sub": "Finished"}, claims
    assert runs_page._run_row(plain, runs_page.RunUse(), (), Scope())["cells"]["status"] == {"s": "ok", "t": "OK", "sub": "Finished"}


def test_the_runs_table_shows_how_each_run_ended_and_its_worst_finding(page: Database) -> None:
    app = opened("runs")
    rows = {row["cells"]["run"]["t"]: row for row in tables(app)["Training runs"]["rows"]}
    assert (
        rows["plain-1"]["cells"]["status"] == {"s": "ok", "t": "OK", "sub": "Finished"}
        and rows["going"]["cells"]["status"]["t"] == "Running"
    )
    assert rows["spiked"]["cells"]["status"] == {"s": "watch", "t": "Warning", "sub": "Finished"}, "the status is that of the worst finding"
    best = loss(60, 1) + 0.1
    assert rows["plain-1"]["cells"]["best"]["sub"] == f"val_loss at step {int(best.argmin()) + 1}"
    assert float(rows["plain-1"]["cells"]["best"]["t"]) == pytest.approx(best.min(), abs=5e-4)
    assert "at step 41" in rows["spiked"]["note"]["t"] and rows["many"]["cells"]["steps"] == {"t": "40", "sub": "4 ranks"}
    assert rows["spiked"]["cells"]["run"]["href"] == "./runs?run=spiked"
    assert "7 runs" in words(app) and "2 need attention" in words(app)


def test_without_a_selection_the_run_that_needs_action_is_shown(page: Database) -> None:
    app = opened("runs")
    assert app.header[0].value == "many" and "slower than its peers in phase data" in words(app)
    ranks = opened("distributed")
    assert [each.value for each in ranks.header] == ["many", "Efficiency", "Ranks"]
    (line,) = [each for each in ranks.markdown if "slower than its peers" in each.value]
    assert "(likely its storage or input pipeline)" in line.value.replace("\\", ""), (
        "the cause is on the page, not only behind the question mark"
    )
    assert "Look at its storage" not in line.value and "Look at its storage" in line.help
    figures = {row["cells"]["name"]["t"]: row["cells"] for row in tables(ranks)["Efficiency of many"]["rows"]}
    assert "Needs flops_per_step and peak_flops" in figures["FLOPs utilisation (MFU)"]["how"]["t"]
    assert "Needs flops_per_step, bytes_per_step" in figures["Share of the roofline"]["how"]["t"]


def test_the_batch_of_a_spike_and_the_lineage_of_runs_are_linked(page: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[dict] = []
    monkeypatch.setattr(links, "follow_link", followed.append)
    app = opened("runs", run="spiked")
    assert "It read the data batches `day`, `night`, which no other step read." in words(app)
    for key in ("to-batch-0", "to-batch-1"):
        app.button(key=key).click().run()
    assert [(each["page"], each["parameters"].get("batch")) for each in followed] == [("batches", "night"), ("devices", None)]
    assert "to-batch-0" not in [each.key for each in opened("runs", run="plain-1").button]
    opened("distributed", run="many").button(key="to-lineage").click().run()
    opened("studies", study="s").button(key="to-lineage").click().run()
    assert [each["parameters"]["thing"].partition("-")[0] for each in followed[2:]] == ["run:many", "run:plain"]


def test_a_single_process_run_with_stated_operations_shows_its_device_efficiency(page: Database) -> None:
    """A step takes 30 s. Its 6e12 operations are 2e11 per second, of the 1e12 that the device can do. An intensity of 100 operations per
    byte is at the ridge, 1e12 / 1e10, above which operations are the limit.
    """
    shown = tables(opened("runs", run="plain-3"))["Efficiency of plain-3"]["rows"]
    figures = {row["cells"]["name"]["t"]: row["cells"] for row in shown}
    assert [figures[name]["value"]["t"] for name in ("Time per step", "FLOPs utilisation (MFU)", "Share of the roofline")] == [
        "30 s",
        "20 %",
        "20 %",
    ]
    assert (
        "ranks" not in figures["FLOPs utilisation (MFU)"]["how"]["t"]
        and "compute is the limit" in figures["Share of the roofline"]["how"]["t"]
    )
    assert "Efficiency of plain-2" not in tables(opened("runs", run="plain-2")), "the run logs no operations, so it has no efficiency"


def test_scaling_efficiency_is_relative_to_the_single_process_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: runs of one process were left out, so that two processes had an efficiency of 100 %."""
    records = a_run({"loss": loss(20)}, "one", every=8.0, study="s")
    many = a_run({"loss": loss(20)}, "two", every=5.0, study="s")
    records += [each | {"rank": rank, "phase_ms": {"compute": 5.0}} for each in many if each["kind"] == "step" for rank in (0, 1)]
    lines = tmp_path / "runs.jsonl"
    lines.write_text(
        "".join(f"{json.dumps(each)}\n" for each in [*records, *(each for each in many if each["kind"] == "run")]), encoding="utf-8"
    )
    store = new_store(tmp_path / "home")
    assert store.load_files([lines], LoadDefaults()).rejected == 0
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: NOW)
    rows = tables(opened("distributed"))["Scaling of the study"]["rows"]
    store.close()
    assert [(row["cells"]["run"]["t"], row["cells"]["efficiency"]["t"]) for row in rows] == [("one", "100 %"), ("two", "80 %")]


def test_run_claims_stay_within_the_length_limit_of_findings(page: Database) -> None:
    """Regression: the sentence about a slow rank had 52 words, even in the table of runs. Now the details contain what the sentence leaves
    out.
    """
    (many,) = load_runs.followed_training_runs(("many",))
    for judged in (*load_runs.analyzed_training_runs(None), many):
        assert max(len(claim.because.split()) for claim in judged.claims or ()) <= MAX_WORDS
    (slow,) = [claim for claim in many.claims or () if needs_action(claim.severity)]
    assert "Look at its storage and data loading." in finding_details(slow)
    row = next(row for row in tables(opened("runs"))["Training runs"]["rows"] if row["cells"]["run"]["t"] == "many")
    assert row["note"]["t"] == slow.because.replace("`", "")


def test_a_link_selects_runs_and_reports_missing_ones(page: Database) -> None:
    app = opened("runs", run="spiked")
    assert app.header[0].value == "spiked" and app.selectbox(key="run-box").value == "spiked"
    app.selectbox(key="run-box").set_value("plain-2").run()
    assert not app.exception and app.header[0].value.replace("\\", "") == "plain-2"
    assert "The link names the run nope" in words(opened("runs", run="nope"))
    assert "which these runs do not have" in words(opened("runs", run="spiked", metric="banana"))
    assert "which not every rank of this run logged" in words(opened("distributed", run="many", cell="9999"))


def test_a_run_of_several_processes_leads_to_its_ranks(page: Database) -> None:
    (link,) = [each.proto for each in opened("runs", run="many").get("page_link") if each.proto.label == "Ranks of this run"]
    assert link.query_string == "run=many" and link.page == "distributed"


def test_runs_are_compared_by_what_differs(page: Database) -> None:
    app = opened("compare_runs", run="plain-1")
    assert "Choose two runs or more." in words(app)
    app.multiselect(key="runs-box").set_value(["plain-1", "plain-2", "spiked", "plain-3"]).run()
    assert not app.exception and "1 of 2 parameters differs between 4 runs." in words(app) and "The same in all: depth 3." in words(app)
    rows = tables(app)["Compared runs, best first"]["rows"]
    best = {name: float(loss(60, seed).min()) for name, seed in (("plain-1", 1), ("plain-2", 2), ("plain-3", 3), ("spiked", 0))}
    assert [row["cells"]["run"]["t"] for row in rows] == sorted(best, key=best.get)
    assert [row["cells"]["p0"]["t"] for row in rows if row["cells"]["run"]["t"] == "plain-2"] == ["0.2"]
    assert len(app.get("plotly_chart")) == 2, "the page draws the curves and the runs by their parameters"
    alone = opened("compare_runs")
    assert len(tables(alone)["Compared runs, best first"]["rows"]) > 1, "without a selection the newest runs are compared"


def test_a_running_job_is_updated_as_it_logs(page: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job's new records are read at the next refresh, even within the seconds for which other pages keep their cached content."""
    monkeypatch.setattr(load, "page_clock", lambda: datetime.now(UTC) + timedelta(minutes=5))
    with track_run(run="live", home=str(page.home), model="loan") as run:
        run.step(1, train_loss=1.0)
        run.log.flush()
        page.load_landing()
        (before,) = load_runs.followed_training_runs(("live",))
        assert before.run.steps == 1 and load_runs.analyzed_training_runs(None)
        for step in range(2, 8):
            run.step(step, train_loss=1.0 / step)
        run.alert("look at me")
        run.log.flush()
        page.load_landing()
        (after,) = load_runs.followed_training_runs(("live",))
    assert after.run.steps == 7 and after.run.curves["train_loss"].values[-1] == pytest.approx(1 / 7)
    assert [text for _, text in after.run.alerts] == ["look at me"]
    at = after.run.alerts[0][0]
    message = {"kind": "event", "at": at.isoformat(), "what": "note", "text": "look at me", "run": "live"}
    told = only(analyzed([*a_run({"train_loss": loss()}, "live"), message]), "run_alerts")
    asked = Context(EVERY_MODEL, NO_VERSION, Window("", START, at + timedelta(minutes=1)), at)
    assert page.query_views(alerts_proof(told, asked)).rows == [(told.value,)]


def test_a_copied_link_holds_what_the_boxes_hold(page: Database) -> None:
    app = opened("runs", run="spiked", metric="loss")
    app.slider(key="smooth").set_value(0.9).run()
    app.toggle(key="log").set_value(True).run()
    address = parse_qs(urlsplit(app.code[0].value).query)
    assert {key: address[key] for key in ("run", "metric", "smooth", "log", "axis")} == {
        "run": ["spiked"], "metric": ["loss"], "smooth": ["0.9"], "log": ["true"], "axis": ["Step"],
    }  # fmt: skip
    again = opened("runs", **{key: values[0] for key, values in address.items()})
    assert again.slider(key="smooth").value == 0.9 and again.toggle(key="log").value is True


def test_an_active_run_refreshes_and_a_finished_one_does_not(page: Database) -> None:
    assert "going is active: 110 steps" in words(opened("runs", run="going"))
    assert "Refreshes by itself" not in words(opened("runs", run="spiked"))


def test_following_compared_runs_rereads_only_the_active_ones(page: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, read = [], load_runs.followed_training_runs
    monkeypatch.setattr(load_runs, "followed_training_runs", lambda names, searches: asked.append(names) or read(names, searches))
    assert "going is active: 110 steps" in words(opened("compare_runs", run=["going", "plain-1"])) and asked == [("going",)]
    assert "Refreshes by itself" not in words(opened("distributed", run="many")) and asked == [("going",)]


def test_hostile_names_stay_text(page: Database) -> None:
    app = opened("runs", run=HOSTILE, metric=HOSTILE)
    shown = "\n".join(each.value for kind in ("header", "markdown", "caption", "warning") for each in getattr(app, kind))
    shown = re.sub(r"`[^`]*`", "", shown)
    assert "https://evil" not in shown and ":red[z]" not in shown and "<b>" not in shown.replace("\\<", "")
    for chart in app.get("plotly_chart"):
        assert "<b>x" not in chart.proto.spec


def test_an_empty_store_shows_the_code_that_logs_a_run(empty: Database) -> None:
    app = opened("runs")
    assert "No training run has been logged yet." in words(app) and "obs.track_run" in app.code[-1].value
    assert len(app.code[-1].value.splitlines()) == 4


def test_curves_are_drawn_raw_and_smoothed_with_marks(page: Database) -> None:
    chosen = [each for each in load_runs.analyzed_training_runs(None) if each.run.name == "spiked"]
    frame = runs_curves.curve_frame(chosen, "loss", 0.6, by_time=False)
    assert set(frame["part"]) == {"training", "held out"} and len(frame) == 120
    held_out = frame[frame["part"] == "held out"]
    wanted = pd.Series(held_out["value"].to_numpy()).ewm(alpha=0.4, adjust=True).mean()
    assert held_out["smoothed"].to_numpy() == pytest.approx(wanted.to_numpy())
    marks = runs_curves.mark_frame(chosen, "loss", by_time=False)
    assert set(marks["kind"]) == {"best", "watch"} and marks.loc[marks["kind"] == "watch", "x"].tolist() == [41.0]
    figure = charts_runs.training_curve_lines(frame, marks, name="loss", x="step", log=True)
    faded = [trace for trace in figure.data if trace.opacity == 0.3]
    assert len(faded) == 2 and figure.layout.yaxis.type == "log"
    by_time = runs_curves.curve_frame(chosen, "loss", 0.0, by_time=True)
    assert by_time["x"].iloc[0] == pytest.approx(30.0)


def test_long_curves_are_thinned_for_the_picture_only() -> None:
    n = 50_000
    values = np.random.default_rng(1).normal(size=n)
    values[31_234] = 99.0
    frame = pd.DataFrame({"run": "a", "part": "training", "step": range(n), "x": range(n), "value": values, "smoothed": values})
    (line,) = charts_runs.training_curve_lines(
        frame, pd.DataFrame(columns=["run", "x", "value", "kind", "what"]), name="loss", x="step", log=False
    ).data
    assert len(line.x) <= charts_runs.MAX_POINTS + 10 and 31_234 in line.x


def test_run_curves_use_no_status_colours_and_have_distinct_lines() -> None:
    """Regression: curves were orange, green and vermillion, which next to them meant warning, OK and critical."""
    frame = pd.DataFrame({"run": [f"r{place}" for place in range(8)], "part": "held out", "step": 1, "x": 1, "value": 0.5, "smoothed": 0.5})
    marks = pd.DataFrame(columns=["run", "x", "value", "kind", "what"])
    lines = charts_runs.training_curve_lines(frame, marks, name="loss", x="step", log=False).data
    assert not {line.line.color for line in lines} & {theme.ACT, theme.WATCH, theme.OK}
    assert len({(line.line.color, line.line.dash) for line in lines}) == 8


def test_a_click_on_the_map_of_ranks_names_a_step(page: Database) -> None:
    (judged,) = [each for each in load_runs.analyzed_training_runs(None) if each.run.name == "many"]
    times = ranks_of(judged.run)
    own, steps = runs_ranks.step_blocks(times.own, times.steps, 1)
    figure = charts_runs.rank_step_heatmap(own, times.ranks, steps)
    assert figure.data[0].hoverinfo == "skip" and figure.data[1].opacity == 0
    assert [each[0] for each in figure.data[1].customdata[:40]] == list(range(1, 41))
    phases = runs_ranks.phase_frame(times, None, {})
    slow = phases[phases["rank"] == "2"].set_index("phase")["ms"]
    assert slow["waiting"] == 0 and slow["data"] == pytest.approx(np.median(times.phases["data"][2]))
    bars = charts_runs.phase_bars(phases)
    assert [bar.name for bar in bars.data] == ["data", "compute", "communication", "waiting"] and bars.data[-1].marker.color == theme.QUIET
    blocked, begins = runs_ranks.step_blocks(times.own, times.steps, 3)
    assert blocked.shape == (4, 14) and begins[:3] == [1, 4, 7] and blocked[0, 0] == pytest.approx(times.own[0, :3].mean())


def test_64_ranks_fit_on_a_screen_and_a_small_difference_is_seen() -> None:
    """Regression: rows of 26 pixels made a map 1,744 pixels high, and a rank that took 9 % more time used only a twentieth of the colour
    scale.
    """
    ranks, own = [f"{place}" for place in range(64)], np.full((64, 50), 100.0)
    own[37] = 109.0
    figure = charts_runs.rank_step_heatmap(own, ranks, list(range(50)))
    assert figure.layout.height < 700 and figure.data[0].zmax == 0.5 and figure.data[0].colorbar.ticktext[3] == "1"
    assert list(figure.layout.yaxis.ticktext)[:3] == ["rank 0", "rank 2", "rank 4"]
    assert figure.data[1].marker.size <= 9
    bars = charts_runs.phase_bars(pd.DataFrame({"rank": ranks, "phase": "data", "ms": 1.0}))
    assert bars.layout.height < 900 and bars.layout.yaxis.dtick == 2
    own[37] = 900.0
    few = charts_runs.rank_step_heatmap(own[34:38], ranks[34:38], list(range(50)))
    assert few.data[0].zmax == 3 and few.layout.height == 4 * 26 + 80 and len(few.layout.yaxis.ticktext) == 4


@pytest.mark.parametrize(("steps", "ranks"), [(60, 64), (60, 4), (10_000, 4), (10_000, 300), (1, 2)])
def test_the_map_of_ranks_has_few_cells(steps: int, ranks: int) -> None:
    """Regression: 64 ranks by 60 steps gave 3,840 clickable elements, which kept a browser busy for more than ten seconds."""
    columns = -(-steps // charts_runs.step_stride(steps, ranks))
    assert 1 <= columns * min(ranks, charts_runs.MAX_RANKS) <= 1500 and columns <= charts_runs.MAX_STEPS
    assert columns == steps or columns * min(ranks, charts_runs.MAX_RANKS) > 400, "a heat map has as many columns as fit"


def test_a_study_is_drawn_in_parallel_where_its_settings_differ(page: Database) -> None:
    members = [each.run for each in load_runs.analyzed_training_runs(None) if each.run.study == "s"]
    frame = runs_curves.study_frame(members)
    assert list(frame.columns) == ["run", "rate", "val_loss"] and len(frame) == 4
    figure = charts_runs.parallel_coordinates(frame, metric="val_loss")
    assert [each.label for each in figure.data[0].dimensions] == ["rate", "val_loss"]
    assert runs_curves.study_frame(members[:3]) is None
    assert not figure.data[0].labelangle
    many = charts_runs.parallel_coordinates(
        pd.DataFrame({"run": ["a", "b"], **{f"parameter_{i}": [i, i + 1] for i in range(6)}}), metric="parameter_5"
    )
    assert many.data[0].labelangle == -45, "the names of many axes are slanted, so that they do not overlap on a phone"


def test_a_run_is_judged_as_of_the_current_time_and_not_the_end_of_the_cache_step(page: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[datetime] = []
    monkeypatch.setattr(load, "page_clock", lambda: datetime.now(UTC) + timedelta(minutes=5))
    monkeypatch.setattr(runs.JudgedRuns, "verdicts", lambda _, now: seen.append(now) or ())
    assert load_runs.analyzed_training_runs("nobody") == ()
    assert seen[0] <= datetime.now(UTC)


def test_run_findings_are_judged_as_of_the_current_time_within_the_cached_window(page: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[datetime, datetime]] = []
    step = datetime.now(UTC) + timedelta(minutes=5)
    monkeypatch.setattr(load, "page_clock", lambda: step)
    monkeypatch.setattr(check, "run_and_recover", lambda engine, analyzer, context: seen.append((context.now, context.window.end)) or [])
    load_findings.scope_record_findings(Scope())
    assert seen and all(evaluated <= datetime.now(UTC) for evaluated, _ in seen)


def test_the_study_page_shows_winner_settings_and_search_quality(page: Database) -> None:
    app = opened("studies", study="s")
    assert app.header[0].value == "s" and "4 runs, 3 settings with val_loss (low is better)" in words(app)
    assert "the setting that the search chose has" in words(app), "the setting is not called `best`, because another mean may be better"
    assert "No other setting ran with 3 seeds or more" in words(app) and "a forecast needs about 7 more settings" in words(app)
    figures = {row["cells"]["name"]["t"]: row["cells"]["value"]["t"] for row in tables(app)["Figures of s"]["rows"]}
    assert figures["Saved by pruning"] == formatting.DASH
    best = min((float(loss(60, seed)[-1]), f"plain-{seed}") for seed in (1, 2, 3))
    assert f"The search chose {best[1]} by its first value," in words(app), (
        "the search chose by the first value, because `spiked` repeats the setting of `plain-1`"
    )
    assert "The link names the study nope" in words(opened("studies", study="nope"))


def test_the_forecast_energy_of_a_running_run_is_that_of_the_page_energy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = {"kind": "prediction", "id": "p", "model": "loan", "version": "1", "features": {"a": 1.0}, "score": 0.5}
    records: Logged = [shared | {"at": (NOW - timedelta(minutes=5)).isoformat()}]
    for place in range(4):
        ended, n = (None, 8) if place == 3 else ("finished", 20)
        own = a_run({"loss": loss(n)}, f"run-{place}", ended=ended, params={"rate": 0.1, "seed": place})
        later = NOW - timedelta(seconds=5) - datetime.fromisoformat(own[-1]["at"]) - timedelta(hours=3 - place)
        own = [each | {"at": (datetime.fromisoformat(each["at"]) + later).isoformat()} for each in own]
        records += own
        reading = {"kind": "resource", "device": "gpu0", "seconds": 30.0, "source": "measured"}
        read = [each for each in own if each["kind"] == "step"]
        records += [reading | {"run": each["run"], "at": each["at"], "watts": 100.0 + place * each["step"]} for each in read]
    lines = tmp_path / "runs.jsonl"
    lines.write_text("".join(f"{json.dumps(each)}\n" for each in records), encoding="utf-8")
    store = new_store(tmp_path / "home")
    assert store.load_files([lines], LoadDefaults()).rejected == 0
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: NOW)
    found = check.check(store, model="loan", start=NOW - timedelta(days=1), end=NOW, now=NOW, only=("operations/energy",)).findings
    (forecast,) = [each for each in found if each.metric == "run_energy_forecast"]
    everything = load_runs.analyzed_training_runs(None)
    claims = {each.run.name: runs_energy.run_forecast(each, everything) for each in everything}
    shown = words(opened("runs", run="run-3"))
    store.close()
    assert forecast.subject == "run:run-3" and "3 earlier runs" in forecast.because and forecast.low < forecast.high
    claim = claims["run-3"]
    assert claim is not None and claim.because == forecast.because
    assert (claim.value, claim.low, claim.high) == (forecast.value, forecast.low, forecast.high)
    assert forecast.because.partition(" (")[0].replace("`", "") in shown.replace("`", "")
