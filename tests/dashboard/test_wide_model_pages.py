"""Pages about a model with many columns list them page by page, the worst first, and find them by name."""

import json
from collections.abc import Iterator
from datetime import timedelta
from unittest.mock import Mock

import pytest
from pandas import DataFrame
from streamlit.testing.v1 import AppTest

from observability.core.catalog import Column, Edges, Model, Version
from observability.core.finding import Finding, Severity
from observability.core.window import Slice, Window
from observability.dashboard import compared_features, load, paged_names, scope_bar
from observability.dashboard.case import case
from observability.dashboard.data.quality import features_worst_first
from observability.dashboard.serving import drift, slices
from observability.monitoring import check
from observability.server import process_lock
from observability.store.db.database import Database
from tests.support.dashboard_pages import opened, tables, words
from tests.support.new_store import new_store
from tests.support.wide_model import END, wide_model

COLUMNS = 110


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """The store with the wide model, filled once."""
    folder = tmp_path_factory.mktemp("wide")
    with new_store(folder / "home") as store:
        wide_model(store, folder, COLUMNS)
        yield store


@pytest.fixture(autouse=True)
def shown(wide: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages read this store, at the time when its predictions end."""
    monkeypatch.setattr(process_lock, "current_store", lambda: wide)
    monkeypatch.setattr(load, "page_clock", lambda: END)


def listed(app: AppTest, caption: str) -> list[str]:
    """The names in the first column of a table."""
    return [row["cells"]["feature"]["t"] for row in tables(app)[caption]["rows"]]


def test_names_are_searched_and_paged() -> None:
    names = [f"name {place}" for place in range(250)]
    assert paged_names.listed_names(names, "", 1) == (names[:100], 250)
    assert paged_names.listed_names(names, "", 3) == paged_names.listed_names(names, "", 9) == (names[200:], 250)
    assert paged_names.listed_names(names, " NAME 24", 1) == (["name 24", *names[240:]], 11)
    assert paged_names.listed_names(names, "none", 2) == ([], 0) and paged_names.page_count(0) == 1


def test_features_with_problems_come_first() -> None:
    def claim(subject: str, severity: Severity) -> Finding:
        return Finding("data/quality", "loan", "1", subject, "null_rate", 0.5, 9, severity, "", END, END, "reference")

    found = {(each.subject, each.metric): each for each in (claim("d", "watch"), claim("c", "act"), claim("b", "ok"))}
    assert features_worst_first(["a", "b", "c", "d"], found) == ["c", "d", "a", "b"]
    assert features_worst_first(["a", "b"], found) == ["a", "b"]


def test_data_quality_lists_a_page_of_features_and_finds_others_by_name() -> None:
    app = opened("quality", model=f"of {COLUMNS}")
    first = listed(app, "Features by check")
    assert len(first) == len(set(first)) == 100 and f"100 of {COLUMNS} are listed, worst first." in words(app)
    app.number_input[0].set_value(2).run()
    second = listed(app, "Features by check")
    assert len(second) == COLUMNS - 100 and not set(first) & set(second) and not app.exception
    app.text_input(key="checks-find").set_value("category 5").run()
    assert set(listed(app, "Features by check")) == {"category 5", *(f"category {place}" for place in range(50, 55))}
    assert f"6 of {COLUMNS} features match; 6 of 6 are listed, worst first." in words(app)
    assert "of the 6 features listed" in words(app), "the sentence about missing values states how many features are listed"
    assert not app.exception


def test_the_page_of_drift_ranks_all_columns_and_names_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drift, "MOST_BY_DAY", 20)
    app = opened("drift", model=f"of {COLUMNS}")
    said = words(app)
    assert len(app.selectbox(key="feature").options) == COLUMNS + 1 and said.count("number ") < COLUMNS
    sizes = sorted(len(each.value) for each in app.dataframe)
    assert COLUMNS + 1 in sizes and 20 * 7 in sizes


@pytest.mark.parametrize("page", ["slices", "why_changed", "live_guard"])
def test_a_page_says_which_of_very_many_features_are_compared(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compared_features, "MOST_INPUTS", COLUMNS - 1)
    assert f"Of {COLUMNS} features the {COLUMNS - 1} first are compared." in words(opened(page, model=f"of {COLUMNS}"))


def test_compare_lists_a_page_of_columns_and_finds_others_by_name() -> None:
    app = opened("compare", model=f"of {COLUMNS}")
    caption = "Distance of each column"
    names = [row["cells"]["what"]["t"] for row in tables(app)[caption]["rows"]]
    assert len(names) == 100 and f"100 of {COLUMNS + 1} are listed, worst first." in words(app)
    app.text_input(key="columns-find").set_value("category 5").run()
    names = [row["cells"]["what"]["t"] for row in tables(app)[caption]["rows"]]
    assert set(names) == {"category 5", *(f"category {place}" for place in range(50, 55))} and not app.exception


def test_a_long_ranking_table_shows_only_its_first_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged_names, "MOST_ROWS", 50)
    app = opened("drift", model=f"of {COLUMNS}")
    assert 50 in {len(each.value) for each in app.dataframe} and COLUMNS + 1 not in {len(each.value) for each in app.dataframe}
    assert f"The table holds the 50 of {COLUMNS + 1} columns that drifted most." in words(app)


def test_findings_of_a_model_are_grouped_once_for_repeated_page_views(monkeypatch: pytest.MonkeyPatch) -> None:
    opened("slices", model=f"of {COLUMNS}")  # waits until the findings from samples are known
    grouped = []
    group = check.findings_with_incidents
    monkeypatch.setattr(check, "findings_with_incidents", lambda *given: grouped.append(len(given[1])) or group(*given))
    opened("drift", model=f"of {COLUMNS}")
    before = len(grouped)
    opened("drift", model=f"of {COLUMNS}")
    assert len(grouped) == before


@pytest.mark.parametrize("page", ["drift", "compare"])
def test_the_box_of_very_many_columns_lists_some_and_searches_all(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged_names, "MOST_OPTIONS", 20)
    app = opened(page, model=f"of {COLUMNS}", feature="category 9")
    assert len(app.selectbox(key="feature").options) in (20, 21) and app.selectbox(key="feature").value == "category 9"
    app.text_input(key="feature-find").set_value(" Category 5").run()
    found = {"category 5", *(f"category {place}" for place in range(50, 55))}
    assert set(app.selectbox(key="feature").options) == {*found, "category 9"}, "a search does not remove the selected feature"
    app.selectbox(key="feature").select("category 53").run()
    app.text_input(key="feature-find").set_value("number 1").run()
    assert app.selectbox(key="feature").value == "category 53" and not app.exception


def test_findings_and_their_queries_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paged_names, "MOST_OPTIONS", 20)
    app = opened("findings", model=f"of {COLUMNS}")
    for key, box in (("finding-box", "finding-box"), ("subject-box", "subject-box"), ("findings-query", "findings-query-choice")):
        assert len(app.selectbox(key=box).options) == 20
        app.text_input(key=f"{key}-find").set_value("category 53").run()
        offered = app.selectbox(key=box).options
        assert 1 <= len(offered) < 20 and all("category 53" in each for each in offered)
    app.selectbox(key="subject-box").select("category 53").run()
    assert "category 53" in app.query_params["subject"] and not app.exception
    rows = tables(app)["Findings, most urgent first"]["rows"]
    assert rows and all("category 53" in row["cells"]["because"]["t"] for row in rows)


def test_the_number_of_slice_options_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scope_bar, "MOST_OPTIONS", 3)
    levels = tuple("abcde")
    columns = tuple(Column(place, f"kind {place}", f"c{place}", "category") for place in range(4))
    edges = {column.reference: Edges(levels=levels) for column in columns}
    model = Model(1, "many", columns=columns, versions=(Version("1", edges=edges),))
    assert scope_bar.slice_options(model) == [str(Slice((("kind 0", level),))) for level in levels]


def test_findings_of_a_scope_are_grouped_once_for_repeated_page_views(monkeypatch: pytest.MonkeyPatch) -> None:
    opened("slices", model=f"of {COLUMNS}")  # waits until the findings from samples are known
    first = opened("findings", model=f"of {COLUMNS}")
    grouped = []
    group = check.findings_with_incidents
    monkeypatch.setattr(check, "findings_with_incidents", lambda *given: grouped.append(len(given[1])) or group(*given))
    again = opened("findings", model=f"of {COLUMNS}")
    assert not grouped and tables(again)["Findings, most urgent first"]["rows"] == tables(first)["Findings, most urgent first"]["rows"]


def test_a_case_with_very_many_inputs_shows_only_the_first_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "MOST_ROWS", 20)
    app = opened("case", model=f"of {COLUMNS}", id="p7")
    record = next(json.loads(each.value) for each in app.code if each.value.startswith("{"))
    assert record["id"] == "p7" and len(record["features"]) == 20
    assert f"The first 20 of {COLUMNS} inputs; the section of inputs and the export have all." in words(app)


def test_rolled_up_columns_are_listed_once_and_not_for_each_column(monkeypatch: pytest.MonkeyPatch) -> None:
    """Regression: they were listed again for each column, which took three quarters of the time of *Performance* for a model of 12,000
    columns.
    """
    columns = tuple(Column(place, f"name {place}", f"c{place}", "category", sensitive=place % 50 == 0) for place in range(1, 201))
    listed, levels = Mock(wraps=slices.rolled_up_columns), Mock(return_value=DataFrame({"enough": []}))
    monkeypatch.setattr(slices, "rolled_up_columns", listed)
    monkeypatch.setattr(slices, "worst_levels", levels)
    model = Model(1, "wide", "binary", ("no", "yes"), columns)
    assert slices.worst_levels_of_all_columns(model, Window("wide", END - timedelta(days=7), END), "accuracy", 0.9).empty
    assert listed.call_count == 1
    assert {f"feature.name {place}" for place in range(50, 201, 50)} <= {call.args[2] for call in levels.call_args_list}
