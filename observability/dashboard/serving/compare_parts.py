"""What does the compare page show of two sides: the verdict, every figure of both with its difference, distances, overlays, pairs?"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import streamlit as st

from observability.compare import sentences
from observability.compare.comparison_types import Comparison
from observability.compare.difference import FALSE_DISCOVERIES, VERDICTS, Difference, Section
from observability.compare.input_distances import LEAST_PSI, Histograms
from observability.core import formatting
from observability.core.metric_definitions import METRICS
from observability.core.numerals import with_prefix
from observability.dashboard import choice_box, clicks, distributions, frame, links
from observability.dashboard.case import find
from observability.dashboard.charts import compare as charts_compare
from observability.dashboard.frame import Here
from observability.dashboard.sidebar import BIND
from observability.dashboard.table import Cell, column, row, table
from observability.export.csv import inert_csv

if TYPE_CHECKING:
    from pandas import DataFrame

SECTIONS: dict[Section, str] = {
    "performance": "Errors",
    "decisions": "Decisions",
    "fairness": "Fairness",
    "latency": "Latency and failures",
    "cost": "Cost and energy",
}
"""Sections of the page that are a table of figures."""
SEVERITY = {"differs": "watch", "slight": "ok", "alike": "ok", "unknown": "unknown"}
FIGURES = (
    column("what", "What", strong=True),
    column("a", "A", align="right", help="With its 95 % interval"),
    column("b", "B", align="right", help="With its 95 % interval"),
    column("change", "A − B", align="right", help="With its 95 % interval, and the smallest change that matters"),
    column("n", "n of A, of B", align="right"),
    column("verdict", "Verdict"),
)
DISTANCES = (
    column("what", "Column", strong=True),
    column("psi", "PSI", align="right", help="On the deciles of the reference, with its 95 % interval"),
    column(
        "null",
        "Chance stays under",
        align="right",
        help="The PSI that two samples of these sizes from one distribution stay under, 95 times in 100",
    ),
    column("js", "Jensen-Shannon", align="right"),
    column("ks", "KS D or L∞", align="right", help="Kolmogorov-Smirnov for numbers, L-infinity for categories"),
    column("missing", "Missing in A, in B", align="right"),
    column("n", "n of A, of B", align="right", help="Rows, or the rows of a sample where the versions have other edges"),
    column("verdict", "Verdict"),
)


def verdict(found: Comparison) -> None:
    """The sentence at the top, how it was judged, and what must be known about the two sides."""
    told = [each for each in found.differences if each.verdict != "unknown"]
    differs = any(each.verdict == "differs" for each in told)
    head = (
        formatting.status("watch", "Differs")
        if differs
        else formatting.status("ok", "Alike")
        if told
        else formatting.status("unknown", "Cannot tell")
    )
    st.markdown(f"{head}: **{formatting.sentence(found.sentence)}**")
    for each in found.notes:
        st.caption(formatting.plain(each))
    if found.differences:
        st.caption(
            formatting.plain(
                f"Over all {len(found.differences)} comparisons at most {100 * FALSE_DISCOVERIES:.0f} % of the differences spoken of are chance (Benjamini and Hochberg). "
                "Cannot tell: the interval holds both no change and one that matters."
            )
        )


def overview(found: Comparison) -> None:
    """Every change on one axis, in multiples of the smallest that matters."""
    rows = forest_frame(found)
    if not len(rows):
        return
    st.header("What differs, and by how much", anchor=False)
    differs = rows.loc[rows["verdict"] == "differs", "name"]
    said = f"{len(differs)} of {len(rows)} figures lie outside the band of changes that do not matter, beyond chance."
    st.markdown(formatting.plain(said))
    frame.chart(charts_compare.forest(rows), rows, key="forest", alt=said)


def forest_frame(found: Comparison) -> "DataFrame":
    """name, multiple, low, high, verdict, said: changes in multiples of the smallest that matters; those that are spoken of first."""
    import pandas as pd

    held = []
    for each in sentences.spoken(found.differences):
        change = each.change
        if each.distance or each.relative is None or change.low is None or change.high is None:
            continue
        name = sentences.name(each).replace("`", "")
        held.append(
            [
                name[:1].upper() + name[1:],
                each.relative,
                change.low / each.least,
                change.high / each.least,
                each.verdict,
                sentences.change(each),
            ]
        )
    return pd.DataFrame(held, columns=["name", "multiple", "low", "high", "verdict", "said"])


def figures(key: str, caption: str, found: Sequence[Difference], here: Here) -> None:
    """Differences as a table, with its CSV."""
    table(key, caption, FIGURES, [figure_row(each, here) for each in found], compact=True)
    frame.download(f"compare-{key}.csv", lambda: inert_csv(long_frame(found)), "CSV", key=f"{key}-csv")


def figure_row(each: Difference, here: Here) -> dict[str, Any]:
    """One figure of both sides."""
    name = sentences.title(each.metric)
    what: Cell = {"t": name if each.subject == "model" else f"{name}, {each.subject}", "mark": mark(each)}
    if each.section == "performance" and each.subject != "model":
        what = {**links.link(name, "slices", here.scope), "sub": formatting.condition(each.subject), "mark": "watched slice"}
    if each.section == "fairness":
        what = {**links.link(name, "fairness", here.scope, attribute=each.subject, metric=each.metric), "sub": each.subject}
    unit = "share" if each.unit == "share" else each.unit
    change: Cell = {"t": signed(each.change.value, unit), "sub": None}
    if each.change.low is not None and each.change.high is not None:
        change["sub"] = f"{signed(each.change.low, unit)} to {signed(each.change.high, unit)}"
    if each.least == each.least:
        change["title"] = f"The smallest change that matters is {amount(each.least, unit)}"
    return row(
        {
            "what": what,
            "a": side_cell(each, "a"),
            "b": side_cell(each, "b"),
            "change": change,
            "n": {"t": f"{each.a.n:,.0f} · {each.b.n:,.0f}"},
            "verdict": verdict_cell(each),
        }
    )


def mark(each: Difference) -> str | None:
    """That a figure is estimated or assumed; measured goes without saying."""
    source = each.evidence.get("source")
    return str(source) if source in ("estimated", "assumed") else None


def side_cell(each: Difference, side: str) -> Cell:
    """One side's value over its interval."""
    found = each.a if side == "a" else each.b
    sub = None if found.low is None or found.high is None else f"{amount(found.low, each.unit)} to {amount(found.high, each.unit)}"
    return {"t": amount(found.value, each.unit), "sub": sub}


