"""Replace erased subjects in stored texts by marks, and find the texts that may need marks."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from observability.store.db.erasures import ErasedMatcher
from observability.store.db.expressions import sql_literal
from observability.store.db.written_forms import mention_patterns


def cleaned_value(erased: ErasedMatcher, text: str, kind: str, *, marks_review: bool) -> str:
    """A stored text with marks in place of erased subjects. The body of a review also notes in `erased` the days on which something was
    erased from it.
    """
    if kind != "JSON":
        return erased.cleaned_text(text)
    try:
        body: Any = json.loads(text)
    except ValueError:
        return erased.cleaned_text(text)
    cleaned = erased.cleaned_json(body)
    if cleaned == body:
        return text
    if marks_review and isinstance(cleaned, dict):
        cleaned["erased"] = sorted({*cleaned.get("erased", ()), datetime.now(UTC).date().isoformat()})
    return json.dumps(cleaned, ensure_ascii=False)


def mentions_sql(column: str, names: Sequence[str]) -> str:
    """SQL for whether a text contains one of these names in any form in which it may be written."""
    matches = (f"regexp_matches({column}::VARCHAR, {sql_literal(pattern)})" for pattern in mention_patterns(names))
    return f"({' OR '.join(matches)})"
