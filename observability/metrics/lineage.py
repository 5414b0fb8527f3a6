"""The graph that links things to their origins and products: devices, batches, datasets, rules, projects, runs, versions, predictions.

All links are read from names in records. Only one thing is inferred: if a dataset has a single version, the dataset's name alone means that
version.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from observability.metrics.cost import dataset_spellings

if TYPE_CHECKING:
    from pandas import DataFrame

KINDS = {
    "annotator": ("annotator", "annotators"),
    "project": ("labelling project", "labelling projects"),
    "device": ("device", "devices"),
    "source": ("source", "sources"),
    "batch": ("batch", "batches"),
    "rule": ("cleaning rule", "cleaning rules"),
    "dataset": ("dataset", "datasets"),
    "run": ("training run", "training runs"),
    "version": ("model version", "model versions"),
    "predictions": ("predictions", "predictions"),
    "prediction": ("prediction", "predictions"),
}
"""Kinds of things, origins before products, in the singular and the plural."""
PLACES = {kind: place for place, kind in enumerate(KINDS)}
FIELDS = {
    "dataset": ("dataset", "version", "at", "rows", "parents", "extra"),
    "run": ("run", "at", "event", "model", "version", "dataset", "extra"),
    "cleaning": ("rule", "at", "dataset", "version", "rows_in", "rows_changed", "rows_dropped", "extra"),
    "batch": ("batch", "at", "source", "device", "rows"),
    "event": ("at", "what", "model", "version", "run"),
    "annotation": ("project", "annotator"),
    "step": ("run", "batch"),
}
"""Fields of the records that name the origins of a thing. Additional fields (in `extra`) are read too: `sources`, `projects` and `run` of a
dataset, `inputs` of a run, `proposed` of a cleaning rule that removed nothing.
"""


@dataclass(frozen=True, order=True)
class Thing:
    """One thing in the graph: its kind (see KINDS) and the names that distinguish it from other things of its kind.

    The names of each kind: annotator (project, name), project (name,), device (source, name), source (name,), batch (source, name), rule
    (dataset or "", name), dataset (name, version or ""), run (name,), version (model, name), predictions (model, what all of them share),
    prediction (model, id).
    """

    kind: str
    names: tuple[str, ...]

    @property
    def label(self) -> str:
        """The name of the thing without its kind, as shown to people."""
        if self.kind == "dataset":
            return f"{self.names[0]}, version {self.names[1]}" if self.names[1] else f"{self.names[0]}, no version named"
        if self.kind == "version":
            return f"{self.names[0]} {self.names[1]}"
        if self.kind == "predictions":
            return f"of {self.names[0]}"
        return self.names[-1]

    @property
    def words(self) -> str:
        """Kind and name: `training run flights-late-final`."""
        return f"{KINDS[self.kind][0]} {self.label}"

    @property
    def address(self) -> str:
        """The thing in an address: `run:flights-late-final`, `version:loan/3`; names are percent-encoded."""
        return f"{self.kind}:{'/'.join(quote(name, safe='') for name in self.names)}"


LENGTHS = {"project": 1, "source": 1, "run": 1}
"""Number of names of a thing, by kind; kinds that are not listed have two."""


def thing_from_address(text: str | None) -> Thing | None:
    """Read a thing from the text that `Thing.address` gives.

    Parameters
    ----------
    text : str or None
        The text of an address.

    Returns
    -------
    Thing or None
        None if the text names no thing.
    """
    kind, colon, rest = (text or "").partition(":")
    names = tuple(map(unquote, rest.split("/")))
    return Thing(kind, names) if colon and kind in KINDS and len(names) == LENGTHS.get(kind, 2) and names[-1] + names[0] else None


@dataclass(frozen=True)
class LineageLink:
    """A link: `origin` went into `product`. relation: the verb between the two in a sentence, such as `trained`."""

    origin: Thing
    product: Thing
    relation: str


@dataclass(frozen=True)
class LineageStep:
    """One thing in a drawn graph. distance: number of links from the centre, negative upstream. above: the thing that it is linked to,
    nearer to the centre; None for the centre. hidden: how many more things of this kind are not drawn here (`thing` is then one of them),
    else 0. origin: whether the thing went into `above`, not the reverse.
    """

    thing: Thing
    distance: int
    above: Thing | None
    relation: str
    hidden: int = 0
    origin: bool = False


@dataclass(frozen=True)
class LineageView:
    """The part of the graph around one thing: upstream, the centre, downstream. Each is in drawing order, nearest first.

    Downstream also holds the other origins of each model version there; `origin` is set in those steps. others: links between drawn things
    that are not part of the trees. beyond: number of things at the deepest level that have further links.
    """

    centre: Thing
    upstream: tuple[LineageStep, ...]
    downstream: tuple[LineageStep, ...]
    others: tuple[LineageLink, ...]
    beyond: int

    @property
    def drawn(self) -> int:
        """Number of things that are drawn, the centre included."""
        return 1 + sum(not step.hidden for step in (*self.upstream, *self.downstream))

    @property
    def hidden(self) -> dict[str, int]:
        """Number of things that are not drawn, by kind."""
        found: dict[str, int] = {}
        for step in (*self.upstream, *self.downstream):
            if step.hidden:
                found[step.thing.kind] = found.get(step.thing.kind, 0) + step.hidden
        return found


@dataclass(frozen=True)
class Lineage:
    """All links that records name. facts: a few words about a thing, as `77,911 rows`."""

    links: tuple[LineageLink, ...]
    facts: Mapping[Thing, str] = field(default_factory=dict)

    @cached_property
    def origins(self) -> dict[Thing, list[LineageLink]]:
        """For each thing, the links that lead to it. They name its origins."""
        return _by(self.links, upstream=True)

    @cached_property
    def products(self) -> dict[Thing, list[LineageLink]]:
        """For each thing, the links that leave it. They name its products."""
        return _by(self.links, upstream=False)

    @cached_property
    def things(self) -> frozenset[Thing]:
        """Every thing that has a link or a fact."""
        return frozenset(self.facts) | frozenset(self.origins) | frozenset(self.products)


def _by(links: Iterable[LineageLink], *, upstream: bool) -> dict[Thing, list[LineageLink]]:
    """Links grouped by one of their ends, sorted by kind and name; batches newest first."""
    found: dict[Thing, list[LineageLink]] = defaultdict(list)
    for link in links:
        found[link.product if upstream else link.origin].append(link)
    for several in found.values():
        several.sort(key=lambda link: (link.origin if upstream else link.product).names, reverse=True)
        several.sort(key=lambda link: PLACES[(link.origin if upstream else link.product).kind])
    return dict(found)


def lineage_of_records(
    frames: "Mapping[str, DataFrame]", projects: Mapping[str, Sequence[str]] | None = None, versions: Iterable[tuple[str, str]] = ()
) -> Lineage:
    """Return every link that the records name.

    Parameters
    ----------
    frames : mapping of str to DataFrame
        Records by kind with the columns of `FIELDS`; a kind may be missing.
    projects : mapping of str to sequence of str, optional
        Labelling projects by model, as the settings name them.
    versions : iterable of (model, version)
        Known model versions.

    Returns
    -------
    Lineage
        Each link once.
    """
    records = {kind: [_with_further(row) for row in frames[kind].to_dict("records")] if kind in frames else [] for kind in FIELDS}
    known = _Datasets((str(row["dataset"]), str(row["version"])) for row in records["dataset"])
    served = list(dict.fromkeys(versions))
    found: dict[LineageLink, None] = {}
    facts: dict[Thing, str] = {Thing("version", each): "" for each in served}
    parts = (
        _dataset_links(records["dataset"], known, facts),
        _run_links(records["run"], known, facts),
        _cleaning_links(records["cleaning"], facts),
        _batch_links(records["batch"], facts),
        _event_links(records["event"]),
        _project_links(records["annotation"], projects or {}, served),
        _step_links(records["step"], records["batch"]),
    )
    for part in parts:
        found.update(dict.fromkeys(part))
    return Lineage(tuple(link for link in found if link.origin != link.product), facts)


class _Datasets:
    """Logged versions of datasets, by the texts that name them."""

    def __init__(self, logged: Iterable[tuple[str, str]]) -> None:
        self.versions: dict[str, list[str]] = {}
        self.spelled: dict[str, Thing] = {}
        for name, version in dict.fromkeys(logged):
            self.versions.setdefault(name, []).append(version)
            for text in dataset_spellings(name, version)[1:]:
                self.spelled[text] = Thing("dataset", (name, version))

    def named(self, text: str) -> Thing:
        """The version of a dataset that a text names. If a dataset has a single version, its name alone means that version. A text that
        names no logged version is used as it is.
        """
        if text in self.spelled:
            return self.spelled[text]
        if text in self.versions:
            return Thing("dataset", (text, self.versions[text][0] if len(self.versions[text]) == 1 else ""))
        name, mark, version = text.rpartition("@")
        return Thing("dataset", (name, version) if mark and name and version else (text, ""))


def _with_further(row: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A record together with its additional fields. If a name occurs in both, the record's own field counts."""
    further = row.get("extra")
    return {**further, **row} if isinstance(further, dict) else row