def amount(value: float | None, unit: str) -> str:
    """A value in its unit; energies with the prefix that suits them, tiny numbers in scientific notation."""
    if value is None or unit == "share":
        return formatting.amount(value, unit)
    if unit == "Wh":
        return with_prefix(value, unit).replace("-", formatting.MINUS)
    said = f"{value:.2e}".replace("-", formatting.MINUS) if 0 < abs(value) < 1e-4 else formatting.amount(value, unit)
    return f"{said} ms" if unit == "ms" else said


def signed(value: float | None, unit: str) -> str:
    """A change with its sign; shares in points."""
    if value is None:
        return formatting.DASH
    said = f"{abs(100 * value):.1f} pts" if unit == "share" else amount(abs(value), unit)
    return said if value == 0 else f"{formatting.MINUS if value < 0 else '+'}{said}"


def verdict_cell(each: Difference) -> Cell:
    """The verdict with its reason."""
    under, parts = None, []
    if each.verdict == "unknown":
        parts.append(each.why or "")
        if each.more:
            under = f"about {formatting.short(each.more)} more"
            parts.append(f"about {formatting.short(each.more)} more rows of what it counts would tell, on each side")
    elif each.verdict == "slight":
        parts.append("beyond chance, and less than matters")
    elif each.verdict == "differs":
        under = better(each)
    if each.adjusted == each.adjusted:
        parts.append(f"corrected p-value {formatting.number(each.adjusted)}")
    return {"s": SEVERITY[each.verdict], "t": VERDICTS[each.verdict], "sub": under, "title": "; ".join(filter(None, parts))}


def better(each: Difference) -> str | None:
    """Which side is better off; None where neither is."""
    known = METRICS.get(each.metric)
    wanted = "low" if each.section in ("fairness", "latency", "cost") else known.better if known else None
    if wanted is None or each.distance or not each.change.value:
        return None
    return f"better on side {'A' if (each.change.value > 0) == (wanted == 'high') else 'B'}"


