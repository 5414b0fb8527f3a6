"""Scores of a multiclass model in one column per class: the command-line options that name these columns, for `register` and for `load`."""

import shlex
from collections.abc import Collection, Mapping, Sequence

from observability.core.errors import UsageError

MAX_OPTIONS = 12
"""The most classes for which an option is shown."""


def split_score_option(option: str, columns: Collection[str]) -> tuple[str | None, str]:
    """Class and column of an option `class=COLUMN`; the class is None if the option only names a column. Both may hold an equal sign."""
    if option in columns or "=" not in option:
        return None, option
    cuts = [place for place, letter in enumerate(option) if letter == "="]
    cut = next((place for place in cuts if option[place + 1 :] in columns), cuts[0])
    return option[:cut], option[cut + 1 :]


def require_score_of_each_class(classes: Sequence[str], given: Mapping[str, str], columns: Collection[str], where: str | None) -> None:
    """Raise UsageError if columns are given for some classes only, because the other score columns would become features that leak the
    answer.

    given: column by class.
    """
    missing = sorted(set(classes) - set(given))
    if given and missing:
        raise UsageError(
            f"the {'class' if len(missing) == 1 else 'classes'} {_shown(missing)} {'has' if len(missing) == 1 else 'have'} no score column",
            where=where,
            got=_shown([f"{name}={column}" for name, column in given.items()]),
            expected="one for each class",
            attempt=f"Add {class_score_options(missing, given, columns)}",
        )


def class_score_options(classes: Sequence[str], given: Mapping[str, str], columns: Collection[str]) -> str:
    """The options that name the score columns of some classes, such as `--score a=p_a --score b=p_b`. given: columns of other classes; the
    form of their names shows which columns to suggest.
    """
    free = [name for name in columns if name not in given.values()]
    options = []
    for wanted in classes[:MAX_OPTIONS]:
        formed = [column.replace(own, wanted) for own, column in given.items()]
        named = [name for name in free if name.lower().endswith(wanted.lower())]
        found = next((name for name in formed if name in free), named[0] if len(named) == 1 else "COLUMN")
        options.append(shlex.join(["--score", f"{wanted}={found}"]))
    return " ".join(options) + (f" and {len(classes) - MAX_OPTIONS} more" if len(classes) > MAX_OPTIONS else "")


def _shown(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_OPTIONS]) + (f" and {len(names) - MAX_OPTIONS} more" if len(names) > MAX_OPTIONS else "")
