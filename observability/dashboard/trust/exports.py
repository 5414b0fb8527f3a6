"""The page of exports: privacy budgets, recipients and their limits, the ledger of exports, checklists for training on third-party
machines, and files that this product itself made.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from observability.analyzers.trust import exports as judged
from observability.core import formatting
from observability.core.errors import UsageError
from observability.core.finding import Finding
from observability.core.numerals import format_figure
from observability.core.time import naive_utc
from observability.core.window import EPOCH, Window
from observability.dashboard import empty_states, frame, load, load_findings, person_name, sample_figures, time_zone
from observability.dashboard.cells import UNKNOWN_CELL, filled_columns, first_finding, severity_cell, severity_order
from observability.dashboard.charts import exports as charts_exports
from observability.dashboard.data.records_summary import dates_note
from observability.dashboard.scope import Scope
from observability.dashboard.table import Cell, column, draw_table, table_row
from observability.dashboard.widgets import NOT_SAVED, csv_of_table, plain_paragraph, save_records
from observability.metrics.attestations import EXTRA, public_key, weakest_signature
from observability.metrics.exports import (
    CHECKLIST,
    DELTA,
    EXPORT_COLUMNS,
    EXPORTS,
    LEVELS,
    ExportEvent,
    ExportLedger,
    checklist_states,
    export_events,
    export_ledger,
    export_signature,
    privacy_loss,
    release_rdp,
)
from observability.records.values import new_record_id

MAX_ROWS, MAX_RUNS = 100, 4
SIGNED = {
    "verified": "signature verified",
    "does not match": "signature does not match",
    "not signed": "not signed",
    "no key known": "signature not verified: no key",
    "not checked": "signature not verified",
}
HOW = """import observability as obs
log = obs.Logger()
log.export(recipient="statistics office", dataset="loans@3", rows=8200, transform="generalised", legal_basis="public task", k=12,
           columns={"age": {"tag": "quasi", "transform": "ten years"}, "postcode": {"tag": "quasi", "transform": "two digits"}})"""
RECIPIENTS = (
    column("recipient", "Recipient", strong=True),
    column("dataset", "Dataset", phone=False),
    column("state", "Status", width="7.5rem"),
    column("exports", "Exports", align="right", phone=False),
    column("rows", "Rows", align="right", phone=False),
    column("epsilon", "Spent ε", align="right", help="Privacy loss of all releases so far, over the budget"),
    column("k", "Smallest k", align="right", help="Smallest group of rows with equal quasi-identifying values, over the owner's level"),
    column("canaries", "Canaries", align="right", phone=False, help="Planted canaries, and how many of them came back, and where"),
    column("enclave", "Attestation", width="9rem", phone=False, help="Hash that the enclave of the last export attested"),
)
LEDGER = (
    column("recipient", "Recipient", strong=True),
    column("at", "Time", short=True, phone=False),
    column("what", "Content", wide=True),
    column("transform", "Transform", phone=False),
    column("basis", "Legal basis", phone=False),
    column("rows", "Rows", align="right", phone=False),
    column("columns", "Columns", align="right", phone=False),
    column("k", "k", align="right", phone=False),
    column("epsilon", "ε", align="right", phone=False),
)
OWN = (
    column("recipient", "To", strong=True),
    column("at", "Time", short=True, phone=False),
    column("what", "File", wide=True),
    column("rows", "Rows", align="right", phone=False),
    column("columns", "Columns", align="right", phone=False),
)
CHECK_WORDS = {True: ("ok", "Met"), False: ("act", "Unmet"), None: ("unknown", "Not logged")}


@dataclass(frozen=True)
class ExportsPage:
    """The data of the page. recent: exports in the window; own: files that this product made since the start of the window, which do not
    count when the window is chosen.
    """

    scope: Scope
    window: Window
    ledger: ExportLedger
    recent: Sequence[ExportEvent]
    own: Sequence[ExportEvent]
    findings: Sequence[Finding]

    def seen(self, planted: Iterable[str]) -> dict[str, int]:
        """The number of canaries that came back, by the kind of record in which they were found; `record` if an older finding does not name
        the kind.
        """
        back = [each.evidence for each in self.findings if each.evidence.get("canary")]
        sightings = {(str(each["canary"]), str(kind)) for each in back for kind in each.get("records") or ("record",)}
        found = Counter(kind for name, kind in sightings if name in set(planted))
        return dict(sorted(found.items(), key=lambda pair: pair[0], reverse=True))


def load_exports(scope: Scope) -> ExportsPage:
    """Exports up to the end of the window, and the findings about them."""
    models = {each.name: each for each in load.catalog().models}
    ever = export_events(load.ask_store(EXPORTS, Window(scope.model or "", EPOCH, scope.end or load.page_clock())), models)
    newest = max((each.at for each in ever if not each.own), default=None)
    window = load.window_of_records(scope, judged.ANALYZER, newest)
    levels = load.ask_store(LEVELS, replace(window, model=""))  # levels belong to recipients and do not depend on the chosen model
    ledger = export_ledger(load.ask_store(EXPORTS, window), levels, models, f"{judged.NAME}/{judged.K}")
    found = load_findings.scope_record_findings(scope, judged.NAME)
    own = [each for each in ever if each.own and each.at >= window.start]
    recent = [each for each in ledger.events if each.at >= window.start]
    return ExportsPage(scope, window, ledger, recent, own, found)


def no_exports() -> None:
    """Draw the empty state, with how to log an export."""
    example = ("Share of the privacy budget that each recipient spent", _sample_figure)
    step = "Log one record for each file, table or training set that leaves: this page then shows budgets, k, and what is missing."
    empty_states.how_to_log_state("No export has been logged yet.", step, HOW, example)


def exports_summary(page: ExportsPage) -> None:
    """Draw the number of exports, and the number of recipients."""
    recipients = {each.recipient for each in page.recent}
    rows = sum(each.rows or 0 for each in page.recent)
    said = (
        f"**{formatting.plural(len(page.recent), 'export')}** to {formatting.plural(len(recipients), 'recipient')}{dates_note(page.window)}"
    )
    said += f": {rows:,} rows." if rows else "."
    st.markdown(said)


def budget_frame(ledger: ExportLedger) -> pd.DataFrame:
    """The privacy loss after each release to a recipient, by recipient and dataset, where a budget is set: who, at, epsilon,
    budget, share.
    """
    rows = []
    for pair, events in ledger.by_pair().items():
        if (budget := ledger.level(events[-1]).epsilon) is None:
            continue
        who = " · ".join(filter(None, pair))
        for event in events:
            if event.is_private:
                spent = ledger.loss(pair, event).epsilon
                rows.append({"who": who, "at": naive_utc(event.at), "epsilon": spent, "budget": budget, "share": spent / budget})
    return pd.DataFrame(rows, columns=["who", "at", "epsilon", "budget", "share"])


def budget_chart(page: ExportsPage) -> None:
    """Draw how much of each budget is spent."""
    twin = budget_frame(page.ledger)
    if twin.empty:
        return
    st.header("Privacy budgets", anchor=False)
    last = twin.groupby("who").last().sort_values("share")
    who, share = last.index[-1], float(last["share"].iloc[-1])
    alt = f"{who} has spent {100 * share:.0f} % of its privacy budget{f', the most of {len(last):,} budgets' if len(last) > 1 else ''}."
    plain_paragraph(alt)
    states = {" · ".join(filter(None, pair)): _budget_state(page, pair) for pair in page.ledger.by_pair()}
    figure = charts_exports.budget_steps(twin, states)
    frame.chart_with_table(figure, twin, key="export-budgets", alt=alt, metrics=(judged.EPSILON,))


def _budget_state(page: ExportsPage, pair: tuple[str, str]) -> str:
    """The severity of the finding about the budget of a recipient and dataset; `unknown` without one."""
    own = [each for each in page.findings if each.metric == judged.EPSILON and each.subject == judged.export_subject(pair)]
    worst = first_finding(own)
    return worst.shown_severity if worst else "unknown"


def _sample_figure(folder: Path) -> Any:
    """The sample's chart of the privacy budgets of its exports."""
    events = sample_figures.sample_records(folder / "exports.jsonl", "event")
    decisions = sample_figures.sample_records(folder / "exports.jsonl", "decision")
    events = events[events["what"] == "export"].reindex(columns=list(EXPORT_COLUMNS)).astype(object)
    events = events.where(events.notna(), None).assign(at=lambda rows: pd.to_datetime(rows["at"]))
    named = ("kind", "decision", "at", "author", "statement")
    extras = [{name: value for name, value in row.items() if name not in named and value == value} for row in decisions.to_dict("records")]
    stated = decisions[["decision", "at"]].assign(state=None, extra=pd.Series(extras, index=decisions.index, dtype=object))
    return charts_exports.budget_steps(budget_frame(export_ledger(events, stated, {}, "")))


