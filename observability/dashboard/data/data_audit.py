"""The results of `audit-data` for a dataset: shares of rows by check, the effect of each check on a model, columns that reveal the
label, examples.
"""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from observability.analyzers.trust.audits import WORDS
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.metric_definitions import METRICS
from observability.core.numerals import format_figure
from observability.core.window import EPOCH, Window
from observability.dashboard import choice_box, frame, links, load, time_zone
from observability.dashboard.cells import UNKNOWN_CELL, count_and_share_cell, severity_cell
from observability.dashboard.charts import data_audits as charts_data_audits
from observability.dashboard.data.audited_groups import audited_group_table, rules_proposed
from observability.dashboard.data.cleaning_flow import proposed_flow_section
from observability.dashboard.data.records_summary import attention_count
from observability.dashboard.overview import findings
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, columns_on_phone, draw_table, table_row
from observability.dashboard.widgets import main_finding_lines, plain_caption
from observability.detection.audited_data_claims import (
    CHECK_METRICS,
    LEAK,
    OVERLAP,
    audit_notes,
    data_audit_claims,
    rule_gain,
    share_severity,
)
from observability.metrics.audited_data import DATA_AUDITS, AuditedData, data_audits
from observability.metrics.data_audit import HELD_OUT, SUSPECTS

Audits = list[tuple[AuditedData, AuditedData | None]]
CHECKS = columns_on_phone(
    "check rows gap",
    column("check", "Check", strong=True),
    column("status", "Status", width="7rem"),
    column("rows", "Rows", align="right", help="Rows that the check found, and their share"),
    column("before", "With them", align="right", help="Metric of a model fitted on all rows, on held-out rows (five folds, twice)"),
    column("after", "Without them", align="right", help="Metric of the model fitted without these rows, on the same held-out rows"),
    column("gap", "Difference", align="right", help="With its 95 % interval over the folds"),
    column("kept", "Of kept rows", align="right", help="Metric of the model fitted on all rows, only on rows that the check did not find"),
)
EXAMPLE_COLUMNS = columns_on_phone(
    "check row what",
    column("check", "Check", strong=True),
    column("row", "Row"),
    column("with", "Compared with"),
    column("what", "Differs in"),
)
COLUMN_COUNTS = (column("column", "Column", strong=True), column("rows", "Outliers", align="right"))


def audits_of_model(model: str | None) -> Audits:
    """Return the newest audit of each dataset with the audit before it, newest first. model: with a name, only audits that name this model
    or no model.
    """
    found = data_audits(load.ask_store(DATA_AUDITS, Window("", EPOCH, load.page_clock())))
    own = [(audit, before) for audit, before in found if model is None or audit.model is None or audit.model[0] == model]
    return sorted(own, key=lambda pair: pair[0].at, reverse=True)


def audits_summary(audits: Audits, found: Sequence[Finding]) -> str:
    """Return how many datasets were audited and how many need attention, as Markdown."""
    names = {f"dataset:{audit.dataset}" for audit, _ in audits}
    needy = attention_count((finding for finding in found if finding.subject in names), "dataset")
    return f"**{formatting.plural(len(audits), 'dataset')}** audited, the newest {time_zone.named_minute(audits[0][0].at)}; {needy}."


def chosen_audit(audits: Audits, found: Sequence[Finding]) -> tuple[AuditedData, AuditedData | None]:
    """Return the audit of the dataset in the address; if there is none, of the dataset with the most urgent finding, else the
    newest audit.
    """
    of = {audit.dataset: (audit, before) for audit, before in audits}
    missing = "The link names the dataset {}, which was never audited."
    named = choice_box.address_selectbox("dataset", "Dataset", list(of), placeholder="Most urgent", width=420, missing=missing)
    bad = (finding.subject.removeprefix("dataset:") for finding in found if finding.needs_action)
    return of[named or next((name for name in bad if name in of), audits[0][0].dataset)]


