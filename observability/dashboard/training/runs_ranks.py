"""How do the processes of one distributed run compare: by step, and phase by phase?"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from observability.analyzers.training.runs import Judged
from observability.core import formatting
from observability.dashboard import frame
from observability.dashboard.charts import runs as charts_runs
from observability.detection.stragglers import Ranks, ranks_of

if TYPE_CHECKING:
    from pandas import DataFrame

KEY = "ranks-map"
MOST_HOSTS = 6


def ranks(judged: Judged) -> None:
    """The heatmap of ranks and steps, the slowest over the median by step, and the phases of each rank; nothing for a run of one process."""
    times = ranks_of(judged.run)
    if times is None:
        return
    st.header("Processes", anchor=False)
    st.caption(
        "Own work of each rank: its phases without the wait for the slowest one, which is logged as communication. Click a cell to see the phases of that step."
    )
    said = next((each.because.replace("`", "") for each in judged.claims or () if each.metric == "straggler_score"), "Ranks by step.")
    every = charts_runs.every_kth(len(times.steps))
    own, steps = blocks(times, every)
    chosen = chosen_step(times)
    hosts = judged.run.hosts
    names = [named(rank, hosts) for rank in times.ranks[: charts_runs.MOST_RANKS]]
    figure = charts_runs.ranks(own[: charts_runs.MOST_RANKS], names, steps, chosen)
    if where := on_hosts(times, hosts):
        st.markdown(formatting.plain(where))
    frame.chart(figure, own_frame(times, hosts), key=KEY, alt=said, metrics=("straggler_score",), on_select=look)
    if every > 1:
        st.caption(f"Each column is the mean of {every} steps; the table and the CSV hold every step.")
    left, right = st.columns(2, gap="large")
    with left:
        st.subheader("The slowest rank over the median one", anchor=False)
        rows = slowest_frame(times)
        worst = float(rows["slowest_over_median"].median())
        frame.chart(
            charts_runs.slowest(rows), rows, key="slowest", metrics=("straggler_score",),
            alt=f"The slowest rank takes {worst:.3g} times as long as the median one in half of the steps.",
        )  # fmt: skip
    with right:
        title = "Phases, median over steps" if chosen is None else f"Phases of step {chosen:,}"
        st.subheader(title, anchor=False)
        phases = phase_frame(times, chosen, hosts)
        frame.chart(charts_runs.phases(phases), phases, key="phases", alt=f"{title}, by rank. {said}")


def look() -> None:
    """After a click on a cell: that step stands in the address."""
    points = st.session_state[KEY].selection.points
    if points and points[0].get("customdata"):
        st.query_params["cell"] = str(points[0]["customdata"][0])


def chosen_step(times: Ranks) -> int | None:
    """The step that the address names; one that is not there is said."""
    named = st.query_params.get("cell")
    if named is None:
        return None
    found = int(named) if named.isascii() and named.isdigit() and len(named) < 15 else None
    if found is None or found not in times.steps:
        st.warning(f"The link names step {formatting.plain(named)}, which not every rank of this run logged.", icon=":material/link_off:")
        return None
    if st.button("All steps", icon=":material/close:", type="tertiary", key="all-steps"):
        st.query_params.pop("cell", None)
        st.rerun()
    return found


def blocks(times: Ranks, every: int) -> tuple[np.ndarray, list[int]]:
    """Own work averaged over each `every` steps, and the first step of each block."""
    begins = np.arange(0, len(times.steps), every)
    sums = np.add.reduceat(times.own, begins, axis=1)
    counts = np.diff([*begins, len(times.steps)])
    return sums / counts, times.steps[begins].tolist()


def named(rank: str, hosts: Mapping[str, str]) -> str:
    """A rank as charts name it: with its machine, where the ranks run on several."""
    return f"{rank} · {hosts[rank]}" if rank in hosts and len(set(hosts.values())) > 1 else rank


def on_hosts(times: Ranks, hosts: Mapping[str, str]) -> str | None:
    """How the machines compare, slowest first, in one sentence; None where no rank says where it runs."""
    own = np.median(times.own, axis=1)
    of_host: dict[str, list[float]] = {}
    for rank, ms in zip(times.ranks, own, strict=True):
        if rank in hosts:
            of_host.setdefault(hosts[rank], []).append(float(ms))
    if not of_host:
        return None
    if len(of_host) == 1:
        return f"All ranks that say where they run are on {next(iter(of_host))}."
    ranked = sorted(of_host.items(), key=lambda each: (-float(np.median(each[1])), each[0]))
    told = [f"{host} {np.median(ms):.3g} ms over {formatting.plural(len(ms), 'rank')}" for host, ms in ranked[:MOST_HOSTS]]
    more = f" and {len(ranked) - MOST_HOSTS} more hosts" if len(ranked) > MOST_HOSTS else ""
    return f"Own work a step by host, the slowest first (median of its ranks): {', '.join(told)}{more}."


def own_frame(times: Ranks, hosts: Mapping[str, str]) -> "DataFrame":
    """rank, its host where any says it, step, own_ms, wait_ms, and the milliseconds of each phase: every rank and step that is compared."""
    import pandas as pd

    n = len(times.steps)
    return pd.DataFrame(
        {
            "rank": np.repeat(times.ranks, n), **({"host": np.repeat([hosts.get(rank) for rank in times.ranks], n)} if hosts else {}), "step": np.tile(times.steps, len(times.ranks)), "own_ms": times.own.ravel(),
            "wait_ms": times.wait.ravel(), **{name: table.ravel() for name, table in times.phases.items()},
        }
    )  # fmt: skip


def slowest_frame(times: Ranks) -> "DataFrame":
    """step, slowest_over_median, lost_rank_ms."""
    import pandas as pd

    return pd.DataFrame({"step": times.steps, "slowest_over_median": times.slowest_over_median, "lost_rank_ms": times.lost_ms})


def phase_frame(times: Ranks, step: int | None, hosts: Mapping[str, str]) -> "DataFrame":
    """Rank (with its host), phase, ms: medians over all steps, or one step; the wait for the slowest rank is a phase of its own."""
    import pandas as pd

    order = ("data", "compute", "communication")
    names = sorted(times.phases, key=lambda name: (order.index(name) if name in order else 1, name))
    tables = {name: times.phases[name] for name in names} | {"waiting": times.wait}
    rows = []
    for name, table in tables.items():
        values = np.median(table, axis=1) if step is None else table[:, int(np.searchsorted(times.steps, step))]
        rows += [{"rank": named(rank, hosts), "phase": name, "ms": float(value)} for rank, value in zip(times.ranks, values)]
    return pd.DataFrame(rows)
