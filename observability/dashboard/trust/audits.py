"""The audits page: what was audited when and with what result, its curves, the cases behind it, a start and a sign-off."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.trust.audits import WORDS, audit_value_words
from observability.core import formatting
from observability.core.finding import Finding
from observability.core.numerals import measured_value_text
from observability.core.questions import Records
from observability.core.window import Window
from observability.dashboard import empty_states, frame, links, load, person_name
from observability.dashboard.background_job import draw_job
from observability.dashboard.cells import UNKNOWN_CELL, severity_cell
from observability.dashboard.charts import audits as charts_audits
from observability.dashboard.frame import ModelPage
from observability.dashboard.review import load_review
from observability.dashboard.sample_figures import sample_records
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, number_columns, plain_columns, table_row
from observability.dashboard.trust import audit_job
from observability.dashboard.widgets import NOT_SAVED, csv_button, plain_caption, save_records, unavailable_note, utc_midnight
from observability.detection.audit_history import HEADLINES, KINDS, StoredAudit, stored_audits
from observability.records.values import AFTER_LAST, FIRST
from observability.server.audit_schedule import schedule_outcomes, scheduled_audits, waits_after_failure

HOW = """# a registered version with its model file; the result is kept with its interval and the date on which it expires
python -m observability audit loan --version 3 --kind robustness
python -m observability audit loan --version 3 --kind membership --in-sample"""
COLUMNS = (
    column("kind", "Audit", strong=True),
    column("version", "Version", phone=False),
    column("status", "Status", width="8rem"),
    column("value", "Result", align="right"),
    column("made", "Made", short=True, phone=False),
    column("expires", "Expires", short=True),
    column("signed", "Accepted by", phone=False),
)
FLIPS = (
    column("case", "Prediction", strong=True),
    *number_columns(cost="Cost"),
    column("changes", "Changes that alter the answer", wide=True),
)
EXPOSED = (column("case", "Training record", strong=True), *number_columns(statistic="Log likelihood ratio"))
UNSTABLE = (column("case", "Prediction", strong=True), *number_columns(stability="Rank correlation"))
SCHEDULE = plain_columns(kind="Audit", version="Version", when="Runs", next="Next run", last="Last outcome")
SCHEDULE_HOW = "python -m observability audit {} --kind robustness --schedule expired"
AUDITS = Records("audit", ("model", "version", "at", "audit", "results", "expires"), ever=True)
SIGNED_DAYS = 90
SHOWN = 8


def no_model_audits() -> None:
    """The empty state, and how to run an audit."""
    empty_states.how_to_log_state(
        "No audit of this model has been run.",
        "Run one above or by the command; the result is kept as a record.",
        HOW,
        ("Accuracy against the cost of a change", _sample_figure),
    )


def _sample_figure(folder: Path) -> Any:
    """The curve of the sample's first audit of robustness."""
    rows = sample_records(folder / "audits.jsonl", "audit")
    results = rows[rows["audit"] == "robustness"]["results"].iloc[0]
    points = pd.DataFrame(_points(results["epsilon"], "epsilon", "any features"))
    return charts_audits.budget_curves(points, "cost of the change", "accuracy")


def model_audits(model: str) -> list[StoredAudit]:
    """Every audit of a model, oldest first."""
    rows = load.ask_store(AUDITS, Window(model, FIRST, AFTER_LAST)).to_dict("records")
    return [audit for audit in stored_audits(rows) if audit.model == model]


def signed_subject(audit: StoredAudit) -> str:
    """What a risk owner accepts about an audit."""
    return f"{audit.kind} audit of version {audit.version}"


def model_audits_table(here: ModelPage, audits: Sequence[StoredAudit], found: Sequence[Finding]) -> None:
    """The newest audit of each kind and version with its state, result, dates and the risk owner who accepted it."""
    newest = {(audit.version, audit.kind): audit for audit in audits}
    signed = {str(row["subject"]): row for row in load_review.risk_acceptances() if row["model"] == here.model.name}
    rows = []
    known = [version.name for version in here.model.versions]
    age = {name: place for place, name in enumerate(reversed(known))}
    for audit in sorted(newest.values(), key=lambda audit: (age.get(audit.version, len(age)), KINDS.index(audit.kind))):
        severity, word = _state(audit, found)
        row = signed.get(signed_subject(audit))
        accepted: Cell | None = None
        if row is not None:
            accepted = {"t": str(row["author"]), "sub": f"until {row['until']:%Y-%m-%d}"}
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


def _state(audit: StoredAudit, found: Sequence[Finding]) -> tuple[str, str | None]:
    """Severity and word of an audit: that of its findings; of earlier versions, whether it has expired."""
    own = [each for each in found if each.subject == audit.kind and each.evidence.get("audited_version") == audit.version]
    if any(each.metric == "audit_days_left" for each in own):
        return "watch", "Expired"
    if own:
        return own[0].shown_severity, None
    return "unknown", "Other version"


