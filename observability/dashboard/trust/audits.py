"""The audits page: the audits with their times and results, how an audit is started, and how a risk owner accepts it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.operations import trade_offs as judged_forms
from observability.analyzers.trust.audits import WORDS, audit_value_words
from observability.core import formatting
from observability.core.finding import Finding, worst_first
from observability.core.questions import Records
from observability.core.settings import AUDITS as RUN_HERE
from observability.core.time import naive_utc
from observability.core.window import Window
from observability.dashboard import empty_states, load, person_name, sign_in
from observability.dashboard.background_job import draw_job
from observability.dashboard.cells import UNKNOWN_CELL, severity_cell
from observability.dashboard.charts import audits as charts_audits
from observability.dashboard.frame import ModelPage
from observability.dashboard.review import load_review, risk_owners
from observability.dashboard.sample_examples import PageExample
from observability.dashboard.sample_figures import sample_records
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.trust import audit_job, form_audits
from observability.dashboard.trust.audit_figures import curve_points
from observability.dashboard.widgets import NOT_SAVED, save_records, status_line, utc_midnight
from observability.detection.audit_history import StoredAudit, audits_for_schedule
from observability.records.values import AFTER_LAST, FIRST

HOW = """# a registered version with its model file; the result is kept with its interval and the date on which it expires
python -m observability audit loan --version 3 --kind robustness
python -m observability audit loan --version 3 --kind membership --in-sample"""
COLUMNS = (
    column("kind", "Audit", strong=True),
    column("version", "Version", phone=False),
    column("status", "Status", width="8rem"),
    column("value", "Result", align="right"),
    column("made", "Made", short=True, phone=False),
    column("expires", "Expires", short=True, phone=False),
    column("signed", "Accepted by", phone=False),
)
AUDITS = Records("audit", ("model", "version", "at", "audit", "results", "expires"), ever=True)
SIGNED_DAYS = 90


def no_model_audits() -> None:
    """Draw the empty state, and how to run an audit."""
    empty_states.how_to_log_state(
        "No audit of this model has been run.",
        "Run one above or by the command; the result is kept as a record.",
        EXAMPLE.lines,
        (EXAMPLE.name, _sample_figure),
    )


def _sample_figure(folder: Path) -> Any:
    """The chart of the sample's first robustness audit."""
    rows = sample_records(folder / "audits.jsonl", "audit")
    results = rows[rows["audit"] == "robustness"]["results"].iloc[0]
    points = pd.DataFrame(curve_points(results["epsilon"], "epsilon", "any features"))
    return charts_audits.budget_curves(points, "cost of the change", "accuracy")


EXAMPLE = PageExample("Accuracy against the cost of a change", _sample_figure, HOW)


def model_audits(model: str) -> list[StoredAudit]:
    """Every audit of a model, oldest first; only kinds that can be run here. Audits of forms (precision or runtime) are included only if
    they compared at least one form.
    """
    rows = load.ask_store(AUDITS, Window(model, FIRST, AFTER_LAST)).to_dict("records")
    known = [audit for audit in audits_for_schedule(rows) if audit.model == model]
    return [audit for audit in known if audit.kind != form_audits.KIND or form_audits.compared_forms_of(audit).forms]


def signed_subject(audit: StoredAudit) -> str:
    """The subject of the signature by which a risk owner accepts an audit."""
    return f"{audit.kind} audit of version {audit.version}"


def model_audits_table(here: ModelPage, audits: Sequence[StoredAudit], found: Sequence[Finding]) -> None:
    """Draw the newest audit of each kind and version with its state, result, dates and the risk owner who accepted it."""
    newest = {(audit.version, audit.kind): audit for audit in audits}
    signed = {str(row["subject"]): row for row in load_review.risk_acceptances() if row["model"] == here.model.name}
    rows, due_at = [], naive_utc(min(load.page_clock(), here.window.end))
    known = [version.name for version in here.model.versions]
    age = {name: place for place, name in enumerate(reversed(known))}
    for audit in sorted(newest.values(), key=lambda audit: (age.get(audit.version, len(age)), RUN_HERE.index(audit.kind))):
        severity, word = audit_state(audit, found)
        row = signed.get(signed_subject(audit))
        accepted: Cell | None = None if row is None else {"t": str(row["author"]), "sub": _accepted_until(row, audit, due_at)}
        rows.append(
            table_row(
                kind={"t": WORDS[audit.kind], "sub": headline_words(audit)},
                version=audit.version,
                status=severity_cell(severity, word),
                value=_value_cell(audit),
                made=formatting.format_day(audit.at),
                expires=None if audit.expires is None else formatting.format_day(audit.expires),
                signed=accepted,
            )
        )
    draw_table("audits", "Audits of this model", COLUMNS, rows, compact=True)


