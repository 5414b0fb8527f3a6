"""Every page shows the values computed from the raw rows, and changes when the log does.

Each page is read twice, before and after records land through the Logger. Both times its figures must equal those that pandas and
scikit-learn compute from the raw Parquet files (and, the second time, from the rows that were logged).
"""

import json
import time
from collections.abc import Callable, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from observability import Logger
from observability.dashboard.links import page_files
from observability.dashboard.state_cache import FRESH
from tests.browser.accessibility import accessible
from tests.browser.conftest import Visit
from tests.browser.pages import complete, download, figure, opened, row, settle, tables, words
from tests.support import raw_rows
from tests.support.running import Dashboard, dashboard
from tests.support.sample_home import lent

pytestmark = pytest.mark.browser
MODEL, LATE = "flights-delay", "flights-late"
EXTRA = 300
FEATURES = [*pd.read_parquet(raw_rows.SAMPLE / f"{MODEL}.reference.parquet").columns.drop(["id", "at", "score", "label"])]
CHECKS = "Features by check"
Rows = dict[str, pd.DataFrame]
"""What each model served, with labels."""
Figures = dict[str, dict[str, Any]]
"""The figures that each page must show."""
Read = Callable[[Page], dict[str, Any]]


def extra_rows(served: pd.DataFrame, model: str) -> pd.DataFrame:
    """An hour of rows like those of the last week, but without a temperature and with very late flights."""
    rows = raw_rows.last_week(served).head(EXTRA).copy()
    rows["id"] = [f"extra-{number:03}" for number in range(EXTRA)]
    rows["at"] = pd.Timestamp("2013-12-31T17:00", tz="UTC") + pd.to_timedelta(np.arange(EXTRA) * 10, unit="s")
    rows["temperature_f"] = np.nan
    rows["label"] = np.round(rows["score"] + 80) if model == MODEL else 1
    return rows


def log(rows: pd.DataFrame, model: str, home: str) -> None:
    """Log the rows as a service would; then log one prediction again with another score, which the store must reject."""
    with Logger(home=home) as logger:
        for each in rows.to_dict("records"):
            features = {name: None if pd.isna(each[name]) else each[name] for name in FEATURES}
            at = each["at"].isoformat()
            assert logger.prediction(id=each["id"], at=at, model=model, version="1", features=features, score=each["score"])
            assert logger.label(id=each["id"], at=at, model=model, value=each["label"])
        assert logger.prediction(id=each["id"], at=at, model=model, version="1", features=features, score=each["score"] / 2)


def figures_of(served: Rows) -> Figures:
    """The figures that each page must show, computed from raw rows."""
    week, late = (raw_rows.last_week(served[model]) for model in (MODEL, LATE))
    measured = raw_rows.regression(week)
    labelled = int(week["label"].notna().sum())
    nulls = float(week["temperature_f"].isna().mean())
    employment = raw_rows.last_week(raw_rows.predictions("employment"))
    return {
        "health": {
            "traffic": f"{len(week):,}",
            "mae": f"{measured['mae']:.3g} minutes",
            "late": raw_rows.percent(raw_rows.classification(late, raw_rows.threshold(LATE))["accuracy"]),
            "employment": raw_rows.percent(raw_rows.classification(employment, raw_rows.threshold("employment"))["accuracy"]),
            "labelled": f"{raw_rows.percent(labelled / len(week))} labelled",
        },
        "model": {"n": f"{len(week):,}", "mae": f"{measured['mae']:.3g}", "labelled": f"{labelled:,}"},
        "findings": {"value": raw_rows.percent(nulls), "n": f"{len(week):,}", "exact": pytest.approx(nulls, rel=1e-9)},
        "quality": {"nulls": {name: raw_rows.percent(float(week[name].isna().mean())) for name in FEATURES}, "arrived": f"{len(week):,}"},
        "drift": {"psi": pytest.approx(raw_rows.psi(raw_rows.reference(MODEL)["temperature_f"], week["temperature_f"]), rel=1e-9)},
        "performance": {metric: pytest.approx(value, rel=1e-9) for metric, value in measured.items()} | {"n": labelled},
        "fairness": by_carrier(small_together(pd.concat([late, raw_rows.searched()], ignore_index=True))),
        "store": {
            "predictions": f"{len(served[MODEL]):,}",
            "rejected": "0" if len(served[MODEL]) == len(raw_rows.predictions(MODEL)) else "2",
        },
    }


