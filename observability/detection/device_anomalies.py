"""Detects devices whose clock is wrong and devices that send coarse values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.core.analyzer import Context
from observability.core.finding import Finding, Severity, needs_action
from observability.core.owner_level import owner_limit_words
from observability.core.time import naive_utc
from observability.detection.change import stated_limits
from observability.stats.distinct import DistinctCount, rarefaction

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pandas import DataFrame

NAME = "data/requests"
CLOCK, DISTINCT = "clock_skew", "distinct_ratio"
"""Metrics of which the owner can override the limit for `act` (`data/requests/clock_skew`)."""
MIN_DEVICE_ROWS = 50
"""Devices with fewer rows are not judged."""
SKEW_WATCH, SKEW_ACT, OUTLYING = 300.0, 1800.0, 6.0
"""Clock skew in seconds for `watch` and `act` (five minutes off, rows are joined with wrong features; half an hour off, with the wrong
hour). The third number is the minimum multiple of the usual spread of the devices' delays.
"""
MIN_DEVICES = 4
RECENT_DAYS = 3
"""The newest days (this many) are also judged separately: over a week, a clock that has been wrong for three days is right most of the
time.
"""
MIXED_HOURS = 1.0
"""If the records that arrive within one hour (from one device or from all) have event times with an interquartile range above this many
hours, older records were loaded or transferred in that hour. Such an hour says nothing about clocks.
"""
COARSE_WATCH, COARSE_ACT, COARSE_Z, VARIED = 0.7, 0.5, 6.0, 20
"""Limits for coarse values: ratio of the number of distinct values to that in equally many rows of other devices, for `watch` and `act`; z
for significance; minimum number of distinct values of a feature.
"""


def device_claims(rows: "DataFrame", past: "DataFrame", features: Sequence[str], context: Context) -> list[Finding]:
    """Return findings about anomalous devices."""
    sizes = rows["device"].value_counts()
    devices = sorted(str(name) for name, n in sizes.items() if n >= MIN_DEVICE_ROWS)
    if len(devices) < 2:
        return []
    return [*clock_findings(rows, past, devices, context), *coarse_device_findings(rows, past, devices, features, context)]


def clock_findings(rows: "DataFrame", past: "DataFrame", devices: Sequence[str], context: Context) -> list[Finding]:
    """Return findings about devices whose clock was wrong in the window, or in the newest days of the window."""
    found = clocks_of_days(rows, past, devices, context)
    if context.window.days <= RECENT_DAYS:
        return found
    newest = rows[rows["at"] >= naive_utc(context.window.end) - timedelta(days=RECENT_DAYS)]
    named = {each.subject for each in found}
    of_newest = clocks_of_days(newest, past, devices, context, f" of the last {RECENT_DAYS} days")
    return [*found, *(each for each in of_newest if needs_action(each.severity) and each.subject not in named)]


def clocks_of_days(rows: "DataFrame", past: "DataFrame", devices: Sequence[str], context: Context, when: str = "") -> list[Finding]:
    """Return findings about devices whose clock differs from the clocks of the other devices, and from the device's own past month if that
    is known.

    Returns one finding of severity `unknown` if the arrival times say nothing about clocks. when: words for the days of the rows; empty for
    the whole window.
    """
    if len(devices) < MIN_DEVICES:
        return []
    delays = {name: own for name, own in delays_by_device(rows).items() if name in devices and own.delays.size >= MIN_DEVICE_ROWS}
    if len(delays) < MIN_DEVICES:
        return [clocks_unknown(rows, len(delays), context)]
    before = delays_by_device(past)
    first = {name: own.first for name, own in delays.items()}
    settings, found = context.model.settings, []
    watch, act = stated_limits(settings, f"{NAME}/{CLOCK}", SKEW_WATCH, SKEW_ACT)
    whose = owner_limit_words(settings.limits, f"{NAME}/{CLOCK}", length_words)
    for name, device in delays.items():
        mine = device.delays
        others = np.array([first[each] for each in delays if each != name])
        usual = float(np.median(others))
        spread = 1.4826 * float(np.median(np.abs(others - usual)))
        off = first[name] - usual
        error = 1.2533 * 1.4826 * float(np.median(np.abs(mine - np.median(mine)))) / np.sqrt(mine.size)
        if abs(off) < watch or abs(off) < OUTLYING * max(spread, error):
            continue
        nearest = float(np.quantile(mine, 0.25 if off > 0 else 0.75)) - usual
        if when and np.sign(off) * nearest < watch:
            continue  # a wrong clock shifts every record; here at least a quarter are not shifted enough, so some records were only delayed
        own = before.get(name)
        if own and own.delays.size >= MIN_DEVICE_ROWS and first[name] > -watch and abs(first[name] - own.first) < watch:
            continue  # the device was equally late in its past: it always delivers this way
        severity: Severity = "act" if abs(off) >= act else "watch"
        side = "behind" if off > 0 else "ahead"
        because = (
            f"The clock of device `{name}` seems {length_words(abs(off))} {side}: its first records arrive "
            f"{length_words(abs(first[name]))} {'after' if first[name] >= 0 else 'before'} "
            f"the time they carry, those of the other {len(others)} devices {length_words(abs(usual))} "
            f"{'after' if usual >= 0 else 'before'}; {mine.size:,} rows of the sample{when}{whose}."
        )
        base = context.undecided(NAME, f"device={name}", CLOCK, int(mine.size), because, against="peers")
        found.append(
            replace(
                base,
                value=off,
                low=off - 1.96 * error,
                high=off + 1.96 * error,
                severity=severity,
                likely_source="system",
                limit=act if severity == "act" else watch,
                rank=6.0,
                evidence={"baseline": usual, "devices": len(devices)},
            )
        )
    return found


@dataclass(frozen=True)
class DeviceDelays:
    """Seconds from event time to arrival of the rows of a device. first: the median over hours of the shortest delay within the hour.
    Queuing lengthens some delays; a wrong clock shifts all delays, even the shortest.
    """

    delays: "NDArray[np.float64]"
    first: float


def delays_by_device(rows: "DataFrame") -> dict[str, DeviceDelays]:
    """Return the delays of each device, without hours of arrival in which event times are mixed.

    Records that are loaded without `received_at` count as arrived when they were loaded. If records of many hours arrive within one hour,
    from one device or from all together, they were loaded or transferred in that hour.
    """
    import pandas as pd

    named = rows[rows["device"].notna()]
    if named.empty:
        return {}
    delay = (named["arrived"] - named["at"]).dt.total_seconds()
    times = pd.DataFrame({"device": named["device"], "hour": named["arrived"].dt.floor("h"), "delay": delay})
    times["at"] = (named["at"] - named["at"].min()).dt.total_seconds()
    kept = times
    for together in (["device", "hour"], ["hour"]):
        if kept.empty:
            return {}
        quartiles = kept.groupby(together)["at"].quantile(np.array([0.25, 0.75])).unstack()
        one_time = (quartiles[0.75] - quartiles[0.25] <= MIXED_HOURS * 3600).rename("one_time").reset_index()
        kept = kept.merge(one_time, on=together).query("one_time").drop(columns="one_time")
    first = kept.groupby(["device", "hour"])["delay"].min().groupby("device").median()
    return {str(name): DeviceDelays(own.to_numpy(float), float(first[name])) for name, own in kept.groupby("device")["delay"]}


def clocks_unknown(rows: "DataFrame", devices: int, context: Context) -> Finding:
    """Return the finding that states why clocks cannot be judged. devices: number of devices with usable arrival times."""
    because = (
        f"Clocks of devices cannot be judged: the arrival times of {devices:,} devices can be used, and a comparison needs {MIN_DEVICES}. "
        "Records of many hours arrived together, so their time of arrival is that of a load or of a transfer; log `received_at`."
    )
    return context.undecided(NAME, "model", CLOCK, len(rows), because, against="peers")


def length_words(seconds: float) -> str:
    """Return a duration in words."""
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if round(seconds / size, 2) >= 2:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} seconds"


def coarse_device_findings(
    rows: "DataFrame", past: "DataFrame", devices: Sequence[str], features: Sequence[str], context: Context
) -> list[Finding]:
    """Return findings about devices that send far fewer distinct values than the other devices, and than in their own past month if that is
    known.
    """
    settings, found = context.model.settings, []
    act = settings.limits.get(f"{NAME}/{DISTINCT}", COARSE_ACT)
    watch = max(act, COARSE_WATCH)
    whose = owner_limit_words(settings.limits, f"{NAME}/{DISTINCT}")
    for name in devices:
        inside = (rows["device"] == name).to_numpy()
        worst: list[tuple[float, str, DistinctCount]] = []
        for reference in features:
            values = rows[reference].to_numpy(float)
            seen = rarefaction(values[inside], values[~inside])
            if seen.n < MIN_DEVICE_ROWS or seen.expected < VARIED or seen.ratio > watch or seen.z > -COARSE_Z:
                continue
            before = past.loc[past["device"] == name, reference].to_numpy(float)
            own = rarefaction(values[inside], before)
            if own.n >= MIN_DEVICE_ROWS and own.ratio > watch:
                continue
            worst.append((seen.ratio, reference.partition(".")[2], seen))
        if not worst:
            continue
        ratio, feature, seen = min(worst)
        severity: Severity = "act" if ratio <= act else "watch"
        more = f" (and {len(worst) - 1} more features)" if len(worst) > 1 else ""
        because = (
            f"Device `{name}` sends coarse values of `{feature}`{more}: {seen.found:,} distinct ones in {seen.n:,} rows of "
            "the sample, as many rows of the "
            f"other devices have about {seen.expected:,.0f}{whose}."
        )
        base = context.undecided(NAME, f"device={name}", DISTINCT, seen.n, because, against="peers")
        reach = 1.96 * seen.sd / seen.expected
        found.append(
            replace(
                base,
                value=ratio,
                low=max(ratio - reach, 0.0),
                high=ratio + reach,
                severity=severity,
                likely_source="input",
                limit=act if severity == "act" else watch,
                rank=6.0,
                evidence={"features": [each[1] for each in sorted(worst)], "z": seen.z},
            )
        )
    return found