def data_audit_section(audit: AuditedData, before: AuditedData | None, found: Sequence[Finding], scope: Scope) -> None:
    """Draw an audit: shares by check, findings, the effect on a model, rows kept and dropped, columns that predict the label, examples."""
    st.header(formatting.escape_markdown(f"Audit of {audit.dataset}"), anchor=False)
    rows = found_rows(audit, before)
    names = {rule.title: rule.name for rule in audit.rules}
    named = ", ".join(
        f"{names.get(row['name'], HELD_OUT)} {formatting.format_share(row['value'])}" for row in rows.head(3).to_dict("records")
    )
    figure = charts_data_audits.audited_share_bars(rows, x="share of rows, with its limit")
    columns = {"name": "Check", "value": "Share", "severity": "Status", "n": "Rows"}
    alt = f"{audit.rows:,} rows: {named}."
    frame.chart_with_table(figure, rows, key="audit-shares", alt=alt, metrics=tuple(CHECK_METRICS.values()), columns=columns)
    own = [finding for finding in found if finding.subject == f"dataset:{audit.dataset}"]
    main_finding_lines(own)
    link = links.page_address("datasets", scope, dataset=audit.dataset, version_of_data=audit.version)
    made = f"{audit.rows:,} rows of version {audit.version}, audited {time_zone.named_minute(audit.at)}."
    st.caption(f"{formatting.escape_markdown(made)} [The version]({link})")
    for note in audit_notes(audit):
        plain_caption(note)
    _effects(audit)
    proposed = rules_proposed(audit)
    proposed_flow_section(proposed)
    _columns_alone(audit, scope)
    _further_tables(audit, rows, proposed)


def other_findings(audit: AuditedData, found: Sequence[Finding], scope: Scope) -> None:
    """Draw the findings about other datasets and rules, and the downloads of all findings."""
    others = [finding for finding in found if finding.subject != f"dataset:{audit.dataset}"]
    if any(finding.needs_action for finding in others):
        st.header("Other findings", anchor=False)
        findings.open_findings_tables("Findings about other datasets and rules", others, scope)
    findings.findings_downloads(found, "cleaning-findings")


def found_rows(audit: AuditedData, before: AuditedData | None = None) -> pd.DataFrame:
    """Return the result of each check and each own rule: name, value, low, high (shares), limit (NaN: none), severity, n. The largest share
    is first.
    """
    judged = {claim.metric: claim for claim in data_audit_claims(audit, before)}
    shares = {CHECK_METRICS.get(rule.name, f"rule {rule.name}"): (rule.title, rule.share) for rule in audit.rules}
    if claim := judged.get(OVERLAP):
        shares[OVERLAP] = (HELD_OUT.capitalize(), claim.interval)
    lines = []
    for metric, (name, share) in shares.items():
        judge = judged.get(metric)
        limit = judge.limit if judge and judge.limit is not None else float("nan")
        lines.append([name, *share.triple, limit, judge.severity if judge else "none", int(share.n)])
    rows = pd.DataFrame(lines, columns=["name", "value", "low", "high", "limit", "severity", "n"])
    return rows.sort_values(["value", "name"], ascending=[False, True], ignore_index=True)


def effect_rows(audit: AuditedData) -> pd.DataFrame:
    """Return how a model's metric changes without the rows of each check: name, before, after, value, low, high. The frame is empty if no
    model was fitted.
    """
    lines = [
        [rule.title, rule.before, rule.after, rule.after - rule.before, rule.low, rule.high]
        for rule in audit.rules
        if rule.before is not None and rule.after is not None and rule.found
    ]
    return pd.DataFrame(lines, columns=["name", "before", "after", "value", "low", "high"])


def _effects(audit: AuditedData) -> None:
    """Draw the effect of each check on a model, and name the checks that help or harm significantly."""
    rows = effect_rows(audit)
    metric = next((rule.metric for rule in audit.rules if rule.metric), None)
    if rows.empty or metric is None:
        return
    title = METRICS[metric].title if metric in METRICS else metric
    st.header("Effect on a model", anchor=False)
    gains = {rule.name: gain for rule in audit.rules if rule.found and (gain := rule_gain(rule))}
    helping = [name for name, gain in gains.items() if gain.low is not None and gain.low > 0]
    harming = [name for name, gain in gains.items() if gain.high is not None and gain.high < 0]
    said = [f"Better without: {formatting.join_words(helping)}."] if helping else []
    said += [f"Worse without: {formatting.join_words(harming)}."] if harming else []
    alt = " ".join(said) or f"No check changes the {title} significantly."
    better = "less is better" if metric in METRICS and METRICS[metric].better == "low" else "more is better"
    figure = charts_data_audits.rule_effect_dots(rows, x=f"change of {title} without these rows ({better})")
    columns = {"name": "Check", "before": "With them", "after": "Without them", "value": "Difference"}
    frame.chart_with_table(figure, rows, key="audit-effects", alt=alt, metrics=(metric,) if metric in METRICS else (), columns=columns)
    plain_caption(alt)


