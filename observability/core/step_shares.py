"""How many of its steps each training run gives where not all of them can be read."""

from collections.abc import Sequence

MIN_STEPS_A_RUN = 250
"""Records of steps that a run gives at least. Where so many runs have more that they do not fit, the oldest ones give none."""


def step_strides(sizes: Sequence[int], rows: int, most: int) -> list[int]:
    """Of each run, which of its steps are read: 1 for each, n for every nth, 0 for none.

    A run gives all of its records or an equal share of `rows`, at most `most`: what short runs leave goes to the others. sizes: records of
    each run, the newest run first.
    """
    read, held = 0, 0
    while read < len(sizes) and (held := held + min(sizes[read], MIN_STEPS_A_RUN)) <= max(rows, MIN_STEPS_A_RUN):
        read += 1
    share, left = most, rows
    for place, size in enumerate(sorted(min(each, most) for each in sizes[:read])):
        if size > (equal := max(left // (read - place), 1)):
            share = equal
            break
        left -= size
    return [-(-size // share) if place < read else 0 for place, size in enumerate(sizes)]
