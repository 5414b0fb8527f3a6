"""The parts of the compare page: verdict, differences of all metrics, distances of columns, overlaid distributions, paired rows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st

from observability.compare import sentences
from observability.compare.comparison_types import WindowComparison
from observability.compare.difference import FALSE_DISCOVERY_RATE, VERDICTS, Difference, Section, Verdict
from observability.compare.input_distances import MINIMUM_PSI, HistogramPair
from observability.core import formatting
from observability.core.metric_definitions import LABEL_UNIT, METRICS
from observability.core.numerals import with_si_prefix
from observability.dashboard import choice_box, clicks, distributions, frame, links
from observability.dashboard.case import find_case
from observability.dashboard.cells import interval_cell
from observability.dashboard.charts import compare as charts_compare
from observability.dashboard.charts.overlay import distribution_overlay
from observability.dashboard.frame import ModelPage
from observability.dashboard.paged_names import MOST_ROWS, first_rows_note, paged_names
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import csv_button, plain_caption, plain_paragraph, status_line
from observability.metrics.traffic import PERCENTILE_WORDS, QUANTILES

SECTIONS: dict[Section, str] = {
    "performance": "Errors",
    "decisions": "Decisions",
    "fairness": "Fairness",
    "latency": "Latency and failures",
    "cost": "Cost and energy",
}
"""The sections of the page that are drawn as tables of metrics."""
SEVERITY = {"differs": "watch", "slight": "ok", "alike": "ok", "unknown": "unknown"}
FIGURE_COLUMNS = columns_on_phone(
    "what change verdict",
    column("what", "What", strong=True),
    column("a", "A", align="right", help="With its 95 % interval"),
    column("b", "B", align="right", help="With its 95 % interval"),
    column("change", "A − B", align="right", help="With its 95 % interval; the tooltip has the smallest relevant change"),
    column("n", "n of A, of B", align="right"),
    column("verdict", "Verdict"),
)
DISTANCE_COLUMNS = columns_on_phone(
    "what psi verdict",
    column("what", "Column", strong=True),
    column("psi", "PSI", align="right", help="On reference deciles, with its 95 % interval"),
    column("null", "Null 95 %", align="right", help="95 % point of the PSI of two samples of these sizes from one distribution"),
    column("js", "Jensen-Shannon", align="right"),
    column("ks", "KS D or L∞", align="right", help="Kolmogorov-Smirnov for numbers, L-infinity for categories"),
    column("missing", "Missing in A, in B", align="right"),
    column("n", "n of A, of B", align="right", help="Number of rows; of sampled rows if the versions have different bin edges"),
    column("verdict", "Verdict"),
)


def comparison_verdict(found: WindowComparison) -> None:
    """Draw in how many comparisons the sides differ, with notes. The help behind the question mark gives the comparisons and the correction
    for multiple tests.
    """
    verdicts = {difference.verdict for difference in found.differences} - {"unknown"}
    verdict: Verdict = "differs" if "differs" in verdicts else "alike" if verdicts else "unknown"
    how = (
        f"{len(found.differences)} comparisons; at most {100 * FALSE_DISCOVERY_RATE:.0f} % false differences (Benjamini-Hochberg). "
        f"{VERDICTS['unknown']}: the interval contains both zero and a relevant change."
    )
    claim, *named = found.sentence.split(": ", 1)  # the forest plot below names the metrics
    details = "\n\n".join(map(formatting.sentence_markdown, [*named, *([how] if found.differences else [])]))
    line = status_line(SEVERITY[verdict], formatting.with_full_stop(claim), VERDICTS[verdict], strong=True)
    st.markdown(line, help=details or None)
    for note in found.notes:
        plain_caption(note)


def forest_section(found: WindowComparison) -> None:
    """Draw the change of every metric on one axis, in multiples of its smallest relevant change."""
    rows = forest_frame(found)
    if not len(rows):
        return
    st.header("Differences", anchor=False)
    differs = rows.loc[rows["verdict"] == "differs", "name"]
    words = f"{len(differs)} of {len(rows)} metrics differ significantly and by a relevant amount."
    frame.chart_with_table(charts_compare.forest_plot(rows), rows, key="forest", alt=words)


def forest_frame(found: WindowComparison) -> pd.DataFrame:
    """Changes in multiples of the smallest relevant change, most important first. Columns: name, multiple, low, high, verdict, said."""
    held = []
    for difference in sentences.ordered_differences([difference for difference in found.differences if not difference.distance]):
        change = difference.change
        if difference.relative is None or change.low is None or change.high is None:
            continue
        name = sentences.difference_label(difference).replace("`", "")
        ends = (change.low / difference.least, change.high / difference.least)
        held.append([name[:1].upper() + name[1:], difference.relative, *ends, difference.verdict, sentences.change_words(difference)])
    return pd.DataFrame(held, columns=["name", "multiple", "low", "high", "verdict", "said"])


def section_label(title: str, found: Sequence[Difference]) -> str:
    """The title of a section, with the number of its metrics that differ."""
    return f"**{title}** :gray[{sum(difference.verdict == 'differs' for difference in found)} of {len(found)} differ]"


def differences_section(key: str, caption: str, found: Sequence[Difference], here: ModelPage) -> None:
    """Draw differences as a table, with a button for the CSV."""
    draw_table(key, caption, FIGURE_COLUMNS, [_difference_row(difference, here) for difference in found], compact=True)
    percentile_note(found)
    csv_button(f"compare-{key}", lambda: differences_frame(found), key=f"{key}-csv")


def percentile_note(found: Sequence[Difference]) -> None:
    """If a percentile of latency is among the differences, draw what it means and how exact it is."""
    if any(difference.metric in QUANTILES for difference in found):
        plain_caption(PERCENTILE_WORDS)


def _difference_row(difference: Difference, here: ModelPage) -> dict[str, Any]:
    """The table row of one metric, with both sides."""
    name = sentences.metric_words(difference.metric)
    what: Cell = {"t": name if difference.subject == "model" else f"{name}, {difference.subject}", "mark": _basis_mark(difference)}
    if difference.section == "performance" and difference.subject != "model":
        about = {"sub": formatting.slice_in_words(difference.subject), "mark": "watched slice"}
        what = links.link_cell(name, "slices", here.scope) | about
    if difference.section == "fairness":
        target = links.link_cell(name, "fairness", here.scope, attribute=difference.subject, metric=difference.metric)
        what = target | {"sub": difference.subject}
    unit = difference.unit
    if unit == LABEL_UNIT and here.model.settings.unit:
        what = what | {"sub": "\n".join(filter(None, (what.get("sub"), here.model.settings.unit)))}
    change: Cell = {"t": signed_change(difference.change.value, unit), "sub": None}
    if difference.change.low is not None and difference.change.high is not None:
        change["sub"] = f"{signed_change(difference.change.low, unit)} to {signed_change(difference.change.high, unit)}"
    if difference.least == difference.least:
        change["title"] = f"Smallest relevant change: {difference_amount(difference.least, unit)}"
    return table_row(
        what=what,
        a=_side_cell(difference, "a"),
        b=_side_cell(difference, "b"),
        change=change,
        n=f"{difference.a.n:,.0f} · {difference.b.n:,.0f}",
        verdict=difference_verdict_cell(difference),
    )


def _basis_mark(difference: Difference) -> str | None:
    """The basis of a value that is estimated or assumed; None for a measured value."""
    source = difference.evidence.get("source")
    return str(source) if source in ("estimated", "assumed") else None


def _side_cell(difference: Difference, side: str) -> Cell:
    """The value of one side, with its interval below."""
    found, unit = getattr(difference, side), difference.unit
    known = found.low is not None and found.high is not None
    sub = f"{difference_amount(found.low, unit)} to {difference_amount(found.high, unit)}" if known else None
    return {"t": difference_amount(found.value, unit), "sub": sub}


def difference_amount(value: float | None, unit: str) -> str:
    """A value with its unit: energies get an SI prefix, tiny numbers are in scientific notation."""
    if value is None or unit == "share":
        return formatting.format_value(value, unit)
    if unit == "Wh":
        return with_si_prefix(value, unit).replace("-", formatting.MINUS)
    text = f"{value:.2e}".replace("-", formatting.MINUS) if 0 < abs(value) < 1e-4 else formatting.format_value(value, unit)
    return f"{text} ms" if unit == "ms" else text


def signed_change(value: float | None, unit: str) -> str:
    """A change with its sign; a change of a share is in percentage points."""
    if value is None:
        return formatting.DASH
    text = f"{abs(100 * value):.1f} pts" if unit == "share" else difference_amount(abs(value), unit)
    return text if text.startswith("0.0 ") or value == 0 else f"{formatting.MINUS if value < 0 else '+'}{text}"


def difference_verdict_cell(difference: Difference) -> Cell:
    """The verdict as a cell, with its reason."""
    under, parts = None, []
    if difference.verdict == "unknown":
        parts.append(difference.why or "")
        if difference.more:
            under = f"about {formatting.compact_count(difference.more)} more"
            parts.append(f"about {formatting.compact_count(difference.more)} more rows needed on each side")
    elif difference.verdict == "slight":
        parts.append("significant, below the smallest relevant change")
    elif difference.verdict == "differs":
        under = better_side(difference)
    if difference.adjusted == difference.adjusted:
        parts.append(f"corrected p-value {formatting.format_number(difference.adjusted)}")
    return {"s": SEVERITY[difference.verdict], "t": VERDICTS[difference.verdict], "sub": under, "title": "; ".join(filter(None, parts))}


def better_side(difference: Difference) -> str | None:
    """Words for the side that is better; None if neither side is better."""
    known = METRICS.get(difference.metric)
    wanted = "low" if difference.section in ("fairness", "latency", "cost") else known.better if known else None
    if wanted is None or difference.distance or not difference.change.value:
        return None
    return f"better on side {'A' if (difference.change.value > 0) == (wanted == 'high') else 'B'}"


def differences_frame(found: Sequence[Difference]) -> pd.DataFrame:
    """All numbers of the differences for the CSV, one row per difference."""
    rows = []
    for difference in found:
        row: dict[str, Any] = {name: getattr(difference, name) for name in ("section", "subject", "metric", "unit")}
        for side, figure in (("a", difference.a), ("b", difference.b)):
            row |= {side: figure.value, f"{side}_low": figure.low, f"{side}_high": figure.high, f"n_{side}": figure.n}
        row |= {"change": difference.change.value, "low": difference.change.low, "high": difference.change.high}
        row |= {"least": difference.least, "p_value": difference.p_value, "p_adjusted": difference.adjusted}
        row |= {name: getattr(difference, name) for name in ("verdict", "why", "more")}
        rows.append(row | {key: value for key, value in difference.evidence.items() if isinstance(value, int | float | str)})
    return pd.DataFrame(rows)


def distances_section(here: ModelPage, found: WindowComparison) -> None:
    """Draw the distances of all columns, largest first, and both distributions of one column."""
    distances = sorted([*found.of("score"), *found.of("inputs")], key=lambda difference: -(difference.change.value or 0.0))
    st.header("Inputs and score", anchor=False)
    if not distances:
        st.caption("No column can be compared.")
        return
    held = [difference for difference in distances if difference.change.value is not None]
    apart = [difference for difference in held if difference.verdict == "differs"]
    words = f"{len(apart)} of {len(distances)} columns differ" + (f", {apart[0].subject} most." if apart else ".")
    plain_paragraph(words)
    chosen = choice_box.item_in_address(held, "compared") or (held[0] if held else None)
    if held:
        bars = distance_frame(held[:MOST_ROWS])
        figure = charts_compare.distance_bars(bars, least=MINIMUM_PSI, selected=chosen.subject if chosen else None)
        metrics, on_bar = ("psi", "jensen_shannon_distance"), choice_box.select_column_on_click("distances")
        frame.chart_with_table(figure, bars, key="distances", alt=words, metrics=metrics, on_select=on_bar)
        first_rows_note(len(held), "columns", "with the largest distance")
    choice_box.column_selectbox([difference.subject for difference in held], "The one with the largest distance")
    if chosen:
        distance_overlay(here, found, chosen, next((held for held in found.histograms.values() if held.name == chosen.subject), None))
    with st.expander("All distances"):
        listed = set(paged_names([difference.subject for difference in distances], "columns", "columns"))
        rows = [distance_row(difference) for difference in distances if difference.subject in listed]
        draw_table("columns", "Distance of each column", DISTANCE_COLUMNS, rows, compact=True)
        csv_button("compare-inputs", lambda: differences_frame(distances), key="columns-csv")


def distance_frame(held: Sequence[Difference]) -> pd.DataFrame:
    """The data of the bars, one row per column: column, psi, low, high, null_95, the other distances, verdict, n_a, n_b and basis."""
    distances = ("null_95", "jensen_shannon_distance", "kolmogorov_smirnov", "l_infinity")
    rows = [
        {"column": difference.subject, "psi": difference.change.value, "low": difference.change.low, "high": difference.change.high}
        | {key: difference.evidence.get(key) for key in distances}
        | {"verdict": difference.verdict, "n_a": difference.a.n, "n_b": difference.b.n, "basis": difference.evidence.get("basis")}
        for difference in held
    ]
    return pd.DataFrame(rows)


def distance_row(difference: Difference) -> dict[str, Any]:
    """The table row with the distances of one column."""
    of, change = difference.evidence, difference.change
    ks = of.get("kolmogorov_smirnov") if of.get("kolmogorov_smirnov") is not None else of.get("l_infinity")
    return table_row(
        what={"t": difference.subject, "mark": "sample" if of.get("basis") == "sample" else None},
        psi=interval_cell(change.value, change.low, change.high, ""),
        null=formatting.format_number(of.get("null_95")),
        js=formatting.format_number(of.get("jensen_shannon_distance")),
        ks=formatting.format_number(ks),
        missing=f"{formatting.format_share(of.get('missing_a'))} · {formatting.format_share(of.get('missing_b'))}",
        n=f"{difference.a.n:,.0f} · {difference.b.n:,.0f}",
        verdict=difference_verdict_cell(difference),
    )


def distance_overlay(here: ModelPage, found: WindowComparison, difference: Difference, held: HistogramPair | None) -> None:
    """Draw both distributions of one column. A click on a step of the line opens its predictions on side A; a click on a bar opens the
    predictions on the bar's own side.
    """
    if held is None or difference.change.value is None:
        return
    change = difference.change
    known = {key: value for key, value in difference.evidence.items() if isinstance(value, int | float)}
    names = {
        "jensen_shannon_distance": "Jensen-Shannon",
        "kolmogorov_smirnov": "Kolmogorov-Smirnov D",
        "l_infinity": "L-infinity",
        "null_95": "95 % point of the null PSI",
    }
    distances = [f"PSI {formatting.value_with_interval(change.value, change.low, change.high)}"]
    distances += [f"{name} {formatting.format_number(known[key])}" for key, name in names.items() if key in known]
    rows = f"{difference.a.n:,.0f} rows of A, {difference.b.n:,.0f} of B{', sampled' if held.basis == 'sample' else ''}"
    words = f"{difference.subject}: {', '.join(distances)}; {rows}."
    plain_paragraph(words)
    sides = {"reference": "b", "current": "a", "n_reference": "n_b", "n_current": "n_a"}
    twin = distributions.overlay_frame(held.edges, pd.DataFrame(held.a), pd.DataFrame(held.b)).rename(columns=sides)
    figure = distribution_overlay(twin, name=difference.subject, sides=charts_compare.SIDES)
    on_mark = clicks.cases_on_click("overlay", lambda point: cases_of_side(here, found, held, twin, point))
    frame.chart_with_table(figure, twin, key="overlay", alt=words, on_select=on_mark)
    missing = known.get("missing_a", 0.0), known.get("missing_b", 0.0)
    if not held.edges.levels and max(missing) > 0:
        plain_caption(f"Missing values, not drawn: {formatting.format_share(missing[0])} of A, {formatting.format_share(missing[1])} of B.")


def cases_of_side(
    here: ModelPage, found: WindowComparison, held: HistogramPair, twin: pd.DataFrame, point: clicks.Point
) -> clicks.CaseQuery | None:
    """The predictions behind a clicked step or bar, on the side that was clicked; None if this side is the reference."""
    side = found.b if held.edges.levels and point.get("curve_number") == 0 else found.a
    window = side.window
    if window.environment == "reference":
        return None
    scope = replace(here.scope.at(window.start, window.end), version=window.version, slice=window.slice)
    return distributions.cases_of_overlay(replace(here, scope=scope), point, twin, held.column)


def paired_rows_section(here: ModelPage, found: WindowComparison) -> None:
    """Draw the comparison on the rows that both sides served: changed decisions, how often only one side is right, metrics with paired
    intervals.
    """
    held = found.pairs
    if held is None or not held.n:
        return
    st.header("On the same rows", anchor=False)
    looked = " and ".join(f"{count:,}" for count in held.looked_at)
    words = [f"{held.n:,} rows served by both sides, of {looked} examined; matched by id, else by equal features and time."]
    if held.flips is not None and held.flips.value is not None:
        flips = formatting.value_with_interval(held.flips.value, held.flips.low, held.flips.high, "share")
        words.append(f"{flips} of the decisions differ.")
    elif held.score_gap is not None:
        words.append(f"Mean distance of the predictions: {formatting.format_number(held.score_gap)}.")
    if held.labelled:
        better = "correct" if held.flips is not None else "closer to the label"
        words.append(f"Of {held.labelled:,} labelled pairs, {held.only_a:,} are {better} only on side A, {held.only_b:,} only on side B.")
    if held.contradicting:
        words.append(f"{held.contradicting:,} pairs with contradicting labels are excluded.")
    plain_paragraph(" ".join(words))
    find_case.find_cases_button("Cases where only one version is correct", here.scope, "to-cases", inbox="Worse than the other version")
    rows = [replace(difference, section="pairs") for difference in found.of("pairs")]
    if rows:
        differences_section("pairs", "Metrics on the same rows, with paired intervals", rows, here)
        st.caption(
            "McNemar's exact test for accuracy and selection rate, DeLong's for ROC AUC, the paired t test for losses and errors, "
            "the delta method for ratios and RMSE."
        )
