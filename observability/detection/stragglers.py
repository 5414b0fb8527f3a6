"""Detects stragglers of a distributed run: which ranks are slower than their peers, in which phase, and what the waiting costs.

Processes that average gradients wait for the slowest process, and this wait is logged as communication: a slow rank has *short*
communication, its peers have long communication. Ranks are therefore compared by their own work, phase by phase, and by communication
without the wait. The score of a rank in a phase is the fastest rank's time divided by its own time, as the median over common steps
(NVIDIA's resiliency extension calls a rank a straggler below 0.75). In communication, the median time of the other ranks replaces the
fastest time: if one rank is late for a reason that no phase shows, the communication of all other ranks is long, and this rank would be the
fastest. The median over all steps misses a rank that became slow after half of the steps, so the last quarter and the last steps are also
tested. Because the fastest and the slowest rank are selected from all ranks, several times, the intervals are simultaneous at 95 %. If
waiting is large but no rank is significantly slower, or if a rank is slower in too few steps to test, the claim is `unknown`.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from observability.core.finding import Severity
from observability.detection.run_claims import MIN_STEPS, RunClaim, duration_words
from observability.detection.run_ranks import ranks_of
from observability.metrics.training_curves import TrainingRun
from observability.stats.quantile import median_interval
from observability.stats.rank_times import COMMUNICATION, RankTimes, rank_order

Array = np.ndarray[Any, np.dtype[Any]]
SCORE_LIMIT = 0.75
WATCH_SHARE, ACT_SHARE = 0.02, 0.1
"""Time lost to the straggler, as a share of all ranks' step time, for `watch` and `act`."""
MAX_RANKS_NAMED = 5
Cause = Literal["storage", "network", "device", "host"]
INPUT = frozenset(("data", "data_loading", "dataloader", "input", "io"))
COMPUTE = frozenset(("compute", "forward", "backward", "optimizer"))
CAUSE_WORDS: dict[Cause, str] = {
    "storage": "its storage or input pipeline",
    "network": "its network or host",
    "device": "its device or host, or more work than the others have",
    "host": "its host or network, or work outside of the logged phases",
}
"""The likely cause of slowness in words. Times alone do not distinguish a slow device from more data or longer sequences. host: the rank
arrives last, and none of its phases is slower.
"""
LATE_SHARE = 0.25
"""The second test uses this share of the steps, counted from the end, but at least MIN_STEPS. A third test uses the last MIN_STEPS steps,
if the second test has at least twice as many.
"""
MIN_RECENT, CHANCE = 3, 0.001
"""A rank that became slow recently is mentioned if it is slow in at least this many consecutive last steps, and if the probability of such
a sequence for equal ranks is at most the second number.
"""


@dataclass(frozen=True)
class Slow:
    """A rank in one phase, compared with the fastest rank in this phase; in communication, with the median of the other ranks.

    score: the score, with its interval (low, high). usual, time: median ms of the baseline and of this rank. over: the steps compared.
    late: whether these are only the last steps.
    """

    rank: str
    phase: str
    score: float
    low: float
    high: float
    usual: float
    time: float
    over: RankTimes
    late: bool

    @property
    def shared(self) -> bool:
        """Whether the phase is communication, for which the median of the other ranks is the baseline."""
        return self.phase.lower() in COMMUNICATION

    @property
    def surely(self) -> bool:
        """Whether the score is significantly below the limit and the cost matters."""
        return self.high < SCORE_LIMIT and self.over.lost_share >= WATCH_SHARE

    @property
    def severity(self) -> Severity:
        """The severity by the cost of waiting: `act` from ACT_SHARE of the ranks' time on, else `watch`."""
        return "act" if self.over.lost_share >= ACT_SHARE else "watch"


def communication_phases(times: RankTimes) -> int:
    """Return the number of communication phases."""
    return sum(name.lower() in COMMUNICATION for name in times.phases)