def _text(value: Any) -> str | None:
    """A value of a record as text; None if it is missing."""
    return None if value is None or value != value or value == "" else str(value)


def _texts(value: Any) -> list[str]:
    """A value of a record as a list of texts; a single text becomes a list of one."""
    if isinstance(value, str):
        return [value] if value else []
    return [str(each) for each in value if each is not None and each != ""] if isinstance(value, list | tuple) else []


def _count(value: Any) -> str:
    """A count of a record as text, with thousands separators."""
    return f"{int(value):,}" if value is not None and value == value else "0"


def _dataset_links(rows: Sequence[Mapping[Any, Any]], known: _Datasets, facts: dict[Thing, str]) -> Iterator[LineageLink]:
    """The parents, sources, projects and run of each version of a dataset."""
    for row in rows:
        made = Thing("dataset", (str(row["dataset"]), str(row["version"])))
        facts[made] = f"{_count(row['rows'])} rows"
        for parent in _texts(row.get("parents")):
            yield LineageLink(known.named(parent), made, "is a parent of")
        for source in _texts(row.get("sources")):
            yield LineageLink(Thing("source", (source,)), made, "delivered rows of")
        for project in _texts(row.get("projects")):
            yield LineageLink(Thing("project", (project,)), made, "labelled rows of")
        if run := _text(row.get("run")):
            yield LineageLink(Thing("run", (run,)), made, "wrote")


