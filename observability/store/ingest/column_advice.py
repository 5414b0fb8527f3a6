"""Suggest which column of a file holds a field of the record if no column has the field's name: by usual names, else by the content of the
first rows.
"""

import difflib
import re
import shlex
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from observability.core.formatting import join_words
from observability.records.validation import OTHER_NAMES
from observability.store.ingest.class_scores import class_score_options
from observability.store.types.loading import LoadDefaults

HEAD_ROWS = 1000
"""Number of first rows of a file from which a column is chosen."""
TIME_TEXT = r"^\s*\d{4}-\d\d-\d\d([T ]\d\d(:?\d\d){0,2}(\.\d+)?)?\s*([Zz]|[+-]\d\d:?\d\d)?\s*$"
NAIVE_TEXT = re.compile(r"\s*\d{4}-\d\d-\d\d[T ]\d\d(:?\d\d){0,2}(\.\d+)?\s*")
FileHead = Callable[[], Mapping[str, pa.Array]]
"""A function that gives the first rows of a file, by column."""


def missing_columns_advice(
    missing: Sequence[str], names: Sequence[str], free: Sequence[str], times: str | None, defaults: LoadDefaults, head: FileHead
) -> str:
    """The options to give where a file lacks fields of its record.

    missing: these fields. free: columns that are not a field. times: the column that is the field `at`.
    """
    first = head()
    maps, sentences = [], []
    for wanted in missing:
        found = usual_column(wanted, names) or likely_column(wanted, {name: first[name] for name in free if name in first})
        found = found or next(iter(difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)), None)
        if wanted in ("model", "version"):
            choices = f" ({join_words(defaults.versions, 8)})" if wanted == "version" and defaults.versions else ""
            sentences.append(f"Give --{wanted}{choices}, or name the column: {_map_option(found, wanted)}")
        elif wanted == "score":
            maps.append(_score_option(found, names, defaults))
        elif wanted == "id" and found is None:
            option = _map_option(None, wanted)
            sentences.append(f"Add one, a unique text per row by which labels find their predictions, or name the column: {option}")
        else:
            maps.append(_map_option(found, wanted))
            times = found if wanted == "at" else times
    if maps:
        sentences.insert(0, f"Name {'it' if len(missing) == 1 else 'them'}: {' '.join(maps)}")
    if times is not None and times in first and defaults.timezone is None and lacks_offset(first[times]):
        sentences.append(f"The times of {times!r} have no offset: add their time zone, for example --timezone Europe/Paris")
    return ". ".join(sentences)


def _map_option(column: str | None, field: str) -> str:
    return shlex.join(["--map", f"{'THEIR_NAME' if column is None else column}={field}"])


def _score_option(found: str | None, names: Sequence[str], defaults: LoadDefaults) -> str:
    """The option that names the scores, in the form of the version's registration if that is known."""
    if defaults.classes:
        options = class_score_options(defaults.classes, dict(defaults.class_scores), names)
        return f"{options}, or one column of {{class: probability}}: {_map_option(None, 'score')}"
    option = _map_option(found, "score")
    return option if found else f"{option}, of a multiclass model --score class=COLUMN for each class"


def usual_column(wanted: str, names: Sequence[str]) -> str | None:
    """The first column with a name that other tools use for a field; None if there is none."""
    return next((name for name in names if name.lower() in OTHER_NAMES.get(wanted, ()) or name.lower() == wanted), None)


def likely_column(wanted: str, head: Mapping[str, pa.Array]) -> str | None:
    """The only column that looks like the field: for `at`, the only column of times; for `id`, the only column with no repeated value. None
    for other fields.

    If several columns have no repeated value, it is the only one of these that holds texts and not whole numbers.
    """
    if wanted == "at":
        found = [name for name, cells in head.items() if _holds_times(cells)]
    elif wanted == "id":
        found = [name for name, cells in head.items() if _holds_ids(cells)]
        words = [name for name in found if not _matches_all(head[name], r"^[-+]?\d+$")]
        found = words if len(found) > 1 else found
    else:
        return None
    return found[0] if len(found) == 1 else None


def _holds_times(cells: pa.Array) -> bool:
    return pa.types.is_timestamp(cells.type) or pa.types.is_date(cells.type) or _matches_all(cells, TIME_TEXT)


def _holds_ids(cells: pa.Array) -> bool:
    """Whether every value differs and may be an id: whole numbers or texts, no times, fractions or objects."""
    if len(cells) < 2 or cells.null_count or not (pa.types.is_integer(cells.type) or _is_text(cells)):
        return False
    fractions = r"^\s*([-+]?(\d+[.,]\d*|[.,]\d+|\d+)([eE][-+]?\d+)?|(?i:nan|inf))\s*$"
    other = _is_text(cells) and not _matches_all(cells, r"^\d+$") and (_matches_all(cells, fractions) or _matches_all(cells, r"^\s*[{\[]"))
    return not other and not _holds_times(cells) and pc.count_distinct(cells).as_py() == len(cells)


def _is_text(cells: pa.Array) -> bool:
    return bool(pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type) or pa.types.is_string_view(cells.type))


def _matches_all(cells: pa.Array, pattern: str) -> bool:
    """Whether there are texts (or whole numbers) and every one matches."""
    if not (_is_text(cells) or pa.types.is_integer(cells.type)) or cells.null_count == len(cells):
        return False
    return bool(pc.all(pc.match_substring_regex(cells.cast(pa.string()), pattern)).as_py())


def lacks_offset(cells: pa.Array | pa.ChunkedArray) -> bool:
    """Whether a time has no offset. A bare date needs none: it is midnight UTC."""
    if pa.types.is_dictionary(cells.type):
        cells = cells.cast(cells.type.value_type)
    if pa.types.is_timestamp(cells.type):
        return cells.type.tz is None and cells.null_count < len(cells)
    return _is_text(cells) and any(NAIVE_TEXT.fullmatch(text) for text in cells.cast(pa.string()).unique().to_pylist() if text)
