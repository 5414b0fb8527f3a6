"""What is in a reference file: which columns are features, of which kind, which are sensitive, and does it make sense?

Pure: an Arrow table and a Request go in, an Inference comes out; nothing is read or stored.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from observability.core.errors import UsageError
from observability.records.kinds import KINDS
from observability.store.ingest.parse_plan import MOST_COLUMNS
from observability.store.registry.column_profile import Profile, profile
from observability.store.registry.leakage_checks import leaks
from observability.store.registry.plausibility import column_notes, column_warnings, metric_warnings, row_warnings
from observability.store.registry.register_types import Feature, Inference, Request
from observability.store.registry.score_columns import find, listed
from observability.store.registry.sensitive import is_coded, mark_sensitive
from observability.store.registry.targets import Target, read_target, reference_metrics

RESERVED = {*KINDS["prediction"].fields, "kind"}
"""Fields of the record: not features, unless the request names them."""
ID_NAME = re.compile(
    r"^(unnamed: ?\d+|index|id|uuid|guid|key|row|rowid|row_?number|column0*|.*[_ .-](id|uuid|guid)|.*[a-z](Id|ID|Uuid|UUID))?$"
)
DATE_TEXT = re.compile(r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?(Z|[+-]\d\d:?\d\d))?)?$")


def infer(
    table: pa.Table,
    request: Request,
    *,
    nested: Mapping[str, tuple[str, str]] | None = None,
    threshold: float = 0.5,
    where: str | None = None,
) -> Inference:
    """What a table says about the version that the request describes.

    nested: for a file of prediction records, column of the table → (feature or group, own name); None for flat rows, where every column left
    over is a feature. threshold: score from which a decision is positive, for the accuracy. where: the file's name, for errors.

    Raises UsageError where a column is missing, holds what its use cannot hold, or no feature is left.
    """
    return study(table, request, nested=nested, threshold=threshold, where=where)[0]


def study(
    table: pa.Table,
    request: Request,
    *,
    nested: Mapping[str, tuple[str, str]] | None = None,
    threshold: float = 0.5,
    where: str | None = None,
) -> tuple[Inference, Target]:
    """The inference, and the outcomes of every row that it was made from."""
    table = renamed(table, request.renames, where)
    if not table.num_rows:
        raise UsageError("the reference holds no rows", where=where)
    target = read_target(table, request, where)
    usable = target.usable
    if not usable.any():
        raise UsageError("no row has a score or a prediction", where=where, got=f"{table.num_rows:,} rows", attempt="Check --score")
    if not (usable & target.labelled).any():
        raise UsageError("no row has both a label and a score", where=where, attempt="Check --label and --score")
    at = time_column(table, request, where)
    taken = {target.label: "the label", **{column: "a score" for _, column in target.scores}}
    taken |= {name: use for name, use in ((target.prediction, "the prediction"), (at, "the time")) if name is not None}
    features, groups, profiles, left_out = choose_columns(table, request, nested, taken, where)
    features, groups, suggested = mark_sensitive(table, request, features, groups, where, flat=nested is None)
    checked_kinds(request, (*features, *groups), where)
    features = tuple(replace(each, kind=request.kinds.get(each.name, each.kind)) for each in features)
    groups = tuple(replace(each, kind=request.kinds.get(each.name, each.kind)) for each in groups)
    notes = column_notes(features, profiles)
    warnings = row_warnings(target, usable, table.num_rows)
    warnings += column_warnings(features, groups, profiles)
    warnings += leaks(table, features, target)
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
            each.name for each in (*features, *groups) if each.kind == "category" and each.sensitive and is_coded(table[each.source])
        ),
        metrics=metrics,
        threshold=threshold,
        in_sample=request.in_sample,
        records=nested is not None,
        notes=tuple(notes),
        warnings=tuple(warnings),
    )
    return inference, target


def renamed(table: pa.Table, renames: Mapping[str, str], where: str | None) -> pa.Table:
    """The table with the request's new names. Raises UsageError where a name is missing, or two columns get one name."""
    for theirs in renames:
        find(theirs, table.column_names, {}, "renamed", where)
    names = [renames.get(name, name) for name in table.column_names]
    twice = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise UsageError(
            f"the column {twice[0]!r} stands twice in the file", where=where, attempt="Rename one of them, in the file or with --map"
        )
    return table.rename_columns(names)


