"""The drift page: ranking of columns, distributions of one column, and notes about the values that the distributions leave out."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import SEVERITIES, Finding, claim_period, value_in_window, with_window_value
from observability.core.settings import ModelSettings
from observability.dashboard import choice_box, clicks, distributions, frame
from observability.dashboard.charts.drift import MAX_BARS, bar_cap
from observability.dashboard.charts.overlay import distribution_overlay
from observability.dashboard.frame import ModelPage
from observability.dashboard.overview import window_comparison
from observability.dashboard.widgets import finding_line, finding_lines, plain_caption
from observability.detection.histogram_distance import ACT, WATCH
from observability.incidents.model_state import drift_counts

BEYOND = 0.05
"""A note is drawn if the share of values beyond the reference's range is this much larger than in the reference."""

UNDECIDED = {
    "chance": ("above the limit, but not significantly", "a longer window"),
    "few days": ("above the limit, but over too few days", "a longer window"),
    "as past days": ("above the limit, but so were as many past days", "a longer window"),
    "few rows": ("with too few predictions", "a longer window"),
    "beyond reference": ("largely beyond the reference", "a newer reference"),
    "small reference": ("with too small a reference", "a larger reference"),
}
"""Why a column cannot be judged, in words, and what can decide, by `undecided` in the evidence of its finding."""

MOST_BY_DAY = 39
"""Maximum number of columns that are drawn by day; the columns that drifted most are drawn."""
DAYS_HELP = "Each cell compares one day of a column with the whole reference; small samples read higher by chance."
MOST_LINES = 5
"""Maximum number of claims, other than claims about the PSI, that get their own line above the bars."""


def drift_summary(found: Sequence[Finding]) -> str:
    """A sentence that states how many columns drifted, how many cannot be judged, and which column drifted most."""
    drifted = [finding.subject for finding in most_drifted_first([each for each in found if each.needs_action and each.metric == "psi"])]
    known = set(drifted)
    levels = [finding.subject for finding in found if finding.metric == "level_trade" and finding.subject not in known]
    parts = [drift_counts(found).words()]
    if drifted:
        parts.append(f"{drifted[0]} most")
    if levels:
        parts.append(f"two levels swapped in {formatting.join_words(levels, MOST_LINES)}")
    if means := [finding.subject for finding in found if finding.metric == "mean_shift"]:
        parts.append(f"only the mean of {formatting.join_words(means, MOST_LINES)} shifted")
    return "; ".join(parts) + "."


def besides_lines(besides: Sequence[Finding]) -> None:
    """Draw a line for each claim that is not about the PSI. If there are too many, also draw how many more are in the table of findings
    below.
    """
    finding_lines(besides[:MOST_LINES])
    if len(besides) > MOST_LINES:
        plain_caption(f"{formatting.plural(len(besides) - MOST_LINES, 'more finding')} below.")


def drawn_by_day(columns: Sequence[Finding], chosen: Finding) -> list[Finding]:
    """The columns that are drawn by day: those that drifted most, and always the chosen column."""
    most = list(columns[:MOST_BY_DAY])
    return most if chosen in most else [*most, chosen]


def drift_ranking_frame(columns: Sequence[Finding], settings: ModelSettings) -> pd.DataFrame:
    """The data of the bars, one row per column, in the order of `most_drifted_first`.

    Columns: subject, value, low, high, limit, who set the limit, severity as shown, and n, all of the whole window. If only the last days
    drifted beyond the limit, also the name of these days (`worst_look`) and their value.
    """
    names = ["subject", "value", "low", "high", "limit", "n"]
    rows = []
    for finding in most_drifted_first(columns):
        whole, days = with_window_value(finding), claim_period(finding)
        own = [limit_source(whole.limit, settings), whole.shown_severity, days, finding.value if days else None]
        rows.append([*(getattr(whole, name) for name in names), *own])
    ranking = pd.DataFrame(rows, columns=[*names, "limit_of", "severity", "worst_look", "value_there"])
    return ranking.astype(dict.fromkeys(("value", "low", "high", "limit", "value_there"), float))


def limit_source(limit: float | tuple[float, float] | None, settings: ModelSettings) -> str | None:
    """Words that state where the limit of a PSI comes from; None without a limit."""
    if limit is None:
        return None
    if limit == settings.limits.get("serving/drift/psi"):
        return "set by the owner"
    return "the default" if limit in (WATCH, ACT) else "the column's own daily range"


def drift_bars_note(bars: pd.DataFrame) -> str:
    """A note that explains the marks that occur on the bars."""
    parts = ["Bars: whole window, by severity, then PSI."]
    if (bars["limit_of"] == "the column's own daily range").any():
        parts.append("Strokes: the limit of a column whose daily range exceeds the common limit.")
    if (bars["value"].head(MAX_BARS) > bar_cap(bars.head(MAX_BARS))).any():
        parts.append("▸: bar cut off, its value beside it.")
    return " ".join(parts)


def grey_bars_note(columns: Sequence[Finding]) -> str | None:
    """A sentence that states why columns cannot be judged, and what can decide; None if no bar is grey. columns: in the order of
    `most_drifted_first`.
    """
    if not any(each.shown_severity == "unknown" for each in columns[:MAX_BARS]):
        return None
    causes = [each.evidence.get("undecided") or "few rows" for each in columns if each.shown_severity == "unknown"]
    counts = {words: sum(UNDECIDED[cause][0] == words for cause in causes) for words, _ in UNDECIDED.values()}
    parts = [f"{formatting.plural(count, 'column')} {words}" for words, count in counts.items() if count]
    steps = {UNDECIDED[cause][1] for cause in causes}
    return f"Grey: {'; '.join(parts)}. {' or '.join(sorted(steps)).capitalize()} can decide."


