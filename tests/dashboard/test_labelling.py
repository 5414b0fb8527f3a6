"""The page Labelling and the case: their tables, sentences and files equal a count of the records by hand."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Any

import pandas as pd
import pytest

from observability.core import formatting
from observability.dashboard import load, load_findings
from observability.dashboard.charts import labels as charts_labels
from observability.dashboard.charts import suggestions as charts_suggestions
from observability.dashboard.data import assignments, labelling, suggestions
from observability.dashboard.scope import Scope
from observability.metrics import suggestions as _suggestions
from observability.metrics.annotations import first_answers
from observability.server import process_lock
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words
from tests.support.labelling_world import END, START, project
from tests.support.new_store import new_store

DATES = {"window": "Chosen dates", "from": f"{START:%Y-%m-%dT%H:%M}", "to": f"{END:%Y-%m-%dT%H:%M}"}
SCOPE = Scope(span="dates", start=START.replace(tzinfo=UTC), end=END.replace(tzinfo=UTC))
POLICIES = {"ann-1": ("random", "audit"), "ann-2": ("uncertain first", "the model is unsure")}


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return project(3, weak="ann-2", weak_by=0.35)


@pytest.fixture(scope="module")
def built(rows: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A store with a project of six people, a project of one person with three items, and a prediction that is one of the items."""
    folder = tmp_path_factory.mktemp("labelling")
    store = new_store(folder / "home", threads=1)
    lines = []
    for each in [
        *rows.to_dict("records"),
        *project(4, days=3, items_a_day=1, people=("kim",), labels_an_item=1, name="gestures", gold=0.0).to_dict("records"),
    ]:
        said = {name: value for name, value in each.items() if value is not None and value == value}
        at = f"{each['at']:%Y-%m-%dT%H:%M:%S.%f}Z"
        lines.append({"kind": "annotation", **said, "at": at})
        if each["annotator"] in POLICIES and each["project"] == "moods":
            policy, reason = POLICIES[each["annotator"]]
            body = {
                "project": "moods",
                "item": each["item"],
                "annotator": each["annotator"],
                "policy": policy,
                "reason": reason,
                "score": 0.25,
            }
            lines.append({"kind": "assignment", **body, "at": f"{each['at'] - timedelta(minutes=30):%Y-%m-%dT%H:%M:%S.%f}Z"})
    item = rows.loc[rows["annotator"] == "ann-2", "item"].iloc[-1]
    lines.append(
        {
            "kind": "assignment",
            "project": "moods",
            "item": item,
            "annotator": "late",
            "policy": "second look",
            "reason": "they disagree",
            "at": f"{END - timedelta(minutes=5):%Y-%m-%dT%H:%M}Z",
        }
    )
    lines.append(
        {
            "kind": "prediction",
            "id": item,
            "at": f"{END - timedelta(days=1):%Y-%m-%dT%H:%M}Z",
            "model": "moods",
            "version": "1",
            "features": {"a": 1},
            "score": 0.5,
        }
    )
    land(store, lines, folder)
    yield store
    store.close()