def straggler_spans(times: RankTimes) -> list[tuple[RankTimes, bool]]:
    """Return up to three spans of steps that differ: all steps, the last quarter, and the last MIN_STEPS. Each has a flag that is true for
    the latter two.
    """
    n = len(times.steps)
    late = max(int(LATE_SHARE * n), MIN_STEPS)
    parts = [late, *([MIN_STEPS] if late >= 2 * MIN_STEPS else [])] if late < n else []
    return [(times, False), *((times.last(size), True) for size in parts)]


def usual_time(times: RankTimes, phase: str, place: int, fastest: int) -> Array | None:
    """Return, for each step, the time with which a rank's time in a phase is compared.

    It is the time of the fastest rank (None if this is the rank itself); in communication, the median of the other ranks (None if there are
    fewer than two others).
    """
    table = times.phases[phase]
    if phase.lower() in COMMUNICATION:
        return None if len(times.ranks) < 3 else np.asarray(np.median(np.delete(table, place, axis=0), axis=0))
    return None if place == fastest else np.asarray(table[fastest])


def slow_ranks(times: RankTimes, *, late: bool = False, among: int = 1) -> list[Slow]:
    """Return the score of each rank in its slowest phase, slowest first. Communication counts without the wait.

    The slowest phase is the one that costs most time among the phases that are significantly below the limit; if there is none, the phase
    with the lowest score. A phase counts only if it exceeds its baseline by at least 2 % of the rank's own time. among: number of tests;
    the intervals of all ranks in all tests are simultaneous at 95 %.
    """
    found: list[Slow] = []
    own = np.maximum(np.median(times.own, axis=1), 1e-9)
    medians = {name: np.median(table, axis=1) for name, table in times.phases.items()}
    for place, rank in enumerate(times.ranks):
        own_phases: list[Slow] = []
        for name, table in times.phases.items():
            baseline = usual_time(times, name, place, int(medians[name].argmin()))
            if baseline is None:
                continue
            usual, time = float(np.median(baseline)), float(medians[name][place])
            if time - usual < WATCH_SHARE * own[place]:
                continue
            ratio = np.maximum(baseline, 1e-6) / np.maximum(table[place], 1e-6)
            interval = median_interval(ratio, 0.05 / (among * len(times.ranks)))
            own_phases.append(Slow(rank, name, *interval, usual, time, times, late))
        if below := [each for each in own_phases if each.high < SCORE_LIMIT]:
            found.append(max(below, key=lambda each: each.time - each.usual))
        elif own_phases:
            found.append(min(own_phases, key=lambda each: each.score))
    return sorted(found, key=lambda each: (each.score, rank_order(each.rank)))


def slow_since_step(times: RankTimes, slow: Slow) -> int:
    """Return the step at which the rank became slow: the least-squares split of its log excess over the median rank into two constant
    levels.
    """
    table = np.maximum(times.phases[slow.phase], 1e-6)
    excess = np.log(table[times.ranks.index(slow.rank)] / np.median(table, axis=0))
    n, total = len(excess), np.cumsum(excess)
    before = np.arange(1, n)
    between = (total[:-1] - before * total[-1] / n) ** 2 / (before * (n - before))
    return int(times.steps[int(between.argmax()) + 1])


def claims_about_ranks(run: TrainingRun) -> list[RunClaim]:
    """Return a claim for each rank that is significantly slower than its peers, or one claim that none is; empty for a run of one process.
    If not all steps were read, each claim says so.
    """
    if len(run.ranks) < 2:
        return []
    times = ranks_of(run)
    stride = times.stride if times is not None else run.stride if run.blocks is None else 1
    found = [too_few_steps(run, times)] if times is None or len(times.steps) < MIN_STEPS else compared_ranks(run, times)
    return [replace(each, because=f"{each.because}{read_steps_note(stride)}") for each in found]


def read_steps_note(stride: int) -> str:
    """Return a sentence that states which steps of a long run were read; empty if all were."""
    return f" One step in {stride:,} was read." if stride > 1 else ""


