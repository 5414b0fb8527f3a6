"""The lineage page: what one thing was made from and what was made from it, as a picture and a table with links."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.errors import NotFoundError
from observability.core.finding import Finding
from observability.core.questions import Aggregate, By, Records
from observability.core.window import EPOCH, Slice, Window
from observability.dashboard import choice_box, clicks, empty_states, frame, links, load
from observability.dashboard.charts import lineage as charts_lineage
from observability.dashboard.data.sample_data_figures import lineage_figure
from observability.dashboard.scope import Scope
from observability.dashboard.state_cache import cached_by_state
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import link_button, plain_paragraph
from observability.metrics.lineage import (
    FIELDS,
    KINDS,
    Lineage,
    LineageStep,
    LineageView,
    Thing,
    lineage_around,
    lineage_of_records,
    thing_from_address,
    with_prediction,
    with_predictions,
)

HOW = """import observability as obs
log = obs.Logger()
log.batch(batch="2026-03-02", source="clinic", device="d7", rows=1000)
log.dataset(dataset="people", version="2026-03", rows=962, parents=["people@2026-02"], sources=["clinic"], projects=["moods"])
with obs.track_run(model="loan", version="3", dataset="people@2026-03") as run:
    run.step(1, loss=0.3)
log.prediction(id="a1", model="loan", version="3", features={"age": 41}, score=0.62, batch="2026-03-02")"""
OFFERED = ("version", "dataset", "run", "source", "device", "project")
"""Kinds of things that the box offers; a link or a click leads to things of other kinds."""
MAX_OFFERED = 300
DEPTH = 6
"""Maximum number of successive links that are followed in each direction."""
MAX_SIBLINGS = 6
"""Maximum number of things of one kind that are drawn beside one thing."""
COLUMNS = (
    column("thing", "Name", strong=True),
    column("kind", "Kind", short=True),
    column("link", "Link", help="Relation to the next thing towards the centre", phone=False),
    column("facts", "Facts", phone=False),
    column("around", "Lineage", short=True),
)
TWIN_WORDS = {"kind": "Kind", "label": "Name", "distance": "Links from the centre", "relation": "Link", "facts": "Facts"}


def thing_link(thing: Thing, scope: Scope | None = None, text: str = "Lineage") -> dict[str, Any]:
    """The link to the lineage of a thing."""
    return links.link_cell(text, "lineage", replace(scope, version=None, slice=None) if scope else None, thing=thing.address)


def lineage_button(thing: Thing, scope: Scope | None = None, *, key: str, label: str = "Lineage") -> None:
    """Draw a quiet button that leads to the lineage of a thing."""
    link_button(label, thing_link(thing, scope), key=key, icon="account_tree")


@cached_by_state(2, computed=False)
def all_links() -> Lineage:
    """Return every link that the records of the store name, and the number of predictions of each version."""
    always = Window("", EPOCH, load.page_clock())
    frames = {kind: load.ask_store(Records(kind, fields, ever=True), always) for kind, fields in FIELDS.items() if kind != "step"}
    models = load.catalog().models
    versions = [(model.name, version.name) for model in models for version in model.versions]
    found = lineage_of_records(frames, {model.name: model.settings.projects for model in models}, versions)
    served = load.stream_activity()
    live = served[served["environment"] == "production"]
    counts = zip(live["model"], live["version"], live["rows"], strict=True)
    return with_predictions(
        found, [(Thing("version", (str(model), str(version))), str(model), int(n), 0) for model, version, n in counts if n]
    )


def links_around(centre: Thing) -> Lineage:
    """Return all links, and further links that are only read for one centre: those of the prediction itself, of the predictions of batches,
    and of the batches of training steps.
    """
    found = all_links()
    if centre.kind == "prediction":
        with suppress(NotFoundError):
            row = load.store().row(centre.names[0], centre.names[1])
            batch = row.get("batch")
            found = with_prediction(
                found, centre.names[0], centre.names[1], str(row["version"]), str(batch) if batch else None, _annotators_of(centre.names[1])
            )
    if centre.kind in ("run", "batch"):
        asked = Records("step", FIELDS["step"], ever=True, only=((centre.kind, (centre.names[-1],)),))
        steps = load.ask_store(asked, Window("", EPOCH, load.page_clock()))
        held = [thing for thing in found.facts if thing.kind == "batch"]
        batches = pd.DataFrame({"batch": [each.names[1] for each in held], "source": [each.names[0] for each in held]}).assign(rows=0)
        more = lineage_of_records({"step": steps.drop_duplicates(), "batch": batches})
        found = replace(found, links=(*found.links, *(link for link in more.links if link.relation == "was read by")))
    if centre.kind in ("batch", "device", "source"):
        found = with_predictions(found, _predictions_of_batches(centre, found))
    return found


def _annotators_of(item: str) -> list[tuple[str, str]]:
    """Return the project and the name of everyone who labelled an item with this id."""
    asked = Records("annotation", FIELDS["annotation"], ever=True, only=(("item", item),))
    labels = load.ask_store(asked, Window("", EPOCH, load.page_clock()))
    return [(str(project), str(annotator)) for project, annotator in zip(labels["project"], labels["annotator"], strict=True)]


def _predictions_of_batches(centre: Thing, found: Lineage) -> list[tuple[Thing, str, int, int]]:
    """Return for each model the number of predictions that name the batch, or a batch of the device or source. Predictions whose batch name
    is also used by another source are counted separately, because a prediction does not name the source of its batch.
    """
    own = {centre} if centre.kind == "batch" else {link.product for link in found.products.get(centre, ()) if link.product.kind == "batch"}
    if centre.kind == "source":
        devices = [link.origin for link in found.origins.get(centre, ())]
        own |= {link.product for device in devices for link in found.products.get(device, ()) if link.product.kind == "batch"}
    sources = {thing.names[0] for thing in own}
    names = {thing.names[1] for thing in own}
    shared = names & {thing.names[1] for thing in found.facts if thing.kind == "batch" and thing.names[0] not in sources}
    counts = []
    for model in load.catalog().models if names else ():
        answer = load.ask_store(Aggregate("predictions", keys=(By("batch"),)), Window(model.name, EPOCH, load.page_clock()))
        sure, several = (int(answer.loc[answer["batch"].isin(each), "n"].sum()) for each in (names - shared, shared))
        if sure or several:
            counts.append((centre, model.name, sure, several))
    return counts


def thing_of_finding(finding: Finding) -> Thing | None:
    """Return the thing that a finding is about. A finding about records names it in its subject. Otherwise it is the version of the model;
    None if the finding names no version.
    """
    parts = dict(part.partition(":")[::2] for part in finding.subject.split("/") if ":" in part)
    if "run" in parts:
        return Thing("run", (parts["run"],))
    if "dataset" in parts:
        rule = "rule" in parts
        return Thing(
            "rule" if rule else "dataset", (parts["dataset"], parts["rule"] if rule else str(finding.evidence.get("dataset_version") or ""))
        )
    if "source" in parts:
        return Thing("device", (parts["source"], parts["device"])) if "device" in parts else Thing("source", (parts["source"],))
    if "project" in parts:
        return Thing("annotator", (parts["project"], parts["annotator"])) if "annotator" in parts else Thing("project", (parts["project"],))
    return Thing("version", (finding.model, finding.version)) if finding.model and finding.version else None


def no_lineage() -> None:
    """Draw the empty state: nothing is linked yet, and the lines of code that link things."""
    example = ("A dataset, its source and the runs that read it", lineage_figure)
    empty_states.how_to_log_state("Nothing is linked yet.", "Records that name each other make the graph.", HOW, example)


def offered_things(found: Lineage, scope: Scope) -> list[Thing]:
    """Return the choices of the box, limited in number: versions of the scope's model first, then other kinds."""
    things = sorted((thing for thing in found.things if thing.kind in OFFERED), key=lambda thing: (OFFERED.index(thing.kind), thing.names))
    things.sort(key=lambda thing: thing.kind != "version" or (scope.model is not None and thing.names[0] != scope.model))
    return things[:MAX_OFFERED]


