"""Compares the ranks of one distributed run, by step and by phase."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from observability.analyzers.training.runs import RunVerdict
from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.charts import runs as charts_runs
from observability.dashboard.choice_box import link_warning
from observability.dashboard.scope import BIND
from observability.dashboard.widgets import plain_paragraph
from observability.stats.rank_times import RankTimes

KEY = "ranks-map"
MAX_HOSTS = 6
ALL = "all own work"


def ranks_section(judged: RunVerdict, times: RankTimes) -> None:
    """Draw each rank's own work by step (without waiting), the ratio of the slowest rank to the median, and the phases by rank. times: the
    times of the run's ranks.
    """
    st.header("Ranks", anchor=False)
    st.caption("Own work of each rank: its phases without the wait for the slowest rank. Click a cell for the phases of that step.")
    said = next((each.because.replace("`", "") for each in judged.claims or () if each.metric == "straggler_score"), "Ranks by step.")
    every = charts_runs.step_stride(len(times.steps), len(times.ranks))
    tables = {ALL: times.own, **times.phases, "waiting": times.wait}
    shown = st.segmented_control("Phase", list(tables), default=ALL, key="phase", bind=BIND)
    table = tables.get(shown or ALL, times.own)
    own, steps = step_blocks(table, times.steps, every)
    chosen = _chosen_step(times)
    hosts = judged.run.hosts
    names = [_rank_label(rank, hosts) for rank in times.ranks[: charts_runs.MAX_RANKS]]
    what = "own work" if shown in (None, ALL) else str(shown)
    figure = charts_runs.rank_step_heatmap(own[: charts_runs.MAX_RANKS], names, steps, chosen, what)
    if where := _hosts_sentence(times, hosts):
        plain_paragraph(where)
    own_work = _own_work_frame(times, hosts)
    frame.chart_with_table(figure, own_work, key=KEY, alt=said, metrics=("straggler_score",), on_select=_choose_clicked_step)
    block = int(times.counts.max())
    if every > 1 or times.stride > 1 or block > 1:
        read = f"means of blocks of {block:,} steps, all steps read" if block > 1 else f"one step in {times.stride:,}"
        read = read if block > 1 or times.stride > 1 else "every step"
        st.caption(f"Chart: means of {every} of these. Table and CSV: {read}." if every > 1 else f"Read: {read}.")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("Slowest rank over median", anchor=False)
        rows = pd.DataFrame({"step": times.steps, "slowest_over_median": times.slowest_over_median, "lost_rank_ms": times.lost_ms})
        worst = float(rows["slowest_over_median"].median())
        alt = f"In half of the steps the slowest rank takes at least {worst:.3g} times as long as the median one."
        frame.chart_with_table(charts_runs.straggler_ratio_line(rows), rows, key="slowest", alt=alt, metrics=("straggler_score",))
    with right:
        of_block = f"the {block:,} steps from step" if block > 1 else "step"
        title = "Phases, median over steps" if chosen is None else f"Phases of {of_block} {chosen:,}"
        st.subheader(title, anchor=False)
        phases = phase_frame(times, chosen, hosts)
        frame.chart_with_table(charts_runs.phase_bars(phases), phases, key="phases", alt=f"{title}, by rank. {said}")


def _choose_clicked_step() -> None:
    """Write the step of the clicked cell to the address."""
    points = st.session_state[KEY].selection.points
    if points and points[0].get("customdata"):
        st.query_params["cell"] = str(points[0]["customdata"][0])


def _chosen_step(times: RankTimes) -> int | None:
    """The step that the address names; None, with a warning, if it is unknown."""
    named = st.query_params.get("cell")
    if named is None:
        return None
    found = int(named) if named.isascii() and named.isdigit() and len(named) < 15 else None
    if found is None or found not in times.steps:
        link_warning(f"The link names step {named}, which not every rank of this run logged.")
        return None
    if st.button("All steps", icon=":material/close:", type="tertiary", key="all-steps"):
        st.query_params.pop("cell", None)
        st.rerun()
    return found


def step_blocks(table: np.ndarray, steps: np.ndarray, every: int) -> tuple[np.ndarray, list[int]]:
    """A table of ranks × steps, averaged over blocks of `every` steps, and the first step of each block."""
    begins = np.arange(0, len(steps), every)
    sums = np.add.reduceat(table, begins, axis=1)
    counts = np.diff([*begins, len(steps)])
    return sums / counts, steps[begins].tolist()


def _rank_label(rank: str, hosts: Mapping[str, str]) -> str:
    """The name of a rank in charts, with its host if there are several hosts."""
    return f"{rank} · {hosts[rank]}" if rank in hosts and len(set(hosts.values())) > 1 else rank


def _hosts_sentence(times: RankTimes, hosts: Mapping[str, str]) -> str | None:
    """A sentence that compares the hosts, slowest first; None if no host is logged."""
    own = np.median(times.own, axis=1)
    of_host: dict[str, list[float]] = {}
    for rank, ms in zip(times.ranks, own, strict=True):
        if rank in hosts:
            of_host.setdefault(hosts[rank], []).append(float(ms))
    if not of_host:
        return None
    if len(of_host) == 1:
        return f"All ranks with a logged host run on {next(iter(of_host))}."
    ranked = sorted(of_host.items(), key=lambda each: (-float(np.median(each[1])), each[0]))
    told = [f"{host} {np.median(ms):.3g} ms over {formatting.plural(len(ms), 'rank')}" for host, ms in ranked[:MAX_HOSTS]]
    more = f" and {len(ranked) - MAX_HOSTS} more hosts" if len(ranked) > MAX_HOSTS else ""
    return f"Own work per step by host, slowest first (median of ranks): {', '.join(told)}{more}."


def _own_work_frame(times: RankTimes, hosts: Mapping[str, str]) -> pd.DataFrame:
    """One row for each compared rank and step: rank, host (if logged), step, own_ms, wait_ms, and the milliseconds of each phase."""
    n = len(times.steps)
    columns: dict[str, Any] = {"rank": np.repeat(times.ranks, n)}
    columns |= {"host": np.repeat([hosts.get(rank) for rank in times.ranks], n)} if hosts else {}
    columns |= {"step": np.tile(times.steps, len(times.ranks)), "own_ms": times.own.ravel(), "wait_ms": times.wait.ravel()}
    return pd.DataFrame(columns | {name: table.ravel() for name, table in times.phases.items()})


def phase_frame(times: RankTimes, step: int | None, hosts: Mapping[str, str]) -> pd.DataFrame:
    """One row for each rank (with its host) and phase: rank, phase, ms. ms is the median over all steps, or the value of one step. The wait
    for the slowest rank counts as a phase.
    """
    order = ("data", "compute", "communication")
    names = sorted(times.phases, key=lambda name: (order.index(name) if name in order else 1, name))
    tables = {name: times.phases[name] for name in names} | {"waiting": times.wait}
    rows = []
    for name, table in tables.items():
        values = np.median(table, axis=1) if step is None else table[:, int(np.searchsorted(times.steps, step))]
        rows += [{"rank": _rank_label(rank, hosts), "phase": name, "ms": float(value)} for rank, value in zip(times.ranks, values)]
    return pd.DataFrame(rows)