def by_carrier(rows: pd.DataFrame) -> dict[tuple[str, str], Any]:
    """Rates of each carrier, by their definitions: the share predicted late, and among late flights the share predicted late."""
    decided = rows.assign(late=rows["score"] >= raw_rows.threshold(LATE))
    positive = decided[decided["label"] == 1]
    rates = {"selection_rate": decided.groupby("carrier")["late"].mean(), "true_positive_rate": positive.groupby("carrier")["late"].mean()}
    return {(name, carrier): pytest.approx(value, rel=1e-9) for name, rate in rates.items() for carrier, value in rate.items()}


def small_together(rows: pd.DataFrame) -> pd.DataFrame:
    """Merge small carriers as an exported file does: first all carriers with a figure of one to nine rows, then the next smallest until the
    merged group has no such figure.
    """
    decided = rows.assign(late=rows["score"] >= raw_rows.threshold(LATE))

    def is_small(part: pd.DataFrame) -> bool:
        return any(0 < count < 10 for count in (len(part), *part["late"].value_counts(), *part["label"].value_counts()))

    by_size = decided["carrier"].value_counts(ascending=True).index
    small = [name for name in by_size if is_small(decided[decided["carrier"] == name])]
    others = (name for name in by_size if name not in small)
    while is_small(decided[decided["carrier"].isin(small)]):
        small.append(next(others))
    return rows.assign(carrier=rows["carrier"].astype(object).mask(rows["carrier"].isin(small), "fewer than 10"))


def health(page: Page) -> dict[str, Any]:
    rows = {each["Model"]["text"]: each for each in tables(page)["Models, most severe first"]}
    return {
        "traffic": figure(r"^([\d,]+) predictions in", rows[MODEL]["Traffic a day"]["title"])[0],
        "mae": rows[MODEL]["Outcome"]["text"].removesuffix("measured"),
        "late": rows[LATE]["Outcome"]["text"].removesuffix("measured"),
        "employment": rows["employment"]["Outcome"]["text"].removesuffix("measured"),
        "labelled": figure(r", ([\d.]+ % labelled)", rows[MODEL]["Outcome"]["title"])[0],
    }


def model(page: Page) -> dict[str, Any]:
    text = words(page)
    mae, labelled = figure(r"Mean absolute error ([\d.]+) minutes \(.*?\) on ([\d,]+) labelled", text)
    return {"n": figure(r": ([\d,]+) predictions, ", text)[0], "mae": mae, "labelled": labelled}


def findings(page: Page) -> dict[str, Any]:
    found = row(page, "Findings, most urgent first", "What", "temperature_f is null")
    exact = next(each for each in json.loads(download(page, "findings-json")) if each["metric"] == "null_rate")
    return {"value": found["Value"]["text"], "n": found["n"]["text"], "exact": exact["value"]}


def quality(page: Page) -> dict[str, Any]:
    nulls = {
        each["Feature"]["text"]: next(cell["text"] for title, cell in each.items() if title.startswith("Null"))
        for each in tables(page)[CHECKS]
    }
    volume = pd.read_csv(StringIO(download(page, "volume-csv")))
    return {"nulls": nulls, "arrived": f"{int(volume['n'].sum()):,}"}


def drift(page: Page) -> dict[str, Any]:
    bars = pd.read_csv(StringIO(download(page, "ranking-csv"))).set_index("subject")
    return {"psi": bars.loc["temperature_f", "value"]}


