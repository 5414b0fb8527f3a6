"""The efficiency of a distributed run: time by phase, goodput, scaling, FLOPs, and the cost of waiting for slow ranks."""

from collections.abc import Sequence
from datetime import datetime
from functools import partial

import streamlit as st

from observability.analyzers.training.runs import RunVerdict
from observability.core import formatting
from observability.core.finding import SEVERITIES, needs_action
from observability.core.numerals import with_si_prefix
from observability.dashboard.action_form import ActionChoices, action_form
from observability.dashboard.table import column, draw_table, table_row
from observability.dashboard.training.runs import energy_and_cost_of_runs, run_claim_line, run_cost_words
from observability.dashboard.training.sample_runs import phase_figure
from observability.dashboard.widgets import plain_caption, plain_paragraph
from observability.detection.run_claims import duration_words
from observability.detection.run_efficiency import (
    model_flops_utilisation,
    phase_shares,
    productive_share,
    roofline_position,
    roofline_words,
    scaling_points,
    seconds_per_step,
    stated_number,
)
from observability.metrics.training_curves import TrainingRun
from observability.stats.rank_times import RankTimes

HOW = """import observability as obs
with obs.track_run(model="loan", run="night-7", rank=rank) as run:  # in each process
    run.step(step, phase_ms={"data": …, "compute": …, "communication": …}, train_loss=…)"""
EXAMPLE = ("Time of each phase of a step by process", phase_figure)
VERBS = {
    "Drain": "schedule nothing on it until it is repaired",
    "Inspect": "look at it while it goes on",
    "Leave": "it is not the cause; give the reason",
}
MAX_DECIDED = 3
"""A form for actions is drawn for at most this many hosts with slow ranks."""
FIGURES = (
    column("name", "Figure", strong=True, width="13rem"),
    column("value", "Value", align="right"),
    column("how", "How", wide=True, phone=False),
)
SCALING = (
    column("run", "Run", strong=True),
    column("ranks", "Processes", align="right"),
    column("seconds", "Time per step", align="right"),
    column("rate", "Rate", align="right"),
    column("efficiency", "Efficiency", align="right", help="Rate per process ÷ that of the run with the fewest processes"),
)


def rank_findings(judged: RunVerdict) -> None:
    """Draw the findings about the ranks of a run."""
    if judged.claims is None:
        plain_caption(f"{judged.run.name} is not judged: too many newer runs.")
    claims = [each for each in judged.claims or () if each.metric == "straggler_score"]
    for each in sorted(claims, key=lambda one: (SEVERITIES.index(one.severity), -one.rank)):
        run_claim_line(each)


def slow_hosts(judged: RunVerdict) -> list[str]:
    """The hosts of a run's slow ranks; the host of the slowest rank comes first. Ranks without a logged host are left out."""
    claims = [each for each in judged.claims or () if each.metric == "straggler_score" and needs_action(each.severity)]
    ordered = sorted(claims, key=lambda one: (SEVERITIES.index(one.severity), -one.rank))
    return list(dict.fromkeys(str(each.evidence["host"]) for each in ordered if "host" in each.evidence))


def host_actions(judged: RunVerdict, everything: Sequence[RunVerdict]) -> None:
    """For each host with a slow rank, draw the earlier decisions about it, each with what later runs showed, and a form for the next
    decision.
    """
    for place, host in enumerate(slow_hosts(judged)[:MAX_DECIDED]):
        words = f"host {host}"
        choices = ActionChoices(key=f"host-{place}", thing=words, verbs=VERBS, button=f"Decide about {words}", proposed="Inspect")
        action_form(choices, partial(host_runs_since, host, everything))


def host_runs_since(host: str, everything: Sequence[RunVerdict], made: datetime) -> str:
    """Words for how many runs on a host started after a time (aware UTC), and in how many of them a rank on this host is slow."""
    later = [each for each in everything if host in each.run.hosts.values() and each.run.started is not None and each.run.started > made]
    if not later:
        return "no run on it since"
    slow = sum(host in slow_hosts(each) for each in later)
    return f"{formatting.plural(len(later), 'run')} on it since, {f'{slow:,}' if slow else 'none'} with a slow rank there"


