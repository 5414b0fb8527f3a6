"""How a subject or an id may stand in stored texts, and the regular expressions that find texts with one of many."""

import json
import re
from collections.abc import Collection
from urllib.parse import quote

from observability.store.db.erasures import text_core

PATTERN_FORMS = 500
"""Most forms that one regular expression looks for."""


def written_forms(name: str) -> list[str]:
    """The ways in which a name stands in stored texts: plain, and as JSON and addresses write it."""
    core = text_core(name)
    return sorted({core, json.dumps(core)[1:-1], json.dumps(core, ensure_ascii=False)[1:-1], quote(core, safe=""), quote(core)})


def mention_patterns(names: Collection[str]) -> list[str]:
    """Regular expressions (RE2), of which one matches where a text contains one of the names in one of its forms; none for no name."""
    forms = sorted({re.escape(form) for name in names for form in written_forms(name)})
    return ["|".join(forms[start : start + PATTERN_FORMS]) for start in range(0, len(forms), PATTERN_FORMS)]
