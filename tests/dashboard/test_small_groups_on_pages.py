"""People who may not reveal masked values see no figure of a group of fewer than ten rows on any page, in JSON, in a board or in a mail.

The world has a group of four rows and one of twelve, whose names occur nowhere else. The test reads the whole rendered page: texts, tables,
frames and charts.
"""

import functools
import io
import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from observability.core.errors import ForbiddenError, NotFoundError
from observability.core.small_groups import FEWER
from observability.core.window import Slice
from observability.dashboard import load, own_files, page_figures, sign_in
from observability.dashboard.boards.board_export import board_html
from observability.dashboard.boards.boards import Board, Pin
from observability.dashboard.page_figures import FigurePlace
from observability.dashboard.scope import Scope
from observability.monitoring import check
from observability.server import process_lock
from observability.server.access import HERE, Person
from observability.server.guarded_store import guarded_store
from observability.store.types.loading import LoadDefaults
from observability.store.types.registration import RegistrationRequest
from tests.support import dashboard_world, signed_in
from tests.support.dashboard_pages import PAGES, WHOLE, by_name, opened
from tests.support.dashboard_world import END, START, World
from tests.support.length import every_second
from tests.support.new_store import new_store

VIEWER, OWNER = Person("vic", "viewer"), Person("ada", "administrator")
RARE, SCARCE = "quokka", "dugong"
MANY = {"sex": ("F", "M")}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One model whose sensitive attribute has a level of four rows and one of twelve, five of them positive."""
    import numpy as np

    folder = tmp_path_factory.mktemp("small")
    rng = np.random.default_rng(5)
    reference, rows = dashboard_world.rows(rng, 800), dashboard_world.rows(rng, 1000)
    rows["labelled"] = True
    rows.loc[rows.index[100:104], "sex"] = RARE
    rows.loc[rows.index[500:512], "sex"] = SCARCE
    reference.loc[reference.index[:3], "sex"] = RARE
    store = new_store(folder / "home", threads=1)
    path = folder / "loan.parquet"
    reference.to_parquet(path)
    features, sensitive = ("size", "age", "carrier", "sex"), ("sex",)
    asked = RegistrationRequest(
        "loan", "1", task="binary", reference=path, label="label", score=("score",), features=features, sensitive=sensitive
    )
    store.register(asked)
    log = folder / "log.jsonl"
    log.write_text("".join(json.dumps(each) + "\n" for each in dashboard_world.served(rows, "loan", "l")), encoding="utf-8")
    assert store.load_files([log], LoadDefaults()).rejected == 0
    yield World(store, rows, rows, reference, reference)
    store.close()


@pytest.fixture
def sign(small: World, monkeypatch: pytest.MonkeyPatch):
    """Draw every page for the given person, on the small world."""
    monkeypatch.setattr(process_lock, "current_store", lambda: small.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)

    return functools.partial(signed_in.sign, monkeypatch)


def rendered(app: AppTest) -> list[str]:
    """Everything that a page shows, in pieces that belong together: texts, rows of tables, rows of frames, marks of charts."""
    found = [
        str(each.value)
        for kind in ("title", "header", "subheader", "markdown", "caption", "warning", "error", "info")
        for each in getattr(app, kind)
    ]
    for each in app.get("bidi_component"):
        data = json.loads(each.proto.json)
        found += [json.dumps(row) for row in data["rows"]] if "rows" in data else [json.dumps(data)]
    for kind in (app.dataframe, app.table):
        found += [" ".join(map(str, row)) for each in kind for row in each.value.astype(str).itertuples()]
    for chart in app.get("plotly_chart"):
        for trace in json.loads(chart.proto.spec)["data"]:
            found.append(json.dumps(trace))
        found.append(str(chart.proto.alt))
    return found


def figures_beside(pieces: list[str], name: str) -> list[str]:
    """The pieces that name a group and contain a number besides the note "fewer than 10"."""
    named = [piece for piece in pieces if name in piece]
    return [piece for piece in named if re.search(r"\d", _without_links(piece).replace(FEWER, "").replace("version 1", ""))]


def _without_links(piece: str) -> str:
    """A piece without its addresses and layout sizes."""
    try:
        cells = json.loads(piece)["cells"]
    except (ValueError, KeyError, TypeError):
        return piece
    shown = ("t", "sub", "title", "phone", "interval", "spark", "bar")
    return " ".join(str(cell[part]) for cell in cells.values() for part in shown if cell.get(part))


@pytest.mark.parametrize("path", PAGES, ids=by_name)
def test_no_page_shows_figures_of_small_groups(path: Path, sign) -> None:
    sign(VIEWER)
    for parameters in every_second(({"model": "loan", "by": "sex", **WHOLE}, {"model": "loan", **WHOLE})):
        pieces = rendered(opened(path.stem, **parameters))
        assert not figures_beside(pieces, RARE), (path.stem, figures_beside(pieces, RARE)[:2])


def test_the_owner_sees_the_figures_that_a_viewer_does_not(sign) -> None:
    sign(OWNER)
    pages = ("fairness", "performance", "findings")
    seen = {page: figures_beside(rendered(opened(page, model="loan", by="sex", **WHOLE)), RARE) for page in pages}
    assert seen["fairness"] and seen["performance"] and seen["findings"], (
        "each page must show groups, otherwise the test above checks nothing"
    )
    sign(VIEWER)
    app = opened("fairness", model="loan", **WHOLE)
    groups = [json.loads(each)["cells"] for each in rendered(app) if each.startswith('{"cells"') and '"labelled"' in each]
    names = {cells["group"]["t"]: int(cells["n"]["t"].replace(",", "")) for cells in groups}
    assert set(names) == {FEWER, "F"} or set(names) == {FEWER, "M"}, "the rare groups and the smaller of the large groups are merged"
    assert sum(names.values()) == 1000, "the totals are unchanged and cover the merged groups, so no difference reveals a single group"


def test_a_slice_of_few_rows_is_refused_by_name_and_by_what_it_leaves_out(sign, small: World) -> None:
    for person, refused in ((VIEWER, True), (Person("ann", "analyst"), True), (OWNER, False)):
        sign(person)
        app = opened("performance", model="loan", slice=f"sex={RARE}", **WHOLE)
        assert (FEWER in "\n".join(rendered(app))) is refused
        assert bool(app.get("plotly_chart")) is not refused
    sign(VIEWER)
    for page in ("health", "cases", "findings"):
        assert FEWER in "\n".join(rendered(opened(page, model="loan", slice=f"sex={RARE}", **WHOLE))), page
    scope = Scope(model="loan", span="dates", start=START, end=END)
    assert load.window(scope, "loan").slice is None
    with pytest.raises(ForbiddenError, match=FEWER):
        load.window(Scope(model="loan", span="dates", start=START, end=END, slice=Slice((("sex", RARE),))), "loan")


def test_the_http_json_hides_the_same_small_groups_as_the_pages(small: World) -> None:
    """Like this test, `/api/v1/findings` runs `check` on the guarded store."""
    asked = {"model": "loan", "start": START, "end": END, "now": datetime(2026, 3, 16, 1, tzinfo=UTC)}
    whole = check.check(small.store, **asked)
    few = check.check(guarded_store(small.store, VIEWER), **asked)
    about = [finding.to_json() for finding in whole.findings if RARE in finding.subject]
    assert about and any(re.search(r"\d", finding["because"]) for finding in about)
    hidden = [finding.to_json() for finding in few.findings if RARE in json.dumps(finding.to_json())]
    assert {finding["id"] for finding in about} <= {finding["id"] for finding in hidden}
    for finding in hidden:
        assert (
            finding["value"] is finding["low"] is finding["high"] is None
            and finding["evidence"] == {"suppressed": True}
            and FEWER in finding["because"]
        )
    others = {finding.id: finding for finding in whole.findings if RARE not in json.dumps(finding.to_json())}
    same = {finding.id: finding for finding in few.findings}
    assert all(
        same[name].value == finding.value and same[name].because == finding.because for name, finding in others.items() if finding.n >= 10
    )
    with pytest.raises(ForbiddenError, match=FEWER):
        check.check(guarded_store(small.store, VIEWER), **asked, slice=Slice((("sex", RARE),)))


def test_dashboard_and_mail_figures_hide_small_groups_by_the_persons_rights(sign, small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(process_lock, "current_store", lambda: small.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    monkeypatch.setattr(sign_in, "read_access_settings", lambda _home: type("Settings", (), {"method": "accounts"})())
    place = FigurePlace("fairness", Scope(model="loan", span="dates", start=START, end=END))
    tables = {}
    for person in (OWNER, VIEWER):
        found = page_figures.figures_of_page(place, ["groups-true_positive_rate", "ratios"], person).found
        assert found, "the page draws the figure for both people"
        tables[person.name] = "".join(figure.table.astype(str).to_csv() + figure.alt for figure in found.values())
    assert RARE in tables["ada"] and RARE not in tables["vic"] and FEWER in tables["vic"]


@pytest.fixture
def buttons(monkeypatch: pytest.MonkeyPatch, small: World) -> dict[str, Callable[[], str | bytes]]:
    """What the download buttons of the opened pages produce, by file name. Nobody is signed in, so small groups are visible."""
    monkeypatch.setattr(process_lock, "current_store", lambda: small.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    made: dict[str, Callable[[], str | bytes]] = {}
    monkeypatch.setattr(own_files, "noted_download", lambda name, data: made.setdefault(name, data))
    return made


def test_a_csv_hides_small_groups_even_if_its_page_shows_them(buttons: dict[str, Callable[[], str | bytes]]) -> None:
    app = opened("fairness", model="loan", by="sex", **WHOLE)
    assert figures_beside(rendered(app), RARE)
    text = str(buttons["groups-true_positive_rate.csv"]())
    assert RARE not in text and SCARCE not in text and FEWER in text
    whole = sum(int(float(line)) for line in pd.read_csv(io.StringIO(text))["n"])
    assert whole > 0
    buttons.clear()
    opened("performance", model="loan", slice=f"sex={RARE}", **WHOLE)
    with pytest.raises(NotFoundError, match="small groups"):
        next(iter(buttons.values()))()


def test_a_file_is_not_made_from_the_unmasked_figures_cached_for_a_page(small: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_lock, "current_store", lambda: small.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    monkeypatch.setattr(sign_in, "read_access_settings", lambda _home: type("Settings", (), {"method": "accounts"})())
    person = Person("mia", "analyst", (("loan", "administrator"),))
    place, key = FigurePlace("fairness", Scope(model="loan", span="dates", start=START, end=END)), "groups-true_positive_rate"
    assert RARE in page_figures.figures_of_page(place, [key], person).found[key].table.to_csv()
    assert RARE not in str(page_figures.file_of_page(place, f"{key}-csv", person))


@pytest.mark.parametrize("method", ["accounts", "none"])
def test_a_dashboard_file_hides_small_groups_whoever_makes_it(small: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    monkeypatch.setattr(process_lock, "current_store", lambda: small.store)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    monkeypatch.setattr(sign_in, "read_access_settings", lambda _home: type("Settings", (), {"method": method})())
    person = OWNER if method == "accounts" else HERE
    scope = Scope(model="loan", span="dates", start=START, end=END)
    pin = Pin("p", "", "", FigurePlace("fairness", scope), "groups-true_positive_rate", "none", "full", 1.0)
    board = Board("b", "Board", scope, True, "", END, (pin,))
    text = board_html(board, scope, person)
    assert SCARCE not in text and RARE not in text and FEWER in text
    found = page_figures.figures_of_page(FigurePlace("fairness", scope), [pin.figure], person).found
    assert RARE in found[pin.figure].table.to_csv(), "the page shows the rare group to this person"
