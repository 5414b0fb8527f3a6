"""Which columns are sensitive attributes, which look as if they were, and into which groups do numbers among them fall?"""

import re
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from observability.core.errors import UsageError
from observability.store.registry.column_profile import kind_of, numbers, profile
from observability.store.registry.register_types import Feature, Request
from observability.store.registry.score_columns import find

CODE_VALUES = 12
"""Integers of at most this many different values may be codes of categories; a sensitive attribute of so few is taken for codes, one with more is put into bands."""
SENSITIVE_WORDS = frozenset([
    "sex", "gender", "race", "ethnicity", "ethnic", "age", "religion", "religious", "faith", "disability", "disabled", "nationality",
    "citizenship", "citizen", "marital", "married", "pregnant", "pregnancy", "immigrant", "immigration", "origin", "orientation", "caste",
    "tribe", "veteran", "dob", "birthdate", "birthyear", "hispanic", "latino",
])  # fmt: skip
SENSITIVE_CODES = frozenset([
    "sex", "rac1p", "rac2p", "rac3p", "agep", "hisp", "dis", "dear", "deye", "ddrs", "drem", "mar", "nativity", "cit", "pobp", "mil",
    "waob", "anc1p", "msp",
])  # fmt: skip
NOT_A_PERSON = frozenset([
    "vehicle", "car", "account", "policy", "house", "building", "loan", "device", "customer_since", "tenure", "carrier", "airport",
    "flight",
])  # fmt: skip


def mark_sensitive(
    table: pa.Table, request: Request, features: tuple[Feature, ...], groups: tuple[Feature, ...], where: str | None, *, flat: bool
) -> tuple[tuple[Feature, ...], tuple[Feature, ...], tuple[str, ...]]:
    """Features and groups with what the request calls sensitive, and the features that look sensitive and were not named.

    A sensitive column of a flat file is a feature only where the request names the features and it is among them: what the model was not given is logged
    under `groups`, and counted as a feature it would be absent there for ever. In a file of records each says itself where it stands.

    Sensitive numbers of at most CODE_VALUES different values are codes, and become categories; others get bands.
    """
    known = {each.name: each for each in (*groups, *features)}
    chosen: set[str] = set()
    added: list[Feature] = []
    for name in request.sensitive:
        if name in known or request.renames.get(name) in known:
            chosen.add(name if name in known else request.renames[name])
            continue
        source = find(name, [*known, *table.column_names], request.renames, "sensitive", where)
        seen = profile(source, table[source])
        if seen.kind is None:
            raise UsageError(
                f"{source!r} cannot be a sensitive attribute", where=where, got=seen.obstacle, expected="numbers, words or true and false"
            )
        added.append(Feature(source, source, seen.kind, "group", sensitive=True))
    if flat and not request.features:
        added = [*(replace(each, role="group", sensitive=True) for each in features if each.name in chosen), *added]
        features = tuple(each for each in features if each.name not in chosen)
        if not features:
            raise UsageError(
                "no column is left to be a feature", where=where, got=f"all of them are sensitive: {', '.join(sorted(chosen)[:12])}",
                attempt="Name the features with --features; a sensitive column that the model takes is one of them",
            )  # fmt: skip
    features = tuple(replace(each, sensitive=each.name in chosen) for each in features)
    groups = (*groups, *added)

    def grouped(each: Feature) -> Feature:
        if not each.sensitive or request.kinds.get(each.name, each.kind) != "number":
            return each
        values = numbers(table[each.source])
        if each.name not in request.kinds and 0 < np.unique(values[np.isfinite(values)]).size <= CODE_VALUES:
            return replace(each, kind="category")
        return replace(each, bands=bands(values))

    suggested = tuple(each.name for each in features if not each.sensitive and looks_sensitive(each.name))
    return tuple(map(grouped, features)), tuple(map(grouped, groups)), suggested


def is_coded(column: pa.ChunkedArray) -> bool:
    """Whether a column holds numbers."""
    return kind_of(column.type)[0] == "number"


def looks_sensitive(name: str) -> bool:
    """Whether a column's name suggests a sensitive attribute."""
    if name.lower() in SENSITIVE_CODES:
        return True
    words = {word.lower() for word in re.findall(r"[A-Za-z][a-z]*|[A-Z]+(?![a-z])", name)}
    return bool(words & SENSITIVE_WORDS) and not words & NOT_A_PERSON


def bands(values: NDArray[np.float64], parts: int = 5) -> tuple[float, ...]:
    """Limits between about `parts` groups of equal size, at round numbers; none for at most CODE_VALUES different values, which are groups themselves.

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
