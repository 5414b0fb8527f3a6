"""The lineage graph around an item equals a drawing by hand from the same records, and states what it leaves out."""

from datetime import datetime

import pandas as pd
import pytest

from observability.metrics.lineage import (
    Lineage,
    LineageLink,
    Thing,
    lineage_around,
    lineage_of_records,
    thing_from_address,
    with_prediction,
    with_predictions,
)

AT = datetime(2026, 3, 1)
CLINIC_1, CLINIC_2 = Thing("dataset", ("clinic", "1")), Thing("dataset", ("clinic", "2"))
RUN, SERVED = Thing("run", ("r",)), Thing("version", ("loan", "3"))


def frames(batches: int = 2) -> dict[str, pd.DataFrame]:
    """Records: a device delivers batches to a source; two dataset versions, a rule, a project with two annotators, a run, a version."""
    datasets = [
        {"dataset": "clinic", "version": "1", "at": AT, "rows": 900, "parents": None, "extra": {"sources": "wards"}},
        {"dataset": "clinic", "version": "2", "at": AT, "rows": 1000, "parents": ["clinic@1", "notes"], "extra": {"projects": ["moods"]}},
        {"dataset": "notes", "version": "7", "at": AT, "rows": 5, "parents": [], "extra": None},
    ]
    runs = [
        {
            "run": "r",
            "at": AT,
            "event": "start",
            "model": "loan",
            "version": None,
            "dataset": "clinic@2",
            "extra": {"inputs": ["clinic 2"]},
        },
        {"run": "r", "at": AT, "event": "end", "model": None, "version": "3", "dataset": None, "extra": {}},
        {"run": "unnamed", "at": AT, "event": "start", "model": "loan", "version": None, "dataset": "clinic", "extra": None},
    ]
    cleanings = [
        {"rule": "adults", "at": AT, "dataset": "clinic", "version": "2", "rows_in": 1100, "rows_changed": 0, "rows_dropped": 100, "extra": None},
        {
            "rule": "audit: outliers", "at": AT, "dataset": "clinic", "version": "2", "rows_in": 9, "rows_changed": 0, "rows_dropped": 1,
            "extra": {"proposed": True},
        },
    ]  # fmt: skip
    return {
        "dataset": pd.DataFrame(datasets),
        "run": pd.DataFrame(runs),
        "cleaning": pd.DataFrame(cleanings),
        "batch": pd.DataFrame(
            [{"batch": f"b{n:04}", "at": AT, "source": "wards", "device": "d7", "rows": 10} for n in range(batches)]
            + [{"batch": "alone", "at": AT, "source": "post", "device": None, "rows": 1}]
        ),
        "annotation": pd.DataFrame([{"project": "moods", "annotator": who} for who in ("ann", "bob", "ann")]),
        "event": pd.DataFrame([{"at": AT, "what": "deploy", "model": "loan", "version": "3", "run": "r"}]),
        "step": pd.DataFrame([{"run": "r", "batch": "b0001"}, {"run": "r", "batch": "never logged"}]),
    }


@pytest.fixture
def whole() -> Lineage:
    found = with_prediction(lineage_of_records(frames(), {"loan": ("moods",)}, [("loan", "3")]), "loan", "p1", "3", "b0000")
    return with_predictions(found, [(SERVED, "loan", 41, 0)])


def test_every_link_is_one_that_a_record_names(whole: Lineage) -> None:
    drawn = {f"{link.origin.address} {link.relation} {link.product.address}" for link in whole.links}
    assert drawn == {
        "dataset:clinic/1 is a parent of dataset:clinic/2",
        "dataset:notes/7 is a parent of dataset:clinic/2",  # if a dataset has one version, its name alone means that version
        "source:wards delivered rows of dataset:clinic/1",
        "project:moods labelled rows of dataset:clinic/2",
        "rule:clinic/adults cleaned dataset:clinic/2",  # a proposed rule removed nothing
        "dataset:clinic/2 was read by run:r",
        "dataset:clinic/ was read by run:unnamed",  # if there are two versions, none is named
        "run:r trained version:loan/3",
        "run:r was deployed as version:loan/3",
        "device:wards/d7 captured batch:wards/b0000",
        "device:wards/d7 captured batch:wards/b0001",
        "device:wards/d7 delivers to source:wards",
        "source:post delivered batch:post/alone",
        "batch:wards/b0001 was read by run:r",
        "annotator:moods/ann labels in project:moods",
        "annotator:moods/bob labels in project:moods",
        "project:moods labels the predictions of version:loan/3",
        "version:loan/3 answered prediction:loan/p1",
        "batch:wards/b0000 was used by prediction:loan/p1",
        "version:loan/3 answered predictions:loan/version%3Aloan%2F3",
    }


