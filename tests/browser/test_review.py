"""The page of the weekly review of the sample fleet: a decision is saved.

In a long run, people act on a planted fault, and the next week shows that it is fixed. In July 2013, people act on flights-delay, a
retrained version answers in shadow, and the next weeks show the true outcome.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Locator, Page

from observability.core.weeks import Week
from observability.simulation.clean_log import START, CleanStream
from observability.simulation.fault_targets import fault_targets
from observability.simulation.faults import FAULTS
from observability.simulation.log_from_store import simulation_base
from observability.simulation.replay import FaultScenario
from observability.simulation.temporary_store import record_lines
from observability.store.opener import open_store
from observability.store.types.loading import LoadDefaults
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import PATIENCE, download, figure, said, settle, tables, until, until_row, words
from tests.support.running import Dashboard, dashboard
from tests.support.sample_home import ROOT, environment, lent

pytestmark = pytest.mark.browser
SAMPLE = ROOT / "sample_data"
FIRST, SECOND, THIRD = "2013-W27", "2013-W28", "2013-W29"
END_OF_FIRST, END_OF_SECOND = pd.Timestamp("2013-07-08", tz="UTC"), pd.Timestamp("2013-07-15", tz="UTC")
BROKEN, MENDED = Week.parse("2019-W02"), Week.parse("2019-W03")
"""The first two whole weeks after the end of employment's log."""


@pytest.fixture
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over a fleet that tests change: `go_on` adds two more weeks to one model's log, and the first of them is frozen."""
    with lent(tmp_path_factory, "desk") as home:
        go_on(home)
        with dashboard(home) as running:
            command(running, "review", "--week", BROKEN, "--author", "Ann")
            yield running