def performance(page: Page) -> dict[str, Any]:
    found = pd.read_csv(StringIO(download(page, "metrics-csv"))).set_index("metric")
    return {name: found.loc[name, "value"] for name in ("mae", "rmse", "bias", "r2")} | {"n": found.loc["mae", "n"]}


def fairness(page: Page) -> dict[str, Any]:
    groups = pd.read_csv(StringIO(download(page, "groups-csv"))).dropna(subset=["value"])
    kept = groups[groups["metric"].isin(["selection_rate", "true_positive_rate"])]
    return {(each["metric"], each["group"]): each["value"] for each in kept.to_dict("records")}


def store(page: Page) -> dict[str, Any]:
    rejected = page.get_by_test_id("stMetric").filter(has_text="Rejected lines").get_by_test_id("stMetricValue").inner_text()
    return {"predictions": row(page, "Models in the store", "Model", MODEL)["Predictions"]["text"], "rejected": rejected}


PAGES: dict[str, tuple[str, Read]] = {
    "health": ("/", health),
    "model": (f"/model?model={MODEL}", model),
    "findings": (f"/findings?model={MODEL}&analyzer=data/quality&subject=temperature_f", findings),
    "quality": (f"/quality?model={MODEL}", quality),
    "drift": (f"/drift?model={MODEL}", drift),
    "performance": (f"/performance?model={MODEL}", performance),
    "fairness": (f"/fairness?model={LATE}&attribute=carrier", fairness),
    "store": ("/store", store),
}
"""Address and reader of each page; adding a model has a separate test (test_add_model.py)."""


LOOKED_AT = ("health", "model", "quality", "drift", "fairness", "store")
"""Pages that are also checked for accessibility (`accessible`)."""
EVERY_RUN = ("health", "model", "drift")
"""Pages that the short form reads here; tests/dashboard/test_figures.py and test_pages.py read the other pages without a browser."""


@pytest.fixture(scope="module")
def served() -> Rows:
    return {model: raw_rows.predictions(model) for model in (MODEL, LATE)}


@pytest.fixture(scope="module")
def expected(served: Rows) -> Figures:
    return figures_of(served)


@pytest.fixture(scope="module")
def expected_then(changed: Rows) -> Figures:
    """The expected figures after the log has changed."""
    return figures_of(changed)


@pytest.fixture(scope="module")
def changing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dashboard]:
    """A dashboard over a copy of the fleet, whose log this module adds to."""
    with lent(tmp_path_factory, "changing") as home, dashboard(home) as running:
        yield running


@pytest.fixture(scope="module")
def left_open(changing: Dashboard, chromium: Browser) -> Iterator[Page]:
    """The first page, opened and scrolled before anything changes, and then left alone."""
    watch = opened(chromium, changing.url, width=1360, height=700, motion="no-preference")
    page = watch.page
    settle(page)
    complete(page)
    page.get_by_test_id("stMain").evaluate("main => main.scrollTo(0, 120)")
    yield page
    watch.close()
    assert not watch.problems


@pytest.fixture(scope="module")
def changed(changing: Dashboard, left_open: Page, served: Rows, expected: Figures) -> Rows:
    """All rows, after more rows were logged and loaded by the loader thread."""
    assert health(left_open) == expected["health"]
    extra = {model: extra_rows(rows, model) for model, rows in served.items()}
    for model, rows in extra.items():
        before = changing.status()
        log(rows, model, str(changing.home))
        after = changing.wait_until_loaded(before)
    assert after["rejected"]["reasons"] == {"conflicting_duplicate": 2}
    time.sleep(FRESH)  # the promised maximum delay of a page; no event shows when the page has caught up
    return {model: pd.concat([served[model], rows], ignore_index=True) for model, rows in extra.items()}


