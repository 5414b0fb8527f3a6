"""An address opens a single figure of a page: the same figure as on the page, without scope bar and menu."""

from urllib.parse import parse_qs, urlsplit

from observability.dashboard.frame import figure_address
from observability.dashboard.page_figures import FigurePlace, figures_of_page
from observability.dashboard.scope import Scope
from tests.support.dashboard_pages import WHOLE, opened, words
from tests.support.dashboard_world import END, START, World

AGE = FigurePlace("drift", Scope("loan", span="dates", start=START, end=END), (("feature", ("age",)),))


def test_the_address_of_a_figure_opens_it_alone_with_the_numbers_of_its_page(current: World) -> None:
    address = urlsplit(figure_address(AGE, "overlay"))
    asked = {key: values[0] for key, values in parse_qs(address.query).items()}
    assert asked == {"model": "loan", "feature": "age", "only": "overlay", **WHOLE} and address.path == "./drift"
    app = opened("drift", **asked)
    (chart,) = app.get("plotly_chart")
    expected = figures_of_page(AGE, {"overlay"}).found["overlay"]
    assert chart.proto.spec and expected.alt == chart.proto.alt
    assert app.dataframe[0].value.to_csv() == expected.table.to_csv()
    assert not app.selectbox and not app.get("bidi_component"), "the page has no scope bar and no menu"
    assert [title.value for title in app.title] == ["Input drift"] and "loan" in app.caption[0].value
    assert not any(button.key and button.key.endswith("-pin") for button in app.button)


def test_a_figure_not_drawn_by_its_page_shows_a_message(current: World) -> None:
    app = opened("drift", model="loan", only="nothing", **WHOLE)
    assert not app.get("plotly_chart") and "does not show the figure" in words(app)


def test_every_chart_links_to_its_single_figure_page_and_its_svg(current: World) -> None:
    app = opened("latency", model="loan", **WHOLE)
    links = [element.proto.url for element in app.get("link_button")]
    alone = [parse_qs(urlsplit(each).query)["only"][0] for each in links if "only=" in each]
    charts = len(app.get("plotly_chart"))
    assert charts and len(alone) == charts == len([each for each in links if each.startswith("#svg-")])