def _run_links(rows: Sequence[Mapping[Any, Any]], known: _Datasets, facts: dict[Thing, str]) -> Iterator[LineageLink]:
    """Datasets that a run read, and the version that it trained."""
    merged: dict[str, dict[str, Any]] = {}
    for row in rows:
        own = merged.setdefault(str(row["run"]), {})
        own |= {name: row.get(name) for name in ("model", "version", "dataset") if _text(row.get(name))}
        own["inputs"] = [*own.get("inputs", []), *_texts(row.get("inputs"))]
        own["ended"] = own.get("ended") or row.get("event") == "end"
    for name, own in merged.items():
        run = Thing("run", (name,))
        facts[run] = "ended" if own["ended"] else "without an end"
        for text in dict.fromkeys([*_texts(own.get("dataset")), *own["inputs"]]):
            yield LineageLink(known.named(text), run, "was read by")
        if own.get("model") and own.get("version"):
            yield LineageLink(run, Thing("version", (str(own["model"]), str(own["version"]))), "trained")


def _cleaning_links(rows: Sequence[Mapping[Any, Any]], facts: dict[Thing, str]) -> Iterator[LineageLink]:
    """The rules that made a version of a dataset. Rules that were only proposed removed nothing, so they are left out."""
    for row in rows:
        dataset, version = _text(row.get("dataset")), _text(row.get("version"))
        if row.get("proposed") is True or dataset is None:
            continue
        rule = Thing("rule", (dataset, str(row["rule"])))
        facts[rule] = (
            f"last dropped {_count(row['rows_dropped'])} and changed {_count(row['rows_changed'])} of {_count(row['rows_in'])} rows"
        )
        yield LineageLink(rule, Thing("dataset", (dataset, version or "")), "cleaned")


def _batch_links(rows: Sequence[Mapping[Any, Any]], facts: dict[Thing, str]) -> Iterator[LineageLink]:
    """For each batch, its device, or its source if it names no device; and for each device, its source."""
    for row in rows:
        source, device = str(row["source"]), _text(row.get("device"))
        batch = Thing("batch", (source, str(row["batch"])))
        facts[batch] = f"{_count(row['rows'])} rows"
        if device is None:
            yield LineageLink(Thing("source", (source,)), batch, "delivered")
            continue
        yield LineageLink(Thing("device", (source, device)), batch, "captured")
        yield LineageLink(Thing("device", (source, device)), Thing("source", (source,)), "delivers to")