def too_few_steps(run: TrainingRun, times: RankTimes | None) -> RunClaim:
    """Return the claim that the ranks cannot be compared, because too few steps or blocks have the phases of all ranks."""
    columns, total = (0, 0) if times is None else (len(times.steps), times.total)
    ranks = len(run.ranks if times is None else times.ranks)
    missing = MIN_STEPS - columns
    because = f"{total} steps have the phases of all {ranks} ranks, about {missing} more are needed."
    if run.blocks is not None and (times is None or times.stride == 1):
        because = f"{total} steps, in {columns} blocks, have the phases of all {ranks} ranks, about {missing} more blocks are needed."
    because = f"Ranks of run `{run.name}` cannot be compared yet: {because}"
    return RunClaim("straggler_score", total, "unknown", because, against="peers")


def compared_ranks(run: TrainingRun, times: RankTimes) -> list[RunClaim]:
    """Return the claims about ranks that have enough steps in common."""
    seen = straggler_spans(times)
    by_look = [slow_ranks(part, late=late, among=len(seen)) for part, late in seen]
    surely: dict[str, Slow] = {}
    for each in (each for found in by_look for each in found if each.surely):
        surely.setdefault(each.rank, each)
    if not surely:
        return [
            newly_slow(run, times) or arrives_last(run, times) or unexplained_wait(run, times) or no_straggler_claim(run, times, by_look[0])
        ]
    worst = sorted(surely.values(), key=lambda each: (each.score, rank_order(each.rank)))
    return [straggler_claim(run, times, each, one_host(run, [one.rank for one in worst])) for each in worst[:MAX_RANKS_NAMED]]


def one_host(run: TrainingRun, slow: list[str]) -> str | None:
    """Return the host that all slow ranks share, if there are several slow ranks and other ranks run on other hosts; otherwise None."""
    where = {run.hosts.get(rank) for rank in slow}
    if len(slow) < 2 or len(where) > 1 or len(set(run.hosts.values())) < 2:
        return None
    return where.pop()


def rank_location_words(run: TrainingRun, rank: str) -> str:
    """Return words for the device and the host of a rank; unknown parts are left out."""
    device = f" on device `{run.devices[rank]}`" if rank in run.devices else ""
    host = f"{' of' if device else ' on'} host `{run.hosts[rank]}`" if rank in run.hosts else ""
    return f"{device}{host}"


def straggler_claim(run: TrainingRun, times: RankTimes, slow: Slow, shared: str | None = None) -> RunClaim:
    """Return the claim that a rank is a straggler, either all the time or recently. shared: the host of all slow ranks, if there is one."""
    over = slow.over
    seconds, share = over.lost_total_ms / 1000, over.lost_share
    began = slow_since_step(times, slow) if slow.late else None
    became = (
        f"became slower than its peers in phase {slow.phase} at about step {began:,}"
        if began is not None
        else f"is slower than its peers in phase {slow.phase}"
    )
    cause = likely_cause(slow.phase)
    where = f"the last {over.total:,} steps" if slow.late else f"the {over.total:,} steps"
    peers = f"the median of the other {len(times.ranks) - 1}" if slow.shared else f"the fastest of {len(times.ranks)}"
    return RunClaim(
        "straggler_score",
        over.total,
        slow.severity,
        f"Rank {slow.rank} of run `{run.name}`{rank_location_words(run, slow.rank)} {became}{cause_words(cause)}: "
        f"{slow.time:.3g} ms a step where "
        f"{peers} takes {slow.usual:.3g} ms."
        f" At the median rank's speed {where} that were logged would have taken {100 * share:.0f} % less rank "
        f"time ({duration_words(seconds)})."
        + (
            f" All slow ranks of this run are on host `{shared}`: look at that machine first."
            if shared
            else phase_hint(slow.phase, run.devices.get(slow.rank))
        ),
        slow.score,
        slow.low,
        slow.high,
        limit=SCORE_LIMIT,
        against="peers",
        source="system",
        rank=7.0 + share - slow.score,
        subject=f"run:{run.name}/rank:{slow.rank}",
        evidence={
            "phase": slow.phase,
            "likely_cause": cause,
            "time_ms": slow.time,
            "median_ms" if slow.shared else "fastest_ms": slow.usual,
            "lost_rank_seconds": seconds,
            "lost_share": share,
            "ranks": len(times.ranks),
            "steps": over.total,
            "communications": communication_phases(times),
            "since_step": began,
            **({"host": run.hosts[slow.rank]} if slow.rank in run.hosts else {}),
            **({"device": run.devices[slow.rank]} if slow.rank in run.devices else {}),
        },
    )