def headline_words(audit: StoredAudit) -> str:
    """What the result of an audit is a share or a value of."""
    at = audit.headline.get("at")
    if audit.kind == "robustness":
        held = "answers that hold" if audit.results.get("tolerance") else "rows with a right answer"
        return held if at is None else f"{held} at cost {at}"
    if audit.kind == "membership":
        return f"training rows found at {formatting.format_share(float(at or 0.01))} false positives"
    return "rank correlation of attributions against other backgrounds"


def _value_cell(audit: StoredAudit) -> Cell:
    """The headline of an audit with its interval."""
    if audit.value is None or audit.low is None or audit.high is None:
        return dict(UNKNOWN_CELL)
    if audit.kind == "explanations":
        return {"t": f"{audit.value:.2f}", "sub": f"{audit.low:.2f} to {audit.high:.2f}"}
    return {"t": formatting.format_share(audit.value), "sub": formatting.format_interval(audit.low, audit.high, "share")}


def chosen_audit(audits: Sequence[StoredAudit], version: str | None) -> StoredAudit | None:
    """The newest audit of the chosen kind: of the version where it is stated, else of the newest that has one."""
    own = [audit for audit in audits if version in (None, audit.version)] or list(audits)
    kinds = [kind for kind in KINDS if any(audit.kind == kind for audit in own)]
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


def audit_details(here: ModelPage, audit: StoredAudit) -> None:
    """The figures and the cases of one audit."""
    if audit.value is None:
        unavailable_note(audit.headline.get("why") or "This audit gave no value.")
        return
    {"robustness": _robustness, "membership": _membership, "explanations": _explanations}[audit.kind](here, audit)


def _points(curve: Sequence[Mapping[str, Any]], at: str, name: str) -> list[dict[str, Any]]:
    """The points of a curve for a figure."""
    return [{"curve": name, "at": point[at], **{part: point[part] for part in ("value", "low", "high", "n")}} for point in curve]


def _robustness(here: ModelPage, audit: StoredAudit) -> None:
    """Accuracy against the budget, by group, with noise and without features, changed texts, and the cheapest flips."""
    results = audit.results
    groups = {f"{name}: {level}": curve for name, levels in results.get("groups", {}).items() for level, curve in levels.items()}
    names = list(results.get("groups", {}))
    by = st.segmented_control("Curves", ["All rows", *names], default="All rows", key="audit-by") if names else "All rows"
    if by in (None, "All rows"):
        single = [{**point["single"], "epsilon": point["epsilon"]} for point in results["epsilon"]]
        points = _points(results["epsilon"], "epsilon", "any features") + _points(single, "epsilon", "one feature")
    else:
        points = [point for name, curve in groups.items() if name.startswith(f"{by}: ") for point in _points(curve, "epsilon", name)]
    measure = "predictions that hold" if here.model.task == "regression" else "accuracy"
    figure = charts_audits.budget_curves(pd.DataFrame(points), "cost of the change", measure, groups=by not in (None, "All rows"))
    frame.chart_with_table(figure, pd.DataFrame(points), key="budget", alt=f"{audit_value_words(audit)}.", metrics=("robust_accuracy",))
    exact = (
        "Changes of one feature are exact: every interval between the forest's thresholds is tried."
        if results.get("exact_single")
        else ("Changes of one feature are tried on a grid of the reference's values.")
    )
    limits = f"Locked: {', '.join(results['locked'])}. " if results.get("locked") else ""
    plain_caption(
        f"{exact} Changes of several features are an upper bound of the accuracy: a stronger search may find cheaper ones. {limits}"
    )
    st.header("Cheapest changes", anchor=False)
    flips = results.get("flips", [])
    rows = [
        table_row(case=_case_cell(flip["id"], here), cost=f"{flip['cost']:.3g}", changes=_changes_words(flip["changes"]))
        for flip in flips[:SHOWN]
    ]
    draw_table("flips", "Cheapest changes", FLIPS, rows, compact=True)
    flat = [{"id": flip["id"], "cost": flip["cost"], "changes": _changes_words(flip["changes"])} for flip in flips]
    csv_button("cheapest-changes", pd.DataFrame(flat))
    st.header("Noise and absent features", anchor=False)
    noise = pd.DataFrame(_points(results["noise"], "noise", "noise"))
    words = "mean absolute error" if results.get("measure") == "mae" else "accuracy"
    left, right = st.columns(2)
    with left:
        figure = charts_audits.budget_curves(noise, "noise, standard deviations", words)
        frame.chart_with_table(figure, noise, key="noise", alt=f"{words.capitalize()} against noise on every feature.")
    with right:
        absent = pd.DataFrame(_points(results["without"], "features", "without"))
        absent["feature"] = [point.get("name") for point in results["without"]]
        figure = charts_audits.budget_curves(absent, "absent features, most needed first", words)
        frame.chart_with_table(figure, absent, key="absent", alt=f"{words.capitalize()} without the most needed features.")
    if "texts" in results:
        _changed_texts(results["texts"])