def recipients_table(page: ExportsPage) -> None:
    """Draw a row for each recipient and dataset, worst first."""
    st.header("Recipients", anchor=False)
    lines = []
    for pair, events in page.ledger.by_pair().items():
        own = [each for each in page.findings if each.subject == judged.export_subject(pair) or _is_of(each, pair)]
        worst = first_finding(each for each in own if each.metric != judged.UNLOGGED) or first_finding(own)
        lines.append((severity_order(worst), pair, table_row(recipient_cells(page, pair, events, worst))))
    rows = [row for _, _, row in sorted(lines, key=lambda line: line[:2])]
    draw_table("recipients", "Recipients of exports", filled_columns(RECIPIENTS, rows, ("recipient", "dataset", "exports")), rows)


def _is_of(finding: Finding, pair: tuple[str, str]) -> bool:
    """Whether a finding about a canary or a run concerns exports to this pair of recipient and dataset."""
    return (finding.evidence.get("recipient"), finding.evidence.get("dataset")) == pair


def recipient_cells(page: ExportsPage, pair: tuple[str, str], events: Sequence[ExportEvent], worst: Finding | None) -> dict[str, Cell]:
    """The cells of a recipient's row."""
    level, loss = page.ledger.level(events[-1]), page.ledger.loss(pair)
    cells: dict[str, Cell] = {key["key"]: dict(UNKNOWN_CELL) for key in RECIPIENTS}
    rows = [each.rows for each in events if each.rows is not None]
    cells |= {
        "recipient": {"t": pair[0], "phone": pair[1] or None},
        "dataset": {"t": pair[1] or formatting.DASH},
        "exports": {"t": f"{len(events):,}"},
    }
    if worst is not None:
        cells["state"] = severity_cell(worst.shown_severity)
    if rows:
        cells["rows"] = {"t": f"{sum(rows):,}"}
    if loss.releases or level.epsilon is not None:
        of = f"of {level.epsilon:g}" if level.epsilon is not None else "no budget"
        unlogged = f"{formatting.plural(loss.unknown, 'export')} without ε" if loss.unknown and level.epsilon is not None else None
        cells["epsilon"] = {"t": format_figure(loss.epsilon, 3), "sub": "\n".join(filter(None, (of, delta_words(loss.delta), unlogged)))}
    if known := [each.k for each in events if each.k is not None]:
        cells["k"] = {"t": f"{min(known):g}", "sub": f"at least {level.k:g}" if level.k is not None else "no level"}
    attested = next((each.attestation for each in reversed(events) if each.attestation), None)
    if attested or level.attestation:
        same = attested == level.attestation
        word = "as stated" if same else "no hash stated" if not level.attestation else "differs" if attested else "missing"
        signed = weakest_signature([export_signature(each, level) for each in events]) if same else None
        words = f"{word}\n{SIGNED[signed]}" if signed else word
        cells["enclave"] = {"t": formatting.truncate(attested, 16) if attested else formatting.DASH, "sub": words}
    if planted := {str(canary.get("name") or "canary") for each in events for canary in each.canaries}:
        back = [f"{count} seen in {kind}s" for kind, count in page.seen(planted).items()]
        cells["canaries"] = {"t": f"{len(planted):,}", "sub": "\n".join(back) or "none seen"}
    return cells


