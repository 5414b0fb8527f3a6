"""The graph of origins and products of things: devices, batches, datasets, rules, projects, runs, versions, predictions.

All links are read from the names in records. Only one thing is inferred: the name of a dataset with a single version means that version.
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
"""Kinds of things, upstream ones first, in the singular and the plural."""
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
"""Fields of the records that name the origins of a thing. Further fields (in `extra`) are read too: `sources`, `projects` and `run` of a
dataset, `inputs` of a run, `proposed` of a cleaning rule that removed nothing.
"""


@dataclass(frozen=True, order=True)
class Thing:
    """One thing of the graph: its kind (see KINDS) and the names that distinguish it from others of its kind.

    annotator (project, name), project (name,), device (source, name), source (name,), batch (source, name), rule (dataset or "", name),
    dataset (name, version or ""), run (name,), version (model, name), predictions (model, what all of them share), prediction (model, id).
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
"""Number of names of a thing by kind, for kinds with another number than two."""


def thing_from_address(text: str | None) -> Thing | None:
    """Read a thing as `Thing.address` writes it.

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
    """A link that says that `origin` went into `product`. relation: the verb of the sentence between the two, such as `trained`."""

    origin: Thing
    product: Thing
    relation: str


@dataclass(frozen=True)
class LineageStep:
    """One thing in a drawn graph. distance: links from the centre, negative upstream. above: the thing that it is linked to, nearer to the
    centre; None for the centre. hidden: 0, or how many further things of this kind are not drawn here (`thing` is then one of them).
    origin: whether the thing went into `above`, and not the other way round.
    """

    thing: Thing
    distance: int
    above: Thing | None
    relation: str
    hidden: int = 0
    origin: bool = False


@dataclass(frozen=True)
class LineageView:
    """The part of the graph around one thing: upstream, the centre, downstream, each in the order of drawing, nearest first.

    Downstream also holds the other origins of a model version there; those steps have `origin`. others: links between drawn things that are
    not part of the trees. beyond: things at the deepest level that have further links.
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
        """The links that lead to each thing, by that thing: they name its origins."""
        return _by(self.links, upstream=True)

    @cached_property
    def products(self) -> dict[Thing, list[LineageLink]]:
        """The links that leave each thing, by that thing: they name its products."""
        return _by(self.links, upstream=False)

    @cached_property
    def things(self) -> frozenset[Thing]:
        """Every thing that is linked or known."""
        return frozenset(self.facts) | frozenset(self.origins) | frozenset(self.products)


def _by(links: Iterable[LineageLink], *, upstream: bool) -> dict[Thing, list[LineageLink]]:
    """Links by one of their ends, in the order of kinds and names; batches newest first."""
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
        """The version of a dataset that a text names. The name of a dataset with a single version means that version. A text that names no
        logged version is taken as it is.
        """
        if text in self.spelled:
            return self.spelled[text]
        if text in self.versions:
            return Thing("dataset", (text, self.versions[text][0] if len(self.versions[text]) == 1 else ""))
        name, mark, version = text.rpartition("@")
        return Thing("dataset", (name, version) if mark and name and version else (text, ""))


def _with_further(row: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """A record with its further fields besides its own fields. If a name occurs twice, the record's own field counts."""
    further = row.get("extra")
    return {**further, **row} if isinstance(further, dict) else row


def _text(value: Any) -> str | None:
    """A text of a record; None if it has none."""
    return None if value is None or value != value or value == "" else str(value)


def _texts(value: Any) -> list[str]:
    """A list of texts of a record; a single text becomes a list of one."""
    if isinstance(value, str):
        return [value] if value else []
    return [str(each) for each in value if each is not None and each != ""] if isinstance(value, list | tuple) else []


def _count(value: Any) -> str:
    """A count of a record with separators."""
    return f"{int(value):,}" if value is not None and value == value else "0"


def _dataset_links(rows: Sequence[Mapping[Any, Any]], known: _Datasets, facts: dict[Thing, str]) -> Iterator[LineageLink]:
    """Parents, sources, projects and the run of each version."""
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
    """Rules that made a version of a dataset. Rules that were only proposed removed nothing and are left out."""
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
    """The device, or without one the source, of each batch, and the source of each device."""
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
    """Runs whose model version an event deployed."""
    for row in rows:
        model, version, run = (_text(row.get(name)) for name in ("model", "version", "run"))
        if row.get("what") == "deploy" and model and version and run:
            yield LineageLink(Thing("run", (run,)), Thing("version", (model, version)), "was deployed as")


def _project_links(
    rows: Sequence[Mapping[Any, Any]], projects: Mapping[str, Sequence[str]], versions: Sequence[tuple[str, str]]
) -> Iterator[LineageLink]:
    """Annotators of each project, and the versions for which it labels, by the settings, else by the model's name."""
    logged = dict.fromkeys((str(row["project"]), str(row["annotator"])) for row in rows)
    for project, annotator in logged:
        yield LineageLink(Thing("annotator", (project, annotator)), Thing("project", (project,)), "labels in")
    named = {project for project, _ in logged}
    for model, version in versions:
        for project in projects.get(model) or named & {model}:
            yield LineageLink(Thing("project", (project,)), Thing("version", (model, version)), "labels the predictions of")


def _step_links(rows: Sequence[Mapping[Any, Any]], batches: Sequence[Mapping[Any, Any]]) -> Iterator[LineageLink]:
    """Batches that a step of a run read, if only one source has a batch of this name."""
    named: dict[str, set[str]] = defaultdict(set)
    for row in batches:
        named[str(row["batch"])].add(str(row["source"]))
    for run, batch in dict.fromkeys((str(row["run"]), _text(row.get("batch"))) for row in rows):
        if batch is not None and len(sources := named.get(batch, ())) == 1:
            yield LineageLink(Thing("batch", (*sources, batch)), Thing("run", (run,)), "was read by")


def with_predictions(lineage: Lineage, counts: Iterable[tuple[Thing, str, int, int]]) -> Lineage:
    """Add the number of predictions that came from each batch, or that each version answered.

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

    Upstream, only origins of origins are followed, downstream only products of products, so that siblings of the centre are left out. A
    model version has two kinds of origins: its training, and the labels by which it is judged. If a way downstream through one kind leads
    to a version, the origins of the other kind are drawn below the version. A thing that is reached twice is drawn once, at its shortest
    distance; its other links are in `others`.

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
    """The steps in one direction (upstream if the centre is an `origin`) in the order of an indented list, and the number of things at the
    deepest level with further links. most: maximum number of things of a kind beside one thing, and of all things.
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
    """The next steps of a way through the lineage, as (thing, relation, whether it is an origin): from an origin to its origins, from a
    product to its products, and from a version that is a product also to its origins of another kind than the origin that led to it.
    """
    if not step.origin:
        yield from ((link.product, link.relation, False) for link in lineage.products.get(step.thing, ()))
    if step.origin or (step.thing.kind == "version" and step.above is not None):
        led = step.above.kind if step.above is not None and not step.origin else None
        yield from ((link.origin, link.relation, True) for link in lineage.origins.get(step.thing, ()) if link.origin.kind != led)


def _steps_beside(lineage: Lineage, above: LineageStep, distance: int, most: tuple[int, int], seen: set[Thing]) -> Iterator[LineageStep]:
    """The next things from one step, then the number of further things. most: maximum number of things of each kind, and of all things in
    the picture. A thing beyond it is counted only once.
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
