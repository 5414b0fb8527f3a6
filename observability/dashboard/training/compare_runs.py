"""Compare up to twenty runs: which parameters differ, and which value of the metric each run reached."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.training.runs import RunVerdict, worst_claim
from observability.core import formatting
from observability.core.finding import needs_action
from observability.core.numerals import with_si_prefix
from observability.dashboard import frame, links
from observability.dashboard.cells import UNKNOWN_CELL
from observability.dashboard.charts import runs as charts_runs
from observability.dashboard.choice_box import address_writer
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.training import runs, runs_curves
from observability.dashboard.widgets import csv_button, plain_caption, plain_paragraph
from observability.detection.run_claims import duration_words

MAX_COMPARED, AT_FIRST = 20, 6
MAX_PARAMETERS = 10


def compared_runs(everything: Sequence[RunVerdict], shown: Sequence[RunVerdict]) -> list[RunVerdict]:
    """The runs chosen in the box, which the address holds. If none is chosen, the newest runs of the same study (or model) as the newest
    run.
    """
    by_name = {each.run.name: each for each in everything}
    named = runs.runs_in_address(by_name)[:MAX_COMPARED]
    options = list(dict.fromkeys([*(each.run.name for each in shown), *named]))
    st.session_state["runs-box"] = named
    hint = "Newest of one study; choose up to twenty"
    st.multiselect(
        "Runs", options, key="runs-box", on_change=address_writer("run", "runs-box"), max_selections=MAX_COMPARED, placeholder=hint
    )
    if named or not shown:
        return [by_name[name] for name in named]
    newest = shown[0].run
    alike = [each for each in shown if (each.run.study == newest.study if newest.study else each.run.model == newest.model)]
    return alike[:AT_FIRST]


def parameter_values(chosen: Sequence[RunVerdict]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Returns two results: the parameters (and the seed) that differ between runs, by name, with one value per run; and the parameters that
    all runs share.
    """
    names = dict.fromkeys(name for judged in chosen for name in judged.run.params)
    values = {name: [judged.run.params.get(name) for judged in chosen] for name in names}
    if any(judged.run.seed for judged in chosen):
        values["seed"] = [judged.run.seed for judged in chosen]
    differ = {name: held for name, held in values.items() if len({json.dumps(each, sort_keys=True, default=str) for each in held}) > 1}
    return differ, {name: held[0] for name, held in values.items() if name not in differ}


def run_differences_section(chosen: Sequence[RunVerdict], costs: Mapping[str, runs.RunUse], scope: Scope) -> None:
    """Draw the runs, best first, with the parameters that differ. The shared parameters are given in one sentence; the CSV has all
    parameters.
    """
    differ, shared = parameter_values(chosen)
    metric = runs_curves.shared_metric(chosen)
    st.header("What differs", anchor=False)
    if not differ and not shared:
        st.caption("No parameters logged.")
    elif not differ:
        every = "Both" if len(chosen) == 2 else f"All {len(chosen)}"
        plain_paragraph(f"{every} runs have the same parameters.")
    else:
        total = formatting.plural(len(differ) + len(shared), "parameter")
        plain_paragraph(f"{len(differ)} of {total} {'differs' if len(differ) == 1 else 'differ'} between {len(chosen)} runs.")
    names = list(differ)[:MAX_PARAMETERS]
    columns = columns_on_phone(
        "run best duration",
        column("run", "Run", strong=True, width="13rem"),
        column("best", f"Best {metric}" if metric else "Best", align="right"),
        *(column(f"p{place}", name, align="right") for place, name in enumerate(names)),
        column("duration", "Duration", align="right"),
        column("energy", "Energy", align="right"),
    )
    order = sorted(range(len(chosen)), key=lambda place: best_cost(chosen[place], metric))
    rows = [_row(chosen[place], metric, [differ[name][place] for name in names], costs, scope) for place in order]
    draw_table("compared", "Compared runs, best first", columns, rows, compact=True)
    if len(differ) > MAX_PARAMETERS:
        st.caption(f"The first {MAX_PARAMETERS} parameters that differ; the CSV holds all of them.")
    if shared:
        same = ", ".join(f"{name} {runs_curves.parameter_text(value)}" for name, value in list(shared.items())[:12])
        plain_caption(f"The same in all: {same}{', …' if len(shared) > 12 else ''}.")
    csv_button("compared-runs", lambda: comparison_frame(chosen), has_groups=False)


def best_cost(judged: RunVerdict, metric: str | None) -> float:
    """The best value of a metric as a cost (smaller is better), by which runs are ordered; infinite for a run without a value."""
    curve = judged.run.curves.get(metric or "")
    if curve is None or not len(curve.finite.values):
        return float("inf")
    finite = curve.finite
    return float(finite.cost[finite.best()])


def _row(judged: RunVerdict, metric: str | None, values: Sequence[Any], costs: Mapping[str, runs.RunUse], scope: Scope) -> dict[str, Any]:
    """One run as a row of the table."""
    run, use = judged.run, costs.get(judged.run.name, runs.RunUse())
    bad = worst_claim([claim for claim in judged.claims or () if needs_action(claim.severity)])
    curve = run.curves.get(metric or "")
    best: Cell = dict(UNKNOWN_CELL)
    if curve is not None and len(curve.finite.values):
        place = curve.best()
        best = {"t": formatting.format_number(float(curve.values[place]), 4), "sub": f"step {int(curve.steps[place]):,}"}
    target = links.link_cell(run.name, "runs", scope, run=run.name)
    cells: dict[str, Cell] = {"run": target, "best": best, "duration": {"t": duration_words(run.seconds)}}
    cells |= {f"p{place}": {"t": runs_curves.parameter_text(value)} for place, value in enumerate(values)}
    cells["energy"] = dict(UNKNOWN_CELL) if use.wh is None else {"t": with_si_prefix(use.wh, "Wh")}
    return table_row(cells, {**target, "t": bad.because.replace("`", ""), "s": bad.severity} if bad else None)


def comparison_frame(chosen: Sequence[RunVerdict]) -> pd.DataFrame:
    """One row per run: its metric, the best value, and every parameter."""
    metric = runs_curves.shared_metric(chosen)
    differ, shared = parameter_values(chosen)
    rows = []
    for place, judged in enumerate(chosen):
        curve = judged.run.curves.get(metric or "")
        known = curve is not None and len(curve.finite.values) > 0
        row: dict[str, Any] = {
            "run": judged.run.name,
            "metric": metric,
            "best": float(curve.values[curve.best()]) if known and curve else None,
        }
        row |= {name: held[place] for name, held in differ.items()} | shared
        rows.append(row)
    return pd.DataFrame(rows)


def parallel_runs_section(chosen: Sequence[RunVerdict]) -> None:
    """Draw the compared runs as lines over the parameters that differ. Draws nothing if there are few runs, or if no parameter differs."""
    rows = runs_curves.study_frame([judged.run for judged in chosen])
    if rows is None:
        return
    metric = str(rows.columns[-1])
    st.header("Runs by their parameters", anchor=False)
    alt = f"{len(rows)} runs as lines over {len(rows.columns) - 2} parameters and {metric}."
    frame.chart_with_table(charts_runs.parallel_coordinates(rows, metric=metric), rows, key="parallel", alt=alt)
