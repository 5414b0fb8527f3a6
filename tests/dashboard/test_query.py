"""The page about SQL: a link fills in the query, a run shows its rows or one sentence, and viewers have no query box."""

import pytest

from observability.dashboard import sign_in
from observability.server.access import Person
from tests.support.dashboard_pages import opened, words
from tests.support.dashboard_world import World


def test_a_query_is_filled_in_run_and_shown(current: World) -> None:
    query = 'SELECT version, count(*) AS n FROM "loan.predictions" GROUP BY ALL ORDER BY n DESC'
    app = opened("query", sql=query)
    box = app.text_area(key="sql-text")
    assert box.value == query and not app.dataframe
    app = next(each for each in app.button if each.label == "Run").click().run()
    (shown,) = app.dataframe
    assert shown.value.to_numpy().tolist() == [list(row) for row in current.store.query_views(query).rows]
    app.text_area(key="sql-text").set_value("SELECT nonsense FROM runs")
    app = next(each for each in app.button if each.label == "Run").click().run()
    assert not app.dataframe and "The query failed" in words(app) and "nonsense" in words(app)
    assert app.query_params["sql"] == "SELECT nonsense FROM runs"


@pytest.mark.parametrize(
    ("person", "allowed"),
    [
        (Person("vic", "viewer"), False),
        (Person("ann", "analyst"), True),
        (Person("one", "analyst", (("price", "none"),)), False),
    ],
)
def test_only_analysts_who_see_every_model_can_run_queries(
    current: World, monkeypatch: pytest.MonkeyPatch, person: Person, allowed: bool
) -> None:
    monkeypatch.setattr(sign_in, "current_person", lambda: person)
    app = opened("query")
    assert bool(app.text_area) is allowed
    assert ("Queries are for analysts" in words(app)) is not allowed
