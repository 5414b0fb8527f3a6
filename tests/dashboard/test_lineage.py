"""The lineage page draws what the records link, each thing only once, with a link to its page; other pages link to the lineage page."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest

from observability.core.catalog import Catalog, Model, Version
from observability.dashboard import links, load
from observability.dashboard.charts.lineage import lineage_tree
from observability.dashboard.data.lineage_view import drawn_rows, left_out_words, newest_version, thing_of_finding
from observability.dashboard.scope import Scope
from observability.metrics.lineage import Lineage, LineageLink, Thing, lineage_around
from observability.store.db.database import Database
from tests.dashboard.conftest import land
from tests.support.dashboard_pages import opened, tables, words

END = datetime(2026, 3, 16, tzinfo=UTC)


def lines() -> list[dict]:
    """A batch from a device, a prediction from the batch, and a training run. A rule cleaned the run's dataset, and a project
    labelled it.
    """
    at = (END - timedelta(days=3)).isoformat()
    answered = {"kind": "prediction", "at": at, "model": "loan", "version": "3", "features": {"age": 41}, "score": 0.6}
    found = [
        {"kind": "batch", "batch": "monday", "at": at, "source": "ward", "device": "d7", "rows": 3},
        *({**answered, "id": f"p{place}", "batch": "monday"} for place in range(3)),
        {**answered, "id": "alone"},
        {"kind": "dataset", "dataset": "people", "version": "7", "at": at, "rows": 900, "sources": ["ward"], "projects": ["moods"]},
        {"kind": "cleaning", "rule": "adults", "dataset": "people", "version": "7", "at": at, "rows_in": 1000, "rows_changed": 0, "rows_dropped": 100},
        {"kind": "run", "run": "of-seven", "event": "start", "at": at, "dataset": "people@7", "model": "loan", "version": "3"},
        {"kind": "annotation", "project": "moods", "item": "i", "annotator": "ann", "at": at, "label": "good"},
    ]  # fmt: skip
    return found


@pytest.fixture
def logged(empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """The store that this process owns, with these records."""
    land(empty, lines(), tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    return empty


def drawn(**parameters: str) -> dict[str, dict]:
    """The page's table, by kind and name of each thing."""
    rows = [each["cells"] for each in tables(opened("lineage", **parameters))["Things in the picture"]["rows"]]
    return {f"{cells['kind']['t']} {cells['thing']['t']}": cells for cells in rows}


def test_a_prediction_is_traced_to_its_device_data_and_annotators(logged: Database) -> None:
    found = drawn(thing="prediction:loan/p1")
    assert set(found) == {
        "prediction p1", "batch monday", "device d7", "model version loan 3", "training run of-seven", "dataset people, version 7",
        "cleaning rule adults", "source ward", "labelling project moods", "annotator ann",
    }  # fmt: skip
    targets = {name: (cells["thing"]["go"]["page"], cells["thing"]["go"]["parameters"]) for name, cells in found.items()}
    assert targets["device d7"][0] == "devices" and targets["device d7"][1]["device"] == "source:ward/device:d7"
    assert targets["batch monday"][0] == "batches" and targets["batch monday"][1]["batch"] == "monday"
    assert targets["training run of-seven"] == ("runs", {**targets["training run of-seven"][1], "run": "of-seven"})
    assert targets["cleaning rule adults"][1]["rule"] == "dataset:people/rule:adults"
    assert targets["model version loan 3"][1]["version"] == "3" and targets["annotator ann"][1]["annotator"] == "ann"
    assert {page for page, _ in targets.values()} == {"case", "batches", "devices", "model", "runs", "datasets", "cleaning", "labelling"}
    assert found["cleaning rule adults"]["facts"]["t"] == "last dropped 100 and changed 0 of 1,000 rows"


