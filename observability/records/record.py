"""Validate records against the kinds that records/kinds.py defines.

Validation, the store's tables and the documentation are derived from `KINDS`. Records are checked once, on arrival. After that, the output
of `validate` is trusted.
"""

import difflib
from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from observability.records.kinds import KINDS, Kind
from observability.records.validation import field_description, field_suggestion
from observability.records.values import Rejected, quoted_value

FAILED = ("error", "timeout", "rejected")
"""Statuses of a prediction for which no score is required."""


def validate(obj: Any, *, timezone: tzinfo | None = None) -> dict[str, Any]:
    """The record in typed values: `kind`, each field that is not null, and `extra` with all fields that the kind does not define.

    Times become datetimes in UTC, numbers floats, counts ints; scalars stay unchanged. features and groups stay unchanged too: if a feature
    has an invalid value, only that feature is lost, and the code that reads it reports this. An inline label becomes {"value", "at"?, …,
    "extra"}. timezone: for times without an offset; None rejects them. Raises Rejected. Reasons: not_an_object, unknown_kind,
    missing_field, wrong_type, bad_time, no_offset, no_score, bad_value.
    """
    if not isinstance(obj, dict):
        raise Rejected("not_an_object", f"a record is a JSON object; got {quoted_value(obj)}")
    kind = record_kind(obj)
    record: dict[str, Any] = {"kind": kind.name}
    extra: dict[str, Any] = {}
    checks = kind.checks
    for name, value in obj.items():
        check = checks.get(name)
        if check is None:
            if name != "kind":
                extra[name] = value
        elif value is not None:
            record[name] = check(value, timezone)
    for field in kind.required:
        if field.name not in record:
            raise missing_field(kind, field.name, obj, extra)
    if kind.at_least_one and not any(name in record for name in kind.at_least_one):
        if kind.name != "prediction":
            raise Rejected("missing_field", f"a {kind.name} needs at least one of {', '.join(kind.at_least_one)}; it has none")
        if record.get("status") not in FAILED:
            near = field_suggestion("score", extra) or field_suggestion("prediction", extra)
            raise Rejected(
                "no_score", f"a prediction whose status is none of {', '.join(FAILED)} needs a 'score' or a 'prediction'; it has none{near}"
            )
    record["extra"] = extra
    return record


def record_kind(obj: Mapping[str, Any]) -> Kind:
    """The kind of a record; raises Rejected if it is missing or unknown."""
    name = obj.get("kind")
    if name is None:
        near = field_suggestion("kind", obj)
        raise Rejected("missing_field", f"the record has no 'kind'{near}; expected one of {', '.join(KINDS)}, or load the file with --kind")
    if not isinstance(name, str) or name not in KINDS:
        nearest = [] if not isinstance(name, str) else difflib.get_close_matches(name, KINDS, n=1)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else f"; expected one of {', '.join(KINDS)}"
        raise Rejected("unknown_kind", f"there is no kind {quoted_value(name)}{hint}")
    return KINDS[name]


def missing_field(kind: Kind, name: str, obj: Mapping[str, Any], extra: Mapping[str, Any]) -> Rejected:
    """The rejection of a record that lacks a required field. It names the most similar one of the record's unknown fields."""
    if name in obj:
        return Rejected("missing_field", f"{name!r} of a {kind.name} is null; expected {field_description(kind.fields[name])}")
    return Rejected(
        "missing_field",
        f"a {kind.name} needs {name!r} ({field_description(kind.fields[name])}); it has none{field_suggestion(name, extra)}",
    )
