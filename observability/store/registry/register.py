"""How does a model version get a reference: what is stored when somebody registers it, and what becomes of what had arrived before?

Everything in one transaction: the catalog, the edges, the rows of the reference, and the rollups of the version made anew, so that predictions
that came before the registration are judged from then on.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from observability.core.catalog import Kind, Model, Version
from observability.core.errors import NotFoundError, UsageError
from observability.core.settings import ModelSettings, read_settings
from observability.store.db.catalog_store import add_columns, add_model, find_model, save_version, set_kind, set_sensitive, update_model
from observability.store.db.database import Store
from observability.store.ingest.parse_plan import is_number, levels_of
from observability.store.ingest.stage import delete_stream, insert_predictions
from observability.store.query import attributions
from observability.store.registry import artifacts
from observability.store.registry.describe import describe
from observability.store.registry.infer import infer, renamed, study
from observability.store.registry.reference_file import Reference, read_reference
from observability.store.registry.reference_rows import label_rows, prediction_rows, reference_edges
from observability.store.registry.register_types import Feature, Inference, Request
from observability.store.registry.score_columns import listed, shown
from observability.store.registry.sensitive import is_coded
from observability.store.registry.targets import Target
from observability.store.rollup.rollup import rebuild

Progress = Callable[[str], object]
"""Called with what is being done, in a few words."""


@dataclass(frozen=True)
class Registration:
    """What was stored. rows: of the reference. sentences: what was inferred and done, in plain words; they are kept with the version."""

    model: str
    version: str
    rows: int
    sentences: tuple[str, ...]
    inference: Inference


def infer_file(request: Request, threshold: float | None = None) -> Inference:
    """What the request's reference file says, without storing anything. Raises UsageError for a wrong file or request."""
    if threshold is None:
        threshold = (read_settings(request.settings) if request.settings else ModelSettings()).threshold
    reference = read(request)
    inference = infer(reference.table, request, nested=reference.nested, threshold=threshold, where=reference.name)
    return replace(inference, warnings=(*reference.warnings, *inference.warnings))


def read(request: Request) -> Reference:
    """The reference file of a request."""
    if request.reference is None:
        raise UsageError("a version is registered with a reference", expected="--reference FILE")
    return read_reference(request.reference)


def register(store: Store, request: Request, *, progress: Progress | None = None, now: datetime | None = None) -> Registration:
    """Registers a model version with its reference, all or nothing. A version that was registered before gets the new reference in place of the old.

    Raises UsageError where the file or the request is wrong, or does not fit the model: another task or other classes than its other versions,
    or a feature of another kind.
    """
    now = (now or datetime.now(UTC)).astimezone(UTC)
    say = progress or (lambda text: None)
    known = next((each for each in store.catalog().models if each.name == request.model), None)
    base = known.settings if known else ModelSettings()
    settings = read_settings(request.settings, base) if request.settings else base
    if request.artifact:
        artifacts.sniff(request.artifact)
    say("reading the reference")
    reference = read(request)
    say("looking at its columns")
    inference, target = study(reference.table, request, nested=reference.nested, threshold=settings.threshold, where=reference.name)
    inference = replace(inference, warnings=(*reference.warnings, *inference.warnings))
    table = renamed(reference.table, request.renames, reference.name)
    store.require_space()
    kept: list[artifacts.Artifact] = []
    old: artifacts.Artifact | None = None
    try:
        with store.write() as writer:
            model = find_model(writer, request.model)
            inference = fitted(with_known_kinds(inference, table, model, request), model)
            model, whole = prepare_model(writer, model, inference, settings, request, now)
            before = model.version(request.version)
            old = artifacts.stored(before.artifact) if before else None
            if request.artifact:
                say("copying the artifact")
                kept.append(artifacts.keep(store.home, model.key, request.version, request.artifact))
            sentences = (*describe(inference), *settings_sentences(request, settings, inference), *artifact_sentences(kept))
            say("computing the edges")
            version = Version(
                request.version,
                registered_at=before.registered_at if before and before.registered_at else now,
                features=tuple(each.name for each in inference.features),
                edges=reference_edges(table, inference, target),
                reference_rows=inference.usable,
                in_sample=request.in_sample,
                artifact=kept[0].path if kept else before.artifact if before else None,
                inferred=sentences,
            )
            save_version(writer, model.key, version)
            say("storing the reference")
            store_rows(writer, model, request.version, table, inference, target, now)
            attributions.drop(writer, model, request.version)
            say("counting")
            rebuild(writer, request.model, None if whole else streams_of(writer, model, request.version), threads=store.threads)
    except BaseException:
        for each in kept:
            if each != old:
                artifacts.discard(store.home, each)
        raise
    if kept and old and old != kept[0]:
        artifacts.discard(store.home, old)
    return Registration(request.model, request.version, inference.usable, sentences, inference)


