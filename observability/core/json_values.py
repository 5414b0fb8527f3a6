"""Python values in JSON types."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from observability.core.finding import iso


def json_plain(value: Any) -> Any:
    """Values in JSON types: instants as RFC 3339, tuples and arrays as lists, NaN and infinities as the contract's strings."""
    if isinstance(value, Mapping):
        return {str(key): json_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_plain(each) for each in value]
    if isinstance(value, datetime):
        return iso(value) if value.tzinfo else iso(value) + "Z"
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return json_plain(value.tolist()) if hasattr(value, "tolist") else value