def _accepted_until(signature: Mapping[str, Any], audit: StoredAudit, due_at: datetime) -> str:
    """Words about a signature: until when it accepts the audit, or when the acceptance ended, and whether it was given for an earlier run.
    If it was not signed by a risk owner, the words say only that. due_at: the time at which expiry is judged, as in findings: the end of
    the page's window, or now if that is earlier; naive UTC.
    """
    if not risk_owners.is_signed_by_risk_owner(audit.model, str(signature["author"])):
        return risk_owners.NOT_A_RISK_OWNER
    until: datetime = signature["until"]
    if until <= due_at:
        return f"ended on {formatting.format_day(until)}"
    return f"until {formatting.format_day(until)}{', of an earlier run' if signature['at'] < naive_utc(audit.at) else ''}"


def findings_about(audit: StoredAudit, found: Sequence[Finding]) -> list[Finding]:
    """The findings about an audit that concern the version that was audited."""
    return [each for each in found if each.subject == audit.kind and each.evidence.get("audited_version") == audit.version == each.version]


def validity_of(audit: StoredAudit, found: Sequence[Finding]) -> Finding | None:
    """The finding that states that an audit is no longer valid; None while it is valid."""
    return next((each for each in findings_about(audit, found) if each.metric == "audit_days_left"), None)


def audit_state(audit: StoredAudit, found: Sequence[Finding]) -> tuple[str, str | None]:
    """Severity and word for the state of an audit, from the findings about the version that it audited. Findings about other versions do
    not change the state.
    """
    own, ended = findings_about(audit, found), validity_of(audit, found)
    if audit.kind == form_audits.KIND:
        own = [each for each in found if (each.analyzer, each.version) == (judged_forms.NAME, audit.version)]
    if ended is not None:
        return "watch", "Other model file" if ended.evidence.get("file_replaced") else "Expired"
    if own:
        return worst_first(own)[0].shown_severity, None
    return "unknown", "Other version"


def headline_words(audit: StoredAudit) -> str:
    """Words for the quantity that the headline value of an audit measures."""
    at = audit.headline.get("at")
    if audit.kind == "robustness":
        held = "predictions within tolerance" if audit.results.get("tolerance") else "correct predictions"
        return held if at is None else f"{held} at cost {at}"
    if audit.kind == "membership":
        return f"training rows found at {formatting.format_share(audit.point or 0.01)} false positives"
    if audit.kind == form_audits.KIND:
        return form_audits.form_words(audit)
    if audit.kind == "leakage":
        return f"label predictability from {audit.headline.get('feature') or 'one feature'} alone"
    if audit.kind == "fairness":
        return f"largest gap between groups, shift of {at} nats" if at is not None else "largest gap between groups"
    return "rank correlation of attributions against other backgrounds"


def _value_cell(audit: StoredAudit) -> Cell:
    """A cell with the headline value of an audit and its interval."""
    if audit.kind == form_audits.KIND:
        return form_audits.changed_decisions_cell(audit)
    if audit.value is None or audit.low is None or audit.high is None:
        return dict(UNKNOWN_CELL)
    if audit.kind == "explanations":
        return {"t": f"{audit.value:.2f}", "sub": f"{audit.low:.2f} to {audit.high:.2f}"}
    return {"t": formatting.format_share(audit.value), "sub": formatting.format_interval(audit.low, audit.high, "share")}


def chosen_audit(audits: Sequence[StoredAudit], version: str | None) -> StoredAudit | None:
    """The newest audit of the kind that is chosen in the box, among the audits of the given version; if it has none, among all versions."""
    own = [audit for audit in audits if version in (None, audit.version)] or list(audits)
    kinds = [kind for kind in RUN_HERE if any(audit.kind == kind for audit in own)]
    kind = st.segmented_control(
        "Kind of audit",
        kinds,
        default=kinds[0],
        format_func=WORDS.__getitem__,
        key="kind",
        bind="query-params",
        label_visibility="collapsed",
    )
    return next((audit for audit in reversed(own) if audit.kind == (kind or kinds[0])), None)


