"""Make names that SQL can distinguish."""

from collections.abc import Iterable


def distinct_names(names: Iterable[tuple[int, str]]) -> list[str]:
    """Names made distinct without regard to case. names: (number, name); a name that is already taken gets its number appended."""
    taken: set[str] = set()
    found = []
    for number, name in names:
        own = name if name.casefold() not in taken else f"{name} ({number})"
        while own.casefold() in taken:
            own += "'"
        taken.add(own.casefold())
        found.append(own)
    return found
