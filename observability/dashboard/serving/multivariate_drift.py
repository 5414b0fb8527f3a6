"""What do all inputs together say, and how is it drawn?"""

from typing import TYPE_CHECKING

import streamlit as st

from observability.core import formatting
from observability.core.finding import Finding
from observability.dashboard import frame, links, load
from observability.dashboard.charts import domain as charts_domain
from observability.dashboard.frame import Here

if TYPE_CHECKING:
    from pandas import DataFrame

ANALYZER, METRIC, PAIRS = "serving/multivariate_drift", "domain_auc", "rank_correlation"


def line(here: Here) -> None:
    """The sentence for the page about single columns, with the way to the page about all of them; the rest of that page does not wait for it."""
    st.header("All inputs together", anchor=False)
    with frame.loading(60, "together"):
        known = [each for each in load.findings(here.window, wait=True) if each.analyzer == ANALYZER]
    for each in known:
        st.markdown(f"{formatting.status(each.severity)}: {formatting.sentence(each.because)}")
    way(here, "multivariate_drift", links.about(links.page_files()["multivariate_drift"])[0])


def on_scale(finding: Finding) -> None:
    """The AUC with its interval, beside that of single features, on a scale with the band of chance."""
    import pandas as pd

    held = finding.evidence
    rows = pd.DataFrame(
        [
            ["all inputs together", finding.value, finding.low, finding.high, finding.n, finding.severity],
            ["one input at a time", held["single_features_auc"], None, None, finding.n, "unknown"],
        ],
        columns=["name", "auc", "low", "high", "n", "severity"],
    ).astype({"low": float, "high": float})
    half = 1.96 * held["null_sd"]
    band = {"null_low": held["null_mean"] - half, "null_high": held["null_mean"] + half}
    alt = (
        f"AUC {formatting.number(finding.value)} ({formatting.number(finding.low)} to {formatting.number(finding.high)}), "
        f"chance alone stays under {formatting.number(held['null_95'])}."
    )
    st.caption(
        formatting.plain(
            f"{alt} {finding.n:,} predictions of this window, {held['n_reference']:,} rows of the reference, a sample by hash."
        )
    )
    frame.chart(charts_domain.scale(rows, **band, limits=held["limits"]), rows.assign(**band), key="together", alt=alt, metrics=(METRIC,))


def losses(finding: Finding) -> "DataFrame":
    """How much of the AUC each input carries: subject, loss; largest first."""
    import pandas as pd

    return pd.DataFrame(finding.evidence["importance"], columns=["subject", "loss"])


def by_which(here: Here, finding: Finding) -> None:
    """The inputs by which the two sides are told apart, and the pair that tells most; nothing where chance explains it."""
    if finding.value is None or finding.value <= finding.evidence["null_95"]:
        st.markdown("By none: what single inputs seem to carry is noise.")
        return
    lost = losses(finding)
    st.markdown("How much worse the two are told apart where the values of one input are shuffled.")
    frame.chart(charts_domain.losses(lost), lost, key="losses", alt=f"Most by {lost['subject'].iloc[0]}.", metrics=(METRIC,))
    if pair := finding.evidence.get("pair"):
        one, other = pair["features"]
        before, after = (formatting.number(pair[name]) for name in ("correlation_reference", "correlation"))
        said = (
            f"The pair of numbers that tells most: {one} and {other}, rank correlation {before} in the reference, {after} in this window."
        )
        st.caption(formatting.plain(said))
    first = str(lost["subject"].iloc[0])
    way(here, "drift", f"{formatting.plain(first)} alone, reference and current", feature=first)


def pairs_of(finding: Finding) -> "DataFrame":
    """pair, days, reference, value, n, limit (of the change), severity: each two numbers of a finding, those that changed most surely first."""
    import pandas as pd

    columns = ["one", "other", "days", "reference", "value", "n", "limit", "severity"]
    rows = pd.DataFrame(finding.evidence["pairs"], columns=columns)
    return rows.assign(pair=rows["one"] + " and " + rows["other"])[["pair", *columns[2:]]]


def go_together(finding: Finding) -> None:
    """Each two numbers in the reference and now, in the look that says most of them."""
    rows = pairs_of(finding)
    first = rows.iloc[0]
    alt = f"{first['pair']}: {formatting.number(first['reference'])} in the reference, {formatting.number(first['value'])} now."
    st.caption(
        formatting.plain(
            f"{alt} {finding.evidence['looked_at']} pairs were looked at, a sample by hash; the table says over how many days."
        )
    )
    if left := finding.evidence["left_out"]:
        why = "rows of one day share them, as they share the weather, or too few rows have them, so that a week says little about how they go together"
        st.caption(formatting.plain(f"Left out: {', '.join(left)}: {why}. So are inputs that moved by themselves."))
    frame.chart(charts_domain.pairs(rows), rows, key="pairs", alt=alt, metrics=(PAIRS,))


def way(here: Here, page: str, label: str, **own: str) -> None:
    """A link to another page about the same window."""
    st.page_link(
        str(links.page_files()[page]),
        label=label,
        icon=":material/arrow_forward:",
        icon_position="right",
        query_params={**here.scope.parameters(), **own},
    )