def test_a_dataset_and_an_annotator_are_linked_by_the_model_if_no_dataset_names_a_project(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [{key: value for key, value in each.items() if key != "projects"} for each in lines()]
    land(empty, [{**each, "project": "loan"} if each["kind"] == "annotation" else each for each in records], tmp_path)
    monkeypatch.setattr(load, "page_clock", lambda: END)
    whole = {"model version loan 3", "training run of-seven", "dataset people, version 7", "cleaning rule adults", "labelling project loan", "annotator ann"}  # fmt: skip
    for thing in ("version:loan/3", "dataset:people/7", "annotator:loan/ann", "rule:people/adults", "run:of-seven", "prediction:loan/p1"):
        assert whole <= set(drawn(thing=thing)), thing
    said = drawn(thing="dataset:people/7")["labelling project loan"]["link"]["t"]
    assert said == "labels the predictions of model version loan 3"
    assert "Dataset people, version 7: 3 upstream, 3 downstream, 2 more behind its model versions." in words(opened("lineage", thing="dataset:people/7"))  # fmt: skip


def test_a_device_leads_to_the_predictions_from_its_batches(logged: Database) -> None:
    found = drawn(thing="device:ward/d7")
    assert found["predictions loan"]["facts"]["t"] == "3 predictions"  # the prediction without a batch is not among them
    assert {"batch monday", "source ward", "dataset people, version 7", "model version loan 3"} <= set(found)


def test_prediction_links_of_a_device_source_or_batch_open_only_its_predictions(logged: Database) -> None:
    found = {thing: drawn(thing=thing)["predictions loan"]["thing"] for thing in ("device:ward/d7", "source:ward", "batch:ward/monday")}
    targets = {thing: (cell["t"], cell["go"]["page"], cell["go"]["parameters"]) for thing, cell in found.items()}
    of_loan = {"model": "loan", "window": "Everything"}
    assert targets["device:ward/d7"] == ("loan", "devices", of_loan | {"device": "source:ward/device:d7"})
    assert targets["source:ward"] == ("loan", "batches", of_loan | {"source": "ward"})
    page, parameters = targets["batch:ward/monday"][1:]
    assert page == "cases" and parameters["slice"] == "batch=monday"
    for page, parameters in (targets["device:ward/d7"][1:], targets["source:ward"][1:]):
        (row,) = [each["cells"] for each in tables(opened(page, **parameters))["Batches of ward, newest first"]["rows"]]
        leads = row["predictions"]["go"]
        assert row["predictions"]["t"] == "3" and leads["page"] == "cases"
        listed = tables(opened("cases", **leads["parameters"]))["Predictions that meet the conditions"]["rows"]
        assert sorted(each["cells"]["case"]["t"] for each in listed) == ["p0", "p1", "p2"]


def test_a_case_links_to_its_own_annotators_and_not_to_others_of_the_project(
    empty: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [{key: value for key, value in each.items() if key != "projects"} for each in lines()]
    label = records[-1] | {"project": "loan"}
    land(empty, [*records[:-1], label, label | {"item": "p1", "annotator": "bob"}, label | {"item": "p1", "annotator": "eve", "project": "moods"}], tmp_path)  # fmt: skip
    monkeypatch.setattr(load, "page_clock", lambda: END)
    of_case = drawn(thing="prediction:loan/p1")
    assert [name for name in of_case if name.startswith(("annotator", "labelling project"))] == ["annotator bob"]
    assert of_case["annotator bob"]["link"]["t"] == "labelled prediction p1"
    assert {"annotator ann", "annotator bob", "labelling project loan"} <= set(drawn(thing="prediction:loan/p2")), (
        "the graph of an unlabelled prediction shows all annotators"
    )


def test_predictions_of_a_batch_name_shared_by_two_sources_are_counted_separately(logged: Database, tmp_path: Path) -> None:
    batch, *_, alone = lines()[:5]
    land(logged, [{**batch, "source": "lab", "device": "d8"}, {**batch, "batch": "tuesday"}, {**alone, "id": "later", "batch": "tuesday"}], tmp_path)  # fmt: skip
    unclear = "3 more name a batch that another source has too"
    assert drawn(thing="device:ward/d7")["predictions loan"]["facts"]["t"] == f"1 prediction; {unclear}"
    assert drawn(thing="batch:lab/monday")["predictions loan"]["facts"]["t"] == f"0 predictions; {unclear}"
    assert drawn(thing="batch:ward/tuesday")["predictions loan"]["facts"]["t"] == "1 prediction"


def test_the_page_opens_on_a_version_and_other_pages_lead_to_it(logged: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[dict] = []
    monkeypatch.setattr(links, "follow_link", followed.append)
    app = opened("lineage")
    assert "Model version loan 3: 7 upstream, 1 downstream." in words(app)
    assert "which is not known here" in words(opened("lineage", thing="planet:mars"))
    assert "no prediction of this id" in words(opened("lineage", thing="prediction:loan/never"))
    for page, parameters, thing in (
        ("datasets", {"dataset": "people"}, "dataset:people/7"),
        ("batches", {"source": "ward", "window": "Everything"}, "source:ward"),
        ("runs", {"run": "of-seven"}, "run:of-seven"),
        ("devices", {"window": "Everything"}, "device:ward/d7"),
        ("cleaning", {"window": "Everything"}, "rule:people/adults"),
        ("labelling", {"project": "moods", "annotator": "ann"}, "annotator:moods/ann"),
    ):
        app = opened(page, **parameters)
        app.button(key="to-lineage").click().run()
        assert followed[-1]["page"] == "lineage" and followed[-1]["parameters"]["thing"] == thing


def test_a_case_leads_to_its_batch_and_the_device_that_delivered_it(logged: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    followed: list[dict] = []
    monkeypatch.setattr(links, "follow_link", followed.append)
    app = opened("case", id="p0", model="loan")
    for place in range(2):
        app.button(key=f"to-batch-{place}").click().run()
    batch, device = ({key: each["parameters"].get(key) for key in ("source", "batch", "device")} for each in followed[-2:])
    assert [each["page"] for each in followed[-2:]] == ["batches", "devices"]
    assert batch == {"source": "ward", "batch": "monday", "device": None} and device["device"] == "source:ward/device:d7"
    assert "to-batch-0" not in [each.key for each in opened("case", id="alone", model="loan").button]


def test_an_empty_lineage_page_shows_the_code_that_logs_links(empty: Database) -> None:
    assert any("parents=" in each.value for each in opened("lineage").code)


def test_the_lineage_picture_draws_each_thing_beside_its_neighbour_and_counts_hidden_ones() -> None:
    centre, run = Thing("dataset", ("d", "1")), Thing("run", ("r",))
    rules = [Thing("rule", ("d", f"rule {place}")) for place in range(10)]
    found = Lineage((LineageLink(centre, run, "was read by"), *(LineageLink(rule, centre, "cleaned") for rule in rules)), {})
    view = lineage_around(found, centre, most=6)
    rows = drawn_rows(view, {})
    assert left_out_words(view) == " Not drawn: 4 cleaning rules."
    assert list(rows["distance"]) == [-1] * 7 + [0, 1] and list(rows["hidden"]) == [4, *[0] * 8]
    assert set(rows["above"].dropna()) == {7.0}, "all rows are linked to the chosen item in row 7"
    figure = lineage_tree(rows, pd.DataFrame(columns=["from", "to"]))
    marks = figure.data[-1]
    assert list(marks.x) == [1] * 7 + [0, 1] and list(marks.y) == list(range(9))
    assert [each[0] for each in marks.customdata][7] == "dataset:d/1" and "4 more cleaning rules" in marks.text[0]


@pytest.mark.parametrize(
    ("subject", "thing"),
    [
        ("run:r/rank:3", "run:r"),
        ("dataset:people/rule:adults", "rule:people/adults"),
        ("source:ward/device:d7", "device:ward/d7"),
        ("source:ward", "source:ward"),
        ("project:moods/annotator:ann", "annotator:moods/ann"),
        ("age", "version:loan/3"),
    ],
)
def test_a_finding_links_to_the_lineage_of_its_subject(subject: str, thing: str) -> None:
    from observability.core.finding import Finding

    found = object.__new__(Finding)
    for name, value in {"subject": subject, "model": "loan", "version": "3", "evidence": {}}.items():
        object.__setattr__(found, name, value)
    assert (named := thing_of_finding(found)) is not None and named.address == thing


def test_the_newest_version_is_the_one_registered_last_and_not_the_first_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = (Version("1", END - timedelta(days=9)), Version("10", END), Version("9", END - timedelta(days=2)), Version("unregistered"))
    models = (Model(1, "loan", versions=versions), Model(2, "alone", versions=(Version("5", END + timedelta(days=1)),)))
    monkeypatch.setattr(load, "catalog", lambda: Catalog(models))
    named = [Thing("version", ("loan", each.name)) for each in versions]
    found = Lineage(tuple(LineageLink(Thing("run", (f"r{place}",)), thing, "trained") for place, thing in enumerate(named)))
    assert newest_version(found, Scope()) == Thing("version", ("loan", "10"))
    assert newest_version(found, Scope(model="alone")) is None
