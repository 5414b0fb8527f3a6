"""A logged prediction with given features and unknown fields, made without a store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from observability.core.catalog import Column, Edges, Model, Version
from observability.investigation.logged_prediction import Row

AT = datetime(2026, 3, 2, tzinfo=UTC)


def text_row(
    features: Mapping[str, Any],
    classes: tuple[str, ...] = ("0", "1"),
    *,
    decision: int = 1,
    extra: Mapping[str, Any] | None = None,
    levels: Mapping[str, tuple[str, ...]] | None = None,
) -> Row:
    """Make the prediction. levels: the levels of the features in the reference; extra: fields that are unknown to the log."""
    columns = tuple(
        Column(place, name, f"c{place}", "category" if isinstance(value, str) else "number")
        for place, (name, value) in enumerate(features.items())
    )
    edges = {f"feature.{name}": Edges(levels=known) for name, known in (levels or {}).items()}
    version = Version("1", AT, tuple(features), edges, artifact="model")
    model = Model(1, "texts", "multiclass" if len(classes) > 2 else "binary", classes, columns, (version,))
    return Row(
        model,
        version,
        "production",
        "t-1",
        AT,
        AT,
        dict(features),
        {},
        0.6,
        None,
        None,
        decision,
        "ok",
        stored={"extra": dict(extra or {})},
    )
