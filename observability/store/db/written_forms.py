"""The forms in which a subject or an id may be written in stored texts, and regular expressions that find texts with one of many subjects
or ids.
"""

import json
import re
from collections.abc import Collection
from urllib.parse import quote

from observability.store.db.erasures import text_core

PATTERN_FORMS = 500
"""Maximum number of forms that one regular expression looks for."""


def written_forms(name: str) -> list[str]:
    """The forms in which a name may be written in stored texts: plain, and as in JSON and in addresses."""
    core = text_core(name)
    return sorted({core, json.dumps(core)[1:-1], json.dumps(core, ensure_ascii=False)[1:-1], quote(core, safe=""), quote(core)})


def mention_patterns(names: Collection[str]) -> list[str]:
    """Regular expressions (RE2). At least one of them matches a text that contains one of the names in one of its forms. Without names the
    list is empty.
    """
    forms = sorted({re.escape(form) for name in names for form in written_forms(name)})
    return ["|".join(forms[start : start + PATTERN_FORMS]) for start in range(0, len(forms), PATTERN_FORMS)]
