"""Replay the analyzer data/cleaning on a rule with a fault planted in its last week. The store is only read."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from observability.analyzers.data import cleaning
from observability.core.analyzer import EVERY_MODEL, NO_VERSION, Context
from observability.core.errors import UsageError
from observability.core.finding import Finding, needs_action, worst_first
from observability.core.questions import Records
from observability.core.time import aware_utc
from observability.core.window import EPOCH, Slice, Window
from observability.detection.cleaning_history import GROUP_ROWS, applied_runs
from observability.detection.own_history import MIN_PAST_VALUES
from observability.metrics.audited_data import DATA_AUDITS
from observability.simulation.detection_result import DetectionLook, RecordDetection
from observability.simulation.fault import Strength
from observability.simulation.faults_cleaning import CleaningFault, CleaningFaultPlant

if TYPE_CHECKING:
    from pandas import DataFrame

Ask = Callable[[Records, Window], "DataFrame"]
WEEK = timedelta(days=7)
BUDGET = 0.0143


def replay_on_cleaning(ask: Ask, fault: CleaningFault, strength: Strength, now: datetime, *, seed: int = 0) -> RecordDetection:
    """Plant the fault in a rule from the store. Raises UsageError if no rule is suitable."""
    frame = ask(replace(cleaning.CLEANINGS, ever=True), Window("", EPOCH, now))
    return replay_cleaning_fault(applied_runs(frame).reset_index(drop=True), fault, strength, seed)


def replay_cleaning_fault(runs: "DataFrame", fault: CleaningFault, strength: Strength = "middle", seed: int = 0) -> RecordDetection:
    """Plant the fault in the last week of one rule and evaluate it. Raises UsageError if no rule is suitable."""
    targets = [each for each in _targets(runs) if not any(needs_action(one.severity) for one in _cleaning_findings(runs, each[0]))]
    if not targets:
        wanted = f"a rule that raises nothing, with {MIN_PAST_VALUES} runs before its last week and groups of {GROUP_ROWS} rows or more"
        raise UsageError(f"no cleaning rule to plant {fault.name} on", got=f"{len(runs):,} runs of rules", expected=wanted)
    rng = np.random.default_rng([seed, 41])
    mask, column, level = targets[int(rng.integers(len(targets)))]
    late = mask & (runs["at"] > runs.loc[mask, "at"].max() - WEEK).to_numpy()
    planted = runs.copy()
    after = fault.plant(CleaningFaultPlant(runs[late], column, level, fault.amount(strength), rng))
    for name in ("groups", "rows_dropped"):
        planted.loc[late, name] = after[name]
    clean = _cleaning_findings(runs, mask)
    look = DetectionLook(1, 0, _cleaning_findings(planted, mask), clean)
    detail = str(Slice(((column, level),))) if fault.metric == "cleaning_group_gap" else ""
    name, about = str(runs.loc[mask, "rule"].iloc[0]), f"The rule's own runs, {int(late.sum())} of them in its last week."
    return RecordDetection(fault, strength, "rule", name, "week", 1, clean[0].subject, detail, 1, (look,), about)


def _targets(runs: "DataFrame") -> "list[tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], str, str]]":
    """Each rule that has a past and groups: the mask of its runs, with each level of each column of its groups."""
    found = []
    for (rule, dataset), own in runs.groupby(["rule", runs["dataset"].fillna("")], sort=True):
        mask = ((runs["rule"] == rule) & (runs["dataset"].fillna("") == dataset)).to_numpy()
        groups = own["groups"].iloc[-1]
        if (own["at"] <= own["at"].max() - WEEK).sum() < MIN_PAST_VALUES or not isinstance(groups, Mapping):
            continue
        for column, levels in groups.items():
            large = [level for level, counts in levels.items() if counts["in"] >= GROUP_ROWS]
            found += [(mask, str(column), str(level)) for level in large if len(large) > 1]
    return found


def _cleaning_findings(runs: "DataFrame", mask: "np.ndarray[tuple[int], np.dtype[np.bool_]]") -> tuple[Finding, ...]:
    """Findings about the last week of a rule."""
    import pandas as pd

    own = runs[mask].reset_index(drop=True)
    end = aware_utc(own["at"].max().to_pydatetime()) + timedelta(seconds=1)
    start, begin = (np.datetime64(each.replace(tzinfo=None), "us") for each in (end - WEEK, end - timedelta(days=cleaning.PAST_DAYS + 7)))
    now, past = own[own["at"] >= start], own[(own["at"] < start) & (own["at"] >= begin)]
    audits = pd.DataFrame(columns=list(DATA_AUDITS.columns or ()))
    frames = {"cleanings": now.reset_index(drop=True), "past cleanings": past.reset_index(drop=True), "audits": audits}
    context = Context(EVERY_MODEL, NO_VERSION, Window("", end - WEEK, end), end, BUDGET)
    return tuple(worst_first(cleaning.analyze(frames, context)))