def _event_links(rows: Sequence[Mapping[Any, Any]]) -> Iterator[LineageLink]:
    """The runs whose model version was deployed according to an event."""
    for row in rows:
        model, version, run = (_text(row.get(name)) for name in ("model", "version", "run"))
        if row.get("what") == "deploy" and model and version and run:
            yield LineageLink(Thing("run", (run,)), Thing("version", (model, version)), "was deployed as")


def _project_links(
    rows: Sequence[Mapping[Any, Any]], projects: Mapping[str, Sequence[str]], versions: Sequence[tuple[str, str]]
) -> Iterator[LineageLink]:
    """The annotators of each project, and the model versions for which it labels: those that the settings name, else those of the model
    with the project's name.
    """
    logged = dict.fromkeys((str(row["project"]), str(row["annotator"])) for row in rows)
    for project, annotator in logged:
        yield LineageLink(Thing("annotator", (project, annotator)), Thing("project", (project,)), "labels in")
    named = {project for project, _ in logged}
    for model, version in versions:
        for project in projects.get(model) or named & {model}:
            yield LineageLink(Thing("project", (project,)), Thing("version", (model, version)), "labels the predictions of")


def _step_links(rows: Sequence[Mapping[Any, Any]], batches: Sequence[Mapping[Any, Any]]) -> Iterator[LineageLink]:
    """The batches that a step of a run read, provided that only one source has a batch of this name."""
    named: dict[str, set[str]] = defaultdict(set)
    for row in batches:
        named[str(row["batch"])].add(str(row["source"]))
    for run, batch in dict.fromkeys((str(row["run"]), _text(row.get("batch"))) for row in rows):
        if batch is not None and len(sources := named.get(batch, ())) == 1:
            yield LineageLink(Thing("batch", (*sources, batch)), Thing("run", (run,)), "was read by")


def with_predictions(lineage: Lineage, counts: Iterable[tuple[Thing, str, int, int]]) -> Lineage:
    """Add how many predictions came from each batch, or were answered by each version.

    Parameters
    ----------
    lineage : Lineage
        The links so far.
    counts : iterable of (Thing, str, int, int)
        The batch, device or version, the model of the predictions, their number, and how many more name a batch whose name batches of other
        sources have too, so that they may have come from those.

    Returns
    -------
    Lineage
    """
    links, facts = list(lineage.links), dict(lineage.facts)
    for origin, model, n, shared in counts:
        group = Thing("predictions", (model, origin.address))
        facts[group] = f"{n:,} {'prediction' if n == 1 else 'predictions'}"
        if shared:
            facts[group] += f"; {shared:,} more {'names' if shared == 1 else 'name'} a batch that another source has too"
        links.append(LineageLink(origin, group, "answered" if origin.kind == "version" else "was used by"))
    return Lineage(tuple(links), facts)


def with_prediction(
    lineage: Lineage, model: str, name: str, version: str, batch: str | None, annotators: Iterable[tuple[str, str]] = ()
) -> Lineage:
    """Add one prediction with its version, its batch and the people who labelled it.

    Parameters
    ----------
    lineage : Lineage
        The links so far.
    model : str
        Model of the prediction.
    name : str
        Its id.
    version : str
        Version that answered.
    batch : str or None
        The batch that it names; it is linked where one source alone has a batch of this name, else the fact says how many have.
    annotators : iterable of (project, annotator), optional
        Who labelled an item of this id. Those of projects that label the version's predictions are linked, in place of these projects;
        without any, the projects stay.

    Returns
    -------
    Lineage
    """
    prediction, served = Thing("prediction", (model, name)), Thing("version", (model, version))
    links = [LineageLink(served, prediction, "answered")]
    holders = [thing for thing in lineage.facts if batch is not None and thing.kind == "batch" and thing.names[1] == batch]
    if len(holders) == 1:
        links.append(LineageLink(holders[0], prediction, "was used by"))
    fact = f"{len(holders)} sources have a batch of this name" if len(holders) > 1 else ""
    of_projects = {link for link in lineage.origins.get(served, ()) if link.origin.kind == "project"}
    projects = {link.origin.names[0] for link in of_projects}
    people = [Thing("annotator", each) for each in dict.fromkeys(annotators) if each[0] in projects]
    links += [LineageLink(person, prediction, "labelled") for person in people]
    kept = [link for link in lineage.links if not people or link not in of_projects]
    return Lineage((*kept, *links), {**lineage.facts, prediction: fact})