def test_a_project_with_the_name_of_a_model_labels_its_predictions_where_the_settings_name_none() -> None:
    def labelling(records: dict[str, pd.DataFrame]) -> set[str]:
        return {
            each.origin.address for each in lineage_of_records(records, {}, [("loan", "3")]).origins[SERVED] if "labels" in each.relation
        }

    assert labelling(frames() | {"annotation": pd.DataFrame([{"project": "loan", "annotator": "ann"}])}) == {"project:loan"}
    assert labelling(frames()) == set()


@pytest.mark.parametrize(
    "centre", ["version:loan/3", "run:r", "dataset:clinic/2", "rule:clinic/adults", "annotator:moods/ann", "prediction:loan/p1"]
)
def test_the_graph_around_each_thing_of_a_model_holds_its_data_its_rules_and_its_annotators(centre: str) -> None:
    records = frames()
    records["dataset"]["extra"] = None  # no dataset names a project, but the model's settings do
    found = with_prediction(lineage_of_records(records, {"loan": ("moods",)}, [("loan", "3")]), "loan", "p1", "3", None)
    middle = thing_from_address(centre)
    assert middle is not None
    view = lineage_around(found, middle)
    reached = {centre, *(step.thing.address for step in (*view.upstream, *view.downstream))}
    assert {
        "version:loan/3", "run:r", "dataset:clinic/2", "rule:clinic/adults", "project:moods", "annotator:moods/ann", "prediction:loan/p1"
    } <= reached  # fmt: skip
    for step in (*view.upstream, *view.downstream):
        ends = (step.thing, step.above) if step.origin else (step.above, step.thing)
        assert (*ends, step.relation) in {(link.origin, link.product, link.relation) for link in found.links}
    if centre == "annotator:moods/ann":
        assert "annotator:moods/bob" not in reached, "a sibling of the centre is not reached"


def test_the_lineage_of_a_prediction_reaches_its_device_annotators_and_rules_but_no_siblings(whole: Lineage) -> None:
    view = lineage_around(whole, Thing("prediction", ("loan", "p1")))
    reached = {step.thing.address: -step.distance for step in view.upstream}
    assert not view.downstream and view.beyond == 0 and not view.hidden
    assert reached == {
        "batch:wards/b0000": 1, "device:wards/d7": 2, "version:loan/3": 1, "run:r": 2, "batch:wards/b0001": 3, "dataset:clinic/2": 3,
        "dataset:clinic/1": 4, "dataset:notes/7": 4, "rule:clinic/adults": 4, "project:moods": 2, "source:wards": 5,
        "annotator:moods/ann": 3, "annotator:moods/bob": 3,
    }  # fmt: skip
    assert {f"{link.origin.address} {link.product.address}" for link in view.others} == {
        "device:wards/d7 batch:wards/b0001",
        "device:wards/d7 source:wards",
        "project:moods dataset:clinic/2",
    }


def test_annotators_who_labelled_a_prediction_are_shown_instead_of_their_project() -> None:
    records = frames()
    records["dataset"]["extra"] = None
    found = lineage_of_records(records, {"loan": ("moods", "second")}, [("loan", "3")])
    prediction = Thing("prediction", ("loan", "p1"))

    def people(*annotators: tuple[str, str]) -> set[str]:
        view = lineage_around(with_prediction(found, "loan", "p1", "3", None, annotators), prediction)
        return {
            f"{step.thing.address} {step.relation}"
            for step in view.upstream
            if step.thing.kind in ("annotator", "project") and not step.hidden
        }

    assert people(("moods", "bob"), ("moods", "bob")) == {"annotator:moods/bob labelled"}
    assert people(("moods", "bob"), ("second", "eve")) == {"annotator:moods/bob labelled", "annotator:second/eve labelled"}
    whole = people()
    assert {"annotator:moods/ann labels in", "annotator:moods/bob labels in", "project:second labels the predictions of"} <= whole
    assert people(("of another model", "ann")) == whole


def test_the_annotators_of_a_prediction_do_not_replace_those_of_its_training_data() -> None:
    found = lineage_of_records(frames(), {"loan": ("moods",)}, [("loan", "3")])
    view = lineage_around(with_prediction(found, "loan", "p1", "3", None, [("moods", "bob")]), Thing("prediction", ("loan", "p1")))
    reached = {step.thing.address: (step.relation, step.above.address if step.above else None) for step in view.upstream}
    assert reached["annotator:moods/bob"] == ("labelled", "prediction:loan/p1")
    assert reached["project:moods"] == ("labelled rows of", "dataset:clinic/2") and "annotator:moods/ann" in reached


