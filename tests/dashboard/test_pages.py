"""Every page runs in each of its states, describes itself, and never interprets hostile names as markup.

Pages are found in the folder pages/, and run as in a session: through the shell.
"""

import asyncio
import json
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sklearn.metrics import mean_absolute_error, roc_auc_score
from starlette.requests import Request

from observability.core import formatting
from observability.dashboard import application, links, load
from observability.store.duck_store import DuckStore
from observability.store.types.loading import LoadDefaults
from tests.dashboard.conftest import current, empty, world  # noqa: F401 - fixtures
from tests.support.dashboard_pages import PAGES, WHOLE, by_name, opened, tables, words
from tests.support.dashboard_world import HOSTILE, World
from tests.support.length import LONG, a_third, some
from tests.support.record_lines import prediction

ABOUT_ONE_MODEL = [path for path in PAGES if path.stem in ("model", "quality", "drift", "performance")]


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_a_page_has_title_icon_and_help(path: Path) -> None:
    title, icon, help_text = links.page_description(path)
    assert title and icon.startswith(":material/") and len(help_text) > 40


@pytest.mark.parametrize("path", a_third(PAGES, 1), ids=by_name)
def test_an_empty_store_says_the_next_step(path: Path, empty) -> None:
    app = opened(path.stem)
    assert len(app.title) == 1
    said = words(app)
    if path.stem == "add_model":
        assert "Columns for features, score and label" in said
    elif path.stem == "access":
        assert "Sign-in is off" in said and any("account add NAME --role administrator" in each.value for each in app.code)
    elif path.stem == "query":
        assert "At most 1,000 rows, 30 seconds and 512 MB" in said
    elif path.stem == "store":
        assert "No model to remove." in said and "no line was rejected" in said
    else:
        assert "No predictions yet." in said and "Add a model from a file" in said
        first = [each.value for each in app.code]
        assert any(sign in lines for lines in first for sign in ("log.", "obs.", "python -m")), (
            "the empty page shows the lines that log a first record"
        )


@pytest.mark.parametrize("path", ABOUT_ONE_MODEL, ids=by_name)
def test_a_page_opened_without_a_model_says_which_model_it_shows(path: Path, current: World) -> None:
    app = opened(path.stem)
    assert f"This page is about one model: {app.session_state['model']} is the model that needs action most" in words(app)
    named = opened(path.stem, model="lona")
    assert {row["cells"]["model"]["t"] for row in tables(named)["Models"]["rows"]} == {"loan", "price", HOSTILE}
    assert not named.get("plotly_chart")


@pytest.mark.parametrize("path", ABOUT_ONE_MODEL, ids=by_name)
def test_the_only_model_is_shown_without_being_chosen(path: Path, current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = load.catalog()
    monkeypatch.setattr(load, "catalog", lambda: replace(catalog, models=(catalog.model("loan"),)))
    assert "Models" not in tables(opened(path.stem))
    named = opened(path.stem, model="lona")
    assert "Models" in tables(named) and "which is not in this store" in words(named)


OF_REGRESSION = a_third(PAGES, 0)


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_every_page_runs_for_every_model(path: Path, current: World) -> None:
    """A short run opens each page for the model with a hostile name, and every third page also for a regression model.
    test_page_budgets.py opens each page for models of the sample.
    """
    for model in (HOSTILE, "loan", "price") if LONG else (HOSTILE, "price") if path in OF_REGRESSION else (HOSTILE,):
        page_runs(path, model)


def page_runs(path: Path, model: str) -> None:
    """Check that a page runs for a model: one title, an alternative text for each chart, and hostile names stay text."""
    app = opened(path.stem, model=model, **WHOLE)
    assert [each.value.replace("\\", "").replace("\u2060", "") for each in app.title] == [
        model if path.stem == "model" else links.page_description(path)[0]
    ]
    headings = [each.tag for kind in ("title", "header", "subheader") for each in getattr(app, kind)]
    assert headings[0] == "h1" and headings.count("h1") == 1
    for chart in app.get("plotly_chart"):
        assert chart.proto.alt.strip(), "each chart has a text for screen readers"
        assert "<b>x" not in chart.proto.spec
    assert not app.get("html") and not any(each.proto.allow_html for kind in ("markdown", "caption") for each in getattr(app, kind))
    shown = "\n".join(each.value for kind in ("title", "header", "markdown", "caption", "warning", "error") for each in getattr(app, kind))
    assert "<b>" not in shown.replace("\\<", "") and "https://evil" not in shown and ":red[z]" not in shown


@pytest.mark.parametrize("path", some(ABOUT_ONE_MODEL, 1), ids=by_name)
@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"model": "lona"}, "The link names the model lona, which is not in this store."),
        ({"model": "loan", "version": "9"}, "The link names version 9, which does not exist; all versions are shown."),
        ({"model": "loan", "slice": "sx=F"}, "Column 'sx' is not in loan. Did you mean 'sex'?"),
        ({"model": "loan", "slice": "sex"}, "A slice cannot be read"),
        ({"model": "loan", "window": "yesterday"}, "The link names the window yesterday, which does not exist"),
        ({"model": "loan", "from": "soon", "window": "Chosen dates"}, "The link names soon as from, which is not a time."),
        ({"model": "loan", "from": "2026-03-09T00:00", "to": "2026-03-02T00:00", "window": "Chosen dates"},
         "The window ends before it starts"),
    ],
)  # fmt: skip
def test_a_link_to_a_missing_item_shows_a_message(path: Path, parameters, said, current: World) -> None:
    app = opened(path.stem, **parameters)
    assert said in words(app)
    if "slice" in parameters or parameters["model"] == "lona":
        assert not app.get("plotly_chart")