def time_column(table: pa.Table, request: Request, where: str | None) -> str | None:
    """The column of event times: the one named, else `at`, else the only column of times; None where there is none."""
    if request.at:
        return find(request.at, table.column_names, request.renames, "time", where)
    if "at" in table.column_names and "at" not in (request.features or ()):
        return "at"
    timed = [field.name for field in table.schema if pa.types.is_timestamp(field.type) or pa.types.is_date(field.type)]
    timed = [name for name in timed if name not in (request.label, "received_at", "acted_at")]
    return timed[0] if len(timed) == 1 else None


def choose_columns(
    table: pa.Table, request: Request, nested: Mapping[str, tuple[str, str]] | None, taken: Mapping[str, str], where: str | None
) -> tuple[tuple[Feature, ...], tuple[Feature, ...], dict[str, Profile], dict[str, str]]:
    """Features, groups, the profile of each by its own name, and what was left out and why."""
    own = {source: name for source, (_, name) in (nested or {}).items()}
    sources = {name: source for source, name in reversed(own.items())}
    columns = table.column_names
    named: list[str] = []
    for name in dict.fromkeys(request.features or ()):
        source = sources.get(name) or find(name, columns, request.renames, "feature", where)
        if source in taken:
            raise UsageError(f"{name!r} is {taken[source]}, so it cannot be a feature", where=where, attempt="Leave it out of --features")
        named.append(source)
    features: list[Feature] = []
    groups: list[Feature] = []
    profiles: dict[str, Profile] = {}
    left_out: dict[str, str] = {}
    for source in named or columns:
        role, name = (nested or {}).get(source, ("feature" if nested is None or named else "field", source))
        if source in taken or role == "group" or (role == "field" and source in RESERVED):
            continue
        seen = profile(name, table[source])
        reason = None if role == "feature" else "it is no field of the record and stands beside `features`"
        if reason is None and not named:
            reason = "it is a field of the record" if nested is None and source in RESERVED else why_no_feature(seen, table.num_rows)
        if seen.kind is None or reason is not None:
            if named:
                raise UsageError(
                    f"{name!r} cannot be a feature", where=where, got=seen.obstacle, expected="numbers, words or true and false"
                )
            left_out[name] = reason or f"it holds {seen.obstacle}"
            continue
        features.append(Feature(name, source, seen.kind))
        profiles[name] = seen
    for source, (role, name) in (nested or {}).items():
        if role == "group" and source not in taken and (seen := profile(name, table[source])).kind is not None:
            groups.append(Feature(name, source, seen.kind, "group", sensitive=True))
            profiles.setdefault(name, seen)
    if not features:
        raise UsageError(
            "no column is left to be a feature", where=where, got=f"columns {listed(columns)}", attempt="Name them with --features"
        )
    if len(features) > MOST_COLUMNS:
        raise UsageError("too many features", where=where, got=f"{len(features):,}", expected=f"at most {MOST_COLUMNS:,}")
    return tuple(features), tuple(groups), profiles, left_out


def why_no_feature(seen: Profile, rows: int) -> str | None:
    """Why a column that nobody named is not taken as a feature; None where it is."""
    if seen.kind is None:
        return f"it holds {seen.obstacle}"
    if seen.kind == "category" and not seen.empty and all(DATE_TEXT.match(name) for name in seen.level_names):
        return "it holds times"
    if rows >= 20 and seen.unique and (seen.kind == "category" or seen.sequence or (seen.whole and ID_NAME.match(seen.name))):
        return "it counts the rows" if seen.sequence else "it has a different value in every row, as an id has"
    return None


def checked_kinds(request: Request, columns: tuple[Feature, ...], where: str | None) -> None:
    """Raises UsageError where a corrected kind cannot hold: words cannot become numbers; any value can become a category."""
    known = {each.name: each.kind for each in columns}
    for name, kind in request.kinds.items():
        if kind not in ("number", "category", "boolean"):
            raise UsageError(f"unknown kind of {name!r}", where=where, got=repr(kind), expected="number, category or boolean")
        if name in known and kind not in (known[name], "category") and (known[name], kind) != ("boolean", "number"):
            raise UsageError(f"{name!r} cannot be a {kind}", where=where, got=f"a {known[name]}", expected=f"{known[name]} or category")