@pytest.fixture
def july(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over the fleet in which no week is frozen."""
    with lent(tmp_path_factory, "july") as home, dashboard(home) as running:
        yield running


def go_on(home: Path) -> None:
    """Load two more weeks of employment's log, made of past rows: a week in which a number has another unit, and a week in which this is
    fixed. The files with their lines are saved next to the home.
    """
    with open_store(home, threads=2) as store:
        base = simulation_base(store, "employment", source="past")
        stream = CleanStream(base, seed=3, past=0, days=14, rows_a_day=300)
        broken = FaultScenario(stream, fault_targets(base, seed=3), FAULTS["unit_change"], "middle")
        shift = np.timedelta64(START.replace(tzinfo=None) - BROKEN.start.replace(tzinfo=None))
        for week, first in ((BROKEN, 0), (MENDED, 7)):
            days = [stream.day(first + number) for number in range(7)]
            days = [broken.planted(number, rows) for number, rows in enumerate(days)] if week == BROKEN else days
            moved = [rows.put({name: rows[name] - shift for name in ("at", "arrived", "label_arrived")}) for rows in days]
            lines = home.parent / f"{week}.jsonl"
            lines.write_text("\n".join(line for rows in moved for line in record_lines(base, rows)) + "\n", encoding="utf-8")
            assert store.load_files([lines], LoadDefaults()).rejected == 0


def accuracy(desk: Dashboard, week: Week) -> float:
    """The share of right decisions in a week of `go_on`, counted from its lines."""
    records = [json.loads(line) for line in (desk.home.parent / f"{week}.jsonl").read_text(encoding="utf-8").splitlines()]
    label = {each["id"]: each["value"] for each in records if each["kind"] == "label"}
    return float(np.mean([(each["score"] >= 0.5) == label[each["id"]] for each in records if each["kind"] == "prediction"]))


def command(desk: Dashboard, *argv: object) -> str:
    """Run a command line while the dashboard runs, as cron does."""
    done = subprocess.run(
        [sys.executable, "-m", "observability", *map(str, argv)], cwd=ROOT, env=environment(desk.home), capture_output=True, text=True, timeout=4 * PATIENCE / 1000, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def flights() -> pd.DataFrame:
    """The fleet's flights with their labels, read from the files of the sample."""
    rows = pd.read_parquet(SAMPLE / "flights-delay.predictions.parquet")
    labels = pd.read_parquet(SAMPLE / "flights-delay.labels.parquet")
    newest = labels.sort_values("at").drop_duplicates("id", keep="last").set_index("id")
    return rows.assign(label=rows["id"].map(newest["value"]).astype(float), label_came=rows["id"].map(newest["received_at"]))


def retrained(flown: pd.DataFrame, to: Path) -> pd.Series:
    """A version that has learned what was known at the end of the first week. Writes its files, and returns its answers to the second
    week's flights by id.
    """
    import lightgbm

    features = [each for each in flown.columns[list(flown.columns).index("carrier") :] if each not in ("label", "label_came")]
    table = flown[features].apply(
        lambda each: each.astype("category") if each.dtype == object or str(each.dtype) in ("str", "category") else each
    )
    known = (flown["label_came"] < END_OF_FIRST) & flown["label"].notna()
    held = known & (flown["at"] >= END_OF_FIRST - timedelta(days=14))
    data = lightgbm.Dataset(table[known & ~held], flown["label"][known & ~held], free_raw_data=False)
    options = {
        "objective": "l1",
        "num_leaves": 31,
        "learning_rate": 0.1,
        "verbosity": -1,
        "num_threads": 2,
        "seed": 1,
        "deterministic": True,
    }
    booster = lightgbm.train(options, data, 20)
    booster.save_model(to / "retrained.txt")
    score = pd.Series(booster.predict(table), index=flown.index)
    flown[features].assign(score=score, label=flown["label"], at=flown["at"])[held].to_csv(to / "held_out.csv", index=False)
    week = (flown["at"] >= END_OF_FIRST) & (flown["at"] < END_OF_SECOND)
    shadow = flown.loc[week, ["id", "at", "received_at", *features]].assign(
        score=score[week], model="flights-delay", version="2", environment="shadow"
    )
    shadow.assign(id=shadow["id"] + "-retrained").to_parquet(to / "shadow.parquet", index=False)
    return score[week].set_axis(flown.loc[week, "id"])


def act_on(page: Page, item: str, text: str, metric: str) -> None:
    """Act as a person in the meeting: open the first item with these words, and close it with an action that is meant to change a
    metric.
    """
    name = page.get_by_test_id("stMain").get_by_role("textbox", name="Your name")
    name.fill("Ann")
    name.press("Enter")
    settle(page)
    page.get_by_role("combobox", name="Open an item").click()
    page.get_by_role("option").filter(has_text=item).first.click()
    settle(page)
    page.get_by_role("radio", name="Act", exact=True).or_(page.get_by_role("button", name="Act", exact=True)).first.click()
    page.get_by_role("textbox", name="Action", exact=True).fill(text)
    settle(page)
    box = page.get_by_role("combobox", name="Target metric", exact=True)
    box.click()
    box.fill(metric)
    page.get_by_role("option", name=metric, exact=True).click()
    page.get_by_role("button", name="Save").click()
    said(page, "Acted on")


def freeze(page: Page, form: Locator, week: str) -> None:
    """Act as a person: enter a name in the form, choose a week and freeze it."""
    name = form.get_by_role("textbox", name="Your name")
    name.fill("Ann")
    name.press("Enter")
    settle(page)
    box = form.get_by_role("combobox", name="Week", exact=True)
    box.click()
    box.fill(week)
    page.get_by_role("option", name=week).click()
    settle(page)
    form.get_by_role("button", name="Freeze", exact=True).click()
    page.wait_for_url(f"**review={week}**", timeout=4 * PATIENCE)


@pytest.mark.long  # tests/review/test_freeze.py, tests/dashboard/test_review.py
def test_after_a_planted_unit_change_is_fixed_the_review_confirms_the_metric_moved(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/review?review={BROKEN}")
    assert any("AGEP" in each["What"]["text"] for each in tables(page)["Agenda"])
    act_on(page, "AGEP", "Send years again", "Accuracy")
    page = visit(f"{desk.url}/review?review={BROKEN}&step=promises")
    name = page.get_by_test_id("stMain").get_by_role("textbox", name="Your name")
    name.fill("Ann")
    name.press("Enter")
    settle(page)
    page.get_by_role("combobox", name="Update an action item").click()
    page.get_by_role("option", name="Send years again").click()
    page.get_by_role("radio", name="Done", exact=True).or_(page.get_by_role("button", name="Done", exact=True)).first.click()
    settle(page)
    page.get_by_role("button", name="Save").click()
    until(page, "Agreed in this review", lambda rows: rows[0]["State"]["text"] == "done")
    page.get_by_role("button", name="Freeze a week").click()
    freeze(page, page.get_by_test_id("stPopoverBody"), str(MENDED))
    page = visit(f"{desk.url}/review?review={MENDED}&step=promises")
    promise = next(each for each in tables(page)["Action items"] if each["Action item"]["text"] == "Send years again")
    assert promise["Metric moved?"]["text"] == "Yes"
    pattern = r"Accuracy: ([\d.]+).* in 2019-W02, ([\d.]+).* in 2019-W03: improved by ([\d.]+) \(95 % interval ([\d.]+) to ([\d.]+)\)"
    was, now, better, low, high = map(float, figure(pattern, promise["Metric moved?"]["sub"]))
    assert (was, now) == pytest.approx((accuracy(desk, BROKEN), accuracy(desk, MENDED)), abs=0.0005)
    assert 0 < low < better < high
    assert better == pytest.approx(accuracy(desk, MENDED) - accuracy(desk, BROKEN), abs=0.0005)


def test_a_decision_and_a_signature_are_saved(desk: Dashboard, visit: Visit) -> None:
    page = visit(f"{desk.url}/review?review={BROKEN}&step=decide")
    name = page.get_by_test_id("stMain").get_by_role("textbox", name="Your name")
    name.fill("Carla")
    name.press("Enter")
    settle(page)
    page.get_by_role("textbox", name="Decision", exact=True).fill("Retrain before the holidays")
    page.get_by_role("button", name="Save").click()
    said(page, "at least one piece of evidence")
    page.get_by_role("combobox", name="Evidence").click()
    page.get_by_role("option").filter(has_text="AGEP").first.click()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Save").click()
    (decision,) = until(page, "Decisions", lambda rows: len(rows) == 1)
    assert (decision["Decision"]["text"], decision["Decided by"]["text"]) == ("Retrain before the holidays", "Carla")
    assert decision["Evidence"]["text"].startswith(str(BROKEN))
    page.get_by_role("table", name="Decisions").get_by_role("link").click()
    page.wait_for_url("**item=incident**")
    settle(page)
    assert "AGEP" in words(page)
    page = visit(f"{desk.url}/changes")  # today's decision is in the window, or above it if the log ended earlier
    assert until_row(page, "Description", "Retrain before the holidays")["By"]["text"] == "Carla"
    page = visit(f"{desk.url}/changes?window=Everything")
    box = page.get_by_role("textbox", name="Search")
    box.fill("holidays")
    box.press("Enter")
    settle(page)
    assert any(each["Description"]["text"] == "Retrain before the holidays" for each in tables(page).get("Changes, newest first", []))
    accessible(page)


@pytest.mark.long
def test_july_is_reviewed_week_after_week(july: Dashboard, visit: Visit, tmp_path: Path) -> None:
    page = visit(f"{july.url}/review")
    said(page, "No week is frozen yet.")
    freeze(page, page.get_by_test_id("stMain"), FIRST)
    said(page, f"Week {FIRST}, 1 to 7 Jul 2013")
    settle(page)
    assert any("flights-delay served" in each["What"]["sub"] for each in tables(page)["Agenda"])
    assert any(each["Model"]["text"] == "flights-delay, flights-late" for each in tables(page)["Agenda"]), (
        "one agenda item names both models of the weather feed"
    )
    assert "Settings and limits as of" in words(page), (
        "the settings of 2013 were not recorded, so the page states the date of those it used"
    )

    frozen = json.loads(download(page, "review-json"))
    flown = flights()
    week = (flown["at"] >= END_OF_FIRST - timedelta(days=7)) & (flown["at"] < END_OF_FIRST) & (flown["label_came"] < END_OF_FIRST)
    error = (flown["score"] - flown["label"]).abs()[week]
    cell = next(each for each in frozen["models"] if each["model"] == "flights-delay")["strip"]["performance"]
    assert cell["value"] == pytest.approx(error.mean())
    assert cell["n"] == len(error)

    act_on(page, "temperature_f", "Retrain on the summer", "Mean absolute error")

    answers = retrained(flown, tmp_path)
    command(july, "register", "--model", "flights-delay", "--version", "2", "--task", "regression", "--reference", tmp_path / "held_out.csv",
            "--label", "label", "--score", "score", "--at", "at", "--artifact", tmp_path / "retrained.txt")  # fmt: skip
    command(july, "load", tmp_path / "shadow.parquet", "--kind", "prediction", "--model", "flights-delay", "--version", "2")
    before = command(july, "review", "--week", FIRST, "--json")
    html = tmp_path / "first.html"
    command(july, "review", "--week", FIRST, "--out", html)
    untouched = html.read_bytes()
    command(july, "review", "--week", SECOND, "--author", "Ann")

    page = visit(f"{july.url}/review?review={SECOND}&step=promises")
    (promise,) = tables(page)["Action items"]
    rows = flown.set_index("id").loc[answers.index]
    labelled = (rows["label_came"] < END_OF_SECOND).to_numpy() & rows["label"].notna().to_numpy()
    new = (answers - rows["label"]).abs()[labelled]
    old = (rows["score"] - rows["label"]).abs()[labelled]
    told = promise["Metric moved?"]["sub"]
    n, new_said, old_said = figure(
        r"On the same ([\d,]+) labelled predictions .* is ([\d.]+) with version 2 and ([\d.]+) with version 1", told
    )
    assert (n, new_said, old_said) == (f"{labelled.sum():,}", f"{new.mean():.3g}", f"{old.mean():.3g}")
    gain = old - new
    sure = 1.96 * gain.std(ddof=1) / np.sqrt(len(gain))
    truth = "Yes" if gain.mean() - sure > 0 else "No" if gain.mean() + sure < 0.1 * old.mean() else "Cannot tell"
    assert promise["Metric moved?"]["text"] == ("Moved before the action" if truth == "Yes" else "Not done yet")

    page.keyboard.press("ArrowRight")
    page.wait_for_url("**step=fleet**")
    settle(page)
    assert any(each["Model"]["text"] == "flights-delay" for each in tables(page)["The fleet in this week"])
    page.get_by_text("Settings and limits of the week", exact=True).click()
    judged = {each["Model"]["text"]: each["Settings and limits"] for each in tables(page)["Versions, settings and limits of the week"]}
    assert "threshold 0.35" in judged["flights-late"]["text"] and "earlier not recorded" in judged["flights-late"]["sub"]

    late = flown[week].tail(5)[["id"]].assign(value=500.0, at="2013-07-20T00:00:00Z", model="flights-delay")
    late.to_csv(tmp_path / "late.csv", index=False)
    command(july, "load", tmp_path / "late.csv", "--kind", "label")
    assert command(july, "review", "--week", FIRST, "--json") == before
    command(july, "review", "--week", FIRST, "--out", html)
    mark = b'<h2 id="restated">'
    assert html.read_bytes().split(mark)[0] == untouched.split(mark)[0]
    assert html.read_bytes() != untouched
    command(july, "review", "--week", THIRD, "--author", "Ann")
    page = visit(f"{july.url}/review?review={THIRD}&step=promises")
    assert f"Week {THIRD}, 15 to 21 Jul 2013" in words(page)
    (promise,) = tables(page)["Action items"]
    assert promise["Action item"]["text"] == "Retrain on the summer" and THIRD in promise["Metric moved?"]["sub"], (
        "the page checks anew each week whether the metric moved"
    )
