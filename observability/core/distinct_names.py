"""Make names that SQL can distinguish."""

from collections.abc import Iterable


def distinct_names(names: Iterable[tuple[int, str]]) -> list[str]:
    """Names that differ even without regard to case. names: (number, name); if a name is already taken, its number is appended."""
    taken: set[str] = set()
    found = []
    for number, name in names:
        own = name if name.casefold() not in taken else f"{name} ({number})"
        while own.casefold() in taken:
            own += "'"
        taken.add(own.casefold())
        found.append(own)
    return found
