"""Favourite models come first in the list of models, and are stored in a browser cookie."""

import json
from urllib.parse import quote

import pytest

from observability.dashboard import favourites, palette
from tests.support.dashboard_pages import WHOLE, opened
from tests.support.dashboard_world import World


@pytest.mark.parametrize(
    ("cookie", "names"),
    [
        (None, []),
        ("", []),
        (quote(json.dumps(["loan", "prix d'été"])), ["loan", "prix d'été"]),
        ('["loan", 3, null]', ["loan"]),
        ('{"loan": 1}', []),
        ("%5B%22loan", []),
        (json.dumps([f"m{n}" for n in range(60)]), [f"m{n}" for n in range(favourites.MAX_FAVOURITES)]),
    ],
)
def test_a_cookie_that_cannot_be_read_holds_no_favourites(cookie: str | None, names: list[str]) -> None:
    assert favourites.read_favourites(cookie) == names


def test_favourites_come_before_the_models_viewed_in_this_session(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(favourites.st, "session_state", {favourites.HELD: ["d", "gone"]})
    assert favourites.favourites_first(["a", "b", "c", "d"], ["c", "gone", "b", "d"]) == ["d", "c", "b", "a"]


def test_the_star_makes_a_model_a_favourite_and_the_browser_is_told_to_keep_it(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    monkeypatch.setattr(palette, "page_component", lambda _name: lambda **given: drawn.append(given["data"]))
    app = opened("changes", model="price", **WHOLE)
    assert drawn[-1]["cookies"] == {}, "without a change no cookie is written"
    app.button(key="favourite").click().run()
    assert drawn[-1]["cookies"] == {favourites.COOKIE: ["price"]}
    assert app.button(key="favourite").label == "Remove from favourites"
    next(each for each in app.selectbox if each.label == "Model").select("loan").run()
    assert next(each for each in app.selectbox if each.label == "Model").options[0] == "price", (
        "a favourite comes before the model viewed last"
    )
    models = [(item["t"], item["hint"]) for item in drawn[-1]["items"] if item["kind"] == "Models"]
    assert models[0] == ("price", "★ favourite") and app.button(key="favourite").label == "Add to favourites"


def test_favourites_are_starred_in_the_model_box(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(favourites.st, "html", written.append)
    monkeypatch.setattr(favourites.st, "session_state", {favourites.HELD: ["d", "a"]})
    favourites.mark_favourites(["a", "b", "d"])
    favourites.mark_favourites(["b"])
    (style,) = written
    assert [f'data-key="{place}"' in style for place in range(3)] == [True, False, True] and "★" in style