def most_drifted_first(findings: Sequence[Finding]) -> list[Finding]:
    """The findings ordered by shown severity, worst first, then by value over the whole window, largest first.

    Findings are not ordered by their rank: the rank orders incidents and also depends on the importance of a column, so it does not say how
    far a column drifted.
    """
    return sorted(findings, key=lambda finding: (SEVERITIES.index(finding.shown_severity), -(value_in_window(finding) or 0.0)))


def chosen_drift_finding(columns: Sequence[Finding]) -> Finding:
    """The finding about the column that the address names. If it names none, the finding about the column that drifted most, as in the
    summary; if no column drifted, about the first column.
    """
    ordered = most_drifted_first(columns)
    drifted = next((finding for finding in ordered if finding.needs_action), ordered[0])
    return choice_box.item_in_address(columns, "analyzed") or drifted


def drift_column_box(columns: Sequence[Finding]) -> None:
    """Draw the box to choose a column, bound to the address; clicks on the charts also set it. columns: in the order of drift, largest
    first.
    """
    st.header("Reference and current", anchor=False)
    choice_box.column_selectbox([finding.subject for finding in columns], "The one that drifted most")


def drift_overlay(here: ModelPage, finding: Finding) -> None:
    """Draw the distributions of one column in the reference and in the window on top of each other, with n and effect sizes."""
    version, window = distributions.analyzed_version(here.model, here.window, finding.version)
    finding_line(finding)
    if version is None:
        return
    column = str(finding.evidence.get("column") or distributions.finding_column(here.model, finding.subject))
    edges = distributions.column_edges(version, column)
    current, reference = distributions.column_histograms(window, (column,))
    if edges is None or current.empty or reference.empty:
        st.caption("No distribution of this column is stored.")
        return
    sizes = f"{int(reference['n'].sum()):,} predictions in the reference, {int(current['n'].sum()):,} in this window"
    psi, others = effect_sizes(finding)
    st.caption(formatting.escape_markdown(f"{sizes}. {psi}."), help=formatting.escape_markdown(others))
    twin = distributions.overlay_frame(edges, current, reference)
    figure = distribution_overlay(twin, name=finding.subject)
    metrics = ("psi", "jensen_shannon_distance", "l_infinity") if edges.levels else ("psi", "kolmogorov_smirnov", "wasserstein")
    on_mark = clicks.cases_on_click("overlay", lambda point: distributions.cases_of_overlay(here, point, twin, column))
    frame.chart_with_table(figure, twin, key="overlay", alt=finding.because.replace("`", ""), metrics=metrics, on_select=on_mark)
    if not edges.levels:
        _beyond_range_note(twin)
        _missing_values_note(current, reference)
    window_comparison.window_comparison_table(finding)


def effect_sizes(finding: Finding) -> tuple[str, str]:
    """Two texts about a finding: its PSI with the interval, and its other effect sizes."""
    words = {
        "kolmogorov_smirnov": "Kolmogorov-Smirnov D",
        "value_shift": "mean shift (reference sd)",
        "mean_shift": "winsorised mean shift (reference sd)",
        "wasserstein": "winsorised Wasserstein (reference sd)",
        "l_infinity": "L-infinity",
        "jensen_shannon_distance": "Jensen-Shannon",
        "null_95": "95 % point of the null PSI",
    }
    whole, days = with_window_value(finding), claim_period(finding)
    psi = f"PSI {formatting.value_with_interval(whole.value, whole.low, whole.high)}"
    if days:
        psi += f". {days.capitalize()} ({finding.n:,} predictions): PSI {formatting.format_number(finding.value)}"
    others = [
        f"{word} {formatting.format_number(finding.evidence[key])}" for key, word in words.items() if finding.evidence.get(key) is not None
    ]
    return psi, ", ".join(others) + "."


def _beyond_range_note(twin: pd.DataFrame) -> None:
    """Draw a note if the share of values beyond the reference's range has grown much."""
    for place in (0, -1):
        step = twin.iloc[place]
        if step["current"] - step["reference"] >= BEYOND:
            current, reference = (formatting.format_share(step[side]) for side in ("current", "reference"))
            plain_caption(f"{current} of the values are {step['step']} ({reference} in the reference); drawn as one step.")


def _missing_values_note(current: pd.DataFrame, reference: pd.DataFrame) -> None:
    """Draw a note about the values that the distributions leave out, on both sides."""
    now, then = distributions.special_value_shares(current), distributions.special_value_shares(reference)
    parts = [
        f"{name} {formatting.format_share(now.get(name, 0.0))} (reference {formatting.format_share(then.get(name, 0.0))})"
        for name in dict.fromkeys([*now, *then])
    ]
    if parts:
        plain_caption(f"Not drawn: {', '.join(parts)}.")


def worst_day_sentence(days: pd.DataFrame) -> str:
    """A sentence that names the largest value in the heatmap."""
    worst = days.iloc[int(days["value"].argmax())]
    day, psi = formatting.format_day(worst["day"]), formatting.format_number(worst["value"])
    return f"Largest daily value: {worst['subject']} on {day}, PSI {psi}."


def not_by_day_note(columns: Sequence[Finding]) -> str | None:
    """A note about the columns that the heatmap leaves out because nearly all rows of a day share one value; None if no column is
    left out.
    """
    names = [finding.subject for finding in columns if finding.evidence.get("one_value_a_day")]
    return (
        f"Left out: {formatting.join_words(names, MOST_LINES)}. Nearly all rows of a day share one value, so daily drift is not measured."
        if names
        else None
    )
