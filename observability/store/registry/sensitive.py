"""Sensitive attributes: requested columns, columns that look sensitive, and bands of sensitive numbers."""

import re
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.core.catalog import Model
from observability.core.errors import UsageError
from observability.store.registry.column_profile import arrow_kind, float_values, profile_column
from observability.store.registry.score_columns import find_column
from observability.store.types.registration import FeatureColumn, Inference, RegistrationRequest

CODE_VALUES = 12
"""Sensitive integers with at most this many different values are taken for codes of categories; those with more are put into bands."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SENSITIVE_WORDS = _words(
    "sex gender race ethnicity ethnic age religion religious faith disability disabled nationality citizenship citizen "
    "marital married pregnant pregnancy immigrant immigration origin orientation caste tribe veteran dob birthdate birthyear "
    "hispanic latino"
)
SENSITIVE_CODES = _words("sex rac1p rac2p rac3p agep hisp dis dear deye ddrs drem mar nativity cit pobp mil waob anc1p msp")
NOT_A_PERSON = _words("vehicle car account policy house building loan device customer_since tenure carrier airport flight")


def mark_sensitive(
    table: pa.Table,
    request: RegistrationRequest,
    features: tuple[FeatureColumn, ...],
    groups: tuple[FeatureColumn, ...],
    where: str | None,
    *,
    flat: bool,
) -> tuple[tuple[FeatureColumn, ...], tuple[FeatureColumn, ...], tuple[str, ...]]:
    """Features and groups with the requested columns marked as sensitive, and features that look sensitive but were not requested.

    A sensitive column of a flat file is a feature only if the request names the features and the column is among them. Otherwise it is a
    group, because services log under `groups` what the model does not take. As a feature it would always be absent. In a file of records,
    each column keeps the place that the records give it.

    Sensitive numbers of at most CODE_VALUES different values are codes, and become categories; others get bands.
    """
    known = {column.name: column for column in (*groups, *features)}
    chosen: set[str] = set()
    added: list[FeatureColumn] = []
    for name in request.sensitive:
        if name in known or request.renames.get(name) in known:
            chosen.add(name if name in known else request.renames[name])
            continue
        source = find_column(name, [*known, *table.column_names], request.renames, "sensitive", where)
        seen = profile_column(source, table[source])
        if seen.kind is None:
            raise UsageError(
                f"{source!r} cannot be a sensitive attribute", where=where, got=seen.obstacle, expected="numbers, words or true and false"
            )
        added.append(FeatureColumn(source, source, seen.kind, "group", sensitive=True))
    if flat and not request.features:
        added = [*(replace(feature, role="group", sensitive=True) for feature in features if feature.name in chosen), *added]
        features = tuple(feature for feature in features if feature.name not in chosen)
        if not features:
            raise UsageError(
                "no column is left to be a feature",
                where=where,
                got=f"all of them are sensitive: {', '.join(sorted(chosen)[:12])}",
                attempt="Name the features with --features, including sensitive columns that the model uses",
            )
    features = tuple(replace(feature, sensitive=feature.name in chosen) for feature in features)
    groups = (*groups, *added)

    def grouped(column: FeatureColumn) -> FeatureColumn:
        if not column.sensitive or request.kinds.get(column.name, column.kind) != "number":
            return column
        values = float_values(table[column.source])
        if column.name not in request.kinds and 0 < np.unique(values[np.isfinite(values)]).size <= CODE_VALUES:
            return replace(column, kind="category")
        return replace(column, bands=sensitive_bands(values))

    suggested = tuple(feature.name for feature in features if not feature.sensitive and looks_sensitive(feature.name))
    return tuple(map(grouped, features)), tuple(map(grouped, groups)), suggested


@dataclass(frozen=True)
class SensitiveRole:
    """Whether a sensitive column is a feature as well as a group, and why."""

    feature: bool
    because: str


GROUP = SensitiveRole(False, "")


def sensitive_roles(
    inference: Inference, request: RegistrationRequest, known: Model | None, taken: frozenset[str] | None
) -> dict[str, SensitiveRole]:
    """For the sensitive groups of a flat file whose role the request leaves open: their roles, as far as these are known. Other groups are
    left out.

    known: the model before this registration; its predictions may have carried the groups as features. taken: the columns that the model
    file takes, None if it was not run.
    """
    if inference.records or request.features:
        return {}
    found: dict[str, SensitiveRole] = {}
    for group in inference.groups:
        if taken is not None and group.name in taken:
            found[group.name] = SensitiveRole(True, "the model file takes it")
        elif known is not None and known.column(f"feature.{group.name}"):
            found[group.name] = SensitiveRole(True, "predictions carry it among their features")
        elif taken is not None:
            found[group.name] = SensitiveRole(False, "the model file does not take it")
    return found


def is_coded(column: pa.ChunkedArray) -> bool:
    """Whether a column holds numbers."""
    return arrow_kind(column.type)[0] == "number"


def looks_sensitive(name: str) -> bool:
    """Whether the name of a column suggests a sensitive attribute."""
    if name.lower() in SENSITIVE_CODES:
        return True
    words = {word.lower() for word in re.findall(r"[A-Za-z][a-z]*|[A-Z]+(?![a-z])", name)}
    return bool(words & SENSITIVE_WORDS) and not words & NOT_A_PERSON


def sensitive_bands(values: NDArray[np.float64], parts: int = 5) -> tuple[float, ...]:
    """Limits between about `parts` groups of equal size, at round numbers. Empty for at most CODE_VALUES different values, which are groups
    themselves.

    A value belongs to group `numpy.searchsorted(limits, value, side="right")`.
    """
    finite = values[np.isfinite(values)]
    if np.unique(finite).size <= CODE_VALUES:
        return ()
    low, high = np.quantile(finite, [0.05, 0.95])
    if not low < high:
        low, high = finite.min(), finite.max()
    unit = 10.0 ** np.floor(np.log10((high - low) / 8))
    unit *= max(step for step in (1, 2, 5) if step * unit <= (high - low) / 8)
    limits = np.unique(np.round(np.quantile(finite, np.arange(1, parts) / parts) / unit)) * unit
    limits = limits[(limits > finite.min()) & (limits <= finite.max())]
    return tuple(float(f"{limit:.12g}") for limit in limits)