def test_each_lineage_step_is_listed_under_the_step_that_it_is_linked_to(whole: Lineage) -> None:
    view = lineage_around(whole, CLINIC_1)
    for steps in (view.upstream, view.downstream):
        before = {CLINIC_1: 0}
        for step in steps:
            assert step.above in before and abs(step.distance) == before[step.above] + 1
            before[step.thing] = abs(step.distance)
    assert [step.thing for step in view.downstream][:3] == [CLINIC_2, RUN, SERVED]


def test_lineage_steps_that_are_left_out_are_counted() -> None:
    found = lineage_of_records(frames(batches=40))
    view = lineage_around(found, Thing("device", ("wards", "d7")), most=6)
    assert view.hidden == {"batch": 34}
    assert sum(step.thing.kind == "batch" and not step.hidden for step in view.downstream) == 6
    assert view.drawn == 1 + sum(not step.hidden for step in view.downstream)
    near = lineage_around(found, Thing("device", ("wards", "d7")), depth=1)
    assert near.beyond >= 1, "the source is linked to a further dataset"
    assert lineage_around(found, Thing("device", ("wards", "d7")), most=39).hidden == {}, (
        "one more item takes the place of the count of hidden items"
    )


def test_a_wide_and_deep_graph_is_drawn_up_to_a_limit_and_the_rest_is_counted() -> None:
    centre, project = Thing("annotator", ("p", "ann")), Thing("project", ("p",))
    links, level = [LineageLink(centre, project, "labels in")], [Thing("version", ("loan", str(place))) for place in range(7)]
    links += [LineageLink(project, each, "labels the predictions of") for each in level]
    for _ in range(3):
        parents = {each: [Thing("dataset", (f"{'/'.join(each.names)}-{place}", "1")) for place in range(6)] for each in level}
        links += [LineageLink(parent, each, "went into") for each, several in parents.items() for parent in several]
        level = [parent for several in parents.values() for parent in several]
    view = lineage_around(Lineage(tuple(links)), centre)
    assert view.drawn == 1 + 60 and len(view.downstream) <= 2 * 60 and view.beyond == 0
    assert view.hidden == {"dataset": 42 * 6 - 10 + 10 * 6}, "hidden neighbours of drawn items are counted"
    assert {each.thing for each in view.downstream if each.thing.kind == "version"} == {each.product for each in links[1:8]}
    assert lineage_around(Lineage(tuple(links)), centre, in_all=2000).drawn == len(links) + 1


def test_circular_links_do_not_loop_forever() -> None:
    circle = Lineage(
        (
            LineageLink(CLINIC_1, CLINIC_2, "is a parent of"),
            LineageLink(CLINIC_2, CLINIC_1, "is a parent of"),
            LineageLink(CLINIC_2, RUN, "x"),
        )
    )
    view = lineage_around(circle, CLINIC_1)
    assert [step.thing for step in view.upstream] == [CLINIC_2] and [step.thing for step in view.downstream] == []
    assert {link.product for link in view.others} == {CLINIC_2}


@pytest.mark.parametrize(
    "thing", [SERVED, RUN, CLINIC_1, Thing("rule", ("", "a/b:c%")), Thing("dataset", ("of none", "")), Thing("batch", ("ü", " "))]
)
def test_the_address_of_a_thing_is_read_back_as_the_same_thing(thing: Thing) -> None:
    assert thing_from_address(thing.address) == thing


@pytest.mark.parametrize("text", [None, "", "run", "run:", "planet:mars", "run:a/b", "version:loan", "dataset:/"])
def test_a_text_that_is_no_address_gives_no_thing(text: str | None) -> None:
    assert thing_from_address(text) is None


def test_without_records_there_are_no_links() -> None:
    empty = lineage_of_records({})
    assert empty.links == () and lineage_around(empty, RUN).drawn == 1


def test_a_batch_name_used_by_two_sources_is_linked_to_neither_batch() -> None:
    batches = pd.DataFrame([{"batch": "monday", "source": source, "device": None, "rows": 5} for source in ("clinic", "lab")])
    steps = pd.DataFrame([{"run": "r", "batch": "monday"}])
    one, both = (lineage_of_records({"step": steps, "batch": part}) for part in (batches.iloc[:1], batches))
    run, prediction = Thing("run", ("r",)), Thing("prediction", ("loan", "p"))
    assert [link.origin for link in one.origins[run]] == [Thing("batch", ("clinic", "monday"))] and run not in both.origins
    known, unsure = (with_prediction(each, "loan", "p", "3", "monday") for each in (one, both))
    assert {link.origin.kind for link in known.origins[prediction]} == {"version", "batch"} and known.facts[prediction] == ""
    assert {link.origin.kind for link in unsure.origins[prediction]} == {"version"}
    assert unsure.facts[prediction] == "2 sources have a batch of this name"