def delta_words(delta: float) -> str:
    """Words for the δ at which an ε holds."""
    return f"at δ = {delta:.2g}"


def ledger_table(page: ExportsPage) -> None:
    """Draw the exports of the window, newest first."""
    st.header("Exports in this window", anchor=False)
    newest = sorted(page.recent, key=lambda each: each.place, reverse=True)
    rows = [table_row(export_cells(each)) for each in newest[:MAX_ROWS]]
    draw_table("exports", "Exports, newest first", filled_columns(LEDGER, rows, ("recipient", "at", "what")), rows, sort=True)
    csv_of_table("exports", lambda: exports_frame(newest), len(newest), MAX_ROWS)


def export_cells(event: ExportEvent) -> dict[str, Cell | str | None]:
    """The cells of one export."""
    personal = f"{len(event.personal)} personal" if event.personal else None
    epsilon = privacy_loss([event], event.delta or DELTA).epsilon if event.is_private else None
    delta = event.delta or (None if release_rdp(event) is None else DELTA)
    at = delta_words(delta) if delta else None
    about = " · ".join(filter(None, (event.dataset, event.model, f"run {event.run}" if event.run else None)))
    return {
        "at": {"t": time_zone.zoned_minute(event.at), "k": event.at.timestamp()},
        "recipient": {"t": event.recipient, "phone": formatting.format_day(event.at)},
        "what": {"t": event.text, "sub": about or None},
        "rows": None if event.rows is None else {"t": f"{event.rows:,}", "k": event.rows},
        "columns": {"t": f"{len(event.columns):,}", "sub": personal, "title": ", ".join(event.columns)} if event.columns else None,
        "transform": event.transform,
        "basis": event.legal_basis,
        "k": None if event.k is None else {"t": f"{event.k:g}", "k": event.k},
        "epsilon": None if epsilon is None else {"t": format_figure(epsilon, 3), "k": epsilon, "sub": at},
    }