def test_an_unmeasured_metric_in_a_link_shows_a_message(current: World) -> None:
    assert "names the metric luck, which was not measured here" in words(opened("performance", model="loan", metric="luck", **WHOLE))


@pytest.mark.parametrize("page", ["model", "quality", "drift", "performance", "findings"])
def test_an_empty_window_shows_a_message(page: str, current: World) -> None:
    app = opened(page, **{"model": "loan", "from": "2020-01-01T00:00", "to": "2020-01-08T00:00", "window": "Chosen dates"})
    assert any(
        each in words(app)
        for each in ("No predictions", "0 predictions", "Nothing could be measured", "Nothing can be compared", "Unknown")
    )


def test_codes_dates_and_offsets_in_a_link_are_understood(current: World) -> None:
    app = opened("performance", **{"model": "loan", "from": "2026-03-02", "to": "2026-03-09T02:00:00+02:00"})
    assert app.session_state["from"] == datetime(2026, 3, 2) and app.session_state["to"] == datetime(2026, 3, 9)
    assert app.get("popover")[0].proto.popover.label == "2 to 8 Mar 2026 UTC"
    assert opened("performance", model="loan", window="28d").get("popover")[0].proto.popover.label.startswith("Last 28 days")


def test_the_health_page_lists_the_model_in_trouble_first(current: World) -> None:
    app = opened("health", window="Everything")
    fleet = tables(app)["Models, most severe first"]["rows"]
    assert fleet[0]["cells"]["model"]["t"] == "price" and fleet[0]["cells"]["status"]["t"] == "1 critical"
    labelled = current.price[current.price["labelled"]]
    assert fleet[0]["cells"]["outcome"]["t"] == formatting.format_number(mean_absolute_error(labelled["label"], labelled["score"]))
    share = formatting.format_share(current.price["labelled"].mean())
    outcome = fleet[0]["cells"]["outcome"]
    assert outcome["sub"].startswith("Mean absolute error") and f", {share} labelled" in outcome["title"]
    traffic = fleet[0]["cells"]["traffic"]
    assert sum(traffic["spark"]["y"]) == len(current.price)
    assert "Models, most severe first" in tables(app) and "Incidents, most urgent first" in tables(app)


def test_links_of_the_health_page_open_pages_with_the_scope(current: World) -> None:
    found = tables(opened("health", window="Everything"))
    cell = found["Models, most severe first"]["rows"][0]["cells"]["model"]
    assert cell["href"] == "./model?model=price&window=Everything"
    incident = next(row["cells"]["what"] for row in found["Incidents, most urgent first"]["rows"] if row["cells"]["model"]["t"] == "price")
    address = urlsplit(incident["href"])
    assert address.path.removeprefix("./") in links.page_files()
    assert parse_qs(address.query)["model"] == ["price"]
    app = opened(incident["go"]["page"], **incident["go"]["parameters"])
    assert "Suspected source" in words(app) and incident["t"].split("`")[1] in words(app)