def with_known_kinds(inference: Inference, table: pa.Table, model: Model | None, request: Request) -> Inference:
    """The inference with the kinds that the model's columns have, where this reference leaves it open: for columns without any value, and for
    numbers that may be codes of categories.
    """

    def followed(each: Feature) -> Feature:
        column = model.column(f"{each.role}.{each.name}") if model else None
        if model is None or column is None or column.kind == each.kind or each.name in request.kinds:
            return each
        source = table[each.source]
        codes = is_coded(source) and (
            column.kind == "number" or (column.kind == "category" and all(map(is_number, levels_of(model, column.reference))))
        )
        if source.null_count == table.num_rows or (codes and registered_elsewhere(model, column.reference, inference.version)):
            return replace(each, kind=column.kind, bands=())
        return each

    return replace(inference, features=tuple(map(followed, inference.features)), groups=tuple(map(followed, inference.groups)))


def registered_elsewhere(model: Model, reference: str, version: str) -> bool:
    """Whether another version of the model has the column in its reference."""
    return any(each.registered and each.name != version and reference in each.edges for each in model.versions)


def fitted(inference: Inference, model: Model | None) -> Inference:
    """The inference as far as the model's other versions decide: its classes and their order, and the bands of sensitive numbers.

    Raises UsageError where the task, the classes or the kind of a feature do not fit.
    """
    if model is None:
        return inference
    if model.task is not None and model.task != inference.task:
        raise UsageError(
            f"{model.name} is a {model.task} model", got=f"task {inference.task}", expected=model.task,
            attempt="Register it under another name, or remove the model first",
        )  # fmt: skip
    others = [each for each in model.versions if each.registered and each.name != inference.version]
    if not others:
        return inference
    classes = inference.classes
    if inference.task == "binary" and model.classes and classes != model.classes:
        raise UsageError(
            f"the classes are not those of the other versions of {model.name}", got=listed(classes), expected=listed(model.classes),
            attempt=f"Give --positive {shown(model.classes[1])}, or bring the labels into the same form",
        )  # fmt: skip
    if inference.task == "multiclass":
        counts = dict(zip(classes, inference.class_counts, strict=True))
        classes = (*model.classes, *(each for each in classes if each not in model.classes))
        inference = replace(inference, classes=classes, class_counts=tuple(counts.get(each, 0) for each in classes))
    for each in inference.columns:
        column = model.column(f"{each.role}.{each.name}")
        if column and column.kind != each.kind and registered_elsewhere(model, column.reference, inference.version):
            raise UsageError(
                f"the {each.role} {each.name!r} is a {column.kind} in another version of {model.name}", got=f"a {each.kind}", expected=f"a {column.kind}",
                attempt="Give the feature another name where its meaning changed",
            )  # fmt: skip
    newest = sorted(others, key=lambda each: each.registered_at or datetime.min.replace(tzinfo=UTC))
    limits = {name: edges.edges for each in newest for name, edges in each.edges.items() if name.startswith("band.")}

    def banded(each: Feature) -> Feature:
        return replace(each, bands=limits.get(f"band.{each.name}", each.bands)) if each.bands else each

    return replace(inference, features=tuple(map(banded, inference.features)), groups=tuple(map(banded, inference.groups)))


