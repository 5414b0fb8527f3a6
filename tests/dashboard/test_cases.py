"""A case is found by id, by the beginning of an id, and by conditions; the page names missing ids."""

import pytest
from streamlit.testing.v1 import AppTest

from observability.dashboard import links
from observability.dashboard.case import find_case
from tests.support.dashboard_pages import WHOLE, opened, tables, words
from tests.support.dashboard_world import HOSTILE, World


def matching(app: AppTest) -> list[dict]:
    return [each["cells"] for each in tables(app)["Predictions that meet the conditions"]["rows"]]


def test_conditions_list_the_rows_of_a_mask_and_link_to_their_cases(current: World) -> None:
    app = opened("cases", model="loan", q="outcome = wrong and carrier = CC and size > 60", **WHOLE)
    raw = current.loan.assign(id=[f"l{i}" for i in range(len(current.loan))])
    mask = raw["labelled"] & ((raw["score"] >= 0.5) != (raw["label"] == 1)) & (raw["carrier"] == "CC") & (raw["size"] > 60)
    cells = matching(app)
    assert [each["case"]["t"] for each in cells] == raw[mask]["id"].tolist()[::-1] and 5 < len(cells) < 100
    assert {each["outcome"]["t"] for each in cells} == {"Wrong"} and {each["feature.carrier"]["t"] for each in cells} == {"CC"}
    go = cells[0]["case"]["go"]
    assert go["page"] == "case" and go["parameters"]["id"] == cells[0]["case"]["t"] and go["parameters"]["model"] == "loan"


def test_a_long_result_is_bounded_and_says_so(current: World) -> None:
    app = opened("cases", model="price", q="error > 0", **WHOLE)
    assert len(matching(app)) == 100 and "The first 100, " in words(app)
    assert "too high" in matching(app)[0]["outcome"]["t"]


@pytest.mark.parametrize(
    ("typed", "parameters", "said"),
    [
        ("l17", {}, "Exact id"),
        ("l17", {"model": "price"}, "Exact id"),
        ("l1", {}, "Exact id"),
        ("h", {}, "Ids with this prefix"),
        ("nobody", {}, "No prediction has the id, subject or id prefix nobody"),
        ("score > 0.9", {}, "Conditions need a model"),
        ("scor > 0.9", {"model": "loan"}, "Column 'scor' is not in loan"),
        ("size > big", {"model": "loan"}, "'size' is a number"),
        ("size > 1e9", {"model": "loan"}, "No prediction of loan meets size > 1e9"),
        ("<script>alert(1)</script>" + "x" * 5000, {}, "No prediction has the id, subject or id prefix <script>"),
    ],
)
def test_each_kind_of_search_text_gets_an_answer(typed: str, parameters: dict[str, str], said: str, current: World) -> None:
    assert said in words(opened("cases", q=typed, **WHOLE, **parameters))


def test_without_a_model_each_queue_shows_the_first_cases_of_every_model(current: World) -> None:
    app = opened("cases", **WHOLE)
    raw = current.price.assign(id=[f"p{i}" for i in range(len(current.price))])
    labelled = raw[raw["labelled"]]
    worst = labelled.assign(error=(labelled["score"] - labelled["label"]).abs()).nlargest(3, "error")["id"].tolist()
    cells = [each["cells"] for each in tables(app)["Largest loss, the first of each model"]["rows"]]
    assert [each["case"]["t"] for each in cells if each["model"]["t"] == "price"] == worst
    assert len([each for each in cells if each["model"]["t"] == "loan"]) == 3
    labels = labelled.set_index("id")["label"]
    truths = [each["truth"]["t"] for each in cells if each["model"]["t"] == "price"]
    assert [float(truth.split()[0].replace(",", "").replace("−", "-")) for truth in truths] == pytest.approx(list(labels[worst]), rel=5e-3)
    opens = next(each["model"]["go"] for each in cells if each["model"]["t"] == "price")
    assert opens["page"] == "cases" and opens["parameters"]["model"] == "price" and opens["parameters"]["inbox"] == "Largest loss"
    app = opened("cases", inbox="Least certain", **WHOLE)
    assert {each["cells"]["model"]["t"] for each in tables(app)["Least certain, the first of each model"]["rows"]} == {"loan"}
    assert "Not listed: price (a regression has no confidence)." in words(app)
    assert "of all models to relabel" in words(opened("cases", inbox="Relabel queue", **WHOLE))


def test_a_palette_search_opens_the_matching_case_or_the_search_results(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    went: list[dict] = []
    state = {"model": "price", "slice": "carrier=AA", "window": "Everything"}
    monkeypatch.setattr(find_case.st, "session_state", state)
    monkeypatch.setattr(links, "follow_link", went.append)
    for typed in ("l17", "score > 3", "  "):
        find_case.open_typed_case(typed)
    window = {"window": "Everything"}
    assert went == [
        {"page": "case", "parameters": {"model": "loan", "id": "l17", **window}},
        {"page": "cases", "parameters": {"model": "price", "slice": "carrier=AA", "q": "score > 3", **window}},
    ]


def test_the_back_button_keeps_the_page_and_its_scope(current: World) -> None:
    app = opened("performance", model="price", slice="carrier=AA", **WHOLE)
    app.switch_page(str(links.page_files()["case"]))
    app.query_params["id"] = "p3"
    app.run()
    assert not app.exception and app.title[0].value == "Case"
    assert next(each for each in app.button if each.key == "back").label == "Back to Performance"
    came = app.session_state["came-from"]
    assert (came["page"] == "performance" and came["parameters"]["slice"] == ["carrier=AA"]) or came["parameters"]["slice"] == "carrier=AA"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (" l17 ", "l17"),
        ("http://127.0.0.1:8501/case?id=a%20b&model=loan", "a b"),
        ("./case?model=x&id=l1", "l1"),
        ("http://127.0.0.1:8501/drift?id=1", "http://127.0.0.1:8501/drift?id=1"),
        ("http://[", "http://["),
        ("/dev/1", "/dev/1"),
    ],
)
def test_a_pasted_case_address_is_read_as_its_id(typed: str, meant: str) -> None:
    assert find_case.typed_case_id(typed) == meant


def test_a_missing_case_shows_the_next_step(current: World) -> None:
    assert "This page is about one prediction" in words(opened("case"))
    assert "Prediction 'nope' is not in any of the 3 models" in words(opened("case", id="nope"))
    assert "Prediction l17 belongs to loan, not to price." in words(opened("case", id="l17", model="price"))


def test_a_case_has_a_permanent_address(current: World) -> None:
    app = opened("case", id="h3", model=HOSTILE, window="Everything")
    assert app.code[0].value == links.permanent_case_address("h3", HOSTILE) and "window" not in app.code[0].value