@pytest.fixture
def owned(built: Database, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setattr(process_lock, "current_store", lambda: built)
    monkeypatch.setattr(load, "page_clock", lambda: END.replace(tzinfo=UTC))
    return built


def inside(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["at"] >= START]


def krippendorff_by_pairs(rows: pd.DataFrame) -> float:
    """Alpha computed from every pair of labels of an item, as in the formula of Krippendorff (2011)."""
    pairs: Counter[tuple[str, str]] = Counter()
    for _, labels in rows.groupby("item")["label"]:
        for one, other in permutations(labels, 2):
            pairs[one, other] += 1 / (len(labels) - 1)
    totals = Counter[str]()
    for (one, _), n in pairs.items():
        totals[one] += n
    n = sum(totals.values())
    observed = sum(count for (one, other), count in pairs.items() if one != other)
    expected = sum(totals[one] * totals[other] for one in totals for other in totals if one != other) / (n - 1)
    return 1 - observed / expected


def test_annotator_figures_match_hand_counts_and_the_weakest_comes_first(owned: Database, rows: pd.DataFrame) -> None:
    app = opened("labelling", project="moods", **DATES)
    (first, *others) = tables(app)["Annotators"]["rows"]
    mine = inside(rows)[inside(rows)["annotator"] == "ann-2"]
    gold = mine[mine["gold"].notna()]
    cells = first["cells"]
    assert (cells["annotator"]["t"], cells["status"]["s"], cells["labels"]["t"]) == ("ann-2", "act", f"{len(mine):,}")
    assert cells["gold"]["t"] == formatting.format_share((gold["label"] == gold["gold"]).mean()) and cells["gold"]["sub"].endswith(
        f"of {len(gold):,}"
    )
    assert cells["median"]["t"] == f"{formatting.format_number(mine['seconds'].median())} s" and cells["an_hour"][
        "t"
    ] == formatting.format_number(3600 / mine["seconds"].mean())
    seen = mine[mine["suggestion"].notna()]
    wrong = seen[seen["gold"].notna() & (seen["gold"] != seen["suggestion"])]
    assert cells["taken"]["t"] == formatting.format_share((seen["label"] == seen["suggestion"]).mean())
    assert cells["taken"]["sub"] == f"of {len(seen):,}\nwrong ones: {(wrong['label'] == wrong['suggestion']).sum()} of {len(wrong)}"
    given = inside(rows)["annotator"].isin(list(POLICIES)).sum() + 1
    assert cells["given"] == {"t": f"{len(mine):,}", "sub": formatting.format_share(len(mine) / given)}
    assert {each["cells"]["status"]["s"] for each in others} <= {"ok", "unknown"} and len(others) == 6
    page = words(app)
    alpha = krippendorff_by_pairs(inside(rows))
    assert f"Krippendorff's alpha {alpha:.2f} on" in page and f"alpha {formatting.format_value(alpha, '')} (" not in page, (
        "the page states alpha once"
    )
    assert f"**{len(inside(rows)):,} labels** by 6 annotators in moods" in page and "Annotator ann-2 of moods is right on" in page
    assert cells["annotator"]["go"]["parameters"]["annotator"] == "ann-2"


def test_a_person_is_opened_class_by_class(owned: Database, rows: pd.DataFrame) -> None:
    app = opened("labelling", project="moods", annotator="ann-2", **DATES)
    found = {each["cells"]["class"]["t"]: each["cells"] for each in tables(app)["Accuracy on gold items by known answer"]["rows"]}
    gold = inside(rows)[inside(rows)["gold"].notna()]
    for name, part in gold[gold["annotator"] == "ann-2"].groupby("gold"):
        others = gold[(gold["annotator"] != "ann-2") & (gold["gold"] == name)]
        assert found[name]["n"]["t"] == f"{len(part):,}" and found[name]["rate"]["t"] == formatting.format_share(
            (part["label"] == name).mean()
        )
        assert found[name]["others"]["t"] == formatting.format_share((others["label"] == name).mean())
    assert "Accuracy by class: ann-2" in words(app)


def test_the_slider_says_what_a_threshold_would_do(owned: Database, rows: pd.DataFrame) -> None:
    app = opened("labelling", project="moods", confidence="95", **DATES)
    assert app.slider[0].value == 95
    now = first_answers(inside(rows))
    told = _suggestions.acceptance_outcome(now, 0.95)
    facts = [each["cells"] for each in tables(app)["Effect of accepting suggestions"]["rows"]]
    assert (
        facts[0]["figure"] == {"t": formatting.format_share(told.error.value), "mark": "measured"}
        and facts[2]["figure"]["mark"] == "estimated"
    )
    assert facts[4]["figure"]["mark"] == "measured" and f"{told.labels:,} labels of this window" in facts[4]["of"]["t"]
    assert suggestions.acceptance_sentence(told) in words(app)
    app.slider[0].set_value(70).run()
    assert not app.exception and suggestions.acceptance_sentence(_suggestions.acceptance_outcome(now, 0.7)) in words(app)
    (band, right, reaches, people) = charts_suggestions.accuracy_coverage_curve(_suggestions.acceptance_curve(now), 0.7, told.today).data
    line = _suggestions.acceptance_curve(now)
    assert list(right.y) == line["value"].tolist() and list(reaches.y) == line["coverage"].tolist() and people.y[0] == 1 - told.today.value
    high, low = band.y[: len(line)], band.y[len(line) :][::-1]
    assert all(a <= b <= c for a, b, c in zip(low, right.y, high, strict=True))


def test_a_decision_about_an_annotator_is_saved_and_shown_beside_them(owned: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    app = opened("labelling", project="moods", annotator="ann-2", **DATES)
    assert "Train annotator" not in words(app)

    def held(key: str, kind: str) -> Any:
        (found,) = [each for each in app.get(kind) if (each.key or "").startswith(key)]
        return found

    held("person-submit", "button").click().run()
    assert "Enter your name to save." in words(app) and not app.exception
    held("person-note", "text_input").set_value("the neutral ones")
    held("person-owner", "text_input").set_value("Bob")
    held("person-author", "text_input").set_value("Ann")
    held("person-submit", "button").click().run()
    assert not app.exception and "Train annotator ann-2 of moods: the neutral ones (open, owner Bob" in words(app)
    (action,) = owned.actions()
    assert (
        action.first.author == "Ann"
        and action.fields["do"] == "other"
        and action.fields["finding"] in {each.id for each in load_findings.scope_record_findings(SCOPE)}
    )
    others = opened("labelling", project="moods", annotator="ann-1", **DATES)
    assert "the neutral ones" not in words(others)
    assert "The link names the annotator nobody-9" in words(opened("labelling", project="moods", annotator="nobody-9", **DATES))
    monkeypatch.setattr(load, "page_clock", lambda: datetime.now(UTC) + timedelta(minutes=5))
    assert "Train annotator ann-2 of moods" in words(opened("changes", window="Everything"))


@pytest.mark.parametrize("named", ["high", "3", "101", "-5"])
def test_an_invalid_confidence_in_a_link_shows_a_message(owned: Database, named: str) -> None:
    app = opened("labelling", project="moods", confidence=named, **DATES)
    assert f"The link names the confidence {named}; expected a whole number from" in words(app) and app.slider[0].value == 90


def test_policies_and_reasons_are_shown_with_their_counts(owned: Database, rows: pd.DataFrame) -> None:
    app = opened("labelling", project="moods", **DATES)
    found = {each["cells"]["policy"]["t"]: each["cells"] for each in tables(app)["Policies and their outcomes"]["rows"]}
    gold = inside(rows)[(inside(rows)["annotator"] == "ann-1") & inside(rows)["gold"].notna()]
    assert set(found) == {"random", "uncertain first", "second look"} and found["random"]["score"]["t"] == "0.250"
    assert found["random"]["gold"]["t"] == formatting.format_share((gold["label"] != gold["gold"]).mean())
    assert found["second look"]["given"] == {"t": "1", "sub": "0 labelled"} and found["second look"]["gold"]["t"] == "–"
    reasons = {each["cells"]["reason"]["t"]: each["cells"]["n"]["t"] for each in tables(app)["Reasons for assignments"]["rows"]}
    assert reasons["they disagree"] == "1" and reasons["audit"] == f"{(inside(rows)['annotator'] == 'ann-1').sum():,}"


def test_an_item_that_two_people_are_asked_about_is_two_assignments_and_one_item() -> None:
    """Regression: the page said that 1,549 items were assigned; in fact 630 items were assigned, each to two or three people."""
    work = pd.DataFrame({"annotator": ["x", "y"], "given": [2, 1], "labelled": [1, 0], "share": [2 / 3, 1 / 3]})
    said = assignments.workload_sentence(work, 2)
    assert said.startswith("3 assignments of 2 items to 2 annotators, 1 labelled in this window; most to x: 2")


@pytest.mark.parametrize("page", ["labelling", "case"])
def test_an_item_says_who_was_asked_and_why(owned: Database, rows: pd.DataFrame, page: str) -> None:
    item = rows.loc[rows["annotator"] == "ann-2", "item"].iloc[-1]
    app = opened(
        page, **({"project": "moods", "item": item, **DATES} if page == "labelling" else {"model": "moods", "id": item, "section": "label"})
    )
    found = {each["cells"]["annotator"]["t"]: each["cells"] for each in tables(app)[f"Assignments and labels of {item}"]["rows"]}
    labels = rows[rows["item"] == item].set_index("annotator")
    assert set(found) == {*labels.index, "late"}
    assert found["ann-2"]["reason"] == {"t": "the model is unsure", "sub": "uncertain first · score 0.250"}
    assert found["ann-2"]["label"]["t"] == labels.loc["ann-2", "label"] and found["late"]["label"]["t"] == "waits"
    assert found["late"]["reason"]["t"] == "they disagree"


def test_missing_labelling_fields_are_named_with_what_they_would_show(owned: Database) -> None:
    app = opened("labelling", project="gestures", **DATES)
    said = words(app)
    assert "`gold` (accuracy)" in said and "records of kind `assignment` (workload, policies, reasons)" in said
    assert "Suggestions" in said and "no gold answers" in said
    assert "No assignment and no label of nothing-9" in words(opened("labelling", project="gestures", item="nothing-9", **DATES))


def test_the_labelling_count_includes_the_agreement_findings_of_the_labels_page(owned: Database) -> None:
    """Regression: the page said that 0 findings need attention, but Labels said that annotators do not agree on the same labels."""
    model = load_findings.findings_in_window(load.window(SCOPE.about("moods"), "moods"), wait=True)
    of_labels = [each for each in model if each.metric in ("label_agreement", "annotator_agreement") and each.needs_action]
    assert "annotator=ann-2" in {each.subject for each in of_labels}
    own = load_findings.scope_record_findings(SCOPE, "data/labelling")
    needy = len(of_labels) + sum(each.needs_action and each.subject.startswith("project:moods") for each in own)
    app = opened("labelling", project="moods", **DATES)
    assert f"{formatting.plural(needy, 'finding needs attention', 'findings need attention')}." in words(app)
    (row,) = [each["cells"] for each in tables(app)["Annotators"]["rows"] if each["cells"]["annotator"]["t"] == "ann-2"]
    assert row["status"]["s"] in ("act", "watch")


def test_dates_without_labels_and_an_unknown_project_show_a_message(owned: Database) -> None:
    assert "No labels of annotators in this window" in words(
        opened("labelling", **{"window": "Chosen dates", "from": "2025-03-02T00:00", "to": "2025-03-09T00:00"})
    )
    assert "The link names the project nowhere" in words(opened("labelling", project="nowhere", **DATES))


def test_the_annotator_chart_uses_the_given_axis_title() -> None:
    frame = pd.DataFrame(
        {
            "annotator": ["a"],
            "value": [0.9],
            "low": [0.8],
            "high": [0.95],
            "n": [40],
            "others": [0.92],
            "others_n": [200],
            "severity": [None],
        }
    )
    assert charts_labels.annotator_dots(frame, x="right on gold items").layout.xaxis.title.text == "right on gold items"


def test_agreement_is_stated_only_once(owned: Database) -> None:
    """Regression: the summary repeated the value of the warning below it, with another number of digits."""
    shown = labelling.project_labels("moods", labelling.project_window(SCOPE, "moods"))
    found = load_findings.findings_in_window(load.window(SCOPE.about("moods"), "moods"), wait=True)
    told = replace(found[0], metric="label_agreement", severity="watch")
    assert "alpha" in labelling.labelling_summary(shown, [replace(told, severity="ok")])
    assert "alpha" not in labelling.labelling_summary(shown, [told]) and "1 finding needs attention." in labelling.labelling_summary(
        shown, [told]
    )