def audit_result(audit: StoredAudit, found: Sequence[Finding]) -> None:
    """Draw the result of the audit in words, with its state. If the audit is no longer valid, also draw why."""
    if audit.value is not None:
        severity, word = audit_state(audit, found)
        ended = validity_of(audit, found)
        st.markdown(status_line(severity, f"{audit_value_words(audit)}.{f' {ended.because}' if ended else ''}", word))


def running_audit() -> None:
    """Draw the progress of the running audit, or the outcome of the last one."""
    draw_job(audit_job.AUDIT, "audit")


def start_button(here: ModelPage) -> None:
    """Draw the button that starts an audit. Draws nothing for people whose role may not start computations."""
    if not sign_in.role_allows("explain", here.model.name):
        return
    job = audit_job.AUDIT.current()
    busy = job is not None and not job.done
    with st.popover("Run an audit", icon=":material/play_arrow:", key="audit-start", disabled=busy):
        audited = [version for version in here.model.versions if version.artifact]
        if not audited:
            empty_states.empty_state(
                "An audit runs the model, and no model file is stored.", "Register the version with a model file.", "add_model", "Register"
            )
        else:
            kind = st.radio("Kind", list(RUN_HERE), format_func=WORDS.__getitem__, key="audit-kind")
            names = [version.name for version in reversed(audited)]
            version = st.selectbox("Version", names, key="audit-version")
            known = next(each for each in audited if each.name == version).in_sample
            inside = st.checkbox(
                "The reference holds training rows",
                known,
                key="audit-inside",
                disabled=known,
                help="Membership and data leakage compare them with served rows.",
            )
            if kind == "precision":
                st.caption("The model file with other threads and precisions on the same rows; slices and budgets are on Trade-offs.")
            if st.button("Start", icon=":material/play_arrow:", key="audit-go"):
                from observability.enrichment.audit_steps import AuditRequest

                audit_job.start_audit(load.store(), AuditRequest(here.model.name, str(version), str(kind), in_sample=inside))
                st.rerun()


def _accepted_figure(audit: StoredAudit) -> str:
    """The text that is stored with an acceptance if the person gives no reason: the audit's figure."""
    if audit.kind != form_audits.KIND:
        return f"{audit.metric} {audit.value}"
    form = form_audits.used_form(audit)
    return f"{judged_forms.FLIPS} {form.flip_rate.value if form and form.flip_rate else None}"


def sign_off_form(audit: StoredAudit) -> None:
    """Draw the form in which a risk owner accepts the result of an audit until a date. The acceptance is a record of kind `signature`."""
    turn = st.session_state.get("audit-signed", 0)
    with st.popover("Accept as risk owner", icon=":material/draw:", key="audit-sign"):
        st.caption(risk_owners.signer_words(audit.model))
        author = person_name.person_name_box("audit-author", audit.model)
        with st.form(f"audit-sign-{turn}"):
            later = datetime.now(UTC).date() + timedelta(days=SIGNED_DAYS)
            until = st.date_input("Until", value=later, key=f"audit-until-{turn}", format="YYYY-MM-DD")
            note = st.text_input("Note", key=f"audit-note-{turn}", placeholder="Why it is acceptable", max_chars=2_000).strip()
            if not st.form_submit_button("Sign", icon=":material/draw:", key=f"audit-submit-{turn}"):
                return
    if not author:
        st.error(person_name.why_not_saved(), icon=":material/person:")
        return
    if risk_owners.refuses_signature(audit.model, author):
        return
    record: dict[str, Any] = {"kind": "signature", "author": author, "model": audit.model, "subject": signed_subject(audit)}
    record |= {"until": utc_midnight(until), "note": note or _accepted_figure(audit)}
    if save_records([record], NOT_SAVED):
        st.session_state["audit-signed"] = turn + 1
        st.toast("Signed. It returns to the agenda before it expires.", icon=":material/draw:")
        st.rerun()
