"""Decide how many steps of each training run are read if not all steps of all runs can be read."""

from collections.abc import Sequence

MIN_STEPS_A_RUN = 250
"""Minimum number of step records that are read of a run, if it has that many. If there are too many runs for this, no records of the oldest
runs are read.
"""


def step_strides(sizes: Sequence[int], rows: int, most: int) -> list[int]:
    """The stride of each run: 1 if each of its steps is read, n if every nth is read, 0 if none is read.

    The limit `rows` is shared equally among the runs, and no run gets more than `most`. What short runs do not use is shared among the
    others. sizes: number of records of each run, the newest run first.
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