def long_frame(found: Sequence[Difference]) -> "DataFrame":
    """Every difference with all of its numbers, one a row, for the CSV."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "section": each.section, "subject": each.subject, "metric": each.metric, "unit": each.unit,
                "a": each.a.value, "a_low": each.a.low, "a_high": each.a.high, "n_a": each.a.n,
                "b": each.b.value, "b_low": each.b.low, "b_high": each.b.high, "n_b": each.b.n,
                "change": each.change.value, "low": each.change.low, "high": each.change.high, "least": each.least,
                "p_value": each.p_value, "p_adjusted": each.adjusted, "verdict": each.verdict, "why": each.why, "more": each.more,
                **{key: value for key, value in each.evidence.items() if isinstance(value, int | float | str)},
            }
            for each in found
        ]
    )  # fmt: skip


def inputs(here: Here, found: Comparison) -> None:
    """Which columns lie apart, ranked; one of them on top of each other."""
    distances = sorted([*found.of("score"), *found.of("inputs")], key=lambda each: -(each.change.value or 0.0))
    st.header("Inputs and score", anchor=False)
    if not distances:
        st.caption("No column has bins to compare.")
        return
    held = [each for each in distances if each.change.value is not None]
    apart = [each for each in held if each.verdict == "differs"]
    said = f"{len(apart)} of {len(distances)} columns lie apart" + (f", {apart[0].subject} most." if apart else ".")
    st.markdown(formatting.plain(said))
    chosen = chosen_column(held)
    if held:
        bars = distance_frame(held)
        figure = charts_compare.ranked(bars, least=LEAST_PSI, selected=chosen.subject if chosen else None)
        frame.chart(
            figure, bars, key="distances", alt=said, metrics=("psi", "jensen_shannon_distance"), on_select=choice_box.by_click("distances")
        )
    st.selectbox(
        "Column",
        [each.subject for each in held],
        index=None,
        placeholder="The one that lies furthest apart",
        key="feature",
        bind=BIND,
        width=320,
    )
    if chosen:
        overlay(here, found, chosen, next((each for each in found.histograms.values() if each.name == chosen.subject), None))
    with st.expander("All distances"):
        table("columns", "Distance of each column", DISTANCES, [distance_row(each) for each in distances], compact=True)
        frame.download("compare-inputs.csv", lambda: inert_csv(long_frame(distances)), "CSV", key="columns-csv")


def chosen_column(held: Sequence[Difference]) -> Difference | None:
    """The column that the address names, else the one that lies furthest apart; one that is not there is said."""
    return choice_box.column(held, "compared") or (held[0] if held else None)


def distance_frame(held: Sequence[Difference]) -> "DataFrame":
    """What the bars draw: column, psi, low, high, null_95, verdict, n_a, n_b and the other distances."""
    import pandas as pd

    return pd.DataFrame(
        [
            {
                "column": each.subject, "psi": each.change.value, "low": each.change.low, "high": each.change.high,
                **{key: each.evidence.get(key) for key in ("null_95", "jensen_shannon_distance", "kolmogorov_smirnov", "l_infinity")},
                "verdict": each.verdict, "n_a": each.a.n, "n_b": each.b.n, "basis": each.evidence.get("basis"),
            }
            for each in held
        ]
    )  # fmt: skip


def distance_row(each: Difference) -> dict[str, Any]:
    """One column's distances."""
    of = each.evidence
    psi: Cell = {"t": formatting.number(each.change.value)}
    if each.change.low is not None:
        psi["sub"] = f"{formatting.number(each.change.low)} to {formatting.number(each.change.high)}"
    ks = of.get("kolmogorov_smirnov") if of.get("kolmogorov_smirnov") is not None else of.get("l_infinity")
    return row(
        {
            "what": {"t": each.subject, "mark": "sample" if of.get("basis") == "sample" else None},
            "psi": psi,
            "null": {"t": formatting.number(of.get("null_95"))},
            "js": {"t": formatting.number(of.get("jensen_shannon_distance"))},
            "ks": {"t": formatting.number(ks)},
            "missing": {"t": f"{formatting.share(of.get('missing_a'))} · {formatting.share(of.get('missing_b'))}"},
            "n": {"t": f"{each.a.n:,.0f} · {each.b.n:,.0f}"},
            "verdict": verdict_cell(each),
        }
    )