def test_the_performance_page_shows_the_figures_of_the_raw_rows(current: World) -> None:
    app = opened("performance", model="loan", metric="roc_auc", by="carrier", **WHOLE)
    raw = current.loan[current.loan["labelled"]]
    rows = {row["cells"]["metric"]["t"]: row["cells"] for row in tables(app)["Measured metrics"]["rows"]}
    assert float(rows["ROC AUC"]["value"]["t"]) == pytest.approx(roc_auc_score(raw["label"], raw["score"]), abs=2e-3)
    assert rows["ROC AUC"]["n"]["t"] == f"{len(raw):,}"
    assert app.selectbox(key="metric-box").value == "roc_auc"
    wrong = int(((raw["score"] >= 0.5) != (raw["label"] == 1)).sum())
    assert f": {wrong:,} of {len(raw):,} decisions" in words(app)
    levels = tables(app)["ROC AUC by carrier, worst first"]["rows"]
    part = raw[raw["carrier"] == levels[0]["cells"]["level"]["t"]]
    assert float(levels[0]["cells"]["value"]["t"]) == pytest.approx(roc_auc_score(part["label"], part["score"]), abs=2e-3)
    assert levels[0]["cells"]["level"]["go"]["parameters"]["slice"] == f"carrier={part['carrier'].iloc[0]}"


def test_a_click_on_the_drift_page_opens_the_overlay_of_that_column(current: World) -> None:
    app = opened("drift", model="price", feature="age", **WHOLE)
    assert app.selectbox(key="feature").value == "age"
    assert "`age` moved" in words(app) and "Not drawn: null" in words(app)
    app.selectbox(key="feature").select("carrier").run()
    assert not app.exception and "`carrier`" in words(app)
    assert "which is not among the analyzed columns" in words(opened("drift", model="price", feature="nope", **WHOLE))


def test_findings_can_be_filtered_and_a_chosen_one_shows_its_evidence(current: World) -> None:
    app = opened("findings", model="price", severity="act", **WHOLE)
    rows = tables(app)["Findings, most urgent first"]["rows"]
    assert rows and {row["cells"]["severity"]["t"] for row in rows} == {"Critical"}
    target = rows[0]["cells"]["because"]["go"]
    assert target["page"] == "findings"
    app = opened("findings", model="price", finding=target["parameters"]["finding"], **WHOLE)
    assert (app.table and "95 % point of the null" in str(app.table[0].value)) or "Baseline" in str(app.table[0].value)
    assert [row["selected"] for row in tables(app)["Findings, most urgent first"]["rows"]].count(True) == 1
    assert "which is not in this list" in words(opened("findings", finding="0123456789abcdef"))


@pytest.mark.parametrize("page", ["drift", "performance", "quality", "latency"])
def test_the_query_shown_on_a_page_reproduces_the_chosen_finding_value(current: World, page: str) -> None:
    app = opened(page, model="price", **WHOLE)
    (box,) = [each for each in app.selectbox if each.key and each.key.endswith("-query-choice")]
    (query,) = [each.value for each in app.code if each.value.startswith(("SELECT", "WITH"))]
    assert "Run it with `python -m observability sql QUERY`" in words(app)
    ((value,),) = current.store.query_views(query).rows
    shown = box.options[0].rpartition(" · ")[2]
    assert formatting.format_value(value, "").lstrip("0") in shown or f"{100 * value:.1f}".rstrip("0").rstrip(".") in shown, (value, shown)


def test_findings_of_one_fault_are_folded_under_its_lead_and_unfold_by_link(current: World) -> None:
    app = opened("findings", model="price", **WHOLE)
    folded = tables(app)["Findings, most urgent first"]["rows"]
    leads = [row for row in folded if row["note"]]
    assert leads and "under incidents" in words(app)
    target = leads[0]["note"]["go"]
    assert target["page"] == "findings" and " related finding" in leads[0]["note"]["t"]
    app = opened("findings", model="price", incident=target["parameters"]["incident"], **WHOLE)
    unfolded = tables(app)["Findings, most urgent first"]["rows"]
    assert len(unfolded) == 1 + int(leads[0]["note"]["t"].split()[0]) and not any(row["note"] for row in unfolded)
    assert unfolded[0]["cells"]["because"]["t"] == leads[0]["cells"]["because"]["t"], "the leading finding is the first row"
    assert "Suspected source" in words(app)
    assert "which is not in this window" in words(opened("findings", model="price", incident="0123456789abcdef", **WHOLE))


def test_the_fleet_table_counts_incidents_and_names_their_suspected_sources(current: World) -> None:
    found = tables(opened("health", **WHOLE))
    row = next(each for each in found["Models, most severe first"]["rows"] if each["cells"]["model"]["t"] == "price")
    said = found["Incidents, most urgent first"]["rows"]
    mine = [each for each in said if each["cells"]["model"]["t"] == "price" and each["cells"]["severity"]["s"] == "act"]
    assert mine and row["cells"]["status"]["t"] == f"{len(mine)} critical"
    assert {each["cells"]["source"]["source"] for each in mine} <= {"input", "label", "model", "system"}
    assert all(each["cells"]["what"]["go"]["page"] == "incident" and each["cells"]["what"]["go"]["parameters"]["id"] for each in mine)


