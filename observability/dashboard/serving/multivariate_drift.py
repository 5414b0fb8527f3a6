"""Multivariate drift: AUC of the domain classifier, permutation importance, and changes of correlations."""

import pandas as pd
import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.dashboard import frame, links, load_findings
from observability.dashboard.charts import domain as charts_domain
from observability.dashboard.frame import ModelPage
from observability.dashboard.widgets import finding_lines, plain_caption

ANALYZER, METRIC, PAIRS = "serving/multivariate_drift", "domain_auc", "rank_correlation"


def multivariate_drift_summary(here: ModelPage) -> None:
    """Draw, on the page about single columns, the findings about all inputs together, with a link to their own page."""
    st.header("Multivariate drift", anchor=False)
    finding_lines([finding for finding in load_findings.findings_in_window(here.window) if finding.analyzer == ANALYZER])
    frame.sampling_notice([here.window])
    links.page_button("multivariate_drift", query_params=here.scope.parameters())


def sampled_rows_note(finding: Finding) -> str:
    """The number of sampled rows of both sides, as the help of a heading."""
    return f"Sampled by hash: {finding.n:,} predictions, {finding.evidence['n_reference']:,} reference rows."


def domain_auc_section(finding: Finding) -> None:
    """Draw the AUC with its interval, the AUC of single features, and the band of the null distribution."""
    evidence = finding.evidence
    rows = pd.DataFrame(
        [
            ["all inputs together", finding.value, finding.low, finding.high, finding.n, finding.severity],
            ["one input at a time", evidence["single_features_auc"], None, None, finding.n, "unknown"],
        ],
        columns=["name", "auc", "low", "high", "n", "severity"],
    ).astype({"low": float, "high": float})
    half = 1.96 * evidence["null_sd"]
    band = {"null_low": evidence["null_mean"] - half, "null_high": evidence["null_mean"] + half}
    auc, null = formatting.value_with_interval(finding.value, finding.low, finding.high), formatting.format_number(evidence["null_95"])
    words = f"AUC {auc}; 95 % quantile of the null distribution {null}."
    plain_caption(words)
    figure = charts_domain.domain_auc_scale(rows, **band, limits=evidence["limits"])
    frame.chart_with_table(figure, rows.assign(**band), key="together", alt=words, metrics=(METRIC,))


def permutation_importance_section(here: ModelPage, finding: Finding) -> None:
    """Draw the inputs that separate the window from the reference, and the most informative pair. If the AUC is within the null
    distribution, draw a sentence that no input stands out.
    """
    if finding.value is None or finding.value <= finding.evidence["null_95"]:
        st.markdown("The AUC is within sampling noise, so no input stands out.")
        return
    losses = pd.DataFrame(finding.evidence["importance"], columns=["subject", "loss"])
    first = str(losses["subject"].iloc[0])
    figure = charts_domain.permutation_importance_bars(losses)
    frame.chart_with_table(figure, losses, key="losses", alt=f"Most important: {first}.", metrics=(METRIC,))
    if pair := finding.evidence.get("pair"):
        before, now = (formatting.format_number(pair[name]) for name in ("correlation_reference", "correlation"))
        plain_caption(f"Most informative pair: {' and '.join(pair['features'])}, rank correlation {before} in the reference, {now} now.")
    parameters = {**here.scope.parameters(), "feature": first}
    links.page_button("drift", f"{formatting.escape_markdown(first)}: reference and current", parameters)


def correlation_pairs_frame(finding: Finding) -> pd.DataFrame:
    """One row for each pair of numeric inputs, most significant change first: pair, days, reference, value, n, limit (of the change),
    severity.
    """
    columns = ["one", "other", "days", "reference", "value", "n", "limit", "severity"]
    rows = pd.DataFrame(finding.evidence["pairs"], columns=columns)
    return rows.assign(pair=rows["one"] + " and " + rows["other"])[["pair", *columns[2:]]]


def correlation_section(finding: Finding) -> None:
    """Draw the correlations of pairs of numeric inputs, in the reference and now."""
    rows = correlation_pairs_frame(finding)
    first = rows.iloc[0]
    reference, now = (formatting.format_number(first[side]) for side in ("reference", "value"))
    words = f"{first['pair']}: rank correlation {reference} in the reference, {now} now."
    excluded = ", ".join(finding.evidence["left_out"])
    names = f"Excluded: {excluded} (one value a day, or too few rows), and inputs that drifted on their own. " if excluded else ""
    about = f"{names}{finding.evidence['looked_at']} pairs tested, sampled by hash; the table has the days of each."
    st.caption(formatting.escape_markdown(words), help=formatting.escape_markdown(about))
    frame.chart_with_table(charts_domain.correlation_change_dots(rows), rows, key="pairs", alt=words, metrics=(PAIRS,))