TOGETHER = dict.fromkeys(("actions", "alerts", "changes", "incident", "lab", "labelling", "rules"), "test_desk.py")
TOGETHER |= dict.fromkeys(("cases", "requests", "slices", "why_changed"), "../support/review_world.py")
TOGETHER |= dict.fromkeys(("batches", "cleaning", "datasets", "devices"), "test_pipeline_pages.py")
TOGETHER |= dict.fromkeys(("vendors", "exports", "programme"), "test_accessible.py") | {"batch_gate": "test_promises.py"}
TOGETHER |= dict.fromkeys(
    ("annotate", "compare_runs", "label_quality", "lineage", "personal_data", "query", "selection", "storage"), "test_pipeline_pages.py"
)
TOGETHER |= dict.fromkeys(("trade_offs", "edge_fleet", "controllers"), "test_pipeline_pages.py")
TOGETHER |= dict.fromkeys(("distributed", "studies"), "test_runs.py")
TOGETHER |= {"live_guard": "test_audits.py"}
"""Pages that are read by a test whose file is not named after them; pages of the small log are read without a browser
(tests/dashboard/test_log_pages.py).
"""


def test_every_page_is_read_here_or_has_a_test_of_its_own() -> None:
    own = {path.stem.removeprefix("test_") for path in Path(__file__).parent.glob("test_*.py")}
    assert set(page_files()) <= {*PAGES, *own, *TOGETHER}
    for page, file in TOGETHER.items():
        assert f"/{page}" in (Path(__file__).parent / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [pytest.param(page, marks=() if page in EVERY_RUN else pytest.mark.long) for page in PAGES])
def test_each_page_shows_the_values_of_the_raw_rows(page: str, fleet: Dashboard, visit: Visit, expected: Figures) -> None:
    address, read = PAGES[page]
    drawn = visit(fleet.url + address)
    assert read(drawn) == expected[page]
    if page in LOOKED_AT:
        accessible(drawn)


@pytest.mark.parametrize("page", ["drift", *(pytest.param(page, marks=pytest.mark.long) for page in PAGES if page != "drift")])
def test_page_figures_change_when_the_log_changes(
    page: str, changing: Dashboard, visit: Visit, expected: Figures, expected_then: Figures
) -> None:
    address, read = PAGES[page]
    assert expected_then[page] != expected[page]
    assert read(visit(changing.url + address)) == expected_then[page]


def test_the_home_page_refreshes_without_scrolling(left_open: Page, changed: Rows, expected_then: Figures) -> None:
    told = f"{len(raw_rows.last_week(changed[MODEL])):,} predictions in"
    left_open.wait_for_function(
        """(told) => [...document.querySelectorAll('*')].some((host) =>
             [...(host.shadowRoot?.querySelectorAll('.cell') ?? [])].some((cell) => cell.title.startsWith(told)))""",
        arg=told,
        polling=500,
    )
    assert health(left_open) == expected_then["health"]
    assert left_open.get_by_test_id("stMain").evaluate("main => main.scrollTop") == 120


@pytest.mark.long  # tests/dashboard/test_scope.py
@pytest.mark.parametrize("name", ["flights-delay", "flights-late"])
def test_a_deep_link_to_july_shows_its_figures(name: str, fleet: Dashboard, visit: Visit) -> None:
    page = visit(f"{fleet.url}/performance?model={name}&from=2013-07-01&to=2013-08-01&by=carrier")
    july = raw_rows.between(raw_rows.predictions(name), "2013-07-01", "2013-08-01")
    expected = raw_rows.regression(july) if name == "flights-delay" else raw_rows.classification(july, raw_rows.threshold(name))
    found = {each["metric"]: each["value"] for each in json.loads(download(page, "performance-json"))}
    for metric, value in expected.items():
        near = {"roc_auc": {"abs": 1e-3}, "pr_auc": {"abs": 3e-3}}.get(metric, {"rel": 1e-9})
        assert found[metric] == pytest.approx(value, **near), metric
    if name == "flights-delay":
        assert f"Mean absolute error {expected['mae']:.3g} " in words(page)
    else:
        assert f"Accuracy {100 * expected['accuracy']:.1f} % " in words(page)
        accessible(page)