def exports_frame(events: Sequence[ExportEvent]) -> pd.DataFrame:
    """Exports as a table for a file. It contains only the number of canaries, not the canaries."""
    rows = [
        {
            "at": each.at.isoformat(), "recipient": each.recipient, "dataset": each.dataset, "text": each.text, "model": each.model,
            "run": each.run, "rows": each.rows, "columns": ", ".join(each.columns), "personal": ", ".join(each.personal),
            "transform": each.transform, "legal_basis": each.legal_basis, "k": each.k, "epsilon": each.epsilon, "delta": each.delta,
            "attestation": each.attestation, "canaries": len(each.canaries),
        }
        for each in events
    ]  # fmt: skip
    return pd.DataFrame(rows)


def checklist_section(page: ExportsPage) -> None:
    """Draw which items the newest training on third-party machines does not meet. Also draw the whole checklist as a folded table, with a
    row for each item and a column for each run.
    """
    runs = [each for each in page.recent if each.checklist is not None][-MAX_RUNS:][::-1]
    if not runs:
        return
    st.header("Training on third-party machines", anchor=False)
    states = [checklist_states(each, page.ledger.level(each), page.ledger.within_budget(each)) for each in runs]
    met = sum(state is True for state in states[0].values())
    others = {
        word.lower(): [item for item, state in states[0].items() if CHECK_WORDS[state][1] == word]
        for _, word in list(CHECK_WORDS.values())[1:]
    }
    rest = "".join(f"; {word}: {', '.join(items)}" for word, items in others.items() if items)
    plain_paragraph(f"{runs[0].run or runs[0].text} at {runs[0].recipient} meets {met} of {len(states[0])} items{rest}.")
    heads = [
        column(f"run{place}", each.run or f"{formatting.format_day(each.at)}", width="9rem", phone=not place)
        for place, each in enumerate(runs)
    ]
    rows = []
    for item in dict.fromkeys(name for each in states for name in each):
        cells: dict[str, Cell | str | None] = {"item": {"t": item, "sub": CHECKLIST.get(item)}}
        for place, each in enumerate(states):
            cells[f"run{place}"] = severity_cell(*CHECK_WORDS[each[item]]) if item in each else None
        rows.append(table_row(cells))
    with st.expander("The checklist", icon=":material/checklist:"):
        columns = [column("item", "Item", strong=True), *heads]
        draw_table("export-checklist", "Checklist of training on third-party machines", columns, rows, compact=True)


