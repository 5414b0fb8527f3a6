"""Typed conditions for searching predictions, such as `carrier = UA and dep_delay > 60 and outcome = wrong`."""

import re
from dataclasses import dataclass

from observability.core.errors import UsageError

SEARCH_NAMES = ("score", "answer", "label", "outcome", "error", "absolute_error", "id", "subject", "latency_ms", "cost")
"""Names that take precedence over columns (`feature.score` is the feature named score). answer, label: a class; for a regression label is a
number. outcome: right, wrong or unknown. error, absolute_error: errors of a regression.
"""
_NAME = r"""(?:"[^"]+"|[^\s"=<>!&]+)"""
_OPERATOR = r"(?:!=|<=|>=|=|<|>)"
_TERM = re.compile(
    rf"""\s*({_NAME})\s*({_OPERATOR})\s*(?:"([^"]*)"|([^"].*?))\s*(?:(?:(?<=\s)and\s|&)(?=\s*{_NAME}\s*{_OPERATOR})|$)""",
    re.DOTALL | re.IGNORECASE,
)
"""One condition up to the end, or to an `and` or & that is followed by another condition."""


@dataclass(frozen=True)
class SearchTerm:
    """One typed condition: a name, one of = != < <= > >=, and a value. `null` is a missing value; a number may be `5 or null`."""

    name: str
    operator: str
    value: str

    def __str__(self) -> str:
        return f"{self.name} {self.operator} {self.value}"


def is_search_filter(text: str) -> bool:
    """Whether a text is a condition, and not an id or a subject."""
    return bool(_TERM.match(text))


def parse_search_terms(text: str) -> tuple[SearchTerm, ...]:
    """Conditions joined by `and` or &. Names and values with spaces or signs are in double quotes. Raises UsageError."""
    terms: list[SearchTerm] = []
    place = 0
    while place < len(text) or not terms:
        found = _TERM.match(text, place)
        if not found:
            raise UsageError(
                "this condition cannot be read", got=repr(text[place : place + 80]), expected="name = value, also with != < <= > >="
            )
        terms.append(SearchTerm(found[1].strip('"'), found[2], found[4] if found[3] is None else found[3]))
        place = found.end()
    return tuple(terms)