def _columns_alone(audit: AuditedData, scope: Scope) -> None:
    """Draw how well each column alone predicts the label. If the rows are the data of a model, draw a link to the leakage audit instead."""
    if audit.leakage_of is not None:
        name, version = audit.leakage_of
        link = links.page_address("audits", scope.about(name), version=version, kind=WORDS["leakage"])
        words = formatting.escape_markdown(f"{name} {version}")
        overlap = ", and which held-out rows are training rows" if audit.held_out else ""
        st.caption(f"The [leakage audit of {words}]({link}) judges how well each column alone predicts the label{overlap}.")
        return
    alone = audit.columns_alone
    if not alone:
        return
    lines = []
    for name, share in alone.items():
        severity, limit = share_severity(LEAK, share)
        lines.append([name, *share.triple, limit, severity, int(share.n)])
    rows = pd.DataFrame(lines, columns=["name", "value", "low", "high", "limit", "severity", "n"])
    first = rows.iloc[0]
    alt = f"{first['name']} alone predicts the label best: {formatting.format_share(first['value'])} (0 % chance, 100 % perfect)."
    with st.expander("Label predictability of each column alone", icon=":material/key:", expanded=bool((rows["severity"] != "ok").any())):
        figure = charts_data_audits.audited_share_bars(rows, x="label predictability: 0 % chance, 100 % perfect")
        columns = {"name": "Column", "value": "Label predictability", "severity": "Status", "n": "Rows"}
        frame.chart_with_table(figure, rows, key="audit-columns", alt=alt, metrics=(LEAK,), columns=columns)


def _further_tables(audit: AuditedData, found: pd.DataFrame, proposed: pd.DataFrame) -> None:
    """Draw the folded tables: every figure of each check, the rows of each check by group, example rows, and outliers by column."""
    status = dict(zip(found["name"], found["severity"], strict=True))
    with st.expander("Every check in figures", icon=":material/table_rows:"):
        lines = [table_row(_check_cells(audit, place, status)) for place in range(len(audit.rules))]
        draw_table("audit-checks", f"Checks of {audit.dataset}", CHECKS, lines, compact=True)
    audited_group_table(audit, proposed)
    if audit.examples:
        with st.expander(formatting.plural(len(audit.examples), "example"), icon=":material/search:"):
            draw_table("audit-examples", f"Rows that checks found in {audit.dataset}", EXAMPLE_COLUMNS, _example_lines(audit), compact=True)
    if counts := audit.outliers_by_column:
        with st.expander(f"Outliers in {formatting.plural(len(counts), 'column')}", icon=":material/scatter_plot:"):
            cells = [table_row({"column": {"t": name}, "rows": count_and_share_cell(count, audit.rows)}) for name, count in counts.items()]
            draw_table("audit-outliers", f"Outliers of {audit.dataset} by column", COLUMN_COUNTS, cells, compact=True)


def _check_cells(audit: AuditedData, place: int, status: dict[str, str]) -> dict[str, Cell]:
    """Return the cells of one check of an audit: its title, its status, the affected rows, and how much these rows change the metric."""
    rule = audit.rules[place]
    gap: Cell = dict(UNKNOWN_CELL)
    if rule.before is not None and rule.after is not None:
        both = None if rule.low is None or rule.high is None else [format_figure(end, 3, sign=True) for end in (rule.low, rule.high)]
        gap = {"t": format_figure(rule.after - rule.before, 3, sign=True), "sub": " to ".join(both) if both else None}
    severity = status.get(rule.title, "none")
    return {
        "check": {"t": rule.title},
        "status": severity_cell(severity) if severity != "none" else {"t": formatting.DASH},
        "rows": count_and_share_cell(rule.found, round(rule.share.n)),
        "before": {"t": formatting.format_number(rule.before, 4)},
        "after": {"t": formatting.format_number(rule.after, 4)},
        "gap": gap,
        "kept": {"t": formatting.format_number(rule.kept, 4)},
    }


def _example_lines(audit: AuditedData) -> list[dict[str, object]]:
    """Return a table row for each example row that a check found."""
    lines = []
    for example in audit.examples:
        check, other = str(example.get("check")), example.get("with")
        differs = example.get("differs") or {}
        joint = "; model: " if check == SUSPECTS else " / "
        said = [f"{name} {joint.join(formatting.DASH if part is None else str(part) for part in both)}" for name, both in differs.items()]
        if not other and check != SUSPECTS:
            said = [f"{name} {both[0]}" for name, both in differs.items()]
        cells: dict[str, Cell] = {
            "check": {"t": check.capitalize()},
            "row": {"t": str(example.get("row"))},
            "with": {"t": str(other) if other else formatting.DASH},
            "what": {"t": "; ".join(said) or "nothing"},
        }
        lines.append(table_row(cells))
    return lines