def own_files_section(page: ExportsPage) -> None:
    """Draw the files that this product made and that were taken out of it."""
    if not page.own:
        return
    st.header(f"{formatting.plural(len(page.own), 'file')} of this product", anchor=False)
    newest = list(page.own)[::-1]
    rows = []
    for each in newest[:MAX_ROWS]:
        shown = export_cells(each)
        rows.append(table_row({name: shown[name] for name in ("at", "recipient", "what", "rows", "columns")}))
    draw_table("own-files", "Files of this product, newest first", filled_columns(OWN, rows, ("recipient", "at", "what")), rows, sort=True)
    csv_of_table("own-files", lambda: exports_frame(newest), len(newest), MAX_ROWS)


def level_form(page: ExportsPage) -> None:
    """Draw the form in which an owner states what a recipient may get. It is saved as a record of kind decision."""
    turn = int(st.session_state.get("export-turn", 0))
    pairs = list(page.ledger.by_pair())
    with st.popover("State what a recipient may get", icon=":material/policy:", key="export-level"):
        author = person_name.person_name_box("export-author")
        with st.form(f"export-level-{turn}"):
            words = [" · ".join(filter(None, pair)) for pair in pairs]
            place = st.selectbox("Recipient and dataset", range(len(pairs)), format_func=words.__getitem__, key=f"export-pair-{turn}")
            epsilon = st.number_input("Privacy budget ε", min_value=0.0, value=None, key=f"export-epsilon-{turn}", placeholder="not stated")
            k = st.number_input("Smallest k", min_value=0, value=None, key=f"export-k-{turn}", placeholder="not stated")
            attestation = st.text_input("Hash of the enclave", key=f"export-hash-{turn}", max_chars=200, placeholder="not stated").strip()
            key = st.text_area(
                "Public key of the enclave", key=f"export-pem-{turn}", max_chars=4000, placeholder="BEGIN PUBLIC KEY"
            ).strip()
            reason = st.text_input("Reason", key=f"export-reason-{turn}", max_chars=400).strip()
            if not st.form_submit_button("Save", icon=":material/save:", key=f"export-save-{turn}"):
                return
    if not author:
        st.error(person_name.why_not_saved(), icon=":material/person:")
        return
    if key and (problem := key_problem(key)) is not None:
        st.warning(problem)
        return
    stated = {"epsilon": epsilon, "k": k, "attestation": attestation or None, "attestation_key": key or None}
    given = {name: value for name, value in stated.items() if value is not None}
    if not given or not reason:
        st.warning("State at least one level, and a reason.")
        return
    if save_records([level_decision(pairs[int(place or 0)], given, reason, author)], NOT_SAVED):
        st.session_state["export-turn"] = turn + 1
        st.toast("Saved.", icon=":material/check_circle:")
        st.rerun()


def key_problem(pem: str) -> str | None:
    """The reason why a text cannot be registered as the key of an enclave; None if it can."""
    try:
        public_key(pem)
    except UsageError as error:
        return f"{error}"
    except ImportError:
        return f"The key cannot be checked. {EXTRA}."
    return None


def level_decision(pair: tuple[str, str], stated: Mapping[str, Any], reason: str, author: str) -> dict[str, Any]:
    """The decision record that states what a recipient may get."""
    named = {"epsilon": "ε", "delta": "δ", "k": "k", "attestation": "hash", "checklist": "checklist"}
    told = [f"{named.get(name, name)} {value}" for name, value in stated.items() if name != "attestation_key"]
    parts = ", ".join([*told, *(["a registered key"] if "attestation_key" in stated else [])])
    about = {"recipient": pair[0]} | ({"dataset": pair[1]} if pair[1] else {})
    statement = f"{' · '.join(filter(None, pair))} may get {parts}: {reason}"
    return {"kind": "decision", "decision": new_record_id(), "author": author, "statement": statement, **about, **stated}