def chosen_thing(found: Lineage, scope: Scope) -> Thing | None:
    """Return the thing in the address; if there is none, the newest version of the scope's model or of all models, else the first thing
    that the box offers. None if there is nothing.
    """
    offered = {thing.address: thing for thing in offered_things(found, scope)}
    named = thing_from_address(st.query_params.get("thing"))
    options = [*offered, *([named.address] if named and named.address not in offered else [])]
    things = {**offered, **({named.address: named} if named else {})}
    text = choice_box.address_selectbox(
        "thing",
        "Around",
        options,
        words=lambda address: things[address].words,
        placeholder="Newest model version",
        width=460,
        missing="The link names {}, which is not known here.",
    )
    if text:
        return things[text]
    return newest_version(found, scope) or next(iter(offered.values()), None)


def newest_version(found: Lineage, scope: Scope) -> Thing | None:
    """Return the version that was registered last among those with a link, of the scope's model or of all models. If several were
    registered at the same time, it is the one with the most links.
    """
    models = [model for model in load.catalog().models if scope.model in (None, model.name)]
    times = {Thing("version", (model.name, each.name)): each.registered_at for model in models for each in model.versions}
    linked = [thing for thing in times if thing in found.origins or thing in found.products]

    def key(thing: Thing) -> tuple[datetime, int, tuple[str, ...]]:
        links_of = len(found.origins.get(thing, ())) + len(found.products.get(thing, ()))
        return times[thing] or EPOCH, links_of, thing.names

    return max(linked, key=key, default=None)