def efficiency_section(judged: RunVerdict, times: RankTimes | None, everything: Sequence[RunVerdict]) -> None:
    """Draw goodput, scaling efficiency, FLOPs and the cost of the slowest rank. Each has a note that states how it was computed, or which
    records are missing.

    times: the times of the run's ranks; None if no step was logged by all ranks.
    """
    run = judged.run
    if times is None:
        plain_paragraph("No step was logged by all ranks with phase_ms, so the time of the ranks is unknown.")
        return
    st.header("Efficiency", anchor=False)
    use = energy_and_cost_of_runs([judged]).get(run.name)
    share, productive = times.lost_share, productive_share(times)
    lost = times.lost_total_ms / 1000 * times.stride
    unknown = formatting.DASH
    every = f", one step in {times.stride:,} read" if times.stride > 1 else ""
    logged = f"{times.total:,} steps of {len(times.ranks)} ranks{every}"
    spent = ", ".join(f"{name} {formatting.format_share(part)}" for name, part in phase_shares(times).items())
    rows = [
        {
            "name": "Goodput",
            "value": unknown if productive is None else formatting.format_share(productive),
            "how": f"Time of {logged}: {spent}",
        },
        step_time_row(run),
        {
            "name": "Lost to the slowest rank",
            "value": duration_words(lost),
            "how": f"(slowest − median) × ranks in {logged}: {formatting.format_share(share)} of their time",
        },
        {
            "name": "Cost of the lost time",
            "value": unknown if use is None or use.amount is None else run_cost_words(use.amount * share, use.currency),
            "how": "That share of the cost of the run" if use is not None and use.amount is not None else "Needs price records",
        },
        {
            "name": "Energy of the lost time",
            "value": unknown if use is None or use.wh is None else with_si_prefix(use.wh * share, "Wh"),
            "how": f"That share of the energy of the run, {use.source}; a waiting device may draw less"
            if use is not None and use.wh is not None
            else "Needs readings of its devices",
        },
        *flops_rows(run),
    ]
    draw_table("efficiency", f"Efficiency of {run.name}", FIGURES, [table_row({**row}) for row in rows], compact=True)
    _scaling_table(judged, everything)


def step_time_row(run: TrainingRun) -> dict[str, str]:
    """The table row for the wall time per step."""
    seconds = seconds_per_step(run)
    value = formatting.DASH if seconds is None else duration_words(seconds)
    return {"name": "Time per step", "value": value, "how": "Wall time from the first to the last step"}


def flops_rows(run: TrainingRun) -> list[dict[str, str]]:
    """The table rows for model FLOPs utilisation and the share of the roofline, with the records that are missing if a value is unknown."""
    flops, found = model_flops_utilisation(run), roofline_position(run)
    ranks = " × ranks" if len(run.ranks) > 1 else ""
    return [
        {
            "name": "FLOPs utilisation (MFU)",
            "value": formatting.DASH if flops is None else formatting.format_share(flops),
            "how": f"FLOPs per step ÷ (seconds per step{ranks} × peak)"
            if flops is not None
            else "Needs flops_per_step and peak_flops among its parameters or hardware",
        },
        {
            "name": "Share of the roofline",
            "value": formatting.DASH if found is None else formatting.format_share(found.share),
            "how": roofline_words(found)
            if found is not None
            else "Needs flops_per_step, bytes_per_step, peak_flops and peak_bytes_per_second among its parameters or hardware",
        },
    ]


def one_process_efficiency(run: TrainingRun) -> None:
    """For a run of one process, draw time per step, FLOPs utilisation and roofline. Draws nothing if the run states no FLOPs or logged only
    one step.
    """
    if len(run.ranks) > 1 or stated_number(run, ("flops_per_step",)) is None or seconds_per_step(run) is None:
        return
    st.header("Efficiency", anchor=False)
    rows = [table_row({**row}) for row in (step_time_row(run), *flops_rows(run))]
    draw_table("efficiency", f"Efficiency of {run.name}", FIGURES, rows, compact=True)


def _scaling_table(judged: RunVerdict, everything: Sequence[RunVerdict]) -> None:
    """Draw the runs of the study by their number of processes. If there are none to compare, draw which records the scaling efficiency
    needs.
    """
    points = scaling_points(judged.run, [each.run for each in everything])
    if not points:
        st.caption("Scaling efficiency: needs a run of the same study with another number of processes.")
        return
    rows = [
        table_row(
            run=point.run,
            ranks=f"{point.ranks}",
            seconds=duration_words(point.seconds),
            rate=f"{formatting.format_number(point.rate)}/s",
            efficiency=formatting.format_share(point.efficiency),
        )
        for point in points
    ]
    draw_table("scaling", "Scaling of the study", SCALING, rows, compact=True)
