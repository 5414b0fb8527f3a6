"""Register a model version with its reference.

One transaction writes the catalog, the edges and the rows of the reference, and rebuilds the rollups of the version, so that predictions
from before the registration are analyzed as well.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import duckdb
import pyarrow as pa

from observability.core.catalog import RECORDED, Kind, Model, Version, check_stated_directions
from observability.core.errors import NotFoundError, UsageError
from observability.core.settings import TOKEN_PRICES, ModelSettings, read_settings
from observability.core.time import aware_utc
from observability.store.db.catalog_store import add_columns, add_model, find_model, save_version, set_kind, set_sensitive, update_model
from observability.store.db.database import Database
from observability.store.db.shared_tables import give_own_tables
from observability.store.ingest.parse_plan import is_numeric_text, reference_levels
from observability.store.ingest.protected_lines import protected_table, publish_rules
from observability.store.ingest.stage import delete_stream, insert_predictions
from observability.store.query import attributions
from observability.store.registry import artifacts
from observability.store.registry.artifact_check import ArtifactCheck, check_artifact
from observability.store.registry.describe import describe_inference
from observability.store.registry.infer import infer_with_outcomes, read_request_file, rename_columns
from observability.store.registry.logged_types import ConvertedColumn
from observability.store.registry.reference_rows import label_rows, prediction_rows, reference_edges
from observability.store.registry.score_columns import name_list, quoted_name
from observability.store.registry.sensitive import GROUP, is_coded, sensitive_roles
from observability.store.registry.targets import ReferenceOutcomes
from observability.store.rollup.rollup import rebuild_rollups
from observability.store.types.registration import FeatureColumn, Inference, ReferenceScorer, Registration, RegistrationRequest

Progress = Callable[[str], object]
"""Called with the name of the current step."""


def register_version(
    store: Database,
    request: RegistrationRequest,
    *,
    progress: Progress | None = None,
    now: datetime | None = None,
    scorer: ReferenceScorer | None = None,
) -> Registration:
    """Register a model version with its reference, all or nothing. Registering a version again replaces its reference.

    scorer: runs the artifact on rows of the reference. Raises UsageError if the file or the request is wrong or does not fit the model
    (another task, other classes than its other versions, a feature of another kind), or if the artifact gives other scores.
    """
    now = aware_utc(now or datetime.now(UTC))
    say = progress or (lambda text: None)
    known = next((model for model in store.catalog().models if model.name == request.model), None)
    base = known.settings if known else ModelSettings()
    settings = read_settings(request.settings, base) if request.settings else base
    if request.artifact:
        artifacts.detect_artifact_kind(request.artifact)
    say("reading the reference")
    reference = read_request_file(request)
    features = {**request.renames, **{column: name for column, (_, name) in (reference.nested or {}).items()}}
    reference = replace(reference, table=protected_table(reference.table, features, settings.protect, store.home))
    say("profiling its columns")
    inference, target = infer_with_outcomes(
        reference.table, request, nested=reference.nested, threshold=settings.threshold, where=reference.name
    )
    table = rename_columns(reference.table, request.renames, reference.name)
    checked: ArtifactCheck | None = None
    if scorer is not None and request.artifact:
        say("scoring the reference with the artifact")
        checked = check_artifact(table, _with_known_kinds(inference, table, known, request), target, request, scorer)
    codes = [name for name in checked.codes if not _number_elsewhere(known, name, request.version)] if checked else []
    if codes:
        request = replace(request, kinds={**request.kinds, **dict.fromkeys(codes, "category")})
    roles = sensitive_roles(inference, request, known, None if checked is None else checked.takes)
    both = any(role.feature for role in roles.values())
    if codes or both:
        names = [
            name for name in table.column_names if name in {each.name for each in inference.features} or roles.get(name, GROUP).feature
        ]
        again = replace(request, features=tuple(names)) if both else request
        inference, target = infer_with_outcomes(
            reference.table, again, nested=reference.nested, threshold=settings.threshold, where=reference.name
        )
    reasons = inference.sensitive_roles if request.features else {name: role.because for name, role in roles.items()}
    inference = replace(inference, warnings=(*reference.warnings, *inference.warnings), sensitive_roles=reasons)
    store.require_space()
    kept: list[artifacts.Artifact] = []
    old: artifacts.Artifact | None = None
    try:
        with store.write() as writer:
            _note_change(store, request.model, base, settings)
            model = find_model(writer, request.model)
            inference = _fitted_to_model(_with_known_kinds(inference, table, model, request), model)
            model, whole, converted = _prepare_model(writer, model, inference, settings, request, now)
            check_stated_directions(model, base, settings, request.settings.name if request.settings else None)
            before = model.version(request.version)
            old = artifacts.stored_artifact(before.artifact) if before else None
            if request.artifact:
                say("copying the artifact")
                kept.append(artifacts.store_artifact(store.home, model.key, request.version, request.artifact))
            sentences = (*describe_inference(inference), *_settings_sentences(request, settings, inference), *_artifact_sentences(kept))
            if codes:
                sentences += (f"The model file takes {name_list(codes)} as categories, so their numbers are treated as categories.",)
            sentences += (checked.sentence,) if checked else ()
            say("computing the edges")
            edges = reference_edges(table, inference, target)
            sentences += tuple(filter(None, (each.sentence(edges) for each in converted)))
            version = Version(
                request.version,
                registered_at=before.registered_at if before and before.registered_at else now,
                features=tuple(feature.name for feature in inference.features),
                edges=edges,
                reference_rows=inference.usable,
                in_sample=request.in_sample,
                artifact=kept[0].path if kept else before.artifact if before else None,
                inferred=sentences,
                left_out=inference.left_out,
                scores=() if inference.objects else inference.scores,
            )
            save_version(writer, model.key, version)
            say("storing the reference")
            _store_reference_rows(writer, model, request.version, table, inference, target, now)
            attributions.drop_attributions(writer, model, request.version)
            say("counting")
            rebuild_rollups(
                writer, request.model, None if whole else _version_streams(writer, model, request.version), threads=store.threads
            )
    except BaseException:
        for artifact in kept:
            if artifact != old:
                artifacts.discard_artifact(store.home, artifact)
        raise
    publish_rules(store.home, store.catalog().models)
    if kept and old and old != kept[0]:
        artifacts.discard_artifact(store.home, old)
    return Registration(request.model, request.version, inference.usable, sentences, inference)


READ_OF_EVERY_MODEL = ("projects", "limits", "budget_per_month", "budget_currency", "cost_currency", *TOKEN_PRICES)
"""Settings that are read from every model when records without a model, such as batches, are judged."""


def _note_change(store: Database, model: str, before: ModelSettings, after: ModelSettings) -> None:
    """Note that a model and the findings about its records may change. If a setting changed that findings of other models read too, note
    that all findings may change.
    """
    alone = all(getattr(before, name) == getattr(after, name) for name in READ_OF_EVERY_MODEL)
    store.note_changed_models({model, RECORDED} if alone else None)


def _with_known_kinds(inference: Inference, table: pa.Table, model: Model | None, request: RegistrationRequest) -> Inference:
    """The inference with the kinds of the model's columns, if this reference leaves them open: for empty columns, and for numbers that may
    be codes of categories.
    """

    def followed(feature: FeatureColumn) -> FeatureColumn:
        column = model.column(f"{feature.role}.{feature.name}") if model else None
        if model is None or column is None or column.kind == feature.kind or feature.name in request.kinds:
            return feature
        source = table[feature.source]
        codes = is_coded(source) and (
            column.kind == "number" or (column.kind == "category" and all(map(is_numeric_text, reference_levels(model, column.reference))))
        )
        if source.null_count == table.num_rows or (codes and _registered_elsewhere(model, column.reference, inference.version)):
            return replace(feature, kind=column.kind, bands=())
        return feature

    return replace(inference, features=tuple(map(followed, inference.features)), groups=tuple(map(followed, inference.groups)))


def _number_elsewhere(model: Model | None, name: str, version: str) -> bool:
    """Whether another version of the model is registered with this feature or group as a number."""
    columns = [column for column in model.columns if column.name == name and column.kind == "number"] if model else []
    return model is not None and any(_registered_elsewhere(model, column.reference, version) for column in columns)


def _registered_elsewhere(model: Model, reference: str, version: str) -> bool:
    """Whether the reference of another version of the model has the column."""
    return any(other.registered and other.name != version and reference in other.edges for other in model.versions)


def _fitted_to_model(inference: Inference, model: Model | None) -> Inference:
    """The inference with what the other versions of the model determine: classes and their order, and the bands of sensitive numbers.

    Raises UsageError if the task, the classes or the kind of a feature do not fit.
    """
    if model is None:
        return inference
    if model.task is not None and model.task != inference.task:
        raise UsageError(
            f"the model {model.name} is a {model.task} model",
            got=f"task {inference.task}",
            expected=model.task,
            attempt="Register it under another name, or remove the model first",
        )
    others = [version for version in model.versions if version.registered and version.name != inference.version]
    if not others:
        return inference
    classes = inference.classes
    if inference.task == "binary" and model.classes and classes != model.classes:
        raise UsageError(
            f"the classes are not those of the other versions of {model.name}",
            got=name_list(classes),
            expected=name_list(model.classes),
            attempt=f"Give --positive {quoted_name(model.classes[1])}, or bring the labels into the same form",
        )
    if inference.task == "multiclass":
        counts = dict(zip(classes, inference.class_counts, strict=True))
        classes = (*model.classes, *(name for name in classes if name not in model.classes))
        inference = replace(inference, classes=classes, class_counts=tuple(counts.get(name, 0) for name in classes))
    for feature in inference.columns:
        column = model.column(f"{feature.role}.{feature.name}")
        if column and column.kind != feature.kind and _registered_elsewhere(model, column.reference, inference.version):
            raise UsageError(
                f"the {feature.role} {feature.name!r} is a {column.kind} in another version of {model.name}",
                got=f"a {feature.kind}",
                expected=f"a {column.kind}",
                attempt="Give the feature another name if its meaning changed",
            )
    newest = sorted(others, key=lambda version: version.registered_at or datetime.min.replace(tzinfo=UTC))
    limits = {name: edges.edges for version in newest for name, edges in version.edges.items() if name.startswith("band.")}

    def banded(feature: FeatureColumn) -> FeatureColumn:
        return replace(feature, bands=limits.get(f"band.{feature.name}", feature.bands)) if feature.bands else feature

    return replace(inference, features=tuple(map(banded, inference.features)), groups=tuple(map(banded, inference.groups)))


def _prepare_model(
    writer: duckdb.DuckDBPyConnection,
    model: Model | None,
    inference: Inference,
    settings: ModelSettings,
    request: RegistrationRequest,
    now: datetime,
) -> tuple[Model, bool, list[ConvertedColumn]]:
    """Update the catalog entry of the model; return the model, whether all of its rollups must be rebuilt, and the columns whose kind
    changed.
    """
    task, classes = inference.task, inference.classes
    if model is None:
        key = add_model(writer, request.model, task=task, classes=classes, settings=settings, sample=request.sample, now=now)
        before = Model(key, request.model)
    else:
        key, before = model.key, model
        give_own_tables(writer, key)
        sample = request.sample or model.sample
        update_model(writer, key, task=task, classes=classes, settings=settings, sample=sample, now=now)
    wanted: list[tuple[str, str, Kind]] = [(column.role, column.name, column.kind) for column in inference.columns]
    was_sensitive = {column.reference for column in before.columns if column.sensitive}
    sensitive = {f"{column.role}.{column.name}" for column in inference.columns if column.sensitive}
    if any(version.registered and version.name != inference.version for version in before.versions):
        sensitive |= was_sensitive
    sensitive |= {column.reference for column in before.columns if column.role == "group"}
    columns = add_columns(writer, key, wanted, sensitive)
    converted = []
    for role, name, kind in wanted:
        column = columns[f"{role}.{name}"]
        if column.kind != kind:
            converted.append(ConvertedColumn(column, kind, *set_kind(writer, key, column, kind)))
    set_sensitive(writer, key, sorted(sensitive))
    after = find_model(writer, request.model)
    assert after is not None
    whole = (before.task, before.classes, before.settings.threshold) != (after.task, after.classes, after.settings.threshold)
    whole = whole or was_sensitive != {column.reference for column in after.columns if column.sensitive}
    return after, whole or any(before.column(column.reference) not in (None, column) for column in after.columns), converted


def _store_reference_rows(
    writer: duckdb.DuckDBPyConnection,
    model: Model,
    version: str,
    table: pa.Table,
    inference: Inference,
    target: ReferenceOutcomes,
    now: datetime,
) -> None:
    """Replace the stored reference of a version."""
    delete_stream(writer, model, version, "reference")
    predictions = prediction_rows(table, inference, target, model, now)
    labels = label_rows(predictions, inference, target)
    insert_predictions(writer, model, predictions, labels, now=now)


def _version_streams(writer: duckdb.DuckDBPyConnection, model: Model, version: str) -> list[int]:
    """The streams of a version."""
    rows = writer.execute("SELECT stream FROM streams WHERE key = ? AND version = ?", [model.key, version]).fetchall()
    return [stream for (stream,) in rows]


def _settings_sentences(request: RegistrationRequest, settings: ModelSettings, inference: Inference) -> list[str]:
    """Sentences about settings that do not fit the features."""
    if request.settings is None:
        return []
    sentences = [f"Settings were read from {request.settings.name}."]
    names = {column.name for column in inference.columns}
    for what in ("immutable", "importance", "attack_costs", "attack_directions"):
        given = getattr(settings, what)
        if unknown := [name for name in given if name not in names]:
            sentences.append(f"Warning: {what} names columns that are not features of this version: {name_list(unknown)}.")
    return sentences


def _artifact_sentences(kept: Sequence[artifacts.Artifact]) -> list[str]:
    """A sentence for each model file that was stored."""
    words = {"lightgbm": "LightGBM", "xgboost": "XGBoost", "skops": "skops", "onnx": "ONNX"}
    return [f"Stored a copy of the {words[artifact.kind]} model (SHA-256 {artifact.sha256[:12]}…)." for artifact in kept]


def update_settings(store: Database, name: str, settings: ModelSettings) -> list[str]:
    """Change the settings of a model; return a sentence for each consequence. Raises UsageError for a new direction of an attack on a
    category. Raises NotFoundError for an unknown model, unless the settings protect features of it; then they hold from its first record
    on.

    If the threshold changed, decisions that came from it are recomputed, and the rollups with them. Logged decisions stay, and so do
    decisions with a threshold in their record.
    """
    with store.write() as writer:
        model = find_model(writer, name)
        if model is None and not settings.protect:
            store.catalog().model(name)
            raise NotFoundError(f"model {name!r} is not in the store")
        before = ModelSettings() if model is None else model.settings
        _note_change(store, name, before, settings)
        if model is None:
            add_model(writer, name, settings=settings)
        else:
            check_stated_directions(model, before, settings)
            update_model(writer, model.key, settings=settings)
        rebuilt = model is not None and model.task == "binary" and settings.threshold != before.threshold
        if rebuilt:
            rebuild_rollups(writer, name, threads=store.threads)
    publish_rules(store.home, store.catalog().models)
    if model is None:
        return [f"No record of {name} has arrived; its settings hold from the first one on."]
    if not rebuilt:
        return []
    change = f"from {before.threshold:g} to {settings.threshold:g}"
    return [f"The threshold of {name} changed {change}; decisions that came from it were recomputed."]