def _changed_texts(found: Mapping[str, Any]) -> None:
    """The share of texts whose answer changes, by the change."""
    st.header("Changed texts", anchor=False)
    if "why" in found:
        unavailable_note(found["why"])
        return
    rows = pd.DataFrame([{"name": each["change"], **each["flipped"]} for each in found["changes"]])
    figure = charts_audits.audited_group_dots(rows, "texts with another answer")
    frame.chart_with_table(figure, rows, key="texts", alt="Share of texts whose answer changes, by the change.")
    plain_caption(f"The text reaches the model by {len(found['through'])} features; all others keep their logged values.")


def _membership(here: ModelPage, audit: StoredAudit) -> None:
    """The ROC curve of the attack, exposure by group, and the most exposed records."""
    results = audit.results
    named = {results["attack"]: results["best"], "loss threshold": results["loss_threshold"]}
    columns = ["attack", "false_positive_rate", "true_positive_rate"]
    roc = pd.DataFrame([(name, *point) for name, each in named.items() for point in each["roc"]], columns=columns)
    frame.chart_with_table(
        charts_audits.attack_roc(roc), roc, key="roc", alt=f"{audit_value_words(audit)}.", metrics=("membership_exposure",)
    )
    if audit.headline.get("why"):
        plain_caption(str(audit.headline["why"]))
    auc, plain = results["best"]["auc"], results["without_model"]["auc"]
    rare = results["best"]["true_positive_rates"][-1]
    plain_caption(
        f"AUC {auc['value']:.3f} ({auc['low']:.3f} to {auc['high']:.3f}); without the model {plain['value']:.3f}. "
        f"At 0.1 % false positives: {formatting.format_share(rare['value'])} "
        f"({formatting.format_interval(rare['low'], rare['high'], 'share')}). "
        f"{results['members']['n']:,} {results['members']['are']} against "
        f"{results['others']['n']:,} {results['others']['are']}."
    )
    if results.get("groups"):
        st.header("Exposure by group", anchor=False)
        rows = pd.DataFrame(
            [{"name": f"{name}: {level}", **cell} for name, each in results["groups"].items() for level, cell in each.items()]
        )
        rows = rows.sort_values("value", ascending=False, ignore_index=True).head(20)
        figure = charts_audits.audited_group_dots(rows, "training records found at 1 % false positives", 0.01)
        frame.chart_with_table(figure, rows, key="exposure", alt="Exposure of training records by group, with intervals.")
    st.header("Most exposed records", anchor=False)
    exposed = results.get("exposed", [])
    rows_ = [table_row(case=_case_cell(each["id"], here), statistic=f"{each['statistic']:.2f}") for each in exposed[:SHOWN]]
    draw_table("exposed", "Most exposed records", EXPOSED, rows_, compact=True)
    csv_button("most-exposed", pd.DataFrame(exposed))


def _explanations(here: ModelPage, audit: StoredAudit) -> None:
    """Faithfulness by deletion, surrogates, and the least stable explanations."""
    results = audit.results
    deletion = pd.DataFrame(results["deletion"])
    ahead = results["faithfulness"]
    alt = f"Deleting by attribution moves the score further than at random in {formatting.format_share(ahead['value'])} of rows."
    frame.chart_with_table(charts_audits.deletion_curves(deletion), deletion, key="deletion", alt=alt, metrics=("explanation_stability",))
    plain_caption(f"{alt} Attributions are {results['method']}. {audit_value_words(audit)}.")
    st.header("Simple surrogates", anchor=False)
    surrogates = pd.DataFrame(results["surrogates"])
    best = surrogates.iloc[-1]
    explained = formatting.format_share(max(float(best["r2"]), 0.0))
    words = f"A decision tree of depth {best['depth']:.0f} explains {explained} of the variance of the scores."
    curve = surrogates.rename(columns={"depth": "at", "r2": "value"}).assign(
        curve="decision tree", low=surrogates["r2"], high=surrogates["r2"], n=0
    )
    figure = charts_audits.budget_curves(curve, "depth of the tree", "R² on held-out rows")
    frame.chart_with_table(figure, surrogates, key="surrogates", alt=words)
    plain_caption(words)
    st.header("Least stable explanations", anchor=False)
    least = results.get("least_stable", [])
    rows = [table_row(case=_case_cell(each["id"], here), stability=f"{each['stability']:.2f}") for each in least[:SHOWN]]
    draw_table("unstable", "Least stable explanations", UNSTABLE, rows, compact=True)
    csv_button("least-stable", pd.DataFrame(least))