def lineage_around(lineage: Lineage, centre: Thing, depth: int = 6, most: int = 6, in_all: int = 60) -> LineageView:
    """Return the origins of one thing and the things made from it.

    Upstream, only origins of origins are followed; downstream, only products of products. Siblings of the centre are therefore left out. A
    model version has two kinds of origins: its training, and the labels by which it is judged. If a path downstream reaches a version
    through one kind, the origins of the other kind are drawn below the version. A thing that is reached twice is drawn once, at its
    shortest distance; its other links are in `others`.

    Parameters
    ----------
    lineage : Lineage
        All links.
    centre : Thing
        The thing in the middle.
    depth : int
        Links to follow in each direction.
    most : int
        Things of one kind drawn beside one thing; the rest is counted.
    in_all : int
        Things drawn in each direction, nearest first; the rest beside them is counted, and not followed.

    Returns
    -------
    LineageView
    """
    seen = {centre}
    up, far_up = _tree(lineage, LineageStep(centre, 0, None, "", origin=True), depth, (most, in_all), seen)
    down, far_down = _tree(lineage, LineageStep(centre, 0, None, ""), depth, (most, in_all), seen)
    drawn = {centre, *(step.thing for step in (*up, *down) if not step.hidden)}
    in_trees = {(step.thing, step.above) if step.origin else (step.above, step.thing) for step in (*up, *down)}
    others = tuple(
        link for link in lineage.links if link.origin in drawn and link.product in drawn and (link.origin, link.product) not in in_trees
    )
    return LineageView(centre, tuple(up), tuple(down), others, far_up + far_down)


def _tree(lineage: Lineage, centre: LineageStep, depth: int, most: tuple[int, int], seen: set[Thing]) -> tuple[list[LineageStep], int]:
    """The steps in one direction (upstream if the centre is an `origin`), in the order of an indented list; and the number of things at the
    deepest level that have further links. most: maximum number of things of one kind beside one thing, and of all things.
    """
    full = len(seen) + most[1]
    children: dict[Thing, list[LineageStep]] = {}
    level = [centre]
    for distance in range(1, depth + 1):
        following: list[LineageStep] = []
        for above in level:
            for step in _steps_beside(lineage, above, -distance if centre.origin else distance, (most[0], full), seen):
                children.setdefault(above.thing, []).append(step)
                following += [] if step.hidden else [step]
        level = following
    beyond = sum(any(thing not in seen for thing, *_ in _following(lineage, step)) for step in level)
    ordered: list[LineageStep] = []
    pending = list(reversed(children.get(centre.thing, [])))
    while pending:
        step = pending.pop()
        ordered.append(step)
        pending += reversed(children.get(step.thing, [])) if not step.hidden else []
    return ordered, beyond


def _following(lineage: Lineage, step: LineageStep) -> Iterator[tuple[Thing, str, bool]]:
    """The next steps of a path, as (thing, relation, whether it is an origin). From an origin they lead to its origins, from a product to
    its products. From a version that is a product they also lead to its origins, except those of the kind through which it was reached.
    """
    if not step.origin:
        yield from ((link.product, link.relation, False) for link in lineage.products.get(step.thing, ()))
    if step.origin or (step.thing.kind == "version" and step.above is not None):
        led = step.above.kind if step.above is not None and not step.origin else None
        yield from ((link.origin, link.relation, True) for link in lineage.origins.get(step.thing, ()) if link.origin.kind != led)


def _steps_beside(lineage: Lineage, above: LineageStep, distance: int, most: tuple[int, int], seen: set[Thing]) -> Iterator[LineageStep]:
    """The next things from one step, followed by the number of things that are not drawn. most: maximum number of things of each kind, and
    of all things in the picture. A thing beyond the maximum is counted only once.
    """
    by_kind: dict[str, dict[Thing, tuple[str, bool]]] = {}
    for thing, relation, origin in _following(lineage, above):
        if thing not in seen:
            by_kind.setdefault(thing.kind, {}).setdefault(thing, (relation, origin))
    for things in by_kind.values():
        room = max(most[1] - len(seen), 0)
        shown = list(things) if len(things) <= min(most[0] + 1, room) else list(things)[: min(most[0], room)]
        for thing in shown:
            seen.add(thing)
            yield LineageStep(thing, distance, above.thing, things[thing][0], origin=things[thing][1])
        if rest := list(things)[len(shown) :]:
            relation, origin = things[rest[0]]
            yield LineageStep(rest[0], distance, above.thing, relation, hidden=len(rest), origin=origin)
            if len(seen) >= most[1]:
                seen.update(rest)