def likely_cause(phase: str) -> Cause | None:
    """Return the likely cause of slowness in a phase: storage, network or device; None for a phase of unknown kind.

    Communication counts without the wait for other ranks, so a rank that is slow in it holds up the exchange itself.
    """
    name = phase.lower()
    if name in COMMUNICATION:
        return "network"
    return "storage" if name in INPUT else "device" if name in COMPUTE else None


def cause_words(cause: Cause | None) -> str:
    """Return the likely cause as words in parentheses; empty if it is unknown."""
    return "" if cause is None else f" (likely {CAUSE_WORDS[cause]})"


def phase_hint(phase: str, device: str | None = None) -> str:
    """Return a sentence on where to look for the cause of slowness in a phase; empty for a phase of unknown kind.

    device: the device of the rank, if known.
    """
    what = f"`{device}`" if device else "its device"
    hints: dict[Cause | None, str] = {
        "storage": " Look at its storage and data loading.",
        "network": " Look at the network of this rank.",
        "device": f" Look at {what} (throttling, another job), and at the size of its batches.",
    }
    return hints.get(likely_cause(phase), "")


def arrives_last(run: TrainingRun, times: RankTimes) -> RunClaim | None:
    """Return the claim that a rank waits least in communication although none of its phases is slower.

    Such a rank is delayed by something outside of the logged phases.

    The score is the communication time of the rank divided by the median of the other ranks. The intervals of all ranks are simultaneous at
    95 %. The other ranks wait for this rank; they are not slow themselves. None with fewer than three ranks, or if the waiting costs
    little.
    """
    count, found = len(times.ranks), []
    for name, table in times.phases.items():
        if name.lower() not in COMMUNICATION or count < 3:
            continue
        for place, rank in enumerate(times.ranks):
            others = np.median(np.delete(table, place, axis=0), axis=0)
            score, low, high = median_interval(np.maximum(table[place], 1e-6) / np.maximum(others, 1e-6), 0.05 / count)
            waited = float(np.median(others - table[place]))
            spent = float(np.median(times.own.max(axis=0)))
            share = waited * (count - 1) / (spent * count) if spent > 0 else 0.0
            if high < SCORE_LIMIT and share >= ACT_SHARE:
                found.append((score, low, high, rank, float(np.median(table[place])), float(np.median(others)), share))
    if len(found) != 1:
        return None
    score, low, high, rank, own, usual, share = found[0]
    because = (
        f"Rank {rank} of run `{run.name}`{rank_location_words(run, rank)} arrives last{cause_words('host')}: it waits {own:.3g} ms in "
        f"communication where the others wait {usual:.3g} ms, {100 * share:.0f} % of the ranks' time, and none of its own phases is "
        "slower. Something that it does not log holds it up; the others are not slow."
    )
    return RunClaim(
        "straggler_score", times.total, "watch", because, score, low, high, limit=SCORE_LIMIT, against="peers", source="system",
        rank=6.5 + share, subject=f"run:{run.name}/rank:{rank}",
        evidence={
            "phase": "unlogged", "likely_cause": "host", "time_ms": own, "median_ms": usual, "lost_share": share, "ranks": count,
            "steps": times.total,
        },
    )  # fmt: skip


