"""Detect devices with clock skew and devices that send coarse values."""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity
from observability.stats.distinct import DistinctCount, rarefaction

if TYPE_CHECKING:
    from pandas import DataFrame

NAME = "data/requests"
LEAST = 50
"""Rows below which a device is not judged."""
SKEW_WATCH, SKEW_ACT, OUTLYING = 300.0, 1800.0, 6.0
"""Clock skew in seconds for `watch` and `act` (five minutes join wrong features, half an hour the wrong hour), and the minimum multiple
of the usual spread of the devices' delays."""
FEWEST_DEVICES = 4
COARSE_WATCH, COARSE_ACT, COARSE_Z, VARIED = 0.7, 0.5, 6.0, 20
"""Distinct values relative to as many rows of other devices; z from which it is significant; minimum distinct values of a feature."""


def device_claims(rows: "DataFrame", past: "DataFrame", features: Sequence[str], context: Context) -> list[Finding]:
    """Return findings about anomalous devices."""
    sizes = rows["device"].value_counts()
    devices = sorted(str(name) for name, n in sizes.items() if n >= LEAST)
    if len(devices) < 2:
        return []
    return [*clocks(rows, devices, context), *coarse(rows, past, devices, features, context)]


def clocks(rows: "DataFrame", devices: Sequence[str], context: Context) -> list[Finding]:
    """Return findings about devices whose records have a different delay from their own timestamps than those of the others."""
    if len(devices) < FEWEST_DEVICES:
        return []
    delay = (rows["arrived"] - rows["at"]).dt.total_seconds()
    middles = {name: float(np.median(delay[rows["device"] == name])) for name in devices}
    found = []
    for name in devices:
        others = np.array([middles[each] for each in devices if each != name])
        usual = float(np.median(others))
        spread = 1.4826 * float(np.median(np.abs(others - usual)))
        off, mine = middles[name] - usual, delay[rows["device"] == name].to_numpy(float)
        error = 1.2533 * 1.4826 * float(np.median(np.abs(mine - middles[name]))) / np.sqrt(mine.size)
        if abs(off) < SKEW_WATCH or abs(off) < OUTLYING * max(spread, error):
            continue
        severity: Severity = "act" if abs(off) >= SKEW_ACT else "watch"
        side = "behind" if off > 0 else "ahead"
        because = (
            f"The clock of device `{name}` seems {length(abs(off))} {side}: its records arrive {length(abs(middles[name]))} "
            f"{'after' if middles[name] >= 0 else 'before'} "
            f"the time they carry, those of the other {len(others)} devices {length(abs(usual))} "
            f"{'after' if usual >= 0 else 'before'}; {mine.size:,} rows of the sample."
        )
        base = context.undecided(NAME, f"device={name}", "clock_skew", int(mine.size), because, against="peers")
        found.append(
            replace(
                base,
                value=off,
                low=off - 1.96 * error,
                high=off + 1.96 * error,
                severity=severity,
                likely_source="system",
                limit=SKEW_ACT if severity == "act" else SKEW_WATCH,
                rank=6.0,
                evidence={"baseline": usual, "devices": len(devices)},
            )
        )
    return found


def length(seconds: float) -> str:
    """Return a duration in words."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def coarse(rows: "DataFrame", past: "DataFrame", devices: Sequence[str], features: Sequence[str], context: Context) -> list[Finding]:
    """Return findings about devices with far fewer distinct values than the others, and than in their own past month if any."""
    found = []
    for name in devices:
        inside = (rows["device"] == name).to_numpy()
        worst: list[tuple[float, str, DistinctCount]] = []
        for reference in features:
            values = rows[reference].to_numpy(float)
            seen = rarefaction(values[inside], values[~inside])
            if seen.n < LEAST or seen.expected < VARIED or seen.ratio > COARSE_WATCH or seen.z > -COARSE_Z:
                continue
            before = past.loc[past["device"] == name, reference].to_numpy(float)
            own = rarefaction(values[inside], before)
            if own.n >= LEAST and own.ratio > COARSE_WATCH:
                continue
            worst.append((seen.ratio, reference.partition(".")[2], seen))
        if not worst:
            continue
        ratio, feature, seen = min(worst)
        severity: Severity = "act" if ratio <= COARSE_ACT else "watch"
        more = f" (and {len(worst) - 1} more features)" if len(worst) > 1 else ""
        because = (
            f"Device `{name}` sends coarse values of `{feature}`{more}: {seen.found:,} distinct ones in {seen.n:,} rows of "
            "the sample, as many rows of the "
            f"other devices have about {seen.expected:,.0f}."
        )
        base = context.undecided(NAME, f"device={name}", "distinct_ratio", seen.n, because, against="peers")
        reach = 1.96 * seen.sd / seen.expected
        found.append(
            replace(
                base,
                value=ratio,
                low=max(ratio - reach, 0.0),
                high=ratio + reach,
                severity=severity,
                likely_source="input",
                limit=COARSE_ACT if severity == "act" else COARSE_WATCH,
                rank=6.0,
                evidence={"features": [each[1] for each in sorted(worst)], "z": seen.z},
            )
        )
    return found