def prepare_model(
    writer: duckdb.DuckDBPyConnection, model: Model | None, inference: Inference, settings: ModelSettings, request: Request, now: datetime
) -> tuple[Model, bool]:
    """Brings the model's own rows of the catalog up to date; gives the model, and whether all of its rollups have to be made anew."""
    if model is None:
        key = add_model(
            writer, request.model, task=inference.task, classes=inference.classes, settings=settings, sample=request.sample, now=now
        )
        before = Model(key, request.model)
    else:
        key, before = model.key, model
        update_model(
            writer, key, task=inference.task, classes=inference.classes, settings=settings, sample=request.sample or model.sample, now=now
        )
    wanted: list[tuple[str, str, Kind]] = [(each.role, each.name, each.kind) for each in inference.columns]
    sensitive = {f"{each.role}.{each.name}" for each in inference.columns if each.sensitive}
    if any(each.registered and each.name != inference.version for each in before.versions):
        sensitive |= {each.reference for each in before.columns if each.sensitive}
    sensitive |= {each.reference for each in before.columns if each.role == "group"}
    columns = add_columns(writer, key, wanted, sensitive)
    for role, name, kind in wanted:
        if columns[f"{role}.{name}"].kind != kind:
            set_kind(writer, key, columns[f"{role}.{name}"], kind)
    set_sensitive(writer, key, sorted(sensitive))
    after = find_model(writer, request.model)
    assert after is not None
    whole = (before.task, before.classes, before.settings.threshold) != (after.task, after.classes, after.settings.threshold)
    whole = whole or {each.reference for each in before.columns if each.sensitive} != {
        each.reference for each in after.columns if each.sensitive
    }
    return after, whole or any(before.column(each.reference) not in (None, each) for each in after.columns)


def store_rows(
    writer: duckdb.DuckDBPyConnection, model: Model, version: str, table: pa.Table, inference: Inference, target: Target, now: datetime
) -> None:
    """Stores the reference of a version in place of what it had."""
    delete_stream(writer, model, version, "reference")
    predictions = prediction_rows(table, inference, target, model, now)
    labels = label_rows(predictions, inference, target)
    insert_predictions(writer, model, predictions, labels, now=now)


def streams_of(writer: duckdb.DuckDBPyConnection, model: Model, version: str) -> list[int]:
    """The streams of a version."""
    rows = writer.execute("SELECT stream FROM streams WHERE key = ? AND version = ?", [model.key, version]).fetchall()
    return [stream for (stream,) in rows]


def settings_sentences(request: Request, settings: ModelSettings, inference: Inference) -> list[str]:
    """What of the settings does not fit the features."""
    if request.settings is None:
        return []
    sentences = [f"Settings were read from {request.settings.name}."]
    names = {each.name for each in inference.columns}
    for what, given in (("immutable", settings.immutable), ("importance", tuple(settings.importance))):
        if unknown := [name for name in given if name not in names]:
            sentences.append(f"Warning: {what} names what is no feature of this version: {listed(unknown)}.")
    return sentences


def artifact_sentences(kept: Sequence[artifacts.Artifact]) -> list[str]:
    """What was kept of the model itself."""
    words = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "skops": "skops", "onnx": "ONNX"}
    return [f"A copy of the {words[each.kind]} model is kept (SHA-256 {each.sha256[:12]}…)." for each in kept]


def update_settings(store: Store, name: str, settings: ModelSettings) -> list[str]:
    """Sets the settings of a model; gives a sentence for what follows from it. Raises NotFoundError for an unknown model.

    Where the threshold changed, decisions that came from it are made anew, and the rollups with them; decisions that were logged, or that came from
    a threshold of their own, stay.
    """
    with store.write() as writer:
        model = find_model(writer, name)
        if model is None:
            store.catalog().model(name)
            raise NotFoundError(f"model {name!r} is not in the store")
        update_model(writer, model.key, settings=settings)
        if model.task != "binary" or settings.threshold == model.settings.threshold:
            return []
        rebuild(writer, name, threads=store.threads)
    return [
        f"The threshold of {name} is {settings.threshold:g} now (it was {model.settings.threshold:g}); decisions that came from it were made anew."
    ]