def drawn_rows(view: LineageView, facts: Mapping[Thing, str]) -> pd.DataFrame:
    """Return the rows of the picture from the top: upstream things with the farthest first, the centre, and downstream things."""
    above = [_upside_down(view), [LineageStep(view.centre, 0, None, "")], list(view.downstream)]
    steps = [step for part in above for step in part]
    places = {step.thing: place for place, step in enumerate(steps) if not step.hidden}
    rows = []
    for place, step in enumerate(steps):
        many = KINDS[step.thing.kind][1]
        known = facts.get(step.thing, "")
        label = f"{step.hidden:,} more {many}" if step.hidden else (known if step.thing.kind == "predictions" else step.thing.words)
        label = f"{label} {step.thing.label}" if step.thing.kind == "predictions" and not step.hidden else label
        near = step.above
        sentence = _link_sentence(step)
        rows.append(
            {
                "address": (near or step.thing).address if step.hidden else step.thing.address,
                "kind": step.thing.kind,
                "label": label,
                "hover": "<br>".join(charts_lineage.hover_lines([label, sentence, "" if step.hidden else known])),
                "distance": step.distance,
                "place": place,
                "above": float(places[near]) if near is not None else float("nan"),
                "hidden": step.hidden,
                "relation": sentence,
                "facts": "" if step.hidden else known,
            }
        )
    return pd.DataFrame(rows)


def _upside_down(view: LineageView) -> list[LineageStep]:
    """Return the upstream steps in the order of drawing: each stands above the thing that was made from it."""
    return list(reversed(view.upstream))


def _link_sentence(step: LineageStep) -> str:
    """Return a link in words, such as `dataset people was read by training run r`; empty for the centre."""
    if step.above is None:
        return ""
    own = f"{step.hidden:,} more {KINDS[step.thing.kind][1]}" if step.hidden else step.thing.words
    first, second = (own, step.above.words) if step.origin else (step.above.words, own)
    return f"{first} {'·' if step.hidden else step.relation} {second}"


def lineage_section(centre: Thing, depth: int, scope: Scope) -> None:
    """Draw the picture around a thing, a sentence on what it leaves out, and the table with a link to the page of each thing."""
    found = links_around(centre)
    view = lineage_around(found, centre, depth, MAX_SIBLINGS)
    rows = drawn_rows(view, found.facts)
    whole = rows[rows["hidden"] == 0]
    places = dict(zip(whole["address"], whole["place"], strict=True))
    others = pd.DataFrame([[places[link.origin.address], places[link.product.address]] for link in view.others], columns=["from", "to"])
    up = sum(not step.hidden for step in view.upstream)
    beside = sum(step.origin and not step.hidden for step in view.downstream)
    down = view.drawn - 1 - up - beside
    also = f", {beside} more behind its model versions" if beside else ""
    alt = f"{centre.words}: {up} upstream, {down} downstream{also}."
    plain_paragraph(alt[:1].upper() + alt[1:] + left_out_words(view))
    if view.drawn == 1:
        wanting = centre.kind == "prediction"
        plain_paragraph(f"The model {centre.names[0]} has no prediction of this id." if wanting else "No record links it to anything else.")
    figure = charts_lineage.lineage_tree(rows, others)
    twin = rows[list(TWIN_WORDS)]
    frame.chart_with_table(figure, twin, key="lineage-graph", alt=alt, columns=TWIN_WORDS, on_select=_Recentre("lineage-graph"))
    lines = [_table_line(step, view, found, scope) for step in _shown_steps(view)]
    draw_table("things", "Things in the picture", COLUMNS, lines, compact=True)


class _Recentre:
    """A callback for clicks on the picture, which makes the clicked thing the centre."""

    hint = "Click a mark to put it in the centre"

    def __init__(self, key: str) -> None:
        self.key = key

    def __call__(self) -> None:
        """Handle the click; Streamlit calls this after it."""
        for point in clicks.clicked_points(self.key):
            if (given := point.get("customdata")) and thing_from_address(str(given[0])):
                st.query_params["thing"] = str(given[0])
                return


