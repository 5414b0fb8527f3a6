"""The page Map draws the predictions of a window. A selection on it shows the number of errors, a rule and a slice."""

import json
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from observability.dashboard import clicks, links, sign_in
from observability.dashboard.case import map_of_predictions
from observability.server.access import Person
from tests.support.dashboard_pages import WHOLE, opened, tables, words
from tests.support.dashboard_world import World


def chart(app: AppTest) -> dict:
    return json.loads(app.get("plotly_chart")[0].proto.spec)


def raw(world: World) -> pd.DataFrame:
    """The loans with their ids and outcomes."""
    frame = world.loan.assign(id=[f"l{n}" for n in range(len(world.loan))])
    return frame.assign(wrong=(frame["score"] >= 0.5) != (frame["label"] == 1)).set_index("id")


def select(monkeypatch: pytest.MonkeyPatch, places: list[int]) -> None:
    """Select points as the lasso does: the `customdata` of a mark begins with its place."""
    monkeypatch.setattr(clicks, "clicked_points", lambda key: [{"customdata": [place, "text"]} for place in places])


def drawn_ids(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the points in the order of their places."""
    held: list[list[str]] = []
    known = map_of_predictions.selected_points_section

    def note(here, found, chosen) -> None:
        held[:] = [found.frame["id"].tolist()]
        known(here, found, chosen)

    monkeypatch.setattr(map_of_predictions, "selected_points_section", note)
    opened("prediction_map", model="loan", **WHOLE)
    return held[0]


def test_the_prediction_map_describes_its_sample_and_marks_the_case(current: World) -> None:
    app = opened("prediction_map", model="loan", id="l41", **WHOLE)
    said = words(app)
    assert "A fixed sample of 2,000 of 2,800 predictions" in said and "of the variance that is not shown" in said
    assert "Numbers are ranks in 2,000 reference rows" in said and "Select points with the lasso" in said
    traces = {each["name"].partition(" (")[0]: each for each in chart(app)["data"]}
    assert set(traces) == {"No label", "Right", "Wrong", "This case"}
    assert any(button.label.replace("\\", "") == "Marked: l41" for button in app.button)
    assert "The marked case: " in words(opened("prediction_map", model="loan", id="gone", **WHOLE))


def test_the_colour_is_the_outcome_the_error_or_the_score(current: World) -> None:
    traces = [each["name"].partition(" (")[0] for each in chart(opened("prediction_map", model="price", **WHOLE))["data"]]
    assert traces == ["Unknown", "absolute error"]
    assert [each["name"] for each in chart(opened("prediction_map", model="loan", color="Score", **WHOLE))["data"]] == ["score (2,000)"]


def test_selected_points_show_their_errors_a_rule_and_a_slice(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = drawn_ids(monkeypatch)
    rows = raw(current).loc[names]
    inside = (rows["carrier"] == "CC").to_numpy()
    select(monkeypatch, [place for place, own in enumerate(inside) if own])
    went: list[dict] = []
    monkeypatch.setattr(links, "follow_link", went.append)
    app = opened("prediction_map", model="loan", **WHOLE)
    assert app.subheader[0].value == f"{inside.sum():,} of 2,000 points selected"
    shown = {row["cells"]["what"]["t"]: row["cells"] for row in tables(app)["Errors of the selected points and of the others"]["rows"]}
    labelled = rows["labelled"].to_numpy()
    for name, part in (("Selected", inside), ("Others", ~inside)):
        assert shown[name]["labelled"]["t"] == f"{(labelled & part).sum():,} of {part.sum():,}"
        share = float(shown[name]["value"]["t"].partition(" ")[0])
        assert share == pytest.approx(100 * rows["wrong"].to_numpy()[labelled & part].mean(), abs=0.06)
    assert "Best description: **carrier is CC**" in words(app)
    assert f"Precision 100 %: {inside.sum():,} of the {inside.sum():,} points" in words(app)
    for label in ("Find predictions that meet it", "Use as slice"):
        next(button for button in app.button if button.label == label).click().run()
    assert [target["page"] for target in went] == ["cases", "prediction_map"]
    assert went[0]["parameters"]["q"] == '"carrier" = "CC"' and went[1]["parameters"]["slice"] == "carrier=CC"


def test_one_selected_point_opens_its_case(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    names = drawn_ids(monkeypatch)
    select(monkeypatch, [7])
    app = opened("prediction_map", model="loan", **WHOLE)
    assert any(button.label == f"Open {names[7]}" for button in app.button)


def test_figures_of_few_rows_are_hidden_from_people_without_the_reveal_right(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    select(monkeypatch, [1, 2, 3])
    assert "Errors of the selected points" in words(opened("prediction_map", model="loan", **WHOLE))
    monkeypatch.setattr(sign_in, "current_person", lambda: Person("vera", "viewer", source="account"))
    said = words(opened("prediction_map", model="loan", **WHOLE))
    assert "Errors of the selected points" not in said and "fewer than 10" in said and "Best description" not in said


def test_a_case_links_to_the_map_of_similar_predictions(current: World) -> None:
    for section in ("edge", "alike"):
        app = opened("case", id="l41", model="loan", section=section)
        assert any(button.label == "Map of similar predictions" for button in app.button), section
    copied = parse_qs(urlsplit(opened("prediction_map", model="loan", id="l41", **WHOLE).code[0].value).query)
    assert copied["id"] == ["l41"] and copied["model"] == ["loan"]