def recent_slowness(times: RankTimes) -> tuple[str, str, int] | None:
    """Return a rank, a phase, and the number of consecutive last steps (or blocks) in which this rank is the slowest and below the score
    limit.

    The baseline is the median of the other ranks. None if such a sequence may be chance, or if its cost is negligible.
    """
    count = len(times.ranks)
    least = max(MIN_RECENT, 1 + int(np.ceil(np.log(len(times.phases) / CHANCE) / np.log(count))))
    found: list[tuple[int, str, str]] = []
    for name, table in times.phases.items():
        place = int(table[:, -1].argmax())
        if name.lower() in COMMUNICATION and count < 3:
            continue
        usual = np.median(np.delete(table, place, axis=0), axis=0)
        slow = (table.argmax(axis=0) == place) & (usual < SCORE_LIMIT * table[place])
        slow &= table[place] - usual >= WATCH_SHARE * times.own[place]
        steps = len(slow) if slow.all() else int(slow[::-1].argmin())
        if least <= steps and times.last(steps).lost_share >= WATCH_SHARE:
            found.append((steps, times.ranks[place], name))
    steps, rank, phase = max(found, default=(0, "", ""))
    return (rank, phase, steps) if found else None


def newly_slow(run: TrainingRun, times: RankTimes) -> RunClaim | None:
    """Return the claim that a rank may have become slow in the last steps, which are too few to test; None if there is no such rank."""
    recent = recent_slowness(times)
    if recent is None:
        return None
    rank, phase, columns = recent
    steps, share = times.last(columns).total, times.last(columns).lost_share
    return cannot_tell(
        run,
        times,
        f"Rank {rank} of run `{run.name}`{rank_location_words(run, rank)} was the slowest in {phase} in each of the last {steps:,} steps, "
        f"which at the median rank's speed would have taken {100 * share:.0f} % less rank time. These steps are too few to tell; "
        f"about {max(MIN_STEPS - columns, 1) * int(np.median(times.counts)):,} more are needed.",
        {"rank": rank, "phase": phase, "steps_slow": steps, "lost_share": share},
    )


def unexplained_wait(run: TrainingRun, times: RankTimes) -> RunClaim | None:
    """Return the claim that waiting is large although no rank is significantly slower; None if waiting is small."""
    share = times.lost_share
    if share < ACT_SHARE:
        return None
    slowest = np.bincount(times.own.argmax(axis=0), minlength=len(times.ranks))
    often, what = int(slowest.argmax()), "steps" if times.total == len(times.steps) else "blocks of steps"
    return cannot_tell(
        run,
        times,
        f"At the median rank's speed run `{run.name}` would take {100 * share:.0f} % less rank time, and which rank "
        f"holds up the others is unknown: none of {len(times.ranks)} is significantly slower over {times.total:,} steps. "
        f"Rank {times.ranks[often]} is most often the slowest, in {100 * slowest[often] / len(times.steps):.0f} % of the {what}.",
        {"most_often_slowest": times.ranks[often], "lost_share": share},
    )


def cannot_tell(run: TrainingRun, times: RankTimes, because: str, evidence: dict[str, object]) -> RunClaim:
    """Return a claim of severity `unknown` about the ranks of a run."""
    return RunClaim("straggler_score", times.total, "unknown", because, against="peers", evidence={**evidence, "ranks": len(times.ranks)})


def no_straggler_claim(run: TrainingRun, times: RankTimes, slow: list[Slow]) -> RunClaim:
    """Return the claim that no rank is a straggler."""
    low = slow[0] if slow else None
    value, lower, upper = (low.score, low.low, low.high) if low else (1.0, 1.0, 1.0)
    share = times.lost_share
    low_peer = "the others" if low and low.phase.lower() in COMMUNICATION else "the fastest one"
    because = f"No rank of run `{run.name}` holds up the others: {len(times.ranks)} ranks were compared over {times.total:,} steps"
    because += f"; the slowest is rank {low.rank} in {low.phase}, with {low.score:.2f} of the speed of {low_peer}," if low else ","
    because += f" and the slowest ranks cost {100 * share:.1f} % of the ranks' time."
    slowest = {"rank": low.rank, "phase": low.phase} if low else {}
    return RunClaim(
        "straggler_score",
        times.total,
        "ok",
        because,
        value,
        lower,
        upper,
        limit=SCORE_LIMIT,
        against="peers",
        evidence={
            "lost_share": share,
            "ranks": len(times.ranks),
            "steps": times.total,
            "communications": communication_phases(times),
            **slowest,
        },
    )