def test_rejected_lines_are_shown_as_text(current: World) -> None:
    app = opened("store")
    frame = next(each.value for each in app.dataframe if "raw" in each.value.columns)
    assert "<script>alert(1)</script>" in frame["raw"].iloc[0]
    assert "<script>" not in "".join(each.value for each in app.markdown)


def test_removing_a_model_needs_its_name(current: World) -> None:
    app = opened("store")
    box = next(each for each in app.selectbox if each.label == "Model" and each.key != "model")
    box.select("loan")
    next(each for each in app.text_input if each.label == "Type its name to confirm").input("loa")
    next(each for each in app.button if each.label == "Remove the model").click().run()
    assert "nothing was removed" in words(app)
    assert "loan" in {each.name for each in current.store.catalog().models}


def test_forgetting_a_subject_needs_a_name_and_the_subject_twice(current: World) -> None:
    app = opened("store")
    subject, again = (
        next(each for each in app.text_input if each.label == label) for label in ("Subject", "Type the subject again to confirm")
    )
    subject.input("person-1")
    again.input("person-1")
    next(each for each in app.button if each.label == "Forget the subject").click().run()
    assert "Nothing was erased" in words(app)
    next(each for each in app.text_input if each.label == "Your name").input("Ada").run()
    next(each for each in app.text_input if each.label == "Type the subject again to confirm").input("person-2")
    next(each for each in app.button if each.label == "Forget the subject").click().run()
    assert "nothing was erased" in words(app)
    assert current.store.status()["erasures"]["subjects"] == 0


def test_a_subject_is_erased_on_the_page(empty: DuckStore, tmp_path: Path) -> None:
    lines = [prediction(0, subject="person-2"), prediction(1, subject="person-1")]
    (tmp_path / "lines.jsonl").write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    empty.load_files([tmp_path / "lines.jsonl"], LoadDefaults())
    app = opened("store")
    next(each for each in app.text_input if each.label == "Your name").input("Ada").run()
    for label in ("Subject", "Type the subject again to confirm"):
        next(each for each in app.text_input if each.label == label).input("person-1")
    next(each for each in app.button if each.label == "Forget the subject").click().run(timeout=300)
    assert "Erased: 1 predictions" in words(app)
    ((left,),) = empty.query_views('SELECT string_agg(id) FROM "loan.predictions"').rows
    assert left == "p0" and empty.status()["erasures"]["subjects"] == 1


@pytest.mark.parametrize(
    ("page", "parameters"),
    [
        ("drift", {"model": "price", "feature": "age"}),
        ("performance", {"model": "loan", "metric": "f1", "by": "sex", "slice": "carrier=AA"}),
        ("health", {}),
    ],
)
def test_a_copied_link_contains_every_choice_and_opens_the_same_view(page: str, parameters: dict[str, str], current: World) -> None:
    app = opened(page, **parameters)
    address = urlsplit(app.code[0].value)
    copied = {key: values[0] for key, values in parse_qs(address.query).items()}
    fixed = {} if page == "health" else {"from": "2026-03-09T00:00", "to": "2026-03-16T00:00"}
    assert copied == {**parameters, "window": "Last 7 days" if page == "health" else "Chosen dates", **fixed}
    again = opened(page, **copied)
    assert [chart.proto.spec for chart in again.get("plotly_chart")] == [chart.proto.spec for chart in app.get("plotly_chart")]
    assert tables(again).keys() == tables(app).keys()


@pytest.mark.parametrize(
    ("asked", "leads_to"),
    [
        ("/health?model=a", "/?model=a"),
        ("/overview/health", "/?home=1"),
        ("/health", "/?home=1"),
        ("/serving/drift?model=b", "/drift?model=b"),
    ],
)
def test_pages_are_reached_by_section_address_and_the_home_page_by_name(asked: str, leads_to: str) -> None:
    path, _, query = asked.partition("?")
    (route,) = [each for each in application.redirects() if each.path == path]
    request = Request({"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "headers": []})
    answer = asyncio.run(route.endpoint(request))
    assert (answer.status_code, answer.headers["location"]) == (307, leads_to)


def test_all_ok_findings_are_listed_for_one_analyzer_and_folded_for_all(current: World) -> None:
    found = tables(opened("findings", model="loan", analyzer="serving/calibration", **WHOLE))["Findings, most urgent first"]["rows"]
    assert found and {row["cells"]["severity"]["t"] for row in found} == {"OK"}
    every = tables(opened("findings", model="loan", **WHOLE)).get("Findings, most urgent first", {"rows": []})["rows"]
    assert "OK" not in {row["cells"]["severity"]["t"] for row in every}
