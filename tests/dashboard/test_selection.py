"""The page of model selection compares a version in shadow with the serving version, names the region in which it is worse, and saves the
decision.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from statsmodels.stats.proportion import proportion_confint

from observability.dashboard import load
from observability.dashboard.person_name import NAME_KEY
from observability.review.change_log import change_entries
from observability.server import process_lock
from observability.store.db.database import Database
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support.dashboard_pages import opened, tables, words
from tests.support.new_store import new_store

START = datetime(2026, 3, 2, tzinfo=UTC)
WEEK = timedelta(days=7)
N = 3000
WINDOW = {"from": "2026-03-02T00:00", "to": "2026-03-09T00:00", "window": "Chosen dates"}


def rows_of(rng: np.random.Generator) -> pd.DataFrame:
    """Requests of three regions with a score from each version. Both versions are right about equally often, but the second is rarely right
    in the south.
    """
    region, label = rng.choice(["north", "south", "east"], N), rng.integers(0, 2, N)
    right = {"1": rng.random(N) < 0.8, "2": rng.random(N) < np.where(region == "south", 0.62, 0.9)}
    frame = pd.DataFrame({"region": region, "age": rng.uniform(20, 70, N).round(1), "label": label})
    for version, hit in right.items():
        decided = np.where(hit, label, 1 - label)
        frame[f"score{version}"] = (0.5 + np.where(decided == 1, 1, -1) * rng.uniform(0.05, 0.45, N)).round(4)
    return frame


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("selection")
    store = new_store(folder / "home")
    reference = rows_of(rng)[["region", "age", "label", "score1"]].rename(columns={"score1": "score"})
    reference.to_parquet(folder / "reference.parquet")
    for version in ("1", "2"):
        asked = {"model": "loan", "version": version, "task": "binary", "reference": folder / "reference.parquet", "label": "label"}
        store.register(RegistrationRequest(**asked, score=("score",), features=("region", "age")))
    records = []
    for i, each in enumerate(rows_of(rng).to_dict("records")):
        common = {"kind": "prediction", "id": f"p{i}", "at": (START + WEEK * i / N).isoformat(), "model": "loan"}
        common["features"] = {"region": each["region"], "age": each["age"]}
        records.append({**common, "version": "1", "score": each["score1"], "label": each["label"]})
        records.append({**common, "version": "2", "score": each["score2"], "environment": "shadow"})
        if i % 40 == 0:  # a device also answers, with a form of the model that is not registered
            records.append({**common, "version": "2 int8", "score": each["score2"], "environment": "shadow", "device": "d1"})
    log = folder / "log.jsonl"
    log.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    assert store.load_files([log], LoadDefaults()).rejected == 0
    yield store
    store.close()


@pytest.fixture
def page(store: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(process_lock, "current_store", lambda: store)
    monkeypatch.setattr(load, "page_clock", lambda: START + WEEK)
    return store


def test_a_regression_in_one_region_holds_the_challenger_and_the_decision_is_kept(page: Database) -> None:
    app = opened("selection", model="loan", **WINDOW)
    assert (app.selectbox(key="challenger-box").placeholder, app.selectbox(key="champion-box").placeholder) == ("2 in shadow", "1")
    text = words(app)
    assert "Worse where region = south" in text and "Worse where region = north" not in text
    criteria = {row["cells"]["name"]["t"]: row["cells"] for row in tables(app)["Criteria"]["rows"]}
    told = {name: "\n".join(filter(None, (cells["words"]["t"], cells["words"]["sub"]))) for name, cells in criteria.items()}
    assert told == {name: cells["state"]["phone"] for name, cells in criteria.items()}, "on a phone the reason is below the state"
    assert criteria["Slices"]["state"]["t"] == "Worse" and "3,000 rows were answered by both, 3,000 with a label." in text
    assert app.button(key="selection-save").disabled, "the save button is disabled until a name is entered"
    app.session_state[NAME_KEY] = "Ada"
    app.run()
    app.button(key="selection-save").click().run()
    assert "A decision needs a reason." in words(app) and page.decisions("loan") == ()
    app.selectbox(key="selection-choice-0").set_value("hold").run()
    app.text_input(key="selection-reason-0").set_value("worse in the south").run()
    app.button(key="selection-save").click().run()
    (made,) = page.decisions("loan")
    assert made.fields["choice"] == "hold" and made.fields["version"] == "2" and made.first.author == "Ada"
    (mark,) = page.events("loan", START, datetime.now(UTC) + WEEK).to_dict("records")
    assert (mark["what"], mark["version"]) == ("decision", "2") and mark["text"] == "Hold version 2: worse in the south"
    (event,) = page.query_views("SELECT what, version, text FROM events WHERE model = 'loan'").rows
    assert tuple(event) == ("note", "2", "Decided: Hold version 2: worse in the south")
    assert [entry.sort for entry in change_entries(page, START, datetime.now(UTC) + WEEK, model="loan")].count("decision") == 1
    assert not [entry for entry in change_entries(page, START, datetime.now(UTC) + WEEK, model="loan") if entry.sort == "note"]
    (row,) = tables(app)["Earlier decisions"]["rows"]
    assert "worse in the south" in row["cells"]["reason"]["t"] and row["cells"]["now"]["t"] == "has not served"


def test_changed_decisions_are_counted_by_slice_with_their_interval(page: Database) -> None:
    rng = np.random.default_rng(5)
    rows_of(rng)
    rows = rows_of(rng)
    changed = (rows["score1"] >= 0.5) != (rows["score2"] >= 0.5)
    app = opened("selection", model="loan", **WINDOW)
    shown = {row["cells"]["slice"]["t"]: row["cells"] for row in tables(app)["Changed decisions by slice, most first"]["rows"]}
    assert next(iter(shown)) == "region = south" and [name for name, cells in shown.items() if cells["state"]["t"] == "More"] == [
        "region = south"
    ]
    for region in ("south", "north", "east"):
        own, cells = changed[rows["region"] == region], shown[f"region = {region}"]
        low, high = 100 * np.array(proportion_confint(own.sum(), len(own), method="wilson"))
        ends = [float(each) for each in re.findall(r"[\d.]+", cells["flips"]["sub"])]
        assert cells["n"]["t"] == f"{len(own):,}" and float(cells["flips"]["t"].split()[0]) == pytest.approx(100 * own.mean(), abs=0.51)
        assert ends == pytest.approx([low, high], abs=1.0)
        assert float(cells["elsewhere"]["t"].split()[0]) == pytest.approx(100 * changed[rows["region"] != region].mean(), abs=0.51)


def test_rows_only_one_version_predicts_right_are_counted_by_slice(page: Database) -> None:
    rng = np.random.default_rng(5)
    rows_of(rng)
    rows = rows_of(rng)
    right = {version: (rows[f"score{version}"] >= 0.5) == (rows["label"] == 1) for version in ("1", "2")}
    app = opened("selection", model="loan", **WINDOW)
    shown = {row["cells"]["slice"]["t"]: row["cells"] for row in tables(app)["Changed decisions by slice, most first"]["rows"]}
    for region in ("south", "north", "east"):
        own, cells = rows["region"] == region, shown[f"region = {region}"]
        assert cells["regressed"]["t"] == f"{(own & right['1'] & ~right['2']).sum():,}"
        assert cells["repaired"]["t"] == f"{(own & right['2'] & ~right['1']).sum():,}"
    text = words(app)
    assert (
        f"alone is right (or nearer) in {(right['2'] & ~right['1']).sum():,}, the champion alone in {(right['1'] & ~right['2']).sum():,}."
        in text
    )


def test_the_calibration_error_is_a_criterion_and_said_to_be_of_all_labelled_rows(page: Database) -> None:
    criteria = {row["cells"]["name"]["t"]: row["cells"] for row in tables(opened("selection", model="loan", **WINDOW))["Criteria"]["rows"]}
    said = criteria["Calibration error"]["words"]["t"]
    assert re.match(r"Expected calibration error \(ECE\): [\d.]+ % against [\d.]+ %, .* points \(on all labelled rows of each\)$", said)
    assert criteria["Calibration"]["words"]["t"].startswith(("Log loss", "Brier"))


def test_the_decisive_metric_shows_its_paired_interval_and_test(page: Database) -> None:
    """Independent check: DeLong's variance from all pairs of a positive and a negative row, whereas the product uses ranks."""
    rng = np.random.default_rng(5)
    rows_of(rng)
    rows = rows_of(rng)
    wins = {}
    for version in ("1", "2"):
        score, positive = rows[f"score{version}"].to_numpy(), (rows["label"] == 1).to_numpy()
        gap = score[positive][:, None] - score[~positive][None, :]
        wins[version] = (gap > 0) + 0.5 * (gap == 0)
    change = wins["2"] - wins["1"]
    parts = [change.mean(axis=axis) for axis in (0, 1)]
    ends = change.mean() + norm.ppf([0.025, 0.975]) * np.sqrt(sum(each.var(ddof=1) / each.size for each in parts))
    criteria = {row["cells"]["name"]["t"]: row["cells"] for row in tables(opened("selection", model="loan", **WINDOW))["Criteria"]["rows"]}
    said = criteria["Errors"]["words"]
    assert said["t"].startswith("ROC AUC: ") and said["sub"][0] in "+\u2212" and said["sub"].endswith(" points, DeLong's test")
    shown = [float(each) for each in re.findall(r"[+-][\d.]+", said["sub"].replace("\u2212", "-"))]
    assert shown == pytest.approx(100 * ends, abs=0.051)


def test_sides_can_be_swapped_and_an_unknown_version_shows_a_message(page: Database) -> None:
    app = opened("selection", model="loan", challenger="1", champion="2 in shadow", **WINDOW)
    assert "Worse where region = south" not in words(app)
    assert "The link names 9 as a version" in words(opened("selection", model="loan", challenger="9", **WINDOW))