def overlay(here: Here, found: Comparison, each: Difference, held: Histograms | None) -> None:
    """Both sides of one column on the same steps; a step leads to its predictions on side A, a bar to those of its own side."""
    if held is None or each.change.value is None:
        return
    of = {key: value for key, value in each.evidence.items() if isinstance(value, int | float)}
    parts = [f"PSI {formatting.number(each.change.value)} ({formatting.number(each.change.low)} to {formatting.number(each.change.high)})"]
    names = {
        "jensen_shannon_distance": "Jensen-Shannon",
        "kolmogorov_smirnov": "Kolmogorov-Smirnov D",
        "l_infinity": "L-infinity",
        "null_95": "chance alone stays under PSI",
    }
    parts += [f"{name} {formatting.number(of[key])}" for key, name in names.items() if key in of]
    said = f"{each.subject}: {', '.join(parts)}; {each.a.n:,.0f} rows of A, {each.b.n:,.0f} of B{', of a sample each' if held.basis == 'sample' else ''}."
    st.markdown(formatting.plain(said))
    both = {"reference": "b", "current": "a", "n_reference": "n_b", "n_current": "n_a"}
    if held.edges.levels:
        twin = distributions.levels(held.edges, held.a, held.b).rename(columns=both)
        figure = charts_compare.overlay_levels(twin, name=each.subject)
    else:
        twin = distributions.numbers(held.edges, held.a, held.b).rename(columns=both)
        figure = charts_compare.overlay_numbers(twin, name=each.subject)
    on_mark = clicks.leads("overlay", lambda point: of_side(here, found, held, twin, point))
    frame.chart(figure, twin, key="overlay", alt=said, on_select=on_mark)
    missing = [of.get("missing_a", 0.0), of.get("missing_b", 0.0)]
    if not held.edges.levels and max(missing) > 0:
        st.caption(
            formatting.plain(
                f"Not drawn: missing values, {formatting.share(missing[0])} of side A and {formatting.share(missing[1])} of side B."
            )
        )


def of_side(here: Here, found: Comparison, held: Histograms, twin: "DataFrame", point: clicks.Point) -> clicks.Cases | None:
    """The predictions of a side behind a step or bar; the reference has none."""
    side = found.b if held.edges.levels and point.get("curve_number") == 0 else found.a
    window = side.window
    if window.environment == "reference":
        return None
    scope = replace(here.scope.at(window.start, window.end), version=window.version, slice=window.slice)
    of = distributions.level_of if held.edges.levels else distributions.step_of
    return of(replace(here, scope=scope), point, twin, held.column)


def pairs(here: Here, found: Comparison) -> None:
    """The rows that both sides answered: how many flip, who is right alone, and every metric with its paired interval."""
    held = found.pairs
    if held is None or not held.n:
        return
    st.header("On the same rows", anchor=False)
    looked = " and ".join(f"{each:,}" for each in held.looked_at)
    said = [f"{held.n:,} rows were answered by both sides (of {looked} looked at; matched by equal features at the same time)."]
    if held.flips is not None and held.flips.value is not None:
        low, high = formatting.share(held.flips.low), formatting.share(held.flips.high)
        said.append(f"{formatting.share(held.flips.value)} of the decisions flip ({low} to {high}).")
    elif held.score_gap is not None:
        said.append(f"The predictions are {formatting.number(held.score_gap)} apart on average.")
    if held.labelled:
        what = "right" if held.flips is not None else "nearer to the label"
        said.append(f"Of {held.labelled:,} labelled pairs, {held.only_a:,} are {what} on side A only and {held.only_b:,} on side B only.")
    if held.contradicting:
        said.append(f"{held.contradicting:,} pairs are left out because their labels contradict each other.")
    st.markdown(formatting.plain(" ".join(said)))
    find.button("Cases that one version had right and the other wrong", here.scope, "to-cases", inbox="Worse than the other version")
    rows = [replace(each, section="pairs") for each in found.of("pairs")]
    if rows:
        figures("pairs", "Figures on the same rows, with paired intervals", rows, here)
        st.caption(
            formatting.plain(
                "McNemar's exact test for accuracy and selection rate, DeLong's for ROC AUC, the paired t test for losses and errors, the delta method for ratios and RMSE."
            )
        )
