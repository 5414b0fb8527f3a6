"""The slice builder counts the values of a column in the window, and adds the chosen conditions to the slice."""

import pytest

from observability.core import formatting
from observability.core.questions import Sample
from observability.dashboard import load, slice_builder
from observability.dashboard.scope import Scope
from tests.support.dashboard_pages import WHOLE, opened
from tests.support.dashboard_world import END, START, World

WEEKS = Scope("loan", span="dates", start=START, end=END)


def test_values_are_counted_as_the_rows_say_and_the_most_frequent_come_first(current: World, monkeypatch: pytest.MonkeyPatch) -> None:
    model, window = load.catalog().model("loan"), load.window(WEEKS, "loan")
    rows = load.ask_store(Sample("predictions", ("feature.carrier",), 1_000_000), window)["feature.carrier"]
    expected = rows.fillna("null").value_counts().to_dict()
    counts = slice_builder.level_counts(window, model, "feature.carrier")
    assert counts == expected and list(counts.values()) == sorted(counts.values(), reverse=True) and len(counts) > 1


def test_a_click_on_a_value_makes_the_slice_and_shows_it(current: World) -> None:
    """The values are counted in the window without the slice, so that another value of the same column can be chosen."""
    app = opened("changes", model="loan", **WHOLE)
    assert not any(str(each.key).startswith("slice-sex") for each in app.button), "the closed slice builder counts no values"
    app.session_state["slice-builder"] = True
    app.run()
    counts = slice_builder.level_counts(load.window(WEEKS, "loan"), load.catalog().model("loan"), "feature.sex")
    app.button(key="slice-sex-F").click().run()
    assert app.session_state["slice"] == "sex=F" and app.button(key="slice-without-sex").label == formatting.escape_markdown("sex = F")
    labels = {each.label for each in app.button if str(each.key).startswith("slice-sex-")}
    assert labels == {f"{value} · {n:,}" for value, n in counts.items()}


def test_a_value_replaces_another_of_its_column_and_is_removed_by_a_second_click(monkeypatch: pytest.MonkeyPatch) -> None:
    state: dict[str, object] = {"model": "loan", "slice": None}
    monkeypatch.setattr(slice_builder.st, "session_state", state)
    slices = []
    for column, value in (("sex", "F"), ("carrier", "A&B"), ("sex", "M"), ("sex", "M"), ("carrier", "A&B")):
        slice_builder.choose_value(column, value)
        slices.append(state["slice"])
    assert slices == ["sex=F", "carrier=A%26B&sex=F", "carrier=A%26B&sex=M", "carrier=A%26B", None]