def _shown_steps(view: LineageView) -> list[LineageStep]:
    """The drawn things in the order of the picture."""
    steps = [*_upside_down(view), LineageStep(view.centre, 0, None, ""), *view.downstream]
    return [step for step in steps if not step.hidden]


def _table_line(step: LineageStep, view: LineageView, found: Lineage, scope: Scope) -> dict[str, Any]:
    """Return the table row of one thing."""
    thing = step.thing
    cells: dict[str, Cell] = {
        "thing": page_of_thing(thing, scope),
        "kind": {"t": KINDS[thing.kind][0]},
        "link": {"t": _link_words(step)},
        "facts": {"t": found.facts.get(thing) or formatting.DASH},
        "around": {"t": "here"} if thing == view.centre else thing_link(thing, scope, "show"),
    }
    return table_row(cells, selected=thing == view.centre)


def _link_words(step: LineageStep) -> str:
    """Return the words of a link, such as `cleaned dataset people`. For an origin, its own name is left out; for a product, they are the
    whole sentence.
    """
    if step.above is None:
        return formatting.DASH
    return f"{step.relation} {step.above.words}" if step.origin else _link_sentence(step)


def left_out_words(view: LineageView) -> str:
    """Return a sentence, beginning with a blank, about the things that the picture leaves out; empty if it leaves out nothing."""
    parts = [formatting.plural(n, *KINDS[kind]) for kind, n in view.hidden.items()]
    found = f" Not drawn: {formatting.join_words(parts)}." if parts else ""
    if view.beyond:
        found += f" {view.beyond:,} of them {'has' if view.beyond == 1 else 'have'} further links."
    return found


def page_of_thing(thing: Thing, scope: Scope) -> dict[str, Any]:
    """The link to the page of a thing."""
    return PAGES[thing.kind](thing, replace(scope, version=None, slice=None))


def _predictions_page(thing: Thing, scope: Scope) -> dict[str, Any]:
    """Return the link to the cases of a version or of a batch, in all dates. For a device or source it is the link to its page, because no
    search condition can name several batches. On that page, each of the newest batches has a link to its cases.
    """
    origin = thing_from_address(thing.names[1])
    own = replace(scope.about(thing.names[0]), start=None, end=None, span="all")
    if origin is not None and origin.kind in ("device", "source"):
        return page_of_thing(origin, own) | {"t": thing.names[0]}
    if origin is not None and origin.kind == "version":
        own = replace(own, version=origin.names[1])
    if origin is not None and origin.kind == "batch":
        own = replace(own, slice=Slice((("batch", origin.names[1]),)))
    return links.link_cell(thing.names[0], "cases", own, q=clicks.EVERY)


PAGES: dict[str, Callable[[Thing, Scope], dict[str, Any]]] = {
    "annotator": lambda thing, scope: links.link_cell(thing.label, "labelling", scope, project=thing.names[0], annotator=thing.names[1]),
    "project": lambda thing, scope: links.link_cell(thing.label, "labelling", scope, project=thing.names[0]),
    "device": lambda thing, scope: links.link_cell(
        thing.label, "devices", scope, device=f"source:{thing.names[0]}/device:{thing.names[1]}"
    ),
    "source": lambda thing, scope: links.link_cell(
        thing.label, "batches", replace(scope, start=None, end=None, span="all"), source=thing.label
    ),
    "batch": lambda thing, scope: links.link_cell(
        thing.label, "batches", replace(scope, start=None, end=None, span="all"), source=thing.names[0], batch=thing.names[1]
    ),
    "rule": lambda thing, scope: links.link_cell(
        thing.label, "cleaning", replace(scope, start=None, end=None, span="all"), rule=f"dataset:{thing.names[0]}/rule:{thing.names[1]}"
    ),
    "dataset": lambda thing, scope: links.link_cell(
        thing.label, "datasets", scope, dataset=thing.names[0], version_of_data=thing.names[1] or None
    ),
    "run": lambda thing, scope: links.link_cell(thing.label, "runs", scope, run=thing.label),
    "version": lambda thing, scope: links.link_cell(thing.label, "model", replace(scope.about(thing.names[0]), version=thing.names[1])),
    "predictions": _predictions_page,
    "prediction": lambda thing, scope: links.case_link(thing.names[1], thing.names[1], thing.names[0]),
}
"""The page of each kind of thing."""