def _case_cell(prediction: str, here: ModelPage) -> Cell:
    """The link to a case."""
    return links.case_link(prediction, prediction, here.model.name, Scope())


def _changes_words(changes: Mapping[str, Sequence[Any]]) -> str:
    """Changed features in words: `SCHL 19 → 21`."""
    return ", ".join(f"{name} {_written(before)} → {_written(after)}" for name, (before, after) in changes.items())


def _written(value: Any) -> str:
    """A value as text."""
    return "missing" if value is None else measured_value_text(value)


def start_section(here: ModelPage) -> None:
    """The button that starts an audit, and the running one."""
    job = audit_job.AUDIT.current()
    busy = job is not None and not job.done
    with st.popover("Run an audit", icon=":material/play_arrow:", key="audit-start", disabled=busy):
        audited = [version for version in here.model.versions if version.artifact]
        if not audited:
            empty_states.empty_state(
                "An audit runs the model, and no model file is stored.", "Register the version with a model file.", "add_model", "Register"
            )
        else:
            kind = st.radio("Kind", list(KINDS), format_func=WORDS.__getitem__, key="audit-kind")
            names = [version.name for version in reversed(audited)]
            version = st.selectbox("Version", names, key="audit-version")
            known = next(each for each in audited if each.name == version).in_sample
            inside = st.checkbox(
                "The reference holds training rows",
                known,
                key="audit-inside",
                disabled=known,
                help="Membership compares them with served rows.",
            )
            if st.button("Start", icon=":material/play_arrow:", key="audit-go"):
                from observability.enrichment.audits import AuditRequest

                audit_job.start_audit(load.store(), AuditRequest(here.model.name, str(version), str(kind), in_sample=inside))
                st.rerun()
    draw_job(audit_job.AUDIT, "audit")


def schedule_section(here: ModelPage, known: Sequence[StoredAudit]) -> None:
    """The scheduled audits with their next run and last outcome, or how to schedule one."""
    planned = scheduled_audits(load.catalog(), known, here.model.name)
    st.header("Schedule", anchor=False)
    if not planned:
        none = "No audit is scheduled: "
        why = "no version has a model file." if here.model.settings.audit_schedule else f"`{SCHEDULE_HOW.format(here.model.name)}`."
        st.markdown(formatting.sentence_markdown(none + why))
        return
    outcomes, now = schedule_outcomes(load.home()), load.reached(load.page_clock())
    rows = []
    for audit in planned:
        failure = outcomes.get(audit.key, {}).get("failure")
        waits = waits_after_failure(outcomes.get(audit.key, {}), now)
        due = "with a new version" if audit.next is None else "when nothing waits" if audit.next <= now else f"{audit.next:%Y-%m-%d}"
        rows.append(
            table_row(
                kind=WORDS[audit.kind],
                version=audit.version,
                when=audit.when,
                next="a day after the failure" if waits else due,
                last={"s": "unknown", "t": f"failed: {failure}"}
                if failure
                else f"{audit.last.at:%Y-%m-%d}"
                if audit.last
                else "not run yet",
            )
        )
    draw_table("audit-schedule", "Scheduled audits", SCHEDULE, rows, compact=True)


def sign_off_form(audit: StoredAudit) -> None:
    """The form in which a risk owner accepts what an audit found until a date; a record of the kind `signature`."""
    turn = st.session_state.get("audit-signed", 0)
    with st.popover("Accept as risk owner", icon=":material/draw:", key="audit-sign"):
        author = person_name.person_name_box("audit-author")
        with st.form(f"audit-sign-{turn}"):
            later = datetime.now(UTC).date() + timedelta(days=SIGNED_DAYS)
            until = st.date_input("Until", value=later, key=f"audit-until-{turn}", format="YYYY-MM-DD")
            note = st.text_input("Note", key=f"audit-note-{turn}", placeholder="Why it is acceptable", max_chars=2_000).strip()
            if not st.form_submit_button("Sign", icon=":material/draw:", key=f"audit-submit-{turn}"):
                return
    if not author:
        st.error(person_name.MISSING, icon=":material/person:")
        return
    record: dict[str, Any] = {"kind": "signature", "author": author, "model": audit.model, "subject": signed_subject(audit)}
    record |= {"until": utc_midnight(until), "note": note or f"{HEADLINES[audit.kind]} {audit.value}"}
    if save_records([record], NOT_SAVED):
        st.session_state["audit-signed"] = turn + 1
        st.toast("Signed. It returns to the agenda before it expires.", icon=":material/draw:")
        st.rerun()
