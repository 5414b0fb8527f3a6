"""Infer a model version from its reference: features with their kinds, sensitive attributes, outcomes and plausibility.

Takes an Arrow table and a RegistrationRequest and returns an Inference. Only `infer_reference_file` reads a file; nothing is stored.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC

import numpy as np
import pyarrow as pa

from observability.core.errors import UsageError
from observability.core.settings import ModelSettings, read_settings
from observability.records.kinds import KINDS
from observability.store.ingest.column_advice import lacks_offset
from observability.store.ingest.parse_exact import time_zone
from observability.store.ingest.parse_plan import MAX_FEATURES
from observability.store.ingest.record_columns import INDEX_COLUMNS
from observability.store.registry.column_profile import ColumnProfile, profile_column
from observability.store.registry.event_times import check_event_times
from observability.store.registry.leakage_checks import leakage_warnings
from observability.store.registry.personal_columns import personal_data_warnings
from observability.store.registry.plausibility import column_notes, column_warnings, metric_warnings, row_warnings
from observability.store.registry.reference_file import ReferenceData, read_reference
from observability.store.registry.score_columns import find_column, name_list, quoted_name
from observability.store.registry.sensitive import is_coded, mark_sensitive
from observability.store.registry.targets import PREDICTION_NAMES, ReferenceOutcomes, read_outcomes, reference_metrics
from observability.store.types.registration import FeatureColumn, Inference, RegistrationRequest

RESERVED = {*KINDS["prediction"].fields, "kind"}
"""Fields of the record. They are not features unless the request names them."""
ID_NAME = re.compile(
    r"^(unnamed: ?\d+|index|id|uuid|guid|key|row|rowid|row_?number|column0*|.*[_ .-](id|uuid|guid)|.*[a-z](Id|ID|Uuid|UUID))?$"
)
DATE_TEXT = re.compile(r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|[+-]\d\d:?\d\d))?)?$")


def infer_version(
    table: pa.Table,
    request: RegistrationRequest,
    *,
    nested: Mapping[str, tuple[str, str]] | None = None,
    threshold: float = 0.5,
    where: str | None = None,
) -> Inference:
    """Infer from a table the version that the request describes.

    nested: for a file of prediction records, column of the table → (feature or group, name); None for flat rows, where every remaining
    column is a feature. threshold: score from which a decision is positive, for the accuracy. where: name of the file, for errors.

    Raises UsageError if a column is missing, holds unsuitable values, or no feature is left.
    """
    return infer_with_outcomes(table, request, nested=nested, threshold=threshold, where=where)[0]


def infer_with_outcomes(
    table: pa.Table,
    request: RegistrationRequest,
    *,
    nested: Mapping[str, tuple[str, str]] | None = None,
    threshold: float = 0.5,
    where: str | None = None,
) -> tuple[Inference, ReferenceOutcomes]:
    """The inference, and the outcomes of every row, on which the inference is based."""
    table = rename_columns(table, request.renames, where)
    if not table.num_rows:
        raise UsageError("the reference holds no rows", where=where)
    target = read_outcomes(table, request, where)
    usable = target.usable
    if not usable.any():
        raise UsageError("no row has a score or a prediction", where=where, got=f"{table.num_rows:,} rows", attempt="Check --score")
    if not (usable & target.labelled).any():
        raise UsageError("no row has both a label and a score", where=where, attempt="Check --label and --score")
    at, zone = _event_time_column(table, request, where), time_zone(request.timezone)
    taken = {target.label: "the label", **{column: "a score" for _, column in target.scores}}
    taken |= {name: use for name, use in ((target.prediction, "the prediction"), (at, "the time")) if name is not None}
    if at is not None:
        check_event_times(table, at, zone or UTC)
    features, groups, profiles, left_out = _choose_columns(table, request, nested, taken, where)
    features, groups, suggested = mark_sensitive(table, request, features, groups, where, flat=nested is None)
    _require_kinds(request, (*features, *groups), where)
    features, groups = (
        tuple(replace(column, kind=request.kinds.get(column.name, column.kind)) for column in columns) for columns in (features, groups)
    )
    notes = column_notes(features, profiles)
    if not request.score and target.task == "binary" and target.scores and target.scores[0][1] in PREDICTION_NAMES:
        column = quoted_name(target.scores[0][1])
        notes.append(f"{column} holds fractions from 0 to 1, so it is taken as the score and not as the decision.")
    if at is not None and zone is None and lacks_offset(table[at]):
        notes.append(f"The times of {quoted_name(at)} have no offset and are taken as UTC: name their time zone with --timezone.")
    warnings = row_warnings(target, usable, table.num_rows)
    warnings += column_warnings(features, groups, profiles)
    warnings += leakage_warnings(table, features, target)
    warnings += personal_data_warnings(table, (*features, *groups))
    metrics = reference_metrics(target, threshold)
    warnings += metric_warnings(target, metrics, int((usable & target.labelled).sum()), request.in_sample)
    counts = np.bincount(target.codes[usable & target.labelled], minlength=len(target.classes)) if target.classes else ()
    inference = Inference(
        model=request.model,
        version=request.version,
        task=target.task,
        rows=table.num_rows,
        usable=int(usable.sum()),
        labelled=int((usable & target.labelled).sum()),
        label=target.label,
        scores=target.scores,
        prediction=target.prediction,
        at=at,
        classes=target.classes,
        class_counts=tuple(int(count) for count in counts),
        features=features,
        groups=groups,
        left_out=left_out,
        suggested_sensitive=suggested,
        codes=tuple(
            column.name
            for column in (*features, *groups)
            if column.kind == "category" and column.sensitive and is_coded(table[column.source])
        ),
        metrics=metrics,
        threshold=threshold,
        in_sample=request.in_sample,
        records=nested is not None,
        timezone=request.timezone,
        notes=tuple(notes),
        warnings=tuple(warnings),
        sensitive_roles={group.name: "the named features do not include it" for group in groups} if request.features else {},
    )
    return inference, target


def rename_columns(table: pa.Table, renames: Mapping[str, str], where: str | None) -> pa.Table:
    """The table with the new names of the request. Raises UsageError if a name is missing, or two columns get the same name."""
    for theirs in renames:
        find_column(theirs, table.column_names, {}, "renamed", where)
    names = [renames.get(name, name) for name in table.column_names]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        message = f"the column {twice[0]!r} stands twice in the file"
        raise UsageError(message, where=where, attempt="Rename one of them, in the file or with --map")
    return table.rename_columns(names)


def _event_time_column(table: pa.Table, request: RegistrationRequest, where: str | None) -> str | None:
    """The column of event times: the requested one, else `at`, else the only time column, else None."""
    if request.at:
        return find_column(request.at, table.column_names, request.renames, "time", where)
    if "at" in table.column_names and "at" not in (request.features or ()):
        return "at"
    timed = [field.name for field in table.schema if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)]
    timed = [name for name in timed if name not in (request.label, "received_at", "acted_at")]
    return timed[0] if len(timed) == 1 else None


def _choose_columns(
    table: pa.Table, request: RegistrationRequest, nested: Mapping[str, tuple[str, str]] | None, taken: Mapping[str, str], where: str | None
) -> tuple[tuple[FeatureColumn, ...], tuple[FeatureColumn, ...], dict[str, ColumnProfile], dict[str, str]]:
    """Features, groups, the profile of each by name, and the reason for each column that was left out."""
    own = {source: name for source, (_, name) in (nested or {}).items()}
    sources = {name: source for source, name in reversed(own.items())}
    columns = table.column_names
    named: list[str] = []
    for name in dict.fromkeys(request.features or ()):
        source = sources.get(name) or find_column(name, columns, request.renames, "feature", where)
        if source in taken:
            raise UsageError(f"{name!r} is {taken[source]}, so it cannot be a feature", where=where, attempt="Leave it out of --features")
        named.append(source)
    features: list[FeatureColumn] = []
    groups: list[FeatureColumn] = []
    profiles: dict[str, ColumnProfile] = {}
    left_out: dict[str, str] = {}
    for source in named or columns:
        role, name = (nested or {}).get(source, ("feature" if nested is None or named else "field", source))
        if source in taken or role == "group" or (role == "field" and source in RESERVED):
            continue
        seen = profile_column(name, table[source])
        reason = None if role == "feature" else "it is not a field of the record and is outside `features`"
        if reason is None and not named:
            reason = "it is a field of the record" if nested is None and source in RESERVED else _exclusion_reason(seen, table.num_rows)
        if seen.kind is None or reason is not None:
            if named:
                raise UsageError(
                    f"{name!r} cannot be a feature", where=where, got=seen.obstacle, expected="numbers, words or true and false"
                )
            left_out[name] = reason or f"it holds {seen.obstacle}"
            continue
        features.append(FeatureColumn(name, source, seen.kind))
        profiles[name] = seen
    for source, (role, name) in (nested or {}).items():
        if role == "group" and source not in taken and (seen := profile_column(name, table[source])).kind is not None:
            groups.append(FeatureColumn(name, source, seen.kind, "group", sensitive=True))
            profiles.setdefault(name, seen)
    if not features:
        raise UsageError(
            "no column is left to be a feature", where=where, got=f"columns {name_list(columns)}", attempt="Name them with --features"
        )
    if len(features) > MAX_FEATURES:
        raise UsageError("too many features", where=where, got=f"{len(features):,}", expected=f"at most {MAX_FEATURES:,}")
    return tuple(features), tuple(groups), profiles, left_out


def _exclusion_reason(seen: ColumnProfile, rows: int) -> str | None:
    """Why a column is not a feature unless the request names it; None if the column is a feature."""
    if seen.name in INDEX_COLUMNS:
        return "it is the row index that pandas writes"
    if seen.kind is None:
        return f"it holds {seen.obstacle}"
    if seen.kind == "category" and not seen.empty and all(DATE_TEXT.match(name) for name in seen.level_names):
        return "it holds times"
    if rows >= 20 and seen.unique and (seen.kind == "category" or seen.sequence or (seen.whole and ID_NAME.match(seen.name))):
        if seen.written == "number":
            return "it has a different value in every row, like an id, and holds numbers written as text"
        return "it is a row number" if seen.sequence else "it has a different value in every row, like an id"
    return None


def _require_kinds(request: RegistrationRequest, columns: tuple[FeatureColumn, ...], where: str | None) -> None:
    """Raise UsageError if a corrected kind is impossible: words cannot become numbers; any value can become a category."""
    known = {column.name: column.kind for column in columns}
    for name, kind in request.kinds.items():
        if kind not in ("number", "category", "boolean"):
            raise UsageError(f"unknown kind of {name!r}", where=where, got=repr(kind), expected="number, category or boolean")
        if name in known and kind not in (known[name], "category") and (known[name], kind) != ("boolean", "number"):
            raise UsageError(f"{name!r} cannot be a {kind}", where=where, got=f"a {known[name]}", expected=f"{known[name]} or category")


def infer_reference_file(request: RegistrationRequest, threshold: float | None = None) -> Inference:
    """The inference from the reference file of a request. Stores nothing. Raises UsageError for a wrong file or request."""
    if threshold is None:
        threshold = (read_settings(request.settings) if request.settings else ModelSettings()).threshold
    reference = read_request_file(request)
    inference = infer_version(reference.table, request, nested=reference.nested, threshold=threshold, where=reference.name)
    return replace(inference, warnings=(*reference.warnings, *inference.warnings))


def read_request_file(request: RegistrationRequest) -> ReferenceData:
    """The reference file of a request."""
    if request.reference is None:
        raise UsageError("a version is registered with a reference", expected="--reference FILE")
    return read_reference(request.reference, request.decimal)
